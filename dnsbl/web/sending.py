"""Large answers, piece by piece: each is made or read in a thread when the client has taken the one before. A slow
client holds a piece of memory and an open file, and no thread."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from ..store.contract import Key
from .problems import busy
from .representation import Representation, wanted_part
from .state import WEB, Web

__all__ = ["send_chunks", "send_file", "slot"]

log = logging.getLogger("dnsbl.web")

MAX_SENDING = 64  # under way, each with a piece of memory
MAX_EACH = 16  # of them with one key
PIECE = 256 * 1024  # bytes made or read at once
WRITE_SECONDS = 60.0  # a client takes a piece within


@contextmanager
def slot(state: Web, key: Key) -> Iterator[None]:
    """Room for one more. Raises Problem 503: slow readers with one key do not keep all others out."""
    if state.exports.total() >= MAX_SENDING:
        raise busy("too much is being taken away at once; try again")
    if state.exports[key.id] >= MAX_EACH:
        raise busy("too much is being taken away at once with this key; try again when some of it has ended")
    state.exports[key.id] += 1
    try:
        yield
    finally:
        state.exports -= Counter([key.id])


async def send_file(request: web.Request, path: Path, found: Representation) -> web.StreamResponse:
    """A file, or the range of it that is wanted. Raises Problem 416, and FileNotFoundError before anything is sent."""
    state = request.app[WEB]
    file: BinaryIO = await state.threads.export(path.open, "rb")
    with file:
        size = file.seek(0, 2)
        part = wanted_part(request, found, size)
        response = web.StreamResponse(status=206 if part else 200, headers={**found.headers, "Accept-Ranges": "bytes"})
        start, stop = part or (0, size)
        if part:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response.content_length = stop - start
        return await send(request, response, part_of(file, start, stop))


async def send_chunks(request: web.Request, chunks: Iterator[bytes], found: Representation) -> web.StreamResponse:
    """What is in no file, as it is made; no ranges of it."""
    return await send(request, web.StreamResponse(headers={**found.headers, "Accept-Ranges": "none"}), chunks)


def part_of(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop and (piece := file.read(min(PIECE, stop - start))):
        yield piece
        start += len(piece)


async def send(request: web.Request, response: web.StreamResponse, chunks: Iterator[bytes]) -> web.StreamResponse:
    await response.prepare(request)
    if request.method != "HEAD":
        await stream(request, response, chunks)
    await response.write_eof()
    return response


async def stream(request: web.Request, response: web.StreamResponse, chunks: Iterator[bytes]) -> None:
    """What fails half-way must not look complete: the connection ends without the end of the body."""
    threads = request.app[WEB].threads
    try:
        while piece := await threads.export(next_piece, chunks):
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(piece)
    except (ConnectionError, TimeoutError):
        cut(request)
        raise ConnectionResetError("the client did not take the answer") from None
    except Exception:
        log.exception("an answer failed half-way")
        cut(request)
        raise ConnectionResetError("the answer failed half-way") from None


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
