"""A zone's A records as sorted lines, and what a transfer does to them. Pure.

    $ORIGIN bl.example.          first, always
    2.0.0.127 A 127.0.0.2        owner without the zone, in lower case; the address
    3.0.0.127 A 127.0.0.2        sorted by their bytes, each once

Order, case and TTL are left out, as they say nothing: so the differences of an IXFR and a whole transfer come to the
same bytes. Only the differences are held as lines; what was there before stays one piece of text and is searched.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from itertools import chain

import numpy as np

from .base import Fault, TooLarge

__all__ = ["Listing", "Misfit"]

LF = 10


class Misfit(Fault):
    """Differences that are not of what we have."""


class Listing:
    """Sorted lines after a first that stays, each with its LF, and the lines to be added to them and removed. What is
    held beside `text` is never more than `limit` bytes of new lines and the lines of `text` itself, however long the
    differences are."""

    def __init__(self, text: bytes, limit: int) -> None:
        self.text, self.limit = text, limit
        self.size = len(text)  # bytes with the differences applied
        self.starts = np.flatnonzero(np.frombuffer(text, np.uint8) == LF) + 1  # of each line, and the end of the last
        self.added: set[bytes] = set()
        self.removed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.starts) - 1 + len(self.added) - len(self.removed)

    def add(self, line: bytes) -> None:
        """A line that is there already stays as it is. Raises TooLarge."""
        if line in self.removed:
            self.removed.remove(line)
        elif line not in self.added and not self.had(line):
            self.added.add(line)
        else:
            return
        self.size += len(line)
        if self.size > self.limit:
            raise TooLarge(self.limit)

    def remove(self, line: bytes) -> None:
        """Raises Misfit where there is no such line."""
        if line in self.added:
            self.added.remove(line)
        elif line not in self.removed and self.had(line):
            self.removed.add(line)
        else:
            raise Misfit("a record is to be deleted that is not there")
        self.size -= len(line)

    def applied(self) -> bytes:
        """The lines as the differences leave them."""
        text, made, done = memoryview(self.text), io.BytesIO(), 0
        for line in sorted(chain(self.added, self.removed)):
            here = int(self.starts[self.place(line)])
            made.write(text[done:here])
            if line in self.removed:
                done = here + len(line)
            else:
                made.write(line)
                done = here
        made.write(text[done:])
        return made.getvalue()

    def had(self, line: bytes) -> bool:
        """Whether the line was there before."""
        return self.text.startswith(line, self.starts[self.place(line)])

    def place(self, line: bytes) -> int:
        """Which line of the text it is, or would stand before."""
        return bisect_left(range(len(self.starts) - 1), line, key=self.line)

    def line(self, number: int) -> bytes:
        return self.text[self.starts[number] : self.starts[number + 1]]
