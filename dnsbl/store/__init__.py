"""The store: what was claimed (reports, feed entries, exemptions, removals) and what follows from it.

Primary, never made again:   source reporter category report entry exemption (removals that were granted, too)
                             listing_change key key_day query_usage feed idempotency audit meta hold overturned attempt
                             spread counted purge purged_report purged_entry sample sample_subject removal
                             removal_event challenge outgoing person passkey session seconding owned hook delivery
Derived, `store rebuild`:    evidence (reports folded), listing (evidence decided; `since` is kept)
Queue:                       touched (subjects whose listings may have changed)

`contract` says what any store must do and is held by a conformance suite; `sqlite` is the one we have.
A crash at any moment leaves the last committed transaction: what was acknowledged is there.
"""

from .contract import (
    Attempt,
    Change,
    Decision,
    Entry,
    Evidence,
    Exemption,
    FeedState,
    Hold,
    Key,
    KeyDay,
    KeyLimits,
    ListingRow,
    Overturned,
    Purge,
    QueryKey,
    QueryUse,
    Sample,
    Source,
    Store,
    Taken,
)  # fmt: skip
from .sqlite import SqliteStore, open_store

__all__ = [
    "Attempt", "Change", "Decision", "Entry", "Evidence", "Exemption", "FeedState", "Hold", "Key", "KeyDay",
    "KeyLimits", "ListingRow", "Overturned", "Purge", "QueryKey", "QueryUse", "Sample", "Source", "SqliteStore",
    "Store", "Taken", "open_store",
]  # fmt: skip
