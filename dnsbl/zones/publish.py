"""Publish: build a new file, sync, check, swap the pointer. One publisher a zone at a time, in any process.

    data_dir/zones/NAME/SERIAL.base, SERIAL.delta   snapshot files
    data_dir/zones/NAME/current                     the pointer: which of them are in use
    data_dir/zones/NAME/lock                        held while publishing

Failure: a build that fails or trips a check leaves pointer and files as they were. Restart: unnamed files are
left over from a crash and go with the next publish. Small changes become a delta over the base; when the delta has
grown, or the zone's definition or the store is another, the base is built anew. Every publish raises the serial.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ..config import ZoneDef
from ..errors import PublishRefused, SnapshotError
from ..files import replacing
from ..reputation.exemptions import Exemptions
from ..special import NEVER_LIST
from ..store.contract import Change, Store
from ..subjects import bounds, kind, text, zone_name
from . import exact
from .arrays import answer_ids, numbers, write
from .build import Answers, build_base, build_delta, test_points
from .served import CURRENT, FileName, Pointer, ServedZone, read_pointer, zone_directory
from .snapshot import Snapshot

__all__ = ["Published", "Publisher", "size_of", "zone_directory"]

LOCK_SECONDS = 60
LOCK_PAUSE = 0.02
DELTA_FLOOR = 4096  # a delta of so many pieces is never too large
DELTA_SHARE = 16  # beyond, at most one sixteenth of its base
SMALL_ZONE = 1000  # listings; a smaller zone may lose as many as it likes
SMALL_BASE = 65_536  # pieces; the listings of a zone with so few are counted at each publish
IP4_SPACE = 2**32
Ints = NDArray[np.int64]
WHOLE, DELTA, NONE = "whole", "delta", "none"


@dataclass(slots=True, frozen=True)
class Published:
    zone: str
    serial: int
    whole: bool  # a base; else a delta
    pieces: int  # of the file written
    bytes: int
    seconds: float


class Publisher:
    """Publishes one zone from a store. Remembers what it last looked at, so that asking again is cheap."""

    def __init__(self, store: Store, zone: ZoneDef, data_dir: Path) -> None:
        self.store, self.zone = store, zone
        self.directory = zone_directory(data_dir, zone.name)
        self.looked = -1  # journal number up to which nothing concerns this zone
        self.served: ServedZone | None = None
        self.pointer_stat: tuple[int, int] | None = None
        self.refusal: tuple[int, PublishRefused] | None = None  # at which journal number, and why

    def publish(self, exempt: Exemptions, now: int, force: bool = False) -> Published | None:
        """Bring the snapshot up to the store; None where nothing changed. `force` builds the whole zone and passes
        the size check. Raises PublishRefused, SnapshotError or StoreError; what was served stays."""
        seq = self.store.change_seq() if exempt.seq is None else exempt.seq
        if seq == self.looked and not force and self.unmoved():
            return None
        if self.refusal and self.refusal[0] == seq and not force and self.unmoved():
            raise self.refusal[1]  # nothing has changed: building it again would end the same
        started = time.monotonic()
        with self.locked():
            served = self.current()
            plan, changes = self.plan(served, force)
            done = None
            if plan != NONE:
                whole = plan == WHOLE or served is None
                try:
                    done = self.write(served, None if whole else changes, exempt, seq, now, force, started)
                except PublishRefused as error:
                    self.refusal = seq, error
                    raise
        self.looked, self.refusal = seq, None
        return done

    def plan(self, served: ServedZone | None, force: bool) -> tuple[str, list[Change]]:
        """Whether nothing, a delta or the whole zone is due."""
        if served is None or force or served.base.info["store"] != self.store.identity():
            return WHOLE, []
        if served.seq > self.store.change_seq():  # an older copy of the same store was put in its place
            return WHOLE, []
        if served.zone.model_dump() != self.zone.model_dump():
            return WHOLE, []
        room = max(DELTA_FLOOR, size_of(served.base) // DELTA_SHARE)
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

    def write(
        self,
        served: ServedZone | None,
        changes: Sequence[Change] | None,
        exempt: Exemptions,
        seq: int,
        now: int,
        force: bool,
        started: float,
    ) -> Published:
        serial = next_serial(served.serial if served else self.last_serial(), now)
        if changes is None or served is None:
            arrays, answers, count = build_base(self.store, self.zone, exempt)
            path, base = self.directory / f"{serial}.base", f"{serial}.base"
        else:
            arrays, answers, count = build_delta(
                self.store, self.zone, exempt, served, (change.subject for change in changes)
            )
            path, base = self.directory / f"{serial}.delta", served.base.path.name
        try:
            size = write(path, self.meta(served, answers, changes is None, serial, seq, now, count), arrays)
            pointer = Pointer(self.directory, base, None if changes is None else path.name, serial)
            new = pointer.open(served)
            check(new, served, force)
        except (PublishRefused, SnapshotError):
            path.unlink(missing_ok=True)
            raise
        self.swap(pointer)
        self.served, self.pointer_stat = new, self.stat()
        self.sweep_files(served)
        return Published(self.zone.name, serial, changes is None, count, size, time.monotonic() - started)

    def meta(
        self, served: ServedZone | None, answers: Answers, whole: bool, serial: int, seq: int, now: int, count: int
    ) -> dict[str, Any]:
        return {
            "zone": self.zone.model_dump(mode="json", by_alias=True),
            "serial": serial,
            "seq": seq,
            "store": self.store.identity(),
            "made_at": now,
            "answers": answers.lists(),
            "listings": self.listings(served, whole),
            "names": 0 if self.zone.kind == "ip" else count,
            "base": serial if whole or served is None else served.base.info["serial"],
        }

    def listings(self, served: ServedZone | None, whole: bool) -> int:
        """How many listings the store has; of a large zone as it was when the base was made, for a delta changes
        little of it and counting takes long."""
        if whole or served is None or size_of(served.base) < SMALL_BASE:
            return self.store.listing_count(self.zone.name)
        return served.listings

    # files

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SnapshotError(f"{self.directory}: cannot be written ({error.strerror})") from error
        try:
            wait_for(descriptor, self.zone.name)
            yield
        finally:
            os.close(descriptor)

    def stat(self) -> tuple[int, int] | None:
        try:
            found = (self.directory / CURRENT).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def unmoved(self) -> bool:
        """The pointer is still the one we know: no other process published."""
        return self.pointer_stat is not None and self.stat() == self.pointer_stat

    def current(self) -> ServedZone | None:
        """What is published; None where nothing is, or nothing that can be used: then the whole zone is due."""
        if self.served is not None and self.unmoved():
            return self.served
        self.looked = -1
        try:
            pointer = read_pointer(self.directory)
            self.served = pointer.open() if pointer else None
        except SnapshotError:
            self.served = None
        self.pointer_stat = self.stat()
        return self.served

    def last_serial(self) -> int:
        """The newest serial that pointer or files name, where they cannot be used; 0: there is none. Were a serial
        used again, a file that may be in use would be written over."""
        found = [int(path.stem) for path in self.directory.iterdir() if FileName.fullmatch(path.name)]
        with contextlib.suppress(SnapshotError):
            pointer = read_pointer(self.directory)
            found.append(pointer.serial if pointer else 0)
        return max(found, default=0) & 0xFFFFFFFF

    def swap(self, pointer: Pointer) -> None:
        """Put the new pointer in the old one's place, both synced: after a crash it is the old or the new one."""
        content = orjson.dumps({"base": pointer.base, "delta": pointer.delta, "serial": pointer.serial})
        try:
            with replacing(self.directory / CURRENT) as file:
                file.write(content)
        except OSError as error:
            raise SnapshotError(
                f"{self.directory}: cannot be written ({error.strerror}); the old zone stays"
            ) from error

    def sweep_files(self, before: ServedZone | None) -> None:
        """Remove the files that neither this publish nor the one before names: slow readers finish on those."""
        keep = {file.path for zone in (self.served, before) if zone for file in (zone.base, zone.delta) if file}
        for path in self.directory.iterdir():
            if path.suffix in (".base", ".delta") and path not in keep:
                path.unlink(missing_ok=True)


