"""Files of reports: CSV with a header, or NDJSON; plain or gzip. Read as a stream, refused line by line.

time,ip,category,reporter                  any order; see COLUMNS for the names that are understood
1730415606,49.13.235.77,bot,2a01:4d7:251:4000::
{"subject": "49.13.235.77", "category": "bot", "time": "2024-10-31T23:00:06Z", "reporter": "192.0.2.7"}
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, Any

import orjson

from ..clock import parse_time
from ..errors import IntakeError, printable
from ..model import CATEGORIES, MAX_REJECTS, Reject, Report
from .gate import Gate

__all__ = [
    "Intake", "counted", "looks_like_reports", "ndjson_reports", "open_stream", "parse_map", "read_reports",
    "report_of",
]  # fmt: skip

MAX_LINE = 64 * 1024  # bytes; a longer line is one reject
COLUMNS = {
    "subject": ("subject", "ip", "address", "addr", "ip_address", "src_ip", "src", "domain", "host"),
    "time": ("time", "timestamp", "at", "date", "datetime", "first_seen", "seen"),
    "category": ("category", "type", "kind", "threat", "abuse"),
    "reporter": ("reporter", "reported_by", "sensor", "trap", "by"),
}
MAX_WORDS = 1000  # different unmapped words counted of one file or post
CHUNK = 1 << 20  # bytes read at once
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
TEN_DIGITS = 10**9  # times from 2001 to 2286 have so many: the usual number of a report, taken as it is


@dataclass(slots=True)
class Intake:
    """What came of it: counts, the first rejects, and the words nobody mapped."""

    taken: int = 0
    repeated: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    unmapped: dict[str, int] = field(default_factory=dict)

    def reject(self, line: int, why: str) -> None:
        self.rejected += 1
        if len(self.rejects) < MAX_REJECTS:
            self.rejects.append(Reject(line, printable(why)))

    def unknown(self, word: str) -> None:
        """Count a word that nobody mapped; beyond MAX_WORDS different ones, new ones together."""
        if word not in self.unmapped and len(self.unmapped) >= MAX_WORDS:
            word = "(more)"
        self.unmapped[word] = self.unmapped.get(word, 0) + 1

    def as_json(self) -> dict[str, Any]:
        return {
            "taken": self.taken,
            "repeated": self.repeated,
            "rejected": self.rejected,
            "rejects": [{"line": r.line, "why": r.why} for r in self.rejects],
            "unmapped": self.unmapped,
        }


def open_stream(file: IO[bytes]) -> io.BufferedReader:
    """The stream itself, or what it holds where it is gzip."""
    buffered: Any = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)
    if buffered.peek(2)[:2] == GZIP:
        return io.BufferedReader(Unpacked(buffered), CHUNK)
    found: io.BufferedReader = buffered
    return found


class Unpacked(io.RawIOBase):
    """What gzip holds, as it is unpacked: where the data is cut, all that came before has been read by then."""

    def __init__(self, packed: IO[bytes]) -> None:
        self.file = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises IntakeError where the data is cut or damaged."""
        try:
            some = self.file.read1(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise IntakeError(f"the gzip data is cut or damaged ({error})") from error
        buffer[: len(some)] = some
        return len(some)


def looks_like_reports(head: bytes) -> bool:
    """Whether the first line is a header or an object with both a subject and a time or a reporter."""
    first = head.removeprefix(BOM).split(b"\n", 1)[0].strip()
    if first.startswith(b"{"):
        try:
            keys = orjson.loads(first).keys()
        except (orjson.JSONDecodeError, AttributeError):
            return False
    else:
        keys = {part.strip().strip('"').lower() for part in first.decode("utf-8", "replace").split(",")}
    return has(keys, "subject") and (has(keys, "time") or has(keys, "reporter"))


def has(keys: Any, column: str) -> bool:
    return any(name in keys for name in COLUMNS[column])


def read_reports(stream: io.BufferedIOBase, gate: Gate, intake: Intake) -> Iterator[Report]:
    """Reports of a file, one by one; what is refused is counted in `intake`. Raises IntakeError where the file cannot
    be read, as a whole (no header) or from here on (cut gzip, after the lines before that)."""
    lines = numbered(stream, intake)
    number, first = next(lines, (0, b""))
    if first.lstrip().startswith(b"{"):
        yield from read_ndjson(number, first, lines, gate, intake)
    elif first:
        yield from read_csv(first, lines, gate, intake)


def numbered(stream: io.BufferedIOBase, intake: Intake) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, empty ones left out, too long ones rejected. A line is held only up to MAX_LINE."""
    number, rest, skipping = 0, b"", False
    while chunk := stream.read1(CHUNK):  # what is there: no waiting for more, and nothing lost where it breaks off
        lines = (rest + chunk).removeprefix(BOM if number == 0 else b"").split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if skipping or len(line) > MAX_LINE:
                intake.reject(number, f"longer than {MAX_LINE:,} bytes")
                skipping = False
            elif line := line.strip():
                yield number, line
        if len(rest) > MAX_LINE:
            rest, skipping = b"", True
    if skipping:
        intake.reject(number + 1, f"longer than {MAX_LINE:,} bytes")
    elif rest := rest.removeprefix(BOM if number == 0 else b"").strip():
        yield number + 1, rest


def read_csv(header: bytes, lines: Iterator[tuple[int, bytes]], gate: Gate, intake: Intake) -> Iterator[Report]:
    names = [part.strip().strip('"').lower() for part in header.decode("utf-8", "replace").lstrip("#").split(",")]
    places = {column: next((names.index(n) for n in known if n in names), -1) for column, known in COLUMNS.items()}
    if places["subject"] < 0:
        raise IntakeError(
            f"no column of subjects in the header {', '.join(names)[:100]!r}: name it one of "
            f"{', '.join(COLUMNS['subject'])}"
        )
    width = max(places.values()) + 1
    # A column that is not there is the empty text that is put at the end of every line's parts.
    subject, time, category, reporter = (places[name] for name in ("subject", "time", "category", "reporter"))
    make = gate.report
    for number, line in lines:
        text = line.decode("utf-8", "replace")
        try:
            parts = text.split(",") if '"' not in text else next(csv.reader([text]))
        except csv.Error:  # a carriage return within the line
            intake.reject(number, "not a line of CSV")
            continue
        if len(parts) < width:
            intake.reject(number, f"{len(parts)} columns where {width} are needed")
            continue
        parts.append("")
        try:
            at = moment(parts[time])
        except (ValueError, OverflowError):
            intake.reject(number, "not a time")
            continue
        made = make(parts[subject], parts[category], at, parts[reporter])
        if made.__class__ is str:
            intake.reject(number, made)
            continue
        if made[4]:
            intake.unknown(made[4])
        yield made  # type: ignore[misc]


def moment(text: str) -> int | None:
    """Seconds of a time column: ten digits are the usual case; empty is now."""
    if len(text) == 10 and text.isdigit() and text.isascii():
        return int(text)
    return parse_time(text) if text else None


def read_ndjson(
    number: int, first: bytes, lines: Iterator[tuple[int, bytes]], gate: Gate, intake: Intake
) -> Iterator[Report]:
    yield from ndjson_reports(chain([(number, first)], lines), gate, intake)


def ndjson_reports(lines: Iterable[tuple[int, bytes]], gate: Gate, intake: Intake) -> Iterator[Report]:
    """The reports of NDJSON lines; what is refused is counted in `intake`."""
    for number, line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            intake.reject(number, "not JSON")
            continue
        made = report_of(value, gate)
        if made.__class__ is str:
            intake.reject(number, made)
        else:
            if made[4]:
                intake.unknown(made[4])
            yield made  # type: ignore[misc]


def report_of(value: Any, gate: Gate) -> Report | str:
    """A report from one JSON object, or why it is refused."""
    if not isinstance(value, dict):
        return "not a JSON object"
    said = (value.get("subject"), value.get("time"), value.get("category"), value.get("reporter"))
    if len(value) != 4 - said.count(None):  # other keys too, which may be other names for these
        said = tuple(first_of(value, names) for names in COLUMNS.values())
    subject, time, category, reporter = said
    if subject is None:
        return "no subject"
    if not (subject.__class__ is category.__class__ is reporter.__class__ is str):
        for column, each in zip(COLUMNS, said, strict=True):
            if not isinstance(each, str | int | None) or isinstance(each, bool):
                return f"{column} is not a text"
        subject, category, reporter = str(subject), said_text(category), said_text(reporter)
    try:
        at = time if time.__class__ is int and TEN_DIGITS <= time < 10 * TEN_DIGITS else moment(said_text(time))
    except (ValueError, OverflowError):
        return "not a time"
    except TypeError:
        return "time is not a text"
    return gate.report(subject, category, at, reporter)


def first_of(value: dict[str, Any], names: tuple[str, ...]) -> Any:
    """What an object says under the first of these names that it has."""
    return next((value[name] for name in names if name in value), None)


def said_text(value: Any) -> str:
    """A text, or a number as text; nothing is empty. Raises TypeError for what is neither."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return str(value)


def counted(reports: Iterator[Report], each: Callable[[], None], every: int = 10_000) -> Iterator[Report]:
    """The reports as they are, calling `each` now and then: for a progress bar."""
    for number, report in enumerate(reports):
        if number % every == 0:
            each()
        yield report


def parse_map(pairs: tuple[str, ...]) -> Mapping[str, str]:
    """`--map word=category` options. Raises IntakeError."""
    found = {}
    for pair in pairs:
        word, equals, category = pair.partition("=")
        if not equals or category not in CATEGORIES:
            raise IntakeError(f"--map {pair}: write WORD=CATEGORY with a category of {', '.join(CATEGORIES)}")
        found[word] = category
    return found
