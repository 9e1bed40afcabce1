"""The measures: which servers, which load, what is counted. Each gives tables; rounds are interleaved in all.

Speed is queries answered for each second of the server process's processor time. A round runs every server once, one
after the other, beginning with another each time. What the system does for a datagram on loopback it does in the
sender's time: sending a query is the load's, sending a reply is the server's.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import load
import numpy as np
import zone
from data import Listing
from servers import OURS, PYTHON, Bench, Running, asks_listed, reversed4
from table import Aim, Table

__all__ = ["MEASURES", "Plan"]

SETS4 = ("rbldnsd ip4set", "rbldnsd ip4trie")
SETS6 = ("rbldnsd ip6trie", "rbldnsd ip6tset")
NAMES = "rbldnsd dnset"
FORKING = "rbldnsd ip4set -f"
RATE = 50_000
SWAP_AFTER = 1.0  # seconds of load before the new data is published
LOOK = 0.01  # seconds between two looks whether the new data is answered
TOUCH = 1.0  # seconds of load before memory is read: what queries touch is resident
PER_CPU = "queries / CPU-second"


@dataclass(slots=True)
class Plan:
    """How much is done."""

    bench: Bench
    rounds: int
    seconds: float
    scale: float
    load: str

    def million(self, kind: str) -> Listing:
        return Listing(kind, int(1_000_000 * self.scale))

    def ten_million(self, seed: int = 1) -> Listing:
        return Listing("ip4", int(10_000_000 * self.scale), seed)

    def present(self, names: Sequence[str]) -> list[str]:
        """Those that can run here; the others are named."""
        found = [name for name in names if self.bench.has(name)]
        for name in set(names) - set(found):
            skipped(f"{name} is not installed")
        return found

    def turns(self, names: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Every round each of them, another first."""
        for turn in range(self.rounds):
            start = turn % len(names)
            for name in [*names[start:], *names[:start]]:
                progress(f"round {turn + 1}/{self.rounds}: {name}")
                yield turn, name


def progress(text: str) -> None:
    print(f"\r{text:60}", end="", file=sys.stderr, flush=True)


def skipped(text: str) -> None:
    print(f"\rSKIPPED: {text:60}", file=sys.stderr, flush=True)


# speed


def ipv4(plan: Plan) -> list[Table]:
    """A queries over a million addresses, without and with EDNS, against every peer."""
    names = plan.present([OURS, *([PYTHON] if zone.is_native() else []), *SETS4, "Knot", "BIND", "NSD", "bare loop"])
    tables = {False: Table("1 M IPv4, A", PER_CPU), True: Table("1 M IPv4, A with EDNS", PER_CPU)}
    for table in tables.values():
        table.aims = [
            Aim(OURS, 1.3, True, SETS4), Aim(OURS, 1.6, True, ["Knot"]), Aim(OURS, 2.0, True, ["BIND"]),
            Aim(OURS, 0.95, True, ["bare loop"]), Aim("bare loop", None, True, SETS4),
        ]  # fmt: skip
    speed(plan, plan.million("ip4"), names, tables, "A")
    return list(tables.values())


def against_rbldnsd(title: str, kind: str, qtype: str, peers: Sequence[str], plan: Plan) -> list[Table]:
    table = Table(title, PER_CPU, [Aim(OURS, 1.2, True, peers)])
    speed(plan, plan.million(kind), plan.present([OURS, *peers]), {False: table}, qtype)
    return [table]


def speed(plan: Plan, listing: Listing, names: Sequence[str], tables: dict[bool, Table], qtype: str) -> None:
    queries = plan.bench.data.queries(listing, qtype)
    with ExitStack() as stack:
        servers = {}
        for name in names:
            progress(f"starting {name}")
            servers[name] = stack.enter_context(plan.bench.running(name, listing))
        for _, name in plan.turns(names):
            for edns, table in tables.items():
                value, lost = per_cpu_second(plan, servers[name], queries, edns)
                table.add(name, value)
                if lost:
                    table.notes.append(f"{name}: {lost} queries lost")


