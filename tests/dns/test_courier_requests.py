"""What the courier is asked: it needs nothing else for a transfer than its request, and the zone."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
from clients import SECONDS

from dnsbl.config import Settings
from dnsbl.courier.giving import Giving
from dnsbl.courier.process import Courier
from dnsbl.courier.request import Request, Verdict, frame
from dnsbl.dns.stream import Head
from dnsbl.dns.tsig import Key
from dnsbl.errors import SnapshotError
from dnsbl.zones.served import zone_directory

KEY = Key(b"\x06mirror\0", "hmac-sha512", bytes(range(64)))
HEAD = Head(b"\1\2", 0x100, b"\2ip\0\0\xfc\0\1", b"", KEY, bytes(64))


def test_a_key_that_only_the_front_knows_is_good(settings: Settings) -> None:
    """It was changed in dnsbl.toml, and the courier started again since: the front has that of its own start."""
    assert not settings.config.dns.keys
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    front, back = socket.socketpair()
    with control, theirs, front:
        with back:
            socket.send_fds(control, [Request("ip", None, "192.0.2.1", HEAD).pack()], [back.fileno()])
        Courier(settings, None).take(theirs)
        front.settimeout(SECONDS)
        assert front.recv(100) == frame(Verdict.FAILED.value), "there is no such zone"
        assert not front.recv(100)


def test_a_request_whose_sockets_the_kernel_left_away_is_one_line(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """As it does where there is no room for them among the files that may be open."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with control, theirs:
        control.send(Request("ip", None, "192.0.2.1", HEAD).pack())
        Courier(settings, None).take(theirs)
    assert caplog.messages == ["zone ip: not transferred to 192.0.2.1: too many open files here"]


def test_files_of_a_zone_that_could_not_be_opened_whole_are_closed(tmp_path: Path) -> None:
    """A newer publish may take away one of two; a slow transfer would keep the other until its end."""
    directory = zone_directory(tmp_path, "ip")
    directory.mkdir(parents=True)
    opened: list[mock.Mock] = []

    def file(path: Path, known: object) -> mock.Mock:
        if path.suffix == ".delta" and len(opened) < 3:
            raise SnapshotError("gone")
        opened.append(mock.Mock())
        return opened[-1]

    (directory / "current").write_text('{"base": "1.base", "delta": "2.delta", "serial": 2}')
    with (
        mock.patch("dnsbl.courier.giving.SnapshotOnDisk", file),
        mock.patch("dnsbl.courier.giving.over"),
        ExitStack() as held,
    ):
        assert Giving(tmp_path).opened("ip", held)
        assert [each.close.called for each in opened] == [True, True, False, False]
    assert all(each.close.call_count == 1 for each in opened)
