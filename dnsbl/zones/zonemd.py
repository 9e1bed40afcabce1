"""The digest of a whole zone: ZONEMD (RFC 8976), scheme SIMPLE with SHA-384. Pure.

Every record but the ZONEMD itself goes in once, names written out and in lower case, in the canonical order of RFC 4034
section 6: by owner (zones/canonical.py), by type, by data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from .apex import NS, SOA, apex_records, host_records, soa
from .canonical import batches
from .contents import Contents
from .packed import Data, Group, Layout, Octets, Rows, record, wire_name
from .recordset import Part

__all__ = ["canonical", "digest"]

NUMBERS = 20  # octets behind the names in an SOA's data
ANY_LENGTH = 1 << 31
MAX_OCTET = 255


def digest(held: Contents) -> bytes:
    """The 48 octets that the ZONEMD record of these contents has."""
    made = hashlib.sha384()
    for octets in canonical(held):
        made.update(octets)
    return made.digest()


def canonical(held: Contents) -> Iterator[bytes]:
    """All records as they go into the digest, some thousand at a time."""
    origin = wire_name(held.zone.origin) + b"\0"
    yield b"".join(apex(held, origin))
    yield b"".join(record(wire_name(label.decode()) + origin, *found) for label, found in host_records(held.zone))
    rows: dict[Part, Ordered] = {}
    for part, groups in batches(held):
        if part not in rows:
            rows[part] = Ordered(held.zone, part, origin, ANY_LENGTH)
        yield b"".join(placed(rows[part], groups))


def apex(held: Contents, origin: bytes) -> Iterator[bytes]:
    records = [soa(held.zone, held.serial), *apex_records(held.zone, held.serial, b"")]
    return (
        record(origin, *found) for found in sorted({(rtype, ttl, lower(rtype, data)) for rtype, ttl, data in records})
    )


def lower(rtype: int, data: bytes) -> bytes:
    """Data with its names in lower case (RFC 4034 section 6.2); lengths of labels are no letters."""
    if rtype == NS:
        return data.lower()
    return data[:-NUMBERS].lower() + data[-NUMBERS:] if rtype == SOA else data


def placed(rows: Ordered, groups: Iterable[Group]) -> list[bytes]:
    """The records of names, each name's at its place."""
    found: dict[int, bytes] = {}
    for group in groups:
        start = 0
        for _, some in rows.of(group):
            places = group.place[start : start + len(some)].tolist()
            found.update(zip(places, some.view(f"V{some.shape[1]}").ravel().tolist(), strict=True))
            start += len(some)
    return [found[place] for place in sorted(found)]


class Ordered(Rows):
    """Records in canonical order, those of a name all in one row."""

    def of(self, group: Group) -> Iterator[tuple[int, Octets]]:
        data = self.data(group.mask, group.subject.shape[1])
        if settled(data):
            yield from super().of(group)
            return
        for place in range(len(group.owner)):
            one = slice(place, place + 1)
            yield self.one(group, data, group.owner[one], group.subject[one])

    def one(self, group: Group, data: Sequence[Data], owner: Octets, subject: Octets) -> tuple[int, Octets]:
        """The records of one name, in an order that its subject makes."""
        layout = Layout(owner.shape[1], self.suffix, self.zone.ttl)
        whole = sorted((rtype, filled(octets, slots, subject.tobytes())) for rtype, octets, slots in data)
        for form in group.forms:
            for rtype, octets in whole:
                layout.add(form, rtype, octets, [])
        return layout.count, layout.rows(owner, subject)

    def data(self, mask: int, subject_size: int) -> list[Data]:
        return sorted(super().data(mask, subject_size), key=lambda one: (one[0], symbols(one)))


def symbols(data: Data) -> list[int]:
    """The data's octets; those of the subject, whatever they are, as numbers above all octets."""
    _, octets, slots = data
    found = list(octets)
    for at, first, end in slots:
        found[at : at + end - first] = range(MAX_OCTET + 1 + first, MAX_OCTET + 1 + end)
    return found


def settled(data: Sequence[Data]) -> bool:
    """Whether records have the same order for all subjects of a size: where two differ first, neither has a subject."""
    for one, other in combinations(data, 2):
        if one[0] == other[0] and (one[2] or other[2]):
            differing = (pair for pair in zip(symbols(one), symbols(other), strict=False) if pair[0] != pair[1])
            if max(next(differing, (0, 0))) > MAX_OCTET:
                return False
    return True


def filled(octets: bytes, slots: Iterable[tuple[int, int, int]], subject: bytes) -> bytes:
    found = bytearray(octets)
    for at, first, end in slots:
        found[at : at + end - first] = subject[first:end]
    return bytes(found)
