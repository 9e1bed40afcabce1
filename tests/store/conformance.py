"""What any store must do, as tests that take a way to make one: `dnsbl.store.contract` is the text, this is the
proof. A store's own test file derives `Conformance`, says how to open it, and keeps what only concerns itself."""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_deeds import LiveDeeds
from live_hooks import LiveHooks
from live_people import LivePeople
from live_removals import LiveRemovals
from live_sources import LiveSources

from dnsbl.errors import StoreError
from dnsbl.model import CATEGORIES, Report
from dnsbl.store import Decision, Evidence, Exemption, FeedState, ListingRow, Store
from dnsbl.subjects import listing_key, parse, text

NOW = 1_790_000_000
DAY = 86_400

SUBJECTS = ["5.5.5.5", "5.5.5.0/24", "2a00::1", "2a00::2", "2a00::/64", "2a00::/48", "2a00:0:0:0:8000::/65", "a.com"]
reports = st.builds(
    Report,
    subject=st.sampled_from(SUBJECTS).map(parse),
    category=st.sampled_from(["spam", "malware"]),
    at=st.integers(NOW, NOW + 3),
    reporter=st.sampled_from(["", "r1", "r2"]),
    word=st.sampled_from(["", "w"]),
)


def row(subject: str, codes: str = "127.0.0.2", due: int | None = None) -> ListingRow:
    return ListingRow(parse(subject), codes, NOW, due, due)


def listed(store: Store, zone: str, *rows: ListingRow) -> None:
    store.decide(NOW, {zone: Decision(list(rows), [], [(r.subject, r.codes) for r in rows])}, [])


def keys(*subjects: str) -> list[bytes]:
    return [parse(subject) for subject in subjects]


def touched(store: Store) -> set[str]:
    return {text(subject) for subject in store.touched(1_000_000)}


def settle(store: Store) -> None:
    """Empty the queue."""
    store.decide(NOW, {}, store.touched(1_000_000))
    assert store.touched(1) == []


def evidence(store: Store, *subjects: str) -> list[Evidence]:
    return [Evidence(*fields) for fields in store.evidence(keys(*subjects))]


def contents(store: Store) -> dict[str, Counter[tuple[object, ...]]]:
    """The evidence with names for numbers: numbers depend on the order of arrival."""
    found = {}
    for subject in SUBJECTS:
        rows = evidence(store, subject)
        found[subject] = Counter((r.source, r.category, r.hits, r.first_seen, r.last_seen, r.held) for r in rows)
    return found


def folded(source: int, claims: list[Report], categories: dict[int, str]) -> dict[str, Counter[tuple[object, ...]]]:
    """Evidence as the contract says it, one claim after the other."""
    numbers = {name: number for number, name in categories.items()}
    groups: dict[tuple[bytes, str, str], list[int]] = {}
    for report in dict.fromkeys(claims):
        key = (listing_key(report.subject), report.category, report.reporter)
        groups.setdefault(key, []).append(report.at)
    return {
        subject: Counter(
            (source, numbers[category], len(times), min(times), max(times), 0)
            for (listing, category, _), times in groups.items()
            if listing == parse(subject)
        )
        for subject in SUBJECTS
    }


def write_many(opener: Callable[[Path], Store], path: Path, name: str, count: int) -> None:
    """A process of its own that reports."""
    store = opener(path)
    source = store.source(name, "partner", trust=0.5)
    for number in range(count):
        store.take_reports(source.id, [Report(parse(f"5.5.5.{number}"), "spam", NOW, name)])
    store.close()


hypo = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
)


