"""POST /v1/complaints: the HTTP side. What is in a complaint is looked at elsewhere."""

import asyncio
import gzip
import io

import pytest
from website import problem, serving

from dnsbl.errors import IntakeError, StoreError
from dnsbl.store import KeyLimits
from dnsbl.web import complaints, models, state

MAIL = {"Content-Type": "message/rfc822"}
SECONDS = 30


class Complaints:
    """Stands in for what looks into them."""

    def __init__(self, site, monkeypatch):
        self.got = []
        self.raises = None
        monkeypatch.setattr(site.app, "complain", self.complain)

    def complain(self, source, data, at):
        self.got.append((source, data))
        if self.raises:
            raise self.raises
        return {
            "kind": "complaints", "format": "arf", "taken": 2, "repeated": 0, "rejected": 1,
            "rejects": [{"line": 1, "why": "exempt"}], "why": [],
        }  # fmt: skip


async def post(site, headers, data):
    async with site.client.post("/v1/complaints", data=data, headers=headers) as response:
        assert response.status == 200, await response.text()
        return models.ComplaintAnswer.model_validate(await response.json(content_type="application/json")).model_dump()


@pytest.mark.parametrize("kind", complaints.KINDS)
async def test_a_complaint_is_handed_on_as_it_is_and_answered_with_its_counts(tmp_path, monkeypatch, kind):
    async with serving(tmp_path) as site:
        stub = Complaints(site, monkeypatch)
        headers = site.bearer("report", name="acme")
        data = bytes(range(256)) * 3000
        answer = await post(site, headers | {"Content-Type": kind}, data)
        assert (answer["format"], answer["taken"], answer["rejected"]) == ("arf", 2, 1)
        packed = headers | {"Content-Type": kind, "Content-Encoding": "gzip"}
        await post(site, packed, gzip.compress(data))
        [source] = [source.id for source in site.app.store.sources().values() if source.name == "acme"]
        assert stub.got == [(source, data)] * 2
        assert site.backend.woken == 2
        assert site.app.store.rows("SELECT posts, taken, repeated, rejected FROM key_day") == [(2, 4, 0, 2)]


async def test_refusals_of_complaints_say_why(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        stub = Complaints(site, monkeypatch)
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
        stub = Complaints(site, monkeypatch)
        headers = site.bearer("report") | MAIL
        large = b"\0" * (complaints.MAX_COMPLAINT + 1)
        for data, coding in ((io.BytesIO(large), {}), (gzip.compress(large), {"Content-Encoding": "gzip"})):
            response = await site.client.post("/v1/complaints", data=data, headers=headers | coding)
            await problem(response, 413)
        assert stub.got == []


async def test_complaints_count_for_the_quota(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        Complaints(site, monkeypatch)
        headers = site.bearer("report", limits=KeyLimits(daily=4)) | MAIL
        await post(site, headers, b"x")
        await post(site, headers, b"x")
        response = await site.client.post("/v1/complaints", data=b"x", headers=headers)
        await problem(response, 429)
        assert int(response.headers["Retry-After"]) > 0


async def test_too_many_complaints_at_once_are_told_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "MAX_COMPLAINTS", 2)
    async with serving(tmp_path) as site:
        Complaints(site, monkeypatch)
        headers = site.bearer("report") | MAIL
        with site.app.store.transaction():  # so that their counting waits
            waiting = [asyncio.create_task(post(site, headers, b"x")) for _ in range(2)]
            async with asyncio.timeout(SECONDS):
                while site.state.threads.complaining < 2:
                    await asyncio.sleep(0)
            await problem(await site.client.post("/v1/complaints", data=b"x", headers=headers), 503)
        assert [answer["taken"] for answer in await asyncio.gather(*waiting)] == [2, 2]
