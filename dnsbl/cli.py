"""The verbs. No logic here: each opens an `App`, asks it, and prints the answer, with --json for scripts.

Exit codes: 0 done; 1 refused or failed, with one line on stderr saying what and why; 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from . import __version__, clock, native, screens
from .errors import ConfigError, DnsblError, IntakeError, Quarantined
from .verbs import as_json, emit, need_category, opened, seconds, settings
from .verbs_audit import audit, search
from .verbs_config import config_group
from .verbs_exports import delta, export, files, public_key
from .verbs_feeds import feed
from .verbs_hooks import hook, owned
from .verbs_people import person
from .verbs_removals import removal
from .verbs_sources import key, review, source

__all__ = ["main"]

ROLES = ("dns", "web", "jobs", "trap")
GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1


def main() -> None:
    """Run a verb; failures are one line and exit code 1. A reader of our output that has gone is a silent 1."""
    stand_in()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(f"dnsbl: {mistake}", err=True)
        sys.exit(1)
    except DnsblError as error:
        click.echo(f"dnsbl: {error}", err=True)
        sys.exit(1)
    except UnicodeEncodeError:
        click.echo("dnsbl: an argument is not UTF-8 text", err=True)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"dnsbl: {where}{error.strerror or error}", err=True)
        sys.exit(1)


def stand_in() -> None:
    """Put /dev/null where a standard stream was closed before we began: else the next file opened would be taken
    for it, and the store be written to by a message."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    help="Configuration file.",
)
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    """A DNS blocklist: reports and lists in, scores, and answers that mail servers use."""
    context.obj = path


cli.add_command(key)
cli.add_command(person)
cli.add_command(source)
cli.add_command(review)
cli.add_command(feed)
cli.add_command(audit)
cli.add_command(search)
cli.add_command(config_group)
cli.add_command(owned)
cli.add_command(hook)
cli.add_command(removal)


# serving


@cli.command()
@click.option("--role", "roles", default=",".join(ROLES), show_default=True, help="Which parts to run, by commas.")
@click.option("--child", is_flag=True, hidden=True)
@as_json
def serve(roles: str, child: bool, as_json: bool) -> None:
    """Run the server: DNS, web and jobs, or the parts named by --role."""
    from . import serving

    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    unknown = [role for role in wanted if role not in ROLES]
    if (unknown or not wanted) and not (child and wanted == [serving.COURIER]):
        raise click.UsageError(f"no role {', '.join(unknown) or '(none given)'}; there are {', '.join(ROLES)}")
    sys.exit(serving.serve(settings(), click.get_current_context().obj, wanted, child, as_json))


# subjects


@cli.command()
@click.argument("subject")
@as_json
def check(subject: str, as_json: bool) -> None:
    """Is SUBJECT listed, where, why, and until when; and what DNS answers."""
    with opened() as app:
        emit(as_json, app.check(subject), screens.show_check)


@cli.command()
@click.argument("subject")
@click.option("--category", required=True, help="What it did; see the README for the words.")
@click.option("--source", default="operator", show_default=True, help="Under whose name.")
@as_json
def report(subject: str, category: str, source: str, as_json: bool) -> None:
    """Report SUBJECT by hand; zones that take the category list it at once."""
    need_category(category)
    with opened() as app:
        made = app.report(subject, category, source)
        emit(as_json, app.check(subject), lambda value: screens.show_reported(value, made.category))


@cli.command()
@click.argument("subject")
@click.option("--zone", default="", help="Only from this zone.")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.option("--wrong", is_flag=True, help="It should never have been listed: who claimed it is believed less.")
@as_json
def delist(subject: str, zone: str, reason: str, wrong: bool, as_json: bool) -> None:
    """Take SUBJECT off: exempt for the zone's grace, earlier reports forgotten."""
    with opened() as app:
        zones, until = app.delist(subject, zone, reason, wrong)
        value = {"subject": subject, "zones": zones, "until": clock.rfc3339(until)}
        emit(as_json, value, screens.show_delisted)


@cli.command("import")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--source", required=True, help="Whose list or reports these are.")
@click.option("--format", "format", default=None, help="A format of the README; `mail` is never guessed, others are.")
@click.option("--category", default="spam", show_default=True, help="What the subjects did, where lines do not say.")
@click.option("--trust", type=click.FloatRange(0, 1), default=None, help="How far the source is believed (0.9).")
@click.option("--map", "pairs", multiple=True, metavar="WORD=CATEGORY", help="What the source's own words mean.")
@click.option("--accept", is_flag=True, help="Take a list though its size differs more than allowed.")
@as_json
def import_(
    file: Path,
    source: str,
    format: str | None,
    category: str,
    trust: float | None,
    pairs: tuple[str, ...],
    accept: bool,
    as_json: bool,
) -> None:
    """Take FILE (or - for standard input): a list, which becomes the source's whole content, reports, complaints, or
    with `--format mail` trapped mail in an mbox or maildir."""
    from .intake.reports import parse_map

    need_category(category)
    folder = file.is_dir()
    if folder and format != "mail":
        raise click.UsageError(f"{file} is a directory: only --format mail takes one")
    if format == "mail":
        need_mailbox(file)
    with opened() as app, screens.progress() as progress, click.open_file(os.devnull if folder else file, "rb") as data:
        try:
            words = parse_map(pairs)
            result = app.import_file(data, source, format, category, trust, words, accept, progress, path=file)
        except Quarantined as error:
            raise Quarantined(f"{error}; nothing was changed, what {source} had before stays") from error
    emit(as_json, result, screens.show_import)


