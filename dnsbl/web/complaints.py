"""`POST /v1/complaints`: a complaint as mail systems send them (ARF, X-ARF, DMARC reports), in one piece. This is the
HTTP side of it: who, what and how much; what it says is looked at elsewhere."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .. import clock
from ..errors import IntakeError
from ..store.contract import Key, KeyDay
from .auth import need
from .backend import Parts
from .body import document
from .problems import Problem
from .quotas import Quotas
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
    app, quotas = state.backend.app, state.batcher.quotas
    await state.threads.urgent(quotas.check, app.store, key)
    with state.uploads.one(), state.uploads.holding() as holding:
        body = await document(request, holding, lambda _: None, MAX_COMPLAINT, TOO_LARGE)
        if not body:
            raise Problem(400, "the body is empty")
        try:
            answer = await state.threads.complaint(take, app, quotas, key, body)
        except IntakeError as error:
            raise Problem(400, str(error)) from error
    state.note_use(key)
    if answer["taken"]:
        state.backend.submitted()
    return json_response(answer)


def take(app: Parts, quotas: Quotas, key: Key, body: bytes) -> dict[str, Any]:
    """What came of it, counted as so many reports. Raises IntakeError and StoreError."""
    now = clock.now()
    answer = app.complain(key.source, body, now, key.limits)
    use = KeyDay(now // clock.DAY, 1, answer["taken"], answer["repeated"], answer["rejected"])
    quotas.spend(key, use.taken + use.repeated + use.rejected)
    app.store.count_key(key.id, use)
    return answer
