"""What front and courier say to each other: requests as JSON in one datagram, transfers as frames in a stream.

A frame is a length of four octets and so many octets. The first one is a verdict; then, where that is OK, each has one
message with its own length before it; one without octets is the end, as is GONE. A stream that ends otherwise was cut.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from ..dns.stream import Head
from ..dns.tsig import Key

__all__ = ["END", "LENGTH", "MAX_REQUEST", "READY", "Request", "Verdict", "frame", "read", "wake"]

MAX_REQUEST = 16_384  # octets: names of 255 octets, a MAC, an OPT record, a secret
LENGTH = struct.Struct("!I")
END = LENGTH.pack(0)
READY = b"r"  # all that the courier says by itself, once: it takes requests


class Verdict(Enum):
    OK = b"o"
    REFUSED = b"r"  # the feeds' terms forbid it
    FAILED = b"f"  # there is no such zone, or it cannot be read
    GONE = b"g"  # after OK: the client has left


@dataclass(frozen=True, slots=True)
class Request:
    """A zone that is to be given away: whole, or what came after a serial."""

    zone: str
    serial: int | None
    client: str  # for the log
    head: Head

    def pack(self) -> bytes:
        head = self.head
        return orjson.dumps(
            {
                "zone": self.zone, "serial": self.serial, "client": self.client, "id": head.id.hex(),
                "echo": head.echo, "question": head.question.hex(), "opt": head.opt.hex(),
                "key": packed_key(head.key) if head.key else None, "mac": head.mac.hex(),
            }
        )  # fmt: skip


def packed_key(key: Key) -> list[str]:
    """The key itself: a courier that was started again may have read another configuration than its front."""
    return [key.name.hex(), key.algorithm, key.secret.hex()]


def wake(zone: str) -> bytes:
    """A primary says that a zone has changed."""
    return orjson.dumps({"wake": zone})


def read(packed: bytes) -> Request | str:
    """A request, or the zone to be asked for anew."""
    said: dict[str, Any] = orjson.loads(packed)
    if "wake" in said:
        return str(said["wake"])
    octets = bytes.fromhex
    key = None
    if said["key"] is not None:
        name, algorithm, secret = said["key"]
        key = Key(octets(name), algorithm, octets(secret))
    head = Head(
        octets(said["id"]), said["echo"], octets(said["question"]), octets(said["opt"]), key, octets(said["mac"])
    )
    return Request(said["zone"], said["serial"], said["client"], head)


def frame(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content
