"""Files that are complete when they have their name: written aside, synced, renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["LEAVE_FREE", "at_once", "has_room", "replacing", "sync_directory"]

LEAVE_FREE = 256 * 2**20  # bytes of a disk that large files leave to the store and the snapshots


@contextmanager
def replacing(path: Path, sync: bool = True, mode: int = 0o666, hidden: bool = False) -> Iterator[BinaryIO]:
    """A file to write what `path` shall hold. After a crash or an exception `path` is what it was before. The file
    aside is made anew and never through a link: its directory may be one that others write to. `hidden`: its name
    begins with a dot, for a directory that others copy. Raises OSError."""
    aside = path.with_name(f"{'.' if hidden else ''}{path.name}.part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def at_once(path: str, flags: int) -> int:
    """An opener of files to read: one that is a pipe does not wait for its writer, and is empty without one."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def sync_directory(directory: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def has_room(directory: Path, size: int = 0) -> bool:
    """Whether the disk has so many bytes more than what is left free. Raises OSError."""
    return shutil.disk_usage(directory).free >= LEAVE_FREE + size
