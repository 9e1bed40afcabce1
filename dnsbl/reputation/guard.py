"""Guards against poisoning: how much one stranger's word may list in one place, and what waits for a person.

A listing that one guarded source carries (its leader: a partner, a trap class, complaints) counts for that source's
family in every place it lies in: a hundred partners of one network have the limits of one.

    place              limit                                       within     share that is shown
    wide:1.2.0.0/16    none: a person looks at each                           of the Internet's addresses
    net:1.2.0.0/16     `network` addresses (IPv6: /64s of a /32)   a week     of the /16 or /32
    as:64500           `asn` of its addresses (as6: of its /64s)   a week     of the autonomous system
    cc:DE              `country` of its addresses (cc6: /64s)      a week     of the country
    day:20413          `daily` listings                            a UTC day  -

A week is today and the WINDOW - 1 UTC days before. What leaves and comes back within it counts once; nothing is ever
counted back. A family of traps may list `traps` times as much. What is made of listings is `ruling`'s to say, what
follows from it `holding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..clock import DAY
from ..config import GuardConfig
from ..geo import Networks
from ..special import STRANGERS_WIDEST
from ..store.contract import Hold, Source
from ..subjects import is_ip, network, parse, text

__all__ = [
    "APPROVED", "ENDED", "HELD", "KINDS", "REJECTED", "WINDOW", "Guard", "blocks", "day_place", "lifts", "units",
]  # fmt: skip

HELD, APPROVED, REJECTED, ENDED = "held", "approved", "rejected", "ended"
PARENT = {4: 16, 6: 32}  # the networks that are counted in
UNIT = {4: 32, 6: 64}  # what is counted: addresses, /64s
KINDS = ("wide", "net", "as", "as6", "cc", "cc6")  # narrow places first
WINDOW = 7  # days that count together in a place: one day alone, its limit could be used again every day


def blocks(hold: Hold) -> bool:
    """Whether a hold keeps listings off."""
    return hold.state in (HELD, REJECTED)


def lifts(hold: Hold, now: int) -> bool:
    """Whether a hold was approved, so that its place has no limit now."""
    return hold.state == APPROVED and (hold.until is None or hold.until > now)


def day_place(now: int) -> str:
    return f"day:{now // DAY}"


class Guard:
    """The limits, and what is known of networks and countries."""

    def __init__(self, limits: GuardConfig, networks: Networks) -> None:
        self.limits, self.networks = limits, networks
        self.sizes: dict[str, int | None] = {}  # of systems and countries, as they are asked: a walk over a table each

    def places(self, subject: bytes) -> list[str]:
        """The places that a subject lies in, the narrowest first."""
        return self.places_of([subject])[0]

    def places_of(self, subjects: Sequence[bytes]) -> list[list[str]]:
        """`places` for many: tables are asked for all at once."""
        narrow = [is_ip(subject) and subject[-1] >= STRANGERS_WIDEST[version_of(subject)] for subject in subjects]
        asked = [subject for subject, is_narrow in zip(subjects, narrow, strict=True) if is_narrow]
        owners = zip(self.networks.asns(asked), self.networks.countries(asked), strict=True)
        found = []
        for subject, is_narrow in zip(subjects, narrow, strict=True):
            if is_narrow:
                asn, country = next(owners)
                mark = "6" if version_of(subject) == 6 else ""
                systems = [] if asn is None else [f"as{mark}:{asn}"]
                countries = [] if country is None else [f"cc{mark}:{country}"]
                found.append([f"net:{text(parent(subject))}", *systems, *countries])
            else:
                found.append([f"wide:{text(subject)}"] if is_ip(subject) else [])
        return found

    def size(self, place: str) -> int | None:
        """How many addresses (IPv6: /64s) a place has; of a wide network the whole Internet; None: it is not known, or
        it has none."""
        kind, _, name = place.partition(":")
        if kind == "wide":
            return int(2 ** UNIT[version_of(parse(name))])
        if kind == "net":
            return units(parse(name))
        if kind not in KINDS:
            return None
        if place not in self.sizes:
            sizes = self.networks.size(int(name)) if kind.startswith("as") else self.networks.country_size(name)
            self.sizes[place] = sizes[kind.endswith("6")] or None
        return self.sizes[place]

    def exceeds(self, place: str, amount: int, times: int = 1) -> bool:
        """Whether so many addresses of a week in a place need a person; limits are `times` as large."""
        kind = place.partition(":")[0]
        if kind == "wide":
            return True
        if kind == "net":
            return amount > times * self.limits.network
        share = self.limits.asn if kind.startswith("as") else self.limits.country
        return amount > times * self.limits.least and amount > times * share * (self.size(place) or 0)

    def daily(self, source: Source) -> int:
        """How many listings of a day a source may make."""
        return source.daily if source.daily is not None else self.limits.daily * self.times([source])

    def times(self, sources: Iterable[Source]) -> int:
        """How many times as large the limits of these sources are: traps see what is sent everywhere."""
        return self.limits.traps if all(source.kind == "trap" for source in sources) else 1

    def why(self, place: str, amount: int) -> str:
        """The sentence of a hold."""
        kind, _, name = place.partition(":")
        if kind == "wide":
            return "wider than strangers may report"
        if kind == "day":
            return f"{amount:,} listings in a day"
        where = {"n": f"in {name}", "a": f"in AS{name}", "c": f"in country {name}"}[kind[0]]
        called = f" {self.networks.name(int(name))}".rstrip() if kind[0] == "a" else ""
        return (
            f"{amount:,} {'/64s' if kind.endswith('6') or ':' in name else 'addresses'} {where}{called} within a week"
        )


def version_of(subject: bytes) -> int:
    return 4 if subject[0] == ord("4") else 6


def parent(subject: bytes) -> bytes:
    """The /16 or /32 that a narrow network lies in."""
    version, first, _ = network(subject)
    bits = len(subject[1:-1]) * 8
    shift = bits - PARENT[version]
    return subject[:1] + ((first >> shift) << shift).to_bytes(bits // 8, "big") + bytes((PARENT[version],))


def units(subject: bytes) -> int:
    """How many addresses (IPv6: /64s) a network has."""
    version, _, prefix = network(subject)
    return int(2 ** max(UNIT[version] - prefix, 0))
