"""What a store promises. SQLite keeps it today; a PostgreSQL store will be held to the same conformance suite.

Promises that hold for every method:

- A call that changes something is one transaction: after it returns the change survives a crash of the
  process at any later moment; if it raises, nothing of it is there.
- Calls from any thread; changes are taken one at a time, reads do not wait for them.
- Subjects are keys of `dnsbl.subjects`; times are whole seconds; categories are names.
- Failure is errors.StoreError with a sentence; nothing else is raised for the store's own troubles.
"""

from __future__ import annotations

from typing import Protocol

from ..rows import (
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
    Row,
    Sample,
    Source,
    Taken,
)  # fmt: skip
from .deeds import Asked, Deed, Deeds
from .figures import Figures
from .flow import Flow, Listed
from .hooks import Hooks
from .mail import Mail
from .people import People
from .querying import Querying, QueryKey, QueryUse
from .removals import Removals

__all__ = [
    "Asked", "Attempt", "Change", "Decision", "Deed", "Entry", "Evidence", "Exemption", "FeedState", "Hold", "Key",
    "KeyDay", "KeyLimits", "Listed", "ListingRow", "Overturned", "Purge", "QueryKey", "QueryUse", "Row", "Sample",
    "Source", "Store", "Taken",
]  # fmt: skip


class Store(Flow, Figures, Removals, Mail, People, Hooks, Deeds, Querying, Protocol):
    """The whole contract: the flow, and what is kept of removals, mail, people and hooks."""
