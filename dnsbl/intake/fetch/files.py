"""A feed that is a file on this host."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from urllib.parse import unquote, urlsplit

from ...config import FeedDef
from ...files import at_once
from .base import Fault, Outcome, TooLarge, Validators, faults_at, shown
from .bodies import CHUNK, Body, in_chunks

__all__ = ["from_file", "read_file"]


async def from_file(feed: FeedDef, known: Validators) -> Outcome:
    """A file on this host, `file:feeds/own.txt` or `file:///srv/feeds/own.txt`. Its time and size stand for an ETag."""
    with faults_at(feed.url):
        mark, raw = await asyncio.to_thread(read_file, file_path(feed.url), feed.max_bytes, known.etag)
        body = Body("", feed.max_bytes)
        data = None if raw is None else await body.read(in_chunks(raw))
    return data, Validators(etag=mark), shown(feed.url), body.size


def file_path(text: str) -> str:
    """The path of a file URL; without a leading slash it is relative to the working directory."""
    parts = urlsplit(text)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost"):
        raise Fault("a file URL that names a host; write file:path or file:///path")
    if not path or "\0" in path:
        raise Fault("a file URL that names no file; write file:path or file:///path")
    return path


def read_file(path: str, limit: int, known: str | None) -> tuple[str, bytes | None]:
    """(mark of this version, its bytes); the bytes are None where `known` is its mark. Raises Fault and OSError."""
    file = at_once(path, os.O_RDONLY)  # this thread cannot be called back
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise Fault("not a plain file; set the feed's url to one")
        if status.st_size > limit:
            raise TooLarge(limit)
        mark = file_mark(status)
        if mark == known:
            return mark, None
        data = read_up_to(file, limit)
        if len(data) != status.st_size or file_mark(os.fstat(file)) != mark:
            raise Fault("it changed while it was read; write a feed beside its place and rename it into it")
        return mark, data
    finally:
        os.close(file)


def read_up_to(file: int, limit: int) -> bytes:
    """The file's bytes, `limit` at most."""
    out = io.BytesIO()
    while piece := os.read(file, min(CHUNK, limit - out.tell())):
        out.write(piece)
    return out.getvalue()


def file_mark(status: os.stat_result) -> str:
    return f"file-{status.st_mtime_ns}-{status.st_size}"
