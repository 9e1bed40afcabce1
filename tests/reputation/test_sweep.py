"""Sweeps: whatever happened, and in whatever order, the listing table is what deciding everything anew would give."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dnsbl.config import ZoneDef
from dnsbl.model import Report
from dnsbl.reputation import sweep as sweeping
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.reputation.explain import explain
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import Exemption, ListingRow, SqliteStore
from dnsbl.subjects import ancestors, parse, text

HOUR, DAY = 3600, 86_400
START = 1_790_000_000
CODES = [
    {"code": "127.0.0.2", "categories": ["spam"]},
    {"code": "127.0.0.4", "categories": ["malware"]},
    {"code": "127.0.0.10", "categories": ["dynamic"]},
]


def zone(name: str, kind: str = "ip", **policy: object) -> ZoneDef:
    return ZoneDef.model_validate(
        {
            "name": name,
            "kind": kind,
            "origin": f"{name}.example",
            "ns": ["ns1.example"],
            "codes": CODES,
            "policy": {"half_life": "1d", "half_lives": {"malware": "2d"}, **policy},
        }
    )


ZONES = {z.name: z for z in (zone("ip"), zone("strict", list_at=90, delist_at=20), zone("names", "domain"))}
ZONES["white"] = zone("white", exempt=False)


class Bench:
    """A store and a clock."""

    def __init__(self, directory: Path) -> None:
        self.store = SqliteStore(directory / "store.sqlite")
        self.store.writer.execute("PRAGMA synchronous = OFF")
        self.sources = [
            self.store.source("operator", "operator", trust=1.0).id,
            self.store.source("partner", "partner", trust=0.5, family="f").id,
            self.store.source("copycat", "partner", trust=0.5, family="f").id,
            self.store.source("other", "partner", trust=0.55).id,
        ]
        self.list = self.store.source("list", "feed", trust=0.7).id
        self.cache = ExemptionCache(self.store)
        self.now = START

    def report(self, subject: str, source: int = 0, category: str = "spam", reporter: str = "", ago: int = 0) -> None:
        self.store.take_reports(self.sources[source], [Report(parse(subject), category, self.now - ago, reporter)])

    def listed(self, *subjects: str, category: str = "spam") -> None:
        self.store.replace_entries(self.list, {parse(s): 1 for s in subjects}, {}, category, self.now)

    def exempt(self, subject: str, origin: str = "operator", zone: str = "", until: int | None = None) -> None:
        self.store.add_exemption(Exemption(parse(subject), "a reason", origin, zone, self.now, until))

    def sweep(self, zones: dict[str, ZoneDef] = ZONES) -> int:
        return sweep(self.store, zones, self.cache, self.now)

    def table(self) -> dict[str, dict[bytes, ListingRow]]:
        found = {}
        for name in ZONES:
            subjects = [s for rows in self.store.listing_chunks(name, b"", b"\xff") for s, _ in rows]
            found[name] = self.store.listings_of(name, subjects)
        return found

    def names(self, zone: str = "ip") -> set[str]:
        return {text(subject) for subject in self.table()[zone]}


@contextmanager
def a_bench() -> Iterator[Bench]:
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-sweep-"))
    made = Bench(directory)
    try:
        yield made
    finally:
        made.store.close()
        shutil.rmtree(directory)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with a_bench() as made:
        yield made


# one thing after another


def test_a_report_lists_and_time_delists(bench: Bench) -> None:
    bench.report("5.5.5.5")
    assert bench.sweep() > 0
    row = bench.table()["ip"][parse("5.5.5.5")]
    assert (row.codes, row.since) == ("127.0.0.2", START)
    assert row.until is not None
    bench.now = row.until - 1
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}
    bench.now = row.until
    assert bench.sweep() > 0
    assert bench.names() == set()


def test_what_a_list_holds_stays_until_it_lets_go(bench: Bench) -> None:
    bench.listed("5.5.5.5")
    bench.sweep()
    row = bench.table()["ip"][parse("5.5.5.5")]
    assert (row.until, row.due) == (None, None)
    bench.now += 100 * DAY
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}
    bench.listed()
    bench.sweep()
    left = bench.table()["ip"][parse("5.5.5.5")]
    assert left.since == START
    assert left.until is not None
    bench.now = left.until
    bench.sweep()
    assert bench.names() == set()


def test_allowed_later_is_delisted_at_the_next_sweep_and_back_when_removed(bench: Bench) -> None:
    bench.listed("5.5.5.5", "5.5.6.6", "bad.example", "www.good.example")
    bench.sweep()
    bench.exempt("5.5.5.0/24")
    bench.exempt("good.example")
    bench.sweep()
    assert bench.names() == {"5.5.6.6"}
    assert bench.names("names") == {"bad.example"}
    assert bench.names("white") == {"5.5.5.5", "5.5.6.6"}
    bench.store.remove_exemption(parse("5.5.5.0/24"))
    bench.store.remove_exemption(parse("good.example"))
    bench.now += 5
    bench.sweep()
    assert bench.names() == {"5.5.5.5", "5.5.6.6"}
    assert bench.names("names") == {"bad.example", "www.good.example"}
    assert bench.table()["ip"][parse("5.5.5.5")].since == bench.now


def test_an_exemption_of_one_zone_is_of_that_zone(bench: Bench) -> None:
    bench.report("5.5.5.5")
    bench.exempt("5.5.5.5", zone="strict")
    bench.sweep()
    assert bench.names("ip") == {"5.5.5.5"}
    assert bench.names("strict") == set()


def test_an_exemption_ends_by_itself(bench: Bench) -> None:
    bench.listed("5.5.5.5")
    bench.exempt("5.5.5.5", until=START + DAY)
    bench.sweep()
    assert bench.names() == set()
    bench.now = START + DAY - 1
    bench.sweep()
    assert bench.names() == set()
    bench.now = START + DAY
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}


def test_a_removal_forgives_what_was_and_not_what_comes(bench: Bench) -> None:
    bench.report("5.5.5.5")
    bench.sweep()
    bench.now += 10
    bench.exempt("5.5.5.5", origin="removal", until=bench.now + 3600)
    bench.sweep()
    assert bench.names() == set()
    bench.now += 3600
    bench.sweep()
    assert bench.names() == set()  # over, and still forgiven
    bench.report("5.5.5.5")
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}


def test_a_removal_forgives_the_second_it_was_granted_in(bench: Bench) -> None:
    bench.report("5.5.5.5")
    bench.exempt("5.5.5.5", origin="removal", until=bench.now + 5)
    bench.now += 5
    bench.sweep()
    assert bench.names() == set()


def test_what_is_known_of_exemptions_follows_the_clock_and_the_store(bench: Bench) -> None:
    """Asked again and again between sweeps, by whoever takes reports."""
    bench.exempt("5.5.5.5", until=START + 5)
    subject = parse("5.5.5.5")
    assert bench.cache.get(START + 4).covers(subject)
    assert not bench.cache.get(START + 5).covers(subject)
    bench.exempt("5.5.5.5", until=START + 9)
    assert bench.cache.get(START + 5).covers(subject)
    bench.store.remove_exemption(subject)
    assert not bench.cache.get(START + 5).covers(subject)


def test_a_removal_does_not_forgive_what_a_list_holds(bench: Bench) -> None:
    bench.listed("5.5.5.5")
    bench.exempt("5.5.5.5", origin="removal", until=START + 100)
    bench.sweep()
    assert bench.names() == set()
    bench.now = START + 100
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}


def test_a_warning_list_binds_and_frees_as_it_changes(bench: Bench) -> None:
    bench.listed("5.5.5.5", "6.6.6.6", "7.7.7.7")
    change = bench.store.replace_exemptions("big", [parse("5.5.5.0/24"), parse("6.6.6.6")], "big mailer", START)
    assert (change.appeared, change.left) == (2, 0)
    bench.sweep()
    assert bench.names() == {"7.7.7.7"}
    change = bench.store.replace_exemptions("big", [parse("6.6.6.6"), parse("7.7.0.0/16")], "big mailer", START)
    assert (change.appeared, change.left) == (1, 1)
    bench.sweep()
    assert bench.names() == {"5.5.5.5"}


def test_a_long_warning_list_is_followed_too(bench: Bench) -> None:
    bench.listed("5.5.5.5", "6.6.6.6")
    bench.sweep()
    bench.store.replace_exemptions("big", [parse(f"5.5.{n >> 8}.{n & 255}") for n in range(2000)], "big mailer", START)
    bench.sweep()
    assert bench.names() == {"6.6.6.6"}
    bench.store.replace_exemptions("big", [], "big mailer", START)
    bench.sweep()
    assert bench.names() == {"5.5.5.5", "6.6.6.6"}


@pytest.mark.parametrize("subject", ["10.1.1.1", "192.0.2.0/24", "fe80::/64", "host.localhost"])
def test_what_is_never_listed_is_in_no_zone_not_even_a_white_one(bench: Bench, subject: str) -> None:
    bench.listed(subject)
    bench.report(subject)
    bench.sweep()
    assert all(rows == {} for rows in bench.table().values())


def test_ipv6_hosts_are_listed_as_their_64(bench: Bench) -> None:
    bench.report("2a00::1")
    bench.report("2a00::2")
    bench.sweep()
    assert bench.names() == {"2a00::/64"}


def test_a_zone_that_is_gone_lists_nothing_any_more(bench: Bench) -> None:
    bench.listed("5.5.5.5")
    bench.sweep()
    bench.store.touch_all()
    bench.sweep({"ip": ZONES["ip"]})
    assert bench.names("ip") == {"5.5.5.5"}
    assert bench.store.zones_listed() == {"ip"}


def test_large_sweeps_are_done_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "AT_ONCE", 7)
    subjects = [f"5.5.5.{n}" for n in range(40)]
    bench.listed(*subjects)
    parts: list[int] = []
    changed = sweep(bench.store, {"ip": ZONES["ip"]}, bench.cache, bench.now, parts.append)
    assert changed == sum(parts) == 40
    assert max(parts) == 7
    assert bench.names() == set(subjects)


def test_a_sweep_that_stops_anywhere_goes_on_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "AT_ONCE", 10)
    bench.listed(*(f"5.5.5.{n}" for n in range(40)))

    class Stop(Exception):
        pass

    def stop(_: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        sweep(bench.store, ZONES, bench.cache, bench.now, stop)
    assert len(bench.names()) == 10
    bench.sweep()
    assert len(bench.names()) == 40


@pytest.mark.parametrize("event", ["report", "exemption"])
def test_what_comes_while_a_sweep_decides_is_not_lost(bench: Bench, event: str) -> None:
    """A claim between what a sweep has read and what it writes must be decided by the next one."""
    bench.report("5.5.5.5", source=1)  # half trusted: not enough
    if event == "exemption":
        bench.report("5.5.5.5")
    decided = sweeping.decide
    writers = []

    def come() -> None:
        if event == "report":
            bench.report("5.5.5.5", category="malware")
        else:
            bench.exempt("5.5.5.5")

    def decide_slowly(*arguments):  # type: ignore[no-untyped-def]
        if not writers:
            writers.append(threading.Thread(target=come, daemon=True))
            writers[0].start()
        return decided(*arguments)

    with mock.patch.object(sweeping, "decide", decide_slowly):
        bench.sweep()
    writers[0].join(60)
    bench.sweep()
    assert ("5.5.5.5" in bench.names()) == (event == "report")


def test_hits_of_unknown_kinds_of_subject_are_left_alone(bench: Bench) -> None:
    bench.report("+4930123456")
    bench.report("email:" + "a" * 40)
    assert bench.sweep() == 0
    assert bench.store.touched(9) == []


# the explanation


def test_the_explanation_adds_up(bench: Bench) -> None:
    bench.report("5.5.5.5", ago=DAY)
    bench.report("5.5.5.5", ago=2 * DAY, reporter="r")
    bench.listed("5.5.5.0/24", category="malware")
    bench.sweep()
    views = {v.zone.name: v for v in explain(bench.store, ZONES, bench.cache.get(START), parse("5.5.5.5"), START)}
    assert set(views) == {"ip", "strict", "white"}
    ours = views["ip"]
    assert ours.codes == ["127.0.0.2", "127.0.0.4"]
    assert [(text(line.subject), line.source, line.category) for line in ours.lines] == [
        ("5.5.5.0/24", "list", "malware"),
        ("5.5.5.5", "operator", "spam"),
    ]
    assert [line.weight for line in ours.lines] == pytest.approx([1.0, 0.75])
    assert (ours.lines[1].hits, ours.lines[1].reporters, ours.lines[0].held) == (2, 2, True)
    assert ours.score == pytest.approx(100 * (1 - 2**-3))


def test_the_explanation_of_nothing_is_nothing(bench: Bench) -> None:
    for view in explain(bench.store, ZONES, bench.cache.get(START), parse("5.5.5.5"), START):
        assert (view.score, view.lines, view.listings, view.codes) == (0.0, [], [], [])


# any order of events

SUBJECTS = ["5.5.5.5", "5.5.5.6", "5.5.5.0/24", "2a00::1", "2a00::/64", "2a00::/48", "a.com", "b.a.com", "a-b.com"]
subjects = st.sampled_from(SUBJECTS)


class AnyOrder(RuleBasedStateMachine):
    """Reports, lists, exemptions and time in any order; sweeps at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.holder = a_bench()
        self.bench = self.holder.__enter__()
        self.settled = True

    def teardown(self) -> None:
        self.check()
        self.holder.__exit__(None, None, None)

    @rule(
        subject=subjects,
        source=st.integers(0, 3),
        category=st.sampled_from(["spam", "malware", "dynamic", "hosting"]),
        reporter=st.sampled_from(["", "r"]),
        ago=st.sampled_from([0, 1, HOUR, DAY, 3 * DAY, 30 * DAY]),
    )
    def report(self, **claim: object) -> None:
        self.bench.report(**claim)  # type: ignore[arg-type]
        self.settled = False

    @rule(content=st.sets(subjects, max_size=4), category=st.sampled_from(["spam", "malware"]))
    def listed(self, content: set[str], category: str) -> None:
        self.bench.listed(*sorted(content), category=category)
        self.settled = False

    @rule(days=st.integers(0, 5))
    def forget(self, days: int) -> None:
        self.bench.store.forget_entries(self.bench.list, self.bench.now - days * DAY)
        self.settled = False

    @rule(
        subject=subjects,
        origin=st.sampled_from(["operator", "removal"]),
        zone=st.sampled_from(["", "ip", "names"]),
        lasts=st.none() | st.sampled_from([1, DAY]),
    )
    def exempt(self, subject: str, origin: str, zone: str, lasts: int | None) -> None:
        self.bench.exempt(subject, origin, zone, None if lasts is None else self.bench.now + lasts)
        self.settled = False

    @rule(subject=subjects, origin=st.sampled_from(["operator", "removal"]))
    def unexempt(self, subject: str, origin: str) -> None:
        self.bench.store.remove_exemption(parse(subject), origin)
        self.settled = False

    @rule(content=st.sets(subjects, max_size=3))
    def warn(self, content: set[str]) -> None:
        self.bench.store.replace_exemptions("warnings", {parse(s) for s in content}, "shared", self.bench.now)
        self.settled = False

    @rule(seconds=st.sampled_from([1, 7, HOUR, DAY, 2 * DAY, 20 * DAY]))
    def later(self, seconds: int) -> None:
        self.bench.now += seconds
        self.settled = False

    @rule()
    def to_the_next_due(self) -> None:
        due = [row.due for rows in self.bench.table().values() for row in rows.values() if row.due is not None]
        self.bench.now = max(self.bench.now, min(due, default=0))
        self.settled = False

    @rule()
    def sweep(self) -> None:
        self.bench.sweep()
        self.settled = True

    @invariant()
    @precondition(lambda self: self.settled)
    def nothing_exempt_is_listed(self) -> None:
        for name, rows in self.bench.table().items():
            if ZONES[name].policy.exempt:
                active = {
                    e.subject
                    for e in self.bench.store.exemptions()
                    if e.zone in ("", name) and (e.until is None or e.until > self.bench.now)
                }
                assert not [text(s) for s in rows if not active.isdisjoint(ancestors(s))]

    @rule()
    def check(self) -> None:
        """Everything decided anew is the same, and so is everything folded anew."""
        store = self.bench.store
        self.bench.sweep()
        before = self.bench.table()
        store.rebuild_evidence()
        store.touch_all()
        assert self.bench.sweep() == 0
        assert self.bench.table() == before
        assert store.check() == []
        journal: dict[tuple[str, bytes], str] = {}
        for name in ZONES:
            for change in store.changes_since(name, 0, 100_000):
                if change.zone:
                    journal[change.zone, change.subject] = change.codes
        said = {key: codes for key, codes in journal.items() if codes}
        assert said == {(name, s): row.codes for name, rows in before.items() for s, row in rows.items()}
        self.settled = True


AnyOrder.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyOrder = AnyOrder.TestCase


def test_what_a_removal_forgave_weighs_nothing_in_the_breakdown(tmp_path: Path) -> None:
    """Score 0 beside a weight of 1 would explain nothing: the numbers of a breakdown make the score."""
    store = SqliteStore(tmp_path / "store.sqlite")
    source = store.source("s", "partner", trust=0.9)
    subject = parse("46.0.0.1")
    store.take_reports(source.id, [Report(subject, "spam", START)])
    removal = Exemption(subject, "x", "removal", "ip", START + 5, START + 6)
    zones = {"ip": zone("ip")}
    (before,) = explain(store, zones, Exemptions([], START), subject, START)
    (after,) = explain(store, zones, Exemptions([removal], START + 10), subject, START + 10)
    assert before.score > 60
    assert before.lines[0].weight == 1
    assert after.score == after.lines[0].weight == 0
    store.close()
