"""What records say is listed: an A record each code, at addresses or names; and the texts of holes. All else is left
out here, and compared when what was gathered makes records again (`verify`)."""

from __future__ import annotations

import ipaddress

from ..config import ZoneDef
from ..errors import TransferError
from .contents import Blocks, named, shown
from .messages import TXT, A, Record

__all__ = ["Gathered"]

MAX_NAMES = 50_000_000  # names in memory
EXEMPT = b"\x12exempt: not listed"  # zones.export.bind: the only record of a hole
WILDCARD = b"\x01*"


class Gathered:
    """Of a whole zone, or of one side of differences."""

    def __init__(self, zone: ZoneDef) -> None:
        self.ip = zone.kind == "ip"
        self.bits = {ipaddress.IPv4Address(code.code).packed: number for number, code in enumerate(zone.codes)}
        self.below = tuple(bytes((len(name),)) + name.encode() for name in {c.sublist for c in zone.codes} if name)
        self.servers = {bytes((len(label),)) + label.encode("ascii") for label in zone.hosts}  # of a zone that ends
        self.blocks = Blocks()
        self.masks: dict[bytes, int] = {}  # of an owner
        self.exempt: set[bytes] = set()

    def add(self, record: Record) -> None:
        """Raises TransferError."""
        owner, rtype, _, data = record
        if rtype == A and owner:
            bit = self.bits.get(data)
            if owner in self.servers:
                return
            if bit is None:
                raise no_code(owner, data)
            if not self.ip:
                self.name(owner, bit)
            elif not owner.endswith(self.below):
                self.blocks.add(owner, bit)
        elif rtype == TXT and data == EXEMPT and owner and not self.ip:
            self.exempt.add(owner)
            self.bounded()

    def name(self, owner: bytes, bit: int) -> None:
        if not owner.startswith(WILDCARD):
            self.masks[owner] = self.masks.get(owner, 0) | 1 << bit
            self.bounded()

    def __len__(self) -> int:
        """How many names it has."""
        return len(self.masks) + len(self.exempt)

    def bounded(self) -> None:
        if len(self) > MAX_NAMES:
            raise TransferError(f"more than {MAX_NAMES:,} names")

    def names(self) -> tuple[dict[bytes, int], set[bytes]]:
        """Names from the top label with their masks, and those that are exempt. Raises TransferError."""
        masks = {named(owner): mask for owner, mask in self.masks.items()}
        return masks, {named(owner) for owner in self.exempt if owner not in self.masks}


def no_code(owner: bytes, data: bytes) -> TransferError:
    address = ".".join(map(str, data))
    return TransferError(f"{shown(owner)} A {address}: no code of this zone; its file here differs from the primary's")
