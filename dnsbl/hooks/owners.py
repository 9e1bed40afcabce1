"""Who owns what a change is about. Pure: a million changes are asked about one by one, so what is owned is kept by
prefix length, and a change costs one look for each length that anybody owns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from ..store.contract.hooks import Owned
from ..subjects import ancestors, bounds, inside, is_ip

__all__ = ["MAX_TOLD", "Owners"]

MAX_TOLD = 20  # of what one owner has within one listed network, so many are named
HOST = {ord("4"): 32, ord("6"): 128}  # bits of an address; a subject as long contains nothing else
Level = tuple[int, int, dict[int, bytes]]  # prefix length, bits after it, what is owned by the bits before


class Owners:
    """What is owned, to be asked for each change. False where nobody owns anything."""

    def __init__(self, owned: Iterable[Owned]) -> None:
        self.sources: dict[bytes, list[int]] = {}
        for each in owned:
            self.sources.setdefault(each.subject, []).append(each.source)
        self.keys = sorted(self.sources)
        self.levels = {mark: levels([key for key in self.keys if key[0] == mark], bits) for mark, bits in HOST.items()}

    def __bool__(self) -> bool:
        return bool(self.keys)

    def of(self, subject: bytes) -> dict[int, list[bytes]]:
        """By source what of its own a subject is in or at: the narrowest, alone; or what is inside the subject."""
        around, found = self.around(subject), dict[int, list[bytes]]()
        for key in around:
            for source in self.sources[key]:
                found.setdefault(source, [key])
        if HOST.get(subject[0]) == subject[-1]:
            return found  # the usual case
        above = frozenset(found)
        for key in self.within(subject):
            for source in self.sources[key]:
                if source not in above and len(found.setdefault(source, [])) < MAX_TOLD:
                    found[source].append(key)
        return found

    def around(self, subject: bytes) -> Sequence[bytes]:
        """What is owned and contains the subject, itself too: the narrowest first."""
        if subject[0] not in HOST:
            return [above for above in ancestors(subject) if above in self.sources]
        first, length = int.from_bytes(subject[1:-1], "big"), subject[-1]
        return [
            keys[first >> shift]
            for owned, shift, keys in self.levels[subject[0]]
            if owned <= length and first >> shift in keys
        ]

    def within(self, subject: bytes) -> Iterator[bytes]:
        """What is owned and lies inside the subject, without itself."""
        low, high = inside(subject)
        for place in range(bisect_left(self.keys, low), bisect_left(self.keys, high)):
            key = self.keys[place]
            if not is_ip(key) or (key[-1] > subject[-1] and bounds(key)[1] <= bounds(subject)[1]):
                yield key


def levels(keys: Iterable[bytes], bits: int) -> list[Level]:
    """Networks of one family by their prefix length, the longest first."""
    found: dict[int, dict[int, bytes]] = {}
    for key in keys:
        found.setdefault(key[-1], {})[int.from_bytes(key[1:-1], "big") >> (bits - key[-1])] = key
    return [(length, bits - length, found[length]) for length in sorted(found, reverse=True)]
