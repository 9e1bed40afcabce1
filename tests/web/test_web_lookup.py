"""The look-up page, for the person who is listed; and what it still says when the rest has failed."""

import asyncio
from types import SimpleNamespace

from test_web_pages import page
from test_web_subjects import SECRET_NAMES, listed
from website import serving

from dnsbl import clock
from dnsbl.errors import StoreError
from dnsbl.model import Report
from dnsbl.subjects import parse


async def words(site, path, status=200):
    return " ".join((await page(site, path, status)).text.split())


async def test_who_is_listed_reads_where_since_when_why_and_what_to_do(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        shown = await page(site, "/lookup?q=8.8.8.7")
        said = " ".join(shown.text.split())
        assert "Listed in ip.dnsbl.test." in said
        assert "Listed since " in said
        assert "127.0.0.2" in said
        assert "Unsolicited bulk mail." in said
        assert "First seen on " in said
        assert "a spam trap" in said
        assert "a partner" in said
        assert "Stop the spam where it starts" in said
        assert {"/delist?q=8.8.8.7", "/criteria", "mailto:hostmaster@dnsbl.test"} <= set(shown.links)
        assert not [name for name in SECRET_NAMES if name in said]


async def test_what_is_not_listed_is_not_offered_removal(tmp_path):
    async with serving(tmp_path) as site:
        shown = await page(site, "/lookup?q=45.1.1.1")
        assert "Not listed as bad in any zone" in " ".join(shown.text.split())
        assert not [link for link in shown.links if link.startswith("/delist?")]
        assert "What to mend first" not in shown.text


async def test_the_most_urgent_thing_to_mend_comes_first(tmp_path):
    async with serving(tmp_path) as site:
        source = site.app.store.source("acme", "partner", trust=0.9)
        claims = [Report(parse("8.8.8.7"), category, clock.now()) for category in ("spam", "botnet")]
        await asyncio.to_thread(site.app.store.take_reports, source.id, claims * 4)
        await asyncio.to_thread(site.app.settle)
        said = await words(site, "/lookup?q=8.8.8.7")
        assert said.index("Find the infected machine") < said.index("Stop the spam where it starts")


async def test_earlier_listings_are_told(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        before = site.app.check

        def check(subject):
            found = before(subject)
            past = {"since": "2026-01-02T03:04:05Z", "until": "2026-02-03T04:05:06Z", "codes": ["127.0.0.5"]}
            found["zones"][0]["history"] = [past]
            return found

        site.app.check = check
        said = await words(site, "/lookup?q=8.8.8.7")
        assert "Earlier listings" in said
        assert "2 Jan 2026, 03:04 UTC" in said
        assert "3 Feb 2026, 04:05 UTC" in said


async def test_ones_own_address_is_one_click_away(tmp_path):
    async with serving(tmp_path, proxies=["127.0.0.1/32"]) as site:
        await asyncio.to_thread(listed, site)
        assert "/lookup?q=me" in (await page(site, "/")).links
        async with site.client.get("/lookup?q=me", headers={"X-Forwarded-For": "8.8.8.7"}) as response:
            assert "Listed in" in await response.text()
        assert "Your address cannot be seen from here" in await words(site, "/lookup?q=me")
    async with serving(tmp_path / "direct") as site:
        assert "127.0.0.1" in await words(site, "/lookup?q=me")


async def test_without_the_store_it_answers_from_what_is_published(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        break_store(site, monkeypatch)
        said = await words(site, "/lookup?q=8.8.8.7")
        assert "Listed in ip.dnsbl.test." in said
        assert "The reasons cannot be read now" in said
        assert "What to mend first" in said  # by what its codes stand for
        assert "Not listed as bad in any zone" in await words(site, "/lookup?q=45.1.1.1")
        assert "That is nothing that could be listed" in await words(site, "/lookup?q=nonsense", 400)
        async with site.client.get("/lookup?q=8.8.8.7", headers={"X-Api-Key": "dnsbl_any"}) as response:
            assert response.status == 200
        monkeypatch.undo()


async def test_without_store_and_snapshots_it_says_what_to_do(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        break_store(site, monkeypatch)
        monkeypatch.setattr(site.app, "dns_codes", lambda *_: None)
        shown = await page(site, "/lookup?q=8.8.8.7", 503)
        async with site.client.get("/lookup?q=8.8.8.7") as response:
            assert int(response.headers["Retry-After"]) > 0
        assert "Whether it is listed cannot be said now" in shown.text
        assert "/criteria" in shown.links
        assert "What is listed" in (await page(site, "/criteria")).text
        monkeypatch.undo()


def break_store(site, monkeypatch):
    """Every question to the store fails from now on."""

    def gone(*_, **__):
        raise StoreError("store: it is gone")

    monkeypatch.setattr(site.app, "check", gone)
    broken = SimpleNamespace(**{name: gone for name in dir(site.app.store) if not name.startswith("_")})
    monkeypatch.setattr(site.app, "store", broken)


async def test_the_criteria_are_those_of_the_zones(tmp_path):
    async with serving(tmp_path) as site:
        said = await words(site, "/criteria")
        zone = site.app.zones["ip"]
        assert f"Listed from a score of {zone.policy.list_at:.0f} of 100" in said
        assert "Nothing here costs money" in said
        assert "it weighs half after 14 days: Spam" in said
        for each in site.app.zones.values():
            assert each.origin in said
            for code in each.codes:
                assert code.code in said
