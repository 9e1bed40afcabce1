"""What stands only on feeds whose terms forbid it is not given away; everything else is, with the codes it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.config import ZoneDef
from dnsbl.model import Report
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import SqliteStore
from dnsbl.subjects import parse, text

START = 1_790_000_000
DAY = 86_400
ZONE = ZoneDef.model_validate(
    {
        "name": "ip",
        "kind": "ip",
        "origin": "ip.example",
        "ns": ["ns1.example"],
        "codes": [
            {"code": "127.0.0.2", "categories": ["spam"]},
            {"code": "127.0.0.4", "categories": ["malware"]},
        ],
        "policy": {"half_life": "1d"},
    }
)
SUBJECTS = ["5.5.5.5", "5.5.5.0/24", "6.6.6.6", "2a00::/64"]


class Bench:
    """A store with two feeds that may not be given away and two sources that may, and a clock."""

    def __init__(self, directory: Path) -> None:
        self.store = SqliteStore(directory / "store.sqlite")
        self.store.writer.execute("PRAGMA synchronous = OFF")
        self.sources = {
            name: self.store.source(name, "feed", trust=trust, redistribute=not name.startswith("closed")).id
            for name, trust in {"closed": 0.9, "closed-too": 0.4, "open": 0.7, "open-too": 0.45}.items()
        }
        self.now = START

    def listed(self, source: str, subjects: dict[str, str]) -> None:
        keys = {parse(subject): category for subject, category in subjects.items()}
        self.store.replace_entries(self.sources[source], dict.fromkeys(keys, 1), keys, "spam", self.now)

    def report(self, source: str, subject: str) -> None:
        self.store.take_reports(self.sources[source], [Report(parse(subject), "spam", self.now, "")])

    def sweep(self) -> None:
        sweep(self.store, {"ip": ZONE}, ExemptionCache(self.store), self.now)

    def all(self) -> dict[str, str]:
        return {text(s): codes for rows in self.store.listing_chunks("ip", b"", b"\xff") for s, codes in rows}

    def given(self) -> dict[str, str]:
        return {text(s): codes for rows in self.store.shared.listing_chunks("ip", b"", b"\xff") for s, codes in rows}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def test_what_stands_only_on_a_closed_feed_is_listed_and_not_given_away(bench: Bench) -> None:
    bench.listed("closed", {"5.5.5.5": "spam", "6.6.6.6": "spam"})
    bench.listed("open", {"6.6.6.6": "spam"})
    bench.sweep()
    assert bench.all() == {"5.5.5.5": "127.0.0.2", "6.6.6.6": "127.0.0.2"}
    assert bench.given() == {"6.6.6.6": "127.0.0.2"}
    assert bench.store.withheld_count("ip") == 1
    assert not bench.store.shared.any_listing("ip", parse("5.5.5.5"), parse("5.5.5.6"))
    assert bench.store.shared.listing_count("ip") == 1
    assert list(bench.store.shared.listings_of("ip", [parse("5.5.5.5"), parse("6.6.6.6")])) == [parse("6.6.6.6")]
    assert bench.store.shared.listings_touching("ip", parse("5.0.0.0/8")) == []


def test_a_code_that_only_a_closed_feed_gives_is_left_out(bench: Bench) -> None:
    bench.listed("closed", {"5.5.5.5": "malware"})
    bench.listed("open", {"5.5.5.5": "spam"})
    bench.sweep()
    assert bench.all() == {"5.5.5.5": "127.0.0.2 127.0.0.4"}
    assert bench.given() == {"5.5.5.5": "127.0.0.2"}


def test_too_weak_without_the_closed_feed_is_not_given_away(bench: Bench) -> None:
    bench.listed("closed", {"5.5.5.5": "spam"})
    bench.listed("open-too", {"5.5.5.5": "spam"})
    bench.sweep()
    assert (bench.all(), bench.given()) == ({"5.5.5.5": "127.0.0.2"}, {})


def test_other_terms_are_followed_and_those_who_publish_are_told(bench: Bench) -> None:
    bench.listed("closed", {"5.5.5.5": "spam"})
    bench.sweep()
    assert bench.given() == {}
    for may, expected in ((True, {"5.5.5.5": "127.0.0.2"}), (False, {})):
        before = bench.store.change_seq()
        bench.store.source("closed", "feed", trust=0.9, redistribute=may)
        bench.sweep()
        assert bench.given() == expected
        assert [change.subject for change in bench.store.changes_since("ip", before, 9)] == [parse("5.5.5.5")]
        assert bench.store.changes_of(parse("5.5.5.5"), 9)[-1].codes == "127.0.0.2"  # its listing did not change
    assert bench.store.check() == []


def test_what_leaves_is_withheld_no_longer(bench: Bench) -> None:
    bench.listed("closed", {"5.5.5.5": "spam"})
    bench.sweep()
    bench.listed("closed", {})
    bench.now += 100 * DAY
    bench.sweep()
    assert (bench.all(), bench.store.any_withheld("ip"), bench.store.check()) == ({}, False, [])


def test_it_is_withheld_from_the_second_its_other_reasons_fade(bench: Bench) -> None:
    """The closed feed holds it up; the report that also carried it decays: nothing else happens meanwhile."""
    bench.listed("closed", {"5.5.5.5": "spam"})
    bench.report("open", "5.5.5.5")
    bench.sweep()
    assert bench.given() == {"5.5.5.5": "127.0.0.2"}
    due = bench.store.listings_of("ip", [parse("5.5.5.5")])[parse("5.5.5.5")].due
    assert due is not None
    bench.now = due - 1
    bench.sweep()
    assert bench.given() == {"5.5.5.5": "127.0.0.2"}
    bench.now = due
    bench.sweep()
    assert (bench.all(), bench.given()) == ({"5.5.5.5": "127.0.0.2"}, {})


entries = st.dictionaries(st.sampled_from(SUBJECTS), st.sampled_from(["spam", "malware"]), max_size=4)


@settings(max_examples=40, deadline=None)
@given(closed=st.tuples(entries, entries), open_=st.tuples(entries, entries))
def test_what_is_given_away_is_what_would_be_listed_without_the_closed_feeds(closed, open_) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole, without = Bench(Path(one)), Bench(Path(other))
        for bench in (whole, without):
            bench.listed("open", open_[0])
            bench.listed("open-too", open_[1])
        whole.listed("closed", closed[0])
        whole.listed("closed-too", closed[1])
        for bench in (whole, without):
            bench.sweep()
        full, rest = whole.all(), without.all()
        expected = {s: " ".join(c for c in codes.split() if c in rest.get(s, "").split()) for s, codes in full.items()}
        assert whole.given() == {subject: codes for subject, codes in expected.items() if codes}
        whole.store.close()
        without.store.close()
