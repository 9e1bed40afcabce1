"""Step files: what one publish changed, in the container of snapshots (its checksum, its sections; see `snapshot`).

    meta    JSON: old and new serial, made at, the digests, which frame of the zone it is of; the masks that ids
            stand for; and how many rows of each section left, which come before those that came
    v4      firsts, then lasts (4 bytes)
    v6      firsts, then lasts, of upper halves (8)
    deep    uppers, firsts, lasts (8)
    ids     mask ids of v4, v6, deep and names (2)
    names   length (1 byte), kind (1), id of the mask above (2), text from the top label

Failure: a file that is short, altered or makes no sense is refused with SnapshotError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ..config import ZoneDef
from ..errors import SnapshotError
from .arrays import Arrays, packed
from .contents import Kind, Node
from .difference import Change, Step
from .snapshot import sections_of
from .table import Deep, Pieces, Words, distinct

__all__ = ["StoredStep", "net", "packed_step", "read_step"]

SECTIONS = {"meta": (1,), "v4": (4,), "v6": (8,), "deep": (8,), "ids": (2,), "names": (1,)}
KINDS = (Kind.LISTED, Kind.BETWEEN, Kind.HOLE)
NAME_HEAD = 4  # bytes before a name
MAX_MASKS = 65_536  # of one step: ids are two bytes
Columns = NDArray[np.uint64]


@dataclass(slots=True, frozen=True)
class StoredStep:
    """A step as a file has it: rows of numbers, each with its sign: -1 left, 1 came. Tables have a row for each piece:
    first, last, mask; deep ones upper, first, last, mask."""

    old: int
    new: int
    made_at: int
    frame: str
    zonemd_old: bytes
    zonemd_new: bytes
    v4: Columns
    v6: Columns
    deep: Columns
    signs: dict[str, NDArray[np.int8]]  # of the three tables
    names: list[tuple[Node, int]]


def packed_step(step: Step, frame: str) -> list[bytes]:
    """A step as a file, in parts. Raises SnapshotError where it has too many different sets of codes."""
    sides = step.removed, step.added
    tables = {"v4": [side.ip4 for side in sides], "v6": [side.ip6 for side in sides]}
    deep = np.array([(p.upper, p.first, p.last, p.mask) for side in sides for p in side.deep], np.uint64).reshape(-1, 4)
    nodes = [node for side in sides for node in side.names]
    masks = np.concatenate(
        [
            *(side.mask for table in tables.values() for side in table),
            deep[:, 3],
            np.array([node.mask for node in nodes], np.uint64),
            np.array([node.above for node in nodes], np.uint64),
        ]
    )
    known = distinct(masks)
    if len(known) > MAX_MASKS:
        raise SnapshotError(f"more than {MAX_MASKS:,} different sets of codes in one step")
    ids = np.searchsorted(known, masks).astype(np.uint16)
    above = ids[len(ids) - len(nodes) :]
    meta = {
        "old": step.old, "new": step.new, "made_at": step.made_at, "zone": frame,
        "zonemd_old": step.zonemd_old.hex(), "zonemd_new": step.zonemd_new.hex(), "masks": known.tolist(),
        "left": [len(step.removed.ip4), len(step.removed.ip6), len(step.removed.deep), len(step.removed.names)],
    }  # fmt: skip
    arrays: Arrays = {
        "v4": ends(tables["v4"]).astype(np.uint32),
        "v6": ends(tables["v6"]),
        "deep": np.ascontiguousarray(deep[:, :3].T).ravel(),
        "ids": ids[: len(ids) - len(nodes)],
        "names": names_packed(nodes, above.tolist()),
    }
    return packed(meta, arrays)


def ends(sides: Sequence[Pieces]) -> Words:
    return np.concatenate([*(side.first for side in sides), *(side.last for side in sides)])


def names_packed(nodes: Sequence[Node], above: Sequence[int]) -> NDArray[np.uint8]:
    parts = (
        bytes((len(node.name), KINDS.index(node.kind))) + over.to_bytes(2, "little") + node.name
        for node, over in zip(nodes, above, strict=True)
    )
    return np.frombuffer(b"".join(parts), np.uint8)


def read_step(path: Path) -> StoredStep:
    """A step file, verified. Raises SnapshotError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read ({error.strerror})") from error
    parts = sections_of(path, memoryview(content), SECTIONS)
    try:
        return made_out(orjson.loads(parts["meta"]), {name: np.asarray(part) for name, part in parts.items()})
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError) as error:
        raise SnapshotError(f"{path}: makes no sense as a step ({type(error).__name__})") from error


