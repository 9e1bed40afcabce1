"""Verbs about people at the desk: made, given a role, shut out. Nobody types passwords here: their owners choose them
on the set-up page, with a code that works once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from .screens import out, table
from .verbs import as_json, emit, opened

if TYPE_CHECKING:
    from .people import People

__all__ = ["person"]

Said = tuple[dict[str, Any], str]  # what changed, for scripts; a sentence for people


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


def change(verb: str) -> Callable[[Callable[..., Said]], click.Command]:
    """A verb that changes somebody, by what it does with the people, a name, and its own arguments."""

    def made(does: Callable[..., Said]) -> click.Command:
        @person.command(verb)
        @click.argument("name")
        @as_json
        @wraps(does)
        def changed(name: str, as_json: bool, **arguments: str) -> None:
            with opened() as app:
                value, sentence = does(app.people, name, **arguments)
            emit(as_json, {"name": name, **value}, lambda _: click.echo(sentence))

        return changed

    return made


@change("role")
@click.argument("role")
def person_role(people: People, name: str, role: str) -> Said:
    """Give a person another role; whatever sessions there are end."""
    people.set_role(name, role)
    return {"role": role}, f"{name} has the role {role} from the next sign-in on"


@change("disable")
def person_disable(people: People, name: str) -> Said:
    """Shut a person out, at once."""
    people.disable(name)
    return {"disabled": True}, f"{name} is out and cannot sign in"


@change("enable")
def person_enable(people: People, name: str) -> Said:
    """Let a person in again; lifts a lock after failures, too."""
    people.enable(name)
    return {"disabled": False}, f"{name} can sign in"


@change("reset-second")
def person_reset_second(people: People, name: str) -> Said:
    """Forget a person's app and passkeys: new ones are set up at the next sign-in. Be sure who asks for it."""
    people.reset_second(name)
    return {"second": False}, f"{name} sets up a second factor at the next sign-in"


@change("sign-out")
def person_sign_out(people: People, name: str) -> Said:
    """End all sessions of a person."""
    ended = people.sign_out(name)
    return {"ended": ended}, f"{name}: {ended} sessions ended"


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
