"""Files by hand: lists, reports, complaints, and mailboxes of trapped mail, each into a source of its own.

The caller reconciles before and settles after. A file that is refused changes nothing; of a file of reports that breaks
off, what came before is kept, and said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from . import clock
from .config import RESERVED, TrapConfig
from .errors import IntakeError
from .intake.complained import take_complaints
from .intake.complaints import looks_like_complaint
from .intake.gate import Gate
from .intake.health import Limits
from .intake.lists import ListTerms, apply
from .intake.mailboxes import take_mailbox
from .intake.reports import Intake, counted, looks_like_reports, open_stream, read_reports
from .model import Report
from .store import FeedState, Source, Store

__all__ = ["COMPLAINTS", "MAIL", "Importer", "read_all"]

MAX_LIST = 512 * 2**20  # bytes of an imported list, unpacked
MAX_COMPLAINT = 8 * 2**20  # bytes of a file of complaints
IMPORT_TRUST = 0.9
REPORTS_AT_ONCE = 250_000
HEAD = 64 * 1024
COMPLAINTS = ("arf", "xarf", "dmarc")
MAIL = "mail"
Progress = Callable[..., None]  # (what is being done, how much of it more, of how much in all where that is known)


class Importer:
    """Takes files for sources. `gate` makes the gate of (words, category)."""

    def __init__(
        self,
        store: Store,
        gate: Callable[[Mapping[str, str], str], Gate],
        token: Callable[[str], str],
        trap: TrapConfig,
    ) -> None:
        self.store, self.gate, self.token, self.trap = store, gate, token, trap

    def take(
        self,
        path: Path,
        file: IO[bytes],
        name: str,
        format: str | None,
        category: str,
        trust: float | None,
        words: Mapping[str, str],
        accept: bool,
        progress: Progress,
    ) -> dict[str, Any]:
        """A file into the source of that name; `path` is where the file is. Raises IntakeError, Quarantined,
        StoreError."""
        if name in RESERVED:
            raise IntakeError(f"--source {name}: this name has a meaning of its own; choose another")

        def source(suffix: str = "") -> Source:  # made when there is something to take: a refused file changes nothing
            usual = IMPORT_TRUST if trust is None else trust
            return self.store.source(name + suffix, "import", trust=usual, keep=trust is None)

        if format == MAIL:
            done = take_mailbox(self.store, self.gate({}, category), source, path, self.token, self.trap, progress)
            return {"kind": "mail", **done}
        stream = open_stream(file)
        head = stream.peek(HEAD)[:HEAD]
        if format in COMPLAINTS or (format is None and looks_like_complaint(head)):
            data = read_all(stream, MAX_COMPLAINT)
            gate = self.gate(words, category)
            return take_complaints(self.store, gate, source, data, clock.now(), format or "").as_json()
        if format == "reports" or (format is None and looks_like_reports(head)):
            return self.reports(stream, source(), category, words, reading(file, progress))
        return self.list(stream, name, source, format, category, words, accept)

    def reports(
        self, stream: BufferedReader, source: Source, category: str, words: Mapping[str, str], each: Callable[[], None]
    ) -> dict[str, Any]:
        intake = Intake()
        batch: list[Report] = []

        def flush() -> None:
            taken = self.store.take_reports(source.id, batch)
            intake.taken += taken.taken
            intake.repeated += taken.repeated
            batch.clear()

        try:
            for report in counted(read_reports(stream, self.gate(words, category), intake), each):
                batch.append(report)
                if len(batch) >= REPORTS_AT_ONCE:
                    flush()
        except IntakeError as error:
            flush()
            raise IntakeError(f"{error}; {intake.taken:,} reports before that were taken") from error
        flush()
        return {"kind": "reports", **intake.as_json()}

    def list(
        self,
        stream: IO[bytes],
        name: str,
        source: Callable[[], Source],
        format: str | None,
        category: str,
        words: Mapping[str, str],
        accept: bool,
    ) -> dict[str, Any]:
        data = read_all(stream, MAX_LIST)
        state = self.store.feed_states().get(name) or FeedState(name)
        limits = Limits().accepting() if accept else Limits()
        terms = ListTerms(format or "", category, words, limits=limits, reason=name, always=accept)
        outcome = apply(self.store, name, source, data, terms, state, clock.now())
        return {"kind": "exemptions" if outcome.exempt else "list", **outcome.as_json()}


def reading(file: IO[bytes], progress: Progress) -> Callable[[], None]:
    """Reports how far a file has been read, in bytes; nothing for a pipe, which has no end to be far from."""
    try:
        size, before = os.fstat(file.fileno()).st_size, file.tell()
    except (OSError, ValueError):
        return lambda: None

    def more() -> None:
        nonlocal before
        here = file.tell()
        progress("reading", here - before, size)
        before = here

    return more


def read_all(stream: IO[bytes], limit: int = MAX_LIST) -> bytes:
    try:
        data = stream.read(limit + 1)
    except IntakeError as error:
        raise IntakeError(f"{error}; nothing was taken") from error
    if len(data) > limit:
        raise IntakeError(f"larger than {limit // 2**20} MiB; nothing was taken")
    return data
