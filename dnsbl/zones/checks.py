"""What must hold before anyone is answered from a newly built zone: the last look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import PublishRefused
from ..special import NEVER_LIST
from ..subjects import bounds, text, zone_name
from . import exact
from .arrays import answer_ids, numbers
from .build import test_points
from .served import ServedZone

__all__ = ["SMALL_ZONE", "check", "cover"]

SMALL_ZONE = 1000  # listings; a smaller zone may lose as many as it likes
IP4_SPACE = 2**32
Ints = NDArray[np.int64]


def check(new: ServedZone, old: ServedZone | None, force: bool) -> None:
    """What must hold before anyone is answered from it. Raises PublishRefused."""
    zone = new.zone
    if zone.shutdown:  # it was built of nothing
        return
    if zone.kind == "ip":
        check_addresses(new)
    else:
        check_names(new)
    if force:
        return
    share = cover(new) / IP4_SPACE
    if share > zone.checks.max_cover and (old is None or share > cover(old) / IP4_SPACE):
        raise PublishRefused(
            f"zone {zone.name}: would list {share:.0%} of all IPv4 addresses, more than checks.max_cover allows "
            f"({zone.checks.max_cover:.0%}); if that is meant, run `dnsbl zone build {zone.name} --force`"
        )
    before, after = old.listings if old else 0, new.listings
    if before >= SMALL_ZONE and after < before * (1 - zone.checks.max_drop):
        raise PublishRefused(
            f"zone {zone.name}: {after:,} listings where there were {before:,}; if that is meant, "
            f"run `dnsbl zone build {zone.name} --force`"
        )


def check_names(new: ServedZone) -> None:
    zone = new.zone
    if zone.exact:
        listed = [zone_name(subject) for subject in exact.test_points(zone)]
        never = [zone_name(subject) for subject in exact.never_listed(zone)]
    else:
        listed, never = [b"test"], [b"invalid"]
    right = all(new.lookup_name(name.split(b".")) > 0 for name in listed)
    if not right or any(new.lookup_name(name.split(b".")) > 0 for name in never):
        raise PublishRefused(f"zone {zone.name}: the test names do not answer right; nothing was published")


def check_addresses(new: ServedZone) -> None:
    points = test_points(new.zone)
    right = all(new.lookup4(point) > 0 and new.lookup6(0xFFFF << 32 | point) > 0 for point in points)
    if not right or new.lookup4(0x7F000001) or new.lookup6(0xFFFF << 32 | 0x7F000001):
        raise PublishRefused(f"zone {new.zone.name}: the test points do not answer right; nothing was published")
    for subject in NEVER_LIST:
        first, last = bounds(subject)
        if subject[:1] == b"6" or first == 127 << 24:  # the test points stand there
            continue
        if new.any4(first, last):
            raise PublishRefused(f"zone {new.zone.name}: would list {text(subject)}, which is never listed")


def cover(served: ServedZone) -> int:
    """How many IPv4 addresses are listed."""
    base, delta = served.base, served.delta
    one, low, high = numbers(base, "v4"), np.asarray(base.v4low), np.asarray(base.v4high)
    listed = np.concatenate([[0], np.cumsum(high.astype(np.int64) - low + 1)])
    total = len(one) + int(listed[-1])
    if delta is None:
        return total

    def below(edges: Ints) -> Ints:
        """How many addresses the ranges of the base list below each edge."""
        place = np.searchsorted(low, edges.astype(np.uint32))
        past = np.maximum(np.append(0, high.astype(np.int64))[place] + 1 - edges, 0)
        return np.where(place > 0, listed[place] - past, 0)

    first = np.concatenate([numbers(delta, "v4"), np.asarray(delta.v4low)])
    last = np.concatenate([numbers(delta, "v4"), np.asarray(delta.v4high)])
    shown = np.concatenate([answer_ids(delta, "v4one"), answer_ids(delta, "v4")]) != 0
    hidden = np.searchsorted(one, last, side="right") - np.searchsorted(one, first)
    first, last = first.astype(np.int64), last.astype(np.int64)
    hidden = hidden + below(np.minimum(last + 1, IP4_SPACE - 1)) - below(first)  # the last address is never listed
    return total + int((last - first + 1)[shown].sum()) - int(hidden.sum())
