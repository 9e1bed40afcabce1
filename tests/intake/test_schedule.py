"""The schedule: each feed in its turn, never twice at once, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from dnsbl import clock
from dnsbl.config import FeedDef
from dnsbl.errors import StoreError
from dnsbl.intake import schedule as module
from dnsbl.intake.feeds import Pulled
from dnsbl.intake.schedule import Schedule
from dnsbl.store import FeedState
from dnsbl.store.contract import Entry

SECONDS = 30


def feed(name: str, **more: object) -> FeedDef:
    basic = {"title": name, "url": "https://x.example/", "format": "plain", "category": "spam", "licence": "none"}
    return FeedDef.model_validate({"name": name, **basic, **more})


def by_name(*feeds: FeedDef) -> dict[str, FeedDef]:
    return {each.name: each for each in feeds}


class Puller:
    """Pulls that wait to be let go, one by one."""

    def __init__(self) -> None:
        self.states: dict[str, FeedState] = {}
        self.begun: asyncio.Queue[FeedDef] = asyncio.Queue()
        self.go = asyncio.Event()
        self.go.set()
        self.running: list[str] = []
        self.most = 0
        self.error: Exception | None = None
        self.state = "ok"

    async def pull(self, feed: FeedDef) -> Pulled:
        assert feed.name not in self.running, "twice at once"
        self.running.append(feed.name)
        self.most = max(self.most, len(self.running))
        self.begun.put_nowait(feed)
        try:
            await self.go.wait()
            if self.error:
                raise self.error
        finally:
            self.running.remove(feed.name)
        failures = 3 if self.state == "failed" else 0
        self.states[feed.name] = FeedState(feed.name, self.state, checked_at=clock.now(), failures=failures)
        return Pulled(feed.name, self.state, "a reason", Entry(1, 0, 0, 1))

    def known(self) -> Mapping[str, FeedState]:
        return dict(self.states)

    async def next(self) -> FeedDef:
        async with asyncio.timeout(SECONDS):
            return await self.begun.get()


@asynccontextmanager
async def scheduled(puller: Puller, *feeds: FeedDef) -> AsyncIterator[Schedule]:
    schedule = Schedule(puller.pull, puller.known)
    schedule.start(by_name(*feeds))
    try:
        yield schedule
    finally:
        schedule.close()


def due(schedule: Schedule, name: str) -> float | None:
    """Seconds until a feed's next turn."""
    job = schedule.scheduler.get_job(name)
    return (job.next_run_time - datetime.now(UTC)).total_seconds() if job else None


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not predicate():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is spread."""
    monkeypatch.setattr(module.random, "random", lambda: 0.0)


async def test_feeds_that_are_on_are_pulled_and_planned_again() -> None:
    puller = Puller()
    async with scheduled(puller, feed("one"), feed("two", period=7200), feed("off", enabled=False, why_off="x")) as it:
        assert {(await puller.next()).name, (await puller.next()).name} == {"one", "two"}
        await until(lambda: due(it, "one") and due(it, "two"))
        assert 86_300 < (due(it, "one") or 0) <= 86_401
        assert 7_100 < (due(it, "two") or 0) <= 7_201
        assert it.scheduler.get_job("off") is None


async def test_no_more_at_once_than_there_are_turns() -> None:
    puller = Puller()
    puller.go.clear()
    names = [f"feed{n}" for n in range(6)]
    async with scheduled(puller, *(feed(name) for name in names)):
        for _ in range(module.AT_ONCE):
            await puller.next()
        puller.go.set()
        for _ in range(6 - module.AT_ONCE):
            await puller.next()
    assert puller.most == module.AT_ONCE


async def test_a_declaration_that_changes_during_its_pull_has_its_turn_after() -> None:
    puller = Puller()
    puller.go.clear()
    async with scheduled(puller, feed("one")) as it:
        await puller.next()
        it.replace(by_name(feed("one", category="botnet")))
        it.replace(by_name(feed("one", category="malware"), feed("two")))
        assert (await puller.next()).name == "two"
        assert it.scheduler.get_job("one") is None
        puller.go.set()
        await until(lambda: it.scheduler.get_job("one"))
        assert it.scheduler.get_job("one").args[0].category == "malware"
    assert puller.most == 2


async def test_feeds_that_go_are_not_pulled_again_and_those_that_stay_keep_their_time() -> None:
    puller = Puller()
    now = clock.now()
    puller.states = {name: FeedState(name, "ok", checked_at=now) for name in ("stays", "goes", "off")}
    async with scheduled(puller, feed("stays"), feed("goes"), feed("off")) as it:
        planned = it.scheduler.get_job("stays").next_run_time
        it.replace(by_name(feed("stays"), feed("off", enabled=False, why_off="x")))
        assert [job.id for job in it.scheduler.get_jobs()] == ["stays"]
        assert it.scheduler.get_job("stays").next_run_time == planned
        assert puller.begun.empty()


async def test_a_feed_that_goes_during_its_pull_is_not_planned_again() -> None:
    puller = Puller()
    puller.go.clear()
    async with scheduled(puller, feed("one")) as it:
        await puller.next()
        it.replace({})
        puller.go.set()
        await until(lambda: "one" in puller.states and not it.pulling)
        assert it.scheduler.get_jobs() == []


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ValueError("a fault of ours")])
async def test_trouble_of_ours_is_said_and_the_feed_is_not_asked_in_a_loop(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The state could not be written, so the feed looks as if it had never been asked."""
    puller = Puller()
    puller.error = error
    async with scheduled(puller, feed("one", period=60)) as it:
        await puller.next()
        await until(lambda: due(it, "one"))
        assert (due(it, "one") or 0) > module.AFTER_TROUBLE - 10
    assert "feed one" in caplog.text
    assert str(error) in caplog.text


