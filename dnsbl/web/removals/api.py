"""`/v1/removals` for programs. Who has no key of ours pays with altcha's work; a partner that owns the subject needs no
other proof. The secret in the address is the requester's alone: keep it."""

from __future__ import annotations

from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from ... import clock
from ...store.contract import Key
from ...store.contract.removals import Removal
from ..auth import need, secret_of
from ..body import document
from ..language import language_of
from ..problems import Problem
from ..responses import json_response
from ..state import WEB
from . import flow
from .models import Appeal, Mailboxes, MailWanted, RemovalWanted, Thing, Token, Which
from .views import said, view

__all__ = [
    "get_removal", "post_appeal", "post_confirm", "post_look", "post_mail", "post_mailboxes", "post_removal",
    "post_thing", "post_withdraw",
]  # fmt: skip

JSON = "application/json"
MAX_BODY = 64 * 1024  # bytes: the longest text, all of it in escapes
M = TypeVar("M", bound=BaseModel)


async def post_removal(request: web.Request) -> web.StreamResponse:
    """Ask for a removal."""
    wanted = await body(request, RemovalWanted)
    key: Key | None = None
    if secret_of(request) is not None:
        key = await need(request, "report", "read")
        request.app[WEB].admission.limit(request, "form")  # a key saves the sum, not the limit: each request is kept
    else:
        await request.app[WEB].admission.admit_work(request, wanted.altcha, "removal")
    way, owner = ("partner", key.source) if key else ("api", None)
    opened = await flow.open_request(request, wanted.subject, tuple(wanted.zones), wanted.reason, way, owner)
    if opened.link is None or opened.removal is None:
        reasons = said([{"word": r.word, "values": r.values} for r in opened.verdict.reasons], language_of(request))
        raise Problem(409, " ".join(each["said"] for each in reasons), more={"reasons": reasons})
    return await answer(request, opened.removal, opened.link, 201, {"Location": f"/v1/removals/{opened.link}"})


async def get_removal(request: web.Request) -> web.StreamResponse:
    return await now_as(request, await flow.found(request))


async def post_mailboxes(request: web.Request) -> web.StreamResponse:
    """Who may be asked to confirm. Of the hash of a mail address nobody is named: one sends the address itself."""
    wanted = await body(request, Which)
    found = await flow.mailboxes(request, await flow.found(request), wanted.proof, "")
    return json_response(Mailboxes(proof=wanted.proof, mailboxes=found).model_dump())


async def post_mail(request: web.Request) -> web.StreamResponse:
    """Mail a link to one of them. 202 whether or not it is one: who guesses learns nothing."""
    wanted = await body(request, MailWanted)
    removal = await flow.found(request)
    await flow.mail(request, removal, wanted.proof, wanted.mailbox, wanted.mailbox, language_of(request).tag)
    return await now_as(request, removal, 202)


async def post_look(request: web.Request) -> web.StreamResponse:
    """Look for the TXT record now."""
    removal = await flow.found(request)
    await flow.look(request, removal)
    return await now_as(request, removal)


async def post_thing(request: web.Request) -> web.StreamResponse:
    """Say the URL that a hash is of: its host's name is where the record is looked for."""
    state = request.app[WEB]
    wanted = await body(request, Thing)
    removal = await flow.found(request)
    await state.threads.write(state.backend.app.removals.ask_dns, removal, wanted.url, clock.now())
    return await now_as(request, removal)


async def post_appeal(request: web.Request) -> web.StreamResponse:
    """Ask for a person."""
    wanted = await body(request, Appeal)
    removal = await flow.found(request)
    if not await flow.move(request, lambda removals, found, now: removals.appeal(found, wanted.reason, now)):
        raise Problem(409, "a person can be asked once, where a request is refused or its proof cannot be given")
    return await now_as(request, removal)


async def post_withdraw(request: web.Request) -> web.StreamResponse:
    removal = await flow.found(request)
    if not await flow.move(request, lambda removals, found, now: removals.withdraw(found, now)):
        raise Problem(409, "there is nothing to withdraw any more")
    return await now_as(request, removal)


async def post_confirm(request: web.Request) -> web.StreamResponse:
    """Take the token of a mailed link. The answer is the same for every token."""
    wanted = await body(request, Token)
    await flow.confirm(request, wanted.token)
    return web.Response(status=204)


async def body(request: web.Request, model: type[M]) -> M:
    """Raises Problem 400, 413, 415 or 422."""
    if request.content_type != JSON:
        raise Problem(415, f"send {JSON}", {"Accept": JSON})
    state = request.app[WEB]
    with state.uploads.of_stranger(state.admission.network(request)), state.uploads.holding() as holding:
        data = await document(request, holding, lambda _: None, MAX_BODY, f"{MAX_BODY:,} bytes at most")
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Problem(422, f"{where + ': ' if where else ''}{first['msg']}") from None


async def now_as(request: web.Request, removal: Removal, status: int = 200) -> web.Response:
    """The request as it stands now."""
    state = request.app[WEB]
    removal = await state.threads.read(state.backend.app.removals.again, removal)
    return await answer(request, removal, request.match_info["id"], status)


async def answer(
    request: web.Request, removal: Removal, link: str, status: int, headers: dict[str, str] | None = None
) -> web.Response:
    state = request.app[WEB]
    found: dict[str, Any] = await state.threads.read(
        view, state.backend.app.removals, removal, link, language_of(request), clock.now()
    )
    return json_response(found, status, headers)
