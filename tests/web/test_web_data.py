"""/data: what it says works as it stands."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from website import serving

from dnsbl.zones.export import of_kind


async def test_every_zone_has_its_formats_and_the_commands_are_true(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        async with site.client.get("/data") as response:
            assert response.status == 200
            text = unescape(await response.text())
        for name, zone in site.app.zones.items():
            card = text.partition(f'id="zone-{name}"')[2].partition("</section>")[0]
            assert re.findall(r'<th scope="row"><code>([^<]+)', card) == of_kind(zone.kind)
        addresses = re.findall(r"'(http[^']+)'", text)
        assert len(addresses) == 3
        for address in addresses:
            async with site.client.get(address, headers=site.bearer("read", name=address)) as response:
                assert response.status == 200, address
        async with site.client.get("/v1/signing-key") as response:
            assert (await response.text()).splitlines()[-1] in text


async def test_without_anything_published_it_is_there(tmp_path: Path) -> None:
    async with serving(tmp_path, settle=False) as site, site.client.get("/data") as response:
        assert response.status == 200
        assert "since=SERIAL" in await response.text()
