"""The zones that are published under a data directory, as those who answer hold them."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import SnapshotError
from .followed import Expiry
from .served import CURRENT, ServedZone, read_pointer, zone_directory

__all__ = ["New", "Snapshots"]

AGAIN = 100  # looks until a zone that could not be loaded is tried again
log = logging.getLogger("dnsbl.zones")


Mark = tuple[int, int]  # by which one pointer file is told from the next


class New(NamedTuple):
    """A zone whose pointer is another file than the one that was read."""

    name: str
    directory: Path
    mark: Mark


class Snapshots:
    """The zones that are published under a data directory, read; looked at again when a pointer is another file.

    One look at a time. Its steps are for those who must not wait for a large file: they `load` in another thread, and
    `forget`, `news`, `take` and `expire` where they answer. `followed`: the zones that a primary must confirm.
    """

    def __init__(self, data_dir: Path, followed: Iterable[str] = ()) -> None:
        self.data_dir = data_dir
        self.followed = list(followed)
        self.expiry = Expiry()
        self.known: dict[str, Mark] = {}
        self.views: dict[str, ServedZone] = {}
        self.looks = 0
        self.failed: dict[str, tuple[Mark, int]] = {}  # which pointer, and at which look to try it anew
        self.said: dict[str, str] = {}
        self.places: dict[str, tuple[Path, str]] = {}

    def look(self, names: Sequence[str]) -> bool:
        """Load what is new; True where anything changed. A file that cannot be used leaves the one before."""
        changed = self.forget(names)
        for new in self.news(names):
            changed |= self.take(new, self.load(new))
        return self.expire() or changed

    def forget(self, names: Sequence[str]) -> bool:
        """Leave out the zones that are not named any more; True where there were any."""
        gone = set(self.views) - set(names)
        for name in gone:
            del self.views[name]
            self.known.pop(name, None)
        return bool(gone)

    def news(self, names: Sequence[str]) -> Iterator[New]:
        """The zones to load; takes microseconds each."""
        self.looks += 1
        for name in names:
            directory, current = self.places.get(name) or self.place(name)
            try:
                found = os.stat(current)  # noqa: PTH116  with a path of pathlib it takes ten times as long
            except OSError:
                continue
            mark = (found.st_ino, found.st_mtime_ns)
            failed, again = self.failed.get(name, (None, 0))
            if self.known.get(name) != mark and (failed != mark or self.looks >= again):
                yield New(name, directory, mark)

    def place(self, name: str) -> tuple[Path, str]:
        """A zone's directory, and its pointer file; made once: they are asked for at each look-up."""
        directory = zone_directory(self.data_dir, name)
        found = self.places[name] = directory, str(directory / CURRENT)
        return found

    def load(self, new: New) -> ServedZone | None:
        """Read and check it: some milliseconds for a million listings. None, and said why, where it cannot be used."""
        before = self.views.get(new.name)
        try:
            pointer = read_pointer(new.directory)
            view = pointer.open(before) if pointer else None
        except SnapshotError as error:
            has = f"serial {before.serial} is served on" if before else "nothing is served"
            if self.said.get(new.name) != str(error):
                log.error("zone %s: %s; %s", new.name, error, has)
                self.said[new.name] = str(error)
            return None
        if view and self.said.pop(new.name, None):
            log.warning("zone %s: serial %d is served", new.name, view.serial)
        return view

    def take(self, new: New, view: ServedZone | None) -> bool:
        """Have what was loaded; True where that changes anything."""
        if view is None:  # it may have been for want of memory or descriptors: tried again, but not at each look
            self.failed[new.name] = new.mark, self.looks + AGAIN
            return False
        self.views[new.name] = view
        self.known[new.name] = new.mark
        self.failed.pop(new.name, None)
        return True

    def expire(self) -> bool:
        """Mark the followed zones that no primary has confirmed for too long, and those that are good again; True where
        that changes anything."""
        changed = False
        for name in self.followed:
            if (view := self.views.get(name)) is None:
                continue
            expired = self.expiry.expired(name, zone_directory(self.data_dir, name), view.zone.soa.expire)
            if expired != view.expired:
                self.views[name] = view = copy.copy(view)
                view.expired = expired
                changed = True
                if expired:
                    log.error("zone %s: its primary has not confirmed it for too long; not answered any more", name)
                else:
                    log.warning("zone %s: confirmed by its primary, answered again", name)
        return changed
