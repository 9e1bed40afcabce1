"""A public form on the real application: what a visitor, a robot and a hostile page get."""

from __future__ import annotations

import base64
import json
import re
from contextlib import asynccontextmanager
from html import unescape

import altcha
import pytest
from admission_form import form_routes
from aiohttp import ClientSession, CookieJar
from website import problem, serving

from dnsbl.web import routes
from dnsbl.web.admission import work
from dnsbl.web.admission.rates import LIMITS
from dnsbl.web.admission.tickets import LIFETIME, WAIT

HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
COOKIE = "dnsbl_form"


@pytest.fixture
def done(monkeypatch):
    """The forms that were let in."""
    found: list[dict[str, str]] = []
    monkeypatch.setattr(routes, "ROUTES", [*routes.ROUTES, *form_routes(found)])
    monkeypatch.setattr(work, "MOST", 4)
    return found


@asynccontextmanager
async def visiting(directory, **options):
    """The application, and a client that keeps cookies of an address, too."""
    async with (
        serving(directory, **options) as site,
        ClientSession(f"http://127.0.0.1:{site.port}", cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        site.client = client
        yield site


async def opened(site):
    """The hidden fields of the form, as a browser has them; the client keeps the cookie."""
    async with site.client.get("/try") as response:
        assert response.status == 200
        return hidden(await response.text())


def hidden(text):
    return {unescape(name): unescape(value) for name, value in HIDDEN.findall(text)}


async def send(site, form, status=200, path="/try", **headers):
    async with site.client.post(path, data=form, headers=headers) as response:
        text = await response.text()
        assert response.status == status, text
        return text


async def sum_of(site):
    async with site.client.get("/v1/challenge") as response:
        assert response.status == 200
        said = await response.json()
    solution = altcha.solve_challenge(altcha.Challenge.from_dict(said)).to_dict()
    return base64.b64encode(json.dumps({"challenge": said, "solution": solution}).encode()).decode()


async def ask(site, payload):
    return await site.client.post("/v1/try", json={"altcha": payload})


def pass_time(site, seconds):
    tickets = site.state.admission.tickets
    before = tickets.now
    tickets.now = lambda: before() + seconds


async def test_the_form_has_a_cookie_and_a_policy_for_its_script(tmp_path, done):
    async with visiting(tmp_path) as site:
        async with site.client.get("/try") as response:
            cookie = response.headers["Set-Cookie"]
            assert cookie.startswith(f"{COOKIE}=")
            assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
            policy = response.headers["Content-Security-Policy"]
            assert "script-src 'self'; connect-src 'self'" in policy
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            first = hidden(await response.text())
        async with site.client.get("/try") as response:
            assert "Set-Cookie" not in response.headers  # forms that are open stay good
            assert hidden(await response.text()) == first
        async with site.client.get("/status") as response:
            assert "Set-Cookie" not in response.headers
            assert "script" not in response.headers["Content-Security-Policy"]


async def test_over_https_the_cookie_is_for_this_host_alone(tmp_path, done):
    async with visiting(tmp_path) as site:
        csrf = site.state.admission.csrf
        csrf.__init__(csrf.key, "https://bl.example")
        async with site.client.get("/try") as response:
            cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-dnsbl_form=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


async def test_with_a_sum_the_form_is_let_in_once(tmp_path, done):
    async with visiting(tmp_path) as site:
        form = {**await opened(site), "why": "fixed", "altcha": await sum_of(site)}
        assert "<h1>Done</h1>" in await send(site, form)
        assert [each["why"] for each in done] == ["fixed"]
        again = await send(site, form)
        assert "Please wait" in again  # used up: no error, but the other way
        assert len(done) == 1


async def test_without_a_script_the_form_comes_back_and_is_let_in_later(tmp_path, done):
    why = 'a "quoted" <b>line</b>\nand {{ another }} é'
    async with visiting(tmp_path) as site:
        page = await send(site, {**await opened(site), "why": why, "pressed": "yes"})
        assert "Please wait" in page
        assert "45 seconds" in page
        assert "<script" not in page
        assert "http-equiv" not in page
        assert "<b>line" not in page
        form = hidden(page)
        assert form.keys() == {"why", "pressed", "csrf", "ticket"}
        assert (form["why"], form["pressed"]) == (why, "yes")

        early = await send(site, form)
        assert "too early" in early
        assert hidden(early) == form  # the same ticket: pressing often begins nothing anew
        assert not done
        pass_time(site, WAIT)
        assert "<h1>Done</h1>" in await send(site, form)
        assert [each["why"] for each in done] == [why]

        replayed = hidden(await send(site, form))
        assert replayed["ticket"] != form["ticket"]
        assert len(done) == 1


async def test_the_waiting_form_goes_to_the_same_private_link(tmp_path, done):
    async with visiting(tmp_path) as site:
        page = await send(site, await opened(site), path="/try?private=a%26b%22")
        assert 'action="/try?private=a%26b%22"' in page


async def test_a_ticket_of_another_network_or_of_long_ago_is_none(tmp_path, done):
    async with visiting(tmp_path, proxies=["127.0.0.0/8"]) as site:
        form = hidden(await send(site, await opened(site), **{"X-Forwarded-For": "192.0.2.7"}))
        pass_time(site, WAIT)
        for other in ("198.51.100.7", "2001:db8::7", "nonsense"):
            page = await send(site, form, **{"X-Forwarded-For": other})
            assert hidden(page)["ticket"] != form["ticket"]
        assert not done
        await send(site, form, **{"X-Forwarded-For": "192.0.2.8"})
        assert len(done) == 1
        old = hidden(await send(site, await opened(site), **{"X-Forwarded-For": "192.0.2.7"}))
        pass_time(site, LIFETIME)
        await send(site, old, **{"X-Forwarded-For": "192.0.2.7"})
        assert len(done) == 1


async def test_another_site_cannot_send_the_form(tmp_path, done):
    async with visiting(tmp_path) as site:
        form = {**await opened(site), "altcha": await sum_of(site)}
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert "nothing was done" in await send(site, form, 403, **headers)
            async with site.client.post("/v1/try", json={"altcha": form["altcha"]}, headers=headers) as response:
                await problem(response, 403)
        full = site.state.admission.rates.full
        assert not (full["form"] or full["removal"])  # nor does it use up what its visitor may ask for
        await send(site, form)  # or the sum
        assert len(done) == 1


async def test_a_form_without_its_field_or_cookie_is_refused(tmp_path, done):
    async with visiting(tmp_path) as site:
        form = {**await opened(site), "altcha": await sum_of(site)}
        for field in ("", "0" * 64, "é"):
            await send(site, {**form, "csrf": field}, 403)
        site.client.cookie_jar.clear()
        for cookie in ("", f"{COOKIE}=AAAAAAAAAAAAAAAAAAAAAA", f'{COOKIE}="', "=;;"):
            await send(site, form, 403, Cookie=cookie)
        assert not done


async def test_a_program_needs_a_sum_that_was_not_used(tmp_path, done):
    async with visiting(tmp_path) as site:
        good = await sum_of(site)
        for sent in ("", "x"):
            assert "/v1/challenge" in (await problem(await ask(site, sent), 403))["detail"]
        assert (await ask(site, good)).status == 200
        await problem(await ask(site, good), 403)
        assert len(done) == 1


async def test_a_network_asks_for_so_many_removals_and_is_told_when_again(tmp_path, done):
    many = LIMITS["removal"].many
    async with visiting(tmp_path) as site:
        form = await opened(site)
        for _ in range(many):
            await send(site, {**form, "altcha": await sum_of(site)})
        assert len(done) == many
        last = await sum_of(site)
        async with site.client.post("/try", data={**form, "altcha": last}) as response:
            assert response.status == 429
            assert 0 < int(response.headers["Retry-After"]) <= 360
            assert response.content_type == "text/html"
        await send(site, form, 429)  # nor is anyone made to wait for nothing
        site.state.admission.rates.full["removal"].clear()
        await send(site, {**form, "altcha": last})  # a refusal did not use the sum up
        assert len(done) == many + 1


async def test_a_flood_of_forms_is_refused_and_leaves_nothing(tmp_path, done):
    async with visiting(tmp_path) as site:
        form = await opened(site)
        answers = []
        for _ in range(LIMITS["form"].many + 30):
            async with site.client.post("/try", data=form) as response:
                answers.append(response.status)
        assert answers.count(200) == LIMITS["ticket"].many
        assert answers[-30:] == [429] * 30
        assert {kind: len(full) for kind, full in site.state.admission.rates.full.items() if full} == {
            "form": 1,
            "ticket": 1,
        }
        assert not done


async def test_challenges_are_given_out_so_often(tmp_path, done):
    async with visiting(tmp_path) as site:
        for _ in range(LIMITS["challenge"].many):
            async with site.client.get("/v1/challenge") as response:
                assert response.status == 200
                assert response.headers["Cache-Control"] == "no-store"
        await problem(await site.client.get("/v1/challenge"), 429)


async def test_the_script_is_ours_and_has_no_words_for_people(tmp_path):
    async with visiting(tmp_path) as site, site.client.get("/work.js") as response:
        assert response.status == 200
        assert response.content_type == "text/javascript"
        text = await response.text()
    assert "eval" not in text
    assert "innerHTML" not in text
    assert "://" not in text


async def test_what_is_no_form_is_refused(tmp_path, done):
    kind = "application/x-www-form-urlencoded"
    async with visiting(tmp_path) as site:
        for body, content_type, status in (
            (b"{}", "application/json", 415),
            (b"x=1", "text/plain", 415),
            (b"--x--", "multipart/form-data; boundary=x", 415),
            (b"x=1", f"{kind}; charset=utf-16", 415),
            (b"x=" + b"a" * 70_000, kind, 413),
            (b"a=1&a=2", kind, 400),
            (b"a=%00", kind, 400),
            (b"\xff=\xfe", kind, 400),
            (b"", kind, 403),
            (b"x=1", f"{kind}; charset=UTF-8", 403),
        ):
            await send(site, body, status, **{"Content-Type": content_type})
        assert not done
        assert site.state.uploads.active == site.state.uploads.held == 0
