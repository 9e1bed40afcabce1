"""What a deed that cannot be undone at once is about, and how many it concerns: shown on the page that asks once more.
Reads the store: in a thread. Raises DnsblError where there is nothing of that name or number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...desk.search import MAX_FOUND
from ...desk.seconding import MASS
from ...hashing import parse_query
from ...phrases import N_
from ...subjects import text
from ..backend import Parts
from . import models

__all__ = ["concerned"]

Fact = tuple[str, Any]  # a label of the catalogue; a text, a number, texts, or None: not known


def concerned(app: Parts, name: str, wanted: Any) -> list[Fact]:
    return FACTS[name](app, wanted)


def approved(app: Parts, wanted: models.HoldApproved) -> list[Fact]:
    row = app.desk.hold_rows([app.desk.hold(wanted.number)])[0]
    return [
        (N_("Source"), row["source"]),
        (N_("Zone"), row["zone"]),
        (N_("Place"), row["place"]),
        (N_("Addresses claimed there"), row["claimed"]),
        (N_("Percent of the place"), row["percent"]),
    ]


def taken_off(app: Parts, wanted: models.Delist) -> list[Fact]:
    key = parse_query(wanted.subject)
    found = app.desk.listings_of(key, None, MAX_FOUND)
    return [
        (N_("Subject"), text(key)),
        (N_("Zones"), sorted({row["zone"] for row in found})),
        (N_("Listings of it, around it and inside it (100: or more)"), len(found)),
    ]


def switched_off(app: Parts, wanted: models.FeedNamed) -> list[Fact]:
    shown = app.desk.show_feed(wanted.name)
    return [(N_("Feed"), shown["title"]), (N_("Entries"), shown["entries"])]


def released(app: Parts, wanted: models.Released) -> list[Fact]:
    diff = app.desk.feed_diff(wanted.name)
    if diff["refused"]:
        return [(N_("Why it cannot be released"), diff["refused"])]
    return [
        (N_("Feed"), wanted.name),
        (N_("Entries that appear"), diff["appear"]),
        (N_("Entries that leave"), diff["leave"]),
        (N_("Entries that stay"), diff["stay"]),
    ]


def purged(app: Parts, wanted: models.Purge) -> list[Fact]:
    voices = app.desk.voices(app.desk.source(wanted.name))
    return [
        (N_("Sources"), [voice.name for voice in voices]),
        (N_("Claims, of any time (100,000: or more)"), app.store.claim_count([voice.id for voice in voices], MASS)),
    ]


def revoked(app: Parts, wanted: models.Named) -> list[Fact]:
    row = next((row for row in app.key_rows() if row["name"] == wanted.name), None)
    if row is None:
        return [(N_("Key"), wanted.name)]
    return [(N_("Key"), row["name"]), (N_("Scopes"), row["scopes"]), (N_("Last used"), row["last_used"])]


FACTS: Mapping[str, Callable[[Parts, Any], list[Fact]]] = {
    "holds/approve": approved,
    "listings/remove": taken_off,
    "feeds/disable": switched_off,
    "feeds/release": released,
    "sources/purge": purged,
    "keys/revoke": revoked,
}
