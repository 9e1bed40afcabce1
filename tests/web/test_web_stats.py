"""Statistics: counted in the background, drawn on the server, and a table beside each picture."""

import asyncio
import os
import re
from xml.etree import ElementTree

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_web_subjects import SECRET_NAMES, listed
from website import problem, serving

from dnsbl import clock
from dnsbl.errors import StoreError
from dnsbl.subjects import parse
from dnsbl.web import models
from dnsbl.web.charts import COLOURS, Series, folded, matrix, stacked, top_of_scale
from dnsbl.web.statsbook import DAYS, overlaps

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg):
    """A picture as a tree; it must be well-formed, and need no namespace to be declared within a page."""
    return ElementTree.fromstring(str(svg))


async def figures(site):
    async with site.client.get("/v1/stats") as response:
        assert response.status == 200
        return models.Stats.model_validate_json(await response.read())


def feed(site, name, *subjects):
    source = site.app.store.source(name, "feed", trust=0.9)
    site.app.store.replace_entries(source.id, {parse(each): 1 for each in subjects}, {}, "spam", clock.now())


async def test_the_figures_are_those_of_the_store(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(feed, site, "one", "45.1.1.1", "45.1.1.2", "45.1.1.3", "45.1.1.4")
        await asyncio.to_thread(feed, site, "two", "45.1.1.1", "45.1.1.9")
        await asyncio.to_thread(listed, site)
        found = await figures(site)
        zone = next(each for each in found.zones if each.zone == "ip")
        assert len(zone.days) == DAYS
        assert zone.days[-1].codes["127.0.0.2"] == zone.listed == 6
        assert zone.days[-1].day == str(clock.rfc3339(clock.now()))[:10]
        assert {code.code: code.listed for code in zone.codes}["127.0.0.2"] == 6
        assert [(each.feed, each.entries, each.also_in) for each in found.overlap] == [
            ("one", 4, {"two": 1}),
            ("two", 2, {"one": 1}),
        ]


async def test_nobody_is_named_who_is_no_public_list(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(feed, site, "public", "8.8.8.7")
        await asyncio.to_thread(feed, site, "another", "8.8.8.7")
        await asyncio.to_thread(listed, site)
        for path in ("/v1/stats", "/stats"):
            async with site.client.get(path) as response:
                text = await response.text()
                assert "public" in text
                assert not [name for name in SECRET_NAMES if name in text]


async def test_they_are_counted_once_for_many_visitors_and_the_journal_only_onwards(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(listed, site)
        first = await figures(site)
        await asyncio.to_thread(feed, site, "late", "45.1.1.1")
        await asyncio.to_thread(site.app.settle)
        assert await figures(site) == first
        site.state.stats.next = 0.0  # as if the minutes had passed
        await figures(site)
        await made(site)
        zone = next(each for each in (await figures(site)).zones if each.zone == "ip")
        assert (zone.listed, zone.days[-1].codes["127.0.0.2"]) == (2, 2)


async def test_what_left_is_counted_apart_and_what_is_long_ago_is_not(tmp_path):
    async with serving(tmp_path) as site:
        today = clock.now()
        rows = [(today, "127.0.0.2 127.0.0.3"), (today, ""), (today - (DAYS + 1) * clock.DAY, "127.0.0.2")]
        with site.app.store.transaction() as connection:
            connection.executemany(
                "INSERT INTO listing_change (at, zone, subject, codes) VALUES (?, 'ip', x'3401010101', ?)", rows
            )
        days = next(each for each in (await figures(site)).zones if each.zone == "ip").days
        assert (days[-1].codes, days[-1].left) == ({"127.0.0.2": 1, "127.0.0.3": 1}, 1)
        assert sum(day.codes.get("127.0.0.2", 0) for day in days) == 1


async def test_a_store_that_fails_keeps_the_last_figures(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        monkeypatch.setattr(site.app.store, "listing_figures", gone)
        async with site.client.get("/v1/stats") as response:
            assert "ask again" in (await problem(response, 503))["detail"]
        async with site.client.get("/stats") as response:
            assert response.status == 503
            assert "Look again in a minute" in await response.text()
        monkeypatch.undo()
        site.state.stats.next = 0.0
        first = await figures(site)
        monkeypatch.setattr(site.app.store, "listing_figures", gone)
        site.state.stats.next = 0.0
        assert await figures(site) == first
        await made(site)
        assert await figures(site) == first


async def made(site):
    """Waits for the figures that are being made."""
    while site.state.stats.making:
        await asyncio.wait([site.state.stats.making])


def gone():
    raise StoreError("store: it is gone")


async def test_what_dns_was_asked_is_told_without_who_asked(tmp_path):
    async with serving(tmp_path) as site:
        replies = [
            {"zone": "ip", "qtype": "A", "rcode": "NXDOMAIN", "transport": "udp", "count": 7},
            {"zone": "ip", "qtype": "TXT", "rcode": "NXDOMAIN", "transport": "tcp", "count": 2},
            {"zone": "", "qtype": "A", "rcode": "REFUSED", "transport": "udp", "count": 1},
        ]
        said = {"pid": os.getpid(), "replies": replies, "talkers": [{"client": "198.51.100.7", "queries": 9}]}
        (site.app.data_dir / "run").mkdir(exist_ok=True)
        (site.app.data_dir / "run" / f"dns-{os.getpid()}.json").write_bytes(orjson.dumps(said))
        assert [each.model_dump() for each in (await figures(site)).queries] == [
            {"zone": "ip", "rcodes": {"NXDOMAIN": 9}},
            {"zone": "", "rcodes": {"REFUSED": 1}},
        ]
        async with site.client.get("/stats") as response:
            text = await response.text()
        assert "198.51.100.7" not in text
        assert "Answers by zone and response code" in text


async def test_every_picture_has_its_name_and_its_table(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(feed, site, "one", "45.1.1.1", "45.1.1.2")
        await asyncio.to_thread(feed, site, "two", "45.1.1.1")
        await asyncio.to_thread(listed, site)
        async with site.client.get("/stats") as response:
            text = await response.text()
        pictures = re.findall(r'<svg class="chart".*?</svg>', text, re.S)
        assert len(pictures) == 2
        for picture in pictures:
            tree = drawn(picture)
            assert tree.find("title").attrib["id"] == tree.attrib["aria-labelledby"]
            assert tree.find("title").text
        assert text.count("The figures as a table") == len(pictures)
        assert " style=" not in text


@given(st.dictionaries(st.text(min_size=1), st.lists(st.integers(0, 10**9), min_size=5, max_size=5), max_size=20))
def test_bars_are_as_high_as_their_values(values):
    series = folded([Series(name, found) for name, found in values.items()], "rest")
    assert len(series) <= COLOURS
    totals = [sum(found[place] for found in values.values()) for place in range(5)]
    assert [sum(each.values[place] for each in series) for place in range(5)] == (totals if series else [0] * 5)
    tree = drawn(stacked("id", "<&>", ["<a>"] * 5, series, str))
    assert tree.find("title").text == "<&>"
    heights = {}
    for bar in tree.iter("rect"):
        heights[bar.attrib["x"]] = heights.get(bar.attrib["x"], 0) + float(bar.attrib["height"])
        assert float(bar.attrib["y"]) >= 0
    full = 202 / top_of_scale(max(totals))
    for place, total in enumerate(totals):
        x = f"{76 + place * 128.8 + 12.88:.1f}"
        assert heights.get(x, 0) == pytest.approx(total * full, abs=0.06 * COLOURS)


@given(st.integers(0, 10**12))
def test_a_scale_is_not_much_larger_than_what_is_drawn(most):
    top = top_of_scale(most)
    assert most <= top <= max(1, 2 * most)


def test_a_matrix_escapes_names_and_leaves_its_diagonal_out():
    tree = drawn(matrix("id", "title", ["<b>", "x" * 99], [[0, 0.5], [1.0, 0]], lambda share: f"{share:.0%}"))
    texts = [text.text for text in tree.iter("text")]
    assert "<b> 1" in texts
    assert {"50%", "100%"} < set(texts)
    assert len(list(tree.iter("rect"))) == 2
    assert max(map(len, texts)) < 30


@given(st.lists(st.tuples(st.sets(st.integers(1, 20), min_size=1), st.integers(1, 1000)), max_size=30))
def test_overlaps_are_those_of_the_sets(sets):
    names = {number: f"list-{number}" for number in range(1, 18)}
    found = overlaps(names, [(tuple(sorted(each)), count) for each, count in sets])
    assert len(found) <= 12
    for one in found:
        mine = [(each, count) for each, count in sets if int(one.feed.removeprefix("list-")) in each]
        assert one.entries == sum(count for _, count in mine) > 0
        for other, shared in one.also_in.items():
            assert shared == sum(count for each, count in mine if int(other.removeprefix("list-")) in each)
