"""Whom we talk to: only public addresses, unless the feed is `private`.

We resolve names ourselves and connect to the very addresses that were checked, so that a name which changes its mind
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from .base import Fault

__all__ = ["CheckedResolver", "check_address", "check_host", "checked_addresses"]

GLOBAL6 = IPv6Network("2000::/3")  # all that IANA has given out for unicast
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
IETF4 = IPv4Network("192.0.0.0/24")  # RFC 6890: not for hosts; older Pythons call parts of it global
NUMERIC = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")


class CheckedResolver(AbstractResolver):
    """Names to addresses, every one of them checked. One address that is not public refuses the name: a name that
    points both ways is a trick or a mistake. aiohttp connects to what this returns and asks nobody else."""

    def __init__(self, private: bool) -> None:
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await checked_addresses(host, port, self._private, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def checked_addresses(
    host: str, port: int, private: bool, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[str]:
    """The addresses of a name, every one of them checked unless the feed is `private`. Raises Fault."""
    addresses = await look_up(host, port, family)
    if not private:
        for address in addresses:
            check_address(address)
    return addresses


async def look_up(host: str, port: int, family: socket.AddressFamily) -> list[str]:
    """The addresses of a name as the system knows them. Raises Fault where there are none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a host name"
        raise Fault(f"the name {host} does not resolve ({why}); check the feed's url and this host's DNS") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_host(host: str, private: bool) -> None:
    """A host that is a number is an address and never meets the resolver, so it is checked here. Only the canonical
    form passes: `0x7f000001`, `127.1` and `010.0.0.1` mean one thing to us and another to the system. The rule for
    what is a number is the URL Standard's: the last label is. Raises Fault."""
    host = host.rstrip(".")
    if ":" not in host and not NUMERIC.fullmatch(host.rpartition(".")[2]):
        return
    try:
        ip_address(host)
    except ValueError:
        raise Fault("the host is a number and no address as one writes it; check the feed's url") from None
    if not private:
        check_address(host)


def check_address(text: str) -> None:
    """Raises Fault for an address that is not public, or that carries one that is not inside it."""
    address = ip_address(text)
    for inner in (address, *embedded(address)):
        if not public(inner):
            inside = "" if inner == address else f" (inside {address})"
            raise Fault(
                f"its address {inner}{inside} is not public, so it is not fetched; "
                "set private = true in the feed if it is meant to be"
            )


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anyone on the Internet could mean the same host by this address."""
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return address not in IETF4
    return address in GLOBAL6 or address in NAT64


def embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a host or gateway would take out of an IPv6 address: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [inner for inner in found if inner is not None]
