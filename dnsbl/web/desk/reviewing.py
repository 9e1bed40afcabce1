"""The queue, and a removal with everything to decide on it on one screen. Both work without script; with it
(desk.js) a removal is decided by single keys, each confirmed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from ...removal.machine import PERSON
from ..language import language_of
from ..pages import packaged
from ..responses import allow_script
from ..signing import desk_page
from .api import PAGE
from .deeds import DEEDS
from .forms import drawn
from .looking import looked, notice
from .looks import ANSWERS

__all__ = ["canned", "get_queue", "get_removal", "removal_page", "script"]

# What waits for a second person, as `desk.seconding` writes it, and the form that it is seconded with.
SECONDED = (
    (
        re.compile(r"allow (?P<subject>.+) in (?:all zones|(?P<zone>\S+))(?: for (?P<lifetime>\d+) s)?"),
        "/admin/do/exemptions/add",
    ),
    (re.compile(r"take (?P<subject>.+) off (?:all zones|(?P<zone>\S+))"), "/admin/do/listings/remove"),
    (re.compile(r"approve hold (?P<number>\d+)(?: for (?P<lifetime>\d+) s)?"), "/admin/do/holds/approve"),
    (
        re.compile(r"purge (?P<name>.+) from (?:ever|(?P<since>\S+)) to (?:now|(?P<until>\S+))"),
        "/admin/do/sources/purge",
    ),
)
REMOVAL = re.compile(r"grant removal (\d+) of .+")


async def get_queue(request: web.Request) -> web.StreamResponse:
    """All that waits for a person. Read often: a few rows of each, and how many there are."""
    after = request.query.get("after")
    found = await looked(request, "/queue", {"after": after} if after else {})
    for row in found["asked"]:
        row["page"] = page_of(row["deed"])
    last = found["removals"][-1]["id"] if len(found["removals"]) == PAGE else None
    return desk_page(
        request, "admin/queue.html", here="/admin", notice=notice(request), last=last, after=after, **found
    )


def page_of(deed: str) -> str:
    """Where a deed that waits for a second person can be asked for as well."""
    if found := REMOVAL.fullmatch(deed):
        return f"/admin/removals/{found[1]}"
    for pattern, path in SECONDED:
        if found := pattern.fullmatch(deed):
            return f"{path}?{urlencode({name: value for name, value in found.groupdict().items() if value})}"
    return ""


async def get_removal(request: web.Request) -> web.StreamResponse:
    return await removal_page(request, request.match_info["number"])


async def removal_page(
    request: web.Request,
    number: str,
    status: int = 200,
    mistake: Any = "",
    typed: Mapping[str, str] | None = None,
    mistakes: Mapping[str, Any] | None = None,
) -> web.Response:
    """One request. `typed`: what somebody wrote who could not decide it so; it is kept for them."""
    found = await looked(request, "/removals/{number}", number=number)
    said = language_of(request).said
    values = {"number": number, **(typed or {})}
    response = desk_page(
        request,
        "admin/removal.html",
        status,
        here="/admin",
        found=found,
        waits=found["state"] == PERSON,
        form=drawn("removals/grant", DEEDS["removals/grant"], values, mistakes),
        typed=(typed or {}).get("answer", ""),
        answers=[said(answer) for answer in ANSWERS],
        mistake=mistake,
        notice=notice(request),
    )
    allow_script(response)
    return response


def canned(request: web.Request, chosen: str) -> str:
    """The text of a canned answer, by its number from 1 on; untrusted."""
    numbers = {str(at): answer for at, answer in enumerate(ANSWERS, 1)}
    return language_of(request).said(numbers.get(chosen, ""))


async def script(_: web.Request) -> web.StreamResponse:
    return packaged("desk.js", "text/javascript")
