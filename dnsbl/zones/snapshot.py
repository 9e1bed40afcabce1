"""Snapshot files: one zone at one serial, compiled and checked. One format for a base and for a delta. `arrays` writes
them; what reads them here needs no numpy, for the process that answers DNS does without.

Format, version 2, all numbers little-endian:

    0   8  magic b"DNSBLSNP"
    8   4  version (2)
    12  4  number of sections
    16  8  size of the whole file
    24  8  xxh3-64 of the whole file with these 8 bytes zero
    32  32 for each section: name (8 bytes, zero padded), bytes per item (8), offset (8), number of items (8)
        sections, each at a multiple of 64

    meta     JSON: zone definition, serial, journal number, store, answers (lists of code numbers), base of a delta
    v4idx (4)              2^b + 1 places in v4one: where the singles of each bucket begin, and at last their number;
                           the bucket of an address is its top b bits; b is 16 or 0
    v4one v4onea           single IPv4 addresses, bucket after bucket, ascending in each: the bits below the bucket's
                           (b = 16: 2 bytes; b = 0: 4); answer ids (1 or 2)
    v4low v4high v4a       IPv4 ranges (4)
    v6one v6onea           single /64s, upper half (8)
    v6low v6high v6a       ranges of /64s
    v6d v6dlow v6dhigh v6da  pieces inside one /64: upper half, first and last lower half; they stand above the /64s
    nidx (4)               2^k + 1 offsets into `names`: where the names of each bucket begin, and at last the end; the
                           bucket of a name is the top k bits of its xxh3-64
    names                  names, bucket after bucket: length (1 byte), value (2), text from the top label

A column of answer ids whose items are all equal is stored as one item, which holds for all. Answer id 0 is "not
listed": in a delta it takes away what the base has. A name's value is an answer id, or one of EMPTY_NAME (only names
below it), HOLE (exempt below a listed name), GONE (a delta: not in the zone any more). In an exact zone, as its
definition says, a name answers for itself alone and there are no holes.

Failure: a file that is short, altered or from another version is refused with SnapshotError before anything of it
is used. Restart: read the file that `current` names; nothing is parsed but `meta`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import xxhash

from .. import native
from ..errors import SnapshotError

__all__ = [
    "EMPTY_NAME", "FORMATS", "GONE", "HOLE", "MAX_HEAD", "SECTIONS", "Head", "Mark", "Snapshot", "answer_at",
    "check_fit", "head_of", "mark_of", "sections_of", "size_of", "table_of",
]  # fmt: skip

MAGIC = b"DNSBLSNP"
VERSION = 2
HEADER = struct.Struct("<8sIIQQ")
SECTION = struct.Struct("<8sQQQ")
ALIGN = 64
MAX_SECTIONS = 64
MAX_HEAD = HEADER.size + MAX_SECTIONS * SECTION.size
CHECKSUM_AT = slice(24, 32)
FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

EMPTY_NAME, HOLE, GONE = 0xFFFD, 0xFFFE, 0xFFFF  # values of names that are no answer id
MAX_ANSWERS = 0xFFF0
MAX_META = 32 * 1024 * 1024  # bytes: MAX_ANSWERS sets of 60 codes, and a zone definition of 1 MB, are 13 MB

# Every section there must be, and the bytes an item of it may have.
ANSWER = (1, 2)
SECTIONS = {
    "meta": (1,),
    "v4idx": (4,), "v4one": (2, 4), "v4onea": ANSWER, "v4low": (4,), "v4high": (4,), "v4a": ANSWER,
    "v6one": (8,), "v6onea": ANSWER, "v6low": (8,), "v6high": (8,), "v6a": ANSWER,
    "v6d": (8,), "v6dlow": (8,), "v6dhigh": (8,), "v6da": ANSWER,
    "nidx": (4,), "names": (1,),
}  # fmt: skip
EQUAL = {"v4high": "v4low", "v6high": "v6low", "v6dlow": "v6d", "v6dhigh": "v6d"}  # of the same length
ANSWERS = {"v4onea": "v4one", "v4a": "v4low", "v6onea": "v6one", "v6a": "v6low", "v6da": "v6d"}  # or of one item
SINGLES = {1 + 1: 4, 2**16 + 1: 2}  # items of v4idx, and the bytes of those of v4one

Mark = tuple[int, int, int]  # which file, unaltered as far as its times tell: inode, time and size
Table = dict[str, tuple[int, int, int]]  # of each section: bytes of an item, offset, items


class Numbers(Protocol):
    """What a section is to those who look at single items of it."""

    @property
    def itemsize(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> int: ...


class Snapshot:
    """A snapshot file, read whole into memory of its own and verified there: a memoryview of whole numbers for each
    section but `meta`.

    It is not mapped: a file that is cut or altered in place afterwards could kill the process (SIGBUS) or put what
    nobody verified into answers. So each process that answers from one has a copy, of some 3 bytes a listing; who only
    gives a zone away does without (`ondisk`).
    """

    v4idx: memoryview
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
    nidx: memoryview
    names: memoryview

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layers: dict[str, object] = {}  # what readers make of it, once
        try:
            self.mark = mark_of(path.stat())  # before reading: what is altered meanwhile does not pass for this file
            self.content, refused = content_of(path)
        except OSError as error:
            raise SnapshotError(f"{path}: cannot be read ({error.strerror or error})") from error
        except MemoryError as error:
            raise SnapshotError(f"{path}: cannot be read (no memory for it)") from error
        parts = sections_of(path, memoryview(self.content), SECTIONS)
        check_fit(path, parts)
        if refused:
            raise SnapshotError(f"{path}: refused by the native path ({refused}); build the zone again")
        self.hold(parts)

    def hold(self, parts: dict[str, Any]) -> None:
        """Its sections, and what it says of itself. Raises SnapshotError."""
        self.info = said_by(self.path, parts.pop("meta")[:])
        for name, part in parts.items():
            setattr(self, name, part)

    def rename(self, path: Path) -> None:
        """Give the file its name, in the same directory. Raises OSError."""
        self.path.rename(path)
        self.path = path

    def check(self) -> None:
        """Raises SnapshotError where what is taken from it may not be what was verified: in memory it always is."""

    def is_file(self, path: Path) -> bool:
        """Whether that path is still this very file, unaltered as far as its times tell."""
        try:
            return path == self.path and mark_of(path.stat()) == self.mark
        except OSError:
            return False


def size_of(file: Snapshot | None) -> int:
    """How many pieces or names a file has."""
    if file is None:
        return 0
    names: int = file.info["names"]
    return len(file.v4one) + len(file.v4low) + len(file.v6one) + len(file.v6low) + names


def answer_at(answers: memoryview, place: int) -> int:
    """An item of a column of answer ids."""
    answer: int = answers[place if len(answers) > 1 else 0]
    return answer


def content_of(path: Path) -> tuple[Any, str]:
    """All of a file as a buffer, in memory that no other process can change: the native path's own, where it is there.
    With it, why that path refused the file; the checks here mostly say it better. Raises OSError."""
    if native.module is None:
        return path.read_bytes(), ""
    try:
        return native.module.Snapshot(path), ""
    except ValueError as error:
        return path.read_bytes(), str(error)


def mark_of(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_mtime_ns, status.st_size


def said_by(path: Path, meta: memoryview) -> dict[str, Any]:
    """What a file says of itself. Raises SnapshotError."""
    try:
        return dict(orjson.loads(meta))
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"{path}: what it says of itself cannot be read; build the zone again") from error


def sections_of(path: Path, view: memoryview, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, memoryview]:
    """Verify the whole file, then its sections by name. `wanted`: those there must be, and the bytes an item of each
    may have. Raises SnapshotError."""
    head = head_of(path, view[:MAX_HEAD], len(view))
    head.digest.update(view[len(head.octets) :])
    head.verify(path)
    return {
        name: view[offset : offset + items * width].cast(FORMATS[width])  # type: ignore[call-overload]
        for name, (width, offset, items) in table_of(path, head, len(view), wanted).items()
    }


@dataclass(slots=True, frozen=True)
class Head:
    """The beginning of a file. `digest` is of these octets, and wants all that come behind them."""

    octets: memoryview
    count: int  # of sections
    checksum: int
    digest: xxhash.xxh3_64

    def verify(self, path: Path) -> None:
        """Once the digest has all: raises SnapshotError."""
        if self.digest.intdigest() != self.checksum:
            raise SnapshotError(f"{path}: altered, its checksum does not match; build the zone again")


def head_of(path: Path, octets: memoryview, size: int) -> Head:
    """The beginning of a file of so many bytes, MAX_HEAD of them. Raises SnapshotError."""
    if size < HEADER.size or len(octets) < min(size, MAX_HEAD):
        raise SnapshotError(f"{path}: {size} bytes are no snapshot; build the zone again")
    magic, version, count, said, checksum = HEADER.unpack_from(octets)
    if magic != MAGIC:
        raise SnapshotError(f"{path}: not a snapshot")
    if version != VERSION:
        raise SnapshotError(f"{path}: version {version}, and this program reads {VERSION}; build the zone again")
    if said != size or count > MAX_SECTIONS or HEADER.size + count * SECTION.size > size:
        raise SnapshotError(f"{path}: cut or extended ({size:,} bytes); build the zone again")
    digest = xxhash.xxh3_64(octets[: CHECKSUM_AT.start])
    digest.update(bytes(CHECKSUM_AT.stop - CHECKSUM_AT.start))
    digest.update(octets[CHECKSUM_AT.stop :])
    return Head(octets, count, checksum, digest)


def table_of(path: Path, head: Head, size: int, wanted: Mapping[str, tuple[int, ...]]) -> Table:
    """Where the sections of a file are; `wanted` as in `sections_of`. Raises SnapshotError."""
    found: Table = {}
    for number in range(head.count):
        name, width, offset, items = SECTION.unpack_from(head.octets, HEADER.size + number * SECTION.size)
        if width not in FORMATS or offset % ALIGN or offset + items * width > size:
            raise SnapshotError(f"{path}: section {number} lies outside the file; build the zone again")
        found[name.rstrip(b"\0").decode("ascii", "replace")] = width, offset, items
    if missing := wanted.keys() - found.keys():
        raise SnapshotError(f"{path}: without section {', '.join(sorted(missing))}; build the zone again")
    for name, widths in wanted.items():
        if found[name][0] not in widths:
            raise misfit(path, name)
    return {name: found[name] for name in wanted}


def check_fit(path: Path, parts: Mapping[str, Numbers]) -> None:
    """Raises SnapshotError where readers could not use a section with the others. The items themselves are not looked
    at: the checksum has them, and readers take any without harm."""
    if len(parts["meta"]) > MAX_META:
        raise misfit(path, "meta")
    for name, other in EQUAL.items():
        if len(parts[name]) != len(parts[other]):
            raise misfit(path, name)
    for name, other in ANSWERS.items():
        pieces = len(parts[other])
        if len(parts[name]) not in (pieces, min(pieces, 1)):
            raise misfit(path, name)
    singles, index = parts["v4one"], parts["v4idx"]
    if SINGLES.get(len(index)) != singles.itemsize or index[-1] != len(singles):
        raise misfit(path, "v4idx")
    index = parts["nidx"]
    buckets = len(index) - 1
    if buckets < 1 or buckets & (buckets - 1) or index[-1] != len(parts["names"]):
        raise misfit(path, "nidx")


def misfit(path: Path, section: str) -> SnapshotError:
    return SnapshotError(f"{path}: section {section} does not fit the others; build the zone again")
