"""Publishing: nothing is done twice, serials rise, and whatever goes wrong, the last good zone stays."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import DAY, DOMAIN, IP, START, World, bucketed, codes4, codes6, name_codes, thresholds, world, zone

from dnsbl.errors import PublishRefused, SnapshotError
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.store import Decision, ListingRow
from dnsbl.subjects import parse
from dnsbl.zones import checks, maker
from dnsbl.zones.arrays import compact, singles
from dnsbl.zones.checks import cover
from dnsbl.zones.publish import Publisher, next_serial, size_of, zone_directory
from dnsbl.zones.served import CURRENT, ServedZone, read_pointer
from dnsbl.zones.table import pieces

FIVE = 0x05050505
SECONDS = 60  # a process or a thread that takes longer is at fault


@pytest.fixture
def w() -> Iterator[World]:
    with world() as made:
        yield made


def files(w: World, name: str = "ip") -> set[str]:
    return {path.name for path in zone_directory(w.directory, name).iterdir() if path.suffix or path.name == CURRENT}


def published(w: World, *subjects: str, name: str = "ip") -> ServedZone:
    """Settle and publish these and nothing else of the list."""
    w.listed(subjects)
    w.store.forget_entries(w.list, w.now + 1)
    w.settle()
    w.publish(name)
    return w.served(name)


# what is due


def test_nothing_changed_is_nothing_published(w: World) -> None:
    first = w.publish("ip")
    assert first is not None
    assert first.whole
    before = w.served("ip").serial, files(w)
    w.now += 10
    assert w.publish("ip") is None
    assert Publisher(w.store, IP, w.directory).publish(w.exemptions(), w.now) is None
    w.report("bad.example")  # a change of another zone
    w.settle()
    assert w.publish("ip") is None
    assert (w.served("ip").serial, files(w)) == before


def test_a_small_change_is_a_delta(w: World) -> None:
    published(w, "5.5.5.0/28")
    done = [published(w, "5.5.5.0/28", f"5.5.6.{n}") for n in range(3)]
    assert [z.delta is not None for z in done] == [True] * 3
    assert len({z.base.path for z in done}) == 1
    assert codes4(done[-1], 0x05050602) == {0}
    assert codes4(done[-1], 0x05050601) == set()


def test_a_large_change_is_a_whole_build(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "DELTA_FLOOR", 4)
    published(w, "5.5.5.5")
    assert published(w, "5.5.5.5", "5.5.6.1", "5.5.6.3").delta is not None
    assert published(w, *(f"5.5.7.{n}" for n in range(0, 20, 2))).delta is None


def test_a_delta_that_has_grown_becomes_a_base(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "DELTA_FLOOR", 12)
    subjects = [f"5.5.7.{n}" for n in range(0, 60, 2)]
    whole = [published(w, *subjects[: n + 1]).delta is None for n in range(len(subjects))]
    assert True in whole[1:]
    assert False in whole


@pytest.mark.parametrize("count", [5, 40])
def test_changes_of_other_kinds_do_not_hide_ours(w: World, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Exemptions are journalled for every zone: a long list of exempt names must not fill the view of an address
    zone for ever."""
    monkeypatch.setattr(maker, "DELTA_FLOOR", 4)
    published(w, "5.5.5.5")
    w.store.replace_exemptions("names", [parse(f"n{n}.example") for n in range(count)], "shared", w.now)
    w.settle()
    w.publish("ip")
    for number in range(3):
        served = published(w, "5.5.5.5", f"5.5.6.{number}")
        assert codes4(served, 0x05050600 + number) == {0}


def test_names_are_a_delta_too(w: World) -> None:
    published(w, "bad.example", "www.good.example", name="domain")
    served = published(w, "www.bad.example", name="domain")
    assert served.delta is not None
    found = [name_codes(served, n) for n in ("bad.example", "a.www.bad.example", "good.example", "www.good.example")]
    assert found == [None, {0}, set(), set()]


