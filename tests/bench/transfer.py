"""AXFR of a million entries: records a second of ours beside Knot and NSD that serve the same zone, in turn in one run.

    python tests/bench/transfer.py [--entries 1000000] [--kind ip|domain] [--runs 5] [--key] [--packing]

The zone is served by `dnsbl serve --role dns`; its master file, exported by us, by knotd and nsd. The client counts
records by the messages' headers and throws the rest away, so that it is faster than all of them; with --key it signs
its request (hmac-sha256) and does not check what comes. Memory is the proportional share (PSS) of all processes of a
server after the last transfer. The first transfer after the start stands by itself: ours then verifies the zone's
files, which the others read at their start. With --packing there is one line more: records packed into a socket by one
process, without a server.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import orjson
from export import snapshot, zone

from dnsbl.dns.tsig import Key, sign_query
from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import Snapshot
from dnsbl.zones.wire import zone_sections

ROOT = Path(__file__).parent.parent.parent
SECRET = b"0123456789abcdef0123456789abcdef"
KEY = Key(b"\x08transfer\x00", "hmac-sha256", SECRET)
SOA = b"\x00\x06\x00\x01"  # type and class
TAIL = 1024  # octets of a message in which its last SOA is, before a TSIG
BUFFER = 1 << 20
LOADED_WITHIN = 120.0  # seconds
ENDS_WITHIN = 30


@dataclass(slots=True)
class Taken:
    """What one transfer was."""

    seconds: float = 0.0
    messages: int = 0
    records: int = 0
    octets: int = 0


@dataclass(slots=True)
class Server:
    name: str
    port: int
    pid: int
    taken: list[Taken] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=["ip", "domain"], default="ip")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--key", action="store_true", help="signed transfers")
    parser.add_argument("--packing", action="store_true", help="our packing alone, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as running:
        made = Made(Path(directory), options.kind, options.entries)
        servers = [running.enter_context(start(made)) for start in (ours, knot, nsd)]
        for _ in range(options.runs):
            for server in servers:
                server.taken.append(taken(server.port, made.origin, options.key))
        packing = Server("packing", 0, 0, [made.packed() for _ in range(options.runs if options.packing else 0)])
        for server in [*servers, packing] if options.packing else servers:
            tell(server, servers[0])


def tell(server: Server, ours: Server) -> None:
    seconds = statistics.median(taken.seconds for taken in server.taken)
    pairs = zip(server.taken, ours.taken, strict=True)
    ratio = statistics.median(one.seconds / own.seconds for one, own in pairs)
    one, first = server.taken[-1], server.taken[0].seconds
    print(
        f"{server.name:8} {seconds:6.3f} s (first {first:.3f})  {ratio:4.2f} x ours "
        f"{one.records / seconds:12,.0f} records/s  {one.records:,} records, {one.octets / 1e6:.1f} MB, "
        f"{one.messages:,} messages; {memory(server.pid):.0f} MB"
    )


# the client


def taken(port: int, origin: str, signed: bool) -> Taken:
    """Ask for a zone, and count what comes until its last SOA."""
    name = b"".join(bytes((len(label),)) + label for label in origin.encode().split(b".")) + b"\0"
    query = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + name + struct.pack("!HH", 252, 1)
    if signed:
        query, _ = sign_query(query, KEY, int(time.time()))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        started = time.perf_counter()
        connection.sendall(struct.pack("!H", len(query)) + query)
        found = drained(connection)
        found.seconds = time.perf_counter() - started
    return found


def drained(connection: socket.socket) -> Taken:
    found, buffer, held, ended = Taken(), bytearray(BUFFER), 0, False
    view = memoryview(buffer)
    while not ended:
        got = connection.recv_into(view[held:])
        if not got:
            raise SystemExit(f"the transfer ended after {found.records:,} records")
        found.octets += got
        held, start = held + got, 0
        while held - start >= 2 and held - start >= (size := 2 + (buffer[start] << 8 | buffer[start + 1])):
            records = buffer[start + 8] << 8 | buffer[start + 9]
            if not records:
                raise SystemExit(f"refused: rcode {buffer[start + 5] & 15}")
            found.messages, found.records, start = found.messages + 1, found.records + records, start + size
            ended = found.records > 2 and buffer.rfind(SOA, max(start - TAIL, start - size + 40), start) > 0
        view[: held - start] = bytes(view[start:held])
        held -= start
    return found


# the zone


class Made:
    """A zone as snapshot files and as a master file, in a directory."""

    def __init__(self, directory: Path, kind: str, entries: int) -> None:
        self.directory, self.kind, self.origin = directory, kind, zone(kind).origin
        self.data = directory / "data" / "zones" / kind
        self.data.mkdir(parents=True)
        directory.chmod(0o755)
        (base,) = snapshot(self.data, kind, entries, False)
        self.view = ServedZone(Snapshot(base))
        (self.data / "current").write_bytes(orjson.dumps({"base": base.name, "delta": None, "serial": 1}))
        with (directory / "master").open("wb") as file:
            file.writelines(export(self.view, "bind"))

    def packed(self) -> Taken:
        """Our packing into a socket, without a server."""
        near, far = socket.socketpair()
        child = get_context("fork").Process(target=self.pack, args=(far,))
        with near:
            started = time.perf_counter()
            child.start()
            far.close()
            found = drained(near)
            found.seconds = time.perf_counter() - started
        child.join()
        return found

    def pack(self, connection: socket.socket) -> None:
        last = b"\0" * 40 + SOA
        with connection:
            for count, octets in zone_sections(self.view):
                header = struct.pack("!HHHHHHH", 12 + len(octets), 1, 0, 1, count, 0, 0)
                connection.sendall(header + octets)
            connection.sendall(struct.pack("!HHHHHHH", 12 + len(last), 1, 0, 1, 1, 0, 0) + last)


# the servers


@contextmanager
def ours(made: Made) -> Iterator[Server]:
    port = free_port()
    zones = made.directory / "zones"
    zones.mkdir()
    codes = "".join(
        f'[[codes]]\ncode = "{code.code}"\ncategories = {list(code.categories)}\ntext = "{code.text}"\n'
        for code in zone(made.kind).codes
    )
    (zones / f"{made.kind}.toml").write_text(
        f'origin = "{made.origin}"\nkind = "{made.kind}"\nns = ["ns.example.net"]\n{codes}'
    )
    secret = base64.b64encode(SECRET).decode()
    (made.directory / "dnsbl.toml").write_text(
        f'data_dir = "data"\nzones_dir = "{zones}"\n[dns]\nlisten = ["127.0.0.1:{port}"]\n'
        f'transfer = ["127.0.0.1/32"]\n[[dns.keys]]\nname = "transfer"\nsecret = "{secret}"\n'
    )
    command = [sys.executable, "-m", "dnsbl", "--config", "dnsbl.toml", "serve", "--role", "dns"]
    with running("dnsbl", command, port, made) as server:
        yield server


@contextmanager
def knot(made: Made) -> Iterator[Server]:
    port, own = free_port(), made.directory / "knot"
    own.mkdir()
    secret = base64.b64encode(SECRET).decode()
    (own / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {own}\n"
        f"key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: {secret}\n"
        f"database:\n  storage: {own}\n"
        "acl:\n  - id: signed\n    key: transfer\n    action: transfer\n"
        "  - id: any\n    address: 127.0.0.1\n    action: transfer\n"
        f"zone:\n  - domain: {made.origin}\n    file: {made.directory}/master\n    acl: [signed, any]\n"
        "    zonefile-load: whole\n    zonefile-sync: -1\n    journal-content: none\n"
    )
    with running("knot", [program("knotd"), "-c", str(own / "knot.conf")], port, made) as server:
        yield server


@contextmanager
def nsd(made: Made) -> Iterator[Server]:
    port, own = free_port(), made.directory / "nsd"
    own.mkdir()
    secret = base64.b64encode(SECRET).decode()
    (own / "nsd.conf").write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  username: ""\n  database: ""\n  server-count: 1\n'
        f"  zonesdir: {own}\n  pidfile: {own}/pid\n  xfrdfile: {own}/xfrd\n  zonelistfile: {own}/list\n"
        f"  xfrdir: {own}\n"
        "remote-control:\n  control-enable: no\n"
        f'key:\n  name: transfer\n  algorithm: hmac-sha256\n  secret: "{secret}"\n'
        f"zone:\n  name: {made.origin}\n  zonefile: {made.directory}/master\n"
        "  provide-xfr: 127.0.0.1 transfer\n  provide-xfr: 127.0.0.1 NOKEY\n"
    )
    with running("nsd", [program("nsd"), "-d", "-c", str(own / "nsd.conf")], port, made) as server:
        yield server


@contextmanager
def running(name: str, command: list[str], port: int, made: Made) -> Iterator[Server]:
    """A server from when it answers for the zone until its end."""
    with (made.directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=made.directory, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    try:
        deadline = time.monotonic() + LOADED_WITHIN
        while not answers(port, made.origin):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not serve:\n{(made.directory / f'{name}.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield Server(name, port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(ENDS_WITHIN)
        finally:
            process.kill()  # nothing where it has ended


def answers(port: int, origin: str) -> bool:
    name = b"".join(bytes((len(label),)) + label for label in origin.encode().split(b".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect(("127.0.0.1", port))
        try:
            asking.send(struct.pack("!HHHHHH", 9, 0, 1, 0, 0, 0) + name + struct.pack("!HH", 6, 1))
            return asking.recv(4096)[6:8] == b"\0\1"
        except (ConnectionRefusedError, TimeoutError):
            return False


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:" + os.environ.get("PATH", ""))
    if found is None:
        raise SystemExit(f"{name} is not installed: apt install knot nsd")
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def memory(pid: int) -> float:
    """The share of a server's processes, in MB (Linux)."""
    if not pid:
        return 0.0
    own = Path(f"/proc/{pid}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0]
    children = (child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split())
    return int(own) / 1024 + sum(memory(int(child)) for child in children)


if __name__ == "__main__":
    main()
