"""A data directory as the program makes it in a new one, made once and then copied: that costs most of what a small
test costs. Only what nobody has configured or chosen is in it; a test about the making itself asks for nothing here."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from dnsbl import config
from dnsbl.app import App

EMPTY = Path(__file__).parent / "samples" / "empty.toml"


def settings_in(directory: Path) -> config.Settings:
    """The bundled zones and feeds on a data directory."""
    found = bundled()
    placed = found.config.model_copy(update={"data_dir": directory})
    return found.model_copy(update={"config": placed, "zones": dict(found.zones), "feeds": dict(found.feeds)})


@cache
def bundled() -> config.Settings:
    """Read once, from half a hundred files: all of it is frozen but the dictionaries."""
    return config.load(EMPTY)


def lay_down(directory: Path) -> None:
    """A new store with the bundled zones, none of them published yet; unless there is something already."""
    if not directory.exists() or not any(directory.iterdir()):
        shutil.copytree(made().name, directory, dirs_exist_ok=True)


@cache
def made() -> tempfile.TemporaryDirectory[str]:
    """Kept until the process ends."""
    directory = tempfile.TemporaryDirectory(prefix="dnsbl-fresh-")
    with App(settings_in(Path(directory.name))):
        pass
    return directory
