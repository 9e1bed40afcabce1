"""What the running DNS processes were asked: their figures from `data_dir/run`, added up for people and scripts.

Only files are read, so that it works beside any server and opens no store. The figures are up to a second old.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

from .errors import DnsblError
from .web.dnscounts import DnsCounts, packets, read_counts

__all__ = ["asked"]

MAX_TALKERS = 20
LABELS = ("zone", "type", "rcode", "transport")


def asked(data_dir: Path) -> dict[str, Any]:
    """Replies by zone, type, rcode and transport, events that happened and sizes of batches, each since the processes
    started, and the clients that asked most in the last minute or so. Raises DnsblError where no DNS server runs, and
    OSError where nobody may look."""
    directory = data_dir / "run"
    with contextlib.suppress(FileNotFoundError):
        os.scandir(directory).close()  # what may not be looked into is not the same as empty
    counts = read_counts(directory)
    if not counts.processes:
        raise DnsblError(none_runs(data_dir, counts))
    return {
        "processes": counts.processes,
        "replies": counts.replies.total(),
        **{f"{label}s": by(counts, place) for place, label in enumerate(LABELS)},
        "events": {event: count for event, count in counts.events.most_common() if count},
        "batches": {packets(size): count for size, count in sorted(counts.batches.items()) if count},
        "talkers": [
            {"client": client, "queries": queries} for client, queries in counts.talkers.most_common(MAX_TALKERS)
        ],
    }


def by(counts: DnsCounts, place: int) -> dict[str, int]:
    """The replies by one of their labels, most first."""
    sums: Counter[str] = Counter()
    for labels, count in counts.replies.items():
        sums[labels[place]] += count
    return dict(sums.most_common())


def none_runs(data_dir: Path, counts: DnsCounts) -> str:
    where = data_dir.resolve()
    if counts.hidden:
        return f"{where}: what its DNS server counted may not be read; run this as the server's user"
    return (
        f"no DNS server runs on {where}, or its disk is full, which its log says; `dnsbl serve` starts one, "
        "-c names another configuration"
    )
