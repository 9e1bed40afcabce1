"""Mails out of mailboxes as mail servers leave them."""

from __future__ import annotations

import mailbox as library
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dnsbl.errors import IntakeError
from dnsbl.intake.mail import BoxedMail, facts, mailbox
from dnsbl.intake.mail.facts import MAX_MAIL

ONE = b"Subject: one\n\nbody\n"
TWO = b"Subject: two\n\nFrom here on\nFrom Anne with love\n\nFrom the start\n"


def test_an_mbox_file(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(
        b"From A@sender.example  Thu Aug 22 18:28:10 2002\n" + ONE + b"\n"
        b"From MAILER-DAEMON Thu Aug 22 18:28:10 2002\r\n" + TWO.replace(b"From A", b">From A") + b"\n"
        b"From - Thu Aug 22 18:28:10 2002 +0100\nReturn-Path: <B@sender.example>\nX: y\n"
    )
    found = list(mailbox(path))
    assert [mail.mail_from for mail in found] == ["a@sender.example", "", "b@sender.example"]
    assert [mail.data.rstrip() for mail in found[:2]] == [ONE.rstrip(), TWO.rstrip()]


def test_an_mbox_file_that_another_program_wrote(tmp_path: Path) -> None:
    box = library.mbox(tmp_path / "box")
    for text in (ONE, TWO):
        box.add(text)
    box.close()
    assert [mail.data.rstrip() for mail in mailbox(tmp_path / "box")] == [ONE.rstrip(), TWO.rstrip()]


def test_a_maildir(tmp_path: Path) -> None:
    box = library.Maildir(tmp_path / "box")
    box.add(ONE)
    box.close()
    (tmp_path / "box" / "cur" / "1:2,S").write_bytes(TWO)
    (tmp_path / "box" / "cur" / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "box" / "new" / "pipe")
    assert [mail.data for mail in mailbox(tmp_path / "box")] == [ONE, TWO]


def test_one_mail_and_what_its_server_wrote_on_top(tmp_path: Path) -> None:
    path = tmp_path / "x.eml"
    data = (
        b"Return-Path: <Bounce-7@Sender.example>\nX-Original-To: Trap@trap.example\n"
        b"Delivered-To: box@trap.example\nEnvelope-To: trap@trap.example\nReceived: by mx\n"
        b"Delivered-To: forged@victim.example\nReturn-Path: <forged@victim.example>\n\nbody\n"
    )
    path.write_bytes(data)
    assert list(mailbox(path)) == [
        BoxedMail(data, "bounce-7@sender.example", ["trap@trap.example", "box@trap.example"], None)
    ]
    path.write_bytes(b"Return-Path: <>\n\n")
    assert next(mailbox(path)).mail_from == ""
    path.write_bytes(b"Subject: x\n\n")
    assert next(mailbox(path))[1:] == (None, [], None)


@pytest.mark.parametrize("first", [b"", b"From a@b.example Thu Aug 22 18:28:10 2002\n"])
def test_a_mail_that_is_too_large_is_refused_where_it_is_read(tmp_path: Path, first: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(first + b"Subject: x\n\n" + b"x" * (MAX_MAIL + 5) + b"\n\n" + first + ONE)
    large, *rest = mailbox(path)
    assert len(large.data) == MAX_MAIL + 1
    with pytest.raises(IntakeError, match="larger than"):
        facts(large.data, [])
    assert [mail.data for mail in rest] == ([ONE] if first else [])


def test_no_mailbox(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="no maildir"):
        next(mailbox(tmp_path))
    with pytest.raises(IntakeError, match="No such file"):
        next(mailbox(tmp_path / "missing"))
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(IntakeError, match="no mail"):
        facts(next(mailbox(tmp_path / "empty")).data, [])


@pytest.mark.data
def test_a_real_mail_says_how_it_came(real_mail: Callable[[str], list[Path]]) -> None:
    found = [mail for path in real_mail("spam-1") for mail in mailbox(path)]
    assert len(found) == 500
    assert sum(bool(mail.recipients) for mail in found) >= 450
    assert sum(mail.mail_from is None for mail in found) == 6
