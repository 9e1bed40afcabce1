"""DNS over TCP (RFC 7766): length and message, as many as the client likes to send, on one connection.

A connection is a small machine:

    reading  -- a message is whole --> answering -- written --> reading
    answering -- the client does not read --> choked -- it reads again --> answering, else aborted
    answering -- a turn's worth is done --> yielding -- next turn of the loop --> answering
    reading  -- silent, or a message unfinished, for too long --> closed
    answering -- a transfer (RFC 5936) --> streaming -- its last message is written --> answering
    streaming -- cut at its source, or not read for too long --> aborted, so that no zone looks complete

Untrusted: everything the client sends, and how slowly it sends and reads. Reading stops while replies wait to be read
or others have their turn, so the buffer holds part of a message and one read (asyncio's 256 KiB) at most; and each
state but answering ends by a timer. Replies go out in the order of the queries: each takes microseconds, so there
is nothing to overtake; what is asked behind a transfer waits for its end (RFC 5936 section 4.1).

With a TLS context every connection begins with a handshake (RFC 7858). It is counted before: a stranger who never ends
one takes a place like any other. Transfers over TLS want its version 1.3 and "dot" (RFC 9103 section 7.1).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from asyncio.trsock import TransportSocket
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from .counters import Counters
from .progress import Progress, known_of
from .refusals import Refused
from .stream import framed
from .transfer import Stream, Transfer
from .udp import Answer, Faults

__all__ = ["ALPN", "TcpLimits", "TcpServer"]

LENGTH_SIZE = 2  # RFC 1035 section 4.2.2
BACKLOG = 512
ALPN = "dot"  # RFC 7858 section 3, RFC 9103 section 7.1
log = logging.getLogger("dnsbl.transfer")


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What one client may take (RFC 7766 section 6.2.2 and 6.2.3)."""

    connections: int = 1000  # in all
    per_network: int = 50  # from one /24 or /64
    turn: int = 32  # queries answered in one go: then others have their turn
    unread: int = 65_536  # octets of replies that wait for the client: above, it is choked
    idle: float = 10.0  # seconds from one whole message to the next; parts of one do not extend it (6.2.3)
    drain: float = 10.0  # seconds that a choked client has to read
    handshake: float = 10.0  # seconds that a client has for that of TLS
    stalled: float = 60.0  # seconds that a choked client has in a transfer: a slow line may need them
    transfer: float = 7200.0  # seconds that a whole transfer may take
    close: float = 5.0  # seconds that clients have to take their last replies when the server stops


