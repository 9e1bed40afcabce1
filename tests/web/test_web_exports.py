"""A zone is taken away over HTTP: whole, in part, packed, once or many times."""

from __future__ import annotations

import asyncio
import gzip
import threading
from email.utils import formatdate
from pathlib import Path

import pytest
import zstandard
from aiohttp import ClientError
from exporting_site import publish_some
from website import problem, serving

from dnsbl import clock, files
from dnsbl.exporting import kept
from dnsbl.web import exports, representation, sending
from dnsbl.zones.export import FORMATS, export

PLAIN = {"Accept-Encoding": "identity"}
URL = "/v1/zones/ip/export?format=rbldnsd"


@pytest.fixture
def later(monkeypatch):
    """As if it were so long after the publish that its time tells it from others."""
    monkeypatch.setattr(representation, "SETTLED", 0)


@pytest.mark.parametrize("format", ["rbldnsd", "bind", "mmdb"])
async def test_an_export_is_what_the_exporter_makes_and_is_not_sent_twice(tmp_path, format):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 2000)
        headers = site.bearer("read")
        url = f"/v1/zones/ip/export?format={format}"
        async with site.client.get(url, headers=headers) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == FORMATS[format].content_type
            assert response.headers["Content-Disposition"] == f'attachment; filename="ip{FORMATS[format].suffix}"'
            assert await response.read() == b"".join(export(site.app.served("ip"), format))
            tag = response.headers["ETag"]
        async with site.client.head(url, headers=headers) as response:
            assert (response.status, response.headers["ETag"]) == (200, tag)
        for known in (tag, f'"old", W/{tag}', "*"):
            async with site.client.get(url, headers=headers | {"If-None-Match": known}) as response:
                assert (response.status, response.headers["ETag"], await response.read()) == (304, tag, b"")
        for other in ('"old"', "nonsense", "W/", f'"{tag}'):
            async with site.client.head(url, headers=headers | {"If-None-Match": other}) as response:
                assert response.status == 200
        await asyncio.to_thread(site.app.settle, force=["ip"])
        async with site.client.get(url, headers=headers | {"If-None-Match": tag}) as response:
            assert response.status == 200
            assert response.headers["ETag"] != tag


async def test_it_comes_packed_for_those_who_say_so(tmp_path):
    unpack = {
        "gzip": gzip.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    }
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 2000)
        headers = site.bearer("read")
        plain = b"".join(export(site.app.served("ip"), "rbldnsd"))
        tags = set()
        for said, coding in (
            ("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("zstd;q=0.5, gzip;q=0.9", "gzip"),
            ("identity, gzip;q=0.5", ""), ("gzip;q=0", ""), ("br", ""), ("*", ""), ("gzip;q=x", ""), ("", ""),
        ):  # fmt: skip
            async with site.client.get(
                URL, headers=headers | {"Accept-Encoding": said}, auto_decompress=False
            ) as response:
                assert response.headers.get("Content-Encoding", "") == coding, said
                assert response.headers["Vary"] == "Accept-Encoding"
                body = await response.read()
                assert unpack.get(coding, bytes)(body) == plain
                tags.add((coding, response.headers["ETag"]))
        assert len(tags) == len({tag for _, tag in tags}) == 3


async def test_a_range_of_it_can_be_had(tmp_path, later):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 500)
        headers = site.bearer("read") | PLAIN
        async with site.client.get(URL, headers=headers) as response:
            assert response.headers["Accept-Ranges"] == "bytes"
            whole, tag, time = await response.read(), response.headers["ETag"], response.headers["Last-Modified"]
        size = len(whole)
        for said, start, stop in (
            ("bytes=0-9", 0, 10), ("bytes=10-", 10, size), ("bytes=-7", size - 7, size), ("Bytes = 5-5", 5, 6),
            (f"bytes=3-{size * 2}", 3, size), (f"bytes=-{size * 2}", 0, size),
        ):  # fmt: skip
            for condition in ({}, {"If-Range": tag}, {"If-Range": time}):
                async with site.client.get(URL, headers=headers | {"Range": said} | condition) as response:
                    assert (response.status, await response.read()) == (206, whole[start:stop])
                    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        for said in ("bytes=0-1,3-4", "bytes=9-5", "bytes=-", "lines=0-1", "bytes=a-b", f"bytes={'9' * 5000}-"):
            async with site.client.get(URL, headers=headers | {"Range": said}) as response:
                assert (response.status, await response.read()) == (200, whole)
        for stale in ('"old"', f"W/{tag}", formatdate(0, usegmt=True)):
            async with site.client.get(URL, headers=headers | {"Range": "bytes=0-9", "If-Range": stale}) as response:
                assert (response.status, await response.read()) == (200, whole)
        for beyond in (f"bytes={size}-", "bytes=-0"):
            response = await site.client.get(URL, headers=headers | {"Range": beyond})
            await problem(response, 416)
            assert response.headers["Content-Range"] == f"bytes */{size}"
        async with site.client.head(URL, headers=headers | {"Range": "bytes=0-9"}) as response:
            assert (response.status, response.content_length) == (200, size)


