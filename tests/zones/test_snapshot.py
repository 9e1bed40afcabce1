"""Snapshot files: what goes in comes out, and a file that is not exactly what was written is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.errors import SnapshotError
from dnsbl.zones import names
from dnsbl.zones.snapshot import HEADER, MAGIC, Mapped, write

META = {"serial": 7, "answers": [[], [0]]}
WIDTHS = {
    "v4one": "u4", "v4onea": "u1", "v4low": "u4", "v4high": "u4", "v4a": "u1",
    "v6one": "u8", "v6onea": "u1", "v6low": "u8", "v6high": "u8", "v6a": "u2",
    "v6d": "u8", "v6dlow": "u8", "v6dhigh": "u8", "v6da": "u1",
}  # fmt: skip


def arrays(**given_arrays: list[int]) -> dict[str, np.ndarray]:
    made = {name: np.array(given_arrays.get(name, []), dtype=width) for name, width in WIDTHS.items()}
    return {**made, **names.index({b"example.bad": 1})}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "1.base"
    write(path, META, arrays(v4one=[1, 2**32 - 1], v4onea=[1, 2], v6low=[2**63], v6high=[2**63 + 9], v6a=[300]))
    return path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {n: st.lists(st.integers(0, 2 ** (8 * int(w[1])) - 1), max_size=5) for n, w in WIDTHS.items()}
    )
)
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, content: dict[str, list[int]]) -> None:
    path = tmp_path_factory.mktemp("in") / "x"
    size = write(path, META, arrays(**content))
    assert path.stat().st_size == size
    mapped = Mapped(path)
    assert mapped.info == META
    for name, values in content.items():
        assert getattr(mapped, name).tolist() == values
    assert bytes(mapped.names) == b"example.bad"
    assert mapped.nval.tolist() == [1]
    assert mapped.noff.tolist() == [0, 11]


def test_sections_stand_at_multiples_of_64(small: bytes, tmp_path: Path) -> None:
    """Readers in other languages map the arrays where they lie."""
    count = HEADER.unpack_from(small)[2]
    for number in range(count):
        offset = int.from_bytes(small[32 + 32 * number + 16 : 32 + 32 * number + 24], "little")
        assert offset % 64 == 0


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(SnapshotError) as caught:
        Mapped(path)
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
    assert Mapped(path).info == META


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
    refused(tmp_path / "x", b"")


def test_a_newer_version_is_named(small: bytes, tmp_path: Path) -> None:
    message = refused(tmp_path / "x", MAGIC + (2).to_bytes(4, "little") + small[12:])
    assert "version 2" in message


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = arrays()
    del content["v6d"]
    write(path, META, content)
    with pytest.raises(SnapshotError, match="without section v6d"):
        Mapped(path)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(SnapshotError, match="cannot be read"):
            Mapped(path)


def test_a_directory_that_is_not_there_refuses_the_write(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="the last good snapshot stays"):
        write(tmp_path / "gone" / "x", META, arrays())


def test_readers_go_on_when_the_file_is_removed(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(small)
    mapped = Mapped(path)
    path.unlink()
    assert mapped.v4one.tolist() == [1, 2**32 - 1]
