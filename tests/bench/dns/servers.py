"""The servers: each writes its files, is started on a free port of 127.0.0.1, and runs pinned until it is stopped.

A server is a function from a directory, a port and a listing to how it is launched; `PEERS` names them all. What is
not installed is left out, and said.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zone
from data import Data, Listing

import dnsbl

__all__ = ["OURS", "PEERS", "PYTHON", "Bench", "Running", "asks_listed", "reversed4"]

PROJECT = Path(dnsbl.__file__).parents[1]  # the very one whose snapshots are written
OURS, PYTHON = "dnsbl", "dnsbl, Python path"
PATIENCE = 120  # seconds for a server to load its data
STOP_WITHIN = 20
RESEND = 0.1
POLL = 0.001
TICKS = os.sysconf("SC_CLK_TCK")
NANO = 1e9


@dataclass(slots=True)
class Launch:
    """How a server is started."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    settings: Path | None = None  # our own configuration, to publish by


@dataclass(slots=True)
class Bench:
    """Where and how servers run: their directory, the data, and which cores are whose."""

    data: Data
    work: Path
    programs: dict[str, str]  # name -> path, of the programs built here
    server_cores: set[int]
    load_cores: set[int]

    def has(self, name: str) -> bool:
        return program_of(name) in self.programs or bool(shutil.which(program_of(name), path=search_path()))

    @contextmanager
    def running(
        self, name: str, listing: Listing, threads: int = 1, cores: set[int] | None = None
    ) -> Iterator[Running]:
        """A server that answers, until the end of the block."""
        with self.placed(name, listing, threads) as server:
            server.start(cores or self.server_cores, listing)
            yield server

    @contextmanager
    def placed(self, name: str, listing: Listing, threads: int = 1) -> Iterator[Running]:
        """A server with its files, not started; stopped and gone at the end of the block."""
        directory = Path(tempfile.mkdtemp(prefix="server-", dir=self.work))
        directory.chmod(0o755)  # rbldnsd reads it as another user
        port = free_port()
        launch = PEERS[name](Place(self, directory, port, listing, threads))
        server = Running(name, port, launch, directory)
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(directory)


@dataclass(slots=True)
class Place:
    """What a server is made from."""

    bench: Bench
    directory: Path
    port: int
    listing: Listing
    threads: int

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)


class Running:
    """A server process of ours, to be looked at and stopped by its id."""

    def __init__(self, name: str, port: int, launch: Launch, directory: Path) -> None:
        self.name, self.port, self.launch, self.directory = name, port, launch, directory
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.started_in = 0.0  # seconds until the first answer

    def start(self, cores: set[int], listing: Listing) -> None:
        """Start it, and wait until it answers the test query."""
        env = {**os.environ, "PYTHONPATH": str(PROJECT), **self.launch.env}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once, not at each start
        started = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                self.launch.command, cwd=self.directory, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )  # fmt: skip
        self.await_answer(question(listing.test_name), started)

    def await_answer(self, wire: bytes, started: float) -> None:
        assert self.process is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.port))
            while not answered(sock, wire):
                if self.process.poll() is not None or time.monotonic() > started + PATIENCE:
                    raise SystemExit(f"{self.name} does not answer:\n{self.log.read_text()[-2000:]}")
        self.started_in = time.monotonic() - started

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def pids(self) -> list[int]:
        """The process and all below it: NSD answers from a child."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def cpu_seconds(self) -> float:
        """Processor time so far, of all threads: in nanoseconds where the system tells them so, else in ticks."""
        return sum(self.thread_seconds().values())

    def thread_seconds(self) -> dict[str, float]:
        tasks = [task for pid in self.pids() for task in Path(f"/proc/{pid}/task").iterdir()]
        return {task.name: task_seconds(task) for task in tasks}

    def memory(self) -> dict[str, float]:
        """Resident memory in MB: Rss as it is, Pss with what processes share counted once."""
        total = {"Rss": 0.0, "Pss": 0.0, "Private_Dirty": 0.0}
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key = line.partition(":")[0]
                if key in total:
                    total[key] += int(line.split()[1]) / 1000
        return total

    def dropped(self) -> int:
        """Datagrams that this server's socket had no room for: the last column of /proc/net/udp."""
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return sum(int(row[-1]) for row in rows if row[1].endswith(f":{self.port:04X}"))


