"""What an operator does about people: makes them, gives them roles, lets them choose a new password, shuts them out."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from typing import Any

from .. import clock
from ..errors import IntakeError
from ..keyed import Keyed
from ..store import Store
from ..store.contract.people import Account
from .account import Accounts
from .sessions import ADMIN, Person, Sessions
from .signin import SignIn, has_second, setup_digest

__all__ = ["ROLES", "People", "Person"]

ROLES = {
    "reviewer": "decides removals and holds, and sees everything",
    ADMIN: "may do everything: people, keys, purges, feeds, wide exemptions",
}
OPERATOR = "operator"  # whoever has the command line
# Who did what in the audit trail and in removals, where it was no person of the desk.
RESERVED = (OPERATOR, "dnsbl", "requester", "rules", "trust")
NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
SETUP_LASTS = clock.DAY  # seconds that a set-up code can be used in
SETUP = 20  # characters of a set-up code in base 32: 100 bits
GROUP = 4  # of them between two hyphens: it may have to be read out


class People:
    """The people of one store. Every method may be called from any thread; `who` did it, for the audit trail. Raises
    IntakeError where there is nobody of that name."""

    def __init__(self, store: Store, keyed: Callable[[], Keyed], public_url: str = "") -> None:
        self.store, self.public_url = store, public_url
        self.sessions = Sessions(store)
        self.signin = SignIn(store, keyed, self.sessions)
        self.accounts = Accounts(store, keyed, self.sessions)

    def add(self, name: str, role: str, who: str = OPERATOR) -> dict[str, Any]:
        """A new person, who is to choose a password with the set-up code in the answer. Raises IntakeError."""
        if not NAME.fullmatch(name):
            raise IntakeError(
                f"{name[:50]!r} is no name for a person: lower-case letters, digits, dots, hyphens and underscores, a "
                "letter first, 32 at most"
            )
        if name in RESERVED or self.store.account(name):
            raise IntakeError(f"{name!r} is taken; choose another name")
        need_role(role)
        with self.store.transaction():
            account = self.store.add_person(name, (role,), clock.now())
            self.audit(who, "person add", name, role)
            return self.give_setup(account)

    def rows(self) -> list[dict[str, Any]]:
        """Everybody, without secrets."""
        return [self.row(account) for account in self.store.accounts()]

    def row(self, account: Account) -> dict[str, Any]:
        now = clock.now()
        sessions = self.store.sessions(account.id)
        return {
            "name": account.name,
            "role": " ".join(account.roles),
            "created": clock.rfc3339(account.created),
            "password": bool(account.password),
            "app": account.totp_since is not None,
            "passkeys": len(self.store.passkeys(account.id)),
            "sessions": sum(1 for session in sessions if session.expires > now),
            "seen": clock.rfc3339(max((session.seen for session in sessions), default=None)),
            "setup_until": clock.rfc3339(account.setup_until if (account.setup_until or 0) > now else None),
            "locked": clock.rfc3339(account.locked if (account.locked or 0) > now else None),
            "disabled": clock.rfc3339(account.disabled),
        }

    def new_password(self, name: str, who: str = OPERATOR) -> dict[str, Any]:
        """A set-up code to choose another password with; the old one is good until then."""
        with self.store.transaction():
            account = self.known(name)
            self.audit(who, "person password", name)
            return self.give_setup(account)

    def set_role(self, name: str, role: str, who: str = OPERATOR) -> None:
        need_role(role)
        with self.store.transaction():
            self.change(name, roles=(role,))
            self.audit(who, "person role", name, role)

    def disable(self, name: str, who: str = OPERATOR) -> None:
        """At once: whoever it is has no session any more, and gets none."""
        with self.store.transaction():
            self.change(name, disabled=clock.now(), setup=None, setup_until=None)
            self.audit(who, "person disable", name)

    def enable(self, name: str, who: str = OPERATOR) -> None:
        """May sign in again; a lock after failures is lifted too."""
        with self.store.transaction():
            self.store.change_person(self.known(name).id, disabled=None, failures=0, locked=None)
            self.audit(who, "person enable", name)

    def reset_second(self, name: str, who: str = OPERATOR) -> None:
        """No app and no passkey counts any more: who next signs in with the password sets up new ones."""
        with self.store.transaction():
            account = self.change(name, totp_nonce="", totp_since=None)
            self.store.remove_passkeys(account.id)
            self.audit(who, "person reset-second", name)

    def sign_out(self, name: str, who: str = OPERATOR) -> int:
        """How many sessions were ended."""
        with self.store.transaction():
            ended = self.store.end_sessions(self.known(name).id)
            self.audit(who, "person sign-out", name)
            return ended

    def change(self, name: str, **changes: Any) -> Account:
        """What is changed about a person ends their sessions."""
        account = self.known(name)
        self.store.change_person(account.id, **changes)
        self.store.end_sessions(account.id)
        return account

    def known(self, name: str) -> Account:
        account = self.store.account(name)
        if account is None:
            raise IntakeError(f"no person {name[:50]!r}; `dnsbl person list` shows who there is")
        return account

    def give_setup(self, account: Account) -> dict[str, Any]:
        code = new_code()
        until = clock.now() + SETUP_LASTS
        self.store.change_person(account.id, setup=setup_digest(code), setup_until=until)
        return {
            "name": account.name,
            "role": " ".join(account.roles),
            "second": has_second(self.store, account),
            "page": f"{self.public_url.rstrip('/')}/admin/setup",
            "code": code,
            "until": clock.rfc3339(until),
        }

    def audit(self, who: str, what: str, name: str, why: str = "") -> None:
        self.store.audit(clock.now(), who, what, name, why)


def need_role(role: str) -> None:
    if role not in ROLES:
        raise IntakeError(f"no role {role[:50]!r}; there are {', '.join(ROLES)}")


def new_code() -> str:
    """`K7QF-2MZD-...`"""
    text = base64.b32encode(secrets.token_bytes(SETUP)).decode()[:SETUP]
    return "-".join(text[at : at + GROUP] for at in range(0, SETUP, GROUP))
