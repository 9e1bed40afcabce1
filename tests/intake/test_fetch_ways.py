"""Feeds that are more than one GET: secrets of the environment, MISP directories, TAXII collections, rsync modules."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import taxii2client.v21 as taxii2
from aiohttp import web
from pymisp import MISPEvent, MISPOrganisation
from stix2 import v21 as stix

from dnsbl.config import FeedDef
from dnsbl.errors import FetchError
from dnsbl.intake.fetch import Validators, fetch, misp, taxii
from dnsbl.intake.formats import parse
from dnsbl.subjects import text

NOTHING = Validators()
SECRET = "very-hidden-key"
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
SECONDS = 30  # a child that takes longer is at fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


def feed(url: str, format: str = "plain", **settings: Any) -> FeedDef:
    """A feed on a private address; limits are not validated, so that they can be small."""
    declared = {key: settings.pop(key) for key in ("headers", "tsig") if key in settings}
    made = FeedDef(
        name="t",
        title="T",
        url=url,
        format=format,
        category="spam",
        licence="none",
        private=True,
        timeout=20,
        **declared,
    )
    return made.model_copy(update=settings)


async def refusal(made: FeedDef, known: Validators = NOTHING) -> str:
    """The sentence with which a fetch is refused."""
    with pytest.raises(FetchError) as caught:
        await fetch(made, known)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


# --- secrets ------------------------------------------------------------------------------------------------------


async def test_a_header_s_value_comes_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Auth-Key"), request.headers.get("Authorization")))
        return web.Response(body=b"192.0.2.1\n")

    monkeypatch.setenv("A_KEY", SECRET)
    made = feed(await serve(handler), headers={"Auth-Key": "$A_KEY", "Authorization": "Bearer $A_KEY"})
    got = await fetch(made, NOTHING)
    assert seen == [(SECRET, f"Bearer {SECRET}")]
    assert SECRET not in repr((got, made, made.model_dump(mode="json")))


async def test_a_variable_that_is_not_set_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    monkeypatch.delenv("A_KEY", raising=False)
    made = feed(await serve(handler), headers={"Auth-Key": "$A_KEY"})
    assert "environment variable A_KEY is not set" in await refusal(made)
    monkeypatch.setenv("A_KEY", f"{SECRET}\r\nX-Evil: 1")
    assert "A_KEY holds what is not one printable line" in await refusal(made)
    assert seen == []


async def test_a_key_in_the_url_comes_from_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[dict[str, str], str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((dict(request.query), request.headers.get("Authorization")))
        return web.Response(status=404 if "fail" in request.path else 200)

    monkeypatch.setenv("A_KEY", SECRET)
    monkeypatch.setenv("A_USER", "me")
    url = (await serve(handler)).replace("//", "//$A_USER:$A_KEY@")
    got = await fetch(feed(f"{url}/list?a=b%20c&auth-key=$A_KEY"), NOTHING)
    assert seen == [({"a": "b c", "auth-key": SECRET}, BASIC)]
    assert SECRET not in repr(got)
    await refusal(feed(f"{url}/fail?auth-key=$A_KEY"))


async def test_secret_headers_stay_with_their_origin(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along the feed's own redirects they go; to another origin, and back from it, they do not."""
    seen: list[tuple[str, str | None]] = []
    leads: dict[str, str] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Auth-Key")))
        if request.path in leads:
            return web.Response(status=302, headers={"Location": leads[request.path]})
        return web.Response(body=b"x")

    monkeypatch.setenv("A_KEY", SECRET)
    home, other = await serve(handler), await serve(handler)
    leads.update({"/a": "/b", "/b": f"{other}/c", "/c": f"{home}/d"})
    await fetch(feed(f"{home}/a", headers={"Auth-Key": "$A_KEY"}), NOTHING)
    assert seen == [("/a", SECRET), ("/b", SECRET), ("/c", None), ("/d", None)]


