"""The desk in a reviewer's language: every sentence of its pages is in the catalogue."""

from __future__ import annotations

import asyncio
import re

from desk_site import browsing, desk, quick, stopped_time  # noqa: F401  (fixtures)
from test_web_language import Bracketed, Words, outside_brackets, speaking

from dnsbl import clock
from dnsbl.removal.requests import Asking
from dnsbl.subjects import parse
from dnsbl.web.desk.pages import PAGES
from dnsbl.web.language import Language

PATHS = sorted({path for method, path, _ in PAGES if method == "GET" and "{" not in path})
NOT_PAGES = ("/admin/audit/export", "/admin/desk.js")
OURS = {"dnsbl"}  # the name in each page's head


async def test_no_sentence_of_the_desk_is_missing(tmp_path, monkeypatch, time):
    async with desk(tmp_path, monkeypatch) as site, browsing(site) as browser:
        await asyncio.to_thread(something_waits, site)
        await browser.sign_in(site, time)
        speaking(site, de=Language("de", Bracketed()))
        for path in [each for each in PATHS if each not in NOT_PAGES] + ["/admin/removals/1"]:
            assert await browser.ask("GET", path, headers={"Accept-Language": "de"}) in (200, 400, 404), path
            left = outside_brackets(Words(browser.text).text)
            assert set(re.findall(r"[^\W\d_]{2,}", left)) <= OURS, (path, " ".join(left.split()))


def something_waits(site):
    """A telephone number that nobody can prove: a person decides."""
    store = site.app.store
    source = store.source("numbers", "import", trust=0.9)
    store.replace_entries(source.id, {parse("+4930123456"): 1}, {}, "voip-spam", clock.now() - 86_400)
    site.app.settle()
    opened = site.app.removals.open(Asking(parse("+4930123456"), "+4930123456"), clock.now())
    assert opened.removal.state == "to-person"
