"""NOTIFY (RFC 1996): the secondaries are told of each new serial, so that they need not ask.

One zone at one secondary is a small machine; none waits for another:

    quiet -- a new serial --> asked -- answered, and no newer serial --> quiet
    asked -- a newer serial --> APART --> asked; an answer to the message before still shows that it lives
    asked -- ANSWER and the pause are over --> asked, the pause doubled

The pause doubles up to LONGEST, for ever: a secondary that was away for a month is told when it is back. A newer serial
begins with the shortest again. It costs a datagram each time, and nothing to the others. The message has the new SOA in
it as a hint (section 3.7).

Untrusted: the replies. One counts that comes from the secondary's address and port, with the id and question it was
sent, and signed where the message was. "Not implemented" is an answer, too (section 3.12): it will ask by itself.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast

from ..config import DnsConfig, parse_listen, socket_text
from ..errors import TsigError
from .message import HEADER_SIZE, Qclass, Qtype, Rcode
from .tsig import Key, StreamChecker, keys_of, sign_query, wire_name

__all__ = ["News", "Notifier"]

ANSWER = 3.0  # seconds that a secondary has to answer
APART = 0.1  # seconds between two messages about one zone, whatever there is to say
FIRST, LONGEST = 2.0, 60.0  # seconds of the pause after a message that was not answered
NOTIFY_AA = 0x2400  # RFC 1996 section 3.6
QR_OPCODE = 0xF8  # of a header's third octet: reply or not, and the opcode
QR_NOTIFY = 0xA0
RCODES = {int(rcode): rcode.name for rcode in Rcode}
ANSWERED = (Rcode.NOERROR, Rcode.NOTIMP)
Address = tuple[str, int]

log = logging.getLogger("dnsbl.notify")


@dataclass(frozen=True, slots=True)
class News:
    """A zone as it is now. `soa`: one packed record, its owner a pointer to the question."""

    zone: str  # its file's name; empty: the catalog
    origin: str
    serial: int
    soa: bytes


@dataclass(slots=True)
class Target:
    """One zone at one secondary."""

    address: Address
    key: Key | None
    news: News
    acknowledged: int | None = None  # serial
    silent_since: int | None = None  # seconds since 1970; None: it answers
    trouble: str = ""  # what went wrong with the last message
    turn: asyncio.Event = field(default_factory=asyncio.Event)  # a newer serial, or the newest was acknowledged
    task: asyncio.Task[None] | None = None
    asked: dict[asyncio.Task[None], None] = field(default_factory=dict)  # messages that wait for their answers, in turn

    @property
    def name(self) -> str:
        return socket_text(*self.address)

    def cancel(self) -> list[asyncio.Task[None]]:
        """Tell it no more; what is to be waited for."""
        tasks = [*self.asked, *([self.task] if self.task else [])]
        for task in tasks:
            task.cancel()
        return tasks


class Notifier:
    """Tells the configured secondaries, between `start` and `close`."""

    def __init__(self, settings: DnsConfig) -> None:
        self.settings = settings
        self.keys = keys_of(settings)
        self.targets: dict[tuple[str, Address], Target] = {}
        self.doors: dict[str, Door] = {}  # by our own address
        self.said: dict[Address, set[str]] = {}  # the troubles of a secondary that were logged
        self.opening = asyncio.Lock()

    def tell(self, news: Iterable[News]) -> None:
        """These zones, and no others, are served now. What is known already is not told again."""
        wanted: set[tuple[str, Address]] = set()
        for each in news:
            for secondary in self.settings.secondaries:
                if not secondary.zones or each.zone in secondary.zones:
                    address = parse_listen(secondary.address)
                    wanted.add((each.zone, address))
                    key = self.keys[wire_name(secondary.key)] if secondary.key else None
                    self.want(each, address, key)
        for gone in self.targets.keys() - wanted:
            self.targets.pop(gone).cancel()
            self.over(gone[1])

    def want(self, news: News, address: Address, key: Key | None) -> None:
        target = self.targets.get((news.zone, address))
        if target is None:
            target = self.targets[news.zone, address] = Target(address, key, news)
        elif target.news.serial == news.serial and target.news.origin == news.origin:
            return
        target.news = news
        target.turn.set()
        if target.task is None or target.task.done():
            target.task = asyncio.create_task(self.deliver(target))

    async def deliver(self, target: Target) -> None:
        """Until it has heard of the newest serial."""
        pause = FIRST
        while target.acknowledged != target.news.serial:
            target.turn.clear()
            asking = asyncio.create_task(self.ask(target, target.news))
            target.asked[asking] = None
            asking.add_done_callback(target.asked.pop)
            try:
                async with asyncio.timeout(ANSWER + pause):
                    await target.turn.wait()
                pause = FIRST
                await asyncio.sleep(APART)
            except TimeoutError:
                pause = min(2 * pause, LONGEST)

    async def ask(self, target: Target, news: News) -> None:
        """Send one NOTIFY, and take its answer or the want of one."""
        if trouble := await self.trouble(target, news):
            self.silent(target, trouble)
        else:
            self.heard(target, news.serial)

    async def trouble(self, target: Target, news: News) -> str:
        """What went wrong with one NOTIFY; nothing where it was answered."""
        try:
            door = await self.door(target.address[0])
            rcode = await door.ask(target.address, target.key, news)
        except OSError as error:
            return f"cannot be reached ({error.strerror or 'no answer'})"
        if rcode in ANSWERED:
            return ""
        return f"refuses NOTIFY with {RCODES.get(rcode, rcode)}; name this server as its primary, with the same key"

    def silent(self, target: Target, trouble: str) -> None:
        if target.silent_since is None:
            target.silent_since = int(time.time())
        target.trouble = trouble
        self.over(target.address)
        said = self.said.setdefault(target.address, set())
        if trouble not in said:  # said once, neither at each try nor for each zone
            said.add(trouble)
            many = len(self.of(target.address))
            what = target.news.origin if many == 1 else f"{target.news.origin}, as of each of its {many} zones"
            log.warning("secondary %s %s; until it answers it is told again of %s", target.name, trouble, what)

    def heard(self, target: Target, serial: int) -> None:
        """One message was answered: those before it need not be."""
        target.acknowledged, target.silent_since, target.trouble = serial, None, ""
        if self.over(target.address):
            log.info("secondary %s answers again", target.name)
        for asking in list(target.asked):
            if asking is asyncio.current_task():
                break
            asking.cancel()
        if serial == target.news.serial:
            target.turn.set()

    def of(self, address: Address) -> list[Target]:
        """The zones at one secondary."""
        return [target for target in self.targets.values() if target.address == address]

    def over(self, address: Address) -> bool:
        """Whether a trouble that was logged is none of any zone's there now; it would be logged anew."""
        said = self.said.get(address, set())
        ended = said - {target.trouble for target in self.of(address)}
        said -= ended
        return bool(ended)

    async def door(self, host: str) -> Door:
        """The socket to send from. Secondaries know us by the address that they ask: where one of `dns.listen` can
        reach them, it is that."""
        ours = self.own_address(host)
        async with self.opening:
            if ours not in self.doors:
                loop = asyncio.get_running_loop()
                _, self.doors[ours] = await loop.create_datagram_endpoint(Door, local_addr=(ours, 0))
        return self.doors[ours]

    def own_address(self, host: str) -> str:
        other = ip_address(host)
        for text in self.settings.listen:
            own = ip_address(parse_listen(text)[0])
            if own.version == other.version and own.is_loopback == other.is_loopback and not own.is_unspecified:
                return str(own)
        return "0.0.0.0" if other.version == 4 else "::"  # noqa: S104  the system chooses one

    def snapshot(self) -> list[dict[str, Any]]:
        """How far each secondary is, for metrics and status. `silent_since`: seconds since 1970, or null."""
        return [
            {
                "secondary": target.name,
                "zone": zone,
                "serial": target.news.serial,
                "acknowledged": target.acknowledged,
                "silent_since": target.silent_since,
            }
            for (zone, _), target in sorted(self.targets.items())
        ]

    async def close(self) -> None:
        tasks = [task for target in self.targets.values() for task in target.cancel()]
        await asyncio.gather(*tasks, return_exceptions=True)
        for door in self.doors.values():
            door.transport.close()


