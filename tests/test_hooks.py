"""Webhooks: who is told what, once, signed, and again where it was not taken; and that nobody can make us call where we
must not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.app import App
from dnsbl.errors import IntakeError, StoreError
from dnsbl.hooks import delivering, following, sending, setting
from dnsbl.hooks.delivering import GIVE_UP, KEEP, MAX_QUIET, QUIET, WAITS, Deliverer, try_hook
from dnsbl.hooks.events import type_of
from dnsbl.hooks.following import MAX_EVENTS, Follower
from dnsbl.hooks.owners import Owners
from dnsbl.keyed import Keyed
from dnsbl.store import Decision, Exemption, SqliteStore
from dnsbl.store.contract.hooks import Owned
from dnsbl.subjects import parse, text

NOW = 1_790_000_000
SPAM, BOTS = "127.0.0.2", "127.0.0.2 127.0.0.4"


class World:
    """A store with partners, and a clock that is set by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = SqliteStore(directory / "store.sqlite")
        self.keyed = Keyed(directory)
        self.time = NOW
        self.follower = self.new_follower()

    def new_follower(self, **options: int) -> Follower:
        return Follower(self.store, lambda: {"ip": "bl.example"}, "https://x.example/", self.now, **options)

    def now(self) -> int:
        return self.time

    def partner(self, name: str, *owned: str, urls: Sequence[str] = ("https://noc.example/h",)) -> list[str]:
        """Make a partner; the secrets of its hooks."""
        source = self.store.source(name, "partner", trust=0.9)
        for subject in owned:
            setting.own(self.store, source, subject, "operator", self.time)
        made = [setting.set_hook(self.store, self.keyed, source, url, name, self.time, private=True) for url in urls]
        self.follower.catch_up()
        return [secret for _, secret in made if secret]

    def list(self, *subjects: str, codes: str = SPAM, zone: str = "ip") -> None:
        """List subjects under codes, or with none free them; as a sweep does."""
        keys = [parse(subject) for subject in subjects]
        journal = [(key, codes) for key in keys]
        if codes:
            decision = Decision(written=[(key, codes, self.time, None, None) for key in keys], journal=journal)
        else:
            decision = Decision(left=keys, journal=journal)
        self.store.decide(self.time, {zone: decision}, [])

    def told(self, name: str = "acme") -> list[dict]:
        """Every event of a partner's first hook, the oldest first."""
        self.follower.catch_up()
        hook = self.hooks(name)[0]
        return [json.loads(each.event) for each in reversed(self.store.deliveries(hook.id, 100_000))]

    def hooks(self, name: str = "acme"):
        return self.store.hooks(setting.partner(self.store, name).id)

    @asynccontextmanager
    async def deliverer(self, private: bool = True) -> AsyncIterator[Deliverer]:
        made = Deliverer(self.store, lambda: self.keyed, self.follower, private=private, now=self.now)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


