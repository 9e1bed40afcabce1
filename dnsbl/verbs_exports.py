"""Verbs that give zones away: files in other programs' formats, what changed since a serial, the key that signs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from . import screens
from .config import Settings, ZoneDef
from .errors import DnsblError, IntakeError
from .verbs import as_json, emit, settings

if TYPE_CHECKING:
    from .exporting.manifest import Line
    from .exporting.writing import Written

__all__ = ["delta", "export", "files", "public_key"]

NICE = 10  # how far a job in the background goes behind whoever answers


class WithFormats(click.Command):
    """Its help names the formats, which are read only when somebody asks."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from .zones.export import FORMATS

        with formatter.section("Formats"):
            formatter.write_dl([(each.name, each.about) for each in FORMATS.values()])


@click.command("export", cls=WithFormats)
@click.argument("name")
@click.option("--format", "format", required=True, help="One of those below.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else standard output.")
@click.option("--compress", type=click.Choice(["gzip", "zstd"]), default=None, help="Pack it.")
@click.option("--manifest", is_flag=True, help="Beside it FILE.json: its serial, count, size and sha256.")
@click.option("--sign", is_flag=True, help="Beside it FILE.minisig, for minisign -V.")
@as_json
def export(
    name: str, format: str, output: Path | None, compress: str | None, manifest: bool, sign: bool, as_json: bool
) -> None:
    """Write a published zone for another program."""
    if output is None and (manifest or sign or as_json):
        what = "--manifest" if manifest else "--sign" if sign else "--json"
        raise click.UsageError(f"{what} needs -o FILE: standard output is the zone itself")
    from .exporting.manifest import line_of
    from .exporting.taking import given_view, need_format
    from .exporting.writing import packed
    from .zones.export import export as exported

    found = settings()
    need_format(zone_in(found, name), format)
    view = given_view(found.config.data_dir, name)
    content = exported(view, format)
    with screens.progress() as progress:
        content = watched(packed(content, compress) if compress else content, progress, f"bytes of {name}")
        if output is None:
            sys.stdout.buffer.writelines(content)
            sys.stdout.flush()
            return
        written = written_to(output, content)
    line = replace(line_of(view, format, compress or "identity", written), file=output.name)
    if manifest:
        written_to(beside(output, ".json"), [orjson.dumps(line.document(), option=orjson.OPT_APPEND_NEWLINE)])
    if sign:
        written_to(beside(output, ".minisig"), [signature(found, written, line)])
    emit(as_json, line.document(), lambda _: None)


def zone_in(found: Settings, name: str) -> ZoneDef:
    zone = found.zones.get(name)
    if zone is None:
        raise IntakeError(f"no zone {name!r}; there are {', '.join(found.zones)}")
    return zone


def watched(content: Iterable[bytes], progress: Callable[..., None], what: str) -> Iterator[bytes]:
    for chunk in content:
        progress(what, len(chunk))
        yield chunk


def written_to(output: Path, content: Iterable[bytes]) -> Written:
    """A file, complete when it has its name; or a stream. Raises DnsblError."""
    from .exporting.writing import write, write_to

    try:
        if output.exists() and not output.is_file():  # /dev/stdout, a FIFO: nothing to put in its place
            with output.open("wb") as stream:
                return write_to(stream, content)
        return write(output, content)
    except OSError as error:
        raise DnsblError(f"{output}: cannot be written ({error.strerror})") from error


def beside(output: Path, suffix: str) -> Path:
    return output.with_name(output.name + suffix)


def signature(found: Settings, written: Written, line: Line) -> bytes:
    from .zones.signing import Signer

    return Signer(keyed(found)).sign(written.digest, line.comment()).encode("utf-8")


def keyed(found: Settings) -> Any:
    from .keyed import Keyed

    return Keyed(found.config.data_dir)


@click.command("delta")
@click.argument("name")
@click.option("--since", type=click.IntRange(0, 2**32 - 1), required=True, help="The serial that you have.")
@as_json
def delta(name: str, since: int, as_json: bool) -> None:
    """What changed in a zone since a serial: lines with - left it, lines with + are in it."""
    from .exporting import deltas
    from .exporting.taking import given_view

    found = settings()
    zone_in(found, name)
    view = given_view(found.config.data_dir, name)
    step = deltas.step_since(found.config.data_dir, view, since)
    whole = f"dnsbl zone export {name} --format {deltas.WHOLE}"
    if as_json:
        sys.stdout.buffer.writelines(deltas.document(view, since, step, whole))
        sys.stdout.flush()
    elif step:
        for sign, rows in zip("-+", deltas.changed(step), strict=True):
            for row in rows:
                click.echo(f"{sign} {row['subject']} {' '.join(row['codes']) or 'exempt'}")
    elif since != view.serial:
        raise DnsblError(f"what changed in zone {name} since {since} is not kept; take it whole: `{whole}`")


@click.command("files")
@click.option("--only", type=click.IntRange(0), default=None, hidden=True, help="Of [[export]], by number from 0.")
@click.option("--directory", type=click.Path(path_type=Path), default=None, hidden=True, help="What --only has to be.")
@click.option("--background", is_flag=True, hidden=True, help="Leave the processor to others.")
@as_json
def files(only: int | None, directory: Path | None, background: bool, as_json: bool) -> None:
    """Bring the files of every [[export]] up to date, as the server does by itself."""
    from .exporting.directory import Directory
    from .zones.signing import Signer

    if background:
        os.nice(NICE)
    found = settings()
    wanted = [each for number, each in enumerate(found.config.export) if only in (None, number)]
    if directory is not None and [each.directory for each in wanted] != [directory]:
        raise DnsblError(
            f"{directory}: [[export]] has changed in dnsbl.toml: restart the server; its files stay as they are"
        )
    if not wanted:
        raise DnsblError("no [[export]] in the configuration says which files are wanted")
    signer = Signer(keyed(found))
    rows = []
    for each in wanted:
        brought = Directory(each, found.config.data_dir, found.zones, signer).update()
        rows.append({"directory": str(each.directory), **brought.document()})
    emit(as_json, rows, show_files)
    if any(row["failed"] for row in rows):
        sys.exit(1)


def show_files(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        counts = ", ".join(f"{len(row[what])} {what}" for what in ("written", "unchanged", "removed"))
        click.echo(f"{row['directory']}: {counts}")
        for why in row["failed"]:
            click.echo(f"dnsbl: {why}", err=True)


@click.command("public-key")
@as_json
def public_key(as_json: bool) -> None:
    """The key that checks our signatures, as minisign has it: a .pub file; its last line is for -P and [[follow]]."""
    from .zones.signing import Signer

    signer = Signer(keyed(settings()))
    emit(as_json, {"public_key": signer.public_key}, lambda _: click.echo(signer.public_text, nl=False))
