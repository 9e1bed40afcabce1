"""Primaries asked: their serial by UDP, the zone by TCP or TLS (RFC 9103), signed where there is a key (RFC 8945).

All of it waits, so it runs in threads; `Line.close` from elsewhere ends what waits. A primary that is silent, slow or
endless is given up: every wait has a limit, and so has a transfer as a whole.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .. import clock
from ..config.base import parse_listen
from ..config.distribution import FollowConfig
from ..dns.tsig import Key, StreamChecker, sign_query
from ..errors import TransferError
from .messages import SOA, header, question, rcode_name, records, soa_numbers

__all__ = ["Line", "Primary", "in_time", "primaries_of", "reason", "trusting"]

UDP_TRIES = 3
UDP_SECONDS = 2.0  # for each try
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0  # until the next octets
TRANSFER_SECONDS = 3600.0  # for all of it
MIN_RATE = 16_384  # octets a second on average, once SLOW_SECONDS have passed
SLOW_SECONDS = 60.0
UDP_SIZE = 4096  # octets; a reply to a question for one SOA has some hundreds
BUFFER = 1 << 18  # octets read ahead
ALPN = "dot"  # RFC 9103 section 8.1
LENGTH = struct.Struct("!H")


@dataclass(slots=True, frozen=True)
class Primary:
    """A server that a zone is taken from. `tls`: asked by TLS only, and it must be `tls_name`."""

    address: str
    port: int
    key: Key | None = None
    tls: bool = False
    tls_name: str = ""
    tls_ca: Path | None = None

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET


def primaries_of(follow: FollowConfig, key: Key | None) -> list[Primary]:
    return [
        Primary(*parse_listen(text), key, follow.tls, follow.tls_name or "", follow.tls_ca) for text in follow.primaries
    ]


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Line:
    """What one follower has open to a primary: one socket at most."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.closed = False

    def close(self) -> None:
        """End it from another thread; what waits fails with TransferError."""
        self.closed = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def opened(self, sock: socket.socket) -> socket.socket:
        self.sock = sock
        if self.closed:
            raise TransferError("stopped")
        return sock

    # the serial

    def serial(self, primary: Primary, origin: bytes) -> int:
        """The serial that a primary has. Raises TransferError, TsigError."""
        id = secrets.randbits(16)
        query = question(id, origin, SOA)
        try:
            reply = self.over_tcp(primary, query) if primary.tls else self.over_udp(primary, query, id)
            return serial_in(reply, id, origin)
        except OSError as error:
            raise TransferError(f"{primary} does not answer ({reason(error)})") from error

    def over_udp(self, primary: Primary, query: bytes, id: int) -> bytes:
        for _ in range(UDP_TRIES):
            signed, checker = prepared(query, primary.key)
            with socket.socket(primary.family, socket.SOCK_DGRAM) as sock:
                self.opened(sock)
                sock.connect((primary.address, primary.port))
                sock.send(signed)
                end = time.monotonic() + UDP_SECONDS
                while (left := end - time.monotonic()) > 0:
                    sock.settimeout(left)
                    try:
                        reply = sock.recv(UDP_SIZE)
                    except TimeoutError:
                        break
                    if reply[:2] == query[:2] and len(reply) > 2:  # else somebody guesses
                        return checker.check(reply, clock.now()) if checker else reply
        raise TransferError(f"{primary} does not answer; is it up, and reached from here by UDP?")

    def over_tcp(self, primary: Primary, query: bytes) -> bytes:
        with self.connected(primary) as sock, sock.makefile("rb", BUFFER) as file:
            signed, checker = prepared(query, primary.key)
            sock.sendall(LENGTH.pack(len(signed)) + signed)
            reply = framed(file)
            return checker.check(reply, clock.now()) if checker else reply

    # the zone

    def transfer(self, primary: Primary, query: bytes, take: Callable[[bytes], bool]) -> None:
        """Ask for a transfer and give its messages to `take`, without signatures, until that says it was the last.
        Raises TransferError, TsigError, and what `take` raises; until this returns nothing may be believed."""
        try:
            with self.connected(primary) as sock, sock.makefile("rb", BUFFER) as file:
                signed, checker = prepared(query, primary.key)
                sock.sendall(LENGTH.pack(len(signed)) + signed)
                began, size, last = time.monotonic(), 0, False
                while not last:
                    wire = framed(file)
                    size += len(wire)
                    in_time(time.monotonic() - began, size)
                    last = take(checker.check(wire, clock.now()) if checker else wire)
        except OSError as error:
            raise TransferError(f"{primary}: the transfer was cut ({reason(error)})") from error
        if checker and not checker.complete:
            raise TransferError(f"{primary}: the transfer's last message is not signed")

    def connected(self, primary: Primary) -> socket.socket:
        sock = socket.create_connection((primary.address, primary.port), CONNECT_SECONDS)
        try:
            self.opened(sock)
            if primary.tls:
                sock = self.opened(encrypted(sock, primary))
            sock.settimeout(READ_SECONDS)
        except BaseException:
            sock.close()
            raise
        return sock


