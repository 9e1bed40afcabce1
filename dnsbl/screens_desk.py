"""What people read about a feed, what was held back of it, the audit trail, and what a search found."""

from __future__ import annotations

from typing import Any

import click

from .screens import coloured, number, out, show_exemptions, show_feed_status, show_keys, table

__all__ = ["show_deeds", "show_diff", "show_feed", "show_found", "show_switched"]


def show_feed(row: dict[str, Any]) -> None:
    show_feed_status([row])
    switched = {None: "as its file says", True: "switched on by hand", False: "switched off by hand"}[row["switched"]]
    click.echo(f"{row['title']}: {'on' if row['enabled'] else 'off'}, {switched}")
    click.echo(f"from {row['url']} every {row['period'] // 60} min, as {row['format']}; {row['licence']}")
    if row["why_off"]:
        click.echo(f"its file says: {row['why_off']}")
    if lying := row["quarantine"]:
        click.echo(
            f"held back: {lying['bytes']:,} bytes since {lying['at']}; `dnsbl feed diff {row['name']}` shows what they "
            "would change"
        )


def show_switched(row: dict[str, Any]) -> None:
    if row["enabled"]:
        click.echo(f"feed {row['name']} is on; a server that runs pulls it within seconds")
    else:
        click.echo(f"feed {row['name']} is off; what it had decays from now on")
    if row["enabled"] and row["why_off"]:
        click.echo(f"its file has it off: {row['why_off']}")


def show_diff(row: dict[str, Any]) -> None:
    click.echo(f"feed {row['name']} was held back: {row['why']}")
    click.echo(f"digest {row['quarantine']['digest']}, {row['quarantine']['bytes']:,} bytes")
    if row["refused"]:
        click.echo(f"even a release does not take it: {row['refused']}")
        return
    click.echo(
        f"has {row['has']:,}: {row['appear']:,} would appear, {row['leave']:,} would leave, {row['stay']:,} stay"
        + (" (they are exempt, not listed)" if row["exempts"] else "")
    )
    for name, word in (("appearing", "appear"), ("leaving", "leave")):
        if row[name]:
            click.echo(f"  {word}: {', '.join(row[name])}" + (" ..." if row[word] > len(row[name]) else ""))
    if row["zones"]:
        made = table(
            "zone", "listings", "more", "fewer, in time", "percent", right=("listings", "more", "fewer, in time")
        )
        for zone in row["zones"]:
            percent = "" if zone["percent"] is None else f"{zone['percent']:.4g}"
            made.add_row(zone["zone"], *(number(zone[n]) for n in ("listings", "listed", "leave")), percent)
        out(made)


def show_deeds(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing was done")
        return
    made = table("number", "when", "who", "what", "subject", "why", right=("number",))
    for row in rows:
        made.add_row(str(row["id"]), row["at"], row["who"], row["what"], row["subject"], row["why"])
    out(made)


def show_found(value: dict[str, Any]) -> None:
    if not any(found for name, found in value.items() if name != "subject"):
        click.echo("nothing was found")
    if value["listings"]:
        made = table("listed", "zone", "codes", "since", "until")
        for row in value["listings"]:
            made.add_row(row["subject"], row["zone"], " ".join(row["codes"]), row["since"], row["until"] or "")
        out(made)
    if value["removals"]:
        made = table("request", "state", "when", right=("request",))
        for row in value["removals"]:
            made.add_row(str(row["id"]), row["state"], row["asked_at"])
        out(made)
    if value["sources"]:
        made = table("source", "kind", "trust")
        for row in value["sources"]:
            made.add_row(row["name"], row["kind"] + (", simulated" if row["simulated"] else ""), f"{row['trust']:.2f}")
        out(made)
    if value["feeds"]:
        made = table("feed", "on", "about")
        for row in value["feeds"]:
            made.add_row(row["name"], coloured("ok" if row["enabled"] else "off"), row["title"])
        out(made)
    for name, show in (("keys", show_keys), ("exemptions", show_exemptions), ("audit", show_deeds)):
        if value[name]:
            show(value[name])
