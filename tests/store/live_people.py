"""What sign-in needs of any store, mixed into `conformance.Conformance`: names and codes that count once, and sessions
that are over when somebody says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dnsbl.errors import StoreError
from dnsbl.store import Store
from dnsbl.store.contract.people import Account, Passkey, Session
from dnsbl.store.people import KNOWN_FOR

NOW = 1_790_000_000
AT_ONCE = 6  # threads


def anna(store: Store, name: str = "anna") -> int:
    return store.add_person(name, ("operator", "reviewer"), NOW).id


def person(store: Store, number: int) -> Account:
    found = store.account(number)
    assert found is not None
    return found


def passkey(person: int, number: int = 1) -> Passkey:
    return Passkey(b"\0%d" % number, person, b"\xa5\0key", 0, f"key '{number}", NOW + number)


def session(person: int, number: int = 1, expires: int = NOW + 9) -> Session:
    return Session(number.to_bytes(32, "big"), person, "password", NOW + number, NOW + number, expires, NOW)


def at_once(call: Callable[[int], bool]) -> list[bool]:
    """What each of AT_ONCE threads was told, sorted."""
    said: list[bool] = []
    barrier = threading.Barrier(AT_ONCE)

    def run(number: int) -> None:
        barrier.wait(60)
        said.append(call(number))

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(said)


class LivePeople:
    """Mixed into `Conformance`, which says what `opener` and `store` are."""

    opener: Callable[[Path], Store]

    # people

    def test_a_person_is_found_by_number_and_name(self, store: Store, tmp_path: Path) -> None:
        assert not store.any_person()
        made = store.add_person("anna ä'", ("operator", "reviewer"), NOW)
        assert made == Account(
            made.id, "anna ä'", ("operator", "reviewer"), "", None, None, "", None, 0, NOW, None, 0, None
        )
        other = store.add_person("2", (), NOW)
        with closing(type(self).opener(tmp_path)) as again:
            assert again.account(made.id) == again.account("anna ä'") == made
            assert again.account("2") == other, "a name of digits is a name"
            assert {each.id: each for each in again.accounts()} == {made.id: made, other.id: other}
            assert again.any_person()
        assert (store.account(99), store.account("anna"), store.account("")) == (None, None, None)

    def test_a_name_is_taken_once(self, store: Store) -> None:
        number = anna(store)
        with pytest.raises(StoreError):
            store.add_person("anna", (), NOW + 1)
        assert store.accounts() == [person(store, number)]
        assert person(store, number).roles == ("operator", "reviewer")

    def test_of_many_who_want_a_name_one_gets_it(self, store: Store) -> None:
        def want(number: int) -> bool:
            try:
                store.add_person("anna", (), NOW + number)
            except StoreError:
                return False
            return True

        assert at_once(want) == [False] * (AT_ONCE - 1) + [True]
        assert len(store.accounts()) == 1

    def test_what_is_set_of_a_person_is_set_and_nothing_else(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        before, beside = person(store, number), person(store, other)
        changes = {
            "roles": ("auditor",), "password": "$argon2id$v=19$x", "setup": b"\0" * 32, "setup_until": NOW + 5,
            "totp_nonce": "nonce", "totp_since": NOW, "disabled": NOW + 7, "failures": 3, "locked": NOW + 8,
        }  # fmt: skip
        store.change_person(number, **changes)
        changed = person(store, number)
        assert changed == replace(before, **changes)
        store.change_person(number, roles=(), setup=None, locked=None)
        assert person(store, number) == replace(changed, roles=(), setup=None, locked=None)
        assert person(store, other) == beside

    def test_an_unfinished_transaction_leaves_no_person(self, store: Store) -> None:
        number = anna(store)
        before = person(store, number)
        with pytest.raises(RuntimeError), store.transaction():
            store.change_person(number, password="x")
            store.use_step(number, 7)
            store.signed_in_from(number, "7.7.7.0/24", NOW)
            store.add_passkey(passkey(number))
            store.add_session(session(number))
            anna(store, "ben")
            raise RuntimeError
        assert store.accounts() == [before]
        assert (store.passkeys(number), store.sessions(number)) == ([], [])
        assert not store.knows_network(number, "7.7.7.0/24", NOW)

    # where they come from

    def test_where_somebody_signed_in_from_is_known_for_a_time(self, store: Store, tmp_path: Path) -> None:
        number, other = anna(store), anna(store, "ben")
        store.signed_in_from(number, "7.7.7.0/24", NOW)
        with closing(type(self).opener(tmp_path)) as again:
            assert again.knows_network(number, "7.7.7.0/24", NOW + KNOWN_FOR - 1)
            assert not again.knows_network(number, "7.7.7.0/24", NOW + KNOWN_FOR + 1)
        assert not store.knows_network(number, "7.7.8.0/24", NOW)
        assert not store.knows_network(other, "7.7.7.0/24", NOW), "to somebody else it is strange"

    def test_who_comes_again_is_known_from_then_on(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        for at in (NOW, NOW + 9):
            store.signed_in_from(number, "7.7.7.0/24", at)
        store.signed_in_from(number, "2a00::/64", NOW + 5)
        store.signed_in_from(other, "8.8.8.0/24", NOW + KNOWN_FOR + 9)
        asked = [store.knows_network(number, network, NOW + KNOWN_FOR + 9) for network in ("7.7.7.0/24", "2a00::/64")]
        assert asked == [True, False]
        assert not store.knows_network(number, "2a00::/64", NOW + 9), "what was too old is gone"

    # codes

    def test_a_code_is_used_once_and_none_before_it(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        assert [store.use_step(number, step) for step in (7, 7, 6, 8, 7)] == [True, False, False, True, False]
        assert person(store, number).totp_step == 8
        assert store.use_step(other, 7)
        assert not store.use_step(99, 7)

    def test_of_many_who_use_a_code_at_once_one_does(self, store: Store) -> None:
        number = anna(store)
        assert at_once(lambda _: store.use_step(number, 7)) == [False] * (AT_ONCE - 1) + [True]

    # passkeys

    def test_a_passkey_is_one_persons(self, store: Store, tmp_path: Path) -> None:
        number, other = anna(store), anna(store, "ben")
        first, second = passkey(number), passkey(number, 2)
        assert store.add_passkey(first)
        assert store.add_passkey(second)
        assert not store.add_passkey(replace(first, name="again"))
        assert not store.add_passkey(replace(first, person=other, public_key=b"another"))
        with closing(type(self).opener(tmp_path)) as again:
            assert sorted(again.passkeys(number), key=lambda key: key.id) == [first, second]
            assert again.passkeys(other) == []

    def test_the_use_of_a_passkey_is_noted(self, store: Store) -> None:
        number = anna(store)
        first, second = passkey(number), passkey(number, 2)
        store.add_passkey(first)
        store.add_passkey(second)
        store.passkey_used(first.id, 41, NOW + 3)
        store.passkey_used(b"unknown", 9, NOW + 3)
        assert {key.id: key for key in store.passkeys(number)} == {
            first.id: replace(first, uses=41, last_used=NOW + 3),
            second.id: second,
        }

    def test_passkeys_go_one_by_one_or_all_and_only_ones_own(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        for key in (*(passkey(number, n) for n in (1, 2, 3)), passkey(other, 4)):
            store.add_passkey(key)
        assert store.remove_passkeys(other, passkey(number).id) == 0
        assert store.remove_passkeys(number, passkey(number).id) == 1
        assert {key.id for key in store.passkeys(number)} == {passkey(number, n).id for n in (2, 3)}
        assert store.remove_passkeys(number) == 2
        assert (store.passkeys(number), store.passkeys(other)) == ([], [passkey(other, 4)])
        assert store.remove_passkeys(number) == 0
        assert store.add_passkey(passkey(other, 1)), "what went may come again"

    # sessions

    def test_a_session_is_kept_as_it_was_and_as_it_changes(self, store: Store, tmp_path: Path) -> None:
        number = anna(store)
        made = replace(session(number), tries=2, draft="nonce", challenge=b"\0\xff")
        beside = session(number, 2)
        store.add_session(made)
        store.add_session(beside)
        assert store.session(made.digest) == made
        changes = {"stage": "full", "seen": NOW + 5, "proven": NOW + 4, "tries": 0, "draft": "", "challenge": None}
        store.change_session(made.digest, **changes)
        with closing(type(self).opener(tmp_path)) as again:
            assert again.session(made.digest) == replace(made, **changes)
            assert again.session(beside.digest) == beside
        for digest in (b"", made.digest[:31], bytes(32)):
            assert store.session(digest) is None

    def test_a_session_is_made_once(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        store.add_session(session(number))
        with pytest.raises(StoreError):
            store.add_session(session(other))
        assert store.session(session(number).digest) == session(number)

    def test_what_has_ended_does_not_come_back(self, store: Store) -> None:
        number, other = anna(store), anna(store, "ben")
        ended, open_ = session(number, 2), session(number, 1)
        for each in (ended, open_, session(number, 3), session(other, 4)):
            store.add_session(each)
        assert store.sessions(number) == [open_, ended, session(number, 3)], "the oldest first"
        store.end_session(ended.digest)
        store.change_session(ended.digest, seen=NOW + 5)
        assert store.session(ended.digest) is None
        assert store.end_sessions(number) == 2
        assert (store.sessions(number), store.sessions(other)) == ([], [session(other, 4)])
        assert store.end_sessions(number) == 0

    def test_expired_sessions_are_forgotten(self, store: Store) -> None:
        number = anna(store)
        for each in (session(number, 1, NOW), session(number, 2, NOW + 9)):
            store.add_session(each)
        store.forget_sessions(NOW + 5)
        assert store.sessions(number) == [session(number, 2, NOW + 9)]
