"""A transfer in the courier: from snapshot files and journal to messages, a section at a time.

What is given is what may be given away (`zones.given`): it is read whole, so a publish meanwhile changes nothing in
it. Who has a serial that the journal reaches gets one condensed step (RFC 1995 section 4): others, and who would get
more that way than the zone has in all, or what some secondaries do not survive, get the zone. Of one serial there is
one picture, however many take it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..dns.stream import Section, messages
from ..dns.transfer import newer
from ..errors import SnapshotError, WithheldError
from ..zones.contents import Contents, contents
from ..zones.given import given
from ..zones.journal import Journal
from ..zones.served import ServedZone, zone_directory
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
KEPT = 60.0  # seconds that the last picture stays (25 MB a million): secondaries come one after the other, too
Mark = tuple[int, int, int]  # which file: inode, time and size


class Giving:
    """Gives zones away, each transfer in a thread of its caller's."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.views: dict[str, ServedZone] = {}  # given last, by zone
        self.pictures = Pictures()

    def give(self, request: Request, outlet: Outlet) -> None:
        """Send a transfer, and close its outlet. It blocks for as long as nobody reads."""
        with contextlib.closing(outlet):
            try:
                view = self.view(request.zone)
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
        with contextlib.ExitStack() as held:
            kind, sections = self.sections(request, view, held)
            sent = outlet.pour(messages(request.head, sections, time.time))
        log.log(
            logging.INFO if kind == "whole" else logging.DEBUG,
            "zone %s: serial %d to %s, %s, %d octets", request.zone, view.serial, request.client, kind, sent,
        )  # fmt: skip

    def view(self, zone: str) -> ServedZone | None:
        """What is given away now; None where there is nothing. Raises SnapshotError, WithheldError."""
        for last in [False] * (TRIES - 1) + [True]:
            try:
                view = given(zone_directory(self.data_dir, zone), self.views.get(zone))
            except SnapshotError:
                if last:
                    raise
                continue
            if view is not None:
                self.views[zone] = view
            return view
        raise AssertionError  # the last turn returns or raises

    def sections(self, request: Request, view: ServedZone, held: contextlib.ExitStack) -> tuple[str, Iterator[Section]]:
        """What the reply has in it, and how that is called. Pictures are held until the end of the stack."""
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
        return "whole", whole(held.enter_context(self.pictures.of(view)))


def whole(held: Contents) -> Iterator[Section]:
    """RFC 5936 section 2.2: the SOA, everything, the SOA."""
    soa = 1, soa_record(held.zone, held.serial)
    yield soa
    yield from zone_sections(held)
    yield soa


def stepped(old: bytes, new: bytes, removed: Iterator[Section], added: Iterator[Section]) -> Iterator[Section]:
    """RFC 1995 section 4: one difference sequence between the SOA twice."""
    yield 1, new
    yield 1, old
    yield from removed
    yield 1, new
    yield from added
    yield 1, new


class Pictures:
    """`Contents` of views, made once and kept while anybody takes them away; the last one a while longer."""

    def __init__(self, seconds: float = KEPT) -> None:
        self.seconds = seconds
        self.lock = threading.RLock()
        self.kept: dict[tuple[Mark, ...], Picture] = {}  # by their files
        self.timer = threading.Timer(0, self.sweep)  # what ends that while; not begun

    @contextlib.contextmanager
    def of(self, view: ServedZone) -> Iterator[Contents]:
        key = tuple(file.mark for file in (view.base, view.delta) if file)
        with self.lock:
            picture = self.kept.setdefault(key, Picture())
            picture.users += 1
        try:
            with picture.lock:  # the first one makes it, others wait for that
                picture.held = picture.held or contents(view)
            yield picture.held
        finally:
            with self.lock:
                picture.users -= 1
                self.sweep(picture)
                self.timer.cancel()
                self.timer = threading.Timer(self.seconds, self.sweep)
                self.timer.daemon = True
                self.timer.start()

    def sweep(self, last: Picture | None = None) -> None:
        """Let go of all that nobody takes away, but the last one."""
        with self.lock:
            self.kept = {key: each for key, each in self.kept.items() if each.users or each is last}


class Picture:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.held: Contents | None = None
