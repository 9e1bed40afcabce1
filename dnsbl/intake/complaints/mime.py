"""The parts of a mail (RFC 2045, RFC 2046) in bounded time: one pass over the bytes for each level of nesting.

The parser in the standard library is not used: it enters embedded messages, which here are evidence that the accused
may have written, and a hostile mail makes it work for minutes. This one goes into multipart/* only, never into a
message/*, and refuses what has more parts, levels or headers than any complaint.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import IntakeError
from ..mail.headers import parameters

__all__ = ["Part", "fields", "header_of", "parts"]

MAX_PARTS = 1000  # of all levels together; a complaint has three
MAX_LEVELS = 8  # multipart in multipart; mail gateways wrap once or twice
MAX_HEADER = 256 * 1024  # bytes of one header block; signatures and traces of real mails come to 30 KiB
MAX_HEADERS = 2**20  # bytes of all header blocks of one mail
MAX_FIELDS = 2000  # lines of one header block
MAX_BOUNDARY = 200  # characters; RFC 2046 section 5.1.1 allows 70, some mailers write more
MAX_VALUE = 4096  # characters of a Content-Type looked at
FOLD = re.compile(r"\r?\n(?=[ \t])")
FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:(.*)")
KIND = re.compile(r"\s*([a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100})\s*$")
BLANK = re.compile(rb"^[ \t]*\r?\n", re.MULTILINE)


@dataclass(slots=True, frozen=True)
class Part:
    """One part that holds no others: where its body lies within the mail."""

    kind: str  # the media type, lower case
    encoding: str  # of transfer, lower case
    mail: bytes
    start: int
    end: int

    def body(self) -> bytes:
        """The content, decoded. Raises IntakeError."""
        raw = self.mail[self.start : self.end]
        if self.encoding == "base64":
            try:
                return binascii.a2b_base64(raw)
            except binascii.Error:
                raise IntakeError("an attachment in base64 is cut or damaged") from None
        return binascii.a2b_qp(raw) if self.encoding == "quoted-printable" else raw


def parts(mail: bytes) -> Iterator[Part]:
    """The parts that hold no others, in order. Raises IntakeError where there are too many or too deep."""
    if b"\n" not in mail:  # lines that end in CR alone: files of old Macs, and one real complaint
        mail = mail.replace(b"\r", b"\n")
    yield from Walk(mail).part(0, len(mail), 0)


def header_of(mail: bytes) -> dict[str, list[str]]:
    """The fields of the mail's own header. Raises IntakeError."""
    if b"\n" not in mail[: MAX_HEADER + 1]:
        mail = mail[: MAX_HEADER + 1].replace(b"\r", b"\n")
    return fields(mail[: header_end(mail, 0, len(mail))])


class Walk:
    """One mail being taken apart."""

    def __init__(self, mail: bytes) -> None:
        self.mail = mail
        self.parts = 0
        self.headers = 0  # bytes

    def part(self, start: int, end: int, level: int) -> Iterator[Part]:
        """The part that lies there, or those within it."""
        body = header_end(self.mail, start, end)
        self.parts += 1
        self.headers += body - start
        if self.parts > MAX_PARTS or self.headers > MAX_HEADERS:
            raise IntakeError(f"a mail of more than {MAX_PARTS:,} parts, or of little but headers")
        header = fields(self.mail[start:body])
        content = header.get("content-type", [""])[0][:MAX_VALUE]
        said, more = parameters(content)
        named = KIND.match(said.partition("(")[0])  # a comment may follow
        kind = named[1] if named else "text/plain"
        boundary = more.get("boundary", "") if kind.startswith("multipart/") else ""
        if not boundary:
            encoding = header.get("content-transfer-encoding", [""])[0].strip().lower()
            yield Part(kind, encoding, self.mail, body, end)
            return
        if level >= MAX_LEVELS:
            raise IntakeError(f"a mail with parts within parts, more than {MAX_LEVELS} deep")
        for first, last in self.split(boundary, body, end):
            yield from self.part(first, last, level + 1)

    def split(self, boundary: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart lie. A missing end is common, and harmless: the last part goes as far as the
        mail does."""
        if len(boundary) > MAX_BOUNDARY:
            raise IntakeError(f"a mail with a boundary longer than {MAX_BOUNDARY} characters")
        mark = re.compile(
            rb"\n--" + re.escape(boundary.rstrip().encode("latin-1", "replace")) + rb"(--)?[ \t]*\r?(?=\n|\Z)"
        )
        first = -1
        for found in mark.finditer(self.mail, max(start - 1, 0), end):
            if first >= 0:
                yield first, found.start()
            first = found.end() + 1
            if found[1]:
                return
        if 0 <= first < end:
            yield first, end


def header_end(mail: bytes, start: int, end: int) -> int:
    """Where the body begins. Raises IntakeError where the header is too long."""
    limit = start + MAX_HEADER
    found = BLANK.search(mail, start, min(end, limit))
    if found:
        return found.end()
    if end > limit:
        raise IntakeError(f"a mail with a header of more than {MAX_HEADER // 1024} KiB")
    return end


def fields(block: bytes) -> dict[str, list[str]]:
    """Header fields (RFC 5322 section 2.2) by name in lower case, unfolded; lines that are none are left out. Raises
    IntakeError."""
    if len(block) > MAX_HEADER or block.count(b"\n") > MAX_FIELDS:
        raise IntakeError(f"a header of more than {MAX_HEADER // 1024} KiB or {MAX_FIELDS:,} lines")
    found: dict[str, list[str]] = {}
    for line in FOLD.sub("", block.decode("latin-1")).split("\n"):
        match = FIELD.match(line)
        if match:
            found.setdefault(match[1].lower(), []).append(match[2].strip())
    return found