# --- declarations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"headers": {"Auth-Key": SECRET}}, "stands in the environment"),
        ({"headers": {"Host": "$A"}}, "set by the program"),
        ({"headers": {"A\r\nB": "$A"}}, "not the name of a header"),
        ({"url": "http://feeds.example/", "headers": {"Auth-Key": "$A"}}, "write https"),
        ({"url": "file:x", "headers": {"Auth-Key": "$A"}}, "headers are of http"),
        ({"tsig": {"name": "k", "secret": "$A"}}, "tsig signs zone transfers"),
        ({"url": "dns://ns.example/bl.example", "format": "plain"}, "dnsbl-zone"),
        ({"url": "dns://ns.example/", "format": "dnsbl-zone"}, "not a DNS name"),
        ({"url": "dns://me@ns.example/bl.example", "format": "dnsbl-zone"}, "a key is in tsig"),
        (
            {"url": "dns://ns.example/b.e", "format": "dnsbl-zone", "tsig": {"name": "k", "secret": "abc="}},
            "environment",
        ),
        ({"url": "dns://ns.example:99999/b.e", "format": "dnsbl-zone"}, "no port"),
        ({"url": "rsync://host.example/module"}, "rsync://host/module/file"),
        ({"url": "rsync://host.example/module/"}, "rsync://host/module/file"),
        ({"url": "rsync://host.example/module/*.txt"}, "without wildcards"),
        ({"url": "taxii+https://host.example/api/", "format": "stix"}, "collections/ID"),
        ({"url": "taxii+https://host.example/api/collections/1/", "format": "plain"}, 'format = "stix"'),
        ({"url": "file:///events/", "format": "misp"}, "fetched by https"),
        ({"url": "gopher://x.example/"}, "not 'gopher'"),
    ],
)
def test_a_declaration_that_cannot_be_says_what_to_write(settings: dict[str, Any], why: str) -> None:
    given = {"name": "t", "title": "T", "url": "https://x.example/", "format": "plain", "category": "spam"}
    with pytest.raises(ValueError, match="validation error") as caught:
        FeedDef.model_validate({**given, "licence": "none", **settings})
    assert why in str(caught.value)


# --- MISP ---------------------------------------------------------------------------------------------------------


