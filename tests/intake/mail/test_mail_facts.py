"""From the bytes of one mail to its facts: its parts, its kind, and the limits of what is read."""

from __future__ import annotations

import base64
import hashlib
import quopri
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import IntakeError
from dnsbl.intake.mail import Attachment, facts
from dnsbl.intake.mail.facts import MAX_MAIL
from dnsbl.intake.mail.headers import HOSTILE_HEAD, MAX_HEAD, read_head
from dnsbl.intake.mail.parts import HOSTILE_PARTS, LEAST_ATTACHMENT, MAX_ATTACHMENTS, MAX_DEPTH, MAX_PARTS, MAX_TEXT

Mail = Callable[..., bytes]
LINK = "see http://evil.example/x now"
MIXED = 'multipart/mixed; boundary="b"'


def part(body: str | bytes, **fields: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return b"--b\r\n" + head.encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body) + b"\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "coding"),
    [
        (LINK.encode(), "text/plain", "7bit"),
        (LINK.encode(), "", ""),
        (LINK.encode(), "no type at all", "unheard-of"),
        (base64.encodebytes(LINK.encode()), "text/plain", "BASE64"),
        (base64.encodebytes(LINK.encode() + b"!") + b"=\na footer http://foot.example/", "text/plain", "base64"),
        (base64.b64encode(LINK.encode()).rstrip(b"=")[:-1], "text/plain", "base64"),
        (b"!" + base64.b64encode(b"\xff" + LINK.encode()), "text/plain; charset=nonsense", "base64"),
        (quopri.encodestring(LINK.encode()).replace(b"evil", b"ev=\r\nil"), "text/plain", "quoted-printable"),
        (LINK.replace("http", "htt=70").encode(), "text/plain", " Quoted-Printable "),
        (LINK.encode("utf-16"), "text/plain; charset=UTF-16", "8bit"),
        (LINK.replace(":", "+ADo-").encode(), 'text/plain; charset="utf-7"', ""),
        (LINK.encode("utf-8") + b"\xff\xfe", "text/plain; charset=us-ascii", ""),
        (LINK.encode(), "text/plain; charset=idna", ""),
        (LINK.encode(), "text/plain; charset=zlib", ""),
        (b"<html><a href='http://evil.ex&#97;mple/x'>", "text/plain", ""),
    ],
)
def test_text_is_found_under_its_codings(mail: Mail, body: bytes, kind: str, coding: str) -> None:
    found = facts(mail(body, Content_Type=kind, Content_Transfer_Encoding=coding), [])
    assert found.urls == ["http://evil.example/x"]
    assert found.domains == ["evil.example"]


def test_foreign_names_in_their_character_set(mail: Mail) -> None:
    found = facts(mail("http://пример.рф/".encode("koi8-r"), Content_Type="text/plain; charset=koi8-r"), [])
    assert found.domains == ["xn--e1afmkfd.xn--p1ai"]


def test_parts_within_parts(mail: Mail) -> None:
    inner = b'--c\nContent-Type: text/html\n\n<a href="http://inner.example/">\n--c--\n'
    forwarded = b"Subject: x\n\nhttp://forwarded.example/\n"
    body = (
        b"a preamble: http://not.example/\r\n"
        + part("http://one.example/")
        + part(inner, Content_Type="multipart/alternative; boundary=c")
        + part(forwarded, Content_Type="message/rfc822")
        + b"--b--\r\nhttp://nor.example/\r\n"
    )
    found = facts(mail(body, Content_Type=MIXED), [])
    assert set(found.domains) == {"one.example", "inner.example", "forwarded.example"}
    cut = facts(mail(body.partition(b"--b--")[0], Content_Type=MIXED), [])
    assert set(cut.domains) == set(found.domains), "a last boundary may be missing"


def test_a_bounce_is_not_judged_by_what_it_gives_back(mail: Mail) -> None:
    body = part("could not be delivered") + part("Subject: x\n\n" + LINK, Content_Type="message/rfc822") + b"--b--"
    assert facts(mail(body, Content_Type=MIXED), []).domains == ["evil.example"]
    assert facts(mail(body, Content_Type=MIXED), [], "").domains == []


