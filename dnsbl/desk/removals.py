"""Removals at the desk: the queue, everything that is needed to decide on one screen, and the decision."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..removal.machine import OPEN, PERSON
from ..removal.reasons import from_json
from ..removal.requests import Removals
from ..store.contract.removals import Removal
from ..subjects import kind, text

__all__ = ["RemovalDesk", "removal_row"]

EARLIER = 10  # other requests for the same subject that are shown
ANSWER_DAYS = 2  # within which a person should have answered (RFC 6471 section 2.2.3)


class RemovalDesk:
    """`check` gives everything about a subject, as `App.check`."""

    def __init__(self, removals: Removals, check: Callable[[str], dict[str, Any]]) -> None:
        self.removals, self.check = removals, check

    def rows(
        self,
        states: Collection[str] = (),
        subject: bytes | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The newest first; without states and subject those that are open. `before` a number: the next page."""
        states = states or (() if subject is not None else OPEN)
        return [removal_row(each) for each in self.removals.store.removals(states, subject, before, limit)]

    def find(self, number: int) -> Removal:
        """Raises IntakeError where there is none."""
        found = self.removals.store.removal(number)
        if found is None:
            raise IntakeError(f"no removal {number}; `dnsbl removal list` shows what there is")
        return found

    def waiting(self, number: int) -> Removal:
        """One that waits for a person. Raises IntakeError."""
        found = self.find(number)
        if found.state != PERSON:
            raise IntakeError(f"removal {number} is {found.state}: there is nothing to decide")
        return found

    def show(self, number: int) -> dict[str, Any]:
        """One request with its moves, the earlier ones for its subject, and why that is listed."""
        found = self.find(number)
        earlier = self.removals.store.removals((), found.subject, limit=EARLIER + 1)
        return {
            **removal_row(found),
            "history": [
                {
                    "at": clock.rfc3339(event.at),
                    "state": event.state,
                    "who": event.who,
                    "reasons": [str(reason.phrase()) for reason in from_json(event.why)],
                }
                for event in self.removals.store.removal_events(number)
            ],
            "earlier": [removal_row(each) for each in earlier if each.id != number][:EARLIER],
            "check": self.check(text(found.subject)),
        }

    def decide(self, number: int, grant: bool, answer: str, who: str, firm: bool = False) -> dict[str, Any]:
        """A person decides; the caller settles. Raises IntakeError where it does not wait for one any more."""
        return removal_row(self.removals.decide(number, grant, who, answer, clock.now(), firm))


def removal_row(found: Removal) -> dict[str, Any]:
    """A request as the desk sees it. `said` is a stranger's words."""
    return {
        "id": found.id,
        "subject": text(found.subject),
        "kind": kind(found.subject),
        "zones": list(found.zones),
        "state": found.state,
        "way": found.way,
        "requester": found.requester or None,
        "proof": found.proof or None,
        "reasons": [str(reason.phrase()) for reason in from_json(found.why)],
        "asked_at": clock.rfc3339(found.at),
        "changed_at": clock.rfc3339(found.changed),
        "overdue": found.state == PERSON and found.changed < clock.now() - ANSWER_DAYS * clock.DAY,
        "expires": clock.rfc3339(found.expires),
        "exempt_until": clock.rfc3339(found.until),
        "said": found.said,
        "decider": found.decider or None,
        "answer": found.answer or None,
    }
