"""`/healthz`, `/readyz`, `/metrics`, `GET /v1/feeds`, `/openapi.json`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..errors import StoreError
from .auth import may_read
from .backend import Parts
from .problems import busy
from .responses import json_response
from .state import WEB

__all__ = ["feed_rows", "feeds", "healthz", "metrics", "openapi", "readyz"]

MAX_PUBLIC_WORDS = 20  # of a feed's own, the most frequent
# A file URL, or a path: a slash that begins a word, and no prefix length such as /24.
PATH = re.compile(r"\bfile:|(?<![\w:/.~-])[.~]{0,2}/(?!\d+\b)\w", re.IGNORECASE)
HIDDEN = "it concerns a file of the operator's"


async def healthz(request: web.Request) -> web.StreamResponse:
    """The process lives and can read its store."""
    state = request.app[WEB]
    try:
        await state.threads.urgent(state.backend.app.store.change_seq)
    except StoreError:
        raise busy("the store cannot be read; the log says why") from None
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.StreamResponse:
    """Every zone is published and the store takes changes."""
    state = request.app[WEB]
    reasons = await state.readiness.reasons()
    headers = {"Retry-After": "1"} if reasons else {}
    return json_response({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200, headers)


async def metrics(request: web.Request) -> web.StreamResponse:
    """Figures for Prometheus."""
    state = request.app[WEB]
    body = await state.threads.read(state.metrics.render)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def feeds(request: web.Request) -> web.StreamResponse:
    """Every feed and its health."""
    state = request.app[WEB]
    return json_response(await state.threads.read(feed_rows, state.backend.app, await may_read(request)))


def feed_rows(app: Parts, everything: bool) -> list[dict[str, Any]]:
    """Every feed and its health; what is only for keys that may read is left out unless `everything` is asked for."""
    rows = app.feed_status()
    return rows if everything else [public_row(row) for row in rows]


def public_row(row: dict[str, Any]) -> dict[str, Any]:
    words = sorted(row["unmapped"].items(), key=lambda counted: (-counted[1], counted[0]))
    return {
        **row,
        "url": public_url(row["url"]),
        "reason": HIDDEN if PATH.search(row["reason"]) else row["reason"],
        "unmapped": dict(words[:MAX_PUBLIC_WORDS]),
    }


def public_url(url: str | None) -> str | None:
    """Where a feed is from, without what may be our key to it: user, password and query; of a file nothing."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


async def openapi(request: web.Request) -> web.StreamResponse:
    """This description."""
    return web.Response(body=request.app[WEB].openapi, content_type="application/json")
