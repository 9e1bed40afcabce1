"""Fetching: real servers on 127.0.0.1, honest, slow, broken and hostile, and what each of them gets from us."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import socket
import ssl
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from dnsbl import __version__
from dnsbl.config import FeedDef
from dnsbl.errors import FetchError
from dnsbl.intake.fetch import MAX_REDIRECTS, Fetched, Validators, addresses, bodies, fetch, files
from dnsbl.intake.fetch.addresses import check_address
from dnsbl.intake.fetch.base import Fault, shown
from dnsbl.intake.fetch.bodies import Body
from dnsbl.intake.fetch.http import next_hop

LIST = b"".join(b"192.0.2.%d\n" % i for i in range(256))
NOTHING = Validators()
ROOT = Path(__file__).parent.parent.parent
MIB = 2**20
SECONDS = 60  # a child that takes longer is at fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
Raw = Callable[[Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]], Awaitable[str]]


def feed(url: str, **settings: Any) -> FeedDef:
    """A feed on a private address; settings are not validated, so that a time-out can be short."""
    made = FeedDef(
        name="t", title="T", url=url, format="plain", category="spam", licence="none", private=True, timeout=20
    )
    return made.model_copy(update=settings)


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    """Start a server that is handed each connection once the request's head is in; gives its URL."""
    servers = []

    async def start(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                await answer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client hung up, as it may
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def answers(
    body: bytes = LIST, status: int = 200, headers: dict[str, str] | None = None, seen: list[Any] | None = None
) -> Handler:
    """A handler that gives the same answer always, and notes the requests."""

    async def handler(request: web.Request) -> web.Response:
        if seen is not None:
            seen.append(request)
        return web.Response(body=body, status=status, headers=headers)

    return handler


async def refusal(made: FeedDef, known: Validators = NOTHING) -> str:
    """The sentence with which a fetch is refused."""
    with pytest.raises(FetchError) as caught:
        await fetch(made, known)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- honest servers -----------------------------------------------------------------------------------------------


async def test_a_feed_is_fetched_with_what_to_ask_with_next_time(serve: Serve) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = await serve(answers(headers={"ETag": '"v1"', "Last-Modified": date}))
    got = await fetch(feed(url + "/list.txt?key=secret"), NOTHING)
    assert got.data == LIST
    assert got.validators == Validators('"v1"', date)
    assert got.url == url + "/list.txt"
    assert got.size == len(LIST)
    assert 0 < got.seconds < 20


async def test_an_etag_is_sent_back_and_304_is_nothing_new(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["If-None-Match"] == '"v1"'
        return web.Response(status=304, headers={"ETag": '"v1"'})

    got = await fetch(feed(await serve(handler)), Validators(etag='"v1"'))
    assert (got.data, got.validators, got.size) == (None, Validators(etag='"v1"'), 0)


async def test_a_date_is_sent_back_and_kept_through_a_304_that_does_not_repeat_it(serve: Serve) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["If-Modified-Since"] == date
        return web.Response(status=304)

    got = await fetch(feed(await serve(handler)), Validators(last_modified=date))
    assert got.data is None
    assert got.validators == Validators(last_modified=date)


async def test_304_to_a_question_never_asked_is_refused(serve: Serve) -> None:
    assert "status 304" in await refusal(feed(await serve(answers(b"", 304))))


@pytest.mark.parametrize("bad", ["x" * 600, 'W/"\x80"', '"a\r\nX-Evil: 1"'])
async def test_a_validator_that_cannot_be_sent_back_is_not(serve: Serve, bad: str) -> None:
    seen: list[web.Request] = []
    got = await fetch(feed(await serve(answers(seen=seen))), Validators(etag=bad))
    assert got.data == LIST
    assert not {"If-None-Match", "X-Evil"} & set(seen[0].headers)


async def test_we_say_who_we_are(serve: Serve) -> None:
    seen: list[web.Request] = []
    url = await serve(answers(seen=seen))
    await fetch(feed(url), NOTHING)
    await fetch(feed(url), NOTHING, contact="https://bl.example")
    assert [request.headers["User-Agent"] for request in seen] == [
        f"dnsbl/{__version__}",
        f"dnsbl/{__version__} (+https://bl.example)",
    ]


async def test_a_page_with_status_200_is_content_here(serve: Serve) -> None:
    page = b"<!doctype html><title>Sign in</title>"
    got = await fetch(feed(await serve(answers(page, headers={"Content-Type": "text/html"}))), NOTHING)
    assert got.data == page


@pytest.mark.parametrize("status", [201, 204, 206, 300, 401, 403, 404, 410, 429, 500, 503])
async def test_any_other_status_is_named(serve: Serve, status: int) -> None:
    assert f"status {status}" in await refusal(feed(await serve(answers(b"no", status))))


async def test_a_proxy_of_the_environment_is_not_trusted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await fetch(feed(await serve(answers())), NOTHING)).data == LIST


# --- compression --------------------------------------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(LIST)),
        ("x-gzip", gzip.compress(LIST)),
        ("GZIP", gzip.compress(LIST)),
        ("deflate", zlib.compress(LIST)),
        ("deflate", raw_deflate(LIST)),
        ("identity", LIST),
        ("", gzip.compress(LIST)),  # a .gz file
        ("gzip", gzip.compress(gzip.compress(LIST))),  # a .gz file, compressed once more on the way
        ("", gzip.compress(LIST[:1000]) + gzip.compress(LIST[1000:])),  # two members
        ("", gzip.compress(LIST) + bytes(512)),  # padded
    ],
)
async def test_what_is_compressed_arrives_plain(serve: Serve, encoding: str, body: bytes) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    got = await fetch(feed(await serve(answers(body, headers=headers))), NOTHING)
    assert got.data == LIST
    assert got.size == len(body)


