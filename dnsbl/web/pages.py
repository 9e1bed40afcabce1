"""Pages for people: what this is, how everything fares; and the files that pages load. No script, nothing from others.

rendering.py (templates)  language.py (whose)  words.py (tables)     lookup.py  criteria.py  stats.py (larger pages)
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from aiohttp import web

from ..errors import StoreError
from ..phrases import N_
from .auth import may_read
from .state import WEB
from .status import feed_rows
from .usage import postfix, rspamd, spamassassin

__all__ = ["ABOUT", "icon", "index", "packaged", "status", "style"]

ABOUT = {  # by kind of zone
    "ip": N_("addresses"),
    "domain": N_("domain names"),
    "hash": N_("hashes"),
    "e164": N_("telephone numbers"),
}


async def index(request: web.Request) -> web.StreamResponse:
    """What this is, and how to use it."""
    state = request.app[WEB]
    facts = await state.threads.read(state.book.facts)
    zones = [each.zone for each in facts]
    return state.pages.render(
        request,
        "index.html",
        zones=[each.as_model() for each in facts],
        about=ABOUT,
        postfix=postfix(zones),
        rspamd=rspamd(zones),
        spamassassin=spamassassin(zones),
    )


async def status(request: web.Request) -> web.StreamResponse:
    """How zones and feeds fare. A store that cannot be read is part of the answer."""
    state = request.app[WEB]
    reasons = await state.readiness.reasons()
    try:
        facts = await state.threads.read(state.book.facts)
        everything = await may_read(request)
        feeds = await state.threads.read(feed_rows, state.backend.app, everything)
    except StoreError:
        facts, feeds, everything = [], [], False
    zones = [each.as_model(everything) for each in facts]
    return state.pages.render(request, "status.html", zones=zones, feeds=feeds, ready=not reasons)


async def style(_: web.Request) -> web.StreamResponse:
    return packaged("style.css", "text/css")


async def icon(_: web.Request) -> web.StreamResponse:
    return packaged("icon.svg", "image/svg+xml")


def packaged(name: str, content_type: str) -> web.Response:
    """A file of templates/ as it is, for browsers to keep for an hour."""
    return web.Response(
        text=template(name),
        content_type=content_type,
        charset="utf-8",
        headers={"Cache-Control": "public, max-age=3600"},
    )


@cache
def template(name: str) -> str:
    """A file as it was packaged, read once."""
    return resources.files(__package__).joinpath("templates", name).read_text("utf-8")
