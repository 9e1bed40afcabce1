"""Signing in at the desk, over HTTP: the pages, the cookie, the forms, and those who should not get in."""

from __future__ import annotations

import re

import pyotp
import pytest
from desk_site import COOKIE, GOOD, LOCAL, OTHER, browsing, code_of, desk, quick, stopped_time  # noqa: F401  (fixtures)
from test_web_pages import Page
from website import serving

from dnsbl.web import signin
from dnsbl.web.admission.rates import LIMITS, Limit, Rates
from dnsbl.web.signing import next_of
from dnsbl.web.state import MAX_SIGNING

# the way in


async def test_the_first_person_is_told_how_to_be_made_and_walks_in(tmp_path, time):
    async with serving(tmp_path, settle=False) as site, browsing(site) as browser:
        await browser.get("/admin/account")
        assert (browser.status, browser.to) == (303, "/admin/signin?next=/admin/account")
        await browser.get(browser.to)
        assert "dnsbl person add NAME --role admin" in browser.text
        code = site.app.people.add("alice", "admin")["code"]
        await browser.get("/admin/signin")
        assert "person add" not in browser.text
        await browser.get("/admin/setup")
        await browser.post("/admin/setup", csrf=browser.field(), name="alice", code=code, password=GOOD, again=GOOD)
        assert (browser.status, browser.to) == (303, "/admin/second")
        assert await browser.get("/admin/account") == 303, "nothing opens before a second factor is there"
        assert browser.to == "/admin/second?next=/admin/account"
        await browser.get(browser.to)
        page = Page(browser.text)
        assert "svg" in page.tags
        secret = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', browser.text)[1].replace(" ", "")
        await browser.post(
            "/admin/second", csrf=browser.field(), next=browser.field("next"), code=pyotp.TOTP(secret).at(time.now)
        )
        assert (browser.status, browser.to) == (303, "/admin/account")
        assert await browser.get("/admin/account") == 200
        assert "alice" in browser.text


async def test_the_cookie_is_for_us_alone(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.password()
        first = browser.set[COOKIE]
        assert (first["httponly"], first["samesite"], first["path"], first["domain"]) == (True, "Strict", "/", "")
        assert (first["max-age"], first["expires"], first["secure"]) == ("", "", "")
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first.value)


async def test_behind_https_the_cookie_is_bound_to_the_host(tmp_path, time, monkeypatch):
    where = "https://bl.example"
    async with desk(tmp_path, monkeypatch, where) as site, browsing(site, where) as browser:
        await browser.sign_in(site, time)
        morsel = browser.set["__Host-dnsbl_desk"]
        assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
        assert await browser.get("/admin/account") == 200


