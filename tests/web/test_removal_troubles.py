"""Floods, races and faults around removals, over HTTP on a real application and store: what was granted stays so, what
was not does not come about, nothing grows without bound, and every answer is a whole page or document.

Elsewhere: the decision by many threads, the last removal of a day (removal/test_requests.py); each answer of a mail
server (removal/test_mailer.py); `kill -9` of the real program (live/test_removal_faults.py).
"""

from __future__ import annotations

import asyncio
import email
import json
import os
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from email import policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from desk_site import quick  # noqa: F401  (a fixture)
from removal_attacks import kept, rules_over
from removal_site import (
    HOST,
    NAME,
    NEIGHBOUR,
    answers,
    as_it_is,
    ask,
    browser,
    hidden,
    listed_site,
    report_now,
    step,
    visitor,
    work,
)  # fmt: skip
from website import Site, settings_in

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config import MailConfig
from dnsbl.errors import IntakeError
from dnsbl.removal.mailer import Mailer
from dnsbl.subjects import parse
from dnsbl.web.language import Languages
from dnsbl.web.removals.letters import letter_writer

ELSEWHERE = "198.41.0.9"
LISTED = ["127.0.0.2"]
HOUR = 3600
ROOT = Path(__file__).parent.parent.parent
SECONDS = 60  # a child that takes longer is at fault


class Time:
    def __init__(self) -> None:
        self.now = clock.now()

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(clock, "now", made)
    return made


# floods

