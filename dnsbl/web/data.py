"""`/data`: how each zone is taken away, in which formats, and how what was taken is checked."""

from __future__ import annotations

from aiohttp import web

from ..exporting.manifest import file_name
from ..zones.export import FORMATS, of_kind
from .pages import ABOUT
from .state import WEB

__all__ = ["data"]


async def data(request: web.Request) -> web.StreamResponse:
    """Every zone with the formats that carry it, and the key that checks them."""
    state = request.app[WEB]
    facts = await state.threads.read(state.book.facts)
    signer = await state.threads.read(lambda: state.editions.signer)
    return state.pages.render(
        request,
        "data.html",
        zones=[each.as_model() for each in facts],
        about=ABOUT,
        formats={kind: [FORMATS[name] for name in of_kind(kind)] for kind in ABOUT},
        file_name=file_name,
        site=state.backend.app.public_url.rstrip("/") or f"{request.scheme}://{request.host}",
        public_key=signer.public_key,
    )
