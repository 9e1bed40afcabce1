"""CSV (RFC 4180) and NDJSON: every entry with its codes and texts, for programs and spreadsheets.

    # zone ...                                       the head of a CSV file
    network,codes,text
    192.0.2.0/24,127.0.0.2 127.0.0.4,"192.0.2.0/24 sends spam | ..."

    {"zone":"bl.example","serial":7,...,"notes":[]}  the first line of NDJSON
    {"network":"192.0.2.0/24","codes":["127.0.0.2"],"texts":["192.0.2.0/24 sends spam"]}

The column is `network`, `name`, `hash` or `number`, as the zone's kind is. A name holds for all below it down to an
entry of its own; an entry without codes is exempt.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from ...clock import rfc3339
from ...config import CodeDef
from ..contents import Contents
from .entries import NOTE, Lines, Part, entries, public, told
from .text import about, header

__all__ = ["csv_lines", "ndjson_lines"]

COLUMNS = {"ip": "network", "domain": "name", "hash": "hash", "e164": "number"}
NOTES = (NOTE, "Not in it: sublists; since when and until when something is listed.")
NOTE_NAMES = "A name holds for all below it, down to a name of its own; one without codes is exempt with all below it."
BETWEEN = " | "  # texts of several codes in one cell


def notes(held: Contents) -> list[str]:
    return [*NOTES, *([NOTE_NAMES] if held.zone.kind == "domain" else [])]


def csv_lines(held: Contents) -> Iterator[str]:
    held = public(held)
    yield header(held, "#", notes(held)) + f"{COLUMNS[held.zone.kind]},codes,text\n"
    lines = Lines(held.zone, csv_line)
    yield from map(lines.of, entries(held))


def csv_line(codes: list[CodeDef]) -> Iterator[Part]:
    """A text is always quoted: lines of one file look alike."""
    yield None
    yield f',{" ".join(code.code for code in codes)},"'
    texts = [code.text for code in codes if code.text]
    for number, text in enumerate(texts):
        yield BETWEEN if number else ""
        yield from told(text, lambda part: part.replace('"', '""'))
    yield '"\n'


def ndjson_lines(held: Contents) -> Iterator[str]:
    held = public(held)
    zone = held.zone
    head = {
        "zone": zone.origin,
        "name": zone.name,
        "kind": zone.kind,
        "serial": held.serial,
        "made_at": rfc3339(held.made_at),
        "notes": [*about(held, notes(held))],
    }
    yield orjson.dumps(head).decode() + "\n"
    column = COLUMNS[zone.kind]
    lines = Lines(zone, lambda codes: ndjson_line(column, codes))
    yield from map(lines.of, entries(held))


def ndjson_line(column: str, codes: list[CodeDef]) -> Iterator[Part]:
    """Subjects need no escapes."""
    yield f'{{"{column}":"'
    yield None
    yield f'","codes":{orjson.dumps([code.code for code in codes]).decode()},"texts":['
    for number, text in enumerate(code.text for code in codes if code.text):
        yield ',"' if number else '"'
        yield from told(text, lambda part: orjson.dumps(part).decode()[1:-1])
        yield '"'
    yield "]}\n"
