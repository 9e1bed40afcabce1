"""Health, readiness, feeds and metrics."""

import asyncio
import os
import subprocess
import sys
import threading

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from website import problem, serving

from dnsbl import config
from dnsbl.dns.counters import EVENTS, Counters
from dnsbl.errors import StoreError
from dnsbl.exporting.scheduled import Fared
from dnsbl.store import FeedState
from dnsbl.store.base import HINTS
from dnsbl.web import models, readiness, state
from dnsbl.web.readiness import without_path
from dnsbl.zones.publish import Published

SECONDS = 30


async def figures(site):
    """{name: {values of the labels, in the order of the labels' names: value}}"""
    async with site.client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[" ".join(value for _, value in sorted(sample.labels.items()))] = (
                sample.value
            )
    return found


def breaks(*_args, **_kwargs):
    raise StoreError("store /somewhere: damaged")


async def test_healthz_needs_only_a_store_that_can_be_read(tmp_path, monkeypatch):
    async with serving(tmp_path, settle=False) as site:
        async with site.client.get("/healthz") as response:
            assert response.status == 200
            models.Health.model_validate(await response.json())
        with site.app.store.transaction():  # somebody writes
            async with site.client.get("/healthz") as response:
                assert response.status == 200
        monkeypatch.setattr(site.app.store, "change_seq", breaks)
        await problem(await site.client.get("/healthz"), 503)


async def test_readyz_says_which_zone_is_missing(tmp_path):
    async with serving(tmp_path, settle=False) as site:
        async with site.client.get("/readyz") as response:
            assert response.status == 503
            said = models.Readiness.model_validate(await response.json())
        assert [reason.split(":")[0] for reason in said.reasons] == [f"zone {name}" for name in site.app.zones]
        await asyncio.to_thread(site.app.settle)
        async with site.client.get("/readyz") as response:
            assert (response.status, await response.json()) == (200, {"ready": True, "reasons": []})
        (tmp_path / "zones" / "ip" / "current").write_bytes(b"{")
        async with site.client.get("/readyz") as response:
            assert response.status == 503
            assert [r for r in (await response.json())["reasons"] if r.startswith("zone ip: ")]


async def test_readyz_says_that_the_store_takes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "PROBE_EVERY", 0)
    async with serving(tmp_path) as site:
        site.app.store.writer.execute("PRAGMA query_only = 1")
        async with site.client.get("/readyz") as response:
            assert response.status == 503
            assert len((await response.json())["reasons"]) == 1
        site.app.store.writer.execute("PRAGMA query_only = 0")
        async with site.client.get("/readyz") as response:
            assert response.status == 200


async def test_readyz_bears_with_a_busy_store_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(readiness, "PROBE_SECONDS", 0.02)
    async with serving(tmp_path) as site:
        with site.app.store.transaction():
            async with site.client.get("/readyz") as response:
                assert response.status == 200
            monkeypatch.setattr(readiness, "BUSY_SECONDS", 0)
            async with site.client.get("/readyz") as response:
                assert response.status == 503
                assert "taken no change" in (await response.json())["reasons"][0]


async def test_feeds_are_as_the_application_says(tmp_path):
    async with serving(tmp_path) as site:
        feed = next(iter(site.app.feeds.values()))
        hidden = feed.model_copy(update={"url": "https://user:word@feeds.example/list.txt?token=abc"})
        feeds = {**site.app.feeds, feed.name: hidden}
        site.app.settings = site.app.settings.model_copy(update={"feeds": feeds})
        async with site.client.get("/v1/feeds") as response:
            rows = await response.json()
        assert [models.Feed.model_validate(row).name for row in rows] == sorted(site.app.feeds)
        assert {row["url"] for row in rows if row["name"] == feed.name} == {"https://feeds.example/list.txt"}
        async with site.client.get("/v1/feeds", headers=site.bearer("read")) as response:
            assert await response.json() == site.app.feed_status()