class MispFeed:
    """A directory of events as PyMISP writes it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manifest: dict[str, Any] = {}
        self.asked: list[str] = []

    def add(self, name: str, timestamp: int) -> str:
        event = MISPEvent()
        event.from_dict(info=name, distribution=3, threat_level_id=2, analysis=2, timestamp=timestamp)
        event.Orgc = MISPOrganisation()
        event.Orgc.from_dict(name="Maker", uuid="55f6ea5e-2c60-40e5-964f-47a8950d210f")
        event.add_attribute("domain", name, to_ids=True)
        self.manifest.update(event.manifest)
        self.files[f"/feed/{event.uuid}.json"] = json.dumps(event.to_feed(), indent=1).encode()
        return str(event.uuid)

    async def handler(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path == "/feed/manifest.json":
            return web.json_response(self.manifest)
        body = self.files.get(request.path)
        return web.Response(body=body) if body is not None else web.Response(status=404)


async def test_a_misp_directory_is_its_events_and_asked_once_for_each_manifest(serve: Serve) -> None:
    source = MispFeed()
    source.add("one.example", 1_700_000_000)
    source.add("two.example", 1_700_000_100)
    made = feed(await serve(source.handler) + "/feed/", "misp")
    got = await fetch(made, NOTHING)
    assert sorted(map(text, parse(got.data or b"", "misp").hits)) == ["one.example", "two.example"]
    assert len(source.asked) == 3
    again = await fetch(made, got.validators)
    assert (again.data, again.validators, len(source.asked)) == (None, got.validators, 4)
    source.add("three.example", 1_700_000_200)
    newer = await fetch(made, got.validators)
    assert len(parse(newer.data or b"", "misp").hits) == 3
    assert newer.validators != got.validators


async def test_of_many_events_the_newest_are_taken(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misp, "MAX_EVENTS", 2)
    source = MispFeed()
    for day in (3, 1, 2):
        source.add(f"day{day}.example", 1_700_000_000 + day)
    got = await fetch(feed(await serve(source.handler) + "/feed/", "misp"), NOTHING)
    assert sorted(map(text, parse(got.data or b"", "misp").hits)) == ["day2.example", "day3.example"]


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"../../etc/passwd": {"timestamp": "1"}}, "not one of MISP events"),
        ({"55f6ea5e-2c60-40e5-964f-47a8950d210f": {"timestamp": "soon"}}, "not one of MISP events"),
        ({"55f6ea5e-2c60-40e5-964f-47a8950d210f": {"timestamp": "1"}}, "status 404"),
        (["x"], "not a JSON object"),
    ],
)
async def test_a_manifest_that_is_none_or_names_what_is_not_there_is_refused(
    serve: Serve, manifest: Any, why: str
) -> None:
    source = MispFeed()
    source.manifest = manifest
    assert why in await refusal(feed(await serve(source.handler) + "/feed/", "misp"))


async def test_all_events_together_are_no_larger_than_the_feed_may_be(serve: Serve) -> None:
    source = MispFeed()
    for number in range(10):
        source.add(f"n{number}.example", 1_700_000_000 + number)
    size = sum(map(len, source.files.values())) + len(json.dumps(source.manifest))
    made = feed(await serve(source.handler) + "/feed/", "misp", max_bytes=size)
    assert len(parse((await fetch(made, NOTHING)).data or b"", "misp").hits) == 10
    small = size - 100
    assert f"larger than the {small:,} bytes" in await refusal(made.model_copy(update={"max_bytes": small}))


# --- TAXII --------------------------------------------------------------------------------------------------------

MEDIA = "application/taxii+json;version=2.1"
COLLECTION = "365fed99-08fa-4fdb-a1b3-fb247eb41d01"


class Taxii:
    """A small TAXII 2.1 server: one API root, one collection, pages of `per_page` objects, HTTP Basic."""

    def __init__(self, objects: list[Any], per_page: int = 3) -> None:
        self.objects = [json.loads(item.serialize()) for item in objects]
        self.per_page = per_page
        self.asked: list[dict[str, str]] = []

    async def handler(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != BASIC:
            return web.Response(status=401)
        if MEDIA not in request.headers.get("Accept", ""):
            return web.Response(status=406)
        base = f"http://{request.host}/root/"
        about = {"id": COLLECTION, "title": "C", "can_read": True, "can_write": False, "media_types": [MEDIA]}
        match request.path.strip("/").split("/"):
            case ["taxii2"]:
                return self.answer({"title": "T", "api_roots": [base], "default": base})
            case ["root"]:
                return self.answer({"title": "R", "versions": [MEDIA], "max_content_length": 9999})
            case ["root", "collections"]:
                return self.answer({"collections": [about]})
            case ["root", "collections", _]:
                return self.answer(about)
            case ["root", "collections", _, "objects"]:
                return self.answer(self.page(dict(request.query)))
        return web.Response(status=404)

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        self.asked.append(query)
        kinds = query.get("match[type]", "").split(",") if query.get("match[type]") else None
        held = [item for item in self.objects if kinds is None or item["type"] in kinds]
        start = int(query.get("next", "p-0").removeprefix("p-"))
        end = start + min(self.per_page, int(query.get("limit", 100)))
        more = {"more": True, "next": f"p-{end}"} if end < len(held) else {"more": False}
        return {**more, "objects": held[start:end]} if held else {}

    def answer(self, value: Any) -> web.Response:
        return web.Response(body=json.dumps(value).encode(), headers={"Content-Type": MEDIA})


def some_indicators(count: int) -> list[Any]:
    return [
        stix.Indicator(
            pattern=f"[domain-name:value = 'n{n}.example']", pattern_type="stix", valid_from="2026-01-01T00:00:00Z"
        )
        for n in range(count)
    ]


async def test_a_taxii_collection_is_pulled_page_by_page(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's server is one that an independent client takes for a TAXII server; then ours gets the same from it."""
    server = Taxii([*some_indicators(7), stix.Identity(name="x"), stix.TLP_GREEN])
    url = await serve(server.handler)

    def by_taxii2_client() -> list[str]:
        root = taxii2.Server(f"{url}/taxii2/", user="me", password=SECRET).api_roots[0]
        pages = taxii2.as_pages(root.collections[0].get_objects, per_request=3)
        return sorted(item["id"] for page in pages for item in page["objects"] if item["type"] == "indicator")

    theirs = await asyncio.to_thread(by_taxii2_client)
    server.asked.clear()
    monkeypatch.setenv("A_KEY", SECRET)
    made = feed("taxii+" + url.replace("//", "//me:$A_KEY@") + f"/root/collections/{COLLECTION}/", "stix")
    got = await fetch(made, NOTHING)
    ours = json.loads(got.data or b"")["objects"]
    assert sorted(item["id"] for item in ours if item["type"] == "indicator") == theirs
    assert len(theirs) == len(parse(got.data or b"", "stix").hits) == 7
    assert [query.get("next") for query in server.asked] == [None, "p-3", "p-6"]
    assert got.url == f"{url}/root/collections/{COLLECTION}/objects/"
    assert SECRET not in repr(got.url)
    wrong = made.model_copy(update={"url": made.url.replace("me:", "you:")})
    assert "status 401" in await refusal(wrong)
    small = made.model_copy(update={"max_bytes": 1500})
    assert "larger than the 1,500 bytes" in await refusal(small)


