"""Finished exports of the newest serials, for the web side: files, so that ranges of them can be sent, and their sums
and signatures are known. Each is made once for all who ask.

They are in `data_dir/exports`, are made again when they are missed, and are all removed at the next start. Bounded in
number and bytes: what nobody asked for longest goes. Who is being sent a file has it to its end.

Failure: on a disk that is full, or nearly, nothing is kept; OSError says so, and the caller streams instead.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..files import has_room
from ..zones.export import export
from ..zones.served import ServedZone
from ..zones.signing import Signer
from .manifest import Line, line_of
from .writing import CODINGS, Written, pack, write

__all__ = ["Held", "Kept"]

MAX_FILES = 128
MAX_BYTES = 4 * 2**30


@dataclass(slots=True, frozen=True)
class Held:
    """A finished export."""

    path: Path
    line: Line
    signature: str  # the text of its .minisig file


class Kept:
    """The files. Every method may be called from any thread; `make` of one and the same export by one at a time."""

    def __init__(self, directory: Path, signer: Callable[[], Signer]) -> None:
        self.directory, self.signer = directory, signer
        self.lock = threading.Lock()
        self.held: OrderedDict[tuple[str, str, str], Held] = OrderedDict()  # by zone, format, coding; oldest use first
        self.cleared = False

    def find(self, zone: str, serial: int, format: str, coding: str) -> Held | None:
        """What is there of this serial."""
        with self.lock:
            found = self.held.get((zone, format, coding))
            if found is None or found.line.serial != serial:
                return None
            self.held.move_to_end((zone, format, coding))
            return found

    def make(self, view: ServedZone, format: str, coding: str) -> Held:
        """Write one. A packed one is made of the plain one, which is written first where it is not there. Raises
        OSError, StoreError where there is no key to sign with, and what the format raises."""
        self.prepare()
        if coding == "identity":
            return self.write(view, format, coding, export(view, format))
        plain = self.find(view.zone.name, view.serial, format, "identity")
        plain = plain or self.write(view, format, "identity", export(view, format))
        return self.write(view, format, coding, pack(plain.path, coding))

    def write(self, view: ServedZone, format: str, coding: str, content: Iterator[bytes]) -> Held:
        name = f"{view.zone.name}.{view.serial}.{os.getpid()}.{format}"  # no other process, in an upgrade, writes to it
        path = self.directory / (name + CODINGS.get(coding, ""))
        written = write(path, self.leaving_room(content))
        made = Held(path, *self.signed(line_of(view, format, coding, written), written))
        with self.lock:
            before = self.held.pop((view.zone.name, format, coding), None)
            self.held[view.zone.name, format, coding] = made
            gone = [*self.beyond(), *([before] if before and before.path != path else [])]
        for each in gone:
            each.path.unlink(missing_ok=True)
        return made

    def signed(self, line: Line, written: Written) -> tuple[Line, str]:
        return line, self.signer().sign(written.digest, line.comment())

    def beyond(self) -> Iterator[Held]:
        """Take out what is too much, never the newest."""
        size = sum(each.line.size for each in self.held.values())
        while len(self.held) > 1 and (len(self.held) > MAX_FILES or size > MAX_BYTES):
            _, oldest = self.held.popitem(last=False)
            size -= oldest.line.size
            yield oldest

    def leaving_room(self, content: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in content:
            if not has_room(self.directory):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.directory))
            yield chunk

    def prepare(self) -> None:
        """The directory, without what an earlier process left in it. Raises OSError."""
        with self.lock:
            if self.cleared:
                return
            self.directory.mkdir(mode=0o750, exist_ok=True)
            for path in self.directory.iterdir():
                if path.is_file():
                    path.unlink(missing_ok=True)
            self.cleared = True
