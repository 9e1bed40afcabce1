"""A day of a real list's changes at 100 times its speed, to secondaries: how far behind does any of them ever fall?

    python tests/bench/replay.py [--hours 24] [--from-hour 0] [--speed 100] [--changes 4000] [--every 300]
                                 [--to named knotd dnsbl] [--json]

80,000 addresses of one edition of a list are published. What the next edition leaves out goes, what it adds comes, as
many as `--changes` an hour on average, each at the time of a report on the busiest day of real reports. Every `--every`
seconds of that day, where something has changed, the store takes the changes and `App.settle` publishes, beside a
running `dnsbl serve --role dns` that BIND, Knot and a mirror of ours follow by NOTIFY and IXFR with keys.

Behind is how many publishes a secondary lacks at any moment that it was asked for its serial: 1 where it is taking the
newest, more where that is not all. Seconds are from a publish's end to the first answer with its serial or a later one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

sys.path.append(str(Path(__file__).parent.parent / "live"))

from ours import Mirror
from replay_day import DAY, HOUR, PARTS, Day
from secondaries import Bind, Knot, Primary, Secondary
from server import ROOT, Server, free_port, until

from dnsbl import clock, config, subjects
from dnsbl.app import App

DATA = Path(os.environ.get("DNSBL_DATA") or ROOT.parent / "shared" / "data")
FORGOTTEN = 60 * DAY  # so long ago is said to have left what leaves the list: it is not listed any more
ZONE, ORIGIN = "ip", "ip.dnsbl.test"
ASKED_EVERY = 0.01  # seconds between two questions for a secondary's serial
ANSWERS_WITHIN = 1.0
LOOKED_EVERY = 1.0  # seconds between two looks at processes
EVERY: tuple[type[Secondary], ...] = (Bind, Knot, Mirror)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="of the day that are replayed")
    parser.add_argument("--from-hour", type=float, default=0.0)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--changes", type=int, default=4000, help="an hour, on average over the day")
    parser.add_argument("--every", type=float, default=300.0, help="seconds of the day from one publish to the next")
    parser.add_argument("--to", nargs="+", choices=[kind.program for kind in EVERY], help="these secondaries only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    day = Day(DATA, options.changes)
    kinds = [kind for kind in EVERY if not options.to or kind.program in options.to]
    with (
        tempfile.TemporaryDirectory(prefix="dnsbl-replay-") as directory,
        Replay(Path(directory), day, kinds) as replay,
    ):
        start = int(options.from_hour * HOUR)
        replay.run(start, start + int(options.hours * HOUR), options.speed, options.every)
        told = replay.told()
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() if options.json else table(told))


# what is watched


class Watch(threading.Thread):
    """Asks one secondary for its serial again and again. `seen`: when it answered another than before, and which."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=f"watch {name}", daemon=True)
        self.port = port
        self.seen: list[tuple[float, int]] = []
        self.asked = self.silent = 0
        self.ended = threading.Event()

    def run(self) -> None:
        labels = b"".join(bytes((len(label),)) + label.encode() for label in ORIGIN.split("."))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(ANSWERS_WITHIN)
            sock.connect(("127.0.0.1", self.port))
            while not self.ended.wait(ASKED_EVERY):
                self.asked += 1
                head = struct.pack("!HHHHHH", self.asked & 0xFFFF, 0, 1, 0, 0, 0)
                try:
                    sock.send(head + labels + struct.pack("!BHH", 0, 6, 1))
                    reply = sock.recv(4096)
                    while reply[:2] != head[:2]:
                        reply = sock.recv(4096)
                except OSError:
                    self.silent += 1
                    continue
                self.saw(serial_in(reply, len(head) + len(labels) + 5))

    def saw(self, serial: int) -> None:
        if not self.seen or self.seen[-1][1] != serial:
            self.seen.append((time.monotonic(), serial))


def serial_in(reply: bytes, at: int) -> int:
    """The serial of the SOA record that begins at an octet of a reply; 0 where there is none."""
    if reply[6:8] == b"\0\0":
        return 0
    at += 2 if reply[at] >= 0xC0 else reply.index(b"\0", at) - at + 1
    end = at + 10 + int.from_bytes(reply[at + 8 : at + 10], "big")
    return int.from_bytes(reply[end - 20 : end - 16], "big")


