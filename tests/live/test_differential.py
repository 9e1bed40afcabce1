"""The same zones, from real lists, in this server, in rbldnsd and in BIND: a hundred thousand questions, one answer.

What the others get wrong, or a master file cannot say, is named in `rbldnsd_is_wrong` and `master_file_cannot`; nothing
else may differ.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from server import free_port

from dnsbl import config, subjects
from dnsbl.dns.answer import Answerer
from dnsbl.errors import SubjectError
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import Exemption, open_store
from dnsbl.zones.contents import Kind, contents
from dnsbl.zones.export import export
from dnsbl.zones.publish import Publisher, zone_directory
from dnsbl.zones.served import ServedZone, read_pointer

DATA = Path(os.environ.get("DNSBL_DATA", Path(__file__).parents[3] / "shared/data")) / "lists"
QUESTIONS = 100_000
WINDOW = 100  # questions under way at once
PATIENCE = 90  # seconds for a server to load its zones
END_WITHIN = 30  # seconds for a server to end by itself
NOW = 1_790_000_000
NOERROR, NXDOMAIN = 0, 3

pytestmark = [
    pytest.mark.peer,
    pytest.mark.data,
    pytest.mark.heavy,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real lists at {DATA}: set DNSBL_DATA"),
    pytest.mark.skipif(not shutil.which("rbldnsd"), reason="rbldnsd is not installed"),
    pytest.mark.skipif(not shutil.which("named"), reason="BIND's named is not installed"),
]

# Networks that meet the other family's names in a zone file, and names with something below.
EXTRA = ["2.0.0.0/24", "2.4.0.0/15", "2.1.2.0/23", "2001:1000::/28", "2000:7::/32", "200e:5:6:7::/64", "2100::/24"]
EXTRA_NAMES = ["shop.example", "deep.in.shop.example", "a.b.c.other.example", "x-y.shop.example", "_u.under.example"]
EXEMPT = ["2.4.7.0/24", "2.4.0.77", "2000:7:1::/48", "200e:5:6:7::99", "200e:5:6:7:8000::/72"]
EXEMPT_NAMES = ["ok.shop.example", "fine.way.down.shop.example"]

Reply = tuple[int, frozenset[str]]  # rcode, A records


@dataclass(slots=True)
class Question:
    name: str  # before the origin
    origin: str
    wire: bytes = field(init=False)  # without its id

    def __post_init__(self) -> None:
        labels = f"{self.name}.{self.origin}".encode().split(b".")
        packed = b"".join(bytes((len(label),)) + label for label in labels)
        self.wire = b"\x00\x00\x00\x01\0\0\0\0\0\0" + packed + b"\0\0\1\0\1"

    @property
    def labels(self) -> list[str]:
        return self.name.split(".")


# what may differ


def rbldnsd_is_wrong(asked: Question, ours: Reply, theirs: Reply) -> str:
    """Why an answer of rbldnsd's may differ from ours (standards.md); empty where it may not."""
    if ours == (NOERROR, frozenset()) and theirs == (NXDOMAIN, frozenset()):
        return "NXDOMAIN where something is below (RFC 8020)"
    if mapped(asked) and ours[0] == NXDOMAIN:
        return "an IPv4 listing also answers as IPv4-mapped IPv6 (RFC 5782 section 2.4 has test points there, no more)"
    return ""


def master_file_cannot(asked: Question, ours: Reply, theirs: Reply) -> str:
    """Why an answer from a master file may differ from ours: what the file's own header says."""
    if asked.origin.startswith("domain"):
        if ours[0] == NXDOMAIN and theirs == (NOERROR, frozenset()) and asked.name in EXEMPT_NAMES:
            return "an exempt name below a listed one exists"
        return ""
    if not is_address(asked):
        if ours == (NOERROR, frozenset()) and theirs[1]:
            return "a wildcard answers for what is above an address too"
        if ours[0] == NXDOMAIN and theirs == (NOERROR, frozenset()) and asked.labels[0] in "abcdef":
            return "a letter beside an IPv4 wildcard exists"
    return ""


