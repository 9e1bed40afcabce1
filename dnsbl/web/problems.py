"""Refusals and failures as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from ..phrases import N_

__all__ = ["RETRY_AFTER", "Problem", "busy", "of_http", "response", "too_large"]

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = "10"  # seconds; what is said with every 503


class Problem(Exception):
    """Ends a request with `status`; `detail` is for the client: what, where, and what to do. `more` are members of
    the document beside those of RFC 9457."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.more = dict(headers or {}), dict(more or {})

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase


def busy(detail: str) -> Problem:
    """503: not now."""
    return Problem(503, detail, {"Retry-After": RETRY_AFTER})


def too_large(detail: str) -> Problem:
    """413; the rest of the body is not waited for."""
    return Problem(413, detail, {"Connection": "close"})


def response(problem: Problem) -> web.Response:
    document = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    return web.Response(
        body=orjson.dumps(document), status=problem.status, headers=problem.headers, content_type=CONTENT_TYPE
    )


DETAILS = {
    404: N_("there is nothing at this address; see /openapi.json for what there is"),
    405: N_("this address does not take that method; the Allow header says which it takes"),
}


def of_http(error: web.HTTPException) -> Problem:
    """What the router refuses, as a problem."""
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(error.status, DETAILS.get(error.status, error.reason), kept)
