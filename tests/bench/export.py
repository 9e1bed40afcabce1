"""Seconds, entries a second and memory for exporting a million entries, by format.

    python tests/bench/export.py [--entries 1000000] [--kind ip|ip6|domain] [--format NAME ...] [--delta]

Each export runs in a process of its own. Memory is what it takes beyond the program and the zone in it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from dnsbl.config import ZoneDef
from dnsbl.zones import names as naming
from dnsbl.zones.arrays import write
from dnsbl.zones.build import Answers, Arrays, ip_arrays, no_ranges
from dnsbl.zones.export import export, of_kind
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import Snapshot
from dnsbl.zones.table import Pieces, pieces

TEXT = "$ sends spam. Why, and the way off: https://bl.example/lookup?q=$"


def zone(kind: str) -> ZoneDef:
    codes = [{"code": f"127.0.0.{2 + n}", "categories": [c], "text": TEXT} for n, c in enumerate(("spam", "malware"))]
    return ZoneDef.model_validate(
        {
            "name": kind,
            "origin": f"{kind}.example",
            "kind": kind.removesuffix("6"),
            "ns": ["ns.example.net"],
            "codes": codes,
        }
    )


def made(entries: int, kind: str, answers: Answers, seed: int) -> Arrays:
    """So many single addresses, /64s or names, nine in ten under the first code."""
    chosen = np.random.default_rng(seed)
    low, high = (0x20 << 56, 0x40 << 56) if kind == "ip6" else (1 << 24, 223 << 24)
    numbers = np.unique(chosen.integers(low, high, entries, dtype=np.uint64))
    masks = np.where(chosen.random(len(numbers)) < 0.9, 1, 2).astype(np.uint64)
    if kind == "ip6":
        return ip_arrays(pieces([]), Pieces(numbers, numbers, masks), [], answers)
    if kind == "ip":
        return ip_arrays(Pieces(numbers, numbers, masks), pieces([]), [], answers)
    rows = zip(numbers.tolist(), masks.tolist(), strict=True)
    found = {f"com.n{number:x}".encode(): answers.id(mask) for number, mask in rows}
    return {**no_ranges(answers), **naming.index(found)}


def snapshot(directory: Path, kind: str, entries: int, delta: bool) -> list[Path]:
    described = zone(kind)
    answers = Answers(described)
    paths = []
    for serial, count in [(1, entries), (2, entries // 16)][: 2 if delta else 1]:
        arrays = made(count, kind, answers, serial)
        info = {"zone": described.model_dump(mode="json", by_alias=True), "serial": serial, "seq": 1, "store": "s"}
        info |= {"made_at": 1_790_000_000, "answers": answers.lists(), "base": 1}
        paths.append(directory / f"{serial}.{'delta' if serial > 1 else 'base'}")
        write(paths[-1], info, arrays)
    return paths


def memory() -> float:
    """The most this process held, in MB, since it was last forgotten (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(paths: list[Path], format: str) -> tuple[float, int, float]:
    """Seconds, bytes and MB of one export to nowhere."""
    view = ServedZone(*map(Snapshot, paths))
    Path("/proc/self/clear_refs").write_text("5")  # forget
    before, size, started = memory(), 0, time.perf_counter()
    with open(os.devnull, "wb") as out:
        for chunk in export(view, format):
            size += len(chunk)
            out.write(chunk)
    return time.perf_counter() - started, size, memory() - before


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--kind", choices=["ip", "ip6", "domain"], default="ip")
    options.add_argument("--format", action="append", help="only these")
    options.add_argument("--delta", action="store_true", help="with a delta of a sixteenth over it")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        paths = snapshot(Path(directory), chosen.kind, chosen.entries, chosen.delta)
        for format in chosen.format or of_kind(zone(chosen.kind).kind):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                seconds, size, extra = pool.submit(run, paths, format).result()
            rate = chosen.entries / seconds
            print(f"{format:16} {seconds:6.2f} s {rate:12,.0f} entries/s {size / 1e6:8.1f} MB out {extra:7.1f} MB more")


if __name__ == "__main__":
    sys.exit(main())
