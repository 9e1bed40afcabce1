"""What nobody can do to the receiver: too many, too much, too slow; and how it ends."""

from __future__ import annotations

import asyncio

import pytest
from sink import MAIL, SECONDS, connected, sink

from dnsbl.intake.smtp import Limits

V2 = b"\r\n\r\n\0\r\nQUIT\n"  # how version 2 of the PROXY protocol begins
ADDRESSES = b"\xc0\0\2\7\xc0\0\2\1\x9c\x40\0\x19"  # 192.0.2.7 and 192.0.2.1, ports 40000 and 25


async def test_connections_are_counted() -> None:
    async with sink(connections=2) as receiver, connected(receiver.smtp), connected(receiver.smtp) as second:
        async with connected(receiver.smtp, b"") as third:
            assert (await third.reply()).startswith("421 4.7.0 too many connections;")
            assert await third.reply() == ""
        await second.say(b"QUIT\r\n")
        await second.gone()
        async with connected(receiver.smtp) as third:
            assert (await third.mail()).startswith("250")
    assert receiver.counters.refusals["connections"] == 1


@pytest.mark.parametrize(("relays", "refused"), [([], 1), (["127.0.0.0/8"], 0)])
async def test_connections_of_a_network_are_counted_but_not_our_relays(relays: list[str], refused: int) -> None:
    async with (
        sink(per_network=1, relays=relays) as receiver,
        connected(receiver.smtp),
        connected(receiver.smtp, b"") as second,
    ):
        assert (await second.reply()).startswith("421 4.7.0" if refused else "220")
    assert receiver.counters.refusals["network"] == refused


@pytest.mark.parametrize(
    ("header", "peer", "local"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n", "192.0.2.7", False),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n", "2001:db8::7", False),
        (b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 40000 25\r\n", "192.0.2.7", False),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1", True),
        (V2 + b"\x21\x11\0\x0c" + ADDRESSES, "192.0.2.7", False),
        (V2 + b"\x21\x11\0\x0f" + ADDRESSES + b"\4\0\0", "192.0.2.7", False),
        (V2 + b"\x20\0\0\0", "127.0.0.1", True),
        (V2 + b"\x20\x11\0\x0c" + ADDRESSES, "127.0.0.1", True),
    ],
)  # fmt: skip
async def test_a_proxy_says_who_is_behind_it(header: bytes, peer: str, local: bool) -> None:
    async with sink(proxy=["127.0.0.1"], per_network=1) as receiver, connected(receiver.smtp, b"") as client:
        client.send(header + b"EHLO a\r\n")
        assert await client.codes(2) == ["220", "250"]
        assert (await client.mail()).startswith("250")
        async with connected(receiver.smtp, b"") as same:
            assert (await same.say(header))[:3] == ("220" if local else "421")
    assert [(mail.peer, mail.local) for mail in receiver.taker.mails] == [(peer, local)]


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO a\r\nEHLO a\r\n", b"PROXY TCP4 192.0.2.7\r\n", b"PROXY TCP4 x y 1 2\r\n", b"PROXY\r\n",
        b"PROXY TCP9\r\n", b"PROXY TCP4 " + b"1" * 100_000, b"\r\n\r\n\0\r\nQUIX\n" + b"\0" * 9,
        V2 + b"\x31\x11\0\0", V2 + b"\x21\x11\0\0",
        V2 + b"\x21\x31\0\xd8" + b"\0" * 216, V2 + b"\x21\x12\0\x0c" + b"\0" * 12,
    ],
)  # fmt: skip
async def test_a_broken_proxy_header_closes(header: bytes) -> None:
    async with sink(Limits(proxy=SECONDS * 2), proxy=["127.0.0.1"]) as receiver:
        async with connected(receiver.smtp, b"") as client:
            client.send(header)
            await client.gone()
        async with connected(receiver.smtp, b"") as client:
            client.send(b"PROXY UNKNOWN\r\n")
            assert (await client.reply()).startswith("220")
    assert receiver.counters.refusals["proxy"] == 1
    assert receiver.counters.failed == 0


