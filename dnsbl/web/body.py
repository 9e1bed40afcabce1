"""Bodies of requests: untrusted bytes, read in bounded memory and bounded time.

Nothing here waits longer than READ_SECONDS for the next bytes, holds more than it says, or unpacks a bomb.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..intake.partners import MAX_POST
from ..intake.reports import MAX_LINE
from .problems import Problem, busy, too_large

__all__ = ["Gunzip", "Lines", "Uploads", "chunks", "document"]

READ_SECONDS = 30.0  # the next bytes of a body come within
MIN_RATE = 1024  # bytes a second on average, once READ_SECONDS were spent waiting: against one byte at a time
MAX_UPLOADS = 512  # bodies being read or waiting for their commit
MAX_HELD = 256 * 2**20  # bytes of bodies in memory, together
STEP = 256 * 1024  # bytes unpacked at once
MAX_RATIO = 200  # unpacked to packed; reports pack 5 to 40 times
RATIO_FROM = 2**20  # unpacked bytes from which the ratio counts
MAX_UNPACKED = 4 * 2**30  # bytes of one gzip body
BOM = b"\xef\xbb\xbf"


class Uploads:
    """Room for bodies. More than there is room for are told to come again."""

    def __init__(self) -> None:
        self.active = 0
        self.held = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one more body. Raises Problem 503."""
        if self.active >= MAX_UPLOADS:
            raise busy("too many uploads at once; try again")
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    @contextmanager
    def holding(self) -> Iterator[Holding]:
        holding = Holding(self)
        try:
            yield holding
        finally:
            holding.release()


class Holding:
    """The bytes that one request has in memory."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self.bytes = 0

    def add(self, count: int) -> None:
        """Raises Problem 503 where all bodies together become too much."""
        if self.uploads.held + count > MAX_HELD:
            raise busy("too much is being uploaded at once; try again")
        self.uploads.held += count
        self.bytes += count

    def release(self) -> None:
        self.uploads.held -= self.bytes
        self.bytes = 0


async def document(request: web.Request, holding: Holding) -> bytes:
    """The whole body, unpacked. Raises Problem 413 beyond MAX_POST."""
    message = f"a JSON document has {MAX_POST // 2**20} MiB at most; send more as application/x-ndjson, which streams"
    if (request.content_length or 0) > MAX_POST:
        raise too_large(message)
    found = bytearray()
    async for chunk in chunks(request):
        if len(found) + len(chunk) > MAX_POST:
            raise too_large(message)
        holding.add(len(chunk))
        found += chunk
    return bytes(found)


async def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body piece by piece, unpacked where it is gzip. Raises Problem 400, 408, 413 or 415."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        async for chunk in raw_chunks(request):
            yield chunk
        return
    if coding not in ("gzip", "x-gzip"):
        raise Problem(415, "the body's Content-Encoding is gzip or none", {"Accept-Encoding": "gzip"})
    gunzip = Gunzip()
    async for chunk in raw_chunks(request):
        for piece in gunzip.feed(chunk):
            yield piece
    gunzip.finish()


async def raw_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. While the consumer is busy nothing is read, and the sender waits."""
    clock = asyncio.get_running_loop().time
    received, waited = 0, 0.0
    while True:
        began = clock()
        try:
            async with asyncio.timeout(READ_SECONDS):
                chunk = await request.content.readany()
        except TimeoutError:
            raise slow() from None
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            raise Problem(400, "the body was cut or is not well-formed", {"Connection": "close"}) from error
        if not chunk:
            return
        waited += clock() - began
        received += len(chunk)
        if waited > READ_SECONDS and received < waited * MIN_RATE:
            raise slow()
        yield chunk


def slow() -> Problem:
    return Problem(408, "the body came too slowly; send it again", {"Connection": "close"})


class Gunzip:
    """gzip bytes in, plain bytes out, STEP at a time: no more is ever unpacked than was asked for."""

    def __init__(self) -> None:
        self.inner = zlib.decompressobj(wbits=31)
        self.packed = 0
        self.unpacked = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises Problem 400 where it is not gzip, 413 where it unpacks to too much."""
        self.packed += len(data)
        full = False
        while data or full:
            if self.inner.eof:  # RFC 1952 section 2.2: a file is one member or several
                self.inner = zlib.decompressobj(wbits=31)
            try:
                piece = self.inner.decompress(data, STEP)
            except zlib.error as error:
                raise Problem(400, "the gzip data is damaged") from error
            data = self.inner.unused_data if self.inner.eof else self.inner.unconsumed_tail
            full = len(piece) == STEP and not self.inner.eof
            self.unpacked += len(piece)
            self.limit()
            if piece:
                yield piece

    def limit(self) -> None:
        if self.unpacked > MAX_UNPACKED or (self.unpacked > RATIO_FROM and self.unpacked > self.packed * MAX_RATIO):
            raise too_large(
                f"the gzip data unpacks to more than {MAX_RATIO} times its size, or to more than "
                f"{MAX_UNPACKED // 2**30} GiB"
            )

    def finish(self) -> None:
        if self.packed and not self.inner.eof:
            raise Problem(400, "the gzip data is cut")


class Lines:
    """Bytes in, numbered lines out; None stands for a line longer than MAX_LINE, whose bytes are not kept."""

    def __init__(self) -> None:
        self.number = 0
        self.rest = bytearray()
        self.skipping = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes | None]]:
        *whole, rest = data.split(b"\n")
        for part in whole:
            yield from self.add(part)
            yield from self.end()
        yield from self.add(rest)

    def add(self, part: bytes) -> Iterator[tuple[int, None]]:
        """Part of a line. A line is given up the moment it is too long."""
        if self.skipping:
            return
        self.rest += part
        if len(self.rest) >= MAX_LINE:
            self.skipping = True
            self.rest.clear()
            yield self.number + 1, None

    def end(self) -> Iterator[tuple[int, bytes]]:
        self.number += 1
        line = bytes(self.rest)
        if self.number == 1:
            line = line.removeprefix(BOM)
        if not self.skipping and (line := line.strip()):
            yield self.number, line
        self.skipping = False
        self.rest.clear()

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """What stands after the last newline."""
        if self.rest:
            yield from self.end()
