"""A site with somebody who can sign in at the desk, and a browser that does."""

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
from website import serving

from dnsbl import clock
from dnsbl.app import App
from dnsbl.people import passwords, totp
from dnsbl.web import routes, signin
from dnsbl.web.admission.rates import LIMITS, Limit, Rates
from dnsbl.web.signing import desk_form, desk_page, need_person

GOOD = "correct horse battery"
OTHER = "staple of another kind"
COOKIE = "dnsbl_desk"
ROUTES = routes.ROUTES
LOCAL = "http://localhost:8053"


class Time:
    def __init__(self) -> None:
        self.now = 1_790_000_010

    def __call__(self) -> int:
        return self.now


@pytest.fixture(name="time")
def stopped_time(monkeypatch):
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
    monkeypatch.setattr(routes, "ROUTES", [*ROUTES, *extra])
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
