"""GET /v1/zones and exports."""

import asyncio
import threading

import pytest
from website import problem, serving

from dnsbl.subjects import parse
from dnsbl.web import models, zones
from dnsbl.zones.export import FORMATS, export


def publish_some(site, count=5):
    source = site.app.store.source("list", "import", trust=0.9)
    hits = {parse(f"8.8.{n // 250}.{n % 250}"): 1 for n in range(count)}
    site.app.store.replace_entries(source.id, hits, {}, "spam", 1700000000)
    site.app.settle()


async def test_zones_tell_where_to_ask_and_what_is_answered(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site)
        async with site.client.get("/v1/zones") as response:
            rows = {row["name"]: models.Zone.model_validate(row) for row in await response.json()}
        assert list(rows) == list(site.app.zones)
        ip = rows["ip"]
        assert (ip.origin, ip.kind, ip.listed) == ("ip.dnsbl.test", "ip", 5)
        assert ip.serial == site.app.served("ip").serial
        assert ip.made_at and ip.made_at.endswith("Z")
        assert {code.code for code in ip.codes} == {code.code for code in site.app.zones["ip"].codes}


async def test_a_zone_that_is_not_published_has_no_serial(tmp_path):
    async with serving(tmp_path, settle=False) as site:
        async with site.client.get("/v1/zones") as response:
            assert {row["serial"] for row in await response.json()} == {None}
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        await problem(await site.client.get(url, headers=site.bearer("read")), 503)


@pytest.mark.parametrize("format", FORMATS)
async def test_an_export_is_what_the_exporter_makes_and_is_not_sent_twice(tmp_path, format):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 2000)
        headers = site.bearer("read")
        url = f"/v1/zones/ip/export?format={format}"
        async with site.client.get(url, headers=headers) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == FORMATS[format].content_type
            assert response.headers["Content-Disposition"] == f'attachment; filename="ip{FORMATS[format].suffix}"'
            assert await response.read() == b"".join(export(site.app.served("ip"), format))
            tag = response.headers["ETag"]
        async with site.client.head(url, headers=headers) as response:
            assert (response.status, response.headers["ETag"]) == (200, tag)
        for known in (tag, f'"old", W/{tag}', "*"):
            async with site.client.get(url, headers=headers | {"If-None-Match": known}) as response:
                assert (response.status, response.headers["ETag"], await response.read()) == (304, tag, b"")
        for other in ('"old"', "nonsense", "W/", f'"{tag}'):
            async with site.client.head(url, headers=headers | {"If-None-Match": other}) as response:
                assert response.status == 200
        site.app.settle(force=["ip"])
        async with site.client.get(url, headers=headers | {"If-None-Match": tag}) as response:
            assert response.status == 200
            assert response.headers["ETag"] != tag


async def test_an_export_needs_a_key_a_zone_and_a_format(tmp_path):
    async with serving(tmp_path) as site:
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        await problem(await site.client.get(url), 401)
        await problem(await site.client.get(url, headers=site.bearer("report", name="r")), 403)
        headers = site.bearer("read")
        await problem(await site.client.get(url.replace("/ip/", "/none/"), headers=headers), 404)
        await problem(await site.client.get(url.replace("/ip/", "/..%2Fip/"), headers=headers), 404)
        for bad in ("/v1/zones/ip/export", "/v1/zones/ip/export?format=exe"):
            assert next(iter(FORMATS)) in (await problem(await site.client.get(bad, headers=headers), 400))["detail"]


async def test_the_server_answers_others_while_it_exports(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(_view, _format):
            yield b"first"
            asyncio.run_coroutine_threadsafe(asked.wait(), loop).result(10)
            yield b"last"

        monkeypatch.setattr(zones, "export", slow)
        monkeypatch.setattr(zones, "PIECE", 1)
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        async with site.client.get(url, headers=headers) as response:
            assert await response.content.readany() == b"first"
            async with site.client.get("/healthz") as other:
                assert other.status == 200
            asked.set()
            assert await response.read() == b"last"


async def test_an_export_that_fails_half_way_does_not_look_complete(tmp_path, monkeypatch, caplog):
    from aiohttp import ClientError

    def broken(_view, _format):
        yield b"first"
        raise RuntimeError("a mistake")

    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        monkeypatch.setattr(zones, "export", broken)
        monkeypatch.setattr(zones, "PIECE", 1)
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        with pytest.raises(ClientError):
            async with site.client.get(url, headers=headers) as response:
                await response.read()
        assert len([record for record in caplog.records if record.exc_info]) == 1
        assert not site.state.exports


async def test_more_exports_than_there_is_room_for_are_503(tmp_path, monkeypatch):
    monkeypatch.setattr(zones, "MAX_EXPORTS", 0)
    async with serving(tmp_path) as site:
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        response = await site.client.get(url, headers=site.bearer("read"))
        await problem(response, 503)
        assert response.headers["Retry-After"]


async def test_one_key_has_half_of_the_room_for_exports(tmp_path, monkeypatch):
    monkeypatch.setattr(zones, "MAX_EXPORTS", 4)
    monkeypatch.setattr(zones, "PIECE", 1)
    go = threading.Event()

    def slow(_view, _format):
        yield b"first"
        go.wait(30)
        yield b"last"

    async with serving(tmp_path) as site:
        greedy, other = site.bearer("read", name="greedy"), site.bearer("read", name="other")
        url = f"/v1/zones/ip/export?format={next(iter(FORMATS))}"
        monkeypatch.setattr(zones, "export", slow)
        try:
            held = [await site.client.get(url, headers=greedy) for _ in range(2)]
            response = await site.client.get(url, headers=greedy)
            assert "with this key" in (await problem(response, 503))["detail"]
            assert response.headers["Retry-After"]
            held += [await site.client.get(url, headers=other)]
        finally:
            go.set()
        for response in held:
            assert (response.status, await response.read()) == (200, b"firstlast")
        assert (await site.client.head(url, headers=greedy)).status == 200
        assert not site.state.exports
