"""How the server starts and takes new snapshots: it loads only what answers, and waits for nothing that is large."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from dnsbl import native
from dnsbl.app import App
from dnsbl.config import Settings
from dnsbl.front import Front
from dnsbl.zones.loaded import New, Snapshots
from dnsbl.zones.served import CURRENT, ServedZone, zone_directory

ROOT = Path(__file__).parent.parent
SECONDS = 30  # a test that waits longer has found a fault
TEST_POINT = "2.0.0.127.ip.dnsbl.test"
HEAVY = {"numpy", "rich", "aiohttp", "jinja2", "sqlite3", "sqlite_utils", "apscheduler", "prometheus_client"}


def question(name: str, rtype: int = 1, rclass: int = 1) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 0x1234, 0, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, rtype, rclass)


VERSION = question("version.bind", 16, 3)  # class CH is answered in the loop, whichever path is there


def published(settings: Settings) -> None:
    with App(settings) as app:
        app.reconcile()
        assert {done.zone for done in app.settle()} == set(app.zones)


# what is loaded


@pytest.mark.parametrize("how", [["--json"], []], ids=["json", "screen"])
def test_what_dns_does_without_is_not_imported(settings: Settings, tmp_path: Path, how: list[str]) -> None:
    """It starts sooner and stays small. All that the process imports until its end is looked at."""
    published(settings)
    path = tmp_path / "dnsbl.toml"
    path.write_text('data_dir = "data"\n[dns]\nlisten = ["127.0.0.1:0"]\n')
    command = [sys.executable, "-X", "importtime", "-m", "dnsbl", "-c", str(path), "serve", "--role", "dns", *how]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout and process.stderr
            heard = Heard(process.stderr)
            line = process.stdout.readline().decode()
            if how:
                host, _, port = json.loads(line)["dns"][0].rpartition(":")
                assert asked((host, int(port)), question(TEST_POINT))[7]
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
        said = heard.all()
    imported = set(re.findall(r"^import time: .*\| *(\S+)$", said, re.MULTILINE))
    assert {"dnsbl.front", "dnsbl.zones.served"} <= imported, said
    assert not {name for name in imported if name.partition(".")[0] in HEAVY}


def test_a_verb_does_not_import_what_few_need() -> None:
    """Passkeys' library and that of the cold tables took a seventh of the start of each."""
    code = "import sys, dnsbl.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    assert not {"webauthn", "sqlite_utils"} & set(done.stdout.decode().split())


class Heard:
    """What a child says, read as it comes: it must not wait for us."""

    def __init__(self, stream: object) -> None:
        self.said = b""
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream: object) -> None:
        self.said = stream.read()  # type: ignore[attr-defined]

    def all(self) -> str:
        self.thread.join(SECONDS)
        return self.said.decode()


