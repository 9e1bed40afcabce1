"""Feeds at the desk: switched on and off, and what was held back of one shown against what it has, and released.

A feed's file is the operator's and is never written: the switch is in the store and goes before what the file says.
What is held back lies in `data_dir/quarantine` as it came. It is foreign content: it is parsed as a pull would.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import xxhash

from .. import clock, documents
from ..config import FeedDef
from ..errors import IntakeError, Quarantined
from ..intake.feeds import is_on, release, terms_of
from ..intake.health import judge
from ..intake.lists import ListTerms, categorised, known, read
from ..intake.wanted import want_pull
from ..model import Parsed
from ..reputation.replacing import Content, Effect, freed, replaced
from ..store import FeedState, Source
from ..subjects import listing_key, text
from .base import OPERATOR, DeskBase

__all__ = ["FeedsPart"]

EXAMPLES = 20  # subjects shown of those that appear, and of those that leave


class FeedsPart(DeskBase):
    def feed(self, name: str) -> FeedDef:
        """Raises IntakeError where none of that name is declared."""
        feed = self.feeds().get(name)
        if feed is None:
            raise IntakeError(f"no feed {name}; `dnsbl feed list` shows what there is")
        return feed

    def feed_rows(self) -> list[dict[str, Any]]:
        """The catalogue: what is declared, and whether it is on now. `switched`: by a person; None: as declared."""
        states = self.store.feed_states()
        return [
            {
                **feed.model_dump(mode="json"),
                "enabled": is_on(feed, states.get(name)),
                "switched": states[name].switched if name in states else None,
            }
            for name, feed in self.feeds().items()
        ]

    def show_feed(self, name: str) -> dict[str, Any]:
        """A feed's declaration, its health, and what lies in quarantine of it."""
        feed, state = self.feed(name), self.state(name)
        return {
            **feed.model_dump(mode="json"),
            **documents.feed(name, feed, state),
            "switched": state.switched,
            "quarantine": self.lying(feed),
        }

    def state(self, name: str) -> FeedState:
        return self.store.feed_states().get(name) or FeedState(name)

    def switch_feed(self, name: str, on: bool, who: str = OPERATOR, why: str = "") -> dict[str, Any]:
        """Switch a feed, until it is switched again; as its file says, it follows its file again. The caller
        reconciles: what a feed that is off had decays; one that is on is pulled soon. Raises IntakeError."""
        feed = self.feed(name)
        with self.store.transaction():
            self.store.switch_feed(name, None if on == feed.enabled else on)
            if on:
                want_pull(self.store, name)
            self.audit(who, f"feed {'enable' if on else 'disable'}", name, why)
        self.outdated()
        return self.show_feed(name)

    def want_pull(self, name: str, who: str = OPERATOR, why: str = "") -> dict[str, Any]:
        """Have a feed pulled as soon as the schedule looks, in whatever process that is. Raises IntakeError."""
        feed = self.feed(name)
        if not is_on(feed, self.state(name)):
            raise IntakeError(f"feed {name} is off: `dnsbl feed enable {name}` first")
        with self.store.transaction():
            want_pull(self.store, name)
            self.audit(who, "feed pull", name, why)
        return self.show_feed(name)

    # what is held back

    def feed_diff(self, name: str) -> dict[str, Any]:
        """What the content in quarantine would change: what appears in the feed and what leaves it, and what zones
        would list by that. "refused" is why even a release does not take it. Reads all the feed has. Raises
        IntakeError where nothing lies there."""
        feed = self.feed(name)
        data, lying = self.held_back(feed), self.lying(feed)
        compared = self.figure(("diff", name, digest_of(data)), lambda: self.compared(feed, data, clock.now()))
        return {**compared, "quarantine": lying}

    def compared(self, feed: FeedDef, data: bytes, now: int) -> dict[str, Any]:
        """Some content, judged as a pull would, and against what the feed has."""
        state = self.state(feed.name)
        said = {"name": feed.name, "why": state.reason, "refused": None}
        terms = terms_of(feed, False, now, self.networks_of)
        try:
            if data.strip() or terms.limits.min_entries:
                terms = known(data, terms)
            parsed = read(data, terms)
            judge(parsed, None, terms.limits.accepting(), None)
        except IntakeError as error:
            return {**said, "why": state.reason or str(error), "refused": str(error)}
        try:
            judge(parsed, state.entries, terms.limits, None)
        except Quarantined as error:
            said["why"] = str(error)
        return {**said, **self.changes(feed, terms, parsed, now)}

    def changes(self, feed: FeedDef, terms: ListTerms, parsed: Parsed, now: int) -> dict[str, Any]:
        """What appears, leaves and stays, and what comes of it in the zones."""
        source = self.source_of(feed)
        if terms.exempt:
            has = {e.subject for e in self.store.exemptions() if e.origin == feed.name}
            coming = set(parsed.hits)
        else:
            has = set(self.store.carried(source.id))
            coming = {listing_key(subject) for subject in parsed.hits}
        appear, leave = sorted(coming - has), sorted(has - coming)
        if terms.exempt:
            effects = freed(self.store, self.zones(), appear)
        else:
            effects = self.effects(source, terms, parsed, appear, leave, now)
        return {
            "has": len(has),
            "appear": len(appear),
            "leave": len(leave),
            "stay": len(has & coming),
            "appearing": [text(subject) for subject in appear[:EXAMPLES]],
            "leaving": [text(subject) for subject in leave[:EXAMPLES]],
            "exempts": terms.exempt,
            "zones": [effect_row(effect, self.store.listing_count(effect.zone)) for effect in effects],
        }

    def effects(
        self, source: Source, terms: ListTerms, parsed: Parsed, appear: list[bytes], leave: list[bytes], now: int
    ) -> list[Effect]:
        """What zones would list, as `replace_entries` would take the content."""
        numbers = {name: number for number, name in self.store.categories().items()}
        categories = {listing_key(subject): word for subject, word in categorised(parsed, terms)[0].items()}
        hits: dict[bytes, int] = {}
        for subject, count in parsed.hits.items():
            hits[listing_key(subject)] = max(count, hits.get(listing_key(subject), 0))
        new = {subject: (hits[subject], numbers[categories.get(subject, terms.category)]) for subject in appear}
        exempt = self.exemptions.get(now)
        return replaced(self.store, self.zones(), exempt, source, Content(new, leave), now)

    def source_of(self, feed: FeedDef) -> Source:
        """The feed's source, believed as its file says now; one that the store has not yet has number 0."""
        have = {source.name: source for source in self.store.sources().values()}
        source = have.get(feed.name) or Source(0, feed.name, "feed", 0.0, "", feed.redistribute)
        return replace(source, trust=feed.trust, family=feed.family or feed.name)

    def release_feed(self, name: str, who: str = OPERATOR, why: str = "", digest: str = "") -> dict[str, Any]:
        """Take the content in quarantine as it lies there; nothing is fetched. `digest`, as `feed_diff` gave it: only
        that content, and not what came since then. The caller settles. Raises IntakeError, Quarantined."""
        feed = self.feed(name)
        data = self.held_back(feed)
        if digest and digest != digest_of(data):
            raise IntakeError(f"feed {name}: other content lies there by now; look at `dnsbl feed diff {name}` again")
        if not is_on(feed, self.state(name)):
            raise IntakeError(f"feed {name} is off: `dnsbl feed enable {name}` first")
        with self.store.transaction():
            outcome = release(self.store, feed, data, clock.now(), self.networks_of)
            self.audit(who, "feed release", name, why)
        with suppress(OSError):  # it was taken: what lies there is only to be looked at
            (self.quarantine / name).unlink(missing_ok=True)
        self.outdated()
        return {"name": name, "state": outcome.state, "reason": "", **outcome.entry._asdict()}

    def held_back(self, feed: FeedDef) -> bytes:
        """Raises IntakeError where nothing lies in quarantine."""
        try:
            return (self.quarantine / feed.name).read_bytes()
        except FileNotFoundError:
            raise IntakeError(f"feed {feed.name}: nothing of it is in quarantine; what it had was taken") from None
        except OSError as error:
            raise IntakeError(f"{self.quarantine / feed.name}: cannot be read ({error.strerror})") from error

    def lying(self, feed: FeedDef) -> dict[str, Any] | None:
        """What lies in quarantine: its size in bytes, since when, and its digest. None: nothing does."""
        path = self.quarantine / feed.name
        try:
            there = path.stat()
            digest = self.figure((path, there.st_mtime_ns, there.st_size), lambda: digest_of(path.read_bytes()))
        except OSError:
            return None
        return {"bytes": there.st_size, "at": clock.rfc3339(int(there.st_mtime)), "digest": digest}


def digest_of(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def effect_row(effect: Effect, listings: int) -> dict[str, Any]:
    """`listings`: how many the zone has now. `percent`: how much of that both changes are."""
    changed = effect.listed + effect.leave
    return {
        "zone": effect.zone,
        "listings": listings,
        "listed": effect.listed,
        "leave": effect.leave,
        "percent": round(100 * changed / listings, 4) if listings else None,
        "examples": [text(subject) for subject in effect.examples],
        "leaving": [text(subject) for subject in effect.leaving],
    }
