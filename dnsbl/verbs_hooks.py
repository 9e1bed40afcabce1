"""Verbs about what partners own, and where they are told of it. What sends is imported where a verb needs it: most
processes send nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from . import clock
from .errors import IntakeError
from .screens import number, out, table
from .verbs import as_json, emit, opened

__all__ = ["hook", "owned"]

OPERATOR = "operator"
MAX_SHOWN = 10_000  # deliveries


@click.group()
def owned() -> None:
    """What partners own: they are told when it is listed or freed, and may ask for its removal."""


@owned.command("add")
@click.argument("source")
@click.argument("subjects", nargs=-1, required=True)
@as_json
def owned_add(source: str, subjects: tuple[str, ...], as_json: bool) -> None:
    """SOURCE owns these networks and domains, with all that is in them."""
    from .hooks import setting

    with opened() as app, app.store.transaction():
        who = setting.partner(app.store, source)
        rows = [
            {"source": source, **setting.owned_row(setting.own(app.store, who, subject, OPERATOR, clock.now()))}
            for subject in subjects
        ]
    emit(as_json, rows, show_owned)


@owned.command("remove")
@click.argument("source")
@click.argument("subjects", nargs=-1, required=True)
@as_json
def owned_remove(source: str, subjects: tuple[str, ...], as_json: bool) -> None:
    """SOURCE does not own these any more."""
    from .hooks import setting

    with opened() as app, app.store.transaction():
        who = setting.partner(app.store, source)
        for subject in subjects:
            setting.disown(app.store, who, subject, OPERATOR, clock.now())
    value = {"source": source, "removed": list(subjects)}
    emit(as_json, value, lambda row: click.echo(f"{source} does not own {', '.join(row['removed'])}"))


@owned.command("list")
@click.argument("source", required=False)
@as_json
def owned_list(source: str | None, as_json: bool) -> None:
    """What each partner owns, or one of them."""
    from .hooks import setting

    with opened() as app:
        sources = app.store.sources()
        found = app.store.owned(setting.partner(app.store, source).id if source else None)
    rows = [{"source": sources[each.source].name, **setting.owned_row(each)} for each in found]
    emit(as_json, rows, show_owned)


def show_owned(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing is owned")
        return
    made = table("partner", "owns", "since")
    for row in rows:
        made.add_row(row["source"], row["subject"], row["since"])
    out(made)


# hooks


@click.group()
def hook() -> None:
    """Webhooks: where partners are told what happens to what they own."""


@hook.command("add")
@click.argument("source")
@click.argument("url")
@as_json
def hook_add(source: str, url: str, as_json: bool) -> None:
    """Send SOURCE's events to URL. The secret that signs them is shown once."""
    from .hooks import setting

    with opened() as app:
        who = setting.partner(app.store, source)
        made, secret = setting.set_hook(app.store, app.keyed, who, url, OPERATOR, clock.now())
        if secret is None:
            raise IntakeError(f"{source} has a hook there already: remove hook {made.id} for one with a new secret")
    emit(as_json, {**setting.hook_row(made), "secret": secret}, show_made)


def show_made(row: dict[str, Any]) -> None:
    click.echo(f"hook {row['id']}: events are signed with this secret, which is not shown again\n{row['secret']}")


@hook.command("list")
@click.argument("source", required=False)
@as_json
def hook_list(source: str | None, as_json: bool) -> None:
    """Every hook, or one partner's: what waits, what was given up, and why; never their secrets."""
    from .hooks import setting

    with opened() as app:
        sources = app.store.sources()
        found = app.store.hooks(setting.partner(app.store, source).id if source else None)
    emit(as_json, [{"source": sources[each.source].name, **setting.hook_row(each)} for each in found], show_hooks)


def show_hooks(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no hooks")
        return
    counts = ("waiting", "failed", "dropped")
    made = table("hook", "partner", "url", "last good", *counts, "trouble", right=("hook", *counts))
    for row in rows:
        made.add_row(
            str(row["id"]),
            row["source"],
            row["url"],
            row["delivered"] or "never",
            *(number(row[count]) for count in counts),
            row["trouble"],
        )
    out(made)


@hook.command("remove")
@click.argument("hook_number", metavar="NUMBER", type=int)
@as_json
def hook_remove(hook_number: int, as_json: bool) -> None:
    """Remove hook NUMBER, with what waits for it."""
    from .hooks import setting

    with opened() as app:
        found = setting.hook_of(app.store, None, hook_number)
        setting.remove_hook(app.store, app.store.sources()[found.source], hook_number, OPERATOR, clock.now())
    emit(as_json, {"id": hook_number, "removed": True}, lambda _: click.echo(f"hook {hook_number} is removed"))


@hook.command("test")
@click.argument("hook_number", metavar="NUMBER", type=int)
@as_json
def hook_test(hook_number: int, as_json: bool) -> None:
    """Send a test event to hook NUMBER now, and say what came of it."""
    from .hooks import setting
    from .hooks.delivering import try_hook

    with opened() as app:
        found = setting.hook_of(app.store, None, hook_number)
        asyncio.run(try_hook(app.keyed, found, clock.now(), app.public_url))
    emit(as_json, {"id": hook_number, "taken": True}, lambda _: click.echo(f"hook {hook_number} took a test event"))


@hook.command("deliveries")
@click.argument("hook_number", metavar="NUMBER", type=int)
@click.option("--limit", type=click.IntRange(1, MAX_SHOWN), default=100, show_default=True, help="So many, the newest.")
@as_json
def hook_deliveries(hook_number: int, limit: int, as_json: bool) -> None:
    """What was sent to hook NUMBER in the last 7 days, and what waits."""
    from .hooks import setting

    with opened() as app:
        found = setting.hook_of(app.store, None, hook_number)
        rows = [setting.delivery_row(each) for each in app.store.deliveries(found.id, limit)]
    emit(as_json, rows, show_deliveries)


def show_deliveries(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing was sent, and nothing waits")
        return
    made = table("when", "event", "about", "state", "tries", "what came of it", right=("tries",))
    for row in rows:
        event = row["event"]
        about = event.get("subject") or ", ".join(event.get("owned", ()))
        said = f"{row['said']}; again {row['next']}" if row["said"] and row["next"] else row["said"]
        made.add_row(row["at"], event["type"], about, row["state"], str(row["tries"]), said)
    out(made)
