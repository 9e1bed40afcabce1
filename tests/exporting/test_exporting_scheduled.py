"""When exported files are due, and what is said of failures."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config.distribution import ExportConfig
from dnsbl.exporting.scheduled import Place, Scheduled


@pytest.fixture
def place() -> Place:
    return Place(0, ExportConfig(directory=Path("files"), formats=["bind"], every=60))


def test_a_new_serial_is_due_at_once_and_then_at_most_so_often(place: Place) -> None:
    assert not place.is_due({}, 1000.0), "nothing is published yet"
    assert place.is_due({"ip": 1}, 1000.0)
    place.ran_at, place.serials = 1000.0, {"ip": 1}
    assert not place.is_due({"ip": 1}, 5000.0)
    assert not place.is_due({"ip": 2}, 1059.0)
    assert place.is_due({"ip": 2}, 1060.0)


def test_a_failure_is_said_once_and_tried_again(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.ran_at, place.serials = 1000.0, {"ip": 1}
    for _ in range(3):
        place.say(["ip.zone: cannot be written (No space left on device)"])
    assert place.is_due({"ip": 1}, 1060.0)
    place.say(["ip.zone: cannot be written (No space left on device)", "another"])
    place.say([])
    place.say([])
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR, logging.WARNING]


def test_how_each_fares_is_told_by_its_directory(tmp_path: Path) -> None:
    """Of two directories with one name, and of what never succeeded, too."""
    places = [ExportConfig(directory=tmp_path / name, formats=["bind"]) for name in ("a/out", "b/out", "rsync")]
    files = Scheduled(places, tmp_path, None, dict)
    assert files.fared() == [("out#1", None, 0), ("out#2", None, 0), ("rsync", None, 0)]
    before = clock.now()
    for failed in (["no space"], ["no space"], []):
        files.places[1].say(failed)
    name, good_at, failures = files.fared()[1]
    assert (name, failures) == ("out#2", 2) and good_at is not None and before <= good_at <= clock.now()


def test_a_full_disk_is_one_line_however_many_files_there_are(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.say([f"{number}.zone: cannot be written (No space left on device)" for number in range(40)])
    place.say([f"{number}.zone: cannot be written (No space left on device)" for number in range(40)])
    (said,) = [record.getMessage() for record in caplog.records]
    assert "0.zone: cannot be written" in said
    assert "39 more failures" in said


async def test_only_its_own_zones_make_it_due(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [ExportConfig(directory=Path("files"), formats=["bind"], zones=["domain"], every=1)]
    files = Scheduled(wanted, app.data_dir, None, lambda: app.zones)
    runs: list[int] = []

    async def run(number: int) -> list[str]:
        runs.append(number)
        return []

    monkeypatch.setattr(files, "update", run)
    await files.look()
    assert runs == []
    app.settle()
    for _ in range(2):
        await files.look()
    assert runs == [0]
    files.places[0].ran_at -= 60
    app.settle(force=["ip"])
    await files.look()
    assert runs == [0]
    app.settle(force=["domain"])
    await files.look()
    assert runs == [0, 0]


@pytest.mark.parametrize("said", ["exit 3", "echo nonsense", "echo '[{}]'", "echo 'dnsbl: it broke' >&2; exit 1"])
async def test_a_process_that_gives_no_answer_is_a_failure(tmp_path: Path, said: str) -> None:
    files = Scheduled([ExportConfig(directory=tmp_path, formats=["bind"])], tmp_path, None, dict)
    files.command = ["/bin/sh", "-c", said, "sh"]
    (why,) = await files.update(0)
    assert why
    assert not why.startswith("dnsbl: ")
