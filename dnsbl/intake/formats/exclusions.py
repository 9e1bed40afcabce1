"""What a list itself excepts (`!entry`, `@@||name^`, rpz-passthru), taken out of what it lists.

Networks are cut: 192.0.2.0/24 without 192.0.2.128/25 is 192.0.2.0/25. Names cannot be cut, since a name covers all
below it: what is at or below an excepted name is dropped, what is above it stays, and `Parsed.excluded` goes on
saying what is excepted.
"""

from __future__ import annotations

from bisect import bisect_left

from ... import subjects
from ...errors import IntakeError
from ...model import Parsed

__all__ = ["MAX_PIECES", "apply_exclusions"]

MAX_PIECES = 1_000_000  # networks that cutting may leave: one excepted address in a /19 of IPv6 leaves 109


def apply_exclusions(parsed: Parsed, narrower_wins: bool = False) -> Parsed:
    """Take `parsed.excluded` out of `parsed.hits`, in place. With `narrower_wins` a network listed strictly inside an
    excepted one stays, as the longest match answers. Raises IntakeError where the cutting would not end."""
    if not parsed.excluded:
        return parsed
    drop_covered(parsed, narrower_wins)
    cut_covering(parsed)
    return parsed


def drop_covered(parsed: Parsed, narrower_wins: bool) -> None:
    """Drop what an excepted subject covers."""
    listed = sorted(parsed.hits)
    for outer in parsed.excluded:
        drop(parsed, outer)
        if narrower_wins and subjects.is_ip(outer):
            continue
        low, high = subjects.inside(outer)
        for key in listed[bisect_left(listed, low) : bisect_left(listed, high)]:
            if not subjects.is_ip(key) or key[-1] >= outer[-1]:
                drop(parsed, key)


def drop(parsed: Parsed, key: bytes) -> None:
    parsed.hits.pop(key, None)
    parsed.words.pop(key, None)


def cut_covering(parsed: Parsed) -> None:
    """Replace networks that hold excepted parts by what remains of them."""
    holes: dict[bytes, list[tuple[int, int]]] = {}
    for excluded in parsed.excluded:
        if not subjects.is_ip(excluded):
            continue
        for key in subjects.ancestors(excluded):
            if key in parsed.hits:
                holes.setdefault(key, []).append(subjects.bounds(excluded))
    pieces = 0
    for key in sorted(holes):  # wider first where they start together: order does not matter, the result must
        hits, word = parsed.hits.pop(key), parsed.words.pop(key, "")
        for piece in remainder(key, holes[key]):
            pieces += 1
            if pieces > MAX_PIECES:
                raise IntakeError(f"exclusions would cut this list into more than {MAX_PIECES} networks")
            parsed.hits[piece] = max(hits, parsed.hits.get(piece, 0))
            if word:
                parsed.words.setdefault(piece, word)


def remainder(key: bytes, holes: list[tuple[int, int]]) -> list[bytes]:
    """The networks of `key` without the intervals `holes`, which all lie inside it."""
    first, last = subjects.bounds(key)
    left: list[bytes] = []
    for low, high in sorted(holes):
        if low > first:
            left += networks(key[:1], first, low - 1)
        first = max(first, high + 1)
    if first <= last:
        left += networks(key[:1], first, last)
    return left


def networks(mark: bytes, first: int, last: int) -> list[bytes]:
    """The fewest networks that make up the addresses first..last."""
    size = 4 if mark == b"4" else 16
    found = []
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else size * 8
        bits = min(aligned, (last - first + 1).bit_length() - 1)
        found.append(mark + first.to_bytes(size, "big") + bytes((size * 8 - bits,)))
        first += 1 << bits
    return found
