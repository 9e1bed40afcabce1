"""GET over HTTPS, one at a time, within bounds: no redirects, no coding, no more bytes than asked for. Blocking."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ..errors import SnapshotError, TransferError
from .asking import in_time, reason, trusting

__all__ = ["Web"]

SECONDS = 30.0  # until the next bytes
STEP = 1 << 18  # bytes read at once
LONGEST_WAIT = 3600  # seconds of a Retry-After that is kept
ADVICE = {
    401: "its api_key is not known there",
    403: "its api_key may not read there, or the zone is not given away",
    404: "it has no such zone, or nothing is published yet",
    429: "it is asked too often",
}


class Web:
    """One server. `authorities`: a file in PEM of those that its certificate may be from; None: the system's. Raises
    TransferError for an address that cannot be taken from."""

    def __init__(self, url: str, api_key: str, authorities: Path | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.tls = parts.hostname or "", parts.scheme == "https"
        if not self.host or parts.scheme not in ("https", "http") or not (self.tls or loopback(self.host)):
            raise TransferError(f"follow.url {url}: write https://…; plain http is for the loopback alone")
        self.port = parts.port or (443 if self.tls else 80)
        self.base = parts.path.rstrip("/")
        self.origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.headers = {"Accept-Encoding": "identity", "User-Agent": "dnsbl"}
        if api_key:
            self.headers["Authorization"] = f"Bearer {api_key}"
        self.authorities = authorities
        self.connection: http.client.HTTPConnection | None = None
        self.closed = False
        self.not_before = 0.0  # by the monotonic clock: it asked for a pause until then

    def close(self) -> None:
        """End what waits in another thread."""
        self.closed = True
        if self.connection and (sock := self.connection.sock):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def document(self, path: str, etag: str, limit: int) -> tuple[str, bytes | None]:
        """A small document and its ETag; None where it is still that of `etag`. Raises TransferError."""
        with self.got(path, {"If-None-Match": etag} if etag else {}) as reply:
            if reply.status == 304 and etag:
                return etag, None
            if reply.status != 200:
                raise self.refused(reply)
            body = reply.read(limit + 1)
            if len(body) > limit:
                raise TransferError(f"{self.origin}: an answer of more than {limit:,} bytes where some hundred do")
            return reply.getheader("ETag", ""), body

    def file(self, path: str, content: IO[bytes], size: int, sha256: str) -> bool:
        """Bring a file that was begun up to `size` bytes; False where it is not there. Raises TransferError, OSError
        for the file; what came stays in it."""
        have = content.tell()
        if have >= size:
            return True
        more = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'} if have else {}
        with self.got(path, more) as reply:
            if reply.status == 404:
                return False
            if reply.status == 200:
                content.truncate(0)
                have = 0
            elif reply.status != 206 or not reply.getheader("Content-Range", "").startswith(f"bytes {have}-"):
                raise self.refused(reply)
            began = time.monotonic()
            while have < size and (piece := reply.read(min(STEP, size - have))):
                written(content, piece)
                have += len(piece)
                in_time(time.monotonic() - began, have)
        if have < size:
            raise TransferError(f"{self.origin}: cut after {have:,} of {size:,} bytes; the rest is fetched next time")
        return True

    @contextmanager
    def got(self, path: str, more: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """One request. Raises TransferError."""
        if time.monotonic() < self.not_before:
            raise TransferError(f"{self.origin}: asked for a pause, which is not over")
        connection = self.connect()
        try:
            connection.request("GET", self.base + path, headers={**self.headers, **more})
            with connection.getresponse() as reply:
                yield reply
        except (OSError, http.client.HTTPException) as error:
            why = reason(error) if isinstance(error, OSError) else "what it sends is no HTTP"
            raise TransferError(f"{self.origin}: {why}") from error
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        if self.closed:
            raise TransferError("stopped")
        if self.tls:
            context = trusting(self.authorities)
            self.connection = http.client.HTTPSConnection(self.host, self.port, timeout=SECONDS, context=context)
        else:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        return self.connection

    def refused(self, reply: http.client.HTTPResponse) -> TransferError:
        after = reply.getheader("Retry-After", "")
        if after.isascii() and after.isdigit():
            self.not_before = time.monotonic() + min(int(after), LONGEST_WAIT)
        return TransferError(f"{self.origin}: HTTP {reply.status}, {ADVICE.get(reply.status, 'which is no answer')}")


def written(content: IO[bytes], piece: bytes) -> None:
    """Raises SnapshotError: it is not the other side's failure."""
    try:
        content.write(piece)
    except OSError as error:
        raise SnapshotError(f"a snapshot cannot be written ({error.strerror}); the old one stays") from error


def loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
