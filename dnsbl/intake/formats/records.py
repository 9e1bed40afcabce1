"""Lists of records with a column map: CSV, NDJSON and JSON.

    csv        192.0.2.1,spam,3            or with a header, which may be a comment: `# id,dateadded,url,...` (URLhaus)
    ndjson     {"ip":"192.0.2.1","n":3}    one object a line, or one array of objects
    json       {"7":[{"url":...,...}]}     one document: the objects in it that have the subject's key (abuse.ch)

The map (`columns`) says which column or key is the subject, its category and its hits. The subject may be a URL or
host:port; then the host is meant; a SHA-256 is a file's. Without a map a CSV's subject is the column with a telling
name, else the first. A record is one line: a quote that is not closed spoils its own line and no other. `None` in a
field means nothing (ThreatFox writes it).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson

from ...config import Columns
from ...errors import IntakeError, SubjectError
from ...model import Parsed
from .base import MAX_RECORD, SHA256, FormatOptions, file_keys, lines, subject_keys, take, without_bom
from .plain import count_of

__all__ = ["host_of", "json_lines", "parse_csv", "parse_json", "parse_ndjson"]

# fmt: off
TELLING = (
    "subject", "ip", "ip_address", "ipaddress", "address", "cidr", "network", "dst_ip", "src_ip",
    "ioc_value", "indicator", "domain", "hostname", "host", "url",
)
# fmt: on
PORT = re.compile(r"(\[?)([^\[\]\s]*?)(\]?):(\d{1,5})")
BRACKETS = re.compile(r"\[([0-9a-fA-F:.]+)\]")
MAX_DEPTH = 5  # lists and objects in one another around a record
NOTHING = frozenset(("", "none", "null", "-"))


def host_of(text: str) -> str:
    """The subject that a URL, host:port or plain subject is about. Raises SubjectError."""
    text = text.strip()
    if "://" in text:
        if "\\" in text or any(c.isspace() for c in text):
            raise SubjectError("a URL that can be read in two ways")
        try:
            host = urlsplit(text).hostname
        except ValueError:
            raise SubjectError("not a URL") from None
        if not host:
            raise SubjectError("a URL without a host")
        return host
    if (match := PORT.fullmatch(text)) and bool(match[1]) == bool(match[3]) == (":" in match[2]):
        return match[2]
    return match[1] if (match := BRACKETS.fullmatch(text)) else text


def record_keys(text: str) -> list[bytes]:
    """The subject of a record. Raises SubjectError."""
    return file_keys(text) if SHA256.fullmatch(text.strip()) else subject_keys(host_of(text))


def parse_csv(data: bytes, options: FormatOptions) -> Parsed:
    """Rows by column names or numbers. Raises IntakeError where the columns are not in the header."""
    parsed = Parsed()
    reader: Rows | None = None
    heading: list[str] = []
    for number, text in lines(data, parsed, MAX_RECORD):
        if text.startswith(("#", ";", "//")):
            fields = cells(text.lstrip("#;/ \t"), options.delimiter) or []
            if reader is None and holds(options.columns, fields):
                heading = fields
            continue
        row = cells(text, options.delimiter)
        if row is None:
            parsed.reject(number, "a quote that is not closed, or text after one")
            continue
        if reader is None:
            reader = Rows(options, heading, row)
            if reader.header_is(row):
                continue
        try:
            reader.row(parsed, row)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def cells(text: str, delimiter: str) -> list[str] | None:
    """The fields of one line, None where its quotes do not work out."""
    try:
        return next(csv.reader((text,), delimiter=delimiter[:1] or ",", skipinitialspace=True, strict=True), [])
    except csv.Error:
        return None


def named(columns: Columns | None) -> str:
    return columns.subject.lower() if columns and isinstance(columns.subject, str) else ""


def holds(columns: Columns | None, fields: list[str]) -> bool:
    """Whether these fields of a comment are the header that the column map is about, or may be one without a map."""
    names = [field.strip().lower() for field in fields]
    return any(name in names for name in TELLING) if columns is None else named(columns) in names


class Rows:
    """A CSV's columns, found once."""

    def __init__(self, options: FormatOptions, heading: list[str], first: list[str]) -> None:
        self.options = options
        self.commented = bool(heading) and (options.columns is not None or len(heading) == len(first))
        self.heading = [field.strip().lower() for field in (heading if self.commented else first)]
        columns = options.columns or Columns(subject=self.guess())
        self.subject = self.find(columns.subject)
        self.category = None if columns.category is None else self.find(columns.category)
        self.hits = None if columns.hits is None else self.find(columns.hits)
        self.by_name = any(isinstance(c, str) for c in (columns.subject, columns.category, columns.hits))

    def guess(self) -> int:
        return next((self.heading.index(name) for name in TELLING if name in self.heading), 0)

    def find(self, column: str | int) -> int:
        if isinstance(column, int):
            return column
        if not self.options.header:
            raise IntakeError(f"column {column!r} needs a header; number the columns from 0 instead")
        if column.lower() not in self.heading:
            raise IntakeError(f"no column {column!r}; the header has {', '.join(self.heading)[:200]}")
        return self.heading.index(column.lower())

    def header_is(self, row: list[str]) -> bool:
        """Whether the first row is the header: it is where names were found in it, or where its subject is none."""
        if self.commented:
            return False
        if self.by_name:
            return True
        try:
            return not record_keys(row[self.subject])
        except (SubjectError, IndexError):
            return self.options.header

    def row(self, parsed: Parsed, row: list[str]) -> None:
        if self.subject >= len(row):
            raise SubjectError(f"only {len(row)} columns")
        hits = 1 if self.hits is None else count_of(cell(row, self.hits) or "1")
        if hits < self.options.min_hits:
            return
        word = "" if self.category is None else cell(row, self.category)
        take(parsed, record_keys(row[self.subject]), self.options, hits, word)


