"""The body of a mail as signatures hash it (RFC 6376 section 3.4): each way once, however many signatures there are.

The library does this anew for each signature, with expressions that take quadratic time for runs of white space and
hold the interpreter's lock meanwhile. Here everything is a search or a replacement of fixed bytes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import dkim
from dkim.crypto import HASH_ALGORITHMS

__all__ = ["Bodies", "HashedOnce", "relaxed", "simple"]

CRLF = b"\r\n"


class Bodies:
    """The hashes of one body, kept."""

    def __init__(self, body: bytes) -> None:
        self.body = body if body.endswith(CRLF) else body + CRLF
        self.digests: dict[tuple[bytes, bytes, int], bytes] = {}

    def fits(self, tags: dict[bytes, bytes]) -> bool:
        """Whether the body is the one that was signed. Raises the library's MessageFormatError and ValueError."""
        way = tags.get(b"c", b"simple").partition(b"/")[2] or b"simple"
        if way not in WAYS:
            raise dkim.MessageFormatError("no such canonicalization")
        key = way, tags[b"a"], int(tags[b"l"]) if b"l" in tags else -1
        if key not in self.digests:
            body = WAYS[way](self.body)
            signed = body if key[2] < 0 else memoryview(body)[: key[2]]
            self.digests[key] = hashlib.new(HASH_ALGORITHMS[key[1]]().name, signed).digest()
        return base64.b64decode(b"".join(tags[b"bh"].split())) == self.digests[key]


class HashedOnce:
    """Stands before one of the library's classes that verify, which leaves the body alone where bh= is not there."""

    def __init__(self, fields: list[tuple[bytes, bytes]], bodies: Bodies, **options: Any) -> None:
        super().__init__(**options)
        self.headers, self.bodies = fields, bodies

    def verify_sig(self, sig: dict[bytes, bytes], include_headers: Any, sig_header: Any, dnsfunc: Any) -> bool:
        """The library's method. Raises its exceptions."""
        if b"bh" in sig and not self.bodies.fits(sig):
            raise dkim.ValidationError("the body is not the one that was signed")
        rest = {tag: value for tag, value in sig.items() if tag != b"bh"}
        passes: bool = super().verify_sig(rest, include_headers, sig_header, dnsfunc)  # type: ignore[misc]
        return passes


def relaxed(body: bytes) -> bytes:
    """Section 3.4.4, for a body that ends in CRLF: white space is one space, and none at the ends of lines."""
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    ended = simple(body.replace(b" \r\n", CRLF))
    return b"" if ended == CRLF else ended


def simple(body: bytes) -> bytes:
    """Section 3.4.3, for a body that ends in CRLF: with one CRLF at its end."""
    text = body.rstrip(CRLF)
    tail = body[len(text) :]
    return text + tail[: tail.rfind(b"\r\r") + 1] + CRLF  # a CR alone is no end of a line


WAYS = {b"relaxed": relaxed, b"simple": simple}
