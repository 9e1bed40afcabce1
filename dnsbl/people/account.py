"""What people do about their own account: a second factor set up, a password changed, sessions ended elsewhere.

A second factor is changed only by who gave the password in the last FRESH seconds, and a change ends all other sessions
of that person. Answers are the identifier that the session has from now on, or None.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import clock
from ..errors import IntakeError
from ..keyed import Keyed
from ..phrases import N_
from ..store import Store
from ..store.contract.people import Account, Passkey
from . import passkeys, totp
from .passwords import hashed, is_right, need_good
from .sessions import DESK, ENROL, Sessions, Visit
from .signin import failed, has_second, may_try

__all__ = ["Accounts", "is_fresh"]

FRESH = 10 * 60  # seconds that a password proves who sits there
MAX_PASSKEYS = 10  # of one person
MAX_NAME = 40  # characters of a passkey's name


class Accounts:
    """Every method may be called from any thread. Raises IntakeError, with a sentence of the catalogue, where what is
    asked may not be."""

    def __init__(self, store: Store, keyed: Callable[[], Keyed], sessions: Sessions) -> None:
        self.store, self.keyed, self.sessions = store, keyed, sessions

    # the second factor

    def draft(self, visit: Visit) -> str:
        """The secret of an app that is being set up: the same until a code confirms it."""
        nonce = visit.session.draft
        if not nonce:
            nonce = totp.new_nonce()
            self.store.change_session(visit.session.digest, draft=nonce)
        return totp.secret_of(self.keyed(), nonce)

    def confirm(self, visit: Visit, code: str) -> str | None:
        """The app that is being set up counts from now on, if this is its code; one from before does not any more."""
        with self.store.transaction():
            account = self.may_change(visit)
            session = self.store.session(visit.session.digest)
            nonce = session.draft if session else ""
            step = totp.step_of(totp.secret_of(self.keyed(), nonce), code, clock.now()) if nonce else None
            if step is None:
                return None
            self.store.change_person(account.id, totp_nonce=nonce, totp_since=clock.now(), totp_step=step)
            return self.changed(visit, account, "authenticator app", "")

    def challenge(self, visit: Visit, where: passkeys.Site) -> str:
        """What the browser is asked to make, as JSON. The newest counts."""
        options, challenge = passkeys.creation(where, visit.account, self.store.passkeys(visit.account.id))
        self.store.change_session(visit.session.digest, challenge=challenge)
        return options

    def register(self, visit: Visit, where: passkeys.Site, credential: str, name: str) -> str | None:
        """A passkey more."""
        with self.store.transaction():
            account = self.may_change(visit)
            session = self.store.session(visit.session.digest)
            made = passkeys.registered(where, session.challenge, credential) if session and session.challenge else None
            if made is None:
                return None
            if len(self.store.passkeys(account.id)) >= MAX_PASSKEYS:
                raise IntakeError(N_("You have ten passkeys; remove one first."))
            name = "".join(c for c in name if c.isprintable()).strip()[:MAX_NAME] or clock.rfc3339(clock.now()) or ""
            passkey = Passkey(made.id, account.id, made.public_key, made.uses, name, clock.now())
            if not self.store.add_passkey(passkey):
                raise IntakeError(N_("This passkey is known already; use another one."))
            return self.changed(visit, account, "passkey", name)

    def remove_passkey(self, visit: Visit, id: bytes) -> str:
        with self.store.transaction():
            account = self.may_change(visit)
            if account.totp_since is None and len(self.store.passkeys(account.id)) < 2:
                raise IntakeError(N_("This is your only second factor; set up another one first."))
            if not self.store.remove_passkeys(account.id, id):
                raise IntakeError(N_("There is no such passkey any more."))
            return self.changed(visit, account, "passkey remove", "")

    def may_change(self, visit: Visit) -> Account:
        """The account as it is now, for who may change its second factor: at the desk, who gave the password just now;
        on the way in, whoever has none yet. A second one on the way in may have been faster."""
        session, account = self.store.session(visit.session.digest), self.store.account(visit.account.id)
        if session is None or account is None or account.disabled is not None:
            raise IntakeError(N_("Your session has ended; sign in again."))
        if session.stage == ENROL:
            if not has_second(self.store, account):
                return account
            raise IntakeError(N_("A second factor was set up meanwhile; sign in again."))
        if session.stage == DESK and is_fresh(visit):
            return account
        raise IntakeError(N_("Give your password first."))

    def changed(self, visit: Visit, account: Account, what: str, why: str) -> str:
        """Another second factor: on the way in it opens the desk."""
        self.store.audit(clock.now(), account.name, what, account.name, why)
        if visit.session.stage == DESK:
            return self.sessions.renew(visit, alone=True)
        self.store.change_person(account.id, failures=0, locked=None)
        self.store.end_sessions(account.id)
        self.store.audit(clock.now(), account.name, "sign in", account.name, "the first time with a second factor")
        return self.sessions.begin(account, DESK, visit.token, visit.session.proven)

    # the password

    def prove(self, visit: Visit, password: str, came_from: str = "") -> str | None:
        """The password again; wrong ones count as at sign-in."""
        if not self.knows(visit, password, came_from):
            return None
        self.store.change_session(visit.session.digest, proven=clock.now())
        return self.sessions.renew(visit)

    def change_password(self, visit: Visit, old: str, new: str, came_from: str = "") -> str | None:
        """Raises IntakeError where the new one will not do."""
        need_good(new, visit.account.name)
        if not self.knows(visit, old, came_from):
            return None
        fresh = hashed(new)
        with self.store.transaction():
            self.store.change_person(visit.account.id, password=fresh, setup=None, setup_until=None)
            self.store.audit(clock.now(), visit.account.name, "password", visit.account.name, "changed at the desk")
            return self.sessions.renew(visit, alone=True)

    def knows(self, visit: Visit, password: str, came_from: str) -> bool:
        """Whether this is the password; a thief of a session gets no more tries than anyone."""
        account = self.store.account(visit.account.id)
        if account is None or not may_try(self.store, account, came_from):
            is_right(password, "")
            return False
        if is_right(password, account.password):
            return True
        failed(self.store, account, came_from)
        return False

    # sessions

    def end_others(self, visit: Visit) -> str:
        with self.store.transaction():
            self.store.audit(clock.now(), visit.account.name, "sign out elsewhere", visit.account.name, "")
            return self.sessions.renew(visit, alone=True)

    def sign_out(self, visit: Visit) -> None:
        with self.store.transaction():
            self.sessions.end(visit.token)
            self.store.audit(clock.now(), visit.account.name, "sign out", visit.account.name, "")


def is_fresh(visit: Visit) -> bool:
    """Whether the password was given just now."""
    return clock.now() < visit.session.proven + FRESH
