"""A list's new version into the store: parsed, judged, and only what differs written. Serves feeds and `import`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import xxhash

from ..errors import IntakeError, Quarantined
from ..model import OTHER, Parsed, category_word
from ..special import refusals
from ..store.contract import Entry, FeedState, Source, Store
from ..subjects import text
from . import formats
from .health import Limits, judge

__all__ = ["ListTerms", "Outcome", "apply", "read"]

MAX_WORDS = 100  # unmapped words of one list that are kept


@dataclass(slots=True, frozen=True)
class ListTerms:
    """How to take a list: what a feed's TOML or the options of `import` say."""

    format: str  # "": guessed from the content
    category: str
    words: Mapping[str, str] = field(default_factory=dict)
    options: formats.FormatOptions = field(default_factory=formats.FormatOptions)
    limits: Limits = field(default_factory=Limits)
    exempt: bool = False  # a warning list: its subjects become exemptions
    reason: str = ""  # of those exemptions
    always: bool = False  # apply even bytes that were applied before

    @property
    def digest(self) -> str:
        """Of everything that decides what comes of the same bytes: with other terms they are new content."""
        meaning = (self.format, self.category, sorted(self.words.items()), self.options, self.exempt, self.reason)
        return xxhash.xxh3_64_hexdigest(repr(meaning).encode())


@dataclass(slots=True)
class Outcome:
    """What came of one version of a list."""

    state: str  # ok or unchanged
    format: str
    exempt: bool
    entry: Entry
    parsed: Parsed
    unmapped: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "format": self.format,
            "taken": self.entry.total,
            "repeated": self.parsed.repeated,
            "rejected": self.parsed.rejected,
            "rejects": [{"line": r.line, "why": r.why} for r in self.parsed.rejects],
            "appeared": self.entry.appeared,
            "left": self.entry.left,
            "changed": self.entry.changed,
            "unmapped": self.unmapped,
        }


def known(data: bytes, terms: ListTerms) -> ListTerms:
    """The terms with a format, guessed where none is named, and whether it is one of exemptions. Raises IntakeError."""
    if not data.strip():
        raise IntakeError("the file is empty")
    if page := formats.looks_like_page(data):
        raise IntakeError(f"not a list: {page}")
    name = terms.format or formats.sniff(data)
    found = formats.FORMATS.get(name)
    return replace(terms, format=name, exempt=terms.exempt or (found is not None and found.exempt))


def read(data: bytes, terms: ListTerms) -> Parsed:
    """The bytes as a list, without what is never listed. Raises IntakeError where they are not of their format."""
    parsed = formats.parse(data, terms.format, terms.options)
    if not terms.exempt:
        for subject, why in refusals(parsed.hits).items():
            del parsed.hits[subject]
            parsed.reject(0, f"{text(subject)}: {why}")
    return parsed


def apply(
    store: Store,
    name: str,
    source: Callable[[], Source],
    data: bytes,
    terms: ListTerms,
    state: FeedState,
    now: int,
) -> Outcome:
    """Take new content for a list and keep its state; the store is not written where nothing differs. Raises
    Quarantined (or IntakeError) with the reason, which `state` then has; what was there before stays."""
    digest = f"{xxhash.xxh3_128_hexdigest(data)}.{terms.digest}"
    state.checked_at = now
    if digest == state.digest and not terms.always:
        state.state, state.reason, state.failures, state.good_at = "unchanged", "", 0, now
        source()  # what is said of the source may be new where its content is not
        store.put_feed_state(state)
        none = Entry(0, 0, 0, state.entries or 0)
        return Outcome("unchanged", terms.format, terms.exempt, none, Parsed(), dict(state.unmapped))
    try:
        if data.strip() or terms.limits.min_entries:
            terms = known(data, terms)
        parsed = read(data, terms)
        judge(parsed, state.entries, terms.limits, None)
    except IntakeError as error:
        state.state = "quarantined"
        state.reason = str(error)
        state.failures += 1
        store.put_feed_state(state)
        raise Quarantined(str(error)) from error
    categories, unmapped = categorised(parsed, terms)
    state.state, state.reason, state.failures = "ok", "", 0
    state.digest, state.entries, state.good_at, state.changed_at = digest, len(parsed.hits), now, now
    state.rejected, state.unmapped = parsed.rejected, most(unmapped)
    with store.transaction():
        # Both, so that a list which turns into one of exemptions, or back, leaves nothing of the other kind.
        exempted = store.replace_exemptions(name, parsed.hits if terms.exempt else (), terms.reason or name, now)
        listed = {} if terms.exempt else parsed.hits
        entry = store.replace_entries(source().id, listed, categories, terms.category, now)
        entry = exempted if terms.exempt else entry
        store.put_feed_state(state)
    return Outcome("ok", terms.format, terms.exempt, entry, parsed, unmapped)


def most(unmapped: dict[str, int]) -> dict[str, int]:
    """The most frequent words: the rest would tell nobody more, and a file can hold any number."""
    return dict(sorted(unmapped.items(), key=lambda item: (-item[1], item[0]))[:MAX_WORDS])


def categorised(parsed: Parsed, terms: ListTerms) -> tuple[dict[bytes, str], dict[str, int]]:
    """The categories of lines that have words of their own, and the words that nobody mapped, counted."""
    words = {word.lower(): category for word, category in terms.words.items()}
    known: dict[str, tuple[str, str]] = {}
    categories: dict[bytes, str] = {}
    unmapped: dict[str, int] = {}
    for subject, word in parsed.words.items():
        if subject not in parsed.hits:
            continue
        found = known.get(word)
        if found is None:
            found = known[word] = category_word(word, words)
        categories[subject] = found[0]
        if found[0] == OTHER and found[1]:
            unmapped[found[1]] = unmapped.get(found[1], 0) + 1
    return categories, unmapped
