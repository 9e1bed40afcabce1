"""NOTIFY from outside: only what a primary says counts, and however often it is said, the courier hears it seldom."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clients import SECONDS
from fake import default_answerer

from dnsbl.config import Settings
from dnsbl.config.distribution import FollowConfig
from dnsbl.courier import link
from dnsbl.courier.request import wake
from dnsbl.dns.refusals import AGAIN
from dnsbl.dns.tsig import Key
from dnsbl.travel import Travel

ORIGIN = "ip.dnsbl.test"
Traveller = Callable[..., Travel]


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What leads to the courier, and its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


@pytest.fixture
def travelling(settings: Settings, control: tuple[socket.socket, socket.socket]) -> Traveller:
    def made(**follow: Any) -> Travel:
        follows = [FollowConfig.model_validate({"zone": "ip", **follow})]
        config = settings.config.model_copy(update={"follow": follows})
        travel = Travel(settings.model_copy(update={"config": config}), default_answerer(), ["a courier"])
        assert travel.link is not None
        travel.link.control = control[0]
        return travel

    return made


def waiting(sock: socket.socket) -> list[bytes]:
    """What was said to the courier until now."""
    found = []
    while True:
        try:
            found.append(sock.recv(4096))
        except BlockingIOError:
            return found


async def test_a_flood_of_notify_wakes_at_once_and_once_more(
    travelling: Traveller, control: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "WAKE_PAUSE", 0.01)
    travel = travelling(primaries=["192.0.2.1:53"])
    for _ in range(2000):
        assert travel.heard(ORIGIN, "192.0.2.1", None)
    assert waiting(control[1]) == [wake("ip")]
    assert travel.link is not None
    async with asyncio.timeout(SECONDS):
        while travel.link.woken:
            await asyncio.sleep(0)
    assert waiting(control[1]) == [wake("ip")]
    assert travel.heard(ORIGIN, "192.0.2.1", None)
    assert waiting(control[1]) == [wake("ip")]


async def test_only_primaries_are_heard(
    travelling: Traveller, control: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    travel = travelling(primaries=["192.0.2.1:53", "[2001:DB8:0::1]:53"])
    for _ in range(3):
        assert not travel.heard(ORIGIN, "192.0.2.2", None)
        assert not travel.heard(f"\x1b[2J\n{ORIGIN}", "192.0.2.1", None)
    assert waiting(control[1]) == []
    assert caplog.text.count("none of its primaries") == 2
    assert "\x1b" not in caplog.text
    assert travel.heard(ORIGIN, "2001:db8::1", None)
    assert waiting(control[1]) == [wake("ip")]


async def test_where_there_is_a_key_only_what_it_signed_is_heard(
    travelling: Traveller, control: tuple[socket.socket, socket.socket]
) -> None:
    travel = travelling(primaries=["192.0.2.1:53"], key="mirror-1")
    for key in (None, Key(b"\x08mirror-2\0", "hmac-sha256", bytes(32))):
        assert not travel.heard(ORIGIN, "192.0.2.1", key)
    assert waiting(control[1]) == []
    assert travel.heard(ORIGIN, "192.0.2.1", Key(b"\x08mirror-1\0", "hmac-sha256", bytes(32)))
    assert waiting(control[1]) == [wake("ip")]


def test_a_flood_from_strangers_hides_a_primary_for_an_hour_at_most(
    travelling: Traveller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    travel = travelling(primaries=["127.0.0.1:53"])
    now = 10_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with caplog.at_level(logging.INFO, "dnsbl.transfer"):
        for number in range(250):
            travel.heard(ORIGIN, f"192.0.2.{number}", None)
        travel.heard(ORIGIN, "198.51.100.1", None)
        assert "198.51.100.1" not in caplog.text
        now += AGAIN
        travel.heard(ORIGIN, "198.51.100.1", None)
        assert "198.51.100.1" in caplog.text
