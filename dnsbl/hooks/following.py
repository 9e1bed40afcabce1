"""The journal of listings, followed: what happens to what partners own is written to be delivered.

The number of the last line that was looked at moves in the transaction that writes the deliveries. It begins at the
journal's end when somebody begins to watch: nobody is told of what was before. Matching is done beside other writers,
who wait only while what was found is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .. import clock
from ..store.contract import Change, Store
from ..store.hooking import FOLLOWED
from .events import Told, Words, type_of
from .owners import Owners

__all__ = ["MAX_EVENTS", "MAX_WAITING", "Follower"]

LINES = 50_000  # of the journal, looked at together
MAX_EVENTS = 1000  # for one partner out of LINES; where there are more it is told their number, in one event
MAX_WAITING = 10_000  # events that wait for one hook; the oldest go


class Follower:
    """Follows the journal of one store. `origins` are the zones' of now, whenever it is asked."""

    def __init__(
        self,
        store: Store,
        origins: Callable[[], Mapping[str, str]],
        public_url: str = "",
        now: Callable[[], int] = clock.now,
        lines: int = LINES,
    ) -> None:
        self.store, self.origins, self.public_url, self.now, self.lines = store, origins, public_url, now, lines

    def catch_up(self) -> int:
        """Follow to the journal's end; the number of events written. Raises StoreError."""
        written, more = 0, True
        while more:
            count, more = self.step()
            written += count
        return written

    def step(self) -> tuple[int, bool]:
        """Look at the next lines: events written, and whether there is more. Raises StoreError."""
        after = int(self.store.meta(FOLLOWED) or 0)
        if after >= self.store.change_seq() or not self.store.watched():
            return 0, False
        lines = self.store.journal(after, self.lines)
        owners = Owners(self.store.watched())  # asked after the lines were read: a hook older than a line is told of it
        events = self.events(lines, owners)
        done = self.store.add_deliveries(after, lines[-1].seq, events, self.now(), MAX_WAITING)
        return sum(map(len, events.values())) if done else 0, len(lines) == self.lines

    def events(self, lines: Sequence[Change], owners: Owners) -> dict[int, list[str]]:
        """By source what it is told of these lines."""
        words = Words(self.store.identity(), self.origins(), self.public_url)
        return {
            source: [words.many(source, told)] if len(told) > MAX_EVENTS else [words.one(source, each) for each in told]
            for source, told in self.told(lines, owners).items()
        }

    def told(self, lines: Sequence[Change], owners: Owners) -> dict[int, list[Told]]:
        found: dict[int, list[Told]] = {}
        for line in lines:
            if not line.zone:  # an exemption has come or gone: what that changes has lines of its own
                continue
            owned = owners.of(line.subject)
            if owned and (type := type_of(self.store.codes_before(line), line.codes)):
                for source, keys in owned.items():
                    found.setdefault(source, []).append(Told(line, type, keys))
        return found
