"""What a source claimed is taken away, and put back (RFC 6471 section 3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..store import Purge, Source
from .base import OPERATOR, DeskBase

__all__ = ["VOICES", "PurgingPart"]

VOICES = ("-content", "-proven")  # what the names of a source of mail's other voices end in


class PurgingPart(DeskBase):
    def purge(
        self, name: str, reason: str, since: int | None, until: int | None, who: str = OPERATOR
    ) -> dict[str, Any]:
        """Take away what a source claimed, and its other voices. They are simulated from then on, until released.
        "also" has what was taken with the first. Raises IntakeError where nothing can be taken."""
        source, now = self.source(name), clock.now()
        with self.store.transaction():
            taken = [self.store.purge(voice.id, reason, now, since, until) for voice in self.voices(source)]
            done = [purge for purge in taken if purge.id]
            if not done:
                raise IntakeError(f"{name} claimed nothing then: nothing to take away")
            for purge in done:
                self.store.set_source(purge.source, simulated=True)
                self.store.audit(now, who, "source purge", self.name_of(purge.source), reason)
        self.outdated()
        return self.purges_row(done)

    def undo_purge(self, number: int, who: str = OPERATOR) -> dict[str, Any]:
        """Put back what a purge took, and what was taken with it. Raises StoreError where it is not there any more."""
        now = clock.now()
        with self.store.transaction():
            done = [self.store.undo_purge(each, now) for each in [number, *self.taken_with(number)]]
            for purge in done:
                self.store.audit(now, who, "source undo", self.name_of(purge.source), f"purge {purge.id}")
        self.outdated()
        return self.purges_row(done)

    def voices(self, source: Source) -> list[Source]:
        """A source and its other voices: mail is believed by several names. A partner's name makes it no voice."""
        names = {source.name + voice for voice in VOICES} if source.kind != "partner" else set()
        return [source, *(s for s in self.store.sources().values() if s.name in names and s.kind == source.kind)]

    def taken_with(self, number: int) -> list[int]:
        """The other purges of the same deed that stand."""
        purges = {purge.id: purge for purge in self.store.purges() if purge.undone is None}
        this = purges.pop(number, None)
        return [other.id for other in purges.values() if this is not None and self.same_deed(this, other)]

    def same_deed(self, one: Purge, other: Purge) -> bool:
        first, second = (self.store.sources()[purge.source] for purge in (one, other))
        related = first.kind == second.kind != "partner" and root_of(first.name) == root_of(second.name)
        deeds = {(purge.at, purge.reason, purge.since, purge.until) for purge in (one, other)}
        return related and len(deeds) == 1

    def purges_row(self, purges: list[Purge]) -> dict[str, Any]:
        """What was taken or put back at once: the first, and under "also" the others."""
        names = self.names()
        first, *others = (purge_row(purge, names) for purge in purges)
        return {**first, "also": others} if others else first

    def purge_rows(self) -> list[dict[str, Any]]:
        names = self.names()
        return [purge_row(purge, names) for purge in self.store.purges()]


def root_of(name: str) -> str:
    """A source's name without what its other voices end in."""
    for voice in VOICES:
        name = name.removesuffix(voice)
    return name


def purge_row(purge: Purge, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": purge.id,
        "source": names[purge.source],
        "at": clock.rfc3339(purge.at),
        "since": clock.rfc3339(purge.since),
        "until": clock.rfc3339(purge.until),
        "reason": purge.reason,
        "reports": purge.reports,
        "entries": purge.entries,
        "undone": clock.rfc3339(purge.undone),
    }
