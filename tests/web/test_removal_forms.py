"""Attacks with forms and texts: pages of other sites, addresses that lead elsewhere, markup and templates in whatever a
stranger may write, and what it does to pages, JSON, headers and mail.

Where each page looks at its own form: test_web_admission.py, test_web_signing.py. Here all of the route table is tried,
so that a new page that forgets to look is found.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from desk_site import Browser, browsing, desk, quick, stopped_time  # noqa: F401  (fixtures)
from removal_attacks import EVIL, HOSTILE, PRODUCT, assert_tame, kept, rules_over
from removal_site import HOST, NEIGHBOUR, ask, import_list, step, work
from website import Site

from dnsbl import clock
from dnsbl.model import Report
from dnsbl.people.sessions import csrf_of
from dnsbl.removal.letters import wire
from dnsbl.removal.reasons import REASONS, Reason
from dnsbl.subjects import parse
from dnsbl.web.admission.rates import LIMITS, Limit, Rates
from dnsbl.web.language import Languages
from dnsbl.web.removals.letters import letter_writer
from dnsbl.web.routes import ROUTES

PURPOSES = {  # of forms that are sent without a session, by the beginning of their path
    "/delist": "removal", "/removals": "token", "/confirm": "token",
    "/admin/signin": "sign-in", "/admin/setup": "sign-in",
}  # fmt: skip
PARTS = {"{id}": "A" * 43, "{step}": "withdraw", "{name}": "ip", "{number}": "1", "{token}": "x", "{subject}": HOST}
POSTS = sorted({route.path for route in ROUTES if route.method == "POST"})
PAGES = [path for path in POSTS if not path.startswith("/v1/")]
EMPTY: dict[str, str] = {}
TYPES = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x")  # another site's page's


@asynccontextmanager
async def signed_in(directory: Path, monkeypatch: pytest.MonkeyPatch, time: Any) -> AsyncIterator[tuple[Site, Browser]]:
    """A site with two listed addresses, and an admin at the desk who keeps cookies of both kinds."""
    async with desk(directory, monkeypatch) as site, browsing(site) as browser:
        site.state.admission.rates = Rates(limits={kind: Limit(100_000, 60) for kind in LIMITS})
        import_list(site, "spam", (HOST, NEIGHBOUR))
        await browser.sign_in(site, time)
        await browser.get("/delist")
        yield site, browser


def path_of(route: str) -> str:
    for name, part in PARTS.items():
        route = route.replace(name, part)
    return route


def field(site: Site, browser: Browser, path: str) -> str:
    """The right hidden field of a page's form."""
    csrf = site.state.admission.csrf
    purpose = next((each for start, each in PURPOSES.items() if path.startswith(start)), None)
    if purpose is not None:
        return csrf.tag(browser.cookies[csrf.cookie], purpose)
    return csrf_of(browser.cookies["dnsbl_desk"])


# other sites


async def test_no_page_of_another_site_posts_anything(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cookies of an admin and the very field of the form, as if it had leaked."""
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):
        before = kept(site)
        for path in PAGES:
            form = {"csrf": field(site, browser, path), "q": HOST, "deed": "others", "sure": "1", "reason": "x"}
            for evil in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
                status = await browser.post(path_of(path), evil, **form)
                assert (status, "nothing was done" in browser.text) == (403, True), (path, evil)
        assert kept(site) == before


@pytest.mark.parametrize("sent", [EMPTY, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "\u00e9" * 64}])
async def test_no_page_takes_a_form_without_its_field(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch, sent: dict[str, str]
) -> None:
    """From whatever says nothing of where it comes from."""
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):
        before = kept(site)
        for path in PAGES:
            status = await browser.ask("POST", path_of(path), data={"q": HOST, "token": "x", **sent})
            assert (status, "nothing was done" in browser.text) == (403, True), path
        assert kept(site) == before


async def test_the_field_of_one_kind_of_form_is_not_good_for_another(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):
        fields = {path: field(site, browser, path) for path in PAGES}
        for path, right in fields.items():
            for other in {*fields.values()} - {right}:
                assert await browser.post(path_of(path), csrf=other) == 403, path
        assert await browser.post("/removals/x/withdraw", csrf=fields["/confirm"]) == 404, "the right one gets further"


async def test_what_a_page_of_another_site_can_send_to_the_api_does_nothing(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser sends such bodies without asking us first, and never a key (Fetch, CORS)."""
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):
        before = kept(site)
        for path in sorted({*POSTS} - {*PAGES}):
            for kind in TYPES:
                headers = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Content-Type": kind}
                data = b'{"subject":"45.9.1.7","token":"x","altcha":"","=":"x"}'
                status = await browser.ask("POST", path_of(path), headers, data=data)
                assert status in (401, 403, 404, 415), path
                assert "Access-Control-Allow-Origin" not in browser.headers
        assert kept(site) == before


