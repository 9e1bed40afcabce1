"""What zones give away now, for all who ask: the snapshot in use, and finished exports of it, each made once."""

from __future__ import annotations

import asyncio
import threading
from functools import cached_property
from pathlib import Path

from ..exporting.kept import Held, Kept
from ..zones.given import SHARED, given
from ..zones.served import ServedZone, pointer_mark, zone_directory
from ..zones.signing import Signer
from .backend import Backend
from .state import Threads

__all__ = ["Editions"]

Mark = tuple[tuple[int, int] | None, ...]
Wanted = tuple[str, int, str, str]  # zone, serial, format, coding


class Editions:
    """`view` and `files` are for threads; `finished` is for the event loop."""

    def __init__(self, backend: Backend, threads: Threads) -> None:
        self.backend, self.threads = backend, threads
        self.kept = Kept(backend.app.data_dir / "exports", lambda: self.signer)
        self.lock = threading.Lock()
        self.views: dict[str, tuple[Mark, ServedZone]] = {}
        self.before: dict[str, dict[str, Path]] = {}  # the files of the view before, by zone
        self.making: dict[Wanted, asyncio.Task[Held]] = {}

    @cached_property
    def signer(self) -> Signer:
        """Raises StoreError where there is no key."""
        return Signer(self.backend.app.keyed)

    def view(self, name: str) -> ServedZone | None:
        """A zone as it is given away; None where it is not published. Raises WithheldError, SnapshotError."""
        directory = zone_directory(self.backend.app.data_dir, name)
        with self.lock:
            mark = mark_of(directory)
            before, known = self.views.get(name, (None, None))
            if mark == before:
                return known
            found = given(directory, known)
            if found is not None:
                self.views[name] = mark, found
                if known and known.base.path.parent != found.base.path.parent:
                    self.before.pop(name, None)  # files of the zone itself, and what is given away is less now, or was
                elif known and known.serial != found.serial:
                    self.before[name] = files_of(known)
            return found

    def files(self, name: str) -> dict[str, Path]:
        """The snapshot files that are given away, by name: those in use, and those of the view before."""
        view = self.view(name)
        return self.before.get(name, {}) | files_of(view) if view else {}

    async def finished(self, view: ServedZone, format: str, coding: str) -> Held:
        """An export as a file. Who asks while it is made waits for it. Raises as `Kept.make` does."""
        found = self.kept.find(view.zone.name, view.serial, format, coding)
        if found is not None and await self.threads.export(found.path.exists):
            return found
        wanted = (view.zone.name, view.serial, format, coding)
        task = self.making.get(wanted)
        if task is None:
            task = self.making[wanted] = asyncio.create_task(self.threads.export(self.kept.make, view, format, coding))
            task.add_done_callback(lambda done: self.made(wanted, done))
        return await asyncio.shield(task)

    def made(self, wanted: Wanted, done: asyncio.Task[Held]) -> None:
        del self.making[wanted]
        if not done.cancelled():
            done.exception()  # told to those who wait; where nobody does any more, nobody is


def mark_of(directory: Path) -> Mark:
    """What is another one as soon as anything else is given away."""
    return pointer_mark(directory), pointer_mark(directory / SHARED)


def files_of(view: ServedZone) -> dict[str, Path]:
    return {file.path.name: file.path for file in (view.base, view.delta) if file is not None}