async def test_an_empty_collection_is_an_empty_bundle(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"{}", headers={"Content-Type": MEDIA})

    url = f"taxii+{await serve(handler)}/root/collections/{COLLECTION}"
    assert parse((await fetch(feed(url, "stix"), NOTHING)).data or b"", "stix").hits == {}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"more":true,"next":"1","objects":[]}', "more than 5 pages"),
        (b'{"more":true,"objects":[]}', "there is more and not where"),
        (b'{"more":true,"next":{},"objects":[]}', "there is more and not where"),
        (b'{"objects":{}}', "no TAXII envelope"),
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
    ],
)
async def test_a_taxii_server_that_misbehaves_is_a_sentence(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, body: bytes, why: str
) -> None:
    monkeypatch.setattr(taxii, "MAX_PAGES", 5)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body)

    assert why in await refusal(feed(f"taxii+{await serve(handler)}/r/collections/{COLLECTION}/", "stix"))


# --- rsync --------------------------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """An rsync daemon on 127.0.0.1 with an open module `open` and one with a password, `closed`; gives its port and
    the modules' directory."""
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    directory = tmp_path / "module"
    directory.mkdir()
    (tmp_path / "secrets").write_text(f"me:{SECRET}\n")
    (tmp_path / "secrets").chmod(stat.S_IRUSR)
    chroot = "use chroot = no\n" + (f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else "")
    part = f"path = {directory}\nread only = yes\n{chroot}"
    closed = f"auth users = me\nsecrets file = {tmp_path / 'secrets'}\n"
    (tmp_path / "rsyncd.conf").write_text(f"[open]\n{part}[closed]\n{part}{closed}")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*command, f"--config={tmp_path / 'rsyncd.conf'}", "--log-file=/dev/null"])
    try:
        wait_for(port, daemon)
        yield port, directory
    finally:
        daemon.terminate()
        daemon.wait(SECONDS)


def wait_for(port: int, child: subprocess.Popen[Any]) -> None:
    """Until something takes connections there."""
    for _ in range(SECONDS * 50):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.02)
            raise AssertionError(f"it ended with {child.returncode}")
    raise AssertionError("it takes no connections")


