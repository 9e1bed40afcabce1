"""Following a primary of ours: how long until a mirror answers from a million entries, taken by AXFR and as a snapshot;
and from ten thousand changes to them, taken by IXFR.

    python tests/bench/follow.py [--entries 1000000] [--changes 10000] [--runs 3]

Primary and mirror are `dnsbl serve`, one after the other on this machine. A start is counted from when the mirror says
that it serves to its first answer with the primary's serial; changes from when the primary's pointer is swapped. Beside
it the processor time that the mirror's courier has used by then, since it was started, and the most memory it held.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from dnslib import DNSRecord

from dnsbl import config
from dnsbl.config import ZoneDef
from dnsbl.following.contents import Addresses
from dnsbl.following.install import Install
from dnsbl.zones.build import test_points
from dnsbl.zones.difference import difference
from dnsbl.zones.served import ServedZone, zone_directory
from dnsbl.zones.table import Deep, Pieces, Words, pieces

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))

from server import Server, free_port, over  # noqa: E402 - a module of the directory just named

FIRST = 1_700_000_000  # the serial of the first zone
ZONE = """origin = "ip.example"
kind = "ip"
ns = ["ns1.example"]
[soa]
refresh = {refresh}
retry = 1
[[codes]]
code = "127.0.0.2"
categories = ["spam"]
text = "$ sends spam. Why, and the way off: https://bl.example/lookup?q=$"
"""
MAPPED = 0xFFFF << 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[float]] = {"AXFR": [], "IXFR": [], "snapshot": []}
    used: dict[str, str] = {}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as directory, Bench(Path(directory), options.entries).primary() as bench:
            with bench.mirror(bench.by_transfer()) as (mirror, seconds):
                found["AXFR"].append(seconds)
                used["AXFR"] = of_courier(mirror)
                found["IXFR"].append(bench.changed(mirror, options.changes))
                used["IXFR"] = of_courier(mirror)
            with bench.mirror(bench.by_snapshot()) as (mirror, seconds):
                found["snapshot"].append(seconds)
                used["snapshot"] = of_courier(mirror)
    for name, seconds in found.items():
        said = " ".join(f"{each:.2f}" for each in seconds)
        print(f"{name:9} {statistics.median(seconds):6.2f} s until it answers ({said}); {used[name]}")


class Bench:
    """A primary with one large zone, and mirrors of it."""

    def __init__(self, directory: Path, entries: int) -> None:
        self.directory, self.entries = directory, entries
        self.ports = free_port(), free_port()
        self.web = free_port()
        self.numbers = np.unique(np.random.default_rng(1).integers(20 << 24, 100 << 24, entries).astype(np.uint64))

    @contextmanager
    def primary(self) -> Iterator[Bench]:
        # It follows somebody who is silent, so that nobody but this program publishes the zone.
        tell = '[[follow]]\nzone = "ip"\nprimaries = ["127.0.0.1:9"]\n'
        tell += f'[[dns.secondaries]]\naddress = "127.0.0.1:{self.ports[1]}"\n'
        path = self.configure("primary", self.ports[0], 'transfer = ["127.0.0.0/8"]', self.web, tell)
        self.install = Install(self.zone(path), zone_directory(path.parent / "data", "ip"))
        self.view = self.put(self.numbers, FIRST, None)
        with Server(path.parent, config=path, role="dns,web") as self.server:
            yield self

    def configure(self, name: str, port: int, dns: str, web: int, more: str) -> Path:
        here = self.directory / name
        (here / "zones").mkdir(parents=True, exist_ok=True)
        (here / "no-feeds").mkdir(exist_ok=True)
        (here / "zones" / "ip.toml").write_text(ZONE.format(refresh=1))
        listens = f'[dns]\nlisten = ["127.0.0.1:{port}"]\n{dns}\n[web]\nlisten = "127.0.0.1:{web}"\n'
        head = 'data_dir = "data"\nzones_dir = "zones"\nfeeds_dir = "no-feeds"\n'
        (here / "dnsbl.toml").write_text(head + listens + more)
        return here / "dnsbl.toml"

    def zone(self, path: Path) -> ZoneDef:
        return config.load(path).zones["ip"]

    def put(self, numbers: Words, serial: int, before: ServedZone | None) -> ServedZone:
        """Publish these addresses, with the journal as a publisher writes it."""
        points = test_points(self.install.zone)
        every = np.unique(np.concatenate([numbers, np.array(sorted(points), dtype=np.uint64)]))
        listed = Pieces(every, every, np.ones(len(every), dtype=np.uint64))
        deep = [Deep(0, MAPPED | point, MAPPED | point, mask) for point, mask in sorted(points.items())]
        held = Addresses(listed, pieces([]), deep)
        return self.install.addresses(
            held, serial, FIRST, b"", before, lambda new: difference(before, new) if before else None
        )

    def by_transfer(self) -> str:
        return f'[[follow]]\nzone = "ip"\nprimaries = ["127.0.0.1:{self.ports[0]}"]\n'

    def by_snapshot(self) -> str:
        public = json.loads(self.server.run("zone", "public-key", "--json").stdout)["public_key"]
        made = self.server.run("key", "create", f"mirror{free_port()}", "--scope", "read", "--json")
        secret = json.loads(made.stdout)["secret"]
        where = f'url = "http://127.0.0.1:{self.web}"\napi_key = "{secret}"\npublic_key = "{public}"\n'
        return f'[[follow]]\nzone = "ip"\n{where}'

    @contextmanager
    def mirror(self, follow: str) -> Iterator[tuple[Server, float]]:
        """A mirror that begins with nothing, and the seconds until it answered."""
        with tempfile.TemporaryDirectory(dir=self.directory) as name:
            path = self.configure(Path(name).name, self.ports[1], "", free_port(), follow)
            with Server(path.parent, config=path, role="dns") as server:
                started = time.perf_counter()
                yield server, self.until(self.view.serial) - started

    def changed(self, mirror: Server, changes: int) -> float:
        """Half as many addresses go, half as many come; seconds until the mirror answers so."""
        chosen = np.random.default_rng(2)
        gone = chosen.choice(len(self.numbers), changes // 2, replace=False)
        new = chosen.integers(101 << 24, 110 << 24, changes // 2).astype(np.uint64)
        numbers = np.concatenate([np.delete(self.numbers, gone), new])
        self.view = self.put(numbers, self.view.serial + 10, self.view)
        swapped = time.time()
        pointer = (self.install.directory / "current").stat().st_mtime
        return self.until(self.view.serial, clock=time.time) - min(pointer, swapped)

    def until(self, serial: int, clock: object = time.perf_counter) -> float:
        """When the mirror first says that serial."""
        query = DNSRecord.question("ip.example", "SOA").pack()
        while True:
            reply = DNSRecord.parse(over("127.0.0.1", self.ports[1], query, False))
            if reply.rr and reply.rr[0].rdata.times[0] == serial:
                return clock()  # type: ignore[operator,no-any-return]
            time.sleep(0.005)


def of_courier(server: Server) -> str:
    """What the front's one child has used."""
    process = Path(f"/proc/{server.back()}")
    held = int((process / "status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return f"{(int(user) + int(system)) / os.sysconf('SC_CLK_TCK'):.2f} s of a processor, {held:.0f} MB"


if __name__ == "__main__":
    main()
