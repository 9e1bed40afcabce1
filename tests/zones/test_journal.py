"""The journal leads from old serials to the newest, or says that it does not; it is bounded, and whatever is wrong with
it, zones are published."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from differences import CODES, ZONES, check, listed, publish
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from worlds import START, World, world, zone

from dnsbl.errors import SnapshotError
from dnsbl.zones import difference, journal
from dnsbl.zones.arrays import packed, write
from dnsbl.zones.contents import Kind, Node
from dnsbl.zones.difference import Change, Step
from dnsbl.zones.journal import Journal
from dnsbl.zones.maker import Maker
from dnsbl.zones.publish import Publisher, zone_directory
from dnsbl.zones.served import ServedZone
from dnsbl.zones.steps import net, packed_step, read_step
from dnsbl.zones.table import Deep, Pieces, pieces

NO_PIECES = pieces([])


@pytest.fixture
def w() -> Iterator[World]:
    with world([ZONES["ip"]]) as made:
        yield made


def home(w: World) -> Path:
    return zone_directory(w.directory, "ip")


def step_files(w: World) -> list[str]:
    return sorted(path.name for path in (home(w) / "journal").glob("*.step"))


def published(w: World, *subjects: str, whole: bool = False) -> ServedZone:
    w.now += 1
    listed(w, "ip", dict.fromkeys(subjects, 1))
    return publish(w, "ip", whole)


def test_it_leads_from_every_serial_to_every_later_one(w: World) -> None:
    seen = [published(w, *(f"5.5.{n}.5" for n in range(number, number + 3))) for number in range(4)]
    for place, old in enumerate(seen):
        for new in seen[place + 1 :]:
            check(old, new, Journal(home(w)).between(old.serial, new.serial))


def test_what_came_and_left_again_is_in_no_step(w: World) -> None:
    old = published(w, "5.5.5.5")
    published(w, "5.5.5.5", "5.5.6.6")
    new = published(w, "5.5.5.5")
    step = Journal(home(w)).between(old.serial, new.serial)
    assert step is not None
    assert step.removed.size == step.added.size == 0


def test_serials_it_does_not_know_are_gone_history(w: World) -> None:
    old = published(w, "5.5.5.5")
    new = published(w, "5.5.6.6")
    for serial, to in [(old.serial - 1, new.serial), (new.serial, old.serial), (new.serial, new.serial), (0, 0)]:
        assert Journal(home(w)).between(serial, to) is None
    assert Journal(w.directory / "nowhere").between(old.serial, new.serial) is None


def test_steps_are_bounded_in_number(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_STEPS", 3)
    seen = [published(w, f"5.5.{number}.5") for number in range(6)]
    assert len(step_files(w)) == 3
    assert Journal(home(w)).between(seen[1].serial, seen[-1].serial) is None
    check(seen[2], seen[-1], Journal(home(w)).between(seen[2].serial, seen[-1].serial))


def test_steps_are_bounded_in_bytes(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the snapshot is small, LEAST_BYTES; else its size."""
    seen = [published(w, *(f"5.5.{number}.{n}" for n in range(0, 250, 2))) for number in range(4)]
    monkeypatch.setattr(journal, "LEAST_BYTES", 1)
    seen.append(published(w, "5.5.5.5"))
    steps = [path.stat().st_size for path in (home(w) / "journal").glob("*.step")]
    files = seen[-1].base, seen[-1].delta
    assert 1 <= len(steps) < 4
    assert sum(steps) <= sum(file.path.stat().st_size for file in files if file)
    check(seen[3], seen[4], Journal(home(w)).between(seen[3].serial, seen[4].serial))


def test_steps_are_bounded_in_bytes_however_large_the_snapshot_is(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [published(w, f"5.5.{number}.5") for number in range(3)]
    one = max(path.stat().st_size for path in (home(w) / "journal").glob("*.step"))
    monkeypatch.setattr(journal, "MOST_BYTES", one + one // 2)
    seen.append(published(w, "5.5.9.5"))
    assert len(step_files(w)) == 1
    assert Journal(home(w)).between(seen[1].serial, seen[3].serial) is None
    check(seen[2], seen[3], Journal(home(w)).between(seen[2].serial, seen[3].serial))


@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "foreign", "of another"])
def test_a_damaged_step_is_gone_history(w: World, damage: str) -> None:
    seen = [published(w, f"5.5.{number}.5") for number in range(3)]
    path = home(w) / "journal" / step_files(w)[0]
    content = path.read_bytes()
    other = (home(w) / "journal" / step_files(w)[1]).read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(
            {
                "cut": content[:-64],
                "altered": content[:-1] + b"\xff",
                "foreign": b"<html>",
                "of another": other,
            }[damage]
        )
    assert Journal(home(w)).between(seen[0].serial, seen[2].serial) is None
    check(seen[1], seen[2], Journal(home(w)).between(seen[1].serial, seen[2].serial))
    seen.append(published(w, "5.5.9.9"))
    check(seen[1], seen[3], Journal(home(w)).between(seen[1].serial, seen[3].serial))


