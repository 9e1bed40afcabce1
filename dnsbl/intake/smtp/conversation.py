"""One connection: aiosmtpd's conversation, with limits to it, and with DATA read in pieces instead of lines.

    greeting -> commands -- DATA, 354 --> collecting -- CRLF . CRLF --> taking -- the taker's answer --> commands
                commands -- STARTTLS ---> handshake ---> commands, all that was said before is forgotten
                anywhere -- silence, the session too long, too many errors, the server stops --> hung up, with 421

Untrusted: all that the client sends, how slowly, and whether it reads what we say. One timer ends each state. What
arrives while no command waits for it stays with the system after some hundred KiB: asyncio stops reading.

aiosmtpd gives the command loop, the grammar of commands, STARTTLS and the PROXY header. Replaced are DATA (it keeps a
list of lines and looks at each), paths (slow, and not made for strangers), AUTH (there is none), and what its loop
leaves open: turns for others, a limit to errors, commands sent ahead of a handshake, clients that do not read.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import Future, Task
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Session, syntax
from aiosmtpd.smtp import Envelope as AiosmtpdEnvelope

from ...config import TrapConfig
from ...errors import printable
from . import replies
from .addresses import NULL, Traps, parse_path, readable
from .admission import Address, Admission
from .collector import Collector, Holding
from .counters import Counters, Faults
from .envelope import Envelope, Protocol, Recipient
from .limits import Limits

__all__ = ["Conversation", "LmtpConversation", "Said", "Shared"]

MAX_COMMAND = 2048  # octets; RFC 5321 section 4.5.3.1.4: 512, and what extensions add
MAX_HELO = 255  # characters
MAX_EARLY = 2**24  # octets: more than ever wait to be read
TURN = 32  # replies, and then others have their turn: commands may come by the thousand in one packet


@dataclass(slots=True)
class Shared:
    """What the conversations of a receiver have in common."""

    config: TrapConfig
    limits: Limits
    counters: Counters
    faults: Faults
    traps: Traps
    admission: Admission
    clock: Callable[[], int]
    take: Callable[[Envelope], Coroutine[Any, Any, str]]  # hands a mail over; its reply
    tls: ssl.SSLContext | None = None
    conversations: set[Conversation] = field(default_factory=set)
    taking: set[Task[str]] = field(default_factory=set)  # mails that are being taken, their client there or not
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # a conversation or a taking ended
    closing: bool = False


class Said(AiosmtpdEnvelope):
    """What MAIL and RCPT have said of the next mail."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[Recipient] = []


