"""The desk's page of people, for admins: what `dnsbl person` does. Nobody changes what is about themselves here (see
account.py), and nobody anything who has not given the password just now: a stolen session makes no new admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from ..errors import IntakeError
from ..people import People
from ..people.account import is_fresh
from ..people.people import ROLES
from ..phrases import N_
from .signing import VISIT, desk_form, desk_page, need_person, see
from .state import WEB

__all__ = ["get_people", "post_people"]

HERE = "/admin/people"
ADMIN = "admin"
Deed = Callable[[People, str, str], object]  # people, name, who does it

STALE = N_("Give your password once more on your account's page, then come back.")
OWN = N_("That is your own account: another admin can do this, or the operator with `dnsbl person`.")
UNKNOWN = N_("This form is not known; open the page again.")


async def get_people(request: web.Request) -> web.StreamResponse:
    await need_person(request, ADMIN)
    return await people_page(request)


async def post_people(request: web.Request) -> web.StreamResponse:
    """One deed about one person. A set-up code is shown in the answer, and nowhere else."""
    person, form = await desk_form(request, ADMIN)
    state = request.app[WEB]
    name, role, deed = form.get("name", "").strip(), form.get("role", ""), form.get("deed", "")
    if not is_fresh(request[VISIT]):
        return await people_page(request, 403, STALE)
    if name == person.name:
        return await people_page(request, 422, OWN)
    if deed != "add" and deed not in DEEDS:
        return await people_page(request, 422, UNKNOWN)
    try:
        made: object
        if deed == "add":
            made = await state.threads.sign_in(state.people.add, name, role, person.name)
        else:
            made = await state.threads.sign_in(DEEDS[deed], state.people, name, person.name)
    except IntakeError as error:
        return await people_page(request, 422, str(error), name=name)
    return await people_page(request, made=made) if isinstance(made, dict) else see(HERE)


async def people_page(
    request: web.Request, status: int = 200, mistake: str = "", name: str = "", made: dict[str, Any] | None = None
) -> web.Response:
    state = request.app[WEB]
    rows = await state.threads.read(state.people.rows)
    return desk_page(
        request, "admin/people.html", status, rows=rows, roles=list(ROLES), mistake=mistake, new=name[:100], made=made
    )


def giving(role: str) -> Deed:
    return lambda people, name, who: people.set_role(name, role, who)


DEEDS: dict[str, Deed] = {
    "password": People.new_password,
    "disable": People.disable,
    "enable": People.enable,
    "reset-second": People.reset_second,
    "sign-out": People.sign_out,
    **{f"role {role}": giving(role) for role in ROLES},
}
