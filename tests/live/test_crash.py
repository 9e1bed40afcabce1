"""`kill -9` in the middle of an import, of a publish and of a serving program: fifty times in all, or sixteen where the
tests marked `long` are left out. After each the store is clean, every report that was acknowledged is there, and DNS
answers from the snapshots that were left.

Acknowledged is what the program said before it was killed: a line that it printed after `take_reports` had returned,
or status 200. The moment of each kill is drawn from a seed: so many acknowledgements, then a few milliseconds more.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from server import SECONDS, Pipe, Server, configure, environment, joined, verb_here

from dnsbl import config as configuration
from dnsbl.app import App
from dnsbl.subjects import parse

pytestmark = pytest.mark.heavy
LONG = pytest.mark.long
PARTS = [(0, 4), pytest.param(1, 8, marks=LONG), pytest.param(2, 8, marks=LONG)]  # (part, kills) of imports, publishes
SERVES = [(0, 3), pytest.param(1, 7, marks=LONG)]
FIRST = int(time.time()) - 5 * 86_400  # the time of the first report; each has a second of its own

# Imports a file without end, a few reports a transaction, and says how many were taken: `ack NUMBER`.
IMPORT = """
import io, itertools, os, random, sys
from pathlib import Path
import dnsbl.importing as module
from dnsbl.app import App
from dnsbl import config

path, first, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
module.REPORTS_AT_ONCE = 50 + seed % 400
numbers = itertools.count(first)

class Endless(io.RawIOBase):
    rest = b"time,ip,category,reporter\\n"
    def readable(self):
        return True
    def readinto(self, buffer):
        size = min(len(buffer), 8192)  # as a pipe gives it
        while len(self.rest) < size:
            self.rest += b"".join(
                b"%d,46.%d.%d.%d,spam,10.%d.0.0/16\\n" % (FIRST + n, n >> 14 & 63, n >> 6 & 255, n & 63, n & 7)
                for n in itertools.islice(numbers, 200)
            )
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size

with App(config.load(path)) as app:
    taken, take = 0, app.store.take_reports
    def told(source, reports):
        global taken
        found = take(source, reports)
        taken += found.taken + found.repeated
        print("ack", first + taken, flush=True)
        return found
    app.store.take_reports = told
    app.import_file(io.BufferedReader(Endless(), 4096), "crash", "reports", "spam", None, {})
""".replace("FIRST", str(FIRST))

# Reports a few and publishes, for ever, every third time whole zones: `ack NUMBER` when the reports are taken.
PUBLISH = """
import itertools, sys
from pathlib import Path
from dnsbl import config
from dnsbl.app import App
from dnsbl.model import Report
from dnsbl.subjects import parse

path, first = Path(sys.argv[1]), int(sys.argv[2])
with App(config.load(path)) as app:
    source = app.store.source("crash", "import", trust=0.9, keep=True)
    numbers = itertools.count(first)
    for turn in itertools.count():
        some = list(itertools.islice(numbers, 5))
        app.store.take_reports(source.id, [
            Report(parse(f"46.{n >> 14 & 63}.{n >> 6 & 255}.{n & 63}"), "spam", FIRST + n, f"10.{n & 7}.0.0/16")
            for n in some
        ])
        print("ack", some[-1] + 1, flush=True)
        app.settle(force=app.zones if turn % 3 == 0 else ())
""".replace("FIRST", str(FIRST))


def address(number: int) -> str:
    return f"46.{number >> 14 & 63}.{number >> 6 & 255}.{number & 63}"


def killed(program: str, path: Path, first: int, chance: random.Random) -> int:
    """Start a child, kill it some time after one of its acknowledgements; how far it had acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path), str(first), str(chance.randrange(10**6))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    out, err = Pipe(child.stdout), Pipe(child.stderr)
    wanted = chance.randrange(1, 12)
    found = out.wait(lambda line: line.startswith("ack") and len(out.lines) >= wanted)
    time.sleep(chance.uniform(0, 0.03))
    child.kill()
    child.wait(SECONDS)
    for pipe in (out, err):
        pipe.close()
    assert found is not None, err.text
    return max(int(line.split()[1]) for line in out.lines if line.startswith("ack "))


def held(path: Path, first: int, end: int) -> None:
    """The store is clean, and has the reports of these numbers: subject and time say which is which."""
    with App(configuration.load(path)) as app:
        assert app.store.check() == []
        rows = set(
            app.store.rows("SELECT subject, at FROM report WHERE at >= ? AND at < ?", FIRST + first, FIRST + end)
        )
        missing = [n for n in range(first, end) if (parse(address(n)), FIRST + n) not in rows]
        assert missing == [], "acknowledged, and lost"


