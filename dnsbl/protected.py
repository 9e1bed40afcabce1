"""Who is never listed before any warning list has been fetched: `protected.txt`, which comes with the program,
and the usual hosts of the names in it."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from .subjects import is_ip, parse

__all__ = ["ORIGIN", "REASON", "Protected", "protected"]

ORIGIN = "built-in"
REASON = "listed, it would cut many people off"
FILE = Path(__file__).with_name("protected.txt")
HOSTS = ("www", "mail", "smtp", "login", "accounts")  # below a name that many need, they are needed as much


class Protected(NamedTuple):
    networks: frozenset[bytes]  # with all in them
    names: frozenset[bytes]  # each alone
    digest: str  # of the file and HOSTS


@lru_cache(maxsize=1)
def protected() -> Protected:
    data = FILE.read_bytes()
    keys = [parse(line) for line in data.decode().splitlines() if line and not line.startswith("#")]
    networks = frozenset(key for key in keys if is_ip(key))
    names = frozenset(keys) - networks
    hosts = frozenset(name + b"." + host.encode() for name in names for host in HOSTS)
    return Protected(networks, names | hosts, sha256(data + " ".join(HOSTS).encode()).hexdigest())