def task_seconds(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / NANO
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def answered(sock: socket.socket, wire: bytes) -> bool:
    """One try: a reply that has an answer. A server that listens but still loads is waited for."""
    try:
        sock.send(wire)
        sock.settimeout(RESEND)
        reply = sock.recv(4096)
    except TimeoutError:
        return False
    except OSError:  # nobody listens yet
        time.sleep(POLL)
        return False
    has_answer = len(reply) > 12 and reply[7] > 0
    echoed = reply[2:] == bytes((wire[2] | 0x80,)) + wire[3:]  # the bare loop
    if not (has_answer or echoed):
        time.sleep(POLL)
    return has_answer or echoed


def asks_listed(port: int, name: str) -> bool:
    """Whether the server now lists a name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        return answered(sock, question(name))


def question(name: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


def reversed4(address: int) -> str:
    """An IPv4 address as its labels stand before an origin."""
    return ".".join(str(address >> shift & 255) for shift in (0, 8, 16, 24))


def free_port() -> int:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])


def search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def program_of(name: str) -> str:
    """The program behind a row of the table."""
    first = name.split()[0].rstrip(",")
    return {"BIND": "named", "Knot": "knotd", "NSD": "nsd", "bare": "bare", OURS: sys.executable}.get(first, first)


# the servers


def ours(place: Place) -> Launch:
    settings = zone.configure(place.directory, place.listing, place.port, place.threads)
    zone.publish(settings, place.bench.data, place.listing)
    command = [sys.executable, "-m", "dnsbl", "-c", str(settings), "serve", "--role", "dns"]
    return Launch(command, settings=settings)


def ours_in_python(place: Place) -> Launch:
    launch = ours(place)
    launch.env["DNSBL_NATIVE"] = "off"
    return launch


def rbldnsd(dataset: str, *options: str) -> Callable[[Place], Launch]:
    """rbldnsd with a dataset type. -a: no NS beside answers, as the others; -c 0: looks at its file when told to."""

    def launch(place: Place) -> Launch:
        shutil.copyfile(place.bench.data.rbldnsd(place.listing, dataset), place.directory / "list")
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        where = ["-w", str(place.directory), "-b", f"127.0.0.1/{place.port}"]
        return Launch(
            ["rbldnsd", "-n", "-a", "-c", "0", *options, *user, *where, f"{place.listing.origin}:{dataset}:list"]
        )

    return launch


def bind(place: Place) -> Launch:
    text = f"""
        options {{ directory "{place.directory}"; listen-on port {place.port} {{ 127.0.0.1; }};
            listen-on-v6 {{ none; }}; recursion no; minimal-responses yes; querylog no; dnssec-validation no;
            pid-file none; session-keyfile none; }};
        controls {{ }};
        zone "{place.listing.origin}" {{ type primary; file "{place.bench.data.master(place.listing)}"; }};
    """
    return Launch(["named", "-g", "-n", str(place.threads), "-c", place.write("named.conf", text)])


def knot(place: Place) -> Launch:
    text = f"""
server:
  rundir: {place.directory}
  listen: 127.0.0.1@{place.port}
  udp-workers: {place.threads}
  tcp-workers: 1
  background-workers: 1
database:
  storage: {place.directory}
zone:
  - domain: {place.listing.origin}
    file: {place.bench.data.master(place.listing)}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
"""
    return Launch(["knotd", "-c", place.write("knot.conf", text)])


def nsd(place: Place) -> Launch:
    text = f"""
server:
  ip-address: 127.0.0.1@{place.port}
  server-count: {place.threads}
  username: ""
  database: ""
  zonesdir: "{place.directory}"
  pidfile: "{place.directory}/nsd.pid"
  xfrdfile: "{place.directory}/xfrd.state"
  zonelistfile: "{place.directory}/zone.list"
  minimal-responses: yes
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {place.listing.origin}
  zonefile: {place.bench.data.master(place.listing)}
"""
    return Launch(["nsd", "-d", "-c", place.write("nsd.conf", text)])


def bare(place: Place) -> Launch:
    return Launch([place.bench.programs["bare"], str(place.port)])


PEERS: dict[str, Callable[[Place], Launch]] = {
    OURS: ours,
    PYTHON: ours_in_python,
    "rbldnsd ip4set": rbldnsd("ip4set"),
    "rbldnsd ip4tset": rbldnsd("ip4tset"),
    "rbldnsd ip4trie": rbldnsd("ip4trie"),
    "rbldnsd ip4set -f": rbldnsd("ip4set", "-f"),
    "rbldnsd ip6trie": rbldnsd("ip6trie"),
    "rbldnsd ip6tset": rbldnsd("ip6tset"),
    "rbldnsd dnset": rbldnsd("dnset"),
    "Knot": knot,
    "BIND": bind,
    "NSD": nsd,
    "bare loop": bare,
}
