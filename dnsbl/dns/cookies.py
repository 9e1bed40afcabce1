"""DNS cookies (RFC 7873): what a client gets and shows again, as a sign that it is where it says it is.

A server cookie is one of version 1 (RFC 9018 section 4), so that all servers of an anycast set, whatever they run,
take each other's:

    version 1 | 3 reserved octets | 4 octets of time | SipHash-2-4 of (client cookie | these 8 octets | client address)

Nothing is kept for a client, and nothing is refused for want of a cookie. The cookie received is untrusted: its length
is checked by `message`, all else here. Secrets belong to the configuration and are never shown.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from hmac import compare_digest
from ipaddress import ip_address
from secrets import token_bytes
from typing import Literal

from ..config import DnsConfig

__all__ = ["Cookies", "Standing", "packed_address", "secrets_of", "siphash24"]

Standing = Literal["new", "valid", "invalid"]  # no server cookie was sent; a good one; one that is not good

CLIENT_SIZE = 8  # RFC 7873 section 4
SERVER_SIZE = 16  # RFC 9018 section 4.4: no other length is version 1
HASHED_SIZE = 8  # of a server cookie: all before its hash
VERSION = 1  # RFC 9018 section 4.1
MAX_AGE = 3600  # seconds; RFC 9018 section 4.3
MAX_AHEAD = 300  # seconds that another server's clock may be ahead; RFC 9018 section 4.3
RENEW_AGE = 1800  # seconds; RFC 9018 section 4.3: above, the client gets a new one
SECRET_SIZE = 16  # RFC 9018 section 4.4: the key of SipHash-2-4
TIMES = 1 << 32  # RFC 9018 section 4.3: the time is 32 bits and wraps
REMEMBERED = 4096  # hashes: a resolver sends the same cookie for half an hour, and a hash costs more than an answer

FRESH = struct.Struct("!B3xI")  # version, reserved octets of zero (RFC 9018 section 4.2), time
TIME = struct.Struct("!4xI")
WORD = struct.Struct("<Q")
MASK = (1 << 64) - 1


class Cookies:
    """Makes and checks server cookies. The first secret makes them, each of them checks: a new one goes second
    everywhere, then first, then the old one goes (RFC 9018 section 5)."""

    def __init__(self, secrets: Sequence[bytes], clock: Callable[[], float]) -> None:
        self.secrets = tuple(secrets)
        self.clock = clock
        self.hash = lru_cache(REMEMBERED)(siphash24)

    def answer(self, received: bytes, address: bytes) -> tuple[Standing, bytes]:
        """How the cookie received stands, and the one to send: each client and server cookie, as in the option.
        `address` is the client's, 4 or 16 octets."""
        client, server = received[:CLIENT_SIZE], received[CLIENT_SIZE:]
        now = int(self.clock())
        if not server:
            return "new", client + self.make(client, address, now)
        secret = self.maker(client, server, address, now)
        if secret is None:
            return "invalid", client + self.make(client, address, now)
        if secret == 0 and 0 <= age(server, now) <= RENEW_AGE:
            return "valid", received  # RFC 7873 section 5.2.5 (a)
        return "valid", client + self.make(client, address, now)

    def make(self, client: bytes, address: bytes, now: int) -> bytes:
        """A server cookie of this moment."""
        head = FRESH.pack(VERSION, now % TIMES)
        return head + self.hash(self.secrets[0], client + head + address)

    def maker(self, client: bytes, server: bytes, address: bytes, now: int) -> int | None:
        """The number of the secret that made a server cookie which is good now; None: it is not good. The reserved
        octets may be anything, and are hashed as they came (RFC 9018 section 4.2)."""
        if len(server) != SERVER_SIZE or server[0] != VERSION:
            return None
        if not -MAX_AHEAD <= age(server, now) <= MAX_AGE:
            return None
        hashed = client + server[:HASHED_SIZE] + address
        for number, secret in enumerate(self.secrets):
            if compare_digest(self.hash(secret, hashed), server[HASHED_SIZE:]):
                return number
        return None


def age(server: bytes, now: int) -> int:
    """Seconds since a server cookie was made, by serial number arithmetic (RFC 1982 section 3.2): the time wraps, and
    what lies in the other half of the circle is in the future, which is negative."""
    (made,) = TIME.unpack_from(server)
    return (now - int(made) + TIMES // 2) % TIMES - TIMES // 2


def packed_address(client: str) -> bytes:
    """A client's address as 4 or 16 octets, without its scope (`%eth0`); nothing where it cannot be read."""
    try:
        return ip_address(client.partition("%")[0]).packed
    except ValueError:
        return b""


def secrets_of(settings: DnsConfig) -> list[bytes]:
    """The secrets that are configured, else one of this start."""
    configured = [bytes.fromhex(secret.get_secret_value()) for secret in settings.cookie_secrets]
    return configured or [token_bytes(SECRET_SIZE)]


def siphash24(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): a key of 16 octets, a hash of 8."""
    k0, k1 = struct.unpack("<QQ", key)
    v = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(-(len(data) + 1) % WORD.size) + bytes((len(data) % 256,))
    for (word,) in WORD.iter_unpack(padded):
        v0, v1, v2, v3 = sip_round(*sip_round(v[0], v[1], v[2], v[3] ^ word))
        v = v0 ^ word, v1, v2, v3
    v = v[0], v[1], v[2] ^ 0xFF, v[3]
    for _ in range(4):
        v = sip_round(*v)
    return WORD.pack(v[0] ^ v[1] ^ v[2] ^ v[3])


def sip_round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & MASK
    v1 = rotated(v1, 13) ^ v0
    v0 = rotated(v0, 32)
    v2 = (v2 + v3) & MASK
    v3 = rotated(v3, 16) ^ v2
    v0 = (v0 + v3) & MASK
    v3 = rotated(v3, 21) ^ v0
    v2 = (v2 + v1) & MASK
    v1 = rotated(v1, 17) ^ v2
    v2 = rotated(v2, 32)
    return v0, v1, v2, v3


def rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & MASK
