"""The real server: what it answers, what it says, how it starts, stops, reads its files again, and what it survives."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from server import SECONDS, Server, alive, configure, free_port, joined, until, verb_here

ZONE = """
origin = "{origin}"
kind = "ip"
ns = ["ns1.example"]
[policy]
list_at = {list_at}
delist_at = 20
[[codes]]
code = "127.0.0.2"
categories = ["spam"]
text = "{text}"
"""
JSON = {"Content-Type": "application/json"}


def zone(directory: Path, name: str, origin: str, text: str = "$ is bad", list_at: int = 60) -> None:
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.toml").write_text(ZONE.format(origin=origin, text=text, list_at=list_at))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        yield running


def texts(server: Server, name: str) -> list[str]:
    return [str(record.rdata).strip('"') for record in server.ask(name, "TXT").rr]


# answers, and what is said


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_test_points_are_answered_on_every_socket(served: Server, tcp: bool, v6: bool) -> None:
    """RFC 5782 section 5: 127.0.0.2 is listed, 127.0.0.1 is not; TEST is listed, INVALID is not."""
    assert "127.0.0.2" in served.codes("2.0.0.127.ip.dnsbl.test", tcp=tcp, v6=v6)
    assert served.rcode("1.0.0.127.ip.dnsbl.test", tcp=tcp, v6=v6) == "NXDOMAIN"
    assert served.codes("test.domain.dnsbl.test", tcp=tcp, v6=v6)
    assert served.rcode("invalid.domain.dnsbl.test", tcp=tcp, v6=v6) == "NXDOMAIN"
    assert served.rcode("example.com", tcp=tcp, v6=v6) == "REFUSED"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as it was, but for what is listed: each has addresses of its own."""
    with Server(tmp_path_factory.mktemp("served")) as running:
        yield running


def test_it_says_what_it_listens_on_and_serves(served: Server) -> None:
    said = served.said
    assert said["dns"] == [f"127.0.0.1:{served.dns_port}", f"[::1]:{served.dns_port}"]
    assert said["web"] == f"127.0.0.1:{served.web_port}"
    assert said["data_dir"] == str(served.data.resolve())
    assert {row["zone"]: row["origin"] for row in said["zones"]} == {
        "ip": "ip.dnsbl.test",
        "domain": "domain.dnsbl.test",
        "hash": "hash.dnsbl.test",
        "phone": "phone.dnsbl.test",
        "policy": "policy.dnsbl.test",
        "white": "white.dnsbl.test",
    }
    assert all(row["serial"] and row["listings"] == 0 for row in said["zones"])


def test_metrics_count_queries_by_zone_type_and_rcode(served: Server) -> None:
    def counts() -> dict[tuple[str, ...], float]:
        status, text = served.http("GET", "/metrics")
        assert status == 200
        rows = re.findall(
            r'dnsbl_dns_replies_total\{rcode="(\w+)",transport="tcp",type="(\w+)",zone="(\w*)"\} (\S+)',
            text.decode(),
        )
        return {row[:3]: float(row[3]) for row in rows}

    kinds = [
        ("2.0.0.127.policy.dnsbl.test", "A", ("NOERROR", "A", "policy")),
        ("2.0.0.127.policy.dnsbl.test", "TXT", ("NOERROR", "TXT", "policy")),
        ("9.9.9.9.white.dnsbl.test", "A", ("NXDOMAIN", "A", "white")),
        ("example.com", "A", ("REFUSED", "A", "")),
    ]
    before = counts()
    for times, (name, qtype, _) in enumerate(kinds, 1):
        for _ in range(times):
            served.ask(name, qtype, tcp=True)

    def grown() -> bool:
        now = counts()
        return all(now.get(key, 0) - before.get(key, 0) >= times for times, (_, _, key) in enumerate(kinds, 1))

    until(grown, "the counters reach /metrics")


