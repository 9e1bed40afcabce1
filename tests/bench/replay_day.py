"""A day of changes of a real list: what goes and what comes between two editions, as often as real reports do."""

from __future__ import annotations

import csv
import gzip
import random
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["DAY", "HOUR", "PARTS", "Day"]

EDITIONS = "ipsum-2026-01-02.txt", "ipsum-2026-08-22.txt"
ENTRIES = 80_000
PARTS = 64  # the list is kept in so many, so that a change costs what it is, and not the reading of the whole list
DAY, HOUR = 86_400, 3600


class Part:
    """Some of the list's entries: what is listed, what goes next, what comes next. What goes comes back, last."""

    def __init__(self, staying: Sequence[str], going: Sequence[str], coming: Sequence[str]) -> None:
        self.listed = {*staying, *going}
        self.going, self.coming = deque(going), deque(coming)

    def change(self, many: int) -> None:
        for number in range(many):
            out, into = (self.going, self.coming) if number % 2 else (self.coming, self.going)
            subject = out.popleft()
            into.append(subject)
            self.listed.symmetric_difference_update((subject,))


class Day:
    """The list at its begin, and at which seconds of the day something changes."""

    def __init__(self, data: Path, changes: int, seed: int = 1) -> None:
        chance = random.Random(seed)
        old, new = (edition(data / "lists" / name) for name in EDITIONS)
        staying = sorted(old & new)
        going = chance.sample(sorted(old - new), ENTRIES - len(staying))
        coming = chance.sample(sorted(new - old), len(new - old))
        self.parts = [Part(*(each[number::PARTS] for each in (staying, going, coming))) for number in range(PARTS)]
        self.times = sorted(chance.choices(busiest(data), k=24 * changes))

    def publishes(self, start: int, end: int, every: float) -> Iterator[tuple[float, int]]:
        """At which second of the day, and how many changes."""
        number = sum(at < start for at in self.times)
        due = start + every
        while due <= end:
            many = sum(at < due for at in self.times[number : number + ENTRIES])
            if many:
                yield due, many
            number, due = number + many, due + every


def edition(path: Path) -> set[str]:
    """The addresses of a list, an address and a number a line."""
    lines = path.read_text().splitlines()
    return {line.split("\t")[0] for line in lines if line and not line.startswith("#") and "\t" in line}


def busiest(data: Path) -> list[int]:
    """The seconds of the day of all reports on the day that has most of them."""
    days: dict[int, list[int]] = {}
    for path in sorted((data / "reports").glob("abuse-reports-*.csv.gz")):
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                day, second = divmod(int(row["time"]), DAY)
                days.setdefault(day, []).append(second)
    return max(days.values(), key=len)
