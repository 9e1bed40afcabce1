"""Exceptions: what remains is exactly what was listed and is not excepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import subjects
from dnsbl.errors import IntakeError
from dnsbl.intake.formats import apply_exclusions, exclusions
from dnsbl.model import Parsed


def made(hits, excluded):
    parsed = Parsed()
    for text in hits:
        parsed.add(subjects.parse(text))
    parsed.excluded = {subjects.parse(text) for text in excluded}
    return parsed


def remaining(hits, excluded, **how):
    return sorted(subjects.text(key) for key in apply_exclusions(made(hits, excluded), **how).hits)


def test_a_network_is_cut():
    assert remaining(["192.0.2.0/24"], ["192.0.2.128/25"]) == ["192.0.2.0/25"]
    assert remaining(["192.0.2.0/30"], ["192.0.2.1"]) == ["192.0.2.0", "192.0.2.2/31"]
    assert remaining(["2001:db8::/126"], ["2001:db8::3"]) == ["2001:db8::/127", "2001:db8::2"]
    assert remaining(["192.0.2.0/24"], ["192.0.2.0/25", "192.0.2.128/25"]) == []
    assert remaining(["192.0.2.0/24"], ["192.0.2.0/26", "192.0.2.0/25", "192.0.2.1"]) == ["192.0.2.128/25"]


def test_what_an_exception_covers_is_dropped():
    assert remaining(["192.0.2.1", "192.0.2.0/25", "192.0.3.1"], ["192.0.2.0/24"]) == ["192.0.3.1"]
    assert remaining(["192.0.2.1"], ["192.0.2.1"]) == []


def test_the_longest_match_may_win_among_addresses():
    assert remaining(["192.0.2.0/24", "192.0.2.1"], ["192.0.2.0/25"], narrower_wins=True) == [
        "192.0.2.1",
        "192.0.2.128/25",
    ]
    assert remaining(["192.0.2.1"], ["192.0.2.1"], narrower_wins=True) == []
    assert remaining(["a.bad.example"], ["bad.example"], narrower_wins=True) == []


def test_names_at_or_below_are_dropped_and_names_above_stay():
    assert remaining(["bad.example", "www.bad.example", "a.www.bad.example"], ["www.bad.example"]) == ["bad.example"]
    assert remaining(["bad.example", "bad-example.example"], ["bad.example"]) == ["bad-example.example"]
    parsed = apply_exclusions(made(["bad.example"], ["www.bad.example"]))
    assert parsed.excluded == {subjects.parse("www.bad.example")}


def test_pieces_keep_hits_and_words_and_never_lose_the_larger_count():
    parsed = made([], ["192.0.2.128/25"])
    parsed.add(subjects.parse("192.0.2.0/24"), 5, "spam")
    parsed.add(subjects.parse("192.0.2.0/25"), 7)
    apply_exclusions(parsed)
    assert parsed.hits == {subjects.parse("192.0.2.0/25"): 7}
    assert parsed.words == {subjects.parse("192.0.2.0/25"): "spam"}


def test_cutting_ends(monkeypatch):
    monkeypatch.setattr(exclusions, "MAX_PIECES", 50)
    with pytest.raises(IntakeError, match="more than 50"):
        apply_exclusions(made(["2001:db8::/32"], ["2001:db8::1"]))


NET = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
    lambda p: f"192.0.2.{p[0] >> (32 - p[1]) << (32 - p[1])}/{p[1]}"
)


@given(st.lists(NET, max_size=6), st.lists(NET, max_size=6))
def test_every_address_is_listed_as_sets_say(hits, excluded):
    def addresses(keys):
        return {a for low, high in map(subjects.bounds, keys) for a in range(low, high + 1)}

    parsed = made(hits, excluded)
    expected = addresses(parsed.hits) - addresses(parsed.excluded)
    assert addresses(apply_exclusions(parsed).hits) == expected


@given(st.lists(NET, max_size=6), st.lists(NET, max_size=6))
def test_longest_match_answers_for_every_address(hits, excluded):
    parsed = made(hits, excluded)
    rules = dict.fromkeys(parsed.hits, False) | dict.fromkeys(parsed.excluded, True)

    def listed(address):
        inside = [key for key in rules if subjects.bounds(key)[0] <= address <= subjects.bounds(key)[1]]
        return bool(inside) and not rules[max(inside, key=lambda key: key[5])]

    base = subjects.bounds(subjects.parse("192.0.2.0/24"))[0]
    expected = {base + i for i in range(256) if listed(base + i)}
    apply_exclusions(parsed, narrower_wins=True)
    found = {a for low, high in map(subjects.bounds, parsed.hits) for a in range(low, high + 1)}
    assert found == expected
