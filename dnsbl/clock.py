"""Time enters here and is passed on as whole seconds since 1970 (UTC). The pure middle never asks."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

__all__ = ["DAY", "duration", "now", "parse_time", "rfc3339"]

DAY = 86_400
LONGEST = 100 * 366 * DAY
LAST = 253_402_300_799  # the last second of the year 9999: later ones cannot be written
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY}


def now() -> int:
    """The present second."""
    return int(time.time())


def rfc3339(at: int | None) -> str | None:
    """Seconds as RFC 3339 UTC, `2026-01-02T03:04:05Z`; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Seconds from digits or from an ISO 8601 / RFC 3339 text (UTC where it names no zone). Raises ValueError."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        at = int(text)
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at = math.floor(moment.timestamp())
    if not 0 <= at <= LAST:
        raise ValueError("time out of range")
    return at


def duration(text: str | int) -> int:
    """Seconds from `90`, `"90s"`, `"15m"`, `"6h"`, `"14d"`, `"2w"`. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r"(\d{1,9})\s*([smhdw]?)", text.strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"not a duration: {text!r}; write 90s, 15m, 6h, 14d or 2w")
    seconds = int(match[1]) * UNITS[match[2] or "s"]
    if seconds > LONGEST:
        raise ValueError(f"longer than a hundred years: {text!r}")
    return seconds