async def test_a_cut_download_of_a_packed_one_goes_on(tmp_path):
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 500)
        headers = site.bearer("read") | {"Accept-Encoding": "zstd"}
        body = b""
        for said in ("bytes=0-99", "bytes=100-"):
            async with site.client.get(URL, headers=headers | {"Range": said}, auto_decompress=False) as response:
                assert (response.status, response.headers["Content-Encoding"]) == (206, "zstd")
                body += await response.read()
        plain = b"".join(export(site.app.served("ip"), "rbldnsd"))
        assert zstandard.ZstdDecompressor().decompressobj().decompress(body) == plain


async def test_conditions_by_time_and_by_match(tmp_path, later):
    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        async with site.client.get(URL, headers=headers) as response:
            time, tag = response.headers["Last-Modified"], response.headers["ETag"]
        old = formatdate(0, usegmt=True)
        for said, status in (
            ({"If-Modified-Since": time}, 304), ({"If-Modified-Since": old}, 200),
            ({"If-Modified-Since": formatdate(clock.now() + 60, usegmt=True)}, 200),
            ({"If-Modified-Since": time, "If-None-Match": '"other"'}, 200), ({"If-Modified-Since": "never"}, 200),
            ({"If-Match": tag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"other"'}, 412),
            ({"If-Match": f"W/{tag}"}, 412), ({"If-Unmodified-Since": time}, 200), ({"If-Unmodified-Since": old}, 412),
        ):  # fmt: skip
            async with site.client.get(URL, headers=headers | said) as response:
                assert response.status == status, said


async def test_two_publishes_of_one_second_are_not_taken_for_one(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        site.app.settle(force=["ip"])
        made_at = int(site.app.served("ip").base.info["made_at"])
        async with site.client.get(URL, headers=headers) as response:
            told = response.headers.get("Last-Modified")
        assert told is None or clock.now() >= made_at + representation.SETTLED


async def test_all_who_ask_at_once_get_the_one_file_that_is_made(tmp_path, monkeypatch):
    made = []

    def counted(view, format):
        made.append(format)
        return export(view, format)

    monkeypatch.setattr(kept, "export", counted)
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 100)
        headers = site.bearer("read")

        async def body(coding):
            async with site.client.get(URL, headers=headers | {"Accept-Encoding": coding}) as response:
                return await response.read()

        bodies = await asyncio.gather(*(body("identity") for _ in range(8)))
        bodies += await asyncio.gather(*(body("gzip") for _ in range(4)))
        assert made == ["rbldnsd"]
        assert set(bodies) == {b"".join(export(site.app.served("ip"), "rbldnsd"))}


async def test_only_the_newest_serial_is_kept_and_not_too_much(tmp_path, monkeypatch):
    async with serving(tmp_path) as site:
        directory = tmp_path / "exports"
        directory.mkdir()
        (directory / "ip.1.bind").write_text("of an earlier process")
        headers = site.bearer("read") | PLAIN
        names = set()
        for _ in range(2):
            await asyncio.to_thread(site.app.settle, force=["ip"])
            async with site.client.get(URL, headers=headers) as response:
                assert response.status == 200
            (path,) = directory.iterdir()
            names.add(path.name)
        assert len(names) == 2
        path.unlink()  # by whoever made room by hand
        async with site.client.get(URL, headers=headers) as response:
            assert response.status == 200
        monkeypatch.setattr(kept, "MAX_FILES", 2)
        for format in ("csv", "cidr", "ndjson"):
            async with site.client.get(f"/v1/zones/ip/export?format={format}", headers=headers) as response:
                assert response.status == 200
        assert {path.suffix for path in directory.iterdir()} == {".cidr", ".ndjson"}
        monkeypatch.setattr(kept, "MAX_BYTES", 1)
        async with site.client.get(URL, headers=headers) as response:
            assert response.status == 200
        assert {path.suffix for path in directory.iterdir()} == {".rbldnsd"}


async def test_on_a_full_disk_it_is_sent_all_the_same(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(files, "LEAVE_FREE", 2**80)
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 100)
        headers = site.bearer("read")
        async with site.client.get(URL, headers=headers | {"Range": "bytes=0-9"}) as response:
            assert (response.status, response.headers["Accept-Ranges"]) == (200, "none")
            assert await response.read() == b"".join(export(site.app.served("ip"), "rbldnsd"))
        await problem(await site.client.get("/v1/zones/ip/manifest?format=rbldnsd", headers=headers), 503)
        assert not [*(tmp_path / "exports").iterdir()]
        assert "No space left" in caplog.text


async def test_an_export_needs_a_key_a_zone_and_a_format_that_carries_it(tmp_path):
    async with serving(tmp_path) as site:
        await problem(await site.client.get(URL), 401)
        await problem(await site.client.get(URL, headers=site.bearer("report", name="r")), 403)
        headers = site.bearer("read")
        await problem(await site.client.get(URL.replace("/ip/", "/none/"), headers=headers), 404)
        await problem(await site.client.get(URL.replace("/ip/", "/..%2Fip/"), headers=headers), 404)
        for bad in ("ip/export", "ip/export?format=exe", "ip/manifest?format=exe", "domain/export?format=ipset"):
            said = (await problem(await site.client.get(f"/v1/zones/{bad}", headers=headers), 400))["detail"]
            assert "rbldnsd" in said


async def test_the_server_answers_others_while_it_exports(tmp_path, monkeypatch):
    go = threading.Event()

    def slow(_view, _format):
        yield b"first"
        assert go.wait(30)
        yield b"last"

    monkeypatch.setattr(kept, "export", slow)
    async with serving(tmp_path) as site:
        asked = asyncio.create_task(site.client.get(URL, headers=site.bearer("read")))
        async with site.client.get("/healthz") as other:
            assert other.status == 200
        assert not asked.done()
        go.set()
        async with await asked as response:
            assert await response.read() == b"firstlast"


async def test_an_export_that_fails_half_way_does_not_look_complete(tmp_path, monkeypatch, caplog):
    def broken(_view, _format):
        yield b"first"
        raise RuntimeError("a mistake")

    monkeypatch.setattr(kept, "export", broken)
    monkeypatch.setattr(exports, "export", broken)
    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        await problem(await site.client.get(URL, headers=headers), 500)
        monkeypatch.setattr(files, "LEAVE_FREE", 2**80)
        monkeypatch.setattr(sending, "PIECE", 1)
        caplog.clear()
        with pytest.raises(ClientError):
            async with site.client.get(URL, headers=headers) as response:
                await response.read()
        assert len([record for record in caplog.records if record.exc_info]) == 1
        assert not site.state.exports
        assert not [*(tmp_path / "exports").iterdir()]


async def test_more_than_there_is_room_for_are_503_and_one_key_does_not_have_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "MAX_SENDING", 3)
    monkeypatch.setattr(sending, "MAX_EACH", 2)
    go = threading.Event()

    def slow(_view, _format):
        assert go.wait(30)
        yield b"done"

    async with serving(tmp_path) as site:
        greedy, other = site.bearer("read", name="greedy"), site.bearer("read", name="other")
        monkeypatch.setattr(kept, "export", slow)
        held = [asyncio.create_task(site.client.get(URL, headers=greedy)) for _ in range(2)]
        try:
            await until(lambda: site.state.exports.total() == 2)
            response = await site.client.get(URL, headers=greedy)
            assert "with this key" in (await problem(response, 503))["detail"]
            assert response.headers["Retry-After"]
            held.append(asyncio.create_task(site.client.get(URL, headers=other)))
            await until(lambda: site.state.exports.total() == 3)
            await problem(await site.client.get(URL, headers=other), 503)
        finally:
            go.set()
        for asked in held:
            async with await asked as response:
                assert (response.status, await response.read()) == (200, b"done")
        await until(lambda: not site.state.exports)


async def test_a_client_that_reads_nothing_is_given_up_and_holds_no_thread(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sending, "WRITE_SECONDS", 0.2)
    async with serving(tmp_path) as site:
        await asyncio.to_thread(publish_some, site, 100)
        headers = site.bearer("read")
        monkeypatch.setattr(kept, "export", lambda _view, _format: iter([bytes(2**20)] * 24))
        secret = headers["Authorization"]
        stalled = []
        for _ in range(6):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
            writer.write(f"GET {URL} HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n".encode())
            stalled.append((reader, writer))
        await until(lambda: site.state.exports.total() == 6)
        async with site.client.get(URL, headers=headers | PLAIN) as response:  # more than there are threads
            assert len(await response.read()) == 24 * 2**20
        await until(lambda: not site.state.exports)
        for _, writer in stalled:
            writer.close()


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)
