"""Verbs about people at the desk: made, given a role, shut out. Nobody types passwords here: their owners choose them
on the set-up page, with a code that works once."""

from __future__ import annotations

from typing import Any

import click

from .screens import out, table
from .verbs import as_json, emit, opened

__all__ = ["person"]


@click.group()
def person() -> None:
    """People at the desk (/admin): who may sign in, and what each may do."""


@person.command("add")
@click.argument("name")
@click.option("--role", default="reviewer", show_default=True, help="reviewer decides; admin may do everything.")
@as_json
def person_add(name: str, role: str, as_json: bool) -> None:
    """Make a person. The set-up code for choosing a password is shown once."""
    with opened() as app:
        emit(as_json, app.people.add(name, role), show_setup)


@person.command("list")
@as_json
def person_list(as_json: bool) -> None:
    """Who there is, with which second factors, and since when."""
    with opened() as app:
        emit(as_json, app.people.rows(), show_people)


@person.command("password")
@click.argument("name")
@as_json
def person_password(name: str, as_json: bool) -> None:
    """A code to choose another password with. The second factor stays; see `reset-second`."""
    with opened() as app:
        emit(as_json, app.people.new_password(name), show_setup)


@person.command("role")
@click.argument("name")
@click.argument("role")
@as_json
def person_role(name: str, role: str, as_json: bool) -> None:
    """Give a person another role; whatever sessions there are end."""
    with opened() as app:
        app.people.set_role(name, role)
    said(as_json, {"name": name, "role": role}, f"{name} has the role {role} from the next sign-in on")


@person.command("disable")
@click.argument("name")
@as_json
def person_disable(name: str, as_json: bool) -> None:
    """Shut a person out, at once."""
    with opened() as app:
        app.people.disable(name)
    said(as_json, {"name": name, "disabled": True}, f"{name} is out and cannot sign in")


@person.command("enable")
@click.argument("name")
@as_json
def person_enable(name: str, as_json: bool) -> None:
    """Let a person in again; lifts a lock after failures, too."""
    with opened() as app:
        app.people.enable(name)
    said(as_json, {"name": name, "disabled": False}, f"{name} can sign in")


@person.command("reset-second")
@click.argument("name")
@as_json
def person_reset_second(name: str, as_json: bool) -> None:
    """Forget a person's app and passkeys: new ones are set up at the next sign-in. Be sure who asks for it."""
    with opened() as app:
        app.people.reset_second(name)
    said(as_json, {"name": name, "second": False}, f"{name} sets up a second factor at the next sign-in")


@person.command("sign-out")
@click.argument("name")
@as_json
def person_sign_out(name: str, as_json: bool) -> None:
    """End all sessions of a person."""
    with opened() as app:
        ended = app.people.sign_out(name)
    said(as_json, {"name": name, "ended": ended}, f"{name}: {ended} sessions ended")


def said(as_json: bool, value: dict[str, Any], sentence: str) -> None:
    emit(as_json, value, lambda _: click.echo(sentence))


def show_setup(made: dict[str, Any]) -> None:
    page = made["page"] if "://" in made["page"] else f"{made['page']} of the web side (web.public_url is not set)"
    click.echo(f"{made['name']}, {made['role']}: choose a password until {made['until']}")
    click.echo(f"  page   {page}")
    click.echo(f"  name   {made['name']}")
    click.echo(f"  code   {made['code']}")
    click.echo("The code works once and is shown only here: whoever has it becomes this person.")


def show_people(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nobody; `dnsbl person add NAME --role admin` makes the first")
        return
    made = table("name", "role", "second factor", "sessions", "seen", "state", right=("sessions",))
    for row in rows:
        made.add_row(row["name"], row["role"], second(row), str(row["sessions"]), row["seen"] or "", state(row))
    out(made)


def second(row: dict[str, Any]) -> str:
    keys = f"{row['passkeys']} passkey" + "s" * (row["passkeys"] != 1)
    return ", ".join(["app"] * row["app"] + [keys] * bool(row["passkeys"])) or "none yet"


def state(row: dict[str, Any]) -> str:
    if row["disabled"]:
        return f"disabled since {row['disabled']}"
    if row["locked"]:
        return f"locked until {row['locked']}"
    if row["setup_until"]:
        return f"has a set-up code until {row['setup_until']}"
    return "" if row["password"] else "has no password: `dnsbl person password` gives a code"
