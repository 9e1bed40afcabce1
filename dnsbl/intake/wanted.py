"""Feeds that a person wants pulled now. Whoever asks may be in another process than the schedule: it is noted in the
store, and the schedule takes the note at its next look."""

from __future__ import annotations

import json

from ..store.contract import Store

__all__ = ["take_wanted", "want_pull"]

NOTE = "pulls wanted"  # the names of feeds, as a JSON list
NONE = "[]"


def want_pull(store: Store, name: str) -> None:
    """Note it, once however often it is asked for."""
    with store.transaction():
        store.set_meta(NOTE, json.dumps(sorted({name, *noted(store)})))


def take_wanted(store: Store) -> list[str]:
    """The names that were noted, and none the next time. Writes nothing where there are none."""
    if not noted(store):
        return []
    with store.transaction():
        names = noted(store)
        store.set_meta(NOTE, NONE)
    return names


def noted(store: Store) -> list[str]:
    names: list[str] = json.loads(store.meta(NOTE) or NONE)
    return names
