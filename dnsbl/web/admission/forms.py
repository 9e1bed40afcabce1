"""What a form of a page sends: untrusted text, read under limits. And where a visitor is sent next."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import parse_qsl

from aiohttp import web

from ...phrases import N_
from ..body import document
from ..problems import Problem
from ..state import WEB

__all__ = ["fields", "read_form", "safe_next"]

MAX_BODY = 64 * 1024  # bytes: the longest texts in any script, where each character is 9 or 12 bytes of %xx
MAX_FIELDS = 40
MAX_NAME = 64  # characters of a field's name
MAX_NEXT = 2048  # characters
KIND = "application/x-www-form-urlencoded"

UNREADABLE = N_("the form cannot be read; open it again and send it once more")
CONTROLS = N_("the form has characters that are no text, such as NUL; take them out and send it again")
LARGE = N_("the form is too large; write less and send it again")
NO_FORM = N_("this takes a form, as application/x-www-form-urlencoded in UTF-8")

OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # visible ASCII without a backslash, which browsers take for a slash


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a posted form, each name once; lines end in a newline. Raises Problem 400, 408, 413, 415 or 503."""
    if request.content_type != KIND or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem(415, NO_FORM, {"Accept": KIND})
    state = request.app[WEB]
    with state.uploads.of_stranger(state.admission.network(request)), state.uploads.holding() as holding:
        return fields(await document(request, holding, lambda _: None, MAX_BODY, LARGE))


def fields(body: bytes) -> dict[str, str]:
    """Raises Problem 400 (WHATWG URL, application/x-www-form-urlencoded parsing, and stricter)."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:  # not UTF-8, or too many fields
        raise Problem(400, UNREADABLE) from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if not name or len(name) > MAX_NAME or name in found:
            raise Problem(400, UNREADABLE)
        found[name] = value.replace("\r\n", "\n")
        if any(unicodedata.category(c) == "Cc" for c in (name + found[name]).replace("\n", "").replace("\t", "")):
            raise Problem(400, CONTROLS)
    return found


def safe_next(path: str | None, otherwise: str = "/") -> str:
    """Where to send a visitor who says where: a path of our own, or else `otherwise`. Nothing that a browser could
    take for another site is one."""
    return path if path and len(path) <= MAX_NEXT and OWN_PATH.fullmatch(path) else otherwise
