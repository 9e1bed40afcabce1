"""What of a listing may be given away: exports and transfers leave out what stands only on feeds whose terms forbid it.

A listing is decided a second time from the claims of all other sources. The codes that it then still has, of those it
has, may be given away; where it would not be listed at all, none. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..store.contract import Source
from .score import Bools, Claims, Weighing, decide

__all__ = ["Sharing", "shareable"]

Sharing = dict[int, tuple[int, int]]  # by place: the codes (a bit each) that may be given away, and when they change


def shareable(
    claims: Claims, weighing: Weighing, sources: Mapping[int, Source], was_listed: Bools, now: int
) -> Sharing:
    """For each place that any source claims whose terms forbid giving away, what stands without such sources; (0, 0)
    for nothing. `claims`, `was_listed`: as for `decide`."""
    ours = np.array([source for source, each in sources.items() if not each.redistribute], dtype=np.int64)
    kept = np.isin(claims.source, ours)
    if not kept.any():
        return {}
    concerned = np.zeros(len(was_listed), dtype=np.bool_)
    concerned[claims.place[kept]] = True
    found: Sharing = dict.fromkeys(np.flatnonzero(concerned).tolist(), (0, 0))
    rest = decide(claims.where(concerned[claims.place] & ~kept), weighing, was_listed, now)
    columns = (rest.places, rest.codes, rest.due)
    found.update(
        (place, (codes, due))
        for place, codes, due in zip(*(column[rest.listed].tolist() for column in columns), strict=True)
    )
    return found
