"""Build: a zone's listings from the store to the arrays of a snapshot, whole or as a delta over a base."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from ..errors import PublishRefused
from ..reputation.exemptions import Exemptions
from ..store.contract import Listed
from ..subjects import bounds, inside, listing_key
from . import exact
from . import names as naming
from .arrays import Arrays, answer_ids, compact, numbers, singles
from .served import ServedZone
from .snapshot import MAX_ANSWERS, Snapshot, size_of
from .table import (
    Deep,
    Pieces,
    ascending,
    columns4,
    columns6,
    distinct,
    flatten,
    joined,
    laid_over,
    merge,
    overlay,
    pieces,
)

__all__ = ["Answers", "Arrays", "build_base", "build_delta", "test_points"]

PASS_SHARE = 200  # listings to one changed network: with fewer, one pass over all is faster than asking for each
LOW64 = 0xFFFFFFFFFFFFFFFF
MAPPED = 0xFFFF << 32  # ::ffff:0:0, lower half: where RFC 5782 section 2.4 puts the IPv6 test points


@dataclass(slots=True)
class Answers:
    """Sets of codes and the ids they have in a snapshot. A delta begins with its base's and adds to them."""

    zone: ZoneDef
    masks: list[int] = field(default_factory=lambda: [0])
    ids: dict[int, int] = field(default_factory=lambda: {0: 0})
    by_text: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, zone: ZoneDef, answers: Sequence[Sequence[int]]) -> Answers:
        made = cls(zone)
        for codes in answers[1:]:
            made.id(sum(1 << code for code in codes))
        return made

    def id(self, mask: int) -> int:
        number = self.ids.get(mask)
        if number is None:
            number = self.ids[mask] = len(self.masks)
            self.masks.append(mask)
            if number > MAX_ANSWERS:
                raise PublishRefused(f"zone {self.zone.name}: more than {MAX_ANSWERS:,} different sets of codes")
        return number

    def mask(self, text: str) -> int:
        """The mask of a listing's codes; codes that the zone no longer has do not count."""
        mask = self.by_text.get(text)
        if mask is None:
            known = {code.code: number for number, code in enumerate(self.zone.codes)}
            mask = self.by_text[text] = sum(1 << known[code] for code in text.split() if code in known)
        return mask

    def column(self, masks: NDArray[np.uint64]) -> NDArray[Any]:
        """Masks as ids, in the narrowest type that holds them, as they are stored."""
        masks = compact(masks)
        known = distinct(masks)
        ids = np.array([self.id(int(mask)) for mask in known], dtype=np.uint16)
        return ids[np.searchsorted(known, masks)].astype(np.uint8 if len(self.masks) <= 256 else np.uint16)

    def lists(self) -> list[list[int]]:
        return [[bit for bit in range(mask.bit_length()) if mask >> bit & 1] for mask in self.masks]


def test_points(zone: ZoneDef) -> dict[int, int]:
    """RFC 5782 section 5: 127.0.0.2 with every code, and each code's own address with that code."""
    every = (1 << len(zone.codes)) - 1
    points = {int(ipaddress.IPv4Address(code.code)): 1 << number for number, code in enumerate(zone.codes)}
    return {**points, 0x7F000002: every}


def build_base(store: Listed, zone: ZoneDef, exempt: Exemptions) -> tuple[Arrays, Answers, int]:
    """The whole zone: arrays, answers, and the number of pieces or names."""
    answers = Answers(zone)
    if zone.shutdown:  # RFC 6471 section 3.4: nothing is listed, test points neither, by which software sees it
        return no_ranges(answers), answers, 0
    exempt = exempt.within(zone)
    if zone.kind != "ip":
        return names_base(store, zone, exempt, answers)
    listed4 = read_ranges(store, zone, answers, b"4")
    table4 = flatten(listed4, holes(exempt, zone.name, 4))
    del listed4
    table6 = flatten(read_ranges(store, zone, answers, b"6"), holes(exempt, zone.name, 6))
    arrays = ip_arrays(with_tests(table4, zone), table6, deep(zone, exempt, table6), answers)
    return arrays, answers, len(table4) + len(table6)


def read_ranges(store: Listed, zone: ZoneDef, answers: Answers, mark: bytes) -> Pieces:
    """One address family's listings as ranges with masks."""
    columns = columns4 if mark == b"4" else columns6
    parts = []
    for rows in store.listing_chunks(zone.name, mark, mark + b"\xff" * 18):
        masks = np.fromiter((answers.mask(codes) for _, codes in rows), dtype=np.uint64, count=len(rows))
        parts.append(columns([subject for subject, _ in rows], masks))
    return joined(parts)


