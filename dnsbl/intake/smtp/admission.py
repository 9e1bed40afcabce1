"""How many may be connected: in all, and from one network. Relays and proxies are ours, and speak for many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ...config import TrapConfig
from ...config.base import Network

__all__ = ["Admission", "plain_address", "within"]

Address = IPv4Address | IPv6Address
PREFIX = {4: 24, 6: 48}  # what one customer is usually given


class Admission:
    """Who is in. What `enter` gave is given back to `leave`."""

    def __init__(self, config: TrapConfig) -> None:
        self.config = config
        self.networks: Counter[str] = Counter()

    def enter(self, client: Address) -> str | None:
        """The network that the client was counted for, empty where it is not counted; None: there is no room."""
        if within(client, self.config.relays):
            return ""
        network = str(ip_network((client, PREFIX[client.version]), strict=False))
        if self.networks[network] >= self.config.per_network:
            return None
        self.networks[network] += 1
        return network

    def leave(self, network: str) -> None:
        if not network:
            return
        self.networks[network] -= 1
        if not self.networks[network]:
            del self.networks[network]


def plain_address(text: str) -> Address:
    """An address of a socket: without its scope, and as IPv4 where it is IPv4 in IPv6. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
