"""An Idempotency-Key makes a post safe to send again."""

import asyncio
import gzip

import orjson
from website import problem, serving

from dnsbl.web import reports as reporting

NDJSON = {"Content-Type": "application/x-ndjson"}
SECONDS = 30


async def post(site, headers, **kwargs):
    async with site.client.post("/v1/reports", headers=headers, **kwargs) as response:
        assert response.status == 200, await response.text()
        return await response.json(), response.headers.get("Idempotency-Replayed")


async def test_a_repeat_gets_the_first_answer_and_nothing_is_taken_again(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "abc"}
        first = await post(site, headers, json=[{"subject": "8.8.8.7"}, {"subject": "10.0.0.1"}])
        assert first[0]["taken"] == first[0]["rejected"] == 1
        assert first[1] is None
        kept = site.reports()
        again = await post(site, headers, json=[{"subject": "8.8.8.7"}, {"subject": "10.0.0.1"}])
        assert again == (first[0], "true")
        assert site.reports() == kept
        assert site.backend.woken == 1


async def test_another_body_under_the_same_key_is_refused(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "abc"}
        await post(site, headers, json={"subject": "8.8.8.7"})
        for changed in (
            {"json": {"subject": "8.8.9.8"}},
            {"data": b'{"subject": "8.8.8.7"}', "headers": headers | NDJSON},
        ):
            changed.setdefault("headers", headers)
            await problem(await site.client.post("/v1/reports", **changed), 422)
        assert len(site.reports()) == 1


async def test_the_same_key_of_another_partner_is_another_key(tmp_path):
    async with serving(tmp_path) as site:
        for name in ("one", "two"):
            headers = site.bearer("report", name=name) | {"Idempotency-Key": "abc"}
            answer, again = await post(site, headers, json={"subject": f"8.8.8.{len(name)}", "category": name})
            assert (answer["taken"], again) == (1, None)


async def test_twins_that_come_together_are_taken_once(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "twin"}
        answers = await asyncio.gather(*(post(site, headers, json={"subject": "8.8.8.7"}) for _ in range(8)))
        assert [answer["taken"] for answer, _ in answers] == [1] * 8
        assert sorted(str(again) for _, again in answers) == ["None"] + ["true"] * 7
        assert len(site.reports()) == 1
        assert site.state.twins.locks == {}


async def test_a_twin_in_another_process_is_taken_once(tmp_path):
    async with serving(tmp_path) as site, serving(tmp_path, settle=False) as other:
        headers = site.bearer("report") | {"Idempotency-Key": "twin"}
        answers = await asyncio.gather(
            *(post(each, headers, json={"subject": "8.8.8.7"}) for each in (site, other, site, other))
        )
        assert [answer["taken"] for answer, _ in answers] == [1] * 4
        assert len(site.reports()) == 1


async def test_a_twin_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "TWIN_SECONDS", 0.05)
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "slow"}
        started, go = asyncio.Event(), asyncio.Event()

        async def slowly():
            yield b'{"subject": "8.8.8.7"}\n'
            started.set()
            await go.wait()

        first = asyncio.create_task(post(site, headers | NDJSON, data=slowly()))
        async with asyncio.timeout(SECONDS):
            await started.wait()
            while not site.state.twins.locks:
                await asyncio.sleep(0)
        await problem(await site.client.post("/v1/reports", json={}, headers=headers), 409)
        go.set()
        assert (await first)[0]["taken"] == 1


async def test_a_stream_of_several_parts_is_remembered_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    lines = b"".join(b'{"subject": "8.8.%d.7"}\n' % n for n in range(30)) + b"nonsense"
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Idempotency-Key": "stream"}
        first, _ = await post(site, headers, data=lines)
        assert (first["taken"], first["rejects"]) == (30, [{"line": 31, "why": "not JSON"}])
        assert await post(site, headers, data=lines) == (first, "true")
        packed = headers | {"Content-Encoding": "gzip"}
        assert await post(site, packed, data=gzip.compress(lines)) == (first, "true")
        await problem(await site.client.post("/v1/reports", data=lines + b"\n", headers=headers), 422)


async def test_a_stream_that_ends_with_a_part_is_remembered_too(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "LINES_AT_ONCE", 10)
    lines = b"".join(b'{"subject": "8.8.%d.7"}\n' % n for n in range(20))
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Idempotency-Key": "stream"}
        first, _ = await post(site, headers, data=lines)
        assert first["taken"] == 20
        assert await post(site, headers, data=lines) == (first, "true")


async def test_what_failed_is_not_remembered(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | {"Idempotency-Key": "x", "Content-Type": "application/json"}
        await problem(await site.client.post("/v1/reports", data=b"{", headers=headers), 400)
        answer, again = await post(site, headers, data=orjson.dumps({"subject": "8.8.8.7"}))
        assert (answer["taken"], again) == (1, None)


async def test_an_idempotency_key_that_is_none_is_refused(tmp_path):
    async with serving(tmp_path) as site:
        for key in ("x" * 256, "", "é"):
            headers = site.bearer("report", name=f"n{len(key.encode())}") | {"Idempotency-Key": key}
            await problem(await site.client.post("/v1/reports", json={}, headers=headers), 400)


async def test_a_remembered_answer_is_short_however_many_rejects_it_had(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report") | NDJSON | {"Idempotency-Key": "small"}
        first, _ = await post(site, headers, data=b"x\n" * 1000)
        assert (first["rejected"], len(first["rejects"])) == (1000, 1000)
        again, replayed = await post(site, headers, data=b"x\n" * 1000)
        assert replayed == "true"
        assert again == first | {"rejects": first["rejects"][:20]}
        [(kept,)] = site.app.store.rows("SELECT length(answer) FROM idempotency")
        assert kept < 1000
