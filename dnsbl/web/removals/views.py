"""A removal as a document: what its private page shows and the API sends. Nothing in it tells who else asked, who
reported, or who at the desk decided."""

from __future__ import annotations

from typing import Any

from ... import clock
from ...removal.machine import ASKED, DONE, REFUSED
from ...removal.reasons import from_json
from ...removal.requests import Removals
from ...store.contract.removals import Removal
from ...subjects import kind, text
from ..filters import explained
from ..language import Language

__all__ = ["said", "view"]


def view(removals: Removals, removal: Removal, link: str, language: Language, now: int) -> dict[str, Any]:
    """The request as its requester sees it. Reads the store: in a thread."""
    asked = removal.state == ASKED
    return {
        "id": link,
        "subject": text(removal.subject),
        "kind": kind(removal.subject),
        "zones": list(removal.zones),
        "state": removal.state,
        "reasons": said(removal.why, language),
        "not_before": clock.rfc3339(not_before(removal)),
        "may_ask_again": removal.state in (REFUSED, DONE) and (not_before(removal) or now) <= now,
        "asked_at": clock.rfc3339(removal.at),
        "changed_at": clock.rfc3339(removal.changed),
        "expires": clock.rfc3339(removal.expires if asked else None),
        "exempt_until": clock.rfc3339(removals.ends(removal)),
        "ends_when_reported": removals.store.removal_yields(removal.subject, removal.zones),
        "proof": removal.proof or None,
        "proofs": removals.ways(removal, now) if asked else [],
        "records": [
            {"names": names, "type": "TXT", "value": value, "expires": clock.rfc3339(expires)}
            for names, value, expires in (removals.records(removal) if asked else [])
        ],
        "mails": mails(removals, removal) if asked else [],
        "answer": removal.answer or None,
        "may_appeal": removals.may_appeal(removal),
        "may_withdraw": removals.may_withdraw(removal),
        "history": [
            {"at": clock.rfc3339(event.at), "state": event.state, "reasons": said(event.why, language)}
            for event in removals.store.removal_events(removal.id)
        ],
    }


def mails(removals: Removals, removal: Removal) -> list[dict[str, Any]]:
    """What became of the mails that ask for proof, the newest last. Nothing of a hash's: it would tell whether a
    guessed address was right."""
    if kind(removal.subject) == "hash":
        return []
    return [{"at": clock.rfc3339(mail.at), "state": mail.state} for mail in removals.mails(removal)]


def said(why: Any, language: Language) -> list[dict[str, str]]:
    """Reasons in words of a language."""
    reasons = zip(from_json(why), explained(why, language), strict=True)
    return [{"reason": reason.word, "said": sentence} for reason, sentence in reasons]


def not_before(removal: Removal) -> int | None:
    """From when on asking again makes sense."""
    return max((reason.until for reason in from_json(removal.why) if reason.until), default=None)