async def test_a_file_of_an_rsync_module_is_fetched_and_not_twice(module: tuple[int, Path]) -> None:
    port, directory = module
    (directory / "own list.txt").write_bytes(b"192.0.2.1\n" * 1000)
    made = feed(f"rsync://127.0.0.1:{port}/open/own%20list.txt")
    got = await fetch(made, NOTHING)
    assert (got.data, got.size) == (b"192.0.2.1\n" * 1000, 10_000)
    again = await fetch(made, got.validators)
    assert (again.data, again.validators) == (None, got.validators)
    os.utime(directory / "own list.txt", (1, 1))
    assert (await fetch(made, got.validators)).data == got.data
    (directory / "own list.txt").write_bytes(b"192.0.2.2\n" * 1000)
    assert (await fetch(made, got.validators)).data == b"192.0.2.2\n" * 1000


async def test_an_rsync_password_comes_from_the_environment(
    module: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, directory = module
    (directory / "list").write_bytes(b"192.0.2.1\n")
    monkeypatch.setenv("A_KEY", SECRET)
    assert (await fetch(feed(f"rsync://me:$A_KEY@127.0.0.1:{port}/closed/list"), NOTHING)).data == b"192.0.2.1\n"
    assert "the server refuses" in await refusal(feed(f"rsync://me:wrong@127.0.0.1:{port}/closed/list"))
    assert "the server refuses" in await refusal(feed(f"rsync://127.0.0.1:{port}/closed/list"))


async def test_only_a_plain_file_within_the_limit_is_taken(module: tuple[int, Path]) -> None:
    port, directory = module
    (directory / "list").write_bytes(b"192.0.2.1\n" * 100)
    (directory / "link").symlink_to("list")
    (directory / "directory").mkdir()
    os.mkfifo(directory / "fifo")
    for name in ("link", "directory", "fifo"):
        assert "not a plain file" in await refusal(feed(f"rsync://127.0.0.1:{port}/open/{name}"))
    url = f"rsync://127.0.0.1:{port}/open/list"
    assert (await fetch(feed(url, max_bytes=1000), NOTHING)).data == b"192.0.2.1\n" * 100
    assert "larger than its max_bytes" in await refusal(feed(url, max_bytes=999))
    assert "no such file" in await refusal(feed(f"rsync://127.0.0.1:{port}/open/gone"))
    assert "the server refuses" in await refusal(feed(f"rsync://127.0.0.1:{port}/nowhere/list"))


async def test_rsync_goes_to_no_private_address_and_runs_nothing_of_the_environment(
    module: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, directory = module
    (directory / "list").write_bytes(b"192.0.2.1\n")
    for host in ("127.0.0.1", "localhost", "127.1", "[::1]"):
        await refusal(feed(f"rsync://{host}:{port}/open/list", private=False))
    monkeypatch.setenv("RSYNC_CONNECT_PROG", f"touch {tmp_path / 'ran'}")
    monkeypatch.setenv("RSYNC_PROXY", "127.0.0.1:1")
    assert (await fetch(feed(f"rsync://localhost:{port}/open/list"), NOTHING)).data == b"192.0.2.1\n"
    assert not (tmp_path / "ran").exists()


async def test_an_rsync_server_that_says_nothing_is_given_up_and_nothing_stays_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    children: list[int] = []
    start = asyncio.create_subprocess_exec

    async def noted(*command: Any, **settings: Any) -> Any:
        process = await start(*command, **settings)
        children.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "not done within 0.5 s" in await refusal(feed(f"rsync://127.0.0.1:{port}/m/f", timeout=0.5))
    assert "no connection" in await refusal(feed("rsync://127.0.0.1:1/m/f"))
    assert len(children) == 2
    assert not list(tmp_path.iterdir())
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


async def test_without_rsync_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "rsync is not installed" in await refusal(feed("rsync://127.0.0.1/m/f"))
