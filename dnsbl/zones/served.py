"""A zone as it is served: a base snapshot and perhaps a delta over it, asked in microseconds."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import xxhash
from pydantic import ValidationError

from ..config import ZoneDef
from ..errors import SnapshotError
from ..files import at_once
from .layers import NO_ANSWER, Layer, any_of
from .snapshot import EMPTY_NAME, GONE, HOLE, Snapshot, answer_at
from .view import EMPTY, NOTHING

__all__ = ["CURRENT", "Pointer", "ServedZone", "over", "pointer_mark", "read_pointer", "start_in", "zone_directory"]

CURRENT = "current"  # the file that names the snapshot files in use
MAX_POINTER = 4 * 1024 * 1024  # bytes; one has some hundred, and a number for each source that is kept back
RECORD_HEAD = 3  # bytes before a name: its length and its value
FileName = re.compile(r"\d{1,10}\.(?:base|delta)")


class ServedZone:
    """`ZoneView` over snapshot files. Immutable; a new publish makes a new one."""

    def __init__(self, base: Snapshot, delta: Snapshot | None = None) -> None:
        self.base, self.delta = base, delta
        newest = (delta or base).info
        try:
            self.zone = ZoneDef.model_validate(newest["zone"])
            self.serial: int = newest["serial"]
            self.seq: int = newest["seq"]
            self.listings: int = newest.get("listings", 0)
            self.answers: tuple[tuple[int, ...], ...] = tuple(tuple(map(int, codes)) for codes in newest["answers"])
            self.made_at = int(newest.get("made_at", 0))  # seconds since 1970
            self.zonemd = bytes.fromhex(newest.get("zonemd", ""))  # the digest of what is given away (RFC 8976)
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
            path = (delta or base).path
            raise SnapshotError(f"{path}: its zone is of another version; build the zone again") from error
        if not all(0 <= code < len(self.zone.codes) for codes in self.answers for code in codes):
            raise SnapshotError(f"{(delta or base).path}: has codes that its zone has not; build the zone again")
        files = [delta, base] if delta else [base]
        self.layers4 = [layer_of(file, "v4") for file in files]
        self.layers6 = [layer_of(file, "v6") for file in files]
        self.deep = files[0] if len(files[0].v6d) else None  # the newest file has all of them
        self.exact = self.zone.exact
        self.withheld = 0  # entries that are not in it, because it is what may be given away
        self.expired = False  # a followed zone that its primary has not confirmed for too long

    def lookup4(self, address: int) -> int:
        for layer in self.layers4:
            answer = layer.lookup(address)
            if answer != NO_ANSWER:
                return answer
        return NOTHING

    def lookup6(self, address: int) -> int:
        upper = address >> 64
        if self.deep is not None:
            answer = deep_lookup(self.deep, upper, address & 0xFFFFFFFFFFFFFFFF)
            if answer != NO_ANSWER:
                return answer
        for layer in self.layers6:
            answer = layer.lookup(upper)
            if answer != NO_ANSWER:
                return answer
        return NOTHING

    def any4(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        return any_of(self.layers4, first, last, wanted)

    def any6(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        upper_first, upper_last = first >> 64, last >> 64
        if self.deep is not None and any(
            answer and (wanted is None or any(wanted[answer : answer + 1]))
            for answer in deep_within(self.deep, first, last)
        ):
            return True
        if upper_first == upper_last and self.deep is not None and is_deep(self.deep, upper_first):
            return False  # the pieces inside are all there is of this /64
        return any_of(self.layers6, upper_first, upper_last, wanted)

    def lookup_name(self, labels: list[bytes]) -> int:
        if self.exact:
            return self.lookup_exact(labels)
        answer, empty = NOTHING, False
        name = b""
        for label in labels:
            if b"." in label:  # such a label is in no name that is listed
                return answer
            name = name + b"." + label if name else label
            value = self.name_value(name)
            empty = value == EMPTY_NAME
            if value < EMPTY_NAME and value != NO_ANSWER:
                answer = value
            elif value == HOLE:
                answer = NOTHING
        return answer or (EMPTY if empty else NOTHING)

    def lookup_exact(self, labels: list[bytes]) -> int:
        """A name as it is, whatever is listed above it."""
        if any(b"." in label for label in labels):
            return NOTHING
        value = self.name_value(b".".join(labels))
        if value == EMPTY_NAME:
            return EMPTY
        return value if 0 <= value < EMPTY_NAME else NOTHING

    def name_value(self, name: bytes) -> int:
        """What the newest layer that knows it says of exactly this name (text from the top label)."""
        hashed = xxhash.xxh3_64_intdigest(name)
        for file in (self.delta, self.base):
            if file is not None:
                value = find_name(file, hashed, name)
                if value != NO_ANSWER:
                    return NO_ANSWER if value == GONE else value
        return NO_ANSWER


def layer_of(file: Snapshot, family: str) -> Layer:
    """A file's layer, made once: a base outlives many deltas over it."""
    layer = file.layers.get(family)
    if not isinstance(layer, Layer):
        layer = file.layers[family] = Layer(file, family)
    return layer