def holes(exempt: Exemptions, zone: str, family: int) -> Pieces:
    """The exempt ranges as pieces; in IPv6 of whole /64s only."""
    ranges = exempt.ranges.get(zone) or exempt.ranges[""]
    mark = ord(str(family))
    rows = list(zip(ranges.starts.get(mark, ()), ranges.ends.get(mark, ()), strict=True))
    if family == 6:
        rows = [(-(-first >> 64), min(((last + 1) >> 64) - 1, LOW64 - 1)) for first, last in rows]
    return pieces((first, last, 0) for first, last in rows if first <= last)


def with_tests(table: Pieces, zone: ZoneDef) -> Pieces:
    return laid_over(table, pieces((address, address, mask) for address, mask in test_points(zone).items()))


def deep(zone: ZoneDef, exempt: Exemptions, table6: Pieces) -> list[Deep]:
    """The /64s that need their lower half: the test points, and listed ones with an exemption inside."""
    found = [Deep(0, MAPPED | address, MAPPED | address, mask) for address, mask in test_points(zone).items()]
    narrow: dict[int, list[tuple[int, int]]] = {}
    for subject in exempt.holes(zone.name):
        if subject[0] == ord("6") and subject[17] > 64:
            first, last = bounds(subject)
            narrow.setdefault(first >> 64, []).append((first & LOW64, last & LOW64))
    for upper, cuts in narrow.items():
        mask = mask_at(table6, upper)
        start = 0
        for first, last in sorted(cuts) if mask else ():
            if start < first:
                found.append(Deep(upper, start, first - 1, mask))
            start = max(start, last + 1)
        if mask and start <= LOW64:
            found.append(Deep(upper, start, LOW64, mask))
    return sorted(found, key=lambda piece: (piece.upper, piece.first))


def mask_at(table: Pieces, number: int) -> int:
    place = int(np.searchsorted(table.first, np.uint64(number), side="right")) - 1
    return int(table.mask[place]) if place >= 0 and int(table.last[place]) >= number else 0


def ip_arrays(table4: Pieces, table6: Pieces, narrow: Sequence[Deep], answers: Answers) -> Arrays:
    arrays: Arrays = {}
    for family, table, width in (("v4", table4, np.uint32), ("v6", table6, np.uint64)):
        single = table.first == table.last
        one, ranges = table.where(single), table.where(~single)
        arrays |= singles(one.first) if family == "v4" else {"v6one": one.first}
        arrays[f"{family}onea"] = answers.column(one.mask)
        arrays[f"{family}low"] = ranges.first.astype(width)
        arrays[f"{family}high"] = ranges.last.astype(width)
        arrays[f"{family}a"] = answers.column(ranges.mask)
    arrays["v6d"] = np.array([piece.upper for piece in narrow], dtype=np.uint64)
    arrays["v6dlow"] = np.array([piece.first for piece in narrow], dtype=np.uint64)
    arrays["v6dhigh"] = np.array([piece.last for piece in narrow], dtype=np.uint64)
    arrays["v6da"] = answers.column(np.array([piece.mask for piece in narrow], dtype=np.uint64))
    return {**arrays, **naming.index({})}


def no_ranges(answers: Answers) -> Arrays:
    return ip_arrays(pieces([]), pieces([]), [], answers)


# names


def test_values(zone: ZoneDef, answers: Answers) -> dict[bytes, int]:
    """RFC 5782 section 5: TEST is listed, with every code; below it each category's own code has a name."""
    found = {b"test": answers.id((1 << len(zone.codes)) - 1)}
    for number, code in enumerate(zone.codes):
        found.update({b"test." + category.encode(): answers.id(1 << number) for category in code.categories})
    return found


def names_base(store: Listed, zone: ZoneDef, exempt: Exemptions, answers: Answers) -> tuple[Arrays, Answers, int]:
    if zone.exact:
        found = exact.whole(store, zone, exempt, answers.mask, answers.id)
        return {**no_ranges(answers), **naming.index(found)}, answers, len(found)
    masks: dict[bytes, int] = {}
    for rows in store.listing_chunks(zone.name, b"d", b"e"):
        masks.update((subject[1:], answers.mask(codes)) for subject, codes in rows)
    holes = (subject[1:] for subject in exempt.holes(zone.name) if subject[:1] == b"d")
    found = naming.values({name: mask for name, mask in masks.items() if mask}, holes, answers.id)
    count = len(found)
    found |= test_values(zone, answers)
    return {**no_ranges(answers), **naming.index(found)}, answers, count