OTHER_TEXT = [{**CODES[0], "text": "$ sent much spam"}, *CODES[1:]]


@pytest.mark.parametrize(
    "change",
    [{"ttl": "1h"}, {"codes": OTHER_TEXT}, {"codes": CODES[:2]}, {"soa": {"retry": "1h"}}, {"ns": ["ns2.example"]}],
    ids=str,
)
def test_where_other_records_than_those_of_listings_changed_it_begins_anew(w: World, change: dict[str, Any]) -> None:
    old = published(w, "5.5.5.5")
    before = published(w, "5.5.6.6")
    other = Publisher(w.store, zone("ip", "ip", **{"codes": CODES, **change}), w.directory)
    w.now += 1
    done = other.publish(w.exemptions(), w.now)
    assert done is not None
    middle = w.served("ip")
    for serial in (old.serial, before.serial):
        assert Journal(home(w)).between(serial, done.serial) is None
    assert step_files(w) == []
    w.now += 1
    listed(w, "ip", {"5.5.7.7": 1})
    other.publish(w.exemptions(), w.now)
    check(middle, w.served("ip"), Journal(home(w)).between(middle.serial, w.served("ip").serial))


@pytest.mark.parametrize(
    "change",
    [
        {"transfer": ["192.0.2.0/24"], "transfer_keys": ["mirror"]},
        {"zonemd": True},
        {"licence": "CC0", "terms": "refuse", "about": "spam"},
        {"policy": {"list_at": 80}, "checks": {"max_cover": 0.2}, "removal": {"grace": "1d"}},
    ],
    ids=str,
)
def test_a_setting_that_no_record_depends_on_keeps_it(w: World, change: dict[str, Any]) -> None:
    """Such a change made every secondary take the whole zone."""
    seen = [published(w, "5.5.5.5"), published(w, "5.5.6.6")]
    changed = zone("ip", "ip", **{"codes": CODES, **change})
    w.publishers["ip"] = Publisher(w.store, changed, w.directory)
    w.now += 1
    w.publish("ip")
    seen.append(w.served("ip"))
    assert seen[-1].zone == changed
    seen.append(published(w, "5.5.7.7"))
    for place, old in enumerate(seen):
        for new in seen[place + 1 :]:
            step = Journal(home(w)).between(old.serial, new.serial)
            check(old, new, step)
            assert step is not None
            assert step.zone == changed
            assert (step.zonemd_old, step.zonemd_new) == (old.zonemd, new.zonemd)


def test_a_change_of_most_of_a_large_zone_is_no_step(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "SMALL_STEP", 10)
    old = published(w, *(f"5.5.5.{n}" for n in range(0, 60, 2)))
    new = published(w, *(f"5.5.6.{n}" for n in range(0, 60, 2)))
    assert Journal(home(w)).between(old.serial, new.serial) is None
    later = published(w, *(f"5.5.6.{n}" for n in range(0, 62, 2)))
    check(new, later, Journal(home(w)).between(new.serial, later.serial))


# crashes, full disks, older copies


class Crash(BaseException):
    pass


@pytest.mark.parametrize("same_second", [True, False])
def test_a_step_to_a_serial_that_was_never_published_is_not_on_the_way(
    w: World, monkeypatch: pytest.MonkeyPatch, same_second: bool
) -> None:
    """The crash came between the step and the pointer. The serial may come again, for other content."""

    def crash(*_: object) -> None:
        raise Crash

    first = published(w, "5.5.5.5")
    old = published(w, "5.5.6.6")
    with monkeypatch.context() as patched:
        patched.setattr(Maker, "swap", crash)
        with pytest.raises(Crash):
            published(w, "5.5.7.7")
    w.publishers["ip"] = Publisher(w.store, ZONES["ip"], w.directory)
    w.now -= 1 if same_second else 0
    new = published(w, "5.5.8.8")
    for before in (first, old):
        check(before, new, Journal(home(w)).between(before.serial, new.serial))
    later = published(w, "5.5.9.9")
    check(old, later, Journal(home(w)).between(old.serial, later.serial))


def test_files_that_a_crash_left_go_with_the_next_step(w: World) -> None:
    published(w, "5.5.5.5")
    published(w, "5.5.6.6")
    for name in ("1-2.step", "3-4.step.part"):
        (home(w) / "journal" / name).write_bytes(b"half of something")
    published(w, "5.5.7.7")
    assert len(step_files(w)) == 2
    assert len(list((home(w) / "journal").iterdir())) == 3


