"""Four eyes: what concerns so many that one person at the desk is not enough. The first who asks is noted, and another
person who asks for the same within a week has it done. The command line does without: who has the shell has the store.

Each `agreed_...` answers True where the deed may be done now, so that whoever asks goes on only then:

    deed                              needs two people where it is about
    exempt a subject                  a network wider than /16 (IPv6: /32), or a public suffix
    approve what is held              such a network, or a system or country of more addresses than such a one
    purge a source                    100,000 claims or more
    grant a removal                   a network wider than /24 (IPv6: /48)
    take off by hand                  such a network, or a public suffix
"""

from __future__ import annotations

from typing import Any

from .. import clock
from ..hashing import parse_query
from ..reputation.guard import Guard
from ..special import STRANGERS_WIDEST, public_suffix
from ..store import Hold
from ..subjects import is_ip, network, parse, text
from .base import person_of
from .purging import PurgingPart
from .waiting import WaitingPart

__all__ = ["MASS", "WITHIN", "SecondingPart", "hold_is_wide", "is_wide", "removal_is_wide"]

WITHIN = 7 * clock.DAY  # seconds: what nobody seconds in a week is asked for anew
WIDEST = {4: 16, 6: 32}  # prefix lengths: as much as one registry assigns one provider
UNITS: int = 2 ** (32 - WIDEST[4])  # IPv4 addresses of such a network
UNITS6: int = 2 ** (64 - WIDEST[6])  # and /64s
MASS = 100_000  # claims of one source: such a purge frees what a large feed lists


class SecondingPart(PurgingPart, WaitingPart):
    def agreed_exemption(self, subject: str, zone: str, who: str, lifetime: int | None = None) -> bool:
        """Raises SubjectError."""
        key = parse_query(subject)
        return not is_wide(key) or self.agreed(f"allow {text(key)} in {zone or 'all zones'}{lasting(lifetime)}", who)

    def agreed_decision(self, number: int, approve: bool, who: str, lifetime: int | None = None) -> bool:
        """To reject lists nothing, and one person is enough. Raises IntakeError."""
        hold = self.hold(number)
        wide = approve and hold_is_wide(hold, self.guard)
        return not wide or self.agreed(f"approve hold {number}{lasting(lifetime)}", who)

    def agreed_purge(self, name: str, since: int | None, until: int | None, who: str) -> bool:
        """Counts what the source claims at all: of a time it is less. Raises IntakeError."""
        sources = [source.id for source in self.voices(self.source(name))]
        if self.store.claim_count(sources, MASS) < MASS:
            return True
        return self.agreed(
            f"purge {name} from {clock.rfc3339(since) or 'ever'} to {clock.rfc3339(until) or 'now'}", who
        )

    def agreed_removal(self, number: int, subject: bytes, who: str) -> bool:
        """`number`: of the request."""
        return not removal_is_wide(subject) or self.agreed(f"grant removal {number} of {text(subject)}", who)

    def agreed_delisting(self, subject: str, zone: str, who: str) -> bool:
        """Raises SubjectError."""
        key = parse_query(subject)
        wide = removal_is_wide(key) or is_wide(key)
        return not wide or self.agreed(f"take {text(key)} off {zone or 'all zones'}", who)

    def agreed(self, deed: str, who: str) -> bool:
        """Whether this person is the second to ask; else it is in the trail that he asked."""
        with self.store.transaction():
            done = self.second(deed, who, clock.now())
            self.audit(who, "second" if done else "ask", deed, "" if done else "needs another person")
        return done

    def second(self, deed: str, who: str, now: int) -> bool:
        """Whether another person asked for the same within a week, which is used up then. Else notes that this one
        asks. Whoever asks twice is still one, and so is who asks with a key that he made."""
        return self.store.second(deed, person_of(who), now, now - WITHIN)

    def asked_rows(self) -> list[dict[str, Any]]:
        """What waits for a second person."""
        return [
            {"deed": row.deed, "who": row.who, "at": clock.rfc3339(row.at), "until": clock.rfc3339(row.at + WITHIN)}
            for row in self.store.asked(clock.now() - WITHIN)
        ]


def lasting(lifetime: int | None) -> str:
    """For an hour is not the same as for ever."""
    return f" for {lifetime} s" if lifetime is not None else ""


def is_wide(subject: bytes) -> bool:
    """Whether to exempt a subject, or to believe one source about it, is no matter for one person."""
    return wider(subject, WIDEST) if is_ip(subject) else public_suffix(subject)


def removal_is_wide(subject: bytes) -> bool:
    return is_ip(subject) and wider(subject, STRANGERS_WIDEST)


def hold_is_wide(hold: Hold, guard: Guard) -> bool:
    """Of a place that is no network, its size counts; of a day, which ends by itself, nothing does."""
    kind, _, name = hold.place.partition(":")
    if kind in ("net", "wide"):
        return is_wide(parse(name))
    return (guard.size(hold.place) or 0) > (UNITS6 if kind.endswith("6") else UNITS)


def wider(subject: bytes, widest: dict[int, int]) -> bool:
    version, _, prefix = network(subject)
    return prefix < widest[version]
