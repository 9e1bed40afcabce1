"""DNS over UDP: one socket, many datagrams for each time the loop wakes.

A reply that the system does not take at once is dropped and counted: a resolver asks again, and a queue here would only
grow old. An error in answering costs that one packet. A socket bound to all addresses answers from the
one that was asked (RFC 2181 section 4): a resolver drops replies from anywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from ..errors import raised_at
from .counters import Counters
from .message import Transport
from .transfer import Transfer

__all__ = ["Answer", "Faults", "UdpServer", "is_wildcard", "receive_buffer"]

# The text is the address of the client. Over TCP alone it may be a transfer that is still to be made.
Answer = Callable[[bytes, Transport, str], bytes | Transfer | None]

BATCH = 64  # datagrams for each wake-up: then TCP and timers have their turn
MAX_DATAGRAM = 4096  # no query is longer; what is cut off makes it malformed
RECEIVE_BUFFER = 4 * 2**20  # octets that the system may keep while the process is busy
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # Linux; named from Python 3.14 on
IP_PKTINFO_SIZE = 12  # interface, local address, address in the header (ip(7))
ANCILLARY_SIZE = 256  # address and interface (RFC 3542 section 6.1), beside what else a bound socket may be told to say

log = logging.getLogger(__name__)


class Faults:
    """Errors of ours while answering: each counted, each kind logged once with where it came from."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.seen: set[tuple[type[BaseException], str, int]] = set()

    def note(self, error: Exception) -> None:
        self.counters.failed += 1
        kind = raised_at(error)
        if kind not in self.seen:
            self.seen.add(kind)
            log.error("a query could not be answered; more failures of this kind are only counted", exc_info=error)


class UdpServer:
    """Answers on a bound UDP socket, which it owns from `start` to `close`."""

    def __init__(self, sock: socket.socket, answer: Answer, counters: Counters, faults: Faults | None = None) -> None:
        self.sock = sock
        self.answer = answer
        self.counters = counters
        self.faults = faults or Faults(counters)

    def start(self) -> None:
        """Take part in the running loop."""
        self.sock.setblocking(False)
        receive_buffer(self.sock)
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.sock.fileno(), self.choose())

    def choose(self) -> Callable[[], None]:
        """The reader for this socket: only one bound to all addresses needs to know which one was asked."""
        if not is_wildcard(self.sock):
            return self.read
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        return self.read_wildcard

    def close(self) -> None:
        """Stop at once: nothing is in flight between two wake-ups."""
        self.loop.remove_reader(self.sock.fileno())
        self.sock.close()

    def read(self) -> None:
        """Answer what has arrived, up to a batch."""
        receive, send, answer = self.sock.recvfrom, self.sock.sendto, self.answer
        for _ in range(BATCH):
            try:
                wire, client = receive(MAX_DATAGRAM)
            except OSError:  # nothing more, or an ICMP error about an earlier reply
                return
            try:
                reply = answer(wire, "udp", client[0])
                if isinstance(reply, bytes):
                    send(reply, client)
            except OSError:  # a full buffer, or a forged address that nothing can be sent to
                self.counters.dropped += 1
            except Exception as error:
                self.faults.note(error)

    def read_wildcard(self) -> None:
        """As `read`, from and to the address that was asked."""
        for _ in range(BATCH):
            try:
                wire, ancillary, _, client = self.sock.recvmsg(MAX_DATAGRAM, ANCILLARY_SIZE)
            except OSError:
                return
            try:
                reply = self.answer(wire, "udp", client[0])
                if isinstance(reply, bytes):
                    self.sock.sendmsg([reply], source(ancillary), 0, client)
            except OSError:
                self.counters.dropped += 1
            except Exception as error:
                self.faults.note(error)


def receive_buffer(sock: socket.socket) -> None:
    """Let the system keep what arrives while we are busy; it may allow less, and gives what it allows. One that came
    bound may have more already."""
    with contextlib.suppress(OSError):
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def is_wildcard(sock: socket.socket) -> bool:
    """Whether it is bound to all addresses."""
    return ip_address(sock.getsockname()[0].partition("%")[0]).is_unspecified


def source(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, Any]]:
    """What to send beside a reply so that it leaves from the address that was asked. The interface is left to the
    routing table, but for IPv6, where a link-local address means nothing without it."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= IP_PKTINFO_SIZE:
            return [(level, kind, struct.pack("=I4s4s", 0, data[4:8], bytes(4)))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            interface = data[16:20] if data[:2] == b"\xfe\x80" else bytes(4)
            return [(level, kind, data[:16] + interface)]
    return []
