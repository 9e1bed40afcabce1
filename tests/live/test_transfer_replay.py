"""Some minutes of a real list's changes at 100 times their speed: secondaries follow by differences and end equal."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from asking import name4
from same import Same
from secondaries import needs

sys.path.append(str(Path(__file__).parent.parent / "bench"))

from replay import HOUR, ZONE, Day, Replay

from dnsbl.zones import journal

BUSY = 18 * HOUR  # the hour of the day in which most is reported
MINUTES = 8  # of that day
SPEED, EVERY = 100, 60  # times as fast; seconds of the day from one publish to the next
CHANGES = 4000  # an hour
STEPS, MORE = 3, 4  # that a small journal keeps, and publishes that it does not
QUESTIONS = 500

pytestmark = [pytest.mark.peer, pytest.mark.data, pytest.mark.heavy, needs["named"], needs["knotd"]]


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that any user may read: some of them do not run as root."""
    with tempfile.TemporaryDirectory(prefix="dnsbl-replay-") as made:
        yield Path(made)


@pytest.mark.long
def test_a_real_list_is_followed_by_differences(directory: Path, real_input: Path) -> None:
    with Replay(directory, Day(real_input, CHANGES)) as replay:
        replay.run(BUSY, BUSY + MINUTES * 60, SPEED, EVERY)
        told = replay.told()
        assert told["publishes"] == MINUTES
        assert told["changes"] > MINUTES * CHANGES / 60, "it is a busy hour"
        assert told["listings"] == sum(len(part.listed) for part in replay.day.parts), "what leaves the list is gone"
        assert told["whole_zones_given"] == len(replay.secondaries), "once each, at the start"
        for name, each in told["secondaries"].items():
            assert each["rises"], f"{name} went back"
        hold(replay)
        with mock.patch.object(journal, "MAX_STEPS", STEPS):
            for part in range(MORE):
                replay.change(part, CHANGES // 60)
        replay.look()
        assert replay.sizes.last["journal_files"] == STEPS
        replay.wait_for_all()
        hold(replay)


def hold(replay: Replay) -> None:
    """What is listed, what was and what is beside it is answered as we do."""
    chance = random.Random(1)
    known = sorted(each for part in replay.day.parts for each in (*part.listed, *part.coming))
    chosen = [name4(number(each) + beside) for each in chance.sample(known, QUESTIONS) for beside in (-1, 0, 1)]
    same, asked = Same(dict(replay.app.zones)), [(ZONE, each) for each in chosen]
    same.hold(replay.server.dns_port, replay.secondaries, asked)


def number(address: str) -> int:
    return int.from_bytes(map(int, address.split(".")))