async def test_an_unknown_encoding_is_refused(serve: Serve) -> None:
    assert "encoding" in await refusal(feed(await serve(answers(headers={"Content-Encoding": "br"}))))


@pytest.mark.parametrize(("encoding", "layers"), [("gzip", 1), ("gzip", 2), ("", 1)])
async def test_a_bomb_stops_at_the_limit_with_memory_bounded(serve: Serve, encoding: str, layers: int) -> None:
    bomb = bytes(128 * MIB)
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    url = await serve(answers(bomb, headers={"Content-Encoding": encoding} if encoding else {}))
    tracemalloc.start()
    try:
        assert "larger than the 2,097,152 bytes" in await refusal(feed(url, max_bytes=2 * MIB))
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", ""])
@pytest.mark.parametrize("left", [1, 2, 11, 100, -9, -1])
async def test_a_cut_gzip_is_cut(serve: Serve, encoding: str, left: int) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    url = await serve(answers(gzip.compress(LIST)[:left], headers=headers))
    assert ": cut: " in await refusal(feed(url))


async def test_an_empty_body_that_says_gzip_is_cut(serve: Serve) -> None:
    assert ": cut: " in await refusal(feed(await serve(answers(b"", headers={"Content-Encoding": "gzip"}))))


@pytest.mark.parametrize("spoilt", [gzip.compress(LIST)[:-8] + bytes(8), gzip.compress(LIST)[:20] + b"\xff" * 99])
async def test_a_damaged_gzip_is_refused(serve: Serve, spoilt: bytes) -> None:
    assert "damaged" in await refusal(feed(await serve(answers(spoilt))))


async def test_bytes_after_the_end_are_refused(serve: Serve) -> None:
    assert "after the end" in await refusal(feed(await serve(answers(gzip.compress(LIST) + b"<html>"))))


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["", "gzip", "deflate"]), st.booleans())
def test_chunks_of_any_size_give_the_same_bytes(data: bytes, size: int, encoding: str, file: bool) -> None:
    if bodies.GZIP_MAGIC.startswith(data[:3]) and data[:1]:
        return
    sent = gzip.compress(data) if file else data
    sent = gzip.compress(sent) if encoding == "gzip" else zlib.compress(sent) if encoding else sent
    assert asyncio.run(Body(encoding, 10_000).read(pieces(sent, size))) == data


