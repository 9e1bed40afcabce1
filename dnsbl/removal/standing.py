"""How a subject stands in the zones that list it, of what explains it there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config import ZoneDef
from ..reputation.explain import Line, ZoneView
from .proofs import single
from .rules import Stand

__all__ = ["bare", "grace", "stand_of"]

REPORTING = frozenset(("partner", "trap", "complaint", "operator"))  # kinds of sources that report what they see


def stand_of(view: ZoneView, subject: bytes, kinds: Mapping[str, str]) -> Stand:
    """How a subject stands in a zone, of what explains it."""
    listed = {row.subject for row in view.listings}
    heard = [line for line in view.lines if line.weight > 0 and not line.simulated]
    counted = [line for line in heard if line.subject in listed]
    categories = heavy(counted, view.zone) or {c for c, code in view.zone.categories.items() if code in view.codes}
    about = listed | {subject}  # reports of itself too where they list nothing: something goes on
    reported = [line for line in heard if line.subject in about and kinds.get(line.source) in REPORTING]
    above = [row.subject for row in view.listings if row.subject != subject]
    wider = (above[0], at(counted, above)) if above else None
    last = max(((line.last_seen, line.category) for line in reported), default=None)
    return Stand(view.zone, frozenset(categories), last, wider)


def heavy(lines: Sequence[Line], zone: ZoneDef) -> set[str]:
    """The categories that weigh as much as it takes to answer their codes; where none does, all of them."""
    weights: dict[str, float] = {}
    for line in lines:
        weights[line.category] = weights.get(line.category, 0.0) + line.weight
    return {category for category, weight in weights.items() if weight >= zone.policy.code_weight} or set(weights)


def at(lines: Sequence[Line], subjects: Sequence[bytes]) -> frozenset[str]:
    """The categories of the lines about some subjects."""
    return frozenset(line.category for line in lines if line.subject in subjects)


def bare(zone: ZoneDef) -> Stand:
    """A zone that a person grants a removal in, whatever is listed there."""
    return Stand(zone, frozenset(), None, None)


def grace(stand: Stand, subject: bytes) -> int:
    """How long it stays off: a single address of a declared range longer than all else."""
    rules = stand.zone.removal
    return rules.exempt_policy if stand.declared and single(subject) else rules.grace
