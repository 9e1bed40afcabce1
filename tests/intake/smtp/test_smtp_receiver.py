"""What a client hears, and what is handed over: over real sockets, said octet by octet."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from sink import AT, MAIL, connected, sink

from dnsbl.errors import IntakeError, StartError, StoreError
from dnsbl.intake.smtp import REASONS, Limits, Recipient


async def test_a_mail_is_handed_over_whole() -> None:
    async with sink() as receiver, connected(receiver.smtp) as client:
        await client.begin(b"X+1@TRAP.example", b"complaints@desk.example")
        assert await client.say(b"..dot\r\nbare \n and \r, \0 and \xff\r\n.\r\n") == "250 2.0.0 OK, taken"
        assert await client.mail() == "250 2.0.0 OK, taken"
        assert (await client.say(b"QUIT\r\n")).startswith("221")
        await client.gone()
    first, second = receiver.taker.mails
    assert (first.peer, first.helo, first.mail_from) == ("127.0.0.1", "client.example", "a@sender.example")
    assert first.recipients == (
        Recipient("X+1@trap.example", "pristine"),
        Recipient("complaints@desk.example", "feedback"),
    )
    assert first.data == b".dot\r\nbare \n and \r, \0 and \xff\r\n"
    assert (first.at, first.protocol, first.tls, first.local, first.smtputf8) == (AT, "smtp", "", False, False)
    assert (second.data, len(second.recipients)) == (MAIL, 1)
    assert receiver.counters.snapshot() == {
        **dict.fromkeys([f"refused_{reason}" for reason in REASONS], 0),
        **dict.fromkeys(["open", "held", "tls", "deferred", "refused", "failed"], 0),
        "connections": 1, "accepted": 2, "bytes": len(first.data) + 1 + len(MAIL) + 6,
    }  # fmt: skip


async def test_what_is_offered() -> None:
    async with sink(max_bytes=5000) as receiver, connected(receiver.smtp, b"") as client:
        assert await client.reply() == "220 mx.example ESMTP"
        said = (await client.say(b"EHLO client.example\r\n")).replace("-", " ").split("\r\n")
        offers = ["PIPELINING", "SIZE 5000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        assert said == [f"250 {line}" for line in ["mx.example", *offers]]
        assert await client.say(b"HELO client.example\r\n") == "250 mx.example"


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"RCPT TO:<x@trap.example>", "503 5.5.1"), (b"DATA", "503 5.5.1"), (b"MAIL FROM:<>", "250 2.1.0"),
        (b"mail from: a@b.example", "250 2.1.0"), (b"MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> SIZE=5001", "552 5.3.4"), (b"MAIL FROM:<a@b.example> SIZE=5000", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"), (b"MAIL FROM:<a b>", "553 5.1.3"),
        (b"MAIL FROM:<\xff\x80@b.example>", "250 2.1.0"), (b"VRFY x@trap.example", "252 2.1.5"),
        (b"EXPN list", "502 5.5.1"), (b"AUTH PLAIN AGEAYg==", "500 5.5.2"), (b"BDAT 10 LAST", "500 5.5.2"),
        (b"STARTTLS", "454 4.7.0"), (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25", "500 5.5.2"), (b"RSET", "250 2.0.0"),
        (b"NOOP x", "250 2.0.0"), (b"HELP", "250 2.0.0"), (b"", "500 5.5.2"), (b"\0\xff", "500 5.5.2"),
        (b"NOOP " + b"x" * 3000, "500 5.5.2"), (b"QUIT", "221 2.0.0"),
    ],
)  # fmt: skip
async def test_commands(said: bytes, heard: str) -> None:
    async with sink(max_bytes=5000) as receiver, connected(receiver.smtp) as client:
        assert (await client.say(said + b"\r\n")).startswith(heard)
    assert receiver.counters.failed == 0


async def test_nothing_is_relayed() -> None:
    strangers = [b"x@elsewhere.example", b"<@trap.example:x@elsewhere.example", b"x@[127.0.0.1]", b"x", b"x@mx.example"]
    async with sink() as receiver, connected(receiver.smtp) as client:
        await client.say(b"MAIL FROM:<x@trap.example>\r\n")
        for stranger in strangers:
            reply = await client.say(b"RCPT TO:<" + stranger.lstrip(b"<") + b">\r\n")
            assert reply == "550 5.1.1 no such address here"
        assert (await client.say(b"DATA\r\n")).startswith("503")
    assert receiver.counters.refusals["recipient"] == len(strangers)


async def test_the_null_sender_and_the_postmaster() -> None:
    async with sink() as receiver, connected(receiver.smtp, b"HELO \xff\0bot\r\n") as client:
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<postmaster@trap.example>\r\nDATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        assert await client.say(b".\r\n") == "250 2.0.0 OK, taken"
    mail = receiver.taker.mails[0]
    assert (mail.mail_from, mail.data, mail.helo) == ("", b"", "\ufffd\\x00bot")
    assert [one.class_ for one in mail.recipients] == ["postmaster", "postmaster"]


async def test_all_may_be_said_at_once() -> None:
    """RFC 2920; and further: mail and all before its 354, as spam software does, and a second mail behind it."""
    one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@trap.example>\r\nRCPT TO:<x@no.example>\r\nDATA\r\n" + MAIL + b".\r\n"
    async with sink() as receiver, connected(receiver.smtp, b"") as client:
        client.send(b"EHLO a\r\n" + one * 3 + b"RSET\r\nQUIT\r\nNOOP\r\n")
        assert await client.codes(2) == ["220", "250"]
        assert await client.codes(17) == ["250", "250", "550", "354", "250"] * 3 + ["250", "221"]
        assert await client.reply() == ""
    assert [mail.data for mail in receiver.taker.mails] == [MAIL] * 3


async def test_only_one_end_ends_a_mail() -> None:
    """What another server takes for the end of a mail, and the commands behind it, are part of the mail here."""
    inside = b"one\n.\nMAIL FROM:<e@v.example>\r.\r\r\n.\nRCPT TO:<x@trap.example>\n.\r\nDATA\r\ntwo\r\n"
    async with sink() as receiver, connected(receiver.smtp) as client:
        assert (await client.mail(inside)).startswith("250")
        assert (await client.say(b"NOOP\r\n")).startswith("250")
    assert [mail.data for mail in receiver.taker.mails] == [inside.replace(b"\r\n.\n", b"\r\n\n")]  # dot-stuffing


@pytest.mark.parametrize(
    ("error", "heard", "counted"),
    [
        (StoreError("full"), "451 4.3.0 cannot take it now; try again later", "deferred"),
        (IntakeError("no mail:\r\n250 \u00e9"), "554 5.6.0 no mail:\\r\\n250 \\xe9", "refused"),
        (IntakeError("x" * 1000), "554 5.6.0 " + "x" * 400, "refused"),
        (ZeroDivisionError("secret@trap.example"), "451 4.3.0 cannot take it now; try again later", "deferred"),
    ],
)
async def test_the_taker_decides(error: Exception, heard: str, counted: str, caplog: pytest.LogCaptureFixture) -> None:
    async with sink() as receiver, connected(receiver.smtp) as client:
        receiver.taker.fails = error
        assert await client.mail() == heard
        assert await client.mail() == heard
        receiver.taker.fails = None
        assert (await client.mail()).startswith("250")
    counts = receiver.counters.snapshot()
    assert (counts[counted], counts["accepted"]) == (2, 1)
    assert "trap.example" not in caplog.text
    ours = isinstance(error, ZeroDivisionError)
    assert (counts["failed"], len(caplog.records)) == ((2, 1) if ours else (0, 0))


async def test_a_taker_that_takes_too_long_is_given_up() -> None:
    async with sink(Limits(accept=0.1)) as receiver, connected(receiver.smtp) as client:
        receiver.taker.gate.clear()
        assert (await client.mail()).startswith("451")
    assert receiver.counters.deferred == 1


async def test_a_whole_mail_is_taken_though_its_client_left() -> None:
    async with sink() as receiver:
        receiver.taker.gate.clear()
        async with connected(receiver.smtp) as client:
            await client.begin()
            client.send(MAIL + b".\r\n")
            await receiver.taker.arrived.wait()
        receiver.taker.gate.set()
    assert len(receiver.taker.mails) == receiver.counters.accepted == 1


async def test_a_mail_that_was_cut_is_not_handed_over() -> None:
    async with sink() as receiver:
        for how in (
            asyncio.StreamWriter.write_eof,
            asyncio.StreamWriter.close,
            lambda writer: writer.transport.abort(),
        ):
            async with connected(receiver.smtp) as client:
                await client.begin()
                client.send(MAIL + b".\r")
                await client.writer.drain()
                how(client.writer)
                await client.gone()
    assert receiver.taker.mails == []
    assert receiver.counters.refusals["cut"] == 3


async def test_lmtp_answers_for_each_recipient() -> None:
    """RFC 2033 section 4.2."""
    async with sink(lmtp="127.0.0.1:0") as receiver:
        async with connected(receiver.lmtp, b"LHLO relay.example\r\n") as client:
            assert (await client.say(b"EHLO a\r\n")).startswith("500")
            client.send(
                b"MAIL FROM:<>\r\n" + b"RCPT TO:<x@trap.example>\r\n" * 2 + b"RCPT TO:<x@no.example>\r\nDATA\r\n"
            )
            assert await client.codes(5) == ["250", "250", "250", "550", "354"]
            client.send(MAIL + b".\r\nNOOP\r\n")
            assert [await client.reply() for _ in range(3)] == ["250 2.0.0 OK, taken"] * 2 + ["250 2.0.0 OK"]
            receiver.taker.fails = StoreError("full")
            await client.begin(b"x@trap.example", b"y@trap.example")
            client.send(b".\r\n")
            assert await client.codes(2) == ["451", "451"]
            assert (await client.say(b"MAIL FROM:<>\r\n")).startswith("250")
            assert (await client.say(b"RCPT TO:<x@no.example>\r\n")).startswith("550")
            assert (await client.say(b"DATA\r\n")).startswith("503")
        async with connected(receiver.lmtp, b"") as client:
            assert await client.reply() == "220 mx.example LMTP"
            assert (await client.say(b"HELO a\r\n")).startswith("500")
    assert [mail.protocol for mail in receiver.taker.mails] == ["lmtp"]


async def test_tls(certificate: dict[str, Path]) -> None:
    """RFC 3207: what was said before is forgotten, and it is offered once."""
    async with sink(**certificate) as receiver, connected(receiver.smtp) as client:
        assert "250 STARTTLS" in await client.say(b"EHLO before.example\r\n")
        await client.say(b"MAIL FROM:<before@sender.example>\r\n")
        await client.start_tls()
        assert (await client.say(b"MAIL FROM:<a@b.example>\r\n")).startswith("503")
        hello = await client.say(b"EHLO after.example\r\n")
        assert "STARTTLS" not in hello and "AUTH" not in hello
        assert (await client.say(b"STARTTLS\r\n")).startswith("503 5.5.1")
        assert (await client.mail(MAIL * 4000)).startswith("250")
    mail = receiver.taker.mails[0]
    assert (mail.helo, mail.mail_from, mail.tls, len(mail.data)) == (
        "after.example", "a@sender.example", "TLSv1.3", 4000 * len(MAIL),
    )  # fmt: skip
    assert receiver.counters.tls == 1


@pytest.mark.parametrize("ahead", [b"EHLO evil.example\r\n", b"x", b"NOOP\r\n" * 5000])
async def test_nothing_is_injected_ahead_of_tls(ahead: bytes, certificate: dict[str, Path]) -> None:
    """CVE-2011-0411 and its like."""
    async with sink(**certificate) as receiver, connected(receiver.smtp) as client:
        assert (await client.say(b"STARTTLS\r\n" + ahead)).startswith("421 4.7.0")
        await client.gone()
    assert receiver.counters.refusals["tls"] == 1


async def test_what_comes_in_the_clear_after_starttls_is_no_command(certificate: dict[str, Path]) -> None:
    async with sink(**certificate) as receiver, connected(receiver.smtp) as client:
        await client.say(b"STARTTLS\r\n")
        assert "250" not in await client.say(b"EHLO evil.example\r\nNOOP\r\n" * 5)
        await client.gone()
    assert receiver.counters.refusals["tls"] == 1
    assert receiver.counters.failed == 0


async def test_a_handshake_that_is_cut_leaves_nothing(certificate: dict[str, Path]) -> None:
    async with sink(**certificate) as receiver:
        async with connected(receiver.smtp) as client:
            await client.say(b"STARTTLS\r\n")
            client.writer.transport.abort()
        async with connected(receiver.smtp) as client:
            assert (await client.mail()).startswith("250")
    assert receiver.counters.failed == 0


async def test_strangers_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with sink() as receiver, connected(receiver.smtp) as client:
        client.send(b"XYZZY\r\n" * 10)
        await client.gone()
    assert receiver.counters.refusals["commands"] == 1
    assert caplog.records == []


async def test_a_port_in_use_is_said_before_anything_starts() -> None:
    async with sink() as receiver:
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{receiver.smtp}: another program has it.*trap\.listen"):
            async with sink(listen=f"127.0.0.1:{receiver.smtp}"):
                pass
        with pytest.raises(StartError, match=r"trap\.lmtp"):
            async with sink(lmtp=f"127.0.0.1:{receiver.smtp}"):
                pass


async def test_a_certificate_that_is_none_is_said(tmp_path: Path, certificate: dict[str, Path]) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for cert in (broken, tmp_path / "missing.pem"):
        with pytest.raises(StartError, match=r"cannot use the certificate .*trap\.tls_cert"):
            async with sink(tls_cert=cert, tls_key=certificate["tls_key"]):
                pass
