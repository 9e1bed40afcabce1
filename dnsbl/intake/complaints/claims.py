"""What a complaint comes to, and what all formats share: which texts can be subjects, which times are believed, what
may be kept as evidence.

Every text here was written by a stranger. A text that is no usable subject is a SubjectError whose words complete the
sentence "... lists nothing: ...".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from ...clock import DAY
from ...errors import SubjectError, printable
from ...hashing import email_hash
from ...special import PRIVATE_RANGES
from ...subjects import ip4_key, ip6_key, is_ip, parse, text

__all__ = [
    "MAX_HITS",
    "Claim",
    "Complaint",
    "address",
    "domain",
    "fact",
    "host",
    "kept",
    "organisation",
    "subject",
    "untimely",
]

FUTURE = DAY  # seconds that a reporter's clock may be ahead; more is no time of an incident
MAX_HITS = 10_000  # of one claim: a score saturates far below, and one reporter writes any number it likes
MAX_URI = 4096  # characters; only the host of it is of use
MAX_FACT = 200  # characters kept of one fact
ADDRESS = re.compile(r"[^\s<>@]{1,64}@([A-Za-z0-9.-]{1,253})(?![^\s<>,;])")
ANGLE = re.compile(r"<([^<>]*)>\s*$")
MASKED = re.compile(r"[^\s<>@:=,;]*@[^\s<>,;]*")


class Claim(NamedTuple):
    """What one reporter says of one subject. All texts: the gate judges them."""

    subject: str  # as people write it (`subjects.parse` takes it)
    category: str  # one of model.CATEGORIES
    at: int | None  # seconds since 1970; None: now
    reporter: str  # the reporter's organisation as a domain; "" where it does not say
    hits: int = 1  # 1..MAX_HITS


@dataclass(slots=True)
class Complaint:
    """One complaint: what it claims, why that is nothing or less than it says, and what is kept as evidence."""

    format: str  # "arf", "xarf" or "dmarc"
    claims: list[Claim] = field(default_factory=list)
    why: str = ""
    facts: dict[str, str] = field(default_factory=dict)  # never recipients, persons or mail addresses in clear


def subject(written: str) -> str:
    """The subject that an address, network, name, URL or mail address stands for: a URL is its host, a mail address its
    hash (a listing of its domain would hit everybody there). Raises SubjectError."""
    written = written.strip()
    if "://" in written:
        return host(written)
    if "@" in written:
        return text(email_hash(written))
    key = parse(written)
    if is_ip(key) and PRIVATE_RANGES.covers(key):  # it was redacted, or is a relay of the reporter's own
        raise SubjectError("a private address")
    return text(key)


def address(written: str) -> str:
    """The one address that a text names, as RFC 5321 section 4.1.3 writes it or bare. Raises SubjectError."""
    written = written.strip().removeprefix("[").removesuffix("]")
    if written[:5].lower() == "ipv6:":
        written = written[5:]
    if "/" in written:
        raise SubjectError("a network, not an address")
    key = ip6_key(written) if ":" in written else ip4_key(written)
    if PRIVATE_RANGES.covers(key):
        raise SubjectError("a private address")
    return text(key)


def domain(written: str) -> str:
    """The domain that a text names. Raises SubjectError."""
    key = parse(written)
    if key[:1] != b"d":
        raise SubjectError("not a domain")
    return text(key)


def host(uri: str) -> str:
    """The host of a URI of the web or of FTP. Raises SubjectError."""
    if len(uri) > MAX_URI:
        raise SubjectError(f"a URI longer than {MAX_URI} characters")
    try:
        parts = urlsplit(uri.strip())
        found = parts.hostname or ""
    except ValueError:
        raise SubjectError("not a URI") from None
    if parts.scheme not in ("http", "https", "ftp") or not found:
        raise SubjectError("a URI without a host")
    return subject(found.partition("%")[0])


def organisation(written: str) -> str:
    """The domain of the mail address in a From field or the like, lower case; "" unless there is exactly one."""
    angle = ANGLE.search(written[:1000])  # a display name may hold anything, an address too
    written = angle[1] if angle else written
    found = {match[1].lower().rstrip(".") for match in ADDRESS.finditer(written[:1000])}
    return found.pop() if len(found) == 1 else ""


def untimely(at: int, now: int) -> str:
    """Why nothing is listed for what happened at such a time; "" where it may be. What is old keeps its own time, and
    weighs as little as that leaves it."""
    return "its time lies more than a day ahead" if at > now + FUTURE else ""


def fact(written: str) -> str:
    """A stranger's text as it may be kept and shown: one short printable line, mail addresses taken out."""
    return printable(MASKED.sub("(address)", " ".join(written[: 4 * MAX_FACT].split())))[:MAX_FACT]


def kept(**written: str) -> dict[str, str]:
    """Facts by name, without those that say nothing."""
    return {name: shown for name, value in written.items() if (shown := fact(value))}
