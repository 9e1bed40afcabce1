"""Proof of work: a sum that takes a browser a second or a few, and us no time to check (altcha, protocol version 2).

The browser is given the beginning of a key that PBKDF2 (RFC 8018) derived from a counter, and looks for that counter by
trying one after another. It proves no person; it makes a robot pay for each form, and people do not notice.

Each sum is good for one form, within LIFETIME. Which were used is kept in memory; the key is random for each process,
so that after a restart no earlier sum is good.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import altcha

from .used import Used

__all__ = ["COST", "MOST", "Work"]

ALGORITHM = "PBKDF2/SHA-256"  # WebCrypto has it: a browser is no slower at it than a program
COST = 2000  # iterations of one try: long enough that the call around it does not matter, 0.5 ms for us
# Tries at most; half of it on average, 4 million iterations: 1 to 3 seconds on a phone, less than one on a desk.
MOST = 4000
LIFETIME = 600  # seconds
MAX_PAYLOAD = 2048  # characters; ours have some 700


class Work:
    """Gives sums out and takes each once. `now`: seconds since 1970, as altcha signs them."""

    def __init__(self, key: bytes, now: Callable[[], float] = time.time) -> None:
        self.key, self.now = key, now
        self.used = Used()

    def challenge(self) -> dict[str, Any]:
        """A sum as altcha writes it; `data.most` is the counter's bound. Takes as long as one try; from any thread."""
        return altcha.create_challenge(
            ALGORITHM,
            COST,
            counter=secrets.randbelow(MOST),
            expires_at=int(self.now()) + LIFETIME,
            data={"most": MOST},
            hmac_secret=self.key,
            hmac_key_secret=self.key + b"derived",
        ).to_dict()

    def solved(self, payload: str) -> bool:
        """Whether this is a sum of ours, solved, in time and for the first time; which it then no longer is.
        `payload` is untrusted: base64 of altcha's JSON."""
        found = parsed(payload)
        if found is None:
            return False
        result = altcha.verify_solution(found, self.key, hmac_key_secret=self.key + b"derived")
        signed = found.challenge
        if not result.verified or not signed.signature or not signed.parameters.expires_at:
            return False
        return self.used.spend(signed.signature.encode(), signed.parameters.expires_at, self.now())


def parsed(payload: str) -> altcha.Payload | None:
    """A payload, whose values can still be anything."""
    if not payload or len(payload) > MAX_PAYLOAD:
        return None
    try:
        return altcha.Payload.from_base64(payload)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
