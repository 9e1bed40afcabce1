"""Mail that is made to cost us: whatever it repeats, and as often as it may, the time stays within bounds."""

from __future__ import annotations

import pytest

from dnsbl.errors import IntakeError
from dnsbl.intake.mail import facts, last_hop, sample
from dnsbl.intake.mail.facts import MAX_MAIL
from dnsbl.intake.mail.headers import HOSTILE_HEAD, MAX_HEAD
from dnsbl.intake.mail.parts import MAX_TEXT

pytestmark = pytest.mark.timeout(60)  # seconds a test: none takes two. Quadratic, it would be minutes
HTML = b"From: a@b.example\nContent-Type: text/html\n\n"
PLAIN = b"From: a@b.example\n\n"


def read(data: bytes) -> None:
    """Read everything of a mail, with what may come of it."""
    try:
        sample(data, facts(data, ["victim@trap.example"]), lambda text: "_")
    except IntakeError as error:
        assert str(error)
    try:
        last_hop(data, None, [])
    except IntakeError as error:
        assert str(error)


def repeated(piece: bytes, size: int) -> bytes:
    return (piece * (size // len(piece) + 1))[:size]


@pytest.mark.parametrize(
    "piece",
    [
        b"<", b"<a ", b"<!--", b"<script", b"<style>", b"</style", b"<b ", b'href="', b"href='",
        b"href" + b" " * 50, b"href=", b"url(", b'url="', b"url='\"", b"onload=", b'href="//a.', b"src=http:",
        b"&#", b"&#0", b"&#x", b"&amp", b"&", b"&#1", b'"', b"on",
    ],
)  # fmt: skip
def test_html(piece: bytes) -> None:
    read(HTML + repeated(piece, MAX_TEXT))
    read(HTML + piece + b"1" * MAX_TEXT)


@pytest.mark.parametrize(
    "piece",
    [
        b"a", b"a.", b"a-", b"a@", b"@", b"www.", b"http://", b"http:/", b"http://)", b"http://(((", b"a.com/",
        b"x@y.", b"x@a.b.c.", b"a.b.c.d/", b".", b"/", b"\\", b"http://%41", b"http://[", b"http://1.",
        b"http://0x", "http://a.b。".encode(), "http://é.".encode(), b"ftp:////", b"http://x@", b"1.2/", b"_",
        b"+", "İ".encode(),
    ],
)  # fmt: skip
def test_plain_text(piece: bytes) -> None:
    read(PLAIN + repeated(piece, MAX_TEXT))


def test_links_that_are_all_different() -> None:
    read(PLAIN + " ".join(f"http://{n}.é{n}.com/{n}" for n in range(25_000)).encode())


@pytest.mark.parametrize("piece", [b"A: b\n", b"A:\n ", b"a", b'From: "\\"', b"A: =?u?q?", b":", b"A\r", b"A: b\r\n\t"])
def test_heads(piece: bytes) -> None:
    read(b"A: b\n" + repeated(piece, MAX_HEAD * 2))
    read(b"A: b\n" + repeated(piece, HOSTILE_HEAD * 2))


@pytest.mark.parametrize(
    "name", [b"Received: from ", b"From: ", b"Subject: ", b"Content-Type: multipart/mixed", b"List-Id: "]
)
@pytest.mark.parametrize(
    "piece",
    [
        b"(", b"()", b"a ", b"[1.2.3.4]", b"(a [1.2.3.4])", b'"', b'"\\', b"<", b"a@", b"a@b.c,", b"=?utf-8?b?",
        b"=?utf-8?q?a?= ", b",", b";", b'; a="', b"; a=", b"; boundary*0=%41", b"; ", b"%41", b"%2541", b"QUJD",
        b"http://", b"x://a@", b"&#", b"victim@",
    ],
)  # fmt: skip
def test_fields(name: bytes, piece: bytes) -> None:
    read(name + repeated(piece, MAX_HEAD - 100) + b"\n\nx")


@pytest.mark.parametrize("piece", [b"--x", b"\n--x", b"\n--x\n", b"\n--", b"\n--x--", b"--x\r", b"\n-", b"\n--x\n\n"])
def test_boundaries(piece: bytes) -> None:
    head = b"From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n"
    read(head + repeated(piece, MAX_MAIL - len(head)))


@pytest.mark.parametrize(
    "layer", [b"Content-Type: multipart/mixed; boundary=x\n\n--x\n", b"Content-Type: message/rfc822\n\n"]
)
def test_nests(layer: bytes) -> None:
    read(b"From: a@b.example\n" + repeated(layer, MAX_MAIL - 100))


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        (b"Content-Transfer-Encoding: base64", b"QUJD\n"),
        (b"Content-Transfer-Encoding: base64", b"=\n"),
        (b"Content-Transfer-Encoding: quoted-printable", b"=\n"),
        (b"Content-Transfer-Encoding: quoted-printable", b" "),
        (b"Content-Type: application/zip\nContent-Transfer-Encoding: base64", b"QUJD\n"),
        (b"Content-Type: text/plain; charset=utf-7", b"+A"),
        (b"Content-Type: text/plain; charset=iso-2022-jp-2", b"\x1b$B"),
        (b"Content-Type: text/plain; charset=hz", b"~{"),
        (b"Content-Type: text/plain; charset=punycode", b"a-"),
        (b"Content-Type: text/plain; charset=unicode_escape", b"\\N{"),
    ],
)
def test_encodings(fields: bytes, piece: bytes) -> None:
    head = b"From: a@b.example\n" + fields + b"\n\n"
    read(head + repeated(piece, MAX_MAIL - len(head)))


def test_names_of_character_sets_are_not_remembered() -> None:
    """The codec machinery keeps every name that it was ever asked for: a stranger must not fill it."""
    import encodings

    for number in range(50):
        facts(b"From: a@b.example\nContent-Type: text/plain; charset=made-up-%d\n\nx" % number, [])
    assert not any(name.startswith("made") for name in encodings._cache)  # type: ignore[attr-defined]