def test_the_start_screen_is_one_readable_screen(tmp_path: Path) -> None:
    with Server(tmp_path, json_lines=False) as server:
        last = server.out.wait(lambda line: "try" in line)
        assert last is not None
        screen = server.out.text
        assert server.err.text.count("\n") < 5, "it logs quietly"
    for words in (f"127.0.0.1:{server.dns_port}", f"[::1]:{server.dns_port}", f"http://127.0.0.1:{server.web_port}/"):
        assert words in screen
    for origin in ("ip.dnsbl.test", "domain.dnsbl.test", "policy.dnsbl.test", "white.dnsbl.test"):
        assert origin in screen
    assert last.strip().startswith(f"try    dig @127.0.0.1 -p {server.dns_port} 2.0.0.127.ip.dnsbl.test")
    assert len(screen.splitlines()) <= 24
    assert all(len(line) <= 120 for line in screen.splitlines())


# roles


def test_the_roles_can_run_apart_and_meet_in_the_data_directory(tmp_path: Path) -> None:
    config = configure(tmp_path)
    with Server(tmp_path, config=config, role="dns") as dns:
        assert dns.said["web"] is None
        assert dns.back() is None
        assert dns.rcode("2.0.0.127.ip.dnsbl.test") == "SERVFAIL", "nothing was published yet"
        with Server(tmp_path, config=config, role="web,jobs") as back:
            assert back.said["dns"] == []
            until(lambda: dns.codes("2.0.0.127.ip.dnsbl.test"), "what the other publishes is served")
            assert back.http("GET", "/readyz")[0] == 200
            back.verb("report", "46.0.0.9", "--category", "spam")
            until(lambda: dns.listed("46.0.0.9") == ["127.0.0.2"])
        assert dns.listed("46.0.0.9") == ["127.0.0.2"], "and stays when the other has gone"


def test_web_alone_and_jobs_alone(tmp_path: Path) -> None:
    with Server(tmp_path, role="web") as server:
        assert server.http("GET", "/healthz")[0] == 200
        assert server.said["jobs"] is False
    with Server(tmp_path, role="jobs") as server:
        assert server.said["web"] is None
        with pytest.raises(ConnectionRefusedError):
            server.http("GET", "/healthz")


# stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_it_stops_cleanly_with_clients_connected(tmp_path: Path, number: signal.Signals) -> None:
    """TCP clients of DNS (idle, and half-way through a message) and of the web do not keep it."""
    with (
        Server(tmp_path) as server,
        closing(socket.create_connection(("127.0.0.1", server.dns_port), SECONDS)) as idle,
        closing(socket.create_connection(("127.0.0.1", server.dns_port), SECONDS)) as half,
        closing(socket.create_connection(("127.0.0.1", server.web_port), SECONDS)) as web,
    ):
        half.sendall(b"\x00\x30half of it")
        web.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert web.recv(12) == b"HTTP/1.1 200"
        server.process.send_signal(number)
        assert server.ended() == 0
        assert idle.recv(1) == b""
        assert not list((server.data / "run").glob("dns-*.json")), "its counters go with it"


def test_it_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    """A store that somebody holds delays the start of web and jobs, not the answer to SIGTERM."""
    config = configure(tmp_path)
    verb_here(config, "zone", "build")
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        server = Server(tmp_path, config=config).start(ready=False)
        until(lambda: answers(server), "DNS answers before the rest is up")
        until(server.back)
        server.stop()
    assert server.out.text == ""


def answers(server: Server) -> bool:
    try:
        return bool(server.codes("2.0.0.127.ip.dnsbl.test", tcp=True))
    except ConnectionError:
        return False


# reading the files again


def test_sighup_takes_zones_that_are_new_changed_or_gone(tmp_path: Path) -> None:
    zones = tmp_path / "zones"
    zone(zones, "one", "one.example", list_at=95)
    zone(zones, "gone", "gone.example")
    with Server(tmp_path, zones="zones") as server:
        server.verb("import", "-", "--source", "mine", input=b"46.0.0.7\n46.0.0.8\n")
        until(lambda: server.listed("46.0.0.7", "gone.example"))
        assert server.rcode("7.0.0.46.one.example") == "NXDOMAIN", "a score of 84 is below list_at"
        zone(zones, "one", "one.example", text="$ was changed", list_at=60)
        zone(zones, "two", "two.example")
        (zones / "gone.toml").unlink()
        server.hang_up()
        until(lambda: server.listed("46.0.0.7", "two.example") == ["127.0.0.2"], "the new zone")
        until(lambda: server.listed("46.0.0.7", "one.example") == ["127.0.0.2"], "the policy decides anew")
        until(lambda: texts(server, "7.0.0.46.one.example") == ["46.0.0.7 was changed"], "the text")
        until(lambda: server.rcode("7.0.0.46.gone.example") == "REFUSED", "the zone that went")
        names = [row["name"] for row in json.loads(server.http("GET", "/v1/zones")[1])]
        assert sorted(names) == ["one", "two"]