def cell(row: list[str], column: int) -> str:
    text = row[column].strip() if 0 <= column < len(row) else ""
    return "" if text.lower() in NOTHING else text


def parse_ndjson(data: bytes, options: FormatOptions) -> Parsed:
    """Objects by their keys. Raises IntakeError where not one line is an object."""
    parsed = Parsed()
    for number, record in json_lines(data, parsed):
        try:
            take_record(parsed, record, options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def parse_json(data: bytes, options: FormatOptions) -> Parsed:
    """The objects of one document that have the subject's key, wherever they are in it down to MAX_DEPTH. A reject's
    line is the object's place among them, from 1. Raises IntakeError where there is something and no such object."""
    try:
        value = orjson.loads(without_bom(data))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from None
    parsed, number = Parsed(), 0
    subject = str((options.columns or Columns()).subject)
    for number, record in enumerate(records_in(value, subject), 1):
        try:
            take_record(parsed, record, options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    if not number and value and [] not in (value.values() if isinstance(value, dict) else ()):
        raise IntakeError(f"no object in it has {subject[:40]!r}")
    return parsed


def records_in(value: Any, subject: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The outermost objects that have a key, in their order."""
    if isinstance(value, dict) and subject in value:
        yield value
    elif depth < MAX_DEPTH and isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from records_in(item, subject, depth + 1)


def take_record(parsed: Parsed, record: dict[str, Any], options: FormatOptions) -> None:
    columns = options.columns or Columns()
    hits = None if columns.hits is None else record.get(str(columns.hits))
    amount = 1 if hits is None else count_of(str(hits)[:20])
    if amount < options.min_hits:
        return
    subject = record.get(str(columns.subject))
    if not isinstance(subject, str) or not subject.strip():
        raise SubjectError(f"no text under {str(columns.subject)[:40]!r}")
    word = None if columns.category is None else record.get(str(columns.category))
    word = word.strip() if isinstance(word, str) else ""
    take(parsed, record_keys(subject), options, amount, word)


def json_lines(data: bytes, parsed: Parsed) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON lines with their line, or of one JSON array with their place in it, from 1.
    Raises IntakeError where there is something but no object."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        values = enumerate(array_of(data), 1)
    else:
        values = line_values(data, parsed)  # type: ignore[assignment]
    objects = 0
    for number, value in values:
        if isinstance(value, dict):
            objects += 1
            yield number, value
        else:
            parsed.reject(number, "not a JSON object")
    if not objects and parsed.rejected:
        raise IntakeError("not JSON lines: not one line is a JSON object")


def array_of(data: bytes) -> list[Any]:
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from None
    return value if isinstance(value, list) else []


def line_values(data: bytes, parsed: Parsed) -> Iterator[tuple[int, Any]]:
    for number, text in lines(data, parsed, MAX_RECORD):
        try:
            yield number, orjson.loads(text)
        except orjson.JSONDecodeError:
            yield number, None
