"""The courier's messages go straight to a client in the clear; the front hears how it ended."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from clients import SECONDS

from dnsbl.courier.outlet import Outlet
from dnsbl.courier.request import END, Verdict, frame
from dnsbl.courier.slots import PATIENCE, Place
from dnsbl.dns.progress import Known, Progress, known_of
from dnsbl.dns.stream import framed

MADE = [bytes((number,)) * 64_000 for number in range(1, 251)]  # more than sockets hold by themselves


class Ends:
    """What the front and the client have of a transfer, and the courier's outlet."""

    def __init__(self, straight: bool, stalled: float = SECONDS, kept: bool = False) -> None:
        self.front, theirs = socket.socketpair()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.client = socket.create_connection(listening.getsockname())
            served, _ = listening.accept()
        served.setblocking(False)  # as the front has it
        for sock in (self.front, self.client):
            sock.settimeout(SECONDS)
        self.outlet = Outlet(theirs, served if straight else None, stalled)
        self.served = served.dup() if kept else None  # the front's own
        if not straight:
            served.close()
        self.error: OSError | None = None
        self.thread = threading.Thread(target=self.pour)

    def pour(self) -> None:
        try:
            self.outlet.say(Verdict.OK)
            self.outlet.pour(MADE)
        except OSError as error:
            self.error = error
        finally:
            self.outlet.close()


@pytest.fixture
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    found = Ends(**request.param)
    found.thread.start()
    yield found
    found.front.close()
    found.client.close()
    if found.served:
        found.served.close()
    found.thread.join(SECONDS)
    assert not found.thread.is_alive()


def everything(sock: socket.socket) -> bytes:
    with suppress(ConnectionResetError):
        return b"".join(iter(lambda: sock.recv(1 << 20), b""))
    return b""


straight = pytest.mark.parametrize("ends", [{"straight": True}], indirect=True)


@straight
def test_messages_go_to_the_client_and_the_front_hears_of_the_end(ends: Ends) -> None:
    assert everything(ends.client) == b"".join(map(framed, MADE))
    assert everything(ends.front) == frame(Verdict.OK.value) + END


@pytest.mark.parametrize("ends", [{"straight": False}], indirect=True)
def test_without_the_client_all_goes_to_the_front(ends: Ends) -> None:
    found = everything(ends.front)
    assert found.startswith(frame(Verdict.OK.value)) and found.endswith(END)
    assert sum(len(framed(message)) for message in MADE) < len(found)


@straight
def test_a_client_that_leaves_is_nothing_to_cut(ends: Ends) -> None:
    assert ends.client.recv(1)
    ends.client.close()
    assert everything(ends.front) == frame(Verdict.OK.value) + frame(Verdict.GONE.value)
    ends.thread.join(SECONDS)
    assert isinstance(ends.error, (BrokenPipeError, ConnectionResetError))


@straight
def test_the_front_ends_a_transfer_that_waits_for_its_client(ends: Ends) -> None:
    assert ends.client.recv(1)
    ends.front.close()
    ends.thread.join(SECONDS)
    assert isinstance(ends.error, BrokenPipeError)
    assert len(everything(ends.client)) < sum(map(len, MADE)), "and nobody takes what came for the zone"


@pytest.mark.parametrize("ends", [{"straight": True, "stalled": 1.0}], indirect=True)
def test_a_client_that_reads_slowly_is_not_cut(ends: Ends) -> None:
    """The kernel calls a socket writable once a third of its buffer is free, for which this one needs longer."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert ends.client.recv(32_768)
        time.sleep(0.1)
    assert ends.error is None
    assert everything(ends.client).endswith(framed(MADE[-1]))


def settled(known: Known) -> Progress:
    """How far a client is once that does not change any more."""
    before, deadline = known(), time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.05)  # acknowledgements come by themselves, and nobody tells of them
        now = known()
        if now is not None and now == before:
            return now
        before = now
    raise AssertionError(before)


@pytest.mark.parametrize("ends", [{"straight": True, "kept": True}], indirect=True)
def test_who_does_not_read_is_too_slow_and_who_reads_is_not(ends: Ends) -> None:
    """The kernel says so: nothing of it passes through the front."""
    now = 0.0
    assert ends.served is not None
    known = known_of(ends.served)
    place = Place("a", lambda: None, known, lambda: now)
    first = settled(known)
    assert first.waiting
    place.look()
    now += PATIENCE + 1
    place.look()
    assert place.left() < 0
    rest = size = sum(len(framed(message)) for message in MADE)
    while rest:
        rest -= len(ends.client.recv(1 << 20))
    last = settled(known)
    assert first.taken < size <= last.taken and not last.waiting
    place.look()
    now += PATIENCE + 1
    place.look()
    assert place.left() == PATIENCE


def test_of_a_socket_that_is_closed_nothing_is_known() -> None:
    sock = socket.socket()
    sock.close()
    assert known_of(sock)() is None


@pytest.mark.parametrize("ends", [{"straight": True, "stalled": 0.1}], indirect=True)
def test_a_client_that_does_not_read_is_cut(ends: Ends) -> None:
    """The front finds no end, and closes the connection."""
    assert everything(ends.front) == frame(Verdict.OK.value)
    assert isinstance(ends.error, TimeoutError)
