"""What waits for a person, and what is decided of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..reputation.guard import APPROVED, HELD, REJECTED
from ..reputation.holding import relatives, touch_family
from ..reputation.simulation import claimed
from ..store import Attempt, Hold
from ..subjects import text
from .base import OPERATOR, DeskBase

__all__ = ["MAX_SHOWN", "WaitingPart"]

MAX_SHOWN = 100  # overturned claims and attempts shown at once


class WaitingPart(DeskBase):
    def waiting(self, everything: bool = False) -> dict[str, Any]:
        """What waits for a person, and who tried to have listed what may not be. How much is claimed by now is a minute
        old at most."""
        holds = [hold for hold in self.store.holds() if everything or hold.state == HELD]
        names = self.names()
        return {
            "holds": self.hold_rows(holds),
            "attempts": [attempt_row(attempt, names) for attempt in self.store.attempts(MAX_SHOWN)],
        }

    def hold(self, number: int) -> Hold:
        """Raises IntakeError where nothing of that number is held."""
        hold = next((hold for hold in self.store.holds() if hold.id == number), None)
        if hold is None:
            raise IntakeError(f"nothing with number {number} is held; `dnsbl review list --all` shows all")
        return hold

    def decide(
        self, number: int, approve: bool, note: str, until: int | None = None, who: str = OPERATOR
    ) -> dict[str, Any]:
        """Approve or reject what is held, with what its family has waiting in the same place, and decide anew what they
        claim. Raises IntakeError where nothing of that number is held."""
        now = clock.now()
        state = APPROVED if approve else REJECTED
        with self.store.transaction():
            hold = self.hold(number)
            for each in [*self.held_with(hold), hold]:
                decided = replace(each, state=state, decided=now, until=until if approve else None, note=note)
                self.store.put_hold(decided)
                self.store.audit(now, who, f"hold {state}", f"{self.name_of(each.source)} {each.place}", note)
            touch_family(self.store, {hold.source})
            self.judge(now)
        self.outdated()
        return self.hold_row(decided, 0, self.names())

    def held_with(self, hold: Hold) -> list[Hold]:
        """What the family's other sources have waiting in the same place."""
        family = relatives(self.store, {hold.source})
        there = [each for each in self.store.holds() if (each.zone, each.place) == (hold.zone, hold.place)]
        return [each for each in there if each.id != hold.id and each.state == HELD and each.source in family]

    def hold_rows(self, holds: list[Hold]) -> list[dict[str, Any]]:
        waiting = frozenset(hold.id for hold in holds if hold.state == HELD and hold.until is None)
        found = self.figure(("claimed", waiting), lambda: claimed(self.store, self.guard, holds))
        names = self.names()
        return [self.hold_row(hold, found.get(hold.id, 0), names) for hold in holds]

    def hold_row(self, hold: Hold, claims: int, names: Mapping[int, str]) -> dict[str, Any]:
        """`claims`: addresses of the place that the source claims by now, which approving lists."""
        amount, size = max(hold.listings, claims), self.guard.size(hold.place)
        share = min(1.0, amount / size) if size else hold.share
        return {
            "id": hold.id,
            "source": names[hold.source],
            "zone": hold.zone,
            "place": hold.place,
            "why": hold.why,
            "listings": hold.listings,
            "claimed": amount,
            "percent": None if share is None else round(100 * share, 4),
            "at": clock.rfc3339(hold.at),
            "state": hold.state,
            "until": clock.rfc3339(hold.until),
            "note": hold.note,
        }


def attempt_row(attempt: Attempt, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "source": names[attempt.source],
        "subject": text(attempt.subject),
        "why": attempt.why,
        "first": clock.rfc3339(attempt.first),
        "last": clock.rfc3339(attempt.last),
        "count": attempt.count,
    }
