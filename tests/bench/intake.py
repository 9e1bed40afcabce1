"""How long real input takes: reports, feeds, whole builds, and a start.

    python tests/bench/intake.py            needs $DNSBL_DATA (default ../shared/data)

Method: each step on a fresh data directory, RUNS times, medians; the time is from the call until the snapshot that DNS
answers from is in place. Beside the import: `sqlite3 .import` of the same CSV, run in turn with it.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dnsbl import clock, config
from dnsbl.app import App

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("DNSBL_DATA") or ROOT.parent / "shared" / "data")
REPORTS = DATA / "reports" / "abuse-reports-2024-11--2025-03.csv.gz"
WORDS = {"probe": "scanner", "bot": "botnet"}
MILLION = 1_000_000


def settings(directory: Path) -> config.Settings:
    loaded = config.load(ROOT / "tests" / "samples" / "empty.toml")
    return loaded.model_copy(update={"config": loaded.config.model_copy(update={"data_dir": directory})})


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def import_reports(directory: Path) -> float:
    with App(settings(directory)) as app, REPORTS.open("rb") as file:
        return timed(lambda: app.import_file(file, "reports", None, "spam", None, WORDS))


def sqlite_import(directory: Path) -> float | None:
    if shutil.which("sqlite3") is None:
        return None
    directory.mkdir()
    plain = directory / "reports.csv"
    with gzip.open(REPORTS) as packed, plain.open("wb") as file:
        shutil.copyfileobj(packed, file)
    command = ["sqlite3", str(directory / "plain.sqlite"), ".mode csv", f".import {plain} reports"]
    return timed(lambda: subprocess.run(command, check=True))


def pulls(directory: Path) -> tuple[float, float, float]:
    """First pull of 120,430 entries, the same again, then the other version: in the order that changes most."""
    with App(settings(directory)) as app:

        def take(name: str) -> float:
            with (DATA / "lists" / name).open("rb") as file:
                return timed(lambda: app.import_file(file, "ipsum", "counted", "spam", None, {}, accept=True))

        first = take("ipsum-2026-08-22.txt")
        same = timed(lambda: again(app))
        return first, same, take("ipsum-2026-01-02.txt")


def again(app: App) -> None:
    with (DATA / "lists" / "ipsum-2026-08-22.txt").open("rb") as file:
        app.import_file(file, "ipsum", "counted", "spam", None, {})


def million(directory: Path) -> None:
    """A store with a million random single listings, published."""
    rng = np.random.default_rng(5782)
    addresses = np.unique(rng.integers(1 << 24, 223 << 24, MILLION * 11 // 10, dtype=np.uint32))
    keys = [b"4" + number.to_bytes(4, "big") + b" " for number in addresses.tolist()]
    with App(settings(directory)) as app:
        source = app.store.source("million", "import", trust=0.9)
        app.store.replace_entries(source.id, dict.fromkeys(keys, 1), {}, "spam", clock.now())
        app.settle()


def build_million(directory: Path) -> None:
    """In a process of its own, so that the peak of memory is the build's: prints seconds, pieces, bytes, MB."""
    with App(settings(directory)) as app:
        zone = app.zones["ip"]
        started = time.perf_counter()
        (done,) = app.settle(force=["ip"], only=["ip"])
        seconds = time.perf_counter() - started
        listings = app.store.listing_count(zone.name)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's memory before exec
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(f"{seconds} {listings} {done.bytes} {peak}")


def start(directory: Path) -> float:
    """From the start of `dnsbl serve --role dns` until it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = directory / "bench.toml"
    file.write_text(f'data_dir = "."\n[dns]\nlisten = ["127.0.0.1:{port}"]\n')
    query = bytes.fromhex("000100000001000000000000") + name("2.0.0.127.ip.dnsbl.test") + bytes.fromhex("00010001")
    started = time.perf_counter()
    command = [sys.executable, "-m", "dnsbl", "-c", str(file), "serve", "--role", "dns"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.02)
            for _ in range(1000):
                sock.sendto(query, ("127.0.0.1", port))
                try:
                    if sock.recv(512)[3] & 15 == 0:
                        return time.perf_counter() - started
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.005)
    finally:
        server.terminate()
        server.wait()
    raise SystemExit("the server did not answer")


def name(text: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in text.split(".")) + b"\0"


def median(label: str, aim: str, values: list[float]) -> None:
    print(f"{label:<58} {statistics.median(values):7.2f} s   (aim {aim}; {min(values):.2f} to {max(values):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build_million(options.build)
        return
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch), options.runs)


def run(scratch: Path, runs: int) -> None:
    ours, theirs, ratios = [], [], []
    firsts, sames, others = [], [], []
    for number in range(runs):
        ours.append(import_reports(scratch / f"reports{number}"))
        plain = sqlite_import(scratch / f"plain{number}")
        if plain is not None:
            theirs.append(plain)
            ratios.append(ours[-1] / plain)
        first, same, other = pulls(scratch / f"pulls{number}")
        firsts.append(first)
        sames.append(same)
        others.append(other)
        for path in scratch.iterdir():
            shutil.rmtree(path)
    median("import 1,591,320 reports, folded, scored, durable", "20", ours)
    if theirs:
        median("  sqlite3 .import of the same CSV", "-", theirs)
        print(f"  ratio {statistics.median(ratios):.1f}")
    median("first pull of ipsum (120,430)", "4", firsts)
    median("  unchanged refresh", "0.3", sames)
    median("  the other version (198,164 changes)", "4", others)
    directory = scratch / "million"
    million(directory)
    builds = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--build", str(directory)]
        builds.append(
            [float(x) for x in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        )
    median(f"build a snapshot of {builds[0][1]:,.0f} IPv4 listings", "5", [b[0] for b in builds])
    each, peak = builds[0][2] / builds[0][1], max(b[3] for b in builds)
    print(f"  {each:.2f} bytes a listing (aim 6), peak {peak:.0f} MB (aim 400)")
    median("start `serve --role dns` with it until it answers", "1.5", [start(directory) for _ in range(runs)])


if __name__ == "__main__":
    main()
