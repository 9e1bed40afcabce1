"""Who asks: API keys in `Authorization: Bearer` or `X-Api-Key`. A secret is never logged and never kept."""

from __future__ import annotations

from ipaddress import ip_network

from aiohttp import web

from .. import clock
from ..intake.partners import find_key
from ..store.contract import Key
from .clients import client_of, inside
from .problems import Problem
from .state import WEB, Web

__all__ = ["may_read", "need"]

MAX_SECRET = 256
REALM = 'Bearer realm="dnsbl"'


async def need(request: web.Request, *scopes: str) -> Key:
    """The key of this request, which must have one of `scopes`. Raises Problem 401 or 403."""
    secret = secret_of(request)
    if secret is None:
        raise Problem(
            401, "this needs an API key: send it as `Authorization: Bearer SECRET`", {"WWW-Authenticate": REALM}
        )
    key = await look_up(request.app[WEB], secret)
    if key is None:
        raise Problem(
            401,
            "the API key is not known, has expired or was revoked; ask the operator for a new one",
            {"WWW-Authenticate": f'{REALM}, error="invalid_token"'},
        )
    if not at_home(request, key):
        raise Problem(403, "the API key is not for requests from your address; ask the operator for one that is")
    if not set(scopes) & set(key.scopes):
        raise Problem(
            403,
            f"the API key has no scope {' or '.join(map(repr, scopes))}; ask the operator for a key with it",
            {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scopes[0]}"'},
        )
    return key


async def may_read(request: web.Request) -> bool:
    """Whether this request has a key with scope `read`; what is public stays so without one."""
    secret = secret_of(request)
    key = await look_up(request.app[WEB], secret) if secret else None
    if key is None or "read" not in key.scopes or not at_home(request, key):
        return False
    request.app[WEB].note_use(key)
    return True


def at_home(request: web.Request, key: Key) -> bool:
    """Whether a request comes from where its key may be used: a stolen secret is of no use elsewhere."""
    if not key.limits.origins:
        return True
    client = client_of(request, request.app[WEB].backend.app.proxies)
    return client is not None and inside(client, map(ip_network, key.limits.origins))


def secret_of(request: web.Request) -> str | None:
    """The secret that was sent; untrusted. One that cannot be any key's is none."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        secret = request.headers.get("X-Api-Key", "")
    secret = secret.strip()
    return secret if secret and secret.isascii() and len(secret) <= MAX_SECRET else None


async def look_up(state: Web, secret: str) -> Key | None:
    return await state.threads.urgent(find_key, state.backend.app.store, secret, clock.now())
