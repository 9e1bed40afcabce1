"""How fast look-ups are answered, as JSON and as a page, from a store with a million listings, by one core.

    python tests/bench/lookup.py [--seconds 8] [--rate 400] [--reports 50 [--batch 1]] [--store DIR] [--json]

Starts `dnsbl serve --role web` on the first core and asks from the second one: half of the subjects are listed. First
as fast as CONNECTIONS connections get answers; then so many a second, each at its due moment whether earlier ones were
answered or not, and the time is from that moment. `--reports`: so many a second come in by the API meanwhile.
CPU is the server's own time a request, all its threads: steady also where others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
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
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.model import Report
from dnsbl.subjects import parse

ROOT = Path(__file__).parent.parent.parent
MILLION = 1_000_000
CONNECTIONS = 16
OPEN_CONNECTIONS = 64  # of the steady load: what is late must not make the next one late
WARM_UP = 400  # requests that are not counted
READY_WITHIN = 60.0
ANSWERED_WITHIN = 30.0
SEED = 5782
PATHS = {"api": "/v1/subjects/{}", "page": "/lookup?q={}"}
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listings", type=int, default=MILLION)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=float, default=400, help="look-ups a second of the steady load")
    parser.add_argument("--reports", type=float, default=0, help="posts of reports a second that come in meanwhile")
    parser.add_argument("--batch", type=int, default=1, help="reports of a post")
    parser.add_argument("--store", type=Path, help="keep the store here, and take it where there is one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.store or Path(scratch)
        if not (directory / "data" / "store.sqlite").exists():
            fill(directory, options.listings)
        with serving(directory) as server:
            pin(os.getpid(), 1)
            found = asyncio.run(run(server, options))
    tell(found, options.json)


# the store


def fill(directory: Path, listings: int) -> None:
    """Single addresses of a list nine in ten, names one in ten; a network in 2,000; of each kind some that three
    sources report, with several reporters each, and some that went and came back."""
    (directory / "feeds").mkdir(parents=True, exist_ok=True)
    addresses, names = subjects(listings)
    with App(settings(directory)) as app:
        store, now = app.store, clock.now()
        widest = [address.rsplit(".", 1)[0] + ".0/24" for address in addresses[:: max(listings // 500, 1)]]
        addresses_source = store.source("addresses", "import", trust=0.9)
        store.replace_entries(addresses_source.id, entries([*addresses, *widest]), {}, "spam", now)
        names_source = store.source("names", "import", trust=0.9)
        store.replace_entries(names_source.id, entries(names), {}, "phishing", now)
        told = [*addresses[::200], *names[::200]]
        for number, kind in enumerate(("partner", "trap", "complaint")):
            source = store.source(f"{kind}-bench", kind, trust=0.6 + number / 10)
            store.take_reports(source.id, reports(told, now, number))
        app.settle()


def entries(texts: list[str]) -> dict[bytes, int]:
    return dict.fromkeys(map(parse, texts), 1)


def reports(texts: list[str], now: int, number: int) -> Iterator[Report]:
    """Three reporters on each, some days apart."""
    for text in texts:
        for reporter in range(3):
            at = now - reporter * 86_400 - number * 3600
            yield Report(parse(text), "spam", at, f"198.51.{reporter}.0/24", "word")


def subjects(listings: int) -> tuple[list[str], list[str]]:
    """Addresses and names, the same ones every time, each once."""
    chance = random.Random(SEED)
    numbers = chance.sample(range(45 << 24, 95 << 24), listings * 9 // 10)
    addresses = [socket.inet_ntoa(number.to_bytes(4, "big")) for number in numbers]
    return addresses, [f"{chance.randbytes(5).hex()}.{number % 97}.example" for number in range(listings // 10)]


def settings(directory: Path) -> config.Settings:
    path = directory / "dnsbl.toml"
    if not path.exists():
        path.write_text('data_dir = "data"\nfeeds_dir = "feeds"\n[web]\nlisten = "127.0.0.1:0"\n')
    return config.load(path)


# the server


class Server:
    """`dnsbl serve --role web` as a child."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.config = directory / "serve.toml"
        self.config.write_text(f'data_dir = "data"\nfeeds_dir = "feeds"\n[web]\nlisten = "127.0.0.1:{self.port}"\n')
        self.command = [sys.executable, "-m", "dnsbl", "-c", str(self.config)]
        self.process = subprocess.Popen([*self.command, "serve", "--role", "web"], cwd=ROOT, stdout=subprocess.DEVNULL)
        pin(self.process.pid, 0)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def key(self) -> str:
        name = f"bench{time.time_ns()}"
        made = [*self.command, "key", "create", name, "--live", "--json"]
        return json.loads(subprocess.run(made, cwd=ROOT, check=True, capture_output=True).stdout)["secret"]

    def cpu(self) -> float:
        """Seconds that it has used, all threads."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    server = Server(directory)
    try:
        until = time.monotonic() + READY_WITHIN
        while not server.ready():
            if server.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not become ready")
            time.sleep(0.05)
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)


def pin(process: int, core: int) -> None:
    """Each to a core of its own, where there are two."""
    cores = sorted(os.sched_getaffinity(0) | os.sched_getaffinity(process))
    if len(cores) > 1:
        os.sched_setaffinity(process, {cores[core]})


# the client


class Asking(asyncio.Protocol):
    """One kept-alive connection: a request at a time, those that wait in their order."""

    def __init__(self, statuses: Counter[int]) -> None:
        self.statuses = statuses
        self.waiting: deque[tuple[bytes, Callable[[], None]]] = deque()
        self.received = bytearray()
        self.wanted = -1  # bytes of the answer that is coming in; -1: its head is not complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes, answered: Callable[[], None]) -> None:
        self.waiting.append((request, answered))
        if len(self.waiting) == 1:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.wanted < 0:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.received[:end]).lower()
            self.wanted = end + 4 + int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(self.received) >= self.wanted:
            self.statuses[int(self.received[9:12])] += 1
            self.received.clear()
            self.wanted = -1
            _, answered = self.waiting.popleft()
            if self.waiting:
                self.transport.write(self.waiting[0][0])
            answered()


class Client:
    """Connections to the server, and what they were told."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.statuses: Counter[int] = Counter()
        self.connections: list[Asking] = []

    async def connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            made = await loop.create_connection(lambda: Asking(self.statuses), "127.0.0.1", self.server.port)
            self.connections.append(made[1])

    def close(self) -> None:
        for connection in self.connections:
            connection.transport.close()

    async def fast(self, requests: Iterator[bytes], stop: Callable[[int], bool]) -> tuple[int, float]:
        """As fast as answers come: how many, and the seconds they took."""
        done, began = 0, time.perf_counter()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def again(connection: Asking) -> None:
            nonlocal done
            done += 1
            if not stop(done):
                connection.ask(next(requests), lambda: again(connection))
            elif not ended.done():
                ended.set_result(None)

        for connection in self.connections[:CONNECTIONS]:
            connection.ask(next(requests), lambda connection=connection: again(connection))
        await ended
        seconds = time.perf_counter() - began
        await self.quiet()
        return done, seconds

    async def steady(self, requests: Iterator[bytes], rate: float, seconds: float) -> list[float]:
        """Seconds from each due moment to its answer."""
        loop, delays = asyncio.get_running_loop(), []
        began = loop.time()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            connection = min(self.connections, key=lambda connection: len(connection.waiting))
            connection.ask(next(requests), lambda due=due: delays.append(loop.time() - due))
        await self.quiet()
        return delays

    async def quiet(self) -> None:
        """Until nothing is under way."""
        async with asyncio.timeout(ANSWERED_WITHIN):
            while any(connection.waiting for connection in self.connections):
                await asyncio.sleep(0.005)


