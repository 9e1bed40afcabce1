"""Where the messages of a transfer go: to the client's own socket, or where that may not be (TLS) through the front.

The front hears a verdict first and of the end at last, on its socket; what it reads there is in `request`. On the
client's socket nobody else writes meanwhile: the front has nothing left to write, and waits. That socket's blocking is
shared with the front, which wants none.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable

from ..dns.progress import known_of
from ..dns.stream import framed
from ..dns.tcp import TcpLimits
from .request import END, Verdict, frame

__all__ = ["Outlet"]

STALLED = TcpLimits().stalled  # seconds, as in the front


class Outlet:
    """One transfer's. A stream to the front that is closed without its end was cut, and cuts the client."""

    def __init__(self, front: socket.socket, client: socket.socket | None = None, stalled: float = STALLED) -> None:
        self.front, self.client, self.stalled = front, client, stalled

    def close(self) -> None:
        """The client's first: whoever hears that it was cut finds nobody else on that connection."""
        if self.client:
            self.client.close()
        self.front.close()

    def say(self, verdict: Verdict) -> None:
        self.front.sendall(frame(verdict.value))

    def pour(self, messages: Iterable[bytes]) -> int:
        """Send messages as fast as they are read, and the end; how many octets. Raises OSError where who reads them is
        gone (then all is said), or the front is, and TimeoutError where nothing was read for too long."""
        sent = 0
        for message in messages:
            if self.client:
                self.straight(self.client, framed(message))
            else:
                self.front.sendall(frame(framed(message)))
            sent += len(message)
        self.front.sendall(END)
        return sent

    def straight(self, client: socket.socket, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:
            try:
                rest = rest[client.send(rest) :]
            except BlockingIOError:
                self.wait(client)
            except (BrokenPipeError, ConnectionResetError):
                self.say(Verdict.GONE)  # the front reads nothing from it meanwhile, and would go on with what it asked
                raise

    def wait(self, client: socket.socket) -> None:
        """Until there is room for more: a third of what waits for the client, up to MB. Who is slow may need longer for
        that than `stalled`, and reads meanwhile."""
        poll = select.poll()
        poll.register(client, select.POLLOUT)
        poll.register(self.front, 0)  # its end is told unasked
        known = known_of(client)
        before = known()
        while not (ready := [number for number, _ in poll.poll(self.stalled * 1000)]):
            now = known()
            if before is None or now is None or now.taken == before.taken:
                raise TimeoutError(f"nothing was read for {self.stalled:.0f} s")
            before = now
        if self.front.fileno() in ready:
            raise BrokenPipeError("the front has ended it")
