"""What a transferred zone last came to, kept on disk as what the next differences (IXFR) are applied to.

    dnsbl-transfer 1 0c2d...f1                         XXH3-128 of the rest
    soa-2026060101 dns://192.0.2.53/bl.example         the serial, and where from
    $ORIGIN bl.example.
    2.0.0.127 A 127.0.0.2

A file that is lost, damaged, too large or of another URL is none: then the whole zone is transferred.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import xxhash

from ...config import FeedDef
from ...files import replacing
from .base import reason_of, shown

__all__ = ["Base", "base_of", "keep_base", "mark"]

HEAD = re.compile(rb"dnsbl-transfer 1 ([0-9a-f]{32})\n(soa-([0-9]{1,10}) [^\n]*)\n")
MAX_HEAD = 1024  # bytes; a URL is shown with 200 characters, in UTF-8 four times as many bytes

log = logging.getLogger("dnsbl.feeds")


@dataclass(slots=True, frozen=True)
class Base:
    """What differences are asked for from."""

    serial: int
    data: bytes  # $ORIGIN and lines, as they were applied


def mark(feed: FeedDef, serial: int) -> str:
    """Stands for an ETag: the version of this zone on this server, and not another's of the same number."""
    return f"soa-{serial} {shown(feed.url)}"


def base_of(feed: FeedDef, origin: bytes, path: Path) -> Base | None:
    """What is kept of the feed, if it is whole, the feed's own, and of the zone whose `$ORIGIN` line is `origin`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_HEAD + feed.max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("feed %s: its last transfer cannot be read (%s); it is made anew", feed.name, reason_of(error))
        return None
    head = HEAD.match(data, 0, MAX_HEAD)
    if not head or digest(memoryview(data)[head.start(2) :]) != head[1]:
        log.warning("feed %s: its last transfer is damaged or too large; it is made anew", feed.name)
        return None
    base = Base(int(head[3]), data[head.end() :])
    ours = head[2] == mark(feed, base.serial).encode() and base.data.startswith(origin)
    return base if ours else None


def keep_base(feed: FeedDef, path: Path, mark: str, data: bytes) -> None:
    """Keep what was applied. Where that fails the feed has lost nothing: its next transfer is a whole one, or from the
    version before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            rest = f"{mark}\n".encode() + data
            file.write(b"dnsbl-transfer 1 " + digest(rest) + b"\n")
            file.write(rest)
    except OSError as error:
        log.warning("feed %s: its transfer cannot be kept (%s); the next is a whole one", feed.name, reason_of(error))


def digest(rest: bytes | memoryview) -> bytes:
    return xxhash.xxh3_128_hexdigest(rest).encode()