async def test_states_that_cannot_be_read_do_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    puller = Puller()

    def broken() -> Mapping[str, FeedState]:
        raise StoreError("the store is gone")

    schedule = Schedule(puller.pull, broken)
    schedule.start(by_name(feed("one")))
    try:
        await puller.next()
        await until(lambda: due(schedule, "one"))
        assert (due(schedule, "one") or 0) > module.AFTER_TROUBLE - 10
    finally:
        schedule.close()
    assert "the store is gone" in caplog.text


async def test_a_stop_in_the_middle_of_a_pull_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    puller = Puller()
    puller.go.clear()
    async with scheduled(puller, feed("one")):
        await puller.next()
    await until(lambda: not puller.running)
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(("state", "level"), [("ok", "INFO"), ("quarantined", "WARNING"), ("failed", "WARNING")])
async def test_what_comes_of_a_pull_is_said(state: str, level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dnsbl.jobs")
    puller = Puller()
    puller.state = state
    async with scheduled(puller, feed("one")):
        await puller.next()
        await until(lambda: caplog.records)
    (record,) = [record for record in caplog.records if record.name == "dnsbl.jobs"]
    assert record.levelname == level
    assert "feed one" in record.getMessage()


# switched by a person


async def test_a_feed_that_is_switched_is_pulled_or_not_within_a_look() -> None:
    """In another process: the store is all that both see."""
    puller = Puller()
    now = clock.now()
    puller.states = {name: FeedState(name, "ok", checked_at=now) for name in ("stays", "goes")}
    async with scheduled(puller, feed("stays"), feed("goes"), feed("comes", enabled=False, why_off="x")) as it:
        planned = it.scheduler.get_job("stays").next_run_time
        puller.states["goes"].switched = False
        puller.states["comes"] = FeedState("comes", switched=True)
        await it.follow()
        assert (await puller.next()).name == "comes"
        await until(lambda: it.scheduler.get_job("comes"))
        assert {job.id for job in it.scheduler.get_jobs()} == {"stays", "comes"}
        assert it.scheduler.get_job("stays").next_run_time == planned
        puller.states["goes"].switched = None
        await it.follow()
        assert it.scheduler.get_job("goes") is not None


async def test_a_look_at_a_store_in_trouble_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    puller = Puller()
    puller.states = {"one": FeedState("one", "ok", checked_at=clock.now())}
    async with scheduled(puller, feed("one"), feed("off", enabled=False, why_off="x")) as it:

        def trouble() -> Mapping[str, FeedState]:
            raise StoreError("the disk is full")

        monkeypatch.setattr(it, "states", trouble)
        await it.follow()
        assert [job.id for job in it.scheduler.get_jobs()] == ["one"]
