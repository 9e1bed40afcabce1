"""Starting and stopping."""

import os
import socket

import pytest
from clients import framed, read_framed, serving, tcp_client, udp_client
from fake import IP_ORIGIN, default_answerer, query

from dnsbl.dns.server import DnsServer, cannot
from dnsbl.errors import StartError


async def test_one_address_is_served_over_udp_and_tcp():
    async with serving(default_answerer()) as server:
        [address] = server.addresses
        async with udp_client(address) as client, tcp_client(address) as (reader, writer):
            writer.write(framed(query(IP_ORIGIN, "SOA")))
            assert await client.ask(query(IP_ORIGIN, "SOA")) == await read_framed(reader)


async def test_bound_sockets_of_both_kinds_are_taken():
    sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    async with serving(default_answerer(), listen=[], sockets=sockets) as server:
        udp, tcp = server.addresses
        async with udp_client(udp) as client, tcp_client(tcp) as (reader, writer):
            writer.write(framed(query(IP_ORIGIN, "SOA")))
            assert await client.ask(query(IP_ORIGIN, "SOA")) == await read_framed(reader)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_port_in_use_is_one_sentence_and_nothing_stays_open(kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        server = DnsServer(default_answerer(), ["127.0.0.1:0", f"127.0.0.1:{port}"])
        with pytest.raises(
            StartError, match=rf"^cannot listen on 127\.0\.0\.1:{port} \((UDP|TCP)\): the port is in use; "
        ):
            await server.start()
    assert (server.udp, server.tcp, server.addresses) == ([], [], [])


async def test_an_address_that_is_not_ours_is_one_sentence():
    with pytest.raises(StartError, match=r"no such address; correct dns\.listen"):
        await DnsServer(default_answerer(), ["192.0.2.1:0"]).start()


async def test_a_port_for_the_privileged_is_one_sentence():
    message = str(cannot("UDP", "::1", 53, PermissionError(13, "Permission denied")))
    assert message.startswith("cannot listen on [::1]:53 (UDP): permission denied; ports below 1024")
    if os.geteuid() != 0:
        with pytest.raises(StartError, match="permission denied"):
            await DnsServer(default_answerer(), ["127.0.0.1:1"]).start()


async def test_a_server_can_start_again_on_the_same_port():
    async with serving(default_answerer()) as server:
        host, port = server.addresses[0]
        async with tcp_client((host, port)) as (reader, writer):
            writer.write(framed(query(IP_ORIGIN, "SOA")))
            await read_framed(reader)
    async with serving(default_answerer(), listen=[f"{host}:{port}"]) as again:
        assert again.addresses == [(host, port)]


async def test_closing_twice_is_closing_once():
    server = DnsServer(default_answerer(), ["127.0.0.1:0"])
    await server.start()
    await server.close()
    await server.close()
