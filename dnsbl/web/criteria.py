"""`/criteria`: what gets something listed and off again, as the zones' own files say it (RFC 6471 sections 2.1, 2.1.1,
2.1.3). It needs neither the store nor what is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from ..config import ZoneDef
from .pages import ABOUT
from .state import WEB
from .usage import operator_mail
from .words import PROOFS

__all__ = ["criteria"]


async def criteria(request: web.Request) -> web.StreamResponse:
    """Every zone's rules in words."""
    state = request.app[WEB]
    zones = [rules(zone) for zone in state.backend.app.zones.values()]
    return state.pages.render(request, "criteria.html", zones=zones, about=ABOUT, proofs=PROOFS)


def rules(zone: ZoneDef) -> dict[str, Any]:
    """What the template says of a zone; lengths of time in seconds."""
    categories = list(zone.categories)
    return {
        "zone": zone,
        "mail": operator_mail(zone),
        "lasting": lasting(zone, categories),
        "alone": [name for name in categories if name in zone.removal.self_serve],
        "person": [name for name in categories if name not in zone.removal.self_serve],
        "proven": [
            (proof, [name for name in categories if zone.removal.weakest(name) == proof])
            for proof in PROOFS
            if any(zone.removal.weakest(name) == proof for name in categories)
        ],
    }


def lasting(zone: ZoneDef, categories: Sequence[str]) -> list[tuple[int, list[str]]]:
    """After how many seconds a report weighs half, the shortest first, and for which categories."""
    found: dict[int, list[str]] = {}
    for name in categories:
        found.setdefault(zone.policy.half_lives.get(name, zone.policy.half_life), []).append(name)
    return sorted(found.items())
