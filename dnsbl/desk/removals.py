"""Removals at the desk: the queue, everything that is needed to decide on one screen, and the decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..geo import Networks
from ..removal.machine import OPEN, PERSON
from ..removal.reasons import from_json
from ..removal.requests import Removals
from ..store import Store
from ..store.contract.removals import Removal
from ..subjects import is_ip, kind, text

__all__ = ["RemovalDesk", "removal_row"]

EARLIER = 10  # other requests for the same subject that are shown
QUEUE = 50  # requests of the queue at once
ANSWER_DAYS = 2  # within which a person should have answered (RFC 6471 section 2.2.3)


class RemovalDesk:
    """`check` gives everything about a subject, as `App.check`; `networks` whose addresses are whose."""

    def __init__(
        self,
        removals: Removals,
        check: Callable[[str], dict[str, Any]],
        networks: Callable[[], Networks] = Networks.none,
    ) -> None:
        self.removals, self.check, self.networks = removals, check, networks

    def rows(
        self,
        states: Collection[str] = (),
        subject: bytes | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The newest first; without states and subject those that are open. `before` a number: the next page."""
        states = states or (() if subject is not None else OPEN)
        store = self.removals.store
        return [removal_row(store, each) for each in store.removals(states, subject, before, limit)]

    # the queue

    def queue(self, after: int | None = None, limit: int = QUEUE) -> list[dict[str, Any]]:
        """Those that wait for a person, the longest first; `after` a number: those behind it. Reads no others."""
        store, beside = self.removals.store, self.place(after) if after is not None else (0, 0)
        return [removal_row(store, each) for each in store.removals_waiting(PERSON, limit, beside)]

    def counts(self) -> dict[str, int]:
        """How many wait for a person, and how many of them for too long."""
        store = self.removals.store
        overdue = store.count_overdue(PERSON, clock.now() - ANSWER_DAYS * clock.DAY)
        return {"waiting": store.count_removals((PERSON,)), "overdue": overdue}

    def beside(self, number: int) -> dict[str, int | None]:
        """The numbers before and after one in the queue; after the last comes the first. None: no other waits."""
        place, waiting = self.place(number), self.removals.store.removals_waiting
        following = [*waiting(PERSON, 1, place), *waiting(PERSON, 1)]
        earlier = waiting(PERSON, 1, place, back=True)
        return {
            "previous": next((each.id for each in earlier), None),
            "next": next((each.id for each in following if each.id != number), None),
        }

    def place(self, number: int) -> tuple[int, int]:
        """Where a request is in the queue, or was before it was decided. Raises IntakeError."""
        found = self.find(number)
        if found.state == PERSON:
            return found.changed, found.id
        waited = [event.at for event in self.removals.store.removal_events(number) if event.state == PERSON]
        return waited[-1] if waited else found.changed, found.id

    # one of them

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
        store = self.removals.store
        earlier = store.removals((), found.subject, limit=EARLIER + 1)
        return {
            **removal_row(store, found),
            **self.whereabouts(found),
            "history": [
                {
                    "at": clock.rfc3339(event.at),
                    "state": event.state,
                    "who": event.who,
                    **told(event.why),
                }
                for event in store.removal_events(number)
            ],
            "mails": self.mails(found),
            "queue": self.beside(number),
            "earlier": [removal_row(store, each) for each in earlier if each.id != number][:EARLIER],
            "check": self.check(text(found.subject)),
        }

    def mails(self, found: Removal) -> list[dict[str, Any]]:
        """What became of the mails that asked for proof; to whom they went is not said here. `said` is untrusted."""
        return [
            {"at": clock.rfc3339(mail.at), "state": mail.state, "tries": mail.tries, "said": mail.said}
            for mail in self.removals.mails(found)
        ]

    def whereabouts(self, found: Removal) -> dict[str, Any]:
        """The network that removals are counted by, its autonomous system and country, where they are known."""
        networks = self.networks()
        return {
            "network": text(found.network),
            "asn": found.asn,
            "asn_name": networks.name(found.asn) or None if found.asn is not None else None,
            "country": networks.country(found.subject) if is_ip(found.subject) else None,
        }

    def decide(self, number: int, grant: bool, answer: str, who: str, firm: bool = False) -> dict[str, Any]:
        """A person decides; the caller settles. Raises IntakeError where it does not wait for one any more."""
        decided = self.removals.decide(number, grant, who, answer, clock.now(), firm)
        return removal_row(self.removals.store, decided)


def told(why: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Reasons in English, and as they are kept: to be said in another language."""
    return {"reasons": [str(reason.phrase()) for reason in from_json(why)], "why": [dict(each) for each in why]}


def removal_row(store: Store, found: Removal) -> dict[str, Any]:
    """A request as the desk sees it. `said` is a stranger's words."""
    ends = store.removal_ends(found.subject, found.zones) if found.granted is not None else None
    return {
        "id": found.id,
        "subject": text(found.subject),
        "kind": kind(found.subject),
        "zones": list(found.zones),
        "state": found.state,
        "way": found.way,
        "requester": found.requester or None,
        "proof": found.proof or None,
        **told(found.why),
        "asked_at": clock.rfc3339(found.at),
        "changed_at": clock.rfc3339(found.changed),
        "overdue": found.state == PERSON and found.changed < clock.now() - ANSWER_DAYS * clock.DAY,
        "expires": clock.rfc3339(found.expires),
        "exempt_until": clock.rfc3339(ends),
        "said": found.said,
        "decider": found.decider or None,
        "answer": found.answer or None,
    }
