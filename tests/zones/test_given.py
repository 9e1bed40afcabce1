"""What may not be given away is answered, and in nothing that others take: snapshots, journal, digest. Nothing of this
ever stops a publish."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from differences import ZONES, check, listed, publish, records
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from worlds import EXAMPLES, World, codes4, world, zone

from dnsbl import travel
from dnsbl.config import Config, DnsConfig, Settings
from dnsbl.dns.answer import Answerer
from dnsbl.dns.notify import News, Notifier
from dnsbl.errors import SnapshotError, WithheldError
from dnsbl.zones import giving, zonemd
from dnsbl.zones.contents import contents
from dnsbl.zones.export import export
from dnsbl.zones.given import SHARED, given, given_pointer, given_serial
from dnsbl.zones.journal import Journal
from dnsbl.zones.maker import Maker
from dnsbl.zones.publish import Publisher, zone_directory
from dnsbl.zones.served import ServedZone

FREE, KEPT = "5.5.5.5", "6.6.6.6"
KEPT_ADDRESS = 0x06060606
OTHER_MASKS = {1: 0, 3: 1}  # what of a mask may be given away


@pytest.fixture
def w() -> Iterator[World]:
    with world([ZONES["ip"]]) as made:
        yield made


def directory(w: World) -> Path:
    return zone_directory(w.directory, "ip")


def taken(w: World) -> ServedZone:
    view = given(directory(w))
    assert view is not None
    return view


def given_in(w: World) -> Path:
    """Where the files are that may be given away."""
    pointer = given_pointer(directory(w))
    assert pointer is not None
    return pointer.directory


def publish_with(w: World, wanted: dict[str, int], withheld: dict[str, int], whole: bool = False) -> ServedZone:
    w.now += 1
    listed(w, "ip", wanted, withheld)
    return publish(w, "ip", whole)


def test_what_is_withheld_is_answered_and_not_given(w: World) -> None:
    served = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    assert codes4(served, KEPT_ADDRESS) == {0}
    assert codes4(taken(w), KEPT_ADDRESS) == set()
    assert codes4(taken(w), 0x05050505) == {0}
    assert taken(w).serial == served.serial
    assert given_in(w) == directory(w) / SHARED


def test_how_many_were_left_out_is_in_the_head_of_every_export(w: World) -> None:
    served = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    for view, said in ((taken(w), True), (served, False)):
        text = b"".join(export(view, "cidr")).decode()
        assert ("1 entries are left out: the terms of the feeds" in text) == said
        assert (KEPT in text) != said


def test_where_nothing_is_withheld_it_is_the_zone_itself(w: World) -> None:
    served = publish_with(w, {FREE: 1}, {})
    assert taken(w).base.path == served.base.path
    assert given_in(w) == directory(w)
    assert not (directory(w) / SHARED).exists()


def test_nothing_published_is_nothing_given(w: World) -> None:
    assert given(directory(w)) is None


def test_a_view_that_is_still_the_same_is_not_read_again(w: World) -> None:
    publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    view = taken(w)
    assert given(directory(w), view) is view
    publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.6": 1}, {KEPT: 0})
    later = given(directory(w), view)
    assert later is not None
    assert later is not view
    assert later.base is view.base


@pytest.mark.parametrize("left", [{FREE: 1}, {FREE: 1, "5.5.6.6": 1}])
def test_no_file_that_is_given_has_what_was_withheld_until_now(w: World, left: dict[str, int]) -> None:
    """A delta that takes it out of the zone leaves it in the base, which mirrors fetch."""
    publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    publish_with(w, left, {})
    view = taken(w)
    assert given_in(w) == directory(w)
    for file in (view.base, view.delta):
        assert file is None or codes4(ServedZone(file), KEPT_ADDRESS) == set()


SUBJECTS = ["5.5.5.0/24", "5.5.5.5", "5.5.6.6", "2a00:1:2:3::/64", "2a00:1:2::/48"]
turns = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(SUBJECTS), st.sampled_from(sorted(OTHER_MASKS)), max_size=4),
        st.sets(st.sampled_from(SUBJECTS), max_size=3),
        st.booleans(),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=10 * EXAMPLES, deadline=None)
@examples(turns)
def test_what_is_given_is_what_a_store_without_the_rest_would_give(
    steps: list[tuple[dict[str, int], set[str], bool]],
) -> None:
    """Whatever becomes withheld and free again, by whole builds and deltas; and the journal leads from each to each."""
    with world([ZONES["ip"]]) as w:
        seen = []
        for wanted, kept, whole in steps:
            withheld = {subject: OTHER_MASKS[wanted[subject]] for subject in kept if subject in wanted}
            served = publish_with(w, wanted, withheld, whole)
            seen.append(taken(w))
            assert seen[-1].serial == served.serial
            with world([ZONES["ip"]]) as free:
                listed(free, "ip", {s: mask for s, mask in (wanted | withheld).items() if mask})
                assert records(contents(seen[-1])) == records(contents(publish(free, "ip", True)))
        for old, new in itertools.combinations(seen, 2):
            if old.serial != new.serial:
                check(old, new, Journal(directory(w)).between(old.serial, new.serial))


def test_terms_that_refuse_give_nothing(w: World) -> None:
    refusing = Publisher(w.store, zone("ip", "ip", terms="refuse"), w.directory)
    listed(w, "ip", {FREE: 1})
    refusing.publish(w.exemptions(), w.now)
    first = taken(w).serial
    w.now += 1
    listed(w, "ip", {FREE: 1, KEPT: 1}, {KEPT: 0})
    done = refusing.publish(w.exemptions(), w.now)
    assert done is not None
    with pytest.raises(WithheldError, match="zone ip is not given away: feeds' terms forbid it for 1 of its entries"):
        given(directory(w))
    assert Journal(directory(w)).between(first, done.serial) is None
    w.now += 1
    listed(w, "ip", {FREE: 1})
    refusing.publish(w.exemptions(), w.now)
    assert codes4(taken(w), KEPT_ADDRESS) == set()


def test_another_store_gives_no_more_than_it_may(w: World) -> None:
    publish_with(w, {FREE: 1, KEPT: 1}, {})
    old = taken(w)
    with world([ZONES["ip"]]) as other:
        other.now = w.now + 10
        listed(other, "ip", {KEPT: 1, "5.5.6.6": 1}, {KEPT: 0})
        Publisher(other.store, ZONES["ip"], w.directory).publish(other.exemptions(), other.now)
        assert codes4(taken(w), KEPT_ADDRESS) == set()
        assert codes4(taken(w), 0x05050606) == {0}
        check(old, taken(w), Journal(directory(w)).between(old.serial, taken(w).serial))


@pytest.mark.parametrize("already", [{}, {"5.5.6.6": 0}])
@pytest.mark.parametrize("fails", [False, True])
def test_terms_that_become_narrower_give_nothing_from_before(
    w: World, monkeypatch: pytest.MonkeyPatch, already: dict[str, int], fails: bool
) -> None:
    """Not in a base under a delta, not as what leaves by the journal, and not where the disk is full."""
    source = w.store.source("list", "import", trust=0.9)
    publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.6": 1}, already)
    old = taken(w).serial
    w.store.set_source(source.id, redistribute=False)
    with monkeypatch.context() as patched:
        if fails:
            patched.setattr(Maker, "make", failing(directory(w) / SHARED))
        served = publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.6": 1, "5.5.7.7": 1}, {KEPT: 0, **already})
        if fails:
            with pytest.raises(SnapshotError, match="could not be written yet"):
                given(directory(w))
    w.now += giving.RETRY
    w.publish("ip")
    view = taken(w)
    assert view.serial == served.serial
    for file in (view.base, view.delta):
        assert file is None or codes4(ServedZone(file), KEPT_ADDRESS) == set()
    assert Journal(directory(w)).between(old, view.serial) is None
    later = publish_with(w, {FREE: 1, KEPT: 1, "5.5.7.7": 1}, {KEPT: 0})
    check(view, taken(w), Journal(directory(w)).between(view.serial, later.serial))


# failures


def failing(directory: Path) -> object:
    make = Maker.make

    def fail(self: Maker, *rest: object) -> object:
        if self.directory == directory:
            raise SnapshotError(f"{directory}: no space left")
        return make(self, *rest)  # type: ignore[arg-type]

    return fail


def test_what_could_not_be_written_leaves_the_one_before(
    w: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    old = taken(w)
    with monkeypatch.context() as patched:
        patched.setattr(Maker, "make", failing(directory(w) / SHARED))
        for number in range(3):
            served = publish_with(w, {FREE: 1, KEPT: 1, f"5.5.6.{number}": 1}, {KEPT: 0})
        assert codes4(served, 0x05050602) == {0}
        assert taken(w).serial == old.serial
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["zone ip"]
    assert w.publish("ip") is None
    assert taken(w).serial == old.serial, "it is not tried again at once"
    w.now += giving.RETRY
    assert w.publish("ip") is None
    assert taken(w).serial == served.serial
    assert codes4(taken(w), 0x05050602) == {0}
    check(old, taken(w), Journal(directory(w)).between(old.serial, served.serial))


async def test_secondaries_are_told_when_what_is_given_moves(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of a serial that no transfer gives yet: who came for it would find nothing new, and not come again."""
    told: list[News] = []
    monkeypatch.setattr(Notifier, "tell", lambda _, news: told.extend(news))
    monkeypatch.setattr(travel, "LOOK_EVERY", 0.005)
    dns = DnsConfig.model_validate({"secondaries": [{"address": "192.0.2.1:53"}]})
    config = Config(data_dir=w.directory, dns=dns)
    old = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    answerer = Answerer([old], dns)
    going = travel.Travel(Settings(config=config, path=None, zones={"ip": ZONES["ip"]}, feeds={}), answerer, ())
    task = asyncio.create_task(going.run())
    try:
        await until(lambda: told)
        with monkeypatch.context() as patched:
            patched.setattr(Maker, "make", failing(directory(w) / SHARED))
            served = publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.1": 1}, {KEPT: 0})
        answerer.replace([served])
        going.published(going.settings)
        assert {each.serial for each in told} == {old.serial}
        w.now += giving.RETRY
        assert w.publish("ip") is None
        await until(lambda: told[-1].serial == served.serial)
        assert told[-1].soa[-20:-16] == served.serial.to_bytes(4, "big")
        assert {each.soa[-20:-16] for each in told if each.serial == old.serial} == {old.serial.to_bytes(4, "big")}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await going.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_what_is_refused_or_not_there_has_no_serial_to_tell(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_serial(directory(w)) is None
    with monkeypatch.context() as patched:
        patched.setattr(Maker, "make", failing(directory(w) / SHARED))
        served = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    assert given_serial(directory(w)) is None
    w.now += giving.RETRY
    assert w.publish("ip") is None
    assert given_serial(directory(w)) == served.serial
    (directory(w) / "current").write_text("{")
    assert given_serial(directory(w)) is None


def test_after_a_restart_it_is_caught_up_too(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Maker, "make", failing(directory(w) / SHARED))
        served = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    assert Publisher(w.store, ZONES["ip"], w.directory).publish(w.exemptions(), w.now) is None
    assert taken(w).serial == served.serial


def test_what_was_never_written_is_refused(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where something was shared in other times: it may have what has become withheld since."""
    publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.6": 1}, {"5.5.6.6": 0})
    shutil.copytree(directory(w) / SHARED, w.directory / "aside")
    publish_with(w, {FREE: 1, KEPT: 1}, {})
    shutil.rmtree(directory(w) / SHARED, ignore_errors=True)
    (w.directory / "aside").rename(directory(w) / SHARED)
    monkeypatch.setattr(Maker, "make", failing(directory(w) / SHARED))
    served = publish_with(w, {FREE: 1, KEPT: 1}, {KEPT: 0})
    assert codes4(served, KEPT_ADDRESS) == {0}
    with pytest.raises(SnapshotError, match="what may be given away could not be written yet"):
        given(directory(w))


class Crash(BaseException):
    pass


MOMENTS = [(Journal, "add", 0), *((Maker, name, turn) for name in ("swap", "sweep_files") for turn in (0, 1))]


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize(("owner", "name", "turn"), MOMENTS)
def test_a_crash_at_any_moment_gives_nothing_that_is_withheld(
    w: World, monkeypatch: pytest.MonkeyPatch, begins: bool, owner: type, name: str, turn: int
) -> None:
    """Whether entries were withheld before or are from now on; and the journal still leads to what comes after. The
    turns are those of what is shared, and of the zone itself."""
    publish_with(w, {FREE: 1, "5.5.6.6": 1}, {} if begins else {"5.5.6.6": 0})
    old = taken(w)
    calls = itertools.count()
    original = getattr(owner, name)

    def crash(*rest: object) -> object:
        if next(calls) == turn:
            raise Crash
        return original(*rest)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, crash)
        with pytest.raises(Crash):
            publish_with(w, {FREE: 1, KEPT: 1, "5.5.6.6": 1}, {KEPT: 0, "5.5.6.6": 0})
    if (between := taken(w)).serial != old.serial:
        assert codes4(between, KEPT_ADDRESS) == codes4(between, 0x05050606) == set()
    publisher = Publisher(w.store, ZONES["ip"], w.directory)
    w.now += 1
    listed(w, "ip", {FREE: 1, KEPT: 1, "5.5.7.7": 1}, {KEPT: 0})
    publisher.publish(w.exemptions(), w.now)
    now = taken(w)
    assert codes4(now, KEPT_ADDRESS) == set()
    assert codes4(now, 0x05050707) == {0}
    for view in (old, between):
        if view.serial != now.serial:
            check(view, now, Journal(directory(w)).between(view.serial, now.serial))


# the digest


@pytest.mark.parametrize("withheld", [{}, {KEPT: 0}])
def test_the_digest_is_of_what_is_given(withheld: dict[str, int]) -> None:
    digested = zone("ip", "ip", zonemd=True)
    with world([digested]) as w:
        for number in range(2):
            served = publish_with(w, {FREE: 1, KEPT: 1, f"5.5.6.{number}": 1}, withheld)
            assert taken(w).zonemd == zonemd.digest(contents(taken(w)))
            assert served.zonemd == taken(w).zonemd != b""


def test_a_digest_that_fails_stops_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> bytes:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(giving, "digest", fail)
    with world([zone("ip", "ip", zonemd=True)]) as w:
        served = publish_with(w, {FREE: 1}, {})
        assert served.zonemd == b""
        assert codes4(taken(w), 0x05050505) == {0}
    assert "a digest cannot be written: a fault of ours" in caplog.text
