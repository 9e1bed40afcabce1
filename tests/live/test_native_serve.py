"""The real server over the native path: it answers as the Python path does, hands over what it should, runs in
threads, takes what is published under load, survives damaged files and floods. What both promise is tried over both."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dnslib import CLASS, QTYPE, RCODE, DNSRecord, EDNSOption
from dnslib.dns import EDNS0, DNSHeader, DNSQuestion
from server import SECONDS, Server, configure, free_port, joined, over, run, until, verb_here
from test_serve import LAUNCHER, point

from dnsbl import native

OFF = {"DNSBL_NATIVE": "off"}
SECRET = "000102030405060708090a0b0c0d0e0f"
LISTED = "2.0.0.127.ip.dnsbl.test"
JSON = {"Content-Type": "application/json"}
OPCODE_NOTIFY = 4
TC = 0x02  # in the first octet of flags: too long for UDP
AT_ONCE = 32  # queries that the client has under way at most
NEW_WITHIN = 2.0  # seconds from a pointer to its answers
PATIENCE = 5.0  # seconds that a resolver waits for an answer, asking again
AGAIN = 0.5
FLOOD = 20_000
GROWN = 64 << 20  # octets that a flood may cost
STOPS_WITHIN = 10.0

built = pytest.mark.skipif(native.module is None, reason=f"the native path is {native.why}")


@pytest.fixture(params=["python", "native"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes a server answer over the one path or the other."""
    if request.param == "native" and native.module is None:
        pytest.skip(f"the native path is {native.why}")
    return OFF if request.param == "python" else {}


