"""GET /v1/zones."""

import asyncio

from exporting_site import publish_some
from website import problem, serving

from dnsbl.web import models


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
        headers = site.bearer("read")
        for what in ("export?format=bind", "manifest?format=bind", "export.minisig?format=bind", "delta?since=1"):
            await problem(await site.client.get(f"/v1/zones/ip/{what}", headers=headers), 503)
        await problem(await site.client.get("/v1/zones/ip/snapshot", headers=headers), 404)
