"""What it costs to know who asks: queries for each CPU-second of the native path, beside the plain answer.

    python tests/bench/access.py [--rounds 5] [--seconds 3] [--scale 1] [--before DIR] [--json]

A million IPv4 addresses; servers, load and method are those of `tests/bench/dns` (its README), all servers in one run.
Rows: the zone without rules; with 1,000 networks that may ask; the same, and a key in each query (100 of 10,000 keys);
with a quota for each network; with a limit on replies that the load is exempt from. `--before`: a checkout of an
earlier version that takes the same snapshots, asked without rules: the plain answer is to be no slower than it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import runpy
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent / "dns"
sys.path.insert(0, str(HERE))

import servers  # noqa: E402 - they are modules of the directory just named
from data import Data, Listing  # noqa: E402
from measures import Plan, per_cpu_second  # noqa: E402
from servers import Bench, Launch, Place  # noqa: E402
from table import Aim, Table  # noqa: E402

MILLION = 1_000_000
KEYS, USED = 10_000, 100
NETWORKS = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(999)] + ["127.0.0.0/8"]
PLAIN, LISTED, KEYED, QUOTA, RATE, BEFORE = (
    "plain", "networks", "networks and key", "quota", "limited replies", "plain, before",
)  # fmt: skip
ACCESS = {
    LISTED: f"networks = {json.dumps(NETWORKS)}",
    KEYED: f'networks = {json.dumps(NETWORKS)}\nkeys = "required"',
    QUOTA: f"quota = {10**12}",
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--scale", type=float, default=1, help="of the listings")
    options.add_argument("--before", type=Path, help="a checkout with its native path built")
    options.add_argument("--json", action="store_true")
    options.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "dnsbl-bench")
    chosen = options.parse_args()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    programs = runpy.run_path(str(HERE / "__main__.py"))["built"](chosen.cache)
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory(prefix="run-", dir=chosen.cache) as work:
        Path(work).chmod(0o755)
        bench = Bench(Data(chosen.cache), Path(work), programs, {cores[0]}, {cores[-1]})
        plan = Plan(bench, chosen.rounds, chosen.seconds, chosen.scale, "flood" if programs else "dnsperf")
        made = measured(plan, chosen.before)
    print(json.dumps(made.data(), indent=1) if chosen.json else "\r" + made.text())


def measured(plan: Plan, before: Path | None) -> Table:
    table = Table("1 M IPv4, A, native path", "queries / CPU-second")
    table.aims = [Aim(KEYED, 0.9, True, [PLAIN]), Aim(LISTED, 0.9, True, [PLAIN]), Aim(QUOTA, 0.9, True, [PLAIN])]
    table.aims += [Aim(RATE, None, True, [PLAIN]), Aim(PLAIN, 0.97, True, [BEFORE])]
    listing, rows = plan.million("ip4"), [PLAIN, LISTED, KEYED, QUOTA, RATE, *([BEFORE] if before else [])]
    secrets = keys()
    queries = dict.fromkeys(rows, plan.bench.data.queries(listing))
    queries[KEYED] = with_keys(plan, listing, secrets[:USED])
    servers.PEERS |= {row: Ours(row, secrets, before if row == BEFORE else None) for row in rows}
    with ExitStack() as stack:
        running = {row: stack.enter_context(plan.bench.running(row, listing)) for row in rows}
        for _, row in plan.turns(rows):
            value, lost = per_cpu_second(plan, running[row], queries[row], False)
            table.add(row, value)
            if lost:
                table.notes.append(f"{row}: {lost} queries lost")
    return table


@dataclass(slots=True)
class Ours:
    """A server of ours with the rules of one row."""

    row: str
    secrets: Sequence[str]
    before: Path | None

    def __call__(self, place: Place) -> Launch:
        launch = servers.ours(place)
        assert launch.settings is not None
        if access := ACCESS.get(self.row):
            zone = place.directory / "zones" / "bench.toml"
            zone.write_text(zone.read_text() + f"[access]\n{access}\n")
        if self.row == RATE:
            rate = '[dns.rate]\nresponses = 100\nexempt = ["127.0.0.0/8"]\n'
            launch.settings.write_text(launch.settings.read_text() + rate)
        if self.row == KEYED:
            run = place.directory / "data" / "run"
            run.mkdir(parents=True)
            rows = [
                {
                    "id": number,
                    "digest": sha256(secret.encode()).hexdigest(),
                    "zones": [],
                    "queries": 10**9,
                    "expires": None,
                }
                for number, secret in enumerate(self.secrets)
            ]
            (run / "access.json").write_text(json.dumps({"version": 1, "keys": rows}))
        if self.before:
            launch.env["PYTHONPATH"] = str(self.before)
        return launch


def keys() -> list[str]:
    chosen = random.Random(11)
    return ["dq-" + "".join(chosen.choices("abcdefghijklmnopqrstuvwxyz234567", k=26)) for _ in range(KEYS)]


def with_keys(plan: Plan, listing: Listing, secrets: Sequence[str]) -> Path:
    """The same questions, each with one of the keys."""
    path = plan.bench.work / "keyed.queries"
    suffix, chosen = f".{listing.origin} ", random.Random(12)
    with path.open("w") as out, plan.bench.data.queries(listing).open() as lines:
        out.writelines(line.replace(suffix, f".{chosen.choice(secrets)}{suffix}", 1) for line in lines)
    return path


if __name__ == "__main__":
    main()