def settings(config: Path, *lines: str) -> Path:
    """More settings under [dns]."""
    config.write_text(config.read_text().replace("[dns]\n", "\n".join(["[dns]", *lines, ""])))
    return config


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with what was imported and published, to be copied."""
    config = configure(tmp_path_factory.mktemp("published"))
    verb_here(config, "import", "-", "--source", "mine", input=b"46.0.0.9\n46.1.0.0/24\n2001:db8:46::/64\n")
    verb_here(config, "zone", "build")
    return config.parent / "data"


Configured = Callable[..., Path]


@pytest.fixture
def published(data: Path, tmp_path: Path) -> Configured:
    """A configuration for a server that only answers, on such a directory of its own."""

    def made(*lines: str) -> Path:
        shutil.copytree(data, tmp_path / "data")
        return settings(configure(tmp_path), *lines)

    return made


def counted(server: Server) -> dict[str, Any]:
    """What the front has counted; it says so once a second."""
    path = Path(server.said["data_dir"]) / "run" / f"dns-{server.process.pid}.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def replies(server: Server) -> int:
    return sum(row["count"] for row in counted(server).get("replies", []))


def threads(server: Server) -> int:
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/comm")
    return [task.read_text().strip() for task in tasks].count("dns-udp")


def wire(
    name: str, qtype: str = "A", edns: bool = False, cookie: bytes = b"", qclass: str = "IN", opcode: int = 0
) -> bytes:
    question = DNSQuestion(name, getattr(QTYPE, qtype), getattr(CLASS, qclass))
    query = DNSRecord(DNSHeader(id=0x1234, rd=1, opcode=opcode), q=question)
    if edns or cookie:
        query.add_ar(EDNS0(udp_len=1232, opts=[EDNSOption(10, cookie)] if cookie else []))
    packed: bytes = query.pack()
    return packed


# which path answers


@built
def test_version_says_which_path_answers(tmp_path: Path) -> None:
    config = configure(tmp_path)
    said = json.loads(run(config, "version", "--json").stdout)
    assert (said["native"], said["why"]) == (True, "built")
    said = json.loads(run(config, "version", "--json", env=OFF).stdout)
    assert said["native"] is False
    assert "DNSBL_NATIVE" in said["why"]


@built
@pytest.mark.parametrize(
    ("line", "env", "wanted"),
    [('native = "require"', {}, True), ('native = "off"', {}, False), ('native = "auto"', OFF, False)],
    ids=["required", "off", "turned off"],
)
def test_the_path_that_was_chosen_answers(
    tmp_path: Path, published: Configured, line: str, env: dict[str, str], wanted: bool
) -> None:
    """Only the native path takes packets by the batch, and counts them so."""
    with Server(tmp_path, config=published(line), role="dns", env=env) as server:
        assert server.listed("46.0.0.9") == ["127.0.0.2"]
        until(lambda: replies(server) >= 1, "it is counted")
        assert (sum(counted(server)["batches"]) > 0) is wanted
        assert (threads(server) > 0) is wanted


def test_what_cannot_be_had_is_not_required(tmp_path: Path) -> None:
    done = run(settings(configure(tmp_path), 'native = "require"'), "serve", code=1, env=OFF)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert re.match(r'dnsbl: dns.native = "require", but .*DNSBL_NATIVE=off', done.stderr)


# answers


NAMES = [
    LISTED, "1.0.0.127.ip.dnsbl.test", "9.0.0.46.ip.dnsbl.test", "77.0.1.46.ip.dnsbl.test", "0.1.46.ip.dnsbl.test",
    "46.ip.dnsbl.test", "ip.dnsbl.test", "IP.dnsbl.TEST", "nonsense.ip.dnsbl.test", "test.domain.dnsbl.test",
    "domain.dnsbl.test", "example.com",
]  # fmt: skip


@built
def test_both_paths_give_the_same_octets_over_udp_and_tcp(tmp_path: Path, published: Configured) -> None:
    """Two servers with the same secret on the same files: a resolver cannot tell which of them it asked."""
    config = published(f'cookie_secrets = ["{SECRET}"]', 'nsid = "here"')
    (tmp_path / "other").mkdir()
    other = settings(configure(tmp_path / "other"), f'cookie_secrets = ["{SECRET}"]', 'nsid = "here"')
    other.write_text(other.read_text().replace('"data"', f'"{tmp_path / "data"}"'))
    with (
        Server(tmp_path, config=config, role="dns", env={}) as ours,
        Server(other.parent, config=other, role="dns", env=OFF) as plain,
    ):
        first = DNSRecord.parse(over("127.0.0.1", ours.dns_port, wire(LISTED, cookie=b"12345678"), False))
        cookie = next(bytes(opt.data) for rr in first.ar if rr.rtype == QTYPE.OPT for opt in rr.rdata)
        assert len(cookie) == 24
        queries = [
            wire(name, qtype, edns, kept)
            for name in NAMES
            for qtype in ("A", "TXT", "ANY", "AAAA", "NS", "SOA")
            for edns, kept in ((False, b""), (True, b""), (True, cookie))
        ]
        for query in queries:
            udp, tcp = (over("127.0.0.1", ours.dns_port, query, tcp) for tcp in (False, True))
            assert udp == over("127.0.0.1", plain.dns_port, query, False), DNSRecord.parse(query)
            assert tcp == over("127.0.0.1", plain.dns_port, query, True), DNSRecord.parse(query)
            assert udp == tcp or udp[2] & TC, DNSRecord.parse(query)
        until(lambda: replies(ours) >= 2 * len(queries) and replies(plain) >= 2 * len(queries), "all are counted")
        assert counted(ours)["replies"] != []
        assert counted(ours)["cookies_valid"] == counted(plain)["cookies_valid"] == 2 * len(queries) // 3


HANDED = [
    (wire("version.bind", "TXT", qclass="CH"), "NOERROR"),
    (wire("ip.dnsbl.test", "AXFR"), "REFUSED"),
    (wire("ip.dnsbl.test", "SOA", opcode=OPCODE_NOTIFY), "NOTIMP"),
]


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.3"), ("[::]", "::1")],
    ids=["one address", "all of IPv4", "all of IPv6"],
)
def test_what_is_rarely_asked_is_answered_from_the_same_address(
    tmp_path: Path, published: Configured, env: dict[str, str], bound: str, asked: str
) -> None:
    """The client's socket is connected: the system lets through only what comes from where it asked."""
    config = published()
    port = free_port()
    config.write_text(re.sub(r"listen = \[.*\]", f'listen = ["{bound}:{port}"]', config.read_text()))
    with Server(tmp_path, config=config, role="dns", env=env) as server:
        for query, expected in HANDED:
            reply = DNSRecord.parse(over(asked, port, query, False))
            assert (RCODE[reply.header.rcode], reply.header.id) == (expected, 0x1234)
        assert DNSRecord.parse(over(asked, port, wire(LISTED), False)).rr
        until(lambda: replies(server) == len(HANDED) + 1, "all are counted, once")
        assert counted(server)["handed"] == (0 if env else len(HANDED))
        assert counted(server)["dropped"] == counted(server)["overflowed"] == 0


# threads


@built
def test_threads_share_an_address_and_nobody_else_does(tmp_path: Path, published: Configured) -> None:
    """Many clients are dealt out among the threads; another server on the port is refused, whatever these share."""
    config = published("threads = 3")
    with Server(tmp_path, config=config, role="dns", env={}) as server:
        until(lambda: threads(server) == 2 * 3, "three on each of two addresses")
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]
        try:
            for client in clients:
                client.settimeout(SECONDS)
                client.connect(("127.0.0.1", server.dns_port))
                client.send(wire(LISTED))
            assert all(len(DNSRecord.parse(client.recv(4096)).rr) >= 1 for client in clients)
        finally:
            for client in clients:
                client.close()
        (tmp_path / "other").mkdir()
        other = settings(configure(tmp_path / "other", dns=server.dns_port), "threads = 3")
        done = run(other, "serve", "--role", "dns", code=1, env={})
        assert len(done.stderr.splitlines()) == 1
        assert "the port is in use" in done.stderr
        assert server.codes(LISTED)


