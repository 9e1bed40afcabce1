"""What people read: tables, the start screen, progress bars. Everything here has a JSON twin in `cli`.

rich is imported where something is drawn with it: whatever only speaks JSON, and the server, does without.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import click

from .errors import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["progress"]

REJECTS_SHOWN = 5
# Columns of times, which are not broken however narrow the terminal is.
TIMES = {
    "last", "when", "first seen", "last seen", "last good", "last change", "last used", "created", "expires", "since",
    "until", "revoked", "undone",
}  # fmt: skip


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    from rich.table import Table

    class Plain(Table):
        """What people and strangers wrote is no order to the terminal, and no row of its own."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)

    made = Plain(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        side: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=side, overflow="fold", no_wrap=column in TIMES)
    return made


def out(*parts: Any) -> None:
    """Print; text is never taken for markup, and a pipe gets wide, plain lines."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False, soft_wrap=False)
    console.print(*parts)


@contextlib.contextmanager
def progress() -> Iterator[Callable[..., None]]:
    """A line for each thing being done, on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _what, _more, _total=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def more(what: str, count: int, total: int | None = None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.advance(tasks[what], count)

        yield more


def day(time: str | None) -> str:
    """Of a time: where a line has several of them, the seconds are for --json."""
    return (time or "")[:10]


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def show_check(value: dict[str, Any]) -> None:
    listed = [zone for zone in value["zones"] if zone["listed"]]
    click.echo(
        f"{value['subject']} is {'LISTED in ' + ', '.join(z['zone'] for z in listed) if listed else 'not listed'}"
    )
    for exemption in value["exemptions"]:
        until = f" until {exemption['until']}" if exemption["until"] else ""
        click.echo(f"  exempt{until}: {exemption['reason']} ({exemption['origin']})")
    for zone in value["zones"]:
        show_zone(zone)
    for sample in value["evidence"]:
        show_sample(sample)
    if not value["zones"]:
        click.echo("  no zone is about subjects of this kind")


def show_zone(zone: dict[str, Any]) -> None:
    state = " ".join(zone["codes"]) if zone["listed"] else "not listed"
    simulated = zone["simulated_score"]
    more = f" ({simulated:.1f} with simulated sources)" if simulated > zone["score"] else ""
    click.echo(f"\n{zone['zone']} ({zone['origin']}): {state}, score {zone['score']:.1f}{more}")
    for hold in zone["held"]:
        click.echo(f"  {hold['state']}: {hold['place']}, {hold['why']}; `dnsbl review list` has it")
    if zone["listed"]:
        click.echo(
            f"  since {zone['since']}, until {zone['until'] or 'the lists drop it'}, by {', '.join(zone['listings'])}"
        )
    for line in zone["text"]:
        click.echo(f"  says: {line}")
    dns = "not published yet" if zone["dns"] is None else " ".join(zone["dns"]) or "NXDOMAIN"
    click.echo(f"  DNS answers: {dns}")
    if zone["breakdown"]:
        rows = table(
            "source",
            "category",
            "hits",
            "reporters",
            "weight",
            "first seen",
            "last seen",
            right=("hits", "reporters", "weight"),
        )
        for line in zone["breakdown"]:
            last = "on the list now" if line["held"] else line["last_seen"]
            rows.add_row(
                line["source"] + (" (simulated)" if line["simulated"] else ""),
                line["category"],
                number(line["hits"]),
                number(line["reporters"]),
                f"{line['weight']:.3f}",
                day(line["first_seen"]),
                last,
            )
        out(rows)


def show_sample(sample: dict[str, Any]) -> None:
    """One mail or complaint, munged."""
    facts = sample["facts"]
    shown = {**facts, **facts.get("header", {})}
    told = [
        f"{name} {' '.join(value) if isinstance(value, list) else value}"
        for name in ("address", "helo", "From", "Subject", "domains")
        if (value := shown.get(name))
    ]
    click.echo(f"  {sample['kind']} to {sample['source']}, {sample['at']}: {'; '.join(told)}")


def show_reported(value: dict[str, Any], category: str) -> None:
    click.echo(f"taken: {value['subject']} as {category}")
    show_check(value)


def show_delisted(value: dict[str, Any]) -> None:
    click.echo(f"{value['subject']} is off {', '.join(value['zones'])}, and stays off until {value['until']}")


def show_import(value: dict[str, Any]) -> None:
    click.echo(
        f"{value['taken']:,} taken, {value['repeated']:,} repeated, {value['rejected']:,} rejected"
        + (f" (as {value['format']})" if value.get("format") else "")
    )
    if value.get("state") == "unchanged":
        click.echo("the same content as before: nothing to do")
    elif "appeared" in value:
        click.echo(f"{value['appeared']:,} appeared, {value['left']:,} left and decay, {value['changed']:,} changed")
    for word, count in sorted(value.get("unmapped", {}).items(), key=lambda item: -item[1])[:20]:
        click.echo(f"  unmapped word {word!r}: {count:,} kept as `other`; say what it means with --map {word}=CATEGORY")
    for reject in value["rejects"][:REJECTS_SHOWN]:
        where = f"line {reject['line']}: " if reject["line"] else ""
        click.echo(f"  {where}{reject['why']}")
    for why in value.get("why", [])[:REJECTS_SHOWN]:
        click.echo(f"  nothing is listed, or less than it says: {why}")
    if value["rejected"] > REJECTS_SHOWN:
        click.echo(f"  and {value['rejected'] - REJECTS_SHOWN:,} more; --json has the first {len(value['rejects']):,}")


def show_feeds(rows: list[dict[str, Any]]) -> None:
    made = table("feed", "on", "category", "trust", "every", "format", "licence", "about", right=("trust",))
    for row in rows:
        about = row["title"] if row["enabled"] else f"{row['title']}. OFF: {row['why_off'] or 'by hand'}"
        made.add_row(
            row["name"],
            "yes" if row["enabled"] else "no",
            "exempts" if row["exempt"] else row["category"],
            "" if row["exempt"] else f"{row['trust']:.2f}",
            f"{row['period'] // 60} min",
            row["format"],
            row["licence"],
            about,
        )
    out(made)


STATE_STYLE = {
    "ok": "green",
    "unchanged": "green",
    "quarantined": "red bold",
    "failed": "yellow",
    "off": "dim",
    "new": "dim",
}


def coloured(state: str) -> Text:
    """A feed's state, in its colour."""
    from rich.text import Text

    return Text(state, style=STATE_STYLE.get(state, ""))


def show_feed_status(rows: list[dict[str, Any]]) -> None:
    made = table(
        "feed", "state", "entries", "last good", "last change", "rejected", "why", right=("entries", "rejected")
    )
    for row in rows:
        made.add_row(
            row["name"],
            coloured(row["state"]),
            number(row["entries"]),
            row["good_at"] or "never",
            day(row["changed_at"]) or "never",
            number(row["rejected"]),
            row["reason"],
        )
    out(made)


def show_pulled(rows: list[dict[str, Any]]) -> None:
    made = table(
        "feed",
        "state",
        "entries",
        "appeared",
        "left",
        "changed",
        "why",
        right=("entries", "appeared", "left", "changed"),
    )
    for row in rows:
        counts = (number(row[name]) for name in ("total", "appeared", "left", "changed"))
        made.add_row(row["name"], coloured(row["state"]), *counts, row["reason"])
    out(made)


def show_zones(rows: list[dict[str, Any]]) -> None:
    made = table("zone", "origin", "kind", "listings", "serial", "about", right=("listings", "serial"))
    for row in rows:
        serial = str(row["serial"]) if row["serial"] is not None else "not built"
        made.add_row(row["zone"], row["origin"], row["kind"], number(row["listings"]), serial, row["about"])
    out(made)
    for row in rows:
        if followed := row["followed"]:
            known = f"confirmed {followed['refreshed']}, answered until {followed['expires']}"
            when = known if followed["refreshed"] else "never taken yet"
            why = f"; {followed['error']}" if followed["error"] else ""
            click.echo(f"zone {row['zone']} is followed: from {followed['from'] or 'nobody yet'}, {when}{why}")
        if row["withheld"]:
            click.echo(f"zone {row['zone']}: {row['withheld']:,} entries are not given away, by terms of their feeds")
        for each in row["secondaries"]:
            click.echo(f"zone {row['zone']} at {each['secondary']}: {secondary_text(each, row['serial'])}")


def secondary_text(row: dict[str, Any], serial: int | None) -> str:
    """How far a secondary is, by what it said to NOTIFY."""
    if row["silent_since"]:
        return f"silent since {row['silent_since']}"
    return "up to date" if row["acknowledged"] == serial else f"told of serial {row['serial']}"


def show_built(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nothing changed: every zone is up to date")
    for row in rows:
        what = "whole" if row["whole"] else "delta"
        click.echo(
            f"zone {row['zone']}: serial {row['serial']}, {what} of {row['pieces']:,} pieces, {row['seconds']:.2f} s"
        )


def show_allowed(value: dict[str, Any]) -> None:
    click.echo(f"{value['subject']} is exempt{' until ' + value['until'] if value['until'] else ''}: {value['reason']}")


def show_exemptions(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("nobody is on the allow-list")
        return
    made = table("subject", "zone", "since", "until", "by", "reason")
    for row in rows:
        made.add_row(
            row["subject"], row["zone"] or "all", row["since"] or "", row["until"] or "", row["origin"], row["reason"]
        )
    out(made)


def show_key(value: dict[str, Any]) -> None:
    click.echo(f"key {value['name']} with scopes {', '.join(value['scopes'])}, trust {value['trust']}")
    click.echo(f"secret (shown only now): {value['secret']}")


def show_keys(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no keys")
        return
    made = table("key", "scopes", "trust", "created", "expires", "last used", "revoked")
    for row in rows:
        made.add_row(
            row["name"],
            " ".join(row["scopes"]),
            f"{row['trust']:.2f}",
            day(row["created"]),
            day(row["expires"]),
            row["last_used"] or "never",
            day(row["revoked"]),
        )
    out(made)


def show_store(value: dict[str, Any]) -> None:
    for line in value["wrong"]:
        click.echo(line)
    if value["clean"]:
        counts = ", ".join(f"{count:,} {name}" for name, count in value["counts"].items())
        click.echo(f"clean: {counts}")


def show_queries(value: dict[str, Any]) -> None:
    many = "process" if value["processes"] == 1 else "processes"
    replies = "1 reply" if value["replies"] == 1 else f"{value['replies']:,} replies"
    click.echo(f"{replies} of {value['processes']} DNS {many}, since the start")
    columns = {"zones": "zone", "types": "type", "rcodes": "rcode", "transports": "over", "events": "what else"}
    for part, column in {**columns, "batches": "packets at once"}.items():
        if value[part]:
            made = table(column, "times", right=("times",))
            for name, count in value[part].items():
                made.add_row(name or "(none)", number(count))
            out("", made)
    if value["talkers"]:
        made = table("client, asking most", "queries of late, about", right=("queries of late, about",))
        for talker in value["talkers"]:
            made.add_row(talker["client"], number(talker["queries"]))
        out("", made)


def show_started(value: dict[str, Any]) -> None:
    """The one screen that `serve` prints."""
    click.echo(f"dnsbl {value['version']}, data in {value['data_dir']}")
    if value["dns"]:
        path = "native path" if value.get("native") else "Python path"
        click.echo(f"  DNS    {', '.join(value['dns'])} (UDP and TCP), {path}")
    if value.get("tls"):
        click.echo(f"  TLS    {', '.join(value['tls'])} (queries and transfers)")
    if value["web"]:
        click.echo(f"  web    http://{value['web']}/")
    if value.get("trap"):
        click.echo(f"  traps  {', '.join(value['trap'])}")
    if value["jobs"]:
        click.echo(f"  feeds  {value['feeds_on']} on, {value['feeds_off']} off; `dnsbl feed status` has their health")
        if value["unprotected"]:
            click.echo(
                f"  NOTE   {value['unprotected']} warning lists were never fetched yet: until they are, only the "
                "built-in list and the allow-list keep big mail providers and public resolvers from being listed"
            )
    for zone in value["zones"]:
        click.echo(f"  zone   {zone['origin']:<24} {holds(zone, value.get('follows', {}).get(zone['zone'], []))}")
    if value["dns"] and value["zones"]:
        host, _, port = value["dns"][0].rpartition(":")
        origin = next((z["origin"] for z in value["zones"] if z["kind"] == "ip"), None)
        name = f"2.0.0.127.{origin}" if origin else f"test.{value['zones'][0]['origin']}"
        click.echo(f"  try    dig @{host.strip('[]')} -p {port} {name}")


def holds(zone: dict[str, Any], primaries: list[str]) -> str:
    """What is in a zone as the server starts, and where it is taken from."""
    if not primaries:
        return f"{zone['listings']:,} listings" if zone["listings"] is not None else f"serial {zone['serial']}"
    serial = "not taken yet" if zone["serial"] is None else f"serial {zone['serial']}"
    return f"{serial}, followed from {', '.join(primaries)}"
