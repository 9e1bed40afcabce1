"""What is good for one time: remembered until it would have expired anyway, and in bounded memory."""

from __future__ import annotations

import heapq

__all__ = ["Used"]

REMEMBERED = 100_000  # at once: some 20 MB


class Used:
    """Never says yes twice to the same name, whatever the clock does. Where more than `most` would have to be
    remembered, those that expire first are forgotten, and everything that expires no later counts as expired."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self.most = most
        self.names: set[bytes] = set()
        self.expiring: list[tuple[float, bytes]] = []  # a heap of the same
        self.gone = 0.0  # what expires at this moment or before it is refused: it may have been forgotten

    def spend(self, name: bytes, expires: float, now: float) -> bool:
        """Use a name up. False: it was used, or has expired."""
        self.forget(now)
        if name in self.names or expires <= self.gone:
            return False
        if len(self.names) >= self.most:
            self.forget(self.expiring[0][0])
            if expires <= self.gone:
                return False
        self.names.add(name)
        heapq.heappush(self.expiring, (expires, name))
        return True

    def forget(self, until: float) -> None:
        self.gone = max(self.gone, until)
        while self.expiring and self.expiring[0][0] <= self.gone:
            self.names.discard(heapq.heappop(self.expiring)[1])
