"""What the tests of authentication talk to: a DNS server with a table of its own, and mails that are really signed."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dkim
from dnslib import AAAA, CNAME, MX, PTR, QTYPE, RR, TXT, A, DNSRecord

from dnsbl.intake.authentication import Lookups

UDP_ROOM = 1232
PEER = "198.51.100.7"  # the host that the domains of the world allow
KeyPair = tuple[bytes, str]  # PEM, and the record that publishes it
RDATA = {"A": A, "AAAA": AAAA, "PTR": PTR, "CNAME": CNAME}


class World:
    """Names and their records. What is asked is written down; `garbled` changes an answer before it leaves."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], list[Any]] = {}
        self.silent: set[str] = set()  # these names get no answer at all
        self.broken: set[str] = set()  # these get SERVFAIL
        self.asked: list[tuple[str, str]] = []
        self.garbled: Callable[[bytes], bytes] = lambda wire: wire
        self.ttl = 300

    def add(self, name: str, kind: str, *values: Any) -> None:
        self.table.setdefault((name, kind), []).extend(values)

    def answer(self, wire: bytes, room: int) -> bytes | None:
        query = DNSRecord.parse(wire)
        name, kind = str(query.q.qname).rstrip(".").lower(), QTYPE[query.q.qtype]
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        reply = query.reply()
        if name in self.broken:
            reply.header.rcode = 2
        elif not any(known == name for known, _ in self.table):
            reply.header.rcode = 3
        for record in self.records(name, kind):
            reply.add_answer(record)
        if len(reply.pack()) > room:
            reply.rr, reply.header.tc = [], 1
        return self.garbled(bytes(reply.pack()))

    def records(self, name: str, kind: str) -> Iterator[RR]:
        for _ in range(20):  # a loop of aliases is answered as far as that
            for value in self.table.get((name, kind), []):
                yield RR(name, getattr(QTYPE, kind), rdata=rdata(kind, value), ttl=self.ttl)
            alias = self.table.get((name, "CNAME"))
            if not alias:
                return
            yield RR(name, QTYPE.CNAME, rdata=CNAME(alias[0]), ttl=self.ttl)
            name = alias[0]


def rdata(kind: str, value: Any) -> Any:
    if kind == "TXT":
        octets = value if isinstance(value, bytes) else value.encode()
        return TXT([octets[at : at + 255] for at in range(0, len(octets) or 1, 255)])
    return MX(value[1], value[0]) if kind == "MX" else RDATA[kind](value)


@contextmanager
def dns_server(world: World) -> Iterator[str]:
    """Serves a world over UDP and TCP; yields `address:port`."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            if (reply := world.answer(data, UDP_ROOM)) is not None:
                sock.sendto(reply, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = int.from_bytes(self.rfile.read(2), "big")
            if (reply := world.answer(self.rfile.read(length), 65535)) is not None:
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)

    with servers(Udp, Tcp) as pair:
        threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in pair]
        for thread in threads:
            thread.start()
        try:
            yield "{}:{}".format(*pair[0].server_address)
        finally:
            for server in pair:
                server.shutdown()
            for thread in threads:
                thread.join()


@contextmanager
def servers(udp: Any, tcp: Any) -> Iterator[tuple[socketserver.BaseServer, socketserver.BaseServer]]:
    """Both on one port: the first that is free for either."""
    while True:
        with socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp) as first:
            try:
                second = socketserver.ThreadingTCPServer(first.server_address, tcp)
            except OSError:
                continue
            with second:
                yield first, second
                return


@contextmanager
def dead_resolver() -> Iterator[str]:
    """An address that takes queries and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def lookups_through(address: str, per_lookup: float = 2.0, per_mail: float = 5.0) -> Lookups:
    return Lookups.through(address, per_lookup, per_mail)


def a_mail(
    author: str = "Ann <ann@news.example.com>", subject: str = "hello", body: str = "one\r\n two  three\r\n"
) -> bytes:
    return (
        f"Received: from there by here; Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: {author}\r\n"
        f"To: trap@trap.example.net\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <1@example.com>\r\n\r\n{body}"
    ).encode()


def signed(mail: bytes, domain: str, key: bytes, selector: str = "s1", **options: Any) -> bytes:
    """The mail with a DKIM signature on top of it."""
    field: bytes = dkim.sign(mail, selector.encode(), domain.encode(), key, **options)
    return field + mail