ZIP = b"PK\x03\x04" + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("fields", "suffix", "kind"),
    [
        ({"Content_Type": "application/zip"}, "", "application/zip"),
        ({"Content_Type": 'application/octet-stream; name="Invoice.PDF.ExE"'}, "exe", "application/octet-stream"),
        ({"Content_Type": "image/png", "Content_Disposition": "attachment; filename=a.png"}, "png", "image/png"),
        ({"Content_Type": "audio/x-wav; name=a.scr"}, "scr", "audio/x-wav"),
        ({"Content_Type": "x/y", "Content_Disposition": "attachment; filename*=utf-8''%C3%A9.js"}, "js", "x/y"),
        ({"Content_Type": "x/y", "Content_Disposition": "attachment; filename*0=a; filename*1=.vbs"}, "vbs", "x/y"),
        ({"Content_Type": "x/y; name=\"=?utf-8?B?YS5leGU=?=\""}, "exe", "x/y"),
        ({"Content_Type": "x/y; name=..\\..\\a.bat"}, "bat", "x/y"),
        ({"Content_Type": "application/x; name=a.averylongsuffix"}, "", "application/x"),
        ({"Content_Type": "text/html", "Content_Disposition": "attachment; filename=x.htm"}, "htm", "text/html"),
    ],
)  # fmt: skip
def test_attachments(mail: Mail, fields: dict[str, str], suffix: str, kind: str) -> None:
    body = part(base64.encodebytes(ZIP), Content_Transfer_Encoding="base64", **fields) + b"--b--"
    found = facts(mail(body, Content_Type=MIXED), [])
    assert found.attachments == [Attachment(suffix, kind, len(ZIP), hashlib.sha256(ZIP).digest())]


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "text/html; name=a.html"},
        {"Content_Type": "image/gif; name=a.gif", "Content_Disposition": "inline"},
        {"Content_Type": "image/gif", "Content_ID": "<1>"},
        {"Content_Type": "application/pgp-signature"},
    ],
)
def test_what_is_no_attachment(mail: Mail, fields: dict[str, str]) -> None:
    body = part(b"x" * 5000, **fields) + b"--b--"
    assert facts(mail(body, Content_Type=MIXED), []).attachments == []


def test_a_small_attachment_is_decoration(mail: Mail) -> None:
    for size, count in ((LEAST_ATTACHMENT - 1, 0), (LEAST_ATTACHMENT, 1)):
        found = facts(mail(part(b"x" * size, Content_Type="application/zip") + b"--b--", Content_Type=MIXED), [])
        assert len(found.attachments) == count


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        (["Name <a@Sender.Example>"], "sender.example"),
        (["a@sender.example (a@other.example)"], "sender.example"),
        (['"a@other.example" <a@sender.example>'], "sender.example"),
        (['"x (" <a@sender.example>'], "sender.example"),
        (["Last, First <a@sender.example>"], "sender.example"),
        (["a@bücher.example"], "xn--bcher-kva.example"),
        (["a@sender.example, b@other.example"], ""),
        (["a@sender.example", "a@sender.example"], ""),
        (["nobody"], ""),
        (["a@[192.0.2.1]"], ""),
        (["(a@sender.example"], ""),
        ([], ""),
    ],
)
def test_whom_it_says_it_is_from(values: list[str], domain: str) -> None:
    data = "Subject: x\n" + "".join(f"From: {value}\n" for value in values) + "\nx\n"
    assert facts(data.encode(), []).from_domain == domain


@pytest.mark.parametrize(
    ("fields", "mail_from", "auto"),
    [
        ({}, None, ""),
        ({}, "a@sender.example", ""),
        ({}, "", "bounce"),
        ({}, "<>", "bounce"),
        ({"Content_Type": "multipart/report; report-type=Delivery-Status; boundary=b"}, "a@b.example", "bounce"),
        ({"From": "Mail Delivery System <MAILER-DAEMON@mx.example>"}, "a@b.example", "bounce"),
        ({}, "MAILER-DAEMON@mx.example", "bounce"),
        ({"Auto_Submitted": "auto-replied"}, None, "auto-reply"),
        ({"Auto_Submitted": "auto-generated; x=y"}, None, "auto-reply"),
        ({"Auto_Submitted": "no"}, None, ""),
        ({"Auto_Submitted": "No (really); x=y"}, None, ""),
        ({"X_Autoreply": "yes"}, None, "auto-reply"),
        ({"Precedence": "auto_reply"}, None, "auto-reply"),
        ({"Subject": "Out of Office: back soon"}, None, "auto-reply"),
        ({"Content_Type": "multipart/report; report-type=disposition-notification; boundary=b"}, None, "auto-reply"),
    ],
)
def test_what_no_person_sent(mail: Mail, fields: dict[str, str], mail_from: str | None, auto: str) -> None:
    assert facts(mail(**fields), [], mail_from).auto == auto


