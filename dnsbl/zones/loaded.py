"""The zones that are published under a data directory, as those who answer hold them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..errors import SnapshotError
from .served import CURRENT, ServedZone, read_pointer, zone_directory

__all__ = ["Snapshots"]

AGAIN = 100  # looks until a zone that could not be loaded is tried again
log = logging.getLogger("dnsbl.zones")


class Snapshots:
    """The zones that are published under a data directory, read; looked at again when a pointer is another file."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.known: dict[str, tuple[int, int]] = {}
        self.views: dict[str, ServedZone] = {}
        self.looks = 0
        self.failed: dict[str, tuple[tuple[int, int], int]] = {}  # which pointer, and at which look to try it anew
        self.said: dict[str, str] = {}

    def look(self, names: Sequence[str]) -> bool:
        """Load what is new; True where anything changed. A file that cannot be used leaves the one before."""
        changed = False
        self.looks += 1
        for name in set(self.views) - set(names):
            del self.views[name]
            self.known.pop(name, None)
            changed = True
        for name in names:
            directory = zone_directory(self.data_dir, name)
            try:
                found = (directory / CURRENT).stat()
            except OSError:
                continue
            mark = (found.st_ino, found.st_mtime_ns)
            failed, again = self.failed.get(name, (None, 0))
            if self.known.get(name) == mark or (failed == mark and self.looks < again):
                continue
            if self.load(name, directory):
                changed = True
                self.known[name] = mark
                self.failed.pop(name, None)
            else:  # it may have been for want of memory or descriptors: tried again, but not at each look
                self.failed[name] = mark, self.looks + AGAIN
        return changed

    def load(self, name: str, directory: Path) -> bool:
        try:
            pointer = read_pointer(directory)
            if pointer is None:
                return False
            self.views[name] = pointer.open(self.views.get(name))
        except SnapshotError as error:
            has = f"serial {self.views[name].serial} is served on" if name in self.views else "nothing is served"
            if self.said.get(name) != str(error):
                log.error("zone %s: %s; %s", name, error, has)
                self.said[name] = str(error)
            return False
        self.said.pop(name, None)
        return True