def need_mailbox(file: Path) -> None:
    """Mail is read where it lies, and unpacked. Raises IntakeError."""
    if str(file) == "-":
        raise IntakeError("mail needs a file or directory, not standard input")
    if file.is_file():
        with file.open("rb") as data:
            if data.read(len(GZIP)) == GZIP:
                raise IntakeError(f"{file}: mail is not read out of gzip; unpack it with gunzip first")


# zones


@cli.group()
def zone() -> None:
    """Zones: what DNS answers from."""


@zone.command("list")
@as_json
def zone_list(as_json: bool) -> None:
    """Each zone's origin, size and serial."""
    with opened() as app:
        emit(as_json, app.zone_status(), screens.show_zones)


@zone.command("build")
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Build whole, and publish or take what the size check would refuse.")
@as_json
def zone_build(names: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Bring snapshots up to the store: all zones, or those named."""
    with opened() as app:
        followed = [name for name in names if app.zone(name).name not in app.publishers]
        if followed and not force:
            raise IntakeError(f"zone {followed[0]} is not built here: [[follow]] says where it is taken from")
        for name in followed:
            app.accept(name)
            click.echo(f"zone {name}: its primary's is taken as it comes, at the next try (now: reload)", err=True)
        app.reconcile()
        with screens.progress() as progress:
            done = app.settle(progress, force=(names or list(app.zones)) if force else (), only=names)
            app.need_published()
        rows = [
            {"zone": p.zone, "serial": p.serial, "whole": p.whole, "pieces": p.pieces, "seconds": round(p.seconds, 3)}
            for p in done
        ]
    if as_json or rows or not followed:
        emit(as_json, rows, screens.show_built)


zone.add_command(export)
zone.add_command(delta)
zone.add_command(files)
zone.add_command(public_key)


# exemptions


@cli.group()
def allow() -> None:
    """The allow-list: who is never listed."""


@allow.command("add")
@click.argument("subject")
@click.option("--reason", required=True, help="Why; shown to those who ask.")
@click.option("--for", "period", default=None, help="For how long, as 30d; else for ever.")
@click.option("--zone", default="", help="Only in this zone.")
@as_json
def allow_add(subject: str, reason: str, period: str | None, zone: str, as_json: bool) -> None:
    """Exempt SUBJECT and everything in it; what is listed of it leaves."""
    lifetime = seconds(period)
    until = None if lifetime is None else clock.now() + lifetime
    with opened() as app:
        if zone:
            app.zone(zone)
        app.allow(subject, reason, until, zone)
    emit(as_json, {"subject": subject, "reason": reason, "until": clock.rfc3339(until)}, screens.show_allowed)


@allow.command("remove")
@click.argument("subject")
@as_json
def allow_remove(subject: str, as_json: bool) -> None:
    """Take SUBJECT off the allow-list; evidence counts again."""
    with opened() as app:
        app.disallow(subject)
    emit(as_json, {"subject": subject, "removed": True}, lambda _: click.echo(f"{subject} may be listed again"))


@allow.command("list")
@click.option("--all", "everything", is_flag=True, help="Warning lists and removals too.")
@as_json
def allow_list(everything: bool, as_json: bool) -> None:
    """Who is exempt, why, and until when."""
    with opened() as app:
        emit(as_json, app.exemption_rows(everything), screens.show_exemptions)


# keeping


@cli.group()
def store() -> None:
    """The store: check, copy, rebuild."""


@store.command("check")
@as_json
def store_check(as_json: bool) -> None:
    """Verify pages, references, and that derived tables follow from their reports."""
    with opened() as app:
        wrong = app.store.check()
        value = {"clean": not wrong, "wrong": wrong, "counts": app.store.counts() if not wrong else {}}
        emit(as_json, value, screens.show_store)
    if wrong:
        sys.exit(1)


@store.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
def store_backup(file: Path, as_json: bool) -> None:
    """Copy the store to FILE while it is in use."""
    if not file.absolute().parent.is_dir():
        raise DnsblError(f"{file}: cannot be written (its directory is not there)")
    with opened() as app:
        app.store.backup(file)
    emit(as_json, {"file": str(file)}, lambda _: click.echo(f"copied to {file}"))


@store.command("rebuild")
@as_json
def store_rebuild(as_json: bool) -> None:
    """Make evidence, listings and snapshots again from what was claimed."""
    with opened() as app, screens.progress() as progress:
        app.rebuild(progress)
        counts = app.store.counts()
    emit(
        as_json,
        counts,
        lambda _: click.echo(f"rebuilt: {counts['evidence']:,} evidence, {counts['listing']:,} listings"),
    )


@cli.command()
@as_json
def queries(as_json: bool) -> None:
    """What the running DNS processes were asked, and by whom most."""
    from .queries import asked

    emit(as_json, asked(settings().config.data_dir), screens.show_queries)


@cli.command()
@as_json
def version(as_json: bool) -> None:
    """Version, and whether the native path answers."""
    there = native.module is not None
    value = {"version": __version__, "native": there, "why": native.why}
    said = "yes" if there else "no"
    emit(as_json, value, lambda v: click.echo(f"dnsbl {v['version']}\nnative: {said} ({v['why']})"))
