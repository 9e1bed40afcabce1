"""The real program, killed and robbed of what it needs while somebody wants off: no removal that was granted is lost,
no mail is, and the look-up page goes on to say what is true."""

from __future__ import annotations

import email
import fcntl
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import policy
from pathlib import Path
from shutil import rmtree
from typing import Any

import altcha
import pytest
from aiosmtpd.controller import Controller
from server import Server, alive, configure, free_port, until

from dnsbl import config as configuration
from dnsbl.app import App
from dnsbl.intake.partners import create_key
from dnsbl.subjects import parse

HOST, FREE, NAME = "45.9.1.7", "45.9.1.8", "listed-example.com"
LISTED = ["127.0.0.2"]
JSON = {"Content-Type": "application/json"}
DAY = 86_400


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A configuration in which visitors are believed where they come from, a registry and a resolver that are not
    there, a relay that may be, and a list that has HOST and NAME, published."""
    path = configure(tmp_path)
    more = ['proxies = ["127.0.0.0/8"]', "[proof]", 'resolver = "127.0.0.1:1"', 'rdap = "http://127.0.0.1:1/"']
    more += ["[mail]", f'relay = "127.0.0.1:{free_port()}"', 'sender = "bl@bl.example"', 'tls = "off"']
    path.write_text(path.read_text() + "\n".join(more) + "\n")
    with App(configuration.load(path)) as app:
        source = app.store.source("a-list", "import", trust=0.9)
        subjects = {parse(HOST): 1, parse(NAME): 1}
        app.store.replace_entries(source.id, subjects, {}, "spam", int(time.time()) - DAY)
        app.settle()
        key = create_key(app.store, "partner", 0.5, ["read"], int(time.time()), None)[1]
        (app.data_dir / "key").write_text(key)
    return path


def post(server: Server, path: str, address: str, **wanted: Any) -> tuple[int, dict[str, Any]]:
    """As a program that comes from an address."""
    headers = JSON | {"X-Forwarded-For": address}
    status, body = server.http("POST", path, json.dumps(wanted).encode(), headers)
    return status, json.loads(body) if body else {}


def ask(server: Server, subject: str, address: str) -> dict[str, Any]:
    """Ask for a removal from an address, with a key of somebody's who owns nothing."""
    headers = JSON | {"X-Forwarded-For": address, "X-Api-Key": (server.data / "key").read_text()}
    status, body = server.http("POST", "/v1/removals", json.dumps({"subject": subject}).encode(), headers)
    assert status == 201, body
    return json.loads(body)


def ask_with_a_sum(server: Server, subject: str, address: str) -> dict[str, Any]:
    """As anybody may."""
    challenge = altcha.Challenge.from_dict(json.loads(server.http("GET", "/v1/challenge")[1]))
    payload = altcha.Payload(challenge, altcha.solve_challenge(challenge)).to_base64()
    status, found = post(server, "/v1/removals", address, subject=subject, altcha=payload)
    assert status == 201, found
    return found


def state_of(server: Server, found: dict[str, Any]) -> str:
    status, body = server.http("GET", f"/v1/removals/{found['id']}")
    return json.loads(body)["state"] if status == 200 else f"status {status}"


