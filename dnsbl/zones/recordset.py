"""Which records a zone has as a zone file and in a transfer: its names, and what each answers. Pure.

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

No name is made by two networks, or by two listed names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import ZoneDef, template
from .blocks import CHUNK, Blocks, aligned, deep_networks, joined, networks
from .contents import Kind, Node
from .inorder import Written
from .table import Deep, Pieces
from .written import address4, name_text, network6, nibbles6

__all__ = [
    "ITSELF", "LETTERS", "MAX_NAME", "MAX_STRING", "NO_ADDRESS", "Answer", "Forms", "Part", "Row", "answer", "blocks4",
    "blocks6", "deep_rows", "forms_of", "full_text", "letters", "name_rows", "parts", "rows4", "rows6", "shared",
    "strings", "subject_of", "written_rows",
]  # fmt: skip

MAX_STRING = 255  # octets, RFC 1035 section 3.3
MAX_TEXT = 4096  # octets of one text
MAX_NAME = 253  # characters: 255 octets on the wire (RFC 1035 section 3.1)
LETTERS = "abcdef"
LEAST6 = 16  # prefix: four labels, below which no IPv4 name is
NO_ADDRESS, EXEMPT = -1, -2  # in place of a mask: what only makes a name exist

Forms = tuple[str, ...]  # what comes before a name: the records are there in each form
ITSELF: Forms = ("",)
BELOW: Forms = ("*.",)
BOTH: Forms = ("", "*.")
# A mask, or one of the above; the forms of the name; the name, relative to the zone or the sublist; what is listed.
Row = tuple[int, Forms, str, str]


# what is answered


@dataclass(slots=True, frozen=True)
class Answer:
    """The records of a set of codes, but for the subject: addresses as octets, texts cut where the subject goes."""

    addresses: tuple[bytes, ...]
    texts: tuple[tuple[bytes, ...], ...]


@dataclass(slots=True, frozen=True)
class Part:
    """The zone itself or one of its sublists (a label before the origin), and its codes' numbers."""

    sublist: str
    members: tuple[int, ...]

    @property
    def wanted(self) -> int:
        return sum(1 << number for number in self.members)


def parts(zone: ZoneDef) -> list[Part]:
    sublists = dict.fromkeys(code.sublist for code in zone.codes if code.sublist)
    own = [tuple(n for n, code in enumerate(zone.codes) if code.sublist == sublist) for sublist in sublists]
    return [Part("", tuple(range(len(zone.codes)))), *map(Part, sublists, own)]


def answer(zone: ZoneDef, mask: int) -> Answer:
    """The records of the codes in a mask. Two codes with one text have it once: no record is there twice."""
    if mask < 0:
        return Answer((), ((b"exempt: not listed" if mask == EXEMPT else b"no address",),))
    codes = [code for number, code in enumerate(zone.codes) if mask >> number & 1]
    texts = dict.fromkeys(code.text for code in codes if code.text)
    return Answer(
        tuple(bytes(map(int, code.code.split("."))) for code in codes),
        tuple(tuple(part.encode("utf-8") for part in template(text)) for text in texts),
    )


def full_text(cut: Sequence[bytes], subject: bytes) -> bytes:
    """A text with its subject, no longer than may be."""
    text = subject.join(cut)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT].decode("utf-8", "ignore").encode("utf-8")


def strings(text: bytes) -> list[bytes]:
    """A text as the strings of its TXT record (RFC 1035 section 3.3.14)."""
    return [text[at : at + MAX_STRING] for at in range(0, len(text), MAX_STRING)] or [b""]


# addresses


def blocks4(table: Pieces, part: Part, chunk: int = CHUNK) -> Iterator[Blocks]:
    """IPv4 networks that end at octets, a name each; those that keep IPv6 names apart among them."""
    for blocks in networks(restricted(table, part), 32, chunk):
        yield from map(with_digits, aligned(blocks, 32, 8, 8, chunk))


def blocks6(table: Pieces, part: Part) -> Iterator[Blocks]:
    """IPv6 networks of /64 or wider that end at nibbles, by their upper halves."""
    for blocks in networks(restricted(table, part), 64):
        yield from aligned(blocks, 64, 4, LEAST6)


