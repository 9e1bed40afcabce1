"""What all tests share: where the real input is, and an application on a directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fresh import lay_down, made, settings_in

from dnsbl import config
from dnsbl.app import App

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no worker is left alone with one at the end: those with something heavy,
    and then those that start the real program. Within a file nothing changes."""
    heavy = {item.path for item in items if item.get_closest_marker("heavy")}
    items.sort(key=lambda item: (item.path not in heavy, item.path.parent.name != "live"))


@pytest.fixture(scope="session")
def real_input() -> Path:
    """The directory of real input; the test is skipped, saying so, where there is none."""
    path = Path(os.environ.get("DNSBL_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no real input in {path}: set DNSBL_DATA")
    return path


@pytest.fixture(scope="session")
def copy_checkout() -> Callable[[Path], Path]:
    """Copies the files of the project as they are kept, and nothing that lies about here; the test is skipped where it
    cannot be known which those are."""

    def copy(where: Path) -> Path:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, timeout=60)
        if listed.returncode:
            pytest.skip("nothing is installed anew: this is no git checkout, what belongs to it is not known")
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (where / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, where / name)
        return where

    return copy


@pytest.fixture(scope="session", autouse=True)
def fresh_store() -> Iterator[None]:
    """Made before any test sets the clock."""
    with made():
        yield


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    """The bundled zones and feeds on a data directory of the test's own, with a new store."""
    lay_down(tmp_path / "data")
    return settings_in(tmp_path / "data")


@pytest.fixture
def app(settings: config.Settings) -> Iterator[App]:
    with App(settings) as opened:
        yield opened
