"""Keyed hashes: the same text has the same token, nobody without the key can make it, and the key is made once."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import keyed
from dnsbl.errors import StoreError
from dnsbl.keyed import SIZE, Keyed


def test_the_same_address_has_the_same_token(tmp_path: Path) -> None:
    one = Keyed(tmp_path).token("Trap@Example.NET ")
    assert one == Keyed(tmp_path).token("trap@example.net")
    assert one != Keyed(tmp_path).token("trap2@example.net")
    assert re.fullmatch("[a-z2-7]{16}", one)


def test_a_token_says_nothing_without_the_key(tmp_path: Path) -> None:
    here, there = Keyed(tmp_path / "a"), Keyed(tmp_path / "b")
    assert here.token("trap@example.net") != there.token("trap@example.net")
    for plain in (hashlib.sha1, hashlib.sha256, hashlib.blake2b, hashlib.md5):
        assert plain(b"trap@example.net").hexdigest()[:8] not in here.token("trap@example.net")
    assert b"trap" not in (tmp_path / "a" / "secret").read_bytes()


def test_a_key_that_was_lost_and_replaced_can_be_told(tmp_path: Path) -> None:
    """It was made anew without a word, and every trap counted twice."""
    first = Keyed(tmp_path).fingerprint()
    assert re.fullmatch("[0-9a-f]{8}", first)
    assert Keyed(tmp_path).fingerprint() == first
    (tmp_path / "secret").unlink()
    assert Keyed(tmp_path).fingerprint() != first


def test_the_key_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Keyed(tmp_path / "new" / "data")
    finally:
        os.umask(before)
    path = tmp_path / "new" / "data" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == SIZE
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    data = path.read_bytes()
    Keyed(path.parent)
    assert path.read_bytes() == data
    assert [file.name for file in path.parent.iterdir()] == ["secret"], "nothing is left aside"


def test_many_that_make_it_at_once_agree(tmp_path: Path) -> None:
    start, found = threading.Barrier(8), []

    def make() -> None:
        start.wait(30)
        found.append(Keyed(tmp_path).token("a@b.example"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_who_comes_second_takes_the_first_ones_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the making another process made it."""
    first = Keyed(tmp_path).key
    keyed.make(tmp_path / "secret")
    assert (tmp_path / "secret").read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"short", b"x" * (SIZE + 1)])
def test_a_damaged_key_is_said_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(StoreError, match="not a key of 32 bytes"):
        Keyed(tmp_path)
    assert (tmp_path / "secret").read_bytes() == content


@pytest.mark.parametrize("blocked", ["data", "secret"])
def test_a_key_that_cannot_be_made_is_one_line(tmp_path: Path, blocked: str) -> None:
    directory = tmp_path / "data"
    if blocked == "data":
        directory.write_text("a file where the directory should be")
    else:
        (directory / "secret").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be read or made"):
        Keyed(directory)


def test_a_failure_half_way_leaves_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        Keyed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_on_the_disk_before_a_token_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name was not: after a power cut the tokens of before counted as others."""
    synced: list[Path] = []
    monkeypatch.setattr(keyed, "sync_directory", synced.append)
    Keyed(tmp_path)
    assert synced == [tmp_path]


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_has_a_token(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    made = Keyed.__new__(Keyed)
    made.key = b"k" * SIZE
    assert re.fullmatch("[a-z2-7]{16}", made.token(text))