def per_cpu_second(plan: Plan, server: Running, queries: Path, edns: bool, **how: Any) -> tuple[float, int]:
    before = server.cpu_seconds()
    got = load.LOADS[plan.load](plan.bench, server.port, queries, plan.seconds, edns, **how)
    used = server.cpu_seconds() - before
    got.check(server.name)
    return got.answered / used, got.lost


def threads(plan: Plan) -> list[Table]:
    """Two threads against one. Server and load have the same two cores, so only processor time can be compared: what a
    query costs with two threads, against one, is what sharing between them costs. Twice the ratio is how much faster
    two threads are that have a core each."""
    table = Table("1 M IPv4, A, by threads", PER_CPU, [Aim("two threads", 0.85, True, ["one thread"])])
    table.notes.append("1.7 times as fast with a core each is 0.85 as many queries for each CPU-second")
    if not (zone.has_threads() and zone.is_native()):
        skipped("threads: the native path is not built")
        return []
    listing, cores = plan.million("ip4"), plan.bench.server_cores | plan.bench.load_cores
    queries = plan.bench.data.queries(listing)
    rows = {"one thread": 1, "two threads": 2}
    with ExitStack() as stack:
        servers = {
            row: stack.enter_context(plan.bench.running(OURS, listing, count, cores)) for row, count in rows.items()
        }
        before = servers["two threads"].thread_seconds()
        for _, row in plan.turns(list(rows)):
            value, _ = per_cpu_second(plan, servers[row], queries, False, clients=16, cores=cores)
            table.add(row, value)
        used = servers["two threads"].thread_seconds()
    shares = sorted((used[task] - before.get(task, 0.0) for task in used), reverse=True)
    table.notes.append(f"the busiest threads took {shares[0]:.1f} s and {shares[1]:.1f} s of {sum(shares):.1f} s")
    return [table]


# start and memory


def start(plan: Plan) -> list[Table]:
    """Start until the first answer, and resident memory after a second of load, with ten million addresses."""
    peers = plan.present([OURS, "rbldnsd ip4set", "rbldnsd ip4tset"])
    started = Table("start until the first answer, 10 M IPv4", "seconds")
    started.aims = [Aim(OURS, 0.2, False), Aim(OURS, 0.5, False, ["rbldnsd ip4set"])]
    memory = Table("resident memory, 10 M IPv4", "MB (Rss)", [Aim(OURS, 0.4, False, ["rbldnsd ip4set"])])
    memory.notes.append("ip4tset has one code for all it lists, and half the memory of ip4set")
    starts(plan, plan.ten_million(), peers, started, memory)
    return [started, memory]


def domain_memory(plan: Plan) -> list[Table]:
    started = Table("start until the first answer, 1 M domains", "seconds")
    memory = Table("resident memory, 1 M domains", "MB (Rss)", [Aim(OURS, 0.8, False, [NAMES])])
    starts(plan, plan.million("domain"), plan.present([OURS, NAMES]), started, memory)
    return [started, memory]


def starts(plan: Plan, listing: Listing, names: Sequence[str], started: Table, memory: Table) -> None:
    queries = plan.bench.data.queries(listing)
    rows: dict[str, tuple[str, int]] = {name: (name, 1) for name in names}
    if listing.kind == "ip4" and OURS in names and zone.has_threads():
        rows[f"{OURS}, 2 threads"] = (OURS, 2)
    with ExitStack() as stack:
        servers = {
            row: stack.enter_context(plan.bench.placed(name, listing, count)) for row, (name, count) in rows.items()
        }
        for _, row in plan.turns(list(rows)):
            server = servers[row]
            server.start(plan.bench.server_cores, listing)
            started.add(row, server.started_in)
            load.LOADS[plan.load](plan.bench, server.port, queries, TOUCH, False).check(server.name)
            memory.add(row, server.memory()["Rss"])
            server.stop()


# publish


