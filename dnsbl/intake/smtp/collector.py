"""The octets of one mail, from DATA to its end, in memory that is counted. Pure.

A mail ends at CRLF . CRLF and at nothing else (RFC 5321 section 4.1.1.4). Servers that also take LF . LF, CR . CR or a
mixture let a stranger hide a second mail in the first ("SMTP smuggling", CVE-2023-51764 and its family). A bare CR or
LF itself is no reason to refuse: spam software sends them, and here they are octets like any other.
"""

from __future__ import annotations

from .counters import Counters
from .limits import Limits

__all__ = ["Collector", "Holding"]

END = b"\r\n.\r\n"
LINE_END = b"\r\n"
OVERLAP = len(END) - 1  # octets that may be the beginning of the end
DOT = len(END) - len(LINE_END)  # octets of the final dot's line, which are not the mail's


class Collector:
    """One mail. What is wrong with it is known at once and said at its end: then its octets are not kept."""

    def __init__(self, max_bytes: int, limits: Limits, holding: Holding) -> None:
        self.max_bytes, self.limits, self.holding = max_bytes, limits, holding
        self.octets = bytearray(LINE_END)  # that of the DATA command: a dot right after it ends an empty mail
        self.seen = 0  # octets, the final dot among them
        self.line = 0  # octets since the last LF
        self.fault = ""  # "size", "line" or "memory": why it is not kept

    def feed(self, data: bytes) -> bytes | None:
        """What stands after the end; None: the end has not come."""
        begin = max(0, len(self.octets) - OVERLAP)
        known = len(self.octets)
        self.octets += data
        end = self.octets.find(END, begin)
        if end < 0:
            self.count(data)
            return None
        after = end + len(END) - known
        self.count(data[:after])
        if not self.fault:
            del self.octets[end + len(LINE_END) :]
        return data[after:]

    def count(self, data: bytes) -> None:
        self.seen += len(data)
        self.measure_line(data)
        if not self.fault and self.seen > self.max_bytes + DOT:
            self.fault = "size"
        if not self.fault and not self.holding.add(len(data)):
            self.fault = "memory"
        if self.fault:
            del self.octets[:-OVERLAP]
            self.holding.release()

    def measure_line(self, data: bytes) -> None:
        """Lines end in LF here, with or without CR. One within a piece, and so shorter than it, is not looked at when
        the piece is no longer than a line may be."""
        for start in range(0, len(data), self.limits.line):
            piece = data[start : start + self.limits.line]
            first = piece.find(b"\n")
            longest = self.line + (len(piece) if first < 0 else first)
            self.line = longest if first < 0 else len(piece) - piece.rfind(b"\n") - 1
            if longest > self.limits.line:
                self.fault = self.fault or "line"

    @property
    def endless(self) -> bool:
        """It is refused, and goes on for so long that its end is not worth waiting for."""
        return bool(self.fault) and self.seen > self.limits.discarded * self.max_bytes

    def content(self) -> bytes:
        """The mail, when the end has come and there is no fault. A leading dot is taken from each line that has one
        (RFC 5321 section 4.5.2)."""
        content = bytes(self.octets)
        self.octets.clear()
        return content.replace(b"\r\n.", b"\r\n")[len(LINE_END) :]


class Holding:
    """The octets of one mail that are in memory, counted with all others'."""

    def __init__(self, counters: Counters, limits: Limits) -> None:
        self.counters, self.limits = counters, limits
        self.bytes = 0

    def add(self, count: int) -> bool:
        """Whether there is room for so many more."""
        small = self.bytes + count <= self.limits.small
        limit = self.limits.held if small else self.limits.held - self.limits.reserve
        if self.counters.held + count > limit:
            return False
        self.counters.held += count
        self.bytes += count
        return True

    def release(self) -> None:
        self.counters.held -= self.bytes
        self.bytes = 0
