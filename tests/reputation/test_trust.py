"""Trust: what an operator granted, less what mistakes cost; it falls by itself, and never rises past the grant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.clock import DAY
from dnsbl.model import Report
from dnsbl.reputation.guard import HELD, REJECTED
from dnsbl.reputation.trust import CHANGED, DAYS, LEAST, MOST, judge, trust_of
from dnsbl.store import Hold, SqliteStore
from dnsbl.subjects import parse

NOW = 1_790_000_000


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    made = SqliteStore(tmp_path / "store.sqlite")
    made.source("partner", "partner", trust=0.8)
    return made


@pytest.fixture(autouse=True)
def closed(store: SqliteStore) -> object:
    yield
    store.close()


def trust(store: SqliteStore) -> float:
    return store.sources()[1].trust


def wrong(store: SqliteStore, count: int, at: int = NOW, first: int = 0) -> None:
    for number in range(first, first + count):
        store.overturn([1], b"4" + number.to_bytes(4, "big") + b"\x20", at, "a mail server of theirs")


def hold(place: str, listings: int, state: str = REJECTED, decided: int = NOW) -> Hold:
    return Hold(0, 1, "ip", place, NOW, listings, None, "why", state, decided=decided)


# the formula


@given(st.floats(0, 1), st.integers(0, 10**7), st.integers(0, 10**7))
def test_trust_is_between_nothing_and_what_was_granted(granted: float, listed: int, wrong: int) -> None:
    assert 0 <= trust_of(granted, listed, wrong) <= granted
    assert trust_of(granted, listed, 0) == granted
    assert trust_of(granted, listed, wrong + 1) <= trust_of(granted, listed, wrong)
    assert trust_of(granted, listed + 1, wrong) >= trust_of(granted, listed, wrong)


@pytest.mark.parametrize(
    ("listed", "wrong", "left"), [(1000, 10, 0.95), (1000, 200, 0.0), (1000, 10**6, 0.0), (0, 1, 0.75), (5, 4, 0.0)]
)
def test_mistakes_cost_what_the_documentation_says(listed: int, wrong: int, left: float) -> None:
    assert trust_of(1.0, listed, wrong) == pytest.approx(left)


def test_invented_names_do_not_dilute_mistakes() -> None:
    """A hundred thousand listed domains forgave thousands of wrong listings."""
    assert trust_of(1.0, 10**7, 10) == trust_of(1.0, MOST, 10) == pytest.approx(0.95)


# of a store


def test_trust_falls_when_claims_are_overturned_and_comes_back_when_they_are_old(store: SqliteStore) -> None:
    wrong(store, 1)
    assert judge(store, NOW) == {"partner": (0.8, pytest.approx(0.6))}
    wrong(store, 10, first=1)
    assert judge(store, NOW)["partner"][1] == 0
    assert judge(store, NOW + DAYS * DAY) == {}, "not before they are that old"
    assert judge(store, NOW + DAYS * DAY + 1)["partner"] == (0, 0.8)
    assert trust(store) == store.sources()[1].granted == 0.8


def test_who_lists_much_is_forgiven_more(store: SqliteStore) -> None:
    store.add_spread(1, NOW // DAY, "ip", {"": 900, "net:46.1.0.0/16": 900})
    store.add_spread(1, NOW // DAY, "domain", {"": 100})
    wrong(store, 10)
    judge(store, NOW)
    assert trust(store) == pytest.approx(0.8 * 0.95)


def test_the_same_claim_overturned_twice_is_one_mistake(store: SqliteStore) -> None:
    wrong(store, 1)
    wrong(store, 1, at=NOW + 5)
    judge(store, NOW + 5)
    assert trust(store) == pytest.approx(0.8 * (1 - 5 / LEAST))


def test_a_changed_trust_touches_what_the_partner_said(store: SqliteStore) -> None:
    store.take_reports(1, [Report(parse("46.0.0.1"), "spam", NOW)])
    store.decide(NOW, {}, store.touched(10))
    assert judge(store, NOW) == {}
    assert store.touched(10) == []
    wrong(store, 1)
    judge(store, NOW)
    assert store.touched(10) == [parse("46.0.0.1")]


def test_listings_in_rejected_places_are_mistakes(store: SqliteStore) -> None:
    store.put_hold(hold("net:46.1.0.0/16", 100))
    store.add_spread(1, NOW // DAY, "ip", {"": 1000})
    judge(store, NOW)
    assert trust(store) == pytest.approx(0.8 * 0.5)


def test_what_waits_or_was_rejected_long_ago_costs_nothing(store: SqliteStore) -> None:
    store.put_hold(hold("net:46.1.0.0/16", 300, HELD))
    store.put_hold(hold("net:46.2.0.0/16", 300, decided=NOW - DAYS * DAY - 1))
    assert judge(store, NOW) == {}


def test_one_wide_network_rejected_is_one_mistake(store: SqliteStore) -> None:
    """Its addresses were counted, 65,536 of them: one clumsy report ended all trust."""
    store.put_hold(hold("wide:46.1.0.0/16", 65536))
    judge(store, NOW)
    assert trust(store) == pytest.approx(0.8 * (1 - 5 / LEAST))


def test_the_last_bit_of_a_grant_comes_back(store: SqliteStore) -> None:
    """A difference too small to be written stayed for ever, and a grant of just what a zone asks listed nothing."""
    store.add_spread(1, NOW // DAY, "ip", {"": 100_000})
    store.set_source(1, trust=0.8 - CHANGED / 2)
    judge(store, NOW)
    assert trust(store) == 0.8


def test_only_partners_are_judged(store: SqliteStore) -> None:
    trap = store.source("trap", "trap", trust=0.9)
    store.overturn([trap.id], parse("46.0.0.1"), NOW, "why")
    assert judge(store, NOW) == {}


def test_a_new_key_does_not_give_back_what_mistakes_cost(store: SqliteStore) -> None:
    """Making a partner a second key set its trust to what was granted, until the next hour's judgement."""
    wrong(store, 1)
    judge(store, NOW)
    again = store.source("partner", "partner", trust=0.8)
    assert (again.trust, again.granted) == (pytest.approx(0.6), 0.8)
    less = store.source("partner", "partner", trust=0.4)
    assert (less.trust, less.granted) == (pytest.approx(0.3), 0.4)
    store.set_source(1, trust=0.0)
    assert store.source("partner", "partner", trust=0.9).trust == 0.0
