"""People at the desk, their passkeys and sessions."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

from ..errors import StoreError
from .base import Base, Connection
from .contract.people import Account, Passkey, Session

__all__ = ["PeoplePart"]


KNOWN_FOR = 30 * 86_400  # seconds


def columns(row: type[Any]) -> str:
    return ", ".join(field.name for field in fields(row))


ACCOUNTS = f"SELECT {columns(Account)} FROM person"
PASSKEYS = f"SELECT {columns(Passkey)} FROM passkey"
SESSIONS = f"SELECT {columns(Session)} FROM session"


class PeoplePart(Base):
    """People at the desk, their passkeys and sessions."""

    def add_person(self, name: str, roles: tuple[str, ...], at: int) -> Account:
        with self.transaction() as connection:
            if self.account(name):
                raise StoreError(f"a person named {name!r} is there already; choose another name")
            connection.execute(
                "INSERT INTO person (name, roles, created) VALUES (?, ?, ?)", (name, " ".join(roles), at)
            )
            made = self.account(name)
        assert made is not None
        return made

    def account(self, person: int | str) -> Account | None:
        by = "id" if isinstance(person, int) else "name"
        rows = self.rows(f"{ACCOUNTS} WHERE {by} = ?", person)
        return account_of(rows[0]) if rows else None

    def accounts(self) -> list[Account]:
        return [account_of(row) for row in self.rows(f"{ACCOUNTS} ORDER BY name")]

    def any_person(self) -> bool:
        return bool(self.rows("SELECT 1 FROM person LIMIT 1"))

    def change_person(self, person: int, **changes: Any) -> None:
        if "roles" in changes:
            changes["roles"] = " ".join(changes["roles"])
        with self.transaction() as connection:
            change(connection, "person", "id", person, changes)

    def signed_in_from(self, person: int, network: str, at: int) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM person_network WHERE at < ?", (at - KNOWN_FOR,))
            connection.execute("INSERT OR REPLACE INTO person_network VALUES (?, ?, ?)", (person, network, at))

    def knows_network(self, person: int, network: str, now: int) -> bool:
        sql = "SELECT 1 FROM person_network WHERE person = ? AND network = ? AND at >= ?"
        return bool(self.rows(sql, person, network, now - KNOWN_FOR))

    def use_step(self, person: int, step: int) -> bool:
        with self.transaction() as connection:
            sql = "UPDATE person SET totp_step = ? WHERE id = ? AND totp_step < ?"
            return connection.execute(sql, (step, person, step)).rowcount == 1

    # passkeys

    def passkeys(self, person: int) -> list[Passkey]:
        return [Passkey(*row) for row in self.rows(f"{PASSKEYS} WHERE person = ? ORDER BY created, id", person)]

    def add_passkey(self, passkey: Passkey) -> bool:
        with self.transaction() as connection:
            sql = f"INSERT INTO passkey ({columns(Passkey)}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
            return connection.execute(sql, astuple(passkey)).rowcount == 1

    def passkey_used(self, id: bytes, uses: int, at: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE passkey SET uses = ?, last_used = ? WHERE id = ?", (uses, at, id))

    def remove_passkeys(self, person: int, id: bytes | None = None) -> int:
        with self.transaction() as connection:
            sql = "DELETE FROM passkey WHERE person = ? AND (? IS NULL OR id = ?)"
            return connection.execute(sql, (person, id, id)).rowcount

    # sessions

    def add_session(self, session: Session) -> None:
        with self.transaction() as connection:
            connection.execute(
                f"INSERT INTO session ({columns(Session)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(session)
            )

    def session(self, digest: bytes) -> Session | None:
        rows = self.rows(f"{SESSIONS} WHERE digest = ?", digest)
        return Session(*rows[0]) if rows else None

    def sessions(self, person: int) -> list[Session]:
        return [Session(*row) for row in self.rows(f"{SESSIONS} WHERE person = ? ORDER BY created, digest", person)]

    def change_session(self, digest: bytes, **changes: Any) -> None:
        with self.transaction() as connection:
            change(connection, "session", "digest", digest, changes)

    def end_session(self, digest: bytes) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM session WHERE digest = ?", (digest,))

    def end_sessions(self, person: int) -> int:
        with self.transaction() as connection:
            return connection.execute("DELETE FROM session WHERE person = ?", (person,)).rowcount

    def forget_sessions(self, before: int) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM session WHERE expires <= ?", (before,))


def change(connection: Connection, table: str, by: str, key: object, changes: dict[str, Any]) -> None:
    """Set columns of one row; their names are our own."""
    sets = ", ".join(f"{name} = ?" for name in changes)
    connection.execute(f"UPDATE {table} SET {sets} WHERE {by} = ?", (*changes.values(), key))


def account_of(row: tuple[Any, ...]) -> Account:
    number, name, roles, *rest = row
    return Account(number, name, tuple(roles.split()), *rest)