def is_address(asked: Question) -> bool:
    labels = address_labels(asked)
    return len(labels) == 32 or (len(labels) == 4 and all(label.isdigit() for label in labels))


def address_labels(asked: Question) -> list[str]:
    """The labels of an address, without those of a sublist."""
    return [label for label in asked.labels if len(label) == 1 or label.isdigit()]


def mapped(asked: Question) -> bool:
    labels = address_labels(asked)
    return len(labels) == 32 and labels[8:] == ["f"] * 4 + ["0"] * 20


# the zones


@dataclass(slots=True)
class Built:
    zones: dict[str, ServedZone]
    directory: Path


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Bundled zones from real lists. In a directory that any user may read: rbldnsd does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-differential-"))
    directory.chmod(0o755)
    try:
        yield Built(build(directory), directory)
    finally:
        shutil.rmtree(directory)


def build(directory: Path) -> dict[str, ServedZone]:
    (directory / "dnsbl.toml").write_text('data_dir = "data"\n')
    settings = config.load(directory / "dnsbl.toml")
    zones = {name: settings.zones[name] for name in ("ip", "domain")}
    store = open_store(settings.config)
    try:
        lists = {
            "spam": [*read("ipsum-2026-08-22.txt"), *keys(EXTRA_NAMES)],
            "dynamic": [*thinned(read("dynamic-nets.txt")), *keys(EXTRA)],
            "malware": read("urlhaus-domains.txt"),
            "disposable": read("disposable-email-domains.txt"),
        }
        for category, listed in lists.items():
            source = store.source(category, "import", trust=0.9)
            store.replace_entries(source.id, dict.fromkeys(listed, 9), {}, category, NOW)
        for subject in [*keys(EXEMPT), *keys(EXEMPT_NAMES), *cuts(lists["dynamic"])]:
            store.add_exemption(Exemption(subject, "a hole", "operator", "", NOW))
        cache = ExemptionCache(store)
        sweep(store, zones, cache, NOW)
        made = {}
        for name, zone in zones.items():
            Publisher(store, zone, settings.config.data_dir).publish(cache.get(NOW), NOW)
            pointer = read_pointer(zone_directory(settings.config.data_dir, name))
            assert pointer is not None
            made[name] = pointer.open()
        return made
    finally:
        store.close()


def keys(texts: Sequence[str]) -> list[bytes]:
    return [subjects.parse(text) for text in texts]


def read(file: str) -> list[bytes]:
    found = []
    for line in (DATA / file).read_text().splitlines():
        try:
            found.append(subjects.parse(line.split()[0] if line else ""))
        except SubjectError:
            continue
    return found


def thinned(networks: list[bytes]) -> list[bytes]:
    """All of IPv6, and of IPv4 as much as named loads in a few seconds."""
    return [key for number, key in enumerate(networks) if key[:1] == b"6" or number % 6 == 0]


