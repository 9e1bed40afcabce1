"""POST /v1/complaints: the HTTP side. What is in a complaint is looked at elsewhere."""

import asyncio
import gzip
import io

import pytest
from website import problem, serving

from dnsbl import clock
from dnsbl.errors import IntakeError, StoreError
from dnsbl.intake.complaints import Claim, Complaint
from dnsbl.store import KeyLimits
from dnsbl.web import complaints, models, state

MAIL = {"Content-Type": "message/rfc822"}
SECONDS = 30


class Complaints:
    """Stands in for what looks into them: three claims in each that no other made, the last about nobody's network."""

    def __init__(self, monkeypatch):
        self.got = []
        self.raises = None
        monkeypatch.setattr(complaints, "parse_complaint", self.parse)

    def parse(self, data, now):
        self.got.append(data)
        if self.raises:
            raise self.raises
        subjects = (f"46.0.{len(self.got)}.1", f"46.0.{len(self.got)}.2", "127.0.0.1")
        return [Complaint("arf", [Claim(subject, "spam", now, "") for subject in subjects])]


async def post(site, headers, data):
    async with site.client.post("/v1/complaints", data=data, headers=headers) as response:
        assert response.status == 200, await response.text()
        return models.ComplaintAnswer.model_validate(await response.json(content_type="application/json")).model_dump()


@pytest.mark.parametrize("kind", complaints.KINDS)
async def test_a_complaint_is_handed_on_as_it_is_and_answered_with_its_counts(tmp_path, monkeypatch, kind):
    async with serving(tmp_path) as site:
        stub = Complaints(monkeypatch)
        headers = site.bearer("report", name="acme")
        data = bytes(range(256)) * 3000
        answer = await post(site, headers | {"Content-Type": kind}, data)
        assert (answer["format"], answer["taken"], answer["rejected"]) == ("arf", 2, 1)
        packed = headers | {"Content-Type": kind, "Content-Encoding": "gzip"}
        await post(site, packed, gzip.compress(data))
        assert stub.got == [data] * 2
        assert {row[1] for row in site.reports()} == {"acme"}
        assert site.backend.woken == 2
        assert site.app.store.rows("SELECT posts, taken, repeated, rejected FROM key_day") == [(2, 4, 0, 2)]


async def test_refusals_of_complaints_say_why(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        stub = Complaints(monkeypatch)
        headers = site.bearer("report")
        client = site.client
        await problem(await client.post("/v1/complaints", data=b"x", headers=MAIL), 401)
        reads = site.bearer("read", name="reads")
        await problem(await client.post("/v1/complaints", data=b"x", headers=MAIL | reads), 403)
        response = await client.post("/v1/complaints", data=b"x", headers=headers | {"Content-Type": "text/plain"})
        await problem(response, 415)
        assert "message/rfc822" in response.headers["Accept-Post"]
        await problem(await client.post("/v1/complaints", data=b"", headers=headers | MAIL), 400)
        assert stub.got == []
        for error, status in ((IntakeError("not a complaint"), 400), (StoreError("full"), 503), (ValueError("x"), 500)):
            stub.raises = error
            said = await problem(await client.post("/v1/complaints", data=b"x", headers=headers | MAIL), status)
            assert "ValueError" not in said["detail"]
        assert site.state.threads.complaining == site.state.uploads.active == site.state.uploads.held == 0
        assert site.backend.woken == 0


async def test_a_large_complaint_is_refused_packed_or_not(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        stub = Complaints(monkeypatch)
        headers = site.bearer("report") | MAIL
        large = b"\0" * (complaints.MAX_COMPLAINT + 1)
        for data, coding in ((io.BytesIO(large), {}), (gzip.compress(large), {"Content-Encoding": "gzip"})):
            response = await site.client.post("/v1/complaints", data=data, headers=headers | coding)
            await problem(response, 413)
        assert stub.got == []


async def test_a_complaint_that_does_not_fit_the_day_is_refused_whole(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        headers = site.bearer("report", limits=KeyLimits(daily=4)) | MAIL
        await post(site, headers, b"x")
        before = site.reports()
        response = await site.client.post("/v1/complaints", data=b"x", headers=headers)
        assert "nothing of this was taken" in (await problem(response, 429))["detail"]
        assert int(response.headers["Retry-After"]) > 0
        assert site.reports() == before
        assert site.app.store.rows("SELECT posts, taken, repeated, rejected FROM key_day") == [(1, 2, 0, 1)]


async def test_complaints_and_reports_spend_one_burst(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        site.state.batcher.quotas.monotonic = lambda: 0.0  # nothing of a burst comes back meanwhile
        headers = site.bearer("report", limits=KeyLimits(burst=5))
        await post(site, headers | MAIL, b"x")
        await problem(await site.client.post("/v1/complaints", data=b"x", headers=headers | MAIL), 429)
        for status in (200, 200, 429):
            async with site.client.post("/v1/reports", json={"subject": "8.8.8.7"}, headers=headers) as response:
                assert response.status == status


@pytest.mark.parametrize("limits", [KeyLimits(daily=2), KeyLimits(burst=2)])
async def test_a_complaint_that_never_fits_is_not_told_to_come_again(tmp_path, monkeypatch, limits):
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        headers = site.bearer("report", limits=limits) | MAIL
        response = await site.client.post("/v1/complaints", data=b"x", headers=headers)
        assert "this key may send 2" in (await problem(response, 413))["detail"]
        assert "Retry-After" not in response.headers
        assert site.reports() == []


async def test_the_network_that_a_complaint_comes_from_is_noted(tmp_path, monkeypatch):
    async with serving(tmp_path, proxies=["127.0.0.0/8"]) as site:
        Complaints(monkeypatch)
        headers = site.bearer("report", name="acme") | MAIL
        await post(site, headers | {"X-Forwarded-For": "60.1.2.3"}, b"x")
        [network] = [source.network for source in site.app.store.sources().values() if source.name == "acme"]
        assert network == "60.1.2.0/24"
        later = clock.now() + 10
        monkeypatch.setattr(clock, "now", lambda: later)
        await post(site, headers | {"X-Forwarded-For": "61.1.2.3"}, b"x")
        [network] = [source.network for source in site.app.store.sources().values() if source.name == "acme"]
        assert network == "60.1.2.0/24", "it is moved no more often than reports are"


async def test_what_a_key_may_not_say_it_may_not_complain_either(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        headers = site.bearer("report", limits=KeyLimits(categories=("phishing",))) | MAIL
        answer = await post(site, headers, b"x")
        assert (answer["taken"], answer["rejected"]) == (0, 3)


async def test_too_many_complaints_at_once_are_told_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "MAX_COMPLAINTS", 2)
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        headers = site.bearer("report") | MAIL
        with site.app.store.transaction():  # so that their counting waits
            waiting = [asyncio.create_task(post(site, headers, b"x")) for _ in range(2)]
            async with asyncio.timeout(SECONDS):
                while site.state.threads.complaining < 2:
                    await asyncio.sleep(0)
            await problem(await site.client.post("/v1/complaints", data=b"x", headers=headers), 503)
        assert [answer["taken"] for answer in await asyncio.gather(*waiting)] == [2, 2]


async def test_complaints_are_among_the_reports_that_monitors_see(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        Complaints(monkeypatch)
        await post(site, site.bearer("report") | MAIL, b"x")
        async with site.client.get("/metrics") as response:
            text = await response.text()
        assert 'dnsbl_reports_total{result="taken"} 2.0' in text
        assert 'dnsbl_reports_total{result="rejected"} 1.0' in text
