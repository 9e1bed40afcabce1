"""What a zone holds at one serial: its base and the delta over it as one picture, for those who take it away. Pure.

IPv4 and IPv6 are disjoint pieces with their codes; nothing in them is exempt. Of IPv6, `ip6` has whole /64s (ranges of
the upper 64 bits) and `deep` the pieces of the /64s that are not listed as a whole: a /64 is in one of the two. Pieces
that touch differ in their codes: zones that answer alike have the same pieces, however they are layered.

Names come in the order of the tree, a name before what is below it, and say what is answered there:

    LISTED     listed itself; the mask has its own codes and those of the names above (not so the test names)
    BETWEEN    not listed itself, below a listed name and above something: answers as the name above does
    EMPTY      nothing, but something below
    HOLE       exempt, with everything below, under a listed name: the topmost such

Every name at which an answer changes is there, and every one that stands between such a name and a listed one above it:
what a format without a longest match (a master file, RFC 4592) must write out. In an exact zone names are LISTED or
EMPTY, and nothing is said of what is above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .arrays import answer_ids
from .build import LOW64, Answers, carried_names, ranges_of
from .hashed import name_columns
from .served import ServedZone
from .snapshot import EMPTY_NAME, GONE, HOLE
from .table import Deep, Pieces, Words, laid_over, merge, pieces

__all__ = ["Contents", "Kind", "Names", "Node", "canonical", "canonical6", "contents", "deep_of", "masks_of"]

TO_ROW, FROM_ROW = bytes.maketrans(b".", b"\0"), bytes.maketrans(b"\0", b".")
VALUE = 2  # bytes of a name's value at the end of its row
TAIL = VALUE + 2  # and two zeros before it


class Kind(Enum):
    LISTED = "listed"
    BETWEEN = "between"
    EMPTY = "empty"
    HOLE = "hole"


class Node(NamedTuple):
    """A name, as text from the top label (`example.bad`), and what is answered at it."""

    name: bytes
    mask: int
    kind: Kind
    above: int  # the mask of the nearest name above


@dataclass(slots=True)
class Names:
    """Names as rows that sort in the order of the tree: the labels from the top with a zero between, two zeros, the
    value of the snapshot. One object a name: there may be millions."""

    rows: list[bytes]
    masks: Words  # by answer id
    exact: bool = False  # a name answers for itself alone
    values: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.values = np.fromiter((row[-2] << 8 | row[-1] for row in self.rows), np.int64, len(self.rows))

    def __len__(self) -> int:
        """How many are listed."""
        return int((self.values < EMPTY_NAME).sum())

    def nodes(self) -> Iterator[Node]:
        """All of them, those between listed names and holes or deeper names made up."""
        if self.exact:
            yield from self.exact_nodes()
            return
        masks = self.masks.tolist()
        path: list[tuple[bytes, int]] = []  # the names above, each with a zero at its end, and their masks
        for row, value in zip(self.rows, self.values.tolist(), strict=True):
            name = row[: 1 - TAIL]
            while path and not name.startswith(path[-1][0]):
                path.pop()
            over, above = path[-1] if path else (b"", 0)
            if above:
                for step in steps(name, len(over)):
                    path.append((step, above))
                    yield Node(plain(step), above, Kind.BETWEEN, above)
            if value < EMPTY_NAME:
                mask, kind = masks[value], Kind.LISTED
            elif value == HOLE:
                if not above:
                    continue
                mask, kind = 0, Kind.HOLE
            else:
                mask, kind = above, Kind.BETWEEN if above else Kind.EMPTY
            path.append((name, mask))
            yield Node(plain(name), mask, kind, above)

    def exact_nodes(self) -> Iterator[Node]:
        masks = self.masks.tolist()
        for row, value in zip(self.rows, self.values.tolist(), strict=True):
            name = plain(row[: 1 - TAIL])
            yield Node(name, masks[value], Kind.LISTED, 0) if value < EMPTY_NAME else Node(name, 0, Kind.EMPTY, 0)

    def listed(self, code: int) -> Iterator[bytes]:
        """The listed names that answer with a code, from the top label."""
        ids = self.values < EMPTY_NAME
        has = np.zeros(len(ids), dtype=np.bool_)
        has[ids] = (self.masks[self.values[ids]] >> np.uint64(code)) & np.uint64(1) == 1
        return (self.rows[place][:-TAIL].translate(FROM_ROW) for place in np.flatnonzero(has).tolist())

    def taken(self) -> list[tuple[bytes, int]]:
        """Names with the codes that the name above answers with and they do not: holes, and the test names."""
        return [(node.name, node.above & ~node.mask) for node in self.nodes() if node.above & ~node.mask]


def steps(name: bytes, start: int) -> Iterator[bytes]:
    """What stands between a name and the one above it, which is `start` bytes of it; with the zero at the end."""
    cut = name.find(b"\0", start)
    while 0 < cut < len(name) - 1:
        yield name[: cut + 1]
        cut = name.find(b"\0", cut + 1)


def plain(name: bytes) -> bytes:
    return name[:-1].translate(FROM_ROW)


@dataclass(slots=True)
class Contents:
    """One zone at one serial. `made_at`: seconds since 1970."""

    zone: ZoneDef
    serial: int
    made_at: int
    ip4: Pieces
    ip6: Pieces
    deep: list[Deep] = field(default_factory=list)
    names: Names = field(default_factory=lambda: Names([], np.zeros(1, dtype=np.uint64)))
    zonemd: bytes = b""  # the digest of its records (RFC 8976); empty: none was made
    withheld: int = 0  # entries that feeds' terms keep from being given away, and are not here

    def __len__(self) -> int:
        """How many pieces and listed names it has."""
        return len(self.ip4) + len(self.ip6) + len(self.deep) + len(self.names)


def contents(view: ServedZone) -> Contents:
    """What a served zone holds."""
    answers = Answers.of(view.zone, view.answers)
    ip6, deep = canonical6(layered(view, "v6", answers), deep_of(view))
    return Contents(
        view.zone,
        view.serial,
        view.made_at,
        canonical(layered(view, "v4", answers)),
        ip6,
        deep,
        Names(rows_of(view), masks_of(view), view.zone.exact),
        view.zonemd,
        view.withheld,
    )


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
    inside = joined(deep)
    whole = {piece.upper: piece.mask for piece in inside if piece.first == 0 and piece.last == LOW64}
    if deep:
        table = laid_over(
            table, pieces((upper, upper, whole.get(upper, 0)) for upper in {piece.upper for piece in deep})
        )
    return canonical(table), [piece for piece in inside if piece.mask and piece.upper not in whole]


def joined(deep: Iterable[Deep]) -> list[Deep]:
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
    file, masks = view.deep, masks_of(view)
    return [
        Deep(upper, first, last, int(masks[answer]))
        for upper, first, last, answer in zip(
            file.v6d, file.v6dlow, file.v6dhigh, answer_ids(file, "v6d").tolist(), strict=True
        )
    ]


def rows_of(view: ServedZone) -> list[bytes]:
    """The names of base and delta as rows, sorted; what is gone is not there."""
    newer = {name.translate(TO_ROW): value for name, value in carried_names(view).items()}
    rows = [name + tail(value) for name, value in newer.items() if value != GONE]
    tails = Tails()
    columns = [column.tolist() for column in name_columns(view.base)]
    text = bytes(view.base.names).translate(TO_ROW)
    if newer:
        for start, end, value in zip(*columns, strict=True):
            name = text[start:end]
            if name not in newer:
                rows.append(name + tails[value])
    else:
        rows += [text[start:end] + tails[value] for start, end, value in zip(*columns, strict=True)]
    rows.sort()
    return rows


class Tails(dict[int, bytes]):
    """The end of a row by its value."""

    def __missing__(self, value: int) -> bytes:
        made = self[value] = tail(value)
        return made


def tail(value: int) -> bytes:
    return b"\0\0" + value.to_bytes(VALUE, "big")
