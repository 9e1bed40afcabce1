"""What a request wants of a file: nothing that it has already, a range, a coding (RFC 9110 sections 8, 12, 13, 14).
Pure, of headers, which are untrusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from .problems import Problem

__all__ = ["Representation", "accepted", "has_it", "need_match", "wanted_part"]

SETTLED = 2  # seconds after which a time of whole seconds tells two versions apart (RFC 9110 section 8.8.2.2)
Range = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)
Item = re.compile(r"\s*([a-z0-9*_-]{1,20})\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*", re.IGNORECASE | re.ASCII)
OFFERED = ("zstd", "gzip")  # the one we like best first


@dataclass(slots=True, frozen=True)
class Representation:
    """One version of a thing in one coding. `modified`: seconds since 1970; None: not told, as it could mislead."""

    tag: str  # without quotes; strong
    modified: int | None
    headers: Mapping[str, str]

    @classmethod
    def of(cls, tag: str, made_at: int, now: int, headers: Mapping[str, str]) -> Representation:
        modified = made_at if made_at + SETTLED <= now else None
        return cls(tag, modified, {"ETag": f'"{tag}"', **last_modified(modified), **headers})


def last_modified(modified: int | None) -> dict[str, str]:
    if modified is None:
        return {}
    return {"Last-Modified": format_datetime(datetime.fromtimestamp(modified, UTC), usegmt=True)}


def need_match(request: web.Request, found: Representation) -> None:
    """`If-Match`, else `If-Unmodified-Since` (RFC 9110 section 13.2.2). Raises Problem 412."""
    if "If-Match" in request.headers:
        same = any(not each.is_weak and each.value in (found.tag, "*") for each in request.if_match or ())
    else:
        since = request.if_unmodified_since
        same = since is None or found.modified is None or found.modified <= since.timestamp()
    if not same:
        raise Problem(412, "this is another version than you name; ask without If-Match for the one there is now")


def has_it(request: web.Request, found: Representation) -> bool:
    """Whether the client says that it has this version: `If-None-Match`, else `If-Modified-Since`, which must be our
    time exactly: a zone is published some seconds after the time it is dated with, and a client's own time may lie
    between."""
    if "If-None-Match" in request.headers:
        return any(each.value in (found.tag, "*") for each in request.if_none_match or ())
    since = request.if_modified_since
    return since is not None and found.modified == since.timestamp()


def wanted_part(request: web.Request, found: Representation, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None: all of it, as for several ranges and what is no range. Raises
    Problem 416."""
    match = Range.fullmatch(request.headers.get("Range", ""))
    if match is None or request.method != "GET" or not match[1] + match[2] or not same_for_range(request, found):
        return None
    first, last = match[1], match[2]
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < start:  # no range (RFC 9110 section 14.1.1)
            return None
    if start >= size:
        raise Problem(416, f"there are {size} bytes, numbered from 0", {"Content-Range": f"bytes */{size}"})
    return start, stop


def same_for_range(request: web.Request, found: Representation) -> bool:
    """`If-Range`: an ETag or a time, of exactly this version."""
    said = request.headers.get("If-Range")
    return said is None or said.strip() in (f'"{found.tag}"', last_modified(found.modified).get("Last-Modified"))


def accepted(request: web.Request) -> str:
    """The coding to send: zstd, gzip or identity, which all can read."""
    said: dict[str, float] = {}
    for item in ",".join(request.headers.getall("Accept-Encoding", ())).split(","):
        if match := Item.fullmatch(item):
            said[match[1].lower()] = float(match[2] or 1)
    best = max(OFFERED, key=lambda coding: said.get(coding, 0.0))
    return best if said.get(best, 0.0) > 0 and said[best] >= said.get("identity", 0.0) else "identity"
