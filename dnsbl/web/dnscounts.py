"""What the DNS processes counted, as they leave it in `data_dir/run/dns-PID.json`: read as files, added up.

A file: {"pid": 7, "replies": [{"zone", "qtype", "rcode", "transport", "count"}, ...], "batches": [9, 4, ...],
"talkers": [{"client", "queries"}, ...], "secondaries": [{"secondary", "zone", "serial", "acknowledged",
"silent_since"}, ...], "transfers_refused": {"address": 2, ...}, "malformed": 0, ...}; `pid` may be missing, the file's
name has it too, and `batches`, `talkers`, `secondaries` and `transfers_refused` are not in those of older versions. A
file that is unreadable, or whose process has ended, is left out.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from .. import clock

__all__ = ["DnsCounts", "Told", "packets", "read_counts"]

LABELS = ("zone", "qtype", "rcode", "transport")
NOT_EVENTS = ("pid", "replies", "by", "batches", "talkers", "secondaries", "transfers_refused")
MAX_FILES = 256


class Told(NamedTuple):
    """What a secondary was told of a zone ("": of the catalog) by NOTIFY, and what it acknowledged."""

    secondary: str
    zone: str
    serial: int
    acknowledged: int | None
    silent_since: int | None  # seconds since 1970; None: it answers

    def document(self) -> dict[str, Any]:
        """As `zone list --json` has it."""
        return {**self._asdict(), "silent_since": clock.rfc3339(self.silent_since)}


@dataclass(slots=True)
class DnsCounts:
    """The sums over all DNS processes, each since its start."""

    replies: Counter[tuple[str, ...]] = field(default_factory=Counter)  # (zone, type, rcode, transport)
    events: Counter[str] = field(default_factory=Counter)
    transfers_refused: Counter[str] = field(default_factory=Counter)  # by reason
    batches: Counter[int] = field(default_factory=Counter)  # by size: 0 for 1 packet, 1 for 2-3, 2 for 4-7 ...
    talkers: Counter[str] = field(default_factory=Counter)  # queries lately, by client: people's addresses
    secondaries: list[Told] = field(default_factory=list)
    processes: int = 0
    hidden: int = 0  # files that this user may not read


def read_counts(directory: Path) -> DnsCounts:
    """The sums of the files in a directory, which may be missing."""
    total = DnsCounts()
    for path in sorted(directory.glob("dns-*.json"))[:MAX_FILES]:
        try:
            said = orjson.loads(path.read_bytes())
            if alive(int(said.get("pid") or path.stem.removeprefix("dns-"))):
                add(total, said)
        except PermissionError:
            total.hidden += 1
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return total


def add(total: DnsCounts, said: dict[str, Any]) -> None:
    """One process's figures: all of them, or after an exception none."""
    replies: Counter[tuple[str, ...]] = Counter()
    for row in said["replies"]:
        replies[tuple(str(row[label]) for label in LABELS)] += int(row["count"])
    events = Counter({name: count for name, count in said.items() if name not in NOT_EVENTS and isinstance(count, int)})
    batches = Counter({size: int(count) for size, count in enumerate(said.get("batches", ()))})
    talkers: Counter[str] = Counter()
    for row in said.get("talkers", ()):
        talkers[str(row["client"])] += int(row["queries"])
    secondaries = [
        Told(
            str(row["secondary"]), str(row["zone"]), int(row["serial"]), maybe(row["acknowledged"]),
            maybe(row["silent_since"]),
        )
        for row in said.get("secondaries", ())
    ]  # fmt: skip
    refused = {str(why): int(count) for why, count in said.get("transfers_refused", {}).items()}
    total.replies.update(replies)
    total.transfers_refused.update(refused)
    total.secondaries += secondaries
    total.events.update(events)
    total.batches.update(batches)
    total.talkers.update(talkers)
    total.processes += 1


def maybe(number: Any) -> int | None:
    return None if number is None else int(number)


def packets(size: int) -> str:
    """How many packets batches of a size have."""
    return f"{1 << size}-{(2 << size) - 1}" if size else "1"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # it lives, as another user
    except (ProcessLookupError, OverflowError):
        return False
    return True
