"""What pages and API do alike with a request: take it, find it again by its private link, move it. After a move whoever
settles is woken: a grant reaches DNS at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from ... import clock
from ...errors import IntakeError, ProofError, SubjectError
from ...hashing import parse_query
from ...phrases import N_
from ...removal.requests import Asking, Opened, Removals
from ...store.contract.removals import Removal
from ...subjects import listing_key
from ..clients import Address, client_of
from ..problems import Problem, busy
from ..state import WEB

__all__ = ["client", "confirm", "found", "look", "mail", "mailboxes", "move", "open_request"]

NO_SUCH = N_("there is no such request, or it was closed long ago; ask again on the page for removals")
MAX_LINK = 200  # characters
T = TypeVar("T")


async def open_request(
    request: web.Request, asked: str, zones: tuple[str, ...], said: str, way: str, owner: int | None = None
) -> Opened:
    """Ask for a removal. `owner`: the source of the key that asks. Raises Problem 400."""
    state = request.app[WEB]
    try:
        subject = parse_query(asked)
    except SubjectError as error:
        raise Problem(400, str(error)) from error
    here = client(request)
    whole = listing_key(subject)  # all that would go: who owns an address does not own its /64
    owned = owner is not None and await state.threads.read(state.backend.app.store.owns, owner, whole)
    asking = Asking(subject, asked, zones, said, way, here, requester(here), owned)
    try:
        opened = await state.threads.write(state.backend.app.removals.open, asking, clock.now())
    except IntakeError as error:
        raise Problem(400, str(error)) from error
    state.backend.submitted()
    return opened


async def found(request: web.Request) -> Removal:
    """The request of the private link in the address. Raises Problem 404: the same for whatever is none."""
    state = request.app[WEB]
    state.admission.limit(request, "look-up")
    link = request.match_info["id"]
    removal = await state.threads.read(state.backend.app.removals.find, link) if len(link) <= MAX_LINK else None
    if removal is None:
        raise Problem(404, NO_SUCH)
    return removal


def client(request: web.Request) -> Address | None:
    """Where it comes from."""
    return client_of(request, request.app[WEB].backend.app.proxies)


def requester(address: Address | None) -> str:
    """The /24 or /64 that a request came from; "": not known."""
    if address is None:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))


async def looked_up(proof: Awaitable[T]) -> T:
    """What DNS or a registry says. Raises Problem 503 where that cannot be known now."""
    try:
        return await proof
    except ProofError as error:
        raise busy(str(error)) from error


async def move(request: web.Request, step: Callable[[Removals, Removal, int], bool]) -> bool:
    """One step of the request in the address. False where it is not possible in its state."""
    state = request.app[WEB]
    state.admission.limit(request, "token")
    removal = await found(request)
    done = await state.threads.write(step, state.backend.app.removals, removal, clock.now())
    state.backend.submitted()
    return done


async def mailboxes(request: web.Request, removal: Removal, proof: str, given: str) -> list[str]:
    """Who may be asked. Raises Problem 422 or 503."""
    state = request.app[WEB]
    state.admission.limit(request, "token")
    proving = state.backend.app.proving
    if proof not in ("mailbox", "range"):
        raise Problem(422, "proof is mailbox or range")
    return await looked_up(proving.mailboxes(removal, proof, given))


async def mail(request: web.Request, removal: Removal, proof: str, wanted: str, given: str, language: str) -> bool:
    """Mail a link to one of the mailboxes. Raises Problem 503."""
    state = request.app[WEB]
    state.admission.limit(request, "token")
    sent = await looked_up(state.backend.app.proving.ask(removal, proof, wanted, language, clock.now, given))
    if sent:
        state.backend.mail_queued()
    return sent


async def look(request: web.Request, removal: Removal) -> bool:
    """Look for the TXT record. Raises Problem 503."""
    state = request.app[WEB]
    state.admission.limit(request, "token")
    seen = await looked_up(state.backend.app.proving.look(removal, clock.now))
    state.backend.submitted()
    return seen


async def confirm(request: web.Request, token: str) -> None:
    """A mailed token came back. Whether it was good is told to nobody."""
    state = request.app[WEB]
    state.admission.limit(request, "token")
    await state.threads.write(state.backend.app.removals.confirm, token, clock.now())
    state.backend.submitted()
