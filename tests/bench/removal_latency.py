"""From a granted removal to NXDOMAIN in DNS, while reports come in.

    python tests/bench/removal_latency.py [--listings 100000] [--removals 100] [--rate 5] [--reports 20] [--json]

Starts `dnsbl serve` on a directory of its own with a list of so many addresses and a partner that owns them all; asks
for removals of random ones by its key at a steady rate, and asks DNS from the moment of each answer `granted` on until
it says NXDOMAIN. Beside that, another partner reports fresh addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

import dnslib
from aiohttp import ClientSession
from report_latency import ASK_EVERY, GIVE_UP, ORIGIN, ROOT, Server, addresses, in_ms

ZONE = (ROOT / "zones" / "ip.toml").read_text() + "\n[removal]\nper_requester = 100000\nper_network = 100000\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listings", type=int, default=100_000)
    parser.add_argument("--removals", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5, help="removals a second")
    parser.add_argument("--reports", type=float, default=20, help="reports a second beside them")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = ListServer(Path(directory))
        server.start()
        try:
            bench = Bench(server, server.fill(options.listings))
            asyncio.run(bench.run(options.removals, options.rate, options.reports))
        finally:
            server.stop()
    bench.tell(options.json)


class ListServer(Server):
    """With a zone whose removals are not limited by day, and a list in it."""

    def start(self) -> None:
        (self.directory / "zones").mkdir()
        (self.directory / "zones" / "ip.toml").write_text(ZONE)
        super().start()

    def settings(self) -> str:
        return 'zones_dir = "zones"\n'

    def fill(self, count: int) -> list[str]:
        """The listed addresses."""
        listed = addresses(count)
        self.verb("import", "-", "--source", "bench-list", "--format", "plain", given="\n".join(listed).encode())
        self.owner, self.reporter = self.secret("owner"), self.secret("reporter", "--live")
        self.verb("owned", "add", "owner", "45.0.0.0/8")
        return listed

    def secret(self, name: str, *options: str) -> str:
        return json.loads(self.verb("key", "create", name, *options, "--json"))["secret"]

    def verb(self, *words: str, given: bytes = b"") -> bytes:
        return subprocess.run([*self.command, *words], cwd=ROOT, check=True, input=given, stdout=subprocess.PIPE).stdout


class Answers(asyncio.DatagramProtocol):
    """Names that are not there, as DNS says."""

    def __init__(self) -> None:
        self.free: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        reply = dnslib.DNSRecord.parse(data)
        if reply.header.rcode == dnslib.RCODE.NXDOMAIN:
            self.free.add(str(reply.q.qname).rstrip("."))

    def ask(self, name: str) -> None:
        self.transport.sendto(dnslib.DNSRecord.question(name).pack())


class Bench:
    def __init__(self, server: ListServer, listed: list[str]) -> None:
        self.server, self.listed = server, listed
        self.posts: list[float] = []
        self.delays: list[float] = []
        self.failed = self.lost = self.reported = 0

    async def run(self, removals: int, rate: float, reports: float) -> None:
        loop = asyncio.get_running_loop()
        where = ("127.0.0.1", self.server.dns)
        transport, self.answers = await loop.create_datagram_endpoint(Answers, remote_addr=where)
        async with ClientSession(f"http://127.0.0.1:{self.server.web}") as client:
            beside = asyncio.create_task(self.report(client, reports))
            began, tasks = loop.time(), []
            for number, address in enumerate(random.sample(self.listed, removals)):
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                tasks.append(asyncio.create_task(self.remove(client, address)))
            await asyncio.gather(*tasks)
            beside.cancel()
        transport.close()

    async def report(self, client: ClientSession, rate: float) -> None:
        headers = {"Authorization": f"Bearer {self.server.reporter}"}
        for number in range(10**6):
            wanted = {"subject": f"46.{number >> 16}.{number >> 8 & 255}.{number & 255}", "category": "spam"}
            async with client.post("/v1/reports", json=wanted, headers=headers) as response:
                self.reported += response.status == 200
            await asyncio.sleep(1 / rate)

    async def remove(self, client: ClientSession, address: str) -> None:
        headers = {"Authorization": f"Bearer {self.server.owner}"}
        began = time.perf_counter()
        async with client.post("/v1/removals", json={"subject": address}, headers=headers) as response:
            found = await response.json()
        granted = time.perf_counter()
        if found.get("state") not in ("granted", "done"):
            self.failed += 1
            return
        self.posts.append(granted - began)
        name = ".".join(reversed(address.split("."))) + "." + ORIGIN
        while name not in self.answers.free:
            if time.perf_counter() - granted > GIVE_UP:
                self.lost += 1
                return
            self.answers.ask(name)
            await asyncio.sleep(ASK_EVERY)
        self.delays.append(time.perf_counter() - granted)

    def tell(self, as_json: bool) -> None:
        said = {"granted": len(self.posts), "failed": self.failed, "lost": self.lost, "reports": self.reported}
        for name, values in (("post", self.posts), ("free", self.delays)):
            said |= {f"{name}_median_ms": in_ms(values, 50), f"{name}_p99_ms": in_ms(values, 99)}
        if as_json:
            print(json.dumps(said))
            return
        print(
            f"{said['granted']:,} granted, {self.failed} not; {self.lost} never free; {self.reported:,} reports beside"
        )
        print(f"post -> granted:     median {said['post_median_ms']} ms, 99 % within {said['post_p99_ms']} ms")
        print(f"granted -> NXDOMAIN: median {said['free_median_ms']} ms, 99 % within {said['free_p99_ms']} ms")


if __name__ == "__main__":
    main()
