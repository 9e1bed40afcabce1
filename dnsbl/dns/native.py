"""The native path's place in the server: it gets the zones, answers what it knows, and hands over the rest.

Records are packed by the Python path, so that both give the same bytes. On purpose different, and all there is of it:

- The native path does not answer other opcodes than QUERY, class CH, AXFR and IXFR, signed messages, and the catalog
  of zones: they come here through a bounded queue, and what has no room there is dropped and counted (`overflowed`).
- What handed-over queries spend of quotas and of the rate of replies is counted here, apart from what is counted there.
- Buckets of the rate of replies are in a table of fixed size there: of two networks on one, the later begins anew.
- An answer id that a zone does not have (a mistake of ours that no checksum sees) is "not listed" there, and a failure,
  which answers nothing, here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from ..errors import StartError
from ..zones.served import ServedZone
from .access import Rules
from .answer import Answerer
from .counters import Counters
from .keys import Keys
from .message import Transport
from .networks import Networks
from .samples import Sample
from .served import Served
from .transfer import Transfer
from .udp import Faults, is_wildcard, receive_buffer
from .usage import KeyUse, NetworkUse

__all__ = ["Native"]

# By name: the view, its access, and what was made of them.
Made = dict[str, tuple[ServedZone, Rules | None, Any]]
TURN = 64  # queries answered for each wake-up: then TCP and timers have their turn


class Native:
    """An answerer's native side, from the first `serve` until `close`."""

    def __init__(self, module: ModuleType, answerer: Answerer) -> None:
        self.answerer = answerer
        self.server = module.Server(answerer.udp_size, answerer.identity, answerer.cookies.secrets, *rate(answerer))
        self.faults = Faults(answerer.counters)
        self.zones: Made = {}
        self.keyed: tuple[Keys | None, tuple[str, ...]] = None, ()  # the keys taken, and the zones they count in
        self.loop: asyncio.AbstractEventLoop | None = None
        self.soon: asyncio.Handle | None = None  # the next turn, where more is left than one takes

    def replace(self) -> None:
        """Answer from the zones that the answerer has now. Raises ValueError for one that does not fit together."""
        zones: Made = {}
        for served in self.answerer.zones.by_labels.values():
            view = served.view
            assert isinstance(view, ServedZone)  # the only kind that is published
            known, rules = self.zones.get(served.name), self.answerer.gate.rules.get(served.name)
            same = known is not None and known[0] is view and known[1] is rules
            zones[served.name] = known if known and same else (view, rules, self.packed(served, view))
        catalog = self.answerer.catalog_origin.encode("ascii")
        self.server.replace([zone for _, _, zone in zones.values()], [on_wire(catalog.split(b"."))] if catalog else [])
        self.zones = zones
        self.replace_keys()

    def replace_keys(self) -> None:
        """Take the keys that the answerer has now, where they are others, or count in other zones."""
        gate = self.answerer.gate
        wanted = gate.keys, tuple(gate.rules)
        if gate.keys is None or self.keyed == wanted:
            return
        self.server.keys(gate.keys.rows)
        self.keyed = wanted

    def packed(self, served: Served, view: ServedZone) -> Any:
        return self.server.zone(
            name=served.name,
            kind=view.zone.kind,
            origin=on_wire(served.labels),
            soa=served.soa,
            apex=[(int(rtype), count, records) for rtype, (count, records) in served.apex.items()],
            ttl=served.ttl,
            records=served.records,
            texts=served.texts,
            answers=codes(served.whole.codes),
            sublists=[(label, codes(table.codes)) for label, table in served.sublists.items()],
            base=view.base.content,
            delta=view.delta.content if view.delta else None,
            access=access(self.answerer.gate.rules.get(served.name)),
            hosts=list(served.hosts.items()),
            expired=served.expired,
        )

    # answering

    def serve(self, sock: socket.socket, threads: int) -> None:
        """Answer on a bound UDP socket, in so many threads of its own. The socket stays the caller's."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
            self.loop.add_reader(self.server.fileno(), self.answer_handed)
        receive_buffer(sock)
        try:
            self.server.serve(sock.fileno(), is_wildcard(sock), sock.family == socket.AF_INET6, threads)
        except (OSError, RuntimeError) as error:
            raise StartError(f'the native path cannot start: {error}; dns.native = "off" does without') from error

    def reply(self, wire: bytes, transport: Transport, client: str) -> bytes | Transfer | None:
        """As `Answerer.reply`: from here where it is known, else from there."""
        scopeless = client.partition("%")[0]
        reply: bytes | None = self.server.reply(wire, scopeless, transport == "tcp", self.now())
        return self.answerer.reply(wire, transport, client) if reply is NotImplemented else reply

    def now(self) -> int:
        return int(self.answerer.cookies.clock()) & 0xFFFFFFFF

    def answer_handed(self) -> None:
        """Answer what the native path has handed over, up to a turn's worth; of further turns one waits at most."""
        if self.soon is not None:
            self.soon.cancel()
            self.soon = None
        handed, more = self.server.take(TURN)
        for query in handed:
            try:
                reply = self.answerer.reply(query.wire, "udp", query.client)
                if isinstance(reply, bytes) and not query.send(reply):
                    self.answerer.counters.dropped += 1
            except Exception as error:
                self.faults.note(error)
        if more and self.loop:
            self.soon = self.loop.call_soon(self.answer_handed)

    async def close(self) -> None:
        """Stop all threads, and wait for them: a fraction of a second."""
        if self.loop is not None:
            self.loop.remove_reader(self.server.fileno())
            self.loop = None
        if self.soon is not None:
            self.soon.cancel()
        await asyncio.to_thread(self.server.stop)

    # what was seen

    def counters(self) -> Counters:
        """All counts: those of the Python path, and the native ones."""
        total = Counters()
        for counted in (self.answerer.counters, self.native_counters()):
            total.add(counted)
        return total

    def native_counters(self) -> Counters:
        made = Counters()
        for name, value in self.server.counters().items():
            if name == "replies":
                for zone, qtype, rcode, transport, count in value:
                    made.reply(zone, -1 if qtype is None else qtype, rcode, transport, count)
            else:
                setattr(made, name, value)
        return made

    def seed(self, day: int, keys: Iterable[tuple[int, int]], networks: Iterable[NetworkUse]) -> None:
        """As `Usage.seed`."""
        self.server.seed(day, dict(keys), [tuple(use) for use in networks])

    def key_usage(self) -> list[KeyUse]:
        """What was asked with keys since the last call, here alone."""
        return [KeyUse(*row) for row in self.server.key_usage()]

    def network_usage(self, day: int, most: int) -> list[NetworkUse]:
        """The networks that asked most on a day, here alone."""
        return [NetworkUse(*row) for row in self.server.network_usage(day, most)]

    def samples(self, wanted: int) -> list[Sample]:
        """What was sampled since the last call; until the next, about `wanted` more."""
        return [Sample(*row) for row in self.server.samples(wanted)]


def rate(answerer: Answerer) -> tuple[Any, ...]:
    """The limits of replies, where there are any."""
    limiter = answerer.limiter
    return ((limiter.rate, limiter.slip, limiter.window), ranges(limiter.exempt)) if limiter else ()


def access(rules: Rules | None) -> dict[str, Any] | None:
    """A zone's access, made ready for the other side."""
    if rules is None:
        return None
    return {
        "networks": None if rules.networks is None else ranges(rules.networks),
        "refuse": ranges(rules.refuse),
        "public": ranges(rules.public),
        "keys": rules.access.keys,
        "quota": rules.access.quota,
        "free": rules.kind == "domain",
        "tests": [on_wire(labels)[:-1] for labels in rules.tests],
        "denials": rules.denials,
    }


def on_wire(labels: Iterable[bytes]) -> bytes:
    """A name, with the root."""
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def ranges(networks: Networks) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return networks.ranges[4], networks.ranges[6]


def codes(by_answer: Iterable[tuple[int, ...]]) -> list[bytes]:
    return [bytes(ids) for ids in by_answer]
