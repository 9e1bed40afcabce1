"""What partners own, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..rows import Change

__all__ = ["Delivery", "Due", "Hook", "Hooks", "Owned"]


@dataclass(slots=True, frozen=True)
class Owned:
    """A network or domain that a source owns: it speaks for everything in it."""

    source: int
    subject: bytes
    since: int


@dataclass(slots=True, frozen=True)
class Hook:
    """Where a source is told what happens to what it owns. The secret that signs is made of `nonce` and kept nowhere.
    `url` may hold a secret of the receiver's: it is for its owner and the operator only."""

    id: int
    source: int
    url: str
    nonce: str
    created: int
    failures: int = 0  # in a row
    quiet: int = 0  # it is sent nothing before
    good: int | None = None  # when it last took an event
    said: str = ""  # why it last did not; "": the last event was taken
    dropped: int = 0  # events that were too many to wait
    waiting: int = 0
    failed: int = 0  # events that were given up, of those still kept


@dataclass(slots=True, frozen=True)
class Delivery:
    """One event for one hook. `state`: waiting, delivered, failed."""

    id: int
    hook: int
    event: str  # JSON, as it is sent
    at: int
    next: int  # when it is tried, while it waits; else when it was tried last
    tries: int
    state: str
    said: str  # what came of the last try


@dataclass(slots=True, frozen=True)
class Due:
    """A hook, and what it is sent next."""

    hook: Hook
    delivery: Delivery


class Hooks(Protocol):
    """What partners own, and who is told of it."""

    def owned(self, source: int | None = None) -> list[Owned]:
        """What one source owns, or all of them, by source and subject."""
        ...

    def owns(self, source: int, subject: bytes) -> bool:
        """Whether a source owns a subject by itself or by one thing that wholly contains it."""
        ...

    def add_owned(self, source: int, subject: bytes, at: int) -> bool:
        """False: it is there already."""
        ...

    def remove_owned(self, source: int, subject: bytes) -> bool: ...

    def hooks(self, source: int | None = None) -> list[Hook]: ...
    def add_hook(self, source: int, url: str, nonce: str, at: int) -> Hook: ...
    def remove_hook(self, hook: int) -> bool:
        """With all that waits for it."""
        ...

    def watched(self) -> list[Owned]:
        """What is owned by sources that have a hook."""
        ...

    def journal(self, seq: int, limit: int) -> list[Change]:
        """Changes of all zones after a number, and the lines that are about no zone."""
        ...

    def codes_before(self, change: Change) -> str:
        """The codes of its subject in its zone just before a change; "" for none."""
        ...

    def add_deliveries(
        self, after: int, upto: int, events: Mapping[int, Sequence[str]], at: int, most_waiting: int
    ) -> bool:
        """Write events by source, for each hook of it, and that the journal was followed from `after` to `upto`: one
        change. False, and nothing is written, where somebody has followed it meanwhile. Of what waits for a hook the
        newest `most_waiting` stay; what goes is counted."""
        ...

    def due(self, now: int) -> list[Due]:
        """Of every hook that may be sent something, what is due first."""
        ...

    def delivery_taken(self, delivery: Delivery, at: int) -> None: ...
    def delivery_not_taken(self, delivery: Delivery, at: int, said: str, next: int | None, quiet: int) -> None:
        """It is tried again at `next`, or given up (None); the hook is sent nothing before `quiet`."""
        ...

    def deliveries(self, hook: int, limit: int) -> list[Delivery]:
        """The newest first."""
        ...

    def forget_deliveries(self, given_up: int, before: int, said: str) -> int:
        """Give up what has waited since before `given_up`, and forget what is from before `before`; the number of
        those."""
        ...
