"""The pages of the desk: the queue, a removal on one screen and its decision, forms and their mistakes, what is asked
once more, and two people who decide at once."""

from __future__ import annotations

import asyncio
import html
import json
import re
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, DummyCookieJar
from desk_site import Browser, browsing, desk, quick, stopped_time  # noqa: F401  (fixtures)
from test_web_pages import Page

from dnsbl import clock
from dnsbl.config import FeedDef
from dnsbl.geo import Networks
from dnsbl.intake.wanted import take_wanted
from dnsbl.removal.requests import Asking
from dnsbl.store import Hold
from dnsbl.subjects import parse
from dnsbl.web.desk.api import PAGE, READS
from dnsbl.web.desk.deeds import DEEDS
from dnsbl.web.desk.looks import ANSWERS, FIELDS, LOOKS
from dnsbl.web.desk.pages import PAGES
from dnsbl.web.desk.reviewing import page_of

DAY = 86_400
MARKUP = "<script>alert(1)</script> & we mended it"
HOSTS = ["45.9.1.7", "45.9.2.7", "45.9.3.7"]
WIDE = "45.20.0.0/20"


@asynccontextmanager
async def review(tmp_path, monkeypatch, time, role="admin", name="alice"):
    """A site, and somebody who is signed in at its desk."""
    async with desk(tmp_path, monkeypatch, name=name, role=role) as site, browsing(site) as browser:
        await browser.sign_in(site, time, name)
        yield site, browser


def waiting(site, *subjects, said=MARKUP, at=None):
    """Requests that wait for a person, one after the other; their numbers."""
    store, removals, now = site.app.store, site.app.removals, at or clock.now()
    source = store.source("a-list", "import", trust=0.9)
    carried = {**store.carried(source.id), **{parse(each): 1 for each in subjects}}
    store.replace_entries(source.id, carried, {}, "spam", now - DAY)
    site.app.settle()
    numbers = []
    for place, subject in enumerate(subjects):
        opened = removals.open(Asking(parse(subject), subject, said=said), now + place)
        if opened.removal.state != "to-person":
            assert removals.appeal(opened.removal, "", now + place)
        numbers.append(opened.removal.id)
    return numbers


async def post(browser, path, **fields):
    """A form of the page that is open."""
    return await browser.post(path, csrf=browser.field(), **fields)


async def do(browser, deed, /, **fields):
    """A deed from the form on its own page."""
    await browser.get(f"/admin/do/{deed}")
    return await post(browser, f"/admin/do/{deed}", **fields)


def value(browser, name):
    """What is in a field that can be seen."""
    return html.unescape(re.search(f'name="{name}" type="text"[^>]* value="([^"]*)"', browser.text)[1])


def state(site, number):
    return site.app.store.removal(number).state


def text(browser):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", browser.text)))


# tables


def test_every_deed_has_a_look_or_is_about_people_who_have_a_page_of_their_own():
    assert {name for name in DEEDS if not name.startswith("people/")} == set(LOOKS)


def test_every_field_of_a_deed_has_a_label():
    for name in LOOKS:
        assert set(DEEDS[name].model.model_fields) <= set(FIELDS), name
        assert set(LOOKS[name].fixed) <= set(DEEDS[name].model.model_fields), name


def test_canned_answers_have_a_key_each():
    assert 1 <= len(ANSWERS) <= 9


# who may


async def test_nobody_sees_or_does_anything_without_signing_in(tmp_path, monkeypatch, time):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        for method, path, _ in PAGES:
            path = path.replace("{number}", "1").replace("{name}", "mine")
            await browser.ask(method, path, **({"data": {"number": "1"}} if method == "POST" else {}))
            went = (browser.status, browser.to.partition("?")[0])
            assert went == (303, "/admin/signin") or path == "/admin/desk.js", path


async def test_a_reviewer_has_no_keys_and_no_deeds_of_admins(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time, role="reviewer") as (site, browser):
        assert await browser.get("/admin/keys") == 403
        assert await browser.get("/admin") == 200
        csrf = browser.field()
        for name in (name for name in LOOKS if DEEDS[name].role == "admin"):
            assert await browser.get(f"/admin/do/{name}") == 403, name
            assert await browser.post(f"/admin/do/{name}", csrf=csrf, name="mine", reason="why", sure="1") == 403, name
        site.app.store.source("acme", "partner", trust=0.5)
        await browser.get("/admin/sources/show?name=acme")
        assert browser.status == 200
        assert "/admin/do/" not in browser.text
        assert "ask an admin" in text(browser)


