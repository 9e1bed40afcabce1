"""Transfers on connections: in turn with queries, as fast as the client reads, cut where their source is."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from clients import SECONDS, closed, framed, read_framed, serving, tcp_client
from fake import IP_ORIGIN, default_answerer, query

from dnsbl.courier import slots as slotting
from dnsbl.courier.slots import LEAST_RATE, PATIENCE, Place, Slots
from dnsbl.dns.message import Rcode
from dnsbl.dns.tcp import TcpLimits
from dnsbl.dns.transfer import Transfer

LOOPBACK = ["127.0.0.0/8", "::1/128"]
AXFR = query(IP_ORIGIN, "AXFR")
SOA = query(IP_ORIGIN, "SOA", id=0x7777)


class Source:
    """Gives these messages, the next one once it is let go."""

    def __init__(self, messages: Sequence[bytes], after: Callable[[int], None] = lambda _: None) -> None:
        self.messages, self.after = messages, after
        self.go = asyncio.Event()
        self.go.set()
        self.given = 0
        self.straight: list[bool] = []  # of each transfer, whether its client's socket may be written to
        self.known: list[bool] = []  # and whether the kernel says how far it is
        self.ended = asyncio.Event()

    async def stream(self, transfer: Transfer) -> AsyncGenerator[bytes, None]:
        self.straight.append(transfer.sock is not None)
        self.known.append(bool(transfer.known and transfer.known()))
        try:
            for message in self.messages:
                await self.go.wait()
                self.after(self.given)
                yield framed(message)
                self.given += 1
        finally:
            self.ended.set()


@asynccontextmanager
async def transferring(
    source: Source, **options: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with (
        serving(default_answerer(transfer=LOOPBACK), stream=source.stream, **options) as server,
        tcp_client(server.addresses[0]) as client,
    ):
        yield client


async def test_the_messages_come_as_they_are_made() -> None:
    made = [bytes((number,)) * 5000 for number in range(50)]
    source = Source(made)
    async with transferring(source) as (reader, writer):
        writer.write(framed(AXFR))
        assert [await read_framed(reader) for _ in made] == made
    assert source.straight == [True]


async def test_queries_behind_a_transfer_are_answered_after_it() -> None:
    """RFC 5936 section 4.1: the connection stays, and goes on with whatever was asked."""
    source = Source([b"a" * 100, b"b" * 100])
    source.go.clear()
    async with transferring(source) as (reader, writer):
        writer.write(framed(SOA, AXFR, SOA, AXFR, SOA))
        assert (await read_framed(reader))[:2] == SOA[:2]
        source.go.set()
        for expected in (b"a", b"b", SOA[:1], b"a", b"b", SOA[:1]):
            assert (await read_framed(reader))[:1] == expected


async def test_a_slow_transfer_does_not_run_into_the_limit_for_silence() -> None:
    source = Source([b"x" * 10] * 2)
    source.go.clear()
    async with transferring(source, limits=TcpLimits(idle=0.05)) as (reader, writer):
        writer.write(framed(AXFR))
        await asyncio.sleep(0.2)  # four times what a client may be silent
        source.go.set()
        assert await read_framed(reader) == await read_framed(reader)
        assert await closed(reader) == b"", "afterwards it counts again"


def small(sock: socket.socket, address: tuple[str, int]) -> socket.socket:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(address)
    return sock


async def test_a_client_that_does_not_read_stops_its_own_transfer_alone() -> None:
    """Little is made that it does not take; another is served meanwhile; and it is cut when it has had its time."""
    endless = Source([bytes(60_000)] * 10_000)
    async with serving(
        default_answerer(transfer=LOOPBACK), stream=endless.stream, limits=TcpLimits(stalled=1.0)
    ) as server:
        with small(socket.socket(), server.addresses[0]) as stuck:
            stuck.sendall(framed(AXFR))
            async with asyncio.timeout(SECONDS):
                [connection] = await connections(server.tcp[0].connections)
                while not connection.choked:
                    await asyncio.sleep(0)
            made = endless.given
            async with tcp_client(server.addresses[0]) as (reader, writer):
                writer.write(framed(SOA))
                assert (await read_framed(reader))[:2] == SOA[:2]
            assert endless.given - made < 20 and endless.given < 200
            async with asyncio.timeout(SECONDS):
                await endless.ended.wait()
            assert server.counters.timed_out == 1


async def test_a_client_that_reads_slowly_is_not_stuck() -> None:
    """The kernel takes no more before a third of its buffer is free, for which this one needs longer."""
    endless = Source([bytes(60_000)] * 10_000)
    async with serving(
        default_answerer(transfer=LOOPBACK), stream=endless.stream, limits=TcpLimits(stalled=1.0)
    ) as server:
        with socket.create_connection(server.addresses[0]) as slow:
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(slow, framed(AXFR))
            for _ in range(30):
                async with asyncio.timeout(SECONDS):
                    assert await loop.sock_recv(slow, 32_768)
                await asyncio.sleep(0.1)
            assert not endless.ended.is_set() and not server.counters.timed_out


async def connections(known: set[object]) -> list[object]:
    while not known:
        await asyncio.sleep(0)
    return list(known)


async def test_a_transfer_that_is_cut_at_its_source_is_cut_here() -> None:
    """Never closed as one that is at its end."""

    def die(number: int) -> None:
        if number == 3:
            raise ConnectionResetError("its process ended")

    async with transferring(Source([b"x" * 1000] * 10, die)) as (reader, writer):
        writer.write(framed(AXFR, SOA))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            for _ in range(4):
                await read_framed(reader)


async def test_a_fault_of_ours_cuts_the_transfer_and_is_counted() -> None:
    def fail(number: int) -> None:
        raise ValueError("a mistake")

    answerer = default_answerer(transfer=LOOPBACK)
    async with (
        serving(answerer, stream=Source([b"x"], fail).stream) as server, tcp_client(server.addresses[0]) as client
    ):  # fmt: skip
        client[1].write(framed(AXFR))
        assert await closed(client[0]) == b""
    assert answerer.counters.failed == 1


async def test_a_client_that_leaves_ends_its_transfer() -> None:
    source = Source([bytes(1000)] * 5)
    async with transferring(source) as (reader, writer):
        writer.write(framed(AXFR))
        await read_framed(reader)
        source.go.clear()
        writer.transport.abort()
        source.go.set()
        async with asyncio.timeout(SECONDS):
            await source.ended.wait()


async def test_without_a_source_no_transfer_is_ready() -> None:
    async with (
        serving(default_answerer(transfer=LOOPBACK)) as server, tcp_client(server.addresses[0]) as (reader, writer)
    ):  # fmt: skip
        writer.write(framed(AXFR))
        assert (await read_framed(reader))[3] & 15 == Rcode.SERVFAIL


async def test_a_stopping_server_lets_a_short_transfer_end() -> None:
    source = Source([b"x" * 10, b"y" * 10])
    source.go.clear()
    async with (
        serving(default_answerer(transfer=LOOPBACK), stream=source.stream) as server,
        tcp_client(server.addresses[0]) as (reader, writer),
    ):
        writer.write(framed(AXFR))
        await connections(server.tcp[0].connections)
        [connection] = server.tcp[0].connections
        async with asyncio.timeout(SECONDS):
            while connection.streaming is None:
                await asyncio.sleep(0)
        closing = asyncio.create_task(server.close())
        source.go.set()
        assert (await read_framed(reader), await read_framed(reader)) == (b"x" * 10, b"y" * 10)
        assert await closed(reader) == b""
        await closing


# places


def nothing() -> None:
    """Is cut."""


async def test_places_are_limited_for_one_network_and_in_all() -> None:
    slots = Slots(total=3, per_network=2, wait=0.01)
    one, two, three, four, five = (slots.one(network, nothing) for network in "aaabc")
    async with one as first, two as second, three as third, four as fourth:
        assert [each is not None for each in (first, second, third, fourth)] == [True, True, False, True]
        async with five as place:
            assert place is None
    async with slots.one("a", nothing) as again:
        assert again and slots.taken == {"a": 1}
    assert not slots.taken


async def test_who_waits_gets_the_next_place() -> None:
    slots = Slots(total=1, wait=SECONDS)
    inside = asyncio.Event()

    async def take() -> bool:
        async with slots.one("b", nothing) as place:
            inside.set()
            return place is not None

    async with slots.one("a", nothing):
        waiting = asyncio.create_task(take())
        await asyncio.sleep(0)
        assert not inside.is_set()
    assert await waiting


class Pace:
    """Seconds that only a test lets pass, for a place."""

    def __init__(self, network: str) -> None:
        self.now = 0.0
        self.was_cut = False
        self.place = Place(network, self.cut, clock=lambda: self.now)

    def cut(self) -> None:
        self.was_cut = True

    def read(self, seconds: float, octets: int) -> None:
        self.place.given()
        self.now += seconds
        self.place.read(octets)


def test_who_reads_at_the_least_rate_is_never_too_slow() -> None:
    pace = Pace("a")
    for _ in range(10_000):
        pace.read(4.0, 4 * LEAST_RATE)
        pace.now += 60.0  # its next message takes so long to be made
        assert pace.place.left() > 0
    pace.read(0.0, 10**9)
    pace.read(PATIENCE + 1, 1000)
    assert pace.place.left() < 0, "what it read fast in the beginning is no credit"


async def test_only_one_that_is_too_slow_makes_room_and_only_where_that_helps() -> None:
    slots = Slots(total=3, per_network=2)
    slow, slower, brisk = Pace("a"), Pace("b"), Pace("b")
    slots.places |= {slow.place, slower.place, brisk.place}
    for each in (slow, slower, brisk):
        each.place.given()
        slots.make_room("c")
    assert not (slow.was_cut or slower.was_cut or brisk.was_cut)
    slow.now, slower.now = PATIENCE + 1, PATIENCE + 2
    slots.make_room("a")
    assert (slow.was_cut, slower.was_cut, brisk.was_cut) == (False, True, False)
    slots.make_room("b")
    assert not slow.was_cut, "its network is not the one that has too many"
    for _ in range(3):
        slots.make_room("c")
    assert (slow.was_cut, brisk.was_cut) == (True, False)


async def test_who_waits_gets_the_place_of_one_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is choked in a transfer is cut for it, and the one that waited gets all of its own."""
    monkeypatch.setattr(slotting, "PATIENCE", 0.2)
    monkeypatch.setattr(slotting, "LOOK", 0.01)
    slots = Slots(total=1, wait=SECONDS)
    stuck_first = asyncio.Event()

    async def stream(transfer: Transfer) -> AsyncGenerator[bytes, None]:
        async with slots.one(transfer.client, transfer.cut) as place:
            assert place is not None
            for _ in range(10 if stuck_first.is_set() else 10_000):
                stuck_first.set()
                place.given()
                yield framed(bytes(60_000))
                place.read(60_000)

    async with serving(default_answerer(transfer=LOOPBACK), stream=stream) as server:
        with small(socket.socket(), server.addresses[0]) as stuck:
            stuck.sendall(framed(AXFR))
            await asyncio.wait_for(stuck_first.wait(), SECONDS)
            async with tcp_client(server.addresses[0]) as (reader, writer):
                writer.write(framed(AXFR))
                async with asyncio.timeout(SECONDS):
                    for _ in range(10):
                        assert await read_framed(reader) == bytes(60_000)
            assert not slots.cut


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=primary.test"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=SECONDS)
    return directory