def encrypted(sock: socket.socket, primary: Primary) -> ssl.SSLSocket:
    """TLS 1.3 with the right server, for DNS (RFC 9103 sections 8.1 and 9.3). Raises OSError, TransferError."""
    context = trusting(primary.tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    # Asked for by itself: on a connection that was reset meanwhile it would be left out without a word.
    made = context.wrap_socket(sock, server_hostname=primary.tls_name or primary.address, do_handshake_on_connect=False)
    try:
        made.do_handshake()
    except BaseException:
        made.close()
        raise
    if made.selected_alpn_protocol() != ALPN:
        made.close()
        raise TransferError(f"{primary}: speaks TLS, but not DNS (no ALPN `{ALPN}`)")
    return made


def trusting(authorities: Path | None) -> ssl.SSLContext:
    """TLS with servers whose certificate is from one of these (a file in PEM); None: the system's. Raises
    TransferError."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:  # no fault of the primary's
        raise TransferError(f"follow.tls_ca {authorities}: no certificates in PEM ({reason(error)})") from error


def prepared(query: bytes, key: Key | None) -> tuple[bytes, StreamChecker | None]:
    """A query as it is sent, and what checks the reply."""
    if key is None:
        return query, None
    signed, mac = sign_query(query, key, clock.now())
    return signed, StreamChecker(key, mac)


def framed(file: Readable) -> bytes:
    """The next message of a stream (RFC 1035 section 4.2.2). Raises OSError where it ends before."""
    head = file.read(LENGTH.size)
    (size,) = LENGTH.unpack(head) if len(head) == LENGTH.size else (1,)
    wire = file.read(size) if len(head) == LENGTH.size else b""
    if len(wire) < size:
        raise ConnectionError("the connection was closed in the middle")
    return wire


def in_time(seconds: float, size: int) -> None:
    """Raises TransferError for a transfer that takes too long."""
    if seconds > TRANSFER_SECONDS or (seconds > SLOW_SECONDS and size < seconds * MIN_RATE):
        raise TransferError(f"the transfer was too slow: {size:,} octets in {seconds:.0f} s; it was given up")


def serial_in(reply: bytes, id: int, origin: bytes) -> int:
    """The serial in the answer to a question for the SOA. Raises TransferError."""
    head = header(reply, id, origin, SOA)
    if head.rcode:
        raise TransferError(f"it answers {rcode_name(head.rcode)} when asked for the zone's SOA")
    for owner, rtype, _, data in records(reply, head.start, head.answers, origin):
        if rtype == SOA and not owner:
            return soa_numbers(data)[0]
    raise TransferError("it has no SOA of the zone")


def reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "too slow"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__
