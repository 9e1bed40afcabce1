"""`/v1/partner/owned`, `/v1/partner/hooks`: what a partner owns, and where it is told when that is listed or freed.

What is owned is said by an operator: `dnsbl owned`. A hook is the partner's own to set; nobody sees another's.
"""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from .. import clock
from ..errors import IntakeError
from ..hooks.setting import hook_row, owned_row, remove_hook, set_hook
from ..store.contract import Key
from .auth import need
from .body import document
from .models_hooks import Hook, HookMade, HookWanted, OwnedRange
from .problems import Problem
from .responses import json_response
from .state import WEB

__all__ = ["delete_hook", "get_hooks", "get_owned", "put_hook"]

SCOPES = ("report", "read")  # a key with either is its partner's
JSON = "application/json"
MAX_BODY = 4096  # bytes: a URL and its name
MAX_NUMBER = 18  # digits of a hook's number: more is no number of SQLite's


async def get_owned(request: web.Request) -> web.StreamResponse:
    """What the key's partner owns."""
    key = await need(request, *SCOPES)
    state = request.app[WEB]
    found = await state.threads.read(state.backend.app.store.owned, key.source)
    return json_response([OwnedRange(**owned_row(each)).model_dump() for each in found])


async def get_hooks(request: web.Request) -> web.StreamResponse:
    key = await need(request, *SCOPES)
    state = request.app[WEB]
    found = await state.threads.read(state.backend.app.store.hooks, key.source)
    return json_response([Hook(**hook_row(each)).model_dump() for each in found])


async def put_hook(request: web.Request) -> web.StreamResponse:
    """Make a hook, and tell its secret this once; one that is there stays as it is."""
    key = await need(request, *SCOPES)
    request.app[WEB].admission.limit(request, "form")  # each hook that is made or removed stands in the trail for ever
    if request.content_type != JSON:
        raise Problem(415, f"send {JSON}", {"Accept": JSON})
    state = request.app[WEB]
    with state.uploads.one(), state.uploads.holding() as holding:
        body = await document(request, holding, lambda _: None, MAX_BODY, f"a hook has {MAX_BODY:,} bytes at most")
    try:
        wanted = HookWanted.model_validate_json(body)
    except ValidationError as error:
        raise Problem(400, f'not a hook: {said(error)}; send {{"url": "https://..."}}') from None
    made = await state.threads.write(make, request, key, wanted.url)
    return json_response(made.model_dump(), 200 if made.secret is None else 201)


def make(request: web.Request, key: Key, url: str) -> HookMade:
    app = request.app[WEB].backend.app
    try:
        hook, secret = set_hook(app.store, app.keyed, app.store.sources()[key.source], url, key.name, clock.now())
    except IntakeError as error:
        raise Problem(422, str(error)) from None
    return HookMade(**hook_row(hook), secret=secret)


async def delete_hook(request: web.Request) -> web.StreamResponse:
    """Remove a hook of the key's partner, with what waits for it."""
    key = await need(request, *SCOPES)
    request.app[WEB].admission.limit(request, "form")
    await request.app[WEB].threads.write(remove, request, key, request.match_info["id"])
    return web.Response(status=204)


def remove(request: web.Request, key: Key, number: str) -> None:
    store = request.app[WEB].backend.app.store
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_NUMBER):
        raise Problem(404, "a hook has a number; GET /v1/partner/hooks says which")
    try:
        remove_hook(store, store.sources()[key.source], int(number), key.name, clock.now())
    except IntakeError as error:
        raise Problem(404, str(error)) from None


def said(error: ValidationError) -> str:
    """Where it is wrong and how, without what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{where[:100]}: {first['msg']}"