def restricted(table: Pieces, part: Part) -> Pieces:
    """What of a table is answered in a part. Neighbours stay apart, so that a piece's records depend on it alone."""
    mask = table.mask & np.uint64(part.wanted)
    if mask.all() and (mask == table.mask).all():
        return table  # the usual one: transfers that wait for slow clients do not each hold a copy of the zone
    has = mask != 0
    return Pieces(table.first[has], table.last[has], mask[has])


def with_digits(blocks: Blocks) -> Blocks:
    """IPv4 networks, and again with one more digit those below which IPv6 names may be."""
    found, under = [blocks], shared(blocks)
    while len(under):
        digits = np.tile(np.arange(10, dtype=np.uint64), len(under))
        prefix = np.repeat(under.prefix, 10) + 8
        first = np.repeat(under.first, 10) | digits << (32 - prefix).astype(np.uint64)
        found.append(Blocks(first, prefix, np.repeat(under.mask, 10)))
        under = shared(found[-1])
    return joined(found) if len(found) > 1 else blocks


def shared(blocks: Blocks) -> Blocks:
    """The wildcards whose labels are all nibbles too."""
    wide = blocks.where(blocks.prefix < 32)
    nibbles = np.ones(len(wide), dtype=np.bool_)
    for shift in (24, 16, 8):
        nibbles &= ((wide.first >> np.uint64(shift)) & np.uint64(0xFF)) < 10
    return wide.where(nibbles)


def rows4(blocks: Blocks) -> Iterator[Row]:
    """The names of IPv4 networks."""
    for first, prefix, mask in zip(blocks.first.tolist(), blocks.prefix.tolist(), blocks.mask.tolist(), strict=True):
        octets = address4(first)
        labels = octets.split(".")[: prefix // 8]
        labels.reverse()
        name = ".".join(labels)
        yield (mask, ITSELF, name, octets) if prefix == 32 else (mask, BELOW, name, f"{octets}/{prefix}")


def letters(blocks: Blocks) -> Iterator[Row]:
    """The names of nibbles that are no digits, below IPv4 networks."""
    for _, _, name, _ in rows4(shared(blocks)):
        for letter in LETTERS:
            yield NO_ADDRESS, ITSELF, f"{letter}.{name}", ""


def rows6(blocks: Blocks) -> Iterator[Row]:
    """The names of IPv6 networks by their upper halves."""
    for upper, prefix, mask in zip(blocks.first.tolist(), blocks.prefix.tolist(), blocks.mask.tolist(), strict=True):
        first = upper << 64
        yield mask, BELOW, nibbles6(first, prefix), network6(first, prefix)


def deep_rows(pieces: Iterable[Deep], part: Part) -> Iterator[Row]:
    """The names of what is listed inside a /64."""
    for piece in pieces:
        mask = piece.mask & part.wanted
        if mask:
            for first, prefix in deep_networks(piece, 4):
                forms = BELOW if prefix < 128 else ITSELF
                yield mask, forms, nibbles6(first, prefix), network6(first, prefix)


# names


def name_rows(nodes: Iterable[Node], zone: ZoneDef) -> Iterator[Row]:
    """The names of a zone that is not of addresses, in their order."""
    return written_rows(((name_text(name), mask, kind) for name, mask, kind, _ in nodes), zone)


def written_rows(names: Iterable[Written], zone: ZoneDef) -> Iterator[Row]:
    """The same, of names as they are written."""
    for name, mask, kind in names:
        forms = forms_of(len(name), zone)
        if kind is Kind.EMPTY or not forms:
            continue
        if kind is Kind.HOLE:
            yield EXEMPT, ITSELF, name, ""
        else:
            yield mask, forms, name, subject_of(name, zone.kind) if zone.exact else name


def forms_of(size: int, zone: ZoneDef) -> Forms:
    """The forms of a listed name of so many characters; none where it is too long to be asked for."""
    room = MAX_NAME - len(zone.origin) - 1
    if size > room:
        return ()
    return ITSELF if zone.exact or size + len("*.") > room else BOTH


def subject_of(name: str, kind: str) -> str:
    """A hash or number as people write it, from its name."""
    if kind == "hash":
        digest, _, label = name.rpartition(".")
        return f"{label[1:]}:{digest}"
    return "+" + name[::-2]