def asked(address: tuple[str, int], wire: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        sock.connect(address)
        sock.send(wire)
        return sock.recv(4096)


# new snapshots


class Slow:
    """In the place of `Snapshots.load`, for one zone: a file so large that reading it takes until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.count = self.at_once = 0
        load = Snapshots.load

        def slow(snapshots: Snapshots, new: New) -> ServedZone | None:
            self.count += 1
            self.at_once += 1
            assert self.at_once == 1
            self.reading.set()
            assert self.go_on.wait(SECONDS)
            self.at_once -= 1
            return load(snapshots, new)

        monkeypatch.setattr(Snapshots, "load", slow)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Front]:
    """The front on a free port, once it is ready; its end is told as by a signal."""
    config = settings.config
    dns = config.dns.model_copy(update={"listen": ["127.0.0.1:0"]})
    front = Front(settings.model_copy(update={"config": config.model_copy(update={"dns": dns})}), None)
    ready = asyncio.Event()
    task = asyncio.create_task(front.run(lambda _: ready.set()))
    try:
        async with asyncio.timeout(SECONDS):
            await asyncio.wait({task, asyncio.ensure_future(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            assert ready.is_set()
            yield front
    finally:
        front.stopping.set()
        await task


async def over_tcp(address: tuple[str, int], wire: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(struct.pack("!H", len(wire)) + wire)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()
        await writer.wait_closed()


def point_anew(settings: Settings, zone: str) -> None:
    """As a publish does: the pointer is another file, and so is the snapshot that it names."""
    pointer = zone_directory(settings.config.data_dir, zone) / CURRENT
    base = pointer.with_name(orjson.loads(pointer.read_bytes())["base"])
    for path in (base, pointer):
        beside = path.with_name("beside")
        beside.write_bytes(path.read_bytes())
        beside.replace(path)


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SECONDS)


async def test_answers_go_on_while_a_large_snapshot_is_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(settings)
    async with running(settings) as front:
        address = front.server.addresses[0]
        before = front.snapshots.views["ip"]
        slow = Slow(monkeypatch)
        point_anew(settings, "ip")
        await until_set(slow.reading)
        assert (await over_tcp(address, question(TEST_POINT)))[7]
        assert (await over_tcp(address, VERSION))[7] == 1
        assert (await asyncio.to_thread(asked, address, VERSION))[7] == 1  # handed over, where the native path is there
        assert front.answerer.zones.find(served_labels(before)).view is before  # type: ignore[union-attr]
        slow.go_on.set()
        while front.snapshots.views["ip"] is before:
            await asyncio.sleep(0.01)
        assert (await over_tcp(address, question(TEST_POINT)))[7]
        now = front.answerer.zones.find(served_labels(before))
        assert now is not None and now.view is front.snapshots.views["ip"]
        if native.module is not None:
            assert front.native is not None and front.native.zones["ip"][0] is now.view
        assert slow.count == 1


def served_labels(view: ServedZone) -> list[bytes]:
    return view.zone.origin.encode().split(b".")


async def test_a_reload_while_a_snapshot_is_read_waits_its_turn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two looks at once; and the zones of the new configuration are looked at as soon as the first is done."""
    published(settings)
    async with running(settings) as front:
        less = {name: zone for name, zone in settings.zones.items() if name != "domain"}
        monkeypatch.setattr("dnsbl.config.load", lambda _: settings.model_copy(update={"zones": less}))
        slow = Slow(monkeypatch)
        point_anew(settings, "ip")
        await until_set(slow.reading)
        front.reload()
        await asyncio.sleep(0.1)
        assert "domain" in front.snapshots.views
        slow.go_on.set()
        while "domain" in front.snapshots.views:
            await asyncio.sleep(0.01)
        assert set(front.snapshots.views) == set(less)
        assert slow.count == 1


async def test_a_reload_says_what_waits_for_a_restart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    published(settings)
    async with running(settings) as front:
        before = front.settings.config
        guard = before.guard.model_copy(update={"daily": 7})
        trap = before.trap.model_copy(update={"hostname": "mx.example"})
        for changes in ({}, {"guard": guard, "trap": trap}):
            other = settings.model_copy(update={"config": before.model_copy(update=changes)})
            monkeypatch.setattr("dnsbl.config.load", lambda _, other=other: other)
            front.reload()
        said = [record.getMessage() for record in caplog.records if "restart" in record.getMessage()]
        assert said == ["changed in dnsbl.toml, takes effect at a restart: trap, guard"]
        assert front.settings.config == before


async def test_it_ends_while_a_snapshot_is_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    published(settings)
    async with running(settings) as front:
        slow = Slow(monkeypatch)
        point_anew(settings, "ip")
        await until_set(slow.reading)
        front.stopping.set()
        asyncio.get_running_loop().call_later(0.2, slow.go_on.set)


async def test_figures_that_cannot_be_written_are_said_once_and_so_is_their_return(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk makes `queries` and /metrics old; the log is where the operator learns why."""
    monkeypatch.setattr("dnsbl.front.COUNTERS_EVERY", 0.001)
    run = settings.config.data_dir / "run"
    run.write_text("no directory")
    front = Front(settings, None)
    front.up = True
    task = asyncio.create_task(front.write_counters())
    try:
        async with asyncio.timeout(SECONDS):
            while "cannot be written" not in caplog.text:
                await asyncio.sleep(0)
            front.counters.silent += 1  # something new to write, more than once
            await asyncio.sleep(0.01)
            run.unlink()
            while "is written again" not in caplog.text:
                await asyncio.sleep(0)
    finally:
        task.cancel()
    assert caplog.text.count("cannot be written") == 1
    assert json.loads(front.counters_file.read_bytes())["silent"] == 1
