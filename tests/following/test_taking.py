"""What a follower makes of transfers is what the primary has, record for record; and what does not fit is not taken."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transfers import FakeLine, taking
from worlds import DOMAIN, EXAMPLES, HASH, IP, PHONE, World, codes4, codes6, name_codes, world, zone

from dnsbl import files
from dnsbl.config import ZoneDef
from dnsbl.errors import TransferError
from dnsbl.following import install
from dnsbl.following.asking import Primary
from dnsbl.following.taking import Taking
from dnsbl.following.transfer import AXFR, IXFR
from dnsbl.subjects import bounds, parse, zone_name
from dnsbl.zones import maker
from dnsbl.zones.contents import contents
from dnsbl.zones.export import export
from dnsbl.zones.journal import Journal
from dnsbl.zones.names import above
from dnsbl.zones.served import ServedZone

SUBLISTS = zone(
    "sub", "ip",
    codes=[
        {"code": "127.0.0.2", "categories": ["spam"], "text": "$ sends spam", "sublist": "spam"},
        {"code": "127.0.0.4", "categories": ["malware"], "text": "$ has malware", "sublist": "bad-ones"},
    ],
)  # fmt: skip
NETWORKS = ["9.1.0.0/16", "9.1.2.0/24", "9.1.2.3", "9.1.2.4/30", "2.0.0.0/24", "2.0.0.5", "2.0.1.0/24", "3.0.0.0/8"]
NETWORKS += ["2a00:1::/32", "2a00:1:2::/48", "2a00:1:2:3::/64", "2a00:9::/33", "9.1.255.255", "2.0.0.10"]
NARROW = ["2a00:1:2:3::7", "2a00:1:2:3::/80", "2a00:9::5"]
NAMES = ["a.com", "b.a.com", "c.b.a.com", "x.y.a.com", "a-b.com", "d.net", "z.x.y.a.com", "_e.d.net"]
NUMBERS = ["+4930123", "+493012345", "+4930123456", "+1212555"]
HASHES = [f"email:{digit * 40}" for digit in "abc"]
SUBJECTS = {"ip": [*NETWORKS, *NARROW], "sub": [*NETWORKS, *NARROW], "domain": NAMES, "hash": HASHES, "phone": NUMBERS}
ZONES = {each.name: each for each in (IP, SUBLISTS, DOMAIN, HASH, PHONE)}
DEEDS = ("report", "malware", "list", "exempt", "free")


def records(view: ServedZone) -> set[str]:
    """All records there are, as lines of a master file with their names."""
    name, found = "", set()
    for line in b"".join(export(view, "bind")).decode().splitlines():
        if not line.startswith(";"):
            name = line.partition("\t")[0] or name
            found.add(f"{name}\t{line.partition(chr(9))[2]}")
    return found


def turn(made: World, name: str, deeds: list[tuple[str, str]]) -> None:
    """Some changes, published."""
    made.now += 10
    listed = {subject for deed, subject in deeds if deed == "list"}
    if listed:
        made.listed(listed)
    for deed, subject in deeds:
        if deed == "exempt":
            made.exempt(subject)
        elif deed == "free":
            made.store.remove_exemption(parse(subject), at=made.now)
        elif deed in ("report", "malware"):
            made.report(subject, category="spam" if deed == "report" else "malware")
    made.settle()
    made.publish(name)


def same(ours: ServedZone, theirs: ServedZone) -> None:
    assert records(ours) == records(theirs)
    assert ours.listings == contents(ours).count
    if theirs.zone.kind != "domain":  # there a name between two listed ones has the records of a listed one
        assert ours.listings == contents(theirs).count
    if theirs.zone.kind == "ip":
        for text in SUBJECTS["ip"]:
            codes = codes4 if parse(text)[:1] == b"4" else codes6
            for number in {end + off for end in bounds(parse(text)) for off in (-1, 0, 1)}:
                assert codes(ours, number) == codes(theirs, number)
    elif theirs.zone.kind == "domain":
        for text in [*NAMES, *(f"q.{name}" for name in NAMES), "com", "y.a.com", "org", "test", "spam.test"]:
            assert name_codes(ours, text) == name_codes(theirs, text)
    else:
        for subject in map(parse, SUBJECTS[theirs.zone.name]):
            for name in (zone_name(subject), *above(zone_name(subject)), zone_name(subject) + b".1"):
                text = b".".join(reversed(name.split(b"."))).decode()
                assert name_codes(ours, text) == name_codes(theirs, text)


Story = tuple[ZoneDef, list[list[tuple[str, str]]]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    name = draw(st.sampled_from(sorted(ZONES)))
    deed = st.tuples(st.sampled_from(DEEDS), st.sampled_from(SUBJECTS[name]))
    return ZONES[name], draw(st.lists(st.lists(deed, max_size=6), min_size=2, max_size=5))


@settings(max_examples=60 * EXAMPLES, deadline=None)
@given(stories(), st.data())
def test_a_follower_has_what_its_primary_has(
    story: tuple[ZoneDef, list[list[tuple[str, str]]]], data: st.DataObject
) -> None:
    followed, turns = story
    with world([followed]) as made, tempfile.TemporaryDirectory() as directory:
        views: list[ServedZone] = []
        taker, line = taking(followed, Path(directory), views)
        for deeds in turns:
            turn(made, followed.name, deeds)
            if (view := made.served(followed.name)).serial not in {known.serial for known in views}:
                views.append(view)
            if data.draw(st.booleans(), "refresh"):
                taker.refresh(expired=False)
                same(held(taker), views[-1])
        taker.refresh(expired=False)
        same(held(taker), views[-1])
        assert line.asked.count(AXFR) == 1, "differences did not fit"
        assert held(Taking(followed, Path(directory), [])).serial == views[-1].serial  # and after a restart


def held(taker: Taking) -> ServedZone:
    assert taker.held is not None
    return taker.held


# what does not go well


@pytest.fixture
def made() -> Iterator[World]:
    with world([SUBLISTS]) as made:
        turn(made, "sub", [("report", "9.1.2.3"), ("report", "2.0.0.0/24")])
        yield made


def stepped(made: World, directory: Path) -> tuple[Taking, FakeLine]:
    """A follower that has the first serial, of a primary that has a second."""
    taker, line = taking(SUBLISTS, directory, [made.served("sub")])
    taker.refresh(expired=True)
    turn(made, "sub", [("malware", "9.1.2.3"), ("exempt", "2.0.0.7")])
    line.views.append(made.served("sub"))
    line.asked.clear()
    return taker, line


def domains(made: World, directory: Path) -> tuple[Taking, FakeLine, Path]:
    """A follower of names, and the base that it has."""
    turn(made, "domain", [("report", "a.b.com"), ("report", "c.b.com"), ("malware", "d.net")])
    taker, line = taking(DOMAIN, directory, [made.served("domain")])
    taker.refresh(expired=True)
    return taker, line, held(taker).base.path


def stepping(made: World, taker: Taking, line: FakeLine, *deeds: tuple[str, str]) -> ServedZone:
    turn(made, "domain", list(deeds))
    line.views.append(made.served("domain"))
    taker.refresh(expired=False)
    same(held(taker), line.views[-1])
    again = held(Taking(DOMAIN, taker.install.directory, []))  # after a restart, too
    same(again, line.views[-1])
    assert again.listings == contents(again).count
    return again


def test_a_step_of_names_is_a_delta_over_the_same_base(tmp_path: Path) -> None:
    with world([DOMAIN]) as made:
        taker, line, base = domains(made, tmp_path)
        view = stepping(made, taker, line, ("exempt", "a.b.com"))
        assert name_codes(view, "b.com") is None
        view = stepping(made, taker, line, ("exempt", "c.b.com"), ("report", "x.y.org"))
        assert (name_codes(view, "b.com"), name_codes(view, "com")) == (set(), set()), "nothing is below any more"
        assert name_codes(view, "y.org") is None
        view = stepping(made, taker, line, ("exempt", "x.y.org"), ("free", "c.b.com"), ("malware", "b.com"))
        assert name_codes(view, "q.c.b.com") and name_codes(view, "org") == set()
        view = stepping(made, taker, line, ("exempt", "c.b.com"))
        assert name_codes(view, "c.b.com") == set() and name_codes(view, "q.b.com")
        assert (view.base.path, view.delta is not None) == (base, True)
        assert line.asked == [AXFR, IXFR, IXFR, IXFR, IXFR]


@pytest.mark.parametrize("why", ["too large", "its base is gone"])
def test_a_step_of_names_that_cannot_be_a_delta_is_a_new_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    with world([DOMAIN]) as made:
        taker, line, base = domains(made, tmp_path)
        if why == "too large":
            monkeypatch.setattr(maker, "DELTA_FLOOR", 1)
        else:
            base.unlink()
        view = stepping(made, taker, line, ("exempt", "a.b.com"), ("report", "x.y.org"))
        assert view.base.path != base and view.delta is None


def test_differences_lead_on_to_those_who_follow_us(made: World, tmp_path: Path) -> None:
    taker, line = stepped(made, tmp_path)
    taker.refresh(expired=False)
    step = Journal(tmp_path).between(line.views[0].serial, line.views[1].serial)
    assert step is not None and step.new == held(taker).serial


@pytest.mark.parametrize("broken", ["cut", "another", "refused"])
def test_differences_that_do_not_fit_are_not_taken(made: World, tmp_path: Path, broken: str) -> None:
    taker, line = stepped(made, tmp_path)

    def altered(wire: bytes) -> bytes:
        if line.asked[-1] != IXFR:
            return wire
        if broken == "refused":
            return wire[:3] + b"\x04" + wire[4:]
        return wire[:-9] if broken == "cut" else wire.replace(b"\x7f\0\0\4", b"\x7f\0\0\2")

    line.altered = altered
    taker.refresh(expired=False)
    assert line.asked == [IXFR, AXFR]
    same(held(taker), line.views[-1])


def test_a_whole_zone_that_does_not_fit_leaves_the_old_one(made: World, tmp_path: Path) -> None:
    taker, line = stepped(made, tmp_path)
    line.altered = lambda wire: wire.replace(b"has malware", b"had malware")
    with pytest.raises(TransferError, match="the zone's file here differs"):
        taker.refresh(expired=False)
    assert held(Taking(SUBLISTS, tmp_path, [])).serial == line.views[0].serial
    line.altered = lambda wire: wire
    taker.refresh(expired=False)
    same(held(taker), line.views[-1])


def test_an_older_serial_waits_until_ours_has_expired(made: World, tmp_path: Path) -> None:
    taker, line = stepped(made, tmp_path)
    taker.refresh(expired=False)
    line.views.pop()
    with pytest.raises(TransferError, match="behind ours"):
        taker.refresh(expired=False)
    taker.refresh(expired=True)
    same(held(taker), line.views[-1])
    assert Journal(tmp_path).legs() == []  # nothing leads to a serial that was there before


def test_a_zone_with_rules_of_access_is_taken_by_differences(tmp_path: Path) -> None:
    """They are of this server and in no snapshot: the whole zone was taken at each refresh."""
    guarded = zone("domain", "domain", access={"keys": "optional"})
    with world([guarded]) as made:
        turn(made, "domain", [("report", "a.com")])
        taker, line = taking(guarded, tmp_path, [made.served("domain")])
        taker.refresh(expired=False)
        taker.refresh(expired=False)
        stepping(made, taker, line, ("report", "b.com"))
        assert line.asked == [AXFR, IXFR]


def test_another_definition_takes_the_whole_zone_anew(made: World, tmp_path: Path) -> None:
    taker, line = stepped(made, tmp_path)
    taker.refresh(expired=False)
    later = SUBLISTS.model_copy(update={"about": "said otherwise"})
    again, its = taking(later, tmp_path, line.views)
    again.refresh(expired=False)
    assert its.asked == [AXFR]
    assert held(again).zone == later


@pytest.mark.parametrize("taken", [True, False])
def test_the_same_serial_said_anew_is_not_written_over_what_is_in_use(made: World, tmp_path: Path, taken: bool) -> None:
    taker, line = taking(SUBLISTS, tmp_path, [made.served("sub")])
    taker.refresh(expired=True)
    path = held(taker).base.path
    with path.open("rb") as in_use:
        before = in_use.read()
        codes = [code.model_copy(update={"text": "said otherwise"}) for code in SUBLISTS.codes]
        later = SUBLISTS.model_copy(update={"about": "said otherwise"} if taken else {"codes": codes})
        again, _ = taking(later, tmp_path, line.views)
        with nullcontext() if taken else pytest.raises(TransferError, match="the zone's file here differs"):
            again.refresh(expired=False)
        in_use.seek(0)
        assert in_use.read() == before, "a restart begins with it, and so does who reads it now"
    assert held(Taking(SUBLISTS, tmp_path, [])).zone == (later if taken else SUBLISTS)
    assert [each.name for each in tmp_path.iterdir() if each.suffix in (".base", ".part")] == [path.name]


def test_another_base_of_the_same_serial_is_never_below_the_old_delta(tmp_path: Path) -> None:
    """The primary went back to the serial of our base, and the crash came before the pointer was swapped."""

    class Crash(BaseException):
        pass

    with world([DOMAIN]) as made, world([DOMAIN]) as restored:
        taker, line, base = domains(made, tmp_path)
        stepping(made, taker, line, ("exempt", "d.net"))
        turn(restored, "domain", [("report", "d.b.com")])
        line.views[:] = [restored.served("domain")]
        assert base.name == f"{line.views[0].serial}.base"
        with mock.patch.object(taker.install, "swapped", side_effect=Crash), pytest.raises(Crash):
            taker.refresh(expired=True)
        again, _ = taking(DOMAIN, tmp_path, line.views)
        assert again.held is None, "one zone's delta over the other's base"
        again.refresh(expired=True)
        same(held(again), line.views[0])


def test_what_a_crash_left_half_written_goes_with_the_next_step(tmp_path: Path) -> None:
    """Its name has a serial that does not come again: each crash would keep as much of the disk as the zone has."""
    with world([DOMAIN]) as made:
        taker, line, _ = domains(made, tmp_path)
        left = [tmp_path / "7.base.part", tmp_path / "8.delta.part"]
        for path in left:
            path.write_bytes(b"half")
        stepping(made, taker, line, ("exempt", "d.net"))
        assert not any(path.exists() for path in left)


def test_a_zone_that_ends_is_followed_to_its_end(tmp_path: Path) -> None:
    ends = zone("ip", "ip", shutdown=True)
    with world([ends]) as made:
        turn(made, "ip", [("report", "9.1.2.3")])
        taker, _ = taking(ends, tmp_path, [made.served("ip")])
        taker.refresh(expired=True)
        assert records(held(taker)) == records(made.served("ip"))


def test_the_next_primary_is_asked_where_one_fails(made: World, tmp_path: Path) -> None:
    taker, line = taking(SUBLISTS, tmp_path, [made.served("sub")])
    taker.primaries.append(Primary("192.0.2.2", 53))
    serial = line.serial

    def silent(primary: Primary, origin: bytes) -> int:
        if primary.address == "192.0.2.1":
            raise TransferError(f"{primary} does not answer")
        return serial(primary, origin)

    line.serial = silent  # type: ignore[method-assign]
    assert taker.refresh(expired=True) == (made.served("sub").serial, "192.0.2.2:53")
    assert taker.primaries[0].address == "192.0.2.2"  # and first from now on


def test_a_full_disk_is_said_as_that(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    taker, _ = taking(SUBLISTS, tmp_path / "mirror", [made.served("sub")])
    spool = io.BufferedRandom(Full(tmp_path / "spool", "w+"), 256)  # the first message stays in it
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: spool)
    with pytest.raises(TransferError, match=r"no room for a transfer \(No space left on device\)"):
        taker.refresh(expired=False)  # and closing it fails again
    assert taker.held is None


def test_a_transfer_leaves_room_on_the_disk(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taker, line = stepped(made, tmp_path)
    line.views = line.views[1:]  # so that the whole zone is sent
    monkeypatch.setattr(files, "LEAVE_FREE", 2**80)
    with monkeypatch.context() as patch:
        patch.setattr(install, "SMALL", 0)
        with pytest.raises(TransferError, match=r"no room for zone sub: .* make room there; the old zone stays"):
            taker.refresh(expired=False)
        assert line.asked == [IXFR], "it is no better as AXFR"
    assert held(Taking(SUBLISTS, tmp_path, [])).serial != line.views[-1].serial
    taker.refresh(expired=False)  # a small one
    assert held(taker).serial == line.views[-1].serial