@dataclass(slots=True)
class Sizes:
    """The most that was ever seen, and what was seen first."""

    first: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def saw(self, **sizes: int) -> None:
        for name, size in sizes.items():
            self.first.setdefault(name, size)
            self.most[name] = max(size, self.most.get(name, 0))
            self.last[name] = size


# the replay


class Replay:
    """A primary with the list, and its secondaries, for the length of a `with`; all have the first publish then."""

    def __init__(self, directory: Path, day: Day, kinds: Sequence[type[Secondary]] = EVERY) -> None:
        self.directory, self.day = directory, day
        directory.chmod(0o755)  # named and others give up being root
        primary = Primary(free_port(), [ORIGIN])
        self.secondaries = [kind(directory, primary) for kind in kinds]
        self.config = self.configure(primary)
        self.published: list[tuple[float, int]] = []  # when, and which serial
        self.changes = 0
        self.seconds: list[float] = []  # of each publish: changes into the store, settled
        self.late: list[float] = []
        self.sizes = Sizes()

    def configure(self, primary: Primary) -> Path:
        for name in ("zones", "no-feeds"):
            (self.directory / name).mkdir()
        shutil.copy(ROOT / "zones" / f"{ZONE}.toml", self.directory / "zones")
        names = ", ".join(f'"{each.key.name}"' for each in self.secondaries)
        path = self.directory / "dnsbl.toml"
        path.write_text(
            f'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n[dns]\n'
            f'listen = ["127.0.0.1:{primary.port}"]\ntransfer = ["127.0.0.0/8"]\ntransfer_keys = [{names}]\n'
            + "".join(each.told() for each in self.secondaries)
        )
        return path

    def __enter__(self) -> Replay:
        with ExitStack() as running:
            self.app = running.enter_context(App(config.load(self.config)))
            self.app.reconcile()
            for number in range(PARTS):
                self.keep(number)
            self.publish()
            self.server = running.enter_context(Server(self.directory, config=self.config, role="dns"))
            for each in self.secondaries:
                running.enter_context(each)
            self.wait_for_all()
            until(self.all_told, "every secondary has answered NOTIFY")  # sent to some before they were up
            self.watches = [Watch(each.program, each.port) for each in self.secondaries]
            self.running = running.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.running.__exit__(*error)

    def run(self, start: int, end: int, speed: float, every: float) -> None:
        """Replay from one second of the day to another."""
        for watch in self.watches:
            watch.start()
        try:
            began, looked = time.monotonic(), 0.0
            for number, (due, many) in enumerate(self.day.publishes(start, end, every)):
                late = time.monotonic() - began - (due - start) / speed
                self.late.append(late)
                time.sleep(max(0.0, -late))
                self.change(number % PARTS, many)
                if time.monotonic() - looked > LOOKED_EVERY:
                    self.look()
                    looked = time.monotonic()
            self.wait_for_all()
            newest = self.published[-1][1]
            until(lambda: all(watch.seen[-1][1] == newest for watch in self.watches), "it is seen that all have it")
            self.look()
        finally:
            for watch in self.watches:
                watch.ended.set()
                watch.join()

    def change(self, part: int, many: int) -> None:
        began = time.monotonic()
        self.day.parts[part].change(many)
        self.keep(part)
        self.publish()
        self.changes += many
        self.seconds.append(time.monotonic() - began)

    def keep(self, part: int) -> None:
        source = self.app.store.source(f"list-{part}", "import", trust=0.95)
        entries = dict.fromkeys(map(subjects.parse, sorted(self.day.parts[part].listed)), 1)
        self.app.store.replace_entries(source.id, entries, {}, "attack", clock.now() - FORGOTTEN)

    def publish(self) -> None:
        for done in self.app.settle():
            if done.zone == ZONE:
                self.published.append((time.monotonic(), done.serial))
        self.app.need_published()

    def wait_for_all(self) -> None:
        serial = self.published[-1][1]
        for each in self.secondaries:
            each.wait_for(ORIGIN, serial)

    def all_told(self) -> bool:
        for path in (self.config.parent / "data" / "run").glob("dns-*.json"):
            told = orjson.loads(path.read_bytes())["secondaries"]
            return bool(told) and all(each["acknowledged"] == each["serial"] for each in told)
        return False

    # what was found

    def look(self) -> None:
        """At the journal, and at what processes hold."""
        steps = list((self.config.parent / "data" / "zones" / ZONE / "journal").glob("*.step"))
        octets = 0
        for step in steps:
            with suppress(FileNotFoundError):
                octets += step.stat().st_size
        self.sizes.saw(journal_files=len(steps), journal_bytes=octets)
        self.sizes.saw(front_kib=resident(self.server.process.pid), courier_kib=resident(self.server.back() or 0))

    def behind(self, watch: Watch) -> int:
        """How many publishes it ever lacked."""
        numbers = {serial: number for number, (_, serial) in enumerate(self.published)}
        most = 0
        shown = [*watch.seen, (float("inf"), 0)]
        for (_, serial), (until_then, _) in pairwise(shown):
            newest = sum(at < until_then for at, _ in self.published) - 1
            most = max(most, newest - numbers.get(serial, -1))
        return most

    def delays(self, watch: Watch) -> list[float]:
        """Seconds from each publish to the first answer with it, or with a later one."""
        numbers = {serial: number for number, (_, serial) in enumerate(self.published)}
        seen, found = iter([(at, numbers.get(serial, -1)) for at, serial in watch.seen]), []
        at, has = next(seen)
        for number, (when, _) in enumerate(self.published[1:], 1):
            while has < number:
                at, has = next(seen)
            found.append(max(0.0, at - when))
        return found

    def told(self) -> dict[str, Any]:
        transfers = self.server.err.text
        return {
            "publishes": len(self.published) - 1,
            "changes": self.changes,
            "listings": self.app.served(ZONE).listings,
            "publish_seconds": quantiles(self.seconds),
            "late_seconds": max(self.late, default=0.0),
            "whole_zones_given": transfers.count(", whole,"),
            "first": self.sizes.first,
            "most": self.sizes.most,
            "last": self.sizes.last,
            "secondaries": {
                each.program: {
                    "behind": self.behind(watch),
                    "seconds": quantiles(self.delays(watch)),
                    "serials_seen": len(watch.seen),
                    "rises": rises(watch),
                    "asked": watch.asked,
                    "silent": watch.silent,
                }
                for each, watch in zip(self.secondaries, self.watches, strict=True)
            },
        }


