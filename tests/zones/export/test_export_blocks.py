"""Ranges cut into networks, and networks into those that end at labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from making import brute_networks

from dnsbl.zones.blocks import Blocks, aligned, deep_networks, networks
from dnsbl.zones.table import Deep, pieces

TOP64 = 2**64 - 2  # no piece ends at the very last number


def ranges(top: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    near = st.one_of(st.integers(0, top), st.integers(0, 300), st.integers(max(top - 300, 0), top))
    edges = st.lists(near, min_size=2, max_size=12, unique=True).map(sorted)
    return edges.map(lambda e: [(e[i], e[i + 1] - 1, 1 + i % 3) for i in range(0, len(e) - 1, 2)])


def rows(parts: list[Blocks]) -> list[tuple[int, int, int]]:
    return [
        row for part in parts for row in zip(part.first.tolist(), part.prefix.tolist(), part.mask.tolist(), strict=True)
    ]


@given(ranges(2**32 - 1))
def test_ipv4_pieces_become_the_fewest_networks(given: list[tuple[int, int, int]]) -> None:
    expected = [(f, p, mask) for first, last, mask in given for f, p in brute_networks(first, last, 4)]
    assert rows(list(networks(pieces(given), 32))) == expected


@given(ranges(TOP64))
def test_ipv6_pieces_become_the_fewest_networks(given: list[tuple[int, int, int]]) -> None:
    whole = [(f, p, mask) for a, b, mask in given for f, p in brute_networks(a << 64, (b << 64) + 2**64 - 1, 6)]
    assert rows(list(networks(pieces(given), 64))) == [(f >> 64, p, mask) for f, p, mask in whole]


def test_all_of_ipv4_is_one_half_and_then_the_rest() -> None:
    """0.0.0.0/0 is no piece that is ever built; the arithmetic must still end."""
    assert rows(list(networks(pieces([(0, 2**32 - 1, 1)]), 32))) == [(0, 1, 1), (2**31, 1, 1)]


@given(st.lists(st.integers(9, 32), min_size=1, max_size=6), st.integers(1, 500))
def test_aligned_networks_cover_the_same_addresses_whatever_the_chunk(prefixes: list[int], chunk: int) -> None:
    given = Blocks(
        np.array([number << 24 for number in range(1, len(prefixes) + 1)], dtype=np.uint64),
        np.array(prefixes, dtype=np.int64),
        np.ones(len(prefixes), dtype=np.uint64),
    )
    parts = list(aligned(given, 32, 8, 8, chunk))
    assert all(len(part) <= chunk + 128 for part in parts)
    found = rows(parts)
    assert all(prefix % 8 == 0 and first % (1 << (32 - prefix)) == 0 for first, prefix, _ in found)
    expected = [
        (first + step * (1 << (32 - -(-prefix // 8) * 8)), -(-prefix // 8) * 8, 1)
        for first, prefix, _ in rows([given])
        for step in range(1 << (-(-prefix // 8) * 8 - prefix))
    ]
    assert found == expected


def test_aligned_networks_are_no_wider_than_asked() -> None:
    wide = Blocks(np.zeros(1, dtype=np.uint64), np.array([3]), np.ones(1, dtype=np.uint64))
    parts = list(aligned(wide, 64, 4, 16))
    assert sum(map(len, parts)) == 1 << 13
    assert {int(prefix) for part in parts for prefix in part.prefix} == {16}


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from([1, 4]))
def test_deep_pieces_become_networks_inside_their_64(one: int, other: int, step: int) -> None:
    piece = Deep(0x20010DB8 << 32, min(one, other), max(one, other), 1)
    at = piece.upper << 64 | piece.first
    for first, prefix in deep_networks(piece, step):
        assert first == at and prefix % step == 0 and first % (1 << (128 - prefix)) == 0
        at += 1 << (128 - prefix)
    assert at == (piece.upper << 64 | piece.last) + 1
