"""Records as octets, many names at a time: names whose labels and subjects are as long have records that lie alike, so
they are one array with a row for each name. Pure, numpy.

What such rows have in common is laid out once (`Layout`); owners and subjects are then put in column by column. A
million names take a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from struct import pack

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .blocks import Blocks
from .recordset import ITSELF, MAX_STRING, Answer, Forms, Part, Row, answer, full_text
from .table import Words, distinct

__all__ = [
    "TXT", "A", "Data", "Group", "Layout", "Octets", "Rows", "gathered", "hosts", "labels", "record", "text_data",
    "wire_name",
]  # fmt: skip

A, TXT, IN = 1, 16, 1  # RFC 1035 section 3.2
WILDCARD = {"": b"", "*.": b"\x01*"}
MATRIX = 4_000_000  # octets of one array of rows
LAYOUTS = 4_096  # kept ready: lengths times sets of codes; a few hundred octets each
DOT = ord(".")
WORD = 8  # octets kept for half an address: two labels of four are the longest

Octets = NDArray[np.uint8]
Places = NDArray[np.intp]


@dataclass(slots=True, frozen=True)
class Group:
    """Names with one answer whose records lie alike. `place`: where each was among those given; `owner`: labels without
    those of sublist and origin; `subject`: what the texts say; a row for each."""

    mask: int
    forms: Forms
    place: Places
    owner: Octets
    subject: Octets


# records

Slot = tuple[int, int, int]  # where octets of the subject go, the first of them and the one behind the last
Data = tuple[int, bytes, list[Slot]]  # type and data of a record


def wire_name(name: str) -> bytes:
    """Labels without the root's."""
    return b"".join(bytes((len(label),)) + label for label in name.encode("ascii").split(b".")) if name else b""


def record(owner: bytes, rtype: int, ttl: int, data: bytes) -> bytes:
    return owner + pack("!HHIH", rtype, IN, ttl, len(data)) + data


class Layout:
    """How the records of one name lie: all octets, with room where its owner and its subject go."""

    def __init__(self, owner_size: int, suffix: bytes, ttl: int) -> None:
        self.owner_size, self.suffix, self.ttl = owner_size, suffix, ttl
        self.octets = bytearray()
        self.count = 0  # records
        self.owners: list[int] = []  # where each owner goes
        self.subjects: list[Slot] = []

    def add(self, form: str, rtype: int, data: bytes, subjects: Iterable[Slot]) -> None:
        """One record more. `subjects`: as above, within the data."""
        self.owners.append(len(self.octets) + len(WILDCARD[form]))
        self.octets += record(WILDCARD[form] + bytes(self.owner_size) + self.suffix, rtype, self.ttl, data)
        start = len(self.octets) - len(data)
        self.subjects += [(start + at, first, end) for at, first, end in subjects]
        self.count += 1

    def rows(self, owner: Octets, subject: Octets) -> Octets:
        rows = np.empty((len(owner), len(self.octets)), dtype=np.uint8)
        rows[:] = np.frombuffer(self.octets, dtype=np.uint8)
        for at in self.owners:
            rows[:, at : at + self.owner_size] = owner
        for at, first, end in self.subjects:
            rows[:, at : at + end - first] = subject[:, first:end]
        return rows


def text_data(cut: Sequence[bytes], size: int) -> Data:
    """A TXT record for subjects of some size; a subject may be cut where one string ends, and where the text does."""
    text = full_text(cut, bytes(size))
    starts = range(0, max(len(text), 1), MAX_STRING)
    data = b"".join(bytes((len(text[at : at + MAX_STRING]),)) + text[at : at + MAX_STRING] for at in starts)
    found, place = [], 0
    for part in cut[:-1]:
        place += len(part)
        for number, start in enumerate(starts):
            first, end = max(place, start), min(place + size, start + MAX_STRING, len(text))
            if first < end:
                found.append((first + number + 1, first - place, end - place))
        place += size
    return TXT, data, found


