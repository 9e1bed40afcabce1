"""Master files (RFC 1035 section 5) for BIND, NSD, Knot and whatever reads one.

A network is a wildcard at the label where it ends: 192.0.2.0/24 is `*.2.0.192`, a /25 is 128 names. A wildcard does
not answer for what is below another existing name (RFC 4592 section 2.2.1), so nothing may exist below its parent
but itself:

- The networks of one family are disjoint and end at labels. What is below the parent of a wildcard is inside its
  network, so no other network of the family is there.
- Names of the other family are. `*.0.0.2` is 2.0.0.0/24 and would also answer for 200f::; and 2001:db8::/32
  makes `1.0.0.2` exist, where 2.0.0.1 would then be lost. So below an IPv4 wildcard whose labels are all nibbles too,
  each nibble has a name of its own: a digit the same answer again, a letter none. An IPv6 wildcard is below four labels
  or more, where no IPv4 name is.
- A listed name has a wildcard; each name between it and what is below, its records and a wildcard again.
- What is exempt below a listed name exists with a TXT record only, and what is below that does not exist.
- In an exact zone there is no wildcard: a name answers for itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ...config import CodeDef, ZoneDef, template
from ..contents import Contents, Kind, Node
from ..table import Words
from .blocks import Blocks, aligned, deep_networks, networks
from .text import address4, addresses4, chunked, header, name_text, network6, reversed4

__all__ = ["lines"]

NOTES = (
    "What a master file cannot say:",
    "- A text names the subject asked for only where the name is written out; elsewhere it names the network or name",
    "  that is listed.",
)
NOTES_IP = (
    "- A wildcard also answers for names below it that are no addresses.",
    "- IPv6 networks are cut at nibbles, IPv4 networks at octets: the file is larger than the list.",
)
NOTES_NAMES = (
    "- What is exempt below a listed name has no address, but its name exists (NOERROR, not NXDOMAIN).",
    "- named refuses names with `_` unless the zone has `check-names ignore`.",
)
EXEMPT = '\tTXT "exempt: not listed"\n'
NO_ADDRESS = '\tTXT "no address"\n'
NOTES_EXACT = ("- named refuses names with `_` unless the zone has `check-names ignore`.",)
MAX_STRING = 255  # RFC 1035 section 3.3
MAX_TEXT = 4096  # octets of one text
MAX_NAME = 253
NIBBLE_DIGITS = range(10)
LEAST6 = 16  # prefix: four labels, below which no IPv4 name is


def lines(held: Contents) -> Iterator[str]:
    zone = held.zone
    if zone.exact:
        yield header(held, ";", NOTES_EXACT if zone.kind == "hash" else ())
    else:
        yield header(held, ";", [*NOTES, *(NOTES_IP if zone.kind == "ip" else NOTES_NAMES)])
    yield apex(zone, held.serial)
    if zone.kind != "ip":
        yield from chunked(names(held))
        return
    yield from addresses(held, "", range(len(zone.codes)))
    for sublist in dict.fromkeys(code.sublist for code in zone.codes if code.sublist):
        members = [number for number, code in enumerate(zone.codes) if code.sublist == sublist]
        yield from addresses(held, f".{sublist}", members)


def apex(zone: ZoneDef, serial: int) -> str:
    """The records at the origin; every other name is relative to it."""
    soa = zone.soa
    numbers = f"{serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
    text = f"$ORIGIN {zone.origin}.\n$TTL {zone.ttl}\n"
    text += f"@\t{soa.ttl}\tIN SOA {zone.mname}. {soa.rname}. {numbers}\n"
    text += "".join(f"\t{zone.ns_ttl}\tNS {name}.\n" for name in dict.fromkeys(zone.ns))
    text += "".join(f"\tA {address}\n" for address in zone.apex.a)
    text += "".join(f"\tAAAA {address}\n" for address in zone.apex.aaaa)
    return text + "".join(text_record([words.encode("utf-8")], b"") for words in zone.apex.txt)


class Records:
    """The records that a set of codes has, made ready: cut where the subject goes, so that a join completes them."""

    def __init__(self, codes: Sequence[CodeDef]) -> None:
        self.addresses = "".join(f"\tA {code.code}\n" for code in codes)
        self.texts = [[part.encode("utf-8") for part in template(code.text)] for code in codes if code.text]
        self.longest = min((longest_subject(parts) for parts in self.texts), default=MAX_NAME)
        self.parts = [self.addresses]
        for text in self.texts:
            first, *rest = (escaped(part) for part in text)
            self.parts[-1] += f'\tTXT "{first}'
            self.parts += rest
            self.parts[-1] += '"\n'

    def of(self, subject: str) -> str:
        """The records of one subject, without its name. Subjects need no escapes."""
        if len(subject) <= self.longest:
            return subject.join(self.parts)
        return self.addresses + "".join(text_record(parts, subject.encode("ascii")) for parts in self.texts)


def longest_subject(parts: Sequence[bytes]) -> int:
    """How long a subject may be for the text to fit one string."""
    free = MAX_STRING - sum(map(len, parts))
    return -1 if free < 0 else free // (len(parts) - 1) if len(parts) > 1 else MAX_NAME


def text_record(parts: Sequence[bytes], subject: bytes) -> str:
    """A TXT record of as many strings as it takes."""
    text = subject.join(parts)[:MAX_TEXT].decode("utf-8", "ignore").encode("utf-8")
    strings = [text[at : at + MAX_STRING] for at in range(0, len(text), MAX_STRING)] or [b""]
    return "\tTXT " + " ".join(f'"{escaped(string)}"' for string in strings) + "\n"


def escaped(text: bytes) -> str:
    """Octets inside quotes (RFC 1035 section 5.1)."""
    return "".join(ESCAPES[octet] for octet in text)


ESCAPES = [chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}" for octet in range(256)]
ESCAPES[ord('"')], ESCAPES[ord("\\")] = '\\"', "\\\\"


class ByMask:
    """The records of each set of codes, restricted to some (a sublist's), made when first asked for."""

    def __init__(self, zone: ZoneDef, members: Sequence[int]) -> None:
        self.zone, self.members = zone, members
        self.wanted = sum(1 << number for number in members)
        self.made: dict[int, Records] = {}

    def __getitem__(self, mask: int) -> Records:
        found = self.made.get(mask)
        if found is None:
            codes = [self.zone.codes[number] for number in self.members if mask >> number & 1]
            found = self.made[mask] = Records(codes)
        return found


# addresses


def addresses(held: Contents, below: str, members: Sequence[int]) -> Iterator[str]:
    """All names of the zone (`below` is empty) or of a sublist (`.trap`)."""
    records = ByMask(held.zone, members)
    wanted = np.uint64(records.wanted)
    for blocks in networks(held.ip4.where(held.ip4.mask & wanted != 0), 32):
        for part in aligned(blocks, 32, 8, 8):
            yield names4(part, below, records)
    for blocks in networks(held.ip6.where(held.ip6.mask & wanted != 0), 64):
        for part in aligned(blocks, 64, 4, LEAST6):
            yield names6(part, below, records)
    for piece in held.deep:
        if piece.mask & records.wanted:
            own = records[piece.mask]
            yield "".join(name6(first, prefix, below, own) for first, prefix in deep_networks(piece, 4))


def names4(blocks: Blocks, below: str, records: ByMask) -> str:
    """IPv4 networks that end at octets."""
    parts: list[str] = []
    for mask in np.unique(blocks.mask).tolist():
        own = blocks.where(blocks.mask == mask)
        hosts = own.first[own.prefix == 32]
        parts += hosts4(hosts, below, records[mask])
        wide = own.where(own.prefix < 32)
        for first, prefix in zip(wide.first.tolist(), wide.prefix.tolist(), strict=True):
            octets = tuple(first.to_bytes(4, "big")[: prefix // 8])
            parts.append(wildcard4(octets, below, records[mask].of))
    return "".join(parts)


def hosts4(numbers: Words, below: str, records: Records) -> Iterator[str]:
    subjects, names = addresses4(numbers), reversed4(numbers)
    if records.longest >= len("255.255.255.255"):
        parts = records.parts
        return (name + below + subject.join(parts) for name, subject in zip(names, subjects, strict=True))
    return (name + below + records.of(subject) for name, subject in zip(names, subjects, strict=True))


def wildcard4(octets: tuple[int, ...], below: str, of: Callable[[str], str]) -> str:
    """A network of whole octets, and what keeps IPv6 names apart from it."""
    first = int.from_bytes(bytes(octets).ljust(4, b"\0"), "big")
    name = ".".join(map(str, reversed(octets))) + below
    if len(octets) == 4:
        return name + of(address4(first))
    text = f"*.{name}" + of(f"{address4(first)}/{8 * len(octets)}")
    if max(octets) in NIBBLE_DIGITS:
        text += "".join(wildcard4((*octets, digit), below, of) for digit in NIBBLE_DIGITS)
        text += "".join(f"{letter}.{name}{NO_ADDRESS}" for letter in "abcdef")
    return text


def names6(blocks: Blocks, below: str, records: ByMask) -> str:
    """IPv6 networks of /64 or wider that end at nibbles."""
    rows = zip(blocks.first.tolist(), blocks.prefix.tolist(), blocks.mask.tolist(), strict=True)
    return "".join(name6(upper << 64, prefix, below, records[mask]) for upper, prefix, mask in rows)


def name6(first: int, prefix: int, below: str, records: Records) -> str:
    nibbles = ".".join(f"{first:032x}"[: prefix // 4][::-1])
    return ("*." if prefix < 128 else "") + nibbles + below + records.of(network6(first, prefix))


# names


def names(held: Contents) -> Iterator[str]:
    """The tree of names; what is too long to be asked for is left out."""
    records = ByMask(held.zone, range(len(held.zone.codes)))
    room = MAX_NAME - len(held.zone.origin) - 1
    for node in held.names.nodes():
        if node.kind is Kind.EMPTY or len(node.name) > room:
            continue
        if held.zone.exact:
            yield name_text(node.name) + records[node.mask].of(subject_of(node.name, held.zone.kind))
        else:
            yield name_records(node, records, room)


def subject_of(name: bytes, kind: str) -> str:
    """A hash or number as people write it, from its name from the top label."""
    text = name.decode("ascii")
    return text[1:].replace(".", ":", 1) if kind == "hash" else "+" + text.replace(".", "")


def name_records(node: Node, records: ByMask, room: int) -> str:
    name = name_text(node.name)
    if node.kind is Kind.HOLE:
        return name + EXEMPT
    own = records[node.mask].of(name)
    return f"{name}{own}*.{name}{own}" if len(name) + 2 <= room else name + own
