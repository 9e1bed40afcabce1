"""JSON formats of one publisher each.

    drop-json         {"cidr":"192.0.2.0/20","sblid":"SBL1","rir":"apnic"}     Spamhaus DROP as JSON lines, which end
                      {"type":"metadata","records":1693,...}                   in how many records there should be
    asn-drop          {"asn":65551,"rir":"arin","domain":"x.example",...}      Spamhaus ASN-DROP: autonomous systems
    misp-warninglist  {"name":...,"type":"cidr|hostname|string","list":[...]}  MISP: what is not to be called bad

A warning list of patterns (`regex`) is refused as a whole; the parts of names in a `substring` list are rejects.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...errors import IntakeError, SubjectError
from ...model import Parsed
from .base import FormatOptions, address_keys, subject_keys, take
from .records import json_lines

__all__ = ["parse_asn_drop", "parse_drop_json", "parse_warninglist"]

MAX_ASN = 2**32 - 1  # RFC 6793


def parse_drop_json(data: bytes, options: FormatOptions) -> Parsed:
    """Networks under `cidr`; the closing metadata's `records` becomes `Parsed.claimed`."""
    parsed = Parsed()
    for number, record in json_lines(data, parsed):
        if record.get("type") == "metadata":
            parsed.claimed = number_in(record.get("records"))
            continue
        try:
            take(parsed, cidr_keys(record.get("cidr")), options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def parse_asn_drop(data: bytes, options: FormatOptions) -> Parsed:
    """The networks of each autonomous system under `asn`, from the tables of the caller. Raises IntakeError where there
    are none, or where there are other records than the closing metadata says."""
    if options.networks_of is None:
        raise IntakeError("autonomous systems are known by number only: set directory in [geo] to tables of networks")
    parsed, records, claimed = Parsed(), 0, None
    for number, record in json_lines(data, parsed):
        if record.get("type") == "metadata":
            claimed = number_in(record.get("records"))
            continue
        records += 1
        asn = number_in(record.get("asn"))
        networks = options.networks_of(asn) if asn and asn <= MAX_ASN else []
        if not networks:
            parsed.reject(number, f"AS{asn} has no network in the tables" if asn else "no number of a system")
        for key in networks:
            take_network(parsed, number, key, options)
    if claimed not in (None, records):
        raise IntakeError(f"it was cut: it says it has {claimed:,} records, and {records:,} are there")
    return parsed


def take_network(parsed: Parsed, number: int, key: bytes, options: FormatOptions) -> None:
    try:
        take(parsed, [key], options)
    except SubjectError as error:
        parsed.reject(number, str(error))


def number_in(value: Any) -> int | None:
    """A JSON value that is a whole number and none below 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def cidr_keys(cidr: Any) -> list[bytes]:
    if not isinstance(cidr, str):
        raise SubjectError("no cidr")
    return address_keys(cidr.strip())


def parse_warninglist(data: bytes, options: FormatOptions) -> Parsed:
    """The entries of a warning list; a reject's line is the entry's place in the list. Raises IntakeError."""
    kind, entries = warninglist(data)
    parsed = Parsed()
    for number, entry in enumerate(entries, 1):
        try:
            take(parsed, entry_keys(kind, entry), options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def warninglist(data: bytes) -> tuple[str, list[Any]]:
    """Type and entries. Raises IntakeError."""
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("list"), list):
        raise IntakeError("not a MISP warning list: it has no `list`")
    kind = value.get("type", "string")
    if kind == "regex":
        raise IntakeError("a warning list of regular expressions names no subjects")
    if kind not in ("cidr", "hostname", "string", "substring"):
        raise IntakeError(f"a warning list of unknown type {str(kind)[:40]!r}")
    return str(kind), value["list"]


def entry_keys(kind: str, entry: Any) -> list[bytes]:
    if not isinstance(entry, str) or not entry.strip():
        raise SubjectError("not text")
    entry = entry.strip()
    if kind == "substring":
        raise SubjectError("a part of a name, not a name")
    if kind == "cidr":
        return address_keys(entry)
    if "://" in entry:
        raise SubjectError("a URL, not a name")
    return subject_keys(entry)
