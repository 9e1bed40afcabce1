"""The words of the trade as values: reports, what a file parsed to, rejects, categories."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import printable

__all__ = ["CATEGORIES", "MAX_REJECTS", "OTHER", "Parsed", "Reject", "Report", "category_word"]

OTHER = "other"

# What a subject did, or was declared to be. Zones choose which of them they list, and under which code.
CATEGORIES: dict[str, str] = {
    "spam-trap": "mail to addresses that never asked for any",
    "spam": "unsolicited bulk mail",
    "phishing": "pages or mail that steal credentials",
    "malware": "hosts or spreads malware",
    "botnet": "infected host or its command and control",
    "brute-force": "guesses passwords",
    "scanner": "probes for open services",
    "proxy": "open proxy, relay or anonymiser exit",
    "attack": "attacks seen on other services",
    "hijacked": "stolen or rogue network; drop all traffic",
    "dynamic": "addresses declared dynamic: no mail server of their own",
    "hosting": "hosting networks, declared, without abuse of their own",
    "snowshoe": "spam spread thin over many addresses",
    "abused-legitimate": "legitimate site abused by others",
    "disposable": "throw-away mail domains",
    "referrer-spam": "advertised by faked referrers",
    "sms-spam": "spam by SMS",
    "voip-spam": "spam by telephone",
    "bounce": "bounces and automatic replies to mail that others forged",
    "newsletter": "list mail that somebody may have subscribed to",
    "spoofing": "mail in the name of others: DMARC failed",
    "trusted-sender": "known good sender: white lists only",
    "mail-provider": "shared outbound ranges of mail providers: white lists only",
    OTHER: "a claim whose word is not mapped to a category",
}

WHITE = frozenset(("trusted-sender", "mail-provider"))  # never by a stranger's word alone: only declared or mapped

MAX_REJECTS = 1000  # rejects kept with their reason; beyond, they are only counted
WORD = re.compile(r"[^a-z0-9_.-]+")


@dataclass(slots=True, frozen=True)
class Reject:
    """A line that was not taken, and why. Lines count from 1."""

    line: int
    why: str


class Report(NamedTuple):
    """One claim by one source at one time about one subject. The source is known from where it came in."""

    subject: bytes  # a key of `subjects`
    category: str  # one of CATEGORIES
    at: int  # seconds since 1970
    reporter: str = ""  # who told the source, as a network or a name; "" is the source itself
    word: str = ""  # the source's own word where the category is `other`


@dataclass(slots=True)
class Parsed:
    """What a list's bytes came to: subjects and how many lists or lines hold them, and what was not taken."""

    hits: dict[bytes, int] = field(default_factory=dict)  # subject key -> hits (1 unless the format counts)
    words: dict[bytes, str] = field(default_factory=dict)  # the source's own category word, where a line has one
    excluded: set[bytes] = field(default_factory=set)  # what the file itself excepts (`!x`, `@@||x^`, rpz-passthru)
    rejects: list[Reject] = field(default_factory=list)  # the first MAX_REJECTS
    rejected: int = 0
    repeated: int = 0  # lines that said again what another line said
    claimed: int | None = None  # the number of records the file itself says it has

    def add(self, subject: bytes, hits: int = 1, word: str = "") -> None:
        """Take one line; the same subject again counts as repeated and keeps the larger `hits`."""
        before = self.hits.get(subject)
        if before is None:
            self.hits[subject] = hits
        else:
            self.repeated += 1
            if hits > before:
                self.hits[subject] = hits
        if word:
            self.words[subject] = word

    def reject(self, line: int, why: str) -> None:
        self.rejected += 1
        if len(self.rejects) < MAX_REJECTS:
            self.rejects.append(Reject(line, printable(why)))


def category_word(word: str, mapping: dict[str, str]) -> tuple[str, str]:
    """(category, kept word) for a source's own word: mapped, or already ours, or `other` with the word kept.
    The word is untrusted: lower-cased, stripped to letters, digits and `_.-`, 40 characters at most."""
    word = WORD.sub("-", word.strip().lower())[:40]
    category = mapping.get(word) or ("" if word in WHITE else word)
    if category in CATEGORIES:
        return category, ""
    return OTHER, word
