"""A removal decided in a real browser: by single keys, by Tab and Enter alone, and without script."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from chromium import NEEDED, page_at
from desk_site import GOOD, code_of, desk, quick, stopped_time  # noqa: F401  (fixtures)
from test_web_desk import HOSTS, state, waiting

from dnsbl.web.desk.looks import ANSWERS

pytestmark = NEEDED

# A key may come before the page is told that the question before was closed.
CLOSES_AND_ASKS = """document.getElementById("sure").close("no");
document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }));"""


@asynccontextmanager
async def reviewing(directory, monkeypatch, time, **options):
    """Three removals that wait, the page of the first, and whatever the browser complains of."""
    async with desk(directory, monkeypatch) as site, page_at(site, **options) as (page, complaints):
        numbers = waiting(site, *HOSTS)
        await page.goto("/admin/signin")
        await page.fill("#name", "alice")
        await page.fill("#password", GOOD)
        await page.get_by_role("button", name="Go on").click()
        time.now += 60
        await page.fill("#code", code_of(site))
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("link", name=HOSTS[0]).click()
        await page.wait_for_url(f"**/admin/removals/{numbers[0]}")  # loaded: its script hears keys from then on
        yield site, page, numbers
        assert complaints == []


async def test_single_keys_decide_after_a_question(tmp_path, monkeypatch, time):
    async with reviewing(tmp_path, monkeypatch, time) as (site, page, (first, second, third)):
        sure = page.locator("#sure")
        await page.keyboard.press("r")
        assert "A refusal needs an answer" in await page.locator("#heard").text_content()
        await page.keyboard.type("g1")  # the answer has the focus: these are words
        assert await page.input_value("#answer") == "g1"
        await page.locator("h1").click()
        await page.keyboard.press("2")
        assert await page.input_value("#answer") == f"g1\n\n{ANSWERS[1]}"
        await page.keyboard.press("3")
        assert await page.input_value("#answer") == f"g1\n\n{ANSWERS[2]}"
        await page.keyboard.press("Control+r")
        await page.keyboard.press("Alt+g")
        assert not await sure.is_visible()
        await page.goto(f"/admin/removals/{first}")
        await page.keyboard.press("2")
        await page.keyboard.press("r")
        assert HOSTS[0] in await sure.text_content()
        await page.keyboard.press("g")  # nothing else while a question is open
        await page.keyboard.press("Escape")
        assert not await sure.is_visible()
        assert state(site, first) == "to-person"
        await page.keyboard.press("r")
        await page.evaluate(CLOSES_AND_ASKS)
        async with page.expect_navigation(url=f"**/admin/removals/{second}?*"):
            await page.keyboard.press("Enter")
        assert site.app.store.removal(first).answer == ANSWERS[1]
        async with page.expect_navigation(url=f"**/admin/removals/{third}"):
            await page.keyboard.press("n")
        async with page.expect_navigation(url=f"**/admin/removals/{second}"):
            await page.keyboard.press("p")
        await page.keyboard.press("?")
        assert await page.get_by_role("dialog", name="Keys").is_visible()


async def test_keys_are_switched_off_and_stay_so(tmp_path, monkeypatch, time):
    async with reviewing(tmp_path, monkeypatch, time) as (_, page, (first, *_)):
        box = page.get_by_label("Single keys decide")
        assert await page.locator("button kbd").first.is_visible()
        await box.uncheck()
        for _ in range(2):
            assert not await page.locator("button kbd").first.is_visible()
            await page.keyboard.press("g")
            assert not await page.locator("#sure").is_visible()
            await page.reload()
        assert page.url.endswith(f"/admin/removals/{first}")
        await box.check()
        await page.locator("h1").click()
        await page.keyboard.press("g")
        assert await page.locator("#sure").is_visible()


@pytest.mark.parametrize("script", [True, False])
async def test_tab_space_and_enter_are_enough(tmp_path, monkeypatch, time, script):
    async with reviewing(tmp_path, monkeypatch, time, java_script_enabled=script) as (site, page, (first, second, _)):
        for _ in range(60):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if await focused.get_attribute("name") in ("canned", "usual"):
                await page.keyboard.press("Space")
            if (await focused.get_attribute("formaction") or "").endswith("refuse"):
                break
        async with page.expect_navigation(url=f"**/admin/removals/{second}?*"):
            await page.keyboard.press("Enter")
        assert site.app.store.removal(first).answer == ANSWERS[0]
        assert "Refused" in await page.get_by_role("status").first.text_content()
