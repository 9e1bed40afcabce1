"""Is a feed's new content to be believed? Pure: what the bytes parsed to, what the feed had before, its limits.

A feed that fails does so while looking well: an error page with status 200, an empty file, a file cut in the middle, a
list that halves overnight. Taken at its word, each of them delists thousands at once, or lists thousands. So content
that looks wrong is quarantined: it is kept aside, what was there before stays, and the operator is told what was seen.

The checks run from what the content is (a page, nothing, a part, another format) to how much there is of it; the
first that trips is the reason given. Messages state facts; what can be done about them is the caller's to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..config import FeedDef
from ..errors import Quarantined
from ..model import Parsed
from ..special import never_listed

__all__ = ["MAX_REJECTED", "MIN_DIFFERENCE", "Limits", "judge"]

MIN_DIFFERENCE = 100  # entries: a smaller difference is never a reason, small feeds swing
# What a list may cover at most: a thirty-second of all IPv4 addresses, and as many IPv6 /32s as a continent has.
COVERS = ((ord("4"), 32, 2**27, "IPv4 addresses"), (ord("6"), 32, 4096, "IPv6 networks of /32"))
MAX_REJECTED = 0.5  # share of the lines that may be refused before it is another format than we think


@dataclass(slots=True, frozen=True)
class Limits:
    """What a feed promises about its own size."""

    min_entries: int = 1  # 0: the feed may be empty
    max_change: float = 0.4  # share by which the number of entries may rise or fall from one version to the next

    @classmethod
    def from_feed(cls, feed: FeedDef) -> Limits:
        return cls(min_entries=feed.min_entries, max_change=feed.max_change)

    def accepting(self) -> Limits:
        """The limits once an operator has accepted the new content's size. What is a page, empty, cut or mostly
        refused stays out all the same: nobody means to accept that."""
        return replace(self, min_entries=min(self.min_entries, 1), max_change=math.inf)


def judge(parsed: Parsed, previous: int | None, limits: Limits, page: str | None) -> None:
    """Return where the content can be taken. Raises Quarantined with one sentence where it cannot.

    `previous` is the number of entries in the version now in use; None or 0 where there is nothing to compare with.
    `page` is the reason why the bytes look like a page, or another thing that is no list; None where they do not.
    """
    reason = (
        (f"not a list: {page}" if page else None)
        or nothing(parsed, limits)
        or miscounted(parsed)
        or mostly_refused(parsed)
        or too_few(parsed, limits)
        or (too_wide(parsed) if math.isfinite(limits.max_change) else None)
        or (too_different(len(parsed.hits), previous, limits.max_change) if previous else None)
    )
    if reason:
        raise Quarantined(reason)


def nothing(parsed: Parsed, limits: Limits) -> str | None:
    """Lists do arrive empty, from the best of houses; believed, one delists everything."""
    if parsed.hits or limits.min_entries < 1:
        return None
    if parsed.rejected:
        return f"no entries: {refused(parsed)}"
    return "no entries: it is empty"


def miscounted(parsed: Parsed) -> str | None:
    """A file that says how many records it has, and has another number, was cut or is not from one piece."""
    if parsed.claimed is None or parsed.claimed == lines(parsed):
        return None
    what = "it was cut" if lines(parsed) < parsed.claimed else "it does not fit together"
    return f"{what}: the file says it has {parsed.claimed:,} records, and {lines(parsed):,} are there"


def mostly_refused(parsed: Parsed) -> str | None:
    if parsed.rejected <= MAX_REJECTED * lines(parsed):
        return None
    return f"another format than expected: {refused(parsed)}"


def too_few(parsed: Parsed, limits: Limits) -> str | None:
    if len(parsed.hits) >= limits.min_entries:
        return None
    return f"{entries(len(parsed.hits))}, fewer than the {limits.min_entries:,} that it always has"


def too_wide(parsed: Parsed) -> str | None:
    """Few entries can say much: two dozen /8s are a tenth of the Internet. Special-purpose ranges do not count."""
    for mark, unit, limit, what in COVERS:
        spaces = (2.0 ** (unit - subject[-1]) for subject in parsed.hits if subject[0] == mark)
        if sum(spaces) <= limit:
            continue
        named = [subject for subject in parsed.hits if subject[0] == mark and not never_listed(subject)]
        covered = sum(2.0 ** (unit - subject[-1]) for subject in named)
        if covered > limit:
            return f"it covers {covered:,.0f} {what}, more than the {limit:,} that any list may"
    return None


def too_different(new: int, old: int, max_change: float) -> str | None:
    """A number of entries too far from the one before; `old` is at least 1."""
    if abs(new - old) < MIN_DIFFERENCE or old * (1 - max_change) <= new <= old * (1 + max_change):
        return None
    change = percent(abs(new - old) / old)
    what = "a drop" if new < old else "a growth"
    return f"{entries(new)} where there were {old:,}: {what} of {change}, more than the {percent(max_change)} allowed"


def lines(parsed: Parsed) -> int:
    """Every line that meant to be an entry, taken or not."""
    return len(parsed.hits) + parsed.rejected + parsed.repeated


def refused(parsed: Parsed) -> str:
    """How many lines were not taken, with the first as an example."""
    example = f", the first on line {parsed.rejects[0].line:,} ({parsed.rejects[0].why})" if parsed.rejects else ""
    return f"{parsed.rejected:,} of {lines(parsed):,} lines were refused{example}"


def entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def percent(share: float) -> str:
    """`50 %`, `40.1 %`: rounded up, so that what is above a limit never reads as if it were at it."""
    tenths = math.ceil(round(share * 1000, 6))
    return f"{tenths / 10:,.1f}".removesuffix(".0") + " %"
