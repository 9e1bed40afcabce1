"""What the API says can be asked about again for the price of a header."""

from __future__ import annotations

from pathlib import Path

from removal_site import HOST, listed_site, report_now
from website import serving


async def test_unchanged_is_304_and_changed_is_not(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        async with site.client.get(f"/v1/subjects/{HOST}") as response:
            tag = response.headers["ETag"]
        async with site.client.get(f"/v1/subjects/{HOST}", headers={"If-None-Match": f'"other", {tag}'}) as response:
            assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", tag)
        report_now(site, HOST)
        async with site.client.get(f"/v1/subjects/{HOST}", headers={"If-None-Match": tag}) as response:
            assert response.status == 200
            assert response.headers["ETag"] != tag


async def test_refusals_and_challenges_have_none(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        for path in ("/v1/subjects/not..a..name", "/v1/challenge", "/v1/partner"):
            async with site.client.get(path, headers={"If-None-Match": "*"}) as response:
                assert response.status != 304
                assert "ETag" not in response.headers
