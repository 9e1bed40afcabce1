"""What people read about sources: who they are, what they would list, what waits, what was taken away."""

from __future__ import annotations

from typing import Any

import click

from .screens import number, out, table

__all__ = ["show_purged", "show_purges", "show_source", "show_sources", "show_undone", "show_waiting"]


def show_sources(rows: list[dict[str, Any]]) -> None:
    made = table(
        "source", "kind", "trust", "listed", "wrong", "held", "zones", right=("trust", "listed", "wrong", "held")
    )
    for row in rows:
        trust = f"{row['trust']:.2f}" + (f" of {row['granted']:.2f}" if row["trust"] < row["granted"] else "")
        made.add_row(
            row["name"],
            row["kind"] + (", simulated" if row["simulated"] else ""),
            trust,
            number(row["listed"]),
            number(row["overturned"]),
            number(row["held"]),
            " ".join(row["zones"]) or "all",
        )
    out(made)
    for row in rows:
        if row.get("note"):
            click.echo(f"{row['name']} {row['note']}: its trust is below every zone's list_at")


def show_source(row: dict[str, Any]) -> None:
    show_sources([row])
    for would in row["would_list"]:
        examples = f": {', '.join(would['examples'])}" if would["examples"] else ""
        click.echo(f"would list {would['listed']:,} of {would['claimed']:,} in {would['zone']}{examples}")
    for wrong in row["wrong"]:
        click.echo(f"wrong about {wrong['subject']} ({wrong['at']}): {wrong['why']}")
    for hold in row["holds"]:
        show_hold(hold)
    if row["purges"]:
        show_purges(row["purges"])


def show_hold(row: dict[str, Any]) -> None:
    share = "" if row["percent"] is None else f", {row['percent']:.4g} %"
    note = f" ({row['note']})" if row["note"] else ""
    click.echo(
        f"{row['id']:>4}  {row['state']}  {row['source']} in {row['zone']}: {row['place']}: {row['why']}{share}{note}"
    )


def show_waiting(value: dict[str, Any]) -> None:
    if not value["holds"]:
        click.echo("nothing waits")
    for hold in value["holds"]:
        show_hold(hold)
    if value["attempts"]:
        made = table("tried to list", "source", "times", "last", "refused because", right=("times",))
        for row in value["attempts"]:
            made.add_row(row["subject"], row["source"], number(row["count"]), row["last"], row["why"])
        out(made)


def show_purged(row: dict[str, Any]) -> None:
    for each in [row, *row.get("also", [])]:
        click.echo(
            f"taken away from {each['source']}: {each['reports']:,} reports, {each['entries']:,} list entries; it is "
            "simulated from now on"
        )
    click.echo(f"`dnsbl source undo {row['id']}` puts it back")


def show_undone(row: dict[str, Any]) -> None:
    for each in [row, *row.get("also", [])]:
        click.echo(f"put back for {each['source']}: {each['reports']:,} reports, {each['entries']:,} list entries")


def show_purges(rows: list[dict[str, Any]]) -> None:
    made = table(
        "purge", "source", "when", "reports", "entries", "reason", "undone", right=("purge", "reports", "entries")
    )
    for row in rows:
        made.add_row(
            str(row["id"]), row["source"], row["at"], number(row["reports"]), number(row["entries"]), row["reason"],
            row["undone"] or "",
        )  # fmt: skip
    out(made)
