"""What systemd and a service say to one another: ready, still alive, and the sockets that it opened for us.

Three environment variables and a datagram; see sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). Without
systemd nothing is set, and every function here does nothing and says so.
"""

from __future__ import annotations

import logging
import os
import socket

from .errors import StartError

__all__ = ["listen_sockets", "managed", "notify", "watchdog_interval"]

FIRST = 3  # SD_LISTEN_FDS_START: the descriptors follow stdin, stdout and stderr
MICROSECONDS = 1_000_000
log = logging.getLogger(__name__)


def managed() -> bool:
    """Whether there is a service manager to tell."""
    return os.environ.get("NOTIFY_SOCKET", "")[:1] in ("/", "@")


def notify(text: str) -> bool:
    """Tell the service manager: `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=…`; several at once, a line each.
    True where it was sent. Nothing is raised: a service that cannot report goes on serving."""
    if not managed():
        return False
    address = os.environ["NOTIFY_SOCKET"]
    if address[0] == "@":  # an abstract socket: the kernel wants a zero byte there
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # a manager that does not read must not stop the answers
            sock.sendto(text.encode(), address)
    except OSError as error:
        log.warning("the service manager was not told %s: %s", text.partition("=")[0], error.strerror)
        return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between two `WATCHDOG=1`: half of what systemd waits before it kills and restarts us. None where nobody
    waits, or where somebody waits for another process (a parent's environment, inherited)."""
    allowed = number("WATCHDOG_USEC")
    if not allowed or number("WATCHDOG_PID") not in (None, os.getpid()):
        return None
    return allowed / MICROSECONDS / 2


def listen_sockets(name: str | None = None) -> list[socket.socket]:
    """The sockets that systemd opened for this process, all or those called `name` (FileDescriptorName=), in its
    order. The caller owns them and closes them, so ask once for each. Empty without socket activation, and in child
    processes, which are not whom LISTEN_PID means. Raises StartError where a descriptor is no socket."""
    count = number("LISTEN_FDS")
    if not count or number("LISTEN_PID") != os.getpid():
        return []
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (count - len(names))  # as systemd calls what has no name
    return [adopt(FIRST + i) for i in range(count) if name is None or names[i] == name]


def adopt(descriptor: int) -> socket.socket:
    """A socket object over an inherited descriptor; family and type are read from the kernel."""
    try:
        os.set_inheritable(descriptor, False)  # what we start later gets what we hand it, and no more
        return socket.socket(fileno=descriptor)
    except OSError as error:
        raise StartError(
            f"descriptor {descriptor} of LISTEN_FDS is no socket ({error.strerror}); "
            "start the service through its socket unit, or unset LISTEN_FDS"
        ) from error


def number(variable: str) -> int | None:
    """An environment variable as a number, None where it is unset or none."""
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else None
