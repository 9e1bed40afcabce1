"""Fetch a feed: from its URL to its bytes, or the news that nothing has changed.

What comes back is foreign at every step, so every step has a limit that the other side cannot move:

    where     https, http and file only; at most MAX_REDIRECTS redirects, each checked like the first URL,
              none from https down to http, and credentials stay with the origin they were given for
    whom      only public addresses, unless the feed is `private`. We resolve names ourselves and connect to the
              very addresses that were checked, so a name that changes its mind (DNS rebinding) gains nothing
    how much  `max_bytes`, for the bytes on the wire and again for what they decompress to; decompression goes in
              small steps and stops at the limit, so a bomb costs no more memory than an honest feed
    how long  `timeout`, for all of it: look-ups, redirects, body

A body that ends early is an error and never content. Whether content is to be believed is asked later, by `health`.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
import socket
import stat
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from .. import __version__
from ..config import FeedDef
from ..errors import FetchError

__all__ = ["MAX_REDIRECTS", "Fetched", "Validators", "fetch"]

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4; 300 leaves the choice to a person
CHUNK = 64 * 2**10  # bytes taken from the wire or a file at a time
STEP = 256 * 2**10  # bytes decompressed before others get their turn
MAX_VALIDATOR = 512  # an ETag or date longer than this is not kept: it would be sent back with every request
MAX_SHOWN = 200  # characters of a URL in a message; redirects choose their own

AGAIN = "it is tried again at the next pull"
CUT = f"cut: it ended in the middle; {AGAIN}"

GZIP = 16 + zlib.MAX_WBITS
ZLIB = zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS
GZIP_MAGIC = b"\x1f\x8b\x08"  # RFC 1952 section 2.3.1, with the only method there is
ENCODINGS = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}  # RFC 9110 section 8.4.1

GLOBAL6 = IPv6Network("2000::/3")  # all that IANA has given out for unicast
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
IETF4 = IPv4Network("192.0.0.0/24")  # RFC 6890: not for hosts; older Pythons call parts of it global
NUMERIC = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")


@dataclass(slots=True, frozen=True)
class Validators:
    """What the server gave us to ask "has it changed?" with (RFC 9110 section 8.8). Keep and pass back as they are."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """The conditional headers of the next request."""
        etag, date = validator(self.etag), validator(self.last_modified)
        return {
            **({"If-None-Match": etag} if etag else {}),
            **({"If-Modified-Since": date} if date else {}),
        }


@dataclass(slots=True, frozen=True)
class Fetched:
    """What came of it."""

    data: bytes | None  # decompressed; None where nothing has changed
    validators: Validators  # for the next time
    url: str  # the last hop, without userinfo and query: fit to be shown
    seconds: float
    size: int  # bytes on the wire, before decompression


class Fault(Exception):
    """What went wrong and what to do; `faults_at` adds where, and makes it a FetchError."""


async def fetch(feed: FeedDef, known: Validators, *, contact: str = "") -> Fetched:
    """The feed's bytes as they are now, or `data=None` where `known` still holds. `contact` is the operator's public
    URL, sent so that a feed's owner knows whom to ask. Raises FetchError with one sentence, and nothing else."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with asyncio.timeout(feed.timeout):
            get = from_file(feed, known) if urlsplit(feed.url).scheme == "file" else from_http(feed, known, contact)
            data, validators, url, size = await get
    except TimeoutError:
        # From None, here and below: aiohttp's own messages hold whole URLs, and with them keys.
        raise FetchError(
            f"{shown(feed.url)}: not done within {feed.timeout} s; {AGAIN}, "
            "raise the feed's timeout if it is always this slow"
        ) from None
    return Fetched(data, validators, url, loop.time() - started, size)


Outcome = tuple[bytes | None, Validators, str, int]  # data, validators, URL of the last hop, bytes on the wire


# --- over HTTP ----------------------------------------------------------------------------------------------------


