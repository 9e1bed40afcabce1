"""A page of a real browser at a site, and whatever it complains of."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from website import Site

playwright = pytest.importorskip("playwright.async_api", reason="no browser is driven: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = [pytest.mark.peer, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]
SECONDS = 60  # an action that takes longer is at fault, however slow the machine


@asynccontextmanager
async def page_at(site: Site, **options: Any) -> AsyncIterator[tuple[Any, list[str]]]:
    """`options` of the browser's context; the page is at no address yet."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = await browser.new_context(base_url=f"http://127.0.0.1:{site.port}", **options)
            context.set_default_timeout(SECONDS * 1000)
            page = await context.new_page()
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page, complaints
        finally:
            await browser.close()
