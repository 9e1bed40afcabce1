"""A served zone against the plainest way to ask the same arrays, for a base alone and with a delta over it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES, IP, labels

from dnsbl.errors import SnapshotError
from dnsbl.zones import names
from dnsbl.zones.served import CURRENT, Pointer, ServedZone, read_pointer
from dnsbl.zones.snapshot import EMPTY_NAME, GONE, HOLE, Mapped, write
from dnsbl.zones.view import EMPTY, NOTHING

ANSWERS = [[], [0], [1], [0, 1]]
SPACE = 20
UPPER = 0x2A00_0001 << 32  # where the IPv6 part of the tests stands
Rows = list[tuple[int, int, int]]
Narrow = dict[int, list[tuple[int, int, int]]]


def split(family: str, rows: Rows, width: str) -> dict[str, Any]:
    ones = [row for row in rows if row[0] == row[1]]
    wide = [row for row in rows if row[0] != row[1]]
    return {
        f"{family}one": np.array([r[0] for r in ones], dtype=width),
        f"{family}onea": np.array([r[2] for r in ones], dtype="u1"),
        f"{family}low": np.array([r[0] for r in wide], dtype=width),
        f"{family}high": np.array([r[1] for r in wide], dtype=width),
        f"{family}a": np.array([r[2] for r in wide], dtype="u2"),
    }


def snapshot(path: Path, four: Rows, six: Rows, narrow: Narrow, found: Mapping[bytes, int], base: int = 1) -> Mapped:
    pieces = [(upper, *piece) for upper in sorted(narrow) for piece in sorted(narrow[upper])]
    arrays = {
        **split("v4", four, "u4"),
        **split("v6", [(UPPER + a, UPPER + b, n) for a, b, n in six], "u8"),
        "v6d": np.array([UPPER + p[0] for p in pieces], dtype="u8"),
        "v6dlow": np.array([p[1] for p in pieces], dtype="u8"),
        "v6dhigh": np.array([p[2] for p in pieces], dtype="u8"),
        "v6da": np.array([p[3] for p in pieces], dtype="u1"),
        **names.index(found),
    }
    meta = {"zone": IP.model_dump(mode="json", by_alias=True), "serial": base, "seq": 0, "answers": ANSWERS, "base": 1}
    write(path, meta, arrays)
    return Mapped(path)


@st.composite
def apart(draw: st.DrawFn, lowest: int, top: int = SPACE) -> Rows:
    edges = sorted(draw(st.sets(st.integers(0, top), max_size=10)))
    rows = [(a, b - 1, draw(st.integers(lowest, 3))) for a, b in itertools.pairwise(edges)]
    return [row for row in rows if draw(st.booleans())]


def said(layers: list[Rows], point: int) -> int:
    for rows in layers:
        for first, last, answer in rows:
            if first <= point <= last:
                return answer
    return NOTHING


wanted_bytes = st.none() | st.tuples(st.just(0), *[st.integers(0, 1)] * 3).map(bytes)
edge = st.integers(0, SPACE)


@settings(max_examples=200 * EXAMPLES, deadline=None)
@given(apart(1), st.none() | apart(0), st.lists(st.tuples(edge, edge), min_size=1, max_size=8), wanted_bytes)
def test_addresses_of_both_families_are_what_the_newest_layer_says(
    base: Rows, delta: Rows | None, questions: list[tuple[int, int]], wanted: bytes | None
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        over = None if delta is None else snapshot(Path(directory, "d"), delta, delta, {}, {})
        served = ServedZone(snapshot(Path(directory, "b"), base, base, {}, {}), over)
    layers = [base] if delta is None else [delta, base]
    for point in range(SPACE + 1):
        assert served.lookup4(point) == said(layers, point)
        for lower in (0, 1, 2**64 - 1):
            assert served.lookup6((UPPER + point) << 64 | lower) == said(layers, point)
    for one, other in questions:
        first, last = min(one, other), max(one, other)
        answers = [said(layers, point) for point in range(first, last + 1)]
        expected = any(answer and (wanted is None or wanted[answer]) for answer in answers)
        assert served.any4(first, last, wanted) == expected
        assert served.any6((UPPER + first) << 64, (UPPER + last) << 64 | 2**64 - 1, wanted) == expected


def prefix_ranges() -> list[tuple[int, int]]:
    """Every stretch of addresses that a name of hexadecimal labels can stand for, near the tests' /64s."""
    found = []
    for upper in range(3):
        for bits in (0, 4, 60, 64):
            start = (UPPER + upper) << 64 >> bits << bits
            found.append((start, start | (1 << bits) - 1))
        for lower in range(0, 16):
            start = (UPPER + upper) << 64 | lower << 60
            found.append((start, start | (1 << 60) - 1))
    return found


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(
    apart(1, 3),
    st.dictionaries(st.integers(0, 2), apart(1, 15).filter(bool), max_size=2),
    wanted_bytes,
)
def test_pieces_inside_a_64_stand_above_the_64(base: Rows, inside: Narrow, wanted: bytes | None) -> None:
    step = 1 << 60
    narrow = {upper: [(a * step, (b + 1) * step - 1, n) for a, b, n in rows] for upper, rows in inside.items()}
    with tempfile.TemporaryDirectory() as directory:
        served = ServedZone(snapshot(Path(directory, "b"), [], base, narrow, {}))

    def expected(upper: int, nibble: int) -> int:
        return said([inside[upper]], nibble) if upper in inside else said([base], upper)

    for upper in range(4):
        for nibble in range(16):
            for lower in (nibble * step, (nibble + 1) * step - 1):
                assert served.lookup6((UPPER + upper) << 64 | lower) == expected(upper, nibble)
    for first, last in prefix_ranges():
        uppers = range((first >> 64) - UPPER, (last >> 64) - UPPER + 1)
        answers = [
            expected(upper, nibble)
            for upper in uppers
            for nibble in range(16)
            if first <= ((UPPER + upper) << 64 | nibble * step | step - 1)
            and ((UPPER + upper) << 64 | nibble * step) <= last
        ]
        assert served.any6(first, last, wanted) == any(a and (wanted is None or wanted[a]) for a in answers)


