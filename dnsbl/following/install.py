"""A followed zone's snapshot file: written aside, checked as a publisher checks, and the pointer swapped. What was
served before stays where anything is wrong."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from .. import clock
from ..config import ZoneDef
from ..errors import SnapshotError
from ..files import LEAVE_FREE, has_room, replacing, sync_directory
from ..zones import names as naming
from ..zones.arrays import Arrays, write
from ..zones.build import Answers, ip_arrays
from ..zones.checks import check
from ..zones.counting import count_addresses, count_names
from ..zones.difference import Step
from ..zones.followed import Followed, forced, read_followed, write_followed
from ..zones.journal import Journal
from ..zones.maker import sweep_files
from ..zones.served import CURRENT, Pointer, ServedZone, read_pointer
from ..zones.snapshot import Snapshot
from ..zones.table import pieces
from .contents import Addresses, with_empty
from .names import Delta, listed

__all__ = ["Install", "Verify"]

Verify = Callable[[ServedZone], Step | None]  # what leads to it from what was held, where that is known
SMALL = 16 * 2**20  # bytes; a smaller zone is kept up to date on a disk that is nearly full, too
log = logging.getLogger("dnsbl.following")


class Install:
    """Where one followed zone is kept."""

    def __init__(self, zone: ZoneDef, directory: Path) -> None:
        self.zone, self.directory = zone, directory
        self.journal = Journal(directory)

    def current(self, before: ServedZone | None = None) -> ServedZone | None:
        """What is held; None where nothing is, or nothing that can be used."""
        with contextlib.suppress(SnapshotError):
            pointer = read_pointer(self.directory)
            return pointer.open(before) if pointer else None
        return None

    def addresses(
        self, held: Addresses, serial: int, now: int, zonemd: bytes, old: ServedZone | None, verify: Verify
    ) -> ServedZone:
        """A new base of an ip zone. Raises TransferError, SnapshotError, PublishRefused."""
        answers = Answers(self.zone)
        arrays = ip_arrays(held.ip4, held.ip6, held.deep, answers)
        count = count_addresses(held.ip4, held.ip6, held.deep)
        return self.made(arrays, self.meta(answers, serial, now, zonemd, count, 0), None, old, verify)

    def names(
        self, values: dict[bytes, int], answers: Answers, serial: int, now: int, zonemd: bytes,
        old: ServedZone | None, verify: Verify,
    ) -> ServedZone:  # fmt: skip
        """A new base of a zone of names, given with their values in it. Raises as `addresses`."""
        whole = with_empty(values)
        count = count_names(self.zone, listed(values))
        meta = self.meta(answers, serial, now, zonemd, count, len(whole))
        return self.made(name_arrays(whole, answers), meta, None, old, verify)

    def delta(
        self, delta: Delta, answers: Answers, serial: int, now: int, zonemd: bytes, old: ServedZone, verify: Verify
    ) -> ServedZone:
        """A delta over the base that is held of a zone of names. Raises as `addresses`."""
        meta = self.meta(answers, serial, now, zonemd, delta.listings, len(delta.values))
        meta["base"] = old.base.info["serial"]
        return self.made(name_arrays(delta.values, answers), meta, old.base, old, verify)

    def meta(self, answers: Answers, serial: int, now: int, zonemd: bytes, listings: int, names: int) -> dict[str, Any]:
        return {
            "zone": self.zone.model_dump(mode="json", by_alias=True),
            "serial": serial,
            "seq": 0,
            "store": "",
            "made_at": now,
            "answers": answers.lists(),
            "listings": listings,
            "names": names,
            "base": serial,
            "zonemd": zonemd.hex(),
        }

    def made(
        self, arrays: Arrays, meta: dict[str, Any], base: Snapshot | None, old: ServedZone | None, verify: Verify
    ) -> ServedZone:
        """A base, or a delta over one, written and verified aside: of the same serial, said anew, the file may be in
        use under its name."""
        path = self.directory / f"{meta['serial']}.{'delta' if base else 'base'}"
        aside = path.with_name(path.name + ".part")
        pointer = Pointer(
            self.directory, base.path.name if base else path.name, path.name if base else None, meta["serial"]
        )
        with self.locked():
            try:
                write(aside, meta, arrays)
                file = Snapshot(aside)
                new = ServedZone(base, file) if base else ServedZone(file)
                step = self.verified(new, old, verify)
                named(new, pointer, old)
            except OSError as error:
                raise self.unwritable(error) from error
            finally:
                aside.unlink(missing_ok=True)
            try:
                return self.swapped(pointer, new, old, step)
            except SnapshotError:
                if old is None or path not in (old.base.path, old.delta and old.delta.path):
                    path.unlink(missing_ok=True)
                raise

    def put(self, pointer: Pointer, aside: Pointer, old: ServedZone | None, verify: Verify) -> ServedZone:
        """Have files in use that are here as `aside` names them, where they may be: what is in use may have the name
        of one of them. Raises as `addresses`."""
        with self.locked():
            new = aside.open(old)
            step = self.verified(new, old, verify)
            try:
                named(new, pointer, old)
                sync_directory(self.directory)
            except OSError as error:
                raise self.unwritable(error) from error
            return self.swapped(pointer, new, old, step)

    def verified(self, new: ServedZone, old: ServedZone | None, verify: Verify) -> Step | None:
        """Check what is to be in use. Raises TransferError, PublishRefused."""
        step = verify(new)
        check(new, old, force=forced(self.directory))
        return step

    def swapped(self, pointer: Pointer, new: ServedZone, old: ServedZone | None, step: Step | None) -> ServedZone:
        """Make a pointer the one in use. Raises SnapshotError."""
        self.confirm()
        self.journalled(step, new)
        try:
            with replacing(self.directory / CURRENT) as file:
                file.write(orjson.dumps({"base": pointer.base, "delta": pointer.delta, "serial": pointer.serial}))
        except OSError as error:
            raise self.unwritable(error) from error
        sweep_files(self.directory, new, old)
        return new

    def need_room(self, size: int, here: int) -> None:
        """For `size` bytes of a zone, of which so many are here. Raises SnapshotError, OSError."""
        if size > SMALL and not has_room(self.directory, size - here):
            raise SnapshotError(
                f"{self.directory}: no room for zone {self.zone.name}: {LEAVE_FREE // 2**20} MiB of the disk are left "
                "free; make room there; the old zone stays"
            )

    def unwritable(self, error: OSError) -> SnapshotError:
        return SnapshotError(f"{self.directory}: cannot be written ({error.strerror}); the old zone stays")

    def confirm(self) -> None:
        """Before the pointer is swapped, so that a new zone never looks as if it had expired. Raises SnapshotError."""
        state = read_followed(self.directory) or Followed()
        try:
            write_followed(self.directory, replace(state, refreshed=clock.now()))
        except OSError as error:
            raise self.unwritable(error) from error

    def journalled(self, step: Step | None, new: ServedZone) -> None:
        """For those who follow us in turn. Without a step they take the whole zone; so they do where it cannot be
        written, which stops nothing."""
        try:
            if step is not None:
                self.journal.add(step, sum(file.mark[2] for file in (new.base, new.delta) if file))
                return
        except (OSError, SnapshotError) as error:
            log.error("zone %s: the journal cannot be written: %s", self.zone.name, error)
        self.journal.clear()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The lock of publishers: a server that was not told that this zone is followed would publish it."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SnapshotError(f"{self.directory}: cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise SnapshotError(
                f"zone {self.zone.name}: another process is writing it here; it is tried again"
            ) from None
        finally:
            os.close(descriptor)


def named(new: ServedZone, pointer: Pointer, old: ServedZone | None) -> None:
    """Give files that were written aside the names that a pointer has for them. Where a base takes the name of the one
    in use, the delta in use goes first: were the pointer not swapped then, it would lead to that delta over a base that
    it was not made for. Raises OSError."""
    base, delta = new.base, new.delta
    if base.path.name != pointer.base:
        if old and old.delta and old.base.path.name == pointer.base and (not delta or delta.path != old.delta.path):
            old.delta.path.unlink(missing_ok=True)
        base.rename(pointer.directory / pointer.base)
    if delta and pointer.delta and delta.path.name != pointer.delta:
        delta.rename(pointer.directory / pointer.delta)


def name_arrays(values: dict[bytes, int], answers: Answers) -> Arrays:
    return {**ip_arrays(pieces([]), pieces([]), [], answers), **naming.index(values)}
