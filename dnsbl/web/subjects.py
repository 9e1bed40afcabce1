"""`GET /v1/subjects/{subject}`: where it is listed and why. Who told us is for keys that may read, but for
feeds that may be named."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..errors import SubjectError
from ..store.contract import Source, Store
from .auth import may_read
from .backend import Parts
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
    return await state.threads.read(answer, state.backend.app, request.match_info["subject"], await may_read(request))


def answer(app: Parts, subject: str, everything: bool) -> web.Response:
    """The whole of it in one thread: what is handed from thread to thread waits each time. Raises Problem 400."""
    try:
        found = app.check(subject)
    except SubjectError as error:
        raise Problem(400, str(error)) from error
    return json_response(found if everything else public(found, app.store))


def public(found: dict[str, Any], store: Store) -> dict[str, Any]:
    """A check without names but those of feeds whose licence lets others have what they say: any other source is its
    kind. Traps and partners would suffer from being known."""
    kinds: dict[str, str] = store.kept("public", lambda: {each.name: called(each) for each in store.sources().values()})
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
        if origin == "operator":
            exemption["reason"] = origin
        if origin == "removal":  # why is between the operator and the audit trail
            exemption["reason"] = "removed on request"
        if origin not in SAID:
            kind = kinds.get(origin, "list")
            if exemption["reason"] == origin:
                exemption["reason"] = kind
            exemption["origin"] = kind
    return found


def called(source: Source) -> str:
    """What a source is called to everyone."""
    return source.name if source.kind == "feed" and source.redistribute else source.kind


def day(time: str) -> str:
    """The day of an RFC 3339 time: the second would tell which mail it was."""
    return time[:10] + "T00:00:00Z"
