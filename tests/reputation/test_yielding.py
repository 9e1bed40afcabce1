"""Removals that yield: what was claimed before stays forgiven while they hold, and what comes anew ends them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from test_sweep import DAY, HOUR, START, ZONES, AnyOrder, Bench, a_bench, subjects

from dnsbl.config import GuardConfig
from dnsbl.geo import Networks
from dnsbl.model import Report
from dnsbl.reputation.explain import ZoneView, explain
from dnsbl.reputation.guard import Guard
from dnsbl.reputation.sweep import sweep
from dnsbl.store import Exemption
from dnsbl.subjects import parse

HERE, NEIGHBOUR = "5.5.5.5", "5.5.5.6"
OTHER = 3  # a source that says 52 alone: more than delist_at, less than list_at


@pytest.fixture
def bench() -> Iterator[Bench]:
    with a_bench() as made:
        yield made


def removed(bench: Bench, subject: str, lasts: int = 7 * DAY, zone: str = "ip", yields: bool = True) -> None:
    until = bench.now + lasts
    bench.store.add_exemption(Exemption(parse(subject), "a reason", "removal", zone, bench.now, until, yields=yields))


def ends(bench: Bench) -> dict[str, int | None]:
    """When the removals end, by zone."""
    return {e.zone: e.until for e in bench.store.exemptions() if e.origin == "removal"}


def off(bench: Bench, subject: str = HERE) -> None:
    """Listed by a list, and removed an hour later."""
    bench.listed(subject)
    bench.sweep()
    bench.now += HOUR
    removed(bench, subject)
    bench.sweep()
    assert bench.names() == set()
    bench.now += 60


def seen(bench: Bench, subject: str = HERE, zone: str = "ip") -> ZoneView:
    views = explain(bench.store, ZONES, bench.cache.get(bench.now), parse(subject), bench.now)
    return next(view for view in views if view.zone.name == zone)


def test_what_a_list_held_before_does_not_list_it_again_until_the_removal_ends(bench: Bench) -> None:
    off(bench)
    end = START + HOUR + 7 * DAY
    for bench.now in (START + DAY, end - 1):
        bench.listed(HERE)  # the list comes again, as it was
        bench.sweep()
        assert bench.names() == set()
    bench.now = end
    bench.sweep()
    assert bench.names() == {HERE}


def test_a_list_that_drops_it_meanwhile_is_forgiven(bench: Bench) -> None:
    off(bench)
    bench.listed()
    bench.sweep()
    bench.now += 8 * DAY
    bench.sweep()
    assert bench.names() == set()


def test_new_reports_that_would_list_it_alone_end_it_at_once(bench: Bench) -> None:
    off(bench)
    bench.report(HERE, category="malware")
    bench.sweep()
    assert bench.table()["ip"][parse(HERE)].codes == "127.0.0.2 127.0.0.4", "and the list counts again"
    assert ends(bench) == {"ip": bench.now}
    assert bench.table()["ip"][parse(HERE)].since == bench.now
    bench.now += DAY
    bench.sweep()
    assert bench.names() == {HERE}


def test_new_reports_that_would_not_are_waited_with(bench: Bench) -> None:
    off(bench)
    bench.report(HERE, OTHER)
    bench.sweep()
    assert bench.names() == set()
    bench.report(HERE, 1)  # together they would
    bench.sweep()
    assert bench.names() == {HERE}


def test_between_grant_and_sweep_it_takes_as_much(bench: Bench) -> None:
    """The listing still stands then; what keeps one up must not be enough to end a removal."""
    bench.listed(HERE)
    bench.sweep()
    bench.now += HOUR
    removed(bench, HERE)
    bench.now += 1
    bench.report(HERE, OTHER)
    bench.sweep()
    assert bench.names() == set()
    assert ends(bench) == {"ip": START + HOUR + 7 * DAY}


def test_reports_up_to_its_second_are_forgiven(bench: Bench) -> None:
    off(bench)
    bench.report(HERE, ago=60)
    bench.report(HERE, ago=DAY)
    bench.sweep()
    assert bench.names() == set()
    bench.report(HERE, ago=59)
    bench.sweep()
    assert bench.names() == {HERE}


def test_a_list_that_newly_takes_it_up_ends_it(bench: Bench) -> None:
    off(bench)
    another = bench.store.source("another", "feed", trust=0.7).id
    bench.store.replace_entries(another, {parse(HERE): 1}, {}, "malware", bench.now)
    bench.sweep()
    assert bench.table()["ip"][parse(HERE)].codes == "127.0.0.2 127.0.0.4"
    assert ends(bench) == {"ip": bench.now}


def test_so_does_one_that_dropped_it_and_takes_it_up_again(bench: Bench) -> None:
    off(bench)
    bench.listed()
    bench.sweep()
    bench.now += HOUR
    bench.listed(HERE)
    bench.sweep()
    assert bench.names() == {HERE}


def test_an_operators_removal_holds_against_everything(bench: Bench) -> None:
    bench.listed(HERE)
    removed(bench, HERE, yields=False)
    bench.sweep()
    for bench.now in (START + 60, START + 7 * DAY - 1):
        bench.report(HERE)
        bench.listed(HERE, NEIGHBOUR)
        bench.sweep()
        assert bench.names() == {NEIGHBOUR}
    assert ends(bench) == {"ip": START + 7 * DAY}
    bench.now = START + 7 * DAY
    bench.sweep()
    assert bench.names() == {HERE, NEIGHBOUR}


def test_an_operator_makes_a_removal_firm(bench: Bench) -> None:
    off(bench)
    removed(bench, HERE, yields=False)
    bench.now += 1
    bench.report(HERE)
    bench.sweep()
    assert bench.names() == set()


def test_the_allow_list_holds_where_a_removal_would_yield(bench: Bench) -> None:
    off(bench)
    before = ends(bench)
    bench.exempt("5.5.5.0/24")
    bench.report(HERE)
    bench.sweep()
    assert bench.names() == set()
    assert ends(bench) == before
    bench.store.remove_exemption(parse("5.5.5.0/24"))
    bench.sweep()
    assert bench.names() == {HERE}


def test_each_zone_has_a_removal_of_its_own(bench: Bench) -> None:
    """What one zone lists is not enough for another, which goes on to let it off."""
    for zone in ("ip", "strict"):
        removed(bench, HERE, zone=zone)
    bench.now += 60
    bench.report(HERE, OTHER)
    bench.report(HERE, 1)
    bench.sweep()
    assert (bench.names("ip"), bench.names("strict")) == ({HERE}, set())
    assert ends(bench) == {"ip": bench.now, "strict": START + 7 * DAY}


def test_a_removal_in_every_zone_ends_in_every_zone(bench: Bench) -> None:
    bench.report(HERE)
    removed(bench, HERE, zone="")
    bench.sweep()
    bench.now += 60
    bench.report(HERE)
    bench.sweep()
    assert (bench.names("ip"), bench.names("strict")) == ({HERE}, {HERE})


def test_a_network_that_stays_listed_does_not_end_the_removal_of_one_address(bench: Bench) -> None:
    bench.listed("5.5.5.0/24")
    bench.sweep()
    bench.now += HOUR
    removed(bench, HERE)
    bench.report("5.5.5.0/24")
    bench.report(NEIGHBOUR)
    bench.sweep()
    assert bench.names() == {"5.5.5.0/24", NEIGHBOUR}
    assert ends(bench) == {"ip": START + HOUR + 7 * DAY}
    assert bench.cache.get(bench.now).covers(parse(HERE), "ip")


def test_new_reports_of_one_address_end_the_removal_of_its_network(bench: Bench) -> None:
    off(bench, "5.5.5.0/24")
    bench.report(NEIGHBOUR)
    bench.sweep()
    assert bench.names() == {"5.5.5.0/24", NEIGHBOUR}


def test_a_name_below_a_removed_one_ends_it_too(bench: Bench) -> None:
    bench.listed("a.com")
    removed(bench, "a.com", zone="names")
    bench.sweep()
    assert bench.names("names") == set()
    bench.now += 60
    bench.report("b.a.com")
    bench.sweep()
    assert bench.names("names") == {"a.com", "b.a.com"}


def test_what_a_guard_holds_back_does_not_end_it(bench: Bench) -> None:
    """A partner that says too much lists nothing, so it takes nobody's removal either."""
    guard = Guard(GuardConfig(daily=1), Networks.none())
    partner = bench.store.source("loud", "partner", trust=0.9).id
    off(bench)
    before = ends(bench)
    bench.store.take_reports(partner, [Report(parse(s), "spam", bench.now) for s in ("5.5.1.1", HERE)])
    sweep(bench.store, ZONES, bench.cache, bench.now, guard=guard)
    assert bench.names() == {"5.5.1.1"}
    assert ends(bench) == before


