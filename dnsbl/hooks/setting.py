"""What partners own and where they are told of it, as it is set by an operator or by themselves, and as it is shown.
Each deed is in the audit trail; a hook's secret is told once, by `set_hook`, and never again."""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from .. import clock
from ..errors import IntakeError, SubjectError
from ..intake.fetch.base import shown
from ..keyed import Keyed
from ..special import refused
from ..store.contract import Source, Store
from ..store.contract.hooks import Delivery, Hook, Owned
from ..subjects import kind, parse, text
from .sending import checked_url, secret_of, shown_secret

__all__ = [
    "MAX_HOOKS", "delivery_row", "disown", "hook_of", "hook_row", "own", "owned_row", "partner", "remove_hook",
    "set_hook",
]  # fmt: skip

MAX_HOOKS = 5  # of one partner
MAX_OWNED = 1000  # networks and domains of one partner
NONCE = 16  # bytes


def partner(store: Store, name: str) -> Source:
    """The source of a partner. Raises IntakeError."""
    found = next((source for source in store.sources().values() if source.name == name), None)
    if found is None or found.kind != "partner":
        raise IntakeError(f"no partner {name!r}; `dnsbl source list` shows who there is, `dnsbl key create` makes one")
    return found


def own(store: Store, source: Source, said: str, who: str, now: int) -> Owned:
    """Note that a partner owns a network or domain; the same again is no mistake. Raises IntakeError."""
    subject = ownable(said)
    if why := refused(subject):
        raise IntakeError(f"{text(subject)}: {why}, so nobody is told of it")
    with store.transaction():
        before = {each.subject: each for each in store.owned(source.id)}
        if subject in before:
            return before[subject]
        if len(before) >= MAX_OWNED:
            raise IntakeError(f"{source.name} owns {MAX_OWNED:,} networks and domains already; take some back first")
        store.add_owned(source.id, subject, now)
        store.audit(now, who, "own", text(subject), source.name)
    return Owned(source.id, subject, now)


def disown(store: Store, source: Source, said: str, who: str, now: int) -> None:
    """Raises IntakeError where the partner does not own it."""
    subject = ownable(said)
    with store.transaction():
        if not store.remove_owned(source.id, subject):
            raise IntakeError(f"{source.name} does not own {text(subject)}; `dnsbl owned list` shows what it does")
        store.audit(now, who, "disown", text(subject), source.name)


def ownable(said: str) -> bytes:
    """The key of a network or domain. Raises IntakeError."""
    try:
        subject = parse(said)
    except SubjectError as error:
        raise IntakeError(f"{said[:100]!r}: {error}") from None
    if kind(subject) not in ("ip", "domain"):
        raise IntakeError(f"{said[:100]!r}: neither a network nor a domain")
    return subject


def set_hook(
    store: Store, keyed: Keyed, source: Source, url: str, who: str, now: int, private: bool = False
) -> tuple[Hook, str | None]:
    """The hook of a partner at a URL, and its secret where it was made by this. Raises IntakeError."""
    checked_url(url, private)
    nonce = secrets.token_hex(NONCE)
    with store.transaction():
        before = store.hooks(source.id)
        if found := next((hook for hook in before if hook.url == url), None):
            return found, None
        if len(before) >= MAX_HOOKS:
            raise IntakeError(f"{source.name} has {MAX_HOOKS} hooks already; remove one first")
        hook = store.add_hook(source.id, url, nonce, now)
        store.audit(now, who, "hook", source.name, shown(url))
    return hook, shown_secret(secret_of(keyed, nonce))


def remove_hook(store: Store, source: Source, number: int, who: str, now: int) -> None:
    """With what waits for it. Raises IntakeError."""
    with store.transaction():
        hook = hook_of(store, source, number)
        store.remove_hook(hook.id)
        store.audit(now, who, "hook remove", source.name, shown(hook.url))


def hook_of(store: Store, source: Source | None, number: int) -> Hook:
    """A hook of one partner, or of anybody. Raises IntakeError."""
    found = next((hook for hook in store.hooks(source.id if source else None) if hook.id == number), None)
    if found is None:
        raise IntakeError(f"no hook {number}; `dnsbl hook list` shows what there is")
    return found


# as it is shown


def owned_row(owned: Owned) -> dict[str, Any]:
    return {"subject": text(owned.subject), "since": clock.rfc3339(owned.since)}


def hook_row(hook: Hook) -> dict[str, Any]:
    """Never with its secret."""
    return {
        "id": hook.id,
        "url": hook.url,
        "created": clock.rfc3339(hook.created),
        "delivered": clock.rfc3339(hook.good),
        "trouble": hook.said,
        "failures": hook.failures,
        "waiting": hook.waiting,
        "failed": hook.failed,
        "dropped": hook.dropped,
    }


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    when = clock.rfc3339(delivery.next) if delivery.state == "waiting" else None
    return {
        "event": orjson.loads(delivery.event),
        "at": clock.rfc3339(delivery.at),
        "state": delivery.state,
        "tries": delivery.tries,
        "next": when,
        "said": delivery.said,
    }
