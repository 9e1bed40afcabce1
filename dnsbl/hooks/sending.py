"""One event to one URL, as Standard Webhooks 1.0 says: a POST of JSON, signed. The other side is untrusted: it is asked
only at public addresses, has ten seconds, redirects nobody, and of its answer only the status is read."""

from __future__ import annotations

import base64
import hashlib
import hmac
from ipaddress import ip_address

import aiohttp
import orjson
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from .. import __version__
from ..errors import IntakeError
from ..intake.fetch.addresses import CheckedResolver, check_host
from ..intake.fetch.base import Fault, reason_of
from ..keyed import Keyed

__all__ = ["TAKEN", "checked_url", "secret_of", "send", "session", "shown_secret", "signed"]

SECONDS = 10.0  # for all of it: look-up, connection, answer
MAX_URL = 500  # characters
MAX_FIELD = 8190  # bytes of the status line, and of one header, that are read
PURPOSE = "hook"
PREFIX = "whsec_"  # Standard Webhooks: what symmetric secrets begin with
TAKEN = ""


def secret_of(keyed: Keyed, nonce: str) -> bytes:
    """What signs for a hook: made of the server's key when it is needed, kept nowhere."""
    return keyed.derive(PURPOSE, nonce)


def shown_secret(secret: bytes) -> str:
    """As its owner is shown it, once."""
    return PREFIX + base64.b64encode(secret).decode()


def signed(secret: bytes, event: str, at: int) -> dict[str, str]:
    """The headers that say which event it is, when it is sent, and that it is ours."""
    identity = orjson.loads(event)["id"]
    digest = hmac.new(secret, f"{identity}.{at}.{event}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(at),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def checked_url(text: str, private: bool = False) -> URL:
    """A URL that events may be sent to: https to a public host. `private`: to any host, and on this one by http, for
    tests. Raises IntakeError."""
    try:
        url = URL(text)
        host = url.raw_host or ""
    except ValueError:
        raise IntakeError("not a URL; write it as https://host/path") from None
    if len(text) > MAX_URL or not text.isprintable() or " " in text:
        raise IntakeError(f"a URL has {MAX_URL} characters at most, and no blanks")
    if not host or not (url.scheme == "https" or (private and url.scheme == "http" and loopback(host))):
        raise IntakeError("events are sent by https only; write the URL as https://host/path")
    if url.raw_user is not None or url.raw_password is not None or url.raw_fragment:
        raise IntakeError(
            "the URL has a user, password or fragment, which are not sent; put what is secret in its path"
        )
    try:
        check_host(host, private)
    except Fault:
        raise IntakeError("the URL's address is not public; use one that anyone on the Internet can reach") from None
    return url


def loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def session(private: bool = False, contact: str = "") -> aiohttp.ClientSession:
    """For many hooks: no cookies, no proxy or netrc from the environment, no connection kept, certificates verified."""
    agent = f"dnsbl/{__version__} (+{contact})" if contact else f"dnsbl/{__version__}"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(private), use_dns_cache=False, force_close=True, ssl=True
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        max_line_size=MAX_FIELD,
        max_field_size=MAX_FIELD,
        headers={"User-Agent": agent, "Content-Type": "application/json"},
    )


async def send(
    client: aiohttp.ClientSession, url: str, secret: bytes, event: str, at: int, private: bool = False
) -> str:
    """Send an event. TAKEN, or why it was not, in a sentence without the URL or anything that the other side said."""
    try:
        where = checked_url(url, private)
        headers = signed(secret, event, at)
        async with client.post(where, data=event.encode(), headers=headers, allow_redirects=False) as response:
            response.close()  # its body is nobody's
            return status_said(response.status)
    except IntakeError as error:
        return str(error)
    except (Fault, aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        return sentence(error)


def status_said(status: int) -> str:
    if 200 <= status < 300:
        return TAKEN
    if 300 <= status < 400:
        return f"status {status}: redirects are not followed; set the hook to where it leads"
    return f"status {status} instead of 2xx"


def sentence(error: Exception) -> str:
    match error:
        case Fault():
            return "its name does not resolve, or leads to an address that is not public; check the hook's URL"
        case TimeoutError():
            return f"no answer within {SECONDS:.0f} s"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate was refused; renew it, or check the hook's URL"
        case aiohttp.ClientSSLError():
            return "no TLS with it"
        case aiohttp.ClientConnectorError():
            return f"no connection ({reason_of(error.os_error)})"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
    return "its answer is not HTTP, or was cut"