async def test_each_step_has_another_identifier_and_none_is_adopted(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        planted = "A" * 43
        browser.cookies[COOKIE] = planted
        await browser.password()
        half = browser.cookies[COOKIE]
        assert half != planted
        await browser.get("/admin/second")
        time.now += 60
        await browser.post("/admin/second", csrf=browser.field(), code=code_of(site))
        whole = browser.cookies[COOKIE]
        assert whole not in (half, planted)
        for stale in (planted, half):
            browser.cookies[COOKIE] = stale
            assert await browser.get("/admin/account") == 303
        browser.cookies[COOKIE] = whole
        assert await browser.get("/admin/account") == 200


async def test_every_refusal_looks_alike(tmp_path, time, monkeypatch):
    """Nobody there, wrong, disabled, locked with the right password: one answer."""
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        site.app.people.add("bob", "reviewer")
        carol = site.app.people.add("carol", "reviewer")
        site.app.people.signin.set_up("carol", carol["code"], GOOD)
        site.app.people.disable("carol")
        answers = set()

        async def refused(name, password):
            assert await browser.password(name, password) == 403
            assert COOKIE not in browser.cookies
            answers.add(browser.text.replace(f'value="{name}"', "").replace(browser.field(), ""))

        for name in ("nobody", "bob", "carol"):
            await refused(name, GOOD)
        for _ in range(5):
            await refused("alice", OTHER)
        await refused("alice", GOOD)
        assert len(answers) == 1
        lock = next(row for row in site.app.store.audit_rows() if row["what"] == "lock")
        assert lock["subject"] == "alice"
        assert "127.0.0.1" in lock["why"]
        assert not [row for row in site.app.store.audit_rows() if GOOD in str(row) or OTHER in str(row)]


async def test_a_failure_is_held_back_whatever_it_is(tmp_path, time, monkeypatch):
    """So that how long the way to it was does not show."""
    held = []

    async def until(moment):
        held.append(moment)

    monkeypatch.setattr(signin, "until", until)
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        for name in ("nobody", "alice"):
            await browser.password(name, OTHER)
        await browser.password()
        await browser.get("/admin/second")
        await browser.post("/admin/second", csrf=browser.field(), code="000000")
        assert len(held) == 3


async def test_a_code_is_not_good_twice(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser, browsing(site) as thief:
        await thief.password()
        await thief.get("/admin/second")
        await browser.sign_in(site, time)
        assert await thief.post("/admin/second", csrf=thief.field(), code=code_of(site)) == 403
        assert await thief.get("/admin/account") == 303


async def test_after_five_codes_it_begins_anew(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.password()
        time.now += 60
        await browser.get("/admin/second")
        for _ in range(4):
            assert await browser.post("/admin/second", csrf=browser.field(), code="000000") == 403
        assert await browser.post("/admin/second", csrf=browser.field(), code="000000") == 303
        assert browser.to == "/admin/signin?again"
        assert COOKIE not in browser.cookies
        assert await browser.get(browser.to) == 200
        assert "from the beginning" in browser.text
        assert await browser.password() == 403, "locked"


async def test_so_often_from_one_network_and_no_more(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        site.state.admission.rates = Rates(limits={**LIMITS, "sign-in": Limit(3, 600)})
        statuses = [await browser.password("nobody", OTHER) for _ in range(4)]
        assert statuses == [403, 403, 403, 429]
        assert int(browser.headers["Retry-After"]) > 0
        await browser.get("/admin/setup")
        assert await browser.post("/admin/setup", csrf=browser.field(), name="alice", code="x") == 429


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("/admin/feeds", "/admin/feeds"), ("/admin/search?q=%22a%22", "/admin/search?q=%22a%22"), ("/admin", "/admin"),
        ("https://evil.example/", "/admin"), ("//evil.example/", "/admin"), ("/\\evil.example", "/admin"),
        ("/admin/\\\\evil.example", "/admin"), ("/\t/evil.example", "/admin"), ("javascript:alert(1)", "/admin"),
        ("/admin\r\nSet-Cookie: x=1", "/admin"), ("/administrator", "/admin"), ("/lookup", "/admin"), ("", "/admin"),
        ("/admin/" + "x" * 5000, "/admin"), ("/admin@evil.example", "/admin"), ("é", "/admin"),
    ],
)  # fmt: skip
def test_where_a_sign_in_leads(asked, leads):
    assert next_of(asked) == leads


async def test_no_sign_in_leads_to_another_site(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.get("/admin/signin?next=//evil.example/")
        assert browser.field("next") == "/admin"
        await browser.password(next="https://evil.example/")
        assert browser.to == "/admin/second"
        await browser.get("/admin/second?next=https:evil.example")
        time.now += 60
        await browser.post("/admin/second", csrf=browser.field(), code=code_of(site), next="//evil.example")
        assert browser.to == "/admin"
        await browser.get("/admin/signin?next=/%5Cevil.example")
        assert (browser.status, browser.to) == (303, "/admin")


async def test_where_one_wanted_to_go_is_kept_on_the_way(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        wanted = "/admin/test?role=reviewer&q=%26a%20%2Bb"
        await browser.get(wanted)
        await browser.get(browser.to)
        assert browser.field("next") == wanted
        await browser.password(next=wanted)
        await browser.get(browser.to)
        assert browser.field("next") == wanted


async def test_more_than_can_be_checked_at_once_come_again(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.get("/admin/signin")
        site.state.threads.signing = MAX_SIGNING
        assert await browser.post("/admin/signin", csrf=browser.field(), name="alice", password=GOOD) == 503


# forms


async def test_a_form_needs_the_field_of_its_own_session(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser, browsing(site) as other:
        await browser.sign_in(site, time)
        await other.sign_in(site, time)
        await browser.get("/admin/test")
        own = browser.field()
        await other.get("/admin/test")
        assert own != other.field()
        for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": other.field()}, {"csrf": own.upper() + " "}):
            assert await browser.post("/admin/test", **wrong) == 403
            assert "nothing was done" in browser.text
        assert await browser.post("/admin/test", csrf=own, why="spam") == 200
        assert '"person": "alice"' in browser.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
async def test_a_form_from_elsewhere_is_refused(tmp_path, time, monkeypatch, headers):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.get("/admin/signin")
        fields = {"csrf": browser.field(), "name": "alice", "password": GOOD}
        assert await browser.post("/admin/signin", headers, **fields) == 403
        assert COOKIE not in browser.cookies
        await browser.sign_in(site, time)
        await browser.get("/admin/test")
        csrf = browser.field()
        for path in ("/admin/test", "/admin/signout", "/admin/account"):
            assert await browser.post(path, headers, csrf=csrf, deed="others") == 403
        assert await browser.get("/admin/test") == 200


async def test_a_form_without_a_session_leads_to_the_sign_in(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        for path in ("/admin/test", "/admin/account", "/admin/signout", "/admin/second"):
            assert await browser.post(path, csrf="x") == 303
            assert browser.to == "/admin/signin"
        await browser.password()
        assert await browser.post("/admin/test", csrf="x") == 303
        assert browser.to == "/admin/second"


async def test_roles(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch, name="rita", role="reviewer") as site, browsing(site) as browser:
        await browser.sign_in(site, time, "rita")
        assert await browser.get("/admin/test") == 200
        csrf = browser.field()
        assert await browser.get("/admin/test?role=admin") == 403
        assert "role" in browser.text
        assert await browser.post("/admin/test", csrf=csrf) == 403
        site.app.people.set_role("rita", "admin")
        assert await browser.get("/admin/test") == 303, "with another role one signs in again"


# ends


async def test_who_is_disabled_is_out_at_once(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        await browser.get("/admin/test")
        site.app.people.disable("alice")
        assert await browser.post("/admin/test", csrf=browser.field()) == 303
        assert await browser.get("/admin/test") == 303
        assert await browser.password() == 403


async def test_signing_out_ends_the_session_everywhere(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        token = browser.cookies[COOKIE]
        await browser.get("/admin/account")
        assert await browser.post("/admin/signout", csrf=browser.field()) == 303
        assert browser.set[COOKIE]["max-age"] == "0"
        browser.cookies[COOKIE] = token
        assert await browser.get("/admin/account") == 303


async def test_a_session_in_use_is_noted_and_lasts(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        for _ in range(3):
            time.now += 25 * 60
            assert await browser.get("/admin/test") == 200
            site.state.threads.chores.submit(int).result()  # what was to be written is
        time.now += 30 * 60
        assert await browser.get("/admin/test") == 303


# pages


async def test_the_pages_are_whole_and_load_nothing_from_others(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch, LOCAL) as site, browsing(site, LOCAL) as browser:

        async def whole(path):
            assert await browser.get(path) == 200
            page = Page(browser.text)
            assert set(page.loads) <= {"/style.css", "/icon.svg", "/admin/desk.css", "/admin/passkey.js"}
            assert len(page.ids) == len(set(page.ids))
            policy = browser.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "script" not in page.tags or "script-src 'self'" in policy
            assert browser.headers["Cache-Control"] == "no-store"

        for path in ("/admin/signin", "/admin/setup"):
            await whole(path)
        await browser.password()
        await whole("/admin/second")
        await browser.get("/admin/signin")
        await browser.sign_in(site, time)
        await whole("/admin/account")
        await whole("/admin/people")
        await whole("/admin/account?app")
        for path in ("/admin/desk.css", "/admin/passkey.js"):
            assert await browser.get(path) == 200
