"""How far a partner is believed: what an operator granted, less what its own mistakes cost it, and never more.

    trust = granted * max(0, 1 - COST * wrong / max(min(listed, MOST), LEAST))

`wrong` are claims overturned in the last DAYS days, and listings in places that a person rejected; `listed` are the
listings that the partner carried in that time. Mistakes grow old, so trust comes back by itself as far as it was
granted.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..clock import DAY
from ..store.contract import Hold, Source, Store
from .guard import REJECTED

__all__ = ["judge", "trust_of"]

DAYS = 90
COST = 5.0  # one listing in a hundred wrong costs five hundredths of the trust; one in five all of it
LEAST = 20  # listings; who has few is judged as if it had so many
MOST = 1000  # listings; more forgive no more: names to be listed can be invented
CHANGED = 0.001  # a smaller difference on the way is not written: it touches all that the partner ever said


def trust_of(granted: float, listed: int, wrong: int) -> float:
    """Between 0 and `granted`; falls with `wrong`, rises with `listed` up to MOST."""
    return granted * max(0.0, 1.0 - COST * wrong / max(min(listed, MOST), LEAST))


def judge(store: Store, now: int) -> Mapping[str, tuple[float, float]]:
    """Bring every partner's trust up to date; those that changed, by name: before and now."""
    changed = {}
    rejected = [hold for hold in store.holds() if hold.state == REJECTED]
    for source in store.sources().values():
        if source.kind != "partner":
            continue
        trust = trust_of(source.granted, *record_of(store, source, rejected, now))
        if abs(trust - source.trust) > CHANGED or (trust in (0.0, source.granted) and trust != source.trust):
            store.set_source(source.id, trust=trust)
            changed[source.name] = (source.trust, trust)
    return changed


def record_of(store: Store, source: Source, rejected: list[Hold], now: int) -> tuple[int, int]:
    """(listings, wrong ones) of the last DAYS days."""
    since = now - DAYS * DAY
    held = sum(listings(hold) for hold in rejected if hold.source == source.id and (hold.decided or 0) >= since)
    return store.listed_since(source.id, since // DAY), len(store.overturned(source.id, since)) + held


def listings(hold: Hold) -> int:
    """How many wrong listings a rejected hold stands for: a wide network is one, however many addresses it has."""
    return 1 if hold.place.startswith("wide:") else hold.listings
