"""A transfer in the courier: from snapshot files and journal to messages, a section at a time.

What is given is what may be given away (`zones.given`). Its files stay on the disk and open: a publish meanwhile takes
their names away and changes nothing in them; and no transfer holds what grows with the zone. Who has a serial that the
journal reaches gets one condensed step (RFC 1995 section 4): others, and who would get more that way than the zone has
in all, or what some secondaries do not survive, get the zone.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from ..dns.stream import Section, messages
from ..dns.transfer import newer
from ..errors import SnapshotError, WithheldError
from ..zones.given import given_pointer
from ..zones.journal import Journal
from ..zones.ondisk import Seen, SnapshotOnDisk
from ..zones.served import ServedZone, over, zone_directory
from ..zones.snapshot import size_of
from ..zones.wire import soa_record, step_sections, zone_sections
from .outlet import Outlet
from .request import Request, Verdict

__all__ = ["Giving"]

log = logging.getLogger("dnsbl.transfer")

# Names that keep records in a step while others of theirs come or go. Knot before 3.2.9 (Debian 12 has 3.2.6) calls
# itself once more for each record set that stays, two of a name, and at some 5,000 its stack of 1 MiB is full.
MAX_KEPT = 2_000
TRIES = 5  # to open a snapshot whose files a newer publish takes away at that moment
MAX_VERIFIED = 10_000  # files that are known to be good: three numbers and a path each


class Giving:
    """Gives zones away, each transfer in a thread of its caller's."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.verified: dict[Path, Seen] = {}  # files that were found good, and are not read whole again for that

    def give(self, request: Request, outlet: Outlet) -> None:
        """Send a transfer, and close its outlet. It blocks for as long as nobody reads. Raises OSError where nobody
        is left to read, and SnapshotError where the zone's files were altered: then it has no end."""
        with contextlib.closing(outlet), contextlib.ExitStack() as held:
            try:
                view = self.opened(request.zone, held)
            except WithheldError as error:
                log.warning("zone %s: not transferred to %s: %s", request.zone, request.client, error)
                outlet.say(Verdict.REFUSED)
                return
            except SnapshotError as error:
                log.error("zone %s: not transferred to %s: %s", request.zone, request.client, error)
                view = None
            if view is None:
                outlet.say(Verdict.FAILED)
                return
            self.send(request, view, outlet)

    def send(self, request: Request, view: ServedZone, outlet: Outlet) -> None:
        outlet.say(Verdict.OK)
        kind, sections = self.sections(request, view)
        sent = outlet.pour(messages(request.head, sections, time.time))
        log.log(
            logging.INFO if kind == "whole" else logging.DEBUG,
            "zone %s: serial %d to %s, %s, %d octets", request.zone, view.serial, request.client, kind, sent,
        )  # fmt: skip

    def opened(self, zone: str, held: contextlib.ExitStack) -> ServedZone | None:
        """What is given away now, its files open until the end of the stack; None where there is nothing. Raises
        SnapshotError, WithheldError."""
        for last in [False] * (TRIES - 1) + [True]:
            pointer = given_pointer(zone_directory(self.data_dir, zone))
            if pointer is None:
                return None
            try:
                with contextlib.ExitStack() as tried:
                    base = self.file(pointer.directory / pointer.base, tried)
                    view = over(base, self.file(pointer.directory / pointer.delta, tried) if pointer.delta else None)
                    held.push(tried.pop_all())
                    return view
            except SnapshotError:
                if last:
                    raise
        raise AssertionError  # the last turn returns or raises

    def file(self, path: Path, held: contextlib.ExitStack) -> SnapshotOnDisk:
        file = held.enter_context(contextlib.closing(SnapshotOnDisk(path, self.verified.get(path))))
        if len(self.verified) >= MAX_VERIFIED:
            self.verified.clear()
        self.verified[path] = file.seen
        return file

    def sections(self, request: Request, view: ServedZone) -> tuple[str, Iterator[Section]]:
        """What the reply has in it, and how that is called."""
        if request.serial is not None and not newer(view.serial, request.serial):
            return "nothing new", iter([(1, soa_record(view.zone, view.serial))])
        step = None
        if request.serial is not None:
            step = Journal(zone_directory(self.data_dir, request.zone)).between(request.serial, view.serial)
        if step is not None and step.size <= size_of(view.base) + size_of(view.delta):
            found = step_sections(step)
            if found.kept <= MAX_KEPT:
                old, new = soa_record(step.zone, step.old), soa_record(step.zone, step.new)
                return "step", stepped(old, new, found.removed, found.added)
        return "whole", whole(view)


def whole(view: ServedZone) -> Iterator[Section]:
    """RFC 5936 section 2.2: the SOA, everything, the SOA. The last one, which no transfer is good without, comes only
    if the files are still what was verified. Raises SnapshotError."""
    soa = 1, soa_record(view.zone, view.serial)
    yield soa
    yield from zone_sections(view)
    for file in (view.base, view.delta):
        if file:
            file.check()
    yield soa


def stepped(old: bytes, new: bytes, removed: Iterator[Section], added: Iterator[Section]) -> Iterator[Section]:
    """RFC 1995 section 4: one difference sequence between the SOA twice."""
    yield 1, new
    yield 1, old
    yield from removed
    yield 1, new
    yield from added
    yield 1, new
