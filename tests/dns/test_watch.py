"""Who asks what: samples stand for all queries, talkers are told in bounded memory, and the log is lines of JSON."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
from collections import Counter

import pytest
from clients import serving, udp_client
from fake import IP_ORIGIN, default_answerer, name_wire, query
from fake import reversed_name as address_name
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import clock
from dnsbl.config import DnsConfig
from dnsbl.dns import watch
from dnsbl.dns.samples import MAX_SAMPLES, Sample, Samples, thinned
from dnsbl.dns.watch import HALF, QueryLog, Talkers, Watcher, name_text, network, record

AT = 1_790_000_000.7
SLACK = 1e-3  # what rounding, and forgetting, may cost


def sample(**changes: object) -> Sample:
    values = {"weight": 7, "client": "192.0.2.1", "name": name_wire("a.example"), "qtype": 1, "rcode": 0, "zone": "ip"}
    return Sample(**(values | changes))  # type: ignore[arg-type]


# samples


def ask(samples: Samples, number: int) -> None:
    """So many queries; each knows its place in the turn of types."""
    for at in range(number):
        if samples.due():
            samples.put("192.0.2.1", b"\0", at % 2, 0, "")


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 200)), max_size=8))
def test_weights_sum_up_to_the_queries_counted(seconds):
    samples, asked, told = Samples(), 0, 0
    samples.fetch(1)
    for number, wanted in seconds:
        ask(samples, number)
        asked += number
        told += sum(one.weight for one in samples.fetch(wanted))
        assert told + samples.since == asked


@pytest.mark.parametrize("wanted", [1, 10, 100])
@pytest.mark.parametrize("rate", [3, 150, 999, 20_000])
def test_about_as_many_are_taken_as_are_wanted(rate, wanted):
    """Also where less than one is due in a second, and none was taken in the last."""
    samples = Samples()
    samples.fetch(wanted)
    ask(samples, rate)
    samples.fetch(wanted)
    taken = []
    for _ in range(20):
        ask(samples, rate)
        taken.append(len(samples.fetch(wanted)))
    expected = min(rate, wanted)
    assert max(taken) <= 2 * expected + 3
    assert sum(taken) / len(taken) >= expected / 3


def test_what_comes_in_turns_is_sampled_in_its_share():
    samples = Samples()
    samples.fetch(100)
    ask(samples, 200)
    samples.fetch(100)  # every second one, of A and TXT in turns
    weights: Counter[int] = Counter()
    for _ in range(20):
        ask(samples, 200)
        for one in samples.fetch(100):
            weights[one.qtype] += one.weight
    assert 0.3 < weights[0] / weights.total() < 0.7


def test_nothing_is_taken_before_anyone_asks_and_never_too_much():
    samples = Samples()
    ask(samples, 10)
    assert samples.taken == []
    samples.fetch(1)
    ask(samples, MAX_SAMPLES + 100)
    taken = samples.fetch(10)
    assert 0 < len(taken) <= MAX_SAMPLES
    assert sum(one.weight for one in taken) + samples.since == 10 + MAX_SAMPLES + 100
    assert samples.every == (MAX_SAMPLES + 100 + 9) // 10  # the first ten were known before


@given(st.lists(st.integers(1, 1000), max_size=300), st.integers(1, 50))
def test_thinned_samples_weigh_as_much_and_keep_their_order(weights, most):
    given_ones = [sample(weight=weight, qtype=at) for at, weight in enumerate(weights)]
    kept = thinned(given_ones, most)
    assert len(kept) == min(most, len(weights))
    assert sum(one.weight for one in kept) == sum(weights)
    assert [one.qtype for one in kept] == sorted(one.qtype for one in kept)


@pytest.mark.parametrize("path", ["python", "native"], indirect=True)
async def test_a_running_server_samples_what_is_asked(path):
    answerer = default_answerer()
    asked = 300
    async with serving(answerer) as server, udp_client(server.addresses[0]) as client:
        watcher = Watcher(answerer, server.native, DnsConfig(query_log_rate=1000))
        await watcher.look()
        for id in range(asked):
            assert await client.ask(query(address_name("127.0.0.2").upper(), "TXT", id=id))
        fetched = answerer.samples.fetch(10) + (server.native.samples(10) if server.native else [])
    assert {(one.client, one.name, one.qtype, one.rcode, one.zone) for one in fetched} == {
        ("127.0.0.1", name_wire(address_name("127.0.0.2")), 16, 0, "ip")
    }
    assert asked / 2 <= sum(one.weight for one in fetched) <= asked


# talkers


STEPS = st.lists(
    st.tuples(
        st.floats(0, 400),
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10**6)), max_size=40),
    ),
    max_size=12,
)


@given(STEPS, st.integers(1, 8))
def test_talkers_are_never_told_too_much_and_too_little_by_a_known_share(steps, keep):
    talkers, now = Talkers(keep), 0.0
    truth: dict[str, float] = {}
    for wait, asked in steps:
        now += wait
        truth = {client: weight * 0.5 ** (wait / HALF) for client, weight in truth.items()}
        for number, weight in asked:
            client = f"192.0.2.{number}"
            truth[client] = truth.get(client, 0) + weight
        talkers.add([sample(client=f"192.0.2.{number}", weight=weight) for number, weight in asked], now)
        total = sum(truth.values())
        assert len(talkers.weights) <= 2 * keep
        for client, weight in truth.items():
            told = talkers.weights.get(client, 0)
            assert told <= weight * (1 + SLACK) + SLACK
            assert told >= weight - total / keep - total * SLACK - SLACK


def test_memory_stays_bounded_whoever_asks():
    talkers = Talkers(keep=10)
    talkers.add((sample(client=f"10.{at >> 8}.{at & 255}.1", weight=1) for at in range(50_000)), 0)
    talkers.add([sample(client="192.0.2.9", weight=60_000)], 0)
    assert len(talkers.weights) <= 20
    (told,) = talkers.top(1)
    assert told["client"] == "192.0.2.9"
    assert 60_000 - 110_000 / 10 <= told["queries"] <= 60_000


def test_a_steady_talker_is_told_its_last_minute_and_a_silent_one_is_forgotten():
    talkers = Talkers()
    for second in range(1000):
        talkers.add([sample(weight=100)], second)
    assert talkers.top(5)[0]["queries"] == pytest.approx(8700, rel=0.02)
    talkers.add([], 1000 + 20 * HALF)
    assert talkers.top(5) == []
    talkers.add([], 1000 + 60 * HALF)
    assert talkers.weights == {}


def test_a_long_sleep_of_the_machine_does_no_harm():
    talkers = Talkers()
    talkers.add([sample()], 0)
    talkers.add([sample()], 1e9)
    assert talkers.top(1) == [{"client": "192.0.2.1", "queries": 7}]


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_slash_64(client, told):
    assert network(client) == told


def test_nobody_is_no_talker():
    talkers = Talkers()
    talkers.add([sample(client="")], 0)
    assert talkers.top(5) == []


# the log


@given(
    st.builds(
        Sample,
        st.integers(1, 2**63),
        st.sampled_from(["192.0.2.1", "2001:db8::1", "fe80::1%eth0", ""]),
        st.one_of(
            st.binary(max_size=255),
            st.lists(st.binary(min_size=1, max_size=63), max_size=4).map(
                lambda labels: b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
            ),
        ),
        st.integers(-1, 65535),
        st.integers(0, 4095),
        st.sampled_from(["", "ip"]),
    )
)
def test_any_sample_is_a_line(one):
    line = json.dumps(record(one, AT))
    told = json.loads(line)
    assert set(told) == {"time", "weight", "client", "name", "type", "rcode", "zone"}
    assert all(isinstance(value, str) for key, value in told.items() if key != "weight")
    assert "\n" not in line
    assert told["name"].isprintable()
    assert told["name"].isascii()
    assert clock.parse_time(told["time"]) == int(AT)
    assert told["time"].endswith("Z")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {"name": "a.example", "type": "A", "rcode": "NOERROR", "weight": 7, "client": "192.0.2.1", "zone": "ip"}),
        ({"qtype": 1000, "rcode": 23}, {"type": "TYPE1000", "rcode": "BADCOOKIE"}),
        ({"qtype": -1, "rcode": 11}, {"type": "other", "rcode": "RCODE11"}),
        ({"name": b"\0"}, {"name": ".", "type": "A"}),
        ({"name": b"", "qtype": 0}, {"name": "", "type": ""}),
        ({"name": b'\4a.b"\2\\\n\1\xff\0'}, {"name": r"a\.b\".\\\010.\255"}),
    ],
)
def test_a_line_says_what_was_asked(changes, told):
    found = record(sample(**changes), AT)
    assert {key: found[key] for key in told} == told
    assert found["time"] == "2026-09-21T14:13:20Z"


def test_a_name_that_is_cut_is_no_error():
    assert name_text(b"\x3fab") == "ab"


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def test_a_full_log_makes_way_and_no_line_is_lost_or_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "MAX_LOG", 1000)
    path = tmp_path / "new" / "queries.ndjson"
    query_log = QueryLog(path)
    old = path.with_name("queries.ndjson.1")
    for weight in range(1, 41):
        query_log.write([sample(weight=weight)], AT)
        for file in (path, old):
            assert not file.exists() or file.stat().st_size <= 1000
    kept = [line["weight"] for line in (*lines(old), *lines(path))]
    assert kept == list(range(41 - len(kept), 41))
    assert len(kept) > 7
    assert sorted(file.name for file in path.parent.iterdir()) == ["queries.ndjson", "queries.ndjson.1"]


def test_a_log_that_cannot_make_way_does_not_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "MAX_LOG", 1000)
    path = tmp_path / "log"
    (tmp_path / "log.1").mkdir()
    with pytest.raises(IsADirectoryError):
        for _ in range(20):
            QueryLog(path).write([sample()], AT)
    assert path.stat().st_size <= 1000


def test_the_log_is_not_for_everyone_to_read(tmp_path):
    before = os.umask(0)
    try:
        QueryLog(tmp_path / "logs" / "log").write([sample()], AT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "logs" / "log").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o750


def test_the_log_may_be_moved_away_at_any_time(tmp_path):
    query_log = QueryLog(tmp_path / "log")
    query_log.write([sample(weight=1)], AT)
    (tmp_path / "log").rename(tmp_path / "kept")
    query_log.write([], AT)
    assert not (tmp_path / "log").exists()
    query_log.write([sample(weight=2)], AT)
    assert [line["weight"] for line in lines(tmp_path / "log")] == [2]


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "read pipe", "device"])
def test_only_a_regular_file_is_written(tmp_path, kind):
    path, other = tmp_path / "log", tmp_path / "other"
    reader = None
    if "pipe" in kind:
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if kind == "read pipe" else None
    elif kind == "device":
        path = type(path)("/dev/null")
    else:
        if kind == "link":
            other.write_bytes(b"precious")
        path.symlink_to(other)
    with pytest.raises(OSError, match="no regular file"):
        QueryLog(path).write([sample()], AT)
    assert not other.exists() or other.read_bytes() == b"precious"
    if reader is not None:
        os.close(reader)


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    query_log = QueryLog(tmp_path / "log")
    query_log.write([sample(weight=1)], AT)
    write = os.write
    room = [10]

    def full(descriptor, content):
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[: room.pop()])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        query_log.write([sample(weight=2)], AT)
    monkeypatch.undo()
    query_log.write([sample(weight=3)], AT)
    assert [line["weight"] for line in lines(tmp_path / "log")] == [1, 3]
    assert (tmp_path / "log").read_bytes().count(b"\n") == 2


# the watcher


def watching(tmp_path, **settings: object) -> Watcher:
    return Watcher(default_answerer(), None, DnsConfig(query_log=tmp_path / "log", **settings))  # type: ignore[arg-type]


async def one_look(watcher: Watcher, queries: int = 1) -> None:
    for _ in range(queries):
        watcher.answerer.reply(query(f"2.0.0.127.{IP_ORIGIN}"), "udp", "192.0.2.7")
    await watcher.look()


async def test_what_was_asked_is_logged_and_told(tmp_path):
    watcher = watching(tmp_path)
    await one_look(watcher, 0)
    assert not (tmp_path / "log").exists()
    await one_look(watcher, 5)
    found = lines(tmp_path / "log")
    assert sum(line["weight"] for line in found) == 5
    assert {(line["client"], line["name"], line["zone"]) for line in found} == {
        ("192.0.2.7", f"2.0.0.127.{IP_ORIGIN}", "ip")
    }
    assert watcher.snapshot() == {"talkers": [{"client": "192.0.2.7", "queries": 5}]}


async def test_the_log_has_no_more_lines_than_wanted_however_many_come_at_once(tmp_path):
    watcher = watching(tmp_path, query_log_rate=10)
    await one_look(watcher, 0)
    await one_look(watcher, 1000)
    found = lines(tmp_path / "log")
    assert len(found) == 10
    assert sum(line["weight"] for line in found) == 1000


async def test_a_log_that_cannot_be_written_is_said_once_and_all_goes_on(tmp_path, caplog):
    watcher = watching(tmp_path)
    await one_look(watcher, 0)
    (tmp_path / "log").mkdir()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            await one_look(watcher)
    assert len(caplog.messages) == 1
    assert str(tmp_path / "log") in caplog.messages[0]
    assert watcher.snapshot()["talkers"][0]["queries"] == 3
    (tmp_path / "log").rmdir()
    with caplog.at_level(logging.INFO):
        await one_look(watcher)
        await one_look(watcher)
    assert len(caplog.messages) == 2
    assert lines(tmp_path / "log")


async def test_a_mistake_of_ours_is_said_once_and_does_not_end_the_watching(tmp_path, monkeypatch, caplog):
    watcher = watching(tmp_path)
    monkeypatch.setattr(watch, "EVERY", 0)
    looks = 0

    async def look():
        nonlocal looks
        looks += 1
        if looks > 3:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    monkeypatch.setattr(watcher, "look", look)
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await watcher.run()
    assert len(caplog.records) == 1