def test_sighup_with_a_mistake_keeps_everything_and_names_every_mistake(tmp_path: Path) -> None:
    zones = tmp_path / "zones"
    zone(zones, "one", "one.example")
    with Server(tmp_path, zones="zones") as server:
        server.verb("import", "-", "--source", "mine", input=b"46.0.0.7\n")
        until(lambda: server.listed("46.0.0.7", "one.example"))
        before = server.serial("one")
        (zones / "one.toml").write_text('origin = "one.example"\nkind = "neither"\n')
        zone(zones, "two", "two.example")
        (zones / "three.toml").write_text("this is no TOML")
        server.hang_up()
        server.logged("three.toml: not TOML")
        assert "not reloaded: " in server.logged("one.toml: kind: ")
        assert server.listed("46.0.0.7", "one.example") == ["127.0.0.2"]
        assert server.rcode("7.0.0.46.two.example") == "REFUSED"
        assert server.serial("one") == before
        zone(zones, "one", "one.example")
        (zones / "three.toml").unlink()
        server.hang_up()
        until(lambda: server.listed("46.0.0.7", "two.example"), "mended, it is taken")


def test_sighup_leaves_what_is_open_where_it_is(tmp_path: Path) -> None:
    """Another data directory or port wants a restart; until then the old ones are used by all."""
    with Server(tmp_path) as server:
        text = server.config.read_text()
        server.config.write_text(text.replace('"data"', '"elsewhere"').replace(str(server.dns_port), str(free_port())))
        server.hang_up()
        server.logged("read again")
        server.hang_up()
        server.config.write_text(text)
        server.verb("report", "46.0.0.7", "--category", "spam")
        until(lambda: server.listed("46.0.0.7"))
        status, answer = server.http("GET", "/v1/subjects/46.0.0.7")
        assert status == 200
        assert next(z for z in json.loads(answer)["zones"] if z["zone"] == "ip")["dns"] == ["127.0.0.2"]
        assert not (tmp_path / "elsewhere").exists()


def test_sighup_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    zones = tmp_path / "zones"
    zone(zones, "one", "one.example")
    config = configure(tmp_path, zones="zones")
    verb_here(config, "zone", "build")
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        server = Server(tmp_path, config=config).start(ready=False)
        until(server.back)
        zone(zones, "two", "two.example")
        server.hang_up()
        server.logged("read again")
        holder.execute("ROLLBACK")
    server.wait_ready()
    until(lambda: server.codes("2.0.0.127.two.example"), "and it is obeyed")
    server.stop()


# the two processes


class Asking:
    """Asks all the time from another thread; every question without its answer is remembered."""

    def __init__(self, server: Server) -> None:
        self.server, self.asked, self.wrong = server, 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self) -> None:
        while not self.ending.is_set():
            try:
                codes = self.server.codes("2.0.0.127.policy.dnsbl.test", tcp=self.asked % 4 == 0)
            except OSError as error:
                codes = [repr(error)]
            self.asked += 1
            if codes != ["127.0.0.10"]:
                self.wrong.append(codes)

    def __enter__(self) -> Asking:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        joined(self.thread)


def test_kill_9_of_the_back_loses_no_answer_and_it_comes_back(served: Server) -> None:
    server, first = served, served.back()
    assert first is not None
    with Asking(server) as asking:
        os.kill(first, signal.SIGKILL)
        server.logged("web and jobs ended (signal 9); DNS answers on")
        second = until(lambda: server.back() not in (None, first) and server.back(), "it is started again")
        until(lambda: web_answers(server), "the web answers again")
        asked = asking.asked
        until(lambda: asking.asked > asked + 50)
    assert asking.wrong == []
    assert second != first
    server.verb("report", "46.0.0.20", "--category", "spam")
    until(lambda: server.listed("46.0.0.20"), "and it settles and publishes again")


def web_answers(server: Server) -> bool:
    try:
        return server.http("GET", "/healthz")[0] == 200
    except ConnectionError:
        return False


