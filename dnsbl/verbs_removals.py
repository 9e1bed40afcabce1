"""Verbs about removals: who asked, how it stands, and a person's decision."""

from __future__ import annotations

from typing import Any

import click

from .errors import printable
from .removal.machine import STATES
from .screens import day, out, show_check, table
from .verbs import as_json, emit, opened

__all__ = ["removal"]

OPERATOR = "operator"


@click.group()
def removal() -> None:
    """Removals: who asked to be taken off, and what became of it."""


@removal.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state; else all that are not closed.")
@click.option("--subject", default="", help="Only those about this subject, closed ones too.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="So many at most.")
@as_json
def removal_list(state: str | None, subject: str, limit: int, as_json: bool) -> None:
    """Requests, the newest first."""
    from .app import parsed

    with opened() as app:
        rows = app.removal_desk.rows([state] if state else (), parsed(subject) if subject else None, limit=limit)
    emit(as_json, rows, show_removals)


@removal.command("show")
@click.argument("number", type=int)
@as_json
def removal_show(number: int, as_json: bool) -> None:
    """Everything about one request."""
    with opened() as app:
        emit(as_json, app.removal_desk.show(number), show_removal)


@removal.command("grant")
@click.argument("number", type=int)
@click.option("--answer", default="", help="What is said to the requester.")
@click.option("--firm", is_flag=True, help="Off for the whole grace, even if it is reported again.")
@as_json
def removal_grant(number: int, answer: str, firm: bool, as_json: bool) -> None:
    """Take off what request NUMBER asks for, where it waits for a person."""
    decide(number, True, answer, firm, as_json)


@removal.command("refuse")
@click.argument("number", type=int)
@click.option("--answer", required=True, help="Why, for the requester.")
@as_json
def removal_refuse(number: int, answer: str, as_json: bool) -> None:
    """Refuse request NUMBER, where it waits for a person."""
    decide(number, False, answer, False, as_json)


def decide(number: int, grant: bool, answer: str, firm: bool, as_json: bool) -> None:
    with opened() as app:
        value = app.removal_desk.decide(number, grant, answer, OPERATOR, firm)
        app.settle_after()
    emit(as_json, value, show_removal)


def show_removals(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no requests")
        return
    shown = table("number", "subject", "state", "proof", "when", "why", right=("number",))
    for row in rows:
        state = f"{row['state']} (overdue)" if row["overdue"] else row["state"]
        why = " ".join(row["reasons"])
        shown.add_row(str(row["id"]), row["subject"], state, row["proof"] or "-", day(row["asked_at"]), why)
    out(shown)


def show_removal(row: dict[str, Any]) -> None:
    click.echo(f"removal {row['id']} of {row['subject']} from {', '.join(row['zones'])}: {row['state']}")
    for name in ("asked_at", "requester", "proof", "exempt_until", "decider", "answer"):
        if row[name]:
            click.echo(f"  {name.replace('_', ' ')}: {printable(row[name])}")
    for line in row["said"].splitlines():
        click.echo(f"  they say: {printable(line)}")
    for event in row.get("history", ()):
        click.echo(f"  {event['at']} {event['state']} by {event['who']}: {' '.join(event['reasons'])}")
    for mail in row.get("mails", ()):
        click.echo(f"  {mail['at']} mail {mail['state']}, tries: {mail['tries']} {printable(mail['said'])}".rstrip())
    for other in row.get("earlier", ()):
        click.echo(f"  earlier: removal {other['id']} of {day(other['asked_at'])}, {other['state']}")
    if "check" in row:
        show_check(row["check"])
