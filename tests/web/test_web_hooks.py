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


@pytest.mark.parametrize("how", ["get", "put", "delete", "owned"])
async def test_without_a_key_there_is_nothing(tmp_path, how):
    async with serving(tmp_path) as site:

        async def ask(headers):
            if how == "put":
                return await put(site, headers)
            if how == "delete":
                return await site.client.delete("/v1/partner/hooks/1", headers=headers)
            return await site.client.get("/v1/partner/" + ("owned" if how == "owned" else "hooks"), headers=headers)

        await problem(await ask({}), 401)
        await problem(await ask({"Authorization": "Bearer dnsbl_guess"}), 401)
        await problem(await ask(site.bearer("read", name="old", expires=clock.now() - 1)), 401)


@pytest.mark.parametrize(
    "url",
    [
        "http://noc.example/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://127.1/",
        "https://user:word@noc.example/", "nonsense", "https://noc.example/\r\nX: y", "https://noc.example/\ud800",
    ],
)  # fmt: skip
async def test_a_url_that_we_must_not_call_is_refused(tmp_path, url):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        response = await put(site, headers, url)
        said = await problem(response, 400 if "\ud800" in url else 422)
        assert url not in said["detail"]
        assert await hooks(site, headers) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b'{"url": 1}', 400), (b'{"url": ""}', 400),
        (b'{"url": "https://a.example/", "secret": "mine"}', 400), (b"\xff", 400), (b'{"url": "' + b"x" * 5000, 413),
        (b"[" * 4000, 400),
    ],
)  # fmt: skip
async def test_what_is_no_hook_is_refused_with_a_sentence(tmp_path, body, status):
    async with serving(tmp_path) as site:
        headers = {**site.bearer("report"), "Content-Type": "application/json"}
        await problem(await site.client.put("/v1/partner/hooks", data=body, headers=headers), status)
        form = {**headers, "Content-Type": "text/plain"}
        await problem(
            await site.client.put("/v1/partner/hooks", data=b'{"url": "https://a.example/"}', headers=form), 415
        )
        assert await hooks(site, headers) == []


@pytest.mark.parametrize("number", ["x", "0", "-1", "1.5", "%00", "9" * 40, "١"])
async def test_a_number_that_is_none_is_not_found(tmp_path, number):
    async with serving(tmp_path) as site:
        await problem(await site.client.delete(f"/v1/partner/hooks/{number}", headers=site.bearer("read")), 404)


async def test_five_hooks_are_enough(tmp_path):
    async with serving(tmp_path) as site:
        headers = site.bearer("report")
        for number in range(5):
            assert (await put(site, headers, f"https://noc.example/{number}")).status == 201
        said = await problem(await put(site, headers, "https://noc.example/5"), 422)
        assert "remove one" in said["detail"]
        assert (await put(site, headers, "https://noc.example/4")).status == 200