def deep_lookup(file: Snapshot, upper: int, lower: int) -> int:
    place = bisect_left(file.v6d, upper)
    if place >= len(file.v6d) or file.v6d[place] != upper:
        return NO_ANSWER
    while place < len(file.v6d) and file.v6d[place] == upper:
        if file.v6dlow[place] <= lower <= file.v6dhigh[place]:
            return answer_at(file.v6da, place)
        place += 1
    return NOTHING


def is_deep(file: Snapshot, upper: int) -> bool:
    place = bisect_left(file.v6d, upper)
    return place < len(file.v6d) and file.v6d[place] == upper


def deep_within(file: Snapshot, first: int, last: int) -> Iterator[int]:
    """The answers of the pieces inside single /64s that touch first..last."""
    place = bisect_left(file.v6d, first >> 64)
    while place < len(file.v6d) and file.v6d[place] <= last >> 64:
        low = file.v6d[place] << 64 | file.v6dlow[place]
        high = file.v6d[place] << 64 | file.v6dhigh[place]
        if low <= last and high >= first:
            yield answer_at(file.v6da, place)
        place += 1


def find_name(file: Snapshot, hashed: int, name: bytes) -> int:
    """What a file says of a name; NO_ANSWER: nothing. Ends whatever the file has."""
    bucket = hashed >> 65 - (len(file.nidx) - 1).bit_length()  # they are a power of two
    first, end = file.nidx[bucket : bucket + 2]
    records = file.names[first:end].tobytes()
    start = start_in(records, name)
    return NO_ANSWER if start is None else records[start - 2] | records[start - 1] << 8


def start_in(records: bytes, name: bytes) -> int | None:
    """Where a name begins in what a bucket holds; None where it is not there. Ends whatever that is."""
    size, place = len(name), 0
    while place + RECORD_HEAD <= len(records):
        start = place + RECORD_HEAD
        if records[place] == size and records[start : start + size] == name:
            return start
        place = start + records[place]
    return None


def zone_directory(data_dir: Path, zone: str) -> Path:
    """Where a zone's snapshot files and their pointer are."""
    return data_dir / "zones" / zone


class Pointer:
    """What `current` says: the files in use. Read anew whenever the file is another one."""

    def __init__(self, directory: Path, base: str, delta: str | None, serial: int) -> None:
        self.directory, self.base, self.delta, self.serial = directory, base, delta, serial
        self.withheld = 0  # entries that may not be given away as they are
        self.refuses = False  # then nothing of the zone is given away
        self.kept: list[int] = []  # numbers of the sources whose terms forbade it
        self.newest = 0  # the highest number of any source then

    def content(self) -> dict[str, Any]:
        """What the file holds."""
        files: dict[str, Any] = {"base": self.base, "delta": self.delta, "serial": self.serial}
        given = {"withheld": self.withheld, "refuses": self.refuses, "kept": self.kept, "newest": self.newest}
        return files | given

    def open(self, before: ServedZone | None = None) -> ServedZone:
        """Read and verify; a base that is still the very file of the view before is not read again, and where both
        are, it is that view. Raises SnapshotError."""
        base = same_file(before.base if before else None, self.directory / self.base)
        delta = same_file(before.delta if before else None, self.directory / self.delta) if self.delta else None
        if before and base is before.base and delta is before.delta:
            return before
        return over(base, delta)


def over(base: Snapshot, delta: Snapshot | None) -> ServedZone:
    """The zone that two files make. Raises SnapshotError."""
    if delta and delta.info.get("base") != base.info.get("serial"):
        raise SnapshotError(f"{delta.path}: made for another base; build the zone again")
    return ServedZone(base, delta)


def same_file(before: Snapshot | None, path: Path) -> Snapshot:
    return before if before is not None and before.is_file(path) else Snapshot(path)


def pointer_mark(directory: Path) -> tuple[int, int] | None:
    """What is another one as soon as the pointer is: it is written anew each time. None: there is none."""
    try:
        found = (directory / CURRENT).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read_pointer(directory: Path) -> Pointer | None:
    """The pointer of a zone's directory; None where nothing was ever published. Raises SnapshotError."""
    try:
        with open(directory / CURRENT, "rb", opener=at_once) as file:
            said = orjson.loads(file.read(MAX_POINTER))
        base, delta, serial = said["base"], said["delta"], int(said["serial"])
        if not FileName.fullmatch(base) or (delta is not None and not FileName.fullmatch(delta)):
            raise SnapshotError(f"{directory / CURRENT}: names no files of its own; build the zone again")
        pointer = Pointer(directory, base, delta, serial)
        pointer.withheld, pointer.refuses = int(said.get("withheld", 0)), bool(said.get("refuses", False))
        pointer.kept, pointer.newest = [int(each) for each in said.get("kept", [])], int(said.get("newest", 0))
        return pointer
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"{directory / CURRENT}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise SnapshotError(f"{directory / CURRENT}: not readable as a pointer; build the zone again") from error
