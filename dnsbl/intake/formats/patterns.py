"""STIX 2.1 patterns (section 9), as far as they name subjects: one comparison, or several of which any is enough.

    [ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'bad.example']
    [ipv4-addr:value ISSUBSET '192.0.2.0/24'] OR [url:value IN ('http://a.example/', 'http://b.example/')]

What needs two things at once (AND, FOLLOWEDBY), denies (NOT, !=), or looks for a likeness (LIKE, MATCHES) says nothing
about one subject alone and is refused, as is a qualifier of time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ...errors import SubjectError

__all__ = ["Comparison", "comparisons"]

MAX_PATTERN = 65_536  # characters
MAX_DEPTH = 20  # round brackets in one another
TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\['\\])*')
    | (?P<path>[a-z][a-z0-9-]*:[A-Za-z0-9_-]+(?:\.(?:[A-Za-z0-9_-]+|'[^'\\]{1,40}'|"[^"\\]{1,40}"))*)
    | (?P<sign>!=|<=|>=|[=<>\[\](),])
    | (?P<word>[A-Za-z]+)
    )""",
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
REFUSED = {
    "AND": "needs several things at once, which is no list of subjects (AND)",
    "FOLLOWEDBY": "needs one thing after another, which is no list of subjects (FOLLOWEDBY)",
    "NOT": "says what it is not (NOT)",
    "!=": "says what it is not (!=)",
    "LIKE": "is about what looks alike, not about one subject (LIKE)",
    "MATCHES": "is about what looks alike, not about one subject (MATCHES)",
    "WITHIN": "is limited in time (WITHIN)",
    "REPEATS": "must happen several times (REPEATS)",
    "START": "is limited in time (START)",
}

Comparison = tuple[str, str]  # object path without quotes, value


def comparisons(pattern: str) -> list[Comparison]:
    """Paths and values of a pattern, any of which is enough. Raises SubjectError."""
    if len(pattern) > MAX_PATTERN:
        raise SubjectError(f"a pattern of more than {MAX_PATTERN} characters")
    reader = Reader(tokens(pattern))
    found = reader.any_of(reader.observation)
    reader.expect("")
    return found


def tokens(pattern: str) -> list[str]:
    """The tokens, words in capitals. Raises SubjectError for what is none of the language, or refused here."""
    found, at, end = [], 0, len(pattern.rstrip())
    while at < end:
        match = TOKEN.match(pattern, at)
        if not match:
            raise SubjectError("not a STIX pattern that can be read")
        at = match.end()
        text = match[0].strip()
        if match.lastgroup == "word":
            text = text.upper()
        if text in REFUSED:
            raise SubjectError(f"a pattern that {REFUSED[text]}")
        found.append(text)
    return found


class Reader:
    """Goes through the tokens."""

    def __init__(self, found: list[str]) -> None:
        self.rest: Iterator[str] = iter(found)
        self.ahead = next(self.rest, "")

    def step(self) -> str:
        taken, self.ahead = self.ahead, next(self.rest, "")
        return taken

    def expect(self, token: str) -> None:
        if self.step() != token:
            raise SubjectError("not a STIX pattern that can be read")

    def any_of(self, one: Callable[[], list[Comparison]], depth: int = 0) -> list[Comparison]:
        """`one OR one OR (one OR one)`"""
        found = self.grouped(one, depth)
        while self.ahead == "OR":
            self.step()
            found += self.grouped(one, depth)
        return found

    def grouped(self, one: Callable[[], list[Comparison]], depth: int) -> list[Comparison]:
        if self.ahead != "(":
            return one()
        if depth == MAX_DEPTH:
            raise SubjectError(f"a pattern with more than {MAX_DEPTH} brackets in one another")
        self.step()
        found = self.any_of(one, depth + 1)
        self.expect(")")
        return found

    def observation(self) -> list[Comparison]:
        """`[comparison OR comparison]`"""
        self.expect("[")
        found = self.any_of(self.comparison)
        self.expect("]")
        return found

    def comparison(self) -> list[Comparison]:
        """`path = 'value'`, `path ISSUBSET 'network'` or `path IN ('value', 'value')`"""
        path, operator = self.step().replace("'", "").replace('"', ""), self.step()
        if ":" not in path or operator not in ("=", "ISSUBSET", "IN"):
            raise SubjectError("a comparison that names no subject")
        if operator != "IN":
            return [(path, self.string())]
        self.expect("(")
        values = [(path, self.string())]
        while self.ahead == ",":
            self.step()
            values.append((path, self.string()))
        self.expect(")")
        return values

    def string(self) -> str:
        token = self.step()
        if token[:1] != "'":
            raise SubjectError("a comparison with what is no text")
        return ESCAPE.sub(r"\1", token[1:-1])
