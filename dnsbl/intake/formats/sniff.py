"""What a file is, from a look at it: for `dnsbl import FILE` without a format, and against pages in place of lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from ...errors import IntakeError, SubjectError
from ...model import Parsed
from .base import MAX_RECORD, address_keys, lines, subject_keys, uncomment

__all__ = ["looks_like_page", "sniff"]

LOOK = 65_536  # bytes at the start, and as many at the end: sorted lists begin with what they have least of
PAGE = re.compile(rb"\s*<(?:!doctype|!--|\?xml|[a-z][a-z0-9-]*[\s/>])", re.IGNORECASE)
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"%PDF-": "a PDF",
    b"\x7fELF": "a program",
    b"\x89PNG": "an image",
    b"GIF8": "an image",
    b"SQLite format 3\x00": "a database",
    b"\xff\xfe": "UTF-16 text; lists are UTF-8",
    b"\xfe\xff": "UTF-16 text; lists are UTF-8",
}
CONTROL = bytes(c for c in range(32) if c not in b"\t\n\v\f\r\x1a\x1b") + b"\x7f"

SPECIAL = re.compile(r"[#;:]?\$(?:SOA|NS|TIMESTAMP|MAXRANGE4|DATASET|[0-9=])\b", re.IGNORECASE)
DEFAULT = re.compile(r":\d+(?:\.\d+){0,3}:")
RECORD = re.compile(r"\S*\s+(?:\d+\s+)?(?:IN\s+)?(?:CNAME|SOA)\s+\S", re.IGNORECASE)
LISTED = re.compile(r"\S+\s+\d+\s+(?:IN\s+)?A\s+127\.\d+\.\d+\.\d+", re.IGNORECASE)
SHAPES = {
    "dshield": re.compile(r"[\d.]+\t[\d.]+\t\d{1,2}(?:\t.*)?"),
    "counted": re.compile(r"[0-9a-fA-F.:/]+[\t ]+\d{1,9}"),
    "drop": re.compile(r"[0-9a-fA-F.:]+/\d+\s*;\s*SBL\d+.*"),
    "hosts": re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S+.*"),
}


def looks_like_page(data: bytes) -> str | None:
    """Why this is no list at all: an HTML or XML page, or binary. None where it may be one."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf")
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            return f"this is {what}" if not what.startswith("UTF") else what
    if PAGE.match(start):
        return "this is an XML document" if start.lstrip()[:5].lower() == b"<?xml" else "this is an HTML page"
    if len(start) - len(start.translate(None, CONTROL)) > len(start) // 20:
        return "this is binary"
    return None


def sniff(data: bytes) -> str:
    """The name of the format that the file seems to have. Raises IntakeError where it cannot be told."""
    if reason := looks_like_page(data):
        raise IntakeError(f"not a list: {reason}")
    start = data[:LOOK].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"[") and not start[:8].lower().startswith(b"[adblock"):
        return sniff_json(data, start)
    texts = [text for _, text in lines(sample(data), Parsed(), MAX_RECORD)]
    found = sniff_marks(texts) or sniff_shapes(texts)
    if not found:
        raise IntakeError("cannot tell what format this is; name it with --format")
    return found


def sample(data: bytes) -> bytes:
    """Whole lines from the start and from the end."""
    if len(data) <= 2 * LOOK:
        return data
    return data[:LOOK].rpartition(b"\n")[0] + b"\n" + data[-LOOK:].partition(b"\n")[2]


def sniff_json(data: bytes, start: bytes) -> str:
    try:
        first = orjson.loads(start.partition(b"\n")[0])
    except orjson.JSONDecodeError:
        first = None
    if isinstance(first, dict) and "list" not in first:
        return kind_of(first)
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"this is JSON of no kind known here: {error}") from None
    if isinstance(value, dict) and isinstance(value.get("list"), list):
        return "misp-warninglist"
    return kind_of(value) if isinstance(value, dict) else "ndjson"


def kind_of(value: dict[str, Any]) -> str:
    """What an object tells of its file: the whole of it, or its first line."""
    if isinstance(value.get("Event"), dict):
        return "misp"
    if value.get("type") == "bundle" or isinstance(value.get("objects"), list):
        return "stix"
    if "cidr" in value and "sblid" in value:
        return "drop-json"
    return "asn-drop" if "asn" in value and "asname" in value else "ndjson"


def sniff_marks(texts: list[str]) -> str:
    """Formats that have signs of their own."""
    if any(text.startswith(("||", "@@||", "! ", "[Adblock", "[adblock")) for text in texts):
        return "adblock"
    if any(RECORD.match(text) for text in texts):
        return "rpz"
    if any(LISTED.fullmatch(text) for text in texts):
        return "dnsbl-zone"
    if any("$DATASET" in text for text in texts):
        return "rbldnsd-combined"
    if any(SPECIAL.match(text) or DEFAULT.match(text) for text in texts):
        return sniff_rbldnsd(texts)
    return ""


def sniff_rbldnsd(texts: Iterable[str]) -> str:
    entries = [text.lstrip("!").split()[0] for text in texts if text[0] not in "#;:$" and text.strip("! ")]
    if any(entry.count(":") > 1 for entry in entries):
        return "rbldnsd-ip6trie"
    if any(entry.partition(":")[0].strip("0123456789./-") for entry in entries):
        return "rbldnsd-dnset"
    return "rbldnsd-ip4set"


def sniff_shapes(texts: list[str]) -> str:
    """The format that most lines have the shape of."""
    shapes = Counter(shape(text) for text in texts if uncomment(text))
    if not shapes or shapes[""] * 2 > shapes.total():
        return ""
    del shapes[""]
    best = shapes.most_common(1)[0][0]
    if best in ("plain", "domains"):
        return "domains" if shapes["domains"] else "plain"
    return best


def shape(text: str) -> str:
    for name, pattern in SHAPES.items():
        if pattern.fullmatch(text):
            return name
    entry = uncomment(text)
    try:
        address_keys(entry)
    except SubjectError:
        pass
    else:
        return "plain"
    try:
        return "domains" if subject_keys(entry)[0][0] == 0x64 else "subjects"
    except SubjectError:
        return "csv" if "," in entry else ""
