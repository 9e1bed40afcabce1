"""Who is asked and told in the tests of proofs: a DNS server and a mail server, both with a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from dnslib import AAAA, CNAME, PTR, QTYPE, RR, TXT, A, DNSLabel, DNSRecord

UDP_ROOM = 1232
RDATA: dict[str, Callable[[Any], Any]] = {
    "A": A, "AAAA": AAAA, "CNAME": CNAME, "PTR": lambda name: PTR(DNSLabel(name)),
    "TXT": lambda text: TXT([part.encode() for part in text] if isinstance(text, tuple) else [text.encode()]),
}  # fmt: skip


class Dns:
    """Names and their records, over UDP and TCP. `silent`: no answer; `broken`: SERVFAIL."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], list[Any]] = {}
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []  # (udp or tcp, name, type)
        self.address = ""

    def add(self, name: str, kind: str, *values: Any) -> None:
        self.table.setdefault((name.lower(), kind), []).extend(values)

    def answer(self, wire: bytes, way: str) -> bytes | None:
        query = DNSRecord.parse(wire)
        name, kind = str(query.q.qname).rstrip(".").lower(), QTYPE[query.q.qtype]
        self.asked.append((way, name, kind))
        if name in self.silent:
            return None
        reply = query.reply()
        if name in self.broken:
            reply.header.rcode = 2
        elif not any(known == name for known, _ in self.table):
            reply.header.rcode = 3
        for _ in range(20):  # a loop of aliases is answered as far as that
            for value in self.table.get((name, kind), []):
                reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=RDATA[kind](value), ttl=300))
            alias = self.table.get((name, "CNAME"))
            if not alias:
                break
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(alias[0]), ttl=300))
            name = alias[0]
        if way == "udp" and len(reply.pack()) > UDP_ROOM:
            reply.rr, reply.header.tc = [], 1
        return bytes(reply.pack())

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        if (reply := self.answer(query, "tcp")) is not None:
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, dns: Dns) -> None:
        self.dns = dns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if (reply := self.dns.answer(data, "udp")) is not None:
            self.transport.sendto(reply, addr)  # type: ignore[attr-defined]


class MailServer:
    """Takes mail, or does what `rcpt` and `data` say: a reply for a recipient, or one to the text."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []  # (sender, recipients, message)
        self.encrypted: list[bool] = []
        self.connections = 0
        self.logins: list[tuple[bytes, bytes]] = []
        self.rcpt: Callable[[str], str] = lambda recipient: "250 ok"
        self.data: Callable[[], str] = lambda: "250 ok"
        self.options: dict[str, Any] = {}
        self.port = 0
        self.server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """On the same port as before, where there was one."""
        self.server = await asyncio.get_running_loop().create_server(self.connection, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()
            self.server = None

    def connection(self) -> SMTP:
        self.connections += 1
        return SMTP(self, hostname="relay.example", loop=asyncio.get_running_loop(), **self.options)

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        self.logins.append((given.login, given.password))
        return AuthResult(success=given.password == b"right", handled=False)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        reply = self.rcpt(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        reply = self.data()
        if reply.startswith("250"):
            self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
            self.encrypted.append(session.ssl is not None)
        return reply
