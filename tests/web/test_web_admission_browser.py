"""The public form in a real browser: with its script, without, and from a hostile page."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from admission_form import form_routes
from aiohttp import web
from chromium import NEEDED, page_at
from website import serving

from dnsbl.web import routes
from dnsbl.web.admission.tickets import WAIT

pytestmark = NEEDED

HOSTILE = """<!doctype html><title>Hostile</title><form action="http://127.0.0.1:{port}/try" method="post">
<input name="why" value="stolen"><input name="csrf" value="{csrf}"><button>Win</button></form>"""

# Keeps what the status of a page said, beyond that page: the sum may be done, and the page gone, before anybody asks.
LISTENS = """new MutationObserver(() => {
  const said = document.querySelector("[role=status]")?.textContent;
  if (said) sessionStorage.setItem("said", said);
}).observe(document, { childList: true, subtree: true });"""


@pytest.fixture
def done(monkeypatch):
    """The forms that were let in."""
    found: list[dict[str, str]] = []
    monkeypatch.setattr(routes, "ROUTES", [*routes.ROUTES, *form_routes(found)])
    return found


@asynccontextmanager
async def browsing(directory, **options):
    """The application, a page of a browser, and what that complains of."""
    async with serving(directory) as site, page_at(site, **options) as (page, complaints):
        yield site, page, complaints


async def test_with_script_the_browser_does_the_sum_and_nobody_waits(tmp_path, done):
    async with browsing(tmp_path) as (site, page, complaints):
        await page.add_init_script(LISTENS)
        await page.goto("/try")
        await page.fill("#why", "line\nline")
        assert await page.get_by_role("status").text_content() == ""
        async with page.expect_navigation(url="**/try?private=link"):
            await page.get_by_role("button", name="Send").dblclick()
        assert await page.get_by_role("heading", level=1).text_content() == "Done"
        assert "One moment" in await page.evaluate("sessionStorage.getItem('said')")
        assert [(each["why"], each["pressed"]) for each in done] == [("line\nline", "yes")]
        await page.go_back()
        assert await page.input_value("[name=altcha]") == ""
        async with page.expect_navigation(url="**/try?private=link"):
            await page.keyboard.press("Tab")
            await page.get_by_role("button", name="Send").press("Enter")
        assert len(done) == 2
        assert complaints == []
        assert len(site.state.admission.work.used.names) == 2


async def test_without_script_the_same_form_waits(tmp_path, done):
    async with browsing(tmp_path, java_script_enabled=False) as (site, page, _):
        await page.goto("/try")
        await page.fill("#why", "no script")
        await page.get_by_role("button", name="Send").click()
        assert "45 seconds" in await page.text_content("main")
        await page.get_by_role("button", name="Go on").click()
        assert "too early" in await page.get_by_role("alert").text_content()
        tickets = site.state.admission.tickets
        before = tickets.now
        tickets.now = lambda: before() + WAIT
        await page.get_by_role("button", name="Go on").click()
        assert await page.get_by_role("heading", level=1).text_content() == "Done"
        assert [each["why"] for each in done] == ["no script"]


async def test_where_no_sum_is_to_be_had_the_form_waits_instead(tmp_path, done):
    async with browsing(tmp_path) as (_, page, _):
        await page.goto("/try")
        await page.route("**/v1/challenge", lambda route: route.fulfill(status=503))
        async with page.expect_navigation(url="**/try?private=link"):
            await page.get_by_role("button", name="Send").click()
        assert await page.get_by_role("heading", level=1).text_content() == "Please wait a little"
        assert not done


async def test_a_hostile_page_cannot_use_the_browser_of_its_visitor(tmp_path, done):
    async with browsing(tmp_path) as (site, page, _):
        await page.goto("/try")  # the visitor has a cookie of ours
        csrf = await page.input_value("[name=csrf]")  # and, for the worst case, the page has guessed the field
        for host in ("127.0.0.1", "localhost"):  # another port, to which cookies go as well; another site
            async with hostile(host, HOSTILE.format(port=site.port, csrf=csrf)) as address:
                await page.goto(address)
                async with page.expect_response("**/try") as answer:
                    await page.get_by_role("button", name="Win").click()
                assert (await answer.value).status == 403
        assert not done
        await page.goto("/try")
        assert await page.input_value("[name=csrf]") == csrf  # nor are the visitor's own forms spoilt


@asynccontextmanager
async def hostile(host, text):
    """A site with one page."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    other = web.Application()
    other.router.add_get("/", show)
    runner = web.AppRunner(other)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
