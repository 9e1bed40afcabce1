"""Whether bytes are a complaint, from a look at their beginning."""

from __future__ import annotations

import re

from .unpack import GZIP, ZIP, beginning

__all__ = ["BOM", "is_mail", "looks_like_complaint"]

LOOK = 64 * 1024  # bytes of a mail that are looked at
BOM = b"\xef\xbb\xbf"
# A mail as it lies in a file, perhaps after the line that an mbox puts before it. An IPv6 address has colons too.
HEADER = re.compile(rb"(?:From [^\r\n]*[\r\n]+)?(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9-]{1,60}:[ \t\r\n]")
MAIL = re.compile(rb"^content-type:\s*[a-z]+/[a-z]", re.IGNORECASE | re.MULTILINE)
# The root of a document, after what may stand before it. Possessive: hostile comments are read once.
ROOT = re.compile(
    rb"(?>\s+|<\?[^>]*>|<!--(?:.*?)-->|<![a-z][^>]*>)*+<(?:[a-z_][\w.-]{0,40}:)?feedback[\s>]",
    re.DOTALL | re.IGNORECASE,
)
VERSION4 = re.compile(rb'"xarf_version"\s*:\s*"4')
VERSION3 = (re.compile(rb'"ReporterInfo"\s*:\s*\{'), re.compile(rb'"Report"\s*:\s*\{'))
# What a mail says that it carries. Attachments of DMARC reports are told by the names that RFC 7489 section 7.2.1.1
# gives them: receiver!policy-domain!begin!end, which mailers fold.
FEEDBACK = re.compile(rb"message/feedback-report|report-type\s*=\s*\"?feedback-report", re.IGNORECASE)
ANNOUNCED = re.compile(rb"^feedback-type:\s*xarf\b", re.IGNORECASE | re.MULTILINE)
DMARC = re.compile(
    rb"name\s*=\s*\"?[^\s\"!]{1,255}!\s*[^\s\"!]{1,255}!\s*\d{1,12}!\s*\d{1,12}[^\r\n]{0,80}\.(?:xml|zip|gz)",
    re.IGNORECASE,
)
XARF = re.compile(
    rb"application/xarf|name\s*=\s*\"?[^\r\n\"]{0,80}xarf[^\r\n\"]{0,80}\.json|^x-xarf:", re.IGNORECASE | re.MULTILINE
)


def looks_like_complaint(head: bytes) -> str:
    """The format ("arf", "xarf", "dmarc"), or "" for anything else. 64 KiB at the start are enough for all but odd
    JSON. A mail is named after what it says it carries. Never a list, CSV or JSON lines of reports, nor an archive of
    those."""
    if head.startswith((GZIP, ZIP)):
        head = beginning(head)
    head = head.removeprefix(BOM).lstrip()
    if head.startswith(b"<"):
        return "dmarc" if ROOT.match(head) else ""
    if head.startswith((b"{", b"[")):
        return "xarf" if VERSION4.search(head) or all(mark.search(head) for mark in VERSION3) else ""
    return looks_like_mail(head[:LOOK])


def looks_like_mail(head: bytes) -> str:
    """What a mail says that it carries; "" where it is none, or says nothing of the kind."""
    head = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not (is_mail(head) and MAIL.search(head)):
        return ""
    if FEEDBACK.search(head):
        return "xarf" if ANNOUNCED.search(head) else "arf"
    if XARF.search(head):
        return "xarf"
    return "dmarc" if DMARC.search(head) else ""


def is_mail(data: bytes) -> bool:
    """Whether the first line is one of a mail's header."""
    return bool(HEADER.match(data))
