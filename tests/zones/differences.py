"""Records of zones and of what changed in them, as master files have them: what tests of differences compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from unittest import mock

from worlds import World, zone

from dnsbl.store import Decision, ListingRow
from dnsbl.subjects import parse
from dnsbl.zones import maker
from dnsbl.zones.contents import Contents, contents
from dnsbl.zones.difference import Change, Step
from dnsbl.zones.export.bind import ByMask, lines, row_lines
from dnsbl.zones.recordset import name_rows
from dnsbl.zones.served import ServedZone

CODES = [
    {"code": "127.0.0.2", "categories": ["spam"], "text": "$ sent spam"},
    {"code": "127.0.0.3", "categories": ["malware"], "sublist": "bots"},
    {"code": "127.0.0.10", "categories": ["dynamic"], "text": "$ is dynamic", "sublist": "dyn"},
]
PLAIN = [{name: value for name, value in code.items() if name != "sublist"} for code in CODES]
ZONES = {
    "ip": zone("ip", "ip", codes=CODES),
    "domain": zone("domain", "domain", codes=PLAIN),
    "hash": zone("hash", "hash", codes=PLAIN),
    "phone": zone("phone", "e164", codes=PLAIN),
}
Records = set[tuple[str, str]]


def listed(made: World, name: str, wanted: Mapping[str, int], withheld: Mapping[str, int] | None = None) -> None:
    """Let these be a zone's listings, with the codes of their masks, as the sweep would write it. `withheld`: of these
    only the codes of another mask may be given away."""
    codes = {parse(subject): codes_text(mask) for subject, mask in wanted.items()}
    free = {key: text for key, text in codes.items() if not made.exemptions().covers(key, name)}
    before = {key: text for rows in made.store.listing_chunks(name, b"", b"\xff") for key, text in rows}
    written = [ListingRow(key, text, made.now, None, None) for key, text in free.items() if before.get(key) != text]
    left = [key for key in before if key not in free]
    journal = [(row.subject, row.codes) for row in written] + [(key, "") for key in left]
    kept = {parse(subject): codes_text(mask) for subject, mask in (withheld or {}).items() if parse(subject) in free}
    known = made.store.withheld_of(name, sorted({*before, *free}))
    turned = [(key, text) for key, text in kept.items() if known.get(key) != text]
    given = [key for key in known if key not in kept]
    looked = [*(key for key, _ in turned), *given]
    made.store.decide(made.now, {name: Decision(written, left, journal, turned, given, looked)}, [])


def codes_text(mask: int) -> str:
    return " ".join(code["code"] for number, code in enumerate(CODES) if mask >> number & 1)  # type: ignore[misc]


def publish(made: World, name: str, whole: bool) -> ServedZone:
    """As a whole build, or as a delta where it can be one."""
    with mock.patch.object(maker, "DELTA_FLOOR", 0 if whole else 10_000):
        made.publish(name, force=whole)
    return made.served(name)


def records(held: Contents) -> Records:
    """(owner, type and data) of all that a master file has below the origin; no record twice."""
    return said(lines(held))


def said(text: Iterable[str]) -> Records:
    found: list[tuple[str, str]] = []
    owner = ""
    for line in "".join(text).splitlines():
        name, tab, data = line.partition("\t")
        if tab:
            owner = name or owner
            found.append((owner, data))
    below = [record for record in found if record[0] != "@"]
    assert len(set(below)) == len(below)
    return set(below)


def of_change(step: Step, change: Change) -> Records:
    zone = step.zone
    names = row_lines(name_rows(change.names, zone), "", ByMask(zone))
    return records(Contents(zone, 1, 1, change.ip4, change.ip6, change.deep)) | said(names)


def check(old: ServedZone, new: ServedZone, step: Step | None) -> None:
    """A step leads from the records of the one to those of the other."""
    assert step is not None
    before, after = records(contents(old)), records(contents(new))
    removed, added = of_change(step, step.removed), of_change(step, step.added)
    assert removed <= before
    assert added <= after
    assert (before - removed) | added == after
    assert (step.old, step.new, step.made_at) == (old.serial, new.serial, new.made_at)
