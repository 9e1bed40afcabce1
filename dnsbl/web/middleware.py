"""Around every handler: what is counted, and what becomes of refusals, failures and our own mistakes."""

from __future__ import annotations

import logging

import xxhash
from aiohttp import web
from aiohttp.typedefs import Handler

from ..errors import SnapshotError, StoreError
from ..phrases import N_
from . import problems
from .problems import Problem, busy
from .state import WEB

__all__ = ["count", "refuse", "tag"]

log = logging.getLogger("dnsbl.web")

FRESH = "Cache-Control"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What programs ask, and get problem documents from; all else are pages.
FOR_PROGRAMS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")


@web.middleware
async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count by route, not by path: no stranger can make the table grow."""
    response = await handler(request)
    method, _, route = route_of(request).partition(" ")
    request.app[WEB].metrics.requests.labels(route, method, str(response.status)).inc()
    return response


def route_of(request: web.Request) -> str:
    """The method and route, of closed sets."""
    resource = request.match_info.route.resource
    method = request.method if request.method in METHODS else "other"
    return f"{method} {resource.canonical if resource is not None else 'none'}"


@web.middleware
async def tag(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An ETag on whatever JSON the API answers to a GET; who has it already gets 304 (RFC 9110 section 13.1.2)."""
    response = await handler(request)
    if request.method != "GET" or response.status != 200 or not request.path.startswith("/v1/"):
        return response
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes) or FRESH in response.headers:
        return response
    digest = xxhash.xxh3_64_hexdigest(response.body)
    known = any(etag.value in (digest, "*") for etag in request.if_none_match or ())
    found = web.Response(status=304) if known else response
    found.etag = digest
    found.headers[FRESH] = "private, no-cache"  # kept by whoever asked, and asked about each time
    return found


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal as a problem document or a page. A client never sees more of a mistake of ours than that it was
    one; the log has the rest, once."""
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the client has gone
    except Problem as error:
        problem = error
    except web.HTTPException as error:
        if error.status < 400:
            raise
        problem = problems.of_http(error)
    except (StoreError, SnapshotError) as error:
        log.error("%s", error)
        problem = busy(N_("the store cannot answer now; try again later"))
    except Exception:
        log.exception("%s failed", route_of(request))  # not the path: private links and tokens stand in it
        problem = Problem(500, N_("a mistake of ours, and logged; if it stays, tell the operator what you asked"))
    if request.path.startswith(FOR_PROGRAMS):
        response = problems.response(problem)
    else:
        response = request.app[WEB].pages.problem(request, problem)
    if problem.headers.get("Connection") == "close":
        response.force_close()
    return response
