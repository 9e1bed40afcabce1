"""What the DNS processes counted, as they leave it in `data_dir/run/dns-PID.json`: read as files, added up.

A file: {"pid": 7, "replies": [{"zone", "qtype", "rcode", "transport", "count"}, ...], "malformed": 0, ...}; `pid` may
be missing, the file's name has it too. A file that is unreadable, or whose process has ended, is left out.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

__all__ = ["DnsCounts", "read_counts"]

LABELS = ("zone", "qtype", "rcode", "transport")
NOT_EVENTS = ("pid", "replies", "by")
MAX_FILES = 256


@dataclass(slots=True)
class DnsCounts:
    replies: Counter[tuple[str, ...]] = field(default_factory=Counter)  # (zone, type, rcode, transport)
    events: Counter[str] = field(default_factory=Counter)
    processes: int = 0


def read_counts(directory: Path) -> DnsCounts:
    total = DnsCounts()
    for path in sorted(directory.glob("dns-*.json"))[:MAX_FILES]:
        try:
            said = orjson.loads(path.read_bytes())
            if alive(int(said.get("pid") or path.stem.removeprefix("dns-"))):
                add(total, said)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return total


def add(total: DnsCounts, said: dict[str, Any]) -> None:
    """One process's figures: all of them, or after an exception none."""
    replies = Counter({tuple(str(row[label]) for label in LABELS): int(row["count"]) for row in said["replies"]})
    events = Counter({name: count for name, count in said.items() if name not in NOT_EVENTS and isinstance(count, int)})
    total.replies.update(replies)
    total.events.update(events)
    total.processes += 1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # it lives, as another user
    except (ProcessLookupError, OverflowError):
        return False
    return True
