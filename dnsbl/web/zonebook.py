"""What is told about zones: their definition, and what was last published of them. Files are looked at again only
when their pointer names another serial."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from .. import clock
from ..config import ZoneDef
from ..errors import SnapshotError
from ..zones.publish import size_of, zone_directory
from ..zones.served import read_pointer
from .backend import Backend
from .models import Code, Following, Zone

__all__ = ["Facts", "ZoneBook"]

COUNT_EVERY = 5.0  # seconds; listings are counted no more often


@dataclass(slots=True, frozen=True)
class Snapshot:
    """A published zone in figures."""

    serial: int
    made_at: int
    base: int  # pieces
    delta: int


@dataclass(slots=True, frozen=True)
class Facts:
    zone: ZoneDef
    listed: int
    snapshot: Snapshot | None  # None: not published, or not readable
    trouble: str = ""  # why not, or why it is not answered
    followed: Following | None = None  # None: it is made here

    def as_model(self, everything: bool = False) -> Zone:
        """`everything`: for keys that may read. Who the primary is, which errors name, is nobody else's business."""
        followed = self.followed
        if followed and not everything:
            followed = followed.model_copy(update={"primary": None, "error": None})
        zone, snapshot = self.zone, self.snapshot
        return Zone(
            name=zone.name,
            origin=zone.origin,
            kind=zone.kind,
            about=zone.about,
            shutdown=zone.shutdown,
            serial=snapshot.serial if snapshot else None,
            made_at=clock.rfc3339(snapshot.made_at) if snapshot else None,
            listed=self.listed,
            codes=[
                Code(code=code.code, categories=code.categories, sublist=code.sublist or None, text=code.text)
                for code in zone.codes
            ],
            followed=followed,
        )


class ZoneBook:
    """Asked from any thread."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.lock = threading.Lock()
        self.snapshots: dict[str, Snapshot] = {}
        self.counts: dict[str, tuple[float, int]] = {}

    def facts(self) -> list[Facts]:
        """Every zone, in the order of the configuration. Raises StoreError."""
        with self.lock:
            return [self.facts_of(zone) for zone in self.backend.app.zones.values()]

    def facts_of(self, zone: ZoneDef) -> Facts:
        followed = following(self.backend.app.followed(zone.name))
        listed = self.count(zone.name)
        try:
            snapshot = self.snapshot(zone.name)
        except SnapshotError as error:
            return Facts(zone, listed, None, str(error), followed)
        trouble = "" if snapshot else "not published yet"
        if followed and followed.state == "expired":
            trouble = "not answered, as its primary has not confirmed it for too long"
        return Facts(zone, listed, snapshot, trouble, followed)

    def serial(self, name: str) -> int | None:
        """What is published now; None: nothing. Raises SnapshotError."""
        pointer = read_pointer(zone_directory(self.backend.app.data_dir, name))
        return pointer.serial if pointer else None

    def snapshot(self, name: str) -> Snapshot | None:
        serial = self.serial(name)
        if serial is None:
            return None
        known = self.snapshots.get(name)
        if known is None or known.serial != serial:
            served = self.backend.app.served(name)
            made_at = (served.delta or served.base).info["made_at"]
            known = Snapshot(served.serial, made_at, size_of(served.base), size_of(served.delta))
            self.snapshots[name] = known
        return known

    def count(self, name: str) -> int:
        at, count = self.counts.get(name, (0.0, 0))
        now = time.monotonic()
        if not at or now - at > COUNT_EVERY:
            count = self.backend.app.listing_count(name)
            self.counts[name] = (now, count)
        return count


def following(said: dict[str, Any] | None) -> Following | None:
    """How it goes with a zone, as a model."""
    if said is None:
        return None
    refreshed, expires, error = said["refreshed"], said["expires"], said["error"]
    state = "failed" if error else "ok" if refreshed else "new"
    if refreshed and clock.parse_time(expires) < clock.now():
        state = "expired"
    primary = said["from"] or None
    found = {"state": state, "refreshed_at": refreshed, "expires_at": expires, "primary": primary}
    return Following.model_validate(found | {"error": error or None})
