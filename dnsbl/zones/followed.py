"""What is known of a zone that is followed, in `data_dir/zones/NAME/followed.json`: written by who follows it, read by
who answers from it. A zone that its primary has not confirmed for `soa.expire` is not answered from any more (RFC 1035
section 3.3.13, RFC 1034 section 4.3.5).
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from ..files import replacing

__all__ = ["FOLLOWED", "Expiry", "Followed", "force", "forced", "read_followed", "unforce", "write_followed"]

FOLLOWED = "followed.json"
FORCE = "force"  # a file that is there while an operator wants the primary's zone as it comes
MAX_BYTES = 65_536  # of the file: it has a few hundred


@dataclass(slots=True, frozen=True)
class Followed:
    """`refreshed`: seconds since 1970 at which a primary last said that `serial` is the newest, or gave it; 0: never.
    `source`: which primary. `error`: why the last try failed; empty: it did not."""

    refreshed: int = 0
    serial: int = 0
    source: str = ""
    error: str = ""


def read_followed(directory: Path) -> Followed | None:
    """None where there is none that can be read: the zone is then not known to be good."""
    try:
        with (directory / FOLLOWED).open("rb") as file:
            said = orjson.loads(file.read(MAX_BYTES))
        return Followed(int(said["refreshed"]), int(said["serial"]), str(said["from"]), str(said["error"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def write_followed(directory: Path, followed: Followed) -> None:
    """Raises OSError."""
    said = asdict(followed)
    said["from"] = said.pop("source")
    directory.mkdir(parents=True, exist_ok=True)
    with replacing(directory / FOLLOWED) as file:
        file.write(orjson.dumps(said))


def force(directory: Path) -> None:
    """Have the next zone that the primary gives taken though the size check would hold it back. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FORCE).touch()


def forced(directory: Path) -> bool:
    return (directory / FORCE).exists()


def unforce(directory: Path) -> None:
    """The zone is as its primary has it: the checks hold again. Raises OSError."""
    (directory / FORCE).unlink(missing_ok=True)


class Expiry:
    """When followed zones expire, by a clock that nobody sets: the wall clock is asked once for each time that a
    primary confirmed the zone, so that it may jump meanwhile."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}

    def expired(self, name: str, directory: Path, expire: int) -> bool:
        """Whether a zone is not to be answered from. `expire`: seconds."""
        known = self.known.get(name)
        try:
            found = (directory / FOLLOWED).stat()
        except OSError:
            return known is None or known.until <= running()
        mark = (found.st_ino, found.st_mtime_ns)
        if known is None or known.mark != mark:
            state = read_followed(directory) or Followed()
            same = known is not None and known.refreshed == state.refreshed
            until = known.until if known and same else running() + left(state, expire)
            known = self.known[name] = Known(mark, state.refreshed, until)
        return known.until <= running()


class Known(NamedTuple):
    """What was read of a zone's state."""

    mark: tuple[int, int]  # of the file
    refreshed: int
    until: float  # by `running`


def left(followed: Followed, expire: int) -> float:
    """Seconds until a zone expires. One that was refreshed in the future was refreshed now: the clock was set back."""
    if not followed.refreshed:
        return 0.0
    return min(max(followed.refreshed + expire - time.time(), 0.0), float(expire))


def running() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
