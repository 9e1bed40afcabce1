"""How much a key may still send: reports a UTC day, kept in the store, and a burst, kept in memory.

Every line counts, taken or refused: a refused one costs as much work. What fits of a post of reports is taken; the
rest, and a complaint that does not fit as a whole, is refused with 429 and the moment from which more fits. One process
serves the web. Reports of one key are counted one after another, and so are complaints; of each other the two know what
is in the store: sent at the same moment, they may come to more by one post.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from .. import clock
from ..store.contract import Key, Store
from .problems import Problem

__all__ = ["BURST_SECONDS", "Quotas"]

BURST_SECONDS = 60  # in which a key's whole burst comes back


class Quotas:
    """Asked with the lines that want in; `spend` what was let in. From the threads of reports and of
    complaints; `check` from any."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.lock = threading.Lock()  # around a change of `levels`
        self.levels: dict[int, tuple[float, float]] = {}  # by key: reports left of its burst, and when that was

    def check(self, store: Store, key: Key, dry: bool = False) -> None:
        """Whether anything of this key would be taken now. Raises Problem 429."""
        room, problem = self.room(store, key, 1, dry)
        if room < 1 and problem is not None:
            raise problem

    def need(self, store: Store, key: Key, lines: int) -> None:
        """Whether all of these fit together. Raises Problem: 429, or 413 where so many never would."""
        most = min((most for most in (key.limits.burst, key.limits.daily) if most is not None), default=lines)
        if lines > most:
            raise Problem(413, f"{lines:,} claims at once, and this key may send {most:,}: nothing was taken")
        _, problem = self.room(store, key, lines, False)
        if problem is not None:
            raise Problem(problem.status, f"nothing of this was taken: {problem.detail}", problem.headers)

    def room(self, store: Store, key: Key, lines: int, dry: bool, unwritten: int = 0) -> tuple[int, Problem | None]:
        """How many of these lines fit, and the refusal of the others; None: all fit. `unwritten`: lines of today that
        were let in and are not in the store yet. A dry run takes nothing of the day."""
        room, problem = lines, None
        if key.limits.burst is not None and (left := int(self.level(key))) < room:
            room, problem = left, self.too_fast(key, lines)
        daily = key.limits.daily
        if daily is not None and not dry and (left := max(0, daily - self.today(store, key) - unwritten)) < room:
            room, problem = left, too_much(daily)
        return room, problem

    def spend(self, key: Key, lines: int) -> None:
        if key.limits.burst is not None:
            with self.lock:
                self.levels[key.id] = (max(0.0, self.level(key) - lines), self.monotonic())

    def today(self, store: Store, key: Key) -> int:
        """The lines of this UTC day, as the store has them."""
        return sum(day.taken + day.repeated + day.rejected for day in store.key_days(key.id, clock.now() // clock.DAY))

    def level(self, key: Key) -> float:
        burst = key.limits.burst or 0
        level, at = self.levels.get(key.id, (float(burst), 0.0))
        return min(burst, level + (self.monotonic() - at) * burst / BURST_SECONDS)

    def too_fast(self, key: Key, lines: int) -> Problem:
        burst = key.limits.burst or 1
        wait = math.ceil((min(lines, burst) - self.level(key)) * BURST_SECONDS / burst)
        return over(f"more than {burst:,} reports in {BURST_SECONDS} seconds; send the rest later", wait)


def too_much(daily: int) -> Problem:
    wait = clock.DAY - clock.now() % clock.DAY
    return over(f"more than {daily:,} reports today; send the rest after midnight UTC", wait)


def over(detail: str, wait: int) -> Problem:
    """429 (RFC 6585 section 4) with the seconds to wait; the rest of the body is not waited for."""
    return Problem(429, detail, {"Retry-After": str(max(1, wait)), "Connection": "close"})
