"""The DNS side against its peers: the same data, the same queries, the same run.

    python tests/bench/dns [MEASURE ...] [--rounds 5] [--seconds 3] [--json]

See README.md beside this file for the method.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from data import Data
from load import LOADS
from measures import MEASURES, Plan, skipped
from servers import Bench
from zone import is_native

HERE = Path(__file__).parent
PROGRAMS = ("bare", "flood", "meter")


def main() -> None:
    chosen = arguments()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("one core only: server and load share it, and a server may starve", file=sys.stderr)
    server_cores, load_cores = {cores[0]}, {cores[-1]}
    programs = built(chosen.cache)
    os.sched_setaffinity(0, load_cores)  # and so whatever is started from here, but servers
    with tempfile.TemporaryDirectory(prefix="run-", dir=chosen.cache) as work:
        Path(work).chmod(0o755)
        bench = Bench(Data(chosen.cache), Path(work), programs, server_cores, load_cores)
        if not is_native():
            skipped("the native path is not built: the row dnsbl is the Python path")
        plan = Plan(bench, chosen.rounds, chosen.seconds, chosen.scale, load_of(chosen.load, programs))
        tables = []
        for name in chosen.measures or MEASURES:
            for table in MEASURES[name](plan):
                tables.append(table)
                table.notes += deviations(plan)
                if not chosen.json:
                    print("\r" + table.text(), flush=True)
    if chosen.json:
        print(json.dumps([table.data() for table in tables], indent=1))


def deviations(plan: Plan) -> list[str]:
    """What makes figures no figures for the aims."""
    notes = [f"listings scaled by {plan.scale:g}"] if plan.scale != 1 else []
    return notes + (["load: dnsperf, which does not keep a fast server busy"] if plan.load != "flood" else [])


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3, help="of load, each run")
    options.add_argument("--scale", type=float, default=1, help="of the listings: 0.01 to see that all runs")
    options.add_argument("--load", choices=list(LOADS), default="flood")
    options.add_argument("--json", action="store_true")
    options.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "dnsbl-bench")
    chosen = options.parse_args()
    if unknown := set(chosen.measures) - set(MEASURES):
        options.error(f"no such measure: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    return chosen


def built(cache: Path) -> dict[str, str]:
    """The programs in bare/, built in the cache; none where there is no Rust."""
    if not shutil.which("cargo"):
        skipped("bare loop, flood and meter: cargo is not installed")
        return {}
    target = cache / "bare"
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(target)]
    subprocess.run(command, cwd=HERE / "bare", check=True)
    return {name: str(target / "release" / name) for name in PROGRAMS}


def load_of(wanted: str, programs: dict[str, str]) -> str:
    if wanted == "flood" and not programs:
        skipped("flood is not built: the load is dnsperf's, which does not keep a fast server busy")
        wanted = "dnsperf"
    if wanted == "dnsperf" and not shutil.which("dnsperf"):
        sys.exit("there is no load: install dnsperf (Debian package dnsperf), or cargo to build flood")
    return wanted


if __name__ == "__main__":
    main()
