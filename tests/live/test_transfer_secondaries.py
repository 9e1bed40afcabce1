"""Real secondaries take our zones, follow every publish, and answer as we do."""

from __future__ import annotations

import os
import random
import re
import select
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from secondaries import EVERY, Bind, Knot, Nsd, Primary, Secondary, SharedKey, needs
from server import ROOT, Server, free_port, until

from dnsbl import config, subjects
from dnsbl.app import App
from dnsbl.config import ZoneDef
from dnsbl.store import Exemption

STEPS = int(os.environ.get("DNSBL_TRANSFER_STEPS", "12"))  # a long run has 200
QUESTIONS = int(os.environ.get("DNSBL_TRANSFER_QUESTIONS", "300"))  # and asks 5,000
WINDOW = 50
NOERROR, NXDOMAIN = 0, 3
A, TXT = 1, 16
CATALOG = "catalog.dnsbl.test"
ZONES = ("ip", "domain")
NOW = 1_790_000_000

pytestmark = [pytest.mark.peer, *needs.values()]

Reply = tuple[int, frozenset[str], frozenset[str]]  # rcode, A records, texts
EMPTY: Reply = (NOERROR, frozenset(), frozenset())
NO_NAME: Reply = (NXDOMAIN, frozenset(), frozenset())


class World:
    """What is listed, changed at random: addresses, networks, names, and holes in them."""

    def __init__(self, app: App, seed: int) -> None:
        self.app, self.chosen = app, random.Random(seed)
        self.listed: dict[str, set[str]] = {"spam": set(), "dynamic": set(), "malware": set(), "attack": set()}
        self.touched: list[str] = []  # of late: what is most likely to be wrong

    def address(self) -> str:
        if self.chosen.random() < 0.2:
            return str(IPv6Address(0x2A00 << 112 | self.chosen.randrange(4) << 80 | self.chosen.randrange(64) << 62))
        return str(IPv4Address((46 << 24) + self.chosen.randrange(1 << 14)))

    def network(self) -> str:
        number, prefix = self.chosen.randrange(1 << 12) << 8, self.chosen.randint(15, 29)
        if self.chosen.random() < 0.3:
            wide = self.chosen.choice((28, 32, 44, 48, 61, 64))
            return f"{IPv6Address((0x2A00 << 112 | number << 70) >> (128 - wide) << (128 - wide))}/{wide}"
        return f"{IPv4Address(((2 << 24) + number) >> (32 - prefix) << (32 - prefix))}/{prefix}"

    def name(self) -> str:
        labels = [self.chosen.choice("abc") for _ in range(self.chosen.randint(0, 3))]
        return ".".join([*labels, f"s{self.chosen.randrange(30)}", self.chosen.choice(("example.com", "example.org"))])

    def subject(self) -> str:
        return self.chosen.choice((self.address, self.address, self.network, self.name))()

    def change(self, many: int) -> None:
        """Some come, some leave; now and then one becomes exempt within something that is listed."""
        self.touched = []
        for _ in range(many):
            held = self.listed[self.chosen.choice(list(self.listed))]
            subject = self.subject()
            if held and self.chosen.random() < 0.45:
                subject = self.chosen.choice(sorted(held))
                held.discard(subject)
            else:
                held.add(subject)
            self.touched.append(subject)
        store = self.app.store
        for category, held in self.listed.items():
            source = store.source(category, "import", trust=0.95)
            store.replace_entries(source.id, dict.fromkeys(map(subjects.parse, sorted(held)), 1), {}, category, NOW)
        if self.chosen.random() < 0.5:
            hole = self.chosen.choice((self.address, self.name))()
            self.app.store.add_exemption(Exemption(subjects.parse(hole), "a hole", "operator", "", NOW))
            self.touched.append(hole)

    def questions(self, count: int) -> list[tuple[str, str]]:
        """Zone and name: what changed, what is beside, above and below that, and anything."""
        found: list[tuple[str, str]] = [
            ("ip", each) for each in ("2.0.0.127", "1.0.0.127", "4.0.0.127", "4.0.0.127.attack")
        ]
        found += [("domain", each) for each in ("test", "x.test", "invalid", "com", "example.com")]
        near = list(self.touched)
        while len(found) < count:
            subject = near.pop() if near else self.subject()
            found += self.around(subject)
        return found

    def around(self, subject: str) -> Iterator[tuple[str, str]]:
        key = subjects.parse(subject)
        if key[:1] == b"d":
            yield from (("domain", f"{below}{subject}") for below in ("", "x.", "a.b."))
            yield "domain", subject.partition(".")[2]
            return
        version, first, prefix = subjects.network(key)
        bits = 32 if version == 4 else 128
        last = first | (1 << (bits - prefix)) - 1
        for number in {first - 1, first, self.chosen.randint(first, last), last, last + 1}:
            labels = reverse(version, number)
            yield "ip", labels
            yield "ip", f"{labels}.{self.chosen.choice(('attack', 'policy'))}"
        yield "ip", reverse(version, first).split(".", self.chosen.randint(1, 3))[-1]