class Rows:
    """The records of a zone or a sublist, many names at a time. `origin`: as it ends every owner; no row is longer than
    `limit` octets, unless one record is."""

    def __init__(self, zone: ZoneDef, part: Part, origin: bytes, limit: int) -> None:
        self.zone, self.limit = zone, limit
        self.suffix = wire_name(part.sublist) + origin
        self.ready: dict[tuple[int, Forms, int, int], list[Layout]] = {}
        self.answers: dict[int, Answer] = {}

    def of(self, group: Group) -> Iterator[tuple[int, Octets]]:
        """How many records a row has, and rows; the names again where their records are too long for one row."""
        for layout in self.layouts(group):
            step = max(1, MATRIX // len(layout.octets))
            for start in range(0, len(group.owner), step):
                part = slice(start, start + step)
                yield layout.count, layout.rows(group.owner[part], group.subject[part])

    def layouts(self, group: Group) -> list[Layout]:
        key = group.mask, group.forms, group.owner.shape[1], group.subject.shape[1]
        found = self.ready.get(key)
        if found is None:
            if len(self.ready) >= LAYOUTS:
                self.ready.clear()
            found = self.ready[key] = self.laid_out(*key)
        return found

    def answer(self, mask: int) -> Answer:
        found = self.answers.get(mask)
        if found is None:
            found = self.answers[mask] = answer(self.zone, mask)
        return found

    def data(self, mask: int, subject_size: int) -> list[Data]:
        """The records of a name with subjects of some size."""
        what = self.answer(mask)
        return [
            *((A, address, []) for address in what.addresses),
            *(text_data(text, subject_size) for text in what.texts),
        ]

    def laid_out(self, mask: int, forms: Forms, owner_size: int, subject_size: int) -> list[Layout]:
        found = [Layout(owner_size, self.suffix, self.zone.ttl)]
        room = self.limit - owner_size - len(self.suffix) - OVERHEAD
        data = self.data(mask, subject_size)
        for form in forms:
            for one in data:
                if found[-1].count and len(found[-1].octets) + len(one[1]) > room:
                    found.append(Layout(owner_size, self.suffix, self.zone.ttl))
                found[-1].add(form, *one)
        return found


OVERHEAD = len(record(WILDCARD["*."], TXT, 0, b""))


# names


def gathered(rows: Iterable[Row]) -> Iterator[Group]:
    """Any names; as many are held as are given."""
    found: dict[tuple[int, Forms, int, int], list[tuple[int, str, str]]] = {}
    for place, (mask, forms, owner, subject) in enumerate(rows):
        found.setdefault((mask, forms, len(owner), len(subject)), []).append((place, owner, subject))
    for (mask, forms, _, _), members in found.items():
        places, owners, subjects = zip(*members, strict=True)
        yield Group(mask, forms, np.array(places, dtype=np.intp), labels(matrix(owners)), matrix(subjects))


def matrix(texts: Sequence[str]) -> Octets:
    """Texts of one length, a row each."""
    return np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(texts), len(texts[0]))


def labels(names: Octets) -> Octets:
    """Names with dots between their labels as they are on the wire: before each label its length."""
    found = np.full((len(names), names.shape[1] + 1), DOT, dtype=np.uint8)
    found[:, 1:] = names
    run = found.reshape(-1)
    dots = np.flatnonzero(run == DOT)
    run[dots] = np.diff(dots, append=len(run)) - 1
    return found


# single IPv4 addresses


def hosts(blocks: Blocks) -> Iterator[Group]:
    """Networks of one IPv4 address each."""
    if not len(blocks):
        return
    halves = half_tables()
    lower = (blocks.first & np.uint64(0xFFFF)).astype(np.intp)
    upper = (blocks.first >> np.uint64(16)).astype(np.intp)
    masks = distinct(blocks.mask)
    kinds = np.searchsorted(masks, blocks.mask)
    keys = kinds << 8 | halves.sizes[lower] << 4 | halves.sizes[upper]
    order = np.argsort(keys.astype(np.uint16 if len(masks) <= 256 else np.uint32), kind="stable")  # 16 bits: by radix
    keys, lower, upper = keys[order], lower[order], upper[order]
    labels = halves.labels[lower], halves.labels[upper]
    texts = halves.text_upper[upper], halves.text_lower[lower]
    edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
    for start, end in pairwise(edges):
        key, part = int(keys[start]), slice(start, end)
        sizes = key >> 4 & 15, key & 15
        owner, subject = beside(labels, part, sizes), beside(texts, part, (sizes[1], sizes[0] - 1))
        yield Group(int(masks[key >> 8]), ITSELF, order[part], owner, subject)


def beside(halves: tuple[Words, Words], part: slice, sizes: tuple[int, int]) -> Octets:
    """Some rows of two columns of words, of each so many octets from the left."""
    first, second = (words[part].view(np.uint8).reshape(-1, WORD) for words in halves)
    found = np.empty((len(first), sum(sizes)), dtype=np.uint8)
    found[:, : sizes[0]] = first[:, : sizes[0]]
    found[:, sizes[0] :] = second[:, : sizes[1]]
    return found


@dataclass(slots=True, frozen=True)
class Halves:
    """What the halves of an address are written as, left in a word of eight octets."""

    labels: Words  # `4` `3` of 1.2.3.4, each after its length
    text_upper: Words  # `1.2.`
    text_lower: Words  # `3.4`
    sizes: Places  # octets of the labels, and of `1.2.`: one more than of `3.4`


@cache
def half_tables() -> Halves:
    texts = [str(number).encode() for number in range(256)]
    own = [bytes((len(text),)) + text for text in texts]
    pairs = [divmod(number, 256) for number in range(1 << 16)]
    reverse = [own[two] + own[one] for one, two in pairs]
    return Halves(
        words(reverse),
        words([texts[one] + b"." + texts[two] + b"." for one, two in pairs]),
        words([texts[one] + b"." + texts[two] for one, two in pairs]),
        np.array([len(text) for text in reverse], dtype=np.intp),
    )


def words(texts: Iterable[bytes]) -> Words:
    return np.frombuffer(b"".join(text.ljust(WORD, b"\0") for text in texts), dtype=np.uint64)
