"""Datagrams over real sockets."""

import asyncio
import logging
import socket
import struct

import pytest
from clients import SECONDS, counted, serving, udp_client
from fake import IP_ORIGIN, default_answerer, opt, query
from fake import reversed_name as name

from dnsbl.dns.udp import BATCH, UdpServer


async def test_a_query_is_answered():
    answerer = default_answerer()
    wire = query(name("127.0.0.2"), "TXT", extra=[opt()])
    async with serving(answerer) as server, udp_client(server.addresses[0]) as client:
        assert await client.ask(wire) == answerer.reply(wire, "udp")


async def test_more_than_a_batch_is_answered():
    async with serving(default_answerer()) as server, udp_client(server.addresses[0]) as client:
        for id in range(3 * BATCH):
            client.send(query(name("127.0.0.2"), id=id))
        replies = [await client.reply() for _ in range(3 * BATCH)]
    assert [int.from_bytes(reply[:2], "big") for reply in replies] == list(range(3 * BATCH))


async def test_what_gets_silence_does_not_stop_what_follows():
    answerer = default_answerer()
    async with serving(answerer) as server, udp_client(server.addresses[0]) as client:
        client.send(b"x")
        client.send(b"short")
        client.send(query(IP_ORIGIN, flags=0x8000, id=1))
        assert (await client.ask(query(IP_ORIGIN, "SOA", id=2)))[:2] == b"\0\2"
        counts = counted(server)
    assert (counts.malformed, counts.silent) == (2, 1)


@pytest.mark.parametrize(("everywhere", "asked"), [("0.0.0.0", "127.0.0.3"), ("[::]", "::1")])
async def test_a_socket_on_all_addresses_answers_from_the_one_asked(everywhere, asked):
    if asked == "::1" and not has_ipv6():
        pytest.skip("this machine has no ::1")
    # The client's socket is connected: a reply from another address would not arrive.
    async with (
        serving(default_answerer(), listen=[f"{everywhere}:0"]) as server,
        udp_client((asked, server.addresses[0][1])) as client,
    ):
        assert (await client.ask(query(IP_ORIGIN, "SOA")))[3] & 15 == 0


async def test_ipv6_and_ipv4_stand_side_by_side_on_one_port():
    if not has_ipv6():
        pytest.skip("this machine has no ::1")
    async with serving(default_answerer(), listen=["0.0.0.0:0"]) as first:
        port = first.addresses[0][1]
        async with serving(default_answerer(), listen=[f"[::]:{port}"]), udp_client(("::1", port)) as client:
            assert await client.ask(query(IP_ORIGIN, "SOA"))


@pytest.mark.python_path
async def test_an_error_of_ours_costs_one_packet_and_is_logged_once(caplog):
    answerer = default_answerer()

    def answer(wire, transport, client):
        if wire[:2] == b"\0\0":
            raise ZeroDivisionError
        return answerer.reply(wire, transport, client)

    async with serving(answerer, answer=answer) as server, udp_client(server.addresses[0]) as client:
        with caplog.at_level(logging.ERROR):
            for _ in range(5):
                client.send(query(IP_ORIGIN, id=0))
            assert await client.ask(query(IP_ORIGIN, id=7))
    assert server.counters.failed == 5
    assert len(caplog.records) == 1


class StubbornSocket:
    """Has two queries, and cannot send."""

    def __init__(self):
        self.waiting = [query(IP_ORIGIN), query(IP_ORIGIN)]

    def recvfrom(self, size):
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(), ("127.0.0.1", 0)

    def sendto(self, data, address):
        raise BlockingIOError


def test_a_full_buffer_drops_the_reply_and_counts_it():
    answerer = default_answerer()
    UdpServer(StubbornSocket(), answerer.reply, answerer.counters).read()
    assert answerer.counters.dropped == 2


async def test_a_reply_that_cannot_be_sent_is_dropped_and_counted():
    answerer = default_answerer()
    async with serving(answerer) as server, udp_client(server.addresses[0]) as client:
        address = server.addresses[0]
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) if may_forge() else skip() as raw:
            wire = query(IP_ORIGIN)
            raw.sendto(struct.pack("!HHHH", 0, address[1], 8 + len(wire), 0) + wire, address)  # from port 0
        async with asyncio.timeout(SECONDS):
            while not counted(server).dropped:  # another thread may have it, and count it only after our answer
                assert await client.ask(query(IP_ORIGIN))
        assert counted(server).dropped == 1


def may_forge():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        return False
    return True


def skip():
    pytest.skip("forging a packet takes root")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_a_bound_socket_can_be_handed_over():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    async with (
        serving(default_answerer(), listen=[], sockets=[sock]) as server,
        udp_client(server.addresses[0]) as client,
    ):
        assert await client.ask(query(IP_ORIGIN))
    assert sock.fileno() == -1
