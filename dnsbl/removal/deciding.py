"""Decisions on removals: what is known of a request, what the rules make of it, and what a grant does.

A move, what it writes and the exemption of a grant are one transaction: whoever was told "granted" is off the list
after any crash, once the next settling has published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..clock import DAY
from ..config import ZoneDef
from ..keyed import Keyed
from ..reputation.explain import ZoneView
from ..store.contract import Exemption, Store
from ..store.contract.removals import Removal
from ..subjects import text
from . import machine, proofs
from .machine import ASKED, GRANTED, OPEN, PERSON, REFUSED
from .reasons import Reason, to_json
from .rules import Case, Grants, Stand, Verdict, enough, needed
from .standing import grace, stand_of

__all__ = ["APPEAL_DAYS", "PROOF_DAYS", "RULES", "Deciding"]

PROOF_DAYS = 7  # how long a proof may take
APPEAL_DAYS = 14  # how long a refused request can be given to a person
ORIGIN = "removal"  # of the exemptions
PARTNER = "partner"  # the way of a request that came with a key
RULES = "rules"  # who moved it, where the rules did


class Deciding:
    """`zones` are those of now; `explain` gives a subject's views; `asn` its autonomous system; `answered` whether DNS
    still answers it in a zone; `mail`, `dns`, `rdap`: what there is to ask for proof with."""

    def __init__(
        self,
        store: Store,
        zones: Callable[[], Mapping[str, ZoneDef]],
        explain: Callable[[bytes, int], list[ZoneView]],
        asn: Callable[[bytes], int | None],
        answered: Callable[[str, bytes], bool],
        keyed: Callable[[], Keyed],
        mail: bool = False,
        dns: bool = True,
        rdap: bool = True,
    ) -> None:
        self.store, self.zones, self.explain, self.asn, self.answered = store, zones, explain, asn, answered
        self.keyed, self.mail, self.dns, self.rdap = keyed, mail, dns, rdap

    def case(self, removal: Removal, now: int) -> Case:
        """All that is known of a request now."""
        views = [view for view in self.explain(removal.subject, now) if view.zone.policy.exempt]
        wanted = [view for view in views if not removal.zones or view.zone.name in removal.zones]
        kinds = {source.name: source.kind for source in self.store.sources().values()}
        stands = [stand_of(view, removal.subject, kinds) for view in wanted if view.codes]
        case = Case(
            removal.subject,
            stands,
            self.grants(removal, stands, now),
            removal.proof,
            True,
            now,
            self.store.count_removals(OPEN, requester=removal.requester) - (removal.id > 0) if removal.requester else 0,
            any(view.exempt and view.listings for view in wanted),
            self.store.count_removals((PERSON,), subject=removal.subject),
        )
        return replace(case, provable=enough(case) or bool(self.offered(removal.subject, needed(case))))

    def grants(self, removal: Removal, stands: Sequence[Stand], now: int) -> Grants:
        memory = max((stand.zone.removal.memory for stand in stands), default=0)
        names = [stand.zone.name for stand in stands]
        times = self.store.granted_times
        # A partner cleans up what it owns: that is bounded by what it owns. Of what it does not, a key is no more.
        owner = removal.way == PARTNER and removal.proof == "range"
        return Grants(
            times("subject", removal.subject, now - memory, names),
            times("requester", removal.requester, now - DAY) if removal.requester and not owner else (),
            times("network", removal.network, now - DAY),
            times("asn", removal.asn, now - DAY) if removal.asn is not None else (),
        )

    def follow(self, removal: Removal, verdict: Verdict, case: Case, now: int) -> None:
        """Do what the rules decided. Within a transaction."""
        if verdict.state == GRANTED:
            self.grant(removal, case.stands, RULES, verdict.reasons, now)
        else:
            self.move(removal, verdict.state, RULES, verdict.reasons, now, expires=self.expiry(verdict.state, now))

    def expiry(self, state: str, now: int) -> int | None:
        days = {ASKED: PROOF_DAYS, REFUSED: APPEAL_DAYS}.get(state)
        return now + days * DAY if days else None

    def grant(
        self,
        removal: Removal,
        stands: Sequence[Stand],
        who: str,
        reasons: Sequence[Reason],
        now: int,
        firm: bool = False,
        note: str = "",
        **changes: Any,
    ) -> bool:
        """Exempt it, in one transaction with the move. `firm`: new reports do not end it. `note`: why, for the list of
        exemptions. False where somebody else decided first."""
        ends = [now + grace(stand, removal.subject) for stand in stands]
        with self.store.transaction():
            until = min(ends, default=now)
            if not self.move(removal, GRANTED, who, reasons, now, granted=now, until=until, expires=now, **changes):
                return False
            for stand, end in zip(stands, ends, strict=True):
                made = Exemption(
                    removal.subject,
                    note or f"removal {removal.id}",
                    ORIGIN,
                    stand.zone.name,
                    now,
                    end,
                    yields=not firm,
                )
                self.store.add_exemption(made)
        return True

    def move(self, removal: Removal, state: str, who: str, reasons: Sequence[Reason], now: int, **changes: Any) -> bool:
        """One move and its place in the audit trail. False where the request is in another state by now."""
        assert machine.may_follow(state, removal.state), (removal.state, state)
        with self.store.transaction():
            if not self.store.move_removal(removal.id, removal.state, state, now, who, to_json(reasons), **changes):
                return False
            if state not in OPEN:
                self.store.forget_targets(removal.id)  # a mail address that was told to us has done its work
            said = ", ".join(reason.word for reason in reasons)
            self.store.audit(now, who, f"removal {state}", text(removal.subject), f"{removal.id}: {said}")
        return True

    def offered(self, subject: bytes, least: str) -> list[str]:
        return proofs.ways(subject, least, self.mail, self.dns, self.rdap)

    def again(self, removal: Removal) -> Removal:
        """As the store has it now."""
        found = self.store.removal(removal.id)
        assert found is not None
        return found
