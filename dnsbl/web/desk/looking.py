"""What every page of the desk does: reads one of READS as the person who asks may, and says what was done before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ...phrases import N_, Phrase
from ..signing import need_person
from ..state import WEB
from .api import PAGE, READS, Asked, refusals
from .looks import LOOKS

__all__ = ["looked", "more", "notice"]

WAITS = N_("It concerns so many that a second person must ask for the same within a week; it stands in the queue.")


async def looked(request: web.Request, path: str, query: Mapping[str, str] | None = None, **match: str) -> Any:
    """What a read says, for whoever is signed in. Raises a redirect to the sign-in, Problem 400, 403, 404 or 503."""
    read, state = READS[path], request.app[WEB]
    await need_person(request, read.role)
    with refusals(404 if match else 400):
        return await state.threads.read(read.look, state.backend.app, Asked(match, query or {}))


def notice(request: web.Request) -> Phrase | str:
    """What was done, or waits for a second person: the query names the deed, and nothing in it is shown."""
    if request.method != "GET":
        return ""
    if request.query.get("waits") in LOOKS:
        return WAITS
    look = LOOKS.get(request.query.get("did", ""))
    return look.done if look else ""


def more(request: web.Request, rows: list[dict[str, Any]]) -> str:
    """Where the page that follows is; "" where this is the last."""
    if len(rows) < PAGE:
        return ""
    return f"{request.path}?{urlencode({**request.query, 'before': rows[-1]['id']})}"
