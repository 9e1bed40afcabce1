"""What the DNS side may ask of a zone: the one interface between compiled zones and those who answer from them."""

from __future__ import annotations

from typing import Protocol

from ..config import ZoneDef

__all__ = ["EMPTY", "NOTHING", "ZoneView"]

NOTHING = 0  # answer id: not listed, and no name below it either
EMPTY = -1  # answer id of a name only: nothing here, but something below (an empty non-terminal, RFC 8020)


class ZoneView(Protocol):
    """One zone at one serial, immutable. Answer ids are small positive numbers; `answers[id]` are the return
    codes it stands for, as indices into `zone.codes`, ascending; `answers[0]` is empty. Every method is pure,
    takes microseconds and does not raise."""

    zone: ZoneDef
    serial: int
    answers: tuple[tuple[int, ...], ...]
    expired: bool  # it is too old to be answered from

    def lookup4(self, address: int) -> int:
        """The answer id of an IPv4 address, or NOTHING."""
        ...

    def lookup6(self, address: int) -> int:
        """The answer id of an IPv6 address, or NOTHING."""
        ...

    def any4(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        """Whether any address of first..last is listed; with `wanted`, under an answer id whose byte there is not 0."""
        ...

    def any6(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        """The same for IPv6."""
        ...

    def lookup_name(self, labels: list[bytes]) -> int:
        """The answer id of a name, given as lower-case labels from the top (`[b"example", b"bad", b"www"]`):
        that of the deepest listed name at or above it, in an exact zone of this very name; NOTHING, or EMPTY."""
        ...
