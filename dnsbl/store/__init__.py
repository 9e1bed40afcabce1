"""The store: what was claimed (reports, feed entries, exemptions, removals) and what follows from it.

Primary, never made again:   source report entry exemption removal listing_change key feed audit
Derived, `store rebuild`:    evidence (reports folded), listing (evidence decided)
Queue:                       touched (subjects whose listings may have changed)

`contract` says what any store must do and is held by a conformance suite; `sqlite` is the one we have.
A crash at any moment leaves the last committed transaction: what was acknowledged is there.
"""

from .contract import Change, Decision, Entry, Evidence, Exemption, FeedState, Key, ListingRow, Source, Store, Taken
from .sqlite import SqliteStore, open_store

__all__ = [
    "Change",
    "Decision",
    "Entry",
    "Evidence",
    "Exemption",
    "FeedState",
    "Key",
    "ListingRow",
    "Source",
    "SqliteStore",
    "Store",
    "Taken",
    "open_store",
]
