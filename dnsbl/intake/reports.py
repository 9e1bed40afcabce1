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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import orjson

from ..clock import parse_time
from ..errors import IntakeError, printable
from ..model import CATEGORIES, MAX_REJECTS, Reject, Report
from .gate import Gate

__all__ = ["Intake", "counted", "looks_like_reports", "open_stream", "parse_map", "read_reports", "report_of"]

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
    yield from ndjson_line(number, first, gate, intake)
    for number, line in lines:
        yield from ndjson_line(number, line, gate, intake)


def ndjson_line(number: int, line: bytes, gate: Gate, intake: Intake) -> Iterator[Report]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        intake.reject(number, "not JSON")
        return
    made = report_of(value, gate)
    if isinstance(made, str):
        intake.reject(number, made)
    else:
        if made.word:
            intake.unknown(made.word)
        yield made


def report_of(value: Any, gate: Gate) -> Report | str:
    """A report from one JSON object, or why it is refused."""
    if not isinstance(value, dict):
        return "not a JSON object"
    found: dict[str, str] = {}
    for column, names in COLUMNS.items():
        got = next((value[name] for name in names if name in value), None)
        if got is None:
            continue
        if not isinstance(got, str | int) or isinstance(got, bool):
            return f"{column} is not a text"
        found[column] = str(got)
    if "subject" not in found:
        return "no subject"
    try:
        at = moment(found.get("time", ""))
    except (ValueError, OverflowError):
        return "not a time"
    return gate.report(found["subject"], found.get("category", ""), at, found.get("reporter", ""))


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
