"""What all doings at the desk share: the store, the rules of now, and what was looked up a moment ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .. import clock
from ..config import FeedDef, ZoneDef
from ..errors import IntakeError
from ..intake.formats import NetworksOf
from ..reputation.guard import Guard
from ..reputation.sweep import PLAIN_GUARD, ExemptionCache
from ..reputation.trust import judge
from ..store import Source, Store

__all__ = ["OPERATOR", "DeskBase", "by_key", "person_of"]

OPERATOR = "operator"  # who does what the command line does: who has the shell has the store
FRESH = 60  # seconds for which a figure that takes long is shown again: a page may ask for it every few
MAX_FIGURES = 64  # kept at once
KEY = " by key "
T = TypeVar("T")


def by_key(maker: str, name: str) -> str:
    """Who does what is done with a key, for the audit trail: the person who made it, and the key."""
    return f"{maker}{KEY}{name}"


def person_of(who: str) -> str:
    """Whose hand it is. Names of people have no blanks."""
    return who.partition(KEY)[0]


class DeskBase:
    """`zones` and `feeds` are the ones of now, whenever they are asked; `quarantine` is the directory where feeds'
    content is kept that was not believed."""

    def __init__(
        self,
        store: Store,
        zones: Callable[[], Mapping[str, ZoneDef]],
        exemptions: ExemptionCache,
        guard: Guard = PLAIN_GUARD,
        feeds: Callable[[], Mapping[str, FeedDef]] = dict,
        quarantine: Path = Path("quarantine"),
        networks_of: NetworksOf | None = None,
    ) -> None:
        self.store, self.zones, self.exemptions, self.guard = store, zones, exemptions, guard
        self.feeds, self.quarantine, self.networks_of = feeds, quarantine, networks_of
        self.figuring = threading.RLock()
        self.figures: dict[Hashable, tuple[float, Any]] = {}

    def source(self, name: str) -> Source:
        """Raises IntakeError where there is none of that name."""
        found = next((source for source in self.store.sources().values() if source.name == name), None)
        if found is None:
            raise IntakeError(f"no source {name!r}; `dnsbl source list` shows what there is")
        return found

    def names(self) -> dict[int, str]:
        """The names of sources, read once for many rows."""
        return {source.id: source.name for source in self.store.sources().values()}

    def name_of(self, source: int) -> str:
        return self.names()[source]

    def judge(self, now: int) -> None:
        """Bring partners' trust up to date with their mistakes."""
        for name, (before, after) in judge(self.store, now).items():
            self.store.audit(now, "trust", "source trust", name, f"{before:.3f} -> {after:.3f}")

    def audit(self, who: str, what: str, subject: str, why: str = "") -> None:
        self.store.audit(clock.now(), who, what, subject, why)

    # figures that take long

    def figure(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` says, or said within FRESH. One is made at a time: whoever asks meanwhile waits for it."""
        with self.figuring:
            figures: dict[Hashable, tuple[float, Any]] = self.figures
            made = figures.pop(what, None)
            if made is None or time.monotonic() - made[0] > FRESH:
                value = make()
                made = time.monotonic(), value
            while len(figures) >= MAX_FIGURES:
                figures.pop(next(iter(figures)))
            figures[what] = made  # the last, as it was asked for last
            found: T = made[1]
            return found

    def outdated(self) -> None:
        """A deed was done: what was figured before it, or is being figured, is not shown any more."""
        self.figures = {}