def cuts(networks: list[bytes]) -> list[bytes]:
    """Holes inside every two hundredth network: an address of it, or its third quarter."""
    found = []
    for key in networks[::200]:
        version, first, prefix = subjects.network(key)
        size = 32 if version == 4 else 128
        narrow = size if len(found) % 2 else min(prefix + 2, size)
        number = first | (2 << (size - narrow) if narrow < size else 1 << (size - prefix) >> 1)
        found.append(key[:1] + number.to_bytes(size // 8, "big") + bytes((narrow,)))
    return found


# the questions


def questions(zones: dict[str, ServedZone]) -> list[Question]:
    chosen = random.Random(5782)
    asked = {*address_names(zones["ip"], chosen)}
    names = {*domain_names(zones["domain"], chosen)}
    asked.update(name4(chosen.randrange(1 << 32)) for _ in range(QUESTIONS + 100 - len(asked) - len(names)))
    made = [Question(name, zones["ip"].zone.origin) for name in sorted(asked)]
    made += [Question(name, zones["domain"].zone.origin) for name in sorted(names)]
    chosen.shuffle(made)
    return made


def name4(number: int) -> str:
    return ".".join(reversed(str(IPv4Address(number)).split(".")))


def name6(number: int) -> str:
    return ".".join(f"{number:032x}"[::-1])


def address_names(view: ServedZone, chosen: random.Random) -> Iterator[str]:
    """Addresses at and around the edges of pieces, inside them, in sublists, and the names above some."""
    held = contents(view)
    sublists = sorted({code.sublist for code in view.zone.codes if code.sublist})
    ranges4 = list(zip(held.ip4.first.tolist(), held.ip4.last.tolist(), strict=True))
    ranges6 = [
        (a << 64, (b << 64) + 2**64 - 1) for a, b in zip(held.ip6.first.tolist(), held.ip6.last.tolist(), strict=True)
    ]
    ranges6 += [(piece.upper << 64 | piece.first, piece.upper << 64 | piece.last) for piece in held.deep]
    for ranges, name, top, count in ((ranges4, name4, 2**32, 11_000), (ranges6, name6, 2**128, len(ranges6))):
        for first, last in chosen.sample(ranges, min(count, len(ranges))):
            inside = chosen.randint(first, last)
            for number in (first - 1, first, inside, last, last + 1):
                if 0 <= number < top:
                    yield name(number)
            yield f"{name(inside)}.{chosen.choice(sublists)}"
            yield name(inside).split(".", chosen.randint(1, 3))[-1]
    for _ in range(3000):
        yield name6(0x2000 << 112 | chosen.randrange(1 << 125))
        yield name6(0xFFFF << 32 | chosen.choice(ranges4)[0])
    for octets in range(2000):  # where the names of both families meet
        number = 2 << 24 | octets // 100 << 16 | octets // 10 % 10 << 8 | octets % 10
        yield name4(number)
        yield name6(int(f"2{octets // 100:x}"[:2] + f"{octets % 100:02d}", 16) << 112 | chosen.randrange(1 << 112))
    yield from (f"{letter}.0.0.2" for letter in "abcdef")
    for text in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.10", "127.0.0.99"):
        yield name4(int(IPv4Address(text)))
        yield name6(int(IPv6Address(f"::ffff:{text}")))


def domain_names(view: ServedZone, chosen: random.Random) -> Iterator[str]:
    for node in contents(view).names.nodes():
        name = subjects.name_of(b"d" + node.name)
        yield name
        if node.kind is not Kind.LISTED or chosen.random() < 0.6:
            yield f"x{chosen.randrange(1000)}.{name}"
        if chosen.random() < 0.1:
            yield f"a.b.{name}"
            yield f"{name}x"
        if "." in name and chosen.random() < 0.2:
            yield name.partition(".")[2]
    yield from ("test", "x.test", "invalid", "way.down.shop.example", "z.fine.way.down.shop.example")


# asking


def ask(port: int, asked: Sequence[Question]) -> list[Reply]:
    """All replies over UDP, a window at a time; what is lost is asked again, five times."""
    found: list[Reply | None] = [None] * len(asked)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for start in range(0, len(asked), WINDOW):
            waiting = set(range(start, min(start + WINDOW, len(asked))))
            for _ in range(5):
                exchange(sock, asked, waiting, found)
            assert not waiting, f"no reply to {asked[min(waiting)].name}"
    return [reply for reply in found if reply is not None]


def exchange(sock: socket.socket, asked: Sequence[Question], waiting: set[int], found: list[Reply | None]) -> None:
    for number in waiting:
        sock.send((number & 0xFFFF).to_bytes(2, "big") + asked[number].wire)
    while waiting and select.select([sock], [], [], 1)[0]:
        data = sock.recv(4096)
        base = min(waiting) & ~0xFFFF
        for number in (base | int.from_bytes(data[:2], "big"), base + 0x10000 | int.from_bytes(data[:2], "big")):
            if number in waiting:
                waiting.discard(number)
                found[number] = parsed(data)


def parsed(data: bytes) -> Reply:
    """The code and the A records of a reply."""
    at = 12
    while data[at]:
        at += data[at] + 1
    at += 5
    addresses = set()
    for _ in range(int.from_bytes(data[6:8], "big")):
        while data[at] and data[at] < 0xC0:
            at += data[at] + 1
        at += 2 if data[at] else 1
        kind, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 8 : at + 10], "big")
        if kind == 1:
            addresses.add(".".join(map(str, data[at + 10 : at + 14])))
        at += 10 + size
    return data[3] & 15, frozenset(addresses)


