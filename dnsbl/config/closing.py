"""The end of a zone, by the recipe of RFC 6471 section 3.4: it lists nothing, its name servers have addresses of
TEST-NET, where nobody is (RFC 5737), so that queries are lost on the way, and who still asks is told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["HOSTS", "closed"]

HOSTS = {"u1": "192.0.2.1", "u2": "192.0.2.2", "u3": "192.0.2.3"}  # label below the origin -> its address
TTL = 604_800  # seconds


def closed(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a zone's file says, with what `shutdown = true` makes of it. Doing it again changes nothing."""
    origin = str(said.get("origin", "")).rstrip(".").lower()
    notice = f"{origin} is shut down and lists nothing: take it out of the configuration of your mail software"
    apex = dict(said.get("apex") or {})
    texts = apex.get("txt") or []
    apex["txt"] = [notice, *(text for text in texts if text != notice)]
    return {**said, "ns": [f"{label}.{origin}" for label in HOSTS], "ns_ttl": TTL, "apex": apex}
