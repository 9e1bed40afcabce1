"""/v1/partner/hooks and /v1/partner/owned: a partner sets where it is told, sees how that fares, and sees nobody
else's."""

from __future__ import annotations

import json

import pytest
from website import problem, serving

from dnsbl import clock
from dnsbl.hooks import setting
from dnsbl.web import models_hooks

URL = "https://noc.example/dnsbl?token=theirs"


async def put(site, headers, url=URL):
    return await site.client.put("/v1/partner/hooks", json={"url": url}, headers=headers)


async def hooks(site, headers):
    async with site.client.get("/v1/partner/hooks", headers=headers) as response:
        assert response.status == 200
        return [models_hooks.Hook.model_validate(row) for row in await response.json()]


@pytest.mark.parametrize("scope", ["report", "read"])
async def test_a_partner_makes_a_hook_sees_it_and_takes_it_away(tmp_path, scope):
    async with serving(tmp_path) as site:
        headers = site.bearer(scope, name="acme")
        async with await put(site, headers) as response:
            assert response.status == 201
            made = models_hooks.HookMade.model_validate(await response.json())
        assert made.url == URL
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        (hook,) = await hooks(site, headers)
        assert (hook.id, hook.url, hook.waiting, hook.failed, hook.trouble) == (made.id, URL, 0, 0, "")
        assert (await site.client.delete(f"/v1/partner/hooks/{hook.id}", headers=headers)).status == 204
        assert await hooks(site, headers) == []
        await problem(await site.client.delete(f"/v1/partner/hooks/{hook.id}", headers=headers), 404)


async def test_the_secret_is_told_once(tmp_path, caplog):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        secret = (await (await put(site, headers)).json())["secret"].removeprefix("whsec_")
        again = await put(site, headers)
        assert again.status == 200
        told = await again.json()
        assert told["secret"] is None
        assert (await put(site, headers, "https://noc.example/2")).status == 201
        async with site.client.get("/v1/partner/hooks", headers=headers) as response:
            said = await response.text()
        assert secret not in said + json.dumps(told) + caplog.text + json.dumps(
            site.app.store.audit_rows(), default=repr
        )


async def test_nobody_sees_or_removes_anothers_hook(tmp_path):
    async with serving(tmp_path) as site:
        mine, theirs = site.bearer("report", name="mine"), site.bearer("report", name="theirs")
        number = (await (await put(site, mine)).json())["id"]
        assert await hooks(site, theirs) == []
        said = await problem(await site.client.delete(f"/v1/partner/hooks/{number}", headers=theirs), 404)
        none = await problem(await site.client.delete("/v1/partner/hooks/999", headers=theirs), 404)
        assert said["detail"].replace(str(number), "999") == none["detail"], "it is not said whether there is one"
        assert len(await hooks(site, mine)) == 1


async def test_a_partner_sees_what_it_owns_and_who_does_not_may_not_say_so(tmp_path):
    async with serving(tmp_path) as site:
        headers, other = site.bearer("read", name="acme"), site.bearer("read", name="other")
        store = site.app.store
        for subject in ("46.1.0.0/16", "example.com"):
            setting.own(store, setting.partner(store, "acme"), subject, "operator", 1_790_000_000)
        async with site.client.get("/v1/partner/owned", headers=headers) as response:
            rows = [models_hooks.OwnedRange.model_validate(row) for row in await response.json()]
        assert [(row.subject, row.since) for row in rows] == [
            ("46.1.0.0/16", "2026-09-21T14:13:20Z"),
            ("example.com", "2026-09-21T14:13:20Z"),
        ]
        assert await (await site.client.get("/v1/partner/owned", headers=other)).json() == []
        await problem(await site.client.put("/v1/partner/owned", json=["0.0.0.0/0"], headers=headers), 405)


ASKED = [
    ("GET", "/v1/partner/owned"), ("GET", "/v1/partner/hooks"), ("PUT", "/v1/partner/hooks"),
    ("DELETE", "/v1/partner/hooks/1"),
]  # fmt: skip


async def test_without_a_key_there_is_nothing(tmp_path):
    async with serving(tmp_path) as site:
        expired = site.bearer("read", name="old", expires=clock.now() - 1)
        for method, path in ASKED:
            for headers in ({}, {"Authorization": "Bearer dnsbl_guess"}, expired):
                asked = {**headers, "Content-Type": "application/json"}
                await problem(await site.client.request(method, path, data=b'{"url": "x"}', headers=asked), 401)


REFUSED = [
    "http://noc.example/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://127.1/",
    "https://user:word@noc.example/", "nonsense", "https://noc.example/\r\nX: y",
]  # fmt: skip


async def test_a_url_that_we_must_not_call_is_refused(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        for url in REFUSED:
            said = await problem(await put(site, headers, url), 422)
            assert url not in said["detail"]
        await problem(await put(site, headers, "https://noc.example/\ud800"), 400)
        assert await hooks(site, headers) == []


NOT_HOOKS = [
    b"", b"{", b"[]", b"null", b'{"url": 1}', b'{"url": ""}', b'{"url": "https://a.example/", "secret": "mine"}',
    b"\xff", b"[" * 4000,
]  # fmt: skip


async def test_what_is_no_hook_is_refused_with_a_sentence(tmp_path):
    async with serving(tmp_path) as site:
        key = site.bearer("report")

        async def send(body, kind="application/json"):
            return await site.client.put("/v1/partner/hooks", data=body, headers={**key, "Content-Type": kind})

        for body in NOT_HOOKS:
            await problem(await send(body), 400)
        await problem(await send(b'{"url": "' + b"x" * 5000), 413)
        await problem(await send(b'{"url": "https://a.example/"}', "text/plain"), 415)
        assert await hooks(site, key) == []


async def test_a_number_that_is_none_is_not_found(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("read")
        for number in ("x", "0", "-1", "1.5", "%00", "9" * 40, "١"):
            await problem(await site.client.delete(f"/v1/partner/hooks/{number}", headers=headers), 404)


async def test_five_hooks_are_enough(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        for number in range(5):
            assert (await put(site, headers, f"https://noc.example/{number}")).status == 201
        said = await problem(await put(site, headers, "https://noc.example/5"), 422)
        assert "remove one" in said["detail"]
        assert (await put(site, headers, "https://noc.example/4")).status == 200
