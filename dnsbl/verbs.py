"""What every verb does: open the application, print for people or for scripts, read its options."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import orjson

from . import clock, config
from .model import CATEGORIES

__all__ = ["as_json", "emit", "moment", "need_category", "opened", "seconds", "settings"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@contextlib.contextmanager
def opened() -> Iterator[Any]:
    """The application on this configuration's data directory."""
    from .app import App  # here, so that `version` and `--help` come at once

    logging.basicConfig(format="dnsbl: %(message)s", level=logging.WARNING)
    with App(settings()) as app:
        if app.store.made and sys.stderr.isatty():
            where = app.data_dir.resolve()
            click.echo(f"dnsbl: a new, empty store was made in {where}; -c names another configuration", err=True)
        yield app


def settings() -> config.Settings:
    return config.load(click.get_current_context().obj)


def emit(as_json: bool, value: Any, show: Callable[[Any], None]) -> None:
    """Print for people or for scripts."""
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()
    else:
        show(value)


def need_category(word: str) -> None:
    if word not in CATEGORIES:
        raise click.UsageError(f"no category {word!r}; there are {', '.join(CATEGORIES)}")


def seconds(period: str | None) -> int | None:
    """The time of a `--for` option."""
    try:
        return None if period is None else clock.duration(period)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def moment(text: str | None) -> int | None:
    """The time of an option."""
    try:
        return clock.parse_time(text) if text else None
    except (ValueError, OverflowError):
        raise click.UsageError(f"{text!r} is no time; write it as 2026-11-21T09:00:00Z") from None