@contextmanager
def held(server: Server, zone: str = "ip") -> Iterator[None]:
    """Nothing of a zone can be published meanwhile."""
    with (server.data / "zones" / zone / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# `kill -9`


def test_kill_9_of_the_back_between_grant_and_publish(listed: Path) -> None:
    """The one that answers DNS goes on; the back is started anew, and does what was promised."""
    with Server(listed.parent, config=listed) as server:
        assert server.listed(HOST) == LISTED
        with held(server):
            found = ask(server, HOST, HOST)
            assert found["state"] == "granted"
            back = server.back()
            assert back is not None
            os.kill(back, signal.SIGKILL)
            until(lambda: not alive(back))
            assert server.listed(HOST) == LISTED
        until(lambda: server.rcode("7.1.9.45.ip.dnsbl.test") == "NXDOMAIN", "DNS follows")
        until(lambda: answered(server) and state_of(server, found) == "done", "the private page says so")
        assert "Not listed" in page(server, f"/lookup?q={HOST}")[1].replace("<strong>", "").replace("</strong>", "")


def test_kill_9_of_all_between_grant_and_publish(listed: Path) -> None:
    server = Server(listed.parent, config=listed).start()
    with held(server):
        found = ask_with_a_sum(server, HOST, HOST)
        assert found["state"] == "granted"
        server.kill()
    with Server(listed.parent, config=listed) as server:
        until(lambda: server.rcode("7.1.9.45.ip.dnsbl.test") == "NXDOMAIN", "DNS follows")
        until(lambda: state_of(server, found) == "done", "the private page says so")
        assert json.loads(server.verb("store", "check", "--json"))["clean"] is True


class Post:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        self.taken.append(envelope.original_content)
        return "250 ok"


def test_kill_9_between_challenge_and_mail(listed: Path) -> None:
    """The mail server is away when the link is asked for; an hour later it is back, and we are killed in between."""
    server = Server(listed.parent, config=listed).start()
    found = ask(server, NAME, HOST)
    assert found["state"] == "proof-asked"
    assert post(server, f"/v1/removals/{found['id']}/mail", HOST, proof="mailbox", mailbox=f"abuse@{NAME}")[0] == 202
    server.kill()
    with closing(sqlite3.connect(server.data / "store.sqlite")) as store:  # as if an hour had passed
        assert store.execute("UPDATE outgoing SET next = 0 WHERE state = 'waiting'").rowcount == 1
        store.commit()
    kept = Post()
    relay = configuration.load(listed).config.mail.relay
    assert relay is not None
    controller = Controller(kept, hostname="127.0.0.1", port=int(relay.rpartition(":")[2]))
    controller.start()
    try:
        with Server(listed.parent, config=listed) as server:
            until(lambda: kept.taken, "the mail is sent")
            text = email.message_from_bytes(kept.taken[0], policy=policy.default).get_content()
            token = text.partition("/confirm/")[2].split()[0]
            assert post(server, "/v1/confirmations", HOST, token=token)[0] == 204
            until(lambda: server.rcode(f"{NAME}.domain.dnsbl.test") == "NXDOMAIN", "DNS follows")
            until(lambda: state_of(server, found) == "done")
            assert len(kept.taken) == 1
    finally:
        controller.stop()


# when all else fails


def answered(server: Server) -> bool:
    try:
        return server.http("GET", "/healthz")[0] == 200
    except OSError:
        return False


def page(server: Server, path: str) -> tuple[int, str]:
    status, body = server.http("GET", path, headers={"X-Forwarded-For": HOST})
    text = body.decode()
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert "Traceback" not in text
    return status, text


def spoil(server: Server) -> None:
    """The store becomes something else under the program's hands, as on a disk that dies."""
    for path in sorted(server.data.glob("store.sqlite*")):
        with path.open("r+b") as file:
            file.write(b"this is no database" * (path.stat().st_size // 19 + 1))


def test_the_look_up_page_answers_when_all_else_fails(listed: Path) -> None:
    """There is no DNS process, no mail server, no registry, no resolver and no feed; then no store, then no zones. What
    it says is true each time, and never that something is not listed because we cannot tell."""
    with Server(listed.parent, config=listed, role="web") as server:
        status, text = page(server, f"/lookup?q={HOST}")
        assert (status, "Listed in" in text) == (200, True)
        with closing(sqlite3.connect(server.data / "store.sqlite", isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            status, text = page(server, f"/lookup?q={HOST}")
            assert (status, "Listed in" in text) == (200, True)
            status, text = page(server, f"/lookup?q={FREE}")
            assert (status, "<strong>Not listed</strong> as bad" in text) == (200, True)
            holder.execute("ROLLBACK")
        spoil(server)
        status, text = page(server, f"/lookup?q={HOST}")
        assert (status, "Listed in" in text) == (200, True)
        assert "The reasons cannot be read now" in text
        status, text = page(server, f"/lookup?q={FREE}")
        assert (status, "<strong>Not listed</strong> as bad" in text) == (200, True)
        assert "Whether it is listed cannot be said" not in text
        for path in (f"/delist?q={HOST}", "/lookup", "/criteria", "/status"):
            page(server, path)
        rmtree(server.data / "zones")  # what is published is held open
        status, text = page(server, f"/lookup?q={HOST}")
        assert (status, "Listed in" in text) == (200, True)
        status, text = page(server, f"/lookup?q={FREE}")
        assert (status, "<strong>Not listed</strong> as bad" in text) == (200, True)
        server.expected = None


def test_kill_9_of_what_answers_dns_leaves_a_look_up_page_of_another_process(listed: Path) -> None:
    """The two can run apart: then one outlives the other."""
    with Server(listed.parent, config=listed, role="web") as web:
        dns = Server(listed.parent, config=listed, role="dns").start()
        assert dns.listed(HOST) == LISTED
        dns.kill()
        status, text = page(web, f"/lookup?q={HOST}")
        assert (status, "Listed in" in text) == (200, True)
        found = ask(web, HOST, HOST)
        assert found["state"] == "granted"
        with Server(listed.parent, config=listed, role="dns") as dns:
            until(lambda: dns.rcode("7.1.9.45.ip.dnsbl.test") == "NXDOMAIN", "DNS follows")