@pytest.mark.parametrize("size", [bodies.STEP - 1, bodies.STEP, bodies.STEP + 1, 3 * bodies.STEP, 10 * MIB])
@pytest.mark.parametrize("encoding", ["gzip", ""])
async def test_the_last_step_is_not_lost(size: int, encoding: str) -> None:
    sent = gzip.compress(bytes(size))
    for chunk in (len(sent), 1000, 7):
        assert await Body(encoding, 10 * MIB).read(pieces(sent, chunk)) == bytes(size)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", ""]))
def test_any_bytes_are_content_or_a_fault(data: bytes, encoding: str) -> None:
    for body in (data, bodies.GZIP_MAGIC + data, gzip.compress(data)[:-5] + data):
        try:
            out = asyncio.run(Body(encoding, 2000).read(pieces(body, 50)))
        except Fault as fault:
            assert str(fault)
        else:
            assert len(out) <= 2000


# --- limits -------------------------------------------------------------------------------------------------------


async def test_too_large_by_its_header_is_refused_before_its_body(raw: Raw) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n")
        await reader.read()  # and never a byte of body

    assert "larger than the 1,000,000 bytes" in await refusal(feed(await raw(answer), max_bytes=1_000_000))


async def test_too_large_by_its_stream_is_refused_on_the_way(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65536))

    assert "larger than the 1,000,000 bytes" in await refusal(feed(await serve(handler), max_bytes=1_000_000))


async def test_exactly_the_limit_is_not_too_large(serve: Serve) -> None:
    url = await serve(answers())
    assert (await fetch(feed(url, max_bytes=len(LIST)), NOTHING)).data == LIST
    assert "larger than" in await refusal(feed(url, max_bytes=len(LIST) - 1))


