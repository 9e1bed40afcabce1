"""What was measured, as text and as JSON: each row's least, median and most, and ratios taken round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

__all__ = ["Aim", "Table"]


@dataclass(slots=True)
class Aim:
    """What is asked of one row: a bound on its ratio to the best of others, or on its own value."""

    row: str
    bound: float | None  # None: the ratio is only told
    least: bool  # at least the bound; else at most
    against: Sequence[str] = ()  # rows of the same table; of several, the best of that round counts

    def values(self, rows: dict[str, list[float]]) -> list[float]:
        """The ratio of each round; nothing where a row was not measured."""
        others = [rows[name] for name in self.against if name in rows]
        if self.row not in rows or (self.against and not others):
            return []
        best = max if self.least else min
        bars = [best(some) for some in zip(*others, strict=True)] if others else [1.0] * len(rows[self.row])
        return [value / bar for value, bar in zip(rows[self.row], bars, strict=True) if bar]

    def verdict(self, values: Sequence[float]) -> str:
        """By the median."""
        if self.bound is None or not values:
            return ""
        found = median(values)
        return "met" if (found >= self.bound if self.least else found <= self.bound) else "MISSED"

    def text(self) -> str:
        what = f"{self.row} / {' or '.join(self.against)}" if self.against else self.row
        return what if self.bound is None else f"{what} {'>=' if self.least else '<='} {self.bound:g}"


@dataclass(slots=True)
class Table:
    """One measure: a value for each row and round."""

    title: str
    unit: str
    aims: list[Aim] = field(default_factory=list)
    rows: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, value: float) -> None:
        self.rows.setdefault(row, []).append(value)

    def text(self) -> str:
        width = max([len(row) for row in self.rows] + [len(aim.text()) for aim in self.aims] + [10])
        out = [f"## {self.title}", f"{self.unit:{width}}  {'min':>10} {'median':>10} {'max':>10}"]
        out += [f"{row:{width}}  {spread(values)}" for row, values in self.rows.items()]
        for aim in self.aims:
            values = aim.values(self.rows)
            found = spread(values) if values else "not measured"
            out.append(f"{aim.text():{width}}  {found:32} {aim.verdict(values)}".rstrip())
        return "\n".join([*out, *(f"({note})" for note in self.notes)]) + "\n"

    def data(self) -> dict[str, Any]:
        aims = [{**asdict(aim), "ratios": (values := aim.values(self.rows)), **summary(values)} for aim in self.aims]
        rows = {row: {"values": values, **summary(values)} for row, values in self.rows.items()}
        return {"title": self.title, "unit": self.unit, "rows": rows, "aims": aims, "notes": self.notes}


def spread(values: Sequence[float]) -> str:
    return " ".join(f"{number(value):>10}" for value in (min(values), median(values), max(values)))


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)} if values else {}
