"""What the pages' script asks for: itself, and a sum."""

from __future__ import annotations

from aiohttp import web

from ..pages import packaged
from ..responses import json_response
from ..state import WEB

__all__ = ["challenge", "script"]


async def script(_: web.Request) -> web.StreamResponse:
    return packaged("work.js", "text/javascript")


async def challenge(request: web.Request) -> web.StreamResponse:
    """A sum to solve. Making one takes as long as a try: it is done in a thread, and not too often for one network."""
    state = request.app[WEB]
    state.admission.limit(request, "challenge")
    challenge = await state.threads.read(state.admission.work.challenge)
    return json_response(challenge, headers={"Cache-Control": "no-store"})  # each is good once