class Receiver:
    """What a partner runs: takes events and checks who sent them."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[dict, dict]] = asyncio.Queue()
        self.secrets: dict[str, str] = {}  # by path
        self.status = 200
        self.poison = ""  # a subject that is answered with 400
        self.gate = asyncio.Event()
        self.base = ""
        self.requests = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        if request.path in self.secrets:
            verify(self.secrets[request.path], request.headers, body)
        assert request.content_type == "application/json"
        event = json.loads(body)
        assert request.headers["webhook-id"] == event["id"]
        if request.path == "/slow":
            await self.gate.wait()
        if request.path == "/endless":
            return await self.endless(request)
        await self.got.put((event, dict(request.headers)))
        if self.status == 302:
            raise web.HTTPFound(f"{self.base}/elsewhere")
        return web.Response(status=400 if event.get("subject") == self.poison else self.status)

    async def endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            await self.got.put(({}, {}))
        return response


def verify(secret: str, headers, body: bytes) -> None:
    """As https://www.standardwebhooks.com says a receiver does."""
    assert secret.startswith("whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert len(key) >= 24


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()


async def served(deliverer: Deliverer) -> int:
    """Serve all that is due now, one after the other; how many tries that took."""
    tries = 0
    while begun := await deliverer.deliver_due():
        await asyncio.gather(*begun)
        tries += len(begun)
    return tries


# who is told what


@pytest.mark.parametrize(
    ("owned", "listed", "told"),
    [
        ("46.1.2.0/24", "46.1.2.7", True), ("46.1.2.0/24", "46.1.2.0/24", True), ("46.1.2.0/24", "46.1.0.0/16", True),
        ("46.1.2.7", "46.1.2.7", True), ("46.1.2.0/24", "46.1.3.7", False), ("46.1.2.0/25", "46.1.2.128/25", False),
        ("2a00:1::/48", "2a00:1::/64", True), ("2a00:1:0:5::/64", "2a00:1::/48", True),
        ("2a00:1::/48", "2a00:2::/64", False), ("2a00:1::/48", "46.1.2.7", False),
        ("shop.example.com", "a.shop.example.com", True), ("shop.example.com", "example.com", True),
        ("shop.example.com", "workshop.example.com", False), ("example.com", "+4930123456", False),
        ("example.com", "email:" + "a" * 40, False),
    ],
)  # fmt: skip
def test_an_owner_is_told_of_listings_at_in_and_above_what_it_owns(
    world: World, owned: str, listed: str, told: bool
) -> None:
    world.partner("acme", owned)
    world.list(listed)
    assert [(event["subject"], event["owned"]) for event in world.told()] == [(listed, [owned])] * told


def test_an_event_says_all_there_is_to_know(world: World) -> None:
    world.partner("acme", "46.1.2.0/24", "46.1.0.0/16")
    world.list("46.1.2.128/25", codes=BOTS)
    (event,) = world.told()
    assert event.pop("id").startswith("evt_")
    assert event == {
        "type": "listed",
        "at": "2026-09-21T14:13:20Z",
        "zone": "ip",
        "origin": "bl.example",
        "subject": "46.1.2.128/25",
        "codes": ["127.0.0.2", "127.0.0.4"],
        "owned": ["46.1.2.0/24"],
        "url": "https://x.example/lookup?q=46.1.2.128%2F25",
    }


def test_what_is_listed_changes_and_is_freed_is_told_in_turn_and_nothing_else(world: World) -> None:
    world.partner("acme", "46.1.2.0/24")
    for codes in (SPAM, SPAM, BOTS, "", "", SPAM):
        world.list("46.1.2.7", codes=codes)
    world.list("46.1.2.7", zone="other")
    world.store.add_exemption(Exemption(parse("46.1.2.0/24"), "a friend", "operator", since=NOW))
    told = [(event["zone"], event["type"]) for event in world.told()]
    assert told == [("ip", "listed"), ("ip", "changed"), ("ip", "freed"), ("ip", "listed"), ("other", "listed")]
    ids = [event["id"] for event in world.told()]
    assert len(set(ids)) == len(ids)


def test_a_report_and_a_removal_tell_the_owner(app: App) -> None:
    source = app.store.source("acme", "partner", trust=0.9)
    setting.own(app.store, source, "46.1.2.0/24", "operator", NOW)
    hook, _ = setting.set_hook(app.store, app.keyed, source, "https://noc.example/h", "acme", NOW)
    app.report("46.1.2.7", "spam", "operator")
    app.delist("46.1.2.7", "", "they asked")
    Follower(app.store, dict).catch_up()
    told = [json.loads(each.event) for each in reversed(app.store.deliveries(hook.id, 9))]
    assert [(event["zone"], event["type"], event["subject"]) for event in told] == [
        ("ip", "listed", "46.1.2.7"),
        ("ip", "freed", "46.1.2.7"),
    ]


def test_each_owner_is_told_its_own(world: World) -> None:
    world.partner("acme", "46.1.2.0/24", "46.1.3.0/24")
    world.partner("other", "46.1.0.0/16", urls=["https://other.example/1", "https://other.example/2"])
    world.list("46.1.2.7")
    world.list("46.1.0.0/16", codes=BOTS)
    assert [event["owned"] for event in world.told("acme")] == [["46.1.2.0/24"], ["46.1.2.0/24", "46.1.3.0/24"]]
    assert [event["owned"] for event in world.told("other")] == [["46.1.0.0/16"]] * 2
    ids = [{json.loads(each.event)["id"] for each in world.store.deliveries(h.id, 9)} for h in world.hooks("other")]
    assert ids[0] == ids[1], "a partner with two hooks can tell that it is the same event"
    assert not ids[0] & {event["id"] for event in world.told("acme")}


def test_what_was_before_the_hook_is_not_told(world: World) -> None:
    world.partner("acme", "46.1.2.0/24", urls=[])
    world.list("46.1.2.7")
    source = setting.partner(world.store, "acme")
    hook, _ = setting.set_hook(world.store, world.keyed, source, "https://noc.example/h", "acme", NOW)
    world.list("46.1.2.8")
    assert [event["subject"] for event in world.told()] == ["46.1.2.8"]
    setting.remove_hook(world.store, source, hook.id, "acme", NOW)
    world.list("46.1.2.9")
    setting.set_hook(world.store, world.keyed, source, "https://noc.example/h", "acme", NOW)
    assert world.told() == []


def test_too_many_changes_at_once_are_one_event(world: World) -> None:
    world.partner("acme", "46.1.0.0/16", "46.2.0.0/16")
    world.partner("small", "46.2.0.0/24")
    subjects = [f"46.1.{n >> 8}.{n & 255}" for n in range(MAX_EVENTS)]
    world.list(*subjects)
    assert len(world.told()) == MAX_EVENTS
    world.list(*subjects, codes="")
    world.time += 60
    world.list("46.2.0.1")
    *_, event = world.told()
    assert event.pop("id").startswith("evt_")
    assert event == {
        "type": "many",
        "since": "2026-09-21T14:13:20Z",
        "at": "2026-09-21T14:14:20Z",
        "zones": ["ip"],
        "counts": {"listed": 1, "changed": 0, "freed": MAX_EVENTS},
        "owned": ["46.1.0.0/16", "46.2.0.0/16"],
    }
    assert len(world.told()) == MAX_EVENTS + 1
    assert [event["type"] for event in world.told("small")] == ["listed"], "many for one is not many for all"


def test_of_what_waits_the_oldest_goes_and_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_WAITING", 3)
    world.partner("acme", "46.1.0.0/16")
    world.list(*(f"46.1.0.{n}" for n in range(5)))
    assert [event["subject"] for event in world.told()] == ["46.1.0.2", "46.1.0.3", "46.1.0.4"]
    (hook,) = world.hooks()
    assert (hook.waiting, hook.dropped) == (3, 2)
    assert setting.hook_row(hook)["dropped"] == 2


NETWORKS = st.builds(
    lambda first, prefix: f"46.{first >> 8}.{first & 255}.0/{prefix}", st.integers(0, 1023), st.integers(14, 24)
).map(lambda said: str(ip_network(said, strict=False)))
HOSTS = st.integers(0, 2**18 - 1).map(lambda n: f"46.{n >> 16}.{(n >> 8) & 255}.{n & 255}")
NAMES = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=2, max_size=4).map(".".join)


