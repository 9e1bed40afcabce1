"""We follow a primary that is not ours: Knot and BIND with a zone that we exported."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mirrors import KEY, SECRET, SOA, Node, followed_from, pair, publish
from peers import end
from server import free_port, until
from worlds import World

from dnsbl.zones.export import export

pytestmark = pytest.mark.peer
KNOT_THERE, BIND_THERE = shutil.which("knotd"), shutil.which("named")
DEEDS = [
    ("spam", "9.1.0.0/24"), ("malware", "9.1.0.1"), ("spam", "2.0.0.0/24"), ("malware", "2.0.0.5"),
    ("exempt", "9.1.0.7"), ("spam", "2a00:1::/33"), ("spam", "2a00:1:2:3::/64"), ("exempt", "2a00:1:2:3::9"),
    ("spam", "bad.example"),
    ("malware", "a.b.bad.example"), ("exempt", "good.bad.example"),
]  # fmt: skip
KNOT = """
server:
  listen: 127.0.0.1@{port}
  rundir: {here}
database:
  storage: {here}/db
control:
  listen: {here}/knot.sock
key:
  - id: mirror.key
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: all
    key: mirror.key
    action: transfer
template:
  - id: default
    storage: {here}
    semantic-checks: off
    zonefile-load: difference
    zonefile-sync: -1
    acl: all
zone:
  - domain: ip.example
    file: ip.zone
  - domain: domain.example
    file: domain.zone
"""
NAMED = """
key mirror.key {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{ directory "{here}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;
  pid-file "{here}/named.pid"; session-keyfile "{here}/session.key"; notify no; allow-transfer {{ key mirror.key; }};
  dnssec-validation no; ixfr-from-differences yes; check-names primary ignore; }};
controls {{ }};
zone ip.example {{ type primary; file "ip.zone"; }};
zone domain.example {{ type primary; file "domain.zone"; }};
"""


def exported(primary: Node) -> None:
    for zone in ("ip", "domain"):
        view = primary.view(zone)
        assert view is not None
        (primary.directory / f"{zone}.zone").write_bytes(b"".join(export(view, "bind")))


@contextmanager
def knot(here: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    (here / "db").mkdir()
    (here / "knot.conf").write_text(KNOT.format(here=here, port=port, secret=SECRET))
    with running(["knotd", "-c", str(here / "knot.conf")], here) as process:
        yield process


@contextmanager
def bind(here: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    (here / "named.conf").write_text(NAMED.format(here=here, port=port, secret=SECRET))
    with running(["named", "-g", "-c", str(here / "named.conf"), "-n", "1"], here) as process:
        yield process


@contextmanager
def running(command: list[str], here: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (here / "peer.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=here)
    try:
        yield process
    finally:
        end(process)


def followed(primary: Node, mirror: Node, world: World) -> None:
    """The mirror has what was exported, record for record."""
    for zone in ("ip", "domain"):
        serial = world.served(zone).serial
        until(lambda z=zone, s=serial: (found := mirror.view(z)) and found.serial == s, f"{zone}: serial {serial}")  # type: ignore[misc]
        assert mirror.records(zone) == primary.records(zone)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        pytest.param("knotd", knot, marks=pytest.mark.skipif(not KNOT_THERE, reason="apt-get install knot")),
        pytest.param("named", bind, marks=pytest.mark.skipif(not BIND_THERE, reason="apt-get install bind9")),
    ],
)
def test_a_foreign_primary_is_followed(tmp_path: Path, name: str, start: object) -> None:
    port = free_port()
    with pair(tmp_path, SOA.replace("refresh = 60", "refresh = 1")) as (primary, mirror, world):
        mirror.more = KEY.format(SECRET) + followed_from(port)
        publish(world, *DEEDS)
        exported(primary)
        with start(primary.directory, port) as peer, mirror.server() as second:  # type: ignore[operator]
            followed(primary, mirror, world)
            until(lambda: second.listed("9.1.0.1", "ip.example") == ["127.0.0.2", "127.0.0.4"], "it answers")
            publish(world, ("malware", "9.1.0.9"), ("exempt", "2a00:1:2:3::/64"), ("spam", "z.bad.example"))
            exported(primary)
            peer.send_signal(1)  # read the files again
            followed(primary, mirror, world)
