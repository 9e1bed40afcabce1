"""Snapshot files: one zone at one serial, compiled, checked and mapped. One format for a base and for a delta.

Format, version 1, all numbers little-endian:

    0   8  magic b"DNSBLSNP"
    8   4  version (1)
    12  4  number of sections
    16  8  size of the whole file
    24  8  xxh3-64 of the whole file with these 8 bytes zero
    32  32 for each section: name (8 bytes, zero padded), bytes per item (8), offset (8), number of items (8)
        sections, each at a multiple of 64

    meta     JSON: zone definition, serial, journal number, store, answers (lists of code numbers), base of a delta
    v4one v4onea           single IPv4 addresses (4), answer ids (1 or 2)
    v4low v4high v4a       IPv4 ranges
    v6one v6onea           single /64s, upper half (8)
    v6low v6high v6a       ranges of /64s
    v6d v6dlow v6dhigh v6da  pieces inside one /64: upper half, first and last lower half; they stand above the /64s
    nhash noff nval names  names: xxh3-64 ascending, offsets into `names` (one more), values, text from the top label

Answer id 0 is "not listed": in a delta it takes away what the base has. A name's value is an answer id, or one of
EMPTY_NAME (only names below it), HOLE (exempt below a listed name), GONE (a delta: not in the zone any more).

Failure: a file that is short, altered or from another version is refused with SnapshotError before anything of it
is used. Restart: map the file that `current` names; nothing is parsed but `meta`.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from ..errors import SnapshotError

__all__ = ["EMPTY_NAME", "GONE", "HOLE", "Mapped", "write"]

MAGIC = b"DNSBLSNP"
VERSION = 1
HEADER = struct.Struct("<8sIIQQ")
SECTION = struct.Struct("<8sQQQ")
ALIGN = 64
MAX_SECTIONS = 64
CHECKSUM_AT = slice(24, 32)
FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

EMPTY_NAME, HOLE, GONE = 0xFFFD, 0xFFFE, 0xFFFF  # values of names that are no answer id
MAX_ANSWERS = 0xFFF0


def write(path: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write a snapshot under a name of its own and sync it; nobody reads it until a pointer names it. Returns its size
    in bytes. Raises SnapshotError."""
    sections = {"meta": np.frombuffer(orjson.dumps(dict(meta)), dtype=np.uint8), **arrays}
    table = bytearray()
    blobs: list[bytes] = []
    offset = aligned(HEADER.size + SECTION.size * len(sections))
    for name, array in sections.items():
        blob = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        table += SECTION.pack(name.encode(), array.dtype.itemsize, offset, len(array))
        blob += bytes(aligned(len(blob)) - len(blob))
        blobs.append(blob)
        offset += len(blob)
    head = HEADER.pack(MAGIC, VERSION, len(sections), offset, 0) + bytes(table)
    head += bytes(aligned(len(head)) - len(head))
    digest = xxhash.xxh3_64(head)
    for blob in blobs:
        digest.update(blob)
    head = head[: CHECKSUM_AT.start] + digest.intdigest().to_bytes(8, "little") + head[CHECKSUM_AT.stop :]
    try:
        with path.open("wb") as file:
            file.write(head)
            for blob in blobs:
                file.write(blob)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be written ({error.strerror}); the last good snapshot stays") from error
    return offset


def aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


class Mapped:
    """A snapshot file, verified and mapped read-only: a memoryview of whole numbers for each section but `meta`."""

    v4one: memoryview
    v4onea: memoryview
    v4low: memoryview
    v4high: memoryview
    v4a: memoryview
    v6one: memoryview
    v6onea: memoryview
    v6low: memoryview
    v6high: memoryview
    v6a: memoryview
    v6d: memoryview
    v6dlow: memoryview
    v6dhigh: memoryview
    v6da: memoryview
    nhash: memoryview
    noff: memoryview
    nval: memoryview
    names: memoryview

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layers: dict[str, object] = {}  # what readers make of it, once
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                self.size, self.mark = status.st_size, mark_of(status)
                if self.size < HEADER.size:
                    raise SnapshotError(f"{path}: {self.size} bytes are no snapshot; build the zone again")
                self.mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise SnapshotError(f"{path}: cannot be read ({error.strerror})") from error
        view = memoryview(self.mapping)
        for name, part in sections_of(path, view).items():
            if name == "meta":
                self.info: dict[str, Any] = orjson.loads(part)
            else:
                setattr(self, name, part)

    def is_file(self, path: Path) -> bool:
        """Whether that path is still this very file, unaltered as far as its times tell."""
        try:
            return path == self.path and mark_of(path.stat()) == self.mark
        except OSError:
            return False


def mark_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def sections_of(path: Path, view: memoryview) -> dict[str, memoryview]:
    """Verify the whole file, then its sections by name. Raises SnapshotError."""
    magic, version, count, size, checksum = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise SnapshotError(f"{path}: not a snapshot")
    if version != VERSION:
        raise SnapshotError(f"{path}: version {version}, and this program reads {VERSION}; build the zone again")
    if size != len(view) or count > MAX_SECTIONS or HEADER.size + count * SECTION.size > size:
        raise SnapshotError(f"{path}: cut or extended ({len(view):,} bytes); build the zone again")
    digest = xxhash.xxh3_64(view[: CHECKSUM_AT.start])
    digest.update(bytes(8))
    digest.update(view[CHECKSUM_AT.stop :])
    if digest.intdigest() != checksum:
        raise SnapshotError(f"{path}: altered, its checksum does not match; build the zone again")
    found = {}
    for number in range(count):
        name, width, offset, items = SECTION.unpack_from(view, HEADER.size + number * SECTION.size)
        if width not in FORMATS or offset % ALIGN or offset + items * width > size:
            raise SnapshotError(f"{path}: section {number} lies outside the file; build the zone again")
        part = view[offset : offset + items * width]
        found[name.rstrip(b"\0").decode("ascii", "replace")] = part.cast(FORMATS[width])  # type: ignore[call-overload]
    names = ["meta", *Mapped.__annotations__]
    missing = set(names) - set(found)
    if missing:
        raise SnapshotError(f"{path}: without section {', '.join(sorted(missing))}; build the zone again")
    return {name: found[name] for name in names}
