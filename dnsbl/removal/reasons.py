"""Why a removal went as it did, as words that are kept and sentences that are said. Each reason is a word of REASONS
and its values; times are seconds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import clock
from ..phrases import N_, Phrase

__all__ = ["REASONS", "Reason", "from_json", "to_json"]

REASONS: dict[str, str] = {
    "not-listed": N_("It is not listed in any of these zones, so there is nothing to remove."),
    "exempt": N_("It is exempt already; DNS follows within seconds."),
    "still-arriving": N_(
        "It was still reported at %(last)s (%(category)s). First end what causes that; once nothing is reported for "
        "%(quiet)s, a removal is possible: from %(until)s on."
    ),
    "cool-down": N_(
        "It is listed again after a removal (removals lately: %(times)s). The pause after a removal doubles each time; "
        "the next one by this form is possible from %(until)s on."
    ),
    "requester-limit": N_(
        "So many removals were granted to requests from your network within a day that the next is possible at "
        "%(until)s."
    ),
    "network-limit": N_(
        "So many removals were granted in this network within a day that the next is possible at %(until)s."
    ),
    "asn-limit": N_(
        "So many removals were granted in this provider's networks within a day that the next is possible at %(until)s."
    ),
    "open-limit": N_(
        "There are %(open)s open requests from your network already. Ask again when some of them are closed."
    ),
    "waits-already": N_("Others asked for it, and a person looks at that already. Ask again once it is decided."),
    "no-proof": N_("Nobody has shown within %(days)s days that it is theirs. You can ask again at any time."),
    "withdrawn": N_("The request was withdrawn."),
    "relisted": N_("It was reported again and is listed again, before its removal could be seen in DNS."),
    "category": N_("Listings for %(category)s are looked at by a person; a reviewer decides."),
    "wider": N_(
        "The listing is for %(listing)s, which is wider than what you ask for; a reviewer decides whether a part of it "
        "is let out."
    ),
    "network": N_("Removals of networks as wide as %(subject)s are decided by two people."),
    "unprovable": N_("For this kind of entry nothing can be proven automatically; a reviewer decides."),
    "appeal": N_("You asked for a person to look at it."),
    "proof": N_("The zone %(zone)s needs proof that it is yours before anything else."),
    "granted": N_("Nothing speaks against it: the rules of the zones are met."),
    "by-person": N_("A reviewer has decided."),
    "published": N_("DNS no longer answers that it is listed."),
    "closed": N_("The time for an appeal is over."),
    "asked": N_("The request has arrived."),
    "proven-address": N_("The request came from the address itself."),
    "proven-mailbox": N_("The link that was mailed was opened, and confirmed."),
    "proven-dns": N_("The DNS record was found."),
    "proven-range": N_("Whoever answers for the network has confirmed."),
}
MOMENTS = ("last", "until")  # values that are times
LENGTHS = ("quiet",)  # values that are lengths of time, in seconds


@dataclass(slots=True, frozen=True)
class Reason:
    """One reason. `values` are those of its sentence."""

    word: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def phrase(
        self,
        moment: Callable[[str], str] = lambda at: f"{at[:10]} {at[11:16]} UTC",
        length: Callable[[int], str] = lambda seconds: f"{seconds // 60} minutes",
    ) -> Phrase:
        """The sentence, its moments (from RFC 3339) and lengths of time (from seconds) written by those who know the
        reader's language; as they stand, in English."""
        shown = dict(self.values)
        shown |= {name: moment(clock.rfc3339(shown[name]) or "") for name in MOMENTS if name in shown}
        shown |= {name: length(shown[name]) for name in LENGTHS if name in shown}
        return Phrase(REASONS[self.word], shown)

    @property
    def until(self) -> int | None:
        """From when on asking again makes sense."""
        return self.values.get("until")


def to_json(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    return [{"word": reason.word, "values": dict(reason.values)} for reason in reasons]


def from_json(kept: Iterable[Mapping[str, Any]]) -> list[Reason]:
    return [Reason(each["word"], each["values"]) for each in kept]
