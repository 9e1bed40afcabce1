"""What the DNS process and the one with the store tell each other about keys, as files."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from unittest.mock import Mock

import pytest
from compiled import both, compiled, needs_native
from fake import NETWORKS, ip_zone, query
from test_access import GOOD, LISTED, NOW, SMALL, with_access

from dnsbl.dns.accessfile import AccessFiles
from dnsbl.dns.samples import Sample
from dnsbl.dns.watch import record
from dnsbl.querykeys import KeyKeeper
from dnsbl.store import SqliteStore
from dnsbl.store.contract import KeyLimits, QueryUse, Store

DAY = NOW // 86_400
ASKED = f"{LISTED}.{GOOD}.bl.example"

pytestmark = needs_native


def digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


class Front:
    """The DNS side over a directory."""

    def __init__(self, directory: Path) -> None:
        zone = with_access(ip_zone(), keys="optional", quota=100)
        self.native = both([compiled(ip_zone(), NETWORKS)], NOW)
        self.files = AccessFiles(directory, "", self.native.answerer, self.native)
        self.files.start({"ip": zone})

    def look(self) -> None:
        if path := self.files.news():
            self.files.take(self.files.load(path), NOW)

    def code(self, secret: str = GOOD) -> int:
        """The last octet of the one address that a key gets; 0: no address."""
        reply = self.native.reply(query(f"{LISTED}.{secret}.bl.example"), "udp", "192.0.2.1")
        assert isinstance(reply, bytes)
        return reply[-1] if reply[7] else 0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
def keeper(store: Store, directory: Path) -> KeyKeeper:
    return KeyKeeper(store, directory, lambda: NOW)


def add(store: Store, name: str, secret: str, **limits: object) -> int:
    source = store.source(name, "partner", trust=0.5)
    return store.add_key(name, digest(secret), source.id, ["query"], NOW, None, KeyLimits(**limits)).id  # type: ignore[arg-type]


def test_a_key_is_good_from_one_look_to_the_next_and_ends_so(store, keeper, directory):
    front = Front(directory)
    assert front.code() == 0  # SERVFAIL: nobody has said which keys are good
    add(store, "one", GOOD)
    keeper.work()
    front.look()
    assert front.code() == 10
    store.revoke_key("one", NOW)
    keeper.work()
    front.look()
    assert front.code() == 254


def test_no_key_and_no_secret_is_in_a_file(store, keeper, directory):
    add(store, "one", GOOD)
    keeper.work()
    content = (directory / "access.json").read_bytes()
    assert GOOD.encode() not in content
    assert digest(GOOD).hex().encode() in content
    assert (directory / "access.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"version": 2, "keys": []}', b'{"version": 1}', b'{"version": 1, "keys": [{}]}',
        b'{"version": 1, "keys": [{"id": -1, "digest": "00", "zones": [], "queries": null, "expires": null}]}',
        b'{"version": 1, "keys": [{"id": 1, "digest": "zz", "zones": [], "queries": null, "expires": null}]}',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_leaves_the_keys_that_were_good(store, keeper, directory, caplog, content):
    add(store, "one", GOOD)
    keeper.work()
    front = Front(directory)
    assert front.code() == 10
    (directory / "access.json").write_bytes(content)
    with caplog.at_level(logging.ERROR):
        front.look()
        front.look()
    assert len(caplog.records) == 1
    assert "the keys that were good stay so" in caplog.text
    assert front.code() == 10


def test_use_reaches_the_store_once_and_outlives_a_restart(store, keeper, directory):
    number = add(store, "one", SMALL, queries=3)
    keeper.work()
    front = Front(directory)
    assert [front.code(SMALL) for _ in range(4)] == [10, 10, 10, 255]
    front.files.write()
    [left] = directory.glob("usage-*.json")
    content = left.read_bytes()
    keeper.work()
    assert not left.exists()
    left.write_bytes(content)  # as if the process had ended between adding it and removing it
    keeper.work()
    assert store.query_usage(DAY) == [QueryUse(number, DAY, "ip", 3, 1)]
    assert Front(directory).code(SMALL) == 255


def test_quotas_of_networks_outlive_a_restart_of_either_side(store, keeper, directory):
    front = Front(directory)
    for _ in range(60):
        front.native.reply(query(f"{LISTED}.bl.example"), "udp", "192.0.2.1")
    front.files.write()
    keeper.work()
    KeyKeeper(store, directory, lambda: NOW).read_used()
    front = Front(directory)
    said = [front.native.reply(query(f"{LISTED}.bl.example"), "udp", "192.0.2.9")[-1] for _ in range(41)]
    assert said[39:] == [10, 255]


def test_what_networks_had_used_does_not_grow_by_restarts(store, keeper, directory):
    front = Front(directory)
    for _ in range(60):
        front.native.reply(query(f"{LISTED}.bl.example"), "udp", "192.0.2.1")
    for _ in range(3):
        front.files.write(last=True)
        keeper.work()
        assert json.loads((directory / "access-used.json").read_bytes())["networks"] == [["ip", "c00002", 60]]
        front = Front(directory)


def test_while_nobody_takes_a_file_the_rest_waits_and_nothing_is_lost(store, keeper, directory):
    number = add(store, "one", GOOD)
    keeper.work()
    front = Front(directory)
    for turn in range(5):
        front.code()
        front.files.write(last=turn == 4)
    assert len(list(directory.glob("usage-*.json"))) == 2
    keeper.work()
    assert store.query_usage(0, number) == [QueryUse(number, DAY, "ip", 5, 0)]


def test_a_file_that_is_no_usage_goes_and_is_told(keeper, directory, caplog):
    (directory / "usage-1-1.json").write_text("{")
    (directory / "access-used.json").write_text("[]")
    keeper.work()
    assert "is no file of usage" in caplog.text
    assert not list(directory.glob("usage-*.json"))
    caplog.clear()
    (directory / "access-used.json").write_text("[]")
    front = Front(directory)
    assert "today's quotas begin anew" in caplog.text
    assert front.code() == 254


def test_one_process_at_a_time_does_the_work(store, keeper, directory):
    other = KeyKeeper(store, directory, lambda: NOW)
    keeper.work()
    add(store, "one", GOOD)
    other.work()
    assert json.loads((directory / "access.json").read_bytes())["keys"] == []
    keeper.work()
    assert len(json.loads((directory / "access.json").read_bytes())["keys"]) == 1


async def test_a_directory_that_cannot_be_written_is_said_once(store, tmp_path, caplog):
    (tmp_path / "run").write_text("")
    keeper = KeyKeeper(store, tmp_path / "run", lambda: NOW)
    await keeper.turn()
    await keeper.turn()
    assert len(caplog.records) == 1
    (tmp_path / "run").unlink()
    await keeper.turn()
    assert (tmp_path / "run" / "access.json").exists()


async def test_the_front_takes_news_by_itself(store, keeper, directory):
    front = Front(directory)
    task = asyncio.create_task(front.files.run())
    try:
        add(store, "one", GOOD)
        keeper.work()
        async with asyncio.timeout(20):
            while front.code() != 10:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()


def test_no_key_is_in_the_query_log():
    for secret in (GOOD, GOOD[:-1], GOOD + "x"):
        for name in (f"7.113.0.203.{secret}.bl.example", f"{secret}.x.bl.exmaple.com"):
            wire = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
            line = record(Sample(1, "192.0.2.1", wire, 1, 0, "ip"), 0)
            assert line["name"] == name.replace(secret, "(key)")


async def test_what_keeps_keys_from_being_told_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = KeyKeeper(SqliteStore(tmp_path / "store.sqlite"), tmp_path)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(keeper, "work", Mock(side_effect=full))
        await keeper.turn()
        await keeper.turn()
    monkeypatch.setattr(keeper, "work", Mock())
    await keeper.turn()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].endswith(f"{tmp_path} cannot be written (No space left on device)")
    assert said[1].endswith("is up to date again")
