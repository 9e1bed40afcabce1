"""Fetch a feed: from its URL to its bytes, or the news that nothing has changed.

    https, http          one GET, with redirects                              http, bodies, addresses
    file                 a file on this host                                  files
    https://.../ (misp)  a directory of MISP events                           misp
    taxii+https          a TAXII 2.1 collection, page by page                 taxii
    rsync                a file of an rsync module                            rsync
    dns                  another blocklist's zone, by transfer                transfer, listing, kept

What comes back is foreign at every step, so every step has a limit that the other side cannot move:

    where     only what the declaration names; redirects are checked like the first URL, and credentials stay with the
              origin they were given for
    whom      only public addresses, unless the feed is `private`, and the very addresses that were checked
    how much  `max_bytes`, for the bytes on the wire and again for what they decompress to
    how long  `timeout`, for all of it: look-ups, redirects, every page

A body that ends early is an error and never content. Whether content is to be believed is asked later, by `health`.
Secrets are named in the declaration as `$NAME` and taken from the environment when they are sent.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from ...config import FeedDef
from ...errors import FetchError
from .base import AGAIN, Fetched, Outcome, Validators, shown
from .files import from_file
from .http import MAX_REDIRECTS, from_http
from .kept import keep_base
from .misp import from_misp
from .rsync import from_rsync
from .taxii import from_taxii
from .transfer import from_transfer

__all__ = ["MAX_REDIRECTS", "Fetched", "Validators", "applied", "fetch"]


async def fetch(feed: FeedDef, known: Validators, *, contact: str = "", kept: Path | None = None) -> Fetched:
    """The feed's bytes as they are now, or `data=None` where `known` still holds. `contact` is the operator's public
    URL, sent so that a feed's owner knows whom to ask. `kept` is the file that `applied` writes. Raises FetchError with
    one sentence, and nothing else."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with asyncio.timeout(feed.timeout):
            data, validators, url, size = await on_its_way(feed, known, contact, kept)
    except TimeoutError:
        # From None, here and below: aiohttp's own messages hold whole URLs, and with them keys.
        raise FetchError(
            f"{shown(feed.url)}: not done within {feed.timeout} s; {AGAIN}, "
            "raise the feed's timeout if it is always this slow"
        ) from None
    return Fetched(data, validators, url, loop.time() - started, size)


def applied(feed: FeedDef, fetched: Fetched, kept: Path) -> None:
    """Content was believed and applied: where a next fetch can start from it, keep it in the file `kept`."""
    if urlsplit(feed.url).scheme == "dns" and fetched.data is not None and fetched.validators.etag:
        keep_base(feed, kept, fetched.validators.etag, fetched.data)


async def on_its_way(feed: FeedDef, known: Validators, contact: str, kept: Path | None) -> Outcome:
    """Fetch in the way that the URL's scheme and the format ask for. Raises FetchError and TimeoutError."""
    match urlsplit(feed.url).scheme:
        case "file":
            return await from_file(feed, known)
        case "rsync":
            return await from_rsync(feed, known)
        case "dns":
            return await from_transfer(feed, known, kept)
        case "taxii+https" | "taxii+http":
            return await from_taxii(feed, contact)
    if feed.format == "misp" and urlsplit(feed.url).path.endswith("/"):
        return await from_misp(feed, known, contact)
    return await from_http(feed, known, contact)
