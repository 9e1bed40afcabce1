"""The flow through the store: claims in, listings out; and what is kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...model import Report
from ..rows import (
    Attempt,
    Change,
    Decision,
    Entry,
    Evidence,
    Exemption,
    FeedState,
    Hold,
    Key,
    KeyDay,
    KeyLimits,
    ListingRow,
    Overturned,
    Purge,
    Row,
    Sample,
    Source,
    Taken,
)  # fmt: skip

__all__ = [
    "Attempt", "Change", "Decision", "Entry", "Evidence", "Exemption", "FeedState", "Flow", "Hold", "Key", "KeyDay",
    "KeyLimits", "Listed", "ListingRow", "Overturned", "Purge", "Row", "Sample", "Source", "Taken",
]  # fmt: skip


T = TypeVar("T")


class Listed(Protocol):
    """What those read who publish: listings, and that they changed."""

    def listings_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, ListingRow]: ...
    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        """(subject, codes) of a zone's listings with low <= subject < high, ascending, in chunks."""
        ...

    def any_listing(self, zone: str, low: bytes, high: bytes) -> bool:
        """Whether `listing_chunks` would give anything."""
        ...

    def listings_touching(self, zone: str, subject: bytes) -> list[tuple[bytes, str]]:
        """Listings at, above and inside a subject."""
        ...

    def listings_touching_many(self, zone: str, networks: Sequence[bytes]) -> dict[bytes, str]:
        """The same of many networks of one family, by one pass over its listings; with them any other listings that
        are no single hosts."""
        ...

    def listing_count(self, zone: str) -> int: ...
    def changes_since(self, zone: str, seq: int, limit: int) -> list[Change]: ...
    def change_seq(self) -> int: ...
    def identity(self) -> str:
        """A random name given when the store was made: snapshots of another store are not a base for deltas."""
        ...