def contains(wide: str, narrow: str) -> bool:
    if wide[0].isdigit() and narrow[0].isdigit():
        return ip_network(narrow).subnet_of(ip_network(wide))
    return narrow == wide or narrow.endswith("." + wide)


@given(st.lists(st.tuples(st.integers(1, 3), NETWORKS | HOSTS | NAMES), max_size=12), NETWORKS | HOSTS | NAMES)
def test_owners_are_those_that_a_plain_look_finds(owned: list[tuple[int, str]], subject: str) -> None:
    found = Owners(Owned(source, parse(said), 0) for source, said in owned).of(parse(subject))
    wanted: dict[int, set[str]] = {}
    for source in {source for source, _ in owned}:
        mine = {said for other, said in owned if other == source}
        around = [said for said in mine if contains(said, subject)]
        within = {said for said in mine if contains(subject, said)}
        told = {min(around, key=lambda said: sum(contains(o, said) for o in around) * -1)} if around else within
        if told:
            wanted[source] = told
    assert {source: {text(key) for key in keys} for source, keys in found.items()} == wanted


@given(st.sampled_from(["", SPAM, BOTS]), st.sampled_from(["", SPAM, BOTS]))
def test_every_change_has_a_type_and_no_other(before: str, after: str) -> None:
    assert bool(type_of(before, after)) == (before != after)
    assert (type_of(before, after) == "freed") == (bool(before) and not after)


