"""What came and what became of it, for /metrics. A flood of refusals is a number here and no line in the log."""

from __future__ import annotations

import logging

from ...errors import raised_at

__all__ = ["REASONS", "Counters", "Faults"]

log = logging.getLogger("dnsbl.trap")

REASONS = (
    "connections",  # as many as there may be
    "network",  # as many as there may be from one network
    "proxy",  # no or a broken PROXY header from a proxy
    "tls",  # a handshake that failed, or commands sent ahead of it
    "recipient",  # an address that nobody declared
    "recipients",  # too many for one mail
    "size",  # a mail larger than max_bytes
    "line",  # a line that has no end
    "memory",  # too much mail at once
    "idle",  # silence, or a session that went on too long
    "slow",  # a mail that came drop by drop
    "cut",  # the connection was lost within a mail
    "errors",  # too many commands that failed
    "commands",  # too many of one kind, or unknown ones
    "closing",  # the server stops
)


class Counters:
    """Counts since the start, but for `open` and `held`, which are of now."""

    def __init__(self) -> None:
        self.connections = 0  # taken
        self.open = 0  # connections
        self.held = 0  # octets of mails in memory
        self.tls = 0  # handshakes that succeeded
        self.accepted = 0  # mails, and so are the next three
        self.deferred = 0  # the taker could not: the client shall come again
        self.refused = 0  # the taker did not want it
        self.failed = 0  # errors of ours, of which each kind is logged once
        self.bytes = 0  # octets of mails that came whole
        self.refusals = dict.fromkeys(REASONS, 0)

    def refuse(self, reason: str) -> None:
        """Count a refusal by the receiver itself; `reason` is one of REASONS."""
        self.refusals[reason] += 1

    def snapshot(self) -> dict[str, int]:
        """All of them under names that /metrics can use: `refused_size` is one of `refusals`."""
        plain = {name: count for name, count in vars(self).items() if name != "refusals"}
        return plain | {f"refused_{reason}": count for reason, count in self.refusals.items()}


class Faults:
    """Errors of ours: each counted, each kind logged once with where it came from."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.seen: set[tuple[type[BaseException], str, int]] = set()

    def note(self, error: BaseException) -> None:
        self.counters.failed += 1
        kind = raised_at(error)
        if kind not in self.seen:
            self.seen.add(kind)
            log.error(
                "%s in %s:%s while taking a mail; more of this kind are only counted", kind[0].__name__, *kind[1:]
            )
