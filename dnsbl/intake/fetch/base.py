"""What every way to fetch stands on: validators, what comes of a fetch, and how what goes wrong is said.

A message says where, what and what to do, and never holds what the other side, or a URL, could have put into it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from ...errors import FetchError

__all__ = [
    "AGAIN",
    "CUT",
    "Fault",
    "Fetched",
    "Outcome",
    "TooLarge",
    "Validators",
    "faults_at",
    "filled",
    "reason_of",
    "shown",
    "validator",
]

MAX_VALIDATOR = 512  # an ETag or date longer than this is not kept: it would be sent back with every request
MAX_SHOWN = 200  # characters of a URL in a message; redirects choose their own
VARIABLE = re.compile(r"\$([A-Z_][A-Z0-9_]*)")  # in a declaration: the secret that the environment has under this name

AGAIN = "it is tried again at the next pull"
CUT = f"cut: it ended in the middle; {AGAIN}"


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


Outcome = tuple[bytes | None, Validators, str, int]  # data, validators, URL of the last hop, bytes on the wire


class Fault(Exception):
    """What went wrong and what to do; `faults_at` adds where, and makes it a FetchError."""


class TooLarge(Fault):
    """More than the feed may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"larger than the {limit:,} bytes this feed may have; raise its max_bytes if that is right")


def validator(text: str | None) -> str | None:
    """An ETag or date that can be kept and sent back: short printable ASCII, or None."""
    return text if text and len(text) <= MAX_VALIDATOR and text.isascii() and text.isprintable() else None


def filled(text: str) -> str:
    """A declaration's text with each `$NAME` replaced by what the environment has under that name. Raises Fault, which
    names the variable and never its value."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], "")
        if not found:
            raise Fault(f"the environment variable {match[1]} is not set; put the feed's secret there")
        if not found.isprintable():
            raise Fault(f"the environment variable {match[1]} holds what is not one printable line; check it")
        return found

    return VARIABLE.sub(value, text)


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
