"""`/stats` and `GET /v1/stats`: listings by day and category, how lists overlap, what DNS is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web
from markupsafe import Markup

from .charts import Series, folded, matrix, stacked
from .language import Language, language_of
from .models import Stats, ZoneFigures
from .problems import busy
from .responses import json_response
from .state import WEB, Web

__all__ = ["get_stats", "stats"]


class Chart(NamedTuple):
    """A picture, and what its table and legend are made from."""

    svg: Markup
    labels: Sequence[str]
    series: Sequence[Series]


async def get_stats(request: web.Request) -> web.StreamResponse:
    """The figures for programs."""
    found = await request.app[WEB].stats.current()
    if found is None:
        raise busy("the figures are being made; ask again in a minute")
    return json_response(found.model_dump())


async def stats(request: web.Request) -> web.StreamResponse:
    """The figures as charts, each with its table."""
    state = request.app[WEB]
    found = await state.stats.current()
    return await state.threads.read(page, request, state, found)


def page(request: web.Request, state: Web, found: Stats | None) -> web.Response:
    if found is None:
        return state.pages.render(request, "stats.html", 503, stats=None)
    language = language_of(request)
    return state.pages.render(
        request,
        "stats.html",
        stats=found,
        days={zone.zone: days_chart(zone, language) for zone in found.zones},
        words={zone.zone: {code.code: code.categories for code in zone.codes} for zone in found.zones},
        overlap=overlap_chart(found, language),
        queries=queries_chart(found, language),
    )


def days_chart(zone: ZoneFigures, language: Language) -> Chart | None:
    """None where nothing was listed in these days."""
    title = language.gettext("Newly listed in %(zone)s, by day and code") % {"zone": zone.origin}
    labels = [language.short_day(day.day) for day in zone.days]
    series = [Series(code.code, [day.codes.get(code.code, 0) for day in zone.days]) for code in zone.codes]
    return bars(f"days-{zone.zone}", title, labels, series, language)


def queries_chart(found: Stats, language: Language) -> Chart | None:
    """None where no DNS server runs, or it was asked nothing."""
    rcodes = dict.fromkeys(rcode for zone in found.queries for rcode in zone.rcodes)
    series = [Series(rcode, [zone.rcodes.get(rcode, 0) for zone in found.queries]) for rcode in rcodes]
    title = language.gettext("Answers by zone and response code")
    labels = [zone.zone or language.gettext("no zone") for zone in found.queries]
    return bars("queries", title, labels, series, language)


def bars(id: str, title: str, labels: Sequence[str], series: Sequence[Series], language: Language) -> Chart | None:
    shown = folded(series, language.gettext("others"))
    return Chart(stacked(id, title, labels, shown, language.number), labels, shown) if shown else None


def overlap_chart(found: Stats, language: Language) -> Markup | None:
    """None where there are no two lists."""
    names = [each.feed for each in found.overlap]
    shares = [[each.also_in.get(name, 0) / each.entries for name in names] for each in found.overlap]
    title = language.gettext("How much of each list the others carry")
    return matrix("overlap", title, names, shares, language.percent) if len(names) > 1 else None
