"""Small DNS clients over real sockets, and dig."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from compiled import over

from dnsbl.dns.answer import Answerer
from dnsbl.dns.counters import Counters
from dnsbl.dns.server import DnsServer

SECONDS = 20  # a test that waits longer has found a fault
PATH = "python"  # or "native"; see conftest


@asynccontextmanager
async def serving(answerer: Answerer, **options: object) -> AsyncIterator[DnsServer]:
    """A running server on a free port of 127.0.0.1, over the path that is wanted."""
    more = {"native": over(answerer), **options} if PATH == "native" else options
    server = DnsServer(answerer, **{"listen": ["127.0.0.1:0"], **more})  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def counted(server: DnsServer) -> Counters:
    """All that a server has counted, whichever path answered."""
    return server.native.counters() if server.native else server.counters


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.replies: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.replies.put_nowait((data, addr))


@asynccontextmanager
async def udp_client(address: tuple[str, int]) -> AsyncIterator[UdpClient]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, remote_addr=address)
    try:
        yield UdpClient(transport, protocol)
    finally:
        transport.close()


class UdpClient:
    """A connected socket: the system lets nothing through but what comes from the address that was asked."""

    def __init__(self, transport: asyncio.DatagramTransport, protocol: Datagrams) -> None:
        self.transport = transport
        self.protocol = protocol

    def send(self, wire: bytes) -> None:
        self.transport.sendto(wire)

    async def reply(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            return (await self.protocol.replies.get())[0]

    async def ask(self, wire: bytes) -> bytes:
        self.send(wire)
        return await self.reply()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


async def read_framed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SECONDS):
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def closed(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes, in one way or the other."""
    async with asyncio.timeout(SECONDS):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def tcp_client(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def connected(
    answerer: Answerer, **options: object
) -> AsyncIterator[tuple[DnsServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A running server and one connection to it."""
    async with serving(answerer, **options) as server, tcp_client(server.addresses[0]) as (reader, writer):
        yield server, reader, writer


class Dug:
    """What dig printed."""

    def __init__(self, text: str) -> None:
        self.text = text
        header = re.search(r"opcode: (\w+), status: (\w+)", text)
        self.opcode, self.status = header.groups() if header else ("", "")
        flags = re.search(r"^;; flags:([^;]*);", text, re.M)
        self.flags = flags[1].split() if flags else []
        self.counts = {
            name: int(count) for name, count in re.findall(r"(QUERY|ANSWER|AUTHORITY|ADDITIONAL): (\d+)", text)
        }
        edns = re.search(r"^; EDNS: version: (\d+), flags:([^;]*); udp: (\d+)", text, re.M)
        self.edns_version = int(edns[1]) if edns else None
        self.edns_flags = edns[2].split() if edns else []
        answer = re.search(r"ANSWER SECTION:\n((?:.+\n)*)", text)
        self.answer = [line.split() for line in answer[1].splitlines()] if answer else []

    @property
    def types(self) -> list[str]:
        return [fields[3] for fields in self.answer]


async def run(program: str, *arguments: str) -> str:
    """The output of a DNS client; the test is skipped, aloud, where there is none."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate()
    return output.decode()


async def dig(server: DnsServer, *arguments: str) -> Dug:
    host, port = server.addresses[0]
    return Dug(await run("dig", "-r", f"@{host}", "-p", str(port), "+tries=1", "+time=5", *arguments))
