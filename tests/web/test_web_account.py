"""One's own account at the desk, passkeys, and the page of people."""

from __future__ import annotations

import html
import re
import shutil
from contextlib import asynccontextmanager

import pyotp
import pytest
from authenticator import Authenticator
from desk_site import COOKIE, GOOD, LOCAL, OTHER, browsing, code_of, desk, quick, stopped_time  # noqa: F401  (fixtures)
from website import serving

from dnsbl.people.passkeys import Site

# the account


async def test_the_password_is_changed(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser, browsing(site) as other:
        await browser.sign_in(site, time)
        await other.sign_in(site, time)
        await browser.get("/admin/account")
        assert "at 1 other place" in browser.text
        before, csrf = browser.cookies[COOKIE], browser.field()
        deed = {"deed": "password", "csrf": csrf}
        assert await browser.post("/admin/account", **deed, password=GOOD, new="short", again="short") == 422
        assert "10 to 200 characters" in browser.text
        assert await browser.post("/admin/account", **deed, password=GOOD, new=OTHER, again=GOOD) == 422
        assert await browser.post("/admin/account", **deed, password=OTHER, new=OTHER, again=OTHER) == 403
        assert await browser.post("/admin/account", **deed, password=GOOD, new=OTHER, again=OTHER) == 303
        assert browser.cookies[COOKIE] != before
        await browser.get(browser.to)
        assert "Your password is changed" in browser.text
        assert "signed in here only" in browser.text
        assert await other.get("/admin/account") == 303
        assert await other.password() == 403
        assert await other.password(password=OTHER) == 303


async def test_another_app_is_set_up_after_the_password(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser, browsing(site) as other:
        await browser.sign_in(site, time)
        time.now += 11 * 60
        await other.sign_in(site, time)
        await browser.get("/admin/account?app")
        assert "QR" not in browser.text
        assert await browser.post("/admin/account", csrf=browser.field(), deed="app", code="123456") == 422
        await browser.post("/admin/account", csrf=browser.field(), deed="prove", password=GOOD)
        assert browser.to == "/admin/account?done=prove"
        await browser.get("/admin/account?app")
        old, secret = code_of(site), re.search(r'class="secret"[^>]*>([^<]+)<', browser.text)[1].replace(" ", "")
        assert await browser.post("/admin/account", csrf=browser.field(), deed="app", code=old) == 403
        fields = {"csrf": browser.field(), "deed": "app", "code": pyotp.TOTP(secret).at(time.now)}
        assert await browser.post("/admin/account", **fields) == 303
        assert site.app.people.known("alice").totp_since == time.now
        assert await browser.get(browser.to) == 200
        assert await other.get("/admin/account") == 303, "its other sessions ended"


async def test_an_unknown_deed_is_refused(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        await browser.get("/admin/account")
        assert await browser.post("/admin/account", csrf=browser.field(), deed="__class__") == 422
        assert await browser.post("/admin/account", csrf=browser.field(), deed="remove", passkey="zz") == 403
        assert await browser.post("/admin/account", csrf=browser.field(), deed="remove", passkey="00") == 422


# people


async def test_an_admin_makes_people_and_shuts_them_out(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        await browser.get("/admin/people")
        csrf = browser.field()
        assert await browser.post("/admin/people", csrf=csrf, deed="add", name="rita", role="reviewer") == 200
        code = re.search(r'class="secret"[^>]*>([A-Z2-7-]+)<', browser.text)[1]
        assert site.app.people.signin.set_up("rita", code, GOOD)
        assert await browser.get("/admin/people") == 200
        assert code not in browser.text
        for deed in ("role admin", "sign-out", "reset-second", "disable", "enable", "disable"):
            assert await browser.post("/admin/people", csrf=csrf, deed=deed, name="rita") == 303
        row = next(row for row in site.app.people.rows() if row["name"] == "rita")
        assert (row["role"], bool(row["disabled"]), row["sessions"]) == ("admin", True, 0)
        done = [r["what"] for r in site.app.store.audit_rows() if (r["who"], r["subject"]) == ("alice", "rita")]
        assert len(done) == 7
        for wrong in ({"deed": "add", "name": "<b>", "role": "admin"}, {"deed": "x", "name": "rita"},
                      {"deed": "add", "name": "bob", "role": "king"}, {"deed": "disable", "name": "nobody"},
                      {"deed": "reset-second", "name": "alice"}):  # fmt: skip
            assert await browser.post("/admin/people", csrf=csrf, **wrong) == 422
            assert "<b>" not in browser.text


async def test_people_are_for_admins_who_gave_their_password_just_now(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        await browser.get("/admin/people")
        time.now += 11 * 60
        fields = {"csrf": browser.field(), "deed": "add", "name": "rita", "role": "admin"}
        assert await browser.post("/admin/people", **fields) == 403
        assert [row["name"] for row in site.app.people.rows()] == ["alice"]
    async with desk(tmp_path / "other", monkeypatch, name="rita", role="reviewer") as site, browsing(site) as browser:
        await browser.sign_in(site, time, "rita")
        assert await browser.get("/admin/people") == 403


# passkeys


def asked(browser):
    return html.unescape(re.search(r'data-passkey="([^"]*)"', browser.text)[1])


@asynccontextmanager
async def with_passkey(directory, time, monkeypatch):
    """A browser at localhost, whose person has added a passkey, and was signed out."""
    async with desk(directory, monkeypatch, LOCAL) as site, browsing(site, LOCAL) as browser:
        key = Authenticator(LOCAL)
        await browser.sign_in(site, time)
        await browser.get("/admin/account")
        fields = {"csrf": browser.field(), "deed": "passkey", "name": "<b>key</b>"}
        assert await browser.post("/admin/account", **fields, credential=key.create(asked(browser))) == 303
        await browser.get(browser.to)
        assert "&lt;b&gt;key&lt;/b&gt;" in browser.text
        await browser.post("/admin/signout", csrf=browser.field())
        yield site, browser, key


async def test_a_passkey_lets_in_and_its_answer_only_once(tmp_path, time, monkeypatch):
    async with with_passkey(tmp_path, time, monkeypatch) as (site, browser, key):
        await browser.password()
        await browser.get("/admin/second")
        answer = key.get(asked(browser))
        assert await browser.post("/admin/second", csrf=browser.field(), credential=answer) == 303
        assert await browser.get("/admin/account") == 200
        await browser.post("/admin/signout", csrf=browser.field())
        await browser.password()
        await browser.get("/admin/second")
        assert await browser.post("/admin/second", csrf=browser.field(), credential=answer) == 403
        assert "with passkey <b>key</b>" in str(site.app.store.audit_rows())


async def test_a_challenge_is_good_once_even_for_an_answer_that_was_not_taken(tmp_path, time, monkeypatch):
    async with with_passkey(tmp_path, time, monkeypatch) as (site, _, key):
        people, where = site.app.people, Site("localhost", LOCAL)
        visit = people.sessions.find(people.signin.password("alice", GOOD))
        answer = key.get(people.signin.challenge(visit, where))
        assert people.signin.passkey(visit, where, "{}") is None
        assert people.signin.passkey(visit, where, answer) is None
        again = key.get(people.signin.challenge(visit, where))
        assert people.signin.passkey(visit, where, again)


@pytest.mark.parametrize("change", ["origin", "challenge", "signature", "counter", "key", "json", "empty", "used"])
async def test_a_passkey_that_is_not_right_does_not(tmp_path, time, monkeypatch, change):
    async with with_passkey(tmp_path, time, monkeypatch) as (site, browser, key):
        await browser.password()
        await browser.get("/admin/second")
        options = asked(browser)
        if change == "origin":
            key.origin = "http://localhost.evil.example"
        if change == "challenge":
            await browser.get("/admin/second")  # the newest counts
        if change == "counter":
            key.uses = 0
        if change == "key":
            key.forge()
        answer = key.get(options, spoil=change == "signature")
        answer = {"json": '{"rawId": []}', "empty": "{}"}.get(change, answer)
        if change == "used":
            await browser.post("/admin/second", csrf=browser.field(), credential="{}")
        assert await browser.post("/admin/second", csrf=browser.field(), credential=answer) == 403
        assert await browser.get("/admin/account") == 303
        assert site.app.people.known("alice").failures >= 1


async def test_a_passkey_is_one_persons(tmp_path, time, monkeypatch):
    async with with_passkey(tmp_path, time, monkeypatch) as (site, browser, key):
        code = site.app.people.add("bob", "reviewer")["code"]
        await browser.get("/admin/setup")
        fields = {"name": "bob", "code": code, "password": OTHER, "again": OTHER}
        await browser.post("/admin/setup", csrf=browser.field(), **fields)
        await browser.get("/admin/second")
        answer = key.create(asked(browser))
        assert await browser.post("/admin/second", csrf=browser.field(), credential=answer) == 422
        assert "known already" in browser.text
        assert await browser.get("/admin/account") == 303


async def test_of_two_factors_one_may_go_and_the_last_may_not(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch, LOCAL) as site, browsing(site, LOCAL) as browser:
        site.app.people.reset_second("alice")
        key = Authenticator(LOCAL)
        await browser.password()
        await browser.get("/admin/second")
        fields = {"csrf": browser.field(), "name": "", "credential": key.create(asked(browser))}
        assert await browser.post("/admin/second", **fields) == 303
        await browser.get("/admin/account")
        fields = {"csrf": browser.field(), "deed": "remove", "passkey": browser.field("passkey")}
        assert await browser.post("/admin/account", **fields) == 422
        assert "only second factor" in browser.text
        await browser.post("/admin/signout", csrf=browser.field())
        await browser.password()
        await browser.get("/admin/second")
        assert 'name="code"' not in browser.text


@pytest.mark.peer
async def test_a_browser_makes_a_passkey_and_signs_in_with_it(tmp_path):
    """Chromium with a virtual authenticator: our script, and a real browser's answers."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed")
    async with serving(tmp_path, settle=False) as site, playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await (await browser.new_context()).new_page()
        await with_virtual_authenticator(page)
        where = f"http://localhost:{site.port}"
        code = site.app.people.add("alice", "admin")["code"]
        await page.goto(where + "/admin/setup")
        for field, value in (("name", "alice"), ("code", code), ("password", GOOD), ("again", GOOD)):
            await page.fill(f"#{field}", value)
        await page.click("main button")
        await page.fill("#passkey-name", "laptop")
        await page.click("form[data-passkey] button")
        await page.wait_for_url(where + "/admin")
        await page.goto(where + "/admin/account")
        assert "laptop" in await page.inner_text("main")
        await page.click(".out button")
        await page.wait_for_url(where + "/admin/signin")
        await page.fill("#name", "alice")
        await page.fill("#password", GOOD)
        await page.click("main button")
        await page.click("form[data-passkey] button")
        await page.wait_for_url(where + "/admin")
        await browser.close()
        assert [row["what"] for row in site.app.store.audit_rows()][:2] == ["sign in", "sign out"]


async def with_virtual_authenticator(page):
    """WebDriver's own (WebAuthn Level 3 section 11), through Chromium's protocol."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
