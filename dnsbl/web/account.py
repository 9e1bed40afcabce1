"""One's own account at the desk: password, authenticator app, passkeys, sessions elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from .. import clock
from ..errors import IntakeError
from ..people import Visit
from ..people.account import is_fresh
from ..people.passkeys import Site
from ..phrases import N_
from .responses import allow_script
from .signin import new_app, rp
from .signing import came_from, desk_page, need_visit, see, set_cookie, visit_form
from .state import WEB, Web

__all__ = ["get_account", "post_account"]

HERE = "/admin/account"
Form = Mapping[str, str]
Deed = Callable[[Web, Visit, Form, Site | None, str], str | None]  # the session's next identifier, or None: wrong

WRONG = N_("That is not right, or there were too many failures: then wait a while.")
UNKNOWN = N_("This form is not known; open the page again.")
NOT_SAME = N_("The two passwords are not the same.")


async def get_account(request: web.Request) -> web.StreamResponse:
    visit = await need_visit(request, HERE)
    return await account_page(request, visit, setting_up="app" in request.query)


async def post_account(request: web.Request) -> web.StreamResponse:
    """One deed, which the form's button names. The session has another identifier afterwards."""
    visit, form = await visit_form(request)
    state = request.app[WEB]
    deed = DEEDS.get(form.get("deed", ""))
    if deed is None:
        return await account_page(request, visit, 422, UNKNOWN)
    try:
        token = await state.threads.sign_in(deed, state, visit, form, rp(request), came_from(request))
    except IntakeError as error:
        return await account_page(request, visit, 422, str(error))
    if token is None:
        return await account_page(request, visit, 403, WRONG, setting_up=form["deed"] == "app")
    response = see(f"{HERE}?done={form['deed']}")
    set_cookie(request, response, token)
    return response


async def account_page(
    request: web.Request, visit: Visit, status: int = 200, mistake: str = "", setting_up: bool = False
) -> web.Response:
    state = request.app[WEB]
    setting_up = setting_up and is_fresh(visit)
    values = await state.threads.sign_in(shown, state, visit, rp(request), setting_up)
    done = DONE.get(request.query.get("done", "")) if request.method == "GET" else None
    response = desk_page(request, "admin/account.html", status, **values, mistake=mistake, done=done or "")
    if values["options"]:
        allow_script(response)
    return response


def shown(state: Web, visit: Visit, where: Site | None, setting_up: bool) -> dict[str, Any]:
    store, now = state.backend.app.store, clock.now()
    account = store.account(visit.account.id) or visit.account
    fresh = is_fresh(visit)
    return {
        "fresh": fresh,
        "app_since": clock.rfc3339(account.totp_since),
        "passkeys": [
            {
                "id": key.id.hex(),
                "name": key.name,
                "since": clock.rfc3339(key.created),
                "used": clock.rfc3339(key.last_used),
            }
            for key in store.passkeys(account.id)
        ],
        "others": sum(1 for each in store.sessions(account.id) if each.expires > now) - 1,
        "options": state.people.accounts.challenge(visit, where) if where and fresh else None,
        "new": new_app(state, visit) if setting_up else None,
    }


# deeds


def prove(state: Web, visit: Visit, form: Form, _: Site | None, address: str) -> str | None:
    return state.people.accounts.prove(visit, form.get("password", ""), address)


def password(state: Web, visit: Visit, form: Form, _: Site | None, address: str) -> str | None:
    new = form.get("new", "")
    if new != form.get("again", ""):
        raise IntakeError(NOT_SAME)
    return state.people.accounts.change_password(visit, form.get("password", ""), new, address)


def app(state: Web, visit: Visit, form: Form, _: Site | None, __: str) -> str | None:
    return state.people.accounts.confirm(visit, form.get("code", ""))


def passkey(state: Web, visit: Visit, form: Form, where: Site | None, _: str) -> str | None:
    credential, name = form.get("credential", ""), form.get("name", "")
    return state.people.accounts.register(visit, where, credential, name) if where else None


def remove(state: Web, visit: Visit, form: Form, _: Site | None, __: str) -> str | None:
    try:
        id = bytes.fromhex(form.get("passkey", ""))
    except ValueError:
        return None
    return state.people.accounts.remove_passkey(visit, id)


def others(state: Web, visit: Visit, _: Form, __: Site | None, ___: str) -> str | None:
    return state.people.accounts.end_others(visit)


DEEDS: dict[str, Deed] = {
    "prove": prove, "password": password, "app": app, "passkey": passkey, "remove": remove, "others": others,
}  # fmt: skip
DONE = {
    "prove": N_("Your password is right: for ten minutes you may change your second factor."),
    "password": N_("Your password is changed, and your other sessions have ended."),
    "app": N_("The authenticator app is set up, and your other sessions have ended."),
    "passkey": N_("The passkey is added, and your other sessions have ended."),
    "remove": N_("The passkey is removed, and your other sessions have ended."),
    "others": N_("Your other sessions have ended."),
}