class Flow(Listed, Protocol):
    """What is claimed and what follows from it. Grouped as the flow goes: in, derived, exemptions, out, keeping."""

    def close(self) -> None: ...
    def transaction(self) -> AbstractContextManager[Any]:
        """Several calls as one change. Writers wait for one another; a change within a change is part of it."""
        ...

    def moment(self) -> AbstractContextManager[None]:
        """What this thread reads within is of one moment. A moment within a moment is the same one."""
        ...

    def kept(self, name: str, read: Callable[[], T]) -> T:
        """What `read` last said under this name, as long as nobody changed the store. Not to be changed."""
        ...

    # in
    def source(
        self, name: str, kind: str, *, trust: float, family: str = "", redistribute: bool = True, keep: bool = False
    ) -> Source:
        """Make or update a source; with `keep` one that exists stays as it is."""
        ...

    def sources(self) -> dict[int, Source]: ...
    def set_source(self, source: int, **changes: Any) -> Source:
        """Change some fields of a source (names of `Source`); where its claims weigh otherwise, their subjects are
        touched."""
        ...

    def subjects_of(self, source: int) -> Iterator[list[bytes]]:
        """Every subject that a source has evidence or entries on, ascending, in chunks."""
        ...

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
    def afresh(self, low: bytes, high: bytes) -> set[bytes]:
        """Those touched from `low` to `high` that are to be decided as if they had not been listed."""
        ...

    def evidence(self, subjects: Sequence[bytes]) -> list[Row]:
        """Rows with the fields of `Evidence`, in a fixed order: reports before entries, each by place in `subjects`,
        source, category, reporter. Plain tuples: there are many."""
        ...

    def listings_on(self, subjects: Sequence[bytes], zones: Sequence[str]) -> dict[str, list[ListingRow]]:
        """The listings of a handful of subjects in each of these zones, in the subjects' order."""
        ...

    def decide(self, at: int, decisions: Mapping[str, Decision], settled: Sequence[bytes]) -> None:
        """Per zone what to write; `settled`, as `touched` gave them, are no longer touched. Within one `transaction`
        with `touched`, so that no touch in between is lost."""
        ...

    def rebuild_evidence(self) -> None: ...
    def unmapped_words(self) -> dict[str, dict[str, int]]: ...
    def forget_entries(self, source: int, before: int) -> int: ...

    # guards
    def spread(self, source: int, day: int, zone: str) -> dict[str, int]:
        """How many listings a source newly made that day in each place of a zone; "" is all of them."""
        ...

    def counted(self, zone: str, subjects: Sequence[bytes], since: int) -> Iterable[tuple[bytes, int]]:
        """Which of these listings were counted since that day, and for which source."""
        ...

    def add_counted(self, source: int, day: int, zone: str, subjects: Collection[bytes]) -> None:
        """Note that these listings of a source were counted that day."""
        ...

    def add_spread(self, source: int, day: int, zone: str, places: Mapping[str, int]) -> None: ...
    def listed_since(self, source: int, day: int) -> int:
        """Listings that a source newly made since that day, in all zones."""
        ...

    def holds(self) -> list[Hold]: ...
    def put_hold(self, hold: Hold) -> int:
        """Write a hold, by its source, zone and place; its number."""
        ...

    def touch_source(self, source: int) -> None:
        """Touch everything that a source has evidence or entries on."""
        ...

    def overturn(self, sources: Iterable[int], subject: bytes, at: int, why: str) -> None:
        """Note that what these sources claimed of a subject was wrong."""
        ...

    def overturned(self, source: int, since: int) -> list[Overturned]: ...
    def add_attempts(self, source: int, attempts: Mapping[bytes, str], at: int) -> None:
        """Count claims about what may not be listed. A source has a bounded number of them; the oldest go."""
        ...

    def attempts(self, limit: int) -> list[Attempt]: ...

    # purges, samples, and what is forgotten
    def purge(self, source: int, reason: str, at: int, since: int | None = None, until: int | None = None) -> Purge:
        """Take away what a source claimed: all of it, or its reports of since <= time < until. What took nothing away
        is not written: its number is 0."""
        ...

    def undo_purge(self, purge: int, at: int) -> Purge:
        """Put it back, exactly; what came in since then stays. Raises StoreError where it is not there any more."""
        ...

    def purges(self) -> list[Purge]: ...
    def add_sample(self, source: int, kind: str, facts: Mapping[str, Any], subjects: Iterable[bytes], at: int) -> int:
        """Keep evidence; of a subject that has enough of it already, no more is kept. Its number; 0: not kept."""
        ...

    def set_sample(self, sample: int, facts: Mapping[str, Any]) -> None: ...
    def samples(self, subjects: Sequence[bytes], limit: int) -> list[Sample]:
        """The newest evidence on any of these subjects."""
        ...

    def forget_reports(self, before: int) -> int:
        """Forget reports that are older, and what they are in evidence; the number of them."""
        ...

    def forget_kept(self, kind: str, before: int) -> int:
        """Forget what is kept of a kind and older: `samples`, `purges`, `journal`, `audit`, `guards`."""
        ...

    # exemptions
    def exemptions(self) -> list[Exemption]: ...
    def exemptions_version(self) -> int:
        """A number that changes whenever `exemptions` would."""
        ...

    def add_exemption(self, exemption: Exemption) -> None: ...
    def remove_exemption(self, subject: bytes, origin: str = "operator", at: int = 0) -> int: ...
    def end_exemption(self, subject: bytes, zone: str, origin: str, at: int) -> int:
        """An exemption holds no longer than `at`; what it forgave stays forgiven."""
        ...

    def replace_exemptions(
        self, origin: str, subjects: Iterable[bytes], reason: str, at: int, exact: bool = False
    ) -> Entry:
        """Make these an origin's whole exemptions: `exact` ones, or those that are not."""
        ...

    # out
    @property
    def shared(self) -> Listed:
        """The same, of what may be given away only."""
        ...

    def withheld_of(self, zone: str, subjects: Sequence[bytes]) -> dict[bytes, str]:
        """Those that may not be given away as they are, and the codes that may: "" for none."""
        ...

    def any_withheld(self, zone: str) -> bool: ...
    def withheld_count(self, zone: str) -> int: ...
    def zones_listed(self) -> set[str]: ...
    def changes_of(self, subject: bytes, limit: int) -> list[Change]:
        """The newest lines of the journal on exactly this subject in any zone, the oldest of them first."""
        ...

    def meta(self, key: str) -> str | None: ...
    def set_meta(self, key: str, value: str) -> None: ...
    # keeping
    def feed_states(self) -> dict[str, FeedState]: ...
    def put_feed_state(self, state: FeedState) -> None: ...
    def add_key(
        self,
        name: str,
        digest: bytes,
        source: int,
        scopes: list[str],
        created: int,
        expires: int | None,
        limits: KeyLimits | None = None,
        maker: str = "operator",
    ) -> Key: ...
    def key_by_digest(self, digest: bytes) -> Key | None: ...
    def all_keys(self) -> list[Key]: ...
    def revoke_key(self, name: str, at: int) -> int: ...
    def key_used(self, key: int, at: int) -> None: ...
    def count_key(self, key: int, use: KeyDay) -> None:
        """Add to a key's use of a day."""
        ...

    def key_days(self, key: int, since: int) -> list[KeyDay]: ...
    def counts(self) -> dict[str, int]: ...
    def check(self) -> list[str]:
        """What is wrong, a line each; empty is clean."""
        ...

    def backup(self, to: Path) -> None: ...
