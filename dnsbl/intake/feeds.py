"""One feed, once: fetched, judged, applied, and its state kept whatever came of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import FeedDef
from ..errors import FetchError, Quarantined
from ..files import replacing
from ..store.contract import Entry, FeedState, Source, Store
from . import formats
from .fetch import Fetched, Validators, applied, fetch
from .health import Limits
from .lists import ListTerms, Outcome, apply

__all__ = ["Pulled", "feed_source", "is_on", "next_pull", "pull", "release", "terms_of"]

REREAD = 86_400  # seconds: what has run out leaves within a day of it
MAX_BACKOFF = 86_400  # a feed that fails is asked at least once a day


@dataclass(slots=True, frozen=True)
class Pulled:
    """What came of a pull. `state`: ok, unchanged, failed or quarantined."""

    name: str
    state: str
    reason: str
    entry: Entry
    seconds: float = 0.0


def terms_of(
    feed: FeedDef, accept: bool = False, now: int = 0, networks_of: formats.NetworksOf | None = None
) -> ListTerms:
    """How to take a feed's content. `now` and the tables of networks are no part of the terms' digest."""
    limits = Limits.from_feed(feed)
    return ListTerms(
        format=feed.format,
        category=feed.category,
        words=feed.map,
        options=formats.FormatOptions.of(feed, now, networks_of),
        limits=limits.accepting() if accept else limits,
        exempt=feed.exempt,
        reason=feed.title,
        always=accept,
    )


async def pull(
    store: Store,
    feed: FeedDef,
    quarantine: Path,
    now: int,
    accept: bool = False,
    contact: str = "",
    networks_of: formats.NetworksOf | None = None,
) -> Pulled:
    """Fetch and apply; `networks_of` is what lists of autonomous systems are read by. What was not believed goes to
    `quarantine`, and what a zone's transfer came to into `transfers` beside it. Nothing is raised for what a feed does
    wrong: it is in the state and in what is returned."""
    state = await asyncio.to_thread(lambda: store.feed_states().get(feed.name) or FeedState(feed.name))
    terms = terms_of(feed, accept, now, networks_of)
    if aged(feed, state, now):
        terms = replace(terms, always=True)
    # Where the terms are others, the same bytes come to other entries, and "not modified" is no answer.
    same = state.digest.endswith(f".{terms.digest}") and not terms.always
    known = Validators(state.etag or None, state.last_modified or None) if same else Validators()
    none = Entry(0, 0, 0, state.entries or 0)
    try:
        fetched = await fetch(feed, known, contact=contact, kept=transfer_of(feed, quarantine))
    except FetchError as error:
        state.state, state.reason, state.checked_at = "failed", str(error), now
        state.failures += 1
        await asyncio.to_thread(store.put_feed_state, state)
        return Pulled(feed.name, "failed", str(error), none)
    state.etag, state.last_modified = fetched.validators.etag or "", fetched.validators.last_modified or ""
    if fetched.data is None:
        state.state, state.reason, state.failures = "unchanged", "", 0
        state.checked_at = state.good_at = now
        await asyncio.to_thread(feed_source, store, feed)  # its TOML may say another trust
        await asyncio.to_thread(store.put_feed_state, state)
        return Pulled(feed.name, "unchanged", "", none, fetched.seconds)
    return await asyncio.to_thread(take, store, feed, terms, fetched, fetched.data, state, quarantine, now)


def aged(feed: FeedDef, state: FeedState, now: int) -> bool:
    """Whether even the same bytes are to be read again: of a format whose entries run out, once a day."""
    found = formats.FORMATS.get(feed.format)
    return found is not None and found.ages and now - (state.changed_at or 0) >= REREAD


def take(
    store: Store,
    feed: FeedDef,
    terms: ListTerms,
    fetched: Fetched,
    data: bytes,
    state: FeedState,
    quarantine: Path,
    now: int,
) -> Pulled:
    kept = quarantine / feed.name
    try:
        outcome = apply(store, feed.name, lambda: feed_source(store, feed), data, terms, state, now)
    except Quarantined as error:
        # Validators of content that was not taken would make the next pull say "unchanged".
        state.etag = state.last_modified = ""
        store.put_feed_state(state)
        with contextlib.suppress(OSError):  # the copy is for a person to look at; without it nothing is lost
            quarantine.mkdir(parents=True, exist_ok=True)
            with replacing(kept, sync=False, mode=0o640) as file:  # a release must not read half of it
                file.write(data)
        return Pulled(feed.name, "quarantined", str(error), Entry(0, 0, 0, state.entries or 0), fetched.seconds)
    with contextlib.suppress(OSError):
        kept.unlink(missing_ok=True)
    applied(feed, fetched, transfer_of(feed, quarantine))
    return Pulled(feed.name, outcome.state, "", outcome.entry, fetched.seconds)


def release(
    store: Store, feed: FeedDef, data: bytes, now: int, networks_of: formats.NetworksOf | None = None
) -> Outcome:
    """Take content that was quarantined, as it is, as if it were fetched now and accepted. Raises Quarantined where it
    is what nobody means to accept: a page, empty, cut, mostly refused; all stays as it was then."""
    before = store.feed_states().get(feed.name) or FeedState(feed.name)
    terms = terms_of(feed, True, now, networks_of)
    try:
        return apply(store, feed.name, lambda: feed_source(store, feed), data, terms, replace(before), now)
    except Quarantined:
        store.put_feed_state(before)
        raise


def is_on(feed: FeedDef, state: FeedState | None) -> bool:
    """Whether a feed is pulled and believed: as a person switched it, else as its file says."""
    return feed.enabled if state is None or state.switched is None else state.switched


def transfer_of(feed: FeedDef, quarantine: Path) -> Path:
    """Where the feed's last applied transfer is kept."""
    return quarantine.parent / "transfers" / feed.name


def feed_source(store: Store, feed: FeedDef) -> Source:
    """The feed's source in the store, as its TOML says now."""
    return store.source(
        feed.name, "feed", trust=feed.trust, family=feed.family or feed.name, redistribute=feed.redistribute
    )


def next_pull(feed: FeedDef, state: FeedState | None, now: int, jitter: float) -> int:
    """When to pull next: a period after the last time, twice as late for each failure in a row, at most a day;
    `jitter` (0..1) spreads feeds over a tenth of their period."""
    if state is None or state.checked_at is None:
        return now + int(jitter * min(feed.period / 10, 30))
    wait = feed.period
    if state.failures:
        wait = min(60 * 2 ** min(state.failures, 20), max(feed.period, MAX_BACKOFF))
    return max(state.checked_at + wait + int(jitter * feed.period / 10), now)
