"""Answers in JSON, and the headers that every answer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

__all__ = ["add_headers", "allow_script", "json_response"]

# What every answer says to a browser. A page may load our stylesheet and icon and send its form to us; nothing else.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with "no-referrer" forms come with `Origin: null`, as a stranger's may (Fetch)
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SCRIPTED = HEADERS["Content-Security-Policy"] + "; script-src 'self'; connect-src 'self'"


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


def allow_script(response: web.StreamResponse) -> None:
    """A page that loads a script of ours, which may ask us; no page has any in itself."""
    response.headers["Content-Security-Policy"] = SCRIPTED


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """on_response_prepare: no answer leaves without them; a handler's own value stays."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "dnsbl"
