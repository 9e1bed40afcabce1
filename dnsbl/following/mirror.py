"""Snapshot files over HTTPS: for zones too large to move as records. Blocking; runs in a thread.

    GET URL/v1/zones/NAME/snapshot          which files make up the zone: serial, sizes, sha256, signed
    GET URL/v1/zones/NAME/snapshot/FILE     each that is not here yet, from where it was cut (Range)

What is believed is the signature, not the server: only what it covers is fetched, and nothing is in use before it has
the size and sha256 that are signed, is a whole snapshot, and passes the checks of a publisher. A serial before ours is
refused, however well it is signed: who can replay an old answer could take listings away. Only a zone that has expired
takes one, for then the primary itself has gone back.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ..config import ZoneDef
from ..config.distribution import FollowConfig
from ..dns.transfer import newer
from ..errors import SnapshotError, TransferError
from ..zones.difference import Step, step_between
from ..zones.served import FileName, Pointer, ServedZone
from .http import Web
from .install import Install
from .minisign import PublicKey

__all__ = ["Mirror"]

MAX_POINTER = 65_536  # bytes of the answer that names the files
MAX_FILE = 8 * 2**30  # bytes of one file
TURNS = 3  # how often a file may be gone when it is asked for: each time a newer publish has swept it
STEP = 1 << 20  # bytes hashed at once
PART = ".fetch"  # end of the names of files that are not in use yet
Mark = tuple[int, int, int]
log = logging.getLogger("dnsbl.following")


class File(NamedTuple):
    """A snapshot file as it is signed."""

    name: str
    size: int
    sha256: str


class Signed(NamedTuple):
    """What the primary says the zone is."""

    serial: int
    base: File
    delta: File | None


class Mirror:
    """A zone and the web side it is taken from."""

    def __init__(self, zone: ZoneDef, directory: Path, follow: FollowConfig) -> None:
        self.zone, self.directory = zone, directory
        self.install = Install(zone, directory)
        self.held = self.install.current()
        self.key = PublicKey(follow.public_key)
        self.web = Web(follow.url, follow.api_key.get_secret_value(), follow.tls_ca)
        self.path = f"/v1/zones/{zone.name}/snapshot"
        self.etag = ""
        self.sums: dict[Path, tuple[Mark, str]] = {}

    def close(self) -> None:
        self.web.close()

    def refresh(self, expired: bool) -> tuple[int, str]:
        """Be as new as the primary: the serial, and its address. Raises DnsblError."""
        for _ in range(TURNS):
            etag, body = self.web.document(self.path, self.etag if self.held else "", MAX_POINTER)
            if body is None and self.held:
                return self.held.serial, self.web.origin
            signed = self.signed(body or b"")
            if self.current(signed, expired) or self.take(signed):
                self.etag = etag
                return signed.serial, self.web.origin
        raise TransferError(f"{self.web.origin}: its files change faster than they can be fetched")

    def current(self, signed: Signed, expired: bool) -> bool:
        """Whether that is what we hold. Raises TransferError where it is older."""
        held = self.held
        if held is None:
            return False
        names = signed.base.name, signed.delta and signed.delta.name
        if signed.serial == held.serial and names == (held.base.path.name, held.delta and held.delta.path.name):
            return True
        if signed.serial != held.serial and not newer(signed.serial, held.serial) and not expired:
            raise TransferError(
                f"{self.web.origin}: its serial {signed.serial} is behind ours, {held.serial}: an older copy, or an "
                "old answer said again; it is taken once ours expires"
            )
        return False

    def signed(self, body: bytes) -> Signed:
        """Raises TransferError for what is not signed, or not of this zone."""
        try:
            said = dict(orjson.loads(body))
            signature = str(said.pop("signature"))
            message = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        except (ValueError, TypeError, KeyError):
            raise TransferError(f"{self.web.origin}: what it says of its snapshot cannot be read") from None
        try:
            self.key.check(message, signature)
        except TransferError as error:
            raise TransferError(f"{self.web.origin}: what it says of its snapshot is not believed: {error}") from None
        if said.get("zone") != self.zone.name:
            raise TransferError(f"{self.web.origin}: its answer is about another zone")
        return read(said, self.web.origin)

    def take(self, signed: Signed) -> bool:
        """Fetch what is not here, check it, put it in place; False where a file is there no more. Raises DnsblError."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.sweep(signed)
            base, delta = self.found(signed.base), signed.delta and self.found(signed.delta)
        except OSError as error:
            raise SnapshotError(f"{self.directory}: cannot be written ({error.strerror})") from error
        if base is None or (signed.delta and delta is None):
            return False
        pointer = Pointer(self.directory, signed.base.name, signed.delta and signed.delta.name, signed.serial)

        def verify(view: ServedZone) -> Step | None:
            found, own = view.zone, self.zone
            if view.serial != signed.serial or (found.origin, found.kind) != (own.origin, own.kind):
                raise TransferError(
                    f"{self.web.origin}: its snapshot is of {found.origin} ({found.kind}), serial {view.serial}; "
                    "the zone's file here differs from the primary's"
                )
            return self.step_to(view)

        aside = Pointer(self.directory, base, delta, signed.serial)
        self.held = self.install.put(pointer, aside, self.held, verify)
        return True

    def step_to(self, view: ServedZone) -> Step | None:
        """What leads there from what is held, for those who follow us in turn."""
        if self.held is None or not newer(view.serial, self.held.serial):
            return None
        try:
            return step_between(self.held, view)
        except Exception:  # no memory, or a fault of ours: the zone goes on to be taken
            log.exception("zone %s: no step to serial %d: who follows takes it whole", self.zone.name, view.serial)
            return None

    # files

    def sweep(self, signed: Signed) -> None:
        """Remove what was fetched and is not wanted any more. Raises OSError."""
        wanted = {part_of(file) for file in (signed.base, signed.delta) if file}
        for path in self.directory.glob(f"*{PART}"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def found(self, file: File) -> str | None:
        """The name that the file has here, once it is; None where the primary has it no more. Raises TransferError,
        OSError."""
        if self.here(file):
            return file.name
        return part_of(file) if self.fetched(file) else None

    def here(self, file: File) -> bool:
        """Whether the very file is here already. Raises OSError."""
        path = self.directory / file.name
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        if status.st_size != file.size:
            return False
        if self.sums.get(path, ((), ""))[0] != mark:
            self.sums[path] = mark, sum_of(path)
        return self.sums[path][1] == file.sha256

    def fetched(self, file: File) -> bool:
        """Fetch it, or the rest of it, beside what is in use; False where the primary has it no more. Raises
        TransferError, OSError."""
        part = self.directory / part_of(file)
        with part.open("ab") as content:
            self.install.need_room(file.size, content.tell())
            found = self.web.file(f"{self.path}/{file.name}", content, file.size, file.sha256)
            content.flush()
            os.fsync(content.fileno())
        if not found:
            part.unlink()
            return False
        if part.stat().st_size != file.size or sum_of(part) != file.sha256:
            part.unlink()
            raise TransferError(f"{self.web.origin}: {file.name} is not what is signed; it was thrown away")
        return True


def part_of(file: File) -> str:
    """The name of a file until it may be in use."""
    return f"{file.sha256}{PART}"


def sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(said: Mapping[str, Any], where: str) -> Signed:
    """What is signed, taken apart. Raises TransferError."""
    serial = said.get("serial")
    if not isinstance(serial, int) or not 0 <= serial < 2**32:
        raise TransferError(f"{where}: its snapshot has no serial")
    base = file_of(said.get("base"), ".base", where)
    delta = said.get("delta")
    return Signed(serial, base, None if delta is None else file_of(delta, ".delta", where))


def file_of(said: Any, suffix: str, where: str) -> File:
    name, size, digest = (said.get(key) for key in File._fields) if isinstance(said, dict) else (None,) * 3
    named = isinstance(name, str) and FileName.fullmatch(name) and name.endswith(suffix)
    if not named or not isinstance(size, int) or not 0 < size <= MAX_FILE:
        raise TransferError(f"{where}: names no {suffix} file of a size that can be taken")
    if not isinstance(digest, str) or len(digest) != 64 or digest.strip("0123456789abcdef"):
        raise TransferError(f"{where}: names a {suffix} file without its sha256")
    return File(str(name), size, digest)
