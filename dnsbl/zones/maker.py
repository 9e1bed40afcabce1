"""One directory of snapshot files: what is in use there, and how the next is written, verified and put in its place."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ..config import ZoneDef
from ..errors import DnsblError, SnapshotError
from ..files import replacing
from ..reputation.exemptions import Exemptions
from ..store.contract import Change, Listed
from ..subjects import kind
from .arrays import Arrays, write
from .build import build_base, build_delta
from .served import CURRENT, FileName, Pointer, ServedZone, pointer_mark, read_pointer
from .snapshot import Snapshot, size_of

__all__ = ["DELTA", "NONE", "WHOLE", "Made", "Maker", "delta_room", "sweep_files"]

DELTA_FLOOR = 4096  # a delta of so many pieces is never too large
DELTA_SHARE = 16  # beyond, at most one sixteenth of its base
SMALL_BASE = 65_536  # pieces; the listings of a zone with so few are counted at each publish
WHOLE, DELTA, NONE = "whole", "delta", "none"


@dataclass(slots=True)
class Made:
    """A snapshot that is written and verified; no pointer names it yet."""

    pointer: Pointer
    view: ServedZone
    meta: dict[str, Any]
    arrays: Arrays
    pieces: int  # of the file written
    size: int  # of it, in bytes

    @property
    def whole(self) -> bool:
        return self.pointer.delta is None

    @property
    def path(self) -> Path:
        return self.pointer.directory / (self.pointer.delta or self.pointer.base)

    def seal(self, zonemd: bytes) -> None:
        """Put a digest into the file. Raises SnapshotError; the file is without it then."""
        aside = self.path.with_name(self.path.name + ".part")
        try:
            self.size = write(aside, self.meta | {"zonemd": zonemd.hex()}, self.arrays)
            aside.replace(self.path)
        except OSError as error:
            raise SnapshotError(f"{self.path.parent}: cannot be written ({error.strerror})") from error
        finally:
            aside.unlink(missing_ok=True)
        sealed = Snapshot(self.path)
        self.view = ServedZone(self.view.base, sealed) if self.pointer.delta else ServedZone(sealed)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class Maker:
    """Makes the snapshots of one zone in one directory, from a store or what of it is given away. Whoever makes holds
    the zone's lock. Remembers what is in use."""

    def __init__(self, store: Listed, zone: ZoneDef, directory: Path) -> None:
        self.store, self.zone, self.directory = store, zone, directory
        self.looked = -1  # journal number up to which nothing concerns this zone
        self.pointer: Pointer | None = None
        self.served: ServedZone | None = None
        self.pointer_stat: tuple[int, int] | None = None

    # what is in use

    def unmoved(self) -> bool:
        """The pointer is still the one we know: no other process published."""
        return self.pointer_stat is not None and pointer_mark(self.directory) == self.pointer_stat

    def current(self) -> ServedZone | None:
        """What is published; None where nothing is, or nothing that can be used: then the whole zone is due."""
        if self.served is not None and self.unmoved():
            return self.served
        self.looked = -1
        self.pointer = self.served = None
        with contextlib.suppress(SnapshotError):
            self.pointer = read_pointer(self.directory)
            self.served = self.pointer.open() if self.pointer else None
        self.pointer_stat = pointer_mark(self.directory)
        return self.served

    def serial(self) -> int:
        """The serial in use, or the newest that pointer or files name where they cannot be used; 0: there is none. Were
        a serial used again, a file that may be in use would be written over."""
        if served := self.current():
            return served.serial
        found = []
        with contextlib.suppress(OSError):
            found = [int(path.stem) for path in self.directory.iterdir() if FileName.fullmatch(path.name)]
        if self.pointer:
            found.append(self.pointer.serial)
        return max(found, default=0) & 0xFFFFFFFF

    # what is due

    def plan(self, force: bool) -> tuple[str, list[Change]]:
        """Whether nothing, a delta or the whole zone is due."""
        served = self.current()
        if served is None or force or served.base.info["store"] != self.store.identity():
            return WHOLE, []
        if served.seq > self.store.change_seq():  # an older copy of the same store was put in its place
            return WHOLE, []
        if not self.zone.published_like(served.zone):
            return WHOLE, []
        room = delta_room(served.base)
        room -= size_of(served.delta) if served.delta else 0
        changes = self.changes(max(served.seq, self.looked), max(room, 0) + 1)
        if not changes:
            return NONE, []
        return (WHOLE if len(changes) > room else DELTA), changes

    def changes(self, seq: int, enough: int) -> list[Change]:
        """What changed since in this zone. Exemptions are journalled for zones of every kind, so the others' are
        passed over, however many they are."""
        ours: list[Change] = []
        while len(ours) < enough and (some := self.store.changes_since(self.zone.name, seq, enough)):
            ours += [change for change in some if kind(change.subject) == self.zone.kind]
            seq = some[-1].seq
        return ours

    # the next

    def make(self, changes: Sequence[Change] | None, exempt: Exemptions, seq: int, serial: int, now: int) -> Made:
        """Write the zone, or as a delta what these changes make of it. Raises PublishRefused, SnapshotError or
        StoreError; what was written is gone then."""
        base = None if changes is None or self.served is None else self.served.base
        if changes is None or self.served is None:
            arrays, answers, count = build_base(self.store, self.zone, exempt)
        else:
            subjects = (change.subject for change in changes)
            arrays, answers, count = build_delta(self.store, self.zone, exempt, self.served, subjects)
        meta = {
            "zone": self.zone.model_dump(mode="json", by_alias=True),
            "serial": serial,
            "seq": seq,
            "store": self.store.identity(),
            "made_at": now,
            "answers": answers.lists(),
            "listings": self.listings(base),
            "names": 0 if self.zone.kind == "ip" else count,
            "base": base.info["serial"] if base else serial,
            "zonemd": "",
        }
        pointer = Pointer(
            self.directory, base.path.name if base else f"{serial}.base", f"{serial}.delta" if base else None, serial
        )
        path = self.directory / (pointer.delta or pointer.base)
        try:
            size = write(path, meta, arrays)
            return Made(pointer, pointer.open(self.served), meta, arrays, count, size)
        except DnsblError:
            path.unlink(missing_ok=True)
            raise

    def listings(self, base: Snapshot | None) -> int:
        """How many listings the store has; of a large zone as it was when the base was made, for a delta changes
        little of it and counting takes long."""
        if base is None or self.served is None or size_of(base) < SMALL_BASE:
            return self.store.listing_count(self.zone.name)
        return self.served.listings

    def take(self, made: Made) -> None:
        """Put it in the place of what is in use. Raises SnapshotError."""
        self.swap(made.pointer)
        before = self.served
        self.pointer, self.served, self.pointer_stat = made.pointer, made.view, pointer_mark(self.directory)
        self.sweep_files(before)

    def swap(self, pointer: Pointer) -> None:
        """Put the new pointer in the old one's place, both synced: after a crash it is the old or the new one."""
        try:
            with replacing(self.directory / CURRENT) as file:
                file.write(orjson.dumps(pointer.content()))
        except OSError as error:
            raise SnapshotError(
                f"{self.directory}: cannot be written ({error.strerror}); the old zone stays"
            ) from error

    def sweep_files(self, before: ServedZone | None) -> None:
        """Remove the files that neither this publish nor the one before names: slow readers finish on those."""
        sweep_files(self.directory, self.served, before)


def delta_room(base: Snapshot) -> int:
    """How many pieces or names a delta over a base may have."""
    return max(DELTA_FLOOR, size_of(base) // DELTA_SHARE)


def sweep_files(directory: Path, *kept: ServedZone | None) -> None:
    """Remove the snapshot files of a directory that none of these views is made of, and those that a crash left
    half-written."""
    keep = {file.path for zone in kept if zone for file in (zone.base, zone.delta) if file}
    for path in directory.iterdir():
        if path.name.removesuffix(".part").endswith((".base", ".delta")) and path not in keep:
            path.unlink(missing_ok=True)
