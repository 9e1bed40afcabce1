"""What changed in a zone since a serial, as rows for programs that keep a copy.

A copy is brought up to date by taking away what is removed, then adding what is added: a network may be in both, cut
another way or with other codes. Where history is gone, the answer says so: the whole zone is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from ..clock import rfc3339
from ..config import ZoneDef
from ..zones.blocks import deep_networks, networks
from ..zones.contents import Kind, Node
from ..zones.difference import Change, Step
from ..zones.export.entries import subjects4
from ..zones.journal import Journal
from ..zones.recordset import subject_of
from ..zones.served import ServedZone, zone_directory
from ..zones.written import name_text, network6

__all__ = ["WHOLE", "changed", "document", "step_since"]

Row = dict[str, Any]
Entry = tuple[str, int]  # a subject and its mask; 0: exempt from what is listed above it
WHOLE = "ndjson"  # the format that has the same rows of the whole zone, of every kind
TOGETHER = 4096  # rows put together before they are passed on
MAX_COMPARED = 200_000  # pieces and names of a step; of a larger one, rows that are on both sides stay on both


def step_since(data_dir: Path, view: ServedZone, since: int) -> Step | None:
    """What changed since; None: nothing, where the serial is the view's own, else take the whole zone."""
    return Journal(zone_directory(data_dir, view.zone.name)).between(since, view.serial)


def document(view: ServedZone, since: int, step: Step | None, whole: str) -> Iterator[bytes]:
    """One JSON object, in chunks. `whole`: where the whole zone is to be had."""
    full = step is None and since != view.serial
    head: Row = {"zone": view.zone.name, "origin": view.zone.origin, "from": since, "to": view.serial, "full": full}
    if step:
        head["made_at"] = rfc3339(step.made_at)
    if full:
        head["export"] = whole
    yield orjson.dumps(head)[:-1]
    for name, rows in zip((b"removed", b"added"), changed(step) if step else ((), ()), strict=True):
        yield b',"%s":[' % name
        yield from joined(rows)
        yield b"]"
    yield b"}\n"


def joined(rows: Iterable[Row]) -> Iterator[bytes]:
    """Rows as the members of an array."""
    gathered: list[bytes] = []
    comma = b""
    for row in rows:
        gathered.append(orjson.dumps(row))
        if len(gathered) >= TOGETHER:
            yield comma + b",".join(gathered)
            gathered.clear()
            comma = b","
    if gathered:
        yield comma + b",".join(gathered)


def changed(step: Step) -> tuple[Iterable[Row], Iterable[Row]]:
    """Rows that left, and rows that came: `subject` and its `codes`, and `exempt` where it is taken out of what is
    listed above it."""
    removed, added = entries(step.zone, step.removed), entries(step.zone, step.added)
    if step.size <= MAX_COMPARED:
        left, came = list(removed), list(added)
        both = set(left) & set(came)  # only cut another way: a firewall need not let go of it in between
        removed, added = (entry for entry in left if entry not in both), (entry for entry in came if entry not in both)
    codes = Codes(step.zone)
    return map(codes.row, removed), map(codes.row, added)


class Codes(dict[int, list[str]]):
    """The return codes of a mask, made when first asked for."""

    def __init__(self, zone: ZoneDef) -> None:
        super().__init__()
        self.zone = zone

    def __missing__(self, mask: int) -> list[str]:
        found = self[mask] = [code.code for number, code in enumerate(self.zone.codes) if mask >> number & 1]
        return found

    def row(self, entry: Entry) -> Row:
        subject, mask = entry
        return {"subject": subject, "codes": self[mask], **({} if mask else {"exempt": True})}


def entries(zone: ZoneDef, change: Change) -> Iterator[Entry]:
    for blocks in networks(change.ip4, 32):
        yield from zip(subjects4(blocks), blocks.mask.tolist(), strict=True)
    for blocks in networks(change.ip6, 64):
        found = zip(blocks.first.tolist(), blocks.prefix.tolist(), blocks.mask.tolist(), strict=True)
        yield from ((network6(upper << 64, prefix), mask) for upper, prefix, mask in found)
    for piece in change.deep:
        yield from ((network6(first, prefix), piece.mask) for first, prefix in deep_networks(piece))
    for node in change.names:
        if node.kind is Kind.LISTED:
            yield text_of(node, zone), node.mask
        elif node.kind is Kind.HOLE:
            yield text_of(node, zone), 0


def text_of(node: Node, zone: ZoneDef) -> str:
    """As people write it: a name, a hash or a number."""
    name = name_text(node.name)
    return subject_of(name, zone.kind) if zone.exact else name
