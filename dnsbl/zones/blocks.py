"""Pieces as blocks: ranges cut into networks, and networks into those whose prefix ends at a label. Pure, numpy.

All in chunks, so that memory does not grow with the zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .table import Deep, Pieces, Words

__all__ = ["CHUNK", "Blocks", "aligned", "deep_networks", "joined", "networks"]

CHUNK = 32_768  # rows at once: a few MB in every column that a writer makes of them
ONE = np.uint64(1)
LOW64 = 0xFFFFFFFFFFFFFFFF


@dataclass(slots=True, frozen=True)
class Blocks:
    """Networks: first number, prefix length, codes; three columns of equal length."""

    first: Words
    prefix: NDArray[np.int64]
    mask: Words

    def __len__(self) -> int:
        return len(self.first)

    def where(self, wanted: NDArray[np.bool_ | np.intp] | slice) -> Blocks:
        """Some rows: by truth, by number, or a stretch."""
        return Blocks(self.first[wanted], self.prefix[wanted], self.mask[wanted])


def joined(parts: Sequence[Blocks]) -> Blocks:
    """One after another; at least one."""
    return Blocks(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.prefix for part in parts]),
        np.concatenate([part.mask for part in parts]),
    )


def networks(table: Pieces, bits: int, chunk: int = CHUNK) -> Iterator[Blocks]:
    """The fewest networks that make up the pieces, ascending, in chunks. `bits`: 32 for IPv4, 64 for upper halves."""
    for start in range(0, len(table), chunk):
        part = slice(start, start + chunk)
        yield cut(Pieces(table.first[part], table.last[part], table.mask[part]), bits)


def cut(table: Pieces, bits: int) -> Blocks:
    """Take the widest network that starts where each piece starts, until nothing is left: at most 2 * bits rounds."""
    first, last, mask = table.first, table.last, table.mask
    parts: list[tuple[Words, NDArray[np.int64], Words]] = []
    while len(first):
        size = np.minimum(alignment(first, bits), largest_power(last - first + ONE))
        parts.append((first, bits - np.log2(size).astype(np.int64), mask))
        more = first + (size - ONE) < last
        first, last, mask = (first + size)[more], last[more], mask[more]
    if not parts:
        return Blocks(table.first, table.first.astype(np.int64), table.mask)
    if len(parts) == 1:
        return Blocks(*parts[0])
    starts, prefixes, masks = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(starts)
    return Blocks(starts[order], prefixes[order], masks[order])


def alignment(numbers: Words, bits: int) -> Words:
    """The lowest bit that is set: the widest network that can start there. For 0, half of all there is."""
    lowest = numbers & (~numbers + ONE)
    return np.where(numbers == 0, ONE << np.uint64(bits - 1), lowest)


def largest_power(numbers: Words) -> Words:
    """The highest bit that is set, by itself."""
    filled = numbers.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        filled |= filled >> np.uint64(shift)
    return filled ^ (filled >> ONE)


def aligned(blocks: Blocks, bits: int, step: int, least: int, chunk: int = CHUNK) -> Iterator[Blocks]:
    """Networks as those of the next prefix that is a multiple of `step` and no less than `least`, in chunks."""
    prefix = np.maximum(-(-blocks.prefix // step) * step, least)
    counts = np.left_shift(1, prefix - blocks.prefix)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    places = np.unique(np.searchsorted(ends, np.arange(chunk, total + chunk, chunk), side="left") + 1).tolist()
    start = 0
    for end in [*(place for place in places if place < len(blocks)), len(blocks)]:
        if start < end:
            part = slice(start, end)
            yield spread(blocks.first[part], prefix[part], blocks.mask[part], counts[part], bits)
        start = end


def spread(first: Words, prefix: NDArray[np.int64], mask: Words, counts: NDArray[np.int64], bits: int) -> Blocks:
    """Each row `counts` times, every time one network of its prefix further on."""
    prefixes = np.repeat(prefix, counts)
    number = np.arange(len(prefixes)) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = number.astype(np.uint64) << (bits - prefixes).astype(np.uint64)
    return Blocks(np.repeat(first, counts) + steps, prefixes, np.repeat(mask, counts))


def deep_networks(piece: Deep, step: int = 1) -> Iterator[tuple[int, int]]:
    """A piece inside one /64 as (first address, prefix), every prefix a multiple of `step` up to 128."""
    first, end = piece.first, piece.last + 1
    while first < end:
        size = min(first & -first if first else 1 << 64, 1 << ((end - first).bit_length() - 1))
        bits = (size.bit_length() - 1) // step * step
        yield piece.upper << 64 | first, 128 - bits
        first += 1 << bits
