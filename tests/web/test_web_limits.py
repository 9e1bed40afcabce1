"""What a key may say, from where and how much; and what is told when it is too much."""

import asyncio
import math
from ipaddress import ip_network

import orjson
import pytest
from website import problem, serving

from dnsbl import clock
from dnsbl.store import KeyLimits
from dnsbl.subjects import parse
from dnsbl.web import commit, models
from dnsbl.web import reports as reporting
from dnsbl.web.clients import public_network, seen_through
from dnsbl.web.quotas import BURST_SECONDS

NDJSON = {"Content-Type": "application/x-ndjson"}
PROXY = "127.0.0.0/8"


async def post(site, headers, path="/v1/reports", **kwargs):
    async with site.client.post(path, headers=headers, **kwargs) as response:
        said = models.ReportsAnswer.model_validate(await response.json(content_type="application/json"))
        return said.model_dump(exclude_none=True)


def lines(count, first=0):
    return b"".join(b'{"subject": "8.%d.%d.7", "time": 1700000000}\n' % divmod(first + n, 250) for n in range(count))


def days(site):
    return [tuple(row) for row in site.app.store.rows("SELECT posts, taken, repeated, rejected FROM key_day")]


def networks(site):
    return {source.name: source.network for source in site.app.store.sources().values()}


# origins


async def test_a_key_is_of_no_use_from_elsewhere(tmp_path):
    async with serving(tmp_path, proxies=[PROXY]) as site:
        limits = KeyLimits(origins=("60.1.2.0/24", "2a01:4f8::/32"))
        headers = site.bearer("report", "read", limits=limits)
        report = {"subject": "8.8.8.7", "time": 1700000000}
        for elsewhere in ("60.1.3.1", "2a02::1", "60.1.2.1, 60.1.3.1", "60.1.2.1, nonsense", "unknown"):
            with_hop = headers | {"X-Forwarded-For": elsewhere}
            await problem(await site.client.post("/v1/reports", json=report, headers=with_hop), 403)
            await problem(await site.client.get("/v1/partner", headers=with_hop), 403)
        await problem(await site.client.post("/v1/reports", json=report, headers=headers), 403)
        assert site.reports() == []
        for home in ("60.1.2.1", "60.1.3.1, 60.1.2.255:4711", "[2a01:4f8::1]:80", "60.1.2.9, 127.0.0.3"):
            await post(site, headers | {"X-Forwarded-For": home}, json=report)
        assert len(site.reports()) == 1


async def test_a_stranger_cannot_say_where_he_is(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report", limits=KeyLimits(origins=("60.1.2.0/24",)))
        said = headers | {"X-Forwarded-For": "60.1.2.1"}
        await problem(await site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=said), 403)


async def test_a_reading_key_from_elsewhere_reads_what_anyone_may(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("read", limits=KeyLimits(origins=("60.1.2.0/24",)))
        async with site.client.get("/v1/subjects/8.8.8.7", headers=headers) as response:
            assert response.status == 200
        assert site.app.store.rows("SELECT last_used FROM key") == [(None,)]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("60.0.0.1", ["61.0.0.1"], "60.0.0.1"),
        ("::ffff:60.0.0.1", [], "60.0.0.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("10.0.0.1", ["61.0.0.1"], "61.0.0.1"),
        ("10.0.0.1", ["62.0.0.1", "61.0.0.1"], "61.0.0.1"),
        ("10.0.0.1", ["62.0.0.1, 61.0.0.1, 10.0.0.2"], "61.0.0.1"),
        ("10.0.0.1", ["61.0.0.1, 300.0.0.1"], None),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], None),
        ("10.0.0.1", ["61.0.0.1" + ", 10.0.0.2" * 5000], None),
        ("10.0.0.1", [], None),
        ("", ["61.0.0.1"], None),
    ],
)
def test_the_client_is_whom_the_last_proxy_saw(peer, forwarded, client):
    found = seen_through(peer, forwarded, [ip_network("10.0.0.0/8")])
    assert (None if found is None else str(found)) == client


# subjects and categories


async def test_what_a_key_may_not_say_is_a_reject_with_a_sentence(tmp_path):
    async with serving(tmp_path) as site:
        limits = KeyLimits(categories=("botnet", "scanner"), about=("8.8.0.0/16", "example.com"))
        rows = [
            {"subject": "8.8.8.7", "category": "botnet"},
            {"subject": "8.8.7.0/24", "category": "scanner"},
            {"subject": "www.example.com", "category": "botnet"},
            {"subject": "8.8.8.7", "category": "spam"},
            {"subject": "8.8.8.7"},
            {"subject": "8.9.8.7", "category": "botnet"},
            {"subject": "8.0.0.0/8", "category": "botnet"},
            {"subject": "other-example.com", "category": "botnet"},
        ]
        for headers, kwargs in (
            ({}, {"json": rows}),
            (NDJSON, {"data": b"\n".join(map(orjson.dumps, rows))}),
        ):
            name = f"p{len(headers)}"
            answer = await post(site, site.bearer("report", name=name, limits=limits) | headers, **kwargs)
            assert (answer["taken"], answer["rejected"]) == (3, 5)
            assert [reject["why"] for reject in answer["rejects"]] == [
                "this key may not report spam",
                "this key may not report spam",
                *["this key may not report on that subject"] * 3,
            ]


