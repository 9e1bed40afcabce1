"""How exports write addresses, and cut texts where the subject goes. Pure.

An address is put together from two halves that are written beforehand: a million of them take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain

import numpy as np

from ...clock import rfc3339
from ..blocks import Blocks
from ..contents import Contents
from ..table import Words
from ..tree import Names

__all__ = ["LINES", "about", "addresses4", "chunked", "header", "name_lines", "networks4", "reversed4"]

LINES = 8192  # lines put together before they are passed on
HALF = np.uint64(16)
LOW16 = np.uint64(0xFFFF)


@cache
def halves() -> tuple[list[str], list[str], list[str], list[str]]:
    """`1.2.` and `3.4` for every upper and lower half of an address, and `4.3` and `.2.1` of its reversed name."""
    pairs = [divmod(number, 256) for number in range(1 << 16)]
    return (
        [f"{one}.{two}." for one, two in pairs],
        [f"{one}.{two}" for one, two in pairs],
        [f"{two}.{one}" for one, two in pairs],
        [f".{two}.{one}" for one, two in pairs],
    )


def split(numbers: Words) -> tuple[list[int], list[int]]:
    return (numbers >> HALF).tolist(), (numbers & LOW16).tolist()


def addresses4(numbers: Words) -> list[str]:
    upper, lower, _, _ = halves()
    return [upper[one] + lower[two] for one, two in zip(*split(numbers), strict=True)]


def reversed4(numbers: Words) -> list[str]:
    """`4.3.2.1` for 1.2.3.4."""
    _, _, lower, upper = halves()
    return [lower[two] + upper[one] for one, two in zip(*split(numbers), strict=True)]


ENDS4 = [f"/{prefix}\n" for prefix in range(32)] + ["\n"]


def networks4(blocks: Blocks) -> str:
    """A line for each network; a host without its /32."""
    upper, lower, _, _ = halves()
    one, two = split(blocks.first)
    ends = map(ENDS4.__getitem__, blocks.prefix.tolist())
    return "".join(
        chain.from_iterable(zip(map(upper.__getitem__, one), map(lower.__getitem__, two), ends, strict=True))
    )


def chunked(lines: Iterable[str]) -> Iterator[str]:
    """Lines, some thousand at a time."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if len(gathered) >= LINES:
            yield "".join(gathered)
            gathered.clear()
    if gathered:
        yield "".join(gathered)


def name_lines(names: Names, code: int, dot: str) -> Iterator[str]:
    """The listed names that answer with a code, each after a dot or nothing."""
    for some in names.listed(code):
        yield "".join([f"{dot}{name}\n" for name in some])


def header(held: Contents, mark: str, notes: Iterable[str]) -> str:
    """What the file is, as comments."""
    return "".join(f"{mark} {line}\n" for line in about(held, notes))


def about(held: Contents, notes: Iterable[str]) -> Iterator[str]:
    """What a file is: zone, serial, time, count, terms, and what its format cannot say."""
    yield f"zone {held.zone.origin} ({held.zone.name}), serial {held.serial}, made {rfc3339(held.made_at)}"
    what = "ranges and addresses" if held.zone.kind == "ip" else "names"
    yield f"{held.count:,} listed {what}, before any is cut or joined for this format"
    if held.zone.shutdown:
        yield f"{held.zone.origin} is shut down and lists nothing: stop using it"
    if held.zone.licence:
        yield f"licence: {held.zone.licence}"
    if held.withheld:
        yield f"{held.withheld:,} entries are left out: the terms of the feeds they stand on forbid to pass them on"
    yield from notes
