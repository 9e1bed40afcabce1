"""Where a request comes from: the socket's peer, or what our own proxies say. Everything a client sends is untrusted:
of `X-Forwarded-For` only what a proxy of ours added is believed, and that is read from its right end."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from aiohttp import web

from ..config.base import Network
from ..intake.gate import reporter_network
from ..special import never_listed
from ..subjects import parse

__all__ = ["Address", "address_of", "client_of", "inside", "public_network"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS = 32  # addresses of a header looked at: a chain of proxies has a few
FORWARDED = "X-Forwarded-For"


def client_of(request: web.Request, proxies: Sequence[Network]) -> Address | None:
    """The client's address; None where it cannot be known (a local socket, a proxy that says nothing readable)."""
    return seen_through(request.remote or "", request.headers.getall(FORWARDED, ()), proxies)


def seen_through(peer: str, forwarded: Iterable[str], proxies: Sequence[Network]) -> Address | None:
    """The peer, or where that is a proxy, the rightmost forwarded address that is none. Each hop is believed only for
    what it says of the one before it: an unreadable hop ends the chain, and nobody is known."""
    address = address_of(peer)
    if address is None or not inside(address, proxies):
        return address
    hops = ",".join(forwarded).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    for hop in reversed(hops):
        address = address_of(hop)
        if address is None or not inside(address, proxies):
            return address
    return None


def address_of(text: str) -> Address | None:
    """An address as sockets and proxies write it, with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def inside(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def public_network(address: Address | None) -> str:
    """The /24 or /48 of an address of the Internet, which says who is neighbour to whom; "" for all others."""
    if address is None or not address.is_global or never_listed(parse(str(address))):
        return ""
    return reporter_network(str(address))
