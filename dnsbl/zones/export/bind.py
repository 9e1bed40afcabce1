"""Master files (RFC 1035 section 5) for BIND, NSD, Knot and whatever reads one: the record set of a zone as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from socket import inet_ntoa

from ...config import ZoneDef
from ..apex import SHA384, SIMPLE
from ..blocks import Blocks
from ..contents import Contents
from ..inorder import known
from ..recordset import (
    MAX_NAME,
    MAX_STRING,
    Answer,
    Part,
    Row,
    answer,
    blocks4,
    blocks6,
    deep_rows,
    full_text,
    letters,
    parts,
    rows4,
    rows6,
    strings,
    written_rows,
)
from ..table import distinct
from .text import addresses4, chunked, header, reversed4

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
NOTES_EXACT = ("- named refuses names with `_` unless the zone has `check-names ignore`.",)


def lines(held: Contents) -> Iterator[str]:
    zone = held.zone
    if zone.exact:
        yield header(held, ";", NOTES_EXACT if zone.kind == "hash" else ())
    else:
        yield header(held, ";", [*NOTES, *(NOTES_IP if zone.kind == "ip" else NOTES_NAMES)])
    yield apex(held)
    for part in parts(zone):
        yield from part_lines(held, part)


def apex(held: Contents) -> str:
    """The records at the origin; every other name is relative to it."""
    zone, soa = held.zone, held.zone.soa
    numbers = f"{held.serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
    text = f"$ORIGIN {zone.origin}.\n$TTL {zone.ttl}\n"
    text += f"@\t{soa.ttl}\tIN SOA {zone.mname}. {soa.rname}. {numbers}\n"
    text += "".join(f"\t{zone.ns_ttl}\tNS {name}.\n" for name in {name.lower(): name for name in zone.ns}.values())
    text += "".join(f"\tA {address}\n" for address in dict.fromkeys(zone.apex.a))
    text += "".join(f"\tAAAA {address}\n" for address in dict.fromkeys(zone.apex.aaaa))
    text += "".join(text_record([words.encode("utf-8")], b"") for words in dict.fromkeys(zone.apex.txt))
    if held.zonemd:  # RFC 8976 section 2.4
        text += f"\t{soa.ttl}\tZONEMD {held.serial} {SIMPLE} {SHA384} {held.zonemd.hex()}\n"
    text += "".join(f"{label}\t{zone.ns_ttl}\tA {address}\n" for label, address in zone.hosts.items())
    return text


def part_lines(held: Contents, part: Part) -> Iterator[str]:
    records = ByMask(held.zone)
    below = f".{part.sublist}" if part.sublist else ""
    for blocks in blocks4(held.ip4, part):
        yield from host_lines(blocks.where(blocks.prefix == 32), below, records)
        others = chain(rows4(blocks.where(blocks.prefix < 32)), letters(blocks))
        yield from chunked(row_lines(others, below, records))
    yield from chunked(row_lines(chain.from_iterable(map(rows6, blocks6(held.ip6, part))), below, records))
    yield from chunked(row_lines(deep_rows(held.deep, part), below, records))
    yield from chunked(row_lines(written_rows(known(held.names), held.zone), below, records))


def host_lines(hosts: Blocks, below: str, records: ByMask) -> Iterator[str]:
    """Networks of one IPv4 address each, by their codes."""
    for mask in distinct(hosts.mask).tolist():
        own, numbers = records[mask], hosts.first[hosts.mask == mask]
        pairs = zip(reversed4(numbers), addresses4(numbers), strict=True)
        if own.longest >= len("255.255.255.255"):
            cut = own.parts
            yield "".join([name + below + subject.join(cut) for name, subject in pairs])
        else:
            yield "".join([name + below + own.of(subject) for name, subject in pairs])


def row_lines(rows: Iterable[Row], below: str, records: ByMask) -> Iterator[str]:
    for mask, forms, owner, subject in rows:
        own = records[mask].of(subject)
        for form in forms:
            yield f"{form}{owner}{below}{own}"


class Records:
    """The records of an answer, made ready: cut where the subject goes, so that a join completes them."""

    def __init__(self, what: Answer) -> None:
        self.addresses = "".join(f"\tA {inet_ntoa(address)}\n" for address in what.addresses)
        self.texts = what.texts
        self.longest = min((longest_subject(text) for text in self.texts), default=MAX_NAME)
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
        return self.addresses + "".join(text_record(text, subject.encode("ascii")) for text in self.texts)


class ByMask(dict[int, Records]):
    """The records of each set of codes, made when first asked for."""

    def __init__(self, zone: ZoneDef) -> None:
        super().__init__()
        self.zone = zone

    def __missing__(self, mask: int) -> Records:
        found = self[mask] = Records(answer(self.zone, mask))
        return found


def longest_subject(text: Sequence[bytes]) -> int:
    """How long a subject may be for the text to fit one string."""
    free = MAX_STRING - sum(map(len, text))
    return -1 if free < 0 else free // (len(text) - 1) if len(text) > 1 else MAX_NAME


def text_record(text: Sequence[bytes], subject: bytes) -> str:
    """A TXT record of as many strings as it takes."""
    return "\tTXT " + " ".join(f'"{escaped(string)}"' for string in strings(full_text(text, subject))) + "\n"


def escaped(text: bytes) -> str:
    """Octets inside quotes (RFC 1035 section 5.1)."""
    return "".join(ESCAPES[octet] for octet in text)


ESCAPES = [chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}" for octet in range(256)]
ESCAPES[ord('"')], ESCAPES[ord("\\")] = '\\"', "\\\\"
