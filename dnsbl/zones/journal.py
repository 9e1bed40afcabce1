"""The journal of a zone: what each publish changed of what is given away, for those who have an older serial.

    data_dir/zones/NAME/journal/definition      the zone's definition, as the newest step has it
    data_dir/zones/NAME/journal/OLD-NEW.step    what one publish changed; format in `steps`

A step is written before the pointer names its new serial. From a serial the steps lead back, each to the one before; a
step that leads nowhere (a crash came before the pointer; an older copy was put in the place of what was published) is
never on that way, and the next publish removes it.

All steps are of one frame (`ZoneDef.frame`): where codes, texts or TTLs became others, records changed that are in no
step. It is a help and no more: what is missing, damaged or of another frame is history that is gone, and whoever asks
takes the whole zone. So steps are not synced to the disk, and one that cannot be written stops nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import xxhash
from pydantic import ValidationError

from ..config import ZoneDef
from ..errors import SnapshotError
from ..files import replacing
from .difference import Step
from .steps import StoredStep, net, packed_step, read_step

__all__ = ["LEAST_BYTES", "MAX_STEPS", "Journal"]

MAX_STEPS = 2000
LEAST_BYTES = 2 * 1024 * 1024  # of all steps; where the snapshot is larger, as many as that has: an IXFR longer than
# the zone itself helps nobody
MOST_BYTES = 4 * 1024 * 1024  # whatever the snapshot has: all steps as one are some 400,000 addresses or 170,000 names,
# and twenty times these bytes in memory
MAX_DEFINITION = 1024 * 1024  # bytes; one has a few thousand
DEFINITION = "definition"
StepName = re.compile(r"(\d{1,10})-(\d{1,10})\.step")


@dataclass(slots=True, frozen=True)
class Leg:
    """A step file, by its name."""

    old: int
    new: int
    path: Path


class Journal:
    """The steps of one zone; `directory` is `data_dir/zones/NAME`. Those who write hold the zone's lock. Remembers what
    it wrote: looking at thousands of files each time would take longer than writing one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "journal"
        self.kept: deque[tuple[Leg, int]] = deque()  # the steps that lead to the newest serial, and their bytes
        self.total = 0  # bytes of them
        self.seen: tuple[int, ZoneDef] | None = None  # when the directory was last changed, by us; and the definition

    def between(self, serial: int, to: int) -> Step | None:
        """All steps from one serial to another as one net step; None: history is gone, take the whole zone. The same
        serial twice is no step either."""
        way = list(self.way(to, serial))
        if not way or way[-1].old != serial:
            return None
        zone = self.definition()
        try:
            steps = [read_step(leg.path) for leg in reversed(way)]
        except (OSError, SnapshotError):  # gone meanwhile, or damaged
            return None
        return net(zone, steps) if zone and fits(steps, way, frame_of(zone)) else None

    def way(self, to: int, until: int | None = None) -> Iterator[Leg]:
        """The steps that lead to a serial, the last first, back to `until` or as far as there are any."""
        by_new = {leg.new: leg for leg in self.legs()}
        while to != until and (leg := by_new.pop(to, None)):
            yield leg
            to = leg.old

    def legs(self) -> list[Leg]:
        """All step files, in no order."""
        try:
            found = [(StepName.fullmatch(path.name), path) for path in self.directory.iterdir()]
        except OSError:
            return []
        return [Leg(int(name[1]), int(name[2]), path) for name, path in found if name]

    # for the publisher

    def add(self, step: Step, room: int) -> None:
        """Write a step from the serial that is given away, and keep to the bounds: `room` bytes, no less than
        LEAST_BYTES and no more than MOST_BYTES. What does not lead to it goes. Raises OSError and SnapshotError."""
        zone = step.zone
        if not self.kept or self.kept[-1][0].new != step.old or self.seen != (self.changed(), zone):
            self.look(step.old, zone)
        self.seen = None
        path = self.directory / f"{step.old}-{step.new}.step"
        parts = packed_step(step, frame_of(zone))
        with replacing(path, sync=False) as file:
            file.writelines(parts)
        self.kept.append((Leg(step.old, step.new, path), sum(map(len, parts))))
        self.total += self.kept[-1][1]
        self.trim(min(max(room, LEAST_BYTES), MOST_BYTES))
        self.seen = self.changed(), zone

    def look(self, serial: int, zone: ZoneDef) -> None:
        """Find the steps that lead to a serial, if they are of the zone's frame; nothing else stays."""
        self.directory.mkdir(exist_ok=True)
        before = self.definition()
        way = list(self.way(serial)) if before and before.frame == zone.frame else []
        keep = {self.directory / DEFINITION, *(leg.path for leg in way)}
        for path in self.directory.iterdir():  # half-written files too
            if path not in keep:
                path.unlink(missing_ok=True)
        if not way or before != zone:
            with replacing(self.directory / DEFINITION, sync=False) as file:
                file.write(orjson.dumps(zone.model_dump(mode="json", by_alias=True)))
        self.kept = deque((leg, leg.path.stat().st_size) for leg in reversed(way))
        self.total = sum(size for _, size in self.kept)

    def trim(self, room: int) -> None:
        """Remove the oldest steps that are too many or too large together."""
        while self.kept and (len(self.kept) > MAX_STEPS or self.total > room):
            leg, size = self.kept.popleft()
            self.total -= size
            leg.path.unlink(missing_ok=True)

    def changed(self) -> int:
        """When a file last came or left; 0: there is no directory."""
        try:
            return self.directory.stat().st_mtime_ns
        except OSError:
            return 0

    def definition(self) -> ZoneDef | None:
        """The zone as the newest step has it; None where that cannot be read."""
        try:
            return ZoneDef.model_validate_json((self.directory / DEFINITION).read_bytes()[:MAX_DEFINITION])
        except (OSError, ValidationError):
            return None

    def clear(self) -> None:
        """Forget everything: who asks takes the whole zone."""
        self.seen = None
        for leg in self.legs():
            with contextlib.suppress(OSError):
                leg.path.unlink(missing_ok=True)


def frame_of(zone: ZoneDef) -> str:
    """What tells a frame from another."""
    return xxhash.xxh3_64_hexdigest(orjson.dumps(zone.frame))


def fits(steps: Sequence[StoredStep], way: Sequence[Leg], frame: str) -> bool:
    """Whether the files are what their names say, all of one frame."""
    named = [(leg.old, leg.new, frame) for leg in reversed(way)]
    return [(step.old, step.new, step.frame) for step in steps] == named
