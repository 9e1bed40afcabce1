"""What is kept of a trapped mail, so that a listing can be explained: short, munged, and never whom it hit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .mail import Hop, MailFacts, sample

__all__ = ["Token", "mail_evidence"]

Token = Callable[[str], str]  # a keyed hash
MAX_SHOWN = 200  # characters of a sender's word
MAX_TRAPS = 10
MAX_DOMAINS = 20
LEAST = 3  # characters; a shorter local part stands in every other word


def mail_evidence(
    data: bytes, hop: Hop | None, mail_from: str | None, recipients: Sequence[str], found: MailFacts, token: Token
) -> dict[str, Any]:
    """JSON. What is empty is left out."""
    local, at, domain = (mail_from or "").rpartition("@")
    kept = {
        "address": hop.address if hop else None,
        "helo": munged(hop.helo, recipients, token) if hop else None,
        "mail_from": f"{token(local)}@{munged(domain, recipients, token)}" if at else None if mail_from else mail_from,
        "traps": [token(recipient) for recipient in recipients[:MAX_TRAPS]],
        "kind": found.auto or ("list mail" if found.bulk else None),
        "size": len(data),
        "header": sample(data, found, token),
        "domains": [munged(domain, recipients, token) for domain in found.domains[:MAX_DOMAINS]],
        "files": [f"{each.suffix or '?'} {each.size}" for each in found.attachments],
        "cut": found.cut,
    }
    return {name: value for name, value in kept.items() if value is not None and value != []}


def munged(word: str, recipients: Sequence[str], token: Token) -> str:
    """A sender's word, or its token where it would tell which trap was hit."""
    lower = word.lower()
    for recipient in recipients:
        local, _, domain = recipient.lower().rpartition("@")
        if (domain and domain in lower) or (len(local) >= LEAST and local in lower):
            return token(word)
    return word[:MAX_SHOWN]
