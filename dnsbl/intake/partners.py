"""Partners' keys and posts. A key is a random secret whose hash is kept; a post is JSON or NDJSON of reports."""

from __future__ import annotations

import secrets
from hashlib import sha256

from ..config import RESERVED
from ..errors import IntakeError
from ..model import Report
from ..store.contract import Key, Source, Store
from .gate import Gate
from .reports import Intake, ndjson_line

__all__ = ["MAX_POST", "PREFIX", "create_key", "find_key", "line_reports"]

PREFIX = "dnsbl_"  # so that a leaked secret can be found by those who scan for them
MAX_POST = 4 * 2**20  # bytes of one JSON document; NDJSON streams and has no such limit
SCOPES = ("report", "read")


def digest(secret: str) -> bytes:
    """What is kept of a secret. 256 random bits need no slow hash."""
    return sha256(secret.encode()).digest()


def create_key(
    store: Store, name: str, trust: float, scopes: list[str], now: int, expires: int | None
) -> tuple[Key, str]:
    """A new key and its secret, which is shown once and never again."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise IntakeError(f"unknown scope {', '.join(unknown)}; known: {', '.join(SCOPES)}")
    # Before the source is written: a refused key must not change how far somebody is believed.
    if name in RESERVED:
        raise IntakeError(f"{name!r} has a meaning of its own: choose another name")
    if not name.strip():
        raise IntakeError("a key has the name of its partner")
    if any(key.name == name and key.revoked is None for key in store.all_keys()):
        raise IntakeError(f"a key named {name!r} exists: revoke it first, or choose another name")
    if other := next((s for s in store.sources().values() if s.name == name and s.kind != "partner"), None):
        raise IntakeError(f"{name!r} is the name of another source ({other.kind}): choose another name")
    secret = PREFIX + secrets.token_urlsafe(32)
    source: Source = store.source(name, "partner", trust=trust)
    return store.add_key(name, digest(secret), source.id, scopes, now, expires), secret


def find_key(store: Store, secret: str, now: int) -> Key | None:
    """The key of a secret; None where there is none, or it is revoked or expired."""
    key = store.key_by_digest(digest(secret))
    if key is None or key.revoked is not None or (key.expires is not None and key.expires <= now):
        return None
    return key


def line_reports(number: int, line: bytes, gate: Gate, intake: Intake) -> list[Report]:
    """The report of one NDJSON line, or none."""
    line = line.strip()
    return list(ndjson_line(number, line, gate, intake)) if line else []
