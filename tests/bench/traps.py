"""Mail to traps as a whole: how many are taken and kept, and how soon DNS knows.

    python tests/bench/traps.py [--mails 5000] [--connections 20] [--data DIR] [--json]
    python tests/bench/traps.py --latency [--seconds 20] [--rate 100]

Starts `dnsbl serve` (DNS and traps, no resolver) on a directory of its own. The first sends real spam over
`--connections` connections, 100 mails on each, every mail from an address of its own: a relay that is ours names it.
The second sends at a steady rate, and asks for one mail's address in ten by UDP from the moment of its 250 until the ip
zone answers. Processor time is the back process's: receiving, parsing, storing, deciding and publishing.
"""

from __future__ import annotations

import argparse
import asyncio
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
from pathlib import Path

from report_latency import Answers, addresses, free_port, in_ms
from trap_smtp import SPAM, real_mails, sender

ROOT = Path(__file__).parent.parent.parent
ORIGIN = "ip.dnsbl.test"
SAMPLE = 10
ASK_EVERY = 0.002
GIVE_UP = 15.0
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    mails = list(real_mails(options.data / SPAM))
    with tempfile.TemporaryDirectory() as directory, Server(Path(directory)) as server:
        if options.latency:
            said = asyncio.run(latency(server, mails, options.seconds, options.rate))
        else:
            said = asyncio.run(throughput(server, mails, options.mails, options.connections))
    print(json.dumps(said) if options.json else "\n".join(f"{name:16} {value}" for name, value in said.items()))


class Server:
    """`dnsbl serve --role dns,trap` as a child, for the length of a `with`."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.config = directory, directory / "dnsbl.toml"
        self.dns, self.smtp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)

    def __enter__(self) -> Server:
        (self.directory / "feeds").mkdir()
        self.config.write_text(
            f'data_dir = "data"\nfeeds_dir = "feeds"\n[dns]\nlisten = ["127.0.0.1:{self.dns}"]\n'
            f'[trap]\nlisten = "127.0.0.1:{self.smtp}"\nresolver = "off"\nrelays = ["127.0.0.0/8"]\n'
            'per_network = 2000\n[[trap.addresses]]\ndomain = "trap.example"\nclass = "pristine"\n'
        )
        command = [sys.executable, "-m", "dnsbl", "-c", str(self.config), "serve", "--role", "dns,trap", "--json"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self.process.stdout
        json.loads(self.process.stdout.readline())
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, check=True)
        self.back = int(found.stdout.split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def used(self) -> float:
        """Processor seconds of the back process so far."""
        fields = Path(f"/proc/{self.back}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """MiB at most so far."""
        [line] = [line for line in Path(f"/proc/{self.back}/status").read_text().splitlines() if "VmHWM" in line]
        return int(line.split()[1]) // 1024


def handed_over(mail: bytes, address: str) -> bytes:
    """A mail as our relay hands it on."""
    return b"Received: from h.example (h.example [%s]) by mx.trap.example with ESMTP id 1\r\n" % address.encode() + mail


async def throughput(server: Server, mails: list[bytes], count: int, connections: int) -> dict[str, float]:
    several = [handed_over(random.choice(mails), address) for address in addresses(count)]
    numbers = iter(range(count))
    used, began = server.used(), time.perf_counter()
    await asyncio.gather(*(sender(server.smtp, numbers, 100, several) for _ in range(connections)))
    seconds = time.perf_counter() - began
    busy = server.used() - used
    return {
        "mails": count,
        "mails_s": round(count / seconds),
        "mails_cpu_s": round(count / busy),
        "memory_mib": server.memory(),
    }


async def latency(server: Server, mails: list[bytes], seconds: float, rate: float) -> dict[str, float | None]:
    """Mail that calls itself list mail lists nobody without a verdict: the other mails are sent."""
    mails = [mail for mail in mails if not re.search(rb"(?im)^(list-|precedence:|feedback-id:|auto-submitted:)", mail)]
    loop = asyncio.get_running_loop()
    transport, answers = await loop.create_datagram_endpoint(Answers, remote_addr=("127.0.0.1", server.dns))
    delays: list[float] = []
    lost: list[str] = []

    async def one(address: str, sampled: bool) -> None:
        await sender(server.smtp, iter([0]), 1, [handed_over(random.choice(mails), address)])
        since = time.perf_counter()
        name = ".".join(reversed(address.split("."))) + "." + ORIGIN
        while sampled and name not in answers.listed:
            if time.perf_counter() - since > GIVE_UP:
                lost.append(address)
                return
            answers.ask(name)
            await asyncio.sleep(ASK_EVERY)
        if sampled:
            delays.append(time.perf_counter() - since)

    began, tasks = loop.time(), []
    for number, address in enumerate(addresses(int(seconds * rate))):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        tasks.append(asyncio.create_task(one(address, number % SAMPLE == 0)))
    await asyncio.gather(*tasks)
    transport.close()
    return {
        "mails": len(tasks),
        "sampled": len(delays),
        "never_listed": len(lost),
        "median_ms": round(statistics.median(delays) * 1000, 1),
        "p99_ms": in_ms(delays, 99),
    }


if __name__ == "__main__":
    main()
