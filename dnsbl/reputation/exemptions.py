"""Who may not be listed: special-purpose ranges always; the allow-list, warning lists and removals as the store has
them. Pure: made from rows, asked in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config import ZoneDef
from ..special import NEVER_LIST, Ranges, never_listed
from ..store.contract import Exemption
from ..subjects import ancestors, is_ip

__all__ = ["Exemptions"]

IP4 = ord("4")


class Exemptions:
    """The exemptions of every zone, ready to be asked. An ended one no longer exempts but still forgives: evidence
    from before a removal does not count again."""

    def __init__(self, exemptions: Iterable[Exemption], now: int) -> None:
        self.seq: int | None = None  # the journal's number when they were known to be the store's; None: not known
        self.everywhere: dict[bytes, list[Exemption]] = {}  # by subject: operator, lists and removals may all have it
        self.by_zone: dict[str, dict[bytes, list[Exemption]]] = {}
        self.exact: dict[bytes, list[Exemption]] = {}  # names alone
        self.removals: dict[str, dict[bytes, int]] = {}
        self.yielding: dict[str, dict[bytes, Exemption]] = {}  # removals that hold, until new reports would list it
        for exemption in exemptions:
            if exemption.origin == "removal":
                self.removals.setdefault(exemption.zone, {})[exemption.subject] = exemption.since
            if exemption.until is not None and exemption.until <= now:
                continue
            if exemption.yields:
                self.yielding.setdefault(exemption.zone, {})[exemption.subject] = exemption
            if exemption.exact:
                self.exact.setdefault(exemption.subject, []).append(exemption)
                continue
            table = self.by_zone.setdefault(exemption.zone, {}) if exemption.zone else self.everywhere
            table.setdefault(exemption.subject, []).append(exemption)
        self.ranges = {"": Ranges([*NEVER_LIST, *self.everywhere])}
        for zone, table in self.by_zone.items():
            self.ranges[zone] = Ranges([*NEVER_LIST, *self.everywhere, *table])

    def covers(self, subject: bytes, zone: str = "") -> bool:
        """Whether the whole subject is exempt in a zone."""
        if is_ip(subject):
            return (self.ranges.get(zone) or self.ranges[""]).covers(subject)
        if never_listed(subject) or self.exactly(subject, zone):
            return True
        tables = [self.everywhere, self.by_zone.get(zone, {})]
        return any(above in table for above in ancestors(subject) for table in tables)

    def covered(self, subjects: Sequence[bytes], zone: str = "") -> list[bool]:
        """`covers` for many subjects: IPv4 all at once, as most are."""
        ranges = self.ranges.get(zone) or self.ranges[""]
        v4 = [subject for subject in subjects if subject[0] == IP4]
        answers = iter(ranges.covered4(v4))
        return [next(answers) if s[0] == IP4 else self.covers(s, zone) for s in subjects]

    def why(self, subject: bytes, zone: str = "") -> list[Exemption]:
        """The exemptions that cover a subject, for people."""
        if never_listed(subject):
            return [Exemption(subject, "special-purpose range (RFC 6890): never listed", "never-list")]
        tables = [self.everywhere, self.by_zone.get(zone, {})] if zone else [self.everywhere, *self.by_zone.values()]
        wider = [found for above in ancestors(subject) for table in tables for found in table.get(above, ())]
        return [*self.exactly(subject, zone), *wider]

    def exactly(self, subject: bytes, zone: str) -> list[Exemption]:
        """The exemptions of this very name, in a zone or everywhere."""
        return [found for found in self.exact.get(subject, ()) if found.zone in ("", zone)]

    def forgiven(self, subject: bytes, zone: str) -> int:
        """Evidence up to this moment was forgiven by a removal; 0: none was."""
        tables = [table for table in (self.removals.get(""), self.removals.get(zone)) if table]
        return max((table.get(above, 0) for table in tables for above in ancestors(subject)), default=0)

    def rests(self, subject: bytes, zone: str) -> list[Exemption]:
        """The yielding removals that cover a subject: what lists went on to carry is not held against it meanwhile."""
        tables = [table for table in (self.yielding.get(""), self.yielding.get(zone)) if table]
        return [table[above] for table in tables for above in ancestors(subject) if above in table]

    def yields(self, subject: bytes, zone: str) -> bool:
        """Whether nothing but yielding removals keeps a covered subject off."""
        return bool(self.rests(subject, zone)) and all(found.yields for found in self.why(subject, zone))

    def within(self, zone: ZoneDef) -> Exemptions:
        """Those that hold in a zone: a white list takes what the allow-list has; nothing takes the never-list."""
        return self if zone.policy.exempt else NEVER_LIST_ONLY

    def holes(self, zone: str) -> list[bytes]:
        """Every subject that is cut out of what a zone lists."""
        return [*NEVER_LIST, *self.everywhere, *self.by_zone.get(zone, {})]


NEVER_LIST_ONLY = Exemptions([], 0)
