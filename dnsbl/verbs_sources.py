"""Verbs about those who claim: their keys, how far they are believed, and what waits for a person."""

from __future__ import annotations

from typing import Any

import click

from . import clock, screens, screens_sources
from .verbs import as_json, emit, moment, opened, seconds

__all__ = ["key", "review", "source"]


@click.group()
def key() -> None:
    """API keys of partners."""


@key.command("create")
@click.argument("name")
@click.option("--trust", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="How far it is believed.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("report", "read"),
    show_default=True,
    help="report, read, review, admin; or query alone: a key for DNS, asked as QUERY.KEY.ORIGIN. Repeat for more.",
)
@click.option("--for", "period", default=None, help="For how long, as 365d; else until revoked.")
@click.option("--live", is_flag=True, help="List what it reports; else it is simulated until `source set --live`.")
@click.option("--category", "categories", multiple=True, help="Only this category may be reported. Repeat for more.")
@click.option("--about", multiple=True, help="Only this network or domain may be reported. Repeat for more.")
@click.option("--from", "origins", multiple=True, help="Only from this network. Repeat for more.")
@click.option("--zone", "zones", multiple=True, help="Its reports count in this zone only. Repeat for more.")
@click.option("--daily", type=click.IntRange(1), default=None, help="Reports a day, UTC.")
@click.option("--burst", type=click.IntRange(1), default=None, help="Reports a minute.")
@click.option("--daily-listings", type=click.IntRange(1), default=None, help="Listings a day; more are held.")
@click.option("--queries", type=click.IntRange(1), default=None, help="Scope query: queries a day, UTC.")
@click.option("--query-zone", "query_zones", multiple=True, help="Scope query: only in this zone. Repeat for more.")
@as_json
def key_create(
    name: str,
    trust: float,
    scopes: tuple[str, ...],
    period: str | None,
    live: bool,
    categories: tuple[str, ...],
    about: tuple[str, ...],
    origins: tuple[str, ...],
    zones: tuple[str, ...],
    daily: int | None,
    burst: int | None,
    daily_listings: int | None,
    queries: int | None,
    query_zones: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a key for partner NAME. The secret is shown once."""
    from .store import KeyLimits

    lifetime = seconds(period)
    limits = KeyLimits(categories, about, origins, daily, burst, queries, query_zones)
    with opened() as app:
        made = app.create_key(name, trust, list(scopes), lifetime, limits, not live, zones, daily_listings)
        emit(as_json, made, screens.show_key)


@key.command("list")
@as_json
def key_list(as_json: bool) -> None:
    """Keys, their scopes, limits and last use; never their secrets."""
    with opened() as app:
        emit(as_json, app.key_rows(), screens.show_keys)


@key.command("revoke")
@click.argument("name")
@as_json
def key_revoke(name: str, as_json: bool) -> None:
    """End a key now. What it reported stays: `source purge NAME` takes that away."""
    with opened() as app:
        app.revoke_key(name)
    emit(as_json, {"name": name, "revoked": True}, lambda _: click.echo(f"key {name} is revoked"))


# sources


@click.group()
def source() -> None:
    """Those who claim: lists, partners, traps; how far each is believed, and what it did."""


@source.command("list")
@as_json
def source_list(as_json: bool) -> None:
    """Every source: its trust, what it listed in 90 days, what of it was wrong, what waits."""
    with opened() as app:
        emit(as_json, app.desk.source_rows(), screens_sources.show_sources)


@source.command("show")
@click.argument("name")
@as_json
def source_show(name: str, as_json: bool) -> None:
    """Everything about one source; of a simulated one, what it would list."""
    with opened() as app:
        emit(as_json, app.desk.show_source(name), screens_sources.show_source)


@source.command("set")
@click.argument("name")
@click.option("--trust", type=click.FloatRange(0, 1), default=None, help="How far it is believed, at most.")
@click.option("--live", is_flag=True, help="List what it claims.")
@click.option("--simulate", is_flag=True, help="Only score and show what it claims.")
@click.option("--daily-listings", type=click.IntRange(0), default=None, help="Listings a day; more are held.")
@click.option("--zone", "zones", multiple=True, help="It counts in this zone only. Repeat for more.")
@click.option("--all-zones", is_flag=True, help="It counts in every zone.")
@as_json
def source_set(
    name: str,
    trust: float | None,
    live: bool,
    simulate: bool,
    daily_listings: int | None,
    zones: tuple[str, ...],
    all_zones: bool,
    as_json: bool,
) -> None:
    """Change how far a source is believed, and how much it may list."""
    if live and simulate:
        raise click.UsageError("either --live or --simulate")
    where = zones if zones or all_zones else None
    with opened() as app:
        value = app.desk.set_source(name, trust, simulate if live or simulate else None, daily_listings, where)
        app.settle_after()
    emit(as_json, value, lambda row: screens_sources.show_sources([row]))


@source.command("purge")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.option("--since", default=None, help="Only reports from this time on (RFC 3339).")
@click.option("--until", default=None, help="Only reports before this time.")
@as_json
def source_purge(name: str, reason: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Take away what a source claimed, all or of a time, and simulate it from now on. `source undo` puts it back."""
    with opened() as app:
        value = app.desk.purge(name, reason, moment(since), moment(until))
        app.settle_after()
    emit(as_json, value, screens_sources.show_purged)


@source.command("purges")
@as_json
def source_purges(as_json: bool) -> None:
    """What was taken away, and can be put back."""
    with opened() as app:
        emit(as_json, app.desk.purge_rows(), screens_sources.show_purges)


@source.command("undo")
@click.argument("number", type=int)
@as_json
def source_undo(number: int, as_json: bool) -> None:
    """Put back what purge NUMBER took away, exactly."""
    with opened() as app:
        value = app.desk.undo_purge(number)
        app.settle_after()
    emit(as_json, value, screens_sources.show_undone)


# what waits


@click.group()
def review() -> None:
    """What waits for a person: listings that one source carries, too wide or too many in one place."""


@review.command("list")
@click.option("--all", "everything", is_flag=True, help="What was decided, too.")
@as_json
def review_list(everything: bool, as_json: bool) -> None:
    """What is held, with its share of the place; and who tried to have listed what may not be."""
    with opened() as app:
        emit(as_json, app.desk.waiting(everything), screens_sources.show_waiting)


@review.command("approve")
@click.argument("number", type=int)
@click.option("--for", "period", default="30d", show_default=True, help="How long the place has no limit.")
@click.option("--note", default="", help="Why; kept in the audit trail.")
@as_json
def review_approve(number: int, period: str, note: str, as_json: bool) -> None:
    """Believe the source in that place: what it claims there is listed."""
    decide(number, True, note, clock.now() + (seconds(period) or 0), as_json)


@review.command("reject")
@click.argument("number", type=int)
@click.option("--note", required=True, help="Why; kept in the audit trail.")
@as_json
def review_reject(number: int, note: str, as_json: bool) -> None:
    """Do not believe the source in that place: nothing it claims there is listed, and it is believed less."""
    decide(number, False, note, None, as_json)


def decide(number: int, approve: bool, note: str, until: int | None, as_json: bool) -> None:
    with opened() as app:
        value: dict[str, Any] = app.desk.decide(number, approve, note, until)
        app.settle_after()
    emit(as_json, value, lambda row: click.echo(f"{row['source']} {row['place']}: {row['state']}"))