@contextmanager
def opened_before(host: str) -> Iterator[tuple[tuple[int, int], int]]:
    """The UDP and TCP socket that a service manager opens, as descriptors, and their port."""
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tcp,
    ):
        udp.bind((host, free_port()))
        tcp.bind(udp.getsockname())
        tcp.listen()
        yield (udp.fileno(), tcp.fileno()), udp.getsockname()[1]


@built
def test_threads_share_a_socket_that_the_service_manager_opened(tmp_path: Path, published: Configured) -> None:
    config = published("threads = 3")
    with opened_before("127.0.0.1") as (fds, port):
        launcher = [sys.executable, "-c", LAUNCHER, f"{fds[0]},{fds[1]}"]
        server = Server(tmp_path, config=config, role="dns", env={}, launcher=launcher, pass_fds=fds)
        server.dns_port = port
        with server:
            until(lambda: threads(server) == 3)
            for _ in range(20):
                assert server.codes(LISTED)
            assert server.codes(LISTED, tcp=True)
            until(lambda: replies(server) == 21, "all are counted, once")
            assert sum(counted(server)["batches"]) > 0


# publishing


class Client:
    """Asks over UDP without pause, 1 to `AT_ONCE` queries under way, and keeps what is wrong."""

    def __init__(self, server: Server, names: list[str]) -> None:
        self.port, self.names = server.dns_port, names
        self.seen: dict[str, float] = {}  # when a name was listed first
        self.answers, self.wrong = 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", self.port))
            wires = [wire(name)[2:] for name in self.names]
            for turn in count():
                if self.ending.is_set() or len(self.wrong) > 10:
                    return
                self.round(sock, wires, turn)

    def round(self, sock: socket.socket, wires: list[bytes], turn: int) -> None:
        asked = {(turn * AT_ONCE + place) & 0xFFFF: (turn + place) % len(wires) for place in range(1 + turn % AT_ONCE)}
        for number, which in asked.items():
            sock.send(number.to_bytes(2, "big") + wires[which])
        while asked:
            try:
                reply = sock.recv(4096)
            except TimeoutError:
                self.wrong.append(f"{len(asked)} queries were not answered")
                return
            which = asked.pop(int.from_bytes(reply[:2], "big"), -1)
            self.check(self.names[which], reply[3] & 0xF, reply[-4:] if reply[7] else b"")
            self.answers += 1

    def check(self, name: str, rcode: int, address: bytes) -> None:
        if rcode == RCODE.NOERROR and address == bytes((127, 0, 0, 2)):
            self.seen.setdefault(name, time.time())
        elif rcode != RCODE.NXDOMAIN or name in self.seen:
            self.wrong.append(f"{name}: {RCODE[rcode]} {address.hex()}")

    def __enter__(self) -> Client:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        joined(self.thread)


def test_no_query_is_lost_or_answered_wrong_while_zones_are_published(
    tmp_path: Path, published: Configured, env: dict[str, str]
) -> None:
    """Each answer is that of before or that of after, never again of before, and that of after comes soon."""
    addresses = [f"46.0.0.{number}" for number in range(10)]
    names = {address: f"{'.'.join(reversed(address.split('.')))}.ip.dnsbl.test" for address in addresses}
    with Server(tmp_path, env=env) as server:
        secret = json.loads(server.verb("key", "create", "acme", "--live", "--json"))["secret"]
        headers = {"Authorization": f"Bearer {secret}", **JSON}
        pointer = server.data / "zones" / "ip" / "current"
        with Client(server, list(names.values())) as client:
            until(lambda: client.answers > 1000)
            assert client.seen == {}
            for address in addresses:
                before = pointer.stat().st_ino
                body = json.dumps({"subject": address, "category": "spam"}).encode()
                assert server.http("POST", "/v1/reports", body, headers)[0] == 200
                until(lambda before=before: pointer.stat().st_ino != before, "it is published")
                there = pointer.stat().st_mtime
                until(lambda name=names[address]: name in client.seen or client.wrong, "it is answered")
                assert client.wrong == []
                assert client.seen[names[address]] - there < NEW_WITHIN
            answers = client.answers
            until(lambda: client.answers > answers + 1000)
        assert client.wrong == []


