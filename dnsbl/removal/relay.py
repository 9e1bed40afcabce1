"""The mail server that takes our mail: one connection for a batch, and what its refusals mean.

A server may hang, close, refuse or babble at any step. Only its no to this recipient or this message (5yz to RCPT or
DATA, RFC 5321 section 4.2.1) is about the mail; all else is about the way, which an operator may mend: that is tried
again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from types import TracebackType

import aiosmtplib

from ..config import MailConfig
from ..errors import printable
from .letters import domain_of

__all__ = ["LATER", "NEVER", "SENT", "Relay", "RelayLost"]

SECONDS = 30.0  # to connect with all that belongs to it, and then for each mail: a hung server is left
MAX_WORDS = 200  # characters of what the other side says
SENT, LATER, NEVER = "sent", "later", "never"  # what comes of a try
LOST = (OSError, aiosmtplib.SMTPException)  # of OSError: time-outs, closed connections, TLS that fails


class RelayLost(Exception):
    """There is no connection, or none any more; says why. Nothing is known of the mail that was under way."""


class Relay:
    """As `config.mail` says; `seconds` is for tests."""

    def __init__(self, config: MailConfig, seconds: float = SECONDS) -> None:
        self.config, self.seconds = config, seconds
        host, _, port = (config.relay or "").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port or 0)
        self.smtp: aiosmtplib.SMTP | None = None

    async def __aenter__(self) -> Relay:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever is told to stop does not wait for a good-bye."""
        if error is None:
            await self.leave()
        self.close()

    async def send(self, recipient: str, message: bytes) -> tuple[str, str]:
        """(SENT, LATER or NEVER; the server's words). Raises RelayLost."""
        smtp = await self.connected()
        try:
            async with asyncio.timeout(self.seconds):
                _, said = await smtp.sendmail(self.config.sender, [recipient], message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            return judged(refused.code), words(refused.code, refused.message, recipient)
        except aiosmtplib.SMTPDataError as error:
            return judged(error.code), words(error.code, error.message, recipient)
        except aiosmtplib.SMTPResponseException as error:  # MAIL: it does not like our sender, or us
            return LATER, words(error.code, error.message, recipient)
        except LOST as error:
            self.close()
            raise RelayLost(reason(error)) from None
        return SENT, words(250, said, recipient)

    async def connected(self) -> aiosmtplib.SMTP:
        """The connection, made where there is none, with TLS and the login as they are configured. Raises RelayLost."""
        if self.smtp is not None and self.smtp.is_connected:
            return self.smtp
        self.close()
        self.smtp = self.client()
        try:
            async with asyncio.timeout(self.seconds):
                await self.smtp.connect()
        except LOST as error:
            self.close()
            raise RelayLost(reason(error)) from None
        return self.smtp

    def client(self) -> aiosmtplib.SMTP:
        tls, named = self.config.tls, self.config.username
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            timeout=self.seconds,
            local_hostname=domain_of(self.config.sender),  # the default asks the DNS, and waits for it
            use_tls=tls == "always",
            start_tls={"off": False, "always": False}.get(tls, None if local(self.host) else True),
            tls_context=context(self.host),
            username=named or None,
            password=self.config.password.get_secret_value() if named else None,
        )

    async def leave(self) -> None:
        """Say good-bye where somebody listens."""
        if self.smtp is not None and self.smtp.is_connected:
            try:
                async with asyncio.timeout(self.seconds):
                    await self.smtp.quit()
            except LOST:
                pass  # what was sent is sent

    def close(self) -> None:
        if self.smtp is not None:
            self.smtp.close()
            self.smtp = None


def judged(code: int) -> str:
    return NEVER if 500 <= code <= 599 else LATER


def reason(error: Exception) -> str:
    """Why there is no connection, in one line."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return words(error.code, error.message, "")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return printable(str(error).strip() or type(error).__name__)[:MAX_WORDS]


def words(code: int, said: str, recipient: str) -> str:
    """What a server said, cut and in one line, without the recipient, who is not kept any longer than need be."""
    text = printable(" ".join(f"{code} {said}".split()))
    if recipient:
        text = re.sub(re.escape(recipient), "(recipient)", text, flags=re.IGNORECASE)
    return text[:MAX_WORDS]


def local(host: str) -> bool:
    """Whether it is this very host: what goes there crosses no network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def context(host: str) -> ssl.SSLContext:
    """Certificates are verified, but for those of this very host, which are nobody's and protect nothing."""
    made = ssl.create_default_context()
    if local(host):
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made
