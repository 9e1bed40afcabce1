"""Pages for whoever wants off: the form, the private page of a request, and the page behind a mailed link.

    GET /delist?q=      the form        POST /delist                       a request: 303 to its private page
    GET /removals/ID    its state       POST /removals/ID/WHAT             mailboxes, mail, look, name, appeal, withdraw
    GET /confirm/TOKEN  a button        POST /confirm                      the same answer, whatever the token

A GET changes nothing: mail scanners and browsers fetch links on their own. Every POST is from a page of ours (CSRF);
the first costs the visitor a sum or a wait. All works without script.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ... import clock
from ...errors import StoreError, SubjectError
from ...hashing import MAX_QUERY
from ...phrases import N_
from ...removal.machine import ASKED
from ...removal.requests import MAX_SAID
from ...store.contract.removals import Removal
from ..admission.forms import read_form
from ..language import language_of
from ..lookup import ME, asked_of
from ..problems import Problem
from ..state import WEB
from . import flow
from .views import said, view

__all__ = ["ask", "confirm", "confirm_page", "form_page", "private_page", "step"]

PURPOSE = "removal"  # the form that costs a sum
STEP = "token"  # the forms of private pages
MAX_TOKEN = 200  # characters
NOT_MAILED = N_(
    "No mail was sent: that mailbox cannot be asked, or was asked so often lately that it is left in peace."
)
MAILED = N_(
    "If that is the right mailbox, a mail with a link is on its way to it. Whoever reads it confirms there; this page "
    "then shows it. It may take some minutes."
)
NOT_SEEN = N_("The record is not there yet. DNS may take some minutes; try again then.")
NO_MAILBOX = N_("Nobody was found to ask: there is no mailbox that follows from it. Choose another proof.")
TOO_LATE = N_("The request has moved on meanwhile; this is how it stands now.")
NOTICES = {"mailed": MAILED, "not-mailed": NOT_MAILED, "not-seen": NOT_SEEN, "too-late": TOO_LATE}  # by `?notice=`
OF_PROOFS = ("mailed", "not-mailed", "not-seen")  # which mean nothing any more once something is proven


async def form_page(request: web.Request) -> web.StreamResponse:
    """The form, with what is known of the subject."""
    asked = asked_of(request)
    if asked == ME:
        asked = str(flow.client(request) or "")
    return await show_form(request, asked)


async def show_form(
    request: web.Request, asked: str, status: int = 200, mistake: str = "", refused: Any = (), text: str = ""
) -> web.Response:
    state = request.app[WEB]
    values: dict[str, Any] = {"asked": asked, "mistake": mistake, "refused": refused, "said": text, "listed": []}
    if asked and not mistake:
        try:
            found = await state.threads.read(state.backend.app.check, asked)
            values["listed"] = [v for v in found["zones"] if v["listed"] and blocks(request, v["zone"])]
        except SubjectError as error:
            status, values["mistake"] = 400, str(error)
        except StoreError:
            values["listed"] = []  # the form still stands; what it asks for is looked at when it is sent
    values["csrf"] = state.admission.field(request, PURPOSE)
    return state.pages.render(request, "delist.html", status, max_said=MAX_SAID, **values)


def blocks(request: web.Request, zone: str) -> bool:
    """Whether a zone is a list that one wants off."""
    found = request.app[WEB].backend.app.zones.get(zone)
    return found is not None and found.policy.exempt


async def ask(request: web.Request) -> web.StreamResponse:
    """Take a request for removal."""
    state = request.app[WEB]
    form = await read_form(request)
    outcome = await state.admission.admit(request, form, PURPOSE)
    if outcome.ticket:
        return state.admission.wait_page(request, form, outcome.ticket)
    asked, text = form.get("q", "").strip()[:MAX_QUERY], form.get("said", "")
    zones = tuple(name.removeprefix("zone-") for name in form if name.startswith("zone-"))
    try:
        opened = await flow.open_request(request, asked, zones, text, "page")
    except Problem as problem:
        return await show_form(request, asked, problem.status, problem.detail, text=text)
    if opened.link is None:
        refused = said([{"word": r.word, "values": r.values} for r in opened.verdict.reasons], language_of(request))
        return await show_form(request, asked, refused=refused, text=text)
    raise web.HTTPSeeOther(f"/removals/{opened.link}")


async def private_page(request: web.Request) -> web.StreamResponse:
    """The state of a request, for whoever has its link. `notice`: what came of the step before."""
    removal, word = await flow.found(request), request.query.get("notice", "")
    stale = word in OF_PROOFS and removal.state != ASKED
    return await show(request, removal, notice="" if stale else NOTICES.get(word, ""))


async def show(request: web.Request, removal: Removal, status: int = 200, **more: Any) -> web.Response:
    state = request.app[WEB]
    language, link = language_of(request), request.match_info["id"]
    removal = await state.threads.read(state.backend.app.removals.again, removal)
    shown = await state.threads.read(view, state.backend.app.removals, removal, link, language, clock.now())
    values: dict[str, Any] = {"notice": "", "mailboxes": None, "wanted": "", "given": "", **more}
    csrf = state.admission.field(request, STEP)
    own = str(flow.client(request) or "")
    return state.pages.render(
        request, "removal.html", status, found=shown, csrf=csrf, own=own, max_said=MAX_SAID, **values
    )


Step = Callable[[web.Request, Removal, Mapping[str, str]], Awaitable[str]]


async def step(request: web.Request) -> web.StreamResponse:
    """One of the buttons of a private page. One goes back to that page, whose address stays the one that is kept and
    can be loaded again; what could not be looked up is said there too."""
    state = request.app[WEB]
    form = await read_form(request)
    state.admission.verify(request, form, STEP)
    removal = await flow.found(request)
    try:
        if request.match_info["step"] == "mailboxes":
            return await mailboxes(request, removal, form)
        notice = await STEPS.get(request.match_info["step"], unknown)(request, removal, form)
    except Problem as problem:
        if problem.status not in (422, 503):
            raise
        return await show(request, removal, problem.status, notice=problem.detail)
    raise web.HTTPSeeOther(f"/removals/{request.match_info['id']}" + (f"?notice={notice}" if notice else ""))


async def mailboxes(request: web.Request, removal: Removal, form: Mapping[str, str]) -> web.StreamResponse:
    """Who may be asked. The mail address of a hash is not looked at before it is mailed: every guess looks the same."""
    proof = form.get("proof", "")
    found = await flow.mailboxes(request, removal, proof, "")
    return await show(request, removal, mailboxes=found, wanted=proof, notice="" if found else NO_MAILBOX)


async def mail(request: web.Request, removal: Removal, form: Mapping[str, str]) -> str:
    mailbox, given = form.get("mailbox", "").strip()[:320], form.get("given", "").strip()[:320]
    tag = language_of(request).tag
    sent = await flow.mail(request, removal, form.get("proof", ""), mailbox or given, given, tag)
    return "mailed" if sent or given else "not-mailed"


async def look(request: web.Request, removal: Removal, _: Mapping[str, str]) -> str:
    return "" if await flow.look(request, removal) else "not-seen"


async def name(request: web.Request, removal: Removal, form: Mapping[str, str]) -> str:
    """The URL that a hash is of: then there is a name for the record."""
    given = form.get("given", "").strip()[:MAX_QUERY]
    removals = request.app[WEB].backend.app.removals
    await request.app[WEB].threads.write(removals.ask_dns, removal, given, clock.now())
    return ""


async def appeal(request: web.Request, removal: Removal, form: Mapping[str, str]) -> str:
    words = form.get("said", "")[:MAX_SAID]
    done = await flow.move(request, lambda removals, found, now: removals.appeal(found, words, now))
    return "" if done else "too-late"


async def unknown(_: web.Request, __: Removal, ___: Mapping[str, str]) -> str:
    raise Problem(404, flow.NO_SUCH)


async def withdraw(request: web.Request, removal: Removal, _: Mapping[str, str]) -> str:
    done = await flow.move(request, lambda removals, found, now: removals.withdraw(found, now))
    return "" if done else "too-late"


STEPS: Mapping[str, Step] = {
    "mail": mail,
    "look": look,
    "name": name,
    "appeal": appeal,
    "withdraw": withdraw,
}


async def confirm_page(request: web.Request) -> web.StreamResponse:
    """Where a mailed link leads: a button, so that a program which follows links confirms nothing."""
    state = request.app[WEB]
    token = request.match_info["token"][:MAX_TOKEN]
    csrf = state.admission.field(request, STEP)
    return state.pages.render(request, "confirm.html", token=token, csrf=csrf, done=False)


async def confirm(request: web.Request) -> web.StreamResponse:
    """Take a token. Everybody gets the same page."""
    state = request.app[WEB]
    form = await read_form(request)
    state.admission.verify(request, form, STEP)
    await flow.confirm(request, form.get("token", "")[:MAX_TOKEN])
    return state.pages.render(request, "confirm.html", token="", csrf="", done=True)
