"""From the acknowledgement of a report to its listing in DNS, under load.

    python tests/bench/report_latency.py [--seconds 20] [--rate 100] [--json]

Starts `dnsbl serve` on a directory of its own, with no feeds; posts fresh public addresses at a steady rate, one a
request, and asks for one in ten by UDP from the moment of its HTTP 200 until the ip zone answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import dnslib
from aiohttp import ClientSession

ROOT = Path(__file__).parent.parent.parent
ORIGIN = "ip.dnsbl.test"
SAMPLE = 10  # one in so many is asked for
ASK_EVERY = 0.002  # seconds between two queries for the same address
GIVE_UP = 15.0  # seconds; a report not listed by then counts as lost
READY_WITHIN = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=100, help="reports a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        server.start()
        try:
            bench = Bench(server, server.key())
            asyncio.run(bench.run(options.seconds, options.rate))
        finally:
            server.stop()
    bench.tell(options.json)


class Server:
    """`dnsbl serve` as a child."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "dnsbl.toml"
        self.dns, self.web = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        self.command = [sys.executable, "-m", "dnsbl", "-c", str(self.config)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it is ready to serve."""
        (self.directory / "feeds").mkdir()
        self.config.write_text(
            f'data_dir = "data"\nfeeds_dir = "feeds"\n{self.settings()}[dns]\nlisten = ["127.0.0.1:{self.dns}"]\n'
            f'[web]\nlisten = "127.0.0.1:{self.web}"\n'
        )
        self.process = subprocess.Popen([*self.command, "serve"], cwd=ROOT, stdout=subprocess.DEVNULL)
        until = time.monotonic() + READY_WITHIN
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not become ready")
            time.sleep(0.05)

    def settings(self) -> str:
        """What else stands in its configuration."""
        return ""

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def key(self) -> str:
        made = subprocess.run(
            [*self.command, "key", "create", "bench", "--live", "--json"], cwd=ROOT, check=True, capture_output=True
        )
        return json.loads(made.stdout)["secret"]

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answers(asyncio.DatagramProtocol):
    """Queries under way, by message id."""

    def __init__(self) -> None:
        self.listed: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        reply = dnslib.DNSRecord.parse(data)
        if reply.rr:
            self.listed.add(str(reply.q.qname).rstrip("."))

    def ask(self, name: str) -> None:
        self.transport.sendto(dnslib.DNSRecord.question(name).pack())


class Bench:
    """Posts, and waits for a sample of them to be answered."""

    def __init__(self, server: Server, secret: str) -> None:
        self.server, self.headers = server, {"Authorization": f"Bearer {secret}"}
        self.posts: list[float] = []  # seconds to each HTTP 200
        self.delays: list[float] = []  # seconds from there to the listing
        self.failed = self.lost = 0

    async def run(self, seconds: float, rate: float) -> None:
        loop = asyncio.get_running_loop()
        where = ("127.0.0.1", self.server.dns)
        transport, self.answers = await loop.create_datagram_endpoint(Answers, remote_addr=where)
        async with ClientSession(f"http://127.0.0.1:{self.server.web}", headers=self.headers) as client:
            began = loop.time()
            tasks = []
            for number, address in enumerate(addresses(int(seconds * rate))):
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                tasks.append(asyncio.create_task(self.report(client, address, number % SAMPLE == 0)))
            await asyncio.gather(*tasks)
        transport.close()

    async def report(self, client: ClientSession, address: str, sampled: bool) -> None:
        began = time.perf_counter()
        async with client.post("/v1/reports", json={"subject": address, "category": "spam"}) as response:
            if response.status != 200 or (await response.json())["taken"] != 1:
                self.failed += 1
                return
        acknowledged = time.perf_counter()
        self.posts.append(acknowledged - began)
        if sampled:
            await self.listed(address, acknowledged)

    async def listed(self, address: str, since: float) -> None:
        name = ".".join(reversed(address.split("."))) + "." + ORIGIN
        while name not in self.answers.listed:
            if time.perf_counter() - since > GIVE_UP:
                self.lost += 1
                return
            self.answers.ask(name)
            await asyncio.sleep(ASK_EVERY)
        self.delays.append(time.perf_counter() - since)

    def tell(self, as_json: bool) -> None:
        said = {"reports": len(self.posts), "failed": self.failed, "sampled": len(self.delays), "lost": self.lost}
        for name, values in (("post", self.posts), ("listed", self.delays)):
            said |= {f"{name}_median_ms": in_ms(values, 50), f"{name}_p99_ms": in_ms(values, 99)}
        if as_json:
            print(json.dumps(said))
            return
        print(f"{said['reports']:,} reports acknowledged, {self.failed} failed; {self.lost} of the sample never listed")
        print(f"post -> HTTP 200:   median {said['post_median_ms']} ms, 99 % within {said['post_p99_ms']} ms")
        print(f"HTTP 200 -> listed: median {said['listed_median_ms']} ms, 99 % within {said['listed_p99_ms']} ms")


def addresses(count: int) -> list[str]:
    """Public addresses, each once."""
    return [f"45.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in random.sample(range(2**24), count)]


def in_ms(values: list[float], percent: int) -> float | None:
    if len(values) < 2:
        return None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1] * 1000, 1)


if __name__ == "__main__":
    main()
