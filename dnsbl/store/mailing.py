"""Mail that is to be sent: taken one batch after another, tried again after longer and longer pauses."""

from __future__ import annotations

from dataclasses import replace

from ..clock import DAY
from .base import Base, Connection
from .contract.mail import Outgoing

__all__ = ["DAILY_MAILS", "MAX_WAITING", "RECENT_SECONDS", "MailingPart"]

RECENT_SECONDS = 600  # a second mail to the same recipient comes no sooner, whoever asks for it
DAILY_MAILS = 5  # to one recipient within a day
MAX_WAITING = 10_000  # mails: more than a relay that is away for a day lets gather
PAUSES = (60, 300, 900, 3600)  # seconds until the next try, after the first, second, ... and all later ones
COLUMNS = "id, challenge, recipient, language, at, next, tries, state, said"


class MailingPart(Base):
    """`dnsbl.store.contract.mail.Mail` in the table `outgoing`."""

    def queue_mail(self, challenge: int, recipient: str, token: str, language: str, at: int) -> bool:
        with self.transaction() as connection:
            if flooded(connection, token, at):
                return False
            connection.execute(
                "INSERT INTO outgoing (challenge, recipient, token, language, at, next) VALUES (?, ?, ?, ?, ?, ?)",
                (challenge, recipient, token, language, at, at),
            )
        return True

    def mail_due(self, now: int, limit: int) -> list[Outgoing]:
        due = "state = 'waiting' AND next <= ?"
        if not self.rows(f"SELECT 1 FROM outgoing WHERE {due} LIMIT 1", now):
            return []  # as a rule: no writer waits for us
        with self.transaction() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM outgoing WHERE {due} ORDER BY next, id LIMIT ?", (now, limit)
            ).fetchall()
            taken = [tried(Outgoing(*row), now) for row in rows]
            connection.executemany(
                "UPDATE outgoing SET next = ?, tries = ? WHERE id = ?",
                [(mail.next, mail.tries, mail.id) for mail in taken],
            )
        return taken

    def mail_done(self, mail: int, state: str, said: str) -> None:
        with self.transaction() as connection:
            connection.execute(
                "UPDATE outgoing SET state = ?1, said = ?2, recipient = CASE WHEN ?1 = 'waiting' THEN recipient "
                "ELSE '' END WHERE id = ?3 AND state = 'waiting'",
                (state, said, mail),
            )

    def mail_of(self, challenge: int) -> list[Outgoing]:
        rows = self.rows(f"SELECT {COLUMNS} FROM outgoing WHERE challenge = ? ORDER BY id DESC", challenge)
        return [Outgoing(*row) for row in rows]

    def mail_waiting(self) -> int:
        count: int = self.rows("SELECT count(*) FROM outgoing WHERE state = 'waiting'")[0][0]
        return count

    def forget_mail(self, before: int) -> int:
        with self.transaction() as connection:
            return connection.execute("DELETE FROM outgoing WHERE at < ?", (before,)).rowcount


def flooded(connection: Connection, token: str, at: int) -> bool:
    """Whether this recipient has enough of our mail, or we have too much of it waiting."""
    count, last = connection.execute(
        "SELECT count(*), max(at) FROM outgoing WHERE token = ? AND at > ?", (token, at - DAY)
    ).fetchone()
    if count >= DAILY_MAILS or (last is not None and last > at - RECENT_SECONDS):
        return True
    waiting: int = connection.execute("SELECT count(*) FROM outgoing WHERE state = 'waiting'").fetchone()[0]
    return waiting >= MAX_WAITING


def tried(mail: Outgoing, now: int) -> Outgoing:
    """The mail as it is once this try has begun."""
    return replace(mail, next=now + PAUSES[min(mail.tries, len(PAUSES) - 1)], tries=mail.tries + 1)
