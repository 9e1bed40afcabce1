"""Snapshot files for mirrors of ours: `GET /v1/zones/{name}/snapshot` says which, and signs it; the files never change
under their names. For zones too large to be transferred as records."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from ..zones.served import ServedZone
from ..zones.signing import Signer, digest_of
from ..zones.snapshot import Snapshot
from .auth import need
from .problems import Problem, busy
from .representation import Representation, has_it, need_match
from .responses import json_response
from .sending import send_file, slot
from .state import WEB
from .zones import log, need_view, need_zone

__all__ = ["Sums", "get_snapshot", "get_snapshot_file"]

IMMUTABLE = "private, max-age=31536000, immutable"  # RFC 8246
MAX_SUMS = 64  # files whose sums are remembered: two of each zone are in use
TRIES = 3


async def get_snapshot(request: web.Request) -> web.StreamResponse:
    """The files that are a zone now, with their sums."""
    state = request.app[WEB]
    state.note_use(await need(request, "read"))
    name = need_zone(request)
    for _ in range(TRIES):
        view = await need_view(state, name, absent=404)
        try:
            return json_response(await state.threads.export(state.sums.signed, view, state.editions.signer))
        except FileNotFoundError:  # swept by a publish meanwhile
            continue
        except OSError as error:
            log.error("the snapshot of zone %s cannot be read: %s", name, error.strerror)
            break
    raise busy(f"zone {name} cannot be read; try again")


async def get_snapshot_file(request: web.Request) -> web.StreamResponse:
    """One file; of ranges too, so that a fetch that was cut goes on."""
    state = request.app[WEB]
    key = await need(request, "read")
    state.note_use(key)
    name, file = need_zone(request), request.match_info["file"]
    await need_view(state, name, absent=404)
    path = (await state.threads.read(state.editions.files, name)).get(file)
    if path is None:
        raise gone(name)
    try:
        with slot(state, key):
            sha256, _ = await state.threads.export(state.sums.of, path)
            headers = {"Content-Type": "application/octet-stream", "Cache-Control": IMMUTABLE, "ETag": f'"{sha256}"'}
            found = Representation(sha256, None, headers)
            need_match(request, found)
            if has_it(request, found):
                return web.Response(status=304, headers=headers)
            return await send_file(request, path, found)
    except FileNotFoundError:
        raise gone(name) from None


def gone(name: str) -> Problem:
    return Problem(404, f"no such file of zone {name} now; /v1/zones/{name}/snapshot names those there are")


class Sums:
    """sha256 and size of files that do not change under their names; asked from any thread. Raises OSError."""

    def __init__(self) -> None:
        self.known: dict[tuple[Path, int, int], tuple[str, int]] = {}

    def of(self, path: Path) -> tuple[str, int]:
        status = path.stat()
        mark = path, status.st_ino, status.st_mtime_ns
        found = self.known.get(mark)
        if found is None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            if len(self.known) >= MAX_SUMS:
                self.known.clear()
            self.known[mark] = found
        return found

    def signed(self, view: ServedZone, signer: Signer) -> dict[str, Any]:
        """The files of a view, signed together: an old delta is not to be laid over another base."""
        said: dict[str, Any] = {
            "zone": view.zone.name,
            "serial": view.serial,
            "made_at": (view.delta or view.base).info["made_at"],
            "base": self.line(view.base),
            "delta": self.line(view.delta) if view.delta else None,
        }
        message = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return {**said, "signature": signer.sign(digest_of(message), f"zone:{view.zone.name}\tserial:{view.serial}")}

    def line(self, file: Snapshot) -> dict[str, Any]:
        sha256, size = self.of(file.path)
        return {"name": file.path.name, "size": size, "sha256": sha256}