async def from_http(feed: FeedDef, known: Validators, contact: str) -> Outcome:
    """Follow the feed's URL to its content, one checked hop after another."""
    with faults_at(feed.url):
        url, auth = without_userinfo(feed.url)
    async with session(feed.private, contact) as http:
        for _ in range(MAX_REDIRECTS + 1):
            with faults_at(url):
                check_host(url, feed.private)
                headers = {**known.headers(), **({"Authorization": auth} if auth else {})}
                async with http.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status not in REDIRECTS:
                        return await content(response, feed, known)
                    onward = next_hop(url, response.headers.get("Location", ""))
            auth = auth if onward.origin() == url.origin() else ""  # and once gone, gone: no hop can bring it back
            url = onward
    raise FetchError(f"{shown(feed.url)}: more than {MAX_REDIRECTS} redirects; set the feed's url to where they end")


def session(private: bool, contact: str) -> aiohttp.ClientSession:
    """A session for one fetch: no cookies, no proxy or netrc from the environment, certificates verified."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(private), use_dns_cache=False, force_close=True, limit=1, ssl=True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,  # Body does it, with a limit
        timeout=aiohttp.ClientTimeout(total=None),  # fetch() has one clock over all hops
        headers={
            "User-Agent": f"dnsbl/{__version__} (+{contact})" if contact else f"dnsbl/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
        },
    )


async def content(response: aiohttp.ClientResponse, feed: FeedDef, known: Validators) -> Outcome:
    """The last hop's answer. Raises Fault unless it is 200, or 304 to a question that was asked."""
    fresh = Validators(validator(response.headers.get("ETag")), validator(response.headers.get("Last-Modified")))
    url = shown(response.url)
    if response.status == 304 and known.headers():
        return None, Validators(fresh.etag or known.etag, fresh.last_modified or known.last_modified), url, 0
    if response.status != 200:
        raise Fault(status_fault(response.status))
    if (response.content_length or 0) > feed.max_bytes:
        raise Fault(too_large(feed.max_bytes))
    body = Body(response.headers.get("Content-Encoding", ""), feed.max_bytes)
    data = await body.read(response.content.iter_chunked(CHUNK))
    return data, fresh, url, body.size


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


def without_userinfo(text: str) -> tuple[URL, str]:
    """A feed's URL without userinfo, and the userinfo as an Authorization header ("" where there is none)."""
    try:
        url = URL(text).with_fragment(None)
        if url.raw_host is None:
            raise Fault("the URL names no host; check the feed's url")
        pair = f"{url.user or ''}:{url.password or ''}"
        return url.with_user(None), "" if pair == ":" else "Basic " + base64.b64encode(pair.encode()).decode()
    except ValueError:
        raise Fault("not a URL; check the feed's url") from None


def validator(text: str | None) -> str | None:
    """An ETag or date that can be kept and sent back: short printable ASCII, or None."""
    return text if text and len(text) <= MAX_VALIDATOR and text.isascii() and text.isprintable() else None


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


def too_large(limit: int) -> str:
    return f"larger than the {limit:,} bytes this feed may have; raise its max_bytes if that is right"


# --- whom we talk to ----------------------------------------------------------------------------------------------