def reverse(version: int, number: int) -> str:
    if version == 4:
        return ".".join(reversed(str(IPv4Address(number)).split(".")))
    return ".".join(f"{number:032x}"[::-1])


# one answer


def ask(port: int, asked: Sequence[str], kind: int) -> list[tuple[int, list[bytes]]]:
    """Rcode and record data of each name, over UDP; what is lost is asked again."""
    found: dict[int, tuple[int, list[bytes]]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for start in range(0, len(asked), WINDOW):
            window = range(start, min(start + WINDOW, len(asked)))
            for _ in range(8):
                for number in window:
                    if number not in found:
                        sock.send(packed(number, asked[number], kind))
                while any(number not in found for number in window) and select.select([sock], [], [], 0.5)[0]:
                    data = sock.recv(4096)
                    found[int.from_bytes(data[:2], "big")] = data[3] & 15, records(data, kind)
    missing = [name for number, name in enumerate(asked) if number not in found]
    assert not missing, f"no reply to {missing[:3]}"
    return [found[number] for number in range(len(asked))]


def packed(id: int, name: str, kind: int) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    question = labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1"
    return id.to_bytes(2, "big") + b"\0\0\0\1\0\0\0\0\0\1" + question + b"\0\0\x29\x10\0\0\0\0\0\0\0"  # and OPT


def records(data: bytes, wanted: int) -> list[bytes]:
    at = 12
    while data[at]:
        at += data[at] + 1
    at += 5
    found = []
    for _ in range(int.from_bytes(data[6:8], "big")):
        while data[at] and data[at] < 0xC0:
            at += data[at] + 1
        at += 2 if data[at] else 1
        kind, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 8 : at + 10], "big")
        if kind == wanted:
            found.append(data[at + 10 : at + 10 + size])
        at += 10 + size
    return found


class Same:
    """Whether two servers answer alike, but for what records without a longest match cannot say."""

    def __init__(self, zones: dict[str, ZoneDef]) -> None:
        self.zones = zones
        texts = [code.text for zone in zones.values() for code in zone.codes]
        # A wildcard's text names the network or name that is listed: any subject will do.
        self.texts = [(text, re.compile(".+".join(map(re.escape, config.template(text))))) for text in texts if text]

    def replies(self, port: int, asked: Sequence[tuple[str, str]]) -> list[Reply]:
        names = [f"{name}.{self.zones[zone].origin}" for zone, name in asked]
        return [
            (rcode, frozenset(".".join(map(str, each)) for each in addresses), frozenset(map(self.text, texts)))
            for (rcode, addresses), (_, texts) in zip(ask(port, names, A), ask(port, names, TXT), strict=True)
        ]

    def text(self, data: bytes) -> str:
        said, at = b"", 0
        while at < len(data):
            said += data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
        text = said.decode()
        return next((known for known, pattern in self.texts if pattern.fullmatch(text)), text)

    def alike(self, zone: str, name: str, ours: Reply, theirs: Reply) -> bool:
        if ours == theirs:
            return True
        labels = [label for label in name.split(".") if label not in ("attack", "policy")]
        if zone == "domain":  # an exempt name below a listed one exists, with a text
            return ours[0] == NXDOMAIN and theirs[:2] == (NOERROR, frozenset()) and theirs[2] <= {"exempt: not listed"}
        if len(labels) not in (4, 32):  # a wildcard answers for what is above an address, too
            return ours[:2] == (NOERROR, frozenset()) and theirs[0] == NOERROR
        return False

    def hold(self, port: int, secondary: Secondary, asked: Sequence[tuple[str, str]]) -> None:
        pairs = zip(asked, self.replies(port, asked), self.replies(secondary.port, asked), strict=True)
        wrong = [(each, ours, theirs) for each, ours, theirs in pairs if not self.alike(*each, ours, theirs)]
        if not secondary.empty_names:
            wrong = [each for each in wrong if each[1:] != (EMPTY, NO_NAME)]
        assert not wrong, f"{len(wrong)} answers of {secondary.program} differ: {wrong[:3]}"


