"""Whatever is sent: an answer with the right headers, and never more of us than that."""

import asyncio

import pytest
from website import problem, serving

from dnsbl.web import app as web_app

PATHS = [
    "/",
    "/lookup?q=x",
    "/status",
    "/style.css",
    "/v1/zones",
    "/v1/nope",
    "/nope",
    "/healthz",
    "/metrics",
    "/v1/reports",
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_security_headers(tmp_path, path):
    async with serving(tmp_path) as site, site.client.get(path) as response:
        headers = response.headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Server"] == "dnsbl"
        assert "Cache-Control" in headers


async def test_programs_get_problem_documents(tmp_path):
    async with serving(tmp_path) as site:
        await problem(await site.client.get("/v1/nope"), 404)
        response = await site.client.delete("/v1/zones")
        await problem(response, 405)
        assert response.headers["Allow"] == "GET,HEAD"
        await problem(await site.client.post("/healthz"), 405)


async def test_a_mistake_of_ours_is_logged_once_and_not_shown(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("the inner workings")

    async with serving(tmp_path) as site:
        monkeypatch.setattr(site.app, "check", broken)
        said = await problem(await site.client.get("/v1/subjects/8.8.8.8"), 500)
        assert "inner workings" not in str(said)
        async with site.client.get("/lookup?q=8.8.8.8") as response:
            assert response.status == 500
            assert "inner workings" not in await response.text()
        assert len([record for record in caplog.records if record.exc_info]) == 2
        async with site.client.get("/") as response:
            assert response.status == 200


async def test_a_mistake_of_ours_leaves_no_private_link_in_the_log(tmp_path, monkeypatch, caplog):
    async with serving(tmp_path) as site:
        monkeypatch.setattr(site.app.removals, "find", lambda _: 1 / 0)
        async with site.client.get("/removals/a-secret-link") as response:
            assert response.status == 500
    assert "GET /removals/{id} failed" in caplog.text
    assert "a-secret-link" not in caplog.text


async def test_nothing_is_logged_of_requests_that_went_well(tmp_path, caplog):
    caplog.set_level("INFO")
    async with serving(tmp_path) as site:
        for path in PATHS:
            await site.client.get(path)
    assert [record for record in caplog.records if record.name.startswith(("aiohttp", "dnsbl.web"))] == []


async def raw(site, data, more=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(data)
    if more:
        writer.write(more)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS to a plain port\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_without_a_trace(tmp_path, data, caplog):
    caplog.set_level("INFO")
    async with serving(tmp_path) as site:
        answer = await raw(site, data)
        assert b" 400 " in answer.split(b"\r\n")[0], answer
        assert b"Traceback" not in answer
        assert caplog.records == []
        async with site.client.get("/healthz") as response:
            assert response.status == 200


async def test_a_head_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(web_app, "HEADER_SECONDS", 0.05)
    async with serving(tmp_path) as site:
        assert await raw(site, b"GET / HTTP/1.1\r\nHost: x\r\n") == b""
        assert await raw(site, b"") == b""


async def test_a_chunked_body_that_is_none_is_refused(tmp_path):
    async with serving(tmp_path) as site:
        head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\nX-Api-Key: {site.key('report')}\r\nConnection: close\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await raw(site, head.encode(), b"zz\r\nnot a chunk\r\n")
        assert b" 400 " in answer.split(b"\r\n")[0], answer
