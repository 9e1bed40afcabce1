"""Pages for people: what this is, a look-up in plain words, how everything fares. No script, nothing from others."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..errors import StoreError, SubjectError
from ..hashing import MAX_QUERY
from ..model import CATEGORIES
from .auth import may_read
from .problems import Problem
from .state import WEB
from .status import feed_rows
from .subjects import public
from .usage import operator_mail, postfix, rspamd, spamassassin

__all__ = ["Pages", "icon", "index", "lookup", "status", "style"]

ABOUT = {"ip": "addresses", "domain": "domain names", "hash": "hashes", "e164": "telephone numbers"}  # by kind of zone
KINDS = {
    "feed": "a public list",
    "import": "a list of the operator's",
    "list": "a list",
    "operator": "the operator",
    "partner": "a partner",
    "trap": "a spam trap",
}
STATES = {
    "new": "not fetched yet",
    "ok": "good",
    "unchanged": "good, unchanged",
    "failed": "could not be fetched",
    "quarantined": "held back: not believed",
    "off": "off",
}


class Pages:
    """The templates, escaped by default; a value that is missing is a mistake, not an empty place."""

    def __init__(self) -> None:
        self.jinja = Environment(
            loader=PackageLoader("dnsbl.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.jinja.filters["moment"] = moment
        self.jinja.globals.update(about=ABOUT, kinds=KINDS, states=STATES, categories=CATEGORIES)

    def render(self, name: str, status: int = 200, **values: Any) -> web.Response:
        text = self.jinja.get_template(name).render(**values)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def problem(self, problem: Problem) -> web.Response:
        response = self.render("problem.html", problem.status, title=problem.title, detail=problem.detail)
        response.headers.update(problem.headers)
        return response


def moment(at: str | None) -> str:
    """RFC 3339 as people read it."""
    return f"{at[:10]} {at[11:16]} UTC" if at else "never"


async def index(request: web.Request) -> web.StreamResponse:
    """What this is, and how to use it."""
    state = request.app[WEB]
    facts = await state.threads.read(state.book.facts)
    zones = [each.zone for each in facts]
    return state.pages.render(
        "index.html",
        zones=[each.as_model() for each in facts],
        postfix=postfix(zones),
        rspamd=rspamd(zones),
        spamassassin=spamassassin(zones),
    )


async def lookup(request: web.Request) -> web.StreamResponse:
    """One subject, in plain words."""
    state = request.app[WEB]
    app = state.backend.app
    asked = asked_of(request)
    zones = app.zones
    values: dict[str, Any] = {"asked": asked, "found": None, "mistake": "", "zones": zones, "mail": operator_mail}
    if not asked:
        return state.pages.render("lookup.html", **values)
    try:
        found = await state.threads.read(app.check, asked)
    except SubjectError as error:
        return state.pages.render("lookup.html", 400, **values | {"mistake": str(error)})
    if not await may_read(request):
        found = await state.threads.read(public, found, app.store)
    found["zones"] = [view for view in found["zones"] if view["zone"] in zones]  # none that a reload just took away
    listed = [view for view in found["zones"] if view["listed"]]
    blocked = [view for view in listed if zones[view["zone"]].policy.exempt]
    welcome = [view for view in listed if view not in blocked]
    values |= {"found": found, "blocked": blocked, "welcome": welcome}
    return await state.threads.read(state.pages.render, "lookup.html", **values)


def asked_of(request: web.Request) -> str:
    """What is asked about; cut where it is longer than anything that means something. A zone's text has a number as it
    is in its link, `?q=+4930123456`, and a plus there is a space (WHATWG URL, application/x-www-form-urlencoded)."""
    text = request.query.get("q", "")[: MAX_QUERY + 1]
    asked = text.strip()
    return "+" + asked if text[:1] == " " and asked.isascii() and asked.isdigit() else asked


async def status(request: web.Request) -> web.StreamResponse:
    """How zones and feeds fare. A store that cannot be read is part of the answer."""
    state = request.app[WEB]
    reasons = await state.readiness.reasons()
    try:
        facts = await state.threads.read(state.book.facts)
        feeds = await state.threads.read(feed_rows, state.backend.app, await may_read(request))
    except StoreError:
        facts, feeds = [], []
    return state.pages.render("status.html", zones=[each.as_model() for each in facts], feeds=feeds, ready=not reasons)


async def style(_: web.Request) -> web.StreamResponse:
    return packaged("style.css", "text/css")


async def icon(_: web.Request) -> web.StreamResponse:
    return packaged("icon.svg", "image/svg+xml")


def packaged(name: str, content_type: str) -> web.Response:
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
