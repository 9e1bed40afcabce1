"""What the store keeps, as values. Subjects are keys of `dnsbl.subjects`; times are whole seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = [
    "Attempt", "Change", "Decision", "Entry", "Evidence", "Exemption", "FeedState", "Hold", "Key", "KeyDay",
    "KeyLimits", "ListingRow", "Overturned", "Purge", "Row", "Sample", "Source", "Taken",
]  # fmt: skip

GUARDED = frozenset(("partner", "trap", "complaint"))


@dataclass(slots=True, frozen=True)
class Source:
    """Who claims. `kind`: feed, import, partner, operator, trap, complaint."""

    id: int
    name: str
    kind: str
    trust: float  # 0..1, now: never above `granted`
    family: str  # sources of one family count once
    redistribute: bool
    granted: float = 0.0  # what an operator gave it
    simulated: bool = False  # scored and shown, and lists nothing
    daily: int | None = None  # listings a day; None: as the configuration says
    half_weight: float | None = None  # None: as the zone's policy says
    zones: tuple[str, ...] = ()  # where its claims count; (): everywhere
    network: str = ""  # where its posts come from: partners of one network are one family

    @property
    def guarded(self) -> bool:
        """Whether what it lists is counted, capped and held: strangers' claims, not lists and operators."""
        return self.kind in GUARDED


class Taken(NamedTuple):
    """Reports taken, and those that said what an earlier report had said."""

    taken: int
    repeated: int


class Entry(NamedTuple):
    """Changes that a list's new version made: subjects that appeared, left, or changed their hits."""

    appeared: int
    left: int
    changed: int
    total: int


class Evidence(NamedTuple):
    """Claims of one source on one subject in one category by one reporter, folded; or a list's entry.

    `last_seen` is the moment from which the weight decays: the reporter's last report, or when the list
    dropped the entry. `held`: a list carries it now, and nothing decays.
    """

    place: int  # of the subject among those asked for
    source: int
    category: int  # a number of `categories()`
    reporter: int  # 0: the list itself
    hits: int
    first_seen: int
    last_seen: int
    held: int


Row = tuple[int, int, int, int, int, int, int, int]  # the fields of Evidence


class ListingRow(NamedTuple):
    subject: bytes
    codes: str  # "127.0.0.2 127.0.0.4"
    since: int
    until: int | None  # when it will leave if nothing more is reported; None: a list holds it
    due: int | None  # when it next changes by itself: a code or the whole


@dataclass(slots=True)
class Decision:
    """What a zone's listings become: rows to write, subjects that leave, and the journal of both: a subject whose
    codes changed with its new ones, "" for none. A mere new `until` is no change to those who ask."""

    written: list[tuple[bytes, str, int, int | None, int | None]] = field(default_factory=list)  # as `ListingRow`
    left: list[bytes] = field(default_factory=list)
    journal: list[tuple[bytes, str]] = field(default_factory=list)
    withheld: list[tuple[bytes, str]] = field(default_factory=list)  # of these only such codes may be given away
    given: list[bytes] = field(default_factory=list)  # nothing is withheld of these any more
    looked: list[bytes] = field(default_factory=list)  # of `withheld` and `given`, those that are not in `journal`


class Change(NamedTuple):
    """One line of the audit trail of listings: from `at` on, these codes; no codes: it left."""

    seq: int
    at: int
    zone: str
    subject: bytes
    codes: str


@dataclass(slots=True, frozen=True)
class Exemption:
    """A subject that may not be listed. `origin`: operator, removal, or the name of the list it is from."""

    subject: bytes
    reason: str
    origin: str
    zone: str = ""  # "" is every zone
    since: int = 0
    until: int | None = None
    id: int = 0
    exact: bool = False  # a name alone: what stands below it can be listed
    yields: bool = False  # a removal that ends when new reports alone would list the subject


@dataclass(slots=True, frozen=True)
class KeyLimits:
    """What a key may say, from where and how much. Empty or None: no such limit."""

    categories: tuple[str, ...] = ()  # the only ones it may report
    about: tuple[str, ...] = ()  # networks and domains: the only subjects it may report, with all inside
    origins: tuple[str, ...] = ()  # networks: requests come from there only
    daily: int | None = None  # reports a UTC day, rejected ones included
    burst: int | None = None  # reports within BURST_SECONDS
    queries: int | None = None  # of a key for DNS: queries a UTC day
    query_zones: tuple[str, ...] = ()  # of a key for DNS: where it is good


@dataclass(slots=True, frozen=True)
class Key:
    """An API key; the secret itself is never stored."""

    id: int
    name: str
    source: int
    scopes: list[str]
    created: int
    expires: int | None
    last_used: int | None
    revoked: int | None
    limits: KeyLimits = KeyLimits()
    maker: str = "operator"  # the person who made it


@dataclass(slots=True, frozen=True)
class KeyDay:
    """A key's use on one UTC day (days since 1970)."""

    day: int
    posts: int
    taken: int
    repeated: int
    rejected: int


@dataclass(slots=True, frozen=True)
class Hold:
    """Listings of one source in one place of a zone that wait for a person. `place` is as `reputation.guard` writes
    it. `state`: held, approved (until `until`: no limit there), rejected (nothing there is listed by this source)."""

    id: int
    source: int
    zone: str
    place: str
    at: int
    listings: int
    share: float | None  # of the place's addresses, 0..1; None: the place has no size
    why: str
    state: str = "held"
    until: int | None = None
    decided: int | None = None
    note: str = ""


@dataclass(slots=True, frozen=True)
class Overturned:
    """A claim of a source that turned out wrong."""

    subject: bytes
    at: int
    why: str


@dataclass(slots=True, frozen=True)
class Attempt:
    """A claim about what may not be listed: refused, and shown to the operator."""

    source: int
    subject: bytes
    why: str
    first: int
    last: int
    count: int


@dataclass(slots=True, frozen=True)
class Purge:
    """What was taken away from one source: all of it, or its reports of a time. It can be undone until it is
    forgotten."""

    id: int
    source: int
    at: int
    since: int | None
    until: int | None
    reason: str
    reports: int
    entries: int
    undone: int | None


@dataclass(slots=True, frozen=True)
class Sample:
    """Munged evidence of one mail or complaint."""

    id: int
    at: int
    source: int
    kind: str  # mail, arf, xarf, dmarc
    facts: dict[str, Any]


@dataclass(slots=True)
class FeedState:
    """What is remembered of a feed or an imported list between pulls."""

    name: str
    state: str = "new"  # new, ok, unchanged, failed, quarantined
    reason: str = ""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""  # of the content last applied
    entries: int | None = None  # of the content last applied
    checked_at: int | None = None
    good_at: int | None = None
    changed_at: int | None = None
    failures: int = 0  # in a row
    rejected: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)
    switched: bool | None = None  # by a person; None: it is on or off as its file says. `switch_feed` alone writes it
