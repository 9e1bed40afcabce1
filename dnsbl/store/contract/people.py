"""People at the desk, their passkeys and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Account", "Passkey", "People", "Session"]


@dataclass(slots=True, frozen=True)
class Account:
    """A person with what sign-in is checked against. Not for pages."""

    id: int
    name: str
    roles: tuple[str, ...]
    password: str  # as argon2 writes it; "": none was chosen yet
    setup: bytes | None  # SHA-256 of the set-up code that is out
    setup_until: int | None
    totp_nonce: str  # what the app's secret is made of
    totp_since: int | None  # since when the app counts; None: there is none
    totp_step: int  # the newest step (RFC 6238) whose code was used
    created: int
    disabled: int | None
    failures: int  # in a row
    locked: int | None  # until when


@dataclass(slots=True, frozen=True)
class Passkey:
    id: bytes  # the credential's own
    person: int
    public_key: bytes  # COSE
    uses: int  # the authenticator's counter; 0 where it has none
    name: str
    created: int
    last_used: int | None = None


@dataclass(slots=True, frozen=True)
class Session:
    digest: bytes  # SHA-256 of its identifier
    person: int
    stage: str  # what was proven (people/sessions.py)
    created: int
    seen: int
    expires: int
    proven: int  # when the password was last given
    tries: int = 0  # second factors that were wrong
    draft: str = ""  # nonce of an authenticator app that is not confirmed yet
    challenge: bytes | None = None  # that a passkey is to sign


class People(Protocol):
    """People at the desk, their passkeys and sessions."""

    def add_person(self, name: str, roles: tuple[str, ...], at: int) -> Account:
        """Raises StoreError where the name is taken."""
        ...

    def account(self, person: int | str) -> Account | None:
        """By number or name."""
        ...

    def accounts(self) -> list[Account]: ...
    def any_person(self) -> bool: ...
    def change_person(self, person: int, **changes: Any) -> None:
        """Set fields of Account."""
        ...

    def signed_in_from(self, person: int, network: str, at: int) -> None:
        """Note where somebody signed in from; what is older than `KNOWN_FOR` goes."""
        ...

    def knows_network(self, person: int, network: str, now: int) -> bool:
        """Whether somebody signed in from there within `KNOWN_FOR`."""
        ...

    def use_step(self, person: int, step: int) -> bool:
        """Note that a step's code was used. False: it, or a later one, was before."""
        ...

    def passkeys(self, person: int) -> list[Passkey]: ...
    def add_passkey(self, passkey: Passkey) -> bool:
        """False: it is known already, whosever it is."""
        ...

    def passkey_used(self, id: bytes, uses: int, at: int) -> None: ...
    def remove_passkeys(self, person: int, id: bytes | None = None) -> int:
        """One of a person's, or all."""
        ...

    def add_session(self, session: Session) -> None: ...
    def session(self, digest: bytes) -> Session | None: ...
    def sessions(self, person: int) -> list[Session]:
        """The oldest first."""
        ...

    def change_session(self, digest: bytes, **changes: Any) -> None:
        """Set fields of Session."""
        ...

    def end_session(self, digest: bytes) -> None: ...
    def end_sessions(self, person: int) -> int: ...
    def forget_sessions(self, before: int) -> None:
        """Those that expired by a time."""
        ...
