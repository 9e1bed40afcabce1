"""`POST /v1/complaints`: a complaint as mail systems send them (ARF, X-ARF, DMARC reports), in one piece, taken whole
or not at all. This is the HTTP side of it: who, what and how much; what it says is looked at in `intake.complaints`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .. import clock
from ..errors import IntakeError
from ..intake.complained import keep_complaints
from ..intake.complaints import parse_complaint
from ..intake.partners import partner_gate, permit_of
from ..intake.reports import Intake
from ..store.contract import Key, KeyDay
from .auth import need
from .body import document
from .clients import client_of, public_network
from .commit import Committer
from .problems import Problem
from .responses import json_response
from .state import WEB

__all__ = ["KINDS", "MAX_COMPLAINT", "post_complaint"]

KINDS = (
    "message/rfc822", "application/json", "application/xml", "text/xml", "application/gzip", "application/zip"
)  # fmt: skip
MAX_COMPLAINT = 8 * 2**20  # bytes; a day's DMARC report of a large receiver, packed, is below
TOO_LARGE = f"a complaint has {MAX_COMPLAINT // 2**20} MiB at most"


async def post_complaint(request: web.Request) -> web.StreamResponse:
    """Take a complaint. The key's source is who complains."""
    key = await need(request, "report")
    if request.content_type not in KINDS:
        raise Problem(415, f"send one of {', '.join(KINDS)}", {"Accept-Post": ", ".join(KINDS)})
    state = request.app[WEB]
    app, batcher = state.backend.app, state.batcher
    network = public_network(client_of(request, app.proxies))
    await state.threads.urgent(batcher.quotas.check, app.store, key)
    with state.uploads.one(), state.uploads.holding() as holding:
        body = await document(request, holding, lambda _: None, MAX_COMPLAINT, TOO_LARGE)
        if not body:
            raise Problem(400, "the body is empty")
        try:
            answer = await state.threads.complaint(take, batcher.committer, key, body, network)
        except IntakeError as error:
            raise Problem(400, str(error)) from error
    state.metrics.counted(Intake(answer["taken"], answer["repeated"], answer["rejected"]))
    state.note_use(key)
    if answer["taken"]:
        state.backend.submitted()
    return json_response(answer)


def take(committer: Committer, key: Key, body: bytes, network: str) -> dict[str, Any]:
    """What came of it, each claim counted as one report. Raises IntakeError, StoreError, and Problem where the key may
    not send so much: then nothing of it is taken."""
    app, quotas, now = committer.backend.app, committer.quotas, clock.now()
    complaints = parse_complaint(body, now)  # may take seconds: before the store is held
    claims = sum(len(complaint.claims) for complaint in complaints)
    gate = partner_gate(app.exempt_reason(), now)
    gate.permit = permit_of(key.limits)
    with app.store.transaction():
        quotas.need(app.store, key, claims)
        done = keep_complaints(app.store, gate, app.store.sources()[key.source], complaints, now)
        app.store.count_key(key.id, KeyDay(now // clock.DAY, 1, done.taken, done.repeated, done.rejected))
        moved = committer.move(key.source, network, now)
    committer.moved |= moved
    quotas.spend(key, claims)
    return done.as_json()
