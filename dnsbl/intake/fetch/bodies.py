"""A body as it comes in: counted, decompressed in small steps, stopped at its limit.

Decompression goes on in steps and stops at the limit, so that a bomb costs no more memory than an honest feed. A body
that ends early is an error and never content.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

from .base import AGAIN, CUT, Fault, TooLarge

__all__ = ["CHUNK", "GZIP_MAGIC", "STEP", "Body", "in_chunks"]

CHUNK = 64 * 2**10  # bytes taken from the wire or a file at a time
STEP = 256 * 2**10  # bytes decompressed before others get their turn

GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS
GZIP_MAGIC = b"\x1f\x8b\x08"  # RFC 1952 section 2.3.1, with the only method there is
ENCODINGS = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}  # RFC 9110 section 8.4.1


class Body:
    """A body as it comes in: counted, decompressed, collected."""

    def __init__(self, encoding: str, limit: int) -> None:
        """`encoding` is the Content-Encoding; `limit` holds for the bytes on the wire and at each decompression."""
        coding = encoding.strip().lower()
        if coding not in ENCODINGS:
            raise Fault(f"in an encoding that was not asked for; {AGAIN}")
        self.size = 0  # bytes on the wire
        self._limit = limit
        self._outer = Inflater(ENCODINGS[coding], limit) if ENCODINGS[coding] else None
        self._inner = GzipFile(limit)
        self._out = io.BytesIO()

    async def read(self, chunks: AsyncIterable[bytes]) -> bytes:
        """All of it. Raises Fault where it is too large, cut or damaged."""
        async for chunk in chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise TooLarge(self._limit)
            for piece in self._pieces(chunk):
                self._out.write(piece)
                await asyncio.sleep(0)  # other tasks, and our own time-out, get their turn
        if self._outer:
            self._outer.finish()
        self._inner.finish()
        return self._out.getvalue()

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        for piece in self._outer.feed(chunk) if self._outer else (chunk,):
            yield from self._inner.feed(piece)


class GzipFile:
    """Decompresses what is a gzip file and passes on what is not, as its first bytes tell. Servers send the `.gz` of
    a feed with and without a Content-Encoding, and some put one around it as well."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head: bytes | None = b""  # the first bytes, until they tell
        self._inflater: Inflater | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._head is not None:
            data = self._head + data
            if len(data) < len(GZIP_MAGIC) and GZIP_MAGIC.startswith(data):
                self._head = data
                return
            self._head = None
            if data.startswith(GZIP_MAGIC):
                self._inflater = Inflater("gzip", self._limit)
        if self._inflater:
            yield from self._inflater.feed(data)
        else:
            yield data

    def finish(self) -> None:
        if self._head:  # the start of a gzip file and nothing else
            raise Fault(CUT)
        if self._inflater:
            self._inflater.finish()


class Inflater:
    """A gzip or deflate stream, decompressed in steps of at most STEP bytes and `limit` bytes in all."""

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding
        self._left = limit
        self._limit = limit
        self._stream: zlib._Decompress | None = None  # None before the first byte, and between gzip members
        self._ended = False  # a stream has ended, so that what is here is complete

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to; an empty piece is a step too. Raises Fault."""
        more = False  # a full step may have left output behind in zlib, when all input is taken
        while data or more:
            if self._stream is None:
                data = self._begin(data)
                if self._stream is None:
                    return
            data, piece = self._step(self._stream, data)
            more = self._stream is not None and len(piece) == STEP
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge(self._limit)
            yield piece

    def finish(self) -> None:
        """Raises Fault where the stream has not ended."""
        if self._stream is not None or not self._ended:
            raise Fault(CUT)

    def _begin(self, data: bytes) -> bytes:
        """Start a stream at `data`. After the first only gzip goes on, with a further member (RFC 1952 section 2.2) or
        with the zeros that tapes and some mirrors pad files with."""
        if self._ended:
            data = data.lstrip(b"\0")
            if data and (self._coding != "gzip" or not GZIP_MAGIC.startswith(data[:3])):
                raise Fault(f"bytes after the end of its compressed stream; {AGAIN}")
            if not data:
                return data
        self._stream = zlib.decompressobj(self._window(data[0]))
        return data

    def _window(self, first: int) -> int:
        """zlib's name for the format. "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some send it bare."""
        if self._coding == "gzip":
            return GZIP
        return ZLIB if first & 0x0F == zlib.DEFLATED else RAW_DEFLATE

    def _step(self, stream: zlib._Decompress, data: bytes) -> tuple[bytes, bytes]:
        """One step: (what is left of `data`, what came out)."""
        try:
            piece = stream.decompress(data, STEP)
        except zlib.error:
            raise Fault(f"damaged: it does not decompress; {AGAIN}") from None
        if stream.eof:
            self._stream, self._ended = None, True
            return stream.unused_data, piece
        return stream.unconsumed_tail, piece


async def in_chunks(data: bytes) -> AsyncIterator[bytes]:
    """Bytes that are all here, as if they came in one chunk after another."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
