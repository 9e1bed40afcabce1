"""aiosmtpd's hooks: what is said to EHLO, whom mail is taken for, and which client stands behind a proxy."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from aiosmtpd.proxy_protocol import PROTO, V2_CMD, ProxyData
from aiosmtpd.smtp import Session, TLSSetupException

from . import replies
from .admission import plain_address
from .conversation import Conversation, Said, Shared

__all__ = ["Hooks"]


class Hooks:
    """One for all conversations. `server` is the conversation; what a hook returns is the reply."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    async def handle_EHLO(
        self, server: Conversation, session: Session, envelope: Said, hostname: str, responses: list[str]
    ) -> list[str]:
        """Also LHLO. No AUTH, no BINARYMIME or CHUNKING; in one piece, as one packet."""
        session.host_name = hostname
        offered = ["PIPELINING", f"SIZE {self.shared.config.max_bytes}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if server.tls_context is not None and session.ssl is None:
            offered.append("STARTTLS")
        lines = [server.hostname, *offered]
        return ["\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])]

    async def handle_MAIL(
        self, server: Conversation, session: Session, envelope: Said, address: str, options: list[str]
    ) -> str:
        """Everybody may send: who it is is looked at elsewhere."""
        envelope.mail_from = address
        return replies.OK

    async def handle_RCPT(
        self, server: Conversation, session: Session, envelope: Said, address: str, options: list[str]
    ) -> str:
        """Declared addresses and nobody else: nothing is ever relayed."""
        recipient = self.shared.traps.find(address)
        if recipient is None:
            self.shared.counters.refuse("recipient")
            return replies.NO_SUCH_ADDRESS
        if len(envelope.recipients) >= self.shared.limits.recipients:
            self.shared.counters.refuse("recipients")
            return replies.TOO_MANY_RECIPIENTS
        envelope.recipients.append(recipient)
        return "250 2.1.5 OK"

    async def handle_VRFY(self, server: Conversation, session: Session, envelope: Said, address: str) -> str:
        """RFC 5321 section 7.3: who is here is not told."""
        return "252 2.1.5 send mail, and see"

    async def handle_PROXY(self, server: Conversation, session: Session, envelope: Said, header: ProxyData) -> bool:
        """Who is behind a proxy; False closes. Per network, the client counts and not the proxy."""
        if header.protocol == PROTO.UNSPEC or (header.version == 2 and header.command == V2_CMD.LOCAL):
            server.introduced = server.local = True  # a health check, or a proxy that does not know
            return True
        source = header.src_addr
        if header.protocol != PROTO.STREAM or not isinstance(source, IPv4Address | IPv6Address):
            return False
        server.introduced = True
        server.client = plain_address(str(source))
        network = self.shared.admission.enter(server.client)
        if network is None:
            server.hang_up("network")
            return False
        server.network = network
        return True

    async def handle_exception(self, error: Exception) -> str:
        """What went wrong in a conversation: a handshake, a connection that broke, or an error of ours."""
        if isinstance(error, TLSSetupException):
            self.shared.counters.refuse("tls")
        elif not isinstance(error, OSError | EOFError):
            self.shared.faults.note(error)
        return replies.DEFERRED
