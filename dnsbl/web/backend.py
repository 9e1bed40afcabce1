"""What the web side needs of the rest of the program. `web` does not know the application: it is handed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..config import ZoneDef
from ..config.base import Network
from ..desk import Desk
from ..desk.removals import RemovalDesk
from ..exporting.scheduled import Fared
from ..intake.gate import Exempt
from ..keyed import Keyed
from ..model import Report
from ..people import People
from ..removal.proving import Proving
from ..removal.requests import Removals
from ..store.contract import KeyLimits, Store
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

    @property
    def public_url(self) -> str:
        """Where visitors find us; empty: it was not said."""
        ...

    @property
    def keyed(self) -> Keyed:
        """What makes secrets that are kept nowhere. Raises StoreError where its key cannot be read."""
        ...

    @property
    def desk(self) -> Desk: ...
    @property
    def removal_desk(self) -> RemovalDesk: ...
    def allow(self, subject: str, reason: str, until: int | None, zone: str = "", who: str = "") -> None: ...
    def disallow(self, subject: str, who: str = "", why: str = "") -> int: ...
    def delist(
        self, subject: str, zone: str, reason: str, wrong: bool = False, who: str = ""
    ) -> tuple[list[str], int]: ...
    def report(self, subject: str, category: str, source: str, who: str = "") -> Report: ...
    def switch_feed(self, name: str, on: bool, who: str = "", why: str = "") -> dict[str, Any]: ...
    def create_key(
        self,
        name: str,
        trust: float,
        scopes: list[str],
        lifetime: int | None,
        limits: KeyLimits = ...,
        simulated: bool = True,
        zones: Sequence[str] = (),
        daily: int | None = None,
        who: str = "",
    ) -> dict[str, Any]: ...
    def revoke_key(self, name: str, who: str = "", why: str = "") -> None: ...
    def key_rows(self) -> list[dict[str, Any]]: ...
    def exemption_page(
        self, limit: int, before: int | None = None, everything: bool = False
    ) -> list[dict[str, Any]]: ...
    @property
    def removals(self) -> Removals: ...
    @property
    def proving(self) -> Proving: ...
    @property
    def people(self) -> People:
        """Who may sign in at the desk."""
        ...

    def exempt_reason(self) -> Exempt:
        """What keeps a subject out, as of now: the question that the gate for partners' reports asks."""
        ...

    def check(self, subject: str) -> dict[str, Any]:
        """Everything about one subject. Raises SubjectError."""
        ...

    def dns_codes(self, zone: str, subject: bytes) -> list[str] | None:
        """What the published zone answers for a subject now; None: it is not published."""
        ...

    def feed_status(self) -> list[dict[str, Any]]: ...

    def followed(self, name: str) -> dict[str, Any] | None:
        """From whom a zone is taken and how that goes, as `zone list --json` has it; None: it is made here."""
        ...

    def listing_count(self, name: str) -> int:
        """How much a zone lists. Raises StoreError."""
        ...

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

    def mail_queued(self) -> None:
        """Mail waits to be sent; called in the event loop, returns at once."""
        ...

    def trap_counts(self) -> Mapping[str, int]:
        """What happened to mail for traps in this process, by a word; empty where it takes none."""
        ...

    def exports_fared(self) -> Sequence[Fared]:
        """How it went with each `[[export]]` in this process; empty where it writes none."""
        ...