class Around:
    """`names.Surroundings` from the store and the exemptions."""

    def __init__(self, store: Listed, zone: ZoneDef, exempt: Exemptions, answers: Answers) -> None:
        self.store, self.zone, self.answers = store, zone.name, answers
        self.holes = sorted(s for s in exempt.holes(zone.name) if s[:1] == b"d")
        self.cut = {s[1:] for s in self.holes}

    def masks(self, names: Iterable[bytes]) -> Mapping[bytes, int]:
        rows = self.store.listings_of(self.zone, [b"d" + name for name in names])
        return {key[1:]: mask for key, row in rows.items() if (mask := self.answers.mask(row.codes))}

    def listed_inside(self, name: bytes) -> Iterable[bytes]:
        low, high = inside(b"d" + name)
        for rows in self.store.listing_chunks(self.zone, low, high):
            yield from (subject[1:] for subject, _ in rows)

    def any_inside(self, name: bytes) -> bool:
        return self.store.any_listing(self.zone, *inside(b"d" + name))

    def exempt(self, name: bytes) -> bool:
        """Whether it is cut out with all below it. A name that is exempt alone is only never listed itself."""
        return name in self.cut or not self.cut.isdisjoint(naming.above(name))

    def holes_inside(self, name: bytes) -> Iterable[bytes]:
        low, high = inside(b"d" + name)
        return [s[1:] for s in self.holes if low <= s < high]


# deltas


def build_delta(
    store: Listed, zone: ZoneDef, exempt: Exemptions, served: ServedZone, subjects: Iterable[bytes]
) -> tuple[Arrays, Answers, int]:
    """What differs from the base: the delta before, and anew all the ground of the changed subjects."""
    answers = Answers.of(zone, served.answers)
    if zone.shutdown:
        return no_ranges(answers), answers, 0
    exempt = exempt.within(zone)
    changed = set(subjects)
    if zone.kind != "ip":
        found = carried_names(served) | changed_names(store, zone, exempt, served, changed, answers)
        return {**no_ranges(answers), **naming.index(found)}, answers, len(found)
    table4 = delta_ranges(store, zone, exempt, served, [s for s in changed if s[:1] == b"4"], answers)
    table6 = delta_ranges(store, zone, exempt, served, [s for s in changed if s[:1] == b"6"], answers, family=6)
    whole6 = overlay(ranges_of(served.base, "v6", answers), table6)
    arrays = ip_arrays(with_tests(table4, zone), table6, deep(zone, exempt, whole6), answers)
    return arrays, answers, len(table4) + len(table6)


def changed_names(
    store: Listed, zone: ZoneDef, exempt: Exemptions, served: ServedZone, changed: Iterable[bytes], answers: Answers
) -> dict[bytes, int]:
    if zone.exact:
        return exact.changed(store, zone, exempt, changed, answers.mask, answers.id)
    names = [subject[1:] for subject in changed if subject[:1] == b"d"]
    around = Around(store, zone, exempt, answers)
    return naming.changed(names, carried_names(served), around, answers.id) | test_values(zone, answers)


def delta_ranges(
    store: Listed,
    zone: ZoneDef,
    exempt: Exemptions,
    served: ServedZone,
    changed: Sequence[bytes],
    answers: Answers,
    family: int = 4,
) -> Pieces:
    before = ranges_of(served.delta, f"v{family}", answers) if served.delta else pieces([])
    changed = sorted({listing_key(subject) for subject in changed})  # exemptions within a /64 may together be all of it
    if not changed:
        return before
    columns = columns4 if family == 4 else columns6
    rows = touching(store, zone, changed, size_of(served.base))
    listed = columns(list(rows), np.array([answers.mask(codes) for codes in rows.values()], dtype=np.uint64))
    regions = flatten(columns(changed, np.ones(len(changed), dtype=np.uint64)), pieces([]))
    return overlay(before, flatten(listed, holes(exempt, zone.name, family), regions))


def touching(store: Listed, zone: ZoneDef, changed: Sequence[bytes], size: int) -> dict[bytes, str]:
    """Codes of the listings at, above and inside these networks, and maybe of others. `size`: of the base."""
    if len(changed) * PASS_SHARE < size:
        return {s: codes for subject in changed for s, codes in store.listings_touching(zone.name, subject)}
    return store.listings_touching_many(zone.name, changed)


def ranges_of(file: Snapshot, family: str, answers: Answers) -> Pieces:
    """The ranges of a snapshot file, as pieces with masks."""
    masks = np.array(answers.masks, dtype=np.uint64)
    one = numbers(file, family).astype(np.uint64)
    low = np.asarray(getattr(file, f"{family}low")).astype(np.uint64)
    first = np.concatenate([one, low])
    last = np.concatenate([one, np.asarray(getattr(file, f"{family}high")).astype(np.uint64)])
    ids = np.concatenate([answer_ids(file, f"{family}one"), answer_ids(file, family)])
    return merge(ascending(Pieces(first, last, masks[ids.astype(np.int64)])))


def carried_names(served: ServedZone) -> dict[bytes, int]:
    """What the delta in use says of names."""
    return dict(naming.records(served.delta.names)) if served.delta else {}
