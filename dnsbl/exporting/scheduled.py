"""The job that keeps the files of every `[[export]]` up to date, each in a process of its own: writing a large zone
takes seconds of a processor, in which this one would answer nobody.

A directory is due when a zone in it has another serial than the last time, at most every `every` seconds. What fails is
said once, and tried again when the directory is next due, or `every` seconds later.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from .. import clock
from ..config import ZoneDef
from ..config.distribution import ExportConfig
from ..zones.given import given_serial
from ..zones.served import zone_directory

__all__ = ["Fared", "Scheduled"]

log = logging.getLogger("dnsbl.jobs")

LOOK_EVERY = 1.0  # seconds between two looks whether something is due
MAX_SECONDS = 3600  # of one run; then it is ended, and tried again
MAX_SAID = 16 * 2**20  # bytes of its answer: a name for each file
MAX_LINES = 3  # of the log, for the failures of one run
TAIL = 300  # characters shown of what it said where that was no answer


class Fared(NamedTuple):
    """How it went with one `[[export]]` since the start."""

    name: str  # its directory's own; where several have that, with its number
    good_at: int | None  # seconds since 1970, when it was last brought up to date
    failures: int


class Scheduled:
    """`path`: of the configuration."""

    def __init__(
        self,
        wanted: Sequence[ExportConfig],
        data_dir: Path,
        path: Path | None,
        zones: Callable[[], Mapping[str, ZoneDef]],
    ) -> None:
        self.places = [Place(number, each) for number, each in enumerate(wanted)]
        self.data_dir, self.zones = data_dir, zones
        self.command = [sys.executable, "-m", "dnsbl", *(["-c", str(path)] if path else []), "zone", "files"]

    async def run(self) -> None:
        """For ever. One directory after the other: they share a processor."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Bring what is due up to date, one after the other."""
        for place in self.places:
            names = [name for name in self.zones() if not place.wanted.zones or name in place.wanted.zones]
            serials = await asyncio.to_thread(serials_of, self.data_dir, names)
            if place.is_due(serials, time.monotonic()):
                place.ran_at, place.serials = time.monotonic(), serials
                place.say(await self.update(place.number))

    def fared(self) -> list[Fared]:
        """How it went with each, for /metrics."""
        named = Counter(place.name for place in self.places)
        return [
            Fared(
                place.name if named[place.name] == 1 else f"{place.name}#{place.number + 1}",
                place.good_at, place.failures,
            )
            for place in self.places
        ]  # fmt: skip

    async def update(self, number: int) -> list[str]:
        """Bring one directory up to date; why files could not be written."""
        directory = str(self.places[number].wanted.directory)  # the file may have been edited since the start
        command = [*self.command, "--only", str(number), "--directory", directory, "--background", "--json"]
        try:
            child = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            return [f"the process that writes them cannot be started ({error.strerror})"]
        try:
            async with asyncio.timeout(MAX_SECONDS):
                said, complained = await child.communicate()
        except TimeoutError:
            return [f"writing took more than {MAX_SECONDS} s and was ended"]
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        try:
            return [str(each) for row in orjson.loads(said[:MAX_SAID]) for each in row["failed"]]
        except (ValueError, KeyError, TypeError):
            what = complained.decode("utf-8", "replace").strip()[-TAIL:] or f"exit code {child.returncode}"
            return [what.removeprefix("dnsbl: ")]


class Place:
    """One `[[export]]`, and how it went with it."""

    def __init__(self, number: int, wanted: ExportConfig) -> None:
        self.number, self.wanted = number, wanted
        self.serials: Mapping[str, int] | None = None  # when it was last brought up to date
        self.ran_at = 0.0
        self.failed: list[str] = []
        self.good_at: int | None = None  # seconds since 1970
        self.failures = 0

    @property
    def name(self) -> str:
        return self.wanted.directory.name or "files"

    def is_due(self, serials: Mapping[str, int], now: float) -> bool:
        if self.serials is None:
            return bool(serials)
        return now - self.ran_at >= self.wanted.every and (bool(self.failed) or serials != self.serials)

    def say(self, failed: list[str]) -> None:
        """How one run went: failures when they are new; that they are over. Where many are, as on a full disk, one line
        has them all."""
        self.failures += bool(failed)
        if not failed:
            self.good_at = clock.now()
        new = [why for why in failed if why not in self.failed]
        more = len(new) - 1 if len(new) > MAX_LINES else 0
        for why in new[:1] if more else new:
            log.error("export: %s%s", why, f"; and {more} more failures: `dnsbl zone files` says which" if more else "")
        if self.failed and not failed:
            log.warning("export: %s is up to date again", self.wanted.directory)
        self.failed = failed


def serials_of(data_dir: Path, names: Sequence[str]) -> dict[str, int]:
    """What is given away of each zone now; those that cannot be read are left out: whoever settles says why."""
    found = {name: given_serial(zone_directory(data_dir, name)) for name in names}
    return {name: serial for name, serial in found.items() if serial is not None}
