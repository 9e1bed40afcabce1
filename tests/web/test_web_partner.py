"""GET /v1/partner: a partner's own numbers, and nobody else's."""

from datetime import UTC, datetime

from website import problem, serving

from dnsbl import clock
from dnsbl.store import Hold, KeyLimits
from dnsbl.subjects import parse
from dnsbl.web import models


async def partner(site, headers):
    async with site.client.get("/v1/partner", headers=headers) as response:
        assert response.status == 200
        return models.Partner.model_validate(await response.json(content_type="application/json")).model_dump()


async def test_a_partner_sees_what_its_reports_came_to(tmp_path):
    async with serving(tmp_path) as site:
        limits = KeyLimits(daily=10, categories=("spam",))
        headers = site.bearer("report", name="acme", limits=limits, zones=["ip"], expires=clock.now() + 1000)
        other = site.bearer("report", name="other")
        rows = [{"subject": "8.8.8.7", "time": 1700000000}] * 2 + [{"subject": "127.0.0.1"}]
        for who, some in ((other, rows[:1]), (headers, rows)):
            assert (await site.client.post("/v1/reports", json=some, headers=who)).status == 200
        store, now = site.app.store, clock.now()
        source = next(source for source in store.sources().values() if source.name == "acme")
        store.set_source(source.id, trust=0.4)
        store.overturn([source.id], parse("8.8.8.7"), now - 100, "removed on request")
        store.overturn([source.id], parse("8.8.8.6"), now - 91 * clock.DAY, "long ago")
        store.add_spread(source.id, now // clock.DAY, "ip", {"": 7, "asn:1": 7})
        said = await partner(site, headers)
        assert (said["name"], said["trust_granted"], said["trust"], said["simulated"]) == ("acme", 0.8, 0.4, True)
        assert (said["zones"], said["limits"]["daily"], said["limits"]["categories"]) == (["ip"], 10, ["spam"])
        assert said["quota"] == {"used": 3, "left": 7}
        today = datetime.fromtimestamp(now, UTC).date().isoformat()
        assert said["days"] == [{"day": today, "posts": 1, "taken": 1, "repeated": 1, "rejected": 1}]
        assert said["listings"] == 7
        assert [(each["subject"], each["why"]) for each in said["overturned"]] == [("8.8.8.7", "removed on request")]
        assert said["holds"] == []
        assert said["last_used"] is not None
        assert said["expires"] is not None


async def test_a_partner_sees_its_own_holds_only(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report", name="acme")
        site.key("report", name="other")
        sources = {source.name: source.id for source in site.app.store.sources().values()}
        for name in ("acme", "other"):
            hold = Hold(0, sources[name], "ip", f"network of {name}", 1700000000, 300, 0.25, "too many")
            site.app.store.put_hold(hold)
        said = await partner(site, headers)
        assert [(each["place"], each["share"], each["state"]) for each in said["holds"]] == [
            ("network of acme", 0.25, "held")
        ]
        assert said["quota"] == {"used": 0, "left": None}


async def test_the_numbers_are_for_the_partner_only(tmp_path):
    async with serving(tmp_path) as site:
        await problem(await site.client.get("/v1/partner"), 401)
        await problem(await site.client.get("/v1/partner", headers=site.bearer("read")), 403)
