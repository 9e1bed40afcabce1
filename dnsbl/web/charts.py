"""Charts as SVG that stands in a page: no script, no style attribute, colours by class from the style sheet (`s0` to
`s7` for series, `axis`, `cell`), so that they are right in the dark and under our CSP. Pure; every text is escaped.

A picture says its title to those who do not see it; its figures stand in a table beside it, which the page makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from markupsafe import Markup

__all__ = ["COLOURS", "Series", "folded", "matrix", "stacked", "top_of_scale"]

COLOURS = 8  # that can be told apart
WIDTH, HEIGHT = 720, 240  # of a picture of bars, in units of its view box; text is 12 high
LEFT, TOP, BOTTOM = 76, 10, 28  # room for the figures at the left, and for the labels below
MAX_LABELS = 8  # below the bars
CELL, NAMES = 46, 190  # a matrix: a cell's side, the room for names
MAX_NAME = 24  # characters of a name in a picture; the table has it whole

FRAME = Markup(
    '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{id}-title">'
    '<title id="{id}-title">{title}</title>{parts}</svg>'
)
RECT = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
LINE = Markup('<line class="axis" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>')
TEXT = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
SHADED = Markup('<rect class="cell" x="{}" y="{}" width="{}" height="{}" fill-opacity="{:.2f}"/>')


class Series(NamedTuple):
    """One colour of a chart: a value for each place on the axis."""

    name: str
    values: Sequence[int]


def folded(series: Iterable[Series], rest: str) -> list[Series]:
    """As many series as there are colours, in their order: those with nothing are left out, and the smallest are one,
    named `rest`."""
    found = [each for each in series if any(each.values)]
    if len(found) <= COLOURS:
        return found
    kept = sorted(found, key=lambda each: -sum(each.values))[: COLOURS - 1]
    others = zip(*(each.values for each in found if each not in kept), strict=True)
    return [each for each in found if each in kept] + [Series(rest, [sum(values) for values in others])]


def stacked(
    id: str, title: str, labels: Sequence[str], series: Sequence[Series], number: Callable[[float], str]
) -> Markup:
    """Bars of series on one another, one for each label; `number` writes a figure at the axis."""
    totals = [sum(values) for values in zip(*(each.values for each in series), strict=True)]
    top = top_of_scale(max(totals, default=0))
    step = (WIDTH - LEFT) / max(len(labels), 1)
    parts = [axis(top, number)]
    for place, label in enumerate(labels):
        left = LEFT + place * step
        heights = [height(each.values[place], top) for each in series]
        for colour, (tall, ground) in enumerate(zip(heights, accumulate(heights), strict=True)):
            if tall:
                parts.append(RECT.format(f"s{colour}", left + step * 0.1, HEIGHT - BOTTOM - ground, step * 0.8, tall))
        if place % -(-len(labels) // MAX_LABELS) == 0:
            parts.append(TEXT.format(left + step / 2, HEIGHT - BOTTOM + 18, "middle", cut(label)))
    return FRAME.format(WIDTH, HEIGHT, id=id, title=title, parts=Markup().join(parts))


def axis(top: int, number: Callable[[float], str]) -> Markup:
    """Lines across at nothing, half and the top of the scale, with their figures."""
    parts = []
    for value in (0, top / 2, top) if top > 1 else (0, top):
        y = HEIGHT - BOTTOM - height(value, top)
        parts += [LINE.format(LEFT, y, WIDTH, y), TEXT.format(LEFT - 8, y + 4, "end", number(value))]
    return Markup().join(parts)


def height(value: float, top: int) -> float:
    return (HEIGHT - BOTTOM - TOP) * value / top


def top_of_scale(most: int) -> int:
    """The next of 1, 2, 4, 6, 8, 10, 20, 40 ... that is not below: its half is a whole number too."""
    unit = 1
    while most > 10 * unit:
        unit *= 10
    return next(step * unit for step in (1, 2, 4, 6, 8, 10) if step * unit >= most)


def matrix(
    id: str, title: str, names: Sequence[str], shares: Sequence[Sequence[float]], percent: Callable[[float], str]
) -> Markup:
    """How much of each row's list each column's has too: shares of 0..1 as shades with their figure. Columns are
    numbered as rows are."""
    parts = []
    for row, (name, line) in enumerate(zip(names, shares, strict=True)):
        y = 24 + row * CELL
        parts.append(TEXT.format(NAMES - 8, y + CELL / 2 + 4, "end", f"{cut(name)} {row + 1}"))
        parts.append(TEXT.format(NAMES + row * CELL + CELL / 2, 16, "middle", row + 1))
        for column, share in enumerate(line):
            if column != row:
                x = NAMES + column * CELL
                parts.append(SHADED.format(x + 1, y + 1, CELL - 2, CELL - 2, 0.08 + 0.42 * min(share, 1)))
                parts.append(TEXT.format(x + CELL / 2, y + CELL / 2 + 4, "middle", percent(share)))
    side = len(names) * CELL
    return FRAME.format(NAMES + side, 24 + side, id=id, title=title, parts=Markup().join(parts))


def cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
