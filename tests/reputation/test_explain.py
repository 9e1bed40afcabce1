"""What an explanation says beside the numbers: earlier listings, who is heard, and that all of it is of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.config import ZoneDef
from dnsbl.model import Report
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.reputation.explain import MAX_SPELLS, Spell, ZoneView, explain, spells
from dnsbl.store import Decision, Exemption, Hold, SqliteStore
from dnsbl.store.contract import Change
from dnsbl.subjects import parse

NOW = 1_790_000_000
DAY = 86_400
HOST = parse("46.0.0.1")


def zone(name: str) -> ZoneDef:
    codes = [{"code": "127.0.0.2", "categories": ["spam"]}, {"code": "127.0.0.4", "categories": ["malware"]}]
    fields = {"name": name, "kind": "ip", "origin": f"{name}.example", "ns": ["ns1.example"], "codes": codes}
    return ZoneDef.model_validate(fields)


ZONES = {name: zone(name) for name in ("ip", "other")}
NOBODY = Exemptions([], NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    made.writer.execute("PRAGMA synchronous = OFF")
    yield made
    made.close()


def seen(store: SqliteStore, subject: bytes = HOST, exempt: Exemptions = NOBODY, now: int = NOW) -> ZoneView:
    return explain(store, ZONES, exempt, subject, now)[0]


def changed(store: SqliteStore, at: int, codes: str, subject: bytes = HOST, zone: str = "ip") -> None:
    store.decide(at, {zone: Decision([], [], [(subject, codes)])}, [])


# earlier listings


def test_earlier_listings_come_newest_first_and_the_one_of_now_is_none(store: SqliteStore) -> None:
    for at, codes in ((10, "127.0.0.2"), (20, "127.0.0.2 127.0.0.4"), (30, "127.0.0.4"), (40, "")):
        changed(store, at, codes)
    for at, codes in ((50, "127.0.0.2"), (60, ""), (70, "127.0.0.2")):
        changed(store, at, codes)
    changed(store, 55, "", parse("46.0.0.2"))
    changed(store, 56, "", zone="other")
    assert seen(store).history == [Spell(50, 60, ["127.0.0.2"]), Spell(10, 40, ["127.0.0.2", "127.0.0.4"])]


def test_of_what_the_journal_forgot_only_the_end_is_known() -> None:
    changes = [Change(1, 40, "ip", HOST, ""), Change(2, 50, "ip", HOST, "127.0.0.2"), Change(3, 60, "ip", HOST, "")]
    assert spells(changes) == [Spell(50, 60, ["127.0.0.2"]), Spell(None, 40, [])]


def test_the_history_of_a_host_in_ipv6_is_its_64s(store: SqliteStore) -> None:
    changed(store, 10, "127.0.0.2", parse("2a00::/64"))
    changed(store, 20, "", parse("2a00::/64"))
    assert seen(store, parse("2a00::7")).history == [Spell(10, 20, ["127.0.0.2"])]
    assert seen(store, parse("2a00::/48")).history == []


@given(st.lists(st.sampled_from(["", "127.0.0.2", "127.0.0.4 127.0.0.2"]), max_size=60))
def test_a_history_is_of_whole_spells_in_order_and_bounded(codes: list[str]) -> None:
    found = spells(Change(at, at, "ip", HOST, each) for at, each in enumerate(codes))
    assert len(found) == min(codes.count(""), MAX_SPELLS)
    ends = [spell.until for spell in found]
    assert ends == sorted(ends, reverse=True)
    for spell in found:
        assert codes[spell.until] == ""
        assert (spell.since is None) == (not spell.codes)
        assert spell.since is None or all(codes[at] for at in range(spell.since, spell.until))


# who is heard, and what a removal forgave


def test_sources_that_copy_one_another_are_one(store: SqliteStore) -> None:
    for name, family in (("a", "f"), ("b", "f"), ("c", "g")):
        source = store.source(name, "feed", trust=0.6, family=family)
        store.replace_entries(source.id, {HOST: 1}, {}, "spam", NOW)
    store.take_reports(store.source("old", "operator", trust=0.9).id, [Report(HOST, "spam", NOW - 900 * DAY)])
    assert len(seen(store).lines) == 4
    assert seen(store).independent == 2
    assert [view.independent for view in explain(store, ZONES, NOBODY, parse("46.0.0.2"), NOW)] == [0, 0]


def test_a_removal_of_what_contains_it_forgives_and_its_neighbours_does_not(store: SqliteStore) -> None:
    source = store.source("s", "operator", trust=0.9)
    store.take_reports(source.id, [Report(HOST, "spam", NOW)])

    def removed(subject: str) -> Exemptions:
        return Exemptions([Exemption(parse(subject), "x", "removal", "ip", NOW + 5, NOW + 6)], NOW + 10)

    assert (seen(store, exempt=removed("46.0.0.0/24"), now=NOW + 10).score, seen(store).score > 60) == (0.0, True)
    forgiven, other = explain(store, ZONES, removed("46.0.0.1"), HOST, NOW + 10)
    assert (forgiven.score, forgiven.independent, len(forgiven.lines)) == (0.0, 0, 1)
    assert (other.score > 60, other.independent) == (True, 1)
    assert seen(store, exempt=removed("46.0.1.0/24"), now=NOW + 10).score > 60


# what waits


def test_a_hold_of_a_relative_is_shown_to_those_it_concerns(store: SqliteStore) -> None:
    one, other = (store.source(name, "partner", trust=0.5, family="f") for name in ("one", "other"))
    stranger = store.source("stranger", "partner", trust=0.5)
    store.take_reports(one.id, [Report(HOST, "spam", NOW)])
    for source in (other, stranger):
        store.put_hold(Hold(0, source.id, "ip", "net:46.0.0.0/16", NOW, 9, None, f"by {source.name}"))
    assert [hold.why for hold in seen(store).waiting] == ["by other"]
    assert seen(store, parse("47.0.0.1")).waiting == []


def test_a_source_that_changes_is_seen_at_once(store: SqliteStore) -> None:
    source = store.source("s", "operator", trust=0.5)
    store.take_reports(source.id, [Report(HOST, "spam", NOW)])
    before = seen(store).score
    store.set_source(source.id, trust=1.0)
    assert seen(store).score > before
    store.set_source(source.id, simulated=True)
    assert (seen(store).score, seen(store).simulated_score > before) == (0.0, True)