def server_tls(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    made.set_alpn_protocols(["dot"])
    return made


def client_tls(alpn: str | None = "dot", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode, made.maximum_version = False, ssl.CERT_NONE, newest
    if alpn:
        made.set_alpn_protocols([alpn])
    return made


@asynccontextmanager
async def private(
    source: Source, certificate: Path, client: ssl.SSLContext, **options: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(
        default_answerer(transfer=LOOPBACK), stream=source.stream, listen=[], tls_listen=["127.0.0.1:0"],
        tls=server_tls(certificate), **options,
    ) as server:  # fmt: skip
        reader, writer = await asyncio.open_connection(*server.tls_addresses[0], ssl=client)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def test_queries_and_transfers_go_over_tls(certificate: Path) -> None:
    made = [bytes((number,)) * 30_000 for number in range(40)]
    source = Source(made)
    async with private(source, certificate, client_tls()) as (reader, writer):
        writer.write(framed(SOA, AXFR, SOA))
        assert (await read_framed(reader))[:2] == SOA[:2]
        assert [await read_framed(reader) for _ in made] == made
        assert (await read_framed(reader))[:2] == SOA[:2]
    assert source.straight == [False], "what is written to its socket would be in the clear"
    assert source.known == [True], "the front writes to it, but only the kernel knows what is read"


@pytest.mark.parametrize(
    ("alpn", "newest"), [(None, ssl.TLSVersion.TLSv1_3), ("dot", ssl.TLSVersion.TLSv1_2)], ids=["no ALPN", "TLS 1.2"]
)
async def test_a_transfer_over_tls_wants_its_newest_version_and_dot(
    certificate: Path, alpn: str | None, newest: ssl.TLSVersion
) -> None:
    """RFC 9103 section 7.1. Queries do without."""
    async with private(Source([b"x"]), certificate, client_tls(alpn, newest)) as (reader, writer):
        writer.write(framed(SOA, AXFR))
        assert (await read_framed(reader))[3] & 15 == Rcode.NOERROR
        assert (await read_framed(reader))[3] & 15 == Rcode.REFUSED


async def test_who_never_ends_the_handshake_is_dropped_and_takes_a_place_till_then(certificate: Path) -> None:
    async with serving(
        default_answerer(), listen=[], tls_listen=["127.0.0.1:0"], tls=server_tls(certificate),
        limits=TcpLimits(handshake=0.2, per_network=1),
    ) as server:  # fmt: skip
        async with tcp_client(server.tls_addresses[0]) as (slow, _):
            await connections(server.tcp[0].connections)
            async with tcp_client(server.tls_addresses[0]) as (other, _):
                assert await closed(other) == b""
            assert await closed(slow) == b""
        await server.tcp[0].empty.wait()
        reader, writer = await asyncio.open_connection(*server.tls_addresses[0], ssl=client_tls())
        writer.write(framed(SOA))
        assert (await read_framed(reader))[:2] == SOA[:2]
        writer.transport.abort()


async def test_who_speaks_no_tls_is_dropped(certificate: Path) -> None:
    async with (
        serving(default_answerer(), listen=[], tls_listen=["127.0.0.1:0"], tls=server_tls(certificate)) as server,
        tcp_client(server.tls_addresses[0]) as (reader, writer),
    ):
        writer.write(framed(SOA) * 10)
        assert SOA[:2] not in await closed(reader)


async def test_a_client_that_ends_its_side_of_tls_is_closed_without_noise(
    certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with private(Source([]), certificate, client_tls()) as (reader, writer):
        writer.write(framed(SOA))
        await read_framed(reader)
        writer.close()
        async with asyncio.timeout(SECONDS):
            await writer.wait_closed()
    assert not caplog.records
