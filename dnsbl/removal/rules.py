"""The decision tree: what becomes of a request for removal, by the rules of the zones that list its subject. Pure.

    not listed in these zones?                             -> refused
    reported within `quiet`?                               -> refused, until it has been quiet
    within the pause after the last removal?               -> refused, until it is over (it doubles each time)
    a day's removals of requester, network, provider done? -> refused, until the next day of theirs
    nothing can be proven, and others' wait for a person?  -> refused
    no proof yet, and there are ways to prove it?          -> proof-asked, at least the strength its categories need
    a category that a person decides, a listing wider than
    the subject, a wide network, nothing that can be proven -> to-person
    else                                                   -> granted

Where several zones list it, the strictest answer holds for the request: one may ask for some zones only. Nothing here
knows of money, or of who is asking beyond where the request came from (RFC 6471 section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..clock import DAY
from ..config import PROOFS, ZoneDef
from ..config.zone import Removal
from ..special import STRANGERS_WIDEST
from ..subjects import is_ip, network, text
from .machine import ASKED, GRANTED, PERSON, REFUSED
from .proofs import single
from .reasons import Reason

__all__ = [
    "DECLARED", "MAX_OPEN", "MAX_WAITING", "Case", "Grants", "Stand", "Verdict", "decide", "enough", "needed", "wide",
]  # fmt: skip

DECLARED = frozenset(("dynamic", "hosting"))  # no reproach: a single address may be let out of a declared range
MAX_WAITING = 5  # requests about one subject that wait for a person unproven: strangers cannot fill the desk with it
MAX_OPEN = 20  # requests from one /24 or /64 at once: what a person has to look at is bounded by who asks


@dataclass(slots=True, frozen=True)
class Stand:
    """How a subject stands in one zone that lists it."""

    zone: ZoneDef
    categories: frozenset[str]  # that weigh something there now
    reported: tuple[int, str] | None  # when somebody last reported it, not a list, and as what
    wider: tuple[bytes, frozenset[str]] | None  # a listing of something wider, and its categories

    @property
    def declared(self) -> bool:
        """Whether it is only listed for what was declared of its network."""
        return bool(self.categories) and self.categories <= DECLARED


@dataclass(slots=True, frozen=True)
class Grants:
    """When removals were granted, oldest first: of the subject within its memory, to whoever asks and around the
    subject within a day."""

    subject: Sequence[int] = ()
    requester: Sequence[int] = ()
    network: Sequence[int] = ()
    asn: Sequence[int] = ()


@dataclass(slots=True, frozen=True)
class Case:
    """All that is known when a request is decided."""

    subject: bytes
    stands: Sequence[Stand]
    grants: Grants
    proof: str  # one of PROOFS; "": none yet
    provable: bool  # whether there is any way to prove that it is theirs
    now: int
    open: int = 0  # other requests of whoever asks that are not decided
    exempt: bool = False
    waiting: int = 0  # other requests about it that wait for a person


@dataclass(slots=True, frozen=True)
class Verdict:
    state: str  # ASKED, GRANTED, REFUSED or PERSON
    reasons: Sequence[Reason]


def decide(case: Case) -> Verdict:
    """What comes next for a request."""
    refusals = [reason for rule in REFUSING for reason in rule(case)]
    if refusals:
        return Verdict(REFUSED, refusals)
    if case.provable and not enough(case):
        return Verdict(ASKED, [Reason("proof", {"zone": names(case)})])
    wanted = [reason for rule in PERSONAL for reason in rule(case)]
    return Verdict(PERSON, wanted) if wanted else Verdict(GRANTED, [Reason("granted")])


def needed(case: Case) -> str:
    """The weakest proof that will do for everything that lists the subject."""
    strengths = [PROOFS.index(stand.zone.removal.weakest(c)) for stand in case.stands for c in stand.categories]
    least = max(strengths, default=0)
    if single(case.subject):
        return PROOFS[least]
    return PROOFS[max(least, PROOFS.index("dns"))]  # a network is nobody's own address, and has no one name


def enough(case: Case) -> bool:
    """Whether what was proven will do."""
    return bool(case.proof) and PROOFS.index(case.proof) >= PROOFS.index(needed(case))


def names(case: Case) -> str:
    return ", ".join(stand.zone.name for stand in case.stands)


def wide(subject: bytes) -> bool:
    """Whether a removal of it takes two people."""
    return is_ip(subject) and network(subject)[2] < STRANGERS_WIDEST[network(subject)[0]]


# what refuses


def nothing_listed(case: Case) -> Iterator[Reason]:
    if not case.stands:  # else it is exempt in other zones only
        yield Reason("exempt" if case.exempt else "not-listed")


def still_reported(case: Case) -> Iterator[Reason]:
    waits = [(s.reported[0] + s.zone.removal.quiet, *s.reported) for s in case.stands if s.reported]
    until, last, category = max(waits, default=(0, 0, ""))
    if until > case.now:
        values = {"last": last, "category": category, "quiet": until - last, "until": until}
        yield Reason("still-arriving", values)


def cooling_down(case: Case) -> Iterator[Reason]:
    ends = []
    for stand in case.stands:
        rules = stand.zone.removal
        before = [at for at in case.grants.subject if at > case.now - rules.memory]
        if before:
            pause = min(rules.cool_down * 2 ** min(len(before) - 1, 30), rules.max_cool_down)
            ends.append((before[-1] + pause, len(before)))
    until, times = max(ends, default=(0, 0))
    if until > case.now:
        yield Reason("cool-down", {"times": times, "until": until})


def day_is_full(word: str, of: Callable[[Case], tuple[Sequence[int], int]]) -> Callable[[Case], Iterator[Reason]]:
    """A rule about how many removals a day: `of` a case gives those granted within a day, and how many may be."""

    def rule(case: Case) -> Iterator[Reason]:
        if not case.stands:
            return
        grants, most = of(case)
        if len(grants) >= most:
            yield Reason(word, {"until": grants[-most] + DAY})

    return rule


def least(case: Case, limit: Callable[[Removal], int]) -> int:
    """The strictest zone's limit."""
    return min(limit(stand.zone.removal) for stand in case.stands)


