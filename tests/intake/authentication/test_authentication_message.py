"""How a mail is read: the author, and the fields and the body that signatures are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.errors import IntakeError
from dnsbl.intake.authentication.message import mailbox_domain, read_mail


@pytest.mark.parametrize(
    "value",
    [
        "ann@example.com", " Ann <ann@example.com>", "<ann@EXAMPLE.com>", "Ann (who@else.test) <ann@example.com>",
        '"Bank, Inc. <bank@bank.test>" <ann@example.com>', "bank@bank.test <ann@example.com>", '"a@b.test"@example.com',
        "ann@example.com (Ann (of two (comments)))", '"quoted \\" mark" <ann@example.com>',
        "Ann\r\n\t<ann@example.com>",
        "=?utf-8?Q?Bank=40bank.test?= <ann@example.com>", "J\u00f6rg <ann@example.com>", "<ann@example.com.>",
    ],
)  # fmt: skip
def test_the_author_is_one_address(value: str) -> None:
    assert mailbox_domain(value.encode()) == "example.com"


@pytest.mark.parametrize(
    "value",
    [
        "", "Ann", "<>", "ann@", "@example.com", "ann@example.com, bob@example.com", "a@b.test <x@c.test>, d@e.test",
        "<ann@example.com> <bob@bank.test>", "<ann@example.com", "ann@example.com>", "<ann@example.com> bob@bank.test",
        "Friends: ann@example.com;", "<@relay.test:ann@example.com>", "ann@bank@example.com", "ann@[192.0.2.1]",
        '"open <ann@example.com>', "(open ann@example.com", "open) ann@example.com", "ann @ example.com",
        "Doe, Ann <ann@example.com>", "ann@example.com\rFrom: x", "ann@localhost", "\\<ann@example.com>",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_nobody(value: str) -> None:
    assert mailbox_domain(value.encode()) == ""


def test_bytes_that_are_no_text_are_nobody() -> None:
    assert mailbox_domain(b"\xff <ann@example.com>") == ""
    assert mailbox_domain(b"(" * 5000 + b"ann@example.com") == ""


@pytest.mark.parametrize(
    ("mail", "author"),
    [
        (b"From: a@one.test\r\nTo: x\r\n\r\nbody", "one.test"), (b"from: a@one.test\n\nFrom: b@two.test\n", "one.test"),
        (b"From:\r\n a@one.test", "one.test"),
        (b"From: a@one.test\r\nFROM: b@two.test\r\n\r\n", ""), (b"To: x\r\n\r\nFrom: a@one.test\r\n", ""),
        (b"\r\nFrom: a@one.test\r\n\r\n", ""), (b"", ""),
    ],
)  # fmt: skip
def test_there_is_one_from_field_or_nobody(mail: bytes, author: str) -> None:
    assert read_mail(mail).from_domain() == author


@pytest.mark.parametrize(
    "mail",
    [
        b"no field\r\n\r\n", b"From : a@one.test\r\n\r\n", b" folded: first\r\n\r\n", b": x\r\n\r\n",
        b"Subject: x\rFrom: a@one.test\r\n\r\n", b"Subject: x\0\r\n\r\n", b"a: b\r\n" * 1001, b"a: " + b"x" * 300_000,
        b"From someone Sat Nov 21\nFrom: a@one.test\n\n",
    ],
)  # fmt: skip
def test_a_header_that_programs_read_differently_is_not_read(mail: bytes) -> None:
    with pytest.raises(IntakeError):
        read_mail(mail)


def test_fields_keep_their_folds_and_the_body_its_lines() -> None:
    mail = read_mail(b"A: one\n two\nB:x\n\nline\r\nline\n\n")
    assert mail.fields == [(b"A", b" one\r\n two\r\n"), (b"B", b"x\r\n")]
    assert mail.body == b"line\r\nline\r\n\r\n"


@given(st.binary(max_size=200) | st.text('<>@(),:;"\\ ab.\r\n', max_size=30).map(str.encode))
def test_any_bytes_are_a_name_or_nobody(value: bytes) -> None:
    domain = mailbox_domain(value)
    assert domain == "" or domain.encode() in value.lower() or not value.isascii()


@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([b"a:", b"From: x", b"\r\n", b" ", b"\r", b"\n"])).map(b"".join)
)
def test_any_bytes_are_a_mail_or_refused(data: bytes) -> None:
    try:
        mail = read_mail(data)
    except IntakeError:
        return
    assert all(value.endswith(b"\r\n") for _, value in mail.fields)
    assert b"\n" not in mail.body.replace(b"\r\n", b"")
