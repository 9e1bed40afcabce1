"""How many reports a second a partner can push: one NDJSON stream over HTTP, on disk when it is answered.

    python tests/bench/push.py [--reports 400000] [--runs 3] [--against OTHER_CHECKOUT] [--json]

Starts `dnsbl serve --role web,jobs` on a directory of its own, with no feeds; one client on one connection streams the
reports in chunks. The figure is the reports divided by the time from the first byte to the answer, while the server
settles what has come in; beside it the server's CPU seconds until then, and when all was settled. Two loads: `distinct`
(each report about an address of its own) and `real` ($DNSBL_DATA's reports, in their order). With --against, the server
of another checkout takes the same bytes in turn.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("DNSBL_DATA") or ROOT.parent / "shared" / "data")
REPORTS = DATA / "reports" / "abuse-reports-2024-11--2025-03.csv.gz"
CHUNK = 64 * 1024  # bytes of one chunk of the stream
READY_WITHIN = 60.0
SETTLED_WITHIN = 120.0
HOUR = 3600
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    loads = {"distinct": b"".join(distinct(options.reports))}
    if REPORTS.exists():
        loads["real"] = b"".join(real(options.reports))
    roots = {"here": ROOT} | ({"against": options.against.resolve()} if options.against else {})
    found: dict[str, list[dict[str, float]]] = {f"{load} {name}": [] for load in loads for name in roots}
    for _ in range(options.runs):
        for load, lines in loads.items():
            for name, root in roots.items():
                found[f"{load} {name}"].append(measured(root, lines))
    tell({name: medians(runs) for name, runs in found.items()}, options.json)


def distinct(count: int) -> Iterator[bytes]:
    """Reports about public addresses, each once, as a busy trap network would send them."""
    some, began = random.Random(7), int(time.time()) - HOUR
    for number, n in enumerate(some.sample(range(2**24), count)):
        yield (
            b'{"subject": "45.%d.%d.%d", "category": "%s", "time": %d, "reporter": "185.10.%d.%d"}\n'
            % (n >> 16, n >> 8 & 255, n & 255, some.choice((b"botnet", b"scanner", b"brute-force")),
               began + number * HOUR // count, some.randrange(16), some.randrange(256))
        )  # fmt: skip


def real(count: int) -> Iterator[bytes]:
    """The first reports of the file, moved in time so that the last of them is of now."""
    with gzip.open(REPORTS, "rt") as file:
        rows = list(islice(csv.DictReader(file), count))
    later = int(time.time()) - max(int(row["time"]) for row in rows)
    for row in rows:
        report = {"subject": row["ip"], "category": row["category"], "time": int(row["time"]) + later}
        yield json.dumps(report | {"reporter": row["reporter"]}).encode() + b"\n"


def measured(root: Path, lines: bytes) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory), root)
        server.start()
        try:
            return server.push(lines)
        finally:
            server.stop()


class Server:
    """`dnsbl serve --role web,jobs` of a checkout, as a child."""

    def __init__(self, directory: Path, root: Path) -> None:
        self.directory, self.root = directory, root
        self.config = directory / "dnsbl.toml"
        self.port = free_port()
        self.command = [sys.executable, "-m", "dnsbl", "-c", str(self.config)]
        self.environment = {**os.environ, "PYTHONPATH": str(root)}

    def start(self) -> None:
        """Returns once it is ready to serve."""
        (self.directory / "feeds").mkdir()
        self.config.write_text(
            f'data_dir = "data"\nfeeds_dir = "feeds"\nzones_dir = "{self.root}/zones"\n'
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n'
        )
        self.process = subprocess.Popen(
            [*self.command, "serve", "--role", "web,jobs"],
            cwd=self.root, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.secret = self.key()
        until = time.monotonic() + READY_WITHIN
        while not self.get("/readyz"):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the server of {self.root} did not become ready")
            time.sleep(0.05)

    def key(self) -> str:
        """The secret of a key whose reports list; an older checkout knows no others."""
        for more in (["--live"], []):
            made = subprocess.run(
                [*self.command, "key", "create", "bench", "--json", *more],
                cwd=self.root, env=self.environment, capture_output=True,
            )  # fmt: skip
            if made.returncode == 0:
                secret: str = json.loads(made.stdout)["secret"]
                return secret
        raise SystemExit(f"no key was made: {made.stderr.decode()}")

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""

    def push(self, lines: bytes) -> dict[str, float]:
        used = self.cpu()
        head = (
            f"POST /v1/reports HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.secret}\r\nConnection: close\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            began = time.perf_counter()
            connection.sendall(head.encode())
            for start in range(0, len(lines), CHUNK):
                piece = lines[start : start + CHUNK]
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(CHUNK), b""))
        seconds = time.perf_counter() - began
        cpu = self.cpu() - used
        said = json.loads(answer.partition(b"\r\n\r\n")[2])
        count = lines.count(b"\n")
        if said.get("taken", 0) + said.get("repeated", 0) + said.get("rejected", 0) != count:
            raise SystemExit(f"not all was answered: {answer[:500]!r}")
        return {
            "reports_a_second": count / seconds,
            "cpu_seconds": cpu,
            "settled_seconds": self.settled(began),
            "rejected": said["rejected"],
        }

    def settled(self, began: float) -> float:
        while not re.search(r"^dnsbl_touched 0\.0$", self.get("/metrics"), re.MULTILINE):
            if time.perf_counter() - began > SETTLED_WITHIN:
                raise SystemExit("what came in was not settled")
            time.sleep(0.05)
        return time.perf_counter() - began

    def cpu(self) -> float:
        """Seconds of CPU that the server has used (proc(5): utime and stime)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def tell(found: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    for name, said in found.items():
        print(
            f"{name}: {said['reports_a_second']:,.0f} reports/s, {said['cpu_seconds']:.1f} s CPU until the answer, "
            f"settled after {said['settled_seconds']:.1f} s ({said['rejected']:,.0f} rejected)"
        )


if __name__ == "__main__":
    main()