@pytest.mark.parametrize("trouble", ["a full disk", "a file where it should be"])
def test_a_journal_that_cannot_be_written_stops_nothing(
    w: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    old = published(w, "5.5.5.5")
    with monkeypatch.context() as patched:
        if trouble == "a full disk":
            patched.setattr(journal, "replacing", full)
        else:
            (home(w) / "journal").write_text("")
        for number in range(3):
            new = published(w, f"5.5.6.{number}")
        assert Journal(home(w)).between(old.serial, new.serial) is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1, "it is said once"
    assert "the journal cannot be written" in said[0]
    if trouble != "a full disk":
        (home(w) / "journal").unlink()
    later = published(w, "5.5.7.7")
    assert "the journal is written again" in caplog.text
    check(new, later, Journal(home(w)).between(new.serial, later.serial))


def test_an_older_copy_of_what_was_published_goes_on_from_there(w: World) -> None:
    seen = [published(w, "5.5.5.5"), published(w, "5.5.6.6")]
    content = {path: path.read_bytes() for path in home(w).iterdir() if path.is_file()}
    lost = published(w, "5.5.7.7")
    for path, octets in content.items():
        path.unlink(missing_ok=True)
        path.write_bytes(octets)
    w.publishers["ip"] = Publisher(w.store, ZONES["ip"], w.directory)
    w.now += 1
    new = published(w, "5.5.8.8")
    for old in seen:
        check(old, new, Journal(home(w)).between(old.serial, new.serial))
    assert Journal(home(w)).between(lost.serial, new.serial) is None


def test_serials_may_wrap(w: World) -> None:
    for place, w.now in enumerate((START, 2**31 + 9, 2**32 - 3)):
        published(w, f"5.5.5.{place}")
    seen = [published(w, f"5.5.{number}.5") for number in range(5)]
    assert seen[-1].serial < seen[0].serial
    check(seen[0], seen[-1], Journal(home(w)).between(seen[0].serial, seen[-1].serial))


# step files

masks = st.integers(1, 2**60 - 1)


def tables(top: int) -> st.SearchStrategy[Pieces]:
    rows = st.sets(st.integers(0, top), max_size=6).map(sorted)
    return rows.flatmap(
        lambda edges: st.lists(masks, min_size=len(edges) // 2, max_size=len(edges) // 2).map(
            lambda found: pieces(zip(edges[::2], edges[1::2], found, strict=False))
        )
    )


deep = st.builds(Deep, st.integers(0, 2**64 - 1), st.integers(0, 99), st.integers(100, 2**64 - 1), masks)
labels = st.text("abc-1.", min_size=1, max_size=253).map(str.encode)
nodes = st.builds(Node, labels, masks, st.sampled_from([Kind.LISTED, Kind.BETWEEN, Kind.HOLE]), masks)
sides = st.builds(
    Change,
    tables(2**32 - 1),
    tables(2**64 - 2),
    st.lists(deep, max_size=3, unique=True),
    st.lists(nodes, max_size=3, unique_by=lambda node: node[:3]),
)


def plain(change: Change) -> object:
    rows = [list(zip(*(c.tolist() for c in (t.first, t.last, t.mask)), strict=True)) for t in (change.ip4, change.ip6)]
    return rows, sorted(change.deep, key=repr), sorted(change.names, key=repr)


@settings(max_examples=30, deadline=None)
@examples(sides)
def test_a_step_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, side: Change) -> None:
    nothing = Change(NO_PIECES, NO_PIECES, [], [])
    path = tmp_path_factory.mktemp("steps") / "1-2.step"
    for removed, added in [(side, nothing), (nothing, side)]:
        step = Step(ZONES["ip"], 1, 2, 3, removed, added, b"old", b"new")
        path.write_bytes(b"".join(packed_step(step, "definition")))
        read = net(ZONES["ip"], [read_step(path)])
        assert plain(read.removed) == plain(removed)
        assert plain(read.added) == plain(added)
        assert (read.old, read.new, read.made_at, read.zonemd_old, read.zonemd_new) == (1, 2, 3, b"old", b"new")


texts = st.one_of(st.none(), st.integers(-5, 2**63), st.text("0aZ"), st.lists(st.integers(-3, 2**64 - 1), max_size=5))
metas = st.dictionaries(
    st.sampled_from(["old", "new", "made_at", "zone", "zonemd_old", "zonemd_new", "masks", "left"]), texts
)
columns = st.lists(st.lists(st.integers(0, 255), max_size=40), min_size=5, max_size=5)


@settings(max_examples=100, deadline=None)
@examples(metas, columns)
def test_whatever_a_file_holds_it_is_a_step_or_refused(
    tmp_path_factory: pytest.TempPathFactory, meta: dict[str, object], columns: list[list[int]]
) -> None:
    """Also where its checksum is right."""
    good = {"old": 1, "new": 2, "made_at": 3, "zone": "", "zonemd_old": "", "zonemd_new": "", "masks": [0, 1]}
    names = zip(["v4", "v6", "deep", "ids", "names"], ["u4", "u8", "u8", "u2", "u1"], columns, strict=True)
    arrays = {name: np.array(column, dtype=width) for name, width, column in names}
    path = tmp_path_factory.mktemp("steps") / "1-2.step"
    path.write_bytes(b"".join(packed({**good, "left": [0, 0, 0, 0], **meta}, arrays)))
    try:
        net(ZONES["ip"], [read_step(path)])
    except SnapshotError as error:
        assert str(path) in str(error)


def test_a_snapshot_is_no_step(tmp_path: Path) -> None:
    write(tmp_path / "1-2.step", {}, {"v4": np.zeros(3, np.uint32)})
    with pytest.raises(SnapshotError, match="without section"):
        read_step(tmp_path / "1-2.step")
