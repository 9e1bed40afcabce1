"""What a store promises. SQLite keeps it today; a PostgreSQL store will be held to the same conformance suite.

Promises that hold for every method:

- A call that changes something is one transaction: after it returns the change survives a crash of the
  process at any later moment; if it raises, nothing of it is there.
- Calls from any thread; changes are taken one at a time, reads do not wait for them.
- Subjects are keys of `dnsbl.subjects`; times are whole seconds; categories are names.
- Failure is errors.StoreError with a sentence; nothing else is raised for the store's own troubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..model import Report

__all__ = [
    "Change",
    "Decision",
    "Entry",
    "Evidence",
    "Exemption",
    "FeedState",
    "Key",
    "ListingRow",
    "Source",
    "Store",
    "Taken",
]


@dataclass(slots=True, frozen=True)
class Source:
    """Who claims. `kind`: feed, import, partner, operator, trap."""

    id: int
    name: str
    kind: str
    trust: float  # 0..1
    family: str  # sources of one family count once
    redistribute: bool


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


class Store(Protocol):
    """The contract. Grouped as the flow goes: in, derived, exemptions, out, keeping."""

    def close(self) -> None: ...
    def transaction(self) -> AbstractContextManager[Any]:
        """Several calls as one change. Writers wait for one another; a change within a change is part of it."""
        ...

    # in
    def source(
        self, name: str, kind: str, *, trust: float, family: str = "", redistribute: bool = True, keep: bool = False
    ) -> Source:
        """Make or update a source; with `keep` one that exists stays as it is."""
        ...

    def sources(self) -> dict[int, Source]: ...
    def categories(self) -> dict[int, str]: ...

    def take_reports(self, source: int, reports: Iterable[Report], idempotency: tuple[str, str] | None = None) -> Taken:
        """Keep reports, fold them into evidence, and touch their subjects. A report equal in subject, category,
        reporter, time and word to one already kept counts as repeated. With `idempotency` (key, answer) the
        answer is remembered in the same transaction."""
        ...

    def idempotent_answer(self, key: str) -> str | None: ...
    def forget_idempotency(self, before: int) -> int: ...

    def replace_entries(
        self, source: int, hits: Mapping[bytes, int], categories: Mapping[bytes, str], default: str, at: int
    ) -> Entry:
        """Make this a list source's whole content; what is not in it any more starts to decay at `at`."""
        ...

    # derived
    def touch(self, subjects: Iterable[bytes]) -> None: ...
    def touch_all(self) -> int: ...
    def touch_due(self, now: int) -> int:
        """Touch what has a `due` or an exemption that ends by `now`."""
        ...

    def touched(self, limit: int) -> list[bytes]: ...
    def touched_count(self) -> int: ...
    def evidence(self, subjects: Sequence[bytes]) -> list[Row]:
        """Rows with the fields of `Evidence`, in a fixed order: reports before entries, each by place in `subjects`,
        source, category, reporter. Plain tuples: there are many."""
        ...

    def listings_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, ListingRow]: ...
    def decide(self, at: int, decisions: Mapping[str, Decision], settled: Sequence[bytes]) -> None:
        """Per zone what to write; `settled`, as `touched` gave them, are no longer touched. Within one `transaction`
        with `touched`, so that no touch in between is lost."""
        ...

    def rebuild_evidence(self) -> None: ...
    def unmapped_words(self) -> dict[str, dict[str, int]]: ...
    def forget_entries(self, source: int, before: int) -> int: ...

    # exemptions
    def exemptions(self) -> list[Exemption]: ...
    def exemptions_version(self) -> int:
        """A number that changes whenever `exemptions` would."""
        ...

    def add_exemption(self, exemption: Exemption) -> None: ...
    def remove_exemption(self, subject: bytes, origin: str = "operator", at: int = 0) -> int: ...
    def replace_exemptions(self, origin: str, subjects: Iterable[bytes], reason: str, at: int) -> Entry: ...

    # out
    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        """(subject, codes) of a zone's listings with low <= subject < high, ascending, in chunks."""
        ...

    def any_listing(self, zone: str, low: bytes, high: bytes) -> bool:
        """Whether `listing_chunks` would give anything."""
        ...

    def listings_touching(self, zone: str, subject: bytes) -> list[tuple[bytes, str]]:
        """Listings at, above and inside a subject."""
        ...

    def listing_count(self, zone: str) -> int: ...
    def zones_listed(self) -> set[str]: ...
    def changes_since(self, zone: str, seq: int, limit: int) -> list[Change]: ...
    def change_seq(self) -> int: ...
    def meta(self, key: str) -> str | None: ...
    def set_meta(self, key: str, value: str) -> None: ...
    def identity(self) -> str:
        """A random name given when the store was made: snapshots of another store are not a base for deltas."""
        ...

    # keeping
    def feed_states(self) -> dict[str, FeedState]: ...
    def put_feed_state(self, state: FeedState) -> None: ...
    def add_key(
        self, name: str, digest: bytes, source: int, scopes: list[str], created: int, expires: int | None
    ) -> Key: ...
    def key_by_digest(self, digest: bytes) -> Key | None: ...
    def all_keys(self) -> list[Key]: ...
    def revoke_key(self, name: str, at: int) -> int: ...
    def key_used(self, key: int, at: int) -> None: ...
    def audit(self, at: int, who: str, what: str, subject: str, why: str) -> None: ...
    def audit_rows(self, limit: int = 100) -> list[dict[str, Any]]: ...
    def counts(self) -> dict[str, int]: ...
    def check(self) -> list[str]:
        """What is wrong, a line each; empty is clean."""
        ...

    def backup(self, to: Path) -> None: ...
