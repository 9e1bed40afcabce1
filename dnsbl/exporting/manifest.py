"""What is said of a file that others take away: in a manifest, and in the comment that its signature covers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

from ..clock import rfc3339
from ..zones.contents import contents
from ..zones.export import FORMATS
from ..zones.served import ServedZone
from .writing import CODINGS, Written

__all__ = ["Line", "file_name", "line_of"]

COUNTS: WeakKeyDictionary[ServedZone, int] = WeakKeyDictionary()
SIGNED = ("file", "zone", "format", "serial", "made_at", "count")  # of a line, in the comment


@dataclass(slots=True, frozen=True)
class Line:
    """One file."""

    file: str
    zone: str
    origin: str
    format: str
    coding: str  # identity, gzip or zstd
    serial: int
    made_at: str  # RFC 3339: when the serial was published
    count: int  # of what the zone lists (see `zones.counting`), before a format cuts or joins it
    size: int  # bytes
    sha256: str

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def comment(self) -> str:
        """What is signed together with the file: an old file is not to pass for a new one, nor one for another."""
        return "\t".join(f"{name}:{getattr(self, name)}" for name in SIGNED)


def line_of(view: ServedZone, format: str, coding: str, written: Written) -> Line:
    """The line of a file that was written of this zone."""
    return Line(
        file=file_name(view.zone.name, format, coding),
        zone=view.zone.name,
        origin=view.zone.origin,
        format=format,
        coding=coding,
        serial=view.serial,
        made_at=rfc3339(int((view.delta or view.base).info["made_at"])) or "",
        count=count_of(view),
        size=written.size,
        sha256=written.sha256,
    )


def count_of(view: ServedZone) -> int:
    """How much a zone lists; counted once for all files of a view."""
    found = COUNTS.get(view)
    if found is None:
        found = COUNTS[view] = contents(view).count
    return found


def file_name(zone: str, format: str, coding: str = "identity") -> str:
    return f"{zone}{FORMATS[format].suffix}{CODINGS.get(coding, '')}"
