"""What systemd hears from us, and what we take from it: with real sockets, and a real child that is handed some."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnsbl.errors import StartError
from dnsbl.sdnotify import listen_sockets, notify, watchdog_interval

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may themselves run under systemd."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which a service manager listens."""
    name = f"@dnsbl-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1))
        sock.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_the_manager_hears_what_is_said(manager: socket.socket) -> None:
    assert notify("READY=1\nSTATUS=2 zones, größer als nichts")
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=2 zones, größer als nichts"
    assert notify("WATCHDOG=1")
    assert manager.recv(4096) == b"WATCHDOG=1"


def test_without_a_manager_nothing_is_sent() -> None:
    assert not notify("READY=1")


@pytest.mark.parametrize("address", ["", "vsock:2:1", "relative", "@", "/"])
def test_an_address_of_no_manager_does_not_hurt(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


@pytest.mark.parametrize("address", ["/nowhere/at/all", "/" + "x" * 200])
def test_a_manager_that_is_gone_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("STATUS=a long story")
    assert "was not told STATUS: " in caplog.text


def test_a_manager_that_does_not_read_does_not_stop_us(manager: socket.socket) -> None:
    sent = sum(notify("WATCHDOG=1") for _ in range(100_000 // 100))
    assert 0 < sent < 1000


@pytest.mark.parametrize(
    ("allowed", "who", "interval"),
    [
        ("30000000", "me", 15.0),
        ("30000000", "", 15.0),
        ("30000000", "1", None),
        ("0", "me", None),
        ("", "me", None),
        ("soon", "me", None),
        ("-5", "me", None),
        ("²", "me", None),
    ],
)
def test_the_watchdog_is_petted_twice_as_often_as_it_asks(
    monkeypatch: pytest.MonkeyPatch, allowed: str, who: str, interval: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", allowed)
    if who:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if who == "me" else who)
    assert watchdog_interval() == interval


def test_without_a_watchdog_there_is_no_interval() -> None:
    assert watchdog_interval() is None


# Becomes what systemd would have started: descriptors from 3 on, and LISTEN_PID, which only the child can know.
CHILD = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from dnsbl.sdnotify import listen_sockets
asked = sys.argv[1:] or [None]
for name in asked:
    for sock in listen_sockets(name):
        with sock:
            print(name, sock.family.name, sock.type.name, sock.getsockname()[1], sock.get_inheritable())
"""


def activated(sockets: list[socket.socket], names: str | None, *asked: str) -> list[str]:
    """What a child that is handed `sockets` from descriptor 3 on makes of them, a line for each."""
    environment = {**os.environ, "LISTEN_FDS": str(len(sockets)), "PYTHONPATH": str(ROOT)}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    # The shell moves each descriptor to its place, by way of a high one so that none is overwritten.
    moves = [f"{20 + i}>&{sock.fileno()}" for i, sock in enumerate(sockets)]
    moves += [f"{3 + i}>&{20 + i} {20 + i}>&-" for i in range(len(sockets))]
    result = subprocess.run(
        ["bash", "-c", f'exec {" ".join(moves)}; exec "$@"', "-", sys.executable, "-c", CHILD, *asked],
        env=environment, pass_fds=[sock.fileno() for sock in sockets], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture
def pair() -> Iterator[list[socket.socket]]:
    """A UDP and a TCP socket on one port each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.bind(("127.0.0.1", 0))
        yield [udp, tcp]


def test_a_child_takes_the_sockets_it_is_handed(pair: list[socket.socket]) -> None:
    udp, tcp = (sock.getsockname()[1] for sock in pair)
    assert activated(pair, "dns:dns") == [
        f"None AF_INET SOCK_DGRAM {udp} False",
        f"None AF_INET SOCK_STREAM {tcp} False",
    ]


def test_sockets_are_asked_for_by_name(pair: list[socket.socket]) -> None:
    udp, tcp = (sock.getsockname()[1] for sock in pair)
    assert activated(pair, "dns:web", "web", "dns", "other") == [
        f"web AF_INET SOCK_STREAM {tcp} False",
        f"dns AF_INET SOCK_DGRAM {udp} False",
    ]


def test_sockets_without_names_are_unknown(pair: list[socket.socket]) -> None:
    assert len(activated(pair, None)) == 2
    assert activated(pair, None, "dns") == []


@pytest.mark.parametrize(("count", "who"), [("2", "1"), ("2", ""), ("0", "me"), ("", "me"), ("many", "me")])
def test_what_is_meant_for_another_is_left_alone(monkeypatch: pytest.MonkeyPatch, count: str, who: str) -> None:
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if who == "me" else who)
    assert listen_sockets() == []


def test_a_descriptor_that_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    try:
        monkeypatch.setattr("dnsbl.sdnotify.FIRST", reading)
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        with pytest.raises(StartError, match="is no socket"):
            listen_sockets()
    finally:
        os.close(reading)
        os.close(writing)
