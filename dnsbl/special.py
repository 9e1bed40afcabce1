"""What is never listed, whatever anyone says: special-purpose addresses and names. And ranges of addresses, asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from publicsuffixlist import PublicSuffixList

from .subjects import bounds, ip4_key, ip6_key, is_ip, name_of

__all__ = [
    "NEVER_LIST",
    "PRIVATE_RANGES",
    "STRANGERS_WIDEST",
    "Ranges",
    "never_listed",
    "public_suffix",
    "refusals",
    "refused",
    "suffixes",
]

SHORTEST = 7  # digits of a number that is somebody's: shorter ones are emergency calls and services (112, 911)
IP4 = ord("4")
STRANGERS_WIDEST = {4: 24, 6: 48}  # a wider network that a partner or trap reports needs a person

# RFC 6890 and its successors in the IANA special-purpose registries: no mail from the Internet comes from there.
SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "::/128 ::1/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 "
    "5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"
)
NEVER_LIST = tuple(
    (ip6_key if ":" in network else ip4_key)(*network.split("/"))
    if network != "::ffff:0:0/96"
    else b"6" + bytes(10) + b"\xff\xff" + bytes(4) + b"\x60"  # parsed, it would become 0.0.0.0/0
    for network in SPECIAL.split()
)


class Ranges:
    """Networks as merged ranges, by address family."""

    def __init__(self, subjects: Iterable[bytes]) -> None:
        self.starts: dict[int, list[int]] = {}
        self.ends: dict[int, list[int]] = {}
        for family, first, last in sorted((s[0], *bounds(s)) for s in subjects if is_ip(s)):
            starts, ends = self.starts.setdefault(family, []), self.ends.setdefault(family, [])
            if ends and first <= ends[-1] + 1:
                ends[-1] = max(ends[-1], last)
            else:
                starts.append(first)
                ends.append(last)

    def covers(self, subject: bytes) -> bool:
        first, last = bounds(subject)
        place = bisect_right(self.starts.get(subject[0], ()), first) - 1
        return place >= 0 and last <= self.ends[subject[0]][place]

    def covered4(self, subjects: Sequence[bytes]) -> list[bool]:
        """`covers` for many IPv4 subjects at once."""
        if not subjects:
            return []
        table = np.frombuffer(b"".join(subjects), dtype=np.uint8).reshape(-1, 6)
        first = np.ascontiguousarray(table[:, 1:5]).view(">u4").ravel().astype(np.int64)
        last = first | (0xFFFFFFFF >> table[:, 5].astype(np.int64))
        starts = np.array(self.starts.get(ord("4"), [1 << 32]), dtype=np.int64)
        ends = np.array(self.ends.get(ord("4"), [0]), dtype=np.int64)
        place = np.searchsorted(starts, first, side="right") - 1
        found: list[bool] = ((place >= 0) & (last <= ends[np.maximum(place, 0)])).tolist()
        return found


SPECIAL_RANGES = Ranges(NEVER_LIST)
# Where no mail comes from over the Internet: networks of one's own (RFC 1918, RFC 6598, RFC 4193, RFC 3879), hosts
# themselves and their links. Who names such a source means a machine of his own.
PRIVATE = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 "
    "::/127 fc00::/7 fe80::/10 fec0::/10"
)
PRIVATE_RANGES = Ranges((ip6_key if ":" in network else ip4_key)(*network.split("/")) for network in PRIVATE.split())
NEVER_NAMES = {b"invalid", b"localhost", b"test"}  # RFC 6761; INVALID is never listed (RFC 5782 section 5)


@lru_cache(maxsize=1)
def suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def public_suffix(subject: bytes) -> bool:
    """Whether a name is one below which anybody registers names of their own (co.uk, github.io): listed, it would
    list them all. What stands below can be listed."""
    return subject[:1] == b"d" and bool(suffixes().is_public(name_of(subject)))


def refused(subject: bytes) -> str | None:
    """Why a subject may never come in, whoever claims it; None: it may."""
    if never_listed(subject):
        return "special-purpose range or name (RFC 6890, RFC 6761): never listed"
    if subject[:1] == b"e" and len(subject) - 1 < SHORTEST:
        return "too short to be a subscriber's number"
    if public_suffix(subject):
        return "a public suffix, below which others have their names: never listed itself"
    return None


def refusals(subjects: Iterable[bytes]) -> dict[bytes, str]:
    """`refused` for many: those that are, and why. IPv4 is looked at all at once, as most are."""
    subjects = list(subjects)
    v4 = [subject for subject in subjects if subject[0] == IP4]
    found = [s for s, is_special in zip(v4, SPECIAL_RANGES.covered4(v4), strict=True) if is_special]
    found += [subject for subject in subjects if subject[0] != IP4]
    return {subject: why for subject in found if (why := refused(subject))}


def never_listed(subject: bytes) -> bool:
    """Whether a subject lies within the ranges that are never listed, whatever anyone says."""
    if is_ip(subject):
        return SPECIAL_RANGES.covers(subject)
    return subject[:1] == b"d" and subject[1:].partition(b".")[0] in NEVER_NAMES