class Conversation(SMTP):
    """SMTP. Entered in `shared.conversations` by connection_made, and struck out by connection_lost."""

    protocol: ClassVar[Protocol] = "smtp"
    greeting: ClassVar[str] = "ESMTP"
    line_length_limit = MAX_COMMAND  # of commands: mails do not pass the reader
    command_size_limit = MAX_COMMAND

    def __init__(self, shared: Shared, hooks: object, client: Address, network: str, proxied: bool) -> None:
        super().__init__(
            hooks,
            data_size_limit=shared.config.max_bytes,
            enable_SMTPUTF8=True,
            hostname=shared.config.hostname,
            ident=self.greeting,
            tls_context=shared.tls,
            timeout=shared.limits.idle,
            command_call_limit=call_limits(shared.limits),
            proxy_protocol_timeout=shared.limits.proxy if proxied else None,
            loop=asyncio.get_running_loop(),
        )
        # aiosmtpd's own is one for all connections, and grows with each EHLO.
        self.command_size_limits = defaultdict(lambda: MAX_COMMAND)
        self.shared, self.client, self.network = shared, client, network
        self.local = False  # a proxy that speaks for itself
        self.introduced = not proxied  # the PROXY header, if there must be one, has come
        self.ends = self.loop.time() + shared.limits.session
        self.said = self.errors = 0  # replies
        self.busy = False  # with a mail
        self.collector: Collector | None = None
        self.began = 0.0  # of the mail being collected
        self.whole: Future[None] = self.loop.create_future()  # its end has come

    def __dir__(self) -> list[str]:
        """Where aiosmtpd looks for commands, anew for each connection: this saves it a third of what those cost."""
        return command_names(type(self).__mro__)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Twice where there is TLS: then with the transport of a handshake that succeeded."""
        first = self not in self.shared.conversations
        self.shared.conversations.add(self)
        self.shared.counters.open = len(self.shared.conversations)
        super().connection_made(transport)
        if first:
            self.handling().add_done_callback(self.handled)
        else:
            self.shared.counters.tls += 1

    def _create_envelope(self) -> Said:
        return Said()

    def present(self) -> Session:
        assert self.session is not None  # made by aiosmtpd in connection_made, and again after a handshake
        return self.session

    def wire(self) -> asyncio.Transport | None:
        """None once the connection is lost."""
        assert self.transport is None or isinstance(self.transport, asyncio.Transport)
        return self.transport

    def handling(self) -> Task[None]:
        assert self._handler_coroutine is not None  # made by aiosmtpd in connection_made
        return self._handler_coroutine

    def handled(self, handling: Task[None]) -> None:
        """aiosmtpd's loop is over. A connection that broke is no fault; anything else that it raises is ours."""
        error = None if handling.cancelled() else handling.exception()
        if error is not None and not isinstance(error, OSError | EOFError):
            self.shared.faults.note(error)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.shared.conversations:  # aiosmtpd says it twice after a handshake that failed
            self.shared.conversations.remove(self)
            self.shared.counters.open = len(self.shared.conversations)
            self.shared.admission.leave(self.network)
            self.shared.changed.set()
            if not self.introduced:
                self.shared.counters.refuse("proxy")
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """A mail goes to its collector; all else to the reader, where aiosmtpd's loop finds it."""
        collector = self.collector
        if collector is None:
            super().data_received(data)
            return
        rest = collector.feed(data)
        if rest is not None:
            self.collector = None
            if not self.whole.done():
                self.whole.set_result(None)
            super().data_received(rest)
        elif collector.endless:
            self.hang_up(collector.fault)
        elif self.too_slow(collector.seen):
            self.hang_up("slow")
        else:
            self._reset_timeout()

    def too_slow(self, octets: int) -> bool:
        limits, taken = self.shared.limits, self.loop.time() - self.began
        return taken > limits.data or (taken > limits.idle and octets < taken * limits.rate)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """The one timer: silence, but never beyond the end of the session."""
        left = max(self.ends - self.loop.time(), 0.001)  # aiosmtpd takes 0 for its default
        super()._reset_timeout(min(duration or self.shared.limits.idle, left))

    def _timeout_cb(self) -> None:
        self.hang_up("idle")

    def hang_up(self, reason: str) -> None:
        """Say goodbye, and close whether the client reads it or not; a mail that has not come whole is dropped."""
        self.collector = None
        self.handling().cancel()
        wire = self.wire()
        if wire is None:
            return
        if not wire.is_closing():
            self.shared.counters.refuse(reason)
            wire.write(replies.GOODBYES[reason].encode() + b"\r\n")
            if not wire.get_write_buffer_size():
                wire.close()
                return
        wire.abort()

    def cut(self) -> None:
        """End it now, in whatever state it is."""
        wire = self.wire()
        if wire is not None:
            wire.abort()

    async def push(self, status: str | bytes) -> None:
        """One reply. Too many bad ones end the session, and others have their turn after some."""
        text = status if isinstance(status, str) else status.decode("utf-8", "replace")
        if self.present().extended_smtp:
            text = replies.enhanced(text)
        await super().push(text.encode("utf-8", "replace"))
        self.said += 1
        if text.startswith(("421", "502 5.5.1 Too many")):
            self.shared.counters.refuse("commands")  # aiosmtpd ends the session
        if text[:1] in ("4", "5"):
            self.errors += 1
            if self.errors > self.shared.limits.errors:
                self.hang_up("errors")
        if self.said % TURN == 0:
            await asyncio.sleep(0)

    async def unread(self) -> bytes:
        """What has come and was not read; it is then. An octet more, which we feed ourselves, so as not to wait."""
        self._reader.feed_data(b"\n")
        return (await self._reader.read(MAX_EARLY))[:-1]

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return parse_path(arg) or (None, None)

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207. What came ahead of the handshake was said by anybody in between: nothing is done with it."""
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 TLS is on already")
        elif self.tls_context is not None and await self.unread():
            self.hang_up("tls")
        else:
            await super().smtp_STARTTLS(arg)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed():
            return
        said = self.envelope
        assert isinstance(said, Said)  # made by _create_envelope
        if not said.recipients:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        self.busy = True
        reply = await self.receive(said)
        self.envelope = self._create_envelope()
        await self.push(self.answers(reply, len(said.recipients)))
        self.busy = False
        if self.shared.closing:
            self.hang_up("closing")

    def answers(self, reply: str, recipients: int) -> str:
        return reply

    async def receive(self, said: Said) -> str:
        """Collect a mail and have it taken; the reply. Once it has come it is taken even if its client leaves: that
        one does not know, and may come again (RFC 1047)."""
        shared = self.shared
        holding = Holding(shared.counters, shared.limits)
        collector = Collector(shared.config.max_bytes, shared.limits, holding)
        try:
            await self.collect(collector)
        except BaseException:
            holding.release()
            if self.collector is collector:  # and it was not us who hung up
                self.collector = None
                shared.counters.refuse("cut")
            raise
        if collector.fault:
            holding.release()
            shared.counters.refuse(collector.fault)
            return replies.FAULTS[collector.fault]
        shared.counters.bytes += collector.seen
        taking = self.loop.create_task(shared.take(self.enveloped(said, collector.content())))
        shared.taking.add(taking)
        taking.add_done_callback(lambda _: self.taken(taking, holding))
        return await asyncio.shield(taking)

    async def collect(self, collector: Collector) -> None:
        early = await self.unread()
        self.whole = self.loop.create_future()
        self.collector, self.began = collector, self.loop.time()
        if early:
            self.data_received(early)
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self.whole
        self._reset_timeout()

    def taken(self, taking: Task[str], holding: Holding) -> None:
        holding.release()
        self.shared.counters.deferred += taking.cancelled()  # as the server stops; its client has no reply
        self.shared.taking.discard(taking)
        self.shared.changed.set()

    def enveloped(self, said: Said, data: bytes) -> Envelope:
        tls = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        return Envelope(
            peer=str(self.client),
            helo=printable(readable(self.present().host_name or ""))[:MAX_HELO],
            mail_from="" if said.mail_from is None or said.mail_from == NULL else said.mail_from,
            recipients=tuple(said.recipients),
            data=data,
            at=self.shared.clock(),
            protocol=self.protocol,
            tls=tls.version() or "" if tls is not None else "",
            local=self.local,
            smtputf8=said.smtp_utf8,
        )


class LmtpConversation(Conversation, LMTP):
    """LMTP (RFC 2033): LHLO, and after the mail a reply for each recipient that was accepted."""

    protocol = "lmtp"
    greeting = "LMTP"

    def answers(self, reply: str, recipients: int) -> str:
        return "\r\n".join([reply] * recipients)


@cache
def command_names(classes: tuple[type, ...]) -> list[str]:
    """The methods that are commands. There is no AUTH: nobody has an account here."""
    names = {name for cls in classes for name in vars(cls) if name.startswith("smtp_")}
    return sorted(names - {"smtp_AUTH"})


def call_limits(limits: Limits) -> dict[str, int]:
    """How often a command may be given in one session, as aiosmtpd counts them."""
    return {"*": limits.commands, "MAIL": limits.mails, "RCPT": limits.mails * limits.recipients + limits.errors}
