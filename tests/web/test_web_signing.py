"""Signing in at the desk, over HTTP: the pages, the cookie, the forms, and those who should not get in."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyotp
import pytest
import yarl
from aiohttp import ClientSession, DummyCookieJar, web
from argon2 import PasswordHasher
from authenticator import Authenticator
from test_web_pages import Page
from website import serving

from dnsbl import clock
from dnsbl.app import App
from dnsbl.people import passwords, totp
from dnsbl.web import routes, signin
from dnsbl.web.admission.rates import LIMITS, Limit, Rates
from dnsbl.web.signing import desk_form, desk_page, need_person, next_of

GOOD = "correct horse battery"
OTHER = "staple of another kind"
COOKIE = "dnsbl_desk"
LOCAL = "http://localhost:8053"


class Time:
    def __init__(self) -> None:
        self.now = 1_790_000_010

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch):
    made = Time()
    monkeypatch.setattr(clock, "now", made)
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What a hash costs, and how long a failure is held back, is not what these tests are about."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(passwords, "NOBODYS", passwords.nobodys())
    monkeypatch.setattr(signin, "FAILURE", 0.0)


async def a_page(request):
    await need_person(request, request.query.get("role", "reviewer"))
    return desk_page(request, "admin/account.html", **dict.fromkeys(PAGE_VALUES, ""), others=0, passkeys=[])


async def a_deed(request):
    person, form = await desk_form(request, "admin")
    return web.json_response({"person": person.name, "form": form})


PAGE_VALUES = ("done", "mistake", "app_since", "new", "fresh", "options")


@asynccontextmanager
async def desk(directory, monkeypatch, public_url="", name="alice", role="admin"):
    """A site with one person who has a password and an app, and with a page and a form such as the desk has."""
    extra = [routes.Route("GET", "/admin/test", a_page), routes.Route("POST", "/admin/test", a_deed)]
    monkeypatch.setattr(routes, "ROUTES", [*routes.ROUTES, *extra])
    monkeypatch.setattr(App, "public_url", public_url)
    async with serving(directory, settle=False) as site:
        site.state.admission.rates = Rates(limits={**LIMITS, "sign-in": Limit(1000, 60)})
        people = site.app.people
        made = people.add(name, role)
        visit = people.sessions.find(people.signin.set_up(name, made["code"], GOOD))
        people.accounts.draft(visit)
        visit = people.sessions.find(visit.token)
        assert people.accounts.confirm(visit, pyotp.TOTP(people.accounts.draft(visit)).at(clock.now()))
        people.sign_out(name)
        yield site


class Browser:
    """Keeps cookies itself and follows nothing, so that a test sees each step."""

    def __init__(self, client, port, origin=None):
        self.client, self.cookies, self.set = client, {}, {}
        self.origin = origin or f"http://127.0.0.1:{port}"
        self.text, self.status, self.to = "", 0, ""

    async def get(self, path):
        return await self.ask("GET", path)

    async def post(self, path, headers=None, **fields):
        return await self.ask("POST", path, data=fields, headers={"Origin": self.origin, **(headers or {})})

    async def ask(self, method, path, headers=None, **options):
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.client.request(
            method, yarl.URL(path, encoded=True), headers=headers, allow_redirects=False, **options
        ) as response:
            self.text, self.status = await response.text(), response.status
            self.to, self.headers = response.headers.get("Location", ""), response.headers
            self.set = dict(response.cookies)
            for name, morsel in response.cookies.items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return self.status

    def field(self, name="csrf"):
        return html.unescape(re.search(f'name="{name}" value="([^"]*)"', self.text)[1])

    async def sign_in(self, site, time, name="alice", password=GOOD):
        assert await self.password(name, password) == 303, self.text
        assert await self.get(self.to) == 200
        time.now += 60
        assert await self.post("/admin/second", csrf=self.field(), code=code_of(site, name)) == 303, self.text
        return self

    async def password(self, name="alice", password=GOOD, **more):
        await self.get("/admin/signin")
        return await self.post("/admin/signin", csrf=self.field(), name=name, password=password, **more)


@asynccontextmanager
async def browsing(site, origin=None) -> AsyncIterator[Browser]:
    async with ClientSession(f"http://127.0.0.1:{site.port}", cookie_jar=DummyCookieJar()) as client:
        yield Browser(client, site.port, origin)


def code_of(site, name="alice"):
    people = site.app.people
    return pyotp.TOTP(totp.secret_of(site.app.keyed, people.known(name).totp_nonce)).at(clock.now())


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
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        time.now += 11 * 60
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


async def test_an_unknown_deed_is_refused(tmp_path, time, monkeypatch):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await browser.sign_in(site, time)
        await browser.get("/admin/account")
        assert await browser.post("/admin/account", csrf=browser.field(), deed="__class__") == 422
        assert await browser.post("/admin/account", csrf=browser.field(), deed="remove", passkey="zz") == 403
        assert await browser.post("/admin/account", csrf=browser.field(), deed="remove", passkey="00") == 422


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
        await whole("/admin/account?app")
        for path in ("/admin/desk.css", "/admin/passkey.js"):
            assert await browser.get(path) == 200