def test_the_breakdown_shows_what_rests_and_what_counts_again(bench: Bench) -> None:
    bench.listed(HERE)
    bench.sweep()
    assert seen(bench).score == pytest.approx(100 * 0.7 * 15 / 16)
    bench.now += HOUR
    removed(bench, HERE)
    bench.sweep()
    resting = seen(bench)
    assert (resting.exempt, resting.codes, resting.score) == (True, [], 0)
    assert [(line.source, line.weight) for line in resting.lines] == [("list", 0)]
    bench.now += 60
    bench.report(HERE)
    bench.sweep()
    ended = seen(bench)
    assert (ended.exempt, ended.codes) == (False, ["127.0.0.2"])
    assert sorted((line.source, line.weight) for line in ended.lines) == [("list", 1), ("operator", 1)]


def test_ended_twice_it_is_ended_once(bench: Bench) -> None:
    """An end that was written is acted upon, and is not moved by what comes later."""
    off(bench)
    bench.report(HERE)
    bench.sweep()
    end = ends(bench)
    bench.now += HOUR
    bench.report(HERE)
    bench.sweep()
    assert ends(bench) == end
    assert bench.store.end_exemption(parse("6.6.6.6"), "ip", "removal", bench.now) == 0


class YieldingInAnyOrder(AnyOrder):
    """Whatever comes: sweeping step by step is deciding everything anew, and nothing exempt is listed."""

    @rule(
        subject=subjects,
        zone=st.sampled_from(["", "ip", "strict", "names"]),
        lasts=st.sampled_from([1, HOUR, DAY, 7 * DAY]),
    )
    def remove(self, subject: str, zone: str, lasts: int) -> None:
        removed(self.bench, subject, lasts, zone)
        self.settled = False

    @rule(subject=subjects, wait=st.sampled_from([0, 1, HOUR]))
    def remove_and_hear_of_it_again(self, subject: str, wait: int) -> None:
        removed(self.bench, subject, DAY, "names" if subject.endswith("com") else "ip")
        self.bench.now += wait
        self.bench.report(subject)
        self.settled = False


YieldingInAnyOrder.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestYieldingInAnyOrder = YieldingInAnyOrder.TestCase