async def test_wide_networks_are_taken_and_the_widest_are_not(tmp_path):
    async with serving(tmp_path) as site:
        rows = [{"subject": each} for each in ("60.0.0.0/8", "2a00:2000::/19", "60.0.0.0/7", "2a00::/18")]
        answer = await post(site, site.bearer("report"), json=rows)
        assert answer["taken"] == 2
        assert [reject["why"][:11] for reject in answer["rejects"]] == ["wider than ", "wider than "]
        assert {attempt.subject for attempt in site.app.store.attempts(10)} == {parse("60.0.0.0/7"), parse("2a00::/18")}


async def test_who_claims_what_may_not_be_listed_is_noted(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(site.app.allow, "60.1.2.3", "a customer", None)
        rows = [{"subject": each} for each in ("60.1.2.3", "127.0.0.1", "60.1.2.3", "nonsense", "8.8.8.7")]
        both = [site.bearer("report", name=name) for name in ("one", "two")]
        await asyncio.gather(*(post(site, headers, json=rows) for headers in both))
        noted = {(row.source, row.subject): (row.why, row.count) for row in site.app.store.attempts(100)}
        sources = {source.id for source in site.app.store.sources().values() if source.name in ("one", "two")}
        assert {source for source, _ in noted} == sources
        assert {subject for _, subject in noted} == {parse("60.1.2.3"), parse("127.0.0.1")}
        assert noted[max(sources), parse("60.1.2.3")] == ("exempt: a customer", 1)


async def test_reporters_count_by_network_and_names_are_the_partner(tmp_path):
    async with serving(tmp_path) as site:
        reporters = ["60.1.2.3", "60.1.2.4", "2a01:4f8::1", "trap-17", "jane@example.com", ""]
        rows = [{"subject": "8.8.8.7", "time": 1700000000 + n, "reporter": r} for n, r in enumerate(reporters)]
        await post(site, site.bearer("report"), json=rows)
        kept = site.app.store.rows("SELECT name FROM reporter ORDER BY name")
        assert kept == [("",), ("2a01:4f8::/48",), ("60.1.2.0/24",)]


# quotas


async def test_of_a_stream_what_fits_the_day_is_taken_and_the_rest_is_429(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    async with serving(tmp_path) as site:
        headers = site.bearer("report", limits=KeyLimits(daily=25)) | {"Idempotency-Key": "x"}
        data = b"nonsense\n" + lines(39)
        response = await site.client.post("/v1/reports", data=data, headers=headers | NDJSON)
        said = await problem(response, 429)
        assert (said["taken"], said["rejected"]) == (24, 1)
        assert len(site.reports()) == 24
        assert days(site) == [(1, 24, 0, 1)]
        midnight = clock.DAY - clock.now() % clock.DAY
        assert math.isclose(int(response.headers["Retry-After"]), midnight, abs_tol=5)
        for kwargs in ({"json": {"subject": "9.1.1.1"}}, {"data": b"x", "headers": headers | NDJSON}):
            kwargs.setdefault("headers", headers)
            assert "taken" not in await problem(await site.client.post("/v1/reports", **kwargs), 429)
        assert days(site) == [(1, 24, 0, 1)]
        tomorrow = clock.now() + clock.DAY
        monkeypatch.setattr(clock, "now", lambda: tomorrow)
        answer = await post(site, headers | NDJSON, data=data[-200:])
        assert answer["taken"] + answer["repeated"] + answer["rejected"] > 0


async def test_a_document_takes_what_fits_and_posts_that_come_together_share_the_day(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report", limits=KeyLimits(daily=50))
        rows = [[{"subject": f"8.{m}.{n}.7"} for n in range(20)] for m in range(10)]
        responses = await asyncio.gather(
            *(site.client.post("/v1/reports", json=each, headers=headers) for each in rows)
        )
        said = [await response.json(content_type=None) for response in responses]
        assert sorted(response.status for response in responses) == [200, 200] + [429] * 8
        assert sum(each.get("taken", 0) for each in said) == 50
        assert len(site.reports()) == 50
        assert [sum(day[1:]) for day in days(site)] == [50]


async def test_a_restart_does_not_give_the_day_back(tmp_path):
    async with serving(tmp_path) as site:
        secret = site.key("report", limits=KeyLimits(daily=3))
        await post(site, {"X-Api-Key": secret} | NDJSON, data=lines(3))
    async with serving(tmp_path, settle=False) as site:
        await problem(await site.client.post("/v1/reports", json={}, headers={"X-Api-Key": secret}), 429)


async def test_a_burst_comes_back_with_time(tmp_path):
    async with serving(tmp_path) as site:
        now = 1000.0
        site.state.batcher.quotas.monotonic = lambda: now
        headers = site.bearer("report", limits=KeyLimits(burst=120)) | NDJSON
        assert (await post(site, headers, data=lines(100)))["taken"] == 100
        response = await site.client.post("/v1/reports", data=lines(50, 100), headers=headers)
        said = await problem(response, 429)
        assert said["taken"] == 20
        assert int(response.headers["Retry-After"]) == (50 - 20) * BURST_SECONDS // 120
        response = await site.client.post("/v1/reports", data=lines(1), headers=headers)
        await problem(response, 429)
        now += int(response.headers["Retry-After"])
        assert (await post(site, headers, data=lines(1)))["repeated"] == 1
        now += BURST_SECONDS * 10
        await problem(await site.client.post("/v1/reports", data=lines(200, 1000), headers=headers), 429)
        assert len(site.reports()) == 240


async def test_a_failed_transaction_costs_no_quota(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        headers = site.bearer("report", limits=KeyLimits(daily=2, burst=2))
        count_key = site.app.store.count_key
        monkeypatch.setattr(site.app.store, "count_key", lambda *_: 1 / 0)
        await problem(await site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers), 500)
        monkeypatch.setattr(site.app.store, "count_key", count_key)
        assert site.reports() == []
        assert (await post(site, headers, json={"subject": "8.8.8.7"}))["taken"] == 1
        assert days(site) == [(1, 1, 0, 0)]


# dry runs


async def test_a_dry_run_says_what_would_come_of_it_and_keeps_nothing(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report", limits=KeyLimits(daily=2, burst=8, categories=("spam",)))
        before = site.app.store.rows("PRAGMA data_version"), site.app.store.counts()
        rows = [
            {"subject": "8.8.8.7", "time": 1700000000},
            {"subject": "8.8.8.7", "time": 1700000000},
            {"subject": "127.0.0.1"},
            {"subject": "8.8.8.7", "category": "malware"},
        ]
        for kwargs in ({"json": rows}, {"data": b"\n".join(map(orjson.dumps, rows)), "headers": headers | NDJSON}):
            said = {"headers": headers} | kwargs
            said["headers"] = said["headers"] | {"Idempotency-Key": "x"}
            answer = await post(site, path="/v1/reports?dry_run=1", **said)
            assert (answer["taken"], answer["repeated"], answer["rejected"]) == (1, 1, 2)
            assert answer["dry_run"] is True
            assert [reject["line"] for reject in answer["rejects"]] == [3, 4]
        assert (site.app.store.rows("PRAGMA data_version"), site.app.store.counts()) == before
        assert days(site) == []
        assert site.app.store.attempts(10) == []
        assert site.app.store.rows("SELECT last_used FROM key") == [(None,)]
        assert site.backend.woken == 0
        response = await site.client.post("/v1/reports?dry_run=1", json=rows, headers=headers)
        assert "seconds" in (await problem(response, 429))["detail"], "it counts for the burst"
        for wish in ("yes", "", "2"):
            response = await site.client.post(f"/v1/reports?dry_run={wish}", json=rows, headers=headers)
            await problem(response, 400)


# where a partner posts from


async def test_the_network_that_a_partner_posts_from_is_noted_once(tmp_path, monkeypatch):
    async with serving(tmp_path, proxies=[PROXY]) as site:
        changed = []
        set_source = site.app.store.set_source
        monkeypatch.setattr(site.app.store, "set_source", lambda *a, **k: changed.append(k) or set_source(*a, **k))
        headers = site.bearer("report", simulated=False)
        changed.clear()
        now = clock.now()
        for at, client, noted in (
            (0, "60.1.2.3", "60.1.2.0/24"),
            (10, "60.1.2.99", "60.1.2.0/24"),
            (20, "61.1.2.3", "60.1.2.0/24"),
            (commit.MOVE_EVERY + 1, "61.1.2.3", "61.1.2.0/24"),
            (3 * commit.MOVE_EVERY, "2a01:4f8:1:2::3", "2a01:4f8:1::/48"),
        ):
            monkeypatch.setattr(clock, "now", lambda moment=now + at: moment)
            await post(site, headers | {"X-Forwarded-For": client}, json={"subject": "8.8.8.7"})
            assert networks(site)["partner"] == noted
        assert len(changed) == 3


@pytest.mark.parametrize("client", ["10.1.2.3", "192.0.2.1", "fe80::1", "fd00::1", "100.64.0.1", "169.254.1.1"])
async def test_a_network_that_is_nobodys_is_not_noted(tmp_path, client):
    async with serving(tmp_path, proxies=["127.0.0.0/8"]) as site:
        await post(site, site.bearer("report") | {"X-Forwarded-For": client}, json={"subject": "8.8.8.7"})
        assert networks(site)["partner"] == ""
    assert public_network(None) == ""