def publish(plan: Plan) -> list[Table]:
    """Ten million addresses replaced under a steady rate, against the same load with nothing published. The new data is
    written before; what happens under load is that the server is told, loads it and answers from it."""
    if "meter" not in plan.bench.programs:
        skipped("publish: the meter is not built")
        return []
    names = plan.present([OURS, "rbldnsd ip4set", FORKING])
    quiet = [f"{name}, quiet" for name in names]
    late = Table("10 M publish at 50,000 queries a second: p99.9", "microseconds")
    late.aims = [Aim(name, 2.0, False, [still]) for name, still in zip(names, quiet, strict=True)]
    late.notes.append("of the queries that were answered; those that were not are in the next table")
    lost = Table("10 M publish at 50,000 queries a second: lost", "queries", [Aim(OURS, 0, False)])
    gap = Table("10 M publish at 50,000 queries a second: longest time without an answer", "milliseconds")
    seen = Table("10 M publish at 50,000 queries a second: until the new data is answered", "seconds")
    with ExitStack() as stack:
        servers = {name: stack.enter_context(plan.bench.running(name, plan.ten_million())) for name in names}
        for turn, name in plan.turns(names):
            for row, swap in ((f"{name}, quiet", None), (name, swapper(plan, servers[name], turn))):
                said, after = steady(plan, servers[name], swap, turn)
                late.add(row, said["p99_9"])
                lost.add(row, said["lost"] - said["dropped_here"])
                gap.add(row, said["gap"] / 1000)
                if swap:
                    seen.add(name, after)
    return [late, lost, gap, seen]


Swap = Callable[[], None]


def swapper(plan: Plan, server: Running, turn: int) -> Swap:
    """Writes the other version aside; what is returned publishes it."""
    listing = plan.ten_million(2 - turn % 2)
    settings = server.launch.settings
    if settings is not None:
        serial = turn + 2
        zone.write_base(settings, plan.bench.data, listing, serial)
        zone.forget(settings, serial - 2)
        return partial(zone.point, settings, serial)
    new = server.directory / "list.new"
    shutil.copyfile(plan.bench.data.rbldnsd(listing, "ip4set"), new)

    def swap() -> None:
        new.replace(server.directory / "list")
        server.signal(signal.SIGHUP)

    return swap


def steady(plan: Plan, server: Running, swap: Swap | None, turn: int) -> tuple[dict[str, Any], float]:
    """What the meter saw, and how long after the swap the new data was answered."""
    queries = plan.bench.data.queries(plan.ten_million())
    seconds = SWAP_AFTER + max(plan.seconds - SWAP_AFTER, 2)
    probe = reversed4(only_in(plan, 2 - turn % 2)) + f".{plan.ten_million().origin}"
    seen: list[float] = []
    meter = load.start_meter(plan.bench, server.port, queries, RATE, seconds)
    if swap:
        time.sleep(SWAP_AFTER)
        began = time.monotonic()
        swap()
        look = threading.Thread(target=watch, args=(server.port, probe, began, seen))
        look.start()
        look.join()
    said = load.meter_says(meter, seconds)
    return said, seen[0] if seen else 0.0


def watch(port: int, probe: str, began: float, seen: list[float]) -> None:
    while not seen and time.monotonic() < began + 60:
        if asks_listed(port, probe):
            seen.append(time.monotonic() - began)
        time.sleep(LOOK)


def only_in(plan: Plan, seed: int) -> int:
    """An address that this version lists and the other does not."""
    one, other = (plan.bench.data.numbers(plan.ten_million(s)) for s in (seed, 3 - seed))
    return int(np.setdiff1d(one[:1000], other[:2000])[0])


MEASURES: dict[str, Callable[[Plan], list[Table]]] = {
    "ipv4": ipv4,
    "txt": partial(against_rbldnsd, "1 M IPv4, TXT", "ip4", "TXT", SETS4),
    "ipv6": partial(against_rbldnsd, "1 M IPv6 /64s, A", "ip6", "A", SETS6),
    "domain": partial(against_rbldnsd, "1 M domains, A", "domain", "A", [NAMES]),
    "threads": threads,
    "start": start,
    "domain-memory": domain_memory,
    "publish": publish,
}
