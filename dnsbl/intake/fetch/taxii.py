"""A TAXII 2.1 collection: its indicators, page after page, as one STIX bundle.

The whole collection is asked for each time: what is no longer in it is no longer claimed. (OASIS TAXII 2.1 sections
3.4 filtering, 3.5 pagination, 5.4 get objects.)
"""

from __future__ import annotations

from typing import Any

import orjson

from ...config import FeedDef
from .base import Fault, Outcome, Validators, faults_at, shown
from .http import Client

__all__ = ["MAX_PAGES", "from_taxii"]

MEDIA_TYPE = "application/taxii+json;version=2.1"
MAX_PAGES = 1000  # a request each; at a server's usual 1000 objects a page, a million
PER_PAGE = 1000  # objects we ask for; a server may give fewer
MAX_NEXT = 2000  # characters of a server's mark of the next page, which goes into a URL


async def from_taxii(feed: FeedDef, contact: str) -> Outcome:
    """All indicators and marking definitions of a collection. The marks say which of them may be passed on."""
    http = feed.model_copy(update={"url": feed.url.removeprefix("taxii+")})
    async with Client(http, contact, MEDIA_TYPE) as client:
        path = client.url.raw_path.rstrip("/") + "/objects/"
        url = client.url.with_path(path, encoded=True, keep_query=True)
        page = url.update_query({"match[type]": "indicator,marking-definition", "limit": str(PER_PAGE)})
        objects: list[bytes] = []
        for _ in range(MAX_PAGES):
            envelope = await client.get_object(page)
            with faults_at(url):
                objects += contents(envelope)
                following = next_page(envelope)
            if not following:
                bundle = b'{"type":"bundle","objects":[' + b",".join(objects) + b"]}"
                return bundle, Validators(), shown(url), client.size
            page = page.update_query(next=following)
        with faults_at(url):
            raise Fault(f"more than {MAX_PAGES} pages; it has no end, or its pages are too small")


def contents(envelope: dict[str, Any]) -> list[bytes]:
    """The objects of a page. Raises Fault where it is none."""
    objects = envelope.get("objects", [])
    if not isinstance(objects, list):
        raise Fault("its answer is no TAXII envelope; check the feed's url")
    return [orjson.dumps(item) for item in objects]


def next_page(envelope: dict[str, Any]) -> str:
    """The server's mark of the page that follows, nothing after the last. Raises Fault."""
    if not envelope.get("more"):
        return ""
    following = envelope.get("next")
    if not isinstance(following, str) or not 0 < len(following) <= MAX_NEXT:
        raise Fault("it says that there is more and not where; it cannot be taken whole")
    return following
