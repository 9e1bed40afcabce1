"""The zones that are published under a data directory, as those who answer hold them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..errors import SnapshotError
from .served import CURRENT, ServedZone, read_pointer, zone_directory

__all__ = ["Snapshots"]

log = logging.getLogger("dnsbl.zones")


class Snapshots:
    """The zones that are published under a data directory, mapped; looked at again when a pointer is another file."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.known: dict[str, tuple[int, int]] = {}
        self.views: dict[str, ServedZone] = {}

    def look(self, names: Sequence[str]) -> bool:
        """Load what is new; True where anything changed. A file that cannot be used leaves the one before."""
        changed = False
        for name in set(self.views) - set(names):
            del self.views[name], self.known[name]
            changed = True
        for name in names:
            directory = zone_directory(self.data_dir, name)
            try:
                found = (directory / CURRENT).stat()
            except OSError:
                continue
            mark = (found.st_ino, found.st_mtime_ns)
            if self.known.get(name) != mark:
                self.known[name] = mark
                changed |= self.load(name, directory)
        return changed

    def load(self, name: str, directory: Path) -> bool:
        try:
            pointer = read_pointer(directory)
            if pointer is None:
                return False
            self.views[name] = pointer.open(self.views.get(name))
        except SnapshotError as error:
            has = f"serial {self.views[name].serial} is served on" if name in self.views else "nothing is served"
            log.error("zone %s: %s; %s", name, error, has)
            return False
        return True
