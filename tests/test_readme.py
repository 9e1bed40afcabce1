"""The README is true: its commands run as written and print what is shown, and it names every verb and setting."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from dnsbl import config
from dnsbl.cli import cli
from dnsbl.intake.formats import FORMATS
from dnsbl.model import CATEGORIES
from dnsbl.zones.export import FORMATS as EXPORTS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SECONDS = 60
INSTALL_SECONDS = 240
TOUR_SECONDS = 600  # the whole tour with its installation, beside other work
PIP_CACHE = os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip")  # what was fetched once will do
OPTIONS_OF_ALL = {"--help", "--json", "--child"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """A section with the sections in it, to the next of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[2]


# what it names


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    ("path", "command"), list(verbs(cli)), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_verb_and_its_options_are_in_the_table(path: tuple[str, ...], command: click.Command) -> None:
    rows = [
        row.split("|")[1].replace("\\", "")
        for row in section("Verbs").replace("\\|", "/").splitlines()
        if row[:3] == "| `"
    ]
    mine = [
        row for row in rows if re.search(rf"`{path[0]}\b", row) and all(re.search(rf"\b{p}\b", row) for p in path[1:])
    ]
    assert mine, f"`{' '.join(path)}` is not in the table of verbs"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.opts[-1] not in OPTIONS_OF_ALL:
            assert any(opt in row for row in mine for opt in parameter.opts), f"{' '.join(path)} {parameter.opts[-1]}"


def settings_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every setting of a model and of those in it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in models_in(field.annotation):
            yield from settings_of(inner)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, BaseModel)
    ):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


@pytest.mark.parametrize("model", [config.Config, config.ZoneDef, config.FeedDef], ids=lambda model: model.__name__)
def test_every_setting_is_named(model: type[BaseModel]) -> None:
    text = section("Configuration") + section("Giving zones away")
    ours = {"name"}  # not written: it is the file's
    missing = {name for name in settings_of(model) if not re.search(rf"\b{name}\b", text)} - ours
    assert missing == set(), (
        f"not in the README, in configuration or in giving zones away: {', '.join(sorted(missing))}"
    )


def test_every_category_and_format_is_named() -> None:
    words = set(re.findall(r"[a-z0-9-]+", section("Verbs")))
    assert set(CATEGORIES) <= words
    text = section("A feed")
    for name in FORMATS:
        assert f"`{name}`" in text or f"`{name.removeprefix('rbldnsd')}`" in text, name
    assert all(name in section("Verbs") for name in EXPORTS)


def test_the_examples_of_configuration_load(tmp_path: Path) -> None:
    mains = []
    for text in blocks("toml"):
        example = tomllib.loads(text)
        what = "zones" if "origin" in example else "feeds" if "url" in example else ""
        if not what:
            mains.append(text)
            continue
        (tmp_path / what).mkdir()
        (tmp_path / what / "example.toml").write_text(text)
    assert len(mains) == 5
    for text in mains:
        (tmp_path / "dnsbl.toml").write_text(text)
        loaded = config.load(tmp_path / "dnsbl.toml")
        if loaded.config.zones_dir:
            assert list(loaded.zones) == list(loaded.feeds) == ["example"]


def test_the_tour_is_no_feeds_own_list() -> None:
    """What is imported under a feed's name is that feed's content: its next pull would differ from it too much."""
    named = set(re.findall(r"--source (\S+)", "".join(blocks("console"))))
    assert named
    assert not named & {
        name for name, feed in config.load(ROOT / "tests/samples/empty.toml").feeds.items() if feed.enabled
    }


def test_the_codes_of_the_bundled_zones_are_named() -> None:
    table = section("Using it")
    for name, zone in config.load(ROOT / "tests/samples/empty.toml").zones.items():
        row = next(row for row in table.splitlines() if row.startswith(f"| {name} |"))
        for code in zone.codes:
            assert f".{code.code.rpartition('.')[2]} " in row.replace("127.0.0.", ".").replace("127.0.1.", ".").replace(
                "127.0.5.", "."
            ).replace("127.0.10.", "."), code.code
            assert not code.sublist or code.sublist in row


# what it shows


@pytest.fixture
def checkout(tmp_path: Path, copy_checkout: Callable[[Path], Path]) -> Path:
    return copy_checkout(tmp_path / "dnsbl")


def set_up() -> list[str]:
    """The steps of the line that sets up and starts."""
    line = next(line for line in README.splitlines() if line.startswith("    python3 -m venv"))
    return [step.strip() for step in line.split("&&")]


def shell(command: str, where: Path, seconds: int = SECONDS) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={"PATH": path, "HOME": str(where), "PIP_CACHE_DIR": PIP_CACHE},
    )


def lend_libraries(venv: Path) -> None:
    """What it depends on is here already, and half of the tour would be finding and fetching it. A path alone: no .pth
    file there is read, so nothing of this checkout comes with it."""
    there = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (there / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


@contextmanager
def serving(command: str, where: Path) -> Iterator[None]:
    log = where / "serve.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out
        )
    limit = threading.Timer(SECONDS, server.kill)
    limit.start()
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if b"try" in line:
                break
        else:
            raise AssertionError(f"it did not start within {SECONDS} s: {log.read_text()}")
        limit.cancel()
        yield
        server.terminate()
        assert server.wait(SECONDS) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        limit.cancel()
        server.kill()
        server.wait(SECONDS)
        server.stdout.close()


def tour() -> list[tuple[str, str]]:
    """(command, a pattern of what it prints): `...` is any text, on a line of its own any lines."""
    steps = []
    for step in re.split(r"^\$ ", blocks("console")[0], flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        pattern = re.escape(shown).replace(re.escape("...\n"), "(?s:.*)\n?").replace(re.escape("..."), ".*")
        steps.append((command, pattern))
    return steps


@pytest.mark.heavy
@pytest.mark.timeout(TOUR_SECONDS)
@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed: the README's tour is not run")
@pytest.mark.parametrize("libraries", ["lent", pytest.param("fetched", marks=pytest.mark.long)])
def test_every_command_of_the_tour_runs_as_written(checkout: Path, libraries: str) -> None:
    """From a fresh copy, installed by the line that is shown; only the feeds are off, so that nobody else is asked.
    Fetched: with nothing but what the project says that it needs."""
    for port in (5300, 8053):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip(f"the README's tour is not run: port {port} is in use here")
    (checkout / "no-feeds").mkdir()
    (checkout / "dnsbl.toml").write_text('feeds_dir = "no-feeds"\n')
    *install, serve = set_up()
    for step in install:
        done = shell(step, checkout, INSTALL_SECONDS)
        if done.returncode and re.search(
            r"No matching distribution|Could not find a version|NewConnectionError", done.stderr
        ):
            pytest.skip(f"the README's tour is not run: no package index ({done.stderr.splitlines()[-1]})")
        assert done.returncode == 0, done.stderr
        if libraries == "lent" and (checkout / ".venv").exists():
            lend_libraries(checkout / ".venv")
    steps = tour()
    assert len(steps) >= 10
    with serving(serve, checkout):
        for command, pattern in steps:
            done = shell(command, checkout)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            assert re.fullmatch(pattern, done.stdout), f"{command}\nprinted:\n{done.stdout}{done.stderr}"
