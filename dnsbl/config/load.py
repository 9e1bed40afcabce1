"""Reading the files: found, read, validated; every mistake of all of them is said at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ..errors import ConfigError
from .base import Model
from .feed import FeedDef
from .server import Config, StoreConfig
from .zone import ZoneDef

__all__ = ["Settings", "load", "look"]

FileName = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Settings(Model):
    """All that was read: the configuration, its zones and its feeds, by name."""

    config: Config
    path: Path | None
    zones: dict[str, ZoneDef]
    feeds: dict[str, FeedDef]


M = TypeVar("M", bound=Model)
ALONE = ("zones_dir", "feeds_dir", "trap", "geo")  # looked into even where the rest of the configuration is wrong


def find(explicit: Path | None) -> Path | None:
    """The configuration file: `-c`, `$DNSBL_CONFIG`, `./dnsbl.toml`, `/etc/dnsbl/dnsbl.toml`; None: there is none."""
    if explicit is not None:
        return explicit
    if named := os.environ.get("DNSBL_CONFIG"):
        return Path(named)
    for path in (Path("dnsbl.toml"), Path("/etc/dnsbl/dnsbl.toml")):
        if path.exists():
            return path
    return None


def load(explicit: Path | None = None) -> Settings:
    """Read the configuration, its zones and its feeds. Raises ConfigError with every mistake in all of them."""
    found, mistakes = look(explicit)
    if mistakes:
        raise ConfigError(mistakes)
    return found


def look(explicit: Path | None = None) -> tuple[Settings, list[str]]:
    """What could be read, and every mistake in it: for those who look for more."""
    mistakes: list[str] = []
    path = find(explicit)
    base = path.parent if path else Path()
    said = read_toml(path, mistakes) if path else {}
    config = validated(path, Config, said, mistakes) if path else Config()
    config = config or without_mistakes(said or {})
    config = config.model_copy(
        update={
            "data_dir": base / config.data_dir,
            "store": placed(config.store, base),
            "dns": placed_files(config.dns, base, "query_log", "tls_cert", "tls_key"),
            "trap": placed_files(config.trap, base, "tls_cert", "tls_key"),
            "geo": placed_files(config.geo, base, "directory"),
            "follow": [placed_files(each, base, "tls_ca") for each in config.follow],
            "export": [placed_files(each, base, "directory") for each in config.export],
        }
    )
    zones = read_directory(base, config.zones_dir, "zones", ZoneDef, mistakes)
    feeds = read_directory(base, config.feeds_dir, "feeds", FeedDef, mistakes)
    mistakes += clashes(zones.values())
    return Settings.model_construct(config=config, path=path, zones=zones, feeds=feeds), mistakes  # each is checked


def without_mistakes(said: dict[str, Any]) -> Config:
    """Of a file with mistakes, the parts that have none."""
    kept: dict[str, Any] = {}
    for name in ALONE:
        part = {name: said[name]} if name in said else {}
        with suppress(ValidationError):
            Config.model_validate(part)
            kept |= part
    return Config.model_validate(kept)


def placed(store: StoreConfig, base: Path) -> StoreConfig:
    """The store with its file's path relative to the configuration file, as every path is."""
    head, scheme, path = store.url.partition("sqlite:///")
    return StoreConfig(url=f"{scheme}{base / path}") if scheme and not head else store


def placed_files(part: M, base: Path, *names: str) -> M:
    """A part of the configuration with its paths relative to the file."""
    return part.model_copy(update={name: base / path for name in names if (path := getattr(part, name))})


def read_directory(base: Path, configured: Path | None, what: str, model: type[M], mistakes: list[str]) -> dict[str, M]:
    directory = base / configured if configured else bundled(what)
    found: dict[str, M] = {}
    try:
        paths = sorted(p for p in directory.iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except OSError as error:
        mistakes.append(f"{directory}: cannot be read ({error.strerror}); set {what}_dir to a directory of TOML files")
        return found
    for path in paths:
        if not FileName.fullmatch(path.stem):
            mistakes.append(f"{path}: the file's name is the name of the {what[:-1]}: use a-z 0-9 _ -")
            continue
        said = read_toml(path, mistakes)
        if said is not None and "name" in said:
            mistakes.append(f"{path}: name: no such setting; the file's name is the name")
        item = None if said is None else validated(path, model, {**said, "name": path.stem}, mistakes)
        if item is not None:
            found[path.stem] = item
    return found


def bundled(what: str) -> Path:
    """The directory of the zones or feeds that come with the program: in the package, or in the checkout."""
    package = Path(__file__).parent.parent
    inside = package / f"bundled_{what}"
    return inside if inside.is_dir() else package.parent / what


def read_toml(path: Path, mistakes: list[str]) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        mistakes.append(f"{path}: cannot be read ({error.strerror})")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{path}: not TOML: {error}")
    return None


def validated(path: Path, model: type[M], said: dict[str, Any] | None, mistakes: list[str]) -> M | None:
    try:
        return None if said is None else model.model_validate(said)
    except ValidationError as error:
        mistakes += [f"{path}: {mistake}" for mistake in plain(error)]
    return None


def plain(error: ValidationError) -> Iterable[str]:
    """A line for each mistake: where, what."""
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = "no such setting"
        yield f"{where}: {what}" if where else what


def clashes(zones: Iterable[ZoneDef]) -> list[str]:
    """Two zones at one origin, or one inside another's names, cannot both be served."""
    mistakes = []
    by_origin: dict[str, str] = {}
    for zone in zones:
        if zone.origin in by_origin:
            mistakes.append(f"zones {by_origin[zone.origin]} and {zone.name} both have origin {zone.origin}")
        by_origin[zone.origin] = zone.name
    for zone in zones:
        for code in zone.codes:
            if code.sublist and (name := f"{code.sublist}.{zone.origin}") in by_origin:
                mistakes.append(f"zone {zone.name}: sublist {name} is the origin of zone {by_origin[name]}")
    return mistakes
