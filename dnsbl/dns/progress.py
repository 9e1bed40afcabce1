"""How far a client is with what is written to its TCP socket: the kernel counts it (Linux, tcp(7))."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Known", "Progress", "known_of"]

ACKNOWLEDGED = struct.Struct("=120xQ")  # of struct tcp_info: tcpi_bytes_acked


class Progress(NamedTuple):
    taken: int  # octets that the client has acknowledged since it connected
    waiting: bool  # whether there are more for it


Known = Callable[[], Progress | None]


def known_of(sock: socket.socket | TransportSocket) -> Known:
    """What asks about a socket; it says None once that is closed, or where the kernel does not say."""

    def known() -> Progress | None:
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKNOWLEDGED.size)
            (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
            return Progress(ACKNOWLEDGED.unpack(info)[0], queued > 0)
        except (OSError, ValueError, struct.error):
            return None

    return known
