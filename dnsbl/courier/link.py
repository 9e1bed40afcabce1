"""The front's end: starts the courier and keeps it running, asks it for transfers, passes them on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncGenerator, Sequence

from ..dns.refusals import Refused
from ..dns.stream import framed, messages
from ..dns.tcp import client_network
from ..dns.transfer import Transfer
from .request import LENGTH, READY, Request, Verdict, wake
from .slots import Slots

__all__ = ["Link"]

log = logging.getLogger("dnsbl.transfer")

BACKOFF = (1, 2, 5, 15, 60)  # seconds before the courier is started again
STEADY = 60.0  # seconds that it ran: then its end is no repeated failure
STOP_WITHIN = 5.0
MAX_FRAME = 2 + 65_535  # octets: a message and its length
WAKE_PAUSE = 0.1  # seconds: as long as who follows pauses between two questions for a zone
BUFFER = 131_072  # octets of a transfer that wait in the front


class Link:
    """The courier as the front sees it. `command` starts it."""

    def __init__(self, command: Sequence[str], slots: Slots | None = None) -> None:
        self.command = list(command)
        self.slots = slots or Slots()
        self.control: socket.socket | None = None  # while it runs: requests go in here
        self.process: asyncio.subprocess.Process | None = None
        self.ended = False  # it did, and does not run again yet
        self.woken: dict[str, bool] = {}  # zones since less than WAKE_PAUSE, and whether it was said again

    # its life

    async def keep(self) -> None:
        """Have it running until cancelled."""
        failures = 0
        while True:
            started = time.monotonic()
            try:
                how = await self.run()
            except OSError as error:
                how = error.strerror or str(error)
            if time.monotonic() - started > STEADY:
                failures = 0
            wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
            failures += 1
            self.ended = True
            log.error("transfers ended (%s); answers go on, they start again in %d s", how, wait)
            await asyncio.sleep(wait)

    async def run(self) -> str:
        """Start it, and wait for its end; how that was. It lives no longer than our end of the pair."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            ours.setblocking(False)
            with theirs:
                self.process = await asyncio.create_subprocess_exec(*self.command, stdin=theirs.fileno())
            self.control = ours
            try:
                await self.begun(ours)
                code = await self.process.wait()
            finally:
                self.control = None
        return f"exit {code}" if code >= 0 else f"signal {-code}"

    async def begun(self, control: socket.socket) -> None:
        """Wait until it takes requests, or has ended. That it ended was said, so that it is back is too."""
        with contextlib.suppress(OSError):
            if await asyncio.get_running_loop().sock_recv(control, len(READY)) == READY and self.ended:
                self.ended = False
                log.warning("transfers run again")

    def hang_up(self) -> None:
        """Have it read its configuration again."""
        self.signal(signal.SIGHUP)

    async def close(self) -> None:
        """End it. `keep` is cancelled before."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await self.process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.process.wait()

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    # what it is asked

    def wake(self, zone: str) -> None:
        """A followed zone has changed at its primary: said at once, and again after WAKE_PAUSE where it was said
        meanwhile. Over UDP anybody may say so: it must not fill the way that requests for transfers take. Lost where
        the courier is not there: it asks as it starts."""
        if zone in self.woken:
            self.woken[zone] = True
            return
        self.woken[zone] = False
        asyncio.get_running_loop().call_later(WAKE_PAUSE, self.wake_again, zone)
        if self.control is not None:
            with contextlib.suppress(OSError):
                self.control.send(wake(zone))

    def wake_again(self, zone: str) -> None:
        if self.woken.pop(zone):
            self.wake(zone)

    async def stream(self, transfer: Transfer) -> AsyncGenerator[bytes, None]:
        """The messages of a transfer, each with its length before it. Raises OSError where it is cut."""
        if transfer.sections:
            for message in messages(transfer.head, transfer.sections, time.time):
                yield framed(message)
            return
        client = transfer.client

        def cut() -> None:
            log.warning("the transfer of %s to %s was cut: others wait, and it reads too slowly", transfer.zone, client)
            transfer.cut()

        async with self.slots.one(client_network(client), cut, transfer.known) as place:
            if not place:
                yield framed(transfer.refuse(Refused.PLACES))
                return
            reader = await self.begin(transfer)
            if reader is None:
                yield framed(transfer.refuse(Refused.NOT_READY))
                return
            stream, writer = reader
            try:
                async for message in passed(stream, transfer):
                    yield message
            finally:
                writer.close()

    async def begin(self, transfer: Transfer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Ask for a transfer; None where the courier is not there, or does not take more."""
        if self.control is None:
            return None
        request = Request(transfer.zone, transfer.serial, transfer.client, transfer.head)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                straight = [transfer.sock.fileno()] if transfer.sock else []
                socket.send_fds(self.control, [request.pack()], [theirs.fileno(), *straight])
            except OSError:
                ours.close()
                return None
        ours.setblocking(False)
        return await asyncio.open_unix_connection(sock=ours, limit=BUFFER)


async def passed(stream: asyncio.StreamReader, transfer: Transfer) -> AsyncGenerator[bytes, None]:
    """What the courier sends, frame by frame: all but what it sends straight to the client."""
    verdict = await frame_of(stream)
    if verdict != Verdict.OK.value:
        yield framed(transfer.refuse(Refused.TERMS if verdict == Verdict.REFUSED.value else Refused.NOT_READY))
        return
    while message := await frame_of(stream):
        if message == Verdict.GONE.value:
            transfer.cut()
            return
        yield message


async def frame_of(stream: asyncio.StreamReader) -> bytes:
    try:
        (size,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
        if size > MAX_FRAME:
            raise ConnectionResetError("it sends what is no transfer")
        return await stream.readexactly(size)
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("it ended in the middle, see above") from None
