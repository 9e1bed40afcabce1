"""The pages of the way in: name and password, the second factor, and a first password with a set-up code.

A failure says only that it is one, and none comes sooner than FAILURE: how long it took tells nothing either.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from markupsafe import Markup

from ..errors import IntakeError
from ..people import Visit, totp
from ..people.passkeys import Site, site
from ..people.sessions import DESK, ENROL
from ..phrases import N_
from .admission.forms import read_form
from .pages import packaged
from .responses import allow_script
from .signing import (
    SECOND,
    SIGN_IN,
    came_from,
    cookie,
    csrf_field,
    forget_cookie,
    form_of,
    next_of,
    see,
    set_cookie,
    visit_form,
    visit_of,
)
from .state import WEB, Web

__all__ = [
    "get_second", "get_setup", "get_signin", "new_app", "post_second", "post_setup", "post_signin", "rp", "script",
    "signout", "style",
]  # fmt: skip

FAILURE = 1.0  # seconds that a failure takes at least: more than any way to it
PURPOSE = "sign-in"  # of the forms that are without a session, and the kind that rates count

WRONG = N_("That is not right, or there were too many failures: then wait a while.")
WRONG_CODE = N_("That is not right, or it was used before: wait for the next code.")


async def get_signin(request: web.Request) -> web.StreamResponse:
    visit = await visit_of(request)
    back = next_of(request.query.get("next"))
    if visit and visit.session.stage == DESK:
        return see(back)
    return await signin_page(request, back)


async def post_signin(request: web.Request) -> web.StreamResponse:
    """Name and password, to the second factor."""
    form, state, began = await first_form(request), request.app[WEB], now()
    name, password = form.get("name", ""), form.get("password", "")
    token = await state.threads.sign_in(
        state.people.signin.password, name, password, came_from(request), brought(request)
    )
    back = next_of(form.get("next"))
    if token is None:
        await until(began + FAILURE)
        return await signin_page(request, back, 403, WRONG, name)
    return entered(request, see(SECOND, back), token)


async def signin_page(
    request: web.Request, back: str, status: int = 200, mistake: str = "", name: str = ""
) -> web.StreamResponse:
    state = request.app[WEB]
    return state.pages.render(
        request,
        "admin/signin.html",
        status=status,
        csrf=state.admission.field(request, PURPOSE),
        mistake=mistake,
        who=name[:100],
        back=back,
        nobody=not await state.threads.urgent(state.backend.app.store.any_person),
        again="again" in request.query,
    )


# the first password


async def get_setup(request: web.Request) -> web.StreamResponse:
    return setup_page(request)


async def post_setup(request: web.Request) -> web.StreamResponse:
    """A set-up code and a password of one's own, to the second factor."""
    form, state, began = await first_form(request), request.app[WEB], now()
    name, password = form.get("name", ""), form.get("password", "")
    if password != form.get("again", ""):
        return setup_page(request, 422, N_("The two passwords are not the same."), name)
    try:
        token = await state.threads.sign_in(
            state.people.signin.set_up, name, form.get("code", ""), password, brought(request)
        )
    except IntakeError as error:
        return setup_page(request, 422, str(error), name)
    if token is None:
        await until(began + FAILURE)
        wrong = N_("Name or code is not right, or the code was used or is too old. The operator can give you another.")
        return setup_page(request, 403, wrong, name)
    return entered(request, see(SECOND), token)


def setup_page(request: web.Request, status: int = 200, mistake: str = "", name: str = "") -> web.Response:
    state = request.app[WEB]
    csrf = state.admission.field(request, PURPOSE)
    return state.pages.render(request, "admin/setup.html", status=status, csrf=csrf, mistake=mistake, who=name[:100])


# the second factor


async def get_second(request: web.Request) -> web.StreamResponse:
    visit = await visit_of(request)
    back = next_of(request.query.get("next"))
    if visit is None:
        return see(SIGN_IN, back)
    if visit.session.stage == DESK:
        return see(back)
    return await second_page(request, visit, back)


