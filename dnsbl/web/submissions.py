"""What one post holds: lines of a stream, or one JSON document. Either is a number of items, each taken or refused by
itself; how many of them are looked at is decided between `items` and `reports`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import orjson

from ..errors import IntakeError
from ..intake.gate import Gate
from ..intake.reports import MAX_LINE, Intake, ndjson_reports, report_of
from ..model import MAX_REJECTS, Report
from .problems import Problem

__all__ = ["MAX_ITEMS", "Document", "NumberedLine", "StreamPart", "Submission"]

MAX_ITEMS = 100_000  # of one JSON document, which is taken in one go while others wait
REPORT_BYTES = 32  # of the shortest reports in a document

NumberedLine = tuple[int, bytes | None]  # None: it was too long


class Submission(Protocol):
    """Used in the committing thread only."""

    size: int  # about how many items: a transaction is cut by it

    def items(self) -> Sequence[Any]:
        """All of them. Raises IntakeError where they cannot be read, Problem where they are too many."""
        ...

    def reports(self, items: Sequence[Any], gate: Gate, intake: Intake) -> list[Report]:
        """What can be taken of these items; the rest is counted in `intake`."""
        ...


class StreamPart:
    """Some lines of NDJSON."""

    def __init__(self, lines: Sequence[NumberedLine]) -> None:
        self.lines, self.size = lines, len(lines)

    def items(self) -> Sequence[NumberedLine]:
        return self.lines

    def reports(self, items: Sequence[NumberedLine], gate: Gate, intake: Intake) -> list[Report]:
        return list(ndjson_reports(whole(items, intake), gate, intake))


def whole(items: Sequence[NumberedLine], intake: Intake) -> Iterator[tuple[int, bytes]]:
    for number, line in items:
        if line is None:
            intake.reject(number, f"longer than {MAX_LINE:,} bytes")
        else:
            yield number, line


class Document:
    """One JSON document: an object, an array of them, or `{"reports": [...]}`. Rejects count from 1."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.size = 1 + len(body) // REPORT_BYTES  # by size: what is in it is the sender's word

    def items(self) -> Sequence[Any]:
        try:
            value: Any = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise IntakeError(f"not JSON: {error}") from error
        if isinstance(value, dict) and isinstance(value.get("reports"), list):
            value = value["reports"]
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_ITEMS:
            raise Problem(
                413, f"a JSON document has {MAX_ITEMS:,} reports at most; send more as NDJSON (application/x-ndjson)"
            )
        return items

    def reports(self, items: Sequence[Any], gate: Gate, intake: Intake) -> list[Report]:
        """Raises Problem 422 where nothing in it seems to be a report: everybody waits for the end of it."""
        found: list[Report] = []
        for number, item in enumerate(items, 1):
            made = report_of(item, gate)
            if isinstance(made, Report):
                if made.word:
                    intake.unknown(made.word)
                found.append(made)
                continue
            intake.reject(number, made)
            if not found and intake.rejected >= MAX_REJECTS:
                raise Problem(422, f"none of the first {number:,} can be taken; see `rejects`", more=intake.as_json())
        return found
