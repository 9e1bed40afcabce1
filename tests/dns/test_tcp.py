"""Connections over real sockets (RFC 7766)."""

import asyncio
import logging
import socket

import pytest
from clients import SECONDS, closed, connected, counted, framed, read_framed, serving, tcp_client
from fake import IP_ORIGIN, default_answerer, query
from fake import reversed_name as name

from dnsbl.dns.tcp import TcpLimits, client_network


async def test_many_queries_on_one_connection_are_answered_in_order():
    answerer = default_answerer()
    wires = [query(name(f"192.0.2.{n % 256}"), "TXT", id=n) for n in range(500)]
    async with connected(answerer) as (_, reader, writer):
        writer.write(framed(*wires))
        for wire in wires:
            assert await read_framed(reader) == answerer.reply(wire, "tcp")
    assert answerer.counters.connections == 1


async def test_a_message_may_come_octet_by_octet():
    async with connected(default_answerer()) as (_, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(query(IP_ORIGIN, "SOA"), query(IP_ORIGIN, "NS")):
            writer.write(bytes((octet,)))
            await asyncio.sleep(0)
        assert (await read_framed(reader))[7] == 1
        assert (await read_framed(reader))[7] == 2


async def test_a_client_that_has_asked_all_still_gets_its_replies():
    async with connected(default_answerer()) as (_, reader, writer):
        writer.write(framed(*[query(IP_ORIGIN, "SOA")] * 100))
        writer.write_eof()
        for _ in range(100):
            await read_framed(reader)
        assert await closed(reader) == b""


async def test_a_silent_connection_is_closed():
    answerer = default_answerer()
    async with connected(answerer, limits=TcpLimits(idle=0.05)) as (_, reader, _):
        assert await closed(reader) == b""
    assert answerer.counters.timed_out == 1


async def test_a_whole_message_gives_a_connection_more_time():
    async with connected(default_answerer()) as (server, reader, writer):
        for _ in range(2):
            writer.write(framed(query(IP_ORIGIN)))
            await read_framed(reader)
        [connection] = server.tcp[0].connections
        before = connection.deadline
        writer.write(framed(query(IP_ORIGIN)))
        await read_framed(reader)
        assert connection.deadline > before


async def test_part_of_a_message_does_not_keep_a_connection_open():
    answerer = default_answerer()
    async with connected(answerer, limits=TcpLimits(idle=0.2)) as (_, reader, writer):
        waiting = asyncio.create_task(closed(reader))
        for octet in framed(query(IP_ORIGIN) + bytes(60_000)):
            if waiting.done():
                break
            writer.write(bytes((octet,)))
            await asyncio.wait([waiting], timeout=0.01)
        assert await waiting == b""
    assert answerer.counters.timed_out == 1


@pytest.mark.parametrize("message", [b"", b"short", query(IP_ORIGIN, flags=0x8000)])
async def test_who_speaks_no_dns_is_closed(message):
    async with connected(default_answerer()) as (_, reader, writer):
        writer.write(framed(query(IP_ORIGIN, "SOA"), message, query(IP_ORIGIN, "SOA")))
        await read_framed(reader)
        assert await closed(reader) == b""


async def test_one_network_cannot_take_all_connections():
    answerer = default_answerer()
    async with serving(answerer, limits=TcpLimits(per_network=2)) as server:
        address = server.addresses[0]
        async with tcp_client(address) as first, tcp_client(address) as second:
            for reader, writer in (first, second):
                writer.write(framed(query(IP_ORIGIN)))
                await read_framed(reader)
            async with tcp_client(address) as (reader, _):
                assert await closed(reader) == b""
            first[1].close()
            async with asyncio.timeout(SECONDS):
                while len(server.tcp[0].connections) > 1:
                    await asyncio.sleep(0)
            async with tcp_client(address) as (reader, writer):
                writer.write(framed(query(IP_ORIGIN)))
                await read_framed(reader)
    assert answerer.counters.refused == 1
    assert not server.tcp


async def test_there_is_an_end_to_connections_in_all():
    async with connected(default_answerer(), limits=TcpLimits(connections=1)) as (server, reader, writer):
        writer.write(framed(query(IP_ORIGIN)))
        await read_framed(reader)
        async with tcp_client(server.addresses[0]) as (other, _):
            assert await closed(other) == b""


async def test_a_client_that_does_not_read_is_choked_then_dropped():
    answerer = default_answerer()
    limits = TcpLimits(idle=60, drain=0.1, unread=4096)
    async with serving(answerer, limits=limits) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, server.addresses[0])
        flood = framed(*[query(name("127.0.0.2"), "TXT")] * 200_000)
        with sock, pytest.raises((ConnectionResetError, BrokenPipeError)):
            async with asyncio.timeout(20):
                await loop.sock_sendall(sock, flood)
                await loop.sock_sendall(sock, flood)
    assert answerer.counters.timed_out == 1
    assert counted(server).snapshot()["by"]["transport"]["tcp"] < 200_000


async def test_a_slow_reader_gets_all_in_the_end():
    count = 3000
    async with connected(default_answerer(), limits=TcpLimits(unread=1024)) as (_, reader, writer):
        writer.write(framed(*[query(name("127.0.0.2"), "TXT", id=n) for n in range(count)]))
        for n in range(count):
            assert int.from_bytes((await read_framed(reader))[:2], "big") == n


async def test_closing_sends_what_is_owed():
    answerer = default_answerer()
    async with connected(answerer, limits=TcpLimits(turn=1)) as (server, reader, writer):
        writer.write(framed(*[query(IP_ORIGIN, "SOA")] * 50))
        await read_framed(reader)
        received = len(next(iter(server.tcp[0].connections)).buffer)
        await server.close()
        rest = await closed(reader)
    assert received > 0
    assert rest.count(framed(answerer.reply(query(IP_ORIGIN, "SOA"), "tcp"))) == 49


async def test_closing_does_not_wait_for_ever():
    async with connected(default_answerer(), limits=TcpLimits(unread=1024, close=0.05)) as (server, _, writer):
        writer.transport.pause_reading()
        writer.write(framed(*[query(name("127.0.0.2"), "TXT")] * 200_000))
        async with asyncio.timeout(SECONDS):
            while not any(connection.choked for connection in server.tcp[0].connections):
                await asyncio.sleep(0)
            await server.close()


async def test_an_error_of_ours_closes_the_connection_and_is_logged(caplog):
    def answer(wire, transport, client):
        raise ZeroDivisionError

    answerer = default_answerer()
    async with connected(answerer, answer=answer) as (_, reader, writer):
        with caplog.at_level(logging.ERROR):
            writer.write(framed(query(IP_ORIGIN)))
            assert await closed(reader) == b""
    assert (answerer.counters.failed, len(caplog.records)) == (1, 1)


def test_limits_are_shared_by_a_24_and_a_64():
    assert client_network("192.0.2.77") == "192.0.2.0/24"
    assert client_network("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert client_network("fe80::1%lo") == "fe80::/64"
    assert client_network("") == ""