@pytest.mark.parametrize("header", [V2, b"PRO", b"PROXY TCP4 1", b""])
async def test_an_unfinished_proxy_header_is_not_waited_for(header: bytes) -> None:
    async with sink(Limits(proxy=0.2), proxy=["127.0.0.1"]) as receiver, connected(receiver.smtp, b"") as client:
        client.send(header)
        assert (await client.reply()).startswith("421 4.4.2")
    assert receiver.counters.refusals["proxy"] == 1


async def test_silence_ends() -> None:
    async with sink(Limits(idle=0.2)) as receiver:
        async with connected(receiver.smtp) as client:
            assert (await client.reply()).startswith("421 4.4.2")
        async with connected(receiver.smtp) as client:
            await client.begin()
            client.send(b"half")
            assert (await client.reply()).startswith("421 4.4.2")
    assert receiver.counters.refusals["idle"] == 2
    assert receiver.taker.mails == []


async def test_nobody_keeps_a_session_for_ever() -> None:
    async with sink(Limits(session=0.4)) as receiver, connected(receiver.smtp) as client:
        async with asyncio.timeout(SECONDS):
            while (await client.say(b"NOOP\r\n")).startswith("250"):
                await asyncio.sleep(0.05)
    assert receiver.counters.refusals["idle"] == 1


@pytest.mark.parametrize("limits", [Limits(idle=0.3, rate=1000), Limits(idle=5, data=0.3)])
async def test_octets_one_by_one_end(limits: Limits) -> None:
    async with sink(limits) as receiver, connected(receiver.smtp) as client:
        await client.begin()
        heard = asyncio.create_task(client.reply())
        while not heard.done():
            client.send(b"x")
            await asyncio.sleep(0.02)
        assert (await heard).startswith("421 4.4.2 too slow")
    assert receiver.counters.refusals["slow"] == 1


async def test_who_does_not_read_is_cut() -> None:
    async with sink(Limits(idle=0.3, errors=10**6, commands=10**6)) as receiver, connected(receiver.smtp) as client:
        client.writer.transport.pause_reading()
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(SECONDS):
                while True:
                    client.send(b"HELP\r\n" * 20_000)
                    await client.writer.drain()


async def test_too_large_is_said_and_the_session_goes_on() -> None:
    async with sink(max_bytes=5000) as receiver, connected(receiver.smtp) as client:
        assert (await client.mail(b"x" * 78 * 64 + b"\r\n" + b"y" * 10_000 + b"\r\n")).startswith("552 5.3.4")
        assert (await client.mail()).startswith("250")
        await client.begin()
        client.send(b"endless\r\n" * 2300)
        assert (await client.reply()).startswith("552 5.3.4")
        await client.gone()
    assert receiver.counters.refusals["size"] == 2
    assert [mail.data for mail in receiver.taker.mails] == [MAIL]


async def test_a_giant_line_is_not_held() -> None:
    async with sink(max_bytes=2**24) as receiver, connected(receiver.smtp) as client:
        await client.begin()
        for _ in range(40):
            client.send(b"x" * 100_000)
            await client.writer.drain()
            assert receiver.counters.held <= 2 * Limits().line
        assert (await client.say(b"\r\n.\r\n")).startswith("500 5.5.2 line too long")
        assert (await client.mail(b"x" * 60_000 + b"\r\n")).startswith("250")


async def test_a_giant_command_is_not_held() -> None:
    async with sink() as receiver, connected(receiver.smtp) as client:
        for _ in range(20):
            client.send(b"x" * 100_000)
            await client.writer.drain()
        assert (await client.say(b"\r\n")).startswith("500")
        assert (await client.mail()).startswith("250")


async def test_ten_thousand_recipients() -> None:
    """A hundred are taken, and the mail with them; who goes on and on is sent away."""
    async with sink() as receiver:
        async with connected(receiver.smtp) as client:
            client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<x@trap.example>\r\n" * 150 + b"DATA\r\n" + MAIL + b".\r\n")
            assert await client.codes(153) == ["250"] * 101 + ["452"] * 50 + ["354", "250"]
        async with connected(receiver.smtp) as client:
            client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<x@no.example>\r\n" * 10_000)
            await client.gone()  # what was said last is lost where the system resets a connection with octets unread
    assert len(receiver.taker.mails[0].recipients) == 100
    assert receiver.counters.refusals["errors"] == 1
    assert receiver.counters.refusals["recipient"] < 250


