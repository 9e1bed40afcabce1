"""Partners' keys and posts. A key is a random secret whose hash is kept, with limits to what it may say, from where
and how much; a post is JSON or NDJSON of reports.

A new partner is simulated: what it claims is scored and shown, and lists nothing until an operator lets it.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from ..config import KEY_PREFIX, RESERVED
from ..errors import IntakeError, SubjectError
from ..model import CATEGORIES, Report
from ..special import Ranges
from ..store.contract import Key, KeyLimits, Source, Store
from ..subjects import ancestors, is_ip, kind, parse, text
from .gate import Exempt, Gate, Permit

__all__ = ["MAX_POST", "PREFIX", "create_key", "find_key", "partner_gate", "permit_of"]

PREFIX = "dnsbl_"  # so that a leaked secret can be found by those who scan for them
MAX_POST = 4 * 2**20  # bytes of one JSON document; NDJSON streams and has no such limit
SCOPES = ("report", "read", "query", "review", "admin")  # in DNS; the last two: at the desk
QUERY = "query"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 section 6, in lower case
QUERY_LETTERS = 26  # of a key for DNS: 130 bits, in one label
PARTNER_WIDEST = (8, 19)  # IPv4, IPv6: taken, though reputation holds what is wider than /24 or /48 for an operator
MAX_ABOUT = 1000  # networks and names of one key: looked through for each report
MAX_ORIGINS = 100  # networks of one key


def create_key(
    store: Store,
    name: str,
    trust: float,
    scopes: list[str],
    now: int,
    expires: int | None,
    limits: KeyLimits | None = None,
    simulated: bool = True,
    zones: Sequence[str] = (),
    daily_listings: int | None = None,
    maker: str = "operator",
) -> tuple[Key, str]:
    """A new key and its secret, which is shown once and never again. A new partner is simulated unless `simulated` is
    False; one that exists stays as it is but for its trust and what is said otherwise here: not simulated, some zones,
    a number of listings a day. Raises IntakeError; a refused key changes nothing."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise IntakeError(f"unknown scope {', '.join(unknown)}; known: {', '.join(SCOPES)}")
    limits = checked(limits or KeyLimits())
    check_query(scopes, limits)
    if daily_listings is not None and daily_listings < 1:
        raise IntakeError("listings a day are one or more")
    check_name(store, name)
    secret = query_secret() if QUERY in scopes else PREFIX + secrets.token_urlsafe(32)
    with store.transaction():
        source = partner(store, name, trust, simulated, zones, daily_listings)
        key = store.add_key(name, digest(secret), source.id, scopes, now, expires, limits, maker)
    return key, secret


def check_query(scopes: list[str], limits: KeyLimits) -> None:
    """A key for DNS is in the clear in every query, through resolvers and their logs: it is good for nothing else.
    Raises IntakeError."""
    if QUERY not in scopes:
        if limits.queries is not None or limits.query_zones:
            raise IntakeError("queries a day and zones to ask are limits of a key with scope query")
        return
    if len(set(scopes)) > 1:
        raise IntakeError("a key with scope query is seen by all who carry queries: make one for that alone")
    if limits.categories or limits.about or limits.origins or limits.daily or limits.burst:
        raise IntakeError("a key with scope query reports nothing: it has a number of queries a day, zones and an end")


def query_secret() -> str:
    """A key for DNS: one label, as `dns/keys.py` knows it."""
    return KEY_PREFIX + "".join(secrets.choice(BASE32) for _ in range(QUERY_LETTERS))


def partner(
    store: Store, name: str, trust: float, simulated: bool, zones: Sequence[str], daily_listings: int | None
) -> Source:
    """The source of a key, made or changed; what it has already is not written again, as all it said would be weighed
    anew."""
    known = any(source.name == name for source in store.sources().values())
    source = store.source(name, "partner", trust=trust, keep=True)
    kept = source.trust / source.granted if known and source.granted else 1.0  # what mistakes cost it stays lost
    wanted: dict[str, Any] = {"trust": trust * kept, "granted": trust}
    if not (known and simulated):
        wanted["simulated"] = simulated
    if zones:
        wanted["zones"] = tuple(zones)
    if daily_listings is not None:
        wanted["daily"] = daily_listings
    changes = {field: value for field, value in wanted.items() if getattr(source, field) != value}
    return store.set_source(source.id, **changes) if changes else source


