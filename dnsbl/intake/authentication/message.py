"""A mail as its signatures see it: header fields, one by one, and a body.

One reader for all: what DKIM verifies and what the From address is taken from are the same fields, so that no
signature can hold for one reading of a mail and the domain be taken from another. What can be read in two ways is not
read (RFC 5322 without its obsolete syntax). All steps are linear in the size of the mail, which is hostile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...errors import IntakeError, SubjectError
from ...subjects import domain_key, name_of

__all__ = ["Mail", "domain_name", "mailbox_domain", "read_mail"]

MAX_HEADER = 256 * 2**10  # bytes of all fields; real ones have 2 to 40 KiB
MAX_FIELDS = 1000
MAX_FROM = 4096  # bytes of a From field that is looked at
FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+):")  # RFC 5322 section 3.6.8; no white space before the colon
END = re.compile(rb"\r?\n\r?\n")
LINE = re.compile(rb"\r?\n")
PLAIN = re.compile(r"[^()\"\\]+")  # neither of a comment nor of a quoted string


@dataclass(slots=True, frozen=True)
class Mail:
    """Fields from the top, as (name, value with its folds and its CRLF). Lines of the body end in CRLF."""

    fields: list[tuple[bytes, bytes]]
    body: bytes = field(repr=False)

    def all(self, name: bytes) -> list[bytes]:
        """The values of every field of a name, given in lower case, from the top."""
        return [value for key, value in self.fields if key.lower() == name]

    def from_domain(self) -> str:
        """The domain of the author; empty unless there is one From field with one address in it."""
        found = self.all(b"from")
        return mailbox_domain(found[0]) if len(found) == 1 else ""


def read_mail(data: bytes) -> Mail:
    """Raises IntakeError where there is a line in the header that is no part of a field, or too much of it."""
    end = END.search(data, 0, MAX_HEADER)
    if data.startswith((b"\r\n", b"\n")):
        return Mail([], crlf(data.partition(b"\n")[2]))
    if end is None:
        if len(data) > MAX_HEADER:
            raise IntakeError(f"header longer than {MAX_HEADER // 2**10} KiB")
        return Mail(read_fields(data), b"")
    return Mail(read_fields(data[: end.start()]), crlf(data[end.end() :]))


def read_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Raises IntakeError."""
    found: list[tuple[bytes, list[bytes]]] = []
    for number, line in enumerate(LINE.split(header), 1):
        if b"\r" in line or b"\0" in line:  # an end of line for some programs
            raise IntakeError(f"line {number} of the header has a CR or NUL in it")
        if line[:1] in (b" ", b"\t") and found:
            found[-1][1].append(line)
        elif match := FIELD.match(line):
            found.append((match[1], [line[match.end() :]]))
        elif line:
            raise IntakeError(f"line {number} of the header is no field")
        if len(found) > MAX_FIELDS:
            raise IntakeError(f"more than {MAX_FIELDS} header fields")
    return [(name, b"\r\n".join((*lines, b""))) for name, lines in found]


def crlf(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mailbox_domain(value: bytes) -> str:
    """The domain of a field that holds one mailbox (RFC 5322 section 3.4); empty where it holds anything else, or
    what some program could take for another address."""
    try:
        text = value.decode("utf-8") if len(value) <= MAX_FROM else ""
    except UnicodeDecodeError:
        return ""
    bare = unquoted(LINE.sub(b"", text.encode()).decode())
    if bare is None:
        return ""
    phrase, angle, rest = bare.partition("<")
    address = rest.strip() if angle else bare.strip()
    if angle:
        if not address.endswith(">") or set(phrase) & set(",:;>"):
            return ""
        address = address[:-1].strip()
    if address.count("@") != 1 or set(address) & set(",:;<>[] \t"):
        return ""
    local, _, domain = address.partition("@")
    return domain_name(domain) if local else ""


def unquoted(text: str) -> str | None:
    """The text without comments, and with a `q` for each quoted string; None where one is not closed."""
    found, at, depth, quoted = [], 0, 0, False
    while at < len(text):
        if match := PLAIN.match(text, at):
            at = match.end()
            if not (depth or quoted):
                found.append(match[0])
            continue
        mark = text[at]
        at += 2 if mark == "\\" else 1
        if mark == "\\" and not (depth or quoted):
            return None
        if mark == '"' and not depth:
            quoted = not quoted
            found.append("q" if quoted else "")
        elif mark in "()" and not quoted:
            depth += 1 if mark == "(" else -1
        if depth < 0:
            return None
    return None if depth or quoted else "".join(found)


def domain_name(text: str) -> str:
    """A name in lower case and as A-labels; empty where it is none that could ever be listed."""
    try:
        return name_of(domain_key(text))
    except SubjectError:
        return ""
