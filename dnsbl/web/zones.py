"""`GET /v1/zones`, and what every address below a zone begins with: its name, and what of it is given away."""

from __future__ import annotations

import logging

from aiohttp import web

from ..errors import SnapshotError, WithheldError
from ..zones.served import ServedZone
from .auth import may_read
from .problems import Problem, busy
from .responses import json_response
from .state import WEB, Web

__all__ = ["list_zones", "need_view", "need_zone"]

log = logging.getLogger("dnsbl.web")


async def list_zones(request: web.Request) -> web.StreamResponse:
    """Every zone with its serial and codes."""
    state = request.app[WEB]
    everything = await may_read(request)
    facts = await state.threads.read(state.book.facts)
    return json_response([each.as_model(everything).model_dump() for each in facts])


def need_zone(request: web.Request) -> str:
    """The zone that is asked for. Raises Problem 404."""
    zones = request.app[WEB].backend.app.zones
    name = request.match_info["name"]
    if name not in zones:
        raise Problem(404, f"no such zone; there are {', '.join(zones)}")
    return name


async def need_view(state: Web, name: str, absent: int = 503) -> ServedZone:
    """What a zone gives away now. Raises Problem 403 where its terms forbid that, `absent` where it is not published,
    503 where it cannot be read."""
    try:
        view = await state.threads.read(state.editions.view, name)
    except WithheldError as error:
        raise Problem(403, str(error)) from None
    except SnapshotError as error:
        log.error("%s", error)
        raise busy(f"zone {name} cannot be read; it can be taken again after its next publish") from None
    if view is not None:
        return view
    why = f"zone {name} is not published yet"
    raise busy(why) if absent == 503 else Problem(absent, why)
