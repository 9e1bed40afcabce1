"""Pages for people."""

import asyncio
import re
from html.parser import HTMLParser

import pytest
from test_web_subjects import SECRET_NAMES, listed
from website import serving

from dnsbl import config
from dnsbl.web import usage

PAGES = ["/", "/lookup", "/lookup?q=8.8.8.7", "/lookup?q=nonsense", "/status", "/nowhere"]
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Checks that every element is closed, and collects what is loaded, linked to and shown."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.links, self.ids, self.tags, self.text = [], [], [], [], set(), ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        said = dict(attributes)
        self.ids += [said["id"]] if "id" in said else []
        if tag == "link" or "src" in said:
            self.loads.append(said.get("href") or said["src"])
        elif "href" in said:
            self.links.append(said["href"])
        assert not [name for name in said if name.startswith("on") or name == "style"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


async def page(site, path, status=200):
    async with site.client.get(path) as response:
        assert response.status == status
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        return Page(await response.text())


@pytest.mark.parametrize("path", PAGES)
async def test_pages_load_nothing_from_others_and_have_no_script(tmp_path, path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        async with site.client.get(path) as response:
            policy = response.headers["Content-Security-Policy"]
            shown = Page(await response.text())
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script" not in shown.tags
        assert shown.loads == ["/style.css", "/icon.svg"]
        assert len(shown.ids) == len(set(shown.ids))
        assert "h1" in shown.tags
        for link in shown.links:
            assert link.startswith(("/", "#", "mailto:"))
        for load in shown.loads + [link for link in shown.links if link.startswith("/")]:
            async with site.client.get(load) as response:
                assert response.status == 200


async def test_the_first_page_tells_every_zone_and_how_to_use_it(tmp_path):
    async with serving(tmp_path) as site:
        shown = await page(site, "/")
        for zone in site.app.zones.values():
            assert zone.origin in shown.text
        assert "reject_rbl_client ip.dnsbl.test=127.0.0.[2;3;4;5;9;10]" in shown.text
        assert "returncodes" in shown.text


async def test_a_look_up_says_it_in_words(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        shown = await page(site, "/lookup?q=8.8.8.7")
        words = " ".join(shown.text.split())
        assert "Listed in ip.dnsbl.test." in words
        assert "a spam trap" in words
        assert "a partner" in words
        assert "mailto:hostmaster@dnsbl.test" in shown.links
        assert not [name for name in SECRET_NAMES if name in words]
        words = " ".join((await page(site, "/lookup?q=9.9.9.9")).text.split())
        assert "Not listed as bad in any zone" in words
        assert "May not be listed" in words
        assert "8.8.8.8" in (await page(site, "/lookup?q=+8.8.8.8+")).text
        assert "+4930123456" in (await page(site, "/lookup?q=%2B4930123456")).text
        assert (await page(site, "/lookup?q=127.0.0.1")).text.count("never listed")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'-alert(1)-'",
        "{{ 7 * 7 }}",
        "\u202eevil",
        "&lt;b&gt;",
    ],
)
async def test_a_hostile_subject_is_shown_as_text(tmp_path, hostile):
    async with serving(tmp_path) as site, site.client.get("/lookup", params={"q": hostile}) as response:
        assert response.status == 400
        text = await response.text()
        assert "<script" not in text
        assert "<img" not in text
        assert re.search(r"\b49\b", text) is None
        shown = Page(text)
        assert "That is nothing that could be listed" in shown.text


async def test_status_tells_the_health_of_zones_and_feeds(tmp_path):
    async with serving(tmp_path, settle=False) as site:
        words = " ".join((await page(site, "/status")).text.split())
        assert "Not everything is up" in words
        await asyncio.to_thread(site.app.settle)
        words = " ".join((await page(site, "/status")).text.split())
        assert "Everything is up" in words
        for name in [*site.app.zones, *site.app.feeds]:
            assert name in words


async def test_what_is_not_there_is_said_on_a_page(tmp_path):
    async with serving(tmp_path) as site:
        shown = await page(site, "/nowhere/<b>", 404)
        assert "There is nothing here" in shown.text
        async with site.client.post("/lookup") as response:
            assert response.status == 405
            assert response.content_type == "text/html"
            assert response.headers["Allow"] == "GET,HEAD"


def test_the_style_sheet_is_for_light_and_dark(tmp_path):
    from dnsbl.web.pages import packaged

    assert "prefers-color-scheme: dark" in packaged("style.css", "text/css").text


def zone(**changes):
    return config.ZoneDef.model_validate(
        {
            "name": "my-zone", "origin": "bl.example", "kind": "ip", "ns": ["ns.example"],
            "codes": [{"code": "127.0.0.2", "categories": ["spam"]}, {"code": "127.0.1.9", "categories": ["botnet"]}],
            **changes,
        }
    )  # fmt: skip


def test_what_postfix_is_told():
    white = zone(policy={"exempt": False})
    names = zone(kind="domain", origin="dbl.example")
    assert usage.postfix([zone(), white, names]).splitlines() == [
        "smtpd_recipient_restrictions =",
        "    permit_mynetworks,",
        "    reject_unauth_destination,",
        "    reject_rbl_client bl.example=127.0.0.2,",
        "    reject_rbl_client bl.example=127.0.1.9,",
        "    reject_rhsbl_sender dbl.example=127.0.0.2,",
        "    reject_rhsbl_sender dbl.example=127.0.1.9",
    ]


def test_what_rspamd_is_told():
    text = usage.rspamd([zone()])
    assert text.count("{") == text.count("}") == 3
    assert 'DNSBL_MY_ZONE_127_0_1_9 = "127.0.1.9";' in text


def test_who_answers_for_a_zone():
    assert usage.operator_mail(zone(soa={"rname": "bl-admin.example.org"})) == "bl-admin@example.org"