def wait_for(descriptor: int, zone: str) -> None:
    """Take the lock of another publisher, which works for seconds; one that is stopped is not waited for."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SnapshotError(
                    f"zone {zone}: another process has been publishing for {LOCK_SECONDS} s; look for a stopped `dnsbl`"
                ) from None
        time.sleep(LOCK_PAUSE)


def next_serial(before: int, now: int) -> int:
    """Seconds of the clock where they rise, else one more: RFC 1982 arithmetic holds for either. Never 0."""
    rises = 0 < ((now - before) & 0xFFFFFFFF) < 2**31
    return (now & 0xFFFFFFFF if rises else (before + 1) & 0xFFFFFFFF) or 1


def size_of(file: Snapshot | None) -> int:
    """How many pieces or names a file has."""
    if file is None:
        return 0
    names: int = file.info["names"]
    return len(file.v4one) + len(file.v4low) + len(file.v6one) + len(file.v6low) + names


def cover(served: ServedZone) -> int:
    """How many IPv4 addresses are listed."""
    base, delta = served.base, served.delta
    one, low, high = numbers(base, "v4"), np.asarray(base.v4low), np.asarray(base.v4high)
    listed = np.concatenate([[0], np.cumsum(high.astype(np.int64) - low + 1)])
    total = len(one) + int(listed[-1])
    if delta is None:
        return total

    def below(edges: Ints) -> Ints:
        """How many addresses the ranges of the base list below each edge."""
        place = np.searchsorted(low, edges.astype(np.uint32))
        past = np.maximum(np.append(0, high.astype(np.int64))[place] + 1 - edges, 0)
        return np.where(place > 0, listed[place] - past, 0)

    first = np.concatenate([numbers(delta, "v4"), np.asarray(delta.v4low)])
    last = np.concatenate([numbers(delta, "v4"), np.asarray(delta.v4high)])
    shown = np.concatenate([answer_ids(delta, "v4one"), answer_ids(delta, "v4")]) != 0
    hidden = np.searchsorted(one, last, side="right") - np.searchsorted(one, first)
    first, last = first.astype(np.int64), last.astype(np.int64)
    hidden = hidden + below(np.minimum(last + 1, IP4_SPACE - 1)) - below(first)  # the last address is never listed
    return total + int((last - first + 1)[shown].sum()) - int(hidden.sum())


def check(new: ServedZone, old: ServedZone | None, force: bool) -> None:
    """What must hold before anyone is answered from it. Raises PublishRefused."""
    zone = new.zone
    if zone.kind == "ip":
        check_addresses(new)
    else:
        check_names(new)
    if force:
        return
    share = cover(new) / IP4_SPACE
    if share > zone.checks.max_cover and (old is None or share > cover(old) / IP4_SPACE):
        raise PublishRefused(
            f"zone {zone.name}: would list {share:.0%} of all IPv4 addresses, more than checks.max_cover allows "
            f"({zone.checks.max_cover:.0%}); if that is meant, run `dnsbl zone build {zone.name} --force`"
        )
    before, after = old.listings if old else 0, new.listings
    if before >= SMALL_ZONE and after < before * (1 - zone.checks.max_drop):
        raise PublishRefused(
            f"zone {zone.name}: {after:,} listings where there were {before:,}; if that is meant, "
            f"run `dnsbl zone build {zone.name} --force`"
        )


def check_names(new: ServedZone) -> None:
    zone = new.zone
    if zone.exact:
        listed = [zone_name(subject) for subject in exact.test_points(zone)]
        never = [zone_name(subject) for subject in exact.never_listed(zone)]
    else:
        listed, never = [b"test"], [b"invalid"]
    right = all(new.lookup_name(name.split(b".")) > 0 for name in listed)
    if not right or any(new.lookup_name(name.split(b".")) > 0 for name in never):
        raise PublishRefused(f"zone {zone.name}: the test names do not answer right; nothing was published")


def check_addresses(new: ServedZone) -> None:
    points = test_points(new.zone)
    right = all(new.lookup4(point) > 0 and new.lookup6(0xFFFF << 32 | point) > 0 for point in points)
    if not right or new.lookup4(0x7F000001) or new.lookup6(0xFFFF << 32 | 0x7F000001):
        raise PublishRefused(f"zone {new.zone.name}: the test points do not answer right; nothing was published")
    for subject in NEVER_LIST:
        first, last = bounds(subject)
        if subject[:1] == b"6" or first == 127 << 24:  # the test points stand there
            continue
        if new.any4(first, last):
            raise PublishRefused(f"zone {new.zone.name}: would list {text(subject)}, which is never listed")
