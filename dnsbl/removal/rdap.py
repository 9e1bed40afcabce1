"""Who answers for abuse of a network, as its registry says: RDAP (RFC 9082 asks, RFC 9083 answers).

The first server sends us on to the registry's (RFC 7484), and what comes back was written by whoever registered the
network: redirects, sizes, nesting, mailboxes and ranges are a stranger's. Answers are remembered for an hour, failures
are not. A ProofError is a sentence of the catalogue for the person who asks for a proof; why it failed is in the log,
for the operator.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import orjson
from yarl import URL

from ..errors import FetchError, ProofError
from ..intake.fetch.addresses import check_host
from ..intake.fetch.base import Fault, faults_at
from ..intake.fetch.bodies import CHUNK, Body
from ..intake.fetch.http import MAX_REDIRECTS, REDIRECTS, next_hop, session
from ..phrases import N_
from .registration import Contact, contact_in

__all__ = ["NOBODY", "Rdap"]

log = logging.getLogger("dnsbl.removal")

IN_ALL = 10.0  # seconds for all hops: a person waits
MAX_BODY = 512 * 2**10  # bytes; the largest answers of registries have some 60 KiB
KEPT_SECONDS = 3600
MAX_KEPT = 1000  # answers, of some hundred bytes each
AT_ONCE = 4  # look-ups at the same time: registries limit how often one may ask
ACCEPT = "application/rdap+json"  # RFC 7480 section 4.2
NOBODY = Contact((), ())

NOT_HERE = N_("no registry is asked here; choose another proof")
LATE = N_("the registry did not answer in time; try again in some minutes")
UNUSABLE = N_("the registry gave no answer that can be used; try again in some minutes")

Asked = IPv4Address | IPv6Address | IPv4Network | IPv6Network


class Rdap:
    """Asks below `base`, an address that ends in a slash; "" asks nobody. `contact` tells registries who we are."""

    def __init__(
        self, base: str, contact: str = "", in_all: float = IN_ALL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.base, self.contact, self.in_all, self.clock = base, contact, in_all, clock
        self.kept: OrderedDict[str, tuple[float, Contact]] = OrderedDict()
        self.turns = asyncio.Semaphore(AT_ONCE)

    @property
    def off(self) -> bool:
        """Whether no proof by a registry's contact can be offered."""
        return not self.base

    async def abuse_contact(self, asked: Asked) -> Contact:
        """The mailboxes that a registry names for abuse, and the networks they answer for, which cover what was asked;
        NOBODY where there are none. Raises ProofError where that cannot be known now."""
        if self.off:
            raise ProofError(NOT_HERE)
        path = f"ip/{asked}"
        until, contact = self.kept.get(path, (0.0, NOBODY))
        if until <= self.clock():
            contact = await self.fetched(path, asked)
            self.keep(path, contact)
        return contact

    async def fetched(self, path: str, asked: Asked) -> Contact:
        try:
            async with asyncio.timeout(self.in_all), self.turns:
                data = await self.content(URL(self.base + path))
        except TimeoutError:
            log.warning("RDAP about %s: no answer within %d seconds", path, self.in_all)
            raise ProofError(LATE) from None
        except FetchError as error:
            log.warning("RDAP about %s: %s", path, error)
            raise ProofError(UNUSABLE) from None
        return NOBODY if data is None else contact_in(data, asked)

    async def content(self, url: URL) -> dict[str, Any] | None:
        """The object at the end of the redirects; None where the registry knows of none. Raises FetchError.

        Only the operator's own base may have an address that is not public; wherever that sends us may not."""
        home = url.origin()
        for _ in range(MAX_REDIRECTS + 1):
            private = url.origin() == home
            with faults_at(url):
                check_host(url.raw_host or "", private)
                async with (
                    session(private, self.contact, ACCEPT) as client,
                    client.get(url, allow_redirects=False) as response,
                ):
                    if response.status in REDIRECTS:
                        url = next_hop(url, response.headers.get("Location", ""))
                        continue
                    if response.status == 404:  # RFC 7480 section 5.3
                        return None
                    if response.status != 200:
                        raise Fault(f"status {response.status}")
                    body = Body(response.headers.get("Content-Encoding", ""), MAX_BODY)
                    return json_object(await body.read(response.content.iter_chunked(CHUNK)))
        raise FetchError(f"more than {MAX_REDIRECTS} redirects")

    def keep(self, path: str, contact: Contact) -> None:
        """The last MAX_KEPT: strangers choose what is asked, so what was used last is not worth more."""
        self.kept.pop(path, None)
        self.kept[path] = (self.clock() + KEPT_SECONDS, contact)
        if len(self.kept) > MAX_KEPT:
            self.kept.popitem(last=False)


def json_object(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Fault("not JSON") from None
    if not isinstance(found, dict):
        raise Fault("not a JSON object")
    return found
