"""The web application: `/v1` for programs, pages for people, figures for monitors.

    reports.py  POST /v1/reports -> batch.py (group commit)      subjects.py  zones.py  status.py  pages.py
    routes.py (the table) -> openapi.py                          middleware.py (refusals)  responses.py (headers)

Handlers do no work of their own in the event loop: the store is asked in threads. Failure: a store that is full,
locked or gone costs a 503; the process answers on. Stop: requests under way are answered first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .admission import Admission
from .backend import Backend
from .batch import Batcher
from .body import Uploads
from .editions import Editions
from .metrics import Metrics
from .middleware import count, refuse, tag
from .openapi import describe
from .readiness import Readiness
from .rendering import Pages
from .reports import Twins
from .responses import add_headers
from .routes import ROUTES, add_routes
from .snapshots import Sums
from .state import WEB, Threads, Web
from .statsbook import StatsBook
from .zonebook import ZoneBook

__all__ = ["WEB", "make_app"]

HEADER_SECONDS = 30.0  # a request's head is complete within, counted from the connection or the last answer
LINGER_SECONDS = 5.0  # how long the rest of a refused body is read, so that its sender sees the answer
MAX_FIELD = 8190  # bytes of the request line, and of one header


def make_app(backend: Backend) -> web.Application:
    """The application. `app[WEB].metrics.published` wants to be told of every publish."""
    app = web.Application(middlewares=[count, refuse, tag], handler_args=handler_arguments())
    app[WEB] = make_state(backend)
    app.on_response_prepare.append(app[WEB].admission.csrf.prepare)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(running)
    add_routes(app.router)
    return app


def handler_arguments() -> dict[str, Any]:
    """How aiohttp handles connections, whoever runs the application."""
    logger = logging.getLogger("dnsbl.web.http")
    logger.addFilter(ours)
    return {
        "access_log": None,
        "logger": logger,
        "auto_decompress": False,  # bodies are unpacked in `body`, under limits
        "keepalive_timeout": HEADER_SECONDS,
        "lingering_time": LINGER_SECONDS,
        "max_line_size": MAX_FIELD,
        "max_field_size": MAX_FIELD,
    }


def ours(record: logging.LogRecord) -> bool:
    """Bytes that are no HTTP are the sender's mistake: answered with 400, not logged; they may hold a secret. Nor is
    a client that has gone worth a line."""
    return not (record.exc_info and isinstance(record.exc_info[1], (HttpProcessingError, ConnectionError)))


def make_state(backend: Backend) -> Web:
    book = ZoneBook(backend)
    metrics = Metrics(backend, book)
    uploads = Uploads()
    threads = Threads()
    state = Web(
        backend=backend,
        metrics=metrics,
        threads=threads,
        batcher=Batcher(backend, lambda: uploads.active, metrics.counted),
        uploads=uploads,
        twins=Twins(),
        book=book,
        readiness=Readiness(backend, book),
        pages=Pages(),
        stats=StatsBook(backend),
        admission=Admission(backend),
        editions=Editions(backend, threads),
        sums=Sums(),
    )
    state.openapi = describe(ROUTES)
    return state


async def running(app: web.Application) -> AsyncIterator[None]:
    state = app[WEB]
    state.batcher.start()
    yield
    await state.batcher.close()
    await asyncio.to_thread(state.readiness.close)
    await asyncio.to_thread(state.threads.close)
    await asyncio.to_thread(state.stats.close)
