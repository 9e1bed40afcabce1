"""Snapshot files: what goes in comes out, a file that is not exactly what was written is refused, and whatever a file
says, asking it does no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES, IP, bucketed, thresholds

from dnsbl.errors import SnapshotError
from dnsbl.zones import names, snapshot
from dnsbl.zones.arrays import BUCKETS_FROM, answer_ids, compact, numbers, singles, write
from dnsbl.zones.loaded import Snapshots
from dnsbl.zones.ondisk import SnapshotOnDisk
from dnsbl.zones.served import ServedZone, zone_directory
from dnsbl.zones.snapshot import HEADER, MAGIC, SECTIONS, VERSION, Snapshot

META = {"serial": 7, "answers": [[], [0]]}
WIDTHS = {
    "v4onea": "u1", "v4low": "u4", "v4high": "u4", "v4a": "u1",
    "v6one": "u8", "v6onea": "u1", "v6low": "u8", "v6high": "u8", "v6a": "u2",
    "v6d": "u8", "v6dlow": "u8", "v6dhigh": "u8", "v6da": "u1",
}  # fmt: skip
TABLES = {"v4one": 1, "v4": 2, "v6one": 1, "v6": 2, "v6d": 3}  # and how many columns of numbers each has
ROOT = Path(__file__).parent.parent.parent


def arrays(v4one: list[int] | None = None, **given_arrays: list[int]) -> dict[str, np.ndarray]:
    made = {name: np.array(given_arrays.get(name, []), dtype=width) for name, width in WIDTHS.items()}
    return {**singles(np.array(v4one or [], dtype="u8")), **made, **names.index({b"example.bad": 1})}


def content(threshold: int) -> bytes:
    with tempfile.TemporaryDirectory() as directory, bucketed(threshold):
        path = Path(directory, "1.base")
        made = arrays(v4one=[1, 2**32 - 1], v4onea=[1, 2], v6low=[2**63], v6high=[2**63 + 9], v6a=[300])
        write(path, META, made)
        return path.read_bytes()


SMALL, BUCKETED = content(BUCKETS_FROM), content(1)


@pytest.fixture
def small() -> bytes:
    return SMALL


def column(count: int, top: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, top), min_size=count, max_size=count)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Columns of numbers, and of answer ids, that fit one another."""
    found, ids = {}, {}
    for table, columns in TABLES.items():
        count = draw(st.integers(0, 5))
        top = 2**32 - 1 if table.startswith("v4") else 2**64 - 1
        sections = {"v4": ["v4low", "v4high"], "v6": ["v6low", "v6high"], "v6d": ["v6d", "v6dlow", "v6dhigh"]}
        for section in sections.get(table, [table])[:columns]:
            found[section] = draw(column(count, top))
        ids[table] = draw(column(count, 0xFFFF) | st.integers(0, 0xFF).map(lambda n, count=count: [n] * count))
    found["v4one"] = sorted(set(found["v4one"]))
    ids["v4one"] = ids["v4one"][: len(found["v4one"])]
    return found, ids


@settings(max_examples=100 * EXAMPLES, deadline=None)
@given(tables(), thresholds)
def test_what_goes_in_comes_out(made: tuple[dict[str, list[int]], dict[str, list[int]]], threshold: int) -> None:
    found, ids = made
    sections = {name: np.array(found[name], dtype=f"u{SECTIONS[name][0]}") for name in found if name != "v4one"}
    with tempfile.TemporaryDirectory() as directory, bucketed(threshold):
        path = Path(directory, "x")
        sections |= singles(np.array(found["v4one"], dtype="u8"))
        sections |= {f"{table}a": compact(np.array(column, dtype="u2")) for table, column in ids.items()}
        size = write(path, META, {**sections, **names.index({b"example.bad": 1})})
        assert path.stat().st_size == size
        file = Snapshot(path)
    assert file.info == META
    assert numbers(file, "v4").tolist() == found["v4one"]
    assert numbers(file, "v6").tolist() == found["v6one"]
    for name in set(found) - {"v4one"}:
        assert getattr(file, name).tolist() == found[name]
    for table, column in ids.items():
        assert answer_ids(file, table).tolist() == column
        assert len(getattr(file, f"{table}a")) == (1 if len(set(column)) == 1 else len(column))
    assert list(names.records(file.names)) == [(b"example.bad", 1)]
    assert file.nidx.tolist() == [0, 3 + 11]


