"""Queries that the Python path answers over UDP, for each second of the server's processor time.

    python tests/bench/dns_python.py [--seconds 5] [--mix listed|absent|mixed]

The server runs in a process of its own, on a view of 100,000 IPv4 addresses in a sorted list. The load comes from
dnsperf where it is installed, else from a sender in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.dns.answer import Answerer
from dnsbl.dns.server import DnsServer

ORIGIN = "bl.example"
LISTED = 100_000
WINDOW = 64  # queries that the sender has under way


class SortedView:
    """Single IPv4 addresses, all under one code."""

    answers = ((), (0,))
    serial = 1

    def __init__(self) -> None:
        self.zone = ZoneDef.model_validate(
            {
                "name": "ip", "origin": ORIGIN, "kind": "ip", "ns": ["ns.example"],
                "codes": [{"code": "127.0.0.2", "categories": ["spam"], "text": "See https://bl.example/?$"}],
            }
        )  # fmt: skip
        self.listed = addresses()

    def lookup4(self, address: int) -> int:
        at = bisect_left(self.listed, address)
        return 1 if at < len(self.listed) and self.listed[at] == address else 0

    def lookup6(self, address: int) -> int:
        return 0

    def any4(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        return bisect_left(self.listed, first) < bisect_right(self.listed, last)

    def any6(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        return False

    def lookup_name(self, labels: list[bytes]) -> int:
        return 0


def addresses() -> list[int]:
    chosen = random.Random(1)
    return sorted({chosen.randrange(1 << 24, 223 << 24) for _ in range(LISTED)})


def names(mix: str, count: int = 20_000) -> list[str]:
    chosen, listed = random.Random(2), addresses()
    share = {"listed": 1.0, "absent": 0.0, "mixed": 0.2}[mix]
    picked = (chosen.choice(listed) if chosen.random() < share else chosen.randrange(1 << 32) for _ in range(count))
    return [".".join(str(address >> shift & 255) for shift in (0, 8, 16, 24)) + f".{ORIGIN}" for address in picked]


def serve(pipe: Connection) -> None:
    asyncio.run(serve_until_told(pipe))


async def serve_until_told(pipe: Connection) -> None:
    server = DnsServer(Answerer([SortedView()], DnsConfig()), ["127.0.0.1:0"])
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    before = used()
    pipe.send(server.addresses[0])
    await stopped.wait()
    counts = server.counters.snapshot()
    pipe.send((used() - before, sum(row["count"] for row in counts["replies"]), counts["by"]["rcode"]))
    await server.close()


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def load_dnsperf(address: tuple[str, int], asked: list[str], seconds: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "queries"
        path.write_text("".join(f"{name} A\n" for name in asked))
        host, port = address
        command = [
            "dnsperf",
            "-e",
            "-s",
            host,
            "-p",
            str(port),
            "-d",
            str(path),
            "-l",
            str(int(seconds)),
            "-q",
            str(WINDOW),
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print("\n".join(line.strip() for line in output.splitlines() if "Queries" in line))


def load_sender(address: tuple[str, int], asked: list[str], seconds: float) -> None:
    wires = [question(name) for name in asked]
    end, at = time.monotonic() + seconds, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(address)
        while time.monotonic() < end:
            for _ in range(WINDOW):
                sock.send(wires[at % len(wires)])
                at += 1
            for _ in range(WINDOW):
                sock.recv(1500)


def question(name: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\x12\x34\0\0\0\1\0\0\0\0\0\1" + labels + b"\0\0\1\0\1" + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--mix", choices=["listed", "absent", "mixed"], default="mixed")
    chosen = options.parse_args()
    here, there = Pipe()
    server = Process(target=serve, args=(there,))
    server.start()
    try:
        load = load_dnsperf if shutil.which("dnsperf") else load_sender
        load(here.recv(), names(chosen.mix), chosen.seconds)
    finally:
        server.terminate()
    seconds, replies, rcodes = here.recv()
    server.join()
    print(f"{replies} replies {rcodes} in {seconds:.2f} s of processor time: {replies / seconds:.0f} per second of it")


if __name__ == "__main__":
    sys.exit(main())
