"""When a feed is pulled next; what its declaration comes to. Pulls themselves are in tests/live/test_feeds.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dnsbl.config import FeedDef
from dnsbl.intake.feeds import MAX_BACKOFF, next_pull, terms_of
from dnsbl.store import FeedState

NOW = 1_790_000_000
jitters = st.floats(0, 1, exclude_max=True)
periods = st.integers(60, 30 * 86_400)


def feed(**more: object) -> FeedDef:
    basic = {"name": "mine", "title": "Mine", "url": "https://x.example/", "format": "plain", "category": "spam"}
    return FeedDef.model_validate({**basic, "licence": "none", **more})


@given(periods, jitters)
def test_a_new_feed_is_pulled_within_half_a_minute(period: int, jitter: float) -> None:
    for state in (None, FeedState("mine")):
        assert 0 <= next_pull(feed(period=period), state, NOW, jitter) - NOW <= 30


@given(periods, jitters, st.integers(0, 10 * 86_400))
def test_a_good_feed_is_pulled_a_period_after_the_last_time(period: int, jitter: float, ago: int) -> None:
    due = next_pull(feed(period=period), FeedState("mine", checked_at=NOW - ago), NOW, jitter)
    assert due >= NOW
    assert due == NOW or period <= due - (NOW - ago) <= period * 1.1


@given(periods, jitters, st.integers(1, 10**6))
def test_a_feed_that_fails_is_left_alone_for_longer_each_time(period: int, jitter: float, failures: int) -> None:
    def wait(failures: int, jitter: float = 0) -> int:
        return next_pull(feed(period=period), FeedState("mine", checked_at=NOW, failures=failures), NOW, jitter) - NOW

    assert wait(failures) <= wait(failures + 1)
    assert wait(1) == 120
    assert wait(3) == min(480, max(period, MAX_BACKOFF))
    assert 120 <= wait(failures, jitter) <= max(period, MAX_BACKOFF) * 1.1, "but asked at least once a day"


def test_feeds_of_one_period_do_not_come_together() -> None:
    state = FeedState("mine", checked_at=NOW)
    times = {next_pull(feed(period=3600), state, NOW, jitter / 100) for jitter in range(100)}
    assert len(times) == 100
    assert max(times) - min(times) <= 360


def test_terms_are_what_the_declaration_says() -> None:
    declared = feed(
        format="csv", columns={"subject": 2}, delimiter=";", map={"a": "phishing"}, max_change=0.1, widest4=16
    )
    terms = terms_of(declared)
    assert (terms.format, terms.category, terms.words, terms.always) == ("csv", "spam", {"a": "phishing"}, False)
    assert (terms.options.delimiter, terms.options.widest4, terms.limits.max_change) == (";", 16, 0.1)
    assert terms_of(declared, accept=True).always
    assert terms_of(declared, accept=True).digest == terms.digest
    for other in (
        {"category": "botnet"},
        {"map": {"a": "malware"}},
        {"min_hits": 2},
        {"exempt": True},
        {"format": "plain"},
    ):
        assert terms_of(declared.model_copy(update=other)).digest != terms.digest
    for same in ({"trust": 0.1}, {"period": 60}, {"max_change": 0.9}, {"timeout": 5}):
        assert terms_of(declared.model_copy(update=same)).digest == terms.digest


def test_neither_the_time_nor_the_tables_are_part_of_the_terms() -> None:
    declared = feed(map={"127.0.0.2": "spam"})
    terms = terms_of(declared, now=NOW, networks_of=lambda asn: [])
    assert (terms.options.now, terms.options.words) == (NOW, {"127.0.0.2": "spam"})
    assert terms.options.networks_of is not None
    assert terms.digest == terms_of(declared).digest == terms_of(declared, now=NOW + 1).digest
