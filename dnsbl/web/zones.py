"""`GET /v1/zones` and `GET /v1/zones/{name}/export`: what there is, and the data to take away."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from ..errors import SnapshotError
from ..store.contract import Key
from ..zones.export import FORMATS, export
from ..zones.served import ServedZone
from .auth import need
from .problems import Problem, busy
from .responses import json_response
from .state import WEB, Web

__all__ = ["export_zone", "list_zones"]

log = logging.getLogger("dnsbl.web")

MAX_EXPORTS = 8  # under way; one key has half of them at most
PIECE = 256 * 1024  # bytes made at once
WRITE_SECONDS = 60.0  # a client takes a piece within
CACHE = "private, no-cache"  # kept, and asked about each time


async def list_zones(request: web.Request) -> web.StreamResponse:
    """Every zone with its serial and codes."""
    state = request.app[WEB]
    facts = await state.threads.read(state.book.facts)
    return json_response([each.as_model().model_dump() for each in facts])


async def export_zone(request: web.Request) -> web.StreamResponse:
    """A zone as it is published now, in another server's format."""
    state = request.app[WEB]
    key = await need(request, "read")
    state.note_use(key)
    name = request.match_info["name"]
    if name not in state.backend.app.zones:
        raise Problem(404, f"no such zone; there are {', '.join(state.backend.app.zones)}")
    format = request.query.get("format", "")
    if format not in FORMATS:
        raise Problem(400, f"say ?format= and one of {', '.join(FORMATS)}")
    try:
        serial = await state.threads.read(state.book.serial, name)
        if serial is None:
            raise busy(f"zone {name} is not published yet")
        if known(request, tag(serial, format)):
            return web.Response(status=304, headers={"ETag": f'"{tag(serial, format)}"', "Cache-Control": CACHE})
        served = await state.threads.read(state.backend.app.served, name)
    except SnapshotError as error:
        log.error("%s", error)
        raise busy(f"zone {name} cannot be read; it can be exported again after its next publish") from None
    with slot(state, key):
        return await send(request, state, served, format)


@contextmanager
def slot(state: Web, key: Key) -> Iterator[None]:
    """Room for one more export. Raises Problem 503: slow readers with one key do not keep all others out."""
    if state.exports.total() >= MAX_EXPORTS:
        raise busy("too many exports at once; try again")
    if state.exports[key.id] >= MAX_EXPORTS // 2:
        raise busy("too many exports at once with this key; try again when one has ended")
    state.exports[key.id] += 1
    try:
        yield
    finally:
        state.exports -= Counter([key.id])


def tag(serial: int, format: str) -> str:
    return f"{serial}-{format}"


def known(request: web.Request, value: str) -> bool:
    """Whether the client says that it has this version."""
    said = {each.value for each in request.if_none_match or ()}
    return value in said or "*" in said


async def send(request: web.Request, state: Web, served: ServedZone, format: str) -> web.StreamResponse:
    kind = FORMATS[format]
    response = web.StreamResponse(
        headers={
            "Content-Type": kind.content_type,
            "Content-Disposition": f'attachment; filename="{served.zone.name}{kind.suffix}"',
            "ETag": f'"{tag(served.serial, format)}"',
            "Cache-Control": CACHE,
        }
    )
    chunks = await state.threads.export(export, served, format)
    await response.prepare(request)
    if request.method != "HEAD":
        await stream(request, response, state, chunks)
    await response.write_eof()
    return response


async def stream(request: web.Request, response: web.StreamResponse, state: Web, chunks: Iterator[bytes]) -> None:
    """Piece by piece, each made in a thread when the client has taken the one before. What fails half-way must not
    look complete: the connection ends without the end of the body."""
    try:
        while piece := await state.threads.export(next_piece, chunks):
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(piece)
    except (ConnectionError, TimeoutError):
        cut(request)
        raise ConnectionResetError("the client did not take the export") from None
    except Exception:
        log.exception("an export failed half-way")
        cut(request)
        raise ConnectionResetError("the export failed half-way") from None


def cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def next_piece(chunks: Iterator[bytes]) -> bytes:
    """The next PIECE bytes, or what is left; empty: the end."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) >= PIECE:
            break
    return bytes(found)