# the primary


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that any user may read: some of them do not run as root."""
    made = Path(tempfile.mkdtemp(prefix="dnsbl-transfer-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def configured(directory: Path, secondaries: Sequence[Secondary], port: int, tls_port: int) -> Path:
    (directory / "zones").mkdir()
    for name in ZONES:
        shutil.copy(ROOT / "zones" / f"{name}.toml", directory / "zones")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=primary.test"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=DNS:primary.test"], cwd=directory, check=True, capture_output=True
    )
    keys = {each.key.name: each.key for each in secondaries} | {"spare.key": SharedKey.of("spare.key")}
    (directory / "no-feeds").mkdir()
    path = directory / "dnsbl.toml"
    told = ", ".join(f'"{name}"' for name in ZONES)
    names = ", ".join(f'"{name}"' for name in keys)
    path.write_text(
        f'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n[dns]\nlisten = ["127.0.0.1:{port}"]\n'
        f'transfer = ["127.0.0.0/8"]\ntransfer_keys = [{names}]\ncatalog = "{CATALOG}"\n'
        f'tls_listen = ["127.0.0.1:{tls_port}"]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
        + "".join(key.toml() for key in keys.values())
        + "".join(
            f'[[dns.secondaries]]\naddress = "127.0.0.1:{each.port}"\nkey = "{each.key.name}"\n'
            + ("" if each.by_catalog else f"zones = [{told}]\n")
            for each in secondaries
        )
    )
    return path


@contextmanager
def distributed(
    directory: Path, kinds: Sequence[type[Secondary]], **how: bool
) -> Iterator[tuple[Server, App, list[Secondary]]]:
    """Our server with one publish, and these secondaries of it. The test publishes beside it, as the back does."""
    port, tls_port = free_port(), free_port()
    origins = [f"{name}.dnsbl.test" for name in ZONES]
    primary = Primary(port, origins, CATALOG, tls_port)
    secondaries = [kind(directory, primary, **how) for kind in kinds]
    path = configured(directory, secondaries, port, tls_port)
    with ExitStack() as running:
        app = running.enter_context(App(config.load(path)))
        app.reconcile()
        app.settle()
        server = running.enter_context(Server(directory, config=path, role="dns"))
        for each in secondaries:
            running.enter_context(each)
        yield server, app, secondaries


def wait_for_all(app: App, secondaries: Sequence[Secondary]) -> None:
    for name in ZONES:
        for each in secondaries:
            each.wait_for(app.zones[name].origin, app.served(name).serial)


# what is promised


@pytest.mark.heavy
def test_every_secondary_follows_every_publish(directory: Path) -> None:
    """BIND, Knot, NSD and PowerDNS, each by NOTIFY and IXFR with a key: after each step all answer alike."""
    with distributed(directory, EVERY) as (server, app, secondaries):
        world, same = World(app, 1), Same(dict(app.zones))
        wait_for_all(app, secondaries)
        for step in range(STEPS):
            world.change(400 if step == 0 else world.chosen.choice((1, 5, 60)))
            app.settle()
            wait_for_all(app, secondaries)
            asked = world.questions(QUESTIONS)
            for each in secondaries:
                same.hold(server.dns_port, each, asked)
        assert "no transfer" not in server.err.text
    for name in ("Traceback", "was cut"):
        assert name not in server.err.text


@pytest.mark.parametrize("kind", [Bind, Knot])
def test_a_secondary_takes_its_zones_from_the_catalog(directory: Path, kind: type[Secondary]) -> None:
    """A zone that comes later is taken, one that goes is dropped, without a hand on the secondary."""
    with distributed(directory, [kind], by_catalog=True) as (server, app, [secondary]):
        wait_for_all(app, [secondary])
        (directory / "zones" / "domain.toml").rename(directory / "domain.toml")
        server.hang_up()
        until(lambda: secondary.serial("domain.dnsbl.test") == 0, "the zone is dropped")
        assert secondary.serial("ip.dnsbl.test")
        (directory / "domain.toml").rename(directory / "zones" / "domain.toml")
        server.hang_up()
        wait_for_all(app, [secondary])


def test_knot_lives_where_thousands_of_names_change_codes_at_once(directory: Path) -> None:
    """Before 3.2.9 it ran out of stack where names were left with more codes, or with fewer, and none came or went."""
    with distributed(directory, [Knot]) as (server, app, [secondary]):
        addresses = {subjects.parse(f"46.0.{third}.{fourth}"): 1 for third in range(20) for fourth in range(1, 255)}
        others = {subjects.parse(f"46.1.{third}.7"): 1 for third in range(200)}  # so that a step is less than the whole
        source = app.store.source("others", "import", trust=0.95)
        app.store.replace_entries(source.id, others, {}, "malware", NOW)
        for step, category in enumerate(("spam", "attack", "spam")):
            source = app.store.source(category, "import", trust=0.95)
            app.store.replace_entries(source.id, addresses if step < 2 else {}, {}, category, NOW)
            app.settle()
            wait_for_all(app, [secondary])
        same = Same(dict(app.zones))
        asked = [("ip", reverse(4, (46 << 24) + number)) for number in range(0, 5120, 17)]
        same.hold(server.dns_port, secondary, asked)


@pytest.mark.parametrize(
    ("kind", "said"), [(Bind, "#{}: Transfer status: success"), (Nsd, "127.0.0.1@{} TSIG verified")]
)
def test_a_secondary_takes_its_zones_over_tls(directory: Path, kind: type[Secondary], said: str) -> None:
    """RFC 9103, the certificate checked. Knot speaks it from a version on that is newer than Debian's."""
    with distributed(directory, [kind], tls=True) as (server, app, [secondary]):
        wait_for_all(app, [secondary])
        app.report("46.0.0.1", "attack", "operator")
        app.settle()
        wait_for_all(app, [secondary])
        assert said.format(secondary.primary.tls_port) in secondary.log()
        world, same = World(app, 2), Same(dict(app.zones))
        same.hold(server.dns_port, secondary, world.questions(50))
