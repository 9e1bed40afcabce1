"""MISP events (misp-rfc, core format): the attributes that are meant for detection.

    {"Event":{"Tag":[...],"Attribute":[{"type":"ip-src","value":"192.0.2.1","category":...,"to_ids":true}],"Object":[...]}}

One event a line, as the directory of a MISP feed is fetched; one event; or a list of events, as a MISP server answers.
An attribute's words are its tags, its event's tags, its type and its category: the first that the feed's map knows
says what it is. A tag tlp:red or tlp:amber, of the event or the attribute, refuses it. A reject's line is the
attribute's place in the file, from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ...errors import IntakeError, SubjectError
from ...model import Parsed
from .base import FormatOptions, address_keys, file_keys, name_key, take, without_bom, word_of
from .indicators import TLP_FORBIDS, PassedOver, email_keys, forbidding, network_keys, url_keys

__all__ = ["parse_misp"]

MAX_REASONS = 100  # types of attributes that are counted one by one


def name_keys(text: str) -> list[bytes]:
    return [name_key(text.strip())]


def ip_keys(text: str) -> list[bytes]:
    return address_keys(text.strip())


def both(text: str) -> list[bytes]:
    """`domain|ip`: each of them. Raises SubjectError."""
    name, _, address = text.partition("|")
    return [*name_keys(name), *ip_keys(address)]


def first(keys: Callable[[str], list[bytes]]) -> Callable[[str], list[bytes]]:
    """`ip-src|port`: what stands before the bar."""
    return lambda text: keys(text.partition("|")[0])


def second(keys: Callable[[str], list[bytes]]) -> Callable[[str], list[bytes]]:
    """`filename|sha256`: what stands after the bar."""
    return lambda text: keys(text.rpartition("|")[2])


TYPES: dict[str, Callable[[str], list[bytes]]] = {
    "ip-src": ip_keys,
    "ip-dst": ip_keys,
    "ip-src|port": first(ip_keys),
    "ip-dst|port": first(ip_keys),
    "domain": name_keys,
    "hostname": name_keys,
    "hostname|port": first(network_keys),
    "domain|ip": both,
    "url": url_keys,
    "email": email_keys,
    "email-src": email_keys,
    "email-reply-to": email_keys,
    "sha256": file_keys,
    "filename|sha256": second(file_keys),
}


def parse_misp(data: bytes, options: FormatOptions) -> Parsed:
    """The attributes with `to_ids`, of the types above; other types are counted. Raises IntakeError."""
    parsed, passed = Parsed(), PassedOver("attributes")
    number = 0
    for event in events(data, parsed):
        tags = tag_names(event)
        for attribute in attributes(event):
            number += 1
            if attribute.get("to_ids") not in (True, 1, "1") or attribute.get("deleted") in (True, 1, "1"):
                continue
            try:
                take_attribute(parsed, passed, number, attribute, tags, options)
            except SubjectError as error:
                parsed.reject(number, str(error))
    return passed.say(parsed)


def take_attribute(
    parsed: Parsed, passed: PassedOver, number: int, attribute: dict[str, Any], tags: list[str], options: FormatOptions
) -> None:
    """One attribute that is meant for detection. Raises SubjectError."""
    kind, value, own = attribute.get("type"), attribute.get("value"), tag_names(attribute)
    if any(forbidding(tag) for tag in (*own, *tags)):
        raise SubjectError(TLP_FORBIDS)
    if not isinstance(kind, str) or not isinstance(value, str):
        raise SubjectError("an attribute without type or value")
    if kind not in TYPES:
        known = len(passed.counts) < MAX_REASONS
        passed.add(number, f"no subject here, type {kind[:40]}" if known else "no subject here, of many other types")
        return
    take(parsed, TYPES[kind](value), options, 1, word_of((*own, *tags, kind, attribute.get("category")), options))


def events(data: bytes, parsed: Parsed) -> Iterator[dict[str, Any]]:
    """Every event of a file. Raises IntakeError where there is something and no event."""
    data = without_bom(data)
    try:
        found = [orjson.loads(data)]
    except orjson.JSONDecodeError:
        found = [value(line) for line in data.splitlines() if line.strip()]
    if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("response"), list):
        found = found[0]["response"]
    elif len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    some = False
    for place, item in enumerate(found, 1):
        event = item.get("Event") if isinstance(item, dict) else None
        if isinstance(event, dict):
            some = True
            yield event
        else:
            parsed.reject(place, "not a MISP event")
    if found and not some:
        raise IntakeError("not MISP: there is no event in it")


def value(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def attributes(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An event's attributes and those of its objects."""
    for holder in (event, *dicts(event.get("Object"))):
        yield from dicts(holder.get("Attribute"))


def tag_names(holder: dict[str, Any]) -> list[str]:
    return [tag["name"] for tag in dicts(holder.get("Tag")) if isinstance(tag.get("name"), str)]


def dicts(items: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; none where it is no list."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
