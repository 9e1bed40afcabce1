"""The judge of a feed's new content: what it quarantines, what it says, and what it lets through."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.config import FeedDef
from dnsbl.errors import Quarantined
from dnsbl.intake.health import MIN_DIFFERENCE, Limits, judge
from dnsbl.model import Parsed, Reject

LIMITS = Limits(min_entries=1, max_change=0.4)


def parsed(entries: int, rejected: int = 0, repeated: int = 0, claimed: int | None = None) -> Parsed:
    return Parsed(
        hits=dict.fromkeys((b"4" + i.to_bytes(4, "big") + b"\x20" for i in range(entries)), 1),
        rejects=[Reject(line, "no subject") for line in range(1, min(rejected, 3) + 1)],
        rejected=rejected,
        repeated=repeated,
        claimed=claimed,
    )


def reason(content: Parsed, previous: int | None = None, limits: Limits = LIMITS, page: str | None = None) -> str:
    """Why content is quarantined; "" where it is taken."""
    try:
        judge(content, previous, limits, page)
    except Quarantined as caught:
        return str(caught)
    return ""


def test_what_is_as_always_is_taken() -> None:
    assert reason(parsed(1000), 1000) == ""
    assert reason(parsed(1000, rejected=1000, repeated=3, claimed=2003), 1100) == ""


def test_a_page_is_not_a_list_however_it_parses() -> None:
    assert reason(parsed(1000), 1000, page="it begins with <html>") == "not a list: it begins with <html>"


@pytest.mark.parametrize("previous", [None, 0, 1, 50, 100_000])
def test_an_empty_list_is_never_believed(previous: int | None) -> None:
    assert reason(parsed(0), previous) == "no entries: it is empty"
    assert reason(parsed(0, claimed=0), previous) == "no entries: it is empty"


def test_a_list_of_which_nothing_is_taken_says_why() -> None:
    assert reason(parsed(0, rejected=500)) == (
        "no entries: 500 of 500 lines were refused, the first on line 1 (no subject)"
    )


def test_a_feed_that_may_be_empty_may() -> None:
    limits = Limits(min_entries=0)
    assert reason(parsed(0), None, limits) == ""
    assert reason(parsed(0), 50, limits) == ""
    assert "a drop of 100 %" in reason(parsed(0), 100, limits)


def test_a_file_with_fewer_records_than_it_says_was_cut() -> None:
    assert reason(parsed(1000, claimed=1693), 1000) == (
        "it was cut: the file says it has 1,693 records, and 1,000 are there"
    )
    assert "does not fit together" in reason(parsed(1000, claimed=999), 1000)


def test_refused_and_repeated_lines_are_records_too() -> None:
    assert reason(parsed(10, rejected=2, repeated=3, claimed=15)) == ""


def test_more_refused_than_not_is_another_format() -> None:
    assert reason(parsed(50, rejected=50)) == ""
    assert reason(parsed(50, rejected=51, repeated=1)) == ""
    assert reason(parsed(50, rejected=52, repeated=1)) == (
        "another format than expected: 52 of 103 lines were refused, the first on line 1 (no subject)"
    )


def test_fewer_than_the_feed_always_has() -> None:
    limits = Limits(min_entries=1000)
    assert reason(parsed(1000), None, limits) == ""
    assert reason(parsed(999), None, limits) == "999 entries, fewer than the 1,000 that it always has"
    assert reason(parsed(1), None, limits) == "1 entry, fewer than the 1,000 that it always has"


def test_a_feed_that_halves_or_doubles_is_named_with_its_numbers() -> None:
    assert reason(parsed(60_215), 120_430) == (
        "60,215 entries where there were 120,430: a drop of 50 %, more than the 40 % allowed"
    )
    assert reason(parsed(120_430), 60_215) == (
        "120,430 entries where there were 60,215: a growth of 100 %, more than the 40 % allowed"
    )


def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    assert reason(parsed(600), 1000) == reason(parsed(1400), 1000) == ""
    assert "a drop of 40.1 %, more than the 40 % allowed" in reason(parsed(599), 1000)
    assert "a growth of 40.1 %, more than the 40 % allowed" in reason(parsed(1401), 1000)
    assert "a drop of 40.1 %, more than the 40 % allowed" in reason(parsed(59_999), 100_000)


def test_small_feeds_swing() -> None:
    assert reason(parsed(1), 1 + MIN_DIFFERENCE - 1) == reason(parsed(100), 1) == ""
    assert "a drop" in reason(parsed(1), 1 + MIN_DIFFERENCE)
    assert "a growth" in reason(parsed(101), 1)


def test_the_first_version_has_nothing_to_differ_from() -> None:
    assert reason(parsed(5000), None) == reason(parsed(5000), 0) == ""


def test_limits_come_from_the_feed() -> None:
    feed = FeedDef(
        name="t", title="T", url="https://h.example/", format="plain", category="spam", licence="none",
        min_entries=7, max_change=0.25,
    )  # fmt: skip
    assert Limits.from_feed(feed) == Limits(min_entries=7, max_change=0.25)


def test_an_accepted_size_is_taken_and_nothing_else_is() -> None:
    accepted = Limits(min_entries=1000).accepting()
    assert reason(parsed(10), 100_000, accepted) == reason(parsed(100_000), 10, accepted) == ""
    assert "empty" in reason(parsed(0), 100_000, accepted)
    assert "cut" in reason(parsed(10, claimed=11), 100_000, accepted)
    assert "another format" in reason(parsed(10, rejected=11), 100_000, accepted)
    assert "not a list" in reason(parsed(10), 100_000, accepted, page="it is one")
    assert reason(parsed(0), 100_000, Limits(min_entries=0).accepting()) == ""


counts = st.integers(0, 400)
contents = st.builds(parsed, counts, counts, counts, st.none() | st.integers(0, 1500))
sizes = st.none() | st.integers(0, 2_000_000_000)
limits = st.builds(
    Limits, st.integers(0, 500), st.floats(0, exclude_min=True, allow_nan=False) | st.sampled_from([0.4, 1.0, math.inf])
)
pages = st.none() | st.text(max_size=20)


@given(contents, sizes, limits, pages)
def test_a_verdict_is_nothing_or_one_sentence(
    content: Parsed, previous: int | None, given_limits: Limits, page: str | None
) -> None:
    said = reason(content, previous, given_limits, page)
    assert "accept" not in said.replace(page or "", "")  # what to do is the caller's to say
    assert said or not page


@given(contents, sizes, limits)
def test_what_is_taken_keeps_every_promise(content: Parsed, previous: int | None, given_limits: Limits) -> None:
    if reason(content, previous, given_limits):
        return
    new = len(content.hits)
    assert new >= given_limits.min_entries
    assert content.claimed in (None, new + content.rejected + content.repeated)
    assert content.rejected <= new + content.repeated
    if previous and abs(new - previous) >= MIN_DIFFERENCE:
        assert previous * (1 - given_limits.max_change) <= new <= previous * (1 + given_limits.max_change)


@given(contents, sizes, limits)
def test_accepting_only_ever_lets_more_through(content: Parsed, previous: int | None, given_limits: Limits) -> None:
    if not reason(content, previous, given_limits):
        assert not reason(content, previous, given_limits.accepting())


@given(contents, sizes, sizes, limits)
def test_accepted_content_is_judged_without_its_past(
    content: Parsed, before: int | None, other: int | None, given_limits: Limits
) -> None:
    accepted = given_limits.accepting()
    assert reason(content, before, accepted) == reason(content, other, accepted)
