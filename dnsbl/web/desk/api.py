"""`/v1/desk`: what the desk sees, and below `deeds` what it does, for programs. Scope `review` is a reviewer's, `admin`
an admin's, who may do all that a reviewer may. Lists come in pages: `next` is the address of the one that follows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from ...desk.base import OPERATOR, by_key, person_of
from ...errors import DnsblError, IntakeError, StoreError, SubjectError
from ...hashing import MAX_QUERY, parse_query
from ...removal.machine import STATES
from ...reputation.guard import HELD
from ...store.contract import Key
from ..auth import need
from ..backend import Parts
from ..problems import Problem
from ..removals.api import body
from ..responses import json_response
from ..state import WEB
from .deeds import ADMIN, REVIEWER, Deed, carry_out
from .models import MAX_NUMBER

__all__ = [
    "PAGE",
    "READS",
    "Asked",
    "Read",
    "deed_handler",
    "get_audit_export",
    "read_handler",
    "refusals",
    "send_trail",
]

SCOPES = {REVIEWER: ("review", "admin"), ADMIN: ("admin",)}  # that a role's deeds need one of
PAGE, LARGEST = 50, 500  # rows of a page: usual, and at most
FEW = 20  # holds that are shown of those that wait


@dataclass(slots=True, frozen=True)
class Asked:
    """What a read was asked for."""

    match: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def limit(self) -> int:
        limit = number(self.query.get("limit", str(PAGE)), "limit")
        if limit > LARGEST:
            raise Problem(400, f"limit: {LARGEST} at most; `next` has the address of the next page")
        return limit

    @property
    def before(self) -> int | None:
        said = self.query.get("before")
        return number(said, "before") if said is not None else None

    @property
    def after(self) -> int | None:
        said = self.query.get("after")
        return number(said, "after") if said is not None else None

    def one_of(self, name: str, words: Sequence[str]) -> str:
        """One of these, or "" where it was not said. Raises Problem 400."""
        said = self.query.get(name)
        if said is not None and said not in words:
            raise Problem(400, f"{name}: one of {', '.join(words)}")
        return said or ""

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
    found = int(said) if said.isascii() and said.isdigit() and len(said) <= len(str(MAX_NUMBER)) else 0
    if not 1 <= found <= MAX_NUMBER:
        raise Problem(400, f"{name}: a whole number from 1 on")
    return found


def removals(app: Parts, asked: Asked) -> list[dict[str, Any]]:
    state = asked.one_of("state", STATES)
    subject = parse_query(asked.text("subject")) if asked.text("subject") else None
    return app.removal_desk.rows([state] if state else (), subject, asked.before, asked.limit)


def queue(app: Parts, asked: Asked) -> dict[str, Any]:
    """Of each kind that waits a few, and how many there are. Cheap: it is asked for again and again."""
    names = app.desk.names()
    held = [hold for hold in app.store.holds() if hold.state == HELD]
    return {
        **app.removal_desk.counts(),
        "removals": app.removal_desk.queue(asked.after, asked.limit),
        "held": len(held),
        "holds": [app.desk.hold_row(hold, 0, names) for hold in held[:FEW]],
        "feeds": [row for row in app.feed_status() if row["state"] == "quarantined"],
        "asked": app.desk.asked_rows(),
    }


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
    "/queue": Read("What waits for a person, the longest first", REVIEWER, queue, ("after", "limit")),
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
        lambda app, asked: app.exemption_page(asked.limit, asked.before, asked.one_of("all", ("0", "1")) == "1"),
        ("before", "limit", "all"),
        True,
    ),
    "/feeds": Read("Feeds, with their switches", REVIEWER, lambda app, _: app.desk.feed_rows()),
    "/feeds/{name}": Read("One feed, and what waits in quarantine", REVIEWER, feed, ("name",)),
    "/feeds/{name}/health": Read(
        "One feed, without reading what it has",
        REVIEWER,
        lambda app, asked: app.desk.show_feed(asked.match["name"]),
        ("name",),
    ),
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


async def need_hand(request: web.Request, role: str) -> Key:
    """A key with a role's scope, made by somebody who may still do what that role does: a key is the hand of whoever
    made it, and ends at the desk with them. Raises Problem 401 or 403."""
    key = await need(request, *SCOPES[role])
    maker = person_of(key.maker)
    if maker == OPERATOR:
        return key
    state = request.app[WEB]
    account = await state.threads.urgent(state.backend.app.store.account, maker)
    if account and (account.disabled is not None or not {role, ADMIN} & set(account.roles)):
        raise Problem(403, "whoever made the API key may not do this any more; ask an admin for another key")
    return key


def read_handler(path: str, read: Read) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await need_hand(request, read.role)
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
        key = await need_hand(request, deed.role)
        wanted = await body(request, deed.model)
        state = request.app[WEB]
        with refusals(409):
            done = await state.threads.write(carry_out, state.backend.app, deed, wanted, by_key(key.maker, key.name))
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
    await need_hand(request, REVIEWER)
    return await send_trail(request)


async def send_trail(request: web.Request, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    """The trail, to whoever was found to may read it."""
    state = request.app[WEB]
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", **(headers or {})})
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
