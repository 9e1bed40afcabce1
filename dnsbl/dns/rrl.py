"""Response rate limiting: a server that answers forged addresses is a weapon against who has them. Each network and
kind of reply has a bucket of replies, filled at a steady rate. Above it most replies are dropped; every so many-th goes
out empty with TC, so that a real client comes back over TCP, which proves where it is.

A bucket holds a second's worth at most and owes up to a window's worth: who floods is limited until it has been quiet
for so long. The rules are those of BIND (ARM, "Response Rate Limiting"); kinds are fewer, as a blocklist's names are
all alike: positive, negative, error. `native/src/limiter.rs` does the same in a table of fixed size.
"""

from __future__ import annotations

from typing import Literal

from ..config import RateConfig
from .message import Rcode
from .networks import Client, Networks, share

__all__ = ["Limiter", "kind_of"]

Verdict = Literal["send", "slip", "drop"]

SHARED_BITS = {4: 24, 6: 56}  # RFC 7871 section 11.1's lengths, and BIND's defaults
MAX_BUCKETS = 65_536  # strangers choose their addresses: when full, all begin anew
TIMES = 1 << 16  # seconds of a bucket's clock, which goes round
POSITIVE, NEGATIVE, ERROR = range(3)


class Limiter:
    """The buckets of one server."""

    def __init__(self, settings: RateConfig) -> None:
        self.rate = settings.responses
        self.slip = settings.slip
        self.window = settings.window
        self.exempt = Networks(settings.exempt)
        self.buckets: dict[tuple[bytes, int], tuple[int, int, int]] = {}  # balance, when, limited since the last slip

    def take(self, client: Client, kind: int, now: int) -> Verdict:
        """What becomes of one reply; `now` in seconds."""
        if client is None or client in self.exempt:
            return "send"
        key = share(client, SHARED_BITS), kind
        bucket = self.buckets.get(key)
        if bucket is None:
            if len(self.buckets) >= MAX_BUCKETS:
                self.buckets.clear()
            bucket = self.rate, now, 0
        balance, at, limited = bucket
        balance = min(self.rate, balance + (now - at) % TIMES * self.rate)
        balance = max(-self.rate * self.window, balance - 1)
        verdict: Verdict = "send"
        if balance < 0:
            limited += 1
            slips = 0 < self.slip <= limited
            verdict, limited = ("slip", 0) if slips else ("drop", min(limited, self.slip))
        self.buckets[key] = balance, now, limited
        return verdict


def kind_of(rcode: int, answers: int) -> int:
    """The kind of a reply."""
    if rcode == Rcode.NOERROR and answers:
        return POSITIVE
    return NEGATIVE if rcode in (Rcode.NOERROR, Rcode.NXDOMAIN) else ERROR
