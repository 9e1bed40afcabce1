"""`GET /v1/partner`: what a partner's reports came to, for the partner: nobody improves what he cannot see."""

from __future__ import annotations

from aiohttp import web

from .. import clock
from ..clock import DAY
from ..store.contract import Key, KeyDay, QueryUse, Source, Store
from ..subjects import text
from . import models
from .auth import need
from .responses import json_response
from .state import WEB

__all__ = ["get_partner"]

DAYS = 30  # of use that are shown
SEASON = 90  # days of listings and of what was overturned
MAX_OVERTURNED = 1000  # subjects told, the newest
MAX_HOLDS = 1000


async def get_partner(request: web.Request) -> web.StreamResponse:
    """A partner's own numbers."""
    key = await need(request, "report", "query")
    state = request.app[WEB]
    found = await state.threads.read(partner, state.backend.app.store, key, clock.now())
    state.note_use(key)
    return json_response(found.model_dump())


def partner(store: Store, key: Key, now: int) -> models.Partner:
    source = store.sources()[key.source]
    today = now // DAY
    days = store.key_days(key.id, today - DAYS + 1)
    return models.Partner(
        name=source.name,
        trust_granted=source.granted,
        trust=source.trust,
        simulated=source.simulated,
        zones=list(source.zones),
        limits=limits(key),
        quota=quota(key, days, today),
        days=[day_row(day) for day in days],
        queries=[query_row(use) for use in store.query_usage(today - DAYS + 1, key.id)],
        listings=store.listed_since(source.id, today - SEASON + 1),
        overturned=overturned(store, source, now),
        holds=holds(store, source),
        last_used=clock.rfc3339(key.last_used),
        expires=clock.rfc3339(key.expires),
    )


def limits(key: Key) -> models.Limits:
    said = key.limits
    return models.Limits(
        categories=list(said.categories),
        about=list(said.about),
        origins=list(said.origins),
        daily=said.daily,
        burst=said.burst,
        queries=said.queries,
        query_zones=list(said.query_zones),
    )


def quota(key: Key, days: list[KeyDay], today: int) -> models.Quota:
    used = sum(day.taken + day.repeated + day.rejected for day in days if day.day == today)
    daily = key.limits.daily
    return models.Quota(used=used, left=None if daily is None else max(0, daily - used))


def query_row(use: QueryUse) -> models.QueryDay:
    return models.QueryDay(day=date_of(use.day), zone=use.zone, queries=use.queries, refused=use.refused)


def date_of(day: int) -> str:
    return (clock.rfc3339(day * DAY) or "")[:10]


def day_row(day: KeyDay) -> models.Day:
    date = date_of(day.day)
    return models.Day(day=date, posts=day.posts, taken=day.taken, repeated=day.repeated, rejected=day.rejected)


def overturned(store: Store, source: Source, now: int) -> list[models.OverturnedClaim]:
    """The newest first."""
    rows = store.overturned(source.id, now - SEASON * DAY)[-MAX_OVERTURNED:]
    return [
        models.OverturnedClaim(subject=text(row.subject), at=clock.rfc3339(row.at) or "", why=row.why)
        for row in reversed(rows)
    ]


def holds(store: Store, source: Source) -> list[models.HeldPlace]:
    """The newest first."""
    rows = [hold for hold in store.holds() if hold.source == source.id]
    rows.sort(key=lambda hold: (hold.at, hold.id), reverse=True)
    return [
        models.HeldPlace(
            zone=hold.zone,
            place=hold.place,
            at=clock.rfc3339(hold.at) or "",
            listings=hold.listings,
            share=hold.share,
            why=hold.why,
            state=hold.state,
        )
        for hold in rows[:MAX_HOLDS]
    ]
