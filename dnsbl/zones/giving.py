"""What a publish does for those who take the zone away, before its pointer is swapped: the snapshot of what may be
given away where that is less than everything, the digest of it, and the journal's step.

None of it stops the publish. Where what may be given away cannot be written, the one before stays given, or none: what
is withheld is never in it. It is tried again with the next publish, and every RETRY seconds.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..config import ZoneDef
from ..errors import DnsblError
from ..reputation.exemptions import Exemptions
from ..store.contract import Store
from .checks import check
from .contents import contents
from .difference import step_between
from .given import SHARED
from .journal import Journal
from .maker import WHOLE, Made, Maker
from .served import ServedZone
from .zonemd import digest

__all__ = ["Giving"]

RETRY = 60  # seconds
EXPECTED = (DnsblError, OSError, MemoryError)  # what has a sentence that says enough
log = logging.getLogger("dnsbl.zones")
T = TypeVar("T")


class Giving:
    """One zone's part that is given away. Those who call it hold the zone's lock."""

    def __init__(self, store: Store, zone: ZoneDef, directory: Path) -> None:
        self.store, self.zone = store, zone
        self.shared = Maker(store.shared, zone, directory / SHARED)
        self.journal = Journal(directory)
        self.retry_at: int | None = None  # seconds since 1970; None: all is done
        self.kept: list[int] = []  # as in the pointer
        self.newest = 0
        self.narrowed = False  # some source's terms forbid what they did not
        self.said: dict[str, str] = {}  # what went wrong last, by what was to be done

    def serial(self, maker: Maker) -> int:
        """The newest serial that was given from here; 0: none is."""
        return self.shared.serial() if maker.pointer and maker.pointer.withheld else 0

    def due(self, now: int) -> bool:
        return self.retry_at is not None and now >= self.retry_at

    def look(self, maker: Maker) -> None:
        """Before the store is read: whether terms were changed since the publish before. What they forbid now may still
        be in the files of the shared snapshot, and in the journal as what leaves."""
        pointer, sources = maker.pointer, self.store.sources()
        kept = sorted(number for number, source in sources.items() if not source.redistribute)
        known = pointer.kept if pointer else []
        self.narrowed = bool(pointer and any(number <= pointer.newest for number in set(kept) - set(known)))
        self.kept = known if self.store.touched(1) else kept  # until all is decided by them, they are new
        self.newest = max(sources, default=0)

    def give(self, maker: Maker, made: Made, exempt: Exemptions, force: bool) -> None:
        """All that goes before the swap. `maker` has what is in use, `made` comes next, of which nobody knows yet."""
        before = self.before(maker)
        if self.narrowed:
            before = None
            self.clear_shared()
        pointer = made.pointer
        pointer.kept, pointer.newest = self.kept, self.newest
        pointer.withheld = self.store.withheld_count(self.zone.name)  # counted when everything was read
        if not made.whole and maker.pointer:  # a base that has more than may be given away stays so under any delta
            pointer.withheld = pointer.withheld or maker.pointer.withheld
        pointer.refuses = self.zone.terms == "refuse"
        self.retry_at = None
        if not pointer.withheld:
            self.attempt("a digest", lambda: self.seal(made))
            self.step(before, made.view)
        elif pointer.refuses:
            self.journal.clear()
        else:
            self.share(made.view, before, exempt, force, made.view.made_at)
            shared = self.shared.served
            if shared and shared.serial == made.view.serial and (zonemd := shared.zonemd):
                self.attempt("a digest", lambda: made.seal(zonemd))

    def catch_up(self, maker: Maker, exempt: Exemptions, now: int) -> None:
        """Bring the shared snapshot to the serial in use, where it could not be written at its time."""
        pointer, served = maker.pointer, maker.current()
        if not pointer or not served or not pointer.withheld or pointer.refuses or (self.retry_at or 0) > now:
            return
        before = self.shared.current()
        self.retry_at = None
        if before is None or before.serial != served.serial:
            self.share(served, before, exempt, False, now)

    def before(self, maker: Maker) -> ServedZone | None:
        """What is given away now; None where nothing is. What was shared in other times and is not in use goes."""
        served, pointer = maker.current(), maker.pointer
        if pointer is None or not pointer.withheld:
            self.clear_shared()
            return served
        return None if pointer.refuses else self.shared.current()

    def clear_shared(self) -> None:
        if self.shared.directory.exists():
            self.attempt("the place of what may be given away", lambda: shutil.rmtree(self.shared.directory))

    # what may be given away

    def share(self, view: ServedZone, before: ServedZone | None, exempt: Exemptions, force: bool, now: int) -> None:
        """Bring the shared snapshot to the serial of a view."""
        shared = self.attempt("what may be given away", lambda: self.make(view, exempt, force))
        if shared:
            self.attempt("a digest", lambda: self.seal(shared))
            self.step(before, shared.view)
            self.attempt("what may be given away", lambda: self.shared.take(shared))
        if self.shared.served is None or self.shared.served.serial != view.serial:
            self.retry_at = now + RETRY
            if shared:
                shared.drop()

    def make(self, view: ServedZone, exempt: Exemptions, force: bool) -> Made:
        self.shared.directory.mkdir(exist_ok=True)
        plan, changes = self.shared.plan(force)
        made = self.shared.make(None if plan == WHOLE else changes, exempt, view.seq, view.serial, view.made_at)
        try:
            check(made.view, self.shared.served, force=True)
        except DnsblError:
            made.drop()
            raise
        return made

    def seal(self, made: Made) -> None:
        if self.zone.zonemd:
            made.seal(digest(contents(made.view)))

    # the journal

    def step(self, before: ServedZone | None, after: ServedZone) -> None:
        """Write what changed of what is given away; where that is not known, or too much, nothing leads here."""
        if not self.attempt("the journal", lambda: self.journalled(before, after)):
            self.journal.clear()

    def journalled(self, before: ServedZone | None, after: ServedZone) -> bool:
        step = step_between(before, after) if before else None
        if step is None:
            return False
        self.journal.add(step, sum(file.mark[2] for file in (after.base, after.delta) if file))
        return True

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Do what must not stop a publish; None, and said why, where it failed."""
        try:
            done = work()
        except Exception as error:  # a fault of ours too: the zone goes on to be published
            if self.said.get(what) != str(error):
                trace = None if isinstance(error, EXPECTED) else error
                log.error(
                    "zone %s: %s cannot be written: %s", self.zone.name, what, error or "no memory", exc_info=trace
                )
                self.said[what] = str(error)
            return None
        if self.said.pop(what, None) is not None:
            log.warning("zone %s: %s is written again", self.zone.name, what)
        return done
