"""What is said of subjects, feeds, keys and exemptions, as the JSON that the verbs print and the API sends (design.md
section 5). Pure: rows in, documents out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from . import clock
from .config import FeedDef, template
from .intake.feeds import is_on
from .reputation.explain import ZoneView
from .store import Exemption, FeedState, Key, QueryUse, Source
from .subjects import kind, text, zone_name
from .zones.served import ServedZone

__all__ = ["answered", "exemption", "feed", "key", "zone"]


def zone(view: ZoneView, subject: bytes, dns: list[str] | None) -> dict[str, Any]:
    """A subject in one zone. `dns`: what the published zone answers; None: it is not published."""
    codes = view.codes
    texts = {code.code: code.text for code in view.zone.codes}
    untils = [row.until for row in view.listings]
    return {
        "zone": view.zone.name,
        "origin": view.zone.origin,
        "listed": bool(codes),
        "codes": codes,
        "text": [text(subject).join(template(texts[code])) for code in codes if texts[code]],
        "score": round(view.score, 2),
        "simulated_score": round(view.simulated_score, 2),
        "independent_sources": view.independent,
        "held": [{"place": hold.place, "why": hold.why, "state": hold.state} for hold in view.waiting],
        "since": clock.rfc3339(min((row.since for row in view.listings), default=None)) if codes else None,
        "until": clock.rfc3339(None if None in untils else max((u for u in untils if u), default=None))
        if codes
        else None,
        "listings": [text(row.subject) for row in view.listings],
        "breakdown": [
            {
                "source": line.source,
                "category": line.category,
                "hits": line.hits,
                "reporters": line.reporters,
                "first_seen": clock.rfc3339(line.first_seen),
                "last_seen": clock.rfc3339(line.last_seen),
                "held": line.held,
                "weight": round(line.weight, 4),
                "simulated": line.simulated,
                "subject": text(line.subject),
            }
            for line in view.lines
        ],
        "history": [
            {"since": clock.rfc3339(spell.since), "until": clock.rfc3339(spell.until), "codes": spell.codes}
            for spell in view.history
        ],
        "dns": dns,
    }


def answered(served: ServedZone, subject: bytes) -> list[str]:
    """The codes that a published zone answers for a subject; for a network, for its first address."""
    if kind(subject) != "ip":
        answer = max(served.lookup_name(zone_name(subject).split(b".")), 0)
    elif subject[:1] == b"4":
        answer = served.lookup4(int.from_bytes(subject[1:5], "big"))
    else:
        answer = served.lookup6(int.from_bytes(subject[1:17], "big"))
    return [served.zone.codes[code].code for code in served.answers[answer]]


def feed(name: str, declared: FeedDef | None, state: FeedState) -> dict[str, Any]:
    """A declared feed or an imported list, with its health."""
    off = declared is not None and not is_on(declared, state)
    why_off = "it was switched off by hand" if state.switched is False or declared is None else declared.why_off
    known = "new" if state.state == "off" else state.state  # it is on again, and was not pulled since then
    return {
        "name": name,
        "kind": "feed" if declared else "import",
        "enabled": not off,
        "state": "off" if off else known,
        "reason": why_off if off else state.reason,
        "entries": state.entries,
        "checked_at": clock.rfc3339(state.checked_at),
        "good_at": clock.rfc3339(state.good_at),
        "changed_at": clock.rfc3339(state.changed_at),
        "failures": state.failures,
        "rejected": state.rejected,
        "unmapped": state.unmapped,
        "url": declared.url if declared else None,
        "category": declared.category if declared else None,
        "trust": declared.trust if declared else None,
        "licence": declared.licence if declared else None,
        "redistribute": declared.redistribute if declared else None,
    }


def key(key: Key, source: Source, asked: Iterable[QueryUse] = ()) -> dict[str, Any]:
    """An API key, without its secret. `asked`: what was asked with it in DNS."""
    return {
        "name": key.name,
        "scopes": key.scopes,
        "trust": source.trust,
        "simulated": source.simulated,
        "zones": list(source.zones),
        "limits": {name: value for name, value in asdict(key.limits).items() if value not in ((), None)},
        "created": clock.rfc3339(key.created),
        "expires": clock.rfc3339(key.expires),
        "last_used": clock.rfc3339(key.last_used),
        "revoked": clock.rfc3339(key.revoked),
        "queries": [query_use(use) for use in asked],
    }


def query_use(use: QueryUse) -> dict[str, Any]:
    day = (clock.rfc3339(use.day * clock.DAY) or "")[:10]
    return {"day": day, "zone": use.zone, "queries": use.queries, "refused": use.refused}


def exemption(found: Exemption) -> dict[str, Any]:
    """Who may not be listed, why and until when."""
    return {
        "subject": text(found.subject),
        "reason": found.reason,
        "origin": found.origin,
        "zone": found.zone or None,
        "since": clock.rfc3339(found.since or None),
        "until": clock.rfc3339(found.until),
    }
