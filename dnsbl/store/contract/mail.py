"""Mail that is to be sent. Recipients are personal data: kept in clear only until the mail has gone, or will not go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Mail", "Outgoing"]


@dataclass(slots=True, frozen=True)
class Outgoing:
    """One mail. What it says is made when it is sent, so that the secret in it is never kept."""

    id: int
    challenge: int  # what it asks for
    recipient: str  # "" once it is no longer waiting
    language: str  # that it is written in
    at: int  # when it was queued
    next: int  # when it is tried next
    tries: int
    state: str  # waiting, sent, failed, dropped: there was nothing left to ask
    said: str  # the other side's last words, or why there were none: untrusted


class Mail(Protocol):
    """The queue of our own mail, and the count that keeps anyone from being flooded through us."""

    def queue_mail(self, challenge: int, recipient: str, token: str, language: str, at: int) -> bool:
        """Queue one mail. False, and nothing is queued: this recipient has had, or will have, one within RECENT_SECONDS
        or DAILY_MAILS within a day, whoever asked for them, or MAX_WAITING mails wait. `token` stands for the recipient
        when mails are counted: a keyed hash (`dnsbl.keyed`), kept when the recipient is not."""
        ...

    def mail_due(self, now: int, limit: int) -> list[Outgoing]:
        """Take what is due, the longest due first, with `tries` and `next` as they are from now on: until `mail_done`
        says that it is over, each is due again after a pause that grows. So a crash loses none, and what cannot be
        written down afterwards is not sent again at once."""
        ...

    def mail_done(self, mail: int, state: str, said: str) -> None:
        """What came of a try. But for `waiting` it was the last one, and the recipient is forgotten."""
        ...

    def mail_of(self, challenge: int) -> list[Outgoing]:
        """What was queued for a challenge, the newest first."""
        ...

    def mail_waiting(self) -> int:
        """How many are still to be sent."""
        ...

    def forget_mail(self, before: int) -> int:
        """Forget what was queued before, waiting or not. `before` is a day ago or more: counts reach back so far."""
        ...
