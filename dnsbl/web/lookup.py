"""`/lookup`: one subject in plain words, for whoever is listed. What the page needs is the store; where that cannot be
read, what is published still tells listed or not, without reasons. Nothing here waits for DNS, feeds or mail."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from ..config import ZoneDef
from ..errors import StoreError, SubjectError
from ..hashing import MAX_QUERY, parse_query
from ..phrases import N_
from ..subjects import kind, text
from .advice import advice_for
from .auth import may_read
from .backend import Parts
from .clients import client_of
from .state import WEB, Web
from .subjects import public
from .usage import operator_mail

__all__ = ["lookup"]

log = logging.getLogger("dnsbl.web")

ME = "me"  # asks about the visitor's own address
UNKNOWN = N_("Your address cannot be seen from here: a proxy in between does not tell it. Type it in.")


async def lookup(request: web.Request) -> web.StreamResponse:
    """One subject, in plain words."""
    state = request.app[WEB]
    asked = asked_of(request)
    values: dict[str, Any] = {"asked": asked, "mistake": "", "unknown": ""}
    if asked == ME:
        client = client_of(request, state.backend.app.proxies)
        values |= {"asked": str(client or ""), "unknown": "" if client else UNKNOWN}
    if not values["asked"]:
        return state.pages.render(request, "lookup.html", found=None, **values)
    return await state.threads.read(page, request, state, values, await reads_all(request))


async def reads_all(request: web.Request) -> bool:
    """Whether this is a key that may read everything; where the store cannot say, it is not."""
    try:
        return await may_read(request)
    except StoreError:
        return False


def page(request: web.Request, state: Web, values: dict[str, Any], everything: bool) -> web.Response:
    """The page about what `values` says is asked; in a thread."""
    app = state.backend.app
    try:
        found = answer(app, values["asked"], everything)
    except SubjectError as error:
        return state.pages.render(request, "lookup.html", 400, found=None, **values | {"mistake": str(error)})
    status = 503 if found.get("reasons_unknown") and not found["zones"] else 200
    return state.pages.render(request, "lookup.html", status, found=found, **values | sorted_out(app, found))


def answer(app: Parts, asked: str, everything: bool) -> dict[str, Any]:
    """All about a subject that this visitor may see, or what is still known of it. Raises SubjectError."""
    try:
        found = app.check(asked)
        return found if everything else public(found, app.store)
    except StoreError as error:
        log.error("a look-up is answered from what is published: %s", error)
        return from_published(app, asked)


def from_published(app: Parts, asked: str) -> dict[str, Any]:
    """What the published zones answer, in the shape of a check that knows no reasons. Raises SubjectError."""
    key = parse_query(asked)
    answers = [(zone, app.dns_codes(zone.name, key)) for zone in app.zones.values() if zone.kind == kind(key)]
    return {
        "subject": text(key),
        "kind": kind(key),
        "zones": [bare(zone, codes) for zone, codes in answers if codes is not None],
        "exemptions": [],
        "reasons_unknown": True,
    }


def bare(zone: ZoneDef, codes: list[str]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"since": None, "until": None, "listings": [], "breakdown": [], "score": 0.0}
    return {"zone": zone.name, "origin": zone.origin, "listed": bool(codes), "codes": codes, "dns": codes, **nothing}


def sorted_out(app: Parts, found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of a check: zones by what they mean for the subject, and what to do about it."""
    zones = app.zones
    views = [summed(view) for view in found["zones"] if view["zone"] in zones]  # none that a reload just took away
    listed = [view for view in views if view["listed"]]
    blocked = [view for view in listed if zones[view["zone"]].policy.exempt]
    reasons = {category for view in blocked for category in reasons_of(view, zones[view["zone"]])}
    return {
        "blocked": blocked,
        "welcome": [view for view in listed if view not in blocked],
        "free": [view for view in views if not view["listed"]],
        "history": [(view, past) for view in views for past in view["history"]],
        "advice": advice_for(found["kind"], reasons),
        "zones": zones,
        "mail": operator_mail,
        "reasons_unknown": found.get("reasons_unknown", False),
    }


def summed(view: dict[str, Any]) -> dict[str, Any]:
    """A zone's view with what its evidence comes to."""
    counting = [line for line in view["breakdown"] if line["weight"] > 0 and not line["simulated"]]
    return {
        "history": [],
        "independent_sources": 0,
        **view,
        "reasons": list(dict.fromkeys(line["category"] for line in counting)),
        "first_seen": min((line["first_seen"] for line in counting), default=None),
        "last_seen": max((line["last_seen"] for line in counting), default=None),
        "carried": any(line["held"] for line in counting),  # by a list, now
    }


def reasons_of(view: dict[str, Any], zone: ZoneDef) -> Iterable[str]:
    """The categories that were told; where none are known, all that the codes stand for."""
    return view["reasons"] or [name for code in zone.codes if code.code in view["codes"] for name in code.categories]


def asked_of(request: web.Request) -> str:
    """What is asked about; cut where it is longer than anything that means something. A zone's text has a number as it
    is in its link, `?q=+4930123456`, and a plus there is a space (WHATWG URL, application/x-www-form-urlencoded)."""
    given = request.query.get("q", "")[: MAX_QUERY + 1]
    asked = given.strip()
    return "+" + asked if given[:1] == " " and asked.isascii() and asked.isdigit() else asked
