"""GET /v1/subjects: the whole truth to keys that may read, and without names to everyone."""

import asyncio

import pytest
from website import problem, serving

from dnsbl.model import Report
from dnsbl.subjects import parse
from dnsbl.web import models

SECRET_NAMES = ("acme", "honey", "secret-list")


async def get(site, subject, **headers):
    async with site.client.get(f"/v1/subjects/{subject}", headers=headers) as response:
        return models.Subject.model_validate(await response.json(content_type="application/json")).model_dump()


def listed(site):
    """8.8.8.7, told by a partner, a trap and an imported list."""
    store = site.app.store
    for name, kind in zip(SECRET_NAMES, ("partner", "trap", "import"), strict=True):
        source = store.source(name, kind, trust=0.9)
        if kind == "import":
            store.replace_entries(source.id, {parse("8.8.8.7"): 1}, {}, "spam", 1700000000)
        else:
            store.take_reports(source.id, [Report(parse("8.8.8.7"), "spam", 1_900_000_000, "192.0.2.0/24")])
    store.replace_exemptions("secret-list", [parse("9.9.8.9")], "secret-list", 1700000000)
    site.app.settle()


async def test_sources_have_names_only_for_keys_that_may_read(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        named = await get(site, "8.8.8.7", Authorization=f"Bearer {site.key('read', name='reader')}")
        assert {line["source"] for line in named["zones"][0]["breakdown"]} == set(SECRET_NAMES)
        exempt = await get(site, "9.9.8.9", **{"X-Api-Key": site.key("read", "report", name="both")})
        assert exempt["exemptions"][0]["origin"] == "secret-list"
        others = [
            {},
            {"Authorization": f"Bearer {site.key('report', name='reporter')}"},
            {"Authorization": "Bearer dnsbl_wrong"},
            {"Authorization": f"Bearer {site.key('read', name='late', expires=1)}"},
        ]
        for headers in others:
            shown = await get(site, "8.8.8.7", **headers)
            assert shown["zones"][0]["listed"]
            assert {line["source"] for line in shown["zones"][0]["breakdown"]} == {"partner", "trap", "import"}
            hidden = await get(site, "9.9.8.9", **headers)
            assert (hidden["exemptions"][0]["origin"], hidden["exemptions"][0]["reason"]) == ("import", "import")
            assert not [name for name in SECRET_NAMES if name in str(shown) + str(hidden)]


async def test_a_feed_is_named_where_its_licence_allows_it(tmp_path):
    async with serving(tmp_path) as site:
        store = site.app.store
        for name, kind, redistribute in (
            ("open-feed", "feed", True),
            ("closed-feed", "feed", False),
            ("own-list", "import", True),
            ("acme", "partner", True),
        ):
            source = store.source(name, kind, trust=0.9, redistribute=redistribute)
            store.replace_entries(source.id, {parse("8.8.8.7"): 1}, {}, "spam", 1700000000)
            store.replace_exemptions(name, [parse("9.9.8.9")], name, 1700000000)
        shown = str(await get(site, "8.8.8.7") | {"exempt": await get(site, "9.9.8.9")})
        assert shown.count("open-feed") == 3  # told it, exempts it, and is the reason
        assert not [name for name in ("closed-feed", "own-list", "acme") if name in shown]
        store.source("open-feed", "feed", trust=0.9, redistribute=False)
        assert "open-feed" not in str(await get(site, "8.8.8.7")), "what a licence forbids is not said from then on"


async def test_earlier_listings_and_independent_sources_are_told(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        (view, *_) = (await get(site, "8.8.8.7"))["zones"]
        assert (view["independent_sources"], view["history"]) == (3, [])
        source = site.app.store.source("secret-list", "import", trust=0.9)
        for name in ("acme", "honey"):
            site.app.store.purge(site.app.desk.source(name).id, "wrong", 1_900_000_000)
        site.app.store.replace_entries(source.id, {}, {}, "spam", 1_700_000_001)
        await asyncio.to_thread(site.app.settle)
        (view, *_) = (await get(site, "8.8.8.7"))["zones"]
        (spell,) = view["history"]
        assert (view["listed"], spell["codes"], view["since"]) == (False, ["127.0.0.2"], None)
        assert spell["since"] <= spell["until"]


async def test_the_moment_of_a_mail_is_for_keys_that_may_read(tmp_path):
    """To the second, who sends a mail a recipient would know his traps by it."""
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        store = site.app.store
        feedback = store.source("feedback", "complaint", trust=0.5)
        store.take_reports(feedback.id, [Report(parse("8.8.8.7"), "spam", 1_700_000_001, "")])

        async def times(**headers):
            found = await get(site, "8.8.8.7", **headers)
            lines = found["zones"][0]["breakdown"]
            return {line["source"]: {line["first_seen"][10:], line["last_seen"][10:]} for line in lines}

        exact = await times(Authorization=f"Bearer {site.key('read', name='reader')}")
        assert all("T00:00:00Z" not in both for both in exact.values())
        shown = await times()
        assert shown["trap"] == shown["complaint"] == {"T00:00:00Z"}
        assert shown["partner"] == exact["acme"]


async def test_a_keys_reading_counts_as_use(tmp_path):
    async with serving(tmp_path) as site:
        await get(site, "8.8.8.7", **site.bearer("read"))
        await asyncio.to_thread(site.state.threads.chores.submit(lambda: None).result)
        assert site.app.store.rows("SELECT last_used FROM key") != [(None,)]


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0%2F24", "192.0.2.0/24"),
        ("2001:db8::%2F32", "2001:db8::/32"),
        ("BAD.Example.", "bad.example"),
        ("b%C3%BCcher.example", "xn--bcher-kva.example"),
        ("email:" + "a" * 40, "email:" + "a" * 40),
        ("%2B4930123456", "+4930123456"),
    ],
)
async def test_every_kind_of_subject_can_be_asked_for(tmp_path, asked, subject):
    async with serving(tmp_path) as site:
        assert (await get(site, asked))["subject"] == subject


@pytest.mark.parametrize(
    "asked", ["1.2.3", "a" * 400, "com", "192.0.2.1/24", "%00", "%ff", "a%0d%0ab", "..", "x//y", "%25"]
)
async def test_what_is_no_subject_is_a_problem_that_says_why(tmp_path, asked):
    async with serving(tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)  # as it is: clients tidy paths up
        writer.write(f"GET /v1/subjects/{asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
        assert b"Content-Type: application/problem+json" in answer


async def test_a_store_that_cannot_be_read_is_503(tmp_path, monkeypatch):
    from dnsbl.errors import StoreError

    def broken(_subject):
        raise StoreError(f"store {tmp_path}: damaged")

    async with serving(tmp_path) as site:
        monkeypatch.setattr(site.app, "check", broken)
        said = await problem(await site.client.get("/v1/subjects/8.8.8.8"), 503)
        assert str(tmp_path) not in str(said)