def check_name(store: Store, name: str) -> None:
    """Before the source is written: a refused key must not change how far somebody is believed. Raises IntakeError."""
    if name in RESERVED:
        raise IntakeError(f"{name!r} has a meaning of its own: choose another name")
    if not name:
        raise IntakeError("a key has the name of its partner")
    if not name.isprintable() or " " in name:
        raise IntakeError(f"{name!r}: a name has no blanks and no control characters; choose another name")
    if any(key.name == name and key.revoked is None for key in store.all_keys()):
        raise IntakeError(f"a key named {name!r} exists: revoke it first, or choose another name")
    if other := next((s for s in store.sources().values() if s.name == name and s.kind != "partner"), None):
        raise IntakeError(f"{name!r} is the name of another source ({other.kind}): choose another name")


def checked(limits: KeyLimits) -> KeyLimits:
    """The limits with every text as we write it. Raises IntakeError."""
    unknown = [category for category in limits.categories if category not in CATEGORIES]
    if unknown:
        raise IntakeError(f"unknown category {', '.join(unknown)}; known: {', '.join(CATEGORIES)}")
    for what, number in (("reports a day", limits.daily), ("burst", limits.burst), ("queries a day", limits.queries)):
        if number is not None and number < 1:
            raise IntakeError(f"{what}: one or more, or no such limit")
    for what, texts, most in (("about", limits.about, MAX_ABOUT), ("origins", limits.origins, MAX_ORIGINS)):
        if len(texts) > most:
            raise IntakeError(f"{what}: {most} at most")
    return replace(
        limits,
        about=tuple(about_text(each) for each in limits.about),
        origins=tuple(origin_text(each) for each in limits.origins),
    )


def about_text(said: str) -> str:
    """A network or a domain. Raises IntakeError."""
    try:
        subject = parse(said)
    except SubjectError as error:
        raise IntakeError(f"about {said[:100]!r}: {error}") from None
    if kind(subject) not in ("ip", "domain"):
        raise IntakeError(f"about {said[:100]!r}: neither a network nor a domain")
    return text(subject)


def origin_text(said: str) -> str:
    """A network that requests come from. Raises IntakeError."""
    try:
        return str(ipaddress.ip_network(said.strip()))
    except ValueError as error:
        raise IntakeError(f"origins {said[:100]!r}: {error}") from None


def digest(secret: str) -> bytes:
    """What is kept of a secret. 256 random bits need no slow hash."""
    return sha256(secret.encode()).digest()


def find_key(store: Store, secret: str, now: int) -> Key | None:
    """The key of a secret; None where there is none, or it is revoked or expired."""
    key = store.key_by_digest(digest(secret))
    if key is None or key.revoked is not None or (key.expires is not None and key.expires <= now):
        return None
    return key


def partner_gate(exempt: Exempt, now: int) -> Gate:
    """The gate for what comes with a key. Distinct reporters count by network: other names are the partner itself."""
    return Gate(exempt, now, widest=PARTNER_WIDEST, by_network=True)


def permit_of(limits: KeyLimits) -> Permit | None:
    """What a key may report, as a question about each report; None: everything."""
    if not limits.categories and not limits.about:
        return None
    categories = frozenset(limits.categories)
    subjects = [parse(each) for each in limits.about]
    networks, names = Ranges(subjects), frozenset(subject for subject in subjects if not is_ip(subject))

    def permit(report: Report) -> str | None:
        if categories and report.category not in categories:
            return f"this key may not report {report.category}"
        if subjects and not covers(networks, names, report.subject):
            return "this key may not report on that subject"
        return None

    return permit


def covers(networks: Ranges, names: frozenset[bytes], subject: bytes) -> bool:
    """Whether a subject is one of these, or wholly inside one."""
    if is_ip(subject):
        return networks.covers(subject)
    return any(above in names for above in ancestors(subject))
