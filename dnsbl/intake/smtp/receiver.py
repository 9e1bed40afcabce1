"""The listening sockets, and what becomes of a mail that has come whole."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from ... import clock as clocks
from ...config import TrapConfig
from ...config.base import parse_listen
from ...errors import IntakeError, StartError, StoreError
from . import replies
from .addresses import Traps
from .admission import Admission, plain_address, within
from .conversation import Conversation, LmtpConversation, Shared
from .counters import Counters, Faults
from .envelope import Envelope
from .hooks import Hooks
from .limits import Limits

__all__ = ["Accept", "Receiver"]

Accept = Callable[[Envelope], Awaitable[None]]
BACKLOG = 512  # connections that the system holds for us
WHAT_TO_DO = {
    errno.EADDRINUSE: "another program has it; stop that, or change {setting}",
    errno.EACCES: "ports below 1024 need a privilege; give it, or change {setting}",
    errno.EADDRNOTAVAIL: "this machine has no such address; correct {setting}",
}


class Receiver:
    """Takes mail for declared addresses and hands each to `accept`, which returns when the mail is kept for good (250),
    raises IntakeError with a sentence for what is no mail (554), StoreError for what it cannot do now (451). Anything
    else it raises, or more than `limits.accept` seconds, is 451 too. Many are handed over at the same time."""

    def __init__(
        self, config: TrapConfig, accept: Accept, clock: Callable[[], int] = clocks.now, limits: Limits | None = None
    ) -> None:
        self.config, self.accept = config, accept
        self.limits = limits or Limits()
        self.counters = Counters()
        self.faults = Faults(self.counters)
        traps, admission = Traps(config.addresses, config.hostname), Admission(config)
        self.shared = Shared(
            config=config, limits=self.limits, counters=self.counters, faults=self.faults,
            traps=traps, admission=admission, clock=clock, take=self.take,
        )  # fmt: skip
        self.hooks = Hooks(self.shared)
        self.servers: list[asyncio.Server] = []
        self.addresses: dict[str, tuple[str, int]] = {}  # "smtp" and "lmtp": where they listen, once started

    async def start(self) -> None:
        """Listen. Raises StartError, with nothing left open."""
        quieten()
        self.shared.tls = tls_context(self.config.tls_cert, self.config.tls_key)
        try:
            await self.listen(Conversation, "trap.listen", self.config.listen)
            if self.config.lmtp is not None:
                await self.listen(LmtpConversation, "trap.lmtp", self.config.lmtp)
        except StartError:
            await self.close()
            raise

    async def listen(self, kind: type[Conversation], setting: str, where: str) -> None:
        host, port = parse_listen(where)
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: Door(self.shared, self.hooks, kind), host, port, backlog=BACKLOG
            )
        except OSError as error:
            todo = WHAT_TO_DO.get(error.errno or 0, f"{error.strerror or error}; correct {{setting}}")
            raise StartError(f"cannot listen on {where}: {todo.format(setting=setting)}") from error
        self.servers.append(server)
        self.addresses[kind.protocol] = server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Stop listening, take the mails that are under way, say goodbye to everybody else. What is not done after
        `limits.close` seconds is cut: its clients have no reply, and come again."""
        shared = self.shared
        shared.closing = True
        for server in self.servers:
            server.close()
        self.servers, self.addresses = [], {}
        for conversation in list(shared.conversations):
            if not conversation.busy:
                conversation.hang_up("closing")
        try:
            async with asyncio.timeout(self.limits.close):
                await self.empty()
        except TimeoutError:
            for conversation in list(shared.conversations):
                conversation.cut()
            for task in shared.taking:
                task.cancel()
            await self.empty()

    async def empty(self) -> None:
        """Until nobody is connected, and no mail is being taken."""
        shared = self.shared
        while shared.conversations or shared.taking:
            shared.changed.clear()
            await shared.changed.wait()

    async def take(self, envelope: Envelope) -> str:
        """Hand a mail over; the reply. Raises nothing but CancelledError."""
        counters = self.counters
        try:
            async with asyncio.timeout(self.limits.accept):
                await self.accept(envelope)
        except IntakeError as error:
            counters.refused += 1
            return replies.refusal(str(error))
        except (StoreError, TimeoutError):
            counters.deferred += 1
            return replies.DEFERRED
        except Exception as error:
            counters.deferred += 1
            self.faults.note(error)
            return replies.DEFERRED
        counters.accepted += 1
        return replies.TAKEN


class Door(asyncio.Protocol):
    """A new connection: let in, or told to come again before it costs anything."""

    def __init__(self, shared: Shared, hooks: Hooks, kind: type[Conversation]) -> None:
        self.shared, self.hooks, self.kind = shared, hooks, kind

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # what create_server gives
        shared, peer = self.shared, transport.get_extra_info("peername")
        if peer is None:
            transport.abort()  # it has left already
            return
        if shared.closing or len(shared.conversations) >= shared.config.connections:
            self.refuse(transport, "closing" if shared.closing else "connections")
            return
        client = plain_address(peer[0])
        proxied = within(client, shared.config.proxy)
        network = "" if proxied else shared.admission.enter(client)
        if network is None:
            self.refuse(transport, "network")
            return
        shared.counters.connections += 1
        try:
            conversation = self.kind(shared, self.hooks, client, network, proxied)
        except Exception as error:
            shared.faults.note(error)
            shared.admission.leave(network)
            transport.abort()
            return
        transport.set_protocol(conversation)
        conversation.connection_made(transport)

    def refuse(self, transport: asyncio.Transport, reason: str) -> None:
        self.shared.counters.refuse(reason)
        transport.write(replies.GOODBYES[reason].encode() + b"\r\n")
        transport.close()


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """For STARTTLS; None: it is not offered. Raises StartError."""
    if cert is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # a locked key fails, and asks nobody
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise StartError(
            f"cannot use the certificate {cert} with the key {key}: {why}; correct trap.tls_cert"
        ) from error
    return context


def quieten() -> None:
    """aiosmtpd logs what strangers say: addresses, commands, each of their mistakes. Here those are counters."""
    for name in ("mail.log", "mail.debug"):
        logging.getLogger(name).setLevel(logging.ERROR)