def test_a_name_that_is_exempt_alone_still_has_names_below(w: World) -> None:
    """It is never listed itself; but something is below, and so it is empty, not missing (RFC 8020)."""
    published(w, "other.example", name="domain")
    w.store.replace_exemptions("shared", [parse("good.example")], "shared by many", w.now, exact=True)
    served = published(w, "other.example", "bad.good.example", name="domain")
    assert served.delta is not None
    assert name_codes(served, "good.example") is None
    assert name_codes(served, "bad.good.example") == {0}
    assert name_codes(w.fresh("domain"), "good.example") is None


def test_force_builds_the_whole_zone(w: World) -> None:
    before = published(w, "5.5.5.5").serial
    done = w.publish("ip", force=True)
    assert done is not None
    assert done.whole
    assert done.serial == before + 1


def test_another_definition_is_a_whole_build(w: World) -> None:
    before = published(w, "5.5.5.5").serial
    other = zone("ip", "ip", ttl="1h")
    done = Publisher(w.store, other, w.directory).publish(w.exemptions(), w.now)
    assert done is not None
    assert done.whole
    assert done.serial > before
    assert w.served("ip").zone == other


def test_definitions_survive_the_way_through_the_file(w: World) -> None:
    full = zone(
        "ip", "ip", apex={"a": ["192.0.2.1"], "aaaa": ["2001:db8::1"], "txt": ["ü"]}, transfer=["10.0.0.0/8",
        "::1/128"],
        removal={"grace": "1d"}, checks={"max_drop": 0.3}, soa={"mname": "a.example"},
        policy={"half_lives": {"spam": "1d"}, "exempt": True},
    )  # fmt: skip
    Publisher(w.store, full, w.directory).publish(w.exemptions(), w.now)
    assert w.served("ip").zone == full
    assert Publisher(w.store, full, w.directory).publish(w.exemptions(), w.now) is None


def test_another_store_is_a_whole_build(w: World) -> None:
    published(w, "5.5.5.5")
    with world() as other:
        other.listed(["5.5.6.6"])
        other.settle()
        done = Publisher(other.store, IP, w.directory).publish(other.exemptions(), other.now)
    assert done is not None
    assert done.whole
    assert codes4(w.served("ip"), FIVE) == set()
    assert codes4(w.served("ip"), 0x05050606) == {0}


@pytest.mark.parametrize("victim", ["base", "delta", CURRENT])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "foreign"])
def test_damage_is_a_whole_build(w: World, victim: str, damage: str) -> None:
    published(w, "5.5.5.5")
    served = published(w, "5.5.5.5", "5.5.6.6")
    assert served.delta
    path = {"base": served.base.path, "delta": served.delta.path}.get(victim, served.base.path.with_name(CURRENT))
    content = path.read_bytes()
    path.unlink()  # another file in its place: others may be reading the old one
    if damage != "gone":
        path.write_bytes(
            {"cut": content[: len(content) // 2], "altered": content[:-1] + b"\xff", "foreign": b"<html>"}[damage]
        )
    w.now += 1
    done = Publisher(w.store, IP, w.directory).publish(w.exemptions(), w.now)
    assert done is not None
    assert done.whole
    assert done.serial > served.serial
    assert codes4(w.served("ip"), FIVE) == codes4(w.served("ip"), 0x05050606) == {0}


@pytest.mark.parametrize("suffix", ["base", "delta"])
def test_files_of_an_older_version_are_a_whole_build(w: World, suffix: str) -> None:
    """The program was upgraded: nothing that was published can be read, and the serial rises all the same."""
    w.now = START + 100
    published(w, "5.5.5.5")
    served = published(w, "5.5.5.5", "5.5.6.6")
    assert served.delta
    for path in {"base": [served.base.path, served.delta.path], "delta": [served.delta.path]}[suffix]:
        content = path.read_bytes()
        path.write_bytes(content[:8] + (1).to_bytes(4, "little") + content[12:])
    with pytest.raises(SnapshotError, match="version 1, and this program reads 2; build the zone again"):
        w.served("ip")
    w.now = START
    done = Publisher(w.store, IP, w.directory).publish(w.exemptions(), w.now)
    assert done is not None
    assert done.whole
    assert done.serial > served.serial
    assert codes4(w.served("ip"), FIVE) == codes4(w.served("ip"), 0x05050606) == {0}


# serials


@pytest.mark.parametrize("step", [0, 1, -1, -10 * DAY, 10 * DAY])
def test_the_serial_rises_whatever_the_clock_does(w: World, step: int) -> None:
    serials = []
    for number in range(4):
        serials.append(published(w, f"5.5.5.{number}").serial)
        w.now += step
    assert all(1 <= after - before < 2**31 for before, after in itertools.pairwise(serials))


def test_the_serial_rises_past_a_damaged_pointer_at_the_same_second(w: World) -> None:
    """A file of the same name would be written over one that is in use."""
    w.now = START + 100
    served = published(w, "5.5.5.5")
    w.now = START
    served.base.path.with_name(CURRENT).write_bytes(b"damaged")
    done = Publisher(w.store, IP, w.directory).publish(w.exemptions(), w.now)
    assert done is not None
    assert done.serial > served.serial


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**36))
def test_the_next_serial_is_greater_in_rfc1982_arithmetic(before: int, now: int) -> None:
    after = next_serial(before, now)
    assert 0 < after < 2**32
    assert 0 < (after - before) & 0xFFFFFFFF < 2**31