# once, whatever happens

FOLLOW = """
import sys
from pathlib import Path
from dnsbl.hooks.following import Follower
from dnsbl.store import SqliteStore
follower = Follower(SqliteStore(Path(sys.argv[1])), dict, lines=7)
while follower.step()[1]:
    print("x", flush=True)
print("end", flush=True)
"""


@pytest.mark.parametrize("steps", [1, 20])
def test_kill_9_loses_no_event_and_writes_none_twice(world: World, steps: int) -> None:
    world.partner("acme", "46.1.0.0/16")
    subjects = [f"46.1.{n >> 8}.{n & 255}" for n in range(300)]
    world.list(*subjects)
    child = subprocess.Popen(
        [sys.executable, "-c", FOLLOW, str(world.directory / "store.sqlite")], stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        for _ in range(steps):
            assert child.stdout.readline() == b"x\n"
        child.send_signal(signal.SIGKILL)
    assert [event["subject"] for event in world.told()] == subjects


def test_two_that_follow_at_once_write_each_event_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.partner("acme", "46.1.0.0/16")
    world.list("46.1.0.1")
    looking = world.new_follower()
    events = looking.events

    def other_first(*lines):
        assert world.new_follower().catch_up() == 1
        return events(*lines)

    monkeypatch.setattr(looking, "events", other_first)
    assert looking.catch_up() == 0
    assert len(world.told()) == 1


async def test_what_was_written_before_a_crash_is_sent_by_the_next_process(tmp_path: Path) -> None:
    async with receiving() as receiver:
        before = World(tmp_path)
        (secret,) = before.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/h"])
        before.list("46.1.2.7")
        before.follower.catch_up()
        before.store.close()
        after = World(tmp_path)
        receiver.secrets["/h"] = secret
        async with after.deliverer() as deliverer:
            assert await served(deliverer) == 1
            assert await served(deliverer) == 0
        assert receiver.got.get_nowait()[0]["subject"] == "46.1.2.7"
        after.store.close()


# delivery


async def test_a_change_reaches_its_owner_signed_and_by_itself(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        (receiver.secrets["/a?b=c"],) = world.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/a?b=c"])
        receiver.secrets["/a"] = receiver.secrets["/a?b=c"]
        deliverer.start()
        await asyncio.to_thread(world.list, "46.1.2.7", codes=BOTS)
        event, headers = await receiver.got.get()
        assert (event["type"], event["subject"], event["codes"]) == ("listed", "46.1.2.7", BOTS.split())
        assert headers["webhook-timestamp"] == str(NOW)
    (hook,) = world.hooks()
    assert (hook.waiting, hook.failed) in {(0, 0), (1, 0)}, "closed before its answer was seen, it is sent again"


async def test_what_is_taken_is_sent_once_and_remembered(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        world.list("46.1.2.7", "46.1.2.8")
        world.follower.catch_up()
        assert await served(deliverer) == 2
        (hook,) = world.hooks()
        assert (hook.waiting, hook.good, hook.said) == (0, NOW, "")
        assert [(each.state, each.tries) for each in world.store.deliveries(hook.id, 9)] == [("delivered", 1)] * 2
        world.time += KEEP + 1
        assert world.store.forget_deliveries(world.time - GIVE_UP, world.time - KEEP, "") == 2


async def test_what_is_not_taken_is_tried_later_and_later_and_given_up_after_three_days(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/secret-path"])
        world.list("46.1.2.7")
        world.follower.catch_up()
        receiver.status = 500
        waits = []
        while (tried := world.store.deliveries(1, 1)[0]).state == "waiting":
            assert world.store.due(tried.next - 1) == [], "not before its time"
            waits.append(tried.next - world.time)
            world.time = tried.next
            assert await served(deliverer) == 1
        assert waits[1:6] == list(WAITS)
        assert set(waits[6:]) == {WAITS[-1]}
        assert GIVE_UP - WAITS[-1] <= world.time - NOW <= GIVE_UP
        ids = {receiver.got.get_nowait()[0]["id"] for _ in waits}
        assert len(ids) == 1
        (hook,) = world.hooks()
        row = setting.hook_row(hook)
        assert (row["waiting"], row["failed"], row["trouble"]) == (0, 1, "status 500 instead of 2xx")
        assert "given up" in caplog.text
        assert "secret-path" not in caplog.text
        receiver.status = 204
        world.time += MAX_QUIET
        world.list("46.1.2.8")
        world.follower.catch_up()
        assert await served(deliverer) == 1
        assert setting.hook_row(world.hooks()[0])["trouble"] == ""


async def test_a_dead_hook_costs_one_try_not_one_for_each_event(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        receiver.status = 503
        world.list(*(f"46.1.2.{n}" for n in range(50)))
        world.follower.catch_up()
        assert await served(deliverer) == 1
        world.time += QUIET - 1
        assert await served(deliverer) == 0
        world.time += 1
        assert await served(deliverer) == 1
        world.time += 2 * QUIET
        receiver.status = 200
        assert await served(deliverer) == 48
        world.time += WAITS[0]
        assert await served(deliverer) == 2
        assert world.hooks()[0].waiting == 0


async def test_an_event_that_is_refused_does_not_keep_the_others(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        receiver.poison = "46.1.2.0"
        world.list("46.1.2.0", "46.1.2.1", "46.1.2.2")
        world.follower.catch_up()
        await served(deliverer)
        world.time += QUIET
        await served(deliverer)
        (hook,) = world.hooks()
        states = {json.loads(d.event)["subject"]: d.state for d in world.store.deliveries(hook.id, 9)}
        assert states == {"46.1.2.0": "waiting", "46.1.2.1": "delivered", "46.1.2.2": "delivered"}


async def test_a_slow_partner_delays_nobody_else(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("slow", "46.1.0.0/16", urls=[f"{receiver.base}/slow{tail}" for tail in ("", "?1", "?2", "?3")])
        world.partner("quick", "46.1.0.0/16", urls=[receiver.base + "/quick"])
        deliverer.start()
        await asyncio.to_thread(world.list, *(f"46.1.0.{n}" for n in range(20)))
        for _ in range(20):
            event, _ = await receiver.got.get()
            assert event["subject"].startswith("46.1.0.")
        assert world.hooks("slow")[0].good is None
        assert receiver.requests == 21, "the slow one has one event under way"


async def test_an_answer_without_end_is_not_read(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/endless"])
        world.list("46.1.2.7")
        world.follower.catch_up()
        assert await served(deliverer) == 1
        await receiver.got.get()
        assert world.hooks()[0].good == NOW


async def test_a_redirect_is_not_followed(world: World) -> None:
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        receiver.status = 302
        world.list("46.1.2.7")
        world.follower.catch_up()
        await served(deliverer)
        assert receiver.requests == 1
        assert "redirects are not followed" in world.hooks()[0].said


async def test_one_that_does_not_answer_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.1)
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/slow"])
        world.list("46.1.2.7")
        world.follower.catch_up()
        assert await served(deliverer) == 1
        assert world.hooks()[0].said.startswith("no answer within")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000])
async def test_what_is_no_answer_is_a_failure_with_a_sentence(world: World, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
        world.list("46.1.2.7")
        world.follower.catch_up()
        assert await served(deliverer) == 1
    assert world.hooks()[0].said in {
        "it closed the connection without an answer",
        "its answer is not HTTP, or was cut",
    }


async def test_an_event_is_not_sent_again_and_again_while_the_store_is_in_trouble(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.store, "delivery_taken", full)
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        world.list("46.1.2.7")
        world.follower.catch_up()
        begun = await deliverer.deliver_due()
        await receiver.got.get()
        assert await deliverer.deliver_due() == []
        assert not begun[0].done()


async def test_trouble_is_said_once_and_passes(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivering, "EVERY", 0.01)
    broken = [3]
    journal = world.store.journal

    def flaky(seq: int, limit: int):
        if broken[0]:
            broken[0] -= 1
            raise StoreError("the disk is full")
        return journal(seq, limit)

    monkeypatch.setattr(world.store, "journal", flaky)
    async with receiving() as receiver, world.deliverer() as deliverer:
        world.partner("acme", "46.1.2.0/24", urls=[receiver.base])
        world.list("46.1.2.7")
        deliverer.start()
        event, _ = await receiver.got.get()
        assert event["subject"] == "46.1.2.7"
    assert caplog.text.count("the disk is full") == 1


async def test_what_waited_too_long_is_given_up_though_it_was_never_tried(world: World) -> None:
    world.partner("acme", "46.1.2.0/24")
    world.list("46.1.2.7")
    world.follower.catch_up()
    world.time += GIVE_UP + 1
    async with world.deliverer() as deliverer:
        await deliverer.follow()
    (hook,) = world.hooks()
    assert (hook.waiting, hook.failed) == (0, 1)
    assert world.store.deliveries(hook.id, 1)[0].said


async def test_a_test_event_says_what_came_of_it(world: World) -> None:
    async with receiving() as receiver:
        (receiver.secrets["/h"],) = world.partner("acme", urls=[receiver.base + "/h"])
        (hook,) = world.hooks()
        await try_hook(world.keyed, hook, NOW, private=True)
        assert receiver.got.get_nowait()[0]["type"] == "test"
        receiver.status = 404
        with pytest.raises(IntakeError, match="status 404"):
            await try_hook(world.keyed, hook, NOW, private=True)


# where we must not call

INSIDE = [
    "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
    "https://[::ffff:10.0.0.1]/", "https://0x7f000001/", "https://2130706433/", "https://127.1/", "https://0/",
    "https://[64:ff9b::7f00:1]/", "https://192.168.1.1:8443/x",
]  # fmt: skip
NOT_URLS = [
    "http://noc.example/", "ftp://noc.example/", "noc.example", "", "https://", "https:///x", "javascript:alert(1)",
    "https://user:word@noc.example/", "https://noc.example/#x", "https://noc.example/a b",
    "https://noc.example/\r\nX: y", "https://noc.example/" + "x" * 500, "https://noc.example:99999/", "file:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE + NOT_URLS)
def test_a_hook_is_at_a_public_https_url(world: World, url: str) -> None:
    source = world.store.source("acme", "partner", trust=0.9)
    with pytest.raises(IntakeError) as refused:
        setting.set_hook(world.store, world.keyed, source, url, "acme", NOW)
    assert "\n" not in str(refused.value)
    assert world.hooks() == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_name_that_leads_inside_is_not_called(world: World, host: str) -> None:
    called = asyncio.Event()
    server = await asyncio.start_server(lambda *_: called.set(), "127.0.0.1", 0)
    async with server, world.deliverer(private=False) as deliverer:
        port = server.sockets[0].getsockname()[1]
        world.partner("acme", "46.1.2.0/24", urls=[f"https://{host}:{port}/"])
        world.list("46.1.2.7")
        world.follower.catch_up()
        assert await served(deliverer) == 1
        await asyncio.sleep(0)
        assert not called.is_set()
    assert "not public" in world.hooks()[0].said


def test_http_is_for_tests_on_this_host_only() -> None:
    with pytest.raises(IntakeError):
        sending.checked_url("http://noc.example/", private=True)
    assert sending.checked_url("http://127.0.0.1:1/", private=True).port == 1


# secrets and limits


async def test_a_secret_is_told_once_and_kept_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiving() as receiver, world.deliverer() as deliverer:
        secrets = world.partner("acme", "46.1.2.0/24", urls=[receiver.base + "/1", receiver.base + "/2"])
        assert len(set(secrets)) == 2
        receiver.status = 500
        world.list("46.1.2.7")
        world.follower.catch_up()
        await served(deliverer)
    said = caplog.text + json.dumps(
        [
            [setting.hook_row(hook) for hook in world.hooks()],
            [setting.delivery_row(each) for hook in world.hooks() for each in world.store.deliveries(hook.id, 9)],
            world.store.audit_rows(),
        ],
        default=repr,
    )
    kept = b"".join(path.read_bytes() for path in world.directory.glob("store.sqlite*"))
    for secret in secrets:
        bare = secret.removeprefix("whsec_")
        assert bare not in said
        assert bare.encode() not in kept
        assert base64.b64decode(bare) not in kept
    again, secret = setting.set_hook(
        world.store, world.keyed, setting.partner(world.store, "acme"), receiver.base + "/1", "acme", NOW, private=True
    )
    assert (again.id, secret) == (world.hooks()[0].id, None)


def test_a_hook_that_is_made_again_has_another_secret_and_nothing_waits_for_it(world: World) -> None:
    (first,) = world.partner("acme", "46.1.2.0/24")
    world.list("46.1.2.7")
    world.follower.catch_up()
    before = world.hooks()[0]
    setting.remove_hook(world.store, setting.partner(world.store, "acme"), before.id, "acme", NOW)
    (second,) = world.partner("acme")
    after = world.hooks()[0]
    assert first != second
    assert (after.waiting, after.id == before.id) == (0, False)


def test_what_a_partner_may_have_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.partner("acme", urls=[f"https://noc.example/{n}" for n in range(setting.MAX_HOOKS)])
    with pytest.raises(IntakeError, match="5 hooks"):
        world.partner("acme", urls=["https://noc.example/more"])
    monkeypatch.setattr(setting, "MAX_OWNED", 2)
    world.partner("acme", "46.1.0.0/16", "46.2.0.0/16", "46.2.0.0/16", urls=[])
    with pytest.raises(IntakeError, match="owns 2"):
        world.partner("acme", "46.3.0.0/16", urls=[])


@pytest.mark.parametrize("said", ["nonsense", "email:" + "a" * 40, "+4930123456", "10.0.0.0/8", "co.uk", "46.1.2.3/8"])
def test_what_cannot_be_owned_is_refused(world: World, said: str) -> None:
    source = world.store.source("acme", "partner", trust=0.9)
    with pytest.raises(IntakeError):
        setting.own(world.store, source, said, "operator", NOW)
    assert world.store.owned() == []


def test_a_feed_is_no_partner(world: World) -> None:
    world.store.source("list", "feed", trust=0.9)
    for name in ("list", "nobody"):
        with pytest.raises(IntakeError, match="no partner"):
            setting.partner(world.store, name)


@pytest.mark.parametrize(
    ("subject", "owned"),
    [
        ("46.1.2.0/24", True), ("46.1.2.7", True), ("46.1.2.0/25", True), ("46.1.0.0/16", False), ("46.1.3.7", False),
        ("example.com", True), ("a.example.com", True), ("anexample.com", False), ("2a00:1::/64", True),
        ("2a00::/16", False), ("email:" + "a" * 40, False),
    ],
)  # fmt: skip
def test_a_source_owns_what_lies_wholly_in_what_is_its(world: World, subject: str, owned: bool) -> None:
    world.partner("acme", "46.1.2.0/24", "example.com", "2a00:1::/48")
    world.partner("other", "46.1.3.0/24")
    source = setting.partner(world.store, "acme")
    assert world.store.owns(source.id, parse(subject)) is owned
    setting.disown(world.store, source, "46.1.2.0/24", "operator", NOW)
    assert not world.store.owns(source.id, parse("46.1.2.7"))


def test_deeds_are_in_the_audit_trail(world: World) -> None:
    world.partner("acme", "46.1.2.0/24", urls=["https://noc.example/h?token=hidden"])
    source = setting.partner(world.store, "acme")
    setting.remove_hook(world.store, source, world.hooks()[0].id, "acme", NOW)
    setting.disown(world.store, source, "46.1.2.0/24", "operator", NOW)
    trail = [(row["who"], row["what"], row["subject"], row["why"]) for row in reversed(world.store.audit_rows())]
    assert trail == [
        ("operator", "own", "46.1.2.0/24", "acme"),
        ("acme", "hook", "acme", "https://noc.example/h"),
        ("acme", "hook remove", "acme", "https://noc.example/h"),
        ("operator", "disown", "46.1.2.0/24", "acme"),
    ]
