"""/v1/desk: every read and every deed, by keys of each scope; four eyes by two keys, pages, and the trail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from removal_site import listed_site
from test_web_desk import HOSTS, WIDE, held, quarantined, waiting
from website import problem, serving

from dnsbl import clock
from dnsbl.intake.wanted import take_wanted
from dnsbl.subjects import parse
from dnsbl.web.desk.api import READS
from dnsbl.web.desk.deeds import ADMIN, DEEDS

WHO = "operator by key boss"


async def read(site, headers, path, status=200, **query):
    async with site.client.get(f"/v1/desk{path}", headers=headers, params=query) as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


async def do(site, headers, deed, /, status=200, **wanted):
    async with site.client.post(f"/v1/desk/deeds/{deed}", headers=headers, json=wanted) as response:
        found = await response.json(content_type=None)
        assert response.status == status, found
        return found


def filled(site, directory):
    """Something of every kind."""
    numbers = waiting(site, *HOSTS, WIDE)
    held(site)
    quarantined(site, directory)
    return numbers


# who may


async def test_reads_are_for_keys_of_the_desk_and_some_for_admins_alone(tmp_path):
    async with serving(tmp_path) as site:
        numbers = await asyncio.to_thread(filled, site, tmp_path)
        site.app.desk.agreed_exemption("45.0.0.0/9", "", "bob")
        site.app.desk.purge("mine", "broken", None, None)
        site.app.allow("9.9.9.9", "a resolver", None)
        site.app.people.add("carol", "reviewer")
        scopes = ("read", "review", "admin")
        keys = {scope: site.bearer(scope, name=scope) for scope in scopes}
        for path, each in READS.items():
            name = "mine" if path.startswith("/feeds") else "a-list"
            path = path.replace("{number}", str(numbers[0])).replace("{name}", name)
            await problem(await site.client.get(f"/v1/desk{path}"), 401)
            await problem(await site.client.get(f"/v1/desk{path}", headers=keys["read"]), 403)
            if each.role == ADMIN:
                await problem(await site.client.get(f"/v1/desk{path}", headers=keys["review"]), 403)
            else:
                await read(site, keys["review"], path)
            assert await read(site, keys["admin"], path), path


async def test_deeds_are_for_keys_of_the_desk_and_some_for_admins_alone(tmp_path):
    async with serving(tmp_path) as site:
        keys = {scope: site.bearer(scope, name=scope) for scope in ("report", "read", "review", "admin")}
        for name, deed in DEEDS.items():
            path = f"/v1/desk/deeds/{name}"
            await problem(await site.client.post(path, json={}), 401)
            for scope in ("report", "read", *(("review",) if deed.role == ADMIN else ())):
                await problem(await site.client.post(path, json={}, headers=keys[scope]), 403)
            await problem(await site.client.post(path, json={}, headers=keys["admin"]), 422)
            await problem(await site.client.post(path, json={"surprise": 1}, headers=keys["admin"]), 422)
        assert site.app.desk.audit_rows() == [row for row in site.app.desk.audit_rows() if row["what"] == "key create"]
        assert site.backend.woken == 0


# what they do


async def test_every_deed_is_done_and_says_who_did_it(tmp_path):
    async with serving(tmp_path) as site:
        first, second, *_ = await asyncio.to_thread(filled, site, tmp_path)
        hold, boss = site.app.store.holds()[0].id, site.bearer("admin", name="boss")
        digest = (await read(site, boss, "/feeds/mine"))["diff"]["quarantine"]["digest"]
        deeds: list[tuple[str, dict[str, Any]]] = [
            ("removals/grant", {"number": first, "answer": "Thanks", "firm": True}),
            ("removals/refuse", {"number": second, "answer": "Not yet"}),
            ("holds/approve", {"number": hold, "lifetime": "30d"}),
            ("holds/reject", {"number": hold}),
            ("listings/remove", {"subject": HOSTS[2], "reason": "by telephone"}),
            ("listings/report", {"subject": "45.9.9.9", "category": "spam"}),
            ("exemptions/add", {"subject": "9.9.9.9", "reason": "resolver", "lifetime": 3600}),
            ("exemptions/remove", {"subject": "9.9.9.9", "reason": "gone"}),
            ("feeds/release", {"name": "mine", "digest": digest}),
            ("feeds/pull", {"name": "mine"}),
            ("feeds/disable", {"name": "mine"}),
            ("feeds/enable", {"name": "mine"}),
            ("sources/set", {"name": "a-list", "trust": 0.5}),
            ("sources/purge", {"name": "a-list", "reason": "broken"}),
            ("purges/undo", {"number": 1}),
            ("keys/create", {"name": "acme", "lifetime": "1d"}),
            ("keys/revoke", {"name": "acme"}),
            ("people/add", {"name": "carol"}),
            ("people/role", {"name": "carol", "role": "admin"}),
            ("people/password", {"name": "carol"}),
            ("people/second", {"name": "carol"}),
            ("people/disable", {"name": "carol"}),
            ("people/enable", {"name": "carol"}),
            ("people/sign-out", {"name": "carol"}),
        ]
        assert {name for name, _ in deeds} == set(DEEDS)
        for name, wanted in deeds:
            before = site.app.store.audit_rows(1)[0]["id"]
            assert (await do(site, boss, name, **wanted))["done"] is True, name
            rows = [row for row in site.app.store.audit_rows() if row["id"] > before]
            assert WHO in {row["who"] for row in rows}, name
        assert site.backend.woken == len(deeds)
        assert site.app.store.removal(first).decider == WHO
        assert take_wanted(site.app.store) == ["mine"]
        assert await asyncio.to_thread(lambda: site.app.settle() and site.app.dns_codes("ip", parse(HOSTS[0]))) == []


async def test_what_cannot_be_done_is_409_and_what_is_not_there_404(tmp_path):
    async with serving(tmp_path) as site:
        (number,) = waiting(site, HOSTS[0])
        boss = site.bearer("admin", name="boss")
        await do(site, boss, "removals/refuse", number=number, answer="no")
        found = await do(site, boss, "removals/grant", 409, number=number)
        assert "there is nothing to decide" in found["detail"]
        await do(site, boss, "removals/grant", 409, number=99)
        await do(site, boss, "keys/revoke", 409, name="nobody")
        await do(site, boss, "exemptions/add", 400, subject="nonsense", reason="why")
        await do(site, boss, "exemptions/add", 409, subject="9.9.9.9", reason="why", zone="nowhere")
        await do(site, boss, "listings/report", 422, subject="45.9.9.9", category="nonsense")
        await do(site, boss, "sources/purge", 409, name="a-list", reason="why", since="yesterday")
        for path in ("/removals/99", "/feeds/nobody", "/feeds/nobody/health", "/sources/nobody"):
            await read(site, boss, path, 404)
        for path in ("/removals?state=nonsense", "/removals?before=0", "/queue?after=x", "/audit?limit=0"):
            await read(site, boss, path, 400)


@pytest.mark.parametrize("subject", ["45.20.0.0/20", "2a00:1450::/32", "co.uk"])
async def test_to_take_off_what_is_wide_by_hand_needs_two_keys(tmp_path, subject):
    async with serving(tmp_path) as site:
        one, two = (site.bearer("review", name=name, maker=name) for name in ("one", "two"))
        await do(site, one, "listings/remove", 202, subject=subject, reason="they asked")
        assert subject not in {row["subject"] for row in site.app.exemption_rows(True)}
        await do(site, two, "listings/remove", subject=subject, reason="they asked")
        assert subject in {row["subject"] for row in site.app.exemption_rows(True)}


async def test_a_wide_exemption_needs_two_keys(tmp_path):
    async with serving(tmp_path) as site:
        one, two = (site.bearer("review", name=name, maker=name) for name in ("one", "two"))
        wanted = {"subject": "45.0.0.0/9", "reason": "a provider"}
        for _ in range(2):  # whoever asks twice is still one
            assert (await do(site, one, "exemptions/add", 202, **wanted))["done"] is False
        (asked,) = await read(site, two, "/asked")
        assert (asked["who"], asked["deed"]) == ("one", "allow 45.0.0.0/9 in all zones")
        assert (await read(site, two, "/queue"))["asked"] == [asked]
        assert site.app.exemption_rows(False) == []
        assert (await do(site, two, "exemptions/add", **wanted))["done"] is True
        assert [row["subject"] for row in site.app.exemption_rows(False)] == ["45.0.0.0/9"]
        assert await read(site, two, "/asked") == []


async def test_two_keys_of_one_person_are_one_person(tmp_path):
    async with serving(tmp_path) as site:
        one, two = (site.bearer("review", name=name, maker="alice") for name in ("one", "two"))
        wanted = {"subject": "45.0.0.0/9", "reason": "a provider"}
        for key in (one, two, one):
            assert (await do(site, key, "exemptions/add", 202, **wanted))["done"] is False


# pages


@pytest.mark.parametrize("path", ["/removals", "/audit", "/exemptions"])
async def test_pages_hang_together(tmp_path, path):
    async with serving(tmp_path) as site:
        numbers = waiting(site, *[f"45.9.{n}.7" for n in range(5)])
        for n in range(5):
            site.app.desk.audit("bob", "test", str(n))
            site.app.allow(f"9.9.9.{n}", "why", None)
        review, seen = site.bearer("review", name="r"), []
        found = await read(site, review, path, limit="2")
        while found["next"]:
            assert len(found["items"]) == 2
            seen += found["items"]
            found = await read(site, review, found["next"].removeprefix("/v1/desk"))
        seen += found["items"]
        whole = (await read(site, review, path, limit="500"))["items"]
        assert len(seen) == len(whole) >= len(numbers)
        assert [row["id"] for row in seen] == sorted((row["id"] for row in whole), reverse=True)


async def test_the_queue_is_in_the_order_of_waiting(tmp_path):
    async with serving(tmp_path) as site:
        late = waiting(site, HOSTS[0])
        early = waiting(site, HOSTS[1], at=clock.now() - 8 * 86_400)
        review = site.bearer("review", name="r")
        found = await read(site, review, "/queue")
        assert [(row["id"], row["overdue"]) for row in found["removals"]] == [(early[0], True), (late[0], False)]
        assert (found["waiting"], found["overdue"]) == (2, 1)
        behind = await read(site, review, "/queue", after=str(early[0]))
        assert [row["id"] for row in behind["removals"]] == late


# the trail


async def test_the_trail_is_exported_whole_and_linked(tmp_path):
    async with listed_site(tmp_path, HOSTS[0]) as site:
        with site.app.store.transaction():
            for n in range(1100):  # more than are made at once
                site.app.store.audit(clock.now(), "bob", "test", str(n), "<why>\n")
        review = site.bearer("review", name="r")
        await problem(await site.client.get("/v1/desk/audit/export", headers=site.bearer("read", name="x")), 403)
        async with site.client.get("/v1/desk/audit/export", headers=review) as response:
            assert response.content_type == "application/x-ndjson"
            rows = [json.loads(line) for line in (await response.text()).splitlines()]
        deeds = [deed for some in site.app.store.audit_trail() for deed in some]
        assert [(row["id"], row["subject"], row["link"]) for row in rows] == [
            (deed.id, deed.subject, deed.link.hex()) for deed in deeds
        ]
        assert len(rows) >= 1100
