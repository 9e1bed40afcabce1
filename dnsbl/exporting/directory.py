"""The files of one `[[export]]`, brought up to date in a directory that others copy by rsync or over HTTP.

    NAME.SUFFIX  NAME.SUFFIX.gz  NAME.SUFFIX.zst    a zone in a format, plain and packed
    FILE.minisig                                    the signature of each
    manifest.json  manifest.json.minisig            a line for each file; written last

Each file is written aside under a name with a dot before it, synced and renamed: whoever opens one has it whole. Who
copies all of them while they change may have a file and a manifest of two serials: the copy is checked against the
manifest, and made again where they differ.

Failure: what cannot be written stays as it was, with its old line, and the others go on. Files whose serial is the same
are not written again. Removed is only what a manifest of ours names; so are the files of a zone that is not given away
any more.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from .. import clock
from ..config import ZoneDef
from ..config.distribution import ExportConfig
from ..errors import DnsblError, WithheldError
from ..zones.export import export
from ..zones.given import given
from ..zones.served import ServedZone, zone_directory
from ..zones.signing import Signer
from .manifest import Line, file_name, line_of
from .taking import carried_by
from .writing import CODINGS, Written, pack, write

__all__ = ["MANIFEST", "SIGNATURE", "Brought", "Directory"]

MANIFEST = "manifest.json"
SIGNATURE = ".minisig"
MAX_MANIFEST = 16 * 2**20  # bytes: a line has some 400, and there are zones times formats times codings of them
FileName = re.compile(r"[a-z0-9][A-Za-z0-9_.-]{0,200}")  # of a file of ours: never a path, never hidden


@dataclass(slots=True)
class Brought:
    """What came of it: names of files, and a sentence for each failure."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def document(self) -> dict[str, list[str]]:
        return asdict(self)


class Directory:
    """One directory. One process at a time brings it up to date."""

    def __init__(self, wanted: ExportConfig, data_dir: Path, zones: Mapping[str, ZoneDef], signer: Signer) -> None:
        self.wanted, self.data_dir, self.signer = wanted, data_dir, signer
        self.path = wanted.directory
        self.zones = [zone for name, zone in zones.items() if not wanted.zones or name in wanted.zones]
        self.brought = Brought()
        self.before: dict[str, Line] = {}
        self.after: dict[str, Line] = {}

    def update(self) -> Brought:
        """Bring every file up to date. Raises DnsblError where the directory itself cannot be used."""
        with self.locked():
            self.before = lines_in(self.path / MANIFEST)
            for zone in self.zones:
                self.update_zone(zone)
            self.remove_stale()
            self.write_manifest()
        return self.brought

    def update_zone(self, zone: ZoneDef) -> None:
        formats = [format for format in self.wanted.formats if format in carried_by(zone)]
        files = {format: self.files(zone, format) for format in formats}
        ours = [file for format in formats for file in files[format]]
        self.after |= {file: self.before[file] for file in ours if file in self.before}
        try:
            view = given(zone_directory(self.data_dir, zone.name))
        except WithheldError as error:
            for file in ours:
                self.after.pop(file, None)
            self.brought.failed.append(f"{error}; it has no files here")
            return
        except DnsblError as error:
            self.brought.failed.append(f"zone {zone.name}: {error}; its files stay as they are")
            return
        if view is None:  # not published yet
            return
        due = [format for format in formats if not all(self.is_good(file, view) for file in files[format])]
        self.brought.unchanged += [file for format in formats if format not in due for file in files[format]]
        for format in due:
            self.update_format(view, format)

    def files(self, zone: ZoneDef, format: str) -> list[str]:
        return [file_name(zone.name, format, coding) for coding in ("identity", *self.wanted.compress)]

    def is_good(self, file: str, view: ServedZone) -> bool:
        """Whether a file is there, of this serial, as its line says it. Its content is not read: who alters files of
        ours where they lie is told by the signature."""
        line = self.after.get(file)
        try:
            size = (self.path / file).stat().st_size
        except OSError:
            return False
        signed = (self.path / (file + SIGNATURE)).exists()
        return line is not None and line.serial == view.serial and line.size == size and signed

    def update_format(self, view: ServedZone, format: str) -> None:
        """A zone in one format, plain and packed."""
        plain = self.path / file_name(view.zone.name, format)
        path = plain
        try:
            self.take(view, format, "identity", path, export(view, format))
            for coding in self.wanted.compress:
                path = plain.with_name(plain.name + CODINGS[coding])
                self.take(view, format, coding, path, pack(plain, coding))
        except OSError as error:
            self.brought.failed.append(f"{path}: cannot be written ({error.strerror}); the old file stays")
        except DnsblError as error:
            self.brought.failed.append(f"{path}: cannot be made ({error}); the old file stays")

    def take(self, view: ServedZone, format: str, coding: str, path: Path, content: Iterable[bytes]) -> None:
        """One file and its signature. From the moment it has its name its line is the new one."""
        written = write(path, content)
        line = self.after[path.name] = line_of(view, format, coding, written)
        self.sign(path, written, line.comment())
        self.brought.written.append(path.name)

    def sign(self, path: Path, written: Written, comment: str) -> None:
        """Raises OSError; then there is no signature rather than one of another content."""
        signature = path.with_name(path.name + SIGNATURE)
        try:
            write(signature, [self.signer.sign(written.digest, comment).encode("utf-8")])
        except OSError:
            with suppress(OSError):
                signature.unlink(missing_ok=True)
            raise

    def remove_stale(self) -> None:
        """Files of zones and formats that are not wanted any more."""
        for file in self.before.keys() - self.after.keys():
            try:
                for path in (self.path / file, self.path / (file + SIGNATURE)):
                    path.unlink(missing_ok=True)
            except OSError as error:
                self.after[file] = self.before[file]
                self.brought.failed.append(f"{self.path / file}: cannot be removed ({error.strerror})")
            else:
                self.brought.removed.append(file)

    def write_manifest(self) -> None:
        path = self.path / MANIFEST
        if self.before == self.after and (self.path / (MANIFEST + SIGNATURE)).exists():
            return
        made_at = clock.rfc3339(clock.now())
        files = [line.document() for _, line in sorted(self.after.items())]
        document = {"made_at": made_at, "public_key": self.signer.public_key, "files": files}
        try:
            written = write(path, [orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)])
            self.sign(path, written, f"file:{MANIFEST}\tmade_at:{made_at}")
        except OSError as error:
            self.brought.failed.append(f"{path}: cannot be written ({error.strerror}); the old one stays")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The directory itself is locked: a file for it would be copied too."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise DnsblError(
                f"{self.path}: cannot be written ({error.strerror}); its files stay as they are"
            ) from error
        try:
            lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)


def lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DnsblError(f"{path}: another process is writing its files; look again when it is done") from None


def lines_in(path: Path) -> dict[str, Line]:
    """The lines of a manifest of ours; of one that is none, or altered past understanding, nothing: then all is
    written anew, and what it named stays where it is."""
    try:
        with path.open("rb") as file:
            rows = orjson.loads(file.read(MAX_MANIFEST))["files"]
        lines = [Line(**row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {line.file: line for line in lines if isinstance(line.file, str) and FileName.fullmatch(line.file)}
