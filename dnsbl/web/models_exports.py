"""What is said of zones that are taken away: the schemas of `/openapi.json` for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .models import Out, Time

__all__ = ["DeltaRow", "ExportManifest", "SnapshotFile", "ZoneDelta", "ZoneSnapshot"]

Serial = Annotated[int, Field(ge=0, le=2**32 - 1, description="Of the SOA")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ExportManifest(Out):
    """What an export is."""

    file: str
    zone: str
    origin: str
    format: str
    coding: Literal["identity"]
    serial: Serial
    made_at: Time
    count: int = Field(description="What the zone lists, without test points, before the format cuts or joins it")
    size: int = Field(description="Bytes")
    sha256: Sha256
    signature: str = Field(description="The text of its .minisig file")
    public_key: str = Field(description="For `minisign -P`; worth something if you have it from elsewhere too")


class DeltaRow(Out):
    subject: str
    codes: list[str]
    exempt: Literal[True] | None = Field(
        default=None, description="There where it is taken out of what is listed above it"
    )


class ZoneDelta(Out):
    """What changed: take away what is removed, then add what is added; a network may be in both."""

    zone: str
    origin: str
    from_: Serial = Field(alias="from")
    to: Serial
    full: bool = Field(description="What changed since then is not kept: take the whole zone")
    made_at: Time | None = Field(default=None, description="When `to` was published")
    export: str | None = Field(default=None, description="Where the whole zone is, where that is due")
    removed: list[DeltaRow]
    added: list[DeltaRow]


class SnapshotFile(Out):
    name: str
    size: int = Field(description="Bytes")
    sha256: Sha256


class ZoneSnapshot(Out):
    """The files that are a zone now."""

    zone: str
    serial: Serial
    made_at: int = Field(description="Seconds since 1970")
    base: SnapshotFile
    delta: SnapshotFile | None
    signature: str = Field(
        description="minisign, of this object without `signature`: keys sorted, without white space, UTF-8"
    )