async def test_no_address_leads_to_another_site(tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever page is asked for, in a session and without, and however it is told where to go next."""
    away = "%2F%2Fevil.example"
    paths = [path_of(route.path) for route in ROUTES if route.method == "GET"]
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser), browsing(site) as stranger:
        for path in ["/%5Cevil.example", "/%2F/evil.example", *paths]:
            for visitor in (browser, stranger):
                for value in (away, "https:%2F%2Fevil.example", "%2F%5Cevil.example", "%0d%0aSet-Cookie:+planted=1"):
                    query = f"?next={value}&back={value}&url={value}&q={value}&before=%C2%B2&limit=-1&since=%FF&name="
                    await visitor.get(path + query)
                    assert visitor.status != 500
                    assert visitor.to == "" or (visitor.to[0] == "/" and visitor.to[1:2] not in ("/", "\\")), path
                    assert "planted" not in visitor.set
                    if path.endswith(("/export", ".json")):
                        break  # large, and the same for each


# texts


async def test_what_strangers_write_stays_text_on_every_page(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On pages for visitors, on the private page, and at the desk where a person reads it."""
    caplog.set_level(logging.ERROR)
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):
        partner = witnessed(site)
        for text in HOSTILE:
            for path in ("/lookup", "/delist", "/admin/search", "/admin/audit", "/admin/do/exemptions/add"):
                await looked_at(browser, path, q=text, subject=text, reason=text, who=text)
            for path in ("/confirm/", "/removals/", "/v1/subjects/", "/admin/feeds/", "/admin/removals/", "/"):
                await looked_at(browser, path + text.encode().hex(" ").replace(" ", "").upper()[:60])
                await looked_at(browser, path + percent(text))
        everything = "\n".join(HOSTILE).replace("\r", "")
        found = await ask(site, HOST, HOST, reason=everything)
        await step(site, found, "appeal", reason=everything)
        private = f"/removals/{found['id']}"
        await looked_at(browser, private)
        for path in (f"/lookup?q={HOST}", f"/v1/subjects/{HOST}", "/status", "/stats", "/admin", "/admin/removals/1",
                     f"/admin/search?q={HOST}", "/admin/audit", "/admin/keys", "/admin/sources"):  # fmt: skip
            await looked_at(browser, path)
        await looked_at(browser, "/admin/search", q=partner)
        await looked_at(browser, "/admin/sources/show", name=partner)
        await browser.get("/admin/removals/1")
        csrf = browser.field()
        await browser.post("/admin/do/removals/refuse", csrf=csrf, number="1", answer="")
        assert_tame(browser.text)
        assert await browser.post("/admin/do/removals/refuse", csrf=csrf, number="1", answer=everything) == 303
        await looked_at(browser, private)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in browser.text, "it is shown, as text"
        await looked_at(browser, "/admin/removals/1")
    assert caplog.records == []


def witnessed(site: Site) -> str:
    """Somebody of a hostile name, who has a key, reported HOST, and of whose mail the HELO and more are kept; the
    name."""
    store, name = site.app.store, "".join(HOSTILE[n].replace(" ", "") for n in (0, 1, 2, 4))
    site.key("report", name=name)
    source = next(source.id for source in store.sources().values() if source.name == name)
    store.take_reports(source, [Report(parse(HOST), "spam", clock.now() - clock.DAY, "w")])
    facts = {fact: "\n".join(HOSTILE) for fact in ("helo", "address", "kind", "From", "Subject", "feedback_type")}
    store.add_sample(source, "trap", {**facts, "domains": list(HOSTILE)}, [parse(HOST)], clock.now())
    site.app.settle()
    return name