def rises(watch: Watch) -> bool:
    """Whether no serial came after a later one."""
    serials = [serial for _, serial in watch.seen]
    return serials == sorted(set(serials))


def resident(pid: int) -> int:
    """What a process holds, in KiB; 0 where it is not there."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])
    except (OSError, IndexError):
        return 0


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {
        "median": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        "most": ordered[-1],
    }


def table(told: dict[str, Any]) -> str:
    lines = [
        f"{told['publishes']:,} publishes of {told['changes']:,} changes; {told['listings']:,} are listed at the end",
        f"each took {times(told['publish_seconds'])}; at most {told['late_seconds']:.2f} s late; "
        f"whole zones given: {told['whole_zones_given']}",
        f"{'secondary':12} {'behind':>6}  seconds to answer (median, 99 %, most)   serials seen",
    ]
    for name, each in told["secondaries"].items():
        lines.append(f"{name:12} {each['behind']:6}  {times(each['seconds']):40} {each['serials_seen']:,}")
    for name, most in told["most"].items():
        lines.append(f"{name:14} first {told['first'][name]:>12,}  most {most:>12,}  last {told['last'][name]:>12,}")
    return "\n".join(lines)


def times(seconds: dict[str, float]) -> str:
    return ", ".join(f"{seconds[name]:.3f}" for name in ("median", "p99", "most")) + " s" if seconds else "-"


if __name__ == "__main__":
    main()
