"""The gate that every claim passes: what is never listed, exempt or too wide does not come in, and says why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

from ..clock import DAY
from ..errors import SubjectError
from ..model import Report, category_word
from ..special import STRANGERS_WIDEST
from ..subjects import is_ip, listing_key, parse

__all__ = ["REPORT_WIDEST", "Exempt", "Gate", "Permit", "Token", "refusal", "reporter_name", "reporter_network"]

REPORT_WIDEST = (STRANGERS_WIDEST[4], STRANGERS_WIDEST[6])  # a report about a wider network needs an operator
FUTURE = DAY  # a clock may be wrong by so much; further ahead is refused
MAX_REPORTER = 64
MAX_REPORTER_TEXT = 256  # characters looked at: a mail address has at most 254 (RFC 5321, erratum 1690)
REMEMBERED = 500_000  # texts whose subject is remembered within one file
MAX_REMEMBERED = 300  # characters; a longer text is no subject (subjects.MAX_TEXT) and is not kept
HASHED = "write it as email:SHA1 or url:SHA1 (see the README)"  # whose clear text is nobody's to keep
MAX_ATTEMPTS = 200  # different refused subjects noted of one post: who tries a thousand is known by two hundred

MARK4, HOST4 = b"4", b"\x20"  # around the four bytes of an IPv4 host's key (subjects.parse)
MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, IPv4 as IPv6 (RFC 4291 section 2.5.5.2)

Exempt = Callable[[bytes], str | None]  # the reason why a subject may not be listed, or None
new = tuple.__new__  # a NamedTuple without the call that takes its fields apart

Permit = Callable[[Report], str | None]  # why a report is refused to the one who sent it, or None
Token = Callable[[str], str]  # a keyed hash of a mail address (RFC 6590): the key is the caller's


def refusal(subject: bytes, widest: tuple[int, int], exempt: Exempt) -> str | None:
    """Why a subject may not come in; None: it may."""
    if is_ip(subject):
        limit = widest[0] if subject[0] == ord("4") else widest[1]
        if subject[-1] < limit:
            return f"wider than /{limit}: needs an operator"
    why = exempt(subject)
    listed = listing_key(subject)
    return why if why or listed is subject else exempt(listed)


class Gate:
    """Makes reports of texts. Remembers the texts it has seen: the same address comes a thousand times.

    `by_network`: reporters count by network only, and every other name is the source itself: who reports may not make
    many of one. `token` hashes mail addresses; without it a reporter named by one is the source itself. `attempts`
    collects what was refused by `refusal`, and why; `permit` is asked about each report: both are set anew for each
    post of a batch."""

    def __init__(
        self,
        exempt: Exempt,
        now: int,
        words: Mapping[str, str] | None = None,
        category: str = "spam",
        widest: tuple[int, int] = REPORT_WIDEST,
        by_network: bool = False,
        token: Token | None = None,
    ) -> None:
        self.exempt, self.now, self.category, self.widest = exempt, now, category, widest
        self.by_network, self.token = by_network, token
        self.words = {word.lower(): to for word, to in (words or {}).items()}
        self.attempts: dict[bytes, str] = {}
        self.permit: Permit | None = None
        self.subjects: dict[str, bytes | str] = {}
        self.refused: dict[str, bytes] = {}  # the keys of texts that `refusal` keeps out
        self.categories: dict[str, tuple[str, str]] = {}
        self.reporters: dict[str, str] = {}

    def report(self, subject: str, category: str = "", at: int | None = None, reporter: str = "") -> Report | str:
        """The report, or why it is refused."""
        key = self.subjects.get(subject)
        if key is None:
            key = self.subject(subject)
        if key.__class__ is str:
            return self.reject(subject, key)
        if at is None or at > self.now:
            if at is not None and at > self.now + FUTURE:
                return "time in the future"
            at = self.now
        what = self.categories.get(category)
        if what is None:
            what = category_word(category, self.words) if category.strip() else (self.category, "")
            self.categories[category[:MAX_REMEMBERED]] = what
            bound(self.categories)
        who = self.reporters.get(reporter)
        if who is None:
            who = reporter_network(reporter) if self.by_network else reporter_name(reporter, self.token)
            self.reporters[reporter[:MAX_REMEMBERED]] = who
            bound(self.reporters)
        made = new(Report, (key, what[0], at, who, what[1]))
        return made if self.permit is None else self.permit(made) or made

    def subject(self, text: str) -> bytes | str:
        """The key of a text, or why it is refused. An IPv4 address, nearly every one, is made a key without detours;
        the rest goes the careful way, with the same result."""
        try:
            subject = MARK4 + inet_pton(AF_INET, text) + HOST4
            why = self.exempt(subject)
        except (OSError, ValueError):
            try:
                subject = parse(text)
            except SubjectError as error:
                return self.remember(text, HASHED if "@" in text or "://" in text else str(error))
            why = refusal(subject, self.widest, self.exempt)
        if why is None:
            return self.remember(text, subject)
        if len(text) <= MAX_REMEMBERED:
            self.refused[text] = subject
            bound(self.refused)
        return self.remember(text, why)

    def remember(self, text: str, key: bytes | str) -> bytes | str:
        if len(text) <= MAX_REMEMBERED:
            self.subjects[text] = key
            bound(self.subjects)
        return key

    def reject(self, text: str, why: str) -> str:
        """Note a refused subject: whoever claims what may not be listed is shown to the operator."""
        subject = self.refused.get(text)
        if subject is not None and len(self.attempts) < MAX_ATTEMPTS:
            self.attempts[subject] = why
        return why


def reporter_name(text: str, token: Token | None = None) -> str:
    """Who reported, so that one network is one reporter; a mail address is kept as its keyed hash, or not at all."""
    text = text.strip().lower()[:MAX_REPORTER_TEXT]
    if found := reporter_network(text):
        return found
    if "@" in text:
        return "hash:" + token(text) if token else ""
    return text[:MAX_REPORTER]


def reporter_network(text: str) -> str:
    """The /24 or /48 of an address, which may have a prefix length or a %scope; "" for what is no address. A hundred
    reporters of one network are one."""
    host = text.strip().partition("/")[0].partition("%")[0]
    try:
        packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except (OSError, ValueError):  # ValueError: a NUL inside, or not encodable
        return ""
    if packed[:12] == MAPPED:
        packed = packed[12:]
    if len(packed) == 4:
        return f"{packed[0]}.{packed[1]}.{packed[2]}.0/24"
    return inet_ntop(AF_INET6, packed[:6] + bytes(10)) + "/48"


def bound(remembered: dict[str, Any]) -> None:
    """Forget everything when there is too much of it: hostile input has no end of new texts."""
    if len(remembered) > REMEMBERED:
        remembered.clear()