def test_files_that_are_cut_or_overwritten_while_they_are_served_change_no_answer(
    tmp_path: Path, published: Configured, env: dict[str, str]
) -> None:
    config = published()
    with Server(tmp_path, config=config, role="dns", env=env) as server:
        directory = server.data / "zones" / "ip"

        def right() -> None:
            for address in ("46.0.0.9", "46.1.0.200"):
                assert server.listed(address) == ["127.0.0.2"]
                assert server.codes(f"{'.'.join(reversed(address.split('.')))}.ip.dnsbl.test", tcp=True)
            assert server.rcode("1.0.0.127.ip.dnsbl.test") == "NXDOMAIN"
            assert [str(record.rdata) for record in server.ask("9.0.0.46.ip.dnsbl.test", "TXT").rr] == text
            assert server.process.poll() is None

        text = [str(record.rdata) for record in server.ask("9.0.0.46.ip.dnsbl.test", "TXT").rr]
        good = {path: path.read_bytes() for path in directory.glob("*.base")}
        assert good
        for path, content in good.items():
            for damage in (b"", b"\xff" * len(content), bytes(2 * len(content)), content[:100]):
                with path.open("r+b") as file:  # in place: what a mapping of the file would see
                    file.truncate(0)
                    file.write(damage)
                right()
        cut = directory / f"{server.serial('ip') + 1}.base"
        cut.write_bytes(content[: len(content) // 2])
        point(server, cut.name)
        assert "is served on" in server.logged("cut or extended")
        right()
        verb_here(config, "report", "46.0.0.10", "--category", "spam")
        verb_here(config, "zone", "build", "ip", "--force")
        until(lambda: server.listed("46.0.0.10") == ["127.0.0.2"], "a good one is taken")
        right()


# floods


@contextmanager
def flooding(server: Server) -> Iterator[list[int]]:
    """Queries for the Python path, as fast as they can be sent, whose replies nobody reads; how many were sent."""
    query, sent, ending = wire("version.bind", "TXT", qclass="CH"), [0], threading.Event()

    def flood() -> None:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.connect(("127.0.0.1", server.dns_port))
            while not ending.is_set():
                with suppress(ConnectionRefusedError):  # the server has ended
                    sock.send(query)
                sent[0] += 1

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        ending.set()
        joined(thread)


def resident(server: Server) -> int:
    fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def answered(server: Server, query: bytes) -> float:
    """Seconds to the answer, asked again as a resolver does."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(AGAIN)
        sock.connect(("127.0.0.1", server.dns_port))
        start = time.monotonic()
        while time.monotonic() < start + PATIENCE:
            sock.send(query)
            try:
                assert DNSRecord.parse(sock.recv(4096)).rr
            except TimeoutError:
                continue
            return time.monotonic() - start
    raise AssertionError(f"no answer within {PATIENCE} s")


@built
def test_a_flood_of_what_is_handed_over_stops_no_ordinary_answer(tmp_path: Path, published: Configured) -> None:
    """What the Python path has no room for is dropped and counted; UDP, TCP and new zones go on, and memory stays."""
    config = published()
    with Server(tmp_path, config=config, role="dns", env={}) as server:
        assert server.codes(LISTED)
        before = resident(server)
        with flooding(server) as sent:
            asked = until_sent(sent, lambda: answered(server, wire(LISTED)))
            until(lambda: counted(server).get("overflowed", 0), "the queue is full, and says so")
            assert server.codes(LISTED, tcp=True)
            verb_here(config, "report", "46.0.0.10", "--category", "spam")
            verb_here(config, "zone", "build", "ip")
            until(lambda: answered_listed(server, "10.0.0.46.ip.dnsbl.test"), "a new zone is taken")
        assert asked
        assert resident(server) - before < GROWN
        found = counted(server)
        assert found["failed"] == 0
        assert found["handed"] > 0
        assert answered(server, wire("version.bind", "TXT", qclass="CH")) < PATIENCE, "and it answers these again"


def until_sent(sent: list[int], ask: Callable[[], float]) -> list[float]:
    """Ask all the time until the flood has had its length."""
    took = []
    while sent[0] < FLOOD or not took:
        took.append(ask())
    return took


def answered_listed(server: Server, name: str) -> bool:
    try:
        return answered(server, wire(name)) < PATIENCE
    except AssertionError:
        return False


@built
def test_it_stops_soon_with_all_its_threads_in_a_flood(tmp_path: Path, published: Configured) -> None:
    config = published("threads = 3")
    with Server(tmp_path, config=config, role="dns", env={}) as server, flooding(server) as sent:
        until(lambda: sent[0] > FLOOD)
        start = time.monotonic()
        server.process.terminate()
        assert server.process.wait(SECONDS) == 0
        assert time.monotonic() - start < STOPS_WITHIN
