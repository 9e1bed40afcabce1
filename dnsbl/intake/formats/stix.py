"""STIX 2.1 bundles, and what TAXII collections give: their indicators (OASIS STIX 2.1 section 4.7).

    {"type":"bundle","objects":[{"type":"indicator","pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix",
                                 "valid_from":...,"indicator_types":["malicious-activity"],"labels":[...]}, ...]}

Of several versions of an indicator the newest counts; what is revoked, has run out or has not begun is counted only.
What is marked TLP red or amber is refused, in both versions of the marks. Observables (SCOs) on their own say what was
seen and not that it is bad: they are passed over, as is everything else. A reject's line is the object's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson

from ...errors import IntakeError, SubjectError
from ...model import Parsed
from .base import FormatOptions, address_keys, file_keys, name_key, take, without_bom, word_of
from .indicators import TLP_FORBIDS, PassedOver, email_keys, forbidding, network_keys, url_keys
from .patterns import comparisons

__all__ = ["parse_stix"]

# The marking definitions that every producer uses and need not send along (STIX 2.1 section 7.2.1.4; TLP 2.0
# extension definition).
FORBIDDING = frozenset(
    f"marking-definition--{number}"
    for number in (
        "f88d31f6-486f-44da-b317-01333bde0b82",  # amber
        "5e57c739-391a-4eb3-b6be-7d15ca92d5ed",  # red
        "55d920b0-5e8b-4f79-9ee9-91f868d9b421",  # amber, 2.0
        "939a9414-2ddd-4d32-a0cd-375ea402b003",  # amber+strict, 2.0
        "e828b379-4e03-4974-9ac4-e53a884c97c1",  # red, 2.0
    )
)
PATHS: dict[str, Callable[[str], list[bytes]]] = {
    "ipv4-addr:value": address_keys,
    "ipv6-addr:value": address_keys,
    "domain-name:value": lambda text: [name_key(text)],
    "url:value": url_keys,
    "email-addr:value": email_keys,
    "email-message:from_ref.value": email_keys,
    "email-message:sender_ref.value": email_keys,
    "file:hashes.SHA-256": file_keys,
    "network-traffic:dst_ref.value": network_keys,
    "network-traffic:src_ref.value": network_keys,
}


def parse_stix(data: bytes, options: FormatOptions) -> Parsed:
    """The subjects that valid indicators name. Raises IntakeError where the file is no bundle."""
    parsed, passed = Parsed(), PassedOver("indicators")
    objects = objects_of(data)
    marks = forbidding_marks(objects)
    for number, indicator in latest(objects):
        if why := out_of_force(indicator, options.now):
            passed.add(number, why)
            continue
        try:
            take_indicator(parsed, passed, number, indicator, marks, options)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return passed.say(parsed)


def take_indicator(
    parsed: Parsed,
    passed: PassedOver,
    number: int,
    indicator: dict[str, Any],
    marks: set[str],
    options: FormatOptions,
) -> None:
    """One indicator that is in force. Raises SubjectError."""
    if not marks.isdisjoint(marked(indicator)):
        raise SubjectError(TLP_FORBIDS)
    pattern = indicator.get("pattern")
    if indicator.get("pattern_type", "stix") != "stix":
        passed.add(number, "in another language than STIX patterns")
        return
    if not isinstance(pattern, str):
        raise SubjectError("an indicator without a pattern")
    known = [(PATHS[path], value) for path, value in comparisons(pattern) if path in PATHS]
    if not known:
        passed.add(number, "about what is no subject here")
        return
    words = [*texts(indicator.get("indicator_types")), *texts(indicator.get("labels"))]
    take(parsed, [key for keys, value in known for key in keys(value.strip())], options, 1, word_of(words, options))


def objects_of(data: bytes) -> list[Any]:
    """The objects of a bundle or TAXII envelope, or a bare list of them. Raises IntakeError."""
    try:
        value = orjson.loads(without_bom(data))
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {error}") from None
    objects = value.get("objects") if isinstance(value, dict) else value
    if not isinstance(objects, list):
        raise IntakeError("not a STIX bundle: it has no `objects`")
    if not any(isinstance(item, dict) and isinstance(item.get("type"), str) for item in objects) and objects:
        raise IntakeError("not a STIX bundle: its objects have no type")
    return objects


def latest(objects: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The newest version of each indicator (section 3.6), with its place from 1."""
    newest: dict[str, tuple[float, int, dict[str, Any]]] = {}
    for place, item in enumerate(objects, 1):
        if not isinstance(item, dict) or item.get("type") != "indicator":
            continue
        name, modified = str(item.get("id", place)), seconds(item.get("modified")) or 0.0
        if name not in newest or newest[name][0] <= modified:
            newest[name] = (modified, place, item)
    yield from ((place, item) for _, place, item in newest.values())


def out_of_force(indicator: dict[str, Any], now: int) -> str:
    """Why an indicator says nothing at present; "" where it does. Without a time nothing has run out."""
    if indicator.get("revoked") is True:
        return "revoked"
    until, since = seconds(indicator.get("valid_until")), seconds(indicator.get("valid_from"))
    if now and until is not None and until <= now:
        return "no longer valid"
    return "not yet valid" if now and since is not None and since > now else ""


def forbidding_marks(objects: list[Any]) -> set[str]:
    """The ids of marking definitions of TLP red and amber: those that all know, and those of this file."""
    found = set(FORBIDDING)
    for item in objects:
        if isinstance(item, dict) and item.get("type") == "marking-definition" and forbids(item):
            found.add(str(item.get("id")))
    return found


def forbids(mark: dict[str, Any]) -> bool:
    """TLP 1 has its colour in `definition`, TLP 2.0 in an extension; both have it in their name."""
    extensions = mark.get("extensions")
    holders = [mark.get("definition"), *(extensions.values() if isinstance(extensions, dict) else ())]
    colours = [holder.get(key) for holder in holders if isinstance(holder, dict) for key in ("tlp", "tlp_2_0")]
    return any(forbidding(text) for text in (mark.get("name"), *colours))


def marked(indicator: dict[str, Any]) -> set[str]:
    """The marks of an indicator; a mark on a part of it holds for all."""
    granular = indicator.get("granular_markings")
    parts = granular if isinstance(granular, list) else []
    refs = [part.get("marking_ref") for part in parts if isinstance(part, dict)]
    return {*texts(indicator.get("object_marking_refs")), *texts(refs)}


def texts(items: Any) -> list[str]:
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def seconds(stamp: Any) -> float | None:
    """Seconds since 1970 of a STIX timestamp; None where there is none."""
    if not isinstance(stamp, str) or len(stamp) > 40:
        return None
    try:
        at = datetime.fromisoformat(stamp)
        return at.timestamp() if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
