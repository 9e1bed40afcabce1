"""Floods and races of removals over HTTP, on a real application and store: few are kept, each is decided once, and
whoever has a right to it is served meanwhile.

Elsewhere: many threads at one request (removal/test_requests.py); the limits alone (test_web_admission_parts.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from removal_attacks import confirm, kept, mailed_token, rules_over
from removal_site import ELSEWHERE, HOST, LISTED, NEIGHBOUR, answers, ask, listed_site, report_now, step, visitor, work
from website import Site

from dnsbl import clock
from dnsbl.errors import IntakeError
from dnsbl.subjects import parse
from dnsbl.web.admission.rates import LIMITS, Limit

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60  # a child that takes longer is at fault


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
        async with site.client.get(f"/v1/removals/{found[-1]['id']}") as response:
            assert (await response.json())["may_appeal"] is False, "nobody is offered what is refused"
        assert (await ask(site, HOST, HOST))["state"] == "granted", "who can show that it is theirs is not kept out"


async def test_open_requests_of_a_neighbour_keep_nobody_on(tmp_path: Path) -> None:
    """They share a /24, and what it may have open. Who shows that it is theirs leaves nothing open."""
    others = [f"46.{n}.1.1" for n in range(20)]
    async with listed_site(tmp_path, HOST, *others) as site:
        site.state.admission.rates.limits = {**LIMITS, "removal": Limit(100, 60)}
        for other in others:
            assert (await ask(site, other, "45.9.1.66"))["state"] == "proof-asked"
        assert (await ask(site, others[0], "45.9.1.66"))["state"] == "refused"
        assert (await ask(site, HOST, HOST))["state"] == "granted"


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
        site.state.admission.rates.limits = {**LIMITS, "removal": Limit(100, 60)}
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
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)])
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
        token = await mailed_token(site, first)
        await confirm(site, token)
        assert answers(site, HOST) == []
        await asyncio.to_thread(report_now, site, HOST, clock.now() + 1)
        assert answers(site, HOST) == LISTED
        await confirm(site, token)
        assert (await ask(site, HOST, HOST))["state"] == "refused"
        assert (await step(site, first, "look"))["state"] == "done"
        assert answers(site, HOST) == LISTED
