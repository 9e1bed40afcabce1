"""Mails out of mailboxes: an mbox file, a maildir, or one mail in a file, read one after another in bounded memory.

What the mailbox's own server wrote on top of each mail says how it came: Return-Path (or the From_ line) from whom,
Delivered-To, X-Original-To and Envelope-To to whom. A mail that is too large is handed on cut, one byte over the limit,
and refused where it is read, so that it is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import IntakeError
from .facts import MAX_MAIL
from .headers import Fields, addresses, read_head

__all__ = ["BoxedMail", "mailbox"]

MAX_LINE = 64 * 1024  # bytes read at once; a longer line is several of them
MAX_RECIPIENTS = 20
FROM_LINE = re.compile(rb"From (\S{0,300}) .{0,80}\d\d:\d\d.{0,60}$")
QUOTED_FROM = re.compile(rb">+From ")
TO_FIELDS = ("delivered-to", "x-original-to", "envelope-to")
BY_MAILER = ("mailer-daemon", "-", "")  # how From_ lines write the null sender


class BoxedMail(NamedTuple):
    """One mail as it lay in a mailbox."""

    data: bytes
    mail_from: str | None  # the envelope sender; "" is the null sender, None is not known
    recipients: list[str]  # in lower case; none where the mailbox does not say
    at: int | None  # seconds since 1970 when it came, as the topmost Received line says; None where it does not


def mailbox(path: Path) -> Iterator[BoxedMail]:
    """The mails at `path`: a directory is a maildir, a file that begins with a From_ line an mbox, any other file one
    mail. Raises IntakeError where there is nothing of the kind."""
    try:
        if path.is_dir():
            yield from maildir(path)
        else:
            with path.open("rb") as file:
                yield from (boxed(data, sender) for data, sender in mails(file))
    except OSError as error:
        raise IntakeError(f"{path}: {error.strerror}") from None


def maildir(path: Path) -> Iterator[BoxedMail]:
    """The mails in `new` and `cur`, by name. What is no regular file is passed over."""
    places = [place for name in ("new", "cur") if (place := path / name).is_dir()]
    if not places:
        raise IntakeError(f"{path}: no maildir, it has neither new nor cur")
    for place in places:
        for file in sorted(place.iterdir()):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    yield boxed(opened.read(MAX_MAIL + 1), None)


def mails(file: BinaryIO) -> Iterator[tuple[bytes, str | None]]:
    """(mail, sender in its From_ line) of an mbox file, or the one mail of any other."""
    line = file.readline(MAX_LINE)
    sender = from_line(line)
    if sender is None:
        yield line + file.read(MAX_MAIL + 1 - len(line)), None
        return
    mail, blank = bytearray(), False
    while line := file.readline(MAX_LINE):
        following = from_line(line) if blank else None
        if following is not None:
            yield bytes(mail), sender
            sender = following
            mail.clear()
        elif len(mail) <= MAX_MAIL:
            mail += (line[1:] if QUOTED_FROM.match(line) else line)[: MAX_MAIL + 1 - len(mail)]
        blank = line in (b"\n", b"\r\n")
    yield bytes(mail), sender


def from_line(line: bytes) -> str | None:
    """The sender in a From_ line; None where it is none. One has a time of day, a sentence has not."""
    match = FROM_LINE.match(line.rstrip(b"\r\n")) if line.startswith(b"From ") else None
    return match[1].decode("utf-8", "replace") if match else None


def boxed(data: bytes, from_sender: str | None) -> BoxedMail:
    try:
        fields, _ = read_head(data)
    except IntakeError:  # no mail: said where it is read
        fields = Fields()
    return BoxedMail(data, sender(fields, from_sender), recipients(fields), came(fields))


def came(fields: Fields) -> int | None:
    """When the receiving side's last machine took it (RFC 5321 section 4.4: the date stands after a semicolon)."""
    try:
        return max(0, int(parsedate_to_datetime(fields.first("received").rpartition(";")[2].strip()).timestamp()))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def sender(fields: Fields, from_sender: str | None) -> str | None:
    """The topmost Return-Path is the server's own (RFC 5321 section 4.4); those below came with the mail."""
    path = fields.first("return-path")
    if path:
        return "".join(addresses(path)[:1])
    if from_sender is None:
        return None
    return "" if from_sender.lower() in BY_MAILER else from_sender.lower()


def recipients(fields: Fields) -> list[str]:
    """The recipients as the receiving side wrote them: above its own Received lines, not what came with the mail."""
    found: dict[str, None] = {}
    for name, value in fields.all:
        if name == "received":
            break
        if name in TO_FIELDS:
            found.update(dict.fromkeys(addresses(value)))
    return list(found)[:MAX_RECIPIENTS]
