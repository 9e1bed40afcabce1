"""Snapshot files for numpy: how those who build one write it, and its columns for those who take all of them. The
format is in `snapshot`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from ..errors import SnapshotError
from .snapshot import ALIGN, CHECKSUM_AT, HEADER, MAGIC, SECTION, VERSION, Snapshot

__all__ = ["Arrays", "answer_ids", "compact", "masks_at", "numbers", "numbers_at", "packed", "singles", "write"]

Arrays = dict[str, NDArray[Any]]

BUCKETS_FROM = 65_536  # so many singles are kept by bucket: fewer would not make up for the index
BUCKETS = 65_536


def write(path: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write a snapshot under a name of its own and sync it; nobody reads it until a pointer names it. Returns its size
    in bytes. Raises SnapshotError."""
    parts = packed(meta, arrays)
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        where = path.parent  # the file's name has the new serial: said again it would be another trouble
        raise SnapshotError(
            f"{where}: a snapshot cannot be written ({error.strerror}); the last good snapshot stays"
        ) from error
    return sum(map(len, parts))


def packed(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[bytes]:
    """A file of the snapshots' format, in parts. `arrays`: its sections but `meta`."""
    sections = {"meta": np.frombuffer(orjson.dumps(dict(meta)), dtype=np.uint8), **arrays}
    table = bytearray()
    blobs: list[bytes] = []
    offset = aligned(HEADER.size + SECTION.size * len(sections))
    for name, array in sections.items():
        blob = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        table += SECTION.pack(name.encode(), array.dtype.itemsize, offset, len(array))
        padding = bytes(aligned(len(blob)) - len(blob))
        blobs += [blob, padding]
        offset += len(blob) + len(padding)
    head = HEADER.pack(MAGIC, VERSION, len(sections), offset, 0) + bytes(table)
    head += bytes(aligned(len(head)) - len(head))
    digest = xxhash.xxh3_64(head)
    for blob in blobs:
        digest.update(blob)
    head = head[: CHECKSUM_AT.start] + digest.intdigest().to_bytes(8, "little") + head[CHECKSUM_AT.stop :]
    return [head, *blobs]


def aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def singles(addresses: NDArray[Any]) -> Arrays:
    """The sections of single IPv4 addresses, given ascending."""
    if len(addresses) < BUCKETS_FROM:
        return {"v4idx": np.array([0, len(addresses)], dtype=np.uint32), "v4one": addresses.astype(np.uint32)}
    starts = np.arange(BUCKETS, dtype=addresses.dtype) << addresses.dtype.type(16)
    index = np.append(np.searchsorted(addresses, starts), len(addresses))
    return {"v4idx": index.astype(np.uint32), "v4one": addresses.astype(np.uint16)}


def compact(ids: NDArray[Any]) -> NDArray[Any]:
    """A column of answer ids as it is stored: one item where all are equal."""
    return ids[:1] if len(ids) and (ids == ids[0]).all() else ids


def numbers(file: Snapshot, family: str) -> NDArray[Any]:
    """The singles of a file ("v4": whole addresses; "v6": upper halves), ascending."""
    places = slice(0, len(getattr(file, f"{family}one")))
    if family != "v4":
        return numbers_at(file, family, places)
    known = file.layers.get("numbers")  # made once: each publish looks into the base several times
    if not isinstance(known, np.ndarray):
        known = file.layers["numbers"] = numbers_at(file, family, places)
    return known


def numbers_at(file: Snapshot, family: str, places: slice) -> NDArray[Any]:
    """The same of some singles next to one another. Raises SnapshotError where their index is no index, as in a file
    that is altered while it is read: made from such a one, columns could have any size."""
    low = np.asarray(getattr(file, f"{family}one")[places])
    if family != "v4" or len(file.v4idx) != BUCKETS + 1:
        return low
    starts = np.clip(np.asarray(file.v4idx[:]), places.start, places.stop)
    if (starts[1:] < starts[:-1]).any() or starts[-1] - starts[0] != len(low):
        raise SnapshotError(f"{file.path}: section v4idx is out of order; build the zone again")
    high = np.arange(BUCKETS, dtype=np.uint32) << np.uint32(16)
    found: NDArray[Any] = np.repeat(high, np.diff(starts)) | low
    return found


def answer_ids(file: Snapshot, pieces: str) -> NDArray[Any]:
    """The answer ids of "v4one", "v4", "v6one", "v6" or "v6d", one for each piece."""
    count = len(getattr(file, pieces if pieces.endswith(("one", "d")) else f"{pieces}low"))
    return ids_at(file, pieces, slice(0, count))


def ids_at(file: Snapshot, pieces: str, places: slice) -> NDArray[Any]:
    """The same of some pieces next to one another."""
    ids = getattr(file, f"{pieces}a")
    if len(ids) == 1:
        return np.broadcast_to(np.asarray(ids[:]), places.stop - places.start)
    return np.asarray(ids[places])


def masks_at(file: Snapshot, pieces: str, places: slice, masks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The codes of some pieces next to one another; `masks`: those of each answer id. Raises SnapshotError."""
    ids = ids_at(file, pieces, places)
    if len(ids) and int(ids.max()) >= len(masks):
        raise SnapshotError(f"{file.path}: section {pieces}a has answers that the zone has not; build the zone again")
    found: NDArray[np.uint64] = masks[ids]
    return found
