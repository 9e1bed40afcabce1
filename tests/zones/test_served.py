"""A served zone against the plainest way to ask the same arrays, for a base alone and with a delta over it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES, IP, bucketed, labels, thresholds

from dnsbl.errors import SnapshotError
from dnsbl.zones import layers as layering
from dnsbl.zones import names
from dnsbl.zones.arrays import compact, singles, write
from dnsbl.zones.served import CURRENT, Pointer, ServedZone, read_pointer
from dnsbl.zones.snapshot import EMPTY_NAME, GONE, HOLE, Snapshot
from dnsbl.zones.view import EMPTY, NOTHING

ANSWERS = [[], [0], [1], [0, 1]]
SPACE = 20
UPPER = 0x2A00_0001 << 32  # where the IPv6 part of the tests stands
META = {"zone": IP.model_dump(mode="json", by_alias=True), "serial": 1, "seq": 0, "answers": ANSWERS, "base": 1}
Rows = list[tuple[int, int, int]]
Narrow = dict[int, list[tuple[int, int, int]]]


def split(family: str, rows: Rows, width: str) -> dict[str, Any]:
    ones = [row for row in rows if row[0] == row[1]]
    wide = [row for row in rows if row[0] != row[1]]
    one = np.array([r[0] for r in ones], dtype=width)
    return {
        **(singles(one) if family == "v4" else {"v6one": one}),
        f"{family}onea": compact(np.array([r[2] for r in ones], dtype="u1")),
        f"{family}low": np.array([r[0] for r in wide], dtype=width),
        f"{family}high": np.array([r[1] for r in wide], dtype=width),
        f"{family}a": compact(np.array([r[2] for r in wide], dtype="u2")),
    }


def snapshot(path: Path, four: Rows, six: Rows, narrow: Narrow, found: Mapping[bytes, int], base: int = 1) -> Snapshot:
    pieces = [(upper, *piece) for upper in sorted(narrow) for piece in sorted(narrow[upper])]
    arrays = {
        **split("v4", four, "u4"),
        **split("v6", [(UPPER + a, UPPER + b, n) for a, b, n in six], "u8"),
        "v6d": np.array([UPPER + p[0] for p in pieces], dtype="u8"),
        "v6dlow": np.array([p[1] for p in pieces], dtype="u8"),
        "v6dhigh": np.array([p[2] for p in pieces], dtype="u8"),
        "v6da": compact(np.array([p[3] for p in pieces], dtype="u1")),
        **names.index(found),
    }
    write(path, META | {"serial": base}, arrays)
    return Snapshot(path)


@st.composite
def apart(draw: st.DrawFn, lowest: int, top: int = SPACE) -> Rows:
    edges = sorted(draw(st.sets(st.integers(0, top), max_size=10)))
    answers = st.integers(lowest, 3)
    if draw(st.booleans()):
        answers = st.just(draw(answers))
    rows = [(a, b - 1, draw(answers)) for a, b in itertools.pairwise(edges)]
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
@given(
    apart(1), st.none() | apart(0), st.lists(st.tuples(edge, edge), min_size=1, max_size=8), wanted_bytes, thresholds
)  # fmt: skip
def test_addresses_of_both_families_are_what_the_newest_layer_says(
    base: Rows, delta: Rows | None, questions: list[tuple[int, int]], wanted: bytes | None, threshold: int
) -> None:
    with tempfile.TemporaryDirectory() as directory, bucketed(threshold):
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


BORDERS = sorted(
    {
        *range(3), *range(65_534, 65_539), *range(2 * 65_536 - 2, 2 * 65_536 + 2), 2**31 - 1, 2**31,
        *range(2**32 - 65_538, 2**32 - 65_534), *range(2**32 - 3, 2**32),
    }
)  # fmt: skip


@st.composite
def bordering(draw: st.DrawFn, lowest: int) -> Rows:
    """Pieces from border to border of what a bucket holds."""
    edges = sorted(draw(st.sets(st.sampled_from([*BORDERS, 2**32]), max_size=16)))
    same = draw(st.none() | st.integers(lowest, 3))
    rows = []
    for start, end in itertools.pairwise(edges):
        answer = draw(st.integers(lowest, 3)) if same is None else same
        size = draw(st.sampled_from([0, 1, 1, end - start]))
        rows += [(start, start + size - 1, answer)] if size else []
    return rows


@settings(max_examples=300 * EXAMPLES, deadline=None)
@given(bordering(1), st.none() | bordering(0), wanted_bytes, thresholds, st.sampled_from([2, 256]))
def test_addresses_at_the_borders_of_buckets_and_of_the_space(
    base: Rows, delta: Rows | None, wanted: bytes | None, threshold: int, block: int
) -> None:
    with tempfile.TemporaryDirectory() as directory, bucketed(threshold):
        over = None if delta is None else snapshot(Path(directory, "d"), delta, [], {}, {})
        served = ServedZone(snapshot(Path(directory, "b"), base, [], {}, {}), over)
    layers = [base] if delta is None else [delta, base]
    model = {point: said(layers, point) for point in BORDERS}
    assert {point: served.lookup4(point) for point in BORDERS} == model
    steps = sorted({*BORDERS, *(e for rows in layers for a, b, _ in rows for e in (a, b + 1) if e < 2**32)})
    listed = [answer and (wanted is None or wanted[answer]) for answer in (said(layers, point) for point in steps)]
    with mock.patch.object(layering, "BLOCK", block):
        for first, last in itertools.combinations_with_replacement(range(0, len(steps), 3), 2):
            assert served.any4(steps[first], steps[last], wanted) == any(listed[first : last + 1])


@settings(max_examples=30 * EXAMPLES, deadline=None)
@given(st.integers(0, 2**32), thresholds, st.sampled_from(["u1", "u2"]), st.integers(1, 3))
def test_a_rare_answer_among_many_is_found(seed: int, threshold: int, width: str, found: int) -> None:
    """Blocks of pieces without it are passed over."""
    random = np.random.default_rng(seed)
    numbers = np.unique(random.integers(0, 2**32, 3000, dtype=np.uint64))
    ids = np.ones(len(numbers), dtype=width)
    rare = np.sort(random.choice(len(numbers), found, replace=False))
    ids[rare] = 300 if width == "u2" else 3
    with tempfile.TemporaryDirectory() as directory, bucketed(threshold):
        empty = split("v4", [], "u4") | split("v6", [], "u8") | names.index({})
        empty |= {name: np.zeros(0, dtype="u8") for name in ("v6d", "v6dlow", "v6dhigh")}
        write(Path(directory, "x"), META, {**empty, "v6da": empty["v6onea"], **singles(numbers), "v4onea": ids})
        served = ServedZone(Snapshot(Path(directory, "x")))
    wanted = bytes(int(ids[rare[0]])) + b"\1"
    edges = [0, *(int(numbers[place]) for place in rare), 2**32 - 1]
    for before, after in itertools.pairwise(edges):
        assert not served.any4(before + 1, after - 1, wanted)
    for place in rare.tolist():
        at = int(numbers[place])
        assert served.any4(at, at, wanted) and served.any4(0, at, wanted) and served.any4(at, 2**32 - 1, wanted)


def test_a_question_looks_under_so_many_pieces_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delta that hides a great deal is not walked through for a stranger's question: the answer is then yes, which
    costs a resolver a question more."""
    rows = [(2 * n, 2 * n, 1) for n in range(10)]
    served = ServedZone(
        snapshot(tmp_path / "b", rows, [], {}, {}),
        snapshot(tmp_path / "d", [(a, b, 0) for a, b, _ in rows], [], {}, {}),
    )
    assert not served.any4(0, 100)
    monkeypatch.setattr(layering, "MAX_HIDDEN", 5)
    assert served.any4(0, 100)
    assert not served.any4(0, 8)


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


texts = st.text("ab.-", min_size=1, max_size=8).filter(lambda t: ".." not in t and t.strip(".") == t)


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(
    st.dictionaries(texts.map(str.encode), st.integers(1, 3), max_size=100),
    st.lists(texts.map(str.encode), max_size=20),
)
def test_names_are_found_in_their_buckets(found: dict[bytes, int], others: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        served = ServedZone(snapshot(Path(directory, "b"), [], [], {}, found))
    for name in [*found, *others]:
        assert served.name_value(name) == found.get(name, -1)


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
