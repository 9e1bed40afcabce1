"""Formats: one pure function each from a file's bytes to the subjects in it and the lines that were not taken.

    parse(data, "plain", FormatOptions()) -> model.Parsed

A bad line is a reject with its number and reason. A file that cannot be of its format at all is an IntakeError: an HTML
page, binary, JSON that does not parse, a column that is not there. What a file excepts is already taken out of
`Parsed.hits`. No format does I/O or reads the clock, and the same bytes always give the same result.
"""

from __future__ import annotations

from ...errors import IntakeError
from ...model import Parsed
from .base import Format, FormatOptions, NetworksOf
from .documents import parse_asn_drop, parse_drop_json, parse_warninglist
from .exclusions import apply_exclusions
from .misp import parse_misp
from .names import parse_adblock, parse_domains, parse_hosts
from .numbers import parse_numbers
from .plain import parse_counted, parse_dshield, parse_plain, parse_subjects
from .rbldnsd import TYPES, parser
from .records import parse_csv, parse_json, parse_ndjson
from .rpz import parse_rpz
from .sniff import looks_like_page, sniff
from .stix import parse_stix
from .zone import parse_zone

__all__ = ["FORMATS", "Format", "FormatOptions", "NetworksOf", "apply_exclusions", "looks_like_page", "parse", "sniff"]

FORMATS: dict[str, Format] = {
    found.name: found
    for found in (
        Format("plain", "addresses, networks and ranges, one a line", parse_plain),
        Format("counted", "addresses with the number of lists they are in (ipsum)", parse_counted),
        Format("drop", "Spamhaus DROP as text", parse_plain),
        Format("drop-json", "Spamhaus DROP as JSON lines", parse_drop_json),
        Format("asn-drop", "Spamhaus ASN-DROP as JSON lines, by the tables of networks", parse_asn_drop, ages=True),
        Format("dshield", "DShield block.txt", parse_dshield),
        Format("subjects", "subjects of any kind, one a line", parse_subjects),
        Format("domains", "names, with addresses among them", parse_domains),
        Format("hosts", "a hosts file that points names at nowhere", parse_hosts),
        Format("adblock", "AdBlock filter rules for whole names", parse_adblock),
        Format("rpz", "a response policy zone", parse_rpz, narrower_wins=True),
        *(
            Format(f"rbldnsd-{kind}", f"rbldnsd data file, {kind}", parser(kind), narrower_wins=True)
            for kind in (*TYPES, "combined")
        ),
        Format("csv", "rows with a column map", parse_csv),
        Format("ndjson", "JSON objects with a key map", parse_ndjson),
        Format("json", "one JSON document with a key map", parse_json),
        Format("misp", "MISP events", parse_misp),
        Format("stix", "STIX 2.1 indicators", parse_stix, ages=True),
        Format("numbers", "E.164 telephone numbers, one a line or the keys of a JSON object", parse_numbers),
        Format("dnsbl-zone", "another blocklist's zone, as transferred", parse_zone),
        Format("misp-warninglist", "MISP warning list: what may not be listed", parse_warninglist, exempt=True),
    )
}


def parse(data: bytes, format: str, options: FormatOptions | None = None) -> Parsed:
    """Read a list. Raises IntakeError where the file as a whole cannot be of this format, or no such format is."""
    found = FORMATS.get(format)
    if found is None:
        raise IntakeError(f"no format {format!r}; known: {', '.join(FORMATS)}")
    if reason := looks_like_page(data):
        raise IntakeError(f"not a list: {reason}")
    parsed = found.parse(data, options or FormatOptions())
    return apply_exclusions(parsed, found.narrower_wins)
