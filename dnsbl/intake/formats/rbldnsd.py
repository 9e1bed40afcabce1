"""Data files of rbldnsd(8): ip4set, ip4trie, ip4tset, ip6trie, ip6tset, dnset, and combined files of these.

    ip4set     127/8 | 127.0 | 127.0.0.1-9 | 127.0.0.1-127.0.1.4    a short address is the network of its octets
    ip4trie    127/8 | 127.0                                        no ranges
    ip4tset    127.0.0.1                                            single addresses
    ip6trie    2001:db8::/32 | 2001:db8                             a short address is the network of its words
    ip6tset    2001:db8:1:2                                         /64s; /128 and /64 may be excepted
    dnset      bad.example | *.bad.example | .bad.example           all three are bad.example here
    combined   $DATASET ip4set:name sub @                           what follows is of that type

`!entry` excepts, and among addresses the longest match answers. What an entry says (`:127.0.0.2:text`) is not used:
codes and texts are the zone's. `$` lines are passed over, but for $MAXRANGE4, which narrows what is taken, and
$DATASET. As everywhere, leading zeros and host bits are refused (rbldnsd reads 010 as 10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from ... import subjects
from ...errors import SubjectError
from ...model import Parsed
from .base import FormatOptions, address_keys, each_line, name_key, quick_ip4, take

__all__ = ["TYPES", "parser"]

SPECIAL = re.compile(r"[#;:]?\$([A-Za-z0-9=]+)\s*(.*)", re.DOTALL)  # rbldnsd also takes them from comments
ENTRY4 = re.compile(r"[^\s:#;]+")
ENTRY6 = re.compile(r"[^\s#;]+")
RANGE = re.compile(r"([0-9.]+)-([0-9.]+)")
WORDS = re.compile(r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6}:?")
OCTETS = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,3}")


def parser(kind: str) -> Callable[[bytes, FormatOptions], Parsed]:
    """The function that reads data files of a type, `combined` among them."""

    def parse(data: bytes, options: FormatOptions) -> Parsed:
        reader = Reader("" if kind == "combined" else kind, options)
        return each_line(data, reader.parsed, reader.line)

    return parse


class Reader:
    """A data file being read: the type of the dataset it is in, and how wide a network may be there."""

    def __init__(self, kind: str, options: FormatOptions) -> None:
        self.kind = kind
        self.combined = not kind
        self.options = options
        self.parsed = Parsed()

    def line(self, number: int, text: str) -> None:
        if special := SPECIAL.match(text):
            self.special(special[1].upper(), special[2])
        elif text[0] not in "#;:":
            self.entry(text)

    def special(self, word: str, rest: str) -> None:
        if word == "MAXRANGE4":
            self.options = replace(self.options, widest4=max(self.options.widest4, narrowest(rest)))
        elif word == "DATASET" and self.combined:
            self.kind = "".join(rest.partition(":")[0].split()[:1]).lower()

    def entry(self, text: str) -> None:
        excluded = text.startswith("!")
        text = text[1:].lstrip() if excluded else text
        if self.kind not in TYPES:
            raise SubjectError(f"a dataset of type {self.kind[:20]} is no list" if self.kind else "before any $DATASET")
        match = (ENTRY6 if self.kind.startswith("ip6") else ENTRY4).match(text)
        keys = TYPES[self.kind](match[0] if match else "", excluded)
        if excluded:
            self.parsed.excluded.update(keys)
        else:
            take(self.parsed, keys, self.options)


def narrowest(text: str) -> int:
    """The prefix of $MAXRANGE4: `/24`, or a number of addresses."""
    digits = text.strip().removeprefix("/")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10:
        return 0
    return min(int(digits), 32) if text.strip().startswith("/") else max(0, 33 - max(1, int(digits)).bit_length())


def ip4set(text: str, excluded: bool) -> list[bytes]:
    match = RANGE.fullmatch(text)
    if not match:
        return ip4trie(text, excluded)
    first, last = match[1].split("."), match[2].split(".")
    if len(last) == 1:  # 127.0.0.1-9: only the last part changes
        last = [*first[:-1], last[0]]
    if len(first) != len(last) or len(first) > 4:
        raise SubjectError("not a range of addresses")
    short = 4 - len(first)
    return address_keys(".".join(first + ["0"] * short) + "-" + ".".join(last + ["255"] * short))


def ip4trie(text: str, excluded: bool) -> list[bytes]:
    if key := quick_ip4(text):
        return [key]
    address, slash, length = text.partition("/")
    if not OCTETS.fullmatch(address):
        raise SubjectError("not an IPv4 address")
    parts = address.split(".")
    if len(parts) == 1 and not slash:
        raise SubjectError("a bare number: write it with its /8")
    return [subjects.ip4_key(".".join(parts + ["0"] * (4 - len(parts))), length if slash else str(8 * len(parts)))]


def ip4tset(text: str, excluded: bool) -> list[bytes]:
    return [subjects.ip4_key(text)]


def ip6trie(text: str, excluded: bool) -> list[bytes]:
    address, slash, length = text.partition("/")
    if WORDS.fullmatch(address):
        words = address.removesuffix(":").split(":")
        return [subjects.ip6_key(":".join(words) + "::", length if slash else str(16 * len(words)))]
    return [subjects.ip6_key(address, length if slash else "128")]


def ip6tset(text: str, excluded: bool) -> list[bytes]:
    keys = ip6trie(text, excluded)
    if keys[0][0] != 0x36 or not (keys[0][-1] == 64 or (excluded and keys[0][-1] == 128)):
        raise SubjectError("an exception is a /128 or /64" if excluded else "an entry is a /64")
    return keys


def dnset(text: str, excluded: bool) -> list[bytes]:
    return [name_key(text)]


TYPES: dict[str, Callable[[str, bool], list[bytes]]] = {
    "ip4set": ip4set,
    "ip4trie": ip4trie,
    "ip4tset": ip4tset,
    "ip6trie": ip6trie,
    "ip6tset": ip6tset,
    "dnset": dnset,
}