async def test_metrics_of_zones_feeds_queue_and_store(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        site.app.store.put_feed_state(FeedState("talos", "failed", good_at=1_700_000_000, entries=7))
        site.app.store.touch([b"4\x08\x08\x08\x08\x20"])
        found = await figures(site)
        assert found["dnsbl_zone_serial"]["ip"] == site.app.served("ip").serial
        assert found["dnsbl_zone_pieces"]["base ip"] >= 1
        assert found["dnsbl_zone_pieces"]["delta ip"] == 0
        assert found["dnsbl_zone_listings"]["ip"] == 0
        assert found["dnsbl_feed_age_seconds"]["talos"] > 10**7
        assert found["dnsbl_feed_entries"] == {"talos": 7}
        states = {label: value for label, value in found["dnsbl_feed_state"].items() if label.startswith("talos ")}
        assert sum(states.values()) == 1
        assert found["dnsbl_touched"][""] == 1
        assert found["dnsbl_store_up"][""] == 1
        monkeypatch.setattr(site.app.store, "touched_count", breaks)
        assert (await figures(site))["dnsbl_store_up"][""] == 0


async def test_metrics_count_reports_requests_and_publishes(tmp_path):
    async with serving(tmp_path) as site:
        rows = [{"subject": "8.8.8.7", "time": 1}, {"subject": "8.8.8.7", "time": 1}, {}]
        await site.client.post("/v1/reports", json=rows, headers=site.bearer("report"))
        await site.client.get("/v1/subjects/8.8.8.8")
        await site.client.get("/v1/subjects/nonsense")
        for _ in range(2):
            await site.client.request("PROPFIND", "/nowhere")
        site.state.metrics.published(Published("ip", 7, True, 5, 100, 0.5))
        site.state.metrics.published(Published("ip", 8, False, 5, 100, 0.25))
        found = await figures(site)
        assert found["dnsbl_reports_total"] == {"taken": 1, "repeated": 1, "rejected": 1}
        requests = found["dnsbl_http_requests_total"]
        assert requests["POST /v1/reports 200"] == 1
        assert requests["GET /v1/subjects/{subject} 200"] == 1
        assert requests["GET /v1/subjects/{subject} 400"] == 1
        assert requests["other none 404"] == 2
        assert found["dnsbl_publishes_total"] == {"whole ip": 1, "delta ip": 1}
        assert found["dnsbl_publish_seconds_total"] == {"whole ip": 0.5, "delta ip": 0.25}


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(SECONDS)
    return process.pid


async def test_metrics_add_up_what_living_dns_processes_wrote(tmp_path, dead):
    counters = Counters()
    for _ in range(3):
        counters.reply("ip", 1, 0, "udp")
    counters.reply("", 16, 5, "tcp")
    counters.malformed, counters.handed, counters.overflowed = 2, 5, 1
    counters.batches = [8, 0, 3, 0, 0, 0, 1, 0]
    counters.transfers_refused["address"] = 4
    said = {**counters.snapshot(), "talkers": [{"client": "192.0.2.77", "queries": 40}]}
    run = tmp_path / "run"
    run.mkdir()
    (run / "dns-1.json").write_bytes(orjson.dumps({"pid": os.getpid(), **said}))
    (run / f"dns-{os.getpid()}.json").write_bytes(orjson.dumps(said))
    (run / f"dns-{dead}.json").write_bytes(orjson.dumps(said))
    (run / "dns-2.json").write_bytes(orjson.dumps({"pid": dead, **said}))
    for name, content in {
        "cut": b'{"replies": [', "list": b"[]", "empty": b"", "words": b'{"pid": "x"}',
        "huge": b'{"pid": 99999999999999999}',
        "odd": orjson.dumps({"pid": os.getpid(), "replies": [{"zone": 1}]}), "none": orjson.dumps({"pid": os.getpid()}),
    }.items():  # fmt: skip
        (run / f"dns-{name}.json").write_bytes(content)
    (run / "dns-directory.json").mkdir()
    async with serving(tmp_path) as site:
        found = await figures(site)
    assert found["dnsbl_dns_replies_total"] == {"NOERROR udp A ip": 6, "REFUSED tcp TXT ": 2}
    events = found["dnsbl_dns_events_total"]
    assert (events["malformed"], events["handed"], events["overflowed"]) == (4, 10, 2)
    assert set(events) == set(EVENTS)
    assert found["dnsbl_dns_batches_total"] == {
        "1": 16, "2-3": 0, "4-7": 6, "8-15": 0, "16-31": 0, "32-63": 0, "64-127": 2, "128-255": 0,
    }  # fmt: skip
    refused = found["dnsbl_transfers_refused_total"]
    assert (refused["address"], refused["signature"]) == (8, 0)
    assert found["dnsbl_dns_processes"][""] == 2


async def test_metrics_tell_no_client(tmp_path):
    """Addresses are personal data, and a label that strangers fill grows without end."""
    run = tmp_path / "run"
    run.mkdir()
    said = {**Counters().snapshot(), "talkers": [{"client": "192.0.2.77", "queries": 40}]}
    (run / f"dns-{os.getpid()}.json").write_bytes(orjson.dumps(said))
    async with serving(tmp_path) as site, site.client.get("/metrics") as response:
        text = await response.text()
    assert "dnsbl_dns_processes 1" in text
    assert "192.0.2.77" not in text
    assert "client" not in text


async def test_metrics_tell_how_far_each_secondary_is(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    rows = [
        {"secondary": "198.51.100.2:53", "zone": "ip", "serial": 9, "acknowledged": 9, "silent_since": None},
        {"secondary": "198.51.100.3:53", "zone": "ip", "serial": 9, "acknowledged": None, "silent_since": 1},
    ]
    (run / f"dns-{os.getpid()}.json").write_bytes(orjson.dumps({**Counters().snapshot(), "secondaries": rows}))
    async with serving(tmp_path) as site:
        found = await figures(site)
    assert found["dnsbl_secondary_told_serial"] == {"198.51.100.2:53 ip": 9, "198.51.100.3:53 ip": 9}
    assert found["dnsbl_secondary_acknowledged_serial"] == {"198.51.100.2:53 ip": 9}
    silent = found["dnsbl_secondary_silent_seconds"]
    assert (silent["198.51.100.2:53 ip"], silent["198.51.100.3:53 ip"] > 0) == (0, True)


async def test_metrics_tell_how_scheduled_exports_fare(tmp_path):
    async with serving(tmp_path) as site:
        site.backend.fared = [Fared("rsync", 1_790_000_000, 0), Fared("mirror#2", None, 3)]
        found = await figures(site)
    assert found["dnsbl_export_success_timestamp_seconds"] == {"rsync": 1_790_000_000}
    assert found["dnsbl_export_failures_total"] == {"rsync": 0, "mirror#2": 3}


async def test_metrics_of_an_older_process_lack_only_what_it_did_not_tell(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    counters = Counters()
    counters.reply("ip", 1, 0, "udp")
    counters.batches = [4, 1]
    new = counters.snapshot()
    old = {key: value for key, value in new.items() if key in ("replies", "by", "malformed")}
    (run / "dns-1.json").write_bytes(orjson.dumps({"pid": os.getpid(), **new}))
    (run / "dns-2.json").write_bytes(orjson.dumps({"pid": os.getpid(), **old}))
    async with serving(tmp_path) as site:
        found = await figures(site)
    assert found["dnsbl_dns_replies_total"] == {"NOERROR udp A ip": 2}
    assert found["dnsbl_dns_batches_total"] == {"1": 4, "2-3": 1}
    assert found["dnsbl_dns_processes"][""] == 2


async def test_two_applications_have_their_own_figures(tmp_path):
    async with serving(tmp_path / "one") as one, serving(tmp_path / "two") as two:
        await one.client.get("/")
        assert "GET / 200" in (await figures(one))["dnsbl_http_requests_total"]
        assert "GET / 200" not in (await figures(two)).get("dnsbl_http_requests_total", {})


async def test_zones_of_a_new_configuration_are_seen(tmp_path):
    async with serving(tmp_path) as site:
        zones = {"ip": site.app.zones["ip"]}
        settings: config.Settings = site.app.settings.model_copy(update={"zones": zones})
        await asyncio.to_thread(site.app.replace, settings)
        async with site.client.get("/v1/zones") as response:
            assert [row["name"] for row in await response.json()] == ["ip"]


async def test_readyz_tells_no_path(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        (tmp_path / "zones" / "ip" / "current").write_bytes(b"{")
        async with site.client.get("/readyz") as response:
            text = await response.text()
        assert "not readable as a pointer" in text
        assert "/" not in text
        monkeypatch.setattr(site.state.book, "facts", breaks)
        async with site.client.get("/readyz") as response:
            assert await response.json() == {"ready": False, "reasons": ["the store: damaged"]}


@pytest.mark.parametrize("hint", HINTS.values())
def test_what_to_do_about_the_store_is_told_whole(hint):
    assert without_path(f"store /var/lib/dnsbl/store.sqlite: {hint}") == hint


async def test_dear_look_ups_hold_up_neither_health_nor_keys_and_queue_only_so_far(tmp_path, monkeypatch):
    go = threading.Event()

    def dear(_subject):
        go.wait(30)
        raise StoreError("gone")

    async with serving(tmp_path) as site:
        monkeypatch.setattr(state, "MAX_READS", 12)
        monkeypatch.setattr(site.app, "check", dear)
        headers = site.bearer("report")
        paths = ["/v1/subjects/8.8.8.8", "/lookup?q=8.8.8.8"] * 6
        try:
            asked = [asyncio.create_task(site.client.get(path)) for path in paths]
            async with asyncio.timeout(SECONDS):
                while site.state.threads.reading < 12:
                    await asyncio.sleep(0)
            for path in ("/healthz", "/readyz"):
                async with site.client.get(path) as response:
                    assert response.status == 200
            async with site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers) as response:
                assert (await response.json())["taken"] == 1
            for path in ("/v1/subjects/8.8.8.8", "/v1/feeds", "/metrics"):
                response = await site.client.get(path)
                await problem(response, 503)
                assert int(response.headers["Retry-After"]) > 0
            async with site.client.get("/lookup?q=8.8.8.8") as response:
                assert (response.status, response.content_type) == (503, "text/html")
                assert response.headers["Retry-After"]
        finally:
            go.set()
        statuses = [response.status for response in await asyncio.gather(*asked)]
        assert statuses == [503, 200] * 6  # a page is answered from what is published
        assert site.state.threads.reading == 0


REASONS = {
    "file:feeds/own list.txt: it cannot be read (No such file or directory)": False,
    "file:///srv/feeds/own.txt: not a plain file": False,
    "it cannot be read: /srv/feeds/own.txt": False,
    "see '~/lists/own.txt' or ../own.txt": False,
    "https://feeds.example/list.txt: status 404 instead of content; check its url": True,
    "3 of 4 lines were refused, the first on line 3 (wider than /16: needs an operator)": True,
    "non-commercial use and/or resale": True,
    "": True,
}


@pytest.mark.parametrize(("reason", "told"), REASONS.items())
async def test_the_reason_of_a_feed_tells_strangers_no_path(tmp_path, reason, told):
    async with serving(tmp_path) as site:
        site.app.store.put_feed_state(FeedState("own", "failed", reason))
        for path in ("/v1/feeds", "/status"):
            async with site.client.get(path) as response:
                text = await response.text()
            assert (reason.replace("'", "&#39;") in text) == told
            assert "own" in text
            assert "/own.txt" not in text
        async with site.client.get("/v1/feeds", headers=site.bearer("read")) as response:
            assert reason in [row["reason"] for row in await response.json()]


async def test_strangers_are_shown_the_most_frequent_words_of_a_feed(tmp_path):
    words = {f"word-{number:03}": number for number in range(100)}
    async with serving(tmp_path) as site:
        site.app.store.put_feed_state(FeedState("own", "ok", unmapped=words))

        async def shown(headers):
            async with site.client.get("/v1/feeds", headers=headers) as response:
                return next(row["unmapped"] for row in await response.json() if row["name"] == "own")

        assert await shown({}) == {f"word-{number:03}": number for number in range(80, 100)}
        assert await shown(site.bearer("report", name="r")) == await shown({})
        assert await shown(site.bearer("read")) == words
