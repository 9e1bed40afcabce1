"""`serve`: which processes run which roles, and what is said when they are up."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import orjson

from . import __version__, native, screens
from .config import Settings, socket_text
from .errors import DnsblError, StartError
from .front import EXIT_START, Front, child_command

__all__ = ["COURIER", "serve"]

BACK_ROLES = ("web", "jobs", "trap")
COURIER = "courier"  # no role for people: the front starts it where zones travel


def serve(settings: Settings, path: Path | None, roles: Sequence[str], child: bool, as_json: bool) -> int:
    """Run roles until told to stop; returns the exit code. DNS and the rest run in two processes."""
    set_up_logging()
    if "dns" in roles and settings.config.dns.native == "require" and native.module is None:
        click.echo(f'dnsbl: dns.native = "require", but the native path is {native.why}', err=True)
        return 1
    if COURIER in roles:
        return run_courier(settings, path)
    behind = [role for role in BACK_ROLES if role in roles]
    try:
        if "dns" not in roles:
            return run_back(settings, path, behind, child, as_json)
        front = Front(settings, path, child_command(path, behind) if behind else (), child_command(path, [COURIER]))
        asyncio.run(front.run(lambda ready: announce(started(ready, roles), as_json)))
    except StartError as error:
        if str(error):
            click.echo(f"dnsbl: {error}", err=True)
        return EXIT_START if child else 1
    except DnsblError as error:
        click.echo(f"dnsbl: {error}", err=True)
        return 1
    return 0


def run_back(settings: Settings, path: Path | None, roles: Sequence[str], child: bool, as_json: bool) -> int:
    from .app import App  # the front does without: it starts sooner and stays small
    from .back import Back

    with App(settings) as app:
        value: dict[str, Any] = {
            "web": settings.config.web.listen if "web" in roles else None,
            "jobs": "jobs" in roles,
        }

        def ready(back: Back) -> None:
            gc.collect()
            gc.freeze()  # what the start has made stays: to look through it held up answers for 50 ms each time
            value["trap"] = back.trap_addresses()
            value["zones"] = app.zone_status()
            value["unprotected"] = app.unprotected()
            value["feeds_on"] = len(app.feeds_on())
            value["feeds_off"] = len(app.feeds) - value["feeds_on"]
            if child:
                sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
                sys.stdout.flush()
            else:
                announce({**about(settings), "dns": [], **value}, as_json)

        asyncio.run(Back(app, roles, path, child).run(ready))
    return 0


def run_courier(settings: Settings, path: Path | None) -> int:
    from .courier.process import Courier

    asyncio.run(Courier(settings, path).run())
    return 0


def started(front: Front, roles: Sequence[str]) -> dict[str, Any]:
    """What runs now, for the start screen."""
    zones = front.back_says.get("zones") or [
        {"zone": name, "origin": view.zone.origin, "kind": view.zone.kind, "serial": view.serial, "listings": None}
        for name, view in front.snapshots.views.items()
    ] + not_taken(front)
    return {
        **about(front.settings),
        **{name: front.back_says[name] for name in ("feeds_on", "feeds_off") if name in front.back_says},
        "dns": shown(front.server.addresses),
        "tls": shown(front.server.tls_addresses),
        "native": front.native is not None,
        "web": front.back_says.get("web"),
        "jobs": "jobs" in roles,
        "trap": front.back_says.get("trap", []),
        "unprotected": front.back_says.get("unprotected", 0),
        "zones": zones,
    }


def not_taken(front: Front) -> list[dict[str, Any]]:
    """The zones that are followed and not here yet."""
    zones, views = front.settings.zones, front.snapshots.views
    missing = [follow.zone for follow in front.settings.config.follow if follow.zone not in views]
    return [
        {"zone": name, "origin": zones[name].origin, "kind": zones[name].kind, "serial": None, "listings": None}
        for name in missing
        if name in zones
    ]


def shown(addresses: Sequence[tuple[str, int]]) -> list[str]:
    return [socket_text(host, port) for host, port in addresses]


def about(settings: Settings) -> dict[str, Any]:
    feeds = settings.feeds.values()
    on = sum(1 for feed in feeds if feed.enabled)
    return {
        "version": __version__,
        "data_dir": str(settings.config.data_dir.resolve()),
        "feeds_on": on,
        "feeds_off": len(feeds) - on,
        "follows": {each.zone: each.primaries or [site(each.url)] for each in settings.config.follow},
    }


def site(url: str) -> str:
    """A URL without what may be our key to it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def announce(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
        sys.stdout.flush()
    else:
        screens.show_started(value)
        sys.stdout.flush()


def set_up_logging() -> None:
    """One line each on stderr; the journal adds the time itself."""
    when = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(format=f"{when}%(levelname)s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