async def post_second(request: web.Request) -> web.StreamResponse:
    """A code, or a passkey's answer: the one that is there, or the first."""
    state, began = request.app[WEB], now()
    state.admission.limit(request, PURPOSE)
    visit = await visit_of(request)
    if visit is None:
        return see(SIGN_IN)
    form = await form_of(request)
    back = next_of(form.get("next"))
    if visit.session.stage == DESK:
        return see(back)
    step = enrolled if visit.session.stage == ENROL else proven
    try:
        token = await state.threads.sign_in(step, state, visit, rp(request), form, came_from(request))
    except IntakeError as error:
        return await second_page(request, visit, back, 422, str(error))
    if token:
        return entered(request, see(back), token)
    await until(began + FAILURE)
    present = await state.threads.urgent(state.people.sessions.find, visit.token)
    if present is None:
        over = see(f"{SIGN_IN}?again")
        forget_cookie(request, over)
        return over
    return await second_page(request, present, back, 403, WRONG_CODE)


def proven(state: Web, visit: Visit, where: Site | None, form: dict[str, str], address: str) -> str | None:
    if credential := form.get("credential"):
        return state.people.signin.passkey(visit, where, credential, address) if where else None
    return state.people.signin.code(visit, form.get("code", ""), address)


def enrolled(state: Web, visit: Visit, where: Site | None, form: dict[str, str], _: str) -> str | None:
    if credential := form.get("credential"):
        return state.people.accounts.register(visit, where, credential, form.get("name", "")) if where else None
    return state.people.accounts.confirm(visit, form.get("code", ""))


async def second_page(
    request: web.Request, visit: Visit, back: str, status: int = 200, mistake: str = ""
) -> web.Response:
    state = request.app[WEB]
    values = await state.threads.sign_in(asked if visit.session.stage != ENROL else offered, state, visit, rp(request))
    response = state.pages.render(
        request,
        "admin/second.html",
        status=status,
        **values | {"csrf": csrf_field(request), "mistake": mistake, "back": back, "who": visit.person.name},
    )
    if values["options"]:
        allow_script(response)
    return response


def asked(state: Web, visit: Visit, where: Site | None) -> dict[str, Any]:
    """What the page needs that asks for a second factor."""
    options = state.people.signin.challenge(visit, where) if where else None
    return {"enrol": False, "app": visit.account.totp_since is not None, "options": options}


def offered(state: Web, visit: Visit, where: Site | None) -> dict[str, Any]:
    """What the page needs on which a second factor is set up."""
    options = state.people.accounts.challenge(visit, where) if where else None
    return {"enrol": True, "app": True, "options": options, **new_app(state, visit)}


def new_app(state: Web, visit: Visit) -> dict[str, Any]:
    """The secret for an authenticator app, to be scanned, pressed or typed."""
    secret = state.people.accounts.draft(visit)
    uri = totp.uri(secret, visit.person.name)
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"secret": groups, "uri": uri, "qr": Markup(totp.qr(uri))}  # noqa: S704 - our own, of letters and digits


# out


async def signout(request: web.Request) -> web.StreamResponse:
    visit, _ = await visit_form(request)
    state = request.app[WEB]
    await state.threads.sign_in(state.people.accounts.sign_out, visit)
    response = see(SIGN_IN)
    forget_cookie(request, response)
    return response


async def script(_: web.Request) -> web.StreamResponse:
    return packaged("passkey.js", "text/javascript")


async def style(_: web.Request) -> web.StreamResponse:
    return packaged("desk.css", "text/css")


# all of them


async def first_form(request: web.Request) -> dict[str, str]:
    """A form that is sent without a session. Raises Problem 403 where it is from no page of ours, 429 too often."""
    admission = request.app[WEB].admission
    form = await read_form(request)
    admission.csrf.verify(request, form, PURPOSE)  # first: no other site uses up what a visitor may try
    admission.limit(request, PURPOSE)
    return form


def brought(request: web.Request) -> str:
    """The identifier that a client has already: its session ends when another begins."""
    return request.cookies.get(cookie(request.app[WEB]), "")


def entered(request: web.Request, response: web.Response, token: str) -> web.Response:
    set_cookie(request, response, token)
    return response


def rp(request: web.Request) -> Site | None:
    return site(request.app[WEB].backend.app.public_url, request.host)


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - now()))
