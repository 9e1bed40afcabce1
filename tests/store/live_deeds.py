"""What the desk needs of any store, mixed into `conformance.Conformance`: the trail of deeds, what needs two people,
reads that are bounded, and the counts that statistics are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from live_people import AT_ONCE, at_once

from dnsbl.model import Report
from dnsbl.store import Decision, Exemption, FeedState, ListingRow, Store
from dnsbl.store.contract import Asked
from dnsbl.subjects import parse, text

NOW = 1_790_000_000
DAY = 86_400
NESTED = [
    "0.0.0.0/0", "5.0.0.0/8", "5.5.0.0/16", "5.5.5.0/24", "5.5.5.0/25", "5.5.5.0", "5.5.5.255", "5.5.6.0/24",
    "6.0.0.0/8", "2a00::/16", "2a00::/64", "2a00:0:0:1::/64", "a.com", "b.a.com", "c.b.a.com", "ba.com", "a.com.de",
]  # fmt: skip


def lies_in(inner: str, outer: str) -> bool:
    """Whether a subject is another or lies in it: networks as the standard library has it, names by their labels."""
    if inner[0].isdigit() != outer[0].isdigit():
        return False
    if not inner[0].isdigit():
        return f".{inner}".endswith(f".{outer}")
    one, other = ip_network(inner), ip_network(outer)
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def audited(store: Store, *deeds: tuple[str, str]) -> None:
    for number, (who, subject) in enumerate(deeds):
        store.audit(NOW + number, who, "allow", subject, f"{number}")


def whys(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [row["why"] for row in rows]


def numbers(exemptions: Iterable[Exemption]) -> list[int]:
    return [each.id for each in exemptions]


def journalled(store: Store, at: int, zone: str, *changes: tuple[str, str]) -> None:
    store.decide(at, {zone: Decision([], [], [(parse(subject), codes) for subject, codes in changes])}, [])


def rows_of(*subjects: str, codes: str = "127.0.0.2") -> list[ListingRow]:
    return [ListingRow(parse(subject), codes, NOW, NOW + DAY, None) for subject in subjects]


def written(store: Store, zone: str, rows: list[ListingRow]) -> None:
    store.decide(NOW, {zone: Decision([tuple(row) for row in rows], [], [])}, [])


class LiveDeeds:
    """Mixed into `Conformance`, which says what `opener`, `store` and `source` are."""

    opener: Callable[[Path], Store]

    # the trail

    def test_the_trail_is_read_from_its_beginning_and_by_pages(self, store: Store, tmp_path: Path) -> None:
        audited(store, *[("anna", "x"), ("ben", "y ä'\0"), ("anna", "y ä'\0"), ("anna", "z")])
        with closing(type(self).opener(tmp_path)) as again:
            trail = [deed for chunk in again.audit_trail() for deed in chunk]
            assert [deed._asdict() for deed in trail] == again.audit_rows()[::-1]
        assert trail[1][1:6] == (NOW + 1, "ben", "allow", "y ä'\0", "1")
        assert trail == sorted(trail, key=lambda deed: deed.id)
        assert whys(store.audit_rows(1, before=trail[3].id)) == ["2"]
        assert whys(store.audit_rows(who="anna", subjects=["x", "z"])) == ["3", "0"]
        assert whys(store.audit_rows(since=NOW + 2)) == ["3", "2"]
        assert [deed.why for chunk in store.audit_trail(NOW + 2) for deed in chunk] == ["2", "3"]

    def test_a_deed_is_there_with_what_was_done_or_not_at_all(self, store: Store) -> None:
        audited(store, ("anna", "x"))
        with pytest.raises(RuntimeError), store.transaction():
            store.audit(NOW, "anna", "allow", "5.5.5.5", "")
            store.add_exemption(Exemption(parse("5.5.5.5"), "why", "operator"))
            store.second("a deed", "anna", NOW, NOW)
            raise RuntimeError
        assert (whys(store.audit_rows()), store.exemptions(), store.asked(0)) == (["0"], [], [])
        store.audit(NOW, "anna", "allow", "y", "1")
        assert whys(store.audit_rows()) == ["1", "0"]
        assert store.check() == []

    def test_what_is_called_so_comes_before_what_begins_so(self, store: Store) -> None:
        audited(store, ("anna", "46.0.0.1"), ("46.0.0.1", "x"), *[("ben", "46.0.0.10")] * 3, ("anna", "46.0.0.1"))
        assert whys(store.audit_starting("46.0.0.1", 3))[:3] == ["5", "1", "0"]
        found = whys(store.audit_starting("46.0.0.1", 9))
        assert (found[:3], set(found[3:])) == (["5", "1", "0"], {"2", "3", "4"})
        assert len(store.audit_starting("46.0.0.1", 4)) == 4
        assert whys(store.audit_starting("ben", 2)) == ["4", "3"]

    @pytest.mark.parametrize("text", ["%", "_", "46*", "46.0.0.1'", "b", "\U0010ffff"])
    def test_what_is_looked_for_is_text_and_no_pattern(self, store: Store, text: str) -> None:
        audited(store, ("ben", "46.0.0.1"), ("anna", "a.com"))
        assert store.audit_starting(text, 9) == []

    # switches and second people

    def test_a_feed_is_switched_until_it_is_as_its_file_says(self, store: Store) -> None:
        for on in (False, True, None):
            store.switch_feed("mine", on)
            store.put_feed_state(FeedState("mine", "ok", switched=not on))
            assert store.feed_states()["mine"] == FeedState("mine", "ok", switched=on)

    def test_a_deed_needs_another_person(self, store: Store, tmp_path: Path) -> None:
        assert not store.second("purge acme", "anna", NOW, NOW - 9)
        assert not store.second("purge acme", "anna", NOW + 1, NOW - 8), "the same person is not another"
        assert not store.second("purge other", "ben", NOW + 2, NOW - 7), "nor is one who asks for another deed"
        with closing(type(self).opener(tmp_path)) as again:
            assert again.second("purge acme", "ben", NOW + 3, NOW - 6)
        assert store.asked(NOW) == [Asked("purge other", "ben", NOW + 2)]
        assert not store.second("purge acme", "ben", NOW + 4, NOW), "it was done: it begins anew"

    def test_who_asked_too_long_ago_did_not_ask(self, store: Store) -> None:
        store.second("a deed", "anna", NOW, NOW)
        assert not store.second("a deed", "ben", NOW + 9, NOW + 1)
        assert store.second("a deed", "anna", NOW + 10, NOW + 9), "at `since` is in time"

    def test_of_many_first_people_at_once_only_pairs_may(self, store: Store) -> None:
        allowed = at_once(lambda number: store.second("a deed", f"person {number}", NOW, NOW))
        assert allowed == [False] * (AT_ONCE // 2) + [True] * (AT_ONCE // 2)
        assert store.asked(NOW) == []

    def test_what_waits_is_told_the_newest_first(self, store: Store) -> None:
        for at, deed in ((2, "b"), (1, "a"), (3, "c")):
            store.second(deed, "anna", NOW + at, NOW)
        assert store.asked(NOW + 2) == [Asked("c", "anna", NOW + 3), Asked("b", "anna", NOW + 2)]

    # bounded reads

    def test_exemptions_come_page_by_page_the_newest_first(self, store: Store) -> None:
        for n in range(6):
            store.add_exemption(Exemption(parse(f"5.5.5.{n}"), "why", ("operator", "list")[n % 2], "ip", NOW, NOW + n))
        newest = store.exemptions()[::-1]
        assert numbers(newest) == sorted(numbers(newest), reverse=True)
        assert store.exemption_page(4) == newest[:4]
        assert store.exemption_page(4, newest[3].id) == newest[4:]
        assert store.exemption_page(2, origin="list") == [each for each in newest if each.origin == "list"][:2]
        assert store.exemption_page(9, newest[2].id, "list") == [e for e in newest[3:] if e.origin == "list"]
        assert store.exemption_page(9, newest[-1].id) == store.exemption_page(9, origin="nobody") == []

    def test_exemptions_near_are_what_contains_it_and_what_lies_in_it(self, store: Store) -> None:
        for subject in NESTED:
            store.add_exemption(Exemption(parse(subject), "why", "operator"))
        for asked in [*NESTED, "5.5.5.128/25", "d.c.b.a.com", "9.9.9.9", "z.com"]:
            found = [text(each.subject) for each in store.exemptions_near(parse(asked), 99)]
            near = [text(parse(s)) for s in NESTED if lies_in(s, asked) or lies_in(asked, s)]
            assert sorted(found) == sorted(near), asked
            assert len(store.exemptions_near(parse(asked), 2)) == min(2, len(near))

    def test_exemptions_near_are_of_all_zones_and_origins(self, store: Store) -> None:
        for zone, origin in (("", "operator"), ("ip", "operator"), ("ip", "removal")):
            store.add_exemption(Exemption(parse("5.5.5.5"), "why", origin, zone, NOW, NOW + 9, yields=zone == "ip"))
        assert sorted(numbers(store.exemptions_near(parse("5.5.5.5"), 9))) == sorted(numbers(store.exemptions()))
        assert set(map(repr, store.exemptions_near(parse("5.5.5.5"), 9))) == set(map(repr, store.exemptions()))

    def test_listings_between_are_the_first_in_their_order(self, store: Store) -> None:
        rows = sorted(rows_of("5.5.5.7", "5.5.5.5", "5.5.5.0/24", "5.5.5.6"))
        written(store, "ip", rows)
        written(store, "policy", rows_of("5.5.5.4"))
        low, high = rows[0].subject, rows[-1].subject
        assert store.listings_between("ip", low, high, 9) == rows[:-1], "high is not within"
        assert store.listings_between("ip", low, high + b"\0", 9) == rows
        assert store.listings_between("ip", low, high, 2) == rows[:2]
        assert store.listings_between("ip", rows[1].subject, high, 1) == rows[1:2]
        assert store.listings_between("ip", high, low, 9) == store.listings_between("none", low, high, 9) == []

    def test_claims_between_are_one_sources_reports_and_entries(self, store: Store, source: int) -> None:
        subjects = sorted(parse(f"5.5.5.{n}") for n in range(1, 6))
        other = store.source("other", "partner", trust=0.5).id
        store.take_reports(source, [Report(s, "spam", NOW, who) for s in subjects[:3] for who in "ab"])
        store.replace_entries(source, dict.fromkeys(subjects[2:], 7), {}, "spam", NOW)
        store.take_reports(other, [Report(parse("5.5.5.4"), "spam", NOW), Report(parse("5.5.5.9"), "spam", NOW)])
        assert store.claims_between(source, subjects[0], subjects[4], 9) == subjects[:4]
        assert store.claims_between(source, subjects[1], subjects[4], 2) == subjects[1:3]
        assert store.claims_between(other, subjects[0], subjects[4], 9) == [parse("5.5.5.4")]

    def test_claims_are_counted_no_further_than_matters(self, store: Store, source: int) -> None:
        other = store.source("other", "partner", trust=0.5).id
        store.take_reports(source, [Report(parse("5.5.5.5"), "spam", NOW + n) for n in range(4)])
        store.replace_entries(source, {parse("5.5.5.6"): 7, parse("5.5.5.7"): 7}, {}, "spam", NOW)
        store.take_reports(other, [Report(parse("5.5.5.5"), "spam", NOW)])
        assert [store.claim_count([source], most) for most in (1, 5, 6, 7, 99)] == [1, 5, 6, 6, 6]
        assert store.claim_count([source, other], 99) == 7
        assert store.claim_count([other, source], 7) == 7
        assert store.claim_count([], 9) == 0

    def test_what_a_list_dropped_it_does_not_carry(self, store: Store, source: int) -> None:
        store.replace_entries(source, {parse("5.5.5.5"): 1, parse("5.5.5.6"): 2}, {}, "spam", NOW)
        store.replace_entries(source, {parse("5.5.5.6"): 7}, {}, "spam", NOW + 1)
        assert store.carried(source) == {parse("5.5.5.6"): 7}
        assert store.carried(99) == {}

    # counts

    def test_listings_are_counted_by_zone_and_codes(self, store: Store) -> None:
        assert store.listing_figures() == []
        written(store, "ip", rows_of("5.5.5.5", "5.5.5.6") + rows_of("5.5.5.7", codes="127.0.0.2 127.0.0.4"))
        written(store, "dbl", rows_of("a.com"))
        store.decide(NOW, {"ip": Decision([], [parse("5.5.5.5")], [(parse("5.5.5.5"), "")])}, [])
        assert sorted(store.listing_figures()) == [
            ("dbl", "127.0.0.2", 1), ("ip", "127.0.0.2", 1), ("ip", "127.0.0.2 127.0.0.4", 1),
        ]  # fmt: skip

    def test_changes_are_counted_by_day_zone_and_codes(self, store: Store) -> None:
        day = NOW // DAY
        last = (day + 1) * DAY - 1
        journalled(store, NOW, "ip", ("5.5.5.4", "127.0.0.9"))
        start = store.change_seq()
        journalled(store, NOW, "ip", ("5.5.5.5", "127.0.0.2"), ("5.5.5.6", "127.0.0.2"), ("5.5.5.4", ""))
        journalled(store, last, "dbl", ("a.com", "127.0.0.2"))
        journalled(store, last + 1, "ip", ("5.5.5.5", ""))
        store.add_exemption(Exemption(parse("5.5.5.5"), "why", "operator", since=NOW))  # a line about no zone
        until = store.change_seq()
        journalled(store, NOW, "ip", ("5.5.5.9", "127.0.0.2"))
        assert sorted(store.change_figures(start, until)) == [
            (day, "dbl", "127.0.0.2", 1), (day, "ip", "", 1), (day, "ip", "127.0.0.2", 2), (day + 1, "ip", "", 1),
        ]  # fmt: skip
        assert store.change_figures(start, start) == []
        assert store.change_figures(start, start + 1) == [(day, "ip", "127.0.0.2", 1)]

    def test_subjects_are_counted_by_the_lists_that_carry_them(self, store: Store) -> None:
        one, two, many = (store.source(name, "feed", trust=0.5).id for name in ("one", "two", "many"))
        assert store.entry_figures() == []
        carried = {many: range(2, 12), two: range(8), one: range(5)}
        for source, hosts in carried.items():
            store.replace_entries(source, {parse(f"5.5.5.{n}"): 1 for n in hosts}, {}, "spam", NOW)
        assert store.entry_figures()[0] == ((many,), 4)
        assert sorted(store.entry_figures()) == sorted(
            [((one, two), 2), ((one, two, many), 3), ((two, many), 3), ((many,), 4)]
        )
        store.replace_entries(one, {}, {}, "spam", NOW + 1)
        assert store.entry_figures() == [((two, many), 6), ((many,), 4), ((two,), 2)], "what left does not count"