@pytest.mark.parametrize("head", [b"Content-Length: 5000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_cut_body_is_cut(raw: Raw, head: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        writer.write(b"400\r\n" + LIST[:1024] + b"\r\n" if b"chunked" in head else LIST[:1024])
        await writer.drain()

    assert ": cut: " in await refusal(feed(await raw(answer)))


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n1.2.3.4\n"]
)
async def test_a_slow_server_is_given_up(raw: Raw, sent: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await reader.read()  # until the client hangs up

    async with asyncio.timeout(10):
        assert "not done within 0.2 s" in await refusal(feed(await raw(answer), timeout=0.2))


async def test_one_byte_at_a_time_does_not_hold_us(raw: Raw) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"#")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        assert "not done within 0.3 s" in await refusal(feed(await raw(answer), timeout=0.3))


async def test_the_clock_runs_over_all_redirects(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": "/again"})

    assert "not done within 0.4 s" in await refusal(feed(await serve(handler), timeout=0.4))


async def test_being_cancelled_stays_being_cancelled(raw: Raw) -> None:
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()

    task = asyncio.create_task(fetch(feed(await raw(answer)), NOTHING))
    async with asyncio.timeout(SECONDS):
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_garbage_for_an_answer_is_a_sentence(raw: Raw) -> None:
    chance = random.Random(7)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nETag: \xff\r\n\r\n10\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head[: chance.randrange(len(head) + 40)] + chance.randbytes(chance.randrange(60)))

    url = await raw(answer)
    for _ in range(300):
        try:
            await fetch(feed(url), NOTHING)
        except FetchError as error:
            assert str(error).startswith(url)


async def test_a_closed_port_is_a_sentence(raw: Raw) -> None:
    assert "no connection (Connection refused)" in await refusal(feed("http://127.0.0.1:1/list"))


async def test_a_server_that_hangs_up_is_a_sentence(raw: Raw) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert "closed the connection" in await refusal(feed(await raw(answer)))


# --- redirects ----------------------------------------------------------------------------------------------------


def redirecting(hops: int, to: str = "/{}", status: int = 302) -> Handler:
    """A handler whose `/N` leads to `/N+1`, `hops` times, and then is the list."""

    async def handler(request: web.Request) -> web.Response:
        at = int(request.path.strip("/") or 0)
        if at < hops:
            return web.Response(status=status, headers={"Location": to.format(at + 1)})
        return web.Response(body=LIST)

    return handler


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_to_the_fifth(serve: Serve, status: int) -> None:
    url = await serve(redirecting(MAX_REDIRECTS, status=status))
    got = await fetch(feed(url), NOTHING)
    assert (got.data, got.url) == (LIST, f"{url}/{MAX_REDIRECTS}")


async def test_a_redirect_loop_ends(serve: Serve) -> None:
    url = await serve(redirecting(MAX_REDIRECTS + 1))
    assert "more than 5 redirects" in await refusal(feed(url))


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "neither http nor https"),
        ("ftp://example.com/x", "neither http nor https"),
        ("gopher://127.0.0.1:25/x", "neither http nor https"),
        ("http://[::1/", "no URL"),
        ("http://h:99999/", "no URL"),
        ("http:///x", ""),
        ("", "names no place"),
        ("http://0x7f000001/", "number"),
    ],
)
async def test_a_redirect_to_what_we_do_not_fetch_is_refused(serve: Serve, location: str, why: str) -> None:
    url = await serve(answers(b"", 302, {"Location": location}))
    assert why in await refusal(feed(url))


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "169.254.169.254", "10.0.0.1"])
async def test_a_redirect_to_a_private_address_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """127.0.0.1 passes for public here, as the attacker's own server would be; where it leads does not."""
    check = addresses.check_address
    monkeypatch.setattr(addresses, "check_address", lambda text: None if text == "127.0.0.1" else check(text))
    url = await serve(answers(b"", 302, {"Location": f"http://{host}/latest/meta-data?token=1"}))
    assert "is not public" in await refusal(feed(url, private=False))


def test_a_redirect_never_leads_from_https_to_http() -> None:
    with pytest.raises(Fault, match=r"down to http://a\.example/x"):
        next_hop(URL("https://a.example/"), "http://a.example/x?key=1")
    assert next_hop(URL("http://a.example/"), "https://a.example/x#f") == URL("https://a.example/x")
    assert next_hop(URL("https://a.example/d/e"), "//u:p@b.example/x") == URL("https://b.example/x")
    assert next_hop(URL("https://a.example/d/e?q"), "../x?k=1") == URL("https://a.example/x?k=1")


async def test_credentials_stay_with_their_origin(serve: Serve) -> None:
    """Sent to the feed's own host, also along its redirects; to no other, and not again on the way back."""
    seen: list[tuple[str, str | None]] = []

    def hop(name: str, to: dict[str, str]) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            seen.append((name + request.path, request.headers.get("Authorization")))
            if request.path in to:
                return web.Response(status=302, headers={"Location": to[request.path]})
            return web.Response(body=LIST)

        return handler

    there: dict[str, str] = {}
    other = await serve(hop("other", there))
    home = await serve(hop("home", {"/a": "/b", "/b": other.replace("//", "//x:y@") + "/c"}))
    there["/c"] = home + "/d"
    await fetch(feed(home.replace("//", "//me:pass%40word@") + "/a"), NOTHING)
    basic = "Basic bWU6cGFzc0B3b3Jk"
    assert seen == [("home/a", basic), ("home/b", basic), ("other/c", None), ("home/d", None)]