@pytest.mark.parametrize(("count", "places", "width"), [(65_535, 2, 4), (65_536, 65_537, 2)])
def test_many_singles_are_kept_by_bucket(count: int, places: int, width: int) -> None:
    addresses = np.arange(count, dtype=np.uint64) * np.uint64(65_521)
    made = singles(addresses)
    assert (len(made["v4idx"]), made["v4one"].itemsize) == (places, width)
    assert int(made["v4idx"][-1]) == len(made["v4one"]) == count


def test_sections_stand_at_multiples_of_64(small: bytes) -> None:
    """Readers in other languages take the arrays where they lie."""
    count = HEADER.unpack_from(small)[2]
    for number in range(count):
        offset = int.from_bytes(small[32 + 32 * number + 16 : 32 + 32 * number + 24], "little")
        assert offset % 64 == 0


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(SnapshotError) as caught:
        Snapshot(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_change_of_any_byte_is_refused(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for place in range(len(small)):
        bit = 1 << place % 8
        refused(path, small[:place] + bytes([small[place] ^ bit]) + small[place + 1 :])
    path.write_bytes(small)
    assert Snapshot(path).info == META


@settings(max_examples=200 * EXAMPLES, deadline=None)
@given(st.integers(0, 8 * len(BUCKETED) - 1))
def test_a_flipped_bit_anywhere_in_a_file_with_buckets_is_refused(bit: int) -> None:
    changed = bytearray(BUCKETED)
    changed[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as directory:
        refused(Path(directory, "x"), bytes(changed))


def test_every_bit_of_the_header_counts(small: bytes, tmp_path: Path) -> None:
    for place in range(64):
        for bit in range(8):
            refused(tmp_path / "x", small[:place] + bytes([small[place] ^ 1 << bit]) + small[place + 1 :])


def test_a_file_cut_at_any_length_is_refused(small: bytes, tmp_path: Path) -> None:
    for length in range(len(small)):
        refused(tmp_path / "x", small[:length])


def test_a_file_that_goes_on_is_refused(small: bytes, tmp_path: Path) -> None:
    assert "cut or extended" in refused(tmp_path / "x", small + bytes(64))


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    assert "not a snapshot" in refused(tmp_path / "x", b"\x7fELF" + bytes(4000))
    assert "not a snapshot" in refused(tmp_path / "x", b"<html>" * 100)
    assert "no snapshot" in refused(tmp_path / "x", b"")


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_is_named(small: bytes, tmp_path: Path, version: int) -> None:
    message = refused(tmp_path / "x", MAGIC + version.to_bytes(4, "little") + small[12:])
    assert f"version {version}, and this program reads {VERSION}; build the zone again" in message


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = arrays()
    del content["v6d"]
    write(path, META, content)
    with pytest.raises(SnapshotError, match="without section v6d"):
        Snapshot(path)


ONE = np.zeros(1, dtype="u1")


@pytest.mark.parametrize(
    ("section", "items"),
    [
        ("v4high", np.zeros(2, "u4")), ("v6high", np.zeros(2, "u8")), ("v6dlow", np.zeros(1, "u8")),
        ("v6dhigh", np.zeros(3, "u8")), ("v4onea", np.zeros(2, "u1")), ("v4a", np.zeros(2, "u1")),
        ("v6onea", np.zeros(2, "u1")), ("v6a", np.zeros(0, "u2")), ("v6da", np.zeros(3, "u1")),
        ("v4a", np.zeros(1, "u4")), ("v6one", np.zeros(0, "u4")), ("names", np.zeros(7, "u2")),
        ("v4one", np.zeros(3, "u2")), ("v4one", np.zeros(4, "u4")), ("v4idx", np.array([], "u4")),
        ("v4idx", np.array([3], "u4")), ("v4idx", np.array([0, 1, 3], "u4")), ("v4idx", np.array([0, 4], "u4")),
        ("v4idx", np.full(65_537, 3, "u4")), ("v4idx", np.array([0, 3], "u8")),
        ("nidx", np.array([], "u4")), ("nidx", np.array([14], "u4")), ("nidx", np.array([0, 13], "u4")),
        ("nidx", np.array([0, 5, 9, 14], "u4")), ("nidx", np.array([0, 14], "u8")),
    ],
)  # fmt: skip
def test_sections_that_do_not_fit_are_refused(tmp_path: Path, section: str, items: np.ndarray) -> None:
    """A file with a right checksum from a program that was wrong."""
    whole = arrays(
        v4one=[1, 2, 3], v4onea=[1, 1, 2], v4low=[7], v4high=[9], v4a=[1], v6low=[7], v6high=[9], v6a=[1], v6d=[1, 2],
        v6dlow=[0, 0], v6dhigh=[1, 1], v6da=[2, 1],
    )  # fmt: skip
    path = tmp_path / "x"
    write(path, META, whole)
    assert Snapshot(path).info == META
    write(path, META, arrays() | {"v4a": ONE})  # one item that holds for no piece
    with pytest.raises(SnapshotError, match="v4a does not fit the others"):
        Snapshot(path)
    write(path, META, whole | {section: items})
    for kind in (Snapshot, SnapshotOnDisk):
        with pytest.raises(SnapshotError, match="does not fit the others"):
            kind(path)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(SnapshotError, match="cannot be read"):
            Snapshot(path)


def test_a_file_that_memory_does_not_hold_is_refused(small: bytes, tmp_path: Path, monkeypatch: Any) -> None:
    def full(_: Path) -> bytes:
        raise MemoryError

    monkeypatch.setattr(snapshot, "content_of", full)
    assert "no memory" in refused(tmp_path / "x", small)


def test_a_directory_that_is_not_there_refuses_the_write(tmp_path: Path) -> None:
    said = []
    for name in ("base.7", "base.8"):
        with pytest.raises(SnapshotError, match="the last good snapshot stays") as caught:
            write(tmp_path / "gone" / name, META, arrays())
        said.append(str(caught.value))
    assert said[0] == said[1], "each try has another name: the same trouble is to be told once"
    assert str(tmp_path / "gone") in said[0]


def test_readers_go_on_when_the_file_is_removed(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(small)
    file = Snapshot(path)
    path.unlink()
    assert file.v4one.tolist() == [1, 2**32 - 1]


# what a file says


@st.composite
def nonsense(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Sections that fit one another, of which no number makes sense."""

    def items(name: str, count: int, width: int) -> np.ndarray:
        raw = draw(st.binary(min_size=count * width, max_size=count * width))
        return np.frombuffer(raw, dtype=f"u{width}")

    made = {}
    sizes = {name: draw(st.integers(0, 6)) for name in ("v4one", "v4low", "v6one", "v6low", "v6d")}
    for name, count in sizes.items():
        made[name] = items(name, count, SECTIONS[name][-1])
    for name, other in snapshot.EQUAL.items():
        made[name] = items(name, sizes[other], SECTIONS[name][0])
    for name, other in snapshot.ANSWERS.items():
        made[name] = items(
            name, draw(st.sampled_from([min(sizes[other], 1), sizes[other]])), draw(st.sampled_from([1, 2]))
        )
    count = sizes["v4one"]
    if draw(st.booleans()):
        made["v4one"] = items("v4one", count, 2)
        some = np.array([*draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8)), *range(count + 2)], "u4")
        made["v4idx"] = np.append(np.resize(some, 65_536), np.uint32(count))
    else:
        made["v4idx"] = np.append(items("v4idx", 1, 4), np.uint32(count))
    made["names"] = items("names", draw(st.integers(0, 40)), 1)
    buckets = draw(st.sampled_from([1, 2, 8]))
    places = st.lists(st.integers(0, 50) | st.integers(0, 2**32 - 1), min_size=buckets, max_size=buckets)
    made["nidx"] = np.array([*draw(places), len(made["names"])], dtype="u4")
    return made


spots = st.sampled_from([0, 1, 65_535, 65_536, 2**31, 2**32 - 65_536, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(
    nonsense(), st.none() | nonsense(), st.lists(spots, min_size=2, max_size=6),
    st.none() | st.binary(max_size=4), st.lists(st.binary(max_size=3), min_size=1, max_size=3),
)  # fmt: skip
def test_asking_a_file_of_nonsense_does_no_harm(
    base: dict, delta: dict | None, asked: list[int], wanted: bytes | None, labels: list[bytes]
) -> None:
    meta = {"zone": IP.model_dump(mode="json", by_alias=True), "serial": 1, "seq": 0, "answers": [[]], "base": 1}
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for number, made in enumerate(m for m in (base, delta) if m is not None):
            write(Path(directory, str(number)), meta, made)
            files.append(Snapshot(Path(directory, str(number))))
    served = ServedZone(*files)
    for point in asked:
        served.lookup4(point)
        served.lookup6(point << 96 | point)
        served.lookup6(point)
    first, last = min(asked), max(asked)
    served.any4(first, last, wanted)
    served.any4(0, 2**32 - 1, wanted)
    served.any6(first << 96, last << 96 | 2**96 - 1, wanted)
    served.any6(0, 2**128 - 1, wanted)
    served.lookup_name(labels)


# in processes of their own


def in_python(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


CUT = """
import os, sys
from pathlib import Path
from dnsbl.zones.snapshot import Snapshot
path = Path(sys.argv[1])
size = path.stat().st_size
file = Snapshot(path)
before = file.v4one.tolist(), bytes(file.names), file.v6low.tolist()
os.truncate(path, 0)
assert (file.v4one.tolist(), bytes(file.names), file.v6low.tolist()) == before
with path.open("r+b") as other:
    other.write(b"\\xff" * size)
assert (file.v4one.tolist(), bytes(file.names), file.v6low.tolist()) == before
assert not file.is_file(path)
print("well")
"""


@pytest.mark.parametrize("content", [SMALL, BUCKETED])
def test_a_file_that_is_cut_and_written_over_in_place_changes_nothing(tmp_path: Path, content: bytes) -> None:
    """Were it mapped, reading on would kill the process (SIGBUS), and then answer from what nobody verified."""
    path = tmp_path / "1.base"
    path.write_bytes(content)
    assert in_python(CUT, str(path)) == "well\n"


@pytest.mark.parametrize("module", ["loaded", "served", "snapshot", "layers", "view"])
def test_who_reads_snapshots_needs_no_numpy(tmp_path: Path, module: str) -> None:
    """It takes longer to load than everything else that the DNS process needs. Asked about wide networks, too."""
    path = tmp_path / "1.base"
    meta = {"zone": IP.model_dump(mode="json", by_alias=True), "serial": 1, "seq": 0, "answers": [[]], "base": 1}
    write(path, meta, arrays(v4one=[5, 70_000], v4onea=[1, 2]))
    script = f"""
import sys
from pathlib import Path
import dnsbl.zones.{module}
assert "numpy" not in sys.modules
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import Snapshot
served = ServedZone(Snapshot(Path(sys.argv[1])), Snapshot(Path(sys.argv[1])))
assert served.any4(0, 2**24, b"\\0\\0\\1") and not served.any4(0, 2**24, b"\\0\\0\\0\\1")
assert "numpy" not in sys.modules
"""
    in_python(script, str(path))


@pytest.mark.parametrize("missing", ["zone", "serial", "seq", "answers"])
def test_a_file_that_does_not_say_all_of_itself_is_refused_and_others_are_taken(tmp_path: Path, missing: str) -> None:
    """One zone's file, however it came to be, keeps no other from being loaded."""
    zone = IP.model_dump(mode="json")
    meta = {"zone": zone, "serial": 7, "seq": 1, "answers": [[], [0], [1]], "listings": 1}
    for name, said in (("a", meta), ("b", {key: value for key, value in meta.items() if key != missing}), ("c", meta)):
        directory = zone_directory(tmp_path, name)
        directory.mkdir(parents=True)
        write(directory / "7.base", said, arrays(v4one=[1, 2], v4onea=[1, 2]))
        (directory / "current").write_text('{"base": "7.base", "delta": null, "serial": 7}')
    loaded = Snapshots(tmp_path)
    assert loaded.look(["a", "b", "c"])
    assert set(loaded.views) == {"a", "c"}


@pytest.mark.parametrize("said", [7, "x"])
def test_a_file_that_says_nothing_sensible_of_itself_is_refused(tmp_path: Path, said: object) -> None:
    path = tmp_path / "7.base"
    made = arrays(v4one=[1, 2], v4onea=[1, 2])
    with mock.patch("dnsbl.zones.arrays.dict", lambda meta: meta, create=True):
        write(path, said, made)  # type: ignore[arg-type]
    with pytest.raises(SnapshotError, match="build the zone again"):
        Snapshot(path)
