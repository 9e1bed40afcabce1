"""Over HTTP: one checked hop after another, at most MAX_REDIRECTS, none from https down to http.

What the feed's declaration gives for the way (userinfo, headers) is sent to the origin of the feed's URL and to no
other, and not again once a redirect has left it.
"""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Any

import aiohttp
import orjson
from yarl import URL

from ... import __version__
from ...config import FeedDef
from ...errors import FetchError
from .addresses import CheckedResolver, check_host
from .base import AGAIN, Fault, Outcome, TooLarge, Validators, faults_at, filled, shown, validator
from .bodies import CHUNK, Body

__all__ = ["MAX_REDIRECTS", "Client", "from_http", "next_hop"]

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4; 300 leaves the choice to a person
NOTHING = Validators()


async def from_http(feed: FeedDef, known: Validators, contact: str) -> Outcome:
    """Follow the feed's URL to its content."""
    async with Client(feed, contact) as client:
        data, fresh, url = await client.get(client.url, known)
    return data, fresh, url, client.size


class Client:
    """Asks one feed's server, once or many times: all the answers together are no larger than the feed may be."""

    def __init__(self, feed: FeedDef, contact: str, accept: str = "*/*") -> None:
        """`accept` is what the feed's protocol calls its content. Raises FetchError where the URL is none, or a secret
        is not in the environment."""
        self.feed = feed
        self.size = 0  # bytes on the wire
        self._taken = 0  # bytes of all bodies, decompressed
        with faults_at(feed.url):
            self.url, auth = without_userinfo(feed.url)
            self._secrets = {**auth, **{name: filled(value) for name, value in feed.headers.items()}}
        self._session = session(feed.private, contact, accept)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, url: URL, known: Validators = NOTHING) -> tuple[bytes | None, Validators, str]:
        """(data, validators, URL of the last hop); data is None where `known` still holds. Raises FetchError."""
        start, secrets = url, self._secrets if url.origin() == self.url.origin() else {}
        for _ in range(MAX_REDIRECTS + 1):
            with faults_at(url):
                check_host(url.raw_host or "", self.feed.private)
                headers = {**known.headers(), **secrets}
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status not in REDIRECTS:
                        return await self._content(response, known)
                    onward = next_hop(url, response.headers.get("Location", ""))
            secrets = secrets if onward.origin() == url.origin() else {}  # once gone, gone: no hop can bring it back
            url = onward
        raise FetchError(f"{shown(start)}: more than {MAX_REDIRECTS} redirects; set the feed's url to where they end")

    async def get_object(self, url: URL) -> dict[str, Any]:
        """The JSON object at a URL. Raises FetchError."""
        data, _, _ = await self.get(url)
        with faults_at(url):
            try:
                value = orjson.loads(data or b"")
            except orjson.JSONDecodeError:
                raise Fault(f"not JSON; {AGAIN}") from None
            if not isinstance(value, dict):
                raise Fault("not a JSON object; check the feed's url and format")
            return value

    async def _content(
        self, response: aiohttp.ClientResponse, known: Validators
    ) -> tuple[bytes | None, Validators, str]:
        """The last hop's answer. Raises Fault unless it is 200, or 304 to a question that was asked."""
        fresh = Validators(validator(response.headers.get("ETag")), validator(response.headers.get("Last-Modified")))
        url = shown(response.url)
        if response.status == 304 and known.headers():
            return None, Validators(fresh.etag or known.etag, fresh.last_modified or known.last_modified), url
        if response.status != 200:
            raise Fault(status_fault(response.status))
        left = self.feed.max_bytes - max(self._taken, self.size)
        if (response.content_length or 0) > left:
            raise TooLarge(self.feed.max_bytes)
        try:
            body = Body(response.headers.get("Content-Encoding", ""), left)
            data = await body.read(response.content.iter_chunked(CHUNK))
        except TooLarge:
            raise TooLarge(self.feed.max_bytes) from None
        self.size += body.size
        self._taken += len(data)
        return data, fresh, url


def session(private: bool, contact: str, accept: str) -> aiohttp.ClientSession:
    """A session for one fetch: no cookies, no proxy or netrc from the environment, certificates verified."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=CheckedResolver(private), use_dns_cache=False, limit=1, ssl=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,  # Body does it, with a limit
        timeout=aiohttp.ClientTimeout(total=None),  # fetch() has one clock over all hops
        headers={
            "User-Agent": f"dnsbl/{__version__} (+{contact})" if contact else f"dnsbl/{__version__}",
            "Accept": accept,
            "Accept-Encoding": "gzip, deflate",
        },
    )


def next_hop(url: URL, location: str) -> URL:
    """Where a redirect leads, made absolute and bare of userinfo. Raises Fault where we do not follow."""
    if not location:
        raise Fault("a redirect that names no place; set the feed's url to where the content is")
    try:
        onward = url.join(URL(location)).with_fragment(None)
        if onward.scheme not in ("http", "https") or not onward.raw_host:
            raise Fault(f"a redirect to {shown(onward)}, which is neither http nor https; check the feed's url")
        onward = onward.with_user(None)
    except ValueError:
        raise Fault("a redirect to what is no URL; check the feed's url") from None
    if url.scheme == "https" and onward.scheme == "http":
        raise Fault(f"a redirect from https down to {shown(onward)}, which is not followed; check the feed's url")
    return onward


def without_userinfo(text: str) -> tuple[URL, dict[str, str]]:
    """A feed's URL without userinfo, and the userinfo as an Authorization header (none where there is none). What the
    environment has to add is added to the userinfo and the query, which are never shown. Raises Fault."""
    try:
        url = URL(text).with_fragment(None)
        if url.raw_host is None:
            raise Fault("the URL names no host; check the feed's url")
        pair = filled(f"{url.user or ''}:{url.password or ''}")
        url = url.with_user(None)
        if "$" in url.raw_query_string:
            url = url.with_query([(name, filled(value)) for name, value in url.query.items()])
        return url, {} if pair == ":" else {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    except ValueError:
        raise Fault("not a URL; check the feed's url") from None


def status_fault(status: int) -> str:
    next_step = {
        304: f"nothing was asked that this could answer; {AGAIN}",
        401: "check its credentials",
        403: "check its credentials and terms",
        404: "check its url",
        410: "it is gone for good: turn the feed off",
        429: "lengthen its period",
    }.get(status, AGAIN if status >= 500 else "check its url")
    return f"status {status} instead of content; {next_step}"
