"""Load, always from the load's own cores: as many queries as a server takes, or a steady rate with latency and loss.

`flood` (bare/src/bin/flood.rs) keeps the server's queue filled. dnsperf cannot, on one core: it sends one query a call,
so a fast server sleeps and wakes for each, and what is compared is how the system wakes a process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import Bench

__all__ = ["LOADS", "Load", "dnsperf", "flood", "start_meter"]

CLIENTS, BURST = 8, 8  # queries under way: no more than rbldnsd's receive buffer holds
DNSPERF_WINDOW = 100
SLACK = 60  # seconds beyond the time it was told that a load may take


@dataclass(slots=True)
class Load:
    """What one run got."""

    answered: int
    lost: int
    listed: int
    absent: int
    other: int

    def check(self, name: str) -> None:
        """Half of the queries are listed: a server that says otherwise answers something else than the others."""
        if name != "bare loop" and (self.other or not 0.4 < self.listed / max(self.answered, 1) < 0.6):
            raise SystemExit(f"{name} does not answer right: {self}")


def flood(
    bench: Bench, port: int, queries: Path, seconds: float, edns: bool, clients: int = CLIENTS,
    cores: set[int] | None = None,
) -> Load:  # fmt: skip
    where = [str(port), str(clients), str(BURST), str(seconds), str(queries)]
    said = json.loads(output([bench.programs["flood"], *where, *(["edns"] if edns else [])], seconds, cores))
    return Load(said["answered"], said["lost"], said["listed"], said["absent"], said["other"])


def dnsperf(
    bench: Bench, port: int, queries: Path, seconds: float, edns: bool, clients: int = 1,
    cores: set[int] | None = None,
) -> Load:  # fmt: skip
    """dnsperf with its fixed window. It takes any reply with the id of a query, the bare loop's too."""
    where = ["-s", "127.0.0.1", "-p", str(port), "-d", str(queries), "-c", str(clients)]
    options = ["-l", str(max(round(seconds), 1)), "-q", str(DNSPERF_WINDOW), *(["-e"] if edns else [])]
    text = output(["dnsperf", *where, *options], seconds, cores)
    codes = {code: int(count) for code, count in re.findall(r"(\w+) (\d+) \(", after(text, "Response codes"))}
    answered = int(after(text, "Queries completed").split()[0])
    listed, absent = codes.get("NOERROR", 0), codes.get("NXDOMAIN", 0)
    lost = int(after(text, "Queries lost").split()[0])
    return Load(answered, lost, listed, absent, sum(codes.values()) - listed - absent)


LOADS = {"flood": flood, "dnsperf": dnsperf}


def start_meter(bench: Bench, port: int, queries: Path, rate: int, seconds: float) -> subprocess.Popen[str]:
    """A steady rate; `meter_says` has what it saw."""
    command = [bench.programs["meter"], str(port), str(rate), str(seconds), str(queries)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def meter_says(meter: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    try:
        said, _ = meter.communicate(timeout=seconds + SLACK)
    except subprocess.TimeoutExpired:
        meter.kill()
        raise
    return dict(json.loads(said))


def output(command: list[str], seconds: float, cores: set[int] | None) -> str:
    pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SLACK, preexec_fn=pin)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-1000:]}")
    return done.stdout


def after(text: str, key: str) -> str:
    """What follows a key on its line."""
    found = re.search(rf"{key}:(.*)", text)
    return found[1].strip() if found else "0"