class Door(asyncio.DatagramProtocol):
    """One socket: messages out, and their answers back to those who wait."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.waiting: dict[tuple[Address, bytes], tuple[asyncio.Future[int], Callable[[bytes], int | None]]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # which it is, but not by its classes

    async def ask(self, address: Address, key: Key | None, news: News) -> int:
        """The rcode that one NOTIFY is answered with. Raises TimeoutError."""
        id = secrets.token_bytes(2)
        while (address, id) in self.waiting:
            id = secrets.token_bytes(2)
        question = wire_name(news.origin) + struct.pack("!HH", Qtype.SOA, Qclass.IN)
        wire = id + struct.pack("!5H", NOTIFY_AA, 1, 1, 0, 0) + question + news.soa
        mac = b""
        if key:
            wire, mac = sign_query(wire, key, int(time.time()))
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting[address, id] = answered, lambda reply: rcode_of(reply, question, key, mac)
        try:
            self.transport.sendto(wire, address)
            async with asyncio.timeout(ANSWER):
                return await answered
        finally:
            del self.waiting[address, id]

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        waiting = self.waiting.get((address[:2], data[:2]))
        if waiting is None or waiting[0].done():
            return
        answered, read = waiting
        rcode = read(data)
        if rcode is not None:
            answered.set_result(rcode)

    def error_received(self, error: Exception) -> None:
        """A port that nobody listens on: found out by the silence."""


def rcode_of(reply: bytes, question: bytes, key: Key | None, mac: bytes) -> int | None:
    """The rcode of a reply to our NOTIFY; None for what is no such reply."""
    if len(reply) < HEADER_SIZE or reply[2] & QR_OPCODE != QR_NOTIFY:
        return None
    echoed = reply[HEADER_SIZE : HEADER_SIZE + len(question)]
    if reply[4:6] != b"\0\0" and echoed.lower() != question.lower():
        return None
    if key:
        try:
            StreamChecker(key, mac).check(reply, int(time.time()))
        except TsigError as error:
            log.debug("an answer to NOTIFY is not believed: %s", error)
            return None
    return reply[3] & 0xF
