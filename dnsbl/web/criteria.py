"""`/criteria`: what gets something listed and off again, as the zones' own files say it (RFC 6471 sections 2.1, 2.1.1,
2.1.3). It needs neither the store nor what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from ..config import PROOFS, ZoneDef
from ..removal.rules import DECLARED
from . import words
from .pages import ABOUT
from .state import WEB
from .usage import operator_mail

__all__ = ["criteria"]

# What can be proven of a subject, by kind of zone (removal/proofs.py says how).
PROVABLE = {"ip": PROOFS, "domain": ("mailbox", "dns"), "hash": ("mailbox", "dns"), "e164": ()}


async def criteria(request: web.Request) -> web.StreamResponse:
    """Every zone's rules in words."""
    state = request.app[WEB]
    zones = [rules(zone) for zone in state.backend.app.zones.values()]
    return state.pages.render(request, "criteria.html", zones=zones, about=ABOUT, proofs=words.PROOFS)


def rules(zone: ZoneDef) -> dict[str, Any]:
    """What the template says of a zone; lengths of time in seconds."""
    categories = list(zone.categories)
    proofs = {name: proof_of(zone, name) for name in categories}
    alone = [name for name in categories if name in zone.removal.self_serve and proofs[name]]
    return {
        "zone": zone,
        "mail": operator_mail(zone),
        "lasting": lasting(zone, categories),
        "alone": alone,
        "person": [name for name in categories if name not in alone],
        "proven": [(proof, [name for name in categories if proofs[name] == proof]) for proof in asked(proofs)],
        "declared": bool(DECLARED.intersection(categories)),
    }


def proof_of(zone: ZoneDef, category: str) -> str:
    """The weakest proof of control that will do, of those that there are for the zone's kind; "": there is none."""
    enough = PROOFS[PROOFS.index(zone.removal.weakest(category)) :]
    return next((proof for proof in enough if proof in PROVABLE[zone.kind]), "")


def asked(proofs: Mapping[str, str]) -> list[str]:
    """The proofs that some category needs, the weakest first."""
    return [proof for proof in PROOFS if proof in proofs.values()]


def lasting(zone: ZoneDef, categories: Sequence[str]) -> list[tuple[int, list[str]]]:
    """After how many seconds a report weighs half, the shortest first, and for which categories."""
    found: dict[int, list[str]] = {}
    for name in categories:
        found.setdefault(zone.policy.half_lives.get(name, zone.policy.half_life), []).append(name)
    return sorted(found.items())