def test_kill_9_of_the_front_ends_the_back(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    back = server.back()
    assert back is not None
    server.expected = None
    os.kill(server.process.pid, signal.SIGKILL)
    server.ended()
    until(lambda: not alive(back), "no orphan stays")
    with Server(tmp_path, config=server.config) as again:  # the ports and the data directory are free
        assert again.codes("2.0.0.127.ip.dnsbl.test")


# other processes


def test_verbs_in_other_processes_reach_its_dns(served: Server, tmp_path: Path) -> None:
    server, mine = served, tmp_path / "list.txt"
    mine.write_text("46.0.0.1\n46.0.0.2\n46.1.0.0/24\n")
    done = server.run("import", str(mine), "--source", "mine", "--json")
    assert json.loads(done.stdout)["taken"] == 3
    until(lambda: server.listed("46.0.0.1") == ["127.0.0.2"])
    assert server.listed("46.1.0.200") == ["127.0.0.2"]
    server.run("report", "bad.example", "--category", "phishing")
    until(lambda: server.listed("www.bad.example", "domain.dnsbl.test") == ["127.0.1.4"])
    server.run("delist", "46.0.0.1", "--reason", "cleaned up")
    until(lambda: server.rcode("1.0.0.46.ip.dnsbl.test") == "NXDOMAIN")
    server.run("allow", "add", "46.1.0.128/25", "--reason", "ours")
    until(lambda: server.rcode("200.0.1.46.ip.dnsbl.test") == "NXDOMAIN")
    assert server.listed("46.1.0.1") == ["127.0.0.2"]
    server.run("allow", "remove", "46.1.0.128/25")
    until(lambda: server.listed("46.1.0.200") == ["127.0.0.2"])
    mine.write_text("46.0.0.3\n")
    server.run("import", str(mine), "--source", "mine")
    until(lambda: server.listed("46.0.0.3") == ["127.0.0.2"])


def test_reports_over_http_reach_dns(served: Server) -> None:
    server = served
    secret = json.loads(server.verb("key", "create", "acme", "--live", "--json"))["secret"]
    key = {"Authorization": f"Bearer {secret}", **JSON}
    body = json.dumps([{"subject": "46.0.0.5", "category": "spam-trap"}, {"subject": "10.0.0.1"}]).encode()
    status, answer = server.http("POST", "/v1/reports", body, key)
    assert status == 200, answer
    assert json.loads(answer)["taken"] == 1
    assert json.loads(answer)["rejected"] == 1
    until(lambda: server.listed("46.0.0.5") == ["127.0.0.3"])
    assert server.http("POST", "/v1/reports", body, {**key, "Authorization": "Bearer dnsbl_unknown"})[0] == 401
    server.verb("key", "revoke", "acme")
    assert server.http("POST", "/v1/reports", body, key)[0] == 401


def test_two_servers_on_one_data_directory(tmp_path: Path) -> None:
    """A second one beside the first, as during an upgrade: both serve what either takes."""
    with Server(tmp_path) as first:
        other = tmp_path / "other"
        other.mkdir()
        config = configure(other)
        config.write_text(config.read_text().replace('"data"', f'"{first.data}"'))
        with Server(other, config=config) as second:
            first.verb("report", "46.0.0.1", "--category", "spam")
            secret = json.loads(second.verb("key", "create", "acme", "--live", "--json"))["secret"]
            body = b'{"subject": "46.0.0.2", "category": "spam"}'
            headers = {"Authorization": f"Bearer {secret}", **JSON}
            assert second.http("POST", "/v1/reports", body, headers)[0] == 200
            for server in (first, second):
                until(lambda server=server: server.listed("46.0.0.1") and server.listed("46.0.0.2"))
            assert b"dnsbl_dns_processes 2.0" in first.http("GET", "/metrics")[1]
        until(lambda: first.listed("46.0.0.2"))
        assert json.loads(first.verb("store", "check", "--json"))["clean"] is True


# troubles of the store and of files


def test_a_locked_store_does_not_stop_dns_and_all_goes_on_after(served: Server) -> None:
    server = served
    with closing(sqlite3.connect(server.data / "store.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        reported = threading.Thread(target=server.run, args=("report", "46.0.0.21", "--category", "spam"), daemon=True)
        reported.start()
        with Asking(server) as asking:
            until(lambda: asking.asked > 300)
        assert asking.wrong == []
        assert server.rcode("21.0.0.46.ip.dnsbl.test") == "NXDOMAIN"
        holder.execute("ROLLBACK")
    joined(reported)
    until(lambda: server.listed("46.0.0.21") == ["127.0.0.2"])


def test_a_damaged_store_does_not_stop_dns_not_even_at_a_restart(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.verb("report", "46.0.0.9", "--category", "spam")
        until(lambda: server.listed("46.0.0.9"))
    for path in server.data.glob("store.sqlite*"):
        path.unlink()
    (server.data / "store.sqlite").write_bytes(b"this is no database" * 1000)
    server = Server(tmp_path, config=server.config).start()
    assert "not a store" in server.logged("store.sqlite")
    assert server.listed("46.0.0.9") == ["127.0.0.2"]
    assert server.rcode("1.0.0.127.ip.dnsbl.test") == "NXDOMAIN"
    done = server.run("store", "check", code=1)
    assert len(done.stderr.splitlines()) == 1
    (server.data / "store.sqlite").unlink()  # as an operator would, before the backup is put there
    until(lambda: web_answers(server), "the rest is started again and finds a new store")
    server.stop()


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def point(server: Server, base: str, name: str = "ip") -> None:
    """A pointer to another base, put in place as a publish does."""
    directory = server.data / "zones" / name
    said = {"base": base, "delta": None, "serial": int(base.partition(".")[0])}
    (directory / "current.new").write_text(json.dumps(said))
    (directory / "current.new").rename(directory / "current")


def test_a_snapshot_with_a_flipped_bit_is_refused_and_the_last_good_one_served(server: Server) -> None:
    server.verb("report", "46.0.0.9", "--category", "spam")
    until(lambda: server.listed("46.0.0.9"))
    server.verb("zone", "build", "ip", "--force")
    directory = server.data / "zones" / "ip"
    with (directory / "lock").open("a") as lock:  # nobody publishes in between
        fcntl.flock(lock, fcntl.LOCK_EX)
        good = directory / json.loads((directory / "current").read_bytes())["base"]
        bad = directory / f"{int(good.stem) + 1}.base"
        shutil.copy(good, bad)
        flip(bad)
        point(server, bad.name)
        line = server.logged("altered, its checksum does not match")
    assert "zone ip" in line
    assert "is served on" in line
    assert server.listed("46.0.0.9") == ["127.0.0.2"]
    server.verb("report", "46.0.0.10", "--category", "spam")
    until(lambda: server.listed("46.0.0.10"), "the next publish repairs it")
    assert server.listed("46.0.0.9") == ["127.0.0.2"]


def test_a_damaged_snapshot_that_only_the_next_delta_looks_at_is_made_again(server: Server) -> None:
    """The server that publishes has long verified its base; the delta over it is what finds the damage."""
    server.verb("report", "46.0.0.9", "--category", "spam")
    until(lambda: server.listed("46.0.0.9"))
    secret = json.loads(server.verb("key", "create", "acme", "--live", "--json"))["secret"]
    headers = {"Authorization": f"Bearer {secret}", **JSON}
    assert server.http("POST", "/v1/reports", b'{"subject": "46.0.0.10", "category": "spam"}', headers)[0] == 200
    until(lambda: server.listed("46.0.0.10"))
    directory = server.data / "zones" / "ip"
    base = directory / json.loads((directory / "current").read_bytes())["base"]
    aside = directory / "aside"
    shutil.copy(base, aside)
    flip(aside)
    aside.rename(base)
    assert server.http("POST", "/v1/reports", b'{"subject": "46.0.0.11", "category": "spam"}', headers)[0] == 200
    until(lambda: server.listed("46.0.0.11"), "the whole zone is built")
    assert server.listed("46.0.0.9") == server.listed("46.0.0.10") == ["127.0.0.2"]


def test_a_pointer_to_a_file_that_is_missing(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.verb("report", "46.0.0.9", "--category", "spam")
        until(lambda: server.listed("46.0.0.9"))

        def told() -> bool:
            point(server, "7.base")  # again where a publish that was under way has put its own in place of it
            return "zone ip:" in server.err.text

        until(told)
        assert "is served on" in server.logged("zone ip:")
        assert server.listed("46.0.0.9") == ["127.0.0.2"]
    point(server, "7.base")
    with Server(tmp_path, config=server.config) as again:
        assert again.listed("46.0.0.9") == ["127.0.0.2"], "built again from the store before it says that it is ready"


# the service manager


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose name is short enough for a socket's address."""
    with tempfile.TemporaryDirectory(prefix="dnsbl") as found:
        yield Path(found)


class Manager:
    """A service manager, which hears what it is told when it listens; until then a few messages wait in its queue."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(SECONDS)
        self.told = ""

    def hear(self, enough: Callable[[str], bool]) -> None:
        """Listen until that is enough. What never comes is not waited for, however often something else does."""
        end = time.monotonic() + SECONDS
        while not enough(self.told):
            assert time.monotonic() < end, f"not told within {SECONDS} s: {self.told}"
            self.told += self.socket.recv(4096).decode() + "\n"

    def keep_busy(self) -> None:
        """Others tell it as much as its queue holds."""
        with pytest.raises(BlockingIOError):
            for _ in range(10_000):
                with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as other:
                    other.setblocking(False)
                    other.sendto(b"OTHER=1", self.path)

    def close(self) -> None:
        self.socket.close()


def test_the_service_manager_is_told(tmp_path: Path, short: Path) -> None:
    with closing(Manager(short)) as manager:
        with Server(tmp_path, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}) as server:
            manager.hear(lambda told: told.count("WATCHDOG=1") >= 3 and "READY=1" in told)
            server.process.terminate()
            manager.hear(lambda told: "STOPPING=1" in told)
        assert manager.told.count("READY=1") == 1


def test_a_service_manager_that_had_no_room_for_it_is_told_again(tmp_path: Path, short: Path) -> None:
    """Were READY=1 lost, it would end a server that serves, as one that did not start in time."""
    with closing(Manager(short)) as manager:
        manager.keep_busy()
        with Server(tmp_path, env={"NOTIFY_SOCKET": manager.path}) as server:
            server.logged("the service manager was not told READY")
            manager.hear(lambda told: "READY=1" in told)


LAUNCHER = """
import os, sys
for place, given in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(given, 100 + place)
count = len(sys.argv[1].split(","))
for place in range(count):
    os.dup2(100 + place, 3 + place)
    os.set_inheritable(3 + place, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=":".join(["dns"] * count))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_that_the_service_manager_opened_are_used(tmp_path: Path) -> None:
    """Queries sent before the server runs wait in them; dns.listen is not looked at."""
    config = configure(tmp_path)
    port = free_port()
    config.write_text(re.sub(r"listen = \[.*\]", f'listen = ["192.0.2.1:{port}"]', config.read_text()))
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tcp,
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in (udp, tcp):
            sock.bind(("127.0.0.1", port))
        tcp.listen()
        numbers = f"{udp.fileno()},{tcp.fileno()}"
        launcher = [sys.executable, "-c", LAUNCHER, numbers]
        fds = (udp.fileno(), tcp.fileno())
        early: list[list[str]] = []
        verb_here(config, "zone", "build")
        server = Server(tmp_path, config=config, launcher=launcher, pass_fds=fds)
        server.dns_port = port
        waiting = threading.Thread(
            target=lambda: early.append(server.codes("2.0.0.127.policy.dnsbl.test")), daemon=True
        )
        waiting.start()
        with server:
            assert server.said["dns"] == [f"127.0.0.1:{port}"]
            assert server.codes("2.0.0.127.policy.dnsbl.test", tcp=True) == ["127.0.0.10"]
            joined(waiting)
        assert early == [["127.0.0.10"]]


def test_zone_verbs_wait_for_a_publisher_that_is_at_work(served: Server) -> None:
    """One publisher a zone at a time, in any process: the lock is there and is respected."""
    server = served
    with (server.data / "zones" / "ip" / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = server.serial("ip")
        building = threading.Thread(target=server.run, args=("zone", "build", "ip", "--force"), daemon=True)
        building.start()
        assert server.codes("2.0.0.127.ip.dnsbl.test")
        assert server.serial("ip") == before
        fcntl.flock(lock, fcntl.LOCK_UN)
    joined(building)
    until(lambda: server.serial("ip") != before)
