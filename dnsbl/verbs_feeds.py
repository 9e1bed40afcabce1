"""Verbs about feeds: what is declared and how it is, pulling, switching, and what was held back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click

from . import config, screens, screens_desk
from .verbs import as_json, emit, opened

__all__ = ["feed"]

AT_ONCE = 4  # feeds fetched at the same time by hand


@click.group()
def feed() -> None:
    """Feeds: lists that are pulled."""


@feed.command("list")
@as_json
def feed_list(as_json: bool) -> None:
    """The catalogue: what is declared, on or off, and under which terms."""
    with opened() as app:
        emit(as_json, app.desk.feed_rows(), screens.show_feeds)


@feed.command("status")
@as_json
def feed_status(as_json: bool) -> None:
    """Health: when each was last pulled, what it has, and why it was not taken."""
    with opened() as app:
        emit(as_json, app.feed_status(), screens.show_feed_status)


@feed.command("show")
@click.argument("name")
@as_json
def feed_show(name: str, as_json: bool) -> None:
    """Everything about one feed: its declaration, its health, and what is held back of it."""
    with opened() as app:
        emit(as_json, app.desk.show_feed(name), screens_desk.show_feed)


@feed.command("pull")
@click.argument("names", nargs=-1)
@click.option("--accept", is_flag=True, help="Take the content though its size differs more than allowed.")
@as_json
def feed_pull(names: tuple[str, ...], accept: bool, as_json: bool) -> None:
    """Pull feeds now: those named, or all that are on."""
    with opened() as app:
        if accept and not names:
            raise click.UsageError("--accept needs the names of the feeds that it is for")
        feeds = [app.desk.feed(name) for name in names] or app.feeds_on()
        app.reconcile()
        with screens.progress() as progress:
            pulled = asyncio.run(pull_all(app, feeds, accept, progress))
            app.settle(progress)
            app.need_published()
    rows = [
        {"name": p.name, "state": p.state, "reason": p.reason, **p.entry._asdict(), "seconds": round(p.seconds, 3)}
        for p in pulled
    ]
    emit(as_json, rows, screens.show_pulled)
    if any(p.state in ("failed", "quarantined") for p in pulled):
        sys.exit(1)


async def pull_all(app: Any, feeds: list[config.FeedDef], accept: bool, progress: Callable[..., None]) -> Any:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(feed: config.FeedDef) -> Any:
        async with turns:
            pulled = await app.pull(feed, accept)
            progress(f"feed {feed.name}", 1)
            return pulled

    return await asyncio.gather(*(one(feed) for feed in feeds))


@feed.command("enable")
@click.argument("name")
@click.option("--why", default="", help="Kept in the audit trail.")
@as_json
def feed_enable(name: str, why: str, as_json: bool) -> None:
    """Switch a feed on, whatever its file says; a server that runs pulls it within seconds."""
    switch(name, True, why, as_json)


@feed.command("disable")
@click.argument("name")
@click.option("--why", default="", help="Kept in the audit trail.")
@as_json
def feed_disable(name: str, why: str, as_json: bool) -> None:
    """Switch a feed off, whatever its file says; what it had decays from now on."""
    switch(name, False, why, as_json)


def switch(name: str, on: bool, why: str, as_json: bool) -> None:
    with opened() as app:
        emit(as_json, app.switch_feed(name, on, why=why), screens_desk.show_switched)


@feed.command("diff")
@click.argument("name")
@as_json
def feed_diff(name: str, as_json: bool) -> None:
    """What the content that was held back would change, in the feed and in the zones; and why it was."""
    with opened() as app:
        emit(as_json, app.desk.feed_diff(name), screens_desk.show_diff)


@feed.command("release")
@click.argument("name")
@click.option("--digest", default="", help="Only the content that `feed diff` showed under this digest.")
@click.option("--why", default="", help="Kept in the audit trail.")
@as_json
def feed_release(name: str, digest: str, why: str, as_json: bool) -> None:
    """Take the content that was held back, as it lies there; nothing is fetched."""
    with opened() as app, screens.progress() as progress:
        value = app.desk.release_feed(name, why=why, digest=digest)
        app.settle(progress)
        app.need_published()
    emit(as_json, value, lambda row: screens.show_pulled([row]))


@feed.command("test")
@click.argument("file", type=click.File("rb"))
@click.option("--format", "format", default=None, help="One of the formats; else guessed.")
@as_json
def feed_test(file: Any, format: str | None, as_json: bool) -> None:
    """Parse FILE and show what would be taken, without storing anything."""
    from .importing import read_all
    from .intake.lists import ListTerms, known, read
    from .intake.reports import open_stream

    data = read_all(open_stream(file))
    terms = known(data, ListTerms(format or "", "spam"))
    parsed = read(data, terms)
    value = {
        "format": terms.format,
        "taken": len(parsed.hits),
        "repeated": parsed.repeated,
        "rejected": parsed.rejected,
        "rejects": [{"line": r.line, "why": r.why} for r in parsed.rejects],
    }
    emit(as_json, value, screens.show_import)
