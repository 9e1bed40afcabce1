"""The store: what was claimed (reports, feed entries, exemptions, removals) and what follows from it.

Primary, never made again:   source reporter category report entry exemption (removals are exemptions with an end)
                             listing_change key feed idempotency audit meta
Derived, `store rebuild`:    evidence (reports folded), listing (evidence decided; `since` is kept)
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
