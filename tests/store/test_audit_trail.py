"""The audit trail in the store: only ever added to, forgotten by age alone, and whatever was done to it is seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import StoreError
from dnsbl.store import SqliteStore
from dnsbl.store.auditing import FIRST_LINK, link_of
from dnsbl.store.contract import Deed
from dnsbl.store.schema import FIRST, SECOND, statements

NOW = 1_790_000_000
DEEDS = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "store.sqlite")) as made:
        yield made


@pytest.fixture
def trail(store: SqliteStore) -> SqliteStore:
    for number in range(DEEDS):
        store.audit(NOW + number, "anna", "allow", f"46.0.0.{number}", "ours")
    return store


def tampered(store: SqliteStore, *changes: str) -> list[str]:
    """What `check` says of a trail that somebody with the file has changed."""
    with closing(sqlite3.connect(store.path)) as other:
        for trigger in ("audit_stays", "audit_is_kept", "audit_grows"):
            other.execute(f"DROP TRIGGER {trigger}")
        for change in changes:
            other.execute(change)
        other.commit()
    return store.check()


def test_a_trail_that_was_left_alone_is_clean(trail: SqliteStore) -> None:
    assert trail.check() == []
    assert [deed.id for deeds in trail.audit_trail() for deed in deeds] == list(range(1, DEEDS + 1))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET who = 'operator' WHERE id = 3", "DELETE FROM audit WHERE id = 3", "DELETE FROM audit",
        "DELETE FROM audit WHERE at < 1790000009 AND id < 3", "UPDATE audit SET at = at + 1",
        "INSERT OR REPLACE INTO audit SELECT id, at, who, what, subject, '', link FROM audit WHERE id = 2",
    ],
)  # fmt: skip
def test_nothing_is_changed_or_taken_out_by_the_way(trail: SqliteStore, change: str) -> None:
    before = trail.audit_rows()
    with closing(sqlite3.connect(trail.path)) as other:
        with pytest.raises(sqlite3.IntegrityError, match="the audit trail is"):
            other.execute(change)
        other.rollback()
    assert trail.audit_rows() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit SET why = 'theirs' WHERE id = 3", "audit entry 3, or one before it, is not as it was written"),
        ("UPDATE audit SET link = x'00' WHERE id = 3", "audit entry 3"),
        ("UPDATE audit SET link = x'' WHERE id = 3", "audit entry 3"),
        ("DELETE FROM audit WHERE id IN (2, 3)", "audit entries 2 to 3 were taken out"),
        ("DELETE FROM audit WHERE id = 1", "audit entries 1 to 1 were taken out"),
        ("DELETE FROM audit WHERE id > 4", "audit entries 5 to 6 were taken out"),
        ("DELETE FROM audit", "audit entries 1 to 6 were taken out"),
        ("INSERT INTO audit VALUES (7, 1, 'anna', 'allow', 'x', '', x'')", "audit entry 7"),
        ("UPDATE meta SET value = 2 WHERE key = 'audit_forgotten'", "is not as it was written"),
    ],
)  # fmt: skip
def test_what_was_done_to_the_trail_is_seen(trail: SqliteStore, change: str, said: str) -> None:
    (wrong,) = tampered(trail, change)
    assert said in wrong
    assert "compare with an export" in wrong


def test_two_entries_that_changed_places_are_seen(trail: SqliteStore) -> None:
    swap = [f"UPDATE audit SET id = {to} WHERE id = {number}" for number, to in ((2, 99), (3, 2), (99, 3))]
    assert tampered(trail, *swap)


def test_what_is_old_is_forgotten_and_the_rest_still_follows(trail: SqliteStore) -> None:
    assert trail.forget_kept("audit", NOW + 3) == 3
    assert trail.forget_kept("audit", NOW + 3) == 0
    trail.audit(NOW + 9, "ben", "allow", "46.0.0.9", "")
    assert [row["id"] for row in trail.audit_rows()] == [7, 6, 5, 4]
    assert trail.check() == []
    assert trail.forget_kept("audit", NOW + 99) == 4
    assert (trail.audit_rows(), trail.check()) == ([], [])
    trail.audit(NOW + 100, "ben", "allow", "46.0.0.9", "")
    assert [row["id"] for row in trail.audit_rows()] == [8], "numbers only rise"
    assert trail.check() == []


def test_of_a_clock_that_went_back_nothing_is_forgotten_out_of_the_middle(store: SqliteStore) -> None:
    for at in (NOW, NOW + 9, NOW + 1, NOW + 10):
        store.audit(at, "anna", "allow", "x", "")
    assert store.forget_kept("audit", NOW + 5) == 1
    assert [row["at"] for row in store.audit_rows()] == [NOW + 10, NOW + 1, NOW + 9]
    assert store.check() == []


def old(path: Path, *rows: int, newest: int) -> None:
    """A store from before there were links, whose trail has these numbers left."""
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        for statement in statements(FIRST + SECOND):
            made.execute(statement)
        for number in range(1, newest + 1):
            made.execute("INSERT INTO audit VALUES (?, ?, 'operator', 'allow', 'x', '')", (number, NOW))
            if number not in rows:
                made.execute("DELETE FROM audit WHERE id = ?", (number,))
        made.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize("rows", [(), (1, 2, 3), (2, 3), (1, 3), (3,)])
def test_an_older_trail_begins_a_chain(tmp_path: Path, rows: tuple[int, ...]) -> None:
    """What retention took out of it by then is no tampering; what is done to it from then on is."""
    old(tmp_path / "store.sqlite", *rows, newest=3)
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        assert [row["id"] for row in store.audit_rows()] == sorted(rows, reverse=True)
        assert store.check() == []
        store.audit(NOW, "anna", "allow", "y", "")
        store.audit(NOW, "anna", "allow", "z", "")
        assert store.check() == []
        if rows:
            assert tampered(store, f"UPDATE audit SET why = 'no' WHERE id = {rows[0]}")


def test_an_older_trail_is_forgotten_as_any(tmp_path: Path) -> None:
    old(tmp_path / "store.sqlite", 1, 2, 3, newest=3)
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        store.audit(NOW + 5, "anna", "allow", "y", "")
        assert store.forget_kept("audit", NOW + 5) == 3
        store.audit(NOW + 6, "anna", "allow", "z", "")
        assert store.check() == []


def test_an_entry_is_there_with_its_deed_or_not_at_all(trail: SqliteStore) -> None:
    with pytest.raises(StoreError, match="no purge"), trail.transaction():
        trail.audit(NOW, "anna", "source undo", "acme", "")
        trail.undo_purge(7, NOW)
    trail.audit(NOW, "anna", "allow", "x", "")
    assert trail.audit_rows(1)[0]["id"] == DEEDS + 1
    assert trail.check() == []


@given(st.lists(st.text(max_size=5), min_size=4, max_size=4), st.lists(st.text(max_size=5), min_size=4, max_size=4))
def test_no_two_entries_have_one_link(one: list[str], other: list[str]) -> None:
    links = {link_of(FIRST_LINK, Deed(1, 1, *said)) for said in (one, other)}
    assert len(links) == len({tuple(one), tuple(other)})


# read


def test_it_is_read_by_pages_and_by_who_what_and_when(trail: SqliteStore) -> None:
    trail.audit(NOW + 50, "ben", "source purge", "acme", "poisoned")
    page = trail.audit_rows(3)
    assert [row["id"] for row in page] == [7, 6, 5]
    assert [row["id"] for row in trail.audit_rows(3, before=5)] == [4, 3, 2]
    assert [row["id"] for row in trail.audit_rows(9, who="ben")] == [7]
    assert [row["id"] for row in trail.audit_rows(9, subjects=["46.0.0.1", "46.0.0.3"])] == [4, 2]
    assert [row["id"] for row in trail.audit_rows(9, since=NOW + 4)] == [7, 6, 5]
    assert [row["id"] for row in trail.audit_rows(9, before=7, who="anna", since=NOW + 4)] == [6, 5]
    assert trail.audit_rows(9, who="anna", subjects=["acme"]) == []
    since = [deed.id for deeds in trail.audit_trail(NOW + 5) for deed in deeds]
    assert since == [6, 7]
