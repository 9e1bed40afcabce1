"""What look-ups read: a handful of subjects at one moment, and what is kept as long as nothing changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import NOW, keys, listed, reports, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsbl.model import Report
from dnsbl.store import Decision, Exemption, SqliteStore
from dnsbl.store.claims import evidence_rows
from dnsbl.store.few import FEW, evidence_of_few
from dnsbl.subjects import ancestors, parse


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    made.writer.execute("PRAGMA synchronous = OFF")
    yield made
    made.close()


def spam(subject: str) -> Report:
    return Report(parse(subject), "spam", NOW)


# the same as the way for many


@given(given=st.lists(reports, max_size=12), carried=st.sets(st.sampled_from(["5.5.5.5", "5.5.5.0/24", "2a00::/64"])))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_evidence_of_few_is_evidence(store: SqliteStore, given: list[Report], carried: set[str]) -> None:
    one, other = store.source("one", "partner", trust=0.5), store.source("other", "partner", trust=0.5)
    store.take_reports(one.id, given)
    store.take_reports(other.id, given[::2])
    store.replace_entries(store.source("list", "feed", trust=0.5).id, dict.fromkeys(keys(*carried), 3), {}, "spam", NOW)
    for asked in ("5.5.5.5", "2a00::/64", "b.a.com"):
        chain = list(ancestors(parse(asked)))
        assert evidence_of_few(store.reader, chain) == evidence_rows(store.reader, chain) == store.evidence(chain)
    assert evidence_of_few(store.reader, []) == []


def test_the_way_for_many_begins_where_that_for_few_ends(store: SqliteStore) -> None:
    source = store.source("one", "partner", trust=0.5)
    asked = [parse(f"5.5.5.{number}") for number in range(FEW + 2)]
    store.take_reports(source.id, [Report(asked[0], "spam", NOW), Report(asked[FEW - 1], "spam", NOW)])
    for count in (FEW - 1, FEW, FEW + 1):
        assert [place for place, *_ in store.evidence(asked[:count])] == [0, FEW - 1][: 1 + (count >= FEW)]


def test_listings_of_several_zones_come_in_the_subjects_order(store: SqliteStore) -> None:
    host, wide, beside = row("5.5.5.5"), row("5.5.5.0/24", "127.0.0.4"), row("5.5.5.6")
    listed(store, "ip", host, wide, beside)
    listed(store, "white", wide)
    listed(store, "other", host)
    chain = list(ancestors(parse("5.5.5.5")))
    found = store.listings_on(chain, ["ip", "white", "none"])
    assert found == {"ip": [host, wide], "white": [wide], "none": []}
    assert found["ip"] == list(store.listings_of("ip", chain).values())
    assert store.listings_on(chain, []) == {}


def test_the_journal_of_a_subject_is_its_own_and_the_newest_of_it(store: SqliteStore) -> None:
    subject = parse("5.5.5.5")
    for at in range(5):
        codes = "" if at % 2 else "127.0.0.2"
        store.decide(at, {"ip": Decision([], [], [(subject, codes), (parse("5.5.5.6"), codes)])}, [])
    store.add_exemption(Exemption(subject, "a reason", "operator", since=9))
    assert [(each.at, each.codes) for each in store.changes_of(subject, 3)] == [
        (2, "127.0.0.2"),
        (3, ""),
        (4, "127.0.0.2"),
    ]
    assert store.changes_of(parse("5.5.5.0/24"), 3) == []


def test_the_journal_of_a_subject_is_found_by_an_index(store: SqliteStore) -> None:
    plan = store.rows("EXPLAIN QUERY PLAN SELECT seq FROM listing_change WHERE subject = ? AND zone != ''", b"4")
    assert "USING" in plan[0][3], plan


# one moment


def test_what_is_read_within_a_moment_fits_together(store: SqliteStore) -> None:
    source = store.source("one", "partner", trust=0.5)
    chain = keys("5.5.5.5")
    with store.moment():
        assert store.evidence(chain) == []
        with store.moment():
            writing = threading.Thread(target=store.take_reports, args=(source.id, [spam("5.5.5.5")]))
            writing.start()
            writing.join()
        assert store.evidence(chain) == []
        assert store.touched(9) == []
    assert len(store.evidence(chain)) == 1


def test_a_moment_ends_with_an_error_in_it(store: SqliteStore) -> None:
    with pytest.raises(KeyError), store.moment():
        raise KeyError
    store.take_reports(store.source("one", "partner", trust=0.5).id, [spam("5.5.5.5")])
    assert len(store.evidence(keys("5.5.5.5"))) == 1


# what is kept


class Reading:
    """Counts how often the sources are read."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.times = store, 0

    def names(self) -> list[str]:
        return self.store.kept("names", self.read)

    def read(self) -> list[str]:
        self.times += 1
        return [source.name for source in self.store.sources().values()]


def test_what_is_kept_is_read_once_until_something_changes(store: SqliteStore) -> None:
    reading = Reading(store)
    store.source("one", "partner", trust=0.5)
    assert [reading.names() for _ in range(3)] == [["one"]] * 3
    assert reading.times == 1
    store.source("two", "partner", trust=0.5)
    assert reading.names() == ["one", "two"]
    assert store.kept("others", lambda: 7) == 7
    assert reading.names() == ["one", "two"]
    assert reading.times == 2


def test_what_another_process_changes_is_not_kept(store: SqliteStore) -> None:
    reading = Reading(store)
    assert reading.names() == []
    other = SqliteStore(store.path)
    other.source("one", "partner", trust=0.5)
    assert reading.names() == ["one"]
    other.close()


def test_a_change_sees_itself_and_leaves_nothing_kept(store: SqliteStore) -> None:
    reading = Reading(store)
    with pytest.raises(KeyError), store.transaction():
        store.source("one", "partner", trust=0.5)
        assert reading.names() == ["one"]
        raise KeyError
    assert reading.names() == []


def test_within_a_moment_nothing_newer_is_kept(store: SqliteStore) -> None:
    reading = Reading(store)
    with store.moment():
        assert reading.names() == []
        writing = threading.Thread(target=lambda: store.source("one", "partner", trust=0.5))
        writing.start()
        writing.join()
        assert reading.names() == []
    assert reading.names() == ["one"]
