"""What a zone holds at one serial: its base and the delta over it as one, whole, for exports, digests and differences.
Transfers take the same a stretch at a time (`stretches`). Pure.

IPv4 and IPv6 are disjoint pieces with their codes; nothing in them is exempt. Of IPv6, `ip6` has whole /64s (ranges of
the upper 64 bits) and `deep` the pieces of the /64s that are not listed as a whole: a /64 is in one of the two. Pieces
that touch differ in their codes: zones that answer alike have the same pieces, however they are layered.

Of names `tree` says what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..config import ZoneDef
from .arrays import masks_at
from .build import LOW64, Answers, ranges_of
from .counting import count_addresses, count_names
from .served import ServedZone
from .table import Deep, Pieces, Words, laid_over, merge, pieces
from .tree import Kind, Names, Node

__all__ = ["Contents", "Kind", "Names", "Node", "canonical", "canonical6", "contents", "deep_of", "divided", "masks_of"]


@dataclass(slots=True)
class Contents:
    """One zone at one serial. `made_at`: seconds since 1970."""

    zone: ZoneDef
    serial: int
    made_at: int
    ip4: Pieces
    ip6: Pieces
    deep: list[Deep] = field(default_factory=list)
    names: Names = field(default_factory=Names.none)
    zonemd: bytes = b""  # the digest of its records (RFC 8976); empty: none was made
    withheld: int = 0  # entries that feeds' terms keep from being given away, and are not here
    count: int = 0  # of what is listed (see `counting`), whatever parts of it this has


def contents(view: ServedZone) -> Contents:
    """What a served zone holds."""
    answers = Answers.of(view.zone, view.answers)
    ip4 = canonical(layered(view, "v4", answers))
    ip6, deep = canonical6(layered(view, "v6", answers), deep_of(view))
    names = Names.of(view, masks_of(view))
    addresses = view.zone.kind == "ip"
    count = count_addresses(ip4, ip6, deep) if addresses else count_names(view.zone, len(names))
    return Contents(view.zone, view.serial, view.made_at, ip4, ip6, deep, names, view.zonemd, view.withheld, count)


def masks_of(view: ServedZone) -> Words:
    """The codes of each answer id, as masks."""
    return np.array(Answers.of(view.zone, view.answers).masks, dtype=np.uint64)


def layered(view: ServedZone, family: str, answers: Answers) -> Pieces:
    """One family's pieces, the delta's over the base's."""
    table = ranges_of(view.base, family, answers)
    return laid_over(table, ranges_of(view.delta, family, answers)) if view.delta else table


def canonical(table: Pieces) -> Pieces:
    """The pieces that are listed, as few as they can be."""
    gone = table.mask == 0
    return merge(table.where(~gone) if gone.any() else table)


def canonical6(table: Pieces, deep: Sequence[Deep]) -> tuple[Pieces, list[Deep]]:
    """IPv6 as ranges of /64s, and the pieces inside those that are not listed as a whole. `deep` counts where both
    say something of a /64."""
    cover, inside = divided(deep)
    return canonical(laid_over(table, cover) if len(cover) else table), inside


def divided(deep: Sequence[Deep]) -> tuple[Pieces, list[Deep]]:
    """What is said of single /64s: as ranges, with no codes where something inside has its own; and that."""
    inside = merged(deep)
    whole = {piece.upper: piece.mask for piece in inside if piece.first == 0 and piece.last == LOW64}
    cover = pieces((upper, upper, whole.get(upper, 0)) for upper in {piece.upper for piece in deep})
    return cover, [piece for piece in inside if piece.mask and piece.upper not in whole]


def merged(deep: Iterable[Deep]) -> list[Deep]:
    """Neighbours within a /64 that have the same mask, as one."""
    found: list[Deep] = []
    for piece in deep:
        last = found[-1] if found else None
        if last and (last.upper, last.last + 1, last.mask) == (piece.upper, piece.first, piece.mask):
            found[-1] = Deep(last.upper, last.first, piece.last, last.mask)
        else:
            found.append(piece)
    return found


def deep_of(view: ServedZone) -> list[Deep]:
    """The pieces inside single /64s, ascending. The newest file that has any has all of them."""
    if view.deep is None:
        return []
    file = view.deep
    codes = masks_at(file, "v6d", slice(0, len(file.v6d)), masks_of(view))
    return [
        Deep(upper, first, last, mask)
        for upper, first, last, mask in zip(file.v6d[:], file.v6dlow[:], file.v6dhigh[:], codes.tolist(), strict=True)
    ]