FLOOD, CONNECTIONS = 10_000, 20
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def test_ten_thousand_requests_of_one_network(tmp_path: Path) -> None:
    """From 256 addresses of one /24, of every kind: few are kept, none is let off who should not, and others are
    served meanwhile."""
    async with listed_site(tmp_path) as site:
        sums = [work(site) for _ in range(15)]
        requests = [one_of_many(number, sums[number // 4 % len(sums)]) for number in range(FLOOD)]
        before = kept(site)
        flood = asyncio.gather(*(attack(site, requests[first::CONNECTIONS]) for first in range(CONNECTIONS)))
        assert (await ask(site, NEIGHBOUR, NEIGHBOUR))["state"] == "granted"
        async with site.client.get(f"/lookup?q={HOST}", headers=visitor("5.5.5.5")) as response:
            assert response.status == 200
        statuses = Counter(status for each in await flood for status in each)
        assert statuses.total() == FLOOD
        assert {*statuses} == {201, 204, 403, 404, 429}
        assert (statuses[201], statuses[204]) == (10, 20)
        after = kept(site)
        assert {name: after[name][0] - before[name][0] for name in ("removal", "challenge", "outgoing")} == {
            "removal": 11, "challenge": 10, "outgoing": 0,
        }  # fmt: skip
        rates = site.state.admission.rates
        assert all(len(networks) <= 3 for networks in rates.full.values()), "one number a network"
        assert answers(site, HOST) == LISTED
        assert answers(site, NEIGHBOUR) == []


async def attack(site: Site, requests: Sequence[bytes]) -> list[int]:
    """The status of each answer, of requests that are sent over one connection without waiting for them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"".join(requests) + b"GET /icon.svg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found = STATUS.findall(await reader.read(-1))
    writer.close()
    assert found.pop() == b"200"
    return [int(status) for status in found]


def one_of_many(number: int, payload: str) -> bytes:
    """A request, a guess at a token or a link, or a form, as it goes over the wire."""
    method, path, kind, body = (
        ("POST", "/v1/removals", "application/json", json.dumps({"subject": HOST, "altcha": payload})),
        ("POST", "/v1/confirmations", "application/json", json.dumps({"token": f"guess{number}"})),
        ("GET", f"/v1/removals/guess{number}", "text/plain", ""),
        ("POST", "/delist", "application/x-www-form-urlencoded", f"q={HOST}&csrf=x&altcha="),
    )[number % 4]
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 198.41.0.{number % 256}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_hopping_through_a_48_is_held_back(tmp_path: Path) -> None:
    async with listed_site(tmp_path, "2a02:26f7:1:2::/64") as site:
        found = [await ask(site, "2a02:26f7:1:2::/64", f"2a02:26f7:9:{n:x}::{n:x}") for n in range(60)]
        assert [each["status"] for each in found].count(201) == 40
        assert {each["status"] for each in found[40:]} == {429}
        assert (await ask(site, "2a02:26f7:1:2::/64", "2a02:26f7:1:2::5"))["state"] == "granted"


async def test_what_nobody_can_prove_does_not_fill_the_desk(tmp_path: Path) -> None:
    async with listed_site(tmp_path, "+4930123456") as site:
        found = [await ask(site, "+4930123456", f"5.5.{n}.1") for n in range(8)]
        assert [each["state"] for each in found] == ["to-person"] * 5 + ["refused"] * 3
        assert found[-1]["reasons"][0]["reason"] == "waits-already"
        assert (await step(site, found[-1], "appeal", reason="please"))["status"] == 409
        assert site.app.removal_desk.counts()["waiting"] == 5


async def test_appeals_of_many_networks_about_one_subject_do_not_fill_the_desk(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = [await ask(site, HOST, f"5.5.{n}.1") for n in range(8)]
        states = [
            (await step(site, each, "appeal", f"5.5.{n}.1", reason="x"))["status"] for n, each in enumerate(found)
        ]
        assert states == [200] * 5 + [409] * 3
        assert (await ask(site, HOST, HOST))["state"] == "granted", "who can show that it is theirs is not kept out"


# races


async def test_asked_many_times_at_once_it_is_granted_once(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = await asyncio.gather(*(ask(site, HOST, HOST) for _ in range(8)))
        assert sorted(each["status"] for each in found) == [201] + [409] * 7
        assert [each.state for each in site.app.store.removals()] == ["granted"]
        assert len([each for each in site.app.store.exemptions() if each.origin == "removal"]) == 1


async def test_two_who_want_the_last_of_a_day(tmp_path: Path) -> None:
    hosts = [f"45.9.1.{n}" for n in range(1, 23)]
    async with listed_site(tmp_path, *hosts) as site:
        site.state.admission.rates.limits = {**site.state.admission.rates.limits, "removal": (100, 60)}  # type: ignore
        zones = {
            name: zone.model_copy(update={"removal": zone.removal.model_copy(update={"per_requester": 100})})
            for name, zone in site.app.zones.items()
        }
        site.app.settings = site.app.settings.model_copy(update={"zones": zones})
        for host in hosts[:19]:
            assert (await ask(site, host, host))["state"] == "granted"
        found = await asyncio.gather(*(ask(site, host, host) for host in hosts[19:]))
        assert sorted(each["state"] for each in found) == ["granted", "refused", "refused"]
        assert {each["reasons"][0]["reason"] for each in found if each["state"] == "refused"} == {"network-limit"}


DECIDES = """
import sys
from pathlib import Path
from website import settings_in
from dnsbl import clock
from dnsbl.app import App
from dnsbl.errors import IntakeError

with App(settings_in(Path(sys.argv[1]))) as app:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            app.removals.decide(int(line), True, "bob", "granted", clock.now())
            print("done", flush=True)
        except IntakeError as error:
            print("refused", error, flush=True)
"""


async def test_two_people_decide_at_once_in_two_processes(tmp_path: Path) -> None:
    """Each request is decided once; whoever comes second is told, and nobody was both granted and refused."""
    hosts = [f"45.{n}.1.7" for n in range(8)]
    async with listed_site(tmp_path, *hosts) as site:
        for number, host in enumerate(hosts):
            await step(site, await ask(site, host, f"5.{number}.5.5"), "appeal", f"5.{number}.5.5", reason="x")
        async with other_process(tmp_path) as child:
            outcomes = [await decided_by_both(site, child, row["id"]) for row in site.app.removal_desk.rows()]
        assert len(outcomes) == len(hosts)
        assert all(sorted(each) == ["done", "refused"] for each in outcomes)
        for removal in site.app.store.removals():
            last = [event for event in site.app.store.removal_events(removal.id) if event.who in ("alice", "bob")]
            assert [(event.state, event.who) for event in last] == [(removal.state, removal.decider)]
        answered = {removal.subject: removal.state for removal in site.app.store.removals()}
        for host in hosts:
            assert answers(site, host) == ([] if answered[parse(host)] == "granted" else LISTED)


async def decided_by_both(site: Site, child: asyncio.subprocess.Process, number: int) -> list[str]:
    """What each was told: "done" or "refused"."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{number}\n".encode())
    await child.stdin.drain()
    try:
        await asyncio.to_thread(site.app.removals.decide, number, False, "alice", "no", clock.now())
        here = "done"
    except IntakeError:
        here = "refused"
    async with asyncio.timeout(SECONDS):
        return [here, (await child.stdout.readline()).decode().split()[0]]


@asynccontextmanager
async def other_process(directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DECIDES, str(directory),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        child.stdin.close()
        await child.wait()


async def test_off_by_oneself_is_no_immunity(tmp_path: Path) -> None:
    """Reported again it is listed again at once, and neither the same proof nor the old link takes it off."""
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        first = await ask(site, HOST, ELSEWHERE)
        await step(site, first, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        [mail] = site.app.store.mail_due(clock.now(), 10)
        token = site.app.removals.token_of(site.app.store.challenge(mail.challenge))  # type: ignore[arg-type]
        await confirm(site, token)
        assert answers(site, HOST) == []
        await asyncio.to_thread(report_now, site, HOST, clock.now() + 1)
        assert answers(site, HOST) == LISTED
        await confirm(site, token)
        assert (await ask(site, HOST, HOST))["state"] == "refused"
        assert (await step(site, first, "look"))["state"] == "done"
        assert answers(site, HOST) == LISTED


async def confirm(site: Site, token: str) -> None:
    async with site.client.post("/v1/confirmations", json={"token": token}, headers=visitor(ELSEWHERE)) as response:
        assert response.status == 204


# faults of the store


@contextmanager
def full_disk(site: Site) -> Iterator[None]:
    """The store may not grow any more, as when its disk is full."""
    writer = site.app.store.writer
    writer.execute("VACUUM")
    [(pages,)] = writer.execute("PRAGMA page_count").fetchall()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        writer.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Another process holds the store, for longer than anybody waits."""
    site.app.store.writer.execute("PRAGMA busy_timeout = 20")
    holder = sqlite3.connect(site.app.store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.close()


@pytest.mark.parametrize("trouble", [full_disk, locked])
async def test_a_store_that_takes_nothing_grants_nothing_and_says_so(tmp_path: Path, trouble: Any) -> None:
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        other = await ask(site, NAME, ELSEWHERE)
        async with client.get(f"/delist?q={HOST}") as response:
            csrf = hidden(await response.text(), "csrf")
        with trouble(site):
            before, statuses = kept(site), []
            for _ in range(4):
                found = await ask(site, HOST, HOST, reason="x" * 2000)
                statuses.append(found["status"])
            form = {"q": HOST, "said": "x" * 2000, "csrf": csrf, "altcha": work(site)}
            async with client.post("/delist", data=form, allow_redirects=False) as response:
                statuses.append(response.status)
                page = await response.text()
            assert kept(site) == before
            assert set(statuses) == {503}
            assert "Nothing is listed or freed by this" in page
            assert "altcha" not in page
            assert str(tmp_path) not in page
            assert (await as_it_is(site, other))["state"] == "proof-asked"
            for path in (f"/lookup?q={HOST}", f"/delist?q={HOST}", f"/removals/{other['id']}", "/criteria", "/"):
                async with client.get(path) as response:
                    assert response.status == 200, path
        assert answers(site, HOST) == LISTED
        assert site.app.store.check() == []
        assert (await ask(site, HOST, HOST))["state"] == "granted"
        assert answers(site, HOST) == []


# time


async def test_a_clock_that_is_put_back_neither_frees_nor_breaks(tmp_path: Path, time: Time) -> None:
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        granted = await ask(site, HOST, HOST)
        waiting = await ask(site, NEIGHBOUR, ELSEWHERE)
        await asyncio.to_thread(report_now, site, "45.9.7.7")
        assert answers(site, HOST) == []
        time.now -= 2 * HOUR
        assert (await as_it_is(site, granted))["state"] in ("granted", "done")
        assert (await as_it_is(site, waiting))["state"] == "proof-asked"
        assert answers(site, HOST) == [], "no granted removal is lost"
        assert answers(site, NEIGHBOUR) == LISTED
        assert (await ask(site, "45.9.7.7", "45.9.7.7"))["state"] == "refused", "it was reported just now, and later"
        for path in (f"/removals/{waiting['id']}", f"/removals/{granted['id']}", f"/lookup?q={HOST}", "/stats"):
            async with site.client.get(path, headers=visitor(ELSEWHERE)) as response:
                assert response.status == 200, path


async def test_a_restart_makes_open_forms_void_and_keeps_links_and_tokens(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        [mail] = site.app.store.mail_due(clock.now(), 10)
        token = site.app.removals.token_of(site.app.store.challenge(mail.challenge))  # type: ignore[arg-type]
        async with client.get(f"/delist?q={HOST}") as response:
            form = {"q": HOST, "csrf": hidden(await response.text(), "csrf"), "altcha": work(site)}
        cookies = {cookie.key: cookie.value for cookie in client.cookie_jar}
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        for sent in (form, form | {"altcha": work(site)}):
            async with client.post("/delist", data=sent, cookies=cookies, allow_redirects=False) as response:
                assert response.status == 403
                assert "open the form again" in await response.text()
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert answers(site, HOST) == LISTED
        await confirm(site, token)
        assert answers(site, HOST) == []


# mail


class Post:
    """A mail server that can be away."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.port = 0

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        self.taken.append(envelope.original_content)
        return "250 ok"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname="relay.example"), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


async def test_the_mail_server_is_away_for_an_hour_and_the_link_is_good_then(tmp_path: Path, time: Time) -> None:
    """Nothing waits for it but the mail: pages say how it stands, and others are let off meanwhile."""
    post = Post()
    async with post.open():
        pass
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        writer = letter_writer(lambda: site.app.removals, Languages.load(), "https://bl.example")
        config = MailConfig(relay=f"127.0.0.1:{post.port}", sender="bl@bl.example", tls="off")
        mailer = Mailer(config, site.app.store, writer, lambda: time.now)
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        for _ in range(6):
            assert await mailer.round() is False
            time.now += HOUR // 6
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert (await ask(site, NEIGHBOUR, NEIGHBOUR))["state"] == "granted"
        async with post.open():
            time.now += HOUR
            await mailer.round()
            await mailer.round()
        [sent] = post.taken
        text = email.message_from_bytes(sent, policy=policy.default).get_content()
        [link] = [line for line in text.splitlines() if line.startswith("https://bl.example/confirm/")]
        async with browser(site, ELSEWHERE) as client:
            path = link.removeprefix("https://bl.example")
            async with client.get(path) as response:
                page = await response.text()
            form = {"csrf": hidden(page, "csrf"), "token": hidden(page, "token")}
            async with client.post("/confirm", data=form) as response:
                assert response.status == 200
        assert (await as_it_is(site, found))["state"] == "granted"
        assert answers(site, HOST) == []


async def test_a_process_that_ends_between_challenge_and_mail_loses_none(tmp_path: Path) -> None:
    """And the link that the next one mails is the one that the challenge was made with."""
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
    with App(settings_in(tmp_path)) as app:
        [mail] = app.store.mail_due(clock.now(), 10)
        letter = letter_writer(lambda: app.removals, Languages.load(), "https://bl.example")(mail)
        assert letter is not None
        token = letter.body.partition("/confirm/")[2].split()[0]
        assert app.removals.confirm(token, clock.now())
        app.settle()
        assert app.dns_codes("ip", parse(HOST)) == []
