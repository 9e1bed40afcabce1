"""One subject's score is what the sweep computes of it: by whichever way, to the last digit that matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.config import ZoneDef
from dnsbl.reputation.score import Claims, Weighing, decide
from dnsbl.reputation.single import half_lives, hear, independent, score_of, weight_of
from dnsbl.store import Evidence, Source

DAY = 86_400
NOW = 1_790_000_000
CATEGORIES = {1: "spam", 2: "malware", 3: "dynamic", 4: "hosting"}  # the last is not of this zone
NAMES = {name: number for number, name in CATEGORIES.items()}
ZONE = ZoneDef.model_validate(
    {
        "name": "ip",
        "kind": "ip",
        "origin": "ip.example",
        "ns": ["ns1.example"],
        "policy": {"half_life": "2d", "half_lives": {"malware": "1d"}, "half_weight": 0.4},
        "codes": [
            {"code": "127.0.0.2", "categories": ["spam", "dynamic"]},
            {"code": "127.0.0.4", "categories": ["malware"]},
        ],
    }
)
PLACES = 3

trusts = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
a_source = st.builds(
    Source,
    id=st.just(0),
    name=st.just("s"),
    kind=st.sampled_from(["feed", "partner", "operator"]),
    trust=trusts,
    family=st.sampled_from(["a", "b", "c"]),
    redistribute=st.just(True),
    simulated=st.booleans(),
    half_weight=st.sampled_from([None, 0.1, 3.0]),
    zones=st.sampled_from([(), ("ip",), ("other",)]),
    network=st.sampled_from(["", "198.51.100.0/24"]),
)
sources = st.lists(a_source, min_size=1, max_size=5).map(
    lambda made: {number: replace(source, id=number) for number, source in enumerate(made, 1)}
)


@st.composite
def claims(draw: st.DrawFn, count: int) -> list[Evidence]:
    def one() -> Evidence:
        reporter, age = draw(st.integers(0, 3)), draw(st.integers(-5, 60 * DAY))
        held = int(reporter == 0 and draw(st.booleans()))
        place, source, category = (draw(st.integers(low, high)) for low, high in ((0, 2), (1, count), (1, 4)))
        return Evidence(place, source, category, reporter, draw(st.integers(1, 1000)), NOW - age, NOW - age, held)

    return [one() for _ in range(draw(st.integers(1, 12)))]


@given(data=st.data(), known=sources)
@settings(max_examples=150, deadline=None)
def test_the_score_of_one_is_the_score(data: st.DataObject, known: dict[int, Source]) -> None:
    rows = data.draw(claims(len(known)))
    live = data.draw(st.sets(st.sampled_from(list(known))))
    lives = half_lives(ZONE, CATEGORIES.values())
    ours = [row for row in rows if CATEGORIES[row.category] in lives]
    weights = [weight_of(row, lives[CATEGORIES[row.category]], NOW) for row in ours]
    weighing = Weighing.of(ZONE, known, CATEGORIES, live)
    assert weights == pytest.approx(weighing.weight(Claims.of(ours), np.full(len(ours), NOW)).tolist(), rel=1e-12)
    decided = decide(Claims.of(rows), weighing, np.zeros(PLACES, dtype=np.bool_), NOW)
    expected = max(decided.score.tolist(), default=0.0)
    assert score_of(hear(ours, weights, ZONE, known, live)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(known=sources)
def test_no_more_families_are_heard_than_there_are(known: dict[int, Source]) -> None:
    rows = [Evidence(0, number, 1, 0, 1, NOW, NOW, 1) for number in known]
    heard = hear(rows, [1.0] * len(rows), ZONE, known)
    speaking = {source.family for source in known.values() if not source.simulated and source.zones != ("other",)}
    partners = {source.network for source in known.values()}
    assert independent(heard) <= len(speaking) + len(partners)


def source(number: int, trust: float = 0.5, family: str = "", simulated: bool = False) -> Source:
    return Source(number, f"s{number}", "feed", trust, family or f"f{number}", True, simulated=simulated)


def test_who_copies_another_or_is_not_believed_is_no_further_source() -> None:
    known = {
        1: source(1, family="a"),
        2: source(2, family="a"),
        3: source(3, family="b"),
        4: source(4, trust=0.0),
        5: source(5, simulated=True),
    }
    rows = [Evidence(number % 2, number, 1, 0, 1, NOW, NOW, 1) for number in known]
    assert independent(hear(rows, [1.0] * 5, ZONE, known)) == 2
    assert independent(hear(rows, [1.0] * 5, ZONE, known, live={5})) == 3
    assert independent(hear(rows, [0.0] * 5, ZONE, known)) == 0
    assert independent(hear([], [], ZONE, known)) == 0


def test_a_category_has_the_zones_half_life_or_its_own() -> None:
    assert half_lives(ZONE, ["spam", "malware", "hosting"]) == {"spam": 2 * DAY, "malware": DAY}
