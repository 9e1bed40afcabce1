"""What a registry's answer about a network says (RFC 9083 section 5.4): the network, and its mailboxes for abuse.

All of it is untrusted. What does not have its place and its form is passed over, and what is left over may be nothing.
Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from itertools import islice
from typing import Any

from .names import mailbox

__all__ = ["Contact", "contact_in"]

MAX_MAILBOXES = 3  # each is written to: more would be a flood
MAX_NETWORKS = 64  # that one range comes to, as in subjects.MAX_PARTS
MAX_ENTITIES = 200  # looked at, nearest first; registries nest two deep
MAX_PROPERTIES = 100  # of one vCard
WIDEST = {4: 8, 6: 16}  # prefix lengths; wider ones are a registry's own, and its contact answers for nobody's mail

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(slots=True, frozen=True)
class Contact:
    """Who answers for abuse, and of which networks."""

    mailboxes: tuple[str, ...]  # the nearest first, MAX_MAILBOXES at most
    networks: tuple[Network, ...]

    def covers(self, asked: Address | Network) -> bool:
        """Whether all of an address or network is theirs."""
        whole: Any = ip_network(asked)
        return any(whole.version == each.version and whole.subnet_of(each) for each in self.networks)


def contact_in(answer: dict[str, Any], asked: Address | Network) -> Contact:
    """What an answer says of what was asked. Nothing of it counts where its network is another one, or too wide."""
    contact = Contact(mailboxes_in(answer), networks_in(answer))
    if not contact.mailboxes or not contact.covers(asked):
        return Contact((), ())
    return contact


def networks_in(answer: dict[str, Any]) -> tuple[Network, ...]:
    """By its first and last address, or as the CIDR extension has them (cidr0)."""
    found = between(answer.get("startAddress"), answer.get("endAddress")) or tuple(cidrs(answer.get("cidr0_cidrs")))
    return tuple(each for each in found if each.prefixlen >= WIDEST[each.version])


def between(first: Any, last: Any) -> tuple[Network, ...]:
    """The networks of a range of addresses; none where it is none, or comes to too many. Some registries write an
    address with a prefix length behind it."""
    if not isinstance(first, str) or not isinstance(last, str):
        return ()
    try:
        ends: Any = ip_address(first.partition("/")[0]), ip_address(last.partition("/")[0])
        parts = tuple(islice(summarize_address_range(*ends), MAX_NETWORKS + 1))
    except (ValueError, TypeError):  # TypeError: one of each family
        return ()
    return parts if len(parts) <= MAX_NETWORKS else ()


def cidrs(listed: Any) -> Iterator[Network]:
    for each in several(listed, MAX_NETWORKS):
        if isinstance(each, dict):
            try:
                yield ip_network(f"{each.get('v4prefix') or each.get('v6prefix')}/{each.get('length')}")
            except ValueError:
                continue


def mailboxes_in(answer: dict[str, Any]) -> tuple[str, ...]:
    """The mailboxes of the entities whose role is abuse, the nearest first."""
    found: dict[str, str] = {}
    for entity in entities(answer):
        if "abuse" in several(entity.get("roles"), MAX_PROPERTIES):
            for text in emails(entity):
                if address := mailbox(text):
                    found.setdefault(address.lower(), address)
    return tuple(found.values())[:MAX_MAILBOXES]


def entities(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All entities, those that stand nearest first."""
    waiting: deque[Any] = deque(several(answer.get("entities"), MAX_ENTITIES))
    for _ in range(MAX_ENTITIES):
        if not waiting:
            return
        entity = waiting.popleft()
        if isinstance(entity, dict):
            yield entity
            room = MAX_ENTITIES - len(waiting)
            waiting.extend(several(entity.get("entities"), room))


def emails(entity: dict[str, Any]) -> Iterator[str]:
    """The values of `email` in a jCard (RFC 7095 section 3.3): ["vcard", [[name, parameters, type, value], ...]]."""
    card = several(entity.get("vcardArray"), 2)
    for line in several(card[1], MAX_PROPERTIES) if len(card) == 2 else ():
        fields = several(line, 4)
        if len(fields) == 4 and fields[0] == "email" and isinstance(fields[3], str):
            yield fields[3].strip()


def several(value: Any, limit: int) -> list[Any]:
    """The first ones of a list; none where it is no list."""
    return value[:limit] if isinstance(value, list) else []
