"""Exact zones: hashes and E.164 numbers. A listed subject answers for itself alone, and what stands above it (`_email`,
the first digits of a number) is empty: NODATA (RFC 8020). Names are those of `subjects.zone_name`, from the top label.

Test points, as RFC 5782 section 5 has none for these kinds. They answer whatever is listed or exempt:

    hash    of each type, what belongs to WORD@example.com: with every code for WORD `test`, with its own code for each
            category of the zone; `invalid` is never listed. The address itself (email), the file that has it as its
            content and nothing else (file), and https://example.com/WORD (url). RFC 2606 keeps the name for this.
    e164    the number of each code: +999, which is not assigned, and the code's four octets, three digits each, without
            the dots: 127.0.3.2 is +999127000003002. That of 127.0.0.2 has every code, that of 127.0.0.1 is never
            listed, as in an ip zone. With 15 digits nothing can be below them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from ..config import ZoneDef
from ..hashing import email_hash, file_hash, url_hash
from ..reputation.exemptions import Exemptions
from ..store.contract import Listed
from ..subjects import kind, zone_name
from .names import above
from .snapshot import EMPTY_NAME, GONE

__all__ = ["changed", "never_listed", "test_points", "values", "whole"]

MARKS = {"hash": b"h", "e164": b"e"}  # the first byte of the zone's subject keys
UNASSIGNED = b"999"  # E.164: "reserved for future global service"
TEST_DOMAIN = "example.com"
DIGITS = (b"0", b":")  # a half-open range of bytes that holds the ten digits

Masks = Callable[[str], int]  # the codes of a listing, as text, to their mask
Answer = Callable[[int], int]  # a mask to its answer id


def test_points(zone: ZoneDef) -> dict[bytes, int]:
    """The subjects that are always listed, with their masks."""
    every = (1 << len(zone.codes)) - 1
    if zone.kind == "e164":
        points = {number_of(code.code): 1 << place for place, code in enumerate(zone.codes)}
        return {**points, number_of("127.0.0.2"): every}
    words = {word: 1 << place for place, code in enumerate(zone.codes) for word in code.categories}
    return {key: mask for word, mask in {**words, "test": every}.items() for key in hashes_of(word)}


def never_listed(zone: ZoneDef) -> list[bytes]:
    """The subjects that are never listed, whatever anyone says."""
    return [number_of("127.0.0.1")] if zone.kind == "e164" else list(hashes_of("invalid"))


def number_of(code: str) -> bytes:
    octets = ipaddress.IPv4Address(code).packed
    return b"e" + UNASSIGNED + b"".join(b"%03d" % octet for octet in octets)


@cache
def hashes_of(word: str) -> tuple[bytes, ...]:
    """What of each type stands for a word."""
    address = f"{word}@{TEST_DOMAIN}"
    return email_hash(address), file_hash(address.encode("ascii")), url_hash(f"https://{TEST_DOMAIN}/{word}")


def whole(store: Listed, zone: ZoneDef, exempt: Exemptions, masks: Masks, answer: Answer) -> dict[bytes, int]:
    """The value of every name that has one."""
    mark = MARKS[zone.kind]
    out = {*exempt.holes(zone.name), *never_listed(zone)}
    listed: dict[bytes, int] = {}
    for rows in store.listing_chunks(zone.name, mark, bytes((mark[0] + 1,))):
        listed.update((subject, mask) for subject, codes in rows if (mask := masks(codes)) and subject not in out)
    listed.update(test_points(zone))
    return values({zone_name(subject): mask for subject, mask in listed.items()}, answer)


def values(listed: Mapping[bytes, int], answer: Answer) -> dict[bytes, int]:
    """Listed names with their masks as values, and the names above them."""
    found: dict[bytes, int] = {}
    for name, mask in listed.items():
        found[name] = answer(mask)
        for upper in above(name):
            if upper in found:  # and so are those above it
                break
            found[upper] = EMPTY_NAME
    return found


def changed(
    store: Listed, zone: ZoneDef, exempt: Exemptions, subjects: Iterable[bytes], masks: Masks, answer: Answer
) -> dict[bytes, int]:
    """The values of a delta: anew the changed subjects and what is above them."""
    ours = {subject for subject in subjects if kind(subject) == zone.kind}
    affected = {*ours, *(upper for subject in ours for upper in shorter(subject))}
    listed = {
        subject: mask
        for subject, row in store.listings_of(zone.name, sorted(affected)).items()
        if (mask := masks(row.codes)) and not exempt.covers(subject, zone.name)
    }
    for subject in never_listed(zone):
        listed.pop(subject, None)
    points = test_points(zone)
    listed |= {subject: points[subject] for subject in affected & points.keys()}
    held = {upper for subject in (*listed, *points) for upper in shorter(subject)}
    found = {}
    for subject in sorted(affected, key=len, reverse=True):  # what holds a number is held by all that is shorter
        if subject in listed:
            value = answer(listed[subject])
        elif subject in held or any_longer(store, zone, subject):
            value = EMPTY_NAME
            held.update(shorter(subject))
        else:
            value = GONE
        found[zone_name(subject)] = value
    return found


def shorter(subject: bytes) -> Iterator[bytes]:
    """The numbers above a number, the longest first. A hash has only its type above it, which never goes: its test
    points are below."""
    if subject[:1] == b"e":
        yield from (subject[:size] for size in range(len(subject) - 1, 1, -1))


def any_longer(store: Listed, zone: ZoneDef, subject: bytes) -> bool:
    """Whether a longer number is listed. Subjects that became exempt have left the listings."""
    low, high = DIGITS
    return zone.kind == "e164" and store.any_listing(zone.name, subject + low, subject + high)
