"""The score against the formula of its docstring, written slowly, and the promises that follow from it."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dnsbl.config import ZoneDef
from dnsbl.reputation.score import NEVER, Claims, Decided, Weighing, decide
from dnsbl.store import Evidence, Source

HOUR, DAY = 3600, 86_400
NOW = 1_790_000_000
CATEGORIES = {1: "spam", 2: "malware", 3: "dynamic", 4: "hosting"}  # the last is not of this zone
ZONE = ZoneDef.model_validate(
    {
        "name": "ip",
        "kind": "ip",
        "origin": "ip.example",
        "ns": ["ns1.example"],
        "policy": {"half_life": "2d", "half_lives": {"malware": "1d"}},
        "codes": [
            {"code": "127.0.0.2", "categories": ["spam"]},
            {"code": "127.0.0.4", "categories": ["malware"]},
            {"code": "127.0.0.10", "categories": ["dynamic"]},
        ],
    }
)
TRUSTS = {1: 1.0, 2: 0.9, 3: 0.5, 4: 0.5, 5: 0.0}
FAMILIES = {1: "a", 2: "b", 3: "c", 4: "c", 5: "e"}
SOURCES = {n: Source(n, f"s{n}", "feed", TRUSTS[n], FAMILIES[n], True) for n in TRUSTS}
WEIGHING = Weighing.of(ZONE, SOURCES, CATEGORIES)


A_MONTH = st.integers(0, 30 * DAY)


@st.composite
def evidence(draw: st.DrawFn, place: int = 0, ages: st.SearchStrategy[int] = A_MONTH) -> Evidence:
    source, category = draw(st.sampled_from(list(SOURCES))), draw(st.sampled_from(list(CATEGORIES)))
    reporter, hits = draw(st.integers(0, 3)), draw(st.integers(1, 20))
    held = int(reporter == 0 and draw(st.booleans()))
    last = NOW - draw(ages)
    return Evidence(place, source, category, reporter, hits, last - 5, last, held)


rows_of_one = st.lists(evidence(), min_size=1, max_size=8)


def decided(rows: list[Evidence], now: int = NOW, was_listed: bool = False, weighing: Weighing = WEIGHING) -> Decided:
    return decide(Claims.of(rows), weighing, np.array([was_listed]), now)


def score(rows: list[Evidence], now: int = NOW, weighing: Weighing = WEIGHING) -> float:
    found = decided(rows, now, weighing=weighing).score
    return float(found[0]) if len(found) else 0.0


# the formula, slowly


def plain_weight(row: Evidence, now: int) -> float:
    size = row.hits if row.reporter == 0 else 1
    if row.held:
        return size
    life = ZONE.policy.half_lives.get(CATEGORIES[row.category], ZONE.policy.half_life)
    return size * 2.0 ** (-max(now - row.last_seen, 0) / life)


def plain_score(rows: list[Evidence], now: int) -> float:
    weight: dict[int, float] = defaultdict(float)
    for row in rows:
        if CATEGORIES[row.category] in ZONE.categories:
            weight[row.source] += plain_weight(row, now)
    families: dict[str, float] = defaultdict(float)
    for source, total in weight.items():
        says = TRUSTS[source] * (1 - 2.0 ** (-total / ZONE.policy.half_weight))
        families[FAMILIES[source]] = max(families[FAMILIES[source]], says)
    return 100 * (1 - math.prod(1 - x for x in families.values()))


def plain_codes(rows: list[Evidence], now: int) -> set[int] | None:
    """The codes, or None where two categories are so alike that rounding decides."""
    weight: dict[str, float] = defaultdict(float)
    held = set()
    for row in rows:
        name = CATEGORIES[row.category]
        if name in ZONE.categories:
            weight[name] += plain_weight(row, now)
            held |= {name} if row.held else set()
    if any(abs(w - ZONE.policy.code_weight) < 1e-9 for w in weight.values()):
        return None
    names = list(ZONE.categories)
    shown = {names.index(n) for n, w in weight.items() if n in held or w >= ZONE.policy.code_weight}
    if shown:
        return shown
    most = max(weight.values())
    best = [names.index(n) for n, w in weight.items() if w > most * (1 - 1e-9)]
    return set(best) if len(best) == 1 else None


def bits(mask: int) -> set[int]:
    return {bit for bit in range(int(mask).bit_length()) if int(mask) >> bit & 1}


@settings(max_examples=300, deadline=None)
@given(rows_of_one)
def test_the_score_is_the_formula(rows: list[Evidence]) -> None:
    assert score(rows) == pytest.approx(plain_score(rows, NOW), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 4).flatmap(lambda place: evidence(place)), min_size=1, max_size=20), st.randoms())
def test_many_subjects_at_once_are_as_one_by_one_in_any_order(rows: list[Evidence], shuffler: random.Random) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    found = decide(Claims.of(shuffled), WEIGHING, np.zeros(5, dtype=bool), NOW)
    ours = {row.place for row in rows if CATEGORIES[row.category] in ZONE.categories}
    assert found.places.tolist() == sorted(ours)
    for number, place in enumerate(found.places.tolist()):
        alone = decided([row._replace(place=0) for row in rows if row.place == place])
        assert found.score[number] == pytest.approx(alone.score[0], abs=1e-9)
        near = abs(alone.score[0] - 60) < 1e-9 or plain_codes([r for r in rows if r.place == place], NOW) is None
        if not near:
            assert (found.listed[number], found.codes[number]) == (alone.listed[0], alone.codes[0])
            assert abs(int(found.until[number]) - int(alone.until[0])) <= 1


@settings(max_examples=200, deadline=None)
@given(rows_of_one, evidence())
def test_more_claims_never_weigh_less(rows: list[Evidence], more: Evidence) -> None:
    assert 0 <= score(rows) <= score([*rows, more]) + 1e-9 <= 100 + 1e-9


@settings(max_examples=200, deadline=None)
@given(rows_of_one, st.integers(0, 100 * DAY))
def test_without_new_claims_the_score_only_falls(rows: list[Evidence], later: int) -> None:
    assert score(rows, NOW + later) <= score(rows) + 1e-9


@settings(max_examples=200, deadline=None)
@given(rows_of_one)
def test_one_source_alone_never_says_more_than_its_trust(rows: list[Evidence]) -> None:
    for source, trust in TRUSTS.items():
        assert score([row._replace(source=source) for row in rows]) <= 100 * trust + 1e-9


@settings(max_examples=100, deadline=None)
@given(rows_of_one)
def test_sources_that_copy_one_another_count_once(rows: list[Evidence]) -> None:
    """3 and 4 are of one family and equal trust: the second changes nothing."""
    ours = [row._replace(source=3) for row in rows]
    copied = [row._replace(source=4) for row in rows]
    assert score(ours + copied) == pytest.approx(score(ours))
    apart = Weighing.of(ZONE, {**SOURCES, 4: Source(4, "s4", "feed", 0.5, "d", True)}, CATEGORIES)
    if score(ours) > 0:
        assert score(ours + copied, weighing=apart) > score(ours)


def test_a_thousand_reports_of_one_reporter_are_one() -> None:
    one = Evidence(0, 1, 1, 7, 1, NOW, NOW, 0)
    assert score([one._replace(hits=1000)]) == score([one])
    assert score([one, one._replace(reporter=8)]) > score([one])


def test_hits_of_a_list_do_count() -> None:
    one = Evidence(0, 1, 1, 0, 1, NOW, NOW - 20 * DAY, 0)
    assert score([one._replace(hits=10)]) > score([one])


def test_nothing_of_this_zone_is_nothing() -> None:
    assert len(decided([Evidence(0, 1, 4, 0, 9, NOW, NOW, 1)]).places) == 0
    assert len(decided([]).places) == 0


def test_claims_from_the_future_weigh_as_those_of_now() -> None:
    ahead = Evidence(0, 3, 1, 1, 1, NOW + DAY, NOW + DAY, 0)
    assert score([ahead]) == score([ahead._replace(last_seen=NOW)])


# listed, until, due


@settings(max_examples=200, deadline=None)
@given(rows_of_one)
def test_between_the_thresholds_it_stays_as_it_was(rows: list[Evidence]) -> None:
    value = score(rows)
    assume(min(abs(value - 50), abs(value - 60)) > 1e-9)
    was, was_not = decided(rows, was_listed=True), decided(rows, was_listed=False)
    if len(was.listed):
        assert bool(was.listed[0]) == (value >= 50)
        assert bool(was_not.listed[0]) == (value >= 60)


@settings(max_examples=300, deadline=None)
@given(st.lists(evidence(ages=st.integers(-DAY, 4 * DAY)), min_size=1, max_size=8))
@example([Evidence(0, 1, 1, 1, 1, NOW, NOW, 0)])
def test_until_is_the_first_second_below_the_threshold(rows: list[Evidence]) -> None:
    found = decided(rows)
    assume(len(found.listed) and found.listed[0])
    until = int(found.until[0])
    if until == NEVER:
        assert score(rows, NOW + 300 * DAY) >= 50
        return
    assert until > NOW
    assert score(rows, until - 1) >= 50 > score(rows, until)
    assert decided(rows, until - 1, was_listed=True).listed[0]
    assert not decided(rows, until, was_listed=True).listed[0]


@settings(max_examples=300, deadline=None)
@given(st.lists(evidence(ages=st.integers(0, 4 * DAY)), min_size=1, max_size=8), st.data())
def test_nothing_changes_before_due_and_something_may_at_due(rows: list[Evidence], data: st.DataObject) -> None:
    found = decided(rows)
    assume(len(found.listed) and found.listed[0])
    due, codes = int(found.due[0]), int(found.codes[0])
    assert due <= int(found.until[0])
    assert due > NOW
    last = due - 1 if due != NEVER else NOW + 300 * DAY
    for at in (last, data.draw(st.integers(NOW, last))):
        then = decided(rows, at, was_listed=True)
        assert then.listed[0]
        assert bits(then.codes[0]) == bits(codes)


@settings(max_examples=300, deadline=None)
@given(st.lists(evidence(ages=st.integers(0, 4 * DAY)), min_size=1, max_size=6))
def test_a_code_goes_at_due(rows: list[Evidence]) -> None:
    """With codes that several categories carry left aside: one goes, or the listing ends, or the one that is left was
    the heaviest anyway."""
    found = decided(rows)
    assume(len(found.listed) and found.listed[0] and found.due[0] != NEVER)
    due = int(found.due[0])
    then = decided(rows, due, was_listed=True)
    gone = not then.listed[0] or then.codes[0] != found.codes[0]
    assert gone or len(bits(then.codes[0])) == 1


@settings(max_examples=300, deadline=None)
@given(rows_of_one)
def test_codes_are_those_of_the_categories_that_still_weigh(rows: list[Evidence]) -> None:
    found = decided(rows)
    assume(len(found.listed))
    expected = plain_codes(rows, NOW)
    if expected is not None:
        assert bits(found.codes[0]) == expected


def test_a_code_goes_in_the_first_second_that_its_category_is_too_light() -> None:
    """Weight 1 is an eighth after three half-lives: there the code is still answered, a second later no more."""
    rows = [Evidence(0, 1, 1, 0, 1, NOW, NOW, 1), Evidence(0, 1, 2, 1, 1, NOW, NOW, 0)]
    assert int(decided(rows).due[0]) == NOW + 3 * DAY + 1
    later = [rows[0], rows[1]._replace(hits=1, reporter=2), rows[1]]  # two reporters: four half-lives
    assert int(decided(later).due[0]) == NOW + 4 * DAY + 1
    three = [*later, rows[1]._replace(reporter=3)]  # a moment that is no whole second
    due = int(decided(three).due[0])
    assert due == NOW + math.floor(DAY * math.log2(24)) + 1
    assert bits(decided(three, due - 1).codes[0]) == {0, 1}
    assert bits(decided(three, due).codes[0]) == {0}


POLICY = ZONE.policy.model_copy(update={"list_at": 40.0, "delist_at": 30.0, "code_weight": 0.5})
LENIENT = Weighing.of(ZONE.model_copy(update={"policy": POLICY}), SOURCES, CATEGORIES)


def test_the_code_of_the_heaviest_category_changes_at_due() -> None:
    """Two categories, both too light for a code of their own: the one that decays faster is overtaken."""
    fast = Evidence(0, 1, 2, 1, 1, NOW, NOW - int(1.1 * DAY), 0)
    slow = [Evidence(0, 1, 1, reporter, 1, NOW, NOW - int(5.57 * DAY), 0) for reporter in (1, 2, 3)]
    found = decided([fast, *slow], weighing=LENIENT)
    assert found.listed[0]
    assert bits(found.codes[0]) == {1}
    due = int(found.due[0])
    assert bits(decided([fast, *slow], due - 1, True, LENIENT).codes[0]) == {1}
    assert bits(decided([fast, *slow], due, True, LENIENT).codes[0]) == {0}


def test_a_light_listing_has_the_code_of_its_heaviest_category() -> None:
    """Many a little make a listing though no category alone would be answered."""
    rows = [
        Evidence(0, source, category, 1, 1, NOW, NOW - int((6 + category / 5) * DAY), 0)
        for source, category in itertools.product((1, 2, 3), (1, 3))
    ]
    rows.append(Evidence(0, 1, 2, 1, 1, NOW, NOW - int(3.05 * DAY), 0))
    found = decided(rows, weighing=LENIENT)
    weights = {c: sum(plain_weight(r, NOW) for r in rows if r.category == c) for c in (1, 2, 3)}
    assert max(weights.values()) < 0.5
    assert found.listed[0]
    assert bits(found.codes[0]) == {max(weights, key=lambda c: weights[c]) - 1}
