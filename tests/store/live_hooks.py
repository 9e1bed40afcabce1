"""What partners' notices need of any store, mixed into `conformance.Conformance`: the journal followed once, events
that wait within bounds, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from live_people import AT_ONCE, at_once

from dnsbl.errors import StoreError
from dnsbl.store import Decision, Exemption, Store
from dnsbl.store.contract.hooks import Delivery, Hook, Owned
from dnsbl.store.hooking import FOLLOWED
from dnsbl.subjects import parse

NOW = 1_790_000_000
URL = "https://hooks.a.com/?secret=ä'"
MANY = 1000  # events: more than any of these tests has


def journalled(store: Store, at: int, subject: str, codes: str, zone: str = "ip") -> None:
    store.decide(at, {zone: Decision([], [], [(parse(subject), codes)])}, [])


def followed(store: Store) -> int:
    """The last line of the journal that was looked at."""
    return int(store.meta(FOLLOWED) or 0)


def told(store: Store, source: int, events: Sequence[str], at: int = NOW, most: int = MANY) -> None:
    assert store.add_deliveries(followed(store), followed(store) + 1, {source: events}, at, most)


def watching(store: Store, source: int, url: str = URL) -> Hook:
    """A hook of a source that owns something."""
    store.add_owned(source, parse("5.5.0.0/16"), NOW)
    return store.add_hook(source, url, "nonce", NOW)


def hook_of(store: Store, number: int) -> Hook:
    return {hook.id: hook for hook in store.hooks()}[number]


def due(store: Store, now: int) -> list[str]:
    return [each.delivery.event for each in store.due(now)]


def one_due(store: Store, now: int) -> Delivery:
    (each,) = store.due(now)
    return each.delivery


def find(store: Store, hook: Hook, event: str) -> Delivery:
    return next(each for each in store.deliveries(hook.id, MANY) if each.event == event)


class LiveHooks:
    """Mixed into `Conformance`, which says what `opener`, `store` and `source` are."""

    opener: Callable[[Path], Store]

    @pytest.fixture
    def other(self, store: Store, source: int) -> int:
        return store.source("other", "partner", trust=0.5).id

    # what is owned

    def test_a_source_speaks_for_what_lies_in_what_it_owns(self, store: Store, source: int, other: int) -> None:
        for subject in ("5.5.0.0/16", "2a00::/48", "a.com"):
            assert store.add_owned(source, parse(subject), NOW)
        inside = ("5.5.0.0/16", "5.5.5.5", "5.5.8.0/21", "2a00::/64", "2a00::1", "a.com", "c.b.a.com")
        outside = ("5.4.0.0/15", "5.6.0.0", "0.0.0.0/0", "2a00::/47", "2a00:0:1::", "aa.com", "a.com.b")
        assert [subject for subject in inside if not store.owns(source, parse(subject))] == []
        assert [subject for subject in outside if store.owns(source, parse(subject))] == []
        assert not store.owns(other, parse("5.5.5.5"))

    def test_halves_of_it_are_not_the_whole(self, store: Store, source: int) -> None:
        for half in ("5.5.0.0/17", "5.5.128.0/17"):
            store.add_owned(source, parse(half), NOW)
        assert not store.owns(source, parse("5.5.0.0/16"))

    def test_what_is_owned_is_told_by_source_and_subject(
        self, store: Store, source: int, other: int, tmp_path: Path
    ) -> None:
        subjects = sorted([parse("5.5.0.0/16"), parse("a.com"), parse("2a00::/48")])
        for subject in reversed(subjects):
            assert store.add_owned(source, subject, NOW)
        assert store.add_owned(other, subjects[0], NOW + 1)
        assert not store.add_owned(source, subjects[0], NOW + 2), "it is there already"
        mine, theirs = [Owned(source, subject, NOW) for subject in subjects], [Owned(other, subjects[0], NOW + 1)]
        with closing(type(self).opener(tmp_path)) as again:
            assert again.owned(source) == mine
            assert again.owned() == [*mine, *theirs]
        assert store.remove_owned(source, subjects[0])
        assert not store.remove_owned(source, subjects[0])
        assert store.owned() == [*mine[1:], *theirs]

    # hooks

    def test_hooks_are_kept_and_found_by_their_source(
        self, store: Store, source: int, other: int, tmp_path: Path
    ) -> None:
        made = store.add_hook(source, URL, "nonce", NOW)
        assert made == Hook(made.id, source, URL, "nonce", NOW)
        theirs = store.add_hook(other, URL, "theirs", NOW + 1)
        with closing(type(self).opener(tmp_path)) as again:
            assert (again.hooks(source), again.hooks(other)) == ([made], [theirs])
            assert {hook.id for hook in again.hooks()} == {made.id, theirs.id}
        with pytest.raises(StoreError):
            store.add_hook(source, URL, "again", NOW)
        assert store.hooks(source) == [made]

    def test_a_hook_goes_with_what_waits_for_it(self, store: Store, source: int, other: int) -> None:
        gone, stays = watching(store, source), watching(store, other)
        store.add_deliveries(followed(store), 9, {source: ["a"], other: ["b"]}, NOW, MANY)
        assert store.remove_hook(gone.id)
        assert not store.remove_hook(gone.id)
        assert (store.deliveries(gone.id, 9), due(store, NOW)) == ([], ["b"])
        assert store.add_hook(source, URL, "new", NOW).id not in (gone.id, stays.id), "numbers are not used again"
        assert due(store, NOW) == ["b"]

    def test_watched_is_what_owners_with_a_hook_own(self, store: Store, source: int, other: int) -> None:
        store.add_owned(source, parse("5.5.0.0/16"), NOW)
        store.add_owned(other, parse("a.com"), NOW)
        assert store.watched() == []
        hooks = [store.add_hook(source, URL + end, "nonce", NOW) for end in ("1", "2")]
        assert store.watched() == store.owned(source), "once, however many hooks there are"
        for hook in hooks:
            store.remove_hook(hook.id)
        assert store.watched() == []

    def test_an_unfinished_transaction_leaves_none_of_it(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        before = followed(store)
        with pytest.raises(RuntimeError), store.transaction():
            store.add_owned(source, parse("a.com"), NOW)
            store.add_hook(source, URL + "2", "nonce", NOW)
            told(store, source, ["a", "b", "c"], most=1)
            store.delivery_not_taken(find(store, hook, "c"), NOW, "503", None, NOW + 5)
            raise RuntimeError
        assert store.hooks() == [hook]
        assert [each.subject for each in store.owned()] == [parse("5.5.0.0/16")]
        assert (store.deliveries(hook.id, 9), followed(store)) == ([], before)

    # the journal

    def test_the_journal_has_all_zones_in_its_order(self, store: Store) -> None:
        start = store.change_seq()
        journalled(store, NOW, "5.5.5.5", "127.0.0.2")
        journalled(store, NOW + 1, "a.com", "127.0.1.2", "dbl")
        store.add_exemption(Exemption(parse("5.5.5.0/24"), "why", "operator", since=NOW + 2))
        journalled(store, NOW + 3, "5.5.5.5", "")
        lines = store.journal(start, 9)
        assert [(line.at, line.zone, line.subject, line.codes) for line in lines] == [
            (NOW, "ip", parse("5.5.5.5"), "127.0.0.2"),
            (NOW + 1, "dbl", parse("a.com"), "127.0.1.2"),
            (NOW + 2, "", parse("5.5.5.0/24"), ""),
            (NOW + 3, "ip", parse("5.5.5.5"), ""),
        ]
        assert lines[-1].seq == store.change_seq()
        assert store.journal(lines[0].seq, 2) == lines[1:3]
        assert store.journal(lines[-1].seq, 9) == []

    def test_what_was_listed_before_a_change_is_told(self, store: Store) -> None:
        start = store.change_seq()
        journalled(store, NOW, "5.5.5.5", "127.0.0.2")
        journalled(store, NOW, "5.5.5.5", "127.0.0.9", "policy")
        journalled(store, NOW, "5.5.5.6", "127.0.0.4")
        for codes in ("127.0.0.2 127.0.0.4", "", "127.0.0.2"):
            journalled(store, NOW + 1, "5.5.5.5", codes)
        before = [store.codes_before(line) for line in store.journal(start, 9)]
        assert before == ["", "", "", "127.0.0.2", "127.0.0.2 127.0.0.4", ""]

    def test_who_begins_to_watch_is_not_told_of_what_was_before(self, store: Store, source: int) -> None:
        journalled(store, NOW, "5.5.5.5", "127.0.0.2")
        watching(store, source)
        assert followed(store) == store.change_seq()

    def test_who_joins_does_not_skip_what_others_wait_for(self, store: Store, source: int, other: int) -> None:
        watching(store, source)
        began = followed(store)
        journalled(store, NOW, "5.5.5.5", "127.0.0.2")
        watching(store, other)
        assert followed(store) == began

    # events

    def test_each_hook_of_a_source_gets_its_events(self, store: Store, source: int, other: int, tmp_path: Path) -> None:
        one, two, theirs = watching(store, source), watching(store, source, URL + "2"), watching(store, other)
        start = followed(store)
        assert store.add_deliveries(start, start + 7, {source: ["a", "b ä'"]}, NOW + 1, MANY)
        with closing(type(self).opener(tmp_path)) as again:
            assert followed(again) == start + 7
            for hook in (one, two):
                newest, first = again.deliveries(hook.id, 9)
                assert newest == Delivery(newest.id, hook.id, "b ä'", NOW + 1, NOW + 1, 0, "waiting", "")
                assert again.deliveries(hook.id, 1) == [newest]
                assert first.event == "a"
                assert hook_of(again, hook.id).waiting == 2
            assert again.deliveries(theirs.id, 9) == []

    def test_the_journal_is_followed_once(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        start = followed(store)
        assert at_once(lambda n: store.add_deliveries(start, start + 3, {source: [f"{n}"]}, NOW, MANY)) == (
            [False] * (AT_ONCE - 1) + [True]
        )
        assert not store.add_deliveries(start, start + 5, {source: ["late"]}, NOW, MANY)
        assert len(store.deliveries(hook.id, 99)) == 1
        assert followed(store) == start + 3
        assert store.add_deliveries(start + 3, start + 4, {}, NOW, MANY), "of nothing, too, it is known"

    def test_only_the_newest_wait_and_what_goes_is_counted(self, store: Store, source: int, other: int) -> None:
        hook, theirs = watching(store, source), watching(store, other)
        told(store, other, ["t"])
        told(store, source, ["a", "b"], most=3)
        store.delivery_taken(find(store, hook, "a"), NOW)
        told(store, source, ["c", "d", "e"], most=3)
        told(store, source, ["f"], most=3)
        waiting = [each.event for each in store.deliveries(hook.id, 9) if each.state == "waiting"]
        assert waiting == ["f", "e", "d"]
        assert (hook_of(store, hook.id).waiting, hook_of(store, hook.id).dropped) == (3, 2)
        assert (hook_of(store, theirs.id).waiting, hook_of(store, theirs.id).dropped) == (1, 0)

    # delivering

    def test_of_every_hook_the_first_is_due(self, store: Store, source: int, other: int) -> None:
        mine, theirs = watching(store, source), watching(store, other)
        told(store, source, ["a", "b"], NOW + 1)
        told(store, other, ["c"], NOW + 2)
        assert due(store, NOW) == []
        assert due(store, NOW + 1) == ["a"]
        found = {each.hook.id: each for each in store.due(NOW + 2)}
        assert {number: each.delivery.event for number, each in found.items()} == {mine.id: "a", theirs.id: "c"}
        assert found[mine.id].hook.url == URL
        assert found[mine.id].delivery.hook == mine.id

    def test_what_is_taken_is_over_and_all_is_well(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        told(store, source, ["a", "b"])
        store.delivery_not_taken(one_due(store, NOW), NOW, "503", NOW + 5, NOW + 5)
        taken = one_due(store, NOW + 5)
        store.delivery_taken(taken, NOW + 6)
        after = hook_of(store, hook.id)
        assert (after.failures, after.good, after.said, after.waiting, after.failed) == (0, NOW + 6, "", 1, 0)
        kept = {each.id: each for each in store.deliveries(hook.id, 9)}[taken.id]
        assert (kept.state, kept.next, kept.said, kept.tries) == ("delivered", NOW + 6, "", taken.tries + 1)
        assert one_due(store, NOW + 6).id != taken.id

    def test_what_is_not_taken_is_tried_again_and_the_hook_left_alone(
        self, store: Store, source: int, other: int
    ) -> None:
        hook, theirs = watching(store, source), watching(store, other)
        told(store, source, ["a", "b"])
        first = one_due(store, NOW)
        store.delivery_not_taken(first, NOW, "503 <b>", NOW + 5, NOW + 7)
        after = hook_of(store, hook.id)
        assert (after.failures, after.quiet, after.said, after.good) == (1, NOW + 7, "503 <b>", None)
        kept = {each.id: each for each in store.deliveries(hook.id, 9)}[first.id]
        assert (kept.state, kept.next, kept.tries, kept.said) == ("waiting", NOW + 5, 1, "503 <b>")
        told(store, other, ["c"])
        assert due(store, NOW + 6) == ["c"], "not even what was never tried"
        again = {each.hook.id: each.delivery.event for each in store.due(NOW + 7)}
        assert again == {hook.id: "b", theirs.id: "c"}, "what was due first"

    def test_what_is_given_up_is_not_tried_again(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        told(store, source, ["a"])
        store.delivery_not_taken(one_due(store, NOW), NOW + 1, "410 gone", None, NOW + 1)
        assert due(store, NOW + 10**6) == []
        (kept,) = store.deliveries(hook.id, 9)
        assert (kept.state, kept.next, kept.said, kept.tries) == ("failed", NOW + 1, "410 gone", 1)
        assert (hook_of(store, hook.id).waiting, hook_of(store, hook.id).failed) == (0, 1)

    def test_failures_are_counted_in_a_row(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        told(store, source, ["a"])
        for number in (1, 2, 3):
            store.delivery_not_taken(one_due(store, NOW), NOW, "503", NOW, NOW)
            assert hook_of(store, hook.id).failures == number
        store.delivery_taken(one_due(store, NOW), NOW)
        assert hook_of(store, hook.id).failures == 0

    def test_what_waited_too_long_is_given_up_and_what_is_old_forgotten(self, store: Store, source: int) -> None:
        hook = watching(store, source)
        for event, at in (("old", NOW), ("tried", NOW + 5), ("untried", NOW + 6), ("young", NOW + 9)):
            told(store, source, [event], at)
        store.delivery_not_taken(find(store, hook, "tried"), NOW + 6, "503", NOW + 99, NOW)
        assert store.forget_deliveries(NOW + 8, NOW + 3, "too long") == 1
        kept = [(each.event, each.state, each.said) for each in store.deliveries(hook.id, 9)]
        assert kept == [("young", "waiting", ""), ("untried", "failed", "too long"), ("tried", "failed", "503")]
        assert (hook_of(store, hook.id).waiting, hook_of(store, hook.id).failed) == (1, 2)
        assert due(store, NOW + 10**6) == ["young"]
        assert store.forget_deliveries(NOW + 8, NOW + 3, "too long") == 0