@pytest.mark.parametrize(
    ("fields", "bulk"),
    [
        ({"List_Id": "<x.example>"}, True),
        ({"List_Unsubscribe": "<mailto:x@y.example>"}, True),
        ({"List_Post": "NO"}, True),
        ({"Feedback_ID": "1:2:3:x"}, True),
        ({"Precedence": "Bulk"}, True),
        ({"Precedence": "list"}, True),
        ({"Precedence": "first-class"}, False),
        ({}, False),
    ],
)
def test_list_mail(mail: Mail, fields: dict[str, str], bulk: bool) -> None:
    assert facts(mail(**fields), []).bulk is bulk


def test_a_recipient_is_no_fact(mail: Mail) -> None:
    body = "Dear victim@trap.example, see http://www.trap.example/ and mail evil@evil.example"
    found = facts(mail(body, Reply_To="R <Reply@evil.example>"), ["<Victim@Trap.example>"])
    assert found.emails == ["evil@evil.example", "reply@evil.example"]
    assert found.domains == []


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"hello world\r\n", b"\x00" * 100, b" Folded: x\n", b"From a b c\n\n"]
)
def test_what_is_no_mail(data: bytes) -> None:
    with pytest.raises(IntakeError, match="no mail"):
        facts(data, [])


def test_what_is_not_worth_reading(mail: Mail) -> None:
    with pytest.raises(IntakeError, match="larger than 16 MiB"):
        facts(mail("x" * MAX_MAIL), [])
    with pytest.raises(IntakeError, match="header within 1 MiB"):
        facts(b"From: a@b.example\nX: " + b"x" * HOSTILE_HEAD, [])
    with pytest.raises(IntakeError, match="more than 1000 parts"):
        facts(mail(part("") * (HOSTILE_PARTS + 1), Content_Type=MIXED), [])


def test_what_there_is_more_of_than_is_read_is_said(mail: Mail) -> None:
    head = facts(mail(LINK, X="x" * MAX_HEAD), [])
    assert (head.cut, head.domains) == (["header"], ["evil.example"])
    text = facts(mail("x" * MAX_TEXT + " " + LINK), [])
    assert (text.cut, text.domains) == (["text"], [])
    parts = facts(mail(part("") * MAX_PARTS + part(LINK), Content_Type=MIXED), [])
    assert (parts.cut, parts.domains) == (["parts"], [])
    files = part(ZIP, Content_Type="application/zip") * (MAX_ATTACHMENTS + 1)
    found = facts(mail(files, Content_Type=MIXED), [])
    assert (found.cut, len(found.attachments)) == (["attachments"], MAX_ATTACHMENTS)
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(MAX_DEPTH + 1))
    assert facts(b"From: a@b.example\n" + nested + b"\n" + LINK.encode(), []).cut == ["depth"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_head_of_a_mail(end: bytes) -> None:
    data = end.join(
        [b"From a@b Thu Jan  1 00:00:00 2024", b"A: one", b"\ttwo", b"B :  ", b"a: three", b"bad line", b"", b"x"]
    )
    fields, body = read_head(data)
    assert fields.all == [("a", "one two"), ("b", ""), ("a", "three")]
    assert (fields.first("a"), fields.every("a"), data[body:]) == ("one two", ["one two", "three"], b"x")
    assert read_head(end + b"x")[1] == len(end)


PIECES = [
    b"From: a@b.c\n",
    b"Content-Type: multipart/mixed; boundary=b\n",
    b"Content-Type: text/html\n",
    b"\n",
    b"--b\n",
    b"--b--",
    b"Content-Transfer-Encoding: base64\n",
    b"message/rfc822",
    b"QUJD",
    b"=41=\n",
    b"http://",
    b"evil.example/",
    b"<a href=",
    b'"',
    b"&#",
    b"charset=",
    b"\xff",
    b"\r",
    b"; ",
    b"(",
    b"=?utf-8?b?",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=30))
def test_mail_of_any_kind_gives_facts_or_a_reason(pieces: list[bytes]) -> None:
    found = facts(b"From: a@b.example\n" + b"".join(pieces), ["victim@trap.example"])
    assert found.recipients == ["victim@trap.example"]
    assert all(url.isascii() and url.isprintable() for url in found.urls)
