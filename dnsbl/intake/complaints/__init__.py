"""Complaints: pure functions from the bytes that somebody sent to what they claim.

    parse_complaint(data, now) -> [Complaint("arf", [Claim("192.0.2.1", "spam", ...)], why="", facts={...})]

    arf     a mail with a message/feedback-report (RFC 5965)             arf.py
    xarf    JSON of version 3 or 4, or a mail that carries it            xarf.py
    dmarc   aggregate reports as XML, gzip, zip, or a mail with those    dmarc.py

Everything is untrusted, and nothing is authenticated here: who may complain is asked by whoever took the bytes. A
complaint that lists nothing says why in a sentence; bytes that are no complaint, or more of one than anybody has to
say, are an IntakeError. No format does I/O or reads the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ...errors import IntakeError
from .arf import feedback_type, parse_feedback
from .claims import Claim, Complaint, organisation
from .dmarc import parse_dmarc
from .mime import Part, header_of, parts
from .sniff import BOM, is_mail, looks_like_complaint
from .unpack import GZIP, MAX_BYTES, ZIP, Room, gunzip, pieces, unzip
from .xarf import parse_xarf

__all__ = ["FORMATS", "Claim", "Complaint", "looks_like_complaint", "parse_complaint"]

FORMATS = ("arf", "xarf", "dmarc")
FEEDBACK = "message/feedback-report"


def parse_complaint(data: bytes, now: int, format: str = "") -> list[Complaint]:
    """The complaints in a mail, a JSON, XML, gzip or zip file; with `format`, only those of it. `now`: seconds since
    1970. Raises IntakeError where there is none, or where it is too large, too many or a bomb."""
    if format not in ("", *FORMATS):
        raise IntakeError(f"no complaint format {format!r}; known: {', '.join(FORMATS)}")
    if len(data) > MAX_BYTES:
        raise IntakeError(f"larger than {MAX_BYTES // 2**20} MiB")
    found = [complaint for complaint in read(data, now) if format in ("", complaint.format)]
    if not found:
        wanted = format.upper() if format else "message/feedback-report, XARF or DMARC report"
        raise IntakeError(f"no complaint that a machine can read: no {wanted} is in it")
    return found


def read(data: bytes, now: int) -> Iterator[Complaint]:
    """By the first bytes: an archive, a document, or a mail."""
    room = Room()
    if data.startswith((GZIP, ZIP)) or first_of(data) in (b"<", b"{", b"["):
        yield from attachment(data, now, room)
    elif is_mail(data):
        yield from mail(data, now, room)
    else:
        raise IntakeError("neither a mail, JSON, XML, gzip nor zip")


def mail(data: bytes, now: int, room: Room) -> Iterator[Complaint]:
    """A mail is one complaint as ARF, or carries others. Where it has both, the ARF part is the complaint and the rest
    its evidence, unless that part says that it only announces XARF."""
    found = list(parts(data))
    feedback = [part.body() for part in found if part.kind == FEEDBACK]
    if len(feedback) > 1:
        yield Complaint("arf", why="it has more than one feedback report: nobody knows which is meant")
    elif feedback and feedback_type(feedback[0]) != "xarf":
        yield parse_feedback(feedback[0], now, organisation(" ".join(header_of(data).get("from", []))))
    else:
        carried = [part.body() for part in found if may_carry(part)]
        bodies = [body for body in carried if looks_like_complaint(body) and not is_mail(body)]
        for body in bodies:
            yield from attachment(body, now, room)
        if not bodies:  # a form of somebody's own, a request to be taken off a mailing list, a person's letter
            yield Complaint("arf", why="the mail has no message/feedback-report (RFC 5965), and nothing else to read")


def may_carry(part: Part) -> bool:
    """Whether a part can be a document: text and files are, the messages that complaints are about are not."""
    return part.kind.startswith("application/") or part.kind in ("text/plain", "text/xml", "text/json")


def attachment(data: bytes, now: int, room: Room) -> Iterator[Complaint]:
    """The complaints in an archive or a document. Raises IntakeError."""
    if data.startswith(GZIP):
        yield from document(gunzip(data, room), now, room)
    elif data.startswith(ZIP):
        for member in unzip(data, room):
            yield from document(member, now, room)
    else:
        yield from document(pieces(data), now, room)


def document(content: Iterator[bytes], now: int, room: Room) -> Iterator[Complaint]:
    """The complaints in a document of XML or JSON that comes in pieces. Raises IntakeError."""
    start = next(content, b"")
    mark = first_of(start)
    if mark == b"<":
        yield parse_dmarc(chain((start.removeprefix(BOM).lstrip(),), content), now, room)
    elif mark in (b"{", b"["):
        yield from parse_xarf(joined(chain((start,), content)), now, room)
    else:
        raise IntakeError("neither XML nor JSON is in it")


def joined(content: Iterator[bytes]) -> bytes:
    """A document of JSON as a whole: it cannot be read in pieces. Raises IntakeError beyond MAX_BYTES."""
    found = bytearray()
    for piece in content:
        found += piece
        if len(found) > MAX_BYTES:
            raise IntakeError(f"JSON that unpacks to more than {MAX_BYTES // 2**20} MiB")
    return bytes(found)


def first_of(data: bytes) -> bytes:
    """The first character that is no blank."""
    return data[:4096].removeprefix(BOM).lstrip()[:1]
