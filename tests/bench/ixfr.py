"""From a publish to a secondary that answers from it: AXFR and IXFR of a large zone, to a real Knot.

    python tests/bench/ixfr.py [--entries 1000000] [--changes 10000] [--steps 5] [--json]

Publishes a zone of single addresses, starts `dnsbl serve --role dns` on it and knotd as its secondary with a TSIG key,
waits until that answers, then publishes steps of so many changes (half come, half leave). `axfr` is from the start of
knotd, `draw` a plain AXFR by a client that only counts; `ixfr` is from the swap of the zone's pointer to the first SOA
with the new serial from Knot.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "live")]

from secondaries import Knot, Primary  # noqa: E402
from server import Server, free_port  # noqa: E402

from dnsbl import config  # noqa: E402
from dnsbl.app import App  # noqa: E402

ORIGIN = "ip.dnsbl.test"
NOW = 1_790_000_000
GIVE_UP = 300.0

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-ixfr-"))
    directory.chmod(0o755)
    try:
        found = measured(directory, options)
    finally:
        shutil.rmtree(directory)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>16}  {value}")


def measured(directory: Path, options: argparse.Namespace) -> dict[str, object]:
    port = free_port()
    knot = Knot(directory, Primary(port, [ORIGIN]))
    path = configured(directory, knot, port)
    chosen = random.Random(1)
    listed = [(1 << 24) + 7 + 3 * number for number in range(options.entries)]
    with App(config.load(path)) as app:
        app.reconcile()
        fill(app, listed)
        with Server(directory, config=path, role="dns"):
            octets, draw = timed(lambda: drawn(port))
            with knot:
                _, axfr = timed(lambda: reached(knot, app.served("ip").serial))
                steps = [step(app, knot, listed, options.changes, chosen) for _ in range(options.steps)]
    return {
        "entries": options.entries, "changes": options.changes, "octets": octets,
        "draw s": round(draw, 2), "draw MB/s": round(octets / draw / 1e6, 1),
        "axfr s": round(axfr, 2), "ixfr s": [round(each, 3) for each in steps],
        "ixfr median s": round(statistics.median(steps), 3) if steps else None,
    }  # fmt: skip


def configured(directory: Path, knot: Knot, port: int) -> Path:
    (directory / "zones").mkdir()
    (directory / "no-feeds").mkdir()
    shutil.copy(ROOT / "zones" / "ip.toml", directory / "zones")
    path = directory / "dnsbl.toml"
    path.write_text(
        f'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n[dns]\nlisten = ["127.0.0.1:{port}"]\n'
        f'transfer = ["127.0.0.0/8"]\n{knot.told()}'
    )
    return path


def fill(app: App, listed: list[int]) -> None:
    source = app.store.source("spam", "import", trust=0.95)
    keys = (b"4" + number.to_bytes(4, "big") + b"\x20" for number in sorted(listed))
    app.store.replace_entries(source.id, dict.fromkeys(keys, 1), {}, "spam", NOW)
    app.settle()


def drawn(port: int) -> int:
    """Octets of a whole transfer."""
    with socket.create_connection(("127.0.0.1", port), GIVE_UP) as sock:
        labels = b"".join(bytes((len(label),)) + label.encode() for label in ORIGIN.split("."))
        wire = b"\0\1\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\xfc\0\1"
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        sock.shutdown(socket.SHUT_WR)
        return sum(map(len, iter(lambda: sock.recv(1 << 20), b"")))


def reached(knot: Knot, serial: int) -> None:
    end = time.monotonic() + GIVE_UP
    while knot.serial(ORIGIN) != serial:
        if time.monotonic() > end:
            raise SystemExit(f"knotd does not answer with serial {serial}:\n{knot.log()[-2000:]}")
        time.sleep(0.005)


def step(app: App, knot: Knot, listed: list[int], changes: int, chosen: random.Random) -> float:
    """Publish so many changes; seconds from the swap of the pointer to the answer."""
    for place in chosen.sample(range(len(listed)), changes // 2):
        listed[place] = (11 << 24) + 5 * chosen.randrange(1 << 21)
    listed[:] = list(set(listed))
    fill(app, listed)
    swapped = (app.data_dir / "zones" / "ip" / "current").stat().st_mtime
    reached(knot, app.served("ip").serial)
    return time.time() - swapped


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


if __name__ == "__main__":
    main()
