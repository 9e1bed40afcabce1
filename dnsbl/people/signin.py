"""The steps in. Each answers with the identifier of the next session, or None: never why, for whoever asks may be
anyone. A name that is not there costs as much as one that is.

After LOCK_AFTER failures in a row (passwords and second factors alike) a person is locked: for a minute, and twice as
long after each further one, up to an hour. While it lasts the right answers are wrong, too, but from the /24 or /64
that they signed in from lately: whoever knows a name keeps nobody out. Failures are forgotten when somebody is in, not
before: who knows a password has no more tries at the codes.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable

from .. import clock
from ..keyed import Keyed
from ..store import Store
from ..store.contract.people import Account
from . import passkeys, totp
from .passwords import hashed, is_right, need_good
from .sessions import DESK, ENROL, PASSWORD, Sessions, Visit

__all__ = ["MAX_TRIES", "SignIn", "failed", "has_second", "locked", "setup_digest"]

LOCK_AFTER = 5  # failures in a row
LOCKED, LONGEST = 60, 3600  # seconds: the first lock, and the longest
MAX_TRIES = 5  # second factors of one sign-in; then it starts anew
MAX_NAME = 100  # characters of a name that are looked at
SYSTEM = "dnsbl"  # who locks, in the audit trail
NOT_A_CODE = bytes(32)


class SignIn:
    """`came_from` is the client's address for the audit trail, "" where it is not known."""

    def __init__(self, store: Store, keyed: Callable[[], Keyed], sessions: Sessions) -> None:
        self.store, self.keyed, self.sessions = store, keyed, sessions

    def password(self, name: str, password: str, came_from: str = "", before: str = "") -> str | None:
        """The first step. Takes a tenth of a second of one core and 64 MiB, whatever it says."""
        account = self.named(name)
        usable = account is not None and may_try(self.store, account, came_from)
        right = is_right(password, account.password if account and usable else "")
        if account is None or not usable:
            return None
        if not right:
            failed(self.store, account, came_from)
            return None
        with self.store.transaction():
            present = self.store.account(account.id)
            if present is None or not may_try(self.store, present, came_from) or present.password != account.password:
                return None
            stage = PASSWORD if has_second(self.store, present) else ENROL
            return self.sessions.begin(present, stage, before)

    def set_up(self, name: str, code: str, password: str, before: str = "") -> str | None:
        """A password, chosen with a set-up code. Raises IntakeError where the password will not do."""
        need_good(password, name_of(name))
        account = self.named(name)
        kept = (account.setup if account else None) or NOT_A_CODE
        if not hmac.compare_digest(setup_digest(code), kept) or account is None or not is_out(account):
            return None
        fresh = hashed(password)
        with self.store.transaction():
            present = self.store.account(account.id)
            if present is None or present.setup != kept or not is_out(present):
                return None  # it was used meanwhile
            self.store.change_person(account.id, password=fresh, setup=None, setup_until=None, failures=0, locked=None)
            self.store.end_sessions(account.id)
            self.store.audit(clock.now(), account.name, "password", account.name, "chosen with a set-up code")
            stage = PASSWORD if has_second(self.store, present) else ENROL
            return self.sessions.begin(present, stage, before)

    def code(self, visit: Visit, code: str, came_from: str = "") -> str | None:
        """The second step, by an app's code; each code is good once. After MAX_TRIES the session is over."""
        with self.store.transaction():
            account = self.awaited(visit, came_from)
            if account is None:
                return None
            secret = totp.secret_of(self.keyed(), account.totp_nonce)
            step = totp.step_of(secret, code, clock.now())
            if account.totp_since is None or step is None or not self.store.use_step(account.id, step):
                self.wrong(visit, account, came_from)
                return None
            return self.admit(visit, account, "with an app", came_from)

    def challenge(self, visit: Visit, where: passkeys.Site) -> str | None:
        """What the browser is asked to sign, as JSON; None where this person has no passkey. The newest counts."""
        known = self.store.passkeys(visit.account.id)
        if not known:
            return None
        options, challenge = passkeys.request(where, known)
        self.store.change_session(visit.session.digest, challenge=challenge)
        return options

    def passkey(self, visit: Visit, where: passkeys.Site, credential: str, came_from: str = "") -> str | None:
        """The second step, by a passkey's answer to the challenge, which is good once."""
        with self.store.transaction():
            account = self.awaited(visit, came_from)
            if account is None:
                return None
            session = self.store.session(visit.session.digest)
            challenge = session.challenge if session else None
            self.store.change_session(visit.session.digest, challenge=None)
            named = passkeys.credential_id(credential)
            known = next((each for each in self.store.passkeys(account.id) if each.id == named), None)
            if known is None or challenge is None:
                self.wrong(visit, account, came_from)
                return None
            uses = passkeys.uses_after(where, challenge, credential, known)
            if uses is None:
                self.wrong(visit, account, came_from)
                return None
            self.store.passkey_used(known.id, uses, clock.now())
            return self.admit(visit, account, f"with passkey {known.name}", came_from)

    def named(self, name: str) -> Account | None:
        return self.store.account(name_of(name))

    def awaited(self, visit: Visit, came_from: str) -> Account | None:
        """Whose second factor a session waits for, as it is now; one that is locked or gone is waited for no more."""
        session, account = self.store.session(visit.session.digest), self.store.account(visit.account.id)
        waits = session is not None and session.stage == PASSWORD
        if not waits or account is None or not may_try(self.store, account, came_from):
            self.sessions.end(visit.token)
            return None
        return account

    def wrong(self, visit: Visit, account: Account, came_from: str) -> None:
        failed(self.store, account, came_from)
        session = self.store.session(visit.session.digest)
        tries = session.tries + 1 if session else MAX_TRIES
        if tries >= MAX_TRIES:
            self.sessions.end(visit.token)
        else:
            self.store.change_session(visit.session.digest, tries=tries)

    def admit(self, visit: Visit, account: Account, how: str, came_from: str) -> str:
        """Somebody is in."""
        self.store.change_person(account.id, failures=0, locked=None)
        if network := network_of(came_from):
            self.store.signed_in_from(account.id, network, clock.now())
        self.store.audit(clock.now(), account.name, "sign in", account.name, how + from_where(came_from))
        return self.sessions.begin(account, DESK, visit.token, visit.session.proven)


