"""What live sources need of any store, mixed into `conformance.Conformance`: guards' memory, purges that are undone
exactly, and what is forgotten in time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsbl.errors import StoreError
from dnsbl.model import Report
from dnsbl.store import (
    Attempt,
    Decision,
    Evidence,
    Exemption,
    Hold,
    KeyDay,
    ListingRow,
    Overturned,
    SqliteStore,
    Store,
)
from dnsbl.subjects import listing_key, parse, text

NOW = 1_790_000_000
DAY = 86_400
SUBJECTS = [
    "5.5.5.5", "5.5.5.0/24", "2a00::1", "2a00::ffff:ffff:ffff:ffff", "2a00::/64", "2a00::/48", "2a00::8000:0:0:0/65",
    "2a00:0:0:1::", "2a00:0:0:1::1", "a.com", "b.a.com", "+4930123456",
]  # fmt: skip
claim = st.builds(
    Report,
    subject=st.sampled_from(SUBJECTS).map(parse),
    category=st.sampled_from(["spam", "malware"]),
    at=st.integers(NOW, NOW + 9),
    reporter=st.sampled_from(["", "r1", "r2"]),
    word=st.sampled_from(["", "w"]),
)
claims = st.lists(claim, max_size=15)
listed = st.dictionaries(st.sampled_from(SUBJECTS).map(parse), st.integers(1, 9), max_size=5)
window = st.tuples(st.none() | st.integers(NOW, NOW + 9), st.none() | st.integers(NOW, NOW + 10))

hypo = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
)


def told(store: Store) -> list[Evidence]:
    """All evidence, in its order. Numbers of reporters are given in the order of arrival, which is the same here."""
    keys = sorted({listing_key(parse(subject)) for subject in SUBJECTS})
    return [Evidence(*row) for row in store.evidence(keys)]


def queue(store: Store) -> set[str]:
    return {text(subject) for subject in store.touched(10_000)}


def settle(store: Store) -> None:
    store.decide(NOW, {}, store.touched(10_000))


def say(store: Store, source: int, *subjects: str, at: int = NOW) -> None:
    store.take_reports(source, [Report(parse(subject), "spam", at) for subject in subjects])


def line(store: Store, subject: str, codes: str, at: int) -> None:
    """List a subject from a moment on, or with no codes take it off."""
    key = parse(subject)
    decision = Decision([], [key], [(key, "")])
    if codes:
        decision = Decision([ListingRow(key, codes, at, None, None)], [], [(key, codes)])
    store.decide(at, {"ip": decision}, [])


class LiveSources:
    """Mixed into `Conformance`, which says what `opener`, `store` and `source` are."""

    opener: Callable[[Path], Store]

    # sources

    def test_what_a_source_is_given_is_kept(self, store: Store, source: int) -> None:
        made = store.set_source(source, simulated=True, daily=7, zones=("ip", "domain"), network="5.5.5.0/24")
        assert (made.simulated, made.daily, made.zones, made.network) == (True, 7, ("ip", "domain"), "5.5.5.0/24")
        assert store.sources()[source] == made
        assert store.set_source(source, zones=()).zones == ()
        assert (made.trust, made.granted) == (0.5, 0.5)

    @pytest.mark.parametrize(
        ("changes", "weighs"),
        [
            ({"trust": 0.1}, True), ({"simulated": True}, True), ({"zones": ("ip",)}, True), ({"family": "x"}, True),
            ({"network": "5.5.5.0/24"}, True), ({"half_weight": 2.0}, True), ({"daily": 3}, False),
            ({"granted": 0.9}, False),
        ],
    )  # fmt: skip
    def test_a_change_touches_where_it_weighs(
        self, store: Store, source: int, changes: dict[str, object], weighs: bool
    ) -> None:
        other = store.source("other", "partner", trust=0.5).id
        say(store, source, "5.5.5.5", "2a00::1")
        say(store, other, "a.com")
        settle(store)
        store.set_source(source, **changes)
        assert queue(store) == ({"5.5.5.5", "2a00::/64"} if weighs else set())

    def test_a_trust_cannot_be_set_beyond_its_bounds(self, store: Store, source: int) -> None:
        with pytest.raises(StoreError):
            store.set_source(source, trust=1.5)
        assert store.sources()[source].trust == 0.5

    def test_all_that_a_source_claims_is_found(self, store: Store, source: int) -> None:
        other = store.source("list", "feed", trust=0.5).id
        say(store, source, "5.5.5.5", "2a00::1", "2a00::2")
        store.replace_entries(other, {parse("5.5.5.5"): 1, parse("a.com"): 1}, {}, "spam", NOW)
        assert [text(s) for some in store.subjects_of(source) for s in some] == ["5.5.5.5", "2a00::/64"]
        assert [text(s) for some in store.subjects_of(other) for s in some] == ["5.5.5.5", "a.com"]
        settle(store)
        store.touch_source(other)
        assert queue(store) == {"5.5.5.5", "a.com"}

    # guards

    def test_the_spread_of_a_day_adds_up(self, store: Store, source: int) -> None:
        store.add_spread(source, 20, "ip", {"": 2, "net:5.5.0.0/16": 2})
        store.add_spread(source, 20, "ip", {"": 1, "cc:DE": 1})
        store.add_spread(source, 21, "ip", {"": 5})
        store.add_spread(source, 20, "domain", {"": 7})
        assert store.spread(source, 20, "ip") == {"": 3, "net:5.5.0.0/16": 2, "cc:DE": 1}
        assert store.spread(source + 1, 20, "ip") == {}
        assert store.listed_since(source, 21) == 5
        assert store.listed_since(source, 20) == 15

    def test_a_hold_is_one_by_source_zone_and_place(self, store: Store, source: int) -> None:
        hold = Hold(0, source, "ip", "net:5.5.0.0/16", NOW, 300, 0.004, "many")
        number = store.put_hold(hold)
        assert store.put_hold(replace(hold, zone="other")) != number
        assert store.put_hold(replace(hold, listings=301)) == number, "made anew"
        decided = replace(hold, id=number, state="rejected", decided=NOW + 1, note="a rival's")
        assert store.put_hold(decided) == number, "decided"
        assert [h for h in store.holds() if h.zone == "ip"] == [decided]

    def test_overturned_claims_are_remembered_once(self, store: Store, source: int) -> None:
        other = store.source("other", "partner", trust=0.5).id
        store.overturn([source, other], parse("5.5.5.5"), NOW, "a newsletter")
        store.overturn([source], parse("5.5.5.5"), NOW + 5, "again")
        assert store.overturned(source, NOW) == [Overturned(parse("5.5.5.5"), NOW + 5, "again")]
        assert store.overturned(other, NOW) == [Overturned(parse("5.5.5.5"), NOW, "a newsletter")]
        assert store.overturned(other, NOW + 1) == []

    def test_attempts_are_counted_and_bounded(self, store: Store, source: int) -> None:
        store.add_attempts(source, {parse("8.8.8.8"): "exempt"}, NOW)
        store.add_attempts(source, {parse("8.8.8.8"): "exempt: theirs", parse("10.0.0.1"): "special"}, NOW + 1)
        assert store.attempts(9) == [
            Attempt(source, parse("8.8.8.8"), "exempt: theirs", NOW, NOW + 1, 2),
            Attempt(source, parse("10.0.0.1"), "special", NOW + 1, NOW + 1, 1),
        ]
        other = store.source("other", "partner", trust=0.5).id
        for step in range(6):
            many = {b"4\x0a" + n.to_bytes(3, "big") + b"\x20": "special" for n in range(step * 200, step * 200 + 200)}
            store.add_attempts(other, many, NOW + 2 + step)
        kept = [a for a in store.attempts(10_000) if a.source == other]
        assert len(kept) == 1000
        assert min(a.last for a in kept) == NOW + 3, "the oldest go"
        assert len([a for a in store.attempts(10_000) if a.source == source]) == 2, "each has room of its own"

    # purges

    @hypo
    @given(claims, claims, listed, claims, window)
    def test_a_purge_that_is_undone_was_none(
        self, first: list[Report], others: list[Report], entries: dict[bytes, int], later: list[Report], when: object
    ) -> None:
        """Beside a store where nothing was purged: the same claims before, the same in between."""
        since, until = when  # type: ignore[misc]
        found = []
        for purged in (True, False):
            with tempfile.TemporaryDirectory() as directory:
                store = type(self).opener(Path(directory))
                source, other = (store.source(name, "partner", trust=0.5).id for name in ("partner", "other"))
                store.take_reports(source, first)
                store.take_reports(other, others)
                store.replace_entries(source, entries, {}, "spam", NOW)
                before = store.counts()
                if purged:
                    done = store.purge(source, "poisoned", NOW + 20, since, until)
                    assert store.check() == []
                    taken = {r for r in first if (since or 0) <= r.at < (until or 1 << 62)}
                    assert done.reports == len(taken)
                    assert store.counts()["report"] == before["report"] - len(taken)
                    everything = since is None and until is None
                    assert done.entries == (before["entry"] if everything else 0)
                store.take_reports(source, later)
                settle(store)
                if purged and done.id:
                    assert store.undo_purge(done.id, NOW + 30).undone == NOW + 30
                    assert queue(store) >= {text(listing_key(r.subject)) for r in taken}
                assert store.check() == []
                counted = {name: store.counts()[name] for name in ("report", "evidence", "entry")}
                found.append((sorted(told(store)), counted))
                store.rebuild_evidence()
                assert sorted(told(store)) == found[-1][0]
                store.close()
        assert found[0] == found[1]

    def test_a_purge_takes_what_the_source_claimed_and_nothing_else(self, store: Store, source: int) -> None:
        other = store.source("other", "partner", trust=0.5).id
        for who in (source, other):
            say(store, who, "5.5.5.5", "2a00::1")
            store.replace_entries(who, {parse("a.com"): 1}, {}, "spam", NOW)
        settle(store)
        done = store.purge(source, "poisoned", NOW + 1)
        assert (done.reports, done.entries, done.reason, done.undone) == (2, 1, "poisoned", None)
        assert queue(store) == {"5.5.5.5", "2a00::/64", "a.com"}
        assert {row.source for row in told(store)} == {other}
        assert store.purges() == [done]

    def test_a_purge_of_a_time_takes_its_reports(self, store: Store, source: int) -> None:
        for at in range(5):
            say(store, source, "5.5.5.5", at=NOW + at)
        assert store.purge(source, "a bad hour", NOW + 9, NOW + 1, NOW + 3).reports == 2
        assert [(row.hits, row.first_seen, row.last_seen) for row in told(store)] == [(3, NOW, NOW + 4)]

    def test_what_came_since_a_purge_stays_when_it_is_undone(self, store: Store, source: int) -> None:
        store.replace_entries(source, {parse("a.com"): 2, parse("b.a.com"): 2}, {}, "spam", NOW)
        number = store.purge(source, "why", NOW + 1).id
        store.replace_entries(source, {parse("a.com"): 5}, {}, "malware", NOW + 2)
        store.undo_purge(number, NOW + 3)
        assert sorted((r.hits, r.first_seen) for r in told(store)) == [(2, NOW), (5, NOW + 2)]

    def test_a_purge_is_undone_once(self, store: Store, source: int) -> None:
        say(store, source, "5.5.5.5")
        number = store.purge(source, "why", NOW).id
        store.undo_purge(number, NOW + 1)
        for wrong in (number, number + 1):
            with pytest.raises(StoreError, match="no purge"):
                store.undo_purge(wrong, NOW + 2)
        assert store.purges()[0].undone == NOW + 1

    def test_undoing_decides_anew_all_that_the_source_said(self, store: Store, source: int) -> None:
        """What it was live with outside the purge, and said since, stayed off: nothing had touched it."""
        say(store, source, "5.5.5.5")
        say(store, source, "a.com", at=NOW + 5)
        number = store.purge(source, "the last hour", NOW + 6, since=NOW + 5).id
        store.set_source(source, simulated=True)
        settle(store)
        store.undo_purge(number, NOW + 7)
        assert not store.sources()[source].simulated
        assert queue(store) == {"5.5.5.5", "a.com"}

    def test_what_was_listed_at_a_purge_is_listed_again_and_nothing_else(self, store: Store, source: int) -> None:
        for subject in ("5.5.5.5", "a.com", "2a00::1", "b.a.com", "5.5.5.0/24"):
            say(store, source, subject)
        line(store, "5.5.5.5", "127.0.0.2", NOW - 9)
        line(store, "a.com", "127.0.0.2", NOW - 9)
        line(store, "a.com", "127.0.0.4", NOW - 5)
        line(store, "2a00::/64", "127.0.0.2", NOW - 9)
        line(store, "2a00::/64", "", NOW)
        line(store, "b.a.com", "127.0.0.2", NOW - 9)
        line(store, "77.0.0.1", "127.0.0.2", NOW - 9)
        number = store.purge(source, "why", NOW).id
        for subject in ("5.5.5.5", "a.com", "77.0.0.1"):
            line(store, subject, "", NOW)
        line(store, "5.5.5.0/24", "127.0.0.2", NOW)
        line(store, "5.5.5.0/24", "", NOW)
        store.undo_purge(number, NOW + 5)
        rows = [row for some in store.listing_chunks("ip", b"", b"\xff") for row in some]
        assert {text(subject): codes for subject, codes in rows} == {
            "5.5.5.5": "127.0.0.2", "a.com": "127.0.0.4", "b.a.com": "127.0.0.2"
        }  # fmt: skip
        assert store.listings_of("ip", [parse("a.com")])[parse("a.com")].since == NOW + 5, "the journal says the same"
        assert store.check() == []

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_source_is_live_again_when_the_last_of_its_purges_is_undone(
        self, store: Store, source: int, order: Sequence[int]
    ) -> None:
        """Undoing the first of two let it list again while the second stood; the other way round it never did."""
        say(store, source, "5.5.5.5")
        line(store, "5.5.5.5", "127.0.0.2", NOW)
        numbers = []
        for at in (1, 2):
            say(store, source, "5.5.5.5", at=NOW + at)
            numbers.append(store.purge(source, "why", NOW + at).id)
            store.set_source(source, simulated=True)
            line(store, "5.5.5.5", "", NOW + at)
        store.undo_purge(numbers[order[0]], NOW + 3)
        assert store.sources()[source].simulated
        assert store.listing_count("ip") == 0
        store.undo_purge(numbers[order[1]], NOW + 4)
        assert not store.sources()[source].simulated
        assert store.listing_count("ip") == 1

    def test_a_source_let_live_after_a_purge_is_so_after_the_next_is_undone(self, store: Store, source: int) -> None:
        say(store, source, "5.5.5.5")
        first = store.purge(source, "an old story", NOW).id
        store.set_source(source, simulated=True)
        store.set_source(source, simulated=False)
        say(store, source, "5.5.5.6")
        second = store.purge(source, "a mistake", NOW + 1).id
        store.set_source(source, simulated=True)
        store.undo_purge(second, NOW + 2)
        assert not store.sources()[source].simulated
        store.undo_purge(first, NOW + 3)
        assert not store.sources()[source].simulated

    def test_a_source_that_was_simulated_before_stays_so(self, store: Store, source: int) -> None:
        say(store, source, "5.5.5.5")
        store.set_source(source, simulated=True)
        store.undo_purge(store.purge(source, "why", NOW).id, NOW + 1)
        assert store.sources()[source].simulated

    def test_a_purge_that_took_nothing_is_not_written(self, store: Store, source: int) -> None:
        assert store.purge(source, "why", NOW).id == 0
        assert store.purges() == []
        with pytest.raises(StoreError, match="no purge 0"):
            store.undo_purge(0, NOW + 1)

    def test_who_was_counted_is_known_by_zone_source_and_day(self, store: SqliteStore, source: int) -> None:
        a, b, c = map(parse, ("5.5.5.5", "5.5.5.6", "a.com"))
        store.add_counted(source, 20, "ip", [a, b])
        store.add_counted(source, 25, "ip", [b])
        store.add_counted(source + 1, 20, "ip", [a])
        store.add_counted(source, 20, "domain", [c])
        many = [b"4" + n.to_bytes(4, "big") + b" " for n in range(2000)]
        assert sorted(store.counted("ip", [*many, a, b, c], 20)) == [(a, source), (a, source + 1), (b, source)]
        assert store.counted("ip", [a, b], 21) == [(b, source)]
        assert store.counted("ip", [], 0) == []

    def test_what_was_counted_long_ago_is_forgotten(self, store: SqliteStore, source: int) -> None:
        for day in (100, 131):
            store.add_spread(source, day, "ip", {"": 1})
            store.add_counted(source, day, "ip", [b"4" + day.to_bytes(4, "big") + b" "])
        store.forget_kept("guards", 5 * DAY)
        assert store.rows("SELECT day FROM counted") == [(131,)]

    # samples

    def test_samples_are_found_by_any_of_their_subjects(self, store: Store, source: int) -> None:
        one = store.add_sample(source, "mail", {"subject": "buy"}, [parse("5.5.5.5"), parse("a.com")], NOW)
        two = store.add_sample(source, "arf", {}, [parse("a.com")], NOW + 1)
        store.set_sample(one, {"verdict": "none"})
        asked = [parse("a.com"), parse("5.5.5.5")]
        assert [(s.id, s.kind, s.facts) for s in store.samples(asked, 9)] == [
            (two, "arf", {}), (one, "mail", {"verdict": "none"})
        ]  # fmt: skip
        assert len(store.samples(asked, 1)) == 1
        assert store.samples([], 9) == []

    def test_a_subject_with_enough_samples_gets_no_more(self, store: Store, source: int) -> None:
        kept = [store.add_sample(source, "mail", {}, [parse("a.com")], NOW + n) for n in range(9)]
        assert [bool(number) for number in kept] == [True] * 5 + [False] * 4
        assert store.add_sample(source, "mail", {}, [parse("a.com"), parse("5.5.5.5")], NOW)
        assert len(store.samples([parse("a.com")], 99)) == 5

    # what is forgotten

    @hypo
    @given(claims, claims, st.integers(NOW - 1, NOW + 10))
    def test_forgetting_reports_is_as_if_they_had_not_been(
        self, first: list[Report], others: list[Report], before: int
    ) -> None:
        with tempfile.TemporaryDirectory() as directory:
            store = type(self).opener(Path(directory))
            for name, said in (("partner", first), ("other", others)):
                store.take_reports(store.source(name, "partner", trust=0.5).id, said)
            settle(store)
            kept = [{r for r in said if r.at >= before} for said in (first, others)]
            old = set(first) - kept[0], set(others) - kept[1]
            assert store.forget_reports(before) == len(old[0]) + len(old[1])
            assert store.counts()["report"] == len(kept[0]) + len(kept[1])
            assert store.check() == []
            assert queue(store) == {text(listing_key(r.subject)) for r in old[0] | old[1]}
            left = told(store)
            store.rebuild_evidence()
            assert told(store) == left
            assert store.forget_reports(before) == 0
            store.close()

    def test_forgetting_goes_in_steps(self, store: Store, source: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dnsbl.store.forgetting.SUBJECTS_AT_ONCE", 7)
        old = [f"5.5.{n}.1" for n in range(40)] + [f"2a00:0:0:{n:x}::1" for n in range(40)]
        say(store, source, *old)
        say(store, source, *old[::2], at=NOW + 9)
        assert store.forget_reports(NOW + 1) == 80
        assert store.counts()["evidence"] == 40
        assert store.check() == []

    def test_what_is_forgotten_while_listed_is_touched_and_leaves_by_the_journal(
        self, store: Store, source: int
    ) -> None:
        say(store, source, "5.5.5.5")
        line(store, "5.5.5.5", "127.0.0.2", NOW)
        settle(store)
        store.forget_reports(NOW + 1)
        assert queue(store) == {"5.5.5.5"}
        assert store.check() == []

    def test_the_journal_keeps_what_says_since_when(self, store: Store) -> None:
        for at, codes in enumerate(("127.0.0.2", "", "127.0.0.2", "127.0.0.4")):
            line(store, "5.5.5.5", codes, NOW + at)
        line(store, "5.5.5.6", "127.0.0.2", NOW + 5)
        line(store, "5.5.5.6", "", NOW + 6)
        line(store, "5.5.5.7", "127.0.0.2", NOW + 90)
        assert store.forget_kept("journal", NOW + 50) == 5, "what left long ago kept its last line for ever"
        kept = [(text(c.subject), c.codes) for c in store.changes_since("ip", 0, 99)]
        assert kept == [("5.5.5.5", "127.0.0.4"), ("5.5.5.7", "127.0.0.2")]
        assert store.check() == []

    def test_the_newest_line_stays_as_numbers_only_rise(self, store: Store) -> None:
        line(store, "5.5.5.5", "127.0.0.2", NOW)
        line(store, "5.5.5.5", "", NOW)
        seq = store.change_seq()
        assert store.forget_kept("journal", NOW + 50) == 1
        line(store, "5.5.5.6", "127.0.0.2", NOW)
        assert store.change_seq() == seq + 1

    def test_a_clock_that_went_back_does_not_unsay_a_listing(self, store: Store) -> None:
        line(store, "5.5.5.5", "127.0.0.2", NOW + 60)
        line(store, "5.5.5.5", "", NOW)
        store.forget_kept("journal", NOW + 50)
        line(store, "5.5.5.6", "127.0.0.2", NOW + 70)
        assert store.check() == []

    def test_a_removal_is_kept_while_it_forgives_anything(self, store: Store, source: int) -> None:
        """Where the journal was kept for less time than reports, what a removal had forgiven was listed again."""
        for subject in ("5.5.5.5", "5.5.5.6"):
            say(store, source, subject)
        store.add_exemption(Exemption(parse("5.5.5.5"), "asked", "removal", "ip", NOW + 1, NOW + DAY))
        store.add_exemption(Exemption(parse("5.5.5.9"), "for a week", "operator", "", NOW + 1, NOW + DAY))
        store.touch_due(NOW + 2 * DAY)
        version = store.exemptions_version()
        store.forget_kept("journal", NOW + 3 * DAY)
        assert [e.origin for e in store.exemptions()] == ["removal"]
        assert store.exemptions_version() != version
        store.forget_reports(NOW + 2)
        store.forget_kept("journal", NOW + 3 * DAY)
        assert store.exemptions() == []

    def test_an_exemption_that_has_not_ended_is_not_forgotten(self, store: Store) -> None:
        store.add_exemption(Exemption(parse("5.5.5.5"), "ours", "operator", since=NOW))
        store.add_exemption(Exemption(parse("5.5.5.6"), "ours", "operator", since=NOW, until=NOW + 9 * DAY))
        store.forget_kept("journal", NOW + 8 * DAY)
        assert len(store.exemptions()) == 2

    def test_guards_forget_what_is_old_and_keep_what_a_person_said(self, store: Store, source: int) -> None:
        key = store.add_key("k", b"digest", source, ["report"], NOW, None)
        old, now = NOW - 10 * DAY, NOW
        for at in (old, now):
            store.add_spread(source, at // DAY, "ip", {"": 1})
            store.count_key(key.id, KeyDay(at // DAY, 1, 1, 0, 0))
            store.overturn([source], b"4" + at.to_bytes(4, "big") + b"\x20", at, "why")
            store.add_attempts(source, {b"4" + at.to_bytes(4, "big") + b"\x20": "why"}, at)
        for place, state, until in (
            ("a", "ended", old), ("b", "approved", old), ("c", "approved", now), ("d", "approved", None),
            ("e", "rejected", old), ("f", "held", None), ("g", "ended", now),
        ):  # fmt: skip
            store.put_hold(Hold(0, source, "ip", place, old, 1, None, "why", state, until))
        store.forget_kept("guards", NOW - DAY)
        assert store.listed_since(source, 0) == 1
        assert [use.day for use in store.key_days(key.id, 0)] == [now // DAY]
        assert len(store.overturned(source, 0)) == len(store.attempts(9)) == 1
        assert {hold.place for hold in store.holds()} == {"c", "d", "e", "f", "g"}

    def test_samples_purges_and_the_audit_are_forgotten(self, store: Store, source: int) -> None:
        for at in (NOW, NOW + 5):
            store.add_sample(source, "mail", {}, [parse("a.com")], at)
            say(store, source, "5.5.5.5", at=at)
            store.purge(source, "why", at)
            store.audit(at, "me", "deed", "5.5.5.5", "")
        for kind in ("samples", "purges", "audit"):
            store.forget_kept(kind, NOW + 5)
        assert [s.at for s in store.samples([parse("a.com")], 9)] == [NOW + 5]
        assert [row["at"] for row in store.audit_rows()] == [NOW + 5]
        (left,) = store.purges()
        assert store.undo_purge(left.id, NOW + 6).reports == 1
        assert [row.last_seen for row in told(store)] == [NOW + 5]
