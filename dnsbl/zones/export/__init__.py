"""Export: a served zone as a file for other programs, streamed in chunks. One module for each family of formats.

A format is a function from `Contents` to text or bytes, chunk by chunk, or from the zone's definition to settings. What
it cannot say, it says in the file's first lines. What is exempt is listed in none of them.

    rbldnsd, bind, rpz      DNS servers and resolvers; the first two have the zone's test points
    cidr, nftables, ipset   networks for firewalls
    csv, ndjson, mmdb       data for programs
    postfix-cidr, ...       tables for mail servers, and settings that ask the zone by DNS
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...config import ZoneDef
from ...errors import DnsblError
from ..contents import Contents, contents
from ..served import ServedZone
from . import cidr, datasets, filters, firewall, mmdb, postfix, postfix_settings, rows, rpz
from .bind import lines as bind_lines
from .rbldnsd import lines as rbldnsd_lines

__all__ = ["FORMATS", "ExportFormat", "encoded", "export", "of_kind"]

TEXT = "text/plain; charset=utf-8"
ALL = ("ip", "domain", "hash", "e164")
IP = ("ip",)


@dataclass(slots=True, frozen=True)
class ExportFormat:
    """How others take a zone away. `suffix` is no other format's: files of all of them may be in one directory."""

    name: str
    about: str
    content_type: str
    suffix: str
    kinds: tuple[str, ...]  # of zones that it can carry
    chunks: Callable[[Contents], Iterable[str | bytes]]  # leaves what it is given as it is: it may serve another


def settings(write: Callable[[ZoneDef], Iterable[str]]) -> Callable[[Contents], Iterable[str]]:
    """A writer that needs the zone's definition alone."""
    return lambda held: write(held.zone)


FORMATS: dict[str, ExportFormat] = {
    entry.name: entry
    for entry in (
        ExportFormat(
            "rbldnsd", "one `combined` data file for rbldnsd: rbldnsd ORIGIN:combined:FILE",
            TEXT, ".rbldnsd", ALL, rbldnsd_lines,
        ),
        ExportFormat(
            "rbldnsd-ip4set", "a data file for rbldnsd with the IPv4 addresses: ORIGIN:ip4set:FILE",
            TEXT, ".ip4set", IP, datasets.ip4set_lines,
        ),
        ExportFormat(
            "rbldnsd-ip4trie", "a data file for rbldnsd with the IPv4 networks: ORIGIN:ip4trie:FILE; one code for each",
            TEXT, ".ip4trie", IP, datasets.ip4trie_lines,
        ),
        ExportFormat(
            "rbldnsd-ip6trie", "a data file for rbldnsd with the IPv6 networks: ORIGIN:ip6trie:FILE; one code for each",
            TEXT, ".ip6trie", IP, datasets.ip6trie_lines,
        ),
        ExportFormat(
            "rbldnsd-dnset", "a data file for rbldnsd with names: ORIGIN:dnset:FILE",
            TEXT, ".dnset", ("domain", "hash", "e164"), datasets.dnset_lines,
        ),
        ExportFormat(
            "bind", "a master file (RFC 1035) for BIND, NSD, Knot and others; addresses as wildcards",
            "text/dns", ".zone", ALL, bind_lines,  # RFC 4027
        ),
        ExportFormat(
            "rpz", "a response policy zone for resolvers: what is listed does not exist",
            "text/dns", ".rpz", ("ip", "domain"), rpz.lines,
        ),
        ExportFormat(
            "cidr", "networks, one a line, as they are listed",
            TEXT, ".cidr", IP, cidr.plain(4, 6),
        ),
        ExportFormat(
            "cidr4", "IPv4 networks, one a line, as they are listed",
            TEXT, ".cidr4", IP, cidr.plain(4),
        ),
        ExportFormat(
            "cidr6", "IPv6 networks, one a line, as they are listed",
            TEXT, ".cidr6", IP, cidr.plain(6),
        ),
        ExportFormat(
            "cidr-aggregated", "the fewest networks that cover what is listed, one a line",
            TEXT, ".aggregated", IP, cidr.aggregated(4, 6),
        ),
        ExportFormat(
            "cidr4-aggregated", "the fewest IPv4 networks that cover it",
            TEXT, ".aggregated4", IP, cidr.aggregated(4),
        ),
        ExportFormat(
            "cidr6-aggregated", "the fewest IPv6 networks that cover it",
            TEXT, ".aggregated6", IP, cidr.aggregated(6),
        ),
        ExportFormat(
            "csv", "a table (RFC 4180): what is listed, its codes and texts",
            "text/csv; charset=utf-8", ".csv", ALL, rows.csv_lines,
        ),
        ExportFormat(
            "ndjson", "what is listed, its codes and texts, as one JSON object a line",
            "application/x-ndjson", ".ndjson", ALL, rows.ndjson_lines,
        ),
        ExportFormat(
            "mmdb", "a MaxMind DB: codes and texts by address",
            "application/octet-stream", ".mmdb", IP, mmdb.chunks,
        ),
        ExportFormat(
            "nftables", "a script for `nft -f`: two sets, replaced at once",
            TEXT, ".nft", IP, firewall.nftables_lines,
        ),
        ExportFormat(
            "ipset", "a file for `ipset restore`: two sets, swapped in",
            TEXT, ".ipset", IP, firewall.ipset_lines,
        ),
        ExportFormat(
            "postfix-cidr", "a table for Postfix's check_client_access: REJECT with the text",
            TEXT, ".postfix-cidr", IP, postfix.cidr_lines,
        ),
        ExportFormat(
            "postscreen-cidr", "a table for Postfix's postscreen_access_list",
            TEXT, ".postscreen-cidr", IP, postfix.postscreen_lines,
        ),
        ExportFormat(
            "postfix", "settings for Postfix that ask the zone by DNS",
            TEXT, ".postfix.cf", ("ip", "domain"), settings(postfix_settings.lines),
        ),
        ExportFormat(
            "exim", "statements for Exim's ACLs that ask the zone by DNS",
            TEXT, ".exim", ("ip", "domain"), settings(filters.exim_lines),
        ),
        ExportFormat(
            "spamassassin", "rules for SpamAssassin that ask the zone by DNS",
            TEXT, ".spamassassin.cf", ("ip", "domain", "hash"), settings(filters.spamassassin_lines),
        ),
        ExportFormat(
            "rspamd", "an rbl.conf for rspamd that asks the zone by DNS",
            TEXT, ".rspamd.conf", ("ip", "domain", "hash"), settings(filters.rspamd_lines),
        ),
    )
}  # fmt: skip


def of_kind(kind: str) -> list[str]:
    """The formats that can carry a zone of a kind."""
    return [format.name for format in FORMATS.values() if kind in format.kinds]


def export(view: ServedZone, format: str) -> Iterator[bytes]:
    """The zone in a format, in chunks. Raises DnsblError where there is no such format, or it cannot carry such a
    zone."""
    if format not in FORMATS:
        raise DnsblError(f"no export format {format!r}; write one of {', '.join(FORMATS)}")
    chosen, kind = FORMATS[format], view.zone.kind
    if kind not in chosen.kinds:
        raise DnsblError(f"{format} cannot carry a zone of kind {kind}; use one of {', '.join(of_kind(kind))}")
    return encoded(chosen.chunks(contents(view)))


def encoded(chunks: Iterable[str | bytes]) -> Iterator[bytes]:
    """What a format writes, as octets; no chunk is empty."""
    for chunk in chunks:
        if chunk:
            yield chunk.encode("utf-8") if isinstance(chunk, str) else chunk
