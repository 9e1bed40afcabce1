"""Sessions: who is here, and how far in. An identifier is 256 random bits in a cookie; the store has its SHA-256.

    password   the second factor is asked        enrol   there is none yet: one is set up        desk   all of it

Each step has an identifier of its own, and the one before ends with it: what a client brings is never adopted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from .. import clock
from ..store import Store
from ..store.contract.people import Account, Session

__all__ = ["DESK", "ENROL", "IDLE", "PASSWORD", "Person", "Sessions", "Visit", "csrf_of", "digest_of"]

PASSWORD, ENROL, DESK = "password", "enrol", "desk"
IDLE = 30 * 60  # seconds without a request
LASTS = {PASSWORD: 10 * 60, ENROL: 30 * 60, DESK: 12 * 3600}  # seconds in all, by stage
MAX_SESSIONS = 20  # of one person; the oldest ends
SEEN_EVERY = 60  # seconds; that a session was used is written no more often
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base 64
ADMIN = "admin"


@dataclass(slots=True, frozen=True)
class Person:
    """Who is at the desk, for handlers and pages."""

    id: int
    name: str
    roles: tuple[str, ...]

    def may(self, role: str) -> bool:
        """Whether this is a person of that role; admins may do what others may."""
        return role in self.roles or ADMIN in self.roles


@dataclass(slots=True, frozen=True)
class Visit:
    """A session that holds, and whose it is."""

    token: str
    session: Session
    account: Account
    person: Person


class Sessions:
    """Begun, found and ended. Every method may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin(self, account: Account, stage: str, before: str = "", proven: int | None = None) -> str:
        """A new identifier; that of the step before ends. `proven`: when the password was given, now if not said."""
        now = clock.now()
        token = secrets.token_urlsafe(32)
        made = Session(
            digest_of(token), account.id, stage, now, now, now + LASTS[stage], now if proven is None else proven
        )
        with self.store.transaction():
            self.end(before)
            self.store.forget_sessions(now)
            for oldest in self.store.sessions(account.id)[: 1 - MAX_SESSIONS]:
                self.store.end_session(oldest.digest)
            self.store.add_session(made)
        return token

    def renew(self, visit: Visit, alone: bool = False) -> str:
        """Another identifier for the same visit, which ends no later; `alone`: all others of this person end. One that
        was ended meanwhile stays so: then nothing has the new identifier."""
        token = secrets.token_urlsafe(32)
        with self.store.transaction():
            now_kept = self.store.session(visit.session.digest)
            self.end(visit.token)
            if alone:
                self.store.end_sessions(visit.account.id)
            if now_kept:
                self.store.add_session(replace(now_kept, digest=digest_of(token), draft="", challenge=None))
        return token

    def find(self, token: str) -> Visit | None:
        """The visit of an identifier, which is untrusted; None where it is over, or its person may not be here."""
        if not TOKEN.fullmatch(token):
            return None
        session = self.store.session(digest_of(token))
        now = clock.now()
        if session is None or now >= min(session.expires, session.seen + IDLE):
            return None
        account = self.store.account(session.person)
        if account is None or account.disabled is not None:
            return None
        return Visit(token, session, account, Person(account.id, account.name, account.roles))

    def due(self, visit: Visit) -> bool:
        """Whether to write that it was seen."""
        return clock.now() >= visit.session.seen + SEEN_EVERY

    def saw(self, visit: Visit) -> None:
        self.store.change_session(visit.session.digest, seen=clock.now())

    def end(self, token: str) -> None:
        if TOKEN.fullmatch(token):
            self.store.end_session(digest_of(token))


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """What a form of this session carries: nobody who lacks the cookie can make it, and it does not tell the cookie."""
    return hmac.new(token.encode(), b"dnsbl form", hashlib.sha256).hexdigest()