def failed(store: Store, account: Account, came_from: str = "") -> None:
    """One more failure in a row; enough of them lock."""
    with store.transaction():
        present = store.account(account.id)
        if present is None:
            return
        failures, until = present.failures + 1, None
        if failures >= LOCK_AFTER:
            until = clock.now() + min(LONGEST, LOCKED << min(failures - LOCK_AFTER, 10))
            why = f"{failures} failures in a row, the last{from_where(came_from)}; until {clock.rfc3339(until)}"
            store.audit(clock.now(), SYSTEM, "lock", account.name, why)
        store.change_person(account.id, failures=failures, locked=until)


def may_try(store: Store, account: Account, came_from: str) -> bool:
    if account.disabled is not None:
        return False
    return not locked(account) or store.knows_network(account.id, network_of(came_from), clock.now())


def network_of(address: str) -> str:
    """The /24 or /64 of a client's address; "" where it is not known."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 64), strict=False))


def locked(account: Account) -> bool:
    return account.locked is not None and account.locked > clock.now()


def is_out(account: Account) -> bool:
    """Whether a set-up code of this person's can be used."""
    return account.disabled is None and (account.setup_until or 0) > clock.now()


def has_second(store: Store, account: Account) -> bool:
    return account.totp_since is not None or bool(store.passkeys(account.id))


def from_where(address: str) -> str:
    return f" from {address}" if address else ""


def name_of(text: str) -> str:
    """A name as it was typed, which is untrusted; "" is nobody's."""
    return text[:MAX_NAME].strip().lower() if text.isascii() else ""


def setup_digest(code: str) -> bytes:
    """SHA-256 of a set-up code, however it was typed."""
    letters = "".join(c for c in code.upper() if c.isalnum())
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).digest()
