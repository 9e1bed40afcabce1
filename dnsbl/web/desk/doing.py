"""The desk's deeds from its pages: `/admin/do/` and the name of the deed, for each of DEEDS that has a look. GET is its
form on a page of its own, filled in from the query; POST does it.

A form with mistakes comes back with all that was typed, and what is wrong beside each field. A deed that cannot be
undone at once is asked once more, with how many it concerns. Afterwards one goes on to where one was, or to the next
removal of the queue; what waits for a second person is in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from ...people.account import is_fresh
from ...phrases import N_
from ..problems import Problem
from ..signing import HOME, VISIT, desk_form, desk_page, need_person, see
from ..state import WEB
from . import reviewing
from .api import refusals
from .concerned import concerned
from .deeds import DEEDS, Deed, carry_out
from .forms import Mistakes, drawn, filled
from .looks import LOOKS

__all__ = ["deed_poster", "form_shower"]

SURE = "sure"  # the field of the form that asks once more
CANNED = "canned"  # the field of a removal's form with the number of a canned answer
SECRETS = ("keys/create",)  # whose result is shown once: and a stolen session shall not make itself a key
STALE = N_(
    "For this, give your password once more on the page of your account, then come back: whoever finds this browser "
    "open shall not make a key."
)
WRONG = N_("Something in this form is not right; see below. Nothing was done.")


def form_shower(name: str, deed: Deed) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await need_person(request, deed.role)
        return form_page(request, name, deed, request.query)

    return handler


def deed_poster(name: str, deed: Deed) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        person, form = await desk_form(request, deed.role)
        form = with_canned(request, name, form)
        if name in SECRETS and not is_fresh(request[VISIT]):
            return form_page(request, name, deed, form, 403, STALE)
        try:
            wanted = filled(deed.model, form)
            with refusals(409):
                if LOOKS[name].sure and SURE not in form:
                    return await sure_page(request, name, deed, wanted, form)
                done = await request.app[WEB].threads.write(
                    carry_out, request.app[WEB].backend.app, deed, wanted, person.name
                )
        except Mistakes as mistakes:
            return await form_again(request, name, deed, form, 422, WRONG, mistakes.found)
        except Problem as problem:
            if problem.status not in (400, 409):
                raise
            return await form_again(request, name, deed, form, problem.status, problem.detail)
        request.app[WEB].backend.submitted()
        if name in SECRETS:
            return desk_page(request, "admin/done.html", look=LOOKS[name], result=done["result"])
        return see(await onwards(request, name, form, done["done"]))

    return handler


def with_canned(request: web.Request, name: str, form: Mapping[str, str]) -> dict[str, str]:
    """Without script a canned answer is chosen by its number; what is typed stands after it."""
    if not name.startswith("removals/") or CANNED not in form:
        return dict(form)
    canned = reviewing.canned(request, form[CANNED])
    return {**form, "answer": "\n\n".join(filter(None, (canned, form.get("answer", "").strip())))}


# the pages between


def form_page(
    request: web.Request,
    name: str,
    deed: Deed,
    form: Mapping[str, str],
    status: int = 200,
    mistake: Any = "",
    mistakes: Mapping[str, Any] | None = None,
) -> web.Response:
    """A deed's form on a page of its own."""
    made = drawn(name, deed, form, mistakes)
    back = back_of(name, form)
    return desk_page(request, "admin/deed.html", status, form=made, mistake=mistake, back=back, here=page_of(back))


async def form_again(
    request: web.Request,
    name: str,
    deed: Deed,
    form: Mapping[str, str],
    status: int,
    mistake: Any,
    mistakes: Mapping[str, Any] | None = None,
) -> web.StreamResponse:
    """The form with what was typed, and what is wrong with it; a removal's stands among all that there is to know."""
    if name.startswith("removals/") and form.get("number", "").isdigit():
        return await reviewing.removal_page(request, form["number"], status, mistake, form, mistakes)
    return form_page(request, name, deed, form, status, mistake, mistakes)


async def sure_page(
    request: web.Request, name: str, deed: Deed, wanted: BaseModel, form: Mapping[str, str]
) -> web.StreamResponse:
    state = request.app[WEB]
    back = back_of(name, form)
    facts = await state.threads.read(concerned, state.backend.app, name, wanted)
    return desk_page(
        request,
        "admin/sure.html",
        form=drawn(name, deed, form),
        facts=facts,
        sent={key: value for key, value in form.items() if key != "csrf"},
        back=back,
        here=page_of(back),
    )


# afterwards


async def onwards(request: web.Request, name: str, form: Mapping[str, str], done: bool) -> str:
    """Where to go after a deed. `did` and `waits` name it, and that page says it."""
    if not done:
        return f"{HOME}?{urlencode({'waits': name})}"
    back, said = back_of(name, form), {"did": name}
    if name.startswith("removals/"):
        state = request.app[WEB]
        beside = await state.threads.read(state.backend.app.removal_desk.beside, int(form["number"]))
        back = f"{HOME}/removals/{beside['next']}" if beside["next"] else HOME
        said["about"] = form["number"]
    return f"{back}{'&' if '?' in back else '?'}{urlencode(said)}"


def back_of(name: str, form: Mapping[str, str]) -> str:
    return LOOKS[name].back.format_map(
        {field: quote(form.get(field, ""), safe="") for field in DEEDS[name].model.model_fields}
    )


def page_of(address: str) -> str:
    """The page of an address, which the desk's navigation marks."""
    return address.partition("?")[0]
