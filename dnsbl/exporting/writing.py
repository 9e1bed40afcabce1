"""Bytes to files: written aside and synced, with their sums made on the way; and packed with gzip or zstd."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from ..files import replacing

__all__ = ["CODINGS", "Written", "pack", "write", "write_to"]

CODINGS = {"gzip": ".gz", "zstd": ".zst"}  # by their names in HTTP (RFC 9110 section 8.4.1, RFC 8878)
GZIP_LEVEL = 6
ZSTD_LEVEL = 3
PIECE = 1 << 20  # bytes read at once


@dataclass(slots=True, frozen=True)
class Written:
    """What a file turned out to be."""

    size: int  # bytes
    sha256: str  # 64 hex digits
    digest: bytes  # BLAKE2b-512: what a signature is of


def write(path: Path, chunks: Iterable[bytes]) -> Written:
    """A file that has its name when it is whole and on the disk. Raises OSError; what had the name before stays."""
    with replacing(path, hidden=True) as file:
        return write_to(file, chunks)


def write_to(file: BinaryIO, chunks: Iterable[bytes]) -> Written:
    size, sha256, digest = 0, hashlib.sha256(), hashlib.blake2b()
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
        sha256.update(chunk)
        digest.update(chunk)
    return Written(size, sha256.hexdigest(), digest.digest())


def pack(path: Path, coding: str) -> Iterator[bytes]:
    """The bytes of a file, packed; the same bytes for the same file. Raises OSError."""
    with path.open("rb") as file:
        yield from packed(iter(lambda: file.read(PIECE), b""), coding)


def packed(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    packer = (
        zlib.compressobj(GZIP_LEVEL, wbits=31)
        if coding == "gzip"
        else zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    )
    for chunk in chunks:
        if piece := packer.compress(chunk):
            yield piece
    yield packer.flush()
