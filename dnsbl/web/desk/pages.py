"""The other pages of the desk: each shows one of READS, and has the forms of the deeds that belong there.

reviewing.py  queue, removals      doing.py  what is done      looking.py  what is read      forms.py  looks.py
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..signing import desk_page, need_person
from ..state import WEB
from .api import send_trail
from .deeds import DEEDS, REVIEWER
from .doing import deed_poster, form_shower
from .forms import Drawn, drawn
from .looking import looked, more, notice
from .looks import LOOKS
from .reviewing import get_queue, get_removal, script

__all__ = ["PAGES"]

SHOWN = 100  # holds on one page


async def get_holds(request: web.Request) -> web.StreamResponse:
    found = await looked(request, "/holds")
    return shown(request, "holds", holds=found["holds"][:SHOWN], count=len(found["holds"]), attempts=found["attempts"])


async def get_search(request: web.Request) -> web.StreamResponse:
    said = request.query.get("q", "").strip()
    found = await looked(request, "/search", {"q": said})
    about = {"subject": found["subject"] or ""}
    return shown(request, "search", said=said, found=found, **forms("listings/remove", "listings/report", given=about))


async def get_feeds(request: web.Request) -> web.StreamResponse:
    declared = {row["name"]: row for row in await looked(request, "/feeds")}
    state = request.app[WEB]
    rows = await state.threads.read(state.backend.app.feed_status)
    return shown(request, "feeds", rows=[{**row, "declared": row["name"] in declared} for row in rows])


async def get_feed(request: web.Request) -> web.StreamResponse:
    """With what its content in quarantine would change only where that is asked for: all of it is read for that."""
    name = request.match_info["name"]
    path = "/feeds/{name}" if "diff" in request.query else "/feeds/{name}/health"
    found = await looked(request, path, name=name)
    about = {"name": name, "digest": (found["quarantine"] or {}).get("digest", "")}
    names = ("feeds/enable", "feeds/disable", "feeds/release")
    return shown(request, "feed", "/admin/feeds", found=found, diff=found.get("diff"), **forms(*names, given=about))


async def get_exemptions(request: web.Request) -> web.StreamResponse:
    found = await looked(request, "/exemptions", asked(request, "before", "all"))
    everything = request.query.get("all") == "1"
    return shown(
        request, "exemptions", rows=found, next=more(request, found), everything=everything, **forms("exemptions/add")
    )


async def get_sources(request: web.Request) -> web.StreamResponse:
    rows, purges = await looked(request, "/sources"), await looked(request, "/purges")
    return shown(request, "sources", rows=rows, purges=purges[:SHOWN])


async def get_source(request: web.Request) -> web.StreamResponse:
    name = request.query.get("name", "")
    found = await looked(request, "/sources/{name}", name=name)
    return shown(
        request, "source", "/admin/sources", found=found, **forms("sources/set", "sources/purge", given={"name": name})
    )


async def get_keys(request: web.Request) -> web.StreamResponse:
    return shown(request, "keys", rows=await looked(request, "/keys"), **forms("keys/create"))


async def get_audit(request: web.Request) -> web.StreamResponse:
    rows = await looked(request, "/audit", asked(request, "before", "who", "subject"))
    said = {name: request.query.get(name, "") for name in ("who", "subject")}
    return shown(request, "audit", rows=rows, next=more(request, rows), **said)


async def get_trail(request: web.Request) -> web.StreamResponse:
    await need_person(request, REVIEWER)
    return await send_trail(request, {"Content-Disposition": 'attachment; filename="audit.ndjson"'})


def asked(request: web.Request, *names: str) -> dict[str, str]:
    return {name: request.query[name] for name in names if name in request.query}


def shown(request: web.Request, name: str, here: str = "", /, **values: Any) -> web.Response:
    """A page, and what was done before it."""
    here = here or f"/admin/{name}"
    return desk_page(request, f"admin/{name}.html", here=here, notice=notice(request), **values)


def forms(*names: str, given: dict[str, str] | None = None) -> dict[str, Drawn]:
    """The forms of deeds by the second part of their names, filled in with what is given."""
    return {name.partition("/")[2] + "_form": drawn(name, DEEDS[name], given) for name in names}


PAGES = [
    ("GET", "/admin", get_queue),
    ("GET", "/admin/removals/{number}", get_removal),
    ("GET", "/admin/holds", get_holds),
    ("GET", "/admin/search", get_search),
    ("GET", "/admin/feeds", get_feeds),
    ("GET", "/admin/feeds/{name}", get_feed),
    ("GET", "/admin/exemptions", get_exemptions),
    ("GET", "/admin/sources", get_sources),
    ("GET", "/admin/sources/show", get_source),
    ("GET", "/admin/keys", get_keys),
    ("GET", "/admin/audit", get_audit),
    ("GET", "/admin/audit/export", get_trail),
    ("GET", "/admin/desk.js", script),
    *(("GET", f"/admin/do/{name}", form_shower(name, DEEDS[name])) for name in LOOKS),
    *(("POST", f"/admin/do/{name}", deed_poster(name, DEEDS[name])) for name in LOOKS),
]
