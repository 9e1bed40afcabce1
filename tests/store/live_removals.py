"""What removals need of any store, mixed into `conformance.Conformance`: requests that move once, proofs that are used
once, and limits that are counted right."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dnsbl.store import Exemption, Store
from dnsbl.store.contract.removals import Challenge, Event, Removal
from dnsbl.subjects import parse, text

NOW = 1_790_000_000
DAY = 86_400
WHY = [{"word": "asked", "values": {"until": NOW, "zone": "ip"}}]


def request(subject: str = "5.5.5.5", number: int = 1, **more: Any) -> Removal:
    made = Removal(
        id=0, link=number.to_bytes(32, "big"), subject=parse(subject), zones=("ip", "policy"), state="requested",
        way="page", requester="7.7.7.0/24", network=parse("5.5.5.0/24"), asn=64_500, said="please '\0 <b>",
        at=NOW, changed=NOW, why=WHY,
    )  # fmt: skip
    return replace(made, **more)


def add(store: Store, subject: str = "5.5.5.5", number: int = 1, **more: Any) -> int:
    return store.add_removal(request(subject, number, **more))


def move(store: Store, number: int, after: str, state: str, at: int = NOW, **changes: Any) -> bool:
    return store.move_removal(number, after, state, at, "rules", [], **changes)


def found(store: Store, number: int) -> Removal:
    removal = store.removal(number)
    assert removal is not None
    return removal


def challenge(store: Store, removal: int, number: int = 1, **more: Any) -> int:
    made = Challenge(0, removal, "mailbox", "abuse@a.com", f"n{number}", number.to_bytes(32, "big"), NOW, NOW + DAY)
    return store.add_challenge(replace(made, **more))


class LiveRemovals:
    """Tests that take the fixture `store`."""

    # requests

    def test_a_request_is_kept_as_it_was(self, store: Store) -> None:
        asked = request(said="please \0 <b>ä", proof="dns", expires=NOW + 5)
        number = store.add_removal(asked)
        assert found(store, number) == replace(asked, id=number)
        assert store.removal_by_link(asked.link) == replace(asked, id=number)
        assert store.removal_events(number) == [Event(NOW, "requested", "requester", WHY)]

    def test_there_is_none_with_another_number_or_link(self, store: Store) -> None:
        add(store)
        assert store.removal(99) is None
        for link in (b"", b"\0", bytes(32), b"%" * 32):
            assert store.removal_by_link(link) is None

    def test_a_move_changes_what_it_says_and_is_an_event(self, store: Store) -> None:
        number = add(store)
        why = [{"word": "granted", "values": {}}]
        changes: Mapping[str, Any] = {
            "granted": NOW + 1, "until": NOW + 9, "expires": NOW + 1,
            "decider": "alice", "answer": "yes", "appealed": True,
        }  # fmt: skip
        assert store.move_removal(number, "requested", "granted", NOW + 1, "alice", why, **changes)
        assert found(store, number) == replace(
            request(), id=number, state="granted", changed=NOW + 1, why=why, **changes
        )
        assert store.removal_events(number)[1:] == [Event(NOW + 1, "granted", "alice", why)]

    def test_from_another_state_nothing_moves(self, store: Store) -> None:
        number = add(store)
        before = found(store, number)
        assert not move(store, number, "to-person", "granted", granted=NOW)
        assert not move(store, 99, "requested", "granted")
        assert found(store, number) == before
        assert len(store.removal_events(number)) == 1

    def test_of_many_who_move_it_at_once_one_does(self, store: Store) -> None:
        number = add(store)
        moved: list[bool] = []
        barrier = threading.Barrier(6)

        def run(name: int) -> None:
            barrier.wait(60)
            moved.append(move(store, number, "requested", "granted", decider=str(name)))

        threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(moved) == [False] * 5 + [True]
        assert len(store.removal_events(number)) == 2

    def test_an_unfinished_transaction_leaves_no_request(self, store: Store) -> None:
        with pytest.raises(RuntimeError), store.transaction():
            number = add(store)
            move(store, number, "requested", "granted")
            challenge(store, number)
            raise RuntimeError
        assert store.removal(number) is None
        assert store.removal_events(number) == []
        assert store.challenges_of(number) == []

    # lists of them

    def test_they_are_listed_the_newest_first_page_by_page(self, store: Store) -> None:
        numbers = [add(store, number=n) for n in range(1, 8)]
        assert [r.id for r in store.removals(limit=3)] == numbers[:-4:-1]
        assert [r.id for r in store.removals(before=numbers[4], limit=3)] == numbers[3:0:-1]
        assert [r.id for r in store.removals(before=numbers[0])] == []

    def test_they_are_found_by_state_and_subject(self, store: Store) -> None:
        one, two, three = add(store, number=1), add(store, "6.6.6.6", 2), add(store, number=3)
        move(store, three, "requested", "to-person")
        assert [r.id for r in store.removals(["requested"])] == [two, one]
        assert [r.id for r in store.removals(["requested", "to-person"])] == [three, two, one]
        assert [r.id for r in store.removals(subject=parse("5.5.5.5"))] == [three, one]
        assert [r.id for r in store.removals(["to-person"], parse("5.5.5.5"), before=three)] == []
        assert store.count_removals(["requested", "to-person"]) == 3
        assert store.count_removals(["requested"], subject=parse("5.5.5.5")) == 1
        assert store.count_removals(["requested"], requester="7.7.7.0/24") == 2
        assert store.count_removals(["requested"], requester="8.8.8.0/24") == 0

    def test_due_is_whose_time_is_over_the_oldest_first(self, store: Store) -> None:
        late, due, never = (add(store, number=n, expires=e) for n, e in ((1, NOW + 1), (2, NOW), (3, None)))
        assert [r.id for r in store.removals_due(["requested"], NOW, 9)] == [due]
        assert [r.id for r in store.removals_due(["requested"], NOW + 1, 9)] == [late, due]
        assert [r.id for r in store.removals_due(["requested"], NOW + 1, 1)] == [late]
        assert store.removals_due(["granted"], NOW + 1, 9) == []
        move(store, late, "requested", "to-person", expires=None)
        assert [r.id for r in store.removals_due(["requested", "to-person"], NOW + DAY, 9)] == [due]
        assert found(store, never).expires is None

    def test_grants_are_counted_by_whom_and_where(self, store: Store) -> None:
        add(store, number=1, granted=NOW + 2)
        add(store, "5.5.5.6", 2, granted=NOW, requester="8.8.8.0/24")
        add(store, "6.6.6.6", 3, granted=NOW + 5, network=parse("6.6.6.0/24"), asn=None)
        add(store, number=4)  # not granted
        add(store, number=5, granted=NOW + 3, way="operator")
        times = store.granted_times
        assert times("subject", parse("5.5.5.5"), 0) == [NOW + 2]
        assert times("requester", "7.7.7.0/24", 0) == [NOW + 2, NOW + 5]
        assert times("network", parse("5.5.5.0/24"), 0) == [NOW, NOW + 2]
        assert times("network", parse("5.5.5.0/24"), NOW) == [NOW + 2], "since is not counted itself"
        assert times("asn", 64_500, 0) == [NOW, NOW + 2]
        assert times("asn", 64_501, 0) == []

    def test_grants_are_counted_in_the_zones_that_are_named(self, store: Store) -> None:
        for number, zones in enumerate([("ip", "policy"), ("policy",), ("ip2",), ("white", "ip")], 1):
            add(store, number=number, zones=zones, granted=NOW + number)
        subject = parse("5.5.5.5")
        assert store.granted_times("subject", subject, 0, ["ip"]) == [NOW + 1, NOW + 4], "a name, not a part of one"
        assert store.granted_times("asn", 64_500, NOW + 1, {"ip", "policy"}) == [NOW + 2, NOW + 4]
        assert store.granted_times("subject", subject, 0, ["none"]) == []
        assert len(store.granted_times("subject", subject, 0)) == 4

    # who waits

    def test_who_waits_longest_comes_first_and_pages_go_both_ways(self, store: Store) -> None:
        changed = (NOW + 3, NOW + 1, NOW + 2, NOW + 1, NOW + 1)
        one, two, three, four, five = (add(store, number=n, changed=at) for n, at in enumerate(changed, 1))
        move(store, add(store, number=9), "requested", "to-person")
        order = [two, four, five, three, one]
        everyone = store.removals_waiting("requested", 9)
        assert [r.id for r in everyone] == order
        assert everyone[0] == found(store, two)
        assert [r.id for r in store.removals_waiting("requested", 2)] == order[:2]
        for place, number in enumerate(order):
            beside = (found(store, number).changed, number)
            assert [r.id for r in store.removals_waiting("requested", 2, beside)] == order[place + 1 : place + 3]
            nearest = store.removals_waiting("requested", 2, beside, back=True)
            assert [r.id for r in nearest] == order[:place][::-1][:2]
        assert store.removals_waiting("granted", 9) == []

    def test_who_moves_begins_to_wait_anew(self, store: Store) -> None:
        assert store.oldest_removal("requested") is None
        one, two = add(store, number=1), add(store, number=2, changed=NOW + 5)
        assert store.oldest_removal("requested") == NOW
        assert [store.count_overdue("requested", NOW + at) for at in (0, 1, 5, 6)] == [0, 1, 1, 2]
        move(store, one, "requested", "to-person", NOW + 9)
        assert (store.oldest_removal("requested"), store.oldest_removal("to-person")) == (NOW + 5, NOW + 9)
        assert [store.count_overdue(state, NOW + 9) for state in ("requested", "to-person")] == [1, 0]
        assert [r.id for r in store.removals_waiting("requested", 9)] == [two]

    def test_who_is_looked_at_later_waits_as_long(self, store: Store) -> None:
        one, two = add(store, number=1, expires=NOW), add(store, number=2, expires=NOW)
        before, events = found(store, one), store.removal_events(one)
        store.wait_for_removal(one, NOW + 9)
        assert found(store, one) == replace(before, expires=NOW + 9)
        assert store.removal_events(one) == events
        assert [r.id for r in store.removals_due(["requested"], NOW + 8, 9)] == [two]
        assert sorted(r.id for r in store.removals_due(["requested"], NOW + 9, 9)) == [one, two]

    # proofs

    def test_a_challenge_is_found_by_what_was_said(self, store: Store) -> None:
        number = add(store)
        one, two = challenge(store, number, 1), challenge(store, number, 2, proof="dns", target="_x.a.com _x.b.com")
        kept = store.challenge(two)
        assert kept == Challenge(
            two, number, "dns", "_x.a.com _x.b.com", "n2", (2).to_bytes(32, "big"), NOW, NOW + DAY, None
        )
        assert store.challenge_by_digest((2).to_bytes(32, "big")) == kept
        assert store.challenge_by_digest((3).to_bytes(32, "big")) is None
        assert [each.id for each in store.challenges_of(number)] == [one, two]
        assert store.challenges_of(number + 1) == []

    def test_a_challenge_is_used_once_and_in_time(self, store: Store) -> None:
        number = add(store)
        one, two = challenge(store, number, 1), challenge(store, number, 2)
        assert not store.use_challenge(one, NOW + DAY), "its time is over"
        assert store.use_challenge(one, NOW + DAY - 1)
        assert not store.use_challenge(one, NOW + DAY - 1)
        assert not store.use_challenge(99, NOW)
        assert [each.used for each in store.challenges_of(number)] == [NOW + DAY - 1, None]
        assert store.use_challenge(two, NOW)

    def test_mailboxes_are_forgotten_and_the_rest_of_the_proof_stays(self, store: Store) -> None:
        number, other = add(store, number=1), add(store, number=2)
        asked, beside = [challenge(store, number, n) for n in (1, 2)], challenge(store, other, 3)
        store.use_challenge(asked[0], NOW + 1)
        before, name = store.challenges_of(number), challenge(store, number, 4, proof="dns", target="_x.a.com")
        store.forget_targets(number)
        assert store.challenges_of(number)[:2] == [replace(each, target="") for each in before]
        kept, theirs = store.challenge(name), store.challenge(beside)
        assert kept is not None
        assert theirs is not None
        assert (kept.target, theirs.target) == ("_x.a.com", "abuse@a.com"), "a DNS name is nobody's mailbox"
        assert store.use_challenge(asked[1], NOW + 2)

    def test_an_unfinished_transaction_forgets_and_uses_nothing(self, store: Store) -> None:
        number = add(store, expires=NOW)
        proof = challenge(store, number)
        before, asked = found(store, number), store.challenge(proof)
        with pytest.raises(RuntimeError), store.transaction():
            store.wait_for_removal(number, NOW + 9)
            store.use_challenge(proof, NOW)
            store.forget_targets(number)
            raise RuntimeError
        assert (found(store, number), store.challenge(proof)) == (before, asked)

    # in time

    def test_forgotten_is_what_is_done_and_old_with_all_of_it(self, store: Store) -> None:
        old, young, waits = add(store, number=1), add(store, number=2), add(store, number=3)
        for number, at in ((old, NOW), (young, NOW + 1)):
            move(store, number, "requested", "done", at)
        for number in (old, young, waits):
            challenge(store, number, number)
        assert store.forget_removals(NOW + 1) == 1
        assert [r.id for r in store.removals()] == [waits, young]
        assert store.removal_events(old) == []
        assert store.challenges_of(old) == []
        assert len(store.removal_events(young)) == 2
        assert len(store.challenges_of(waits)) == 1
        assert store.forget_removals(NOW + 1) == 0

    # the exemption of a removal

    def test_a_removal_ends_where_and_when_it_is_said(self, store: Store) -> None:
        made = Exemption(parse("5.5.5.0/24"), "why", "removal", "ip", NOW, NOW + DAY, yields=True)
        above = replace(made, subject=parse("5.5.0.0/16"))
        others = [replace(made, zone="policy"), replace(made, origin="operator"), above]
        for each in (made, *others):
            store.add_exemption(each)
        store.decide(NOW, {}, store.touched(1000))
        version, seq = store.exemptions_version(), store.change_seq()
        assert store.end_exemption(made.subject, "ip", "removal", NOW + 5) == 1
        kept = {(e.subject, e.zone, e.origin): (e.until, e.yields) for e in store.exemptions()}
        assert kept[made.subject, "ip", "removal"] == (NOW + 5, True)
        assert {kept[e.subject, e.zone, e.origin] for e in others} == {(NOW + DAY, True)}
        assert store.exemptions_version() > version
        assert [text(change.subject) for change in store.changes_since("ip", seq, 9)] == ["5.5.5.0/24"]
        assert parse("5.5.5.0/24") in store.touched(1000)

    def test_where_there_is_none_nothing_ends(self, store: Store) -> None:
        version, seq = store.exemptions_version(), store.change_seq()
        assert store.end_exemption(parse("5.5.5.5"), "ip", "removal", NOW) == 0
        assert (store.exemptions_version(), store.change_seq(), store.touched(9)) == (version, seq, [])

    def test_a_removal_again_begins_anew(self, store: Store) -> None:
        made = Exemption(parse("5.5.5.5"), "why", "removal", "ip", NOW, NOW + DAY, yields=True)
        store.add_exemption(made)
        store.end_exemption(made.subject, "ip", "removal", NOW + 5)
        store.touch_due(NOW + 5)
        store.add_exemption(replace(made, since=NOW + 9, until=NOW + 2 * DAY, yields=False))
        (kept,) = store.exemptions()
        assert (kept.since, kept.until, kept.yields) == (NOW + 9, NOW + 2 * DAY, False)
        assert store.touch_due(NOW + 2 * DAY) == 1, "its new end is acted upon"

    def test_the_first_end_in_these_zones_is_told(self, store: Store) -> None:
        made = Exemption(parse("5.5.5.0/24"), "why", "removal", "ip", NOW, NOW + DAY)
        for each in (
            made, replace(made, zone="policy", until=NOW + 9), replace(made, origin="operator", until=NOW + 1),
            replace(made, subject=parse("5.5.0.0/16"), until=NOW + 2),
        ):  # fmt: skip
            store.add_exemption(each)
        ends = [store.removal_ends(made.subject, zones) for zones in (["ip"], {"policy", "ip"}, ["none"], [])]
        assert ends == [NOW + DAY, NOW + 9, None, None]
        assert store.removal_ends(parse("5.5.5.5"), ["ip"]) is None, "of exactly this subject"
        store.end_exemption(made.subject, "ip", "removal", NOW + 5)
        assert store.removal_ends(made.subject, ["ip", "policy"]) == NOW + 5, "or ended"

    def test_new_reports_end_what_yields_in_these_zones(self, store: Store) -> None:
        made = Exemption(parse("5.5.5.0/24"), "why", "removal", "ip", NOW, NOW + DAY)
        for each in (
            made, replace(made, zone="policy", yields=True), replace(made, origin="operator", yields=True),
            replace(made, subject=parse("5.5.0.0/16"), yields=True),
        ):  # fmt: skip
            store.add_exemption(each)
        said = [store.removal_yields(made.subject, zones) for zones in (["ip"], {"policy", "ip"}, ["none"], [])]
        assert said == [False, True, False, False]
        assert not store.removal_yields(parse("5.5.5.5"), ["policy"])