async def looked_at(browser: Browser, path: str, **query: str) -> None:
    asked = path + ("?" + "&".join(f"{name}={percent(value)}" for name, value in query.items()) if query else "")
    await browser.get(asked)
    assert browser.status < 500, asked
    assert "planted" not in browser.set, asked
    if browser.headers.get("Content-Type", "").startswith("text/html"):
        assert_tame(browser.text, asked)
    else:
        assert PRODUCT not in browser.text, asked


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def test_forms_come_back_with_what_was_written_as_text(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that waits carries all of the form, with names of fields that a stranger chose."""
    async with signed_in(tmp_path, monkeypatch, time) as (site, browser):

        async def sent(path: str, **form: str) -> int:
            kind = {"Content-Type": TYPES[0]}
            await browser.ask("POST", path, kind, data=urlencode({"csrf": field(site, browser, path), **form}).encode())
            assert_tame(browser.text, form)
            assert "planted" not in browser.set
            return browser.status

        for text in HOSTILE:
            name = f"zone-{text}".replace("\r", "")[:60]
            form = {"q": text, "said": text, name: text}
            assert await sent("/delist", **form) == 200
            assert 'name="ticket"' in browser.text
            assert await sent("/delist", **form, altcha=work(site)) == 400
            assert await sent("/delist", q=HOST, said=text, **{name: "1"}, altcha=work(site)) == 400
            assert await sent("/confirm", token=text) == 200


@pytest.mark.parametrize("text", HOSTILE)
def test_reasons_and_sentences_take_any_value_as_it_is(text: str) -> None:
    """A value with places to fill in is not filled in again."""
    language = Languages.load().of("en")
    for word in REASONS:
        values = dict.fromkeys(("category", "listing", "subject", "zone", "open", "times", "days"), text)
        said = language.said(Reason(word, values | {"quiet": 60, "until": 1, "last": 1}).phrase())
        assert PRODUCT not in said
        assert said.count(text) == REASONS[word].count("%(") - sum(
            REASONS[word].count(f"%({name})") for name in ("quiet", "until", "last")
        )


HOSTILE_NAMES = (
    "mail.listed-example.com\r\nBcc: all@evil.example", "a@evil.example,b.example.com", "<script>.example.com",
    "mail.listed-example.com>", "{{1337*1337}}.example.com", "x\0.example.com", "-oX/tmp/x.example.com", "\u0430bc.com",
)  # fmt: skip


async def test_mail_has_the_fields_that_we_gave_it_and_one_recipient(
    tmp_path: Path, time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in reverse names, in the request and its reason, and in who is asked for."""
    async with signed_in(tmp_path, monkeypatch, time) as (site, _):
        rules_over(site, names=("mail.listed-example.com", *HOSTILE_NAMES))
        found = await ask(site, HOST, HOST, reason="\n".join(HOSTILE))
        offered = await step(site, found, "mailboxes", proof="mailbox")
        assert offered["mailboxes"] == ["postmaster@mail.listed-example.com", "abuse@mail.listed-example.com"]
        good = offered["mailboxes"][1]
        for wanted in (f"{good}\r\nBcc: a@evil.example", f"{good},a@evil.example", f"<{good}> SIZE=1", f"{good}\0"):
            await step(site, found, "mail", proof="mailbox", mailbox=wanted)
        assert site.app.store.mail_due(clock.now(), 10) == []
        await step(site, found, "mail", proof="mailbox", mailbox=good)
        [mail] = site.app.store.mail_due(clock.now(), 10)
        letter = letter_writer(lambda: site.app.removals, Languages.load(), "https://bl.example")(mail)
        assert letter is not None
        sent = message_from_bytes(wire(letter, mail, "bl@bl.example", clock.now()), policy=policy.default)
        assert (sent["To"], sent["Bcc"], sent["Cc"]) == (good, None, None)
        assert sorted({*sent.keys()}) == sorted({
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type",
            "Content-Transfer-Encoding", "MIME-Version",
        })  # fmt: skip
        text = sent.get_content()
        assert not any(each.replace("\r\n", "\n") in text for each in HOSTILE), "no stranger's words are carried"
        assert text.count("https://") == 2, "our own address, and the link"
