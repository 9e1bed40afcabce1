"""Requests to be taken off, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from .base import Base
from .contract.removals import Challenge, Event, Removal

__all__ = ["RemovingPart"]

REMOVAL = tuple(field.name for field in fields(Removal))
CHALLENGE = tuple(field.name for field in fields(Challenge))
SELECT = f"SELECT {', '.join(REMOVAL)} FROM removal"
COUNTED_BY = ("subject", "requester", "network", "asn")


class RemovingPart(Base):
    def add_removal(self, removal: Removal, who: str = "requester") -> int:
        names = REMOVAL[1:]
        row = {name: getattr(removal, name) for name in names}
        row |= {"zones": " ".join(removal.zones), "why": json.dumps(list(map(dict, removal.why)))}
        with self.transaction() as connection:
            number = connection.execute(
                f"INSERT INTO removal ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [row[name] for name in names],
            ).lastrowid
            assert number is not None
            add_event(connection, number, removal.at, removal.state, who, removal.why)
        return number

    def removal(self, number: int) -> Removal | None:
        return first(self.rows(f"{SELECT} WHERE id = ?", number))

    def removal_by_link(self, link: bytes) -> Removal | None:
        return first(self.rows(f"{SELECT} WHERE link = ?", link))

    def move_removal(
        self, number: int, after: str, state: str, at: int, who: str, why: Sequence[Mapping[str, Any]], **changes: Any
    ) -> bool:
        unknown = set(changes) - set(REMOVAL)
        assert not unknown, unknown
        wanted = {"state": state, "changed": at, "why": json.dumps(list(map(dict, why))), **changes}
        setting = ", ".join(f"{name} = ?" for name in wanted)
        with self.transaction() as connection:
            moved = connection.execute(
                f"UPDATE removal SET {setting} WHERE id = ? AND state = ?", [*wanted.values(), number, after]
            ).rowcount
            if moved:
                add_event(connection, number, at, state, who, why)
        return bool(moved)

    def removal_events(self, number: int) -> list[Event]:
        rows = self.rows("SELECT at, state, who, why FROM removal_event WHERE removal = ? ORDER BY id", number)
        return [Event(at, state, who, json.loads(why)) for at, state, who, why in rows]

    def removals(
        self, states: Collection[str] = (), subject: bytes | None = None, before: int | None = None, limit: int = 100
    ) -> list[Removal]:
        where, values = conditions(states, subject, None)
        if before is not None:
            where, values = [*where, "id < ?"], [*values, before]
        said = f" WHERE {' AND '.join(where)}" if where else ""
        return list(map(removal_of, self.rows(f"{SELECT}{said} ORDER BY id DESC LIMIT ?", *values, limit)))

    def removals_waiting(
        self, state: str, limit: int, beside: tuple[int, int] = (0, 0), back: bool = False
    ) -> list[Removal]:
        order, sign = ("DESC", "<") if back else ("ASC", ">")
        sql = f"{SELECT} WHERE state = ? AND (changed, id) {sign} (?, ?) ORDER BY changed {order}, id {order} LIMIT ?"
        return list(map(removal_of, self.rows(sql, state, *beside, limit)))

    def count_overdue(self, state: str, before: int) -> int:
        count: int = self.rows("SELECT count(*) FROM removal WHERE state = ? AND changed < ?", state, before)[0][0]
        return count

    def removals_due(self, states: Collection[str], now: int, limit: int) -> list[Removal]:
        where, values = conditions(states, None, None)
        said = " AND ".join([*where, "expires <= ?"])
        return list(map(removal_of, self.rows(f"{SELECT} WHERE {said} ORDER BY id LIMIT ?", *values, now, limit)))

    def count_removals(
        self, states: Collection[str], subject: bytes | None = None, requester: str | None = None
    ) -> int:
        where, values = conditions(states, subject, requester)
        count: int = self.rows(f"SELECT count(*) FROM removal WHERE {' AND '.join(where)}", *values)[0][0]
        return count

    def oldest_removal(self, state: str) -> int | None:
        since: int | None = self.rows("SELECT min(changed) FROM removal WHERE state = ?", state)[0][0]
        return since

    def granted_times(self, column: str, value: object, since: int, zones: Collection[str] = ()) -> list[int]:
        assert column in COUNTED_BY, column
        rows = self.rows(
            f"SELECT granted, zones FROM removal WHERE {column} = ? AND granted > ? AND way != 'operator' "
            "ORDER BY granted",
            value,
            since,
        )
        return [at for at, named in rows if not zones or set(named.split()) & set(zones)]

    def removal_yields(self, subject: bytes, zones: Collection[str]) -> bool:
        marks = ", ".join("?" * len(zones))
        sql = f"SELECT max(yields) FROM exemption WHERE subject = ? AND origin = 'removal' AND zone IN ({marks})"
        return bool(self.rows(sql, subject, *zones)[0][0])

    def removal_ends(self, subject: bytes, zones: Collection[str]) -> int | None:
        marks = ", ".join("?" * len(zones))
        rows = self.rows(
            f"SELECT min(until) FROM exemption WHERE subject = ? AND origin = 'removal' AND zone IN ({marks})",
            subject,
            *zones,
        )
        end: int | None = rows[0][0]
        return end

    def wait_for_removal(self, number: int, expires: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE removal SET expires = ? WHERE id = ?", (expires, number))

    def forget_targets(self, removal: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE challenge SET target = '' WHERE removal = ? AND proof != 'dns'", (removal,))

    # proofs

    def add_challenge(self, challenge: Challenge) -> int:
        names = CHALLENGE[1:]
        with self.transaction() as connection:
            number = connection.execute(
                f"INSERT INTO challenge ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [getattr(challenge, name) for name in names],
            ).lastrowid
        assert number is not None
        return number

    def challenge(self, number: int) -> Challenge | None:
        return next(iter(self.challenges("id", number)), None)

    def challenge_by_digest(self, digest: bytes) -> Challenge | None:
        return next(iter(self.challenges("digest", digest)), None)

    def challenges_of(self, removal: int) -> list[Challenge]:
        return self.challenges("removal", removal)

    def challenges(self, column: str, value: object) -> list[Challenge]:
        rows = self.rows(f"SELECT {', '.join(CHALLENGE)} FROM challenge WHERE {column} = ? ORDER BY id", value)
        return [Challenge(*row) for row in rows]

    def use_challenge(self, number: int, at: int) -> bool:
        with self.transaction() as connection:
            used = connection.execute(
                "UPDATE challenge SET used = ? WHERE id = ? AND used IS NULL AND expires > ?", (at, number, at)
            ).rowcount
        return bool(used)

    def forget_removals(self, before: int) -> int:
        old = "SELECT id FROM removal WHERE state = 'done' AND changed < ?"
        with self.transaction() as connection:
            for table in ("removal_event", "challenge"):
                connection.execute(f"DELETE FROM {table} WHERE removal IN ({old})", (before,))
            return connection.execute("DELETE FROM removal WHERE state = 'done' AND changed < ?", (before,)).rowcount


def add_event(connection: Any, removal: int, at: int, state: str, who: str, why: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        "INSERT INTO removal_event (removal, at, state, who, why) VALUES (?, ?, ?, ?, ?)",
        (removal, at, state, who, json.dumps(list(map(dict, why)))),
    )


def conditions(states: Collection[str], subject: bytes | None, requester: str | None) -> tuple[list[str], list[object]]:
    """What to ask for, and the values that go there."""
    where: list[str] = [f"state IN ({', '.join('?' * len(states))})"] if states else []
    values: list[object] = [*sorted(states)]
    for column, value in (("subject", subject), ("requester", requester)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    return where, values


def first(rows: Sequence[tuple[Any, ...]]) -> Removal | None:
    return removal_of(rows[0]) if rows else None


def removal_of(row: tuple[Any, ...]) -> Removal:
    values = dict(zip(REMOVAL, row, strict=True))
    values["zones"] = tuple(values["zones"].split())
    values["why"] = json.loads(values["why"])
    values["appealed"] = bool(values["appealed"])
    return Removal(**values)
