"""Listed names of a zone that is not of addresses, many at a time. Pure, numpy.

What a listed name answers needs no tree: names of one size and one answer become one array, whatever is between them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..config import ZoneDef
from .hashed import Places
from .packed import Group, Octets, labels
from .recordset import forms_of
from .snapshot import EMPTY_NAME
from .table import Words
from .tree import DOT, Names, turned

__all__ = ["listed", "lone"]

MANY = 65_536  # names at once: more of them are alike
OCTETS = 1 << 20  # of the names of a group: some twenty times that is needed to turn them


def listed(names: Names, zone: ZoneDef) -> Iterator[Group]:
    """All listed names, those next to one another in the tree not far apart: who takes them in (a secondary, into its
    own tree) needs half the time that it would for the order of the hashes."""
    names = names.ordered()
    places = np.flatnonzero(names.values < EMPTY_NAME)
    for start in range(0, len(places), MANY):
        yield from lone(names, places[start : start + MANY], zone)


def lone(names: Names, places: Places, zone: ZoneDef) -> Iterator[Group]:
    """Listed names, in groups that say where each was among the places."""
    for alike in kinds(names.sizes[places], names.values[places], names.masks):
        size, mask = int(names.sizes[places[alike[0]]]), int(names.masks[names.values[places[alike[0]]]])
        forms = forms_of(size, zone)
        step = max(1, OCTETS // (size + 1))
        for start in range(0, len(alike) if forms else 0, step):
            some = alike[start : start + step]
            tree = spans(names.text, names.starts[places[some]] - 1, size + 1)
            tree[:, 0] = DOT
            name = turned(tree.ravel(), np.arange(len(tree) + 1) * (size + 1)).reshape(tree.shape)[:, 1:]
            yield Group(mask, forms, some, labels(name), subjects(tree[:, 1:], name, zone.kind))


def kinds(sizes: NDArray[np.uint8], values: NDArray[np.uint16], masks: Words) -> Iterator[NDArray[np.intp]]:
    """Where names are that have the same size and value; by their codes, then size: a zone that answers alike comes
    alike, however its answers are numbered."""
    if not len(values):
        return
    known = np.unique(values)
    known = known[np.argsort(masks[known], kind="stable")]
    ranks = np.zeros(int(known.max()) + 1, dtype=np.int64)
    ranks[known] = np.arange(len(known))
    keys = ranks[values] << 8 | sizes
    keys = keys.astype(np.uint16 if len(known) <= 256 else np.uint32)  # 16 bits are sorted by radix
    order = np.argsort(keys, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def spans(text: Octets, starts: Places, size: int) -> Octets:
    """Parts of a text that are as long, a row each."""
    return np.ndarray(len(text) - size + 1, f"V{size}", text, strides=(1,))[starts].view(np.uint8).reshape(-1, size)


def subjects(tree: Octets, name: Octets, kind: str) -> Octets:
    """What texts say of names: a hash or number as people write it."""
    if kind == "hash":
        cuts = tree[:, 1:] == DOT
        first = cuts & (np.cumsum(cuts, axis=1) == 1)
        return np.where(first, np.uint8(ord(":")), tree[:, 1:])
    if kind == "e164":
        return np.insert(tree[:, ::2], 0, ord("+"), axis=1)
    return name
