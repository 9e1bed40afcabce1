"""Verbs that look: what was done, by whom and why; and where something stands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import screens_desk
from .errors import DnsblError
from .files import replacing
from .verbs import as_json, emit, moment, opened

__all__ = ["audit", "search"]

MAX_ROWS = 10_000  # of one list: more is for `audit export`


@click.group()
def audit() -> None:
    """The audit trail: who did what, and why. It is only ever added to."""


@audit.command("list")
@click.option("--since", default=None, help="Only from this time on (RFC 3339).")
@click.option("--who", default="", help="Only what this one did.")
@click.option("--subject", default="", help="Only what was done about this subject, source, key or feed.")
@click.option("--before", type=click.IntRange(1), default=None, help="Only entries older than this number.")
@click.option("--limit", type=click.IntRange(1, MAX_ROWS), default=100, show_default=True)
@as_json
def audit_list(since: str | None, who: str, subject: str, before: int | None, limit: int, as_json: bool) -> None:
    """Entries of the trail, the newest first."""
    with opened() as app:
        emit(as_json, app.desk.audit_rows(limit, before, who, subject, moment(since)), screens_desk.show_deeds)


@audit.command("export")
@click.option("--since", default=None, help="Only from this time on (RFC 3339).")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else standard output.")
@as_json
def audit_export(since: str | None, output: Path | None, as_json: bool) -> None:
    """The trail as NDJSON, the oldest first, with the links that a later trail can be held against."""
    if as_json and output is None:
        raise click.UsageError("--json says what was written, and needs -o FILE: standard output is the trail itself")
    with opened() as app:
        lines = app.desk.audit_lines(moment(since))
        if output is None:
            sys.stdout.buffer.writelines(lines)
            sys.stdout.flush()
            return
        try:
            stream = output.exists() and not output.is_file()  # /dev/stdout, a FIFO: nothing to put in its place
            with output.open("wb") if stream else replacing(output) as file:
                count = 0
                for line in lines:
                    file.write(line)
                    count += 1
        except OSError as error:
            raise DnsblError(f"{output}: cannot be written ({error.strerror})") from error
    emit(as_json, {"file": str(output), "entries": count}, lambda v: click.echo(f"{v['entries']:,} in {v['file']}"))


@click.command()
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Of each kind.")
@as_json
def search(text: str, limit: int, as_json: bool) -> None:
    """Where TEXT stands: listings of it and inside it, sources, keys, exemptions, feeds, the audit trail. `.ru` is
    every name below it."""
    with opened() as app:
        emit(as_json, app.desk.search(text, limit), screens_desk.show_found)