def answers(path: Path, listed: str | None) -> None:
    """DNS alone, as after a restart while everything else is down: the good snapshots answer at once."""
    with Server(path.parent, config=path, role="dns") as server:
        assert server.codes("2.0.0.127.policy.dnsbl.test") == ["127.0.0.10"]
        assert server.rcode("1.0.0.127.ip.dnsbl.test") == "NXDOMAIN"
        if listed:
            assert server.listed(listed) == ["127.0.0.2"]


def crashes(path: Path, program: str, times: int, seed: int, each: Callable[[int], None] = lambda _: None) -> None:
    chance = random.Random(seed)
    verb_here(path, "report", "45.0.0.1", "--category", "spam")
    first = 0
    for _ in range(times):
        end = killed(program, path, first, chance)
        dns = Attempt(lambda: answers(path, "45.0.0.1"))
        held(path, first, end)
        dns.result()
        each(end)
        first = end + 10_000  # what was not acknowledged may be there or not


class Attempt(threading.Thread):
    """Something done beside something else; its failure is raised when it is asked for."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work, self.error = work, None
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def result(self) -> None:
        joined(self)
        if self.error:
            raise self.error


@pytest.mark.parametrize(("part", "kills"), PARTS)
def test_killed_in_the_middle_of_an_import(tmp_path: Path, part: int, kills: int) -> None:
    crashes(configure(tmp_path), IMPORT, kills, seed=100 + part)


@pytest.mark.parametrize(("part", "kills"), PARTS)
def test_killed_in_the_middle_of_a_publish(tmp_path: Path, part: int, kills: int) -> None:
    """What was acknowledged is also in the zone once somebody settles again."""
    path = configure(tmp_path)

    def settled(end: int) -> None:
        with App(configuration.load(path)) as app:
            app.settle()
            assert app.dns_codes("ip", parse(address(end - 1))) == ["127.0.0.2"]

    crashes(path, PUBLISH, kills, seed=200 + part, each=settled)


@pytest.mark.parametrize(("part", "kills"), SERVES)
def test_killed_while_it_serves(tmp_path: Path, part: int, kills: int) -> None:
    """The whole program under reports by HTTP: front and back killed; each 200 is kept, and the next start answers."""
    path, chance = configure(tmp_path), random.Random(300 + part)
    with path.open("a") as file:
        file.write("[guard]\nnetwork = 100000\n")  # this partner is about to list a whole network
    secret = json.loads(verb_here(path, "key", "create", "acme", "--live", "--json"))["secret"]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/x-ndjson"}
    first = 0
    for turn in range(kills):
        server = Server(tmp_path, config=path).start()
        if first:
            assert server.listed(address(0)) == ["127.0.0.2"], "right after the restart"
        acknowledged = threading.Semaphore(0)
        posted = [first]

        def post(server: Server = server, posted: list[int] = posted, done: threading.Semaphore = acknowledged) -> None:
            while True:
                start = posted[0]
                lines = [
                    json.dumps({"subject": address(n), "category": "spam", "time": FIRST + n, "reporter": f"r{n & 7}"})
                    for n in range(start, start + 20)
                ]
                try:
                    status, _ = server.http("POST", "/v1/reports", "\n".join(lines).encode(), headers)
                except OSError:  # it was killed, as it should be
                    return
                except Exception as error:
                    assert "http.client" in type(error).__module__, error
                    return
                assert status == 200
                posted[0] = start + 20
                done.release()

        posting = threading.Thread(target=post, daemon=True)
        posting.start()
        try:
            for _ in range(chance.randrange(1, 8)):
                assert acknowledged.acquire(timeout=SECONDS)
            time.sleep(chance.uniform(0, 0.1))
            back = server.back()
            assert back is not None
            if turn % 2:  # the back is in the middle of it; the front follows
                os.kill(back, signal.SIGKILL)
        finally:
            server.kill()
        joined(posting)
        assert posted[0] > first
        dns = Attempt(lambda: answers(path, None))
        held(path, first, posted[0])
        dns.result()
        with App(configuration.load(path)) as app:
            app.settle()
            assert app.dns_codes("ip", parse(address(posted[0] - 1))) == ["127.0.0.2"]
        first = posted[0] + 1000
