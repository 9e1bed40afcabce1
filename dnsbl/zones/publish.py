"""Publish: build a new file, sync, check, swap the pointer. One publisher a zone at a time, in any process.

    data_dir/zones/NAME/SERIAL.base, SERIAL.delta   snapshot files
    data_dir/zones/NAME/current                     the pointer: which of them are in use
    data_dir/zones/NAME/lock                        held while publishing
    data_dir/zones/NAME/shared/                     the same again, of what may be given away; see `giving`
    data_dir/zones/NAME/journal/                    what each publish changed; see `journal`

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

from ..config import ZoneDef
from ..errors import PublishRefused, SnapshotError
from ..reputation.exemptions import Exemptions
from ..store.contract import Change, Store
from .checks import check
from .giving import Giving
from .maker import NONE, WHOLE, Made, Maker
from .served import zone_directory
from .snapshot import size_of

__all__ = ["Published", "Publisher", "check", "size_of", "zone_directory"]

LOCK_SECONDS = 60
LOCK_PAUSE = 0.02


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
        self.maker = Maker(store, zone, self.directory)
        self.giving = Giving(store, zone, self.directory)
        self.refusal: tuple[int, PublishRefused] | None = None  # at which journal number, and why

    def publish(self, exempt: Exemptions, now: int, force: bool = False) -> Published | None:
        """Bring the snapshot up to the store; None where nothing changed. `force` builds the whole zone and passes
        the size check. Raises PublishRefused, SnapshotError or StoreError; what was served stays."""
        seq = self.store.change_seq() if exempt.seq is None else exempt.seq
        settled = not force and self.maker.unmoved()
        if settled and seq == self.maker.looked and not self.giving.due(now):
            return None
        if settled and self.refusal and self.refusal[0] == seq:
            raise self.refusal[1]  # nothing has changed: building it again would end the same
        started = time.monotonic()
        done = None
        with self.locked():
            plan, changes = self.maker.plan(force)
            if plan != NONE:
                try:
                    made = self.write(None if plan == WHOLE else changes, exempt, seq, now, force)
                except PublishRefused as error:
                    self.refusal = seq, error
                    raise
                seconds = time.monotonic() - started
                serial = made.pointer.serial
                done = Published(self.zone.name, serial, made.whole, made.pieces, made.size, seconds)
            elif self.maker.served:
                self.giving.catch_up(self.maker, exempt, now)
        self.maker.looked, self.refusal = seq, None
        return done

    def write(self, changes: Sequence[Change] | None, exempt: Exemptions, seq: int, now: int, force: bool) -> Made:
        served = self.maker.served
        if self.maker.pointer and self.maker.pointer.withheld and not self.store.withheld_count(self.zone.name):
            changes = None  # the base has what was withheld, and is given away itself from now on
        serial = next_serial(later(self.maker.serial(), self.giving.serial(self.maker)), now)
        self.giving.look(self.maker)
        made = self.maker.make(changes, exempt, seq, serial, now)
        try:
            check(made.view, served, force)
            self.giving.give(self.maker, made, exempt, force)
            self.maker.take(made)
        except (PublishRefused, SnapshotError):
            made.drop()
            raise
        return made

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


def later(one: int, other: int) -> int:
    """The later of two serials (RFC 1982); 0: there is none."""
    if not one or not other:
        return one or other
    return other if 0 < ((other - one) & 0xFFFFFFFF) < 2**31 else one
