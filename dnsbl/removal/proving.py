"""Proofs that are looked up: which mailboxes may be asked about a subject, and whether a TXT record is there.

The mailboxes follow from the subject by DNS and RDAP, looked up anew each time: a requester chooses among them and can
add none. ProofError says what could not be found out; then nothing has moved.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

from .. import clock
from ..store.contract.removals import Removal
from ..subjects import is_ip, kind, network
from . import proofs
from .machine import ASKED
from .names import mailbox
from .rdap import Rdap
from .requests import Removals
from .resolving import Resolving

__all__ = ["Proving"]


class Proving:
    """For the event loop; what reads or writes the store is done in a thread."""

    def __init__(self, removals: Removals, resolving: Resolving, rdap: Rdap) -> None:
        self.removals, self.resolving, self.rdap = removals, resolving, rdap

    async def mailboxes(self, removal: Removal, proof: str, given: str = "") -> list[str]:
        """Who may be asked. `given`: what the requester says that a hash is of; what has another hash gives nothing.
        Raises ProofError."""
        if proof == "range":
            contact = await self.rdap.abuse_contact(network_of(removal.subject))
            return [each for each in map(mailbox, contact.mailboxes) if each]
        if is_ip(removal.subject):
            host = ipaddress.ip_address(removal.host) if removal.host else network_of(removal.subject).network_address
            names = await self.resolving.reverse_names(host)
        else:
            names = await asyncio.to_thread(self.removals.mail_names, removal, given.strip(), clock.now())
        return [each for each in map(mailbox, proofs.mailboxes(names)) if each]

    async def ask(
        self, removal: Removal, proof: str, wanted: str, language: str, now: Callable[[], int], given: str = ""
    ) -> bool:
        """Mail a link to one of those mailboxes. False: it is none of them, or it is sent no more. Raises
        ProofError."""
        ways = await asyncio.to_thread(self.removals.ways, removal, now())
        if proof not in ("mailbox", "range") or proof not in ways:
            return False
        chosen = mailbox(wanted)
        if chosen is None or chosen not in await self.mailboxes(removal, proof, given):
            return False
        return await asyncio.to_thread(self.removals.mail_challenge, removal, proof, chosen, language, now())

    async def look(self, removal: Removal, now: Callable[[], int]) -> bool:
        """Look for the TXT record; where it is there the request goes on. Raises ProofError."""
        if removal.state != ASKED:
            return False
        records = await asyncio.to_thread(self.removals.records, removal)
        for names, value, _ in records:
            for name in names:
                if await self.resolving.has_txt(name, value):
                    await asyncio.to_thread(self.removals.seen_in_dns, removal, now())
                    return True
        return False


def network_of(subject: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Raises ValueError where it is no address."""
    assert kind(subject) == "ip"
    version, first, length = network(subject)
    address = ipaddress.IPv4Address(first) if version == 4 else ipaddress.IPv6Address(first)
    return ipaddress.ip_network((address, length))