# --- whom we talk to ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "localhost", "0x7f000001", "[::ffff:127.0.0.1]", "2130706433", "127.1",
        "0177.0.0.1", "010.0.0.1", "127.0.0.1.", "①27.0.0.1", "127。0。0。1", "0", "0.0.0.0", "[::]", "169.254.169.254",
        "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.0.8", "224.0.0.251", "255.255.255.255",
        "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[ff02::1]", "[fec0::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
        "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[::127.0.0.1]", "[2001:db8::1]", "[100::1]",
    ],
)  # fmt: skip
async def test_a_public_feed_is_not_fetched_from_a_private_address(serve: Serve, host: str) -> None:
    seen: list[web.Request] = []
    port = URL(await serve(answers(seen=seen))).port
    async with asyncio.timeout(10):
        await refusal(feed(f"http://{host}:{port}/x", private=False))
    assert not seen


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1", "64:ff9b::808:808", "2002:808:808::1"])
def test_public_addresses_pass(text: str) -> None:
    check_address(text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_passes_is_public_through_and_through(address: Any) -> None:
    try:
        check_address(str(address))
    except Fault:
        return
    assert address.is_global
    assert not address.is_multicast


@given(st.sampled_from(["127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "224.0.0.0/4"]), st.data())
def test_no_wrapping_makes_a_private_address_public(network: str, data: st.DataObject) -> None:
    inner = data.draw(st.ip_addresses(v=4, network=network))
    number = int(inner)
    high, low = number >> 16, number & 0xFFFF
    for text in (f"{inner}", f"::ffff:{inner}", f"64:ff9b::{inner}", f"2002:{high:x}:{low:x}::1", f"::{inner}"):
        with pytest.raises(Fault):
            check_address(text)


async def test_a_name_with_one_private_address_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(*_: object) -> list[str]:
        return ["8.8.8.8", "127.0.0.1"]

    monkeypatch.setattr(addresses, "look_up", look_up)
    assert "127.0.0.1 is not public" in await refusal(feed("http://feed.example/", private=False))


async def test_the_connection_goes_to_the_address_that_was_checked(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is looked up once for each connection: a second answer, which could be another, is never asked for."""
    asked: list[str] = []

    async def look_up(host: str, *_: object) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    monkeypatch.setattr(addresses, "look_up", look_up)
    seen: list[web.Request] = []
    port = URL(await serve(answers(seen=seen))).port
    got = await fetch(feed(f"http://feed.example:{port}/"), NOTHING)
    assert (got.data, asked) == (LIST, ["feed.example"])
    assert seen[0].host == f"feed.example:{port}"


async def test_a_name_that_does_not_exist_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    said = await refusal(feed("https://feed.invalid/list"))
    assert "the name feed.invalid does not resolve (Name or service not known)" in said


async def test_a_name_that_is_none_is_a_sentence() -> None:
    assert "does not resolve" in await refusal(feed("http://" + "a" * 70 + ".example/"))


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """An https server called localhost whose `/down` redirects to http; gives its port and its certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    try:
        subprocess.run(
            [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=SECONDS
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed: there is no certificate to try https with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/down":
            return web.Response(status=302, headers={"Location": f"http://{request.host}/"})
        return web.Response(body=LIST)

    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1], certificate
    await runner.cleanup()


async def test_a_certificate_that_nobody_vouches_for_is_refused(secure: tuple[int, Path]) -> None:
    assert "certificate was refused" in await refusal(feed(f"https://localhost:{secure[0]}/list?key=secret"))


TRUSTING = """
import asyncio, sys
from dnsbl.config import FeedDef
from dnsbl.errors import FetchError
from dnsbl.intake.fetch import Validators, fetch
for url in sys.argv[1:]:
    feed = FeedDef(name="t", title="T", url=url, format="plain", category="spam", licence="none", private=True)
    try:
        print(len(asyncio.run(fetch(feed, Validators())).data))
    except FetchError as error:
        print(error)
"""


async def test_https_is_fetched_from_whom_the_host_trusts(secure: tuple[int, Path]) -> None:
    """In a process of its own: which authorities are trusted is settled when a program starts."""
    port, certificate = secure
    urls = [f"https://localhost:{port}/", f"https://127.0.0.1:{port}/", f"https://localhost:{port}/down"]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TRUSTING, *urls),
        env={**os.environ, "SSL_CERT_FILE": str(certificate), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await child.communicate()
    right, other_name, down = out.decode().splitlines()
    assert right == str(len(LIST))
    assert "certificate was refused" in other_name
    assert "from https down to http" in down


# --- what we say --------------------------------------------------------------------------------------------------


async def test_no_message_and_no_result_holds_a_secret(serve: Serve) -> None:
    url = (await serve(answers(b"no", 404))).replace("//", "//me:hidden@") + "/list?key=hidden#hidden"
    assert "hidden" not in await refusal(feed(url))
    assert "hidden" not in await refusal(feed(url, timeout=0))
    assert "hidden" not in await refusal(feed(url, private=False))
    lost = (await serve(answers(b"", 302, {"Location": "http://h:99999/?hidden"}))) + "/?key=hidden"
    assert "hidden" not in await refusal(feed(lost))
    good = await fetch(feed((await serve(answers())).replace("//", "//me:hidden@") + "/?hidden"), NOTHING)
    assert "hidden" not in repr(good.url)


@given(st.text(max_size=80))
def test_anything_can_be_shown(text: str) -> None:
    assert "?" not in shown("http://host/" + text)
    shown(text)


# --- files --------------------------------------------------------------------------------------------------------


async def test_a_file_is_fetched_and_not_twice(tmp_path: Path) -> None:
    path = tmp_path / "own list.txt"
    path.write_bytes(LIST)
    made = feed(path.as_uri(), private=False)
    got = await fetch(made, NOTHING)
    assert (got.data, got.size) == (LIST, len(LIST))
    again = await fetch(made, got.validators)
    assert (again.data, again.validators, again.size) == (None, got.validators, 0)
    os.utime(path, ns=(1, 1))
    assert (await fetch(made, got.validators)).data == LIST


async def test_a_relative_file_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "own.txt.gz").write_bytes(gzip.compress(LIST))
    monkeypatch.chdir(tmp_path)
    got = await fetch(feed("file:feeds/own.txt.gz"), NOTHING)
    assert (got.data, got.url) == (LIST, "file:feeds/own.txt.gz")


async def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(LIST)
    assert (await fetch(feed(path.as_uri(), max_bytes=len(LIST)), NOTHING)).data == LIST
    assert "larger than" in await refusal(feed(path.as_uri(), max_bytes=len(LIST) - 1))
    path.write_bytes(gzip.compress(bytes(10 * MIB)))
    assert "larger than" in await refusal(feed(path.as_uri(), max_bytes=MIB))


async def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    async with asyncio.timeout(10):
        for url in ((tmp_path / "fifo").as_uri(), tmp_path.as_uri(), "file:///dev/zero", "file:///proc/self/fd"):
            assert "not a plain file" in await refusal(feed(url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///nowhere/list.txt", "No such file"),
        ("file://host/list.txt", "names a host"),
        ("file:", "names no file"),
        ("file:///a%00b", "names no file"),
    ],
)
async def test_a_file_that_is_not_there_is_a_sentence(url: str, why: str) -> None:
    assert why in await refusal(feed(url))


async def test_a_file_that_changes_under_us_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list"
    path.write_bytes(LIST)
    read = files.read_up_to

    def growing(file: int, limit: int) -> bytes:
        data = read(file, limit)
        path.write_bytes(LIST * 2)
        return data

    monkeypatch.setattr(files, "read_up_to", growing)
    assert "changed while it was read" in await refusal(feed(path.as_uri()))


def test_what_is_fetched_cannot_be_changed() -> None:
    got = Fetched(b"", NOTHING, "http://h/", 0.1, 0)
    with pytest.raises(AttributeError):
        got.data = b"x"  # type: ignore[misc]
