"""A receiver for tests, on ports of its own, and a client that says exactly what it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from dnsbl.config.server import TrapConfig
from dnsbl.intake.smtp import Envelope, Limits, Receiver

TRAPS = [
    {"domain": "trap.example", "class": "pristine"},
    {"domain": "old.trap.example", "class": "recycled"},
    {"address": "complaints@desk.example", "class": "feedback"},
]
MAIL = b"From: someone@sender.example\r\nSubject: buy\r\n\r\nnow\r\n"
AT = 1_700_000_000
SECONDS = 60  # a test that waits longer has found a fault


class Taker:
    """Keeps what is handed over. `fails` is raised instead; while `gate` is closed, taking takes."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.fails: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def __call__(self, envelope: Envelope) -> None:
        self.arrived.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.mails.append(envelope)


class Sink(Receiver):
    taker: Taker

    @property
    def smtp(self) -> int:
        return self.addresses["smtp"][1]

    @property
    def lmtp(self) -> int:
        return self.addresses["lmtp"][1]


@asynccontextmanager
async def sink(limits: Limits | None = None, **settings: Any) -> AsyncIterator[Sink]:
    """Running for the length of a `with`. Nothing is left of its mails in memory at the end."""
    taker = Taker()
    config = TrapConfig.model_validate(
        {"listen": "127.0.0.1:0", "hostname": "mx.example", "per_network": 2000, "addresses": TRAPS, **settings}
    )
    receiver = Sink(config, taker, lambda: AT, limits)
    receiver.taker = taker
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.close()
    assert (receiver.counters.held, receiver.counters.open) == (0, 0)
    assert not receiver.shared.admission.networks


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The next reply, all of its lines; empty where the connection ends."""
        text = ""
        async with asyncio.timeout(SECONDS):
            while True:
                line = (await self.reader.readline()).decode()
                text += line
                if line[3:4] != "-":
                    return text.removesuffix("\r\n")

    async def say(self, data: bytes) -> str:
        self.send(data)
        return await self.reply()

    async def codes(self, count: int) -> list[str]:
        return [(await self.reply())[:3] for _ in range(count)]

    async def begin(self, *recipients: bytes) -> None:
        """Up to the 354."""
        self.send(b"MAIL FROM:<a@sender.example>\r\n")
        for recipient in recipients or (b"x@trap.example",):
            self.send(b"RCPT TO:<" + recipient + b">\r\n")
        self.send(b"DATA\r\n")
        assert await self.codes(2 + (len(recipients) or 1)) == ["250"] * (1 + (len(recipients) or 1)) + ["354"]

    async def mail(self, data: bytes = MAIL) -> str:
        await self.begin()
        return await self.say(data + b".\r\n")

    async def gone(self) -> None:
        """Until the other side has closed, however it did."""
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionError):
                while await self.reader.read(2**16):
                    pass

    async def start_tls(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert (await self.say(b"STARTTLS\r\n")).startswith("220")
        await self.writer.start_tls(context)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):  # the other side was first; ssl.SSLError is one, too
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(port: int, hello: bytes = b"EHLO client.example\r\n") -> AsyncIterator[Client]:
    """Greeted, unless there is nothing to say hello with."""
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        if hello:
            assert (await client.reply()).startswith("220 mx.example")
            assert (await client.say(hello)).startswith("250")
        yield client
    finally:
        await client.close()
