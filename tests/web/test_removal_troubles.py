"""Faults around removals, over HTTP on a real application and store: what was granted stays so, what was not does not
come about, and every answer is a whole page or document.

Elsewhere: each answer of a mail server (removal/test_mailer.py); `kill -9` of the real program
(live/test_removal_faults.py).
"""

from __future__ import annotations

import asyncio
import email
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from removal_attacks import confirm, kept, mailed_token, rules_over
from removal_site import (
    ELSEWHERE,
    HOST,
    LISTED,
    NAME,
    NEIGHBOUR,
    answers,
    as_it_is,
    ask,
    browser,
    hidden,
    listed_site,
    report_now,
    step,
    visitor,
    work,
)
from website import Site, settings_in

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config import MailConfig
from dnsbl.removal.mailer import Mailer
from dnsbl.subjects import parse
from dnsbl.web.language import Languages
from dnsbl.web.removals.letters import letter_writer

HOUR = 3600


class Time:
    def __init__(self) -> None:
        self.now = clock.now()

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(clock, "now", made)
    return made


# faults of the store


@contextmanager
def full_disk(site: Site) -> Iterator[None]:
    """The store may not grow any more, as when its disk is full."""
    writer = site.app.store.writer
    writer.execute("VACUUM")
    [(pages,)] = writer.execute("PRAGMA page_count").fetchall()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        writer.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Another process holds the store, for longer than anybody waits."""
    site.app.store.writer.execute("PRAGMA busy_timeout = 20")
    holder = sqlite3.connect(site.app.store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.close()


@pytest.mark.parametrize("trouble", [full_disk, locked])
async def test_a_store_that_takes_nothing_grants_nothing_and_says_so(tmp_path: Path, trouble: Any) -> None:
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        other = await ask(site, NAME, ELSEWHERE)
        async with client.get(f"/delist?q={HOST}") as response:
            csrf = hidden(await response.text(), "csrf")
        with trouble(site):
            before, statuses = kept(site), []
            for _ in range(4):
                found = await ask(site, HOST, HOST, reason="x" * 2000)
                statuses.append(found["status"])
            form = {"q": HOST, "said": "x" * 2000, "csrf": csrf, "altcha": work(site)}
            async with client.post("/delist", data=form, allow_redirects=False) as response:
                statuses.append(response.status)
                page = await response.text()
            assert kept(site) == before
            assert set(statuses) == {503}
            assert "Nothing is listed or freed by this" in page
            assert "altcha" not in page
            assert str(tmp_path) not in page
            assert (await as_it_is(site, other))["state"] == "proof-asked"
            for path in (f"/lookup?q={HOST}", f"/delist?q={HOST}", f"/removals/{other['id']}", "/criteria", "/"):
                async with client.get(path) as response:
                    assert response.status == 200, path
        assert answers(site, HOST) == LISTED
        assert site.app.store.check() == []
        assert (await ask(site, HOST, HOST))["state"] == "granted"
        assert answers(site, HOST) == []


# time


async def test_a_clock_that_is_put_back_neither_frees_nor_breaks(tmp_path: Path, time: Time) -> None:
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        granted = await ask(site, HOST, HOST)
        waiting = await ask(site, NEIGHBOUR, ELSEWHERE)
        await asyncio.to_thread(report_now, site, "45.9.7.7")
        assert answers(site, HOST) == []
        time.now -= 2 * HOUR
        assert (await as_it_is(site, granted))["state"] in ("granted", "done")
        assert (await as_it_is(site, waiting))["state"] == "proof-asked"
        assert answers(site, HOST) == [], "no granted removal is lost"
        assert answers(site, NEIGHBOUR) == LISTED
        assert (await ask(site, "45.9.7.7", "45.9.7.7"))["state"] == "refused", "it was reported just now, and later"
        for path in (f"/removals/{waiting['id']}", f"/removals/{granted['id']}", f"/lookup?q={HOST}", "/stats"):
            async with site.client.get(path, headers=visitor(ELSEWHERE)) as response:
                assert response.status == 200, path


async def test_a_restart_makes_open_forms_void_and_keeps_links_and_tokens(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        token = await mailed_token(site, found)
        async with client.get(f"/delist?q={HOST}") as response:
            form = {"q": HOST, "csrf": hidden(await response.text(), "csrf"), "altcha": work(site)}
        cookies = {cookie.key: cookie.value for cookie in client.cookie_jar}
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        for sent in (form, form | {"altcha": work(site)}):
            async with client.post("/delist", data=sent, cookies=cookies, allow_redirects=False) as response:
                assert response.status == 403
                assert "open the form again" in await response.text()
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert answers(site, HOST) == LISTED
        await confirm(site, token)
        assert answers(site, HOST) == []


# mail


class Post:
    """A mail server that can be away."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.port = 0

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        self.taken.append(envelope.original_content)
        return "250 ok"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname="relay.example"), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


async def test_the_mail_server_is_away_for_an_hour_and_the_link_is_good_then(tmp_path: Path, time: Time) -> None:
    """Nothing waits for it but the mail: pages say how it stands, and others are let off meanwhile."""
    post = Post()
    async with post.open():
        pass
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        writer = letter_writer(lambda: site.app.removals, Languages.load(), "https://bl.example")
        config = MailConfig(relay=f"127.0.0.1:{post.port}", sender="bl@bl.example", tls="off")
        mailer = Mailer(config, site.app.store, writer, lambda: time.now)
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        for _ in range(6):
            assert await mailer.round() is False
            time.now += HOUR // 6
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert (await ask(site, NEIGHBOUR, NEIGHBOUR))["state"] == "granted"
        async with post.open():
            time.now += HOUR
            await mailer.round()
            await mailer.round()
        [sent] = post.taken
        text = email.message_from_bytes(sent, policy=policy.default).get_content()
        [link] = [line for line in text.splitlines() if line.startswith("https://bl.example/confirm/")]
        async with browser(site, ELSEWHERE) as client:
            path = link.removeprefix("https://bl.example")
            async with client.get(path) as response:
                page = await response.text()
            form = {"csrf": hidden(page, "csrf"), "token": hidden(page, "token")}
            async with client.post("/confirm", data=form) as response:
                assert response.status == 200
        assert (await as_it_is(site, found))["state"] == "granted"
        assert answers(site, HOST) == []


async def test_a_process_that_ends_between_challenge_and_mail_loses_none(tmp_path: Path) -> None:
    """And the link that the next one mails is the one that the challenge was made with."""
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
    with App(settings_in(tmp_path)) as app:
        [mail] = app.store.mail_due(clock.now(), 10)
        letter = letter_writer(lambda: app.removals, Languages.load(), "https://bl.example")(mail)
        assert letter is not None
        token = letter.body.partition("/confirm/")[2].split()[0]
        assert app.removals.confirm(token, clock.now())
        app.settle()
        assert app.dns_codes("ip", parse(HOST)) == []
