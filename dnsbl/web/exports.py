"""A zone to take away: `GET /v1/zones/{name}/export`, its manifest and signature, what changed since a serial, and the
key that signs."""

from __future__ import annotations

import logging

from aiohttp import web

from .. import __version__, clock
from ..config import ZoneDef
from ..errors import IntakeError
from ..exporting import deltas, taking
from ..exporting.kept import Held
from ..exporting.manifest import file_name
from ..zones.export import FORMATS, export
from ..zones.served import ServedZone
from .auth import need
from .models_exports import ExportManifest
from .problems import Problem, busy
from .representation import Representation, accepted, has_it, need_match
from .responses import json_response
from .sending import send_chunks, send_file, slot
from .state import WEB, Web
from .zones import need_view, need_zone

__all__ = ["export_zone", "get_delta", "get_manifest", "get_signature", "get_signing_key"]

log = logging.getLogger("dnsbl.web")

CACHE = "private, no-cache"  # kept, and asked about each time
TEXT = "text/plain; charset=utf-8"
TRIES = 3  # an export is made again where its file was gone before it was opened
MAX_SERIAL = 2**32 - 1


async def export_zone(request: web.Request) -> web.StreamResponse:
    """A zone as it is published now, in another program's format."""
    state = request.app[WEB]
    key = await need(request, "read")
    state.note_use(key)
    name = need_zone(request)
    format = need_format(request, state.backend.app.zones[name])
    view = await need_view(state, name)
    found = representation(view, format, accepted(request))
    need_match(request, found)
    if has_it(request, found):
        return web.Response(status=304, headers=found.headers)
    with slot(state, key):
        return await send(request, state, view, format)


def need_format(request: web.Request, zone: ZoneDef) -> str:
    """The format that is asked for. Raises Problem 400."""
    format = request.query.get("format", "")
    if not format:
        raise Problem(400, f"say ?format= and one of {', '.join(taking.carried_by(zone))}")
    try:
        taking.need_format(zone, format)
    except IntakeError as error:
        raise Problem(400, str(error)) from None
    return format


def representation(view: ServedZone, format: str, coding: str) -> Representation:
    """What identifies an export before it is made: the same serial in the same format is the same, as long as this
    program writes it."""
    packed = {} if coding == "identity" else {"Content-Encoding": coding}
    return Representation.of(
        "-".join((str(view.serial), format, __version__, *packed.values())),
        int((view.delta or view.base).info["made_at"]),
        clock.now(),
        {
            "Content-Type": FORMATS[format].content_type,
            "Content-Disposition": f'attachment; filename="{file_name(view.zone.name, format)}"',
            "Vary": "Accept-Encoding",
            "Cache-Control": CACHE,
            **packed,
        },
    )


async def send(request: web.Request, state: Web, view: ServedZone, format: str) -> web.StreamResponse:
    """From a finished file; as it is made where there is no room for one, or files go faster than they are sent."""
    coding = accepted(request)
    for _ in range(TRIES):
        try:
            held = await state.editions.finished(view, format, coding)
            return await send_file(request, held.path, representation(view, format, coding))
        except FileNotFoundError:
            continue
        except ConnectionError:
            raise
        except OSError as error:
            log.warning("an export of zone %s is not kept, but sent as it is made: %s", view.zone.name, error.strerror)
            break
    chunks = await state.threads.export(export, view, format)
    return await send_chunks(request, chunks, representation(view, format, "identity"))


async def finished(request: web.Request) -> Held:
    """The plain file that a manifest and a signature are of. Raises Problem."""
    state = request.app[WEB]
    key = await need(request, "read")
    state.note_use(key)
    name = need_zone(request)
    format = need_format(request, state.backend.app.zones[name])
    view = await need_view(state, name)
    with slot(state, key):
        try:
            return await state.editions.finished(view, format, "identity")
        except OSError as error:
            log.error("an export of zone %s cannot be kept: %s", name, error.strerror)
            raise busy("there is no room here to make the file; take it without, or tell the operator") from None


async def get_manifest(request: web.Request) -> web.StreamResponse:
    """What an export is: serial, count, size, sha256, signature."""
    held = await finished(request)
    public_key = request.app[WEB].editions.signer.public_key
    made = ExportManifest(**held.line.document(), signature=held.signature, public_key=public_key)
    return json_response(made.model_dump())


async def get_signature(request: web.Request) -> web.StreamResponse:
    """The .minisig file of an export."""
    held = await finished(request)
    headers = {
        "Content-Type": TEXT,
        "Content-Disposition": f'attachment; filename="{held.line.file}.minisig"',
        "Cache-Control": CACHE,
    }
    return web.Response(body=held.signature.encode("utf-8"), headers=headers)


async def get_delta(request: web.Request) -> web.StreamResponse:
    """What changed in a zone since a serial; where that is not kept, that the whole zone is due."""
    state = request.app[WEB]
    key = await need(request, "read")
    state.note_use(key)
    name = need_zone(request)
    said = request.query.get("since", "")
    if not (said.isascii() and said.isdigit() and len(said) <= len(str(MAX_SERIAL)) and int(said) <= MAX_SERIAL):
        raise Problem(400, "say ?since= and the serial that you have, a number of 32 bits")
    view = await need_view(state, name)
    tag = f"{said}-{view.serial}-{__version__}"
    found = Representation(tag, None, {"Content-Type": "application/json", "Cache-Control": CACHE, "ETag": f'"{tag}"'})
    if has_it(request, found):
        return web.Response(status=304, headers=found.headers)
    with slot(state, key):
        step = await state.threads.export(deltas.step_since, state.backend.app.data_dir, view, int(said))
        whole = f"/v1/zones/{name}/export?format={deltas.WHOLE}"
        return await send_chunks(request, deltas.document(view, int(said), step, whole), found)


async def get_signing_key(request: web.Request) -> web.StreamResponse:
    """The key that checks our signatures, as a file for minisign -p."""
    state = request.app[WEB]
    signer = await state.threads.read(lambda: state.editions.signer)
    return web.Response(body=signer.public_text.encode("utf-8"), headers={"Content-Type": TEXT})
