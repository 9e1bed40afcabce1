"""Bodies of requests: untrusted bytes, read in bounded memory and bounded time.

Nothing here waits longer than READ_SECONDS for the next bytes, holds more than it says, unpacks a bomb, or works
longer on one piece than it takes to unpack and split STEP bytes: then the event loop has its turn.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..intake.reports import MAX_LINE
from .problems import Problem, busy, too_large

__all__ = ["Gunzip", "Lines", "Uploads", "chunks", "document"]

READ_SECONDS = 30.0  # the next bytes of a body come within
MIN_RATE = 1024  # bytes a second on average, once READ_SECONDS were spent waiting: against one byte at a time
MAX_UPLOADS = 512  # bodies being read or waiting for their commit
MAX_STRANGERS = 256  # bodies being read of all who have shown no key, apart from MAX_UPLOADS
MAX_EACH = 16  # of them from one /24 or /64
MAX_HELD = 256 * 2**20  # bytes of bodies in memory, together
STEP = 64 * 1024  # bytes unpacked or handed on at once; others have their turn after each
MAX_RATIO = 200  # unpacked to packed; reports pack 5 to 40 times
RATIO_FROM = 2**20  # unpacked bytes from which the ratio counts
MAX_UNPACKED = 4 * 2**30  # bytes of one gzip body
MAX_BLANK = 1000  # blank lines of a body beyond those that have something on them
BOM = b"\xef\xbb\xbf"


class Uploads:
    """Room for bodies. More than there is room for are told to come again."""

    def __init__(self) -> None:
        self.active = 0
        self.held = 0
        self.strangers: Counter[bytes] = Counter()  # bodies being read, by network
        self.turns = asyncio.Lock()

    async def turn(self) -> None:
        """Let the event loop go round. The lock is for fairness: however many bodies are being read, only one of them
        works on a further piece before everything else has its turn."""
        async with self.turns:
            await asyncio.sleep(0)

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
    def of_stranger(self, network: bytes) -> Iterator[None]:
        """Room for one more body of whoever has shown no key: none of it is taken from those who have, and no network
        has all of it. Raises Problem 503."""
        if self.strangers[network] >= MAX_EACH or self.strangers.total() >= MAX_STRANGERS:
            raise busy("too many uploads at once; try again")
        self.strangers[network] += 1
        try:
            yield
        finally:
            self.strangers[network] -= 1
            if not self.strangers[network]:
                del self.strangers[network]

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

    def release(self, count: int | None = None) -> None:
        """Some bytes are gone, or all of them."""
        count = self.bytes if count is None else count
        self.uploads.held -= count
        self.bytes -= count


async def document(
    request: web.Request, holding: Holding, seen: Callable[[bytes], None], limit: int, advice: str
) -> bytes:
    """The whole body, unpacked; `seen` is shown each piece. Raises Problem 413 with `advice` beyond `limit` bytes."""
    if (request.content_length or 0) > limit:
        raise too_large(advice)
    found = bytearray()
    async for chunk in chunks(request, holding.uploads):
        if len(found) + len(chunk) > limit:
            raise too_large(advice)
        holding.add(len(chunk))
        seen(chunk)
        found += chunk
    return bytes(found)


async def chunks(request: web.Request, uploads: Uploads) -> AsyncIterator[bytes]:
    """The body in pieces of STEP bytes at most, unpacked where it is gzip, with a turn for others between them.
    Raises Problem 400, 408, 413 or 415."""
    first = True
    async for piece in pieces(request):
        if not first:
            await uploads.turn()
        first = False
        if piece:
            yield piece


async def pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it is unpacked; an empty piece is a step too: a gzip member may hold nothing."""
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
    """The body as it comes, STEP at a time. While the consumer is busy nothing is read, and the sender waits."""
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
        for start in range(0, len(chunk), STEP):
            yield chunk[start : start + STEP]


def slow() -> Problem:
    return Problem(408, "the body came too slowly; send it again", {"Connection": "close"})


class Gunzip:
    """gzip bytes in, plain bytes out, STEP at a time: no more is ever unpacked than was asked for."""

    def __init__(self) -> None:
        self.inner = zlib.decompressobj(wbits=31)
        self.packed = 0
        self.unpacked = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """One piece for each step, which may be empty. Raises Problem 400 where it is not gzip, 413 where it unpacks
        to too much."""
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
    """Bytes in, numbered lines out; None stands for a line longer than MAX_LINE, whose bytes are not kept. Blank lines
    are left out, but not for ever: they cost us more than their sender."""

    def __init__(self) -> None:
        self.number = 0
        self.blank = 0
        self.rest = bytearray()
        self.skipping = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes | None]]:
        """Raises Problem 400 where there is little but blank lines."""
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
        line = line.strip()
        if line:
            yield self.number, line
        elif not self.skipping:
            self.count_blank()
        self.skipping = False
        self.rest.clear()

    def count_blank(self) -> None:
        self.blank += 1
        if self.blank - (self.number - self.blank) > MAX_BLANK:
            raise Problem(
                400,
                f"line {self.number}: the body is mostly blank lines; send a report on each",
                {"Connection": "close"},
            )

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """What stands after the last newline."""
        if self.rest:
            yield from self.end()