class Conformance(LivePeople, LiveHooks, LiveDeeds, LiveRemovals, LiveSources):
    """Derive, name it Test..., and say how a store is opened in a directory. `opener` is importable by other
    processes."""

    opener: Callable[[Path], Store]

    @pytest.fixture
    def store(self, tmp_path: Path):  # type: ignore[no-untyped-def]
        made = type(self).opener(tmp_path)
        yield made
        made.close()

    @pytest.fixture
    def source(self, store: Store) -> int:
        return store.source("partner", "partner", trust=0.5).id

    # sources and categories

    def test_a_source_is_made_and_updated(self, store: Store) -> None:
        made = store.source("a", "feed", trust=0.25, family="f", redistribute=False)
        assert (made.name, made.kind, made.trust, made.family, made.redistribute) == ("a", "feed", 0.25, "f", False)
        again = store.source("a", "import", trust=0.75)
        assert again.id == made.id
        assert store.sources() == {made.id: again}
        assert (again.kind, again.trust, again.family, again.redistribute) == ("import", 0.75, "a", True)
        kept = store.source("a", "feed", trust=0.1, family="x", keep=True)
        assert kept == again

    @pytest.mark.parametrize("trust", [-0.1, 1.1])
    def test_a_trust_beyond_its_bounds_is_refused(self, store: Store, trust: float) -> None:
        with pytest.raises(StoreError):
            store.source("a", "feed", trust=trust)
        assert store.sources() == {}

    def test_every_category_has_a_number(self, store: Store) -> None:
        assert set(store.categories().values()) == set(CATEGORIES)

    # reports

    @hypo
    @given(st.lists(reports, max_size=20), st.lists(st.integers(0, 20), max_size=3), st.randoms())
    def test_reports_fold_alike_in_any_order_and_any_batches(
        self, claims: list[Report], cuts: list[int], shuffler: random.Random
    ) -> None:
        shuffled = claims * 2
        shuffler.shuffle(shuffled)
        batches = [shuffled[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(shuffled)], strict=True)]
        with tempfile.TemporaryDirectory() as directory:
            store = type(self).opener(Path(directory))
            source = store.source("partner", "partner", trust=0.5).id
            done = [store.take_reports(source, batch) for batch in batches]
            assert sum(d.taken for d in done) == len(set(claims))
            assert sum(d.repeated for d in done) == len(shuffled) - len(set(claims))
            assert contents(store) == folded(source, claims, store.categories())
            assert touched(store) == {text(listing_key(c.subject)) for c in claims}
            assert store.counts()["report"] == len(set(claims))
            before = contents(store)
            store.rebuild_evidence()
            assert contents(store) == before
            assert store.check() == []
            store.close()

    def test_the_same_report_twice_is_one(self, store: Store, source: int) -> None:
        claim = Report(parse("5.5.5.5"), "spam", NOW, "r")
        assert store.take_reports(source, [claim, claim]) == (1, 1)
        settle(store)
        assert store.take_reports(source, [claim]) == (0, 1)
        assert touched(store) == set()
        other = store.source("other", "partner", trust=0.5).id
        different = [
            claim._replace(at=NOW + 1), claim._replace(reporter="q"), claim._replace(word="w"),
            claim._replace(category="malware"), claim._replace(subject=parse("5.5.5.6")),
        ]  # fmt: skip
        assert store.take_reports(source, different) == (5, 0)
        assert store.take_reports(other, [claim]) == (1, 0)

    def test_later_reports_add_up_with_those_before(self, store: Store, source: int) -> None:
        """In each batch several of one reporter, in the second some older and some newer than all before."""
        claim = Report(parse("5.5.5.5"), "spam", NOW, "r")
        store.take_reports(source, [claim._replace(at=NOW + n) for n in (10, 11)])
        store.take_reports(source, [claim._replace(at=NOW + n) for n in (5, 11, 20, 21)])
        (one,) = evidence(store, "5.5.5.5")
        assert (one.hits, one.first_seen, one.last_seen) == (5, NOW + 5, NOW + 21)

    def test_reports_may_come_as_a_stream(self, store: Store, source: int) -> None:
        claims = (Report(parse(f"5.5.{n >> 8}.{n & 255}"), "spam", NOW) for n in range(3000))
        assert store.take_reports(source, claims) == (3000, 0)

    def test_a_stream_that_breaks_leaves_nothing(self, store: Store, source: int) -> None:
        def stream():  # type: ignore[no-untyped-def]
            yield Report(parse("5.5.5.5"), "spam", NOW)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            store.take_reports(source, stream(), ("key", "answer"))
        assert store.counts()["report"] == 0
        assert touched(store) == set()
        assert store.idempotent_answer("key") is None
        assert store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW)]) == (1, 0)

    def test_an_answer_is_remembered_with_its_reports(self, store: Store, source: int) -> None:
        claim = Report(parse("5.5.5.5"), "spam", NOW)
        store.take_reports(source, [claim], ("key", "answer"))
        assert store.idempotent_answer("key") == "answer"
        assert store.idempotent_answer("another") is None
        with pytest.raises(StoreError):  # another request under the same key, at the same time
            store.take_reports(source, [claim._replace(at=NOW + 1)], ("key", "other answer"))
        assert store.idempotent_answer("key") == "answer"
        assert store.counts()["report"] == 1

    def test_reports_of_ipv6_hosts_are_kept_and_folded_to_the_64(self, store: Store, source: int) -> None:
        store.take_reports(source, [Report(parse(s), "spam", NOW) for s in ("2a00::1", "2a00::2", "2a00::/65")])
        assert evidence(store, "2a00::1") == []
        (one,) = evidence(store, "2a00::/64")
        assert one.hits == 3
        assert store.counts()["report"] == 3
        assert touched(store) == {"2a00::/64"}
        store.rebuild_evidence()
        assert evidence(store, "2a00::/64") == [one]

    def test_unmapped_words_are_counted(self, store: Store, source: int) -> None:
        store.take_reports(source, [Report(parse("5.5.5.5"), "other", NOW + n, "", "odd") for n in range(3)])
        store.take_reports(source, [Report(parse("5.5.5.5"), "other", NOW, "", "even")])
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW, "", "spam")])
        assert store.unmapped_words() == {"partner": {"odd": 3, "even": 1}}

    # evidence

    def test_evidence_comes_in_its_order(self, store: Store) -> None:
        sources = [store.source(name, "partner", trust=0.5).id for name in "ab"]
        for source in reversed(sources):
            store.replace_entries(source, dict.fromkeys(keys("5.5.5.5", "5.5.5.6"), 1), {}, "spam", NOW)
            for category in ("malware", "spam"):
                claims = [Report(s, category, NOW, r) for s in keys("5.5.5.5", "5.5.5.6") for r in "qp"]
                store.take_reports(source, claims)
        asked = keys("5.5.5.6", "6.6.6.6", "5.5.5.5")
        rows = [Evidence(*fields) for fields in store.evidence(asked)]
        assert rows == sorted(rows, key=lambda r: (r.reporter == 0, r.place, r.source, r.category, r.reporter))
        assert {r.place for r in rows} == {0, 2}
        assert len(rows) == 2 * 2 * (2 * 2 + 1)
        assert store.evidence([]) == []

    def test_the_same_list_of_subjects_may_be_asked_after_it_changed(self, store: Store, source: int) -> None:
        store.take_reports(source, [Report(s, "spam", NOW) for s in keys("5.5.5.5", "5.5.5.6")])
        asked = keys("5.5.5.5")
        assert len(store.evidence(asked)) == 1
        asked.append(parse("5.5.5.6"))
        assert len(store.evidence(asked)) == 2
        asked[:] = keys("9.9.9.9")
        assert store.evidence(asked) == []

    # lists

    def test_a_list_is_replaced_and_only_what_differs_changes(self, store: Store, source: int) -> None:
        first = {parse(f"5.5.5.{n}"): n for n in range(1, 9)}
        assert store.replace_entries(source, first, {}, "spam", NOW) == (8, 0, 0, 8)
        assert touched(store) == {f"5.5.5.{n}" for n in range(1, 9)}
        settle(store)
        assert store.replace_entries(source, first, {}, "spam", NOW + 1) == (0, 0, 0, 8)
        assert touched(store) == set()
        second = {s: h for s, h in first.items() if h > 2} | {parse("5.5.5.8"): 99, parse("6.6.6.6"): 1}
        assert store.replace_entries(source, second, {}, "spam", NOW + 2) == (1, 2, 1, 7)
        assert touched(store) == {"5.5.5.1", "5.5.5.2", "5.5.5.8", "6.6.6.6"}
        rows = {s: evidence(store, s)[0] for s in ("5.5.5.1", "5.5.5.3", "5.5.5.8", "6.6.6.6")}
        seen = {s: (r.hits, r.first_seen, r.last_seen, r.held) for s, r in rows.items()}
        assert seen == {
            "5.5.5.1": (1, NOW, NOW + 2, 0),  # decays from when the list let go
            "5.5.5.3": (3, NOW, NOW, 1),
            "5.5.5.8": (99, NOW, NOW, 1),
            "6.6.6.6": (1, NOW + 2, NOW + 2, 1),
        }

    def test_a_mark_of_leaving_stays_where_it_is(self, store: Store, source: int) -> None:
        store.replace_entries(source, {parse("5.5.5.5"): 1}, {}, "spam", NOW)
        assert store.replace_entries(source, {}, {}, "spam", NOW + 5).left == 1
        settle(store)
        assert store.replace_entries(source, {}, {}, "spam", NOW + 9) == (0, 0, 0, 0)
        assert touched(store) == set()
        assert evidence(store, "5.5.5.5")[0].last_seen == NOW + 5

    def test_what_comes_back_is_held_again(self, store: Store, source: int) -> None:
        store.replace_entries(source, {parse("5.5.5.5"): 1}, {}, "spam", NOW)
        store.replace_entries(source, {}, {}, "spam", NOW + 5)
        assert store.replace_entries(source, {parse("5.5.5.5"): 3}, {}, "malware", NOW + 9) == (1, 0, 0, 1)
        (one,) = evidence(store, "5.5.5.5")
        assert (one.hits, one.first_seen, one.held, store.categories()[one.category]) == (3, NOW + 9, 1, "malware")

    def test_a_lists_own_categories_count_before_the_default(self, store: Store, source: int) -> None:
        hits = dict.fromkeys(keys("5.5.5.5", "5.5.5.6"), 1)
        store.replace_entries(source, hits, {parse("5.5.5.6"): "malware"}, "spam", NOW)
        found = [store.categories()[r.category] for r in evidence(store, "5.5.5.5", "5.5.5.6")]
        assert found == ["spam", "malware"]
        assert store.replace_entries(source, hits, {}, "spam", NOW).changed == 1

    def test_lists_do_not_touch_one_another(self, store: Store, source: int) -> None:
        other = store.source("other", "feed", trust=0.5).id
        store.replace_entries(source, {parse("5.5.5.5"): 1}, {}, "spam", NOW)
        store.replace_entries(other, {parse("5.5.5.5"): 1, parse("6.6.6.6"): 1}, {}, "spam", NOW)
        assert store.replace_entries(other, {}, {}, "spam", NOW + 1).left == 2
        assert [r.held for r in evidence(store, "5.5.5.5")] == [1, 0]

    @pytest.mark.parametrize("order", [1, -1])
    def test_hosts_of_one_64_in_a_list_are_one_with_the_most_hits(self, store: Store, source: int, order: int) -> None:
        hosts = [("2a00::1", 7, "malware"), ("2a00::2", 3, "spam"), ("2a00::3", 5, "spam")][::order]
        hits = {parse(host): count for host, count, _ in hosts}
        words = {parse(host): category for host, _, category in hosts}
        assert store.replace_entries(source, hits, words, "other", NOW) == (1, 0, 0, 1)
        (one,) = evidence(store, "2a00::/64")
        assert (one.hits, store.categories()[one.category]) == (7, "malware")

    def test_counts_beyond_any_sense_are_cut(self, store: Store, source: int) -> None:
        store.replace_entries(source, {parse("5.5.5.5"): 10**12}, {}, "spam", NOW)
        assert evidence(store, "5.5.5.5")[0].hits == 1000

    def test_entries_that_left_are_forgotten_in_time(self, store: Store, source: int) -> None:
        store.replace_entries(source, dict.fromkeys(keys("5.5.5.5", "5.5.5.6", "5.5.5.7"), 1), {}, "spam", NOW)
        store.replace_entries(source, dict.fromkeys(keys("5.5.5.6", "5.5.5.7"), 1), {}, "spam", NOW + 1)
        store.replace_entries(source, dict.fromkeys(keys("5.5.5.7"), 1), {}, "spam", NOW + 2)
        settle(store)
        assert store.forget_entries(source, NOW + 1) == 0
        assert store.forget_entries(source, NOW + 2) == 1
        assert touched(store) == {"5.5.5.5"}
        assert evidence(store, "5.5.5.5") == []
        assert len(evidence(store, "5.5.5.6", "5.5.5.7")) == 2

    # the queue

    def test_the_queue_survives(self, store: Store, tmp_path: Path) -> None:
        store.touch(keys("5.5.5.5", "a.com"))
        store.touch(keys("5.5.5.5"))
        store.close()
        again = type(self).opener(tmp_path)
        assert touched(again) == {"5.5.5.5", "a.com"}
        assert len(again.touched(1)) == 1
        again.decide(NOW, {}, keys("a.com"))
        assert touched(again) == {"5.5.5.5"}
        again.close()

    def test_touch_all_is_everything_that_is_or_could_be_listed(self, store: Store, source: int) -> None:
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW)])
        store.replace_entries(source, {parse("6.6.6.6"): 1}, {}, "spam", NOW)
        listed(store, "ip", row("7.7.7.7"))
        settle(store)
        assert store.touch_all() == 3
        assert touched(store) == {"5.5.5.5", "6.6.6.6", "7.7.7.7"}

    def test_what_is_due_is_touched(self, store: Store) -> None:
        rows = [row("5.5.5.1", due=NOW), row("5.5.5.2", due=NOW + 1), row("5.5.5.3")]
        listed(store, "ip", *rows)
        assert store.touch_due(NOW - 1) == 0
        assert touched(store) == set()
        assert store.touch_due(NOW) == 1
        assert touched(store) == {"5.5.5.1"}
        store.touch_due(NOW + 1)
        assert touched(store) == {"5.5.5.1", "5.5.5.2"}

    @pytest.mark.parametrize(
        ("exempt", "inside", "outside"),
        [
            ("5.5.5.0/24", ["5.5.5.0", "5.5.5.255", "5.5.5.128/25", "5.5.5.0/24"], ["5.5.4.255", "5.5.6.0", "a.com"]),
            ("2a00::/64", ["2a00::/64"], ["2a00:0:0:1::/64", "29ff::/16"]),
            ("2a00::/48", ["2a00::/64", "2a00:0:0:ffff::/64"], ["2a00:0:1::/64"]),
            ("example.com", ["example.com", "a.example.com", "z.a.example.com"], ["example-x.com", "examples.com"]),
            ("com.example", ["com.example", "a.com.example"], ["com-x.example", "a.com-x.example", "comx.example"]),
        ],
    )  # fmt: skip
    def test_an_exemption_touches_what_is_inside_and_nothing_beside(
        self, store: Store, source: int, exempt: str, inside: list[str], outside: list[str]
    ) -> None:
        subjects = [*inside, *outside]
        store.take_reports(source, [Report(parse(s), "spam", NOW) for s in subjects[::2]])
        store.replace_entries(source, {parse(s): 1 for s in subjects[1::2]}, {}, "spam", NOW)
        listed(store, "zone", *(row(s) for s in subjects))
        settle(store)
        store.add_exemption(Exemption(parse(exempt), "why", "operator", since=NOW))
        assert set(inside) <= touched(store)
        assert touched(store).isdisjoint(outside)
        settle(store)
        store.remove_exemption(parse(exempt))
        assert set(inside) <= touched(store)
        assert touched(store).isdisjoint(outside)

    def test_an_exemption_within_a_listing_touches_the_listing(self, store: Store) -> None:
        listed(store, "ip", row("5.5.5.0/24"), row("5.0.0.0/8"), row("2a00::/48"))
        listed(store, "names", row("example.com"))
        for subject in ("5.5.5.5", "2a00::1", "a.b.example.com"):
            store.add_exemption(Exemption(parse(subject), "why", "operator"))
        assert {"5.5.5.0/24", "5.0.0.0/8", "2a00::/48", "example.com"} <= touched(store)

    def test_an_exemption_touches_what_its_own_change_has_listed(self, store: Store) -> None:
        with store.transaction():
            store.decide(NOW, {"new": Decision([row("5.5.5.5")], [], [])}, [])
            store.add_exemption(Exemption(parse("5.5.5.0/24"), "why", "operator"))
        assert "5.5.5.5" in touched(store)

    # exemptions

    def test_exemptions_are_kept_as_given(self, store: Store) -> None:
        given_one = Exemption(parse("5.5.5.5"), "because", "operator", "ip", NOW, NOW + 9)
        store.add_exemption(given_one)
        (kept,) = store.exemptions()
        assert replace(kept, id=0) == given_one
        store.add_exemption(replace(given_one, reason="other", until=None))
        (kept,) = store.exemptions()
        assert (kept.reason, kept.until) == ("other", None)
        store.add_exemption(replace(given_one, zone=""))
        store.add_exemption(replace(given_one, origin="removal"))
        assert len(store.exemptions()) == 3
        assert store.remove_exemption(parse("5.5.5.5")) == 2
        assert [e.origin for e in store.exemptions()] == ["removal"]
        assert store.remove_exemption(parse("5.5.5.5")) == 0
        assert store.remove_exemption(parse("5.5.5.5"), "removal") == 1

    def test_the_version_changes_whenever_exemptions_do(self, store: Store) -> None:
        versions = [store.exemptions_version()]

        def changed() -> bool:
            versions.append(store.exemptions_version())
            return versions[-1] not in versions[:-1]

        store.add_exemption(Exemption(parse("5.5.5.5"), "why", "operator", until=NOW + 5))
        assert changed()
        store.replace_exemptions("list", keys("6.6.6.6"), "shared", NOW)
        assert changed()
        store.replace_exemptions("list", keys("6.6.6.6"), "shared", NOW)
        assert not changed()
        store.touch_due(NOW + 5)
        assert changed()
        store.touch_due(NOW + 6)
        assert not changed()
        store.remove_exemption(parse("9.9.9.9"))
        assert not changed()
        store.remove_exemption(parse("5.5.5.5"))
        assert changed()

    def test_an_exemption_that_ends_touches_once_and_is_journalled(self, store: Store, source: int) -> None:
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW)])
        store.add_exemption(Exemption(parse("5.5.5.0/24"), "why", "operator", since=NOW, until=NOW + 5))
        settle(store)
        seq = store.change_seq()
        store.touch_due(NOW + 4)
        assert touched(store) == set()
        store.touch_due(NOW + 5)
        assert "5.5.5.5" in touched(store)
        assert [c.subject for c in store.changes_since("ip", seq, 9)] == keys("5.5.5.0/24")
        settle(store)
        store.touch_due(NOW + 6)
        assert touched(store) == set()
        store.add_exemption(Exemption(parse("5.5.5.0/24"), "again", "operator", since=NOW + 7, until=NOW + 9))
        settle(store)
        store.touch_due(NOW + 9)
        assert "5.5.5.5" in touched(store)

    def test_a_list_of_exemptions_is_replaced(self, store: Store) -> None:
        store.add_exemption(Exemption(parse("5.5.5.5"), "ours", "operator"))
        assert store.replace_exemptions("list", keys("5.5.5.5", "6.6.6.6"), "shared", NOW) == (2, 0, 0, 2)
        assert store.replace_exemptions("list", keys("6.6.6.6", "7.7.7.7"), "shared", NOW) == (1, 1, 0, 2)
        found = {(text(e.subject), e.origin) for e in store.exemptions()}
        assert found == {("5.5.5.5", "operator"), ("6.6.6.6", "list"), ("7.7.7.7", "list")}

    def test_exemptions_are_journalled_for_every_zone(self, store: Store) -> None:
        listed(store, "ip", row("5.5.5.5"))
        seq = store.change_seq()
        store.add_exemption(Exemption(parse("6.6.6.6"), "why", "operator"))
        store.replace_exemptions("list", keys("7.7.7.7"), "shared", NOW)
        store.remove_exemption(parse("6.6.6.6"))
        for zone in ("ip", "another"):
            assert [text(c.subject) for c in store.changes_since(zone, seq, 9)] == ["6.6.6.6", "7.7.7.7", "6.6.6.6"]

    # listings

    def test_decisions_are_written_journalled_and_settled(self, store: Store) -> None:
        store.touch(keys("5.5.5.5", "5.5.5.6", "5.5.5.7"))
        ip = Decision([row("5.5.5.5"), row("5.5.5.6", due=NOW + 5)], [], [(parse("5.5.5.5"), "127.0.0.2")])
        other = Decision([row("5.5.5.5", "127.0.0.9")], [], [(parse("5.5.5.5"), "127.0.0.9")])
        store.decide(NOW + 3, {"ip": ip, "other": other}, keys("5.5.5.5", "5.5.5.6"))
        assert touched(store) == {"5.5.5.7"}
        asked = keys("5.5.5.6", "5.5.5.5", "9.9.9.9")
        assert store.listings_of("ip", asked) == {r.subject: r for r in ip.written}
        assert store.listings_of("other", asked) == {parse("5.5.5.5"): other.written[0]}
        assert store.listings_of("nowhere", asked) == {}
        (change,) = store.changes_since("ip", 0, 9)
        assert change[1:] == (NOW + 3, "ip", parse("5.5.5.5"), "127.0.0.2")
        store.decide(NOW + 4, {"ip": Decision([row("5.5.5.5", "127.0.0.3")], keys("5.5.5.6"), [])}, [])
        assert store.listings_of("ip", asked) == {parse("5.5.5.5"): row("5.5.5.5", "127.0.0.3")}
        assert (store.listing_count("ip"), store.listing_count("other"), store.listing_count("no")) == (1, 1, 0)
        assert store.zones_listed() == {"ip", "other"}

    def test_a_decision_that_fails_leaves_nothing(self, store: Store) -> None:
        store.touch(keys("5.5.5.5"))
        bad = Decision([row("5.5.5.5"), ListingRow(parse("5.5.5.6"), None, NOW, None, None)], [], [])  # type: ignore[arg-type]
        with pytest.raises(StoreError):
            store.decide(NOW, {"ip": Decision([row("6.6.6.6")]), "other": bad}, keys("5.5.5.5"))
        assert store.zones_listed() == set()
        assert touched(store) == {"5.5.5.5"}

    def test_changes_are_numbered_and_read_from_a_number_on(self, store: Store) -> None:
        assert store.change_seq() == 0
        for number in range(5):
            listed(store, "ip" if number % 2 else "other", row(f"5.5.5.{number}"))
        assert store.change_seq() == 5
        assert [c.seq for c in store.changes_since("other", 0, 9)] == [1, 3, 5]
        assert [c.seq for c in store.changes_since("other", 1, 9)] == [3, 5]
        assert [c.seq for c in store.changes_since("other", 0, 2)] == [1, 3]
        assert store.changes_since("ip", 5, 9) == []

    def test_chunks_are_ascending_and_within_their_bounds(self, store: Store) -> None:
        subjects = ["5.5.5.0/24", "5.5.5.5", "9.9.9.9", "2a00::/64", "a.com", "b.a.com", "a-b.com"]
        listed(store, "all", *(row(s) for s in subjects))
        listed(store, "other", row("7.7.7.7"))

        def read(low: bytes, high: bytes) -> list[bytes]:
            return [s for chunk in store.listing_chunks("all", low, high) for s, _ in chunk]

        assert read(b"", b"\xff") == sorted(keys(*subjects))
        assert {text(s) for s in read(b"4", b"4\xff")} == {"5.5.5.0/24", "5.5.5.5", "9.9.9.9"}
        assert {text(s) for s in read(b"6", b"7")} == {"2a00::/64"}
        five, nine = keys("5.5.5.5", "9.9.9.9")
        assert read(five, nine) == [five]
        assert read(nine, five) == []

    def test_chunks_are_of_one_moment(self, store: Store) -> None:
        listed(store, "ip", *(row(f"5.5.{n >> 8}.{n & 255}") for n in range(1000)))
        chunks = store.listing_chunks("ip", b"", b"\xff")
        seen = list(next(chunks))
        store.decide(NOW, {"ip": Decision([row("6.6.6.6")], keys("5.5.3.231"), [])}, [])
        assert len(store.listings_of("ip", keys("6.6.6.6", "5.5.3.231"))) == 1
        seen += [r for chunk in chunks for r in chunk]
        assert len(seen) == 1000
        assert parse("6.6.6.6") not in dict(seen)

    def test_listings_touching_are_those_at_above_and_inside(self, store: Store) -> None:
        subjects = [
            "5.0.0.0/8", "5.5.0.0/16", "5.5.5.0/24", "5.5.5.0", "5.5.5.5", "5.5.6.0/24", "5.5.4.0/24", "6.6.6.6",
            "2a00::/48", "2a00::/64", "2a00:0:0:1::/64", "a.com", "b.a.com", "c.b.a.com", "a-x.com", "x.com",
        ]  # fmt: skip
        listed(store, "all", *(row(s) for s in subjects))
        listed(store, "other", *(row(s) for s in subjects))
        for asked, expected in {
            "5.5.5.0/24": {"5.0.0.0/8", "5.5.0.0/16", "5.5.5.0/24", "5.5.5.0", "5.5.5.5"},
            "5.5.5.5": {"5.0.0.0/8", "5.5.0.0/16", "5.5.5.0/24", "5.5.5.5"},
            "5.5.4.0/23": {"5.0.0.0/8", "5.5.0.0/16", "5.5.4.0/24", "5.5.5.0/24", "5.5.5.0", "5.5.5.5"},
            "2a00::/63": {"2a00::/48", "2a00::/64", "2a00:0:0:1::/64"},
            "2a00::1": {"2a00::/48", "2a00::/64"},
            "b.a.com": {"a.com", "b.a.com", "c.b.a.com"},
            "q.a.com": {"a.com"},
            "7.7.7.7": set(),
        }.items():
            found = [text(s) for s, _ in store.listings_touching("all", parse(asked))]
            assert len(found) == len(set(found))
            assert set(found) >= expected, asked
            beyond = set(found) - expected  # wider ones that start at the same address do no harm
            assert all(a == "5.5.5.0/24" or "/" in a for a in beyond), (asked, beyond)

    def test_listings_touching_many_are_those_touching_each(self, store: Store) -> None:
        """Any others are no single hosts."""
        four = keys("5.0.0.0/8", "5.5.5.0/24", "5.5.5.0", "5.5.5.5", "6.6.6.6", "6.6.0.0/16")
        six = keys("2a00::/48", "2a00::/64", "2a00:0:0:1::/64", "2a01::/64")
        listed(store, "all", *(row(text(key)) for key in (*four, *six)))
        listed(store, "other", row("5.5.5.6"))
        assert store.listings_touching_many("all", []) == {}
        for asked in (
            keys("5.5.5.5"),
            keys("5.5.5.0/24", "7.7.7.7"),
            keys("2a00::/64"),
            keys("2a00::/63", "2a02::/32"),
        ):
            found = store.listings_touching_many("all", asked)
            each = {subject: codes for network in asked for subject, codes in store.listings_touching("all", network)}
            assert found.items() >= each.items()
            assert all(key[-1] != (64 if key[:1] == b"6" else 32) for key in found.keys() - each.keys())
            assert {key[:1] for key in found} <= {asked[0][:1]}

    def test_an_identity_is_kept_and_is_its_own(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = type(self).opener(tmp_path / "other")
        again = type(self).opener(tmp_path)
        assert store.identity() == again.identity() != other.identity()
        other.close()
        again.close()

    # feeds, keys, audit

    def test_a_feeds_state_is_remembered(self, store: Store) -> None:
        state = FeedState("f", "ok", "", "etag", "date", "d", 5, NOW, NOW, NOW, 2, 3, {"odd": 7})
        store.put_feed_state(FeedState("g"))
        store.put_feed_state(state)
        assert store.feed_states() == {"f": state, "g": FeedState("g")}
        store.put_feed_state(replace(state, state="failed", entries=None, unmapped={}))
        assert store.feed_states()["f"].state == "failed"
        assert store.feed_states()["f"].entries is None

    def test_keys_are_found_used_and_revoked(self, store: Store, source: int) -> None:
        made = store.add_key("k", b"digest", source, ["report", "read"], NOW, NOW + 9)
        store.add_key("l", b"other", source, [], NOW, None)
        assert made == store.key_by_digest(b"digest")
        assert (made.name, made.source, made.scopes, made.created) == ("k", source, ["report", "read"], NOW)
        assert (made.expires, made.last_used, made.revoked) == (NOW + 9, None, None)
        store.key_used(made.id, NOW + 3)
        assert store.revoke_key("k", NOW + 4) == 1
        assert store.revoke_key("k", NOW + 5) == 0
        assert store.revoke_key("nobody", NOW) == 0
        found = store.key_by_digest(b"digest")
        assert found is not None
        assert (found.last_used, found.revoked) == (NOW + 3, NOW + 4)
        assert [k.name for k in store.all_keys()] == ["k", "l"]
        assert store.key_by_digest(b"nothing") is None

    @pytest.mark.parametrize(("name", "digest"), [("k", b"other"), ("other", b"digest")])
    def test_a_key_is_made_once(self, store: Store, source: int, name: str, digest: bytes) -> None:
        store.add_key("k", b"digest", source, [], NOW, None)
        with pytest.raises(StoreError):
            store.add_key(name, digest, source, [], NOW, None)
        assert len(store.all_keys()) == 1

    def test_deeds_are_audited_newest_first(self, store: Store) -> None:
        for number in range(4):
            store.audit(NOW + number, "me", "delist", f"5.5.5.{number}", "asked")
        rows = store.audit_rows(3)
        assert [r["subject"] for r in rows] == ["5.5.5.3", "5.5.5.2", "5.5.5.1"]
        newest = {"at": NOW + 3, "who": "me", "what": "delist", "subject": "5.5.5.3", "why": "asked"}
        assert {name: rows[0][name] for name in newest} == newest

    # keeping

    def test_a_new_store_is_clean_and_empty(self, store: Store) -> None:
        assert store.check() == []
        assert set(store.counts().values()) == {0}
        assert store.exemptions() == []
        assert store.touched(9) == []
        assert store.zones_listed() == set()

    def test_a_backup_is_a_store(self, store: Store, source: int, tmp_path: Path) -> None:
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW)])
        (tmp_path / "copy").mkdir()
        target = tmp_path / "copy" / "store.sqlite"
        store.backup(target)
        with pytest.raises(StoreError, match="exists"):
            store.backup(target)
        assert [p.name for p in target.parent.iterdir()] == ["store.sqlite"]
        copy = type(self).opener(tmp_path / "copy")
        assert copy.counts() == store.counts()
        assert copy.identity() != store.identity(), "restored, it goes its own way: no base for the other's deltas"
        assert copy.check() == []
        copy.close()
        with pytest.raises(StoreError):
            store.backup(tmp_path / "nowhere" / "copy")

    # at once

    def test_readers_do_not_wait_for_a_writer(self, store: Store, source: int) -> None:
        """A stream of reports that takes its time: meanwhile other threads read what was there before."""
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW)])
        inside, go_on = threading.Event(), threading.Event()

        def stream():  # type: ignore[no-untyped-def]
            yield Report(parse("6.6.6.6"), "spam", NOW)
            inside.set()
            assert go_on.wait(60)

        writer = threading.Thread(target=lambda: store.take_reports(source, stream()), daemon=True)
        writer.start()
        assert inside.wait(60)
        assert store.counts()["report"] == 1
        assert len(store.evidence(keys("5.5.5.5", "6.6.6.6"))) == 1
        assert touched(store) == {"5.5.5.5"}
        go_on.set()
        writer.join(60)
        assert store.counts()["report"] == 2

    def test_threads_take_turns(self, store: Store, source: int) -> None:
        def work(number: int) -> None:
            for turn in range(20):
                claims = [Report(parse(f"5.{number}.{turn}.{n}"), "spam", NOW, f"r{turn}") for n in range(5)]
                store.take_reports(source, claims)
                assert len(store.evidence([c.subject for c in claims])) == 5

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert store.counts()["report"] == 4 * 20 * 5
        assert store.check() == []

    def test_two_processes_write(self, store: Store, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=write_many, args=(type(self).opener, tmp_path, name, 40), daemon=True)
            for name in ("one", "two")
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
            assert worker.exitcode == 0
        assert store.counts()["report"] == 80
        assert {s.name for s in store.sources().values()} == {"one", "two"}
        assert {r.hits for r in evidence(store, "5.5.5.0")} == {1}
        assert store.check() == []
