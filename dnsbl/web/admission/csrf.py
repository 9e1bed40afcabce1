"""Whether a form was sent from a page of ours: a hostile page must not be able to use its visitor's browser, whose
address is a proof of control here.

Two things hold independently. The browser says where a form comes from (Fetch Metadata; Origin, RFC 6454): our own
pages, and nothing else. And what was sent has a field that only our pages have: the HMAC of a cookie and the purpose.

With `web.public_url` set, its origin is ours, and besides it only an address or `localhost` that was asked for by
itself: a name that a stranger lets point at us (DNS rebinding) is not. Without, whatever name was asked for is ours: do
set it. The cookie is SameSite=Lax, not Strict: a private link opened from a mail would come without it and get another,
and the forms already open would no longer be good; with a POST from another site neither kind is sent.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

import idna
from aiohttp import web

from ...phrases import N_
from ..problems import Problem
from ..responses import allow_script

__all__ = ["FIELD", "Csrf", "need_own_page"]

FIELD = "csrf"
BYTES = 16  # of the cookie; unguessable
SHAPE = re.compile(r"[A-Za-z0-9_-]{22}")  # those bytes in base64
GIVEN: web.RequestKey[str] = web.RequestKey("form cookie", str)  # the cookie that this answer brings or keeps
PORTS = {"http": 80, "https": 443}

ELSEWHERE = N_(
    "this form was sent from a page of another site, and nothing was done; open the form here and send it again"
)
OLD = N_(
    "the form is too old, or your browser keeps no cookie for this site, and nothing was done; open the form again and "
    "send it once more"
)


class Csrf:
    """Gives forms their field, and looks at it when it comes back. `public_url` may be empty."""

    def __init__(self, key: bytes, public_url: str) -> None:
        self.key, self.public_url = key, public_url
        known = parts(public_url)
        secure = known is not None and known[0] == "https"
        self.cookie = "__Host-dnsbl_form" if secure else "dnsbl_form"  # RFC 6265bis section 4.1.3.2
        self.attributes = "Path=/; HttpOnly; SameSite=Lax" + "; Secure" * secure

    def field(self, request: web.Request, purpose: str) -> str:
        """The value of the hidden field FIELD of a form on this answer; `prepare` adds the cookie to it."""
        value = request.get(GIVEN) or self.brought(request) or secrets.token_urlsafe(BYTES)
        request[GIVEN] = value
        return self.tag(value, purpose)

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """on_response_prepare: an answer with such a form brings the cookie, and may load our script."""
        value = request.get(GIVEN)
        if value is None:
            return
        allow_script(response)
        if value != self.brought(request):
            # As a header: the cookies of a response were made headers before this is asked.
            response.headers.add("Set-Cookie", f"{self.cookie}={value}; {self.attributes}")

    def verify(self, request: web.Request, form: Mapping[str, str], purpose: str) -> None:
        """Raises Problem 403 where the form was not sent from a page of ours."""
        need_own_page(request, self.public_url)
        value = self.brought(request)
        sent = form.get(FIELD, "").encode()
        if value is None or not hmac.compare_digest(sent, self.tag(value, purpose).encode()):
            raise Problem(403, OLD)

    def brought(self, request: web.Request) -> str | None:
        value = request.cookies.get(self.cookie, "")
        return value if SHAPE.fullmatch(value) else None

    def tag(self, value: str, purpose: str) -> str:
        return hmac.digest(self.key, f"{value}\0{purpose}".encode(), "sha256").hex()


def need_own_page(request: web.Request, public_url: str) -> None:
    """Raises Problem 403 where the browser says that another site's page sent this. What says nothing is no browser
    of today, and is left to the field."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Problem(403, ELSEWHERE)
    for origin in request.headers.getall("Origin", ()):
        if not ours(origin, request.host, public_url):
            raise Problem(403, ELSEWHERE)


def ours(origin: str, host: str, public_url: str) -> bool:
    """Whether an Origin is us. `null`, which a page without a readable origin sends, is not: our pages have a
    Referrer-Policy with which browsers say it (responses.py)."""
    found, known = parts(origin), parts(public_url)
    if found is None:
        return False
    return found == known or (found == parts(f"{found[0]}://{host}") and (known is None or fixed(found[1])))


def parts(text: str) -> tuple[str, str, int] | None:
    """Scheme, host (A-labels) and port of an http(s) URL; None: it is none."""
    try:
        url = urlsplit(text)
        scheme, host, port = url.scheme, url.hostname, url.port
        if scheme not in PORTS or not host:
            return None
        if not host.isascii():  # browsers send A-labels
            host = idna.encode(host, uts46=True).decode()
    except ValueError:
        return None
    return scheme, host, port or PORTS[scheme]


def fixed(host: str) -> bool:
    """An address, or the machine's own name for itself: no stranger says where that leads."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
