"""`/v1/desk`: what the desk sees and does, for programs. Scope `review` is a reviewer's, `admin` an admin's, who may do
all that a reviewer may. Lists come in pages: `next` is the address of the one that follows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from ...errors import DnsblError, IntakeError, StoreError, SubjectError
from ...hashing import MAX_QUERY, parse_query
from ...removal.machine import STATES
from ..auth import need
from ..backend import Parts
from ..problems import Problem
from ..removals.api import body
from ..responses import json_response
from ..state import WEB
from .deeds import ADMIN, REVIEWER, Deed, carry_out

__all__ = ["READS", "Read", "deed_handler", "get_audit_export", "read_handler", "refusals"]

SCOPES = {REVIEWER: ("review", "admin"), ADMIN: ("admin",)}  # that a role's deeds need one of
PAGE, LARGEST = 50, 500  # rows of a page: usual, and at most
MAX_NUMBER = 18  # digits: more is no number of the store's


@dataclass(slots=True, frozen=True)
class Asked:
    """What a read was asked for."""

    match: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def limit(self) -> int:
        return min(number(self.query.get("limit", str(PAGE)), "limit"), LARGEST)

    @property
    def before(self) -> int | None:
        said = self.query.get("before")
        return number(said, "before") if said is not None else None

    def text(self, name: str) -> str:
        return self.query.get(name, "")[:MAX_QUERY]


@dataclass(slots=True, frozen=True)
class Read:
    """One thing that can be looked at. `paged`: rows with an `id`, the newest first."""

    summary: str
    role: str
    look: Callable[[Parts, Asked], Any]
    parameters: tuple[str, ...] = ()
    paged: bool = False


def number(said: str, name: str) -> int:
    """Raises Problem 400."""
    if not (said.isascii() and said.isdigit() and len(said) <= MAX_NUMBER and int(said)):
        raise Problem(400, f"{name}: a whole number from 1 on")
    return int(said)


def removals(app: Parts, asked: Asked) -> list[dict[str, Any]]:
    state = asked.text("state")
    if state and state not in STATES:
        raise Problem(400, f"state: one of {', '.join(STATES)}")
    subject = parse_query(asked.text("subject")) if asked.text("subject") else None
    return app.removal_desk.rows([state] if state else (), subject, asked.before, asked.limit)


def feed(app: Parts, asked: Asked) -> dict[str, Any]:
    """With what its content in quarantine would change, where there is any."""
    shown = app.desk.show_feed(asked.match["name"])
    return {**shown, "diff": app.desk.feed_diff(asked.match["name"]) if shown.get("quarantine") else None}


READS: Mapping[str, Read] = {
    "/removals": Read("Requests for removal", REVIEWER, removals, ("state", "about", "before", "limit"), True),
    "/removals/{number}": Read(
        "One request, with everything to decide on it",
        REVIEWER,
        lambda app, asked: app.removal_desk.show(number(asked.match["number"], "number")),
        ("number",),
    ),
    "/holds": Read("Places where sources are held", REVIEWER, lambda app, _: app.desk.waiting()),
    "/asked": Read("What waits for a second person", REVIEWER, lambda app, _: app.desk.asked_rows()),
    "/search": Read(
        "All that a text may mean",
        REVIEWER,
        lambda app, asked: app.desk.search(asked.text("q"), asked.limit),
        ("q", "limit"),
    ),
    "/exemptions": Read(
        "Who is exempt",
        REVIEWER,
        lambda app, asked: app.exemption_page(asked.limit, asked.before, asked.text("all") == "1"),
        ("before", "limit", "all"),
        True,
    ),
    "/feeds": Read("Feeds, with their switches", REVIEWER, lambda app, _: app.desk.feed_rows()),
    "/feeds/{name}": Read("One feed, and what waits in quarantine", REVIEWER, feed, ("name",)),
    "/sources": Read("Who claims, and how far each is believed", REVIEWER, lambda app, _: app.desk.source_rows()),
    "/sources/{name}": Read(
        "One source", REVIEWER, lambda app, asked: app.desk.show_source(asked.match["name"], PAGE), ("name",)
    ),
    "/purges": Read("What was taken away, and can be put back", REVIEWER, lambda app, _: app.desk.purge_rows()),
    "/keys": Read("Keys, without their secrets", ADMIN, lambda app, _: app.key_rows()),
    "/people": Read("People at the desk", ADMIN, lambda app, _: app.people.rows()),
    "/audit": Read(
        "Who did what, the newest first",
        REVIEWER,
        lambda app, asked: app.desk.audit_rows(asked.limit, asked.before, asked.text("who"), asked.text("subject")),
        ("before", "limit", "who", "about"),
        True,
    ),
}


def read_handler(path: str, read: Read) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await need(request, *SCOPES[read.role])
        state = request.app[WEB]
        asked = Asked(request.match_info, request.query)
        with refusals(404 if "{" in path else 400):
            found = await state.threads.read(read.look, state.backend.app, asked)
        if not read.paged:
            return json_response(found)
        more = None
        if len(found) == asked.limit:
            query = {**request.query, "before": str(found[-1]["id"])}
            more = f"{request.path}?{urlencode(query)}"
        return json_response({"items": found, "next": more})

    handler.__name__ = "get_desk" + "".join(c if c.isalnum() else "_" for c in path).rstrip("_")
    return handler


def deed_handler(name: str, deed: Deed) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        key = await need(request, *SCOPES[deed.role])
        wanted = await body(request, deed.model)
        state = request.app[WEB]
        with refusals(409):
            done = await state.threads.write(carry_out, state.backend.app, deed, wanted, f"key {key.name}")
        state.backend.submitted()
        return json_response(done, 200 if done["done"] else 202)

    handler.__name__ = "post_desk_" + name.replace("/", "_").replace("-", "_")
    return handler


@contextmanager
def refusals(status: int) -> Iterator[None]:
    """What the desk refuses, as a Problem with this status; a text that is no subject as 400."""
    try:
        yield
    except SubjectError as error:
        raise Problem(400, str(error)) from error
    except (StoreError, IntakeError) as error:
        if is_trouble(error):
            raise
        raise Problem(status, str(error)) from error


def is_trouble(error: DnsblError) -> bool:
    """Whether the store itself cannot answer, which the middleware says."""
    return isinstance(error, StoreError) and error.__cause__ is not None


async def get_audit_export(request: web.Request) -> web.StreamResponse:
    """The whole trail as NDJSON, the oldest first, each entry linked to the one before by SHA-256."""
    await need(request, *SCOPES[REVIEWER])
    state = request.app[WEB]
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    lines = state.backend.app.desk.audit_lines()
    async for chunk in chunks(request, lines):
        if not response.prepared:
            await response.prepare(request)
        await response.write(chunk)
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


async def chunks(request: web.Request, lines: Any) -> AsyncIterator[bytes]:
    """Many lines at once, made in a thread."""
    state = request.app[WEB]
    while chunk := await state.threads.export(
        lambda: b"".join(line for _, line in zip(range(1000), lines, strict=False))
    ):
        yield chunk