def made_out(meta: Any, parts: dict[str, NDArray[Any]]) -> StoredStep:
    masks = np.array(meta["masks"], np.uint64)
    tables = {name: parts[name].astype(np.uint64).reshape(width, -1).T for name, width in WIDTHS.items()}
    texts = list(name_rows(parts["names"].tobytes()))
    counts = [*map(len, tables.values()), len(texts)]
    ids = np.split(parts["ids"].astype(np.int64), np.cumsum(counts))
    if [*map(len, ids)] != [*counts, 0] or any(left > count for left, count in zip(meta["left"], counts, strict=True)):
        raise ValueError("columns of different lengths")
    signs = [signs_of(left, count) for left, count in zip(meta["left"], counts, strict=True)]
    rows = {name: np.column_stack([table, masks[own]]) for (name, table), own in zip(tables.items(), ids, strict=False)}
    names = [
        (Node(text, mask, KINDS[kind], int(masks[over])), sign)
        for (text, kind, over), mask, sign in zip(texts, masks[ids[3]].tolist(), signs[3].tolist(), strict=True)
    ]
    return StoredStep(
        int(meta["old"]), int(meta["new"]), int(meta["made_at"]), str(meta["zone"]),
        bytes.fromhex(meta["zonemd_old"]), bytes.fromhex(meta["zonemd_new"]),
        rows["v4"], rows["v6"], rows["deep"], dict(zip(tables, signs, strict=False)), names,
    )  # fmt: skip


WIDTHS = {"v4": 2, "v6": 2, "deep": 3}


def signs_of(left: int, count: int) -> NDArray[np.int8]:
    signs = np.ones(count, np.int8)
    signs[:left] = -1
    return signs


def name_rows(blob: bytes) -> Iterable[tuple[bytes, int, int]]:
    """Text, kind and id of the mask above. Raises IndexError where the last one is cut."""
    place = 0
    while place < len(blob):
        start = place + NAME_HEAD
        end = start + blob[place]
        if end > len(blob):
            raise IndexError
        yield blob[start:end], blob[place + 1], int.from_bytes(blob[place + 2 : start], "little")
        place = end


# several as one


def net(zone: ZoneDef, steps: Sequence[StoredStep]) -> Step:
    """Steps that follow one another as one: what came and left again, or the other way round, is in neither. Memory by
    the rows of all of them."""
    first, last = steps[0], steps[-1]
    left4, came4 = netted(steps, "v4")
    left6, came6 = netted(steps, "v6")
    gone, here = netted(steps, "deep")
    left, came = netted_names(chain.from_iterable(step.names for step in steps))
    return Step(
        zone, first.old, last.new, last.made_at,
        Change(table(left4), table(left6), deep_pieces(gone), left),
        Change(table(came4), table(came6), deep_pieces(here), came),
        first.zonemd_old, last.zonemd_new,
    )  # fmt: skip


def netted(steps: Sequence[StoredStep], name: str) -> tuple[Columns, Columns]:
    """The rows of a table that left and those that came in all, ascending."""
    rows = np.concatenate([getattr(step, name) for step in steps])
    signs = np.concatenate([step.signs[name] for step in steps]).astype(np.int64)
    if not len(rows):
        return rows, rows
    order = np.lexsort(rows.T[::-1])
    rows, signs = rows[order], signs[order]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(signs, starts)
    return rows[starts[sums < 0]], rows[starts[sums > 0]]


def netted_names(names: Iterable[tuple[Node, int]]) -> tuple[list[Node], list[Node]]:
    """The same of names. What is above a name counts as it was when it left or came last."""
    sums: dict[tuple[bytes, int, Kind], int] = {}
    latest: dict[tuple[bytes, int, Kind, int], Node] = {}
    for node, sign in names:
        key = node[:3]
        sums[key] = sums.get(key, 0) + sign
        latest[(*key, sign)] = node
    found: dict[int, list[Node]] = {-1: [], 1: []}
    for key, total in sums.items():
        sign = (total > 0) - (total < 0)
        if sign:
            found[sign].append(latest[(*key, sign)])
    return sorted(found[-1], key=by_name), sorted(found[1], key=by_name)


def by_name(node: Node) -> bytes:
    return node.name


def table(rows: Columns) -> Pieces:
    return Pieces(*(np.ascontiguousarray(rows[:, column]) for column in range(3)))


def deep_pieces(rows: Columns) -> list[Deep]:
    return [Deep(*row) for row in rows.tolist()]
