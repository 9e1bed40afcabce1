"""A feed that a person wants now: noted in the store, and pulled at the schedule's next look."""

from __future__ import annotations

import asyncio

from test_schedule import Puller, by_name, feed

from dnsbl import clock
from dnsbl.errors import StoreError
from dnsbl.intake.schedule import Schedule
from dnsbl.intake.wanted import take_wanted, want_pull
from dnsbl.store import FeedState

SECONDS = 30


def test_a_note_is_taken_once_however_often_it_was_made(app):
    assert take_wanted(app.store) == []
    for name in ("b", "a", "b"):
        want_pull(app.store, name)
    assert take_wanted(app.store) == ["a", "b"]
    assert take_wanted(app.store) == []


async def test_the_schedule_pulls_what_is_wanted_and_is_on():
    puller, wanted = Puller(), ["one", "nobody", "off"]
    feeds = by_name(feed("one"), feed("off", enabled=False, why_off="not free"))
    puller.states = {name: FeedState(name, "ok", checked_at=clock.now(), good_at=clock.now()) for name in feeds}
    schedule = Schedule(puller.pull, lambda: puller.states, lambda: wanted)
    schedule.start(feeds)
    try:
        await schedule.follow()
        async with asyncio.timeout(SECONDS):
            assert (await puller.begun.get()).name == "one"
    finally:
        schedule.close()
    assert puller.begun.empty()


async def test_a_store_that_cannot_be_read_stops_no_schedule():
    def wanted():
        raise StoreError("locked")

    schedule = Schedule(Puller().pull, dict, wanted)
    schedule.start({})
    try:
        await schedule.follow()
    finally:
        schedule.close()