def test_the_serial_wraps_past_zero() -> None:
    assert next_serial(2**32 - 1, 5) == 5
    assert next_serial(2**32 - 1, 2**32 - 5) == 1


# checks


def test_a_zone_that_loses_too_much_stays(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SMALL_ZONE", 10)
    monkeypatch.setattr(maker, "DELTA_FLOOR", 4)
    many = [f"5.5.{n}.1" for n in range(100)]
    before = published(w, *many)
    w.listed(many[:5])
    w.now += 400 * DAY
    w.settle()
    kept = files(w)
    for publisher in (w.publishers["ip"], Publisher(w.store, IP, w.directory)):
        with pytest.raises(PublishRefused, match="--force"):
            publisher.publish(w.exemptions(), w.now)
    assert files(w) == kept
    assert w.served("ip").serial == before.serial
    assert w.publish("ip", force=True) is not None
    assert codes4(w.served("ip"), 0x05050601) == set()


@pytest.mark.parametrize("first", [False, True])
def test_a_zone_that_would_list_too_much_stays(w: World, first: bool) -> None:
    """As a whole build, and as a delta: one report may be half the Internet."""
    if first:
        published(w, "5.5.5.5")
    w.report("0.0.0.0/2")
    w.settle()
    with pytest.raises(PublishRefused, match="max_cover"):
        w.publish("ip")
    assert first == (read_pointer(zone_directory(w.directory, "ip")) is not None)
    if first:
        assert codes4(w.served("ip"), FIVE) == {0}
        assert codes4(w.served("ip"), 0x01010101) == set()
    w.exempt("0.0.0.0/2")
    w.settle()
    assert w.publish("ip") is not None


def test_what_a_delta_lists_again_is_not_counted_twice() -> None:
    narrow = zone("narrow", "ip", checks={"max_cover": 0.02})
    with world([narrow]) as w:
        w.listed(["4.0.0.0/6"])
        w.settle()
        w.publish("narrow")
        for category in ("malware", "dynamic"):
            w.report("4.0.0.0/6", category=category)
            w.settle()
            done = w.publish("narrow")
        assert done is not None
        assert not done.whole
        assert codes4(w.served("narrow"), FIVE) == {0, 1, 2}
        w.report("8.0.0.0/7")
        w.settle()
        with pytest.raises(PublishRefused, match="max_cover"):
            w.publish("narrow")


@pytest.mark.parametrize("subject", ["10.1.2.3", "224.0.0.0/4", "100.64.0.0/10"])
def test_what_is_never_listed_stops_the_publish(w: World, subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last look before anyone is answered: were the holes ever not cut, nothing would be published."""
    published(w, "5.5.5.5")
    kept = files(w), w.served("ip").serial
    row = ListingRow(parse(subject), "127.0.0.2", w.now, None, None)
    w.store.decide(w.now, {"ip": Decision([row], [], [(row.subject, row.codes)])}, [])
    monkeypatch.setattr("dnsbl.zones.build.holes", lambda *_: pieces([]))
    for force in (False, True):
        with pytest.raises(PublishRefused, match="never listed"):
            w.publish("ip", force=force)
    assert (files(w), w.served("ip").serial) == kept


def test_test_points_are_there_from_the_first_publish(w: World) -> None:
    w.publish("ip")
    w.publish("domain")
    served = w.served("ip")
    assert codes4(served, 0x7F000002) == codes6(served, 0xFFFF7F000002) == {0, 1, 2}
    assert codes4(served, 0x7F000004) == codes6(served, 0xFFFF7F000004) == {1}
    assert codes4(served, 0x7F000001) == codes6(served, 0xFFFF7F000001) == set()
    names = w.served("domain")
    assert name_codes(names, "test") == {0, 1, 2}
    assert name_codes(names, "dynamic.test") == {2}
    assert name_codes(names, "invalid") == set()


# failures


def broken(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.rename"])
def test_a_failing_disk_leaves_the_old_zone(w: World, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    before = published(w, "5.5.5.5").serial
    w.listed(["5.5.5.5", "5.5.6.6"])
    w.settle()
    with monkeypatch.context() as patched:
        patched.setattr(call, broken)
        with pytest.raises(SnapshotError, match="No space left on device"):
            w.publish("ip")
    assert w.served("ip").serial == before
    assert w.publish("ip") is not None
    served = w.served("ip")
    assert codes4(served, 0x05050606) == {0}
    assert {path.name for path in (served.base.path, served.delta.path)} <= files(w)  # type: ignore[union-attr]


def test_a_file_that_could_not_be_written_does_not_stay(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk it would hold the space that the store needs."""
    published(w, "5.5.5.5")
    kept = files(w)
    w.listed(["5.5.5.5", "5.5.6.6"])
    w.settle()
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", broken)
        with pytest.raises(SnapshotError):
            w.publish("ip")
    assert files(w) == kept


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from worlds import IP, START
from dnsbl.errors import SnapshotError
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.store import SqliteStore
from dnsbl.zones.arrays import compact, singles
from dnsbl.zones.publish import Publisher
directory = Path({directory!r})
store = SqliteStore(directory / "store.sqlite")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
try:
    Publisher(store, IP, directory).publish(Exemptions([], START), START + 9, force=True)
except SnapshotError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_the_old_zone(w: World) -> None:
    before = published(w, "5.5.5.5").serial
    tests = Path(__file__).parent
    script = FULL.format(tests=str(tests), root=str(tests.parent.parent), directory=str(w.directory))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert w.served("ip").serial == before
    assert codes4(w.served("ip"), FIVE) == {0}


def test_a_directory_that_cannot_be_written_is_one_line(w: World) -> None:
    (w.directory / "zones").write_text("a file where the directory should be")
    with pytest.raises(SnapshotError, match="cannot be written") as caught:
        w.publish("ip")
    assert str(w.directory) in str(caught.value)


def test_left_overs_of_a_crash_go_with_the_next_publish(w: World) -> None:
    published(w, "5.5.5.5")
    directory = zone_directory(w.directory, "ip")
    for name in ("7.base", "8.delta", "current.part"):
        (directory / name).write_bytes(b"half of something")
    served = published(w, "5.5.6.6")
    assert files(w) == {served.base.path.name, served.delta.path.name, CURRENT}  # type: ignore[union-attr]


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.rename", "dnsbl.zones.maker.Maker.sweep_files"])
def test_a_crash_at_any_moment_leaves_a_zone_to_answer_from(
    w: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    published(w, "5.5.5.5")
    w.listed(["5.5.5.5", "5.5.6.6"])
    w.settle()
    with monkeypatch.context() as patched:
        patched.setattr(moment, crash)
        with pytest.raises(Crash):
            w.publish("ip", force=True)
    assert codes4(w.served("ip"), FIVE) == {0}
    Publisher(w.store, IP, w.directory).publish(w.exemptions(), w.now)
    assert codes4(w.served("ip"), 0x05050606) == {0}


def test_readers_of_the_zone_before_still_find_their_files(w: World) -> None:
    published(w, "5.5.5.5")
    pointer = read_pointer(zone_directory(w.directory, "ip"))
    assert pointer is not None
    opened = pointer.open()
    w.publish("ip", force=True)
    assert codes4(pointer.open(), FIVE) == {0}  # read the pointer, and is slow to open
    for number in range(3):
        published(w, f"5.5.6.{number}")
        w.publish("ip", force=True)
    assert not opened.base.path.exists()
    assert codes4(opened, FIVE) == {0}
    assert len([name for name in files(w) if name.endswith(".base")]) == 2


# several at once


def test_two_publishers_see_what_the_other_did(w: World) -> None:
    other = Publisher(w.store, IP, w.directory)
    published(w, "5.5.5.5")
    assert other.publish(w.exemptions(), w.now) is None
    w.listed(["5.5.5.5", "5.5.6.6"])
    w.settle()
    assert other.publish(w.exemptions(), w.now) is not None
    assert w.publish("ip") is None
    served = published(w, "5.5.5.5", "5.5.7.7")
    assert codes4(served, FIVE) == codes4(served, 0x05050707) == {0}
    assert codes4(served, 0x05050606) == set()


def test_publishers_at_once_take_turns(w: World) -> None:
    """Threads with publishers of their own, as processes would have: the last serial stands for all changes."""
    w.publish("ip")
    serials: list[int] = []
    barrier = threading.Barrier(3, timeout=SECONDS)

    def work(number: int) -> None:
        publisher = Publisher(w.store, IP, w.directory)
        barrier.wait()
        for turn in range(5):
            subject = parse(f"5.5.{number}.{turn}")
            row = ListingRow(subject, "127.0.0.2", START, None, None)
            w.store.decide(START, {"ip": Decision([row], [], [(subject, row.codes)])}, [])
            done = publisher.publish(Exemptions([], START), START)
            if done:
                serials.append(done.serial)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(serials) == len(set(serials))
    served = w.served("ip")
    assert served.serial == max(serials)
    assert all(codes4(served, 0x05050000 | n << 8 | turn) == {0} for n in range(3) for turn in range(5))


def other_process(directory: str, turn: int) -> None:
    """Publishes from the same store; run in a process of its own."""
    from dnsbl.store import SqliteStore

    store = SqliteStore(Path(directory) / "store.sqlite")
    Publisher(store, DOMAIN, Path(directory)).publish(Exemptions([], START), START + turn, force=True)
    store.close()


def test_processes_at_once_take_turns(w: World) -> None:
    published(w, "bad.example", name="domain")
    before = w.served("domain").serial
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=other_process, args=(str(w.directory), turn), daemon=True) for turn in (5, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SECONDS)
        assert worker.exitcode == 0
    served = w.served("domain")
    assert served.serial >= before + 2
    assert name_codes(served, "bad.example") == {0}


def test_a_whole_build_by_another_that_knew_less_is_caught_up(w: World) -> None:
    published(w, "5.5.5.0/28")
    stale = w.exemptions()
    assert stale.seq is not None
    w.exempt("5.5.5.5")
    w.settle()
    w.publish("ip")
    known = Exemptions([], w.now)  # as a process that read the exemptions before had them
    known.seq = stale.seq - 1
    Publisher(w.store, IP, w.directory).publish(known, w.now, force=True)
    w.publish("ip")
    assert codes4(w.served("ip"), FIVE) == set()


def test_an_exemption_that_comes_while_publishing_is_not_lost(w: World) -> None:
    """What is published may be older than the store, but then the next publish must know."""
    published(w, "5.5.5.0/28")
    stale = w.exemptions()
    w.exempt("5.5.5.5")
    w.settle()
    w.publishers["ip"].publish(stale, w.now)
    w.publish("ip")
    assert codes4(w.served("ip"), FIVE) == set()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_cover_counts_every_address_once(data: st.DataObject) -> None:
    """For a base alone and with any delta, whose pieces may hide and list again what the base lists."""
    threshold = data.draw(thresholds)

    def columns(rows: list[tuple[int, int, int]]) -> SimpleNamespace:
        one, wide = [r for r in rows if r[0] == r[1]], [r for r in rows if r[0] != r[1]]
        made = {"v4low": [r[0] for r in wide], "v4high": [r[1] for r in wide]}
        answers = {"v4onea": [r[2] for r in one], "v4a": [r[2] for r in wide]}
        with bucketed(threshold):
            found = singles(np.array([r[0] for r in one], dtype="u8"))
        found |= {name: np.array(v, dtype="u4") for name, v in made.items()}
        return SimpleNamespace(
            layers={}, **found, **{name: compact(np.array(v, dtype="u1")) for name, v in answers.items()}
        )

    def apart(answer: st.SearchStrategy[int]) -> list[tuple[int, int, int]]:
        edges = sorted(data.draw(st.sets(st.integers(0, 50))))
        pairs = itertools.pairwise(edges)
        return [(a, b - 1, data.draw(answer)) for a, b in pairs if data.draw(st.booleans())]

    base, delta = apart(st.just(1)), apart(st.integers(0, 1))
    listed = {n for first, last, _ in base for n in range(first, last + 1)}
    served = SimpleNamespace(base=columns(base), delta=None)
    assert cover(served) == len(listed)  # type: ignore[arg-type]
    for first, last, answer in delta:
        listed = listed | set(range(first, last + 1)) if answer else listed - set(range(first, last + 1))
    served.delta = columns(delta)
    assert cover(served) == len(listed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "codes", "each"), [(20_000, 1, 4), (20_000, 2, 5), (70_000, 1, 2), (70_000, 2, 3)])
def test_a_base_needs_few_bytes(w: World, count: int, codes: int, each: int) -> None:
    """Four bytes for each single address, two where there are many; one more where they differ in their codes."""
    numbers = np.random.default_rng(1).choice(2**24, count, replace=False) * 2 + (5 << 24)
    said = ["127.0.0.2", "127.0.0.4"]
    rows = [
        ListingRow(b"4" + int(n).to_bytes(4, "big") + b"\x20", said[place % codes], START, None, None)
        for place, n in enumerate(numbers)
    ]
    one = zone("ip", "ip", codes=IP.model_dump(mode="json", by_alias=True)["codes"][:codes])
    w.store.decide(START, {"ip": Decision(rows, [], [])}, [])
    done = Publisher(w.store, one, w.directory).publish(w.exemptions(), w.now)
    assert done is not None
    assert done.pieces == count
    index = 4 * 65_537 if count > 65_536 else 0
    assert done.bytes < each * count + index + 4096


def test_names_need_few_bytes(w: World) -> None:
    """Three for each name but the name itself, and one or two for its share of the index."""
    names = [b"dcom.example.n%d" % n for n in range(5000)]
    rows = [ListingRow(name, "127.0.0.2", START, None, None) for name in names]
    w.store.decide(START, {"domain": Decision(rows, [], [])}, [])
    done = w.publish("domain")
    assert done is not None
    assert size_of(w.served("domain").base) == done.pieces == len(names) + 2  # `com` and `com.example` are empty
    assert done.bytes < sum(map(len, names)) + 5 * len(names) + 4096
