"""Secondaries behind a bad wire, and a primary that dies: they answer on from a whole zone, catch up, and end equal.

The primary is at one end of the wire, BIND, Knot and a mirror of ours at the other.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from asking import name4
from bad_wire import FAR, NEAR, BadWire, why_not
from far import FarBind, FarKnot, FarMirror
from ours import Mirror
from same import Reply, Same
from secondaries import Primary, Secondary, needs
from server import ROOT, Server, alive, free_port, until
from world import ZONES, World

from dnsbl import clock, config, subjects
from dnsbl.app import App

QUESTIONS = int(os.environ.get("DNSBL_TRANSFER_QUESTIONS", "1000"))
BULK, LESS = 100_000, 30_000  # entries: a transfer that takes long enough to be cut
BULK_AT = 31 << 24
LATE = 0.05  # seconds
PART = 2000  # packets that are part of such a transfer, far from all
FORGOTTEN = 60 * 86_400  # seconds: so long ago is said to have left what leaves the list
ORIGIN = "ip.dnsbl.test"
NOT_YET = (2, 5)  # rcodes of a server that does not have the zone: SERVFAIL, REFUSED
UDP, IP_HEADER, UDP_HEADER, OPCODE, NOTIFY = 17, 20, 8, 0xF8, 0x20
SOON = "refresh = 2\nretry = 1"
SELDOM = "refresh = 900\nretry = 300"
LONG = pytest.mark.long

pytestmark = [
    pytest.mark.peer,
    pytest.mark.heavy,
    needs["named"],
    needs["knotd"],
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


# both ends


class Scene:
    """A wire, our server with a first publish at its near end, and secondaries of it at the far one."""

    def __init__(self, directory: Path, wire: BadWire, soa: str = SOON, bulk: int = BULK) -> None:
        self.directory, self.wire, self.span = directory, wire, 3 * bulk
        primary = Primary(free_port(), [f"{name}.dnsbl.test" for name in ZONES])
        self.secondaries: list[Secondary] = [kind(directory, primary) for kind in (FarBind, FarKnot, FarMirror)]
        self.config = self.configure(primary.port, soa)
        self.running = ExitStack()
        self.server = Server(directory, config=self.config)
        self.sample = [("ip", name4(BULK_AT + each)) for each in sample_of(self.span)]
        self.expected: dict[int, list[Reply]] = {}  # by serial: what our server says of the sample

    def configure(self, port: int, soa: str) -> Path:
        for name in ("zones", "no-feeds"):
            (self.directory / name).mkdir()
        for name in ZONES:
            text = (ROOT / "zones" / f"{name}.toml").read_text()
            (self.directory / "zones" / f"{name}.toml").write_text(text.replace("[soa]", f"[soa]\n{soa}"))
        names = ", ".join(f'"{each.key.name}"' for each in self.secondaries)
        path = self.directory / "dnsbl.toml"
        path.write_text(
            'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n'
            f'[web]\nlisten = "127.0.0.1:{free_port()}"\n[dns]\nlisten = ["127.0.0.1:{port}", "{NEAR}:{port}"]\n'
            f'transfer = ["{FAR}/32"]\ntransfer_keys = [{names}]\n'
            + "".join(each.told(FAR) for each in self.secondaries)
        )
        return path

    def __enter__(self) -> Scene:
        with ExitStack() as running:
            self.app = running.enter_context(App(config.load(self.config)))
            self.app.reconcile()
            self.world, self.same = World(self.app, 1), Same(dict(self.app.zones))
            self.running = running.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.running.__exit__(*error)

    # what is done

    def start(self) -> None:
        """The primary, and then the secondaries."""
        self.app.settle()
        self.start_primary()
        self.running.push(self.end_primary)
        with self.wire.at(self.wire.far):
            for each in self.secondaries:
                self.running.enter_context(each)

    def start_primary(self) -> None:
        self.server = Server(self.directory, config=self.config)
        with self.wire.at(self.wire.near):
            self.server.start()

    def end_primary(self, *error: Any) -> None:
        with self.wire.at(self.wire.near):
            self.server.__exit__(*error)

    def kill_primary(self) -> None:
        """kill -9 of the front and all that it has started."""
        front = self.server.process.pid
        family = list(map(int, Path(f"/proc/{front}/task/{front}/children").read_text().split()))
        assert len(family) == 2, "a back and a courier run"
        for pid in (front, *family):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(alive, family)), "they end")
        self.server.kill()

    def publish(self, *changes: int, answered: bool = True) -> None:
        """A publish for each number of changes; 0: what else was changed. `answered`: our server runs."""
        for many in changes:
            if many:
                self.world.change(many)
            self.app.settle(force=["ip"] if not many else ())
            self.app.need_published()
            if answered:
                self.look()

    def look(self) -> None:
        """Have what is published answered by our server, and keep what it says of the sample."""
        with self.wire.at(self.wire.near):
            until(lambda: self.own_serial() == self.serial, "it answers from what was published")
            self.expected[self.serial] = self.same.replies(self.server.dns_port, self.sample)

    def bulk(self, number: int) -> None:
        """Many addresses are listed; with another number, others instead."""
        source = self.app.store.source("bulk", "import", trust=0.95)
        addresses = map(str, map(IPv4Address, range(BULK_AT + number, BULK_AT + self.span, 3)))
        entries = dict.fromkeys(map(subjects.parse, addresses), 9)
        self.app.store.replace_entries(source.id, entries, {}, "attack", clock.now() - FORGOTTEN)

    # what is seen

    @property
    def serial(self) -> int:
        return self.app.served("ip").serial

    def own_serial(self) -> int:
        return int(self.server.ask(ORIGIN, "SOA").rr[0].rdata.times[0])

    def whole(self, each: Secondary) -> int | None:
        """The serial of the zone that a secondary answers from, which is that zone and nothing between it and another;
        0: it has none; None: another came meanwhile, or is not known here, or it is not up."""
        with self.wire.at(self.wire.far):
            before = each.serial(ORIGIN)
            try:
                said = self.same.replies(each.port, self.sample)
            except ConnectionRefusedError:
                return None
            if each.serial(ORIGIN) != before or (before and before not in self.expected):
                return None
        if not before:
            assert all(rcode in NOT_YET and not listed for rcode, listed, _ in said), f"{each.program}: half a zone"
        else:
            self.compare(each, self.sample, self.expected[before], said)
        return before

    def compare(
        self, each: Secondary, asked: Sequence[tuple[str, str]], ours: Sequence[Reply], theirs: Sequence[Reply]
    ) -> None:
        own = isinstance(each, Mirror)  # it answers as we do, and not as records with wildcards
        wrong = [
            (question, one, other)
            for question, one, other in zip(asked, ours, theirs, strict=True)
            if one != other and (own or not self.same.alike(*question, one, other))
        ]
        assert not wrong, f"{len(wrong)} answers of {each.program} differ: {wrong[:3]}"

    def all_answer_from(self, serial: int) -> None:
        """Whole zones all the time until they do."""
        left = list(self.secondaries)
        while left:
            until(lambda: self.whole(left[0]) == serial, f"{left[0].program} answers from serial {serial}")
            left.pop(0)

    def equal(self) -> None:
        """All catch up, through whole zones only; then the answers are the same."""
        self.look()
        self.all_answer_from(self.serial)
        with self.wire.at(self.wire.far):
            other = self.app.served("domain").serial
            until(lambda: all(each.serial("domain.dnsbl.test") == other for each in self.secondaries), "domain")
        asked = self.world.questions(QUESTIONS)
        with self.wire.at(self.wire.near):
            ours = self.same.replies(self.server.dns_port, asked)
        with self.wire.at(self.wire.far):
            for each in self.secondaries:
                self.compare(each, asked, ours, self.same.replies(each.port, asked))

    def passing(self, packets: int) -> None:
        """Wait until a transfer is under way: so many packets have passed."""
        began = self.wire.passed
        until(lambda: self.wire.passed > began + packets, "a transfer is under way")


def sample_of(span: int) -> list[int]:
    """Offsets from all over, with both ends: some are listed in each bulk."""
    chance = random.Random(7)
    return [0, 1, 2, span - 3, span - 2, span - 1, *(chance.randrange(span) for _ in range(60))]


def is_notify(packet: bytes) -> bool:
    """Whether an IPv4 packet is a NOTIFY."""
    flags = IP_HEADER + UDP_HEADER + 2
    return packet[0] == 0x45 and packet[9] == UDP and len(packet) > flags and packet[flags] & OPCODE == NOTIFY


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that any user may read: some of them do not run as root."""
    with tempfile.TemporaryDirectory(prefix="dnsbl-faults-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def wire() -> Iterator[BadWire]:
    with BadWire(f"dnsbl-{os.getpid()}") as made:
        yield made


# what is promised


@pytest.mark.parametrize(
    ("delay", "loss", "publishes"), [(0.08, 0.07, 4), pytest.param(0.25, 0.15, 20, marks=LONG)], ids=["bad", "worse"]
)
def test_they_follow_over_a_wire_that_is_late_and_loses(
    directory: Path, wire: BadWire, delay: float, loss: float, publishes: int
) -> None:
    with Scene(directory, wire) as scene:
        scene.world.change(300)
        scene.start()
        scene.equal()
        wire.delay, wire.loss = delay, loss
        for _ in range(publishes):
            scene.publish(20)
        scene.equal()
        assert wire.lost


@LONG  # the primary that is killed in a transfer, below, cuts one in each run
@pytest.mark.parametrize("away", [0.0, 75.0], ids=["short", "a minute"])
def test_a_transfer_that_is_cut_leaves_no_half_zone(directory: Path, wire: BadWire, away: float) -> None:
    """The first transfer of a large zone, and one of all of it where they have another already."""
    with Scene(directory, wire) as scene:
        scene.bulk(0)
        wire.cut_after(PART)
        scene.start()
        scene.look()
        until(lambda: wire.cut, "the wire is cut")
        scene.all_answer_from(0)
        wire.heal()
        scene.equal()
        first = scene.serial
        wire.delay = LATE  # so that all have begun: BIND asks nothing for ten minutes where it could not connect
        wire.cut_after(PART)
        scene.bulk(1)
        scene.publish(0)
        until(lambda: wire.cut, "the wire is cut")
        wire.delay = 0.0
        scene.all_answer_from(first)
        outage(scene, first, away)
        wire.heal()
        scene.equal()
        assert scene.server.log_count(", whole,") >= 2 * len(scene.secondaries)


def outage(scene: Scene, serial: int, seconds: float) -> None:
    """They answer from the zone that they have for so long."""
    end = clock.now() + seconds
    while clock.now() < end:
        scene.all_answer_from(serial)


@pytest.mark.parametrize("bulk", [LESS, pytest.param(BULK, marks=LONG)])
def test_the_primary_is_killed_in_a_transfer_and_between_two(directory: Path, wire: BadWire, bulk: int) -> None:
    with Scene(directory, wire, bulk=bulk) as scene:
        scene.bulk(0)
        scene.start()
        scene.equal()
        first = scene.serial
        scene.bulk(1)
        scene.publish(0)
        scene.passing(PART)
        scene.kill_primary()
        scene.all_answer_from(first)
        scene.start_primary()
        scene.equal()
        second = scene.serial
        scene.kill_primary()
        scene.publish(20, 20, answered=False)
        scene.all_answer_from(second)
        scene.start_primary()
        scene.equal()


def test_they_are_restarted_while_the_primary_cannot_be_reached(directory: Path, wire: BadWire) -> None:
    with Scene(directory, wire) as scene:
        scene.world.change(300)
        scene.start()
        scene.equal()
        before = scene.serial
        wire.cut = True
        scene.publish(20, 20)
        with wire.at(wire.far):
            for each in scene.secondaries:
                each.__exit__(None, None, None)
                each.__enter__()
        scene.all_answer_from(before)
        wire.heal()
        scene.equal()


@pytest.mark.long
def test_they_find_by_themselves_what_no_notify_tells_them(directory: Path, wire: BadWire) -> None:
    with Scene(directory, wire) as scene:
        wire.drops = is_notify
        scene.world.change(100)
        scene.start()
        for _ in range(2):
            scene.equal()
            scene.publish(20)
        scene.equal()


@pytest.mark.long
def test_a_notify_that_is_lost_is_sent_again(directory: Path, wire: BadWire) -> None:
    with Scene(directory, wire, SELDOM) as scene:
        scene.world.change(100)
        scene.start()
        scene.equal()
        wire.drops = is_notify
        scene.publish(20)
        for each in scene.secondaries:
            scene.server.logged(f"secondary {FAR}:{each.port} cannot be reached")
        wire.drops = lambda packet: False
        scene.equal()