class CheckedResolver(AbstractResolver):
    """Names to addresses, every one of them checked. One address that is not public refuses the name: a name that
    points both ways is a trick or a mistake. aiohttp connects to what this returns and asks nobody else."""

    def __init__(self, private: bool) -> None:
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await look_up(host, port, family)
        if not self._private:
            for address in addresses:
                check_address(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def look_up(host: str, port: int, family: socket.AddressFamily) -> list[str]:
    """The addresses of a name as the system knows them. Raises Fault where there are none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not a host name"
        raise Fault(f"the name {host} does not resolve ({why}); check the feed's url and this host's DNS") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_host(url: URL, private: bool) -> None:
    """A host that is a number is an address and never meets the resolver, so it is checked here. Only the canonical
    form passes: `0x7f000001`, `127.1` and `010.0.0.1` mean one thing to us and another to the system. The rule for
    what is a number is the URL Standard's: the last label is. Raises Fault."""
    host = (url.raw_host or "").rstrip(".")
    if ":" not in host and not NUMERIC.fullmatch(host.rpartition(".")[2]):
        return
    try:
        ip_address(host)
    except ValueError:
        raise Fault("the host is a number and no address as one writes it; check the feed's url") from None
    if not private:
        check_address(host)


def check_address(text: str) -> None:
    """Raises Fault for an address that is not public, or that carries one that is not inside it."""
    address = ip_address(text)
    for inner in (address, *embedded(address)):
        if not public(inner):
            inside = "" if inner == address else f" (inside {address})"
            raise Fault(
                f"its address {inner}{inside} is not public, so it is not fetched; "
                "set private = true in the feed if it is meant to be"
            )


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anyone on the Internet could mean the same host by this address."""
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return address not in IETF4
    return address in GLOBAL6 or address in NAT64


def embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a host or gateway would take out of an IPv6 address: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [inner for inner in found if inner is not None]


# --- bodies -------------------------------------------------------------------------------------------------------


class Body:
    """A body as it comes in: counted, decompressed, collected."""

    def __init__(self, encoding: str, limit: int) -> None:
        """`encoding` is the Content-Encoding; `limit` holds for the bytes on the wire and at each decompression."""
        coding = encoding.strip().lower()
        if coding not in ENCODINGS:
            raise Fault(f"in an encoding that was not asked for; {AGAIN}")
        self.size = 0  # bytes on the wire
        self._limit = limit
        self._outer = Inflater(ENCODINGS[coding], limit) if ENCODINGS[coding] else None
        self._inner = GzipFile(limit)
        self._out = io.BytesIO()

    async def read(self, chunks: AsyncIterable[bytes]) -> bytes:
        """All of it. Raises Fault where it is too large, cut or damaged."""
        async for chunk in chunks:
            self.size += len(chunk)
            if self.size > self._limit:
                raise Fault(too_large(self._limit))
            for piece in self._pieces(chunk):
                self._out.write(piece)
                await asyncio.sleep(0)  # other tasks, and our own time-out, get their turn
        if self._outer:
            self._outer.finish()
        self._inner.finish()
        return self._out.getvalue()

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        for piece in self._outer.feed(chunk) if self._outer else (chunk,):
            yield from self._inner.feed(piece)


class GzipFile:
    """Decompresses what is a gzip file and passes on what is not, as its first bytes tell. Servers send the `.gz` of
    a feed with and without a Content-Encoding, and some put one around it as well."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head: bytes | None = b""  # the first bytes, until they tell
        self._inflater: Inflater | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._head is not None:
            data = self._head + data
            if len(data) < len(GZIP_MAGIC) and GZIP_MAGIC.startswith(data):
                self._head = data
                return
            self._head = None
            if data.startswith(GZIP_MAGIC):
                self._inflater = Inflater("gzip", self._limit)
        if self._inflater:
            yield from self._inflater.feed(data)
        else:
            yield data

    def finish(self) -> None:
        if self._head:  # the start of a gzip file and nothing else
            raise Fault(CUT)
        if self._inflater:
            self._inflater.finish()


class Inflater:
    """A gzip or deflate stream, decompressed in steps of at most STEP bytes and `limit` bytes in all."""

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding
        self._left = limit
        self._limit = limit
        self._stream: zlib._Decompress | None = None  # None before the first byte, and between gzip members
        self._ended = False  # a stream has ended, so that what is here is complete

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to; an empty piece is a step too. Raises Fault."""
        more = False  # a full step may have left output behind in zlib, when all input is taken
        while data or more:
            if self._stream is None:
                data = self._begin(data)
                if self._stream is None:
                    return
            data, piece = self._step(self._stream, data)
            more = self._stream is not None and len(piece) == STEP
            self._left -= len(piece)
            if self._left < 0:
                raise Fault(too_large(self._limit))
            yield piece

    def finish(self) -> None:
        """Raises Fault where the stream has not ended."""
        if self._stream is not None or not self._ended:
            raise Fault(CUT)

    def _begin(self, data: bytes) -> bytes:
        """Start a stream at `data`. After the first only gzip goes on, with a further member (RFC 1952 section 2.2) or
        with the zeros that tapes and some mirrors pad files with."""
        if self._ended:
            data = data.lstrip(b"\0")
            if data and (self._coding != "gzip" or not GZIP_MAGIC.startswith(data[:3])):
                raise Fault(f"bytes after the end of its compressed stream; {AGAIN}")
            if not data:
                return data
        self._stream = zlib.decompressobj(self._window(data[0]))
        return data

    def _window(self, first: int) -> int:
        """zlib's name for the format. "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some send it bare."""
        if self._coding == "gzip":
            return GZIP
        return ZLIB if first & 0x0F == zlib.DEFLATED else RAW_DEFLATE

    def _step(self, stream: zlib._Decompress, data: bytes) -> tuple[bytes, bytes]:
        """One step: (what is left of `data`, what came out)."""
        try:
            piece = stream.decompress(data, STEP)
        except zlib.error:
            raise Fault(f"damaged: it does not decompress; {AGAIN}") from None
        if stream.eof:
            self._stream, self._ended = None, True
            return stream.unused_data, piece
        return stream.unconsumed_tail, piece


# --- files --------------------------------------------------------------------------------------------------------


async def from_file(feed: FeedDef, known: Validators) -> Outcome:
    """A file on this host, `file:feeds/own.txt` or `file:///srv/feeds/own.txt`. Its time and size stand for an ETag."""
    with faults_at(feed.url):
        mark, raw = await asyncio.to_thread(read_file, file_path(feed.url), feed.max_bytes, known.etag)
        body = Body("", feed.max_bytes)
        data = None if raw is None else await body.read(in_chunks(raw))
    return data, Validators(etag=mark), shown(feed.url), body.size


def file_path(text: str) -> str:
    """The path of a file URL; without a leading slash it is relative to the working directory."""
    parts = urlsplit(text)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost"):
        raise Fault("a file URL that names a host; write file:path or file:///path")
    if not path or "\0" in path:
        raise Fault("a file URL that names no file; write file:path or file:///path")
    return path


def read_file(path: str, limit: int, known: str | None) -> tuple[str, bytes | None]:
    """(mark of this version, its bytes); the bytes are None where `known` is its mark. Raises Fault and OSError."""
    # O_NONBLOCK: opening a FIFO would wait for its writer, and this thread cannot be called back.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise Fault("not a plain file; set the feed's url to one")
        if status.st_size > limit:
            raise Fault(too_large(limit))
        mark = file_mark(status)
        if mark == known:
            return mark, None
        data = read_up_to(file, limit)
        if len(data) != status.st_size or file_mark(os.fstat(file)) != mark:
            raise Fault("it changed while it was read; write a feed beside its place and rename it into it")
        return mark, data
    finally:
        os.close(file)


def read_up_to(file: int, limit: int) -> bytes:
    """The file's bytes, `limit` at most."""
    out = io.BytesIO()
    while piece := os.read(file, min(CHUNK, limit - out.tell())):
        out.write(piece)
    return out.getvalue()


def file_mark(status: os.stat_result) -> str:
    return f"file-{status.st_mtime_ns}-{status.st_size}"


async def in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


# --- what we say --------------------------------------------------------------------------------------------------


@contextmanager
def faults_at(url: URL | str) -> Iterator[None]:
    """Turn what goes wrong at one hop into a FetchError that says where."""
    try:
        yield
    except (Fault, aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise FetchError(f"{shown(url)}: {sentence(error)}") from None


def sentence(error: Exception) -> str:
    """What went wrong and what to do, without anything the other side, or a URL, could have put into it."""
    match error:
        case Fault():
            return str(error)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "it does not fit the host"
            return f"its certificate was refused ({reason}); check the feed's url and this host's clock and CA list"
        case aiohttp.ClientSSLError():
            return f"no TLS with it; {AGAIN}"
        case aiohttp.ClientPayloadError() | HttpProcessingError():
            return CUT
        case aiohttp.ServerDisconnectedError():
            return f"it closed the connection without an answer; {AGAIN}"
        case aiohttp.ClientResponseError():
            return f"its answer is not HTTP; {AGAIN}"
        case aiohttp.ClientConnectorError():
            return f"no connection ({reason_of(error.os_error)}); {AGAIN}"
        case OSError():
            return f"it cannot be read ({reason_of(error)}); check the feed's url, {AGAIN}"
    return f"it cannot be fetched ({type(error).__name__}); check the feed's url"


def reason_of(error: OSError) -> str:
    """The system's words for an error, without file names, addresses or what a library added."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else type(error).__name__


def shown(url: URL | str) -> str:
    """A URL as it may appear in messages and logs: no userinfo, query or fragment, which may hold secrets."""
    if isinstance(url, str) and urlsplit(url).scheme == "file":
        return url[:MAX_SHOWN]  # as configured: yarl would make a relative path an absolute one
    try:
        bare = URL(url)
        text = str(bare.with_user(None) if bare.raw_host else bare)
    except ValueError:
        return "the feed's URL"
    return text.partition("#")[0].partition("?")[0][:MAX_SHOWN]