LABELS = (b"com", b"a", b"b")
NAMES = [b"com", *(b"com." + x for x in LABELS), *(b"com." + x + b"." + y for x in LABELS for y in LABELS)]
value = st.sampled_from([1, 2, 3, EMPTY_NAME, HOLE])


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), value, max_size=8),
    st.none() | st.dictionaries(st.sampled_from(NAMES), value | st.just(GONE), max_size=6),
)
def test_names_are_what_the_deepest_known_name_says(base: dict[bytes, int], delta: dict[bytes, int] | None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        over = None if delta is None else snapshot(Path(directory, "d"), [], [], {}, delta)
        served = ServedZone(snapshot(Path(directory, "b"), [], [], {}, base), over)
    known = {name: v for name, v in (base | (delta or {})).items() if v != GONE}
    for name in [*NAMES, b"com.a.a.a", b"org", b"com.x"]:
        parts = name.split(b".")
        walk = [known.get(b".".join(parts[: count + 1])) for count in range(len(parts))]
        decisive = [v for v in walk if v is not None and v != EMPTY_NAME]
        expected = decisive[-1] if decisive and decisive[-1] != HOLE else EMPTY if walk[-1] == EMPTY_NAME else NOTHING
        assert served.lookup_name(parts) == expected, name


def test_a_dot_inside_a_label_is_no_border_of_labels(tmp_path: Path) -> None:
    """A label on the wire may hold any byte: `bad\\.example.com` is not `bad.example.com`."""
    served = ServedZone(snapshot(tmp_path / "b", [], [], {}, {b"com.example.bad": 1, b"com.a": 2, b"com": EMPTY_NAME}))
    assert served.lookup_name(labels("bad.example.com")) == 1
    assert served.lookup_name([b"com", b"example.bad"]) == NOTHING
    assert served.lookup_name([b"com.example", b"bad"]) == NOTHING
    assert served.lookup_name([b"com", b"a", b"x.y", b"z"]) == 2


def test_names_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xxhash.xxh3_64_intdigest", lambda _name: 7)
    served = ServedZone(snapshot(tmp_path / "b", [], [], {}, {b"com.a": 1, b"com.b": 2, b"com.ab": 3}))
    assert [served.lookup_name([b"com", name]) for name in (b"a", b"b", b"ab", b"c")] == [1, 2, 3, 0]


# the pointer


def test_nothing_was_ever_published(tmp_path: Path) -> None:
    assert read_pointer(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"base":"1.base"}', b'{"base":1,"delta":null,"serial":1}',
        b'{"base":"1.base","delta":null,"serial":"x"}', b'{"base":"../1.base","delta":null,"serial":1}',
        b'{"base":"1.base","delta":"/etc/passwd","serial":1}', b'{"base":"1.base","delta":null,"serial":null}',
        b'{"base":"a\\u0000b","delta":null,"serial":1}', b'{"base":"","delta":null,"serial":1}',
        b'{"base":"..","delta":null,"serial":1}', b'{"base":"1.base","delta":null,"serial":1e400}', b"\xff\xfe",
        b'{"base":"1.base","delta":[],"serial":1}',
    ],
)  # fmt: skip
def test_a_damaged_pointer_is_one_error(tmp_path: Path, content: bytes) -> None:
    snapshot(tmp_path / "1.base", [], [], {}, {})
    (tmp_path / CURRENT).write_bytes(content)
    with pytest.raises(SnapshotError) as caught:
        pointer = read_pointer(tmp_path)
        assert pointer is not None
        pointer.open()
    assert "\n" not in str(caught.value)


def test_a_pointer_to_what_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        Pointer(tmp_path, "1.base", None, 1).open()


def test_a_delta_of_another_base_is_refused(tmp_path: Path) -> None:
    snapshot(tmp_path / "2.base", [], [], {}, {}, base=2)
    snapshot(tmp_path / "3.delta", [], [], {}, {})
    with pytest.raises(SnapshotError, match="another base"):
        Pointer(tmp_path, "2.base", "3.delta", 3).open()


def test_a_zone_definition_of_another_version_is_one_error(tmp_path: Path) -> None:
    """A setting that a newer program no longer has: the file is whole, and of no use."""
    zone = IP.model_dump(mode="json", by_alias=True) | {"a_setting_of_long_ago": 1}
    content = {**split("v4", [], "u4"), **split("v6", [], "u8"), **names.index({})}
    deep = {name: np.zeros(0, dtype="u8") for name in ("v6d", "v6dlow", "v6dhigh", "v6da")}
    meta = {"zone": zone, "serial": 1, "seq": 0, "answers": [[]], "base": 1}
    write(tmp_path / "1.base", meta, {**content, **deep})
    with pytest.raises(SnapshotError, match="build the zone again"):
        Pointer(tmp_path, "1.base", None, 1).open()
