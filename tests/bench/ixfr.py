"""From a publish to a secondary that answers from it: AXFR and IXFR of a large zone, to a real Knot.

    python tests/bench/ixfr.py [--entries 1000000] [--changes 10000] [--steps 5] [--below] [--set "OPTION: VALUE"]...
                               [--storage /dev/shm] [--json]

Publishes a zone of single addresses, starts `dnsbl serve --role dns` on it and knotd as its secondary with a TSIG key,
waits until that answers, then publishes steps of so many changes (half come, half leave). `axfr` is from the start of
knotd, `draw` a plain AXFR by a client that only counts; `ixfr` is from the swap of the zone's pointer to the first SOA
with the new serial from Knot. By Knot's own log `taken` is what of that passed while the records came, and `updated`
from when it asked for them until it had done its work on them.

With --below there is another knotd, a secondary of the first: what Knot needs from Knot, for the same zone and steps,
from the first SOA of the one to that of the other (with the second that Knot waits before it tells). --set is for the
zone in the last of them, and --storage is where it keeps it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
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
TAKEN = re.compile(r"IXFR, incoming, .* finished, ([0-9.]+) seconds")
UPDATED = re.compile(r"zone updated, ([0-9.]+) seconds, serial [0-9]+ ->")

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--below", action="store_true", help="a Knot below the Knot, too")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION: VALUE", help="of the zone in Knot")
    parser.add_argument("--storage", type=Path, help="a directory for Knot's files")
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


class Tuned(Knot):
    """With other settings than those of the tests, and with a secondary below it that it tells of what it has."""

    below: Knot | None = None
    settings: Sequence[str] = ()

    def configure(self) -> list[str]:
        command = super().configure()
        path = Path(command[-1])
        text = path.read_text()
        for setting in self.settings:
            option = setting.partition(":")[0]
            text = re.sub(rf"\n    {option}: .*", "", text).replace("    master:", f"    {setting}\n    master:")
        if self.below:
            remote = f"  - id: below\n    address: 127.0.0.1@{self.below.port}\n    key: {self.key.name}\n"
            text = text.replace("\nacl:\n", f"\n{remote}acl:\n").replace("action: notify", "action: [notify, transfer]")
            text = text.replace("    master:", "    notify: below\n    master:")
        path.write_text(text)
        return command

    def said(self, what: re.Pattern[str]) -> list[float]:
        """Seconds by its own log."""
        return [float(found) for found in what.findall(self.log())]


@contextmanager
def knots(directory: Path, port: int, options: argparse.Namespace) -> Iterator[list[Tuned]]:
    """The secondary and, where wanted, the one below it; not started."""
    with tempfile.TemporaryDirectory(dir=options.storage) as storage:
        Path(storage).chmod(0o755)
        found = [Tuned(directory if options.below else Path(storage), Primary(port, [ORIGIN]))]
        if options.below:
            found.append(Tuned(Path(storage), Primary(found[0].port, [ORIGIN])))
            found[0].below = found[1]
        found[-1].settings = options.set
        yield found


def measured(directory: Path, options: argparse.Namespace) -> dict[str, object]:
    port = free_port()
    chosen = random.Random(1)
    listed = [(1 << 24) + 7 + 3 * number for number in range(options.entries)]
    with knots(directory, port, options) as chain, ExitStack() as running:
        path = configured(directory, chain[0], port)
        app = running.enter_context(App(config.load(path)))
        app.reconcile()
        fill(app, listed)
        running.enter_context(Server(directory, config=path, role="dns"))
        octets, draw = timed(lambda: drawn(port))
        axfr = []
        for knot in chain:
            running.enter_context(knot)
            axfr.append(timed(lambda: reached(chain[len(axfr)], app.served("ip").serial))[1])
        steps = [step(app, chain, listed, options.changes, chosen) for _ in range(options.steps)]
        found: dict[str, object] = {
            "entries": options.entries, "changes": options.changes, "set": options.set, "octets": octets,
            "draw s": round(draw, 2), "draw MB/s": round(octets / draw / 1e6, 1),
        }  # fmt: skip
        for whose, knot, whole, each in zip(("", "knot's "), chain, axfr, zip(*steps, strict=True), strict=False):
            found[f"{whose}axfr s"] = round(whole, 2)
            found[f"{whose}ixfr s"] = [round(seconds, 3) for seconds in each]
            found[f"{whose}ixfr median s"] = round(statistics.median(each), 3)
            found[f"{whose}taken s"] = knot.said(TAKEN)
            found[f"{whose}updated s"] = knot.said(UPDATED)
        return found


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


def step(app: App, chain: list[Tuned], listed: list[int], changes: int, chosen: random.Random) -> list[float]:
    """Publish so many changes; seconds from the swap of the pointer to the answer, then from one Knot to the next."""
    for place in chosen.sample(range(len(listed)), changes // 2):
        listed[place] = (11 << 24) + 5 * chosen.randrange(1 << 21)
    listed[:] = list(set(listed))
    fill(app, listed)
    at = [(app.data_dir / "zones" / "ip" / "current").stat().st_mtime]
    for knot in chain:
        reached(knot, app.served("ip").serial)
        at.append(time.time())
    return [after - before for before, after in pairwise(at)]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


if __name__ == "__main__":
    main()
