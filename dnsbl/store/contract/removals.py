"""Requests to be taken off, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Challenge", "Event", "Removal", "Removals"]


@dataclass(slots=True, frozen=True)
class Removal:
    """One request. `state` is one of `removal.machine`; `why` are the reasons of the last move, as JSON values."""

    id: int
    link: bytes  # SHA-256 of its private link
    subject: bytes
    zones: tuple[str, ...]
    state: str
    way: str  # page, api, partner, operator
    requester: str  # the /24 or /64 that it came from; "": not known
    network: bytes  # the subject's /24 or /48; itself where it is no address
    asn: int | None
    said: str  # the requester's words: untrusted
    at: int
    changed: int
    host: str = ""  # the address of an IPv6 network that was named
    proof: str = ""
    why: Sequence[Mapping[str, Any]] = ()
    expires: int | None = None  # when it moves by itself
    granted: int | None = None
    until: int | None = None  # how long it is exempt
    decider: str = ""  # who at the desk decided
    answer: str = ""  # what they said to the requester
    appealed: bool = False


@dataclass(slots=True, frozen=True)
class Event:
    """One move of a removal."""

    at: int
    state: str
    who: str  # requester, rules, or a person at the desk
    why: Sequence[Mapping[str, Any]]


@dataclass(slots=True, frozen=True)
class Challenge:
    """What was asked as proof of control. The token is derived from `nonce`; its digest finds it."""

    id: int
    removal: int
    proof: str
    target: str  # a mailbox, or a DNS name
    nonce: str
    digest: bytes
    at: int
    expires: int
    used: int | None = None


class Removals(Protocol):
    """Requests to be taken off, their moves, and what was asked as proof."""

    def add_removal(self, removal: Removal, who: str = "requester") -> int:
        """Keep a request, and its first event by `who`; its number."""
        ...

    def removal(self, number: int) -> Removal | None: ...
    def removal_by_link(self, link: bytes) -> Removal | None: ...
    def move_removal(
        self, number: int, after: str, state: str, at: int, who: str, why: Sequence[Mapping[str, Any]], **changes: Any
    ) -> bool:
        """Move from the state `after`, and write the event. False where it is in another state by now."""
        ...

    def removal_events(self, number: int) -> list[Event]: ...
    def removals(
        self, states: Collection[str] = (), subject: bytes | None = None, before: int | None = None, limit: int = 100
    ) -> list[Removal]:
        """The newest first; `before` a number, for the next page."""
        ...

    def removals_waiting(
        self, state: str, limit: int, beside: tuple[int, int] = (0, 0), back: bool = False
    ) -> list[Removal]:
        """Those in a state, who waits longest first: those after (`back`: before, the nearest first) the one that has
        these values of (changed, id)."""
        ...

    def count_overdue(self, state: str, before: int) -> int:
        """How many have been in a state since before then."""
        ...

    def removals_due(self, states: Collection[str], now: int, limit: int) -> list[Removal]:
        """Those in these states whose time is over, the oldest first."""
        ...

    def count_removals(
        self, states: Collection[str], subject: bytes | None = None, requester: str | None = None
    ) -> int:
        """How many there are, about a subject or from a requester where that is said."""
        ...

    def oldest_removal(self, state: str) -> int | None:
        """Since when the one waits that is in this state the longest. None: none is."""
        ...

    def granted_times(self, column: str, value: object, since: int, zones: Collection[str] = ()) -> list[int]:
        """When removals were granted since, oldest first: by `subject`, `requester`, `network` or `asn`; from one of
        these zones, where some are named. Those of operators do not count."""
        ...

    def removal_yields(self, subject: bytes, zones: Collection[str]) -> bool:
        """Whether new reports can end an exemption that a removal made in these zones."""
        ...

    def removal_ends(self, subject: bytes, zones: Collection[str]) -> int | None:
        """When the first exemption that a removal made in these zones ends, or ended. None: there is none."""
        ...

    def wait_for_removal(self, number: int, expires: int) -> None:
        """Look at it again then; its state stays."""
        ...

    def forget_targets(self, removal: int) -> None:
        """Forget the mailboxes that were asked about it."""
        ...

    def add_challenge(self, challenge: Challenge) -> int: ...
    def challenge(self, number: int) -> Challenge | None: ...
    def challenge_by_digest(self, digest: bytes) -> Challenge | None: ...
    def challenges_of(self, removal: int) -> list[Challenge]: ...
    def use_challenge(self, number: int, at: int) -> bool:
        """Use it up. False where it was used before, or its time is over."""
        ...

    def forget_removals(self, before: int) -> int:
        """Forget those that are done and have not changed since."""
        ...
