"""A directory of MISP events: `manifest.json`, and a `UUID.json` for each event it names.

The manifest says when each event last changed. Where nothing did, no event is fetched; where anything did, all are, as
no older ones are kept here. Of more than MAX_EVENTS the newest are taken. What comes out is one event a line.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import xxhash

from ...config import FeedDef
from .base import Fault, Outcome, Validators, faults_at, shown
from .http import Client

__all__ = ["MAX_EVENTS", "from_misp"]

MAX_EVENTS = 500  # a request each; older events are of little use to a blocklist
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # RFC 9562; also a safe file name


async def from_misp(feed: FeedDef, known: Validators, contact: str) -> Outcome:
    """The newest events of a feed's directory, one a line; None where its manifest is the one known."""
    async with Client(feed, contact, "application/json") as client:
        manifest = beside(client, "manifest.json")
        with faults_at(manifest):
            events = newest(await client.get_object(manifest))
        mark = f"misp-{xxhash.xxh3_128_hexdigest(repr(events).encode())}"
        if mark == known.etag:
            return None, known, shown(manifest), client.size
        lines = [orjson.dumps(await client.get_object(beside(client, f"{uuid}.json"))) for uuid, _ in events]
    return b"\n".join(lines), Validators(etag=mark), shown(manifest), client.size


def beside(client: Client, name: str) -> Any:
    """The URL of a file in the feed's directory; a query, which may be the feed's key, goes with it."""
    return client.url.with_path(client.url.raw_path + name, encoded=True, keep_query=True)


def newest(manifest: dict[str, Any]) -> list[tuple[str, int]]:
    """(UUID, time of its last change) of the events to fetch, newest first. Raises Fault: what is wrong in one place
    of a manifest is no reason to drop what that event had listed."""
    events = []
    for uuid, said in manifest.items():
        stamp = said.get("timestamp") if isinstance(said, dict) else None
        if not UUID.fullmatch(uuid) or not re.fullmatch(r"[0-9]{1,12}", str(stamp)):
            raise Fault("its manifest is not one of MISP events; check the feed's url")
        events.append((uuid, int(str(stamp))))
    return sorted(events, key=lambda event: (-event[1], event[0]))[:MAX_EVENTS]
