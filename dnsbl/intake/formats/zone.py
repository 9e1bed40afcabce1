"""Another blocklist's zone, as a transfer leaves it: its A records, a line each (RFC 5782).

    $ORIGIN bl.example.
    5.2.0.192 2100 A 127.0.0.2                       192.0.2.5
    *.2.0.192 2100 A 127.0.0.3                       192.0.2.0/24; *.0.192 is a /16
    1.0.0...8.b.d.0.1.0.0.2 2100 A 127.0.0.2         an IPv6 address, 32 nibbles; with *. and fewer, a network
    bad.example 2100 A 127.0.0.2                     a name, as is *.bad.example

Owners are relative to the origin, or end in a dot. What an entry is said to be stands in the last number of the
answer: the feed's `map` has them, `"127.0.0.2" = "spam"`. The zone's own name and test points (section 5), and records
of other types, are passed over. An answer outside 127.0.0.0/8 is a reject: a list whose domain was lost answers
everything with somebody's web server. So is 127.255.255.0/24, in which lists say that they do not answer us.
"""

from __future__ import annotations

import re

from ... import subjects
from ...errors import SubjectError
from ...model import Parsed
from .base import FormatOptions, each_line, name_key, take, word_of

__all__ = ["parse_zone"]

RECORD = re.compile(r"(\S+)\s+(?:\d{1,10}\s+)?(?:IN\s+)?([A-Z]{1,10})\s+(\S+)(?:\s.*)?", re.IGNORECASE)
OCTET = re.compile(r"0|[1-9][0-9]{0,2}")
NIBBLE = re.compile(r"[0-9a-f]")
TEST_NAMES = frozenset(("test", "invalid"))
LOOPBACK = bytes((0x34, 127))  # the first bytes of the keys of 127.0.0.0/8


def parse_zone(data: bytes, options: FormatOptions) -> Parsed:
    """The subjects that a blocklist's zone lists."""
    reader = Reader(options)
    return each_line(data, reader.parsed, reader.line)


class Reader:
    """A zone being read."""

    def __init__(self, options: FormatOptions) -> None:
        self.options = options
        self.parsed = Parsed()
        self.origin = ""  # with a dot before it and one after

    def line(self, number: int, text: str) -> None:
        if text[0] == ";":
            return
        if text.startswith("$"):
            self.directive(text.split())
            return
        match = RECORD.fullmatch(text)
        if not match:
            raise SubjectError("not a record")
        if match[2].upper() == "A":
            self.entry(self.relative(match[1].lower()), match[3])

    def directive(self, fields: list[str]) -> None:
        word = fields[0].upper()
        if word == "$ORIGIN" and len(fields) > 1:
            self.origin = "." + fields[1].lower().strip(".") + "."
        elif word != "$TTL":
            raise SubjectError("a directive that is not followed")

    def relative(self, owner: str) -> str:
        """The owner without the origin; "" for the zone itself. Raises SubjectError."""
        if not owner.endswith("."):
            return "" if owner == "@" else owner
        if "." + owner == self.origin:
            return ""
        if not self.origin or not owner.endswith(self.origin):
            raise SubjectError("outside the zone")
        return owner.removesuffix(self.origin)

    def entry(self, owner: str, answer: str) -> None:
        """One A record. Raises SubjectError."""
        if not owner or owner.removeprefix("*.") in TEST_NAMES:
            return
        key = owner_key(owner)
        if key.startswith(LOOPBACK):
            return
        code = subjects.ip4_key(answer)
        if not code.startswith(LOOPBACK):
            raise SubjectError("an answer outside 127.0.0.0/8: this is no listing")
        if code[2:4] == b"\xff\xff":
            raise SubjectError("an answer that is an error of the list, not a listing (127.255.255.0/24)")
        known = word_of((self.parsed.words.get(key), answer), self.options)
        take(self.parsed, [key], self.options, 1, known or (answer if self.options.words else ""))


def owner_key(owner: str) -> bytes:
    """The subject that an owner stands for. Raises SubjectError."""
    if owner == "*":
        raise SubjectError("it lists everything")
    wildcard = owner.startswith("*.")
    labels = owner.removeprefix("*.").split(".")
    if all(OCTET.fullmatch(label) for label in labels) and len(labels) == (4 if not wildcard else min(len(labels), 3)):
        octets = labels[::-1] + ["0"] * (4 - len(labels))
        return subjects.ip4_key(".".join(octets), str(8 * len(labels)))
    if all(NIBBLE.fullmatch(label) for label in labels) and (wildcard or len(labels) == 32) and len(labels) <= 32:
        address = bytes.fromhex("".join(labels[::-1]).ljust(32, "0"))
        return mapped(address, 4 * len(labels))
    if labels[-1].isdigit():
        raise SubjectError("not an address turned round")
    return name_key(owner)


def mapped(address: bytes, length: int) -> bytes:
    """The key of an IPv6 network; ::FFFF:127.0.0.2, the test point, is of IPv4."""
    if length >= 96 and address[:12] == bytes(10) + b"\xff\xff":
        return b"4" + address[12:] + bytes((length - 96,))
    return b"6" + address + bytes((length,))
