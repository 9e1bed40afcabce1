"""The parts of a mail (MIME, RFC 2045-2049): what it says as text, and what is attached. Untrusted bytes.

One pass finds the parts, however deep they nest; only what is looked at is decoded. Text is bounded by MAX_TEXT for
the whole mail, everything else by the size of the mail, which the caller bounds.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

from ...errors import IntakeError
from .headers import Fields, decode_text, decode_words, parameters, read_head, unbase64

__all__ = ["Attachment", "Content", "read_parts"]

MAX_PARTS = 200  # looked at
HOSTILE_PARTS = 1000  # no sender's software makes so many: not worth reading
MAX_DEPTH = 10  # of parts within parts; a forwarded mail with a picture has 4
MAX_TEXT = 512 * 1024  # bytes of decoded text, together
MAX_ATTACHMENTS = 20
LEAST_ATTACHMENT = 512  # bytes decoded: smaller ones are signatures, counters and other decoration
MAX_SUFFIX = 10  # characters
MARKUP = re.compile(r"<(?:html|body|head|a\s|img\s|font|table|!doctype)", re.IGNORECASE)
MARKUP_WITHIN = 2000  # characters in which HTML that calls itself plain text begins
HTML = frozenset(("text/html", "application/xhtml+xml", "text/x-amp-html", "text/enriched"))
TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
# What is sent as a file even where nothing says so: programs, archives, documents.
FILES = re.compile(r"application/(?!(?:(?:pgp|pkcs7|x-pkcs7)-signature|ms-tnef|xhtml\+xml)$)")


@dataclass(slots=True, frozen=True)
class Attachment:
    """A file that came along, known by what it holds."""

    suffix: str  # of its name, lower case without the dot; "" where it has none
    content_type: str
    size: int  # bytes decoded
    sha256: bytes  # of the decoded content


@dataclass(slots=True)
class Content:
    """What the parts came to."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    parts: int = 0
    text_left: int = MAX_TEXT


def read_parts(data: bytes, fields: Fields, body: int, within: bool = True) -> Content:
    """What a mail holds, whose head is `fields` and whose body begins at `body`. `within`: mails within it are looked
    into, too. Raises IntakeError beyond HOSTILE_PARTS."""
    content = Content()
    for part, start, end in leaves(data, fields, body, len(data), content, within, 0):
        if content.parts > MAX_PARTS:
            content.cut.add("parts")
        else:
            take(content, part, data, start, end)
    return content


Leaf = tuple[Fields, int, int]  # head, and where its content begins and ends


def leaves(
    data: bytes, fields: Fields, start: int, end: int, content: Content, within: bool, depth: int
) -> Iterator[Leaf]:
    """The parts that hold something themselves."""
    content.parts += 1
    if content.parts > HOSTILE_PARTS:
        raise IntakeError(f"more than {HOSTILE_PARTS} parts: not worth reading")
    kind, params = parameters(fields.first("content-type"))
    boundary = params.get("boundary", "").rstrip().encode("utf-8", "replace")
    nested = kind.startswith("multipart/") and boundary
    mail = kind == "message/rfc822" and within
    if not (nested or mail):
        yield fields, start, end
    elif depth >= MAX_DEPTH:
        content.cut.add("depth")
    else:
        for first, last in sections(data, boundary, start, end) if nested else [(start, end)]:
            inner, body = read_head(data, first, last)
            yield from leaves(data, inner, min(body, last), last, content, within, depth + 1)


def sections(data: bytes, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the parts between boundary lines begin and end: a line that begins with the boundary is one, and the line
    end before it belongs to it (RFC 2046 section 5.1.1). A missing last boundary is taken as standing at the end."""
    mark = b"\n--" + boundary
    found = start - 1 if data.startswith(mark[1:], start, end) else data.find(mark, start, end)
    while found >= 0:
        after = found + len(mark)
        line = data.find(b"\n", after, end)
        if line < 0 or data.startswith(b"--", after):
            return
        found = data.find(mark, line, end)
        last = end if found < 0 else found
        yield line + 1, max(line + 1, last - data.startswith(b"\r", last - 1))


def take(content: Content, fields: Fields, data: bytes, start: int, end: int) -> None:
    """Look at one part: its text, and whether it is a file."""
    kind, params = parameters(fields.first("content-type"))
    kind = kind if TYPE.fullmatch(kind) else "text/plain"  # RFC 2045 section 5.2
    placed, more = parameters(fields.first("content-disposition"))
    name = decode_words(more.get("filename") or params.get("name") or "")
    coding = fields.first("content-transfer-encoding").strip().lower()
    text = kind.startswith("text/") or kind in HTML
    if text and kind != "text/rfc822-headers":
        take_text(content, kind, params.get("charset", ""), coding, data[start:end])
    # A text or a picture belongs to the mail unless it is sent as a file.
    shown = text or kind.startswith("image/")
    if placed == "attachment" or (not shown and (name or FILES.match(kind))):
        take_file(content, kind, name, decode(data[start:end], coding))


def take_text(content: Content, kind: str, charset: str, coding: str, raw: bytes) -> None:
    """Text, as far as there is room for it. What calls itself plain and is HTML is shown as such by readers."""
    room = content.text_left
    decoded = decode(raw[: 4 * room], coding)  # no coding takes more than three bytes for one, and line ends
    if len(decoded) > room or len(raw) > 4 * room:
        content.cut.add("text")
    decoded = decoded[:room]
    content.text_left -= len(decoded)
    text = decode_text(decoded, charset)
    html = kind in HTML or MARKUP.search(text, 0, MARKUP_WITHIN)
    (content.html if html else content.plain).append(text)


def take_file(content: Content, kind: str, name: str, decoded: bytes) -> None:
    if len(decoded) < LEAST_ATTACHMENT:
        return
    if len(content.attachments) >= MAX_ATTACHMENTS:
        content.cut.add("attachments")
        return
    suffix = PurePosixPath(name.replace("\\", "/").replace("\0", "")).suffix[1:].strip().lower()
    suffix = suffix if suffix.isalnum() and len(suffix) <= MAX_SUFFIX else ""
    content.attachments.append(Attachment(suffix, kind, len(decoded), sha256(decoded).digest()))


def decode(raw: bytes, coding: str) -> bytes:
    """Content without its transfer encoding; what is none that is known stays as it is."""
    if coding == "base64":
        return unbase64(raw)
    if coding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw
