"""Bounded reads of the store, and what is kept of those who ask for a second person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dnsbl.model import Report
from dnsbl.store import FeedState, SqliteStore, seconding
from dnsbl.subjects import inside, parse, text

NOW = 1_790_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "store.sqlite")) as made:
        yield made


@pytest.fixture
def source(store: SqliteStore) -> int:
    """Reports on four hosts, two of them by two reporters, and a list's entry; and somebody else's beside them."""
    made, other = (store.source(name, "partner", trust=0.9).id for name in ("acme", "other"))
    hosts = ["46.0.0.1", "46.0.0.2", "46.0.1.1", "47.0.0.1"]
    store.take_reports(
        made, [Report(parse(host), "spam", NOW, who) for host in hosts for who in ("a", "b")[: len(host)]]
    )
    store.take_reports(other, [Report(parse("46.0.0.3"), "spam", NOW)])
    store.replace_entries(made, {parse("46.0.0.9"): 1, parse("46.0.0.1"): 1}, {}, "spam", NOW)
    return made


@pytest.mark.parametrize(
    ("within", "limit", "found"),
    [
        ("46.0.0.0/24", 9, ["46.0.0.1", "46.0.0.2", "46.0.0.9"]), ("46.0.0.0/24", 2, ["46.0.0.1", "46.0.0.2"]),
        ("46.0.0.0/16", 9, ["46.0.0.1", "46.0.0.2", "46.0.0.9", "46.0.1.1"]), ("48.0.0.0/8", 9, []),
    ],
)  # fmt: skip
def test_what_a_source_claims_within_a_network(
    store: SqliteStore, source: int, within: str, limit: int, found: list[str]
) -> None:
    assert [text(key) for key in store.claims_between(source, *inside(parse(within)), limit)] == found


def test_claims_are_counted_no_further_than_matters(store: SqliteStore, source: int) -> None:
    assert store.claim_count([source], 1000) == 8 + 2
    assert store.claim_count([source], 10) == 10
    assert store.claim_count([source], 5) == 5
    assert store.claim_count([source, source + 1], 1000) == 11
    assert store.claim_count([], 5) == 0


def test_what_a_list_dropped_it_does_not_carry(store: SqliteStore, source: int) -> None:
    store.replace_entries(source, {parse("46.0.0.9"): 7}, {}, "spam", NOW + 1)
    assert store.carried(source) == {parse("46.0.0.9"): 7}


def test_only_so_many_wait_for_a_second_person(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seconding, "MAX_ASKED", 3)
    for number in range(5):
        assert not store.second(f"deed {number}", "anna", NOW + number, NOW - 9)
    assert [row.deed for row in store.asked(NOW)] == ["deed 4", "deed 3", "deed 2"]
    assert not store.second("deed 0", "ben", NOW + 9, NOW - 9)


def test_a_switch_stays_whatever_is_written_of_the_feed(store: SqliteStore) -> None:
    store.switch_feed("mine", False)
    store.put_feed_state(FeedState("mine", "ok", switched=True))
    assert (store.feed_states()["mine"].state, store.feed_states()["mine"].switched) == ("ok", False)
    store.switch_feed("mine", None)
    assert store.feed_states()["mine"] == FeedState("mine", "ok")


def test_of_a_subject_that_much_was_done_about_the_newest_is_found(store: SqliteStore) -> None:
    for number in range(6):
        store.audit(NOW + number, "anna", "allow", "46.0.0.1", f"{number}")
        store.audit(NOW + number, "ben", "allow", "46.0.0.10", f"of another {number}")
    assert [row["why"] for row in store.audit_starting("46.0.0.1", 3)] == ["5", "4", "3"]
    assert [row["why"] for row in store.audit_starting("ben", 2)] == ["of another 5", "of another 4"]
    assert {row["subject"] for row in store.audit_starting("46.0.0", 9)} == {"46.0.0.1", "46.0.0.10"}