def requests_of(path: str, listings: int) -> Iterator[bytes]:
    """Every second one for something that is listed, in a random order."""
    addresses, names = subjects(listings)
    chance = random.Random(SEED + 1)
    while True:
        pool = addresses if chance.random() < 0.9 else names
        listed = chance.choice(pool)
        other = f"{chance.randrange(96, 126)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"
        unlisted = other if pool is addresses else f"www.{chance.randbytes(6).hex()}.example"
        for subject in (listed, unlisted):
            asked = path.format(quote(subject, safe=""))
            yield f"GET {asked} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n".encode()


async def post_reports(server: Server, rate: float, batch: int) -> None:
    """Reports at a steady rate, until cancelled: a connection of its own."""
    secret = await asyncio.to_thread(server.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    chance = random.Random()
    head = f"POST /v1/reports HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n"
    head += "Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n"
    while True:
        numbers = (chance.randrange(40 << 24, 45 << 24).to_bytes(4, "big") for _ in range(batch))
        body = b"".join(b'{"subject":"%s","category":"spam"}\n' % socket.inet_ntoa(n).encode() for n in numbers)
        writer.write(head.format(len(body)).encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        said = await reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a report was refused: {said.decode()[:200]}")
        await asyncio.sleep(1 / rate)


# measuring


async def run(server: Server, options: argparse.Namespace) -> list[dict[str, object]]:
    posting = asyncio.create_task(post_reports(server, options.reports, options.batch)) if options.reports else None
    try:
        return [await measure(server, name, path, options) for name, path in PATHS.items()]
    finally:
        if posting and not posting.done():
            posting.cancel()
        if posting and not posting.cancelling():
            posting.result()  # which says what went wrong


async def measure(server: Server, name: str, path: str, options: argparse.Namespace) -> dict[str, object]:
    client = Client(server)
    await client.connect(OPEN_CONNECTIONS)
    requests = requests_of(path, options.listings)
    await client.fast(requests, lambda done: done >= WARM_UP)
    before, until = server.cpu(), time.perf_counter() + options.seconds
    done, seconds = await client.fast(requests, lambda _: time.perf_counter() >= until)
    used = server.cpu() - before
    delays = await client.steady(requests, options.rate, options.seconds)
    client.close()
    return {
        "what": name,
        "per_second": round(done / seconds),
        "cpu_ms": round(used / done * 1000, 3),
        "rate": options.rate,
        "p50_ms": in_ms(delays, 50),
        "p99_ms": in_ms(delays, 99),
        "worst_ms": round(max(delays) * 1000, 1),
        "refused": sum(count for status, count in client.statuses.items() if status != 200),
    }


def in_ms(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1] * 1000, 1)


def tell(found: list[dict[str, object]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    head = f"{'':6} {'a second':>9} {'CPU ms':>7}   {'p50':>6} {'p99':>6} {'worst':>6}"
    print(f"{head} ms at {found[0]['rate']:g}/s   refused")
    for row in found:
        times = " ".join(f"{row[name]:>6}" for name in ("p50_ms", "p99_ms", "worst_ms"))
        print(f"{row['what']:6} {row['per_second']:>9} {row['cpu_ms']:>7}   {times} {row['refused']:>21}")


if __name__ == "__main__":
    main()