class TcpServer:
    """Answers on a bound TCP socket, which it owns from `start` to `close`."""

    def __init__(
        self, sock: socket.socket, answer: Answer, counters: Counters,
        faults: Faults | None = None, limits: TcpLimits | None = None,
        stream: Stream | None = None, tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.sock = sock
        self.answer = answer
        self.counters = counters
        self.faults = faults or Faults(counters)
        self.limits = limits or TcpLimits()
        self.stream = stream  # where transfers come from
        self.tls = tls
        self.connections: set[Connection] = set()
        self.networks: Counter[str] = Counter()
        self.empty = asyncio.Event()  # set while no connection is open
        self.empty.set()

    async def start(self) -> None:
        """Listen, and take part in the running loop."""
        self.sock.setblocking(False)
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Connection(self), sock=self.sock, backlog=BACKLOG)

    async def close(self) -> None:
        """Stop listening, let every client have the replies to what it has sent, then close."""
        self.server.close()
        for connection in list(self.connections):
            connection.finish()
        try:
            async with asyncio.timeout(self.limits.close):
                await self.empty.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.transport.abort()

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more, and for one more from its network."""
        if len(self.connections) >= self.limits.connections:
            return False
        if self.networks[connection.network] >= self.limits.per_network:
            return False
        self.connections.add(connection)
        self.networks[connection.network] += 1
        self.empty.clear()
        return True

    def leave(self, connection: Connection) -> None:
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        self.networks[connection.network] -= 1
        if not self.networks[connection.network]:
            del self.networks[connection.network]
        if not self.connections:
            self.empty.set()


class Connection(asyncio.Protocol):
    """One client."""

    transport: asyncio.Transport

    def __init__(self, server: TcpServer) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.client = self.network = ""
        self.buffer = bytearray()
        self.choked = False  # replies wait for the client to read
        self.yielding = False  # more to answer, in the next turn
        self.streaming: asyncio.Task[None] | None = None  # a transfer, or the handshake
        self.writable = asyncio.Event()  # while not choked
        self.writable.set()
        self.ending = False  # nothing more will be read; close when all is answered
        self.deadline = 0.0
        self.progress: Progress | None = None  # when it was choked last
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # what create_server gives
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""
        self.network = client_network(self.client)
        if not self.server.admit(self):
            self.server.counters.refused += 1
            transport.abort()
            return
        self.server.counters.connections += 1
        transport.set_write_buffer_limits(high=self.server.limits.unread)
        if self.server.tls:
            transport.pause_reading()  # what comes is for TLS
            self.streaming = self.loop.create_task(self.shake_hands(self.server.tls))
        else:
            self.wait(self.server.limits.idle)

    async def shake_hands(self, context: ssl.SSLContext) -> None:
        """Go on over TLS; a client that does not manage is dropped."""
        limit = self.server.limits.handshake
        try:
            secured = await self.loop.start_tls(
                self.transport, self, context, server_side=True, ssl_handshake_timeout=limit, ssl_shutdown_timeout=limit
            )
        except (OSError, ssl.SSLError):  # a port scanner, a client without TLS, one that left
            self.server.counters.refused += 1
            secured = None
        self.streaming = None
        if secured is None or secured.is_closing():
            self.transport.abort()
            self.connection_lost(None)  # which TLS says to nobody before its handshake is done
            return
        self.transport = secured
        secured.set_write_buffer_limits(high=self.server.limits.unread)
        self.wait(self.server.limits.idle)
        self.work()

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.streaming is not None:
            self.streaming.cancel()
        self.buffer.clear()
        self.server.leave(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.busy:
            self.work()

    @property
    def busy(self) -> bool:
        """Not to be given work: it goes on by itself."""
        return self.choked or self.yielding or self.streaming is not None

    def eof_received(self) -> bool:
        """The client has asked all it wants; it still reads (RFC 7766 section 6.2.4). True keeps our side open; TLS
        cannot, it sends what is written and ends."""
        self.finish()
        return self.server.tls is None

    def finish(self) -> None:
        """Answer what is here, then close."""
        self.ending = True
        self.transport.pause_reading()
        if not self.busy:
            self.work()

    def work(self) -> None:
        """Answer whole messages, until there are none, the client is choked, or the turn is over."""
        self.yielding = False
        for _ in range(self.server.limits.turn):
            if self.choked or self.streaming or self.transport.is_closing():
                return
            message = self.take()
            if message is None:
                self.rest()
                return
            self.reply(message)
        self.yielding = True
        self.transport.pause_reading()
        self.loop.call_soon(self.work)

    def take(self) -> bytes | None:
        """The next whole message of the buffer."""
        buffer = self.buffer
        if len(buffer) < LENGTH_SIZE:
            return None
        end = LENGTH_SIZE + (buffer[0] << 8 | buffer[1])
        if len(buffer) < end:
            return None
        message = bytes(buffer[LENGTH_SIZE:end])
        del buffer[:end]
        return message

    def reply(self, message: bytes) -> None:
        """Answer one message: length and reply in one write (RFC 7766 section 8)."""
        self.deadline = self.loop.time() + self.server.limits.idle
        try:
            reply = self.server.answer(message, "tcp", self.client)
        except Exception as error:
            self.server.faults.note(error)
            self.transport.close()  # this client cannot be served, and would wait for its reply
            return
        if reply is None:
            self.transport.close()  # no query: whoever this is, it does not speak DNS to a server
            return
        if isinstance(reply, Transfer):
            self.begin(reply)
        else:
            self.transport.write(framed(reply))

    # transfers

    def begin(self, transfer: Transfer) -> None:
        """Pass a transfer on, or have it written past us. Until its end nothing is read: what is asked waits."""
        if self.server.stream is None or not self.private():
            self.transport.write(framed(transfer.refuse(Refused.TLS if self.server.stream else Refused.NOT_READY)))
            return
        self.transport.pause_reading()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        going = replace(transfer, sock=self.bare(), known=self.known, cut=self.transport.abort)
        self.streaming = self.loop.create_task(self.run(self.server.stream, going))

    def bare(self) -> TransportSocket | None:
        """The socket, where another may write to it: in the clear, and nothing of ours is left to be written."""
        if self.server.tls is not None or self.transport.get_write_buffer_size():
            return None
        found: TransportSocket = self.transport.get_extra_info("socket")
        return found

    def private(self) -> bool:
        """Over TLS, whether it is as RFC 9103 section 7.1 wants it; in the clear there is nothing to want."""
        if self.server.tls is None:
            return True
        secured = self.transport.get_extra_info("ssl_object")
        return bool(secured.version() == "TLSv1.3" and secured.selected_alpn_protocol() == ALPN)

    async def run(self, stream: Stream, transfer: Transfer) -> None:
        try:
            async with asyncio.timeout(self.server.limits.transfer), aclosing(stream(transfer)) as messages:
                async for message in messages:
                    self.transport.write(message)
                    await self.writable.wait()
        except (OSError, TimeoutError) as error:  # where it comes from has died, or it never ends
            log.warning("the transfer of %s to %s was cut: %s", transfer.zone, self.client, error or "out of time")
            self.transport.abort()
        except Exception as error:
            self.server.faults.note(error)
            self.transport.abort()
        self.streaming = None
        if not self.transport.is_closing():
            self.wait(self.server.limits.drain if self.choked else self.server.limits.idle)
            self.work()

    def rest(self) -> None:
        """Nothing whole is left: read on, or be done."""
        if self.ending:
            self.transport.close()
        else:
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client does not take its replies: answer no more until it does."""
        self.choked = True
        self.writable.clear()
        self.transport.pause_reading()
        self.progress = self.known()
        self.wait(self.server.limits.stalled if self.streaming else self.server.limits.drain)

    def resume_writing(self) -> None:
        self.choked = False
        self.writable.set()
        if self.streaming:
            if self.timer is not None:
                self.timer.cancel()
            return
        self.wait(self.server.limits.idle)
        if not self.yielding:
            self.work()

    def wait(self, seconds: float) -> None:
        """Give the client this long, from now."""
        self.deadline = self.loop.time() + seconds
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_at(self.deadline, self.too_long)

    def too_long(self) -> None:
        """The timer rang: whole messages may have moved the deadline since it was set."""
        if self.loop.time() < self.deadline:
            self.timer = self.loop.call_at(self.deadline, self.too_long)
            return
        if self.streaming and self.choked and self.reads():
            self.wait(self.server.limits.stalled)
            return
        self.server.counters.timed_out += 1
        if self.choked or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def known(self) -> Progress | None:
        """How far the client is."""
        return known_of(self.transport.get_extra_info("socket"))()

    def reads(self) -> bool:
        """Whether a choked client has read meanwhile. The kernel takes more only once a third of what it holds, up to
        MB, is gone; who is slow may need longer for that than `stalled`."""
        before, self.progress = self.progress, self.known()
        return bool(before and self.progress and self.progress.taken != before.taken)


def client_network(client: str) -> str:
    """The network that shares a limit: a /24, or in IPv6 a /64. A client that has left already has no address."""
    if not client:
        return ""
    address = ip_address(client.partition("%")[0])
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
