"""What may be taken away of a zone, and in which formats."""

from __future__ import annotations

from pathlib import Path

from ..config import ZoneDef
from ..errors import IntakeError, SnapshotError
from ..zones.export import FORMATS, of_kind
from ..zones.given import given
from ..zones.served import ServedZone, zone_directory

__all__ = ["carried_by", "given_view", "need_format"]


def given_view(data_dir: Path, name: str) -> ServedZone:
    """What a zone gives away now. Raises WithheldError, and SnapshotError where nothing readable is published."""
    view = given(zone_directory(data_dir, name))
    if view is None:
        raise SnapshotError(f"zone {name} was never built; run `dnsbl zone build {name}`")
    return view


def carried_by(zone: ZoneDef) -> list[str]:
    """The formats that can carry a zone."""
    return of_kind(zone.kind)


def need_format(zone: ZoneDef, format: str) -> None:
    """Raises DnsblError, with the formats that would do."""
    there = carried_by(zone)
    if format not in FORMATS:
        raise IntakeError(f"no export format {format!r}; there are {', '.join(there)}")
    if format not in there:
        raise IntakeError(
            f"{format} cannot carry a zone of kind {zone.kind}; zone {zone.name} can be had as {', '.join(there)}"
        )
