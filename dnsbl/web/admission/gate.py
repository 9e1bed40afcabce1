"""What a handler asks before it does anything for a stranger: is it our form, not too often, and paid for.

    form = await read_form(request)
    outcome = await state.admission.admit(request, form, "removal")   # Problem 403, 429
    if outcome.ticket:                                                # the same form, to be sent later
        return state.admission.wait_page(request, form, outcome.ticket)

    render(..., csrf=state.admission.field(request, "removal"))       # the form itself: {% include "guard.html" %}

The order is: from a page of ours, how often, work or ticket. A purpose is a kind of `rates.LIMITS`, of which only what
is let in is taken; trying takes of "form". Work that is not right costs nothing but the wait: the visitor gets a
ticket, as one without script does.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from ... import clock
from ...phrases import N_
from ..clients import Address, client_of
from ..problems import Problem
from ..state import WEB
from .csrf import FIELD, Csrf, need_own_page
from .forms import safe_next
from .rates import Rates, network_of
from .tickets import Ticket, Tickets
from .work import Work

if TYPE_CHECKING:
    from ..backend import Backend

__all__ = ["TICKET", "WORK", "Admission", "Admitted"]

KEY = 32  # bytes
WORK = "altcha"  # the field that the script fills in
TICKET = "ticket"  # the field of the page that waits
OURS = frozenset((FIELD, WORK, TICKET))  # fields that are for here, not for the handler

TOO_OFTEN = N_("there were too many requests from your network; try again later")
NO_WORK = N_(
    "the proof of work is missing, wrong, too old or was used before: get a challenge from /v1/challenge, solve it as "
    "altcha does and send its payload"
)


class Admitted(NamedTuple):
    """Let in, or else a ticket for `wait_page`."""

    ticket: Ticket | None

    @property
    def ok(self) -> bool:
        return self.ticket is None


class Admission:
    """One for each process; found at `request.app[WEB].admission`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.rates = Rates()
        self.work = Work(secrets.token_bytes(KEY))
        self.tickets = Tickets(secrets.token_bytes(KEY))
        self.csrf = Csrf(secrets.token_bytes(KEY), backend.app.public_url)

    def field(self, request: web.Request, purpose: str) -> str:
        """The value `csrf` for a form's guard.html."""
        return self.csrf.field(request, purpose)

    async def admit(self, request: web.Request, form: Mapping[str, str], purpose: str) -> Admitted:
        """Whether to do what a form asks. Raises Problem 403 or 429."""
        self.verify(request, form, purpose)
        client = self.client(request)
        refuse(self.rates.wait(purpose, client))  # before anyone waits for nothing
        outcome = self.paid(form, purpose, client)
        if outcome.ok:
            refuse(self.rates.take(purpose, client))
        return outcome

    def verify(self, request: web.Request, form: Mapping[str, str], purpose: str) -> None:
        """The part that costs a visitor nothing: from a page of ours, and not sent too often. Raises Problem 403 or
        429."""
        self.csrf.verify(request, form, purpose)
        self.limit(request, "form")

    async def admit_work(self, request: web.Request, payload: str, purpose: str) -> None:
        """For programs, whose JSON has altcha's payload. A browser cannot send JSON to us from another site's page
        (Fetch, CORS): the handler insists on that content type. Raises Problem 403 or 429."""
        need_own_page(request, self.csrf.public_url)
        self.limit(request, "form")
        client = self.client(request)
        refuse(self.rates.wait(purpose, client))
        if not self.work.solved(payload):
            raise Problem(403, NO_WORK)
        refuse(self.rates.take(purpose, client))

    def limit(self, request: web.Request, kind: str) -> None:
        """Count a request of some kind. Raises Problem 429."""
        refuse(self.rates.take(kind, self.client(request)))

    def client(self, request: web.Request) -> Address | None:
        return client_of(request, self.backend.app.proxies)

    def network(self, request: web.Request) -> bytes:
        """The client's /24 or /64."""
        return network_of(self.client(request))

    def paid(self, form: Mapping[str, str], purpose: str, client: Address | None) -> Admitted:
        if self.work.solved(form.get(WORK, "")):
            return Admitted(None)
        network = network_of(client)
        redeemed = self.tickets.redeem(form.get(TICKET, ""), purpose, network)
        if redeemed.good or redeemed.early:
            return Admitted(redeemed.early)
        refuse(self.rates.take("ticket", client))
        return Admitted(self.tickets.issue(purpose, network))

    def wait_page(self, request: web.Request, form: Mapping[str, str], ticket: Ticket) -> web.Response:
        """The form once more, with its ticket: all that was filled in, unseen, and a button to press later."""
        return request.app[WEB].pages.render(
            request,
            "wait.html",
            action=safe_next(request.rel_url.raw_path_qs),
            fields={name: value for name, value in form.items() if name not in OURS},
            csrf=form[FIELD],
            ticket=ticket,
            ready=clock.rfc3339(clock.now() + 1 + ticket.wait),  # the next whole second, and then the wait
        )


def refuse(wait: int) -> None:
    """Raises Problem 429 (RFC 6585 section 4) where there are seconds to wait."""
    if wait:
        raise Problem(429, TOO_OFTEN, {"Retry-After": str(wait)})
