"""The DNS server: sockets opened before anything is promised, closed in order.

Each address is served over UDP and TCP. Sockets that the caller has bound already (socket activation) are taken
as they are.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Sequence

from ..config import parse_listen, socket_text
from ..errors import StartError
from .answer import Answerer
from .counters import Counters
from .native import Native
from .tcp import TcpLimits, TcpServer
from .transfer import Stream
from .udp import Answer, Faults, UdpServer

__all__ = ["DnsServer"]

ANY_PORT_TRIES = 20  # where the system chooses the port: until UDP and TCP can have the same one

WHAT_TO_DO = {
    errno.EADDRINUSE: "the port is in use; stop the other server, or choose another port in dns.listen",
    errno.EACCES: "permission denied; ports below 1024 are for root or CAP_NET_BIND_SERVICE (the units in systemd/ "
    "have it), or choose a port such as 5300 in dns.listen",
    errno.EADDRNOTAVAIL: "this machine has no such address; correct dns.listen, or wait until the network is up",
    errno.EAFNOSUPPORT: "this machine does not speak this family of addresses; take it out of dns.listen",
}


class DnsServer:
    """Serves an answerer on addresses ("127.0.0.1:5300", "[::1]:5300") and on sockets that are already bound; with
    the native path over it, UDP in threads: each has a socket of its own on an address, and shares one given bound."""

    def __init__(
        self, answerer: Answerer, listen: Sequence[str] = (), sockets: Sequence[socket.socket] = (),
        counters: Counters | None = None, limits: TcpLimits | None = None,
        answer: Answer | None = None, native: Native | None = None, threads: int = 1,
        stream: Stream | None = None, tls_listen: Sequence[str] = (), tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.native = native
        self.threads = threads if native else 1  # for each address
        self.answer = answer or (native.reply if native else answerer.reply)
        self.listen = listen
        self.sockets = list(sockets)
        self.counters = counters if counters is not None else answerer.counters
        self.limits = limits
        self.stream = stream  # where transfers come from
        self.tls_listen, self.tls = tls_listen, tls
        self.taken: list[socket.socket] = []  # that the native path answers on
        self.udp: list[UdpServer] = []
        self.tcp: list[TcpServer] = []
        self.addresses: list[tuple[str, int]] = []  # what is served, once started
        self.tls_addresses: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Open every socket, then answer on all of them. Raises StartError, with nothing left open."""
        faults = Faults(self.counters)
        addresses = [parse_listen(text) for text in self.listen]
        opened = list(self.sockets)
        try:
            for host, port in addresses:
                opened += open_address(host, port, self.threads)
            private = [open_one("TLS", *parse_listen(text), bind_tcp) for text in self.tls_listen]
            opened += private
            for sock in opened:
                await self.serve(sock, faults, self.tls if sock in private else None)
        except StartError:
            await self.close()
            for sock in opened:
                sock.close()
            raise

    async def serve(self, sock: socket.socket, faults: Faults, tls: ssl.SSLContext | None = None) -> None:
        host, port = sock.getsockname()[:2]
        if sock.type == socket.SOCK_DGRAM and self.native:
            self.native.serve(sock, self.threads if sock in self.sockets else 1)
            self.taken.append(sock)
        elif sock.type == socket.SOCK_DGRAM:
            udp = UdpServer(sock, self.answer, self.counters, faults)
            udp.start()
            self.udp.append(udp)
        else:
            tcp = TcpServer(sock, self.answer, self.counters, faults, self.limits, self.stream, tls)
            try:
                await tcp.start()
            except OSError as error:  # two sockets may bind one port, but not both listen
                raise cannot("TCP", host, port, error) from error
            self.tcp.append(tcp)
        addresses = self.tls_addresses if tls else self.addresses
        if (host, port) not in addresses:
            addresses.append((host, port))

    async def close(self) -> None:
        """Stop: clients over TCP get the replies to what they have sent."""
        for udp in self.udp:
            udp.close()
        if self.native:
            await self.native.close()
        for sock in self.taken:
            sock.close()
        for tcp in self.tcp:
            await tcp.close()
        self.udp, self.tcp, self.addresses, self.tls_addresses, self.taken = [], [], [], [], []


def open_address(host: str, port: int, count: int) -> list[socket.socket]:
    """A TCP and `count` UDP sockets on one address; port 0 is any port that is free for both. Raises StartError."""
    for last in [False] * (ANY_PORT_TRIES if port == 0 else 0) + [True]:
        # TCP first: it is never shared, so another server of ours on the port is noticed before it loses a packet.
        opened = [open_one("TCP", host, port, bind_tcp)]
        try:
            bind = bind_udp if count == 1 else bind_udp_shared
            for _ in range(count):
                opened.append(open_one("UDP", host, opened[0].getsockname()[1], bind))
            return opened
        except StartError:
            for sock in opened:
                sock.close()
            if last:
                raise
    raise AssertionError  # the last turn returns or raises


def open_one(what: str, host: str, port: int, bind: Callable[[str, int], socket.socket]) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise cannot(what, host, port, error) from error


def cannot(what: str, host: str, port: int, error: OSError) -> StartError:
    why = WHAT_TO_DO.get(error.errno or 0) or f"{error.strerror or error}; correct dns.listen"
    return StartError(f"cannot listen on {socket_text(host, port)} ({what}): {why}")


def bind_udp(host: str, port: int) -> socket.socket:
    return bound(host, port, socket.SOCK_DGRAM)


def bind_udp_shared(host: str, port: int) -> socket.socket:
    """One of several on an address: the system deals clients out among them."""
    return bound(host, port, socket.SOCK_DGRAM, share=True)


def bind_tcp(host: str, port: int) -> socket.socket:
    return bound(host, port, socket.SOCK_STREAM)


def bound(host: str, port: int, kind: socket.SocketKind, share: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, kind))
        if family == socket.AF_INET6:  # [::] is IPv6 alone, so that 0.0.0.0 can stand beside it
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:  # a restart need not wait for old connections to be forgotten
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        undo.pop_all()
        return sock
