"""Snapshot files that stay on the disk: for who takes a zone away once, and holds nothing that grows with it.

A file is verified whole when it is opened, a little at a time, and its sections are read when they are asked for. Who
has taken something from it asks `check` before that counts: what somebody altered in place meanwhile was not verified.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import overload

from ..errors import SnapshotError
from ..files import at_once
from .snapshot import (
    FORMATS,
    MAX_HEAD,
    SECTIONS,
    Head,
    Mark,
    Snapshot,
    check_fit,
    head_of,
    mark_of,
    table_of,
)

__all__ = ["Seen", "SnapshotOnDisk"]

Seen = tuple[Mark, int]  # a file, and when the kernel last changed anything of it: nobody sets that back

SOME = 1 << 20  # bytes of a file that are verified at once


class Column:
    """A section of a file, as a memoryview of whole numbers would be: what is asked for is read then."""

    def __init__(self, path: Path, file: FileIO, width: int, offset: int, items: int) -> None:
        self.path, self.file = path, file
        self.itemsize, self.offset, self.items = width, offset, items

    def __len__(self) -> int:
        return self.items

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> memoryview: ...
    def __getitem__(self, place: int | slice) -> int | memoryview:
        """A number, or numbers next to one another. Raises SnapshotError; ValueError where some between are left
        out."""
        if isinstance(place, slice):
            start, stop, step = place.indices(self.items)
            if step != 1:
                raise ValueError(f"{place}: numbers of a section on the disk are taken next to one another")
            return self.read(start, max(start, stop)).cast(FORMATS[self.itemsize])  # type: ignore[call-overload, no-any-return]
        if not -self.items <= place < self.items:
            raise IndexError(place)
        return int.from_bytes(self.read(place % self.items, place % self.items + 1), "little")

    def read(self, start: int, stop: int) -> memoryview:
        return memoryview(
            read(self.path, self.file, self.offset + start * self.itemsize, (stop - start) * self.itemsize)
        )


class SnapshotOnDisk(Snapshot):
    """A `Snapshot` whose sections are `Column`s. `verified`: of a file that was found good before, and is not read
    whole again. To be closed."""

    def __init__(self, path: Path, verified: Seen | None = None) -> None:
        self.path = path
        self.layers = {}
        with ExitStack() as undo:
            try:
                self.file = undo.enter_context(FileIO(path, opener=at_once))
                status = os.fstat(self.file.fileno())
            except OSError as error:
                raise SnapshotError(f"{path}: cannot be read ({error.strerror})") from error
            self.mark = mark_of(status)
            self.seen = self.mark, status.st_ctime_ns
            head = self.head()
            if self.seen != verified:
                self.verify(head)
            table = table_of(path, head, status.st_size, SECTIONS)
            columns = {name: Column(path, self.file, *where) for name, where in table.items()}
            check_fit(path, columns)
            self.hold(columns)
            undo.pop_all()

    def close(self) -> None:
        self.file.close()

    def check(self) -> None:
        """Raises SnapshotError where the file was altered since it was opened. One that only lost its name, as after a
        publish, or whose time of change was put back, is verified once more."""
        status = os.fstat(self.file.fileno())
        if mark_of(status) != self.mark:
            raise SnapshotError(f"{self.path}: altered while it was read; build the zone again")
        if status.st_ctime_ns != self.seen[1]:
            self.verify(self.head())

    def head(self) -> Head:
        size = self.mark[2]
        return head_of(self.path, memoryview(read(self.path, self.file, 0, min(size, MAX_HEAD))), size)

    def verify(self, head: Head) -> None:
        size = self.mark[2]
        for start in range(len(head.octets), size, SOME):
            head.digest.update(read(self.path, self.file, start, min(SOME, size - start)))
        head.verify(self.path)


def read(path: Path, file: FileIO, start: int, size: int) -> bytes:
    """So many bytes of a file. Raises SnapshotError, also where it has fewer."""
    try:
        found = os.pread(file.fileno(), size, start)
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read ({error.strerror})") from error
    except MemoryError as error:
        raise SnapshotError(f"{path}: cannot be read (no memory for it)") from error
    if len(found) < size:
        raise SnapshotError(f"{path}: cut while it was read; build the zone again")
    return found
