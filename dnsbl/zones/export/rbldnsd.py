"""Data files for rbldnsd(8), type `combined`: one file is the whole zone, its sublists among it.

    $SOA $NS $TTL                   for all that follows
    $DATASET generic:apex @         A and TXT at the origin
    $DATASET ip4set:CODE @ SUB      for each code, what answers with it: in the zone, and in the sublist of the code
    :CODE:TEXT
    192.0.2.0/24
    $DATASET ip6trie:CODE @ SUB     the same for IPv6
    $DATASET dnset:CODE @           or for names: .bad.example, and !.ok.bad.example for what is exempt; in an exact
                                    zone names without the dot: of themselves alone

Every code has datasets of its own because rbldnsd answers from the one best match of a dataset, and joins the answers
of all datasets of a zone. As all codes have a test point, no dataset is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ...config import CodeDef, ZoneDef, template
from ..blocks import deep_networks, networks
from ..contents import Contents
from ..inorder import taken
from ..table import Pieces, merge
from ..written import network6
from .text import chunked, header, name_lines, networks4

__all__ = ["NOTES_EXACT", "NOTES_NAMES", "entry6", "lines", "plain", "specials", "value"]

NOTES = (
    "Serve it with: rbldnsd ... {origin}:combined:FILE",
    "What rbldnsd does otherwise: names above a listed one are NXDOMAIN, not empty; a text is cut at 255 bytes;",
    "a reply holds 512 bytes; the apex has no AAAA.",
)
NOTES_IP = ("Listed IPv4 addresses are also listed as ::ffff:a.b.c.d.",)
NOTES_NAMES = ("In a text, $ is the listed name, not the name asked for.",)
NOTES_EXACT = ("In a text, $ is the listed name: a hash and the label of its type, or a number's digits reversed.",)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def lines(held: Contents) -> Iterator[str]:
    zone = held.zone
    notes = [note.format(origin=zone.origin) for note in NOTES]
    yield header(held, "#", [*notes, *(NOTES_IP if zone.kind == "ip" else NOTES_EXACT if zone.exact else NOTES_NAMES)])
    yield specials(zone, held.serial) + apex(zone)
    without = taken(held.names)
    for number, code in enumerate(zone.codes):
        if zone.kind == "ip":
            yield dataset("ip4set", code)
            yield from (networks4(blocks) for blocks in networks(coded(held.ip4, number), 32))
            yield dataset("ip6trie", code)
            yield from chunked(addresses6(held, number))
        else:
            yield dataset("dnset", code)
            yield from names(held, without, number)


def specials(zone: ZoneDef, serial: int) -> str:
    """What comes before the lists. A TTL of 0 would be rbldnsd's own default."""
    soa = zone.soa
    numbers = f"{serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
    text = f"$SOA {soa.ttl or 1} {zone.mname} {soa.rname} {numbers}\n"
    text += f"$NS {zone.ns_ttl or 1} {' '.join(zone.ns)}\n$TTL {zone.ttl or 1}\n"
    return text


def apex(zone: ZoneDef) -> str:
    records = [f"@ A {address}\n" for address in zone.apex.a]
    records += [f'@ TXT "{plain(words)}"\n' for words in zone.apex.txt]
    records += [f"{label} A {address}\n" for label, address in zone.hosts.items()]
    return "$DATASET generic:apex @\n" + "".join(records) if records else ""


def dataset(kind: str, code: CodeDef) -> str:
    """The head of a list."""
    return f"$DATASET {kind}:{code.code} @ {code.sublist}".rstrip() + "\n" + value(code)


def value(code: CodeDef) -> str:
    """What the entries after it answer. rbldnsd drops a `=` in front of a text, so one more goes there."""
    text = subject_text(code.text)
    guard = "=" if text.startswith("=") else ""
    return f":{code.code}:{guard}{text}\n"


def subject_text(text: str) -> str:
    """A text with `$` as rbldnsd reads it. `$1` and `$=` are variables there, and `$$` a dollar: where the subject is
    followed by one of those characters, a space goes between."""
    parts = [plain(part).replace("$", "$$") for part in template(text)]
    return parts[0] + "".join("$" + (" " if part[:1] in tuple("0123456789=$") else "") + part for part in parts[1:])


def plain(text: str) -> str:
    """On one line, for a line is an entry."""
    return UNPRINTABLE.sub(" ", text)


def coded(table: Pieces, code: int) -> Pieces:
    """Where a code is answered, whatever other codes are."""
    has = table.where((table.mask >> np.uint64(code)) & np.uint64(1) == 1)
    return merge(Pieces(has.first, has.last, np.ones(len(has), dtype=np.uint64)))


def addresses6(held: Contents, code: int) -> Iterator[str]:
    for blocks in networks(coded(held.ip6, code), 64):
        for upper, prefix in zip(blocks.first.tolist(), blocks.prefix.tolist(), strict=True):
            yield entry6(upper << 64, prefix)
    for piece in held.deep:
        if piece.mask >> code & 1:
            yield from (entry6(first, prefix) for first, prefix in deep_networks(piece))


def entry6(first: int, prefix: int) -> str:
    """One line. Never with a colon in front, which begins a value: such an address is written with all its words."""
    text = network6(first, prefix)
    if text.startswith("::"):
        words = ":".join(f"{first >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
        text = words if prefix == 128 else f"{words}/{prefix}"
    return text + "\n"


def names(held: Contents, without: Sequence[tuple[str, int]], code: int) -> Iterator[str]:
    """Listed names, with all below them unless the zone is exact, and those below that do not answer with the code."""
    dot = "" if held.zone.exact else "."
    yield from name_lines(held.names, code, dot)
    yield from chunked(f"!.{name}\n" for name, mask in without if mask >> code & 1)
