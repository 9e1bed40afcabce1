"""`GET /v1/subjects/{subject}`: where it is listed and why. Who told us is for keys that may read."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..errors import SubjectError
from ..store.contract import Store
from .auth import may_read
from .problems import Problem
from .responses import json_response
from .state import WEB

__all__ = ["get_subject", "public"]

SHOWN = ("address", "kind", "feedback_type")  # HELO, domains, selectors: a sender can make one for each recipient
SECRETIVE = ("trap", "complaint")  # kinds of sources whose moments tell which mail it was
SAID = ("operator", "removal", "never-list")  # origins of exemptions that are no source's name


async def get_subject(request: web.Request) -> web.StreamResponse:
    """Everything about one subject."""
    state = request.app[WEB]
    app = state.backend.app
    try:
        found = await state.threads.read(app.check, request.match_info["subject"])
    except SubjectError as error:
        raise Problem(400, str(error)) from error
    if not await may_read(request):
        found = await state.threads.read(public, found, app.store)
    return json_response(found)


def public(found: dict[str, Any], store: Store) -> dict[str, Any]:
    """A check without names: a source is its kind. Traps and partners would suffer from being known."""
    kinds = {source.name: source.kind for source in store.sources().values()}
    for zone in found["zones"]:
        for line in zone["breakdown"]:
            line["source"] = kinds.get(line["source"], "source")
            if line["source"] in SECRETIVE:
                line["first_seen"], line["last_seen"] = day(line["first_seen"]), day(line["last_seen"])
    for sample in found["evidence"]:
        sample["at"] = day(sample["at"])
        sample["source"] = kinds.get(sample["source"], "source")
        sample["facts"] = {name: value for name, value in sample["facts"].items() if name in SHOWN}
    for exemption in found["exemptions"]:
        origin = exemption["origin"]
        if origin == "removal":  # why is between the operator and the audit trail
            exemption["reason"] = "removed on request"
        if origin not in SAID:
            kind = kinds.get(origin, "list")
            if exemption["reason"] == origin:
                exemption["reason"] = kind
            exemption["origin"] = kind
    return found


def day(time: str) -> str:
    """The day of an RFC 3339 time: the second would tell which mail it was."""
    return time[:10] + "T00:00:00Z"