# the others


@contextmanager
def running(command: list[str], port: int, log: Path, tests: Sequence[Question]) -> Iterator[int]:
    """A server, from when it answers the test points until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not all(answers(port, test) for test in tests):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN)
        finally:
            process.kill()  # nothing where it has ended
            process.wait(END_WITHIN)


def answers(port: int, test: Question) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(b"\0\1" + test.wire)
            return bool(parsed(sock.recv(4096))[1])
        except OSError:
            return False


def write_exports(built: Built) -> None:
    for name, view in built.zones.items():
        for format in ("rbldnsd", "bind"):
            with (built.directory / f"{name}.{format}").open("wb") as file:
                file.writelines(export(view, format))


def rbldnsd(built: Built, port: int) -> list[str]:
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    zones = [f"{view.zone.origin}:combined:{name}.rbldnsd" for name, view in built.zones.items()]
    return ["rbldnsd", "-n", *user, "-w", str(built.directory), "-b", f"127.0.0.1/{port}", "-c", "0", *zones]


def named(built: Built, port: int) -> list[str]:
    settings = f"""
        options {{ directory "{built.directory}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            recursion no; pid-file none; session-keyfile none; minimal-responses yes; dnssec-validation no; }};
        controls {{ }};
    """
    for name, view in built.zones.items():
        settings += f'zone "{view.zone.origin}" {{ type primary; file "{name}.bind"; check-names ignore; }};\n'
    (built.directory / "named.conf").write_text(settings)
    return ["named", "-g", "-c", str(built.directory / "named.conf"), "-n", "2"]


def test_every_server_says_the_same(built: Built) -> None:
    write_exports(built)
    asked = questions(built.zones)
    assert len(asked) >= QUESTIONS
    answerer = Answerer(built.zones, config.DnsConfig())
    tests = [Question("2.0.0.127", built.zones["ip"].zone.origin), Question("test", built.zones["domain"].zone.origin)]
    with ExitStack() as stack:
        ports = [free_port() for _ in range(2)]
        commands = [rbldnsd(built, ports[0]), named(built, ports[1])]
        for command, port in zip(commands, ports, strict=True):
            stack.enter_context(running(command, port, built.directory / f"{command[0]}.log", tests))
        ours = [parsed(answerer.reply(b"\0\0" + question.wire, "udp") or b"") for question in asked]
        theirs = [ask(port, asked) for port in ports]
    seen = Counter[str]()
    differing = []
    for question, said, old, bind in zip(asked, ours, *theirs, strict=True):
        seen["listed" if said[1] else "empty" if said[0] == NOERROR else "absent"] += 1
        for who, other, why in (
            ("rbldnsd", old, rbldnsd_is_wrong(question, said, old)),
            ("named", bind, master_file_cannot(question, said, bind)),
        ):
            if said != other:
                seen[f"{who}: {why}"] += 1
                if not why:
                    differing.append((who, f"{question.name}.{question.origin}", said, other))
    print("\n".join(f"{count:8,} {what}" for what, count in seen.most_common()))
    assert not differing, f"{len(differing)} differ, such as {differing[:5]}"
    assert min(seen["listed"], seen["absent"]) > QUESTIONS // 10 and seen["empty"] > QUESTIONS // 100
