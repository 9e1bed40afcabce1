"""Who is at the desk, for every handler of it: the session's cookie, the roles, and forms that only our pages make.

    person = await need_person(request)                      # a page; raises a redirect to the sign-in, or 403
    person, form = await desk_form(request, "admin")         # a POST; 403 too where it is no form of this session
    return desk_page(request, "admin/NAME.html", rows=rows)  # extends admin/desk.html; has `person`, `csrf` and `here`

A form has `<input type="hidden" name="csrf" value="{{ csrf }}">`. The cookie is HttpOnly, SameSite=Strict and, where we
are found by https, Secure and bound to this host by its name. What it holds is never logged, and no other is adopted.
"""

from __future__ import annotations

import hmac
import logging
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ..errors import StoreError
from ..people import Person, Visit
from ..people.sessions import DESK, csrf_of
from ..phrases import N_
from .admission.csrf import FIELD, need_own_page
from .admission.forms import read_form, safe_next
from .problems import Problem
from .state import WEB, Web

__all__ = [
    "HOME", "SECOND", "SIGN_IN", "VISIT", "came_from", "cookie", "csrf_field", "desk_form", "desk_page",
    "forget_cookie", "form_of", "need_person", "need_visit", "next_of", "see", "set_cookie", "visit_form", "visit_of",
]  # fmt: skip

log = logging.getLogger("dnsbl.web")

HOME, SIGN_IN, SECOND = "/admin", "/admin/signin", "/admin/second"
VISIT: web.RequestKey[Visit] = web.RequestKey("visit", Visit)
COOKIE = "dnsbl_desk"

NOT_YOURS = N_("this is not for your role; ask an admin to do it, or to give you the role")
NOT_OURS = N_(
    "this form is not of the session that you have now, and nothing was done; open it again and send it again"
)


async def need_person(request: web.Request, role: str = "reviewer") -> Person:
    """Who asks for a page of the desk. Raises a redirect to the sign-in, or Problem 403 where the role lacks."""
    return allowed(await need_visit(request, next_of(request.path_qs)), role)


async def desk_form(request: web.Request, role: str = "reviewer") -> tuple[Person, dict[str, str]]:
    """Who posts a form of the desk, and its fields; untrusted text. Raises as `need_person`, and Problem 400, 403, 408,
    413, 415."""
    visit, form = await visit_form(request)
    return allowed(visit, role), form


def desk_page(request: web.Request, name: str, status: int = 200, **values: Any) -> web.Response:
    """A page of the desk, after `need_person` or `desk_form`."""
    known = {"person": request[VISIT].person, "csrf": csrf_field(request), "here": request.path}
    return request.app[WEB].pages.render(request, name, status=status, **known | values)


def csrf_field(request: web.Request) -> str:
    """The value of a form's field `csrf`, for the session of this request."""
    return csrf_of(request[VISIT].token)


def allowed(visit: Visit, role: str) -> Person:
    if not visit.person.may(role):
        raise Problem(403, NOT_YOURS)
    return visit.person


# sessions


async def visit_of(request: web.Request) -> Visit | None:
    """The session that a request has, however far in; looked up once."""
    if VISIT in request:
        return request[VISIT]
    state = request.app[WEB]
    token = request.cookies.get(cookie(state), "")
    visit = await state.threads.urgent(state.people.sessions.find, token) if token else None
    if visit is None:
        return None
    if state.people.sessions.due(visit):
        state.threads.chores.submit(write_seen, state, visit)
    request[VISIT] = visit
    return visit


async def need_visit(request: web.Request, back: str = HOME) -> Visit:
    """A session that is all the way in. Raises a redirect to what lacks."""
    visit = await visit_of(request)
    if visit is None:
        raise web.HTTPSeeOther(address(SIGN_IN, back))
    if visit.session.stage != DESK:
        raise web.HTTPSeeOther(address(SECOND, back))
    return visit


async def visit_form(request: web.Request) -> tuple[Visit, dict[str, str]]:
    """A form of a session that is all the way in."""
    return await need_visit(request), await form_of(request)


async def form_of(request: web.Request) -> dict[str, str]:
    """The form of the session that `visit_of` found. Raises Problem 403 where it is another's, or from elsewhere."""
    need_own_page(request, request.app[WEB].backend.app.public_url)
    form = await read_form(request)
    if not hmac.compare_digest(form.get(FIELD, "").encode(), csrf_field(request).encode()):
        raise Problem(403, NOT_OURS)
    return form


def write_seen(state: Web, visit: Visit) -> None:
    try:
        state.people.sessions.saw(visit)
    except StoreError as error:
        log.warning("that a session of %s was used was not written: %s", visit.person.name, error)


# the cookie


def set_cookie(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Ends with the browser; the store knows when the session does."""
    state = request.app[WEB]
    response.set_cookie(cookie(state), token, path="/", secure=secured(state), httponly=True, samesite="Strict")


def forget_cookie(request: web.Request, response: web.StreamResponse) -> None:
    state = request.app[WEB]
    response.del_cookie(cookie(state), path="/", secure=secured(state), httponly=True, samesite="Strict")


def cookie(state: Web) -> str:
    """RFC 6265bis section 4.1.3.2: no other host, and nothing without TLS, can set one of this prefix."""
    return f"__Host-{COOKIE}" if secured(state) else COOKIE


def secured(state: Web) -> bool:
    return state.backend.app.public_url.startswith("https://")


# where to go


def see(path: str, back: str = HOME) -> web.Response:
    """The answer that sends on (RFC 9110 section 15.4.4)."""
    return web.Response(status=303, headers={"Location": address(path, back)})


def address(path: str, back: str) -> str:
    """`back` is where to go once signed in."""
    return path if back == HOME else f"{path}?{urlencode({'next': back})}"


def next_of(text: str | None) -> str:
    """A page of the desk, or its first one; what is asked is untrusted."""
    path = safe_next(text, HOME)
    return path if path == HOME or path.startswith((f"{HOME}/", f"{HOME}?")) else HOME


def came_from(request: web.Request) -> str:
    """The client's address, for the audit trail."""
    return str(request.app[WEB].admission.client(request) or "")
