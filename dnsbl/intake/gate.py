"""The gate that every claim passes: what is never listed, exempt or too wide does not come in, and says why. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from ..clock import DAY
from ..errors import SubjectError
from ..model import Report, category_word
from ..subjects import is_ip, listing_key, parse

__all__ = ["REPORT_WIDEST", "Exempt", "Gate", "refusal", "reporter_name"]

REPORT_WIDEST = (24, 48)  # IPv4, IPv6: a report about a wider network needs an operator
FUTURE = DAY  # a clock may be wrong by so much; further ahead is refused
MAX_REPORTER = 64
REPORTER_PREFIX = {4: 24, 6: 48}  # a hundred reporters of one network are one
REMEMBERED = 500_000  # texts whose subject is remembered within one file
MAX_REMEMBERED = 300  # characters; a longer text is no subject (subjects.MAX_TEXT) and is not kept


Exempt = Callable[[bytes], str | None]  # the reason why a subject may not be listed, or None


def refusal(subject: bytes, widest: tuple[int, int], exempt: Exempt) -> str | None:
    """Why a subject may not come in; None: it may."""
    if is_ip(subject):
        limit = widest[0] if subject[0] == ord("4") else widest[1]
        if subject[-1] < limit:
            return f"wider than /{limit}: needs an operator"
    return exempt(subject) or exempt(listing_key(subject))


def reporter_name(text: str) -> str:
    """Who reported, so that one network is one reporter; a mail address is kept as a hash only."""
    text = text.strip().lower()[:256]
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        if "@" in text:
            return "hash:" + blake2b(text.encode(), digest_size=10).hexdigest()
        return text[:MAX_REPORTER]
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or ipaddress.IPv6Address(int(address))  # without its %scope
    return str(ipaddress.ip_network((address, REPORTER_PREFIX[address.version]), strict=False))


class Gate:
    """Makes reports of texts. Remembers the texts it has seen: the same address comes a thousand times."""

    def __init__(
        self,
        exempt: Exempt,
        now: int,
        words: Mapping[str, str] | None = None,
        category: str = "spam",
        widest: tuple[int, int] = REPORT_WIDEST,
    ) -> None:
        self.exempt, self.now, self.category, self.widest = exempt, now, category, widest
        self.words = {word.lower(): to for word, to in (words or {}).items()}
        self.subjects: dict[str, bytes | str] = {}
        self.categories: dict[str, tuple[str, str]] = {}
        self.reporters: dict[str, str] = {}

    def report(self, subject: str, category: str = "", at: int | None = None, reporter: str = "") -> Report | str:
        """The report, or why it is refused."""
        key = self.subjects.get(subject)
        if key is None:
            key = self.subject(subject)
        if isinstance(key, str):
            return key
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
            who = reporter_name(reporter)
            self.reporters[reporter[:MAX_REMEMBERED]] = who
            bound(self.reporters)
        return Report(key, what[0], at, who, what[1])

    def subject(self, text: str) -> bytes | str:
        try:
            key: bytes | str = parse(text)
        except SubjectError as error:
            key = str(error)
        else:
            key = refusal(key, self.widest, self.exempt) or key  # type: ignore[arg-type]
        if len(text) <= MAX_REMEMBERED:
            self.subjects[text] = key
            bound(self.subjects)
        return key


def bound(remembered: dict[str, Any]) -> None:
    """Forget everything when there is too much of it: hostile input has no end of new texts."""
    if len(remembered) > REMEMBERED:
        remembered.clear()
