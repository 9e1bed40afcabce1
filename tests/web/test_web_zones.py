"""GET /v1/zones."""

import asyncio

import pytest
from exporting_site import publish_some
from website import problem, serving

from dnsbl import clock
from dnsbl.config import ZoneDef
from dnsbl.web import models
from dnsbl.zones.followed import Followed, write_followed
from dnsbl.zones.served import zone_directory

NOW = clock.now()
PRIMARY, WHY = "198.51.100.1:53", "198.51.100.1:53: no answer"


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


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (None, "new"), (Followed(0, 0, "", WHY), "failed"), (Followed(NOW, 7, PRIMARY), "ok"),
        (Followed(NOW, 7, PRIMARY, WHY), "failed"), (Followed(1, 7, PRIMARY, WHY), "expired"),
    ],
)  # fmt: skip
async def test_a_zone_that_is_followed_tells_how_that_goes(tmp_path, known, state):
    """Who the primary is, which errors name, is for those who may read."""
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site)
        del site.app.publishers["ip"]
        site.app.store.listing_count = lambda _: 0  # they are not in this store
        if known:
            write_followed(zone_directory(site.app.data_dir, "ip"), known)
        for headers in ({}, site.bearer("read")):
            async with site.client.get("/v1/zones", headers=headers) as response:
                rows = {row["name"]: models.Zone.model_validate(row) for row in await response.json()}
            assert rows["domain"].followed is None and rows["ip"].listed == 5
            found = rows["ip"].followed
            assert found and (found.state, bool(found.refreshed_at)) == (state, bool(known and known.refreshed))
            told = (known.source or None, known.error or None) if headers and known else (None, None)
            assert (found.primary, found.error) == told
            async with site.client.get("/status", headers=headers) as response:
                text = await response.text()
            assert "Zones taken from elsewhere" in text and f'class="state {state}"' in text
            assert (WHY in text) == bool(headers and known and known.error)
            assert ("Everything is up" in text) == (state != "expired")


async def test_a_zone_that_ends_says_so_on_every_page_and_in_json(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site)
        ended = ZoneDef.model_validate({**site.app.zones["ip"].model_dump(), "shutdown": True})
        site.app.replace(site.app.settings.model_copy(update={"zones": {**site.app.zones, "ip": ended}}))
        await asyncio.to_thread(site.app.settle)
        async with site.client.get("/v1/zones") as response:
            rows = {row["name"]: models.Zone.model_validate(row) for row in await response.json()}
        assert [name for name, row in rows.items() if row.shutdown] == ["ip"]
        assert rows["ip"].listed == 0
        for page in ("/", "/data", "/criteria"):
            async with site.client.get(page) as response:
                cards = (await response.text()).split('id="zone-')
            assert [card.partition('"')[0] for card in cards if "is shut down and lists nothing" in card] == ["ip"]


async def test_a_zone_that_is_not_published_has_no_serial(tmp_path):
    async with serving(tmp_path, settle=False) as site:
        async with site.client.get("/v1/zones") as response:
            assert {row["serial"] for row in await response.json()} == {None}
        headers = site.bearer("read")
        for what in ("export?format=bind", "manifest?format=bind", "export.minisig?format=bind", "delta?since=1"):
            await problem(await site.client.get(f"/v1/zones/ip/{what}", headers=headers), 503)
        await problem(await site.client.get("/v1/zones/ip/snapshot", headers=headers), 404)