@pytest.mark.parametrize(
    "line", [b"NOOP", b"RSET", b"EHLO a", b"MAIL FROM:<>\r\nRSET", b"VRFY x", b"", b"DATA", b"JUNK"]
)
async def test_commands_without_end(line: bytes) -> None:
    async with sink() as receiver, connected(receiver.smtp) as client:
        client.send((line + b"\r\n") * 30_000)
        await client.gone()
        async with connected(receiver.smtp) as other:
            assert (await other.mail()).startswith("250")
    counts = receiver.counters
    assert counts.refusals["commands"] + counts.refusals["errors"] == 1


async def test_a_hundred_mails_and_then_another_session() -> None:
    async with sink(Limits(mails=3)) as receiver, connected(receiver.smtp) as client:
        for _ in range(3):
            assert (await client.mail()).startswith("250")
        assert (await client.say(b"MAIL FROM:<>\r\n")).startswith("421 4.7.0")
        await client.gone()


async def test_large_mails_at_once_are_refused_before_memory_ends_and_others_are_served() -> None:
    """200 connections with 1 MiB each: no more than the limit is held, and a small mail waits no longer than usual."""
    limits, size = Limits(), 2**20 - 100
    lines = (b"x" * 70 + b"\r\n") * (size // 72)

    async def large(port: int, ready: asyncio.Barrier) -> str:
        async with connected(port) as client:
            await client.begin()
            client.send(lines)
            await client.writer.drain()
            await ready.wait()
            return await client.say(b".\r\n")

    async with sink(connections=201) as receiver:
        ready = asyncio.Barrier(201)
        senders = [asyncio.create_task(large(receiver.smtp, ready)) for _ in range(200)]
        most = 0
        async with connected(receiver.smtp) as other:
            for _ in range(30):
                async with asyncio.timeout(SECONDS):
                    assert (await other.mail()).startswith("250")
                most = max(most, receiver.counters.held)
            async with asyncio.timeout(SECONDS):
                await ready.wait()
            replies = await asyncio.gather(*senders)
    taken = sum(reply.startswith("250") for reply in replies)
    assert 40 <= taken <= 48 and taken + sum(reply.startswith("452 4.3.1") for reply in replies) == 200
    assert most <= limits.held


async def test_the_end_waits_for_mails_and_says_goodbye_to_others() -> None:
    async with sink() as receiver:
        port = receiver.smtp
        async with connected(port) as idle, connected(port) as busy, connected(port) as taking:
            await busy.begin()
            busy.send(b"half of")
            receiver.taker.gate.clear()
            await taking.begin()
            taking.send(MAIL + b".\r\n")
            await receiver.taker.arrived.wait()
            closing = asyncio.create_task(receiver.close())
            assert (await idle.reply()).startswith("421 4.3.2")
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection("127.0.0.1", port)
            receiver.taker.gate.set()
            assert await taking.codes(2) == ["250", "421"]
            assert not closing.done()
            assert (await busy.say(b" it\r\n.\r\n")).startswith("250")
            assert (await busy.say(b"MAIL FROM:<>\r\n")).startswith("421 4.3.2")
            await closing
    assert sorted(mail.data for mail in receiver.taker.mails) == [MAIL, b"half of it\r\n"]


async def test_the_end_comes_though_a_mail_or_its_taker_does_not() -> None:
    async with sink(Limits(close=0.2)) as receiver, connected(receiver.smtp) as slow, connected(receiver.smtp) as stuck:
        await slow.begin()
        receiver.taker.gate.clear()
        await stuck.begin()
        stuck.send(MAIL + b".\r\n")
        await receiver.taker.arrived.wait()
        async with asyncio.timeout(SECONDS):
            await receiver.close()
        for client in (slow, stuck):
            await client.gone()
    assert receiver.taker.mails == []
    assert receiver.counters.deferred == 1
