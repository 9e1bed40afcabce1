"""Waiting instead of work: where the browser runs no script, the form comes back with a ticket that is good later.

A ticket says nothing and is kept nowhere before it is used: its bytes are when it was made, a nonce and an HMAC over
both, the purpose and the requester's network. It is good once, from WAIT seconds after it was made until LIFETIME. How
many a network gets is for `rates`. Times are those of a clock that never goes back, which means nothing to others: the
key is random for each process.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from .used import Used

__all__ = ["LIFETIME", "WAIT", "Redeemed", "Ticket", "Tickets"]

WAIT = 45  # seconds: far more than the work takes a browser
LIFETIME = 900  # seconds
HEAD = struct.Struct(">Q12s")  # milliseconds of our clock, nonce
TAG = 16  # bytes of the HMAC
SHAPE = re.compile(r"[A-Za-z0-9_-]{48}")  # 36 bytes: no text but one means the same


class Ticket(NamedTuple):
    """What the form carries, the seconds until it is good, and those until it is not any more. `early`: it was sent
    before it was good."""

    text: str
    wait: int
    left: int
    early: bool = False


class Redeemed(NamedTuple):
    """`good`: let in. `early`: the same ticket and what is left to wait. Neither: no ticket for this, or no more."""

    good: bool
    early: Ticket | None = None


BAD = Redeemed(False)


class Tickets:
    """Gives tickets out and takes each once. `now`: seconds of a clock that never goes back."""

    def __init__(self, key: bytes, now: Callable[[], float] = time.monotonic) -> None:
        self.key, self.now = key, now
        self.used = Used()

    def issue(self, purpose: str, network: bytes) -> Ticket:
        head = HEAD.pack(int(self.now() * 1000), secrets.token_bytes(12))
        text = base64.urlsafe_b64encode(head + self.tag(head, purpose, network)).decode()
        return Ticket(text, WAIT, LIFETIME)

    def redeem(self, text: str, purpose: str, network: bytes) -> Redeemed:
        """Use a ticket up; `text` is untrusted. One that comes early stays good."""
        if not SHAPE.fullmatch(text):
            return BAD
        packed = base64.urlsafe_b64decode(text)
        head, tag = packed[: HEAD.size], packed[HEAD.size :]
        if not hmac.compare_digest(tag, self.tag(head, purpose, network)):
            return BAD
        issued, now = HEAD.unpack(head)[0] / 1000, self.now()
        age = int(now - issued)  # whole seconds: what is shown and what holds are the same
        if age < WAIT:
            return Redeemed(False, Ticket(text, WAIT - age, LIFETIME - age, early=True))
        return Redeemed(self.used.spend(head, issued + LIFETIME, now))

    def tag(self, head: bytes, purpose: str, network: bytes) -> bytes:
        said = b"\0".join((head, purpose.encode(), network))  # a head has one length, a purpose no NUL
        return hmac.digest(self.key, said, "sha256")[:TAG]