def too_many_open(case: Case) -> Iterator[Reason]:
    """Of those that would stay open only: neighbours in a /24 must not keep somebody on who has shown all it takes."""
    if case.open >= MAX_OPEN and (not enough(case) or any(reason for rule in PERSONAL for reason in rule(case))):
        yield Reason("open-limit", {"open": case.open})


def too_many_waiting(case: Case) -> Iterator[Reason]:
    if not case.provable and case.waiting >= MAX_WAITING:
        yield Reason("waits-already")


REFUSING = (
    nothing_listed,
    still_reported,
    cooling_down,
    day_is_full(
        "requester-limit", lambda case: (case.grants.requester, least(case, lambda rules: rules.per_requester))
    ),
    day_is_full("network-limit", lambda case: (case.grants.network, least(case, lambda rules: rules.per_network))),
    day_is_full("asn-limit", lambda case: (case.grants.asn, least(case, lambda rules: rules.per_asn))),
    too_many_open,
    too_many_waiting,
)


# what a person decides


def by_category(case: Case) -> Iterator[Reason]:
    found = sorted({c for s in case.stands for c in s.categories if c not in s.zone.removal.self_serve})
    if found:
        yield Reason("category", {"category": ", ".join(found)})


def wider_listing(case: Case) -> Iterator[Reason]:
    for stand in case.stands:
        if stand.wider and not (stand.wider[1] and stand.wider[1] <= DECLARED):
            yield Reason("wider", {"listing": text(stand.wider[0])})
            return


def wide_network(case: Case) -> Iterator[Reason]:
    if wide(case.subject):
        yield Reason("network", {"subject": text(case.subject)})


def nothing_to_prove(case: Case) -> Iterator[Reason]:
    if not case.provable:
        yield Reason("unprovable")


PERSONAL = (by_category, wider_listing, wide_network, nothing_to_prove)