async def test_a_form_from_elsewhere_does_nothing(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, HOSTS[0])
        await browser.get(f"/admin/removals/{number}")
        csrf = browser.field()
        path = "/admin/do/removals/grant"
        assert await browser.post(path, number=number) == 403
        assert await browser.post(path, number=number, csrf="x" * len(csrf)) == 403
        assert await browser.post(path, {"Origin": "https://evil.example"}, number=number, csrf=csrf) == 403
        assert await browser.get(f"{path}?number={number}&sure=1") == 200
        assert state(site, number) == "to-person"


# the queue


async def test_an_empty_queue_says_so(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (_, browser):
        assert await browser.get("/admin") == 200
        assert "Nothing waits for anybody" in text(browser)


async def test_who_waits_longest_is_first_and_marked(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        new = waiting(site, HOSTS[0])
        old = waiting(site, HOSTS[1], at=clock.now() - 3 * DAY)
        await browser.get("/admin")
        links = [link for link in Page(browser.text).links if "/removals/" in link]
        assert links == [f"/admin/removals/{number}" for number in old + new]
        assert "2 removals 1 overdue" in text(browser)
        assert browser.text.count("overdue</strong>") == 2


async def test_a_long_queue_comes_in_pages(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        numbers = waiting(site, *[f"45.9.{n}.7" for n in range(PAGE + 2)])
        await browser.get("/admin")
        first = Page(browser.text).links
        site.app.removal_desk.decide(numbers[PAGE - 1], False, "meanwhile", "bob")
        assert sum("/admin/removals/" in link for link in first) == PAGE
        await browser.get(next(link for link in first if "after=" in link))
        links = Page(browser.text).links
        assert [link for link in links if "/removals/" in link] == [f"/admin/removals/{n}" for n in numbers[PAGE:]]
        assert not any("after=" in link for link in links)


async def test_the_queue_has_holds_and_quarantine(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        held(site)
        await asyncio.to_thread(quarantined, site, tmp_path)
        await browser.get("/admin")
        assert "1 place held" in text(browser)
        assert "1 feed in quarantine" in text(browser)
        assert {"/admin/holds#hold-1", "/admin/feeds/mine"} <= set(Page(browser.text).links)


# a removal


async def test_a_removal_is_on_one_screen_and_a_strangers_words_are_text(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, HOSTS[0])
        source = site.app.store.source("a-list", "import", trust=0.9).id
        facts = {"helo": "<img src=x>", "ports": [25]}
        site.app.store.add_sample(source, "mail", facts, [parse(HOSTS[0])], clock.now())
        assert await browser.get(f"/admin/removals/{number}") == 200
        shown = text(browser)
        assert MARKUP in shown
        assert "<script>alert" not in browser.text
        assert "<img" not in browser.text
        for said in (HOSTS[0], "45.9.1.0/24", "a-list", "Spam", "<img src=x>", "[25]", "You asked for a person"):
            assert said in shown, said
        page = Page(browser.text)
        assert page.loads.count("/admin/desk.js") == 1
        policy = browser.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        await browser.get("/admin")
        assert "script" not in Page(browser.text).tags


async def test_whose_network_it_is_stands_there_where_it_is_known(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        tables = tmp_path / "geo"
        tables.mkdir()
        (tables / "asn-ipv4.csv").write_text("45.9.0.0,45.9.255.255,64500,Example & Sons\n")
        (tables / "country-ipv4.csv").write_text("45.9.0.0,45.9.255.255,NL\n")
        site.app.networks = Networks.load(tables)
        (number,) = waiting(site, HOSTS[0])
        await browser.get(f"/admin/removals/{number}")
        assert "45.9.1.0/24 , AS64500 Example & Sons , NL" in text(browser)


@pytest.mark.parametrize("number", ["0", "x", "99", "9" * 40, "%C2%B2"])
async def test_a_removal_that_is_not_there_is_a_page_that_says_so(tmp_path, monkeypatch, time, number):
    async with review(tmp_path, monkeypatch, time) as (_, browser):
        assert await browser.get(f"/admin/removals/{number}") in (400, 404)
        assert "<h1>" in browser.text


async def test_after_a_decision_the_next_of_the_queue_is_shown(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        first, second, third = waiting(site, *HOSTS)
        await browser.get(f"/admin/removals/{second}")
        assert f'rel="prev" data-key="p" href="/admin/removals/{first}"' in browser.text
        woken = site.backend.woken
        time.now += 100
        await post(browser, "/admin/do/removals/grant", number=second, answer="Well done", firm="1")
        assert (browser.status, browser.to) == (303, f"/admin/removals/{third}?did=removals%2Fgrant&about={second}")
        assert site.backend.woken == woken + 1
        removal = site.app.store.removal(second)
        assert (removal.state, removal.decider, removal.answer) == ("granted", "alice", "Well done")
        assert not next(iter(site.app.store.exemptions_near(parse(HOSTS[1]), 1))).yields
        await browser.get(browser.to)
        assert "Granted; DNS follows" in text(browser)
        await post(browser, "/admin/do/removals/refuse", number=third, canned="2")
        assert site.app.store.removal(third).answer == ANSWERS[1]
        assert browser.to.startswith(f"/admin/removals/{first}?"), "after the last comes the first"
        await browser.get(browser.to)
        await post(browser, "/admin/do/removals/refuse", number=first, canned="1", answer="And more.")
        assert site.app.store.removal(first).answer == f"{ANSWERS[0]}\n\nAnd more."
        assert browser.to.startswith("/admin?did=")


async def test_a_refusal_without_an_answer_comes_back(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, HOSTS[0])
        await browser.get(f"/admin/removals/{number}")
        assert await post(browser, "/admin/do/removals/refuse", number=number, answer=" ", canned="77") == 422
        assert "This is needed." in text(browser)
        assert 'aria-invalid="true"' in browser.text
        assert state(site, number) == "to-person"


async def test_of_two_who_decide_at_once_the_second_sees_what_the_first_did_and_keeps_what_was_typed(
    tmp_path, monkeypatch, time
):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, HOSTS[0])
        await browser.get(f"/admin/removals/{number}")
        site.app.removal_desk.decide(number, False, "Not yet", "bob")
        assert await post(browser, "/admin/do/removals/grant", number=number, answer="a long <b> answer") == 409
        shown = text(browser)
        assert "there is nothing to decide" in shown
        assert "bob decided it" in shown
        assert "Not yet" in shown
        assert "a long <b> answer" in shown
        assert state(site, number) == "refused"


async def test_posts_at_the_same_time_decide_once(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, HOSTS[0])
        await browser.get(f"/admin/removals/{number}")
        fields = {"csrf": browser.field(), "number": number, "answer": "x"}
        async with ClientSession(f"http://127.0.0.1:{site.port}", cookie_jar=DummyCookieJar()) as client:
            others = [Browser(client, site.port) for _ in range(4)]
            for other in others:
                other.cookies = dict(browser.cookies)
            paths = ["/admin/do/removals/grant", "/admin/do/removals/refuse"] * 2
            statuses = await asyncio.gather(*(o.post(p, **fields) for o, p in zip(others, paths, strict=True)))
        assert sorted(statuses) == [303, 409, 409, 409]
        moves = [event.state for event in site.app.store.removal_events(number)]
        assert len({"granted", "refused"} & set(moves)) == 1


async def test_a_wide_removal_waits_for_a_second_person(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        (number,) = waiting(site, WIDE)
        await browser.get(f"/admin/removals/{number}")
        await post(browser, "/admin/do/removals/grant", number=number)
        assert (browser.status, browser.to) == (303, "/admin?waits=removals%2Fgrant")
        await browser.get(browser.to)
        assert "a second person must ask for the same" in text(browser)
        assert "Another person must second it." in text(browser)
        assert state(site, number) == "to-person"
        with site.app.store.transaction() as connection:
            connection.execute("UPDATE seconding SET who = 'bob'")
        await browser.get("/admin")
        assert f'class="button" href="/admin/removals/{number}"' in browser.text
        await browser.get(f"/admin/removals/{number}")
        await post(browser, "/admin/do/removals/grant", number=number)
        assert state(site, number) == "granted"


# deeds


async def test_what_cannot_be_undone_is_asked_once_more(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        site.key("report", name="acme")
        await browser.get("/admin/do/keys/revoke?name=acme")
        fields = {"name": "acme", "reason": "it <leaked>"}
        assert await post(browser, "/admin/do/keys/revoke", **fields) == 200
        assert "Is that what you want?" in text(browser)
        assert "report" in text(browser)
        assert browser.field("reason") == "it <leaked>"
        assert site.app.key_rows()[0]["revoked"] is None
        await post(browser, "/admin/do/keys/revoke", **fields, sure="1")
        assert (browser.status, browser.to) == (303, "/admin/keys?did=keys%2Frevoke")
        assert site.app.key_rows()[0]["revoked"]
        assert site.app.desk.audit_rows(1)[0]["who"] == "alice"


async def test_a_purge_says_how_much_it_takes_and_is_undone(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        waiting(site, *HOSTS)
        fields = {"name": "a-list", "reason": "broken", "since": "", "until": ""}
        await do(browser, "sources/purge", **fields)
        assert "Claims, of any time (100,000: or more) 3" in text(browser)
        await post(browser, "/admin/do/sources/purge", **fields, sure="1")
        await browser.get(browser.to)
        assert "Taken away; it can be put back." in text(browser)
        await browser.get("/admin/sources")
        assert "3 entries" in text(browser)
        await post(browser, "/admin/do/purges/undo", number=browser.field("number"))
        assert browser.to == "/admin/sources?did=purges%2Fundo"
        await browser.get(browser.to)
        assert "put back at" in text(browser)


async def test_a_form_with_mistakes_comes_back_with_what_was_typed_and_what_is_wrong(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        status = await do(browser, "exemptions/add", subject="9.9.9.9", reason=" ", zone="", lifetime='soon"<b>')
        assert status == 422
        shown = text(browser)
        assert "This is needed." in shown
        assert "not a duration" in shown
        assert value(browser, "subject") == "9.9.9.9"
        assert value(browser, "lifetime") == 'soon"<b>'
        assert site.app.exemption_rows(False) == []


@pytest.mark.parametrize("subject", ["nonsense", "300.1.1.1", "\u202e", "x" * 2048])
async def test_a_subject_that_is_none_comes_back_too(tmp_path, monkeypatch, time, subject):
    async with review(tmp_path, monkeypatch, time) as (_, browser):
        assert await do(browser, "exemptions/add", subject=subject, reason="why") in (400, 422)
        assert 'role="alert"' in browser.text


async def test_an_exemption_is_made_found_and_removed(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time, role="reviewer") as (site, browser):
        await do(browser, "exemptions/add", subject="9.9.9.9", reason="a <resolver>", zone="", lifetime="30d")
        await browser.get(browser.to)
        assert "a <resolver>" in text(browser)
        assert "/admin/do/exemptions/remove?subject=9.9.9.9" in Page(browser.text).links
        (row,) = site.app.exemption_rows(False)
        assert row["until"] == clock.rfc3339(clock.now() + 30 * DAY)
        await do(browser, "exemptions/remove", subject="9.9.9.9", reason="gone")
        assert (browser.status, site.app.exemption_rows(False)) == (303, [])
        assert await do(browser, "exemptions/remove", subject="9.9.9.9", reason="gone") == 409
        assert "is not on the allow-list" in text(browser)


async def test_exemptions_and_the_trail_come_in_pages(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        for n in range(PAGE + 3):
            site.app.desk.audit("bob", "feed enable", f"feed-{n}", "<why>")
        await browser.get("/admin/audit?who=bob&limit=1")
        assert browser.text.count("<tr>") == PAGE + 1
        older = next(link for link in Page(browser.text).links if "before=" in link)
        assert "who=bob" in older
        await browser.get(older)
        assert browser.text.count("<tr>") == 4
        assert await browser.get("/admin/audit?before=x") == 400
        await browser.get("/admin/audit?subject=feed-7")
        assert browser.text.count("<tr>") == 2


async def test_the_trail_is_taken_away_as_a_file(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        assert await browser.get("/admin/audit/export") == 200
        assert browser.headers["Content-Type"] == "application/x-ndjson"
        assert browser.headers["Content-Disposition"] == 'attachment; filename="audit.ndjson"'
        rows = [json.loads(line) for line in browser.text.splitlines()]
        assert [row["id"] for row in rows] == sorted(row["id"] for row in site.app.desk.audit_rows(500))
        assert all(len(row["link"]) == 64 for row in rows)


async def test_a_key_needs_the_password_just_now_and_its_secret_is_shown_once(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        time.now += 20 * 60
        fields = {"name": "acme", "trust": "0.7", "scopes-report": "1", "lifetime": "30d"}
        assert await do(browser, "keys/create", **fields) == 403
        assert "give your password once more" in text(browser)
        assert value(browser, "name") == "acme"
        assert site.app.key_rows() == []
        await browser.get("/admin/account")
        assert await post(browser, "/admin/account", deed="prove", password="correct horse battery") == 303
        assert await do(browser, "keys/create", **fields) == 200
        secret = re.search(r'class="secret"[^>]*>([^<]+)<', browser.text)[1]
        (row,) = site.app.key_rows()
        assert (row["name"], row["scopes"], row["trust"], row["simulated"]) == ("acme", ["report"], 0.7, True)
        async with site.client.get("/v1/partner", headers={"Authorization": f"Bearer {secret}"}) as response:
            assert response.status == 200
        await browser.get("/admin/keys")
        assert secret not in browser.text


async def test_a_key_for_dns_has_its_limits_from_the_form(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        await browser.get("/admin/keys")
        for field in ("scopes-query", "queries", "query_zones"):
            assert f'name="{field}"' in browser.text
        fields = {"name": "acme", "scopes-query": "1", "queries": "5000"}
        assert await do(browser, "keys/create", **fields, query_zones="nowhere") == 409
        assert "no zone 'nowhere'" in text(browser)
        assert await do(browser, "keys/create", **fields, query_zones="ip domain") == 200
        (row,) = site.app.key_rows()
        assert row["scopes"] == ["query"]
        assert row["limits"] == {"queries": 5000, "query_zones": ("ip", "domain")}


async def test_a_key_for_nothing_is_a_mistake_beside_its_boxes(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (_, browser):
        assert await do(browser, "keys/create", name="acme", trust="nan") == 422
        assert "Choose at least one." in text(browser)
        assert 'id="trust-mistake"' in browser.text


# feeds and holds


def held(site):
    source = site.app.store.source("a-list", "import", trust=0.9).id
    return site.app.store.put_hold(Hold(0, source, "ip", "net:45.20.0.0/16", clock.now(), 300, 0.004, "many at once"))


def quarantined(site, directory):
    """A feed whose last content was not believed."""
    file = directory / "list.txt"
    file.write_bytes(b"".join(b"46.0.%d.%d\n" % (n >> 8, n & 255) for n in range(400)))
    made = {"title": "Mine", "url": file.as_uri(), "format": "plain", "category": "spam", "licence": "none"}
    feed = FeedDef.model_validate({"name": "mine", "trust": 0.9, **made})
    site.app.settings = site.app.settings.model_copy(update={"feeds": {"mine": feed}})
    asyncio.run(site.app.pull(feed))
    file.write_bytes(b"47.0.0.1\n" + file.read_bytes()[:900])
    assert asyncio.run(site.app.pull(feed)).state == "quarantined"
    return feed


async def test_what_is_held_is_decided(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        number = held(site)
        await browser.get("/admin/holds")
        assert "many at once" in text(browser)
        fields = {"number": str(number), "note": "I know them", "lifetime": ""}
        assert await post(browser, "/admin/do/holds/approve", **fields) == 200
        assert "net:45.20.0.0/16" in text(browser)
        await post(browser, "/admin/do/holds/approve", **fields, sure="1")
        assert browser.to == "/admin/holds?did=holds%2Fapprove"
        (hold,) = site.app.store.holds()
        assert (hold.state, hold.note) == ("approved", "I know them")
        await browser.get("/admin/holds")
        await post(browser, "/admin/do/holds/reject", **fields)
        assert site.app.store.holds()[0].state == "rejected"
        assert await post_again(browser, number="99") == 409


async def post_again(browser, number):
    await browser.get("/admin/holds")
    return await post(browser, "/admin/do/holds/approve", number=number)


async def test_content_that_was_held_back_is_compared_and_only_that_is_released(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        await asyncio.to_thread(quarantined, site, tmp_path)
        await browser.get("/admin/feeds/mine")
        assert "a drop of" in text(browser)
        assert "feeds/release" not in browser.text
        await browser.get("/admin/feeds/mine?diff=1")
        assert "47.0.0.1" in text(browser)
        digest = browser.field("digest")
        fields = {"name": "mine", "digest": "0" * 32, "reason": "checked"}
        assert await post(browser, "/admin/do/feeds/release", **fields, sure="1") == 409
        await post(browser, "/admin/do/feeds/release", **{**fields, "digest": digest})
        assert "Entries that appear 1" in text(browser)
        await post(browser, "/admin/do/feeds/release", **{**fields, "digest": digest}, sure="1")
        assert browser.to == "/admin/feeds/mine?did=feeds%2Frelease"
        await browser.get(browser.to)
        assert "Released" in text(browser)
        assert "Held back" not in text(browser)


async def test_a_feed_is_pulled_at_the_schedules_next_look_and_not_where_it_is_off(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        await asyncio.to_thread(quarantined, site, tmp_path)
        await browser.get("/admin/feeds/mine")
        await post(browser, "/admin/do/feeds/pull", name="mine")
        assert browser.to == "/admin/feeds/mine?did=feeds%2Fpull"
        assert take_wanted(site.app.store) == ["mine"]
        await do(browser, "feeds/disable", name="mine", reason="why", sure="1")
        await browser.get(browser.to)
        assert "switched off by a person" in text(browser)
        assert "feeds/pull" not in browser.text
        assert await do(browser, "feeds/pull", name="mine") == 409
        assert take_wanted(site.app.store) == []
        assert await browser.get("/admin/feeds/nobody") == 404


async def test_search_finds_and_offers_what_can_be_done(tmp_path, monkeypatch, time):
    async with review(tmp_path, monkeypatch, time) as (site, browser):
        waiting(site, HOSTS[0])
        await browser.get(f"/admin/search?q={HOSTS[0]}")
        assert "127.0.0.2" in text(browser)
        fields = {"subject": HOSTS[0], "reason": "asked by telephone", "zone": ""}
        await post(browser, "/admin/do/listings/remove", **fields)
        assert "Is that what you want?" in text(browser)
        await post(browser, "/admin/do/listings/remove", **fields, sure="1")
        assert browser.to == f"/admin/search?q={HOSTS[0]}&did=listings%2Fremove"
        await asyncio.to_thread(site.app.settle)
        assert site.app.dns_codes("ip", parse(HOSTS[0])) == []
        await browser.get("/admin/search?q=%3Cb%3Enobody")
        assert "Nothing was found." in text(browser)
        assert "<b>" not in browser.text
        assert await do(browser, "listings/report", subject="45.9.9.9", category="nonsense") in (409, 422)


@pytest.mark.parametrize(
    ("deed", "page"),
    [
        ("grant removal 7 of 45.20.0.0/20", "/admin/removals/7"),
        ("allow 10.0.0.0/8 in all zones", "/admin/do/exemptions/add?subject=10.0.0.0%2F8"),
        ("allow co.uk in domain", "/admin/do/exemptions/add?subject=co.uk&zone=domain"),
        ("take 10.0.0.0/8 off ip", "/admin/do/listings/remove?subject=10.0.0.0%2F8&zone=ip"),
        ("approve hold 3", "/admin/do/holds/approve?number=3"),
        ("purge a from b from ever to now", "/admin/do/sources/purge?name=a+from+b"),
        ("purge x from 2026-01-02T00:00:00Z to now", "/admin/do/sources/purge?name=x&since=2026-01-02T00%3A00%3A00Z"),
        ("something new", ""),
    ],
)
def test_what_waits_for_a_second_person_leads_to_its_form(deed, page):
    assert page_of(deed) == page


def test_whatever_can_be_read_by_programs_has_a_page():
    shown = {path.removeprefix("/admin") or "/queue" for _, path, _ in PAGES}
    without = {"/removals", "/asked", "/purges", "/people", "/sources/{name}", "/feeds/{name}/health"}
    assert set(READS) - without <= shown
