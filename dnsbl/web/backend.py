"""What the web side needs of the rest of the program. `web` does not know the application: it is handed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..config import ZoneDef
from ..config.base import Network
from ..intake.gate import Exempt
from ..store.contract import Store
from ..zones.served import ServedZone

__all__ = ["Backend", "Parts"]


class Parts(Protocol):
    """The store, the zones, and what is asked of them. Every method may be called from any thread."""

    @property
    def store(self) -> Store: ...
    @property
    def zones(self) -> Mapping[str, ZoneDef]: ...
    @property
    def data_dir(self) -> Path: ...

    @property
    def trouble(self) -> str:
        """Why what came in could not be decided last; empty: it could."""
        ...

    @property
    def unpublished(self) -> Mapping[str, Exception]:
        """Zones that could not be published last, and why."""
        ...

    @property
    def proxies(self) -> Sequence[Network]:
        """Whose X-Forwarded-For is believed."""
        ...

    def exempt_reason(self) -> Exempt:
        """What keeps a subject out, as of now: the question that the gate for partners' reports asks."""
        ...

    def check(self, subject: str) -> dict[str, Any]:
        """Everything about one subject. Raises SubjectError."""
        ...

    def feed_status(self) -> list[dict[str, Any]]: ...

    def served(self, name: str) -> ServedZone:
        """A zone as it was last published. Raises SnapshotError."""
        ...


class Backend(Protocol):
    """`make_app`'s argument."""

    @property
    def app(self) -> Parts: ...

    def submitted(self) -> None:
        """Reports were committed; called in the event loop, returns at once. Wakes whoever settles."""
        ...

    def trap_counts(self) -> Mapping[str, int]:
        """What happened to mail for traps in this process, by a word; empty where it takes none."""
        ...
