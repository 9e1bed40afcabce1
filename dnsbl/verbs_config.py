"""`config check`: every mistake in the files, and in what they name: formats, certificates, tables of networks."""

from __future__ import annotations

import ssl
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import config
from .config import FollowConfig, Settings, TrapConfig
from .errors import ConfigError, IntakeError, TransferError
from .verbs import as_json, emit

if TYPE_CHECKING:
    from .geo import Rows

__all__ = ["config_group"]

ROWS = 100  # of a table that are looked at: reading all of it takes a second
OUT_OF_DATE = {9: "is not valid yet", 10: "has expired"}  # what OpenSSL verifies, by its numbers (x509_vfy.h)


@click.group("config")
def config_group() -> None:
    """The configuration."""


@config_group.command("check")
@as_json
def config_check(as_json: bool) -> None:
    """Read everything and name every mistake."""
    found, mistakes = config.look(click.get_current_context().obj)
    mistakes += [*formats(found), *certificate(found.config.trap), *tables(found.config.geo.directory)]
    mistakes += [*exports(found), *travels(found)]
    if mistakes and not as_json:
        raise ConfigError(mistakes)
    value: dict[str, object] = {"good": not mistakes, "mistakes": mistakes}
    if not mistakes:
        value |= {"zones": list(found.zones), "feeds": list(found.feeds)}
    emit(as_json, value, lambda _: click.echo(f"good: {len(found.zones)} zones, {len(found.feeds)} feeds"))
    if mistakes:
        sys.exit(1)


def formats(found: Settings) -> Iterator[str]:
    """Feeds whose format is none that there is."""
    from .intake.formats import FORMATS

    known = ", ".join(FORMATS)
    for feed in found.feeds.values():
        if feed.format not in FORMATS:
            yield f"feed {feed.name}: no format {feed.format!r}; there are {known}"


def exports(found: Settings) -> Iterator[str]:
    """Files that are wanted of zones or in formats that are not there, or that no zone can be had as."""
    from .zones.export import FORMATS

    for number, each in enumerate(found.config.export, 1):
        where = f"export {number} ({each.directory})"
        for zone in each.zones:
            if zone not in found.zones:
                yield f"{where}: no zone {zone!r}; there are {', '.join(found.zones)}"
        kinds = {zone.kind for name, zone in found.zones.items() if not each.zones or name in each.zones}
        for format in each.formats:
            if format not in FORMATS:
                yield f"{where}: no export format {format!r}; there are {', '.join(FORMATS)}"
            elif not kinds & set(FORMATS[format].kinds):
                yield f"{where}: {format} can carry none of its zones"


def travels(found: Settings) -> Iterator[str]:
    """What zones travel by: names of zones that are not there, files that cannot be read, keys that are none."""
    dns, known = found.config.dns, ", ".join(found.zones)
    for each in dns.secondaries:
        for zone in each.zones:
            if zone not in found.zones:
                yield f"dns.secondaries: {each.address}: no zone {zone!r}; there are {known}"
    if dns.catalog and dns.catalog.lower() in {zone.origin for zone in found.zones.values()}:
        yield f"dns.catalog: {dns.catalog} is the origin of a zone; the catalog needs a name of its own"
    if dns.tls_listen:
        yield from closed("dns.tls_cert", dns.tls_cert)
        yield from closed("dns.tls_key", dns.tls_key)
    for follow in found.config.follow:
        where = f"follow: {follow.zone}"
        if follow.zone not in found.zones:
            yield f"{where}: no such zone; there are {known}; write its file as the primary has it"
        if follow.tls or follow.url:
            yield from closed(f"{where}: tls_ca", follow.tls_ca)
        if follow.url:
            yield from (f"{where}: {mistake.removeprefix('follow: ')}" for mistake in website(follow))


def website(follow: FollowConfig) -> Iterator[str]:
    """What keeps a zone from being taken over HTTPS, before anybody is asked."""
    from .following.http import Web
    from .following.minisign import PublicKey

    try:
        PublicKey(follow.public_key)
    except ConfigError as error:
        yield from error.mistakes
    try:
        Web(follow.url, "")
    except (TransferError, ValueError) as error:
        yield str(error)


def closed(name: str, path: Path | None) -> Iterator[str]:
    """Whether a file that is named cannot be read."""
    try:
        if path is not None:
            path.open("rb").close()
    except OSError as error:
        yield f"{name}: {path}: cannot be read ({error.strerror})"


def certificate(trap: TrapConfig) -> Iterator[str]:
    """What is wrong with the trap's certificate and key."""
    if trap.tls_cert is None or trap.tls_key is None:
        return
    for name, path in (("tls_cert", trap.tls_cert), ("tls_key", trap.tls_key)):
        try:
            path.open("rb").close()
        except OSError as error:
            yield f"trap.{name}: {path}: cannot be read ({error.strerror})"
            return
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(trap.tls_cert, trap.tls_key, password=lambda: "")  # a locked key fails, and asks nobody
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or "not PEM, or a locked key"
        yield f"trap.tls_cert: {trap.tls_cert} cannot be used with the key {trap.tls_key} ({why})"
        return
    if why := out_of_date(server, trap.tls_cert):
        yield f"trap.tls_cert: {trap.tls_cert} {why}; get a new one"


def out_of_date(server: ssl.SSLContext, cert: Path) -> str:
    """Whether it is too early or too late for a certificate, asked of OpenSSL: a client that trusts nothing but this
    certificate greets a server that has it, in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(cafile=cert)
        greeter, greeted = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
        for side in (greeter, greeted, greeter):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return OUT_OF_DATE.get(error.verify_code, "")  # who signed it is not asked here
    except ssl.SSLError as error:
        return f"cannot be used ({error.reason or error})"
    return ""


def tables(directory: Path | None) -> Iterator[str]:
    """What is wrong with the tables of networks, as far as their first rows show it."""
    if directory is None:
        return
    from .geo import Networks, Rows, Table, code, number

    try:
        Networks.load(directory)
    except IntakeError as error:
        yield f"geo.directory: {error}"
    for what, value in (("asn", number), ("country", code)):
        for version in (4, 6):
            path = Table(directory, what, version, value).path()
            if path and (why := unreadable(path, Rows(version, value, named=False))):
                yield f"geo.directory: {path}: {why}"


def unreadable(path: Path, rows: Rows) -> str:
    """Why a file is no such table; "" where it has a row."""
    from .geo import each_line

    try:
        for line in islice(each_line(path), ROWS):
            rows.take(line)
    except (OSError, EOFError, zlib.error, IntakeError) as error:
        return f"cannot be read ({error})"
    return "" if rows.values else f"none of its first {ROWS} lines is a row of such a table"
