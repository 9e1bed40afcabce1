"""What belongs to an export: manifest, signature, deltas; and the files of snapshots, for mirrors."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from shutil import which
from typing import Any

import orjson
import pytest
from exporting_site import publish_some
from website import problem, serving

from dnsbl import clock
from dnsbl.following.minisign import PublicKey
from dnsbl.subjects import parse
from dnsbl.web import models_exports as models
from dnsbl.zones.given import SHARED
from dnsbl.zones.served import read_pointer
from dnsbl.zones.snapshot import Snapshot

PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Any]:
    async with serving(tmp_path) as served:
        await asyncio.to_thread(publish_some, served, 300)
        served.reader = served.bearer("read") | PLAIN
        yield served


async def got(site: Any, path: str, **headers: str) -> tuple[int, bytes, Any]:
    async with site.client.get(path, headers=site.reader | headers) as response:
        return response.status, await response.read(), response.headers


async def key_of(site: Any) -> PublicKey:
    async with site.client.get("/v1/signing-key") as response:
        assert response.content_type == "text/plain"
        return PublicKey(await response.text())


async def test_manifest_and_signature_are_of_the_export(site: Any) -> None:
    _, content, _ = await got(site, "/v1/zones/ip/export?format=cidr")
    status, body, headers = await got(site, "/v1/zones/ip/manifest?format=cidr")
    assert status == 200
    manifest = models.ExportManifest.model_validate_json(body)
    assert (manifest.size, manifest.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (manifest.file, manifest.serial) == ("ip.cidr", site.app.served("ip").serial)
    assert (await got(site, "/v1/zones/ip/manifest?format=cidr", **{"If-None-Match": headers["ETag"]}))[0] == 304
    _, signature, headers = await got(site, "/v1/zones/ip/export.minisig?format=cidr")
    assert headers["Content-Disposition"] == 'attachment; filename="ip.cidr.minisig"'
    key = await key_of(site)
    key.check(content, signature.decode())
    key.check(content, manifest.signature)
    assert PublicKey(manifest.public_key).name == key.name


@pytest.mark.parametrize("what", ["manifest?format=cidr", "export.minisig?format=cidr", "delta?since=1", "snapshot"])
async def test_all_of_it_needs_a_key_and_a_zone(site: Any, what: str) -> None:
    await problem(await site.client.get(f"/v1/zones/ip/{what}"), 401)
    await problem(await site.client.get(f"/v1/zones/ip/{what}", headers=site.bearer("report", name="r")), 403)
    await problem(await site.client.get(f"/v1/zones/none/{what}", headers=site.reader), 404)


async def delta_since(site: Any, serial: int, zone: str = "ip") -> models.ZoneDelta:
    status, body, _ = await got(site, f"/v1/zones/{zone}/delta?since={serial}")
    assert status == 200
    return models.ZoneDelta.model_validate_json(body)


def rows_of(delta: models.ZoneDelta) -> tuple[list[str], list[str]]:
    return [row.subject for row in delta.removed], [row.subject for row in delta.added]


async def test_a_delta_says_what_changed_and_nothing_when_nothing_did(site: Any) -> None:
    serial = site.app.served("ip").serial
    delta = await delta_since(site, serial)
    assert (delta.from_, delta.to, delta.full, rows_of(delta)) == (serial, serial, False, ([], []))
    await asyncio.to_thread(site.app.report, "46.1.2.3", "spam", "operator")
    await asyncio.to_thread(site.app.settle)
    await asyncio.to_thread(site.app.delist, "8.8.0.7", "", "asked")
    delta = await delta_since(site, serial)
    assert (delta.from_, delta.to, delta.full) == (serial, site.app.served("ip").serial, False)
    assert rows_of(delta) == (["8.8.0.7"], ["46.1.2.3"])
    assert delta.added[0].codes == ["127.0.0.2"]
    assert clock.parse_time(delta.made_at or "") == site.app.served("ip").delta.info["made_at"]


async def test_a_delta_of_names_has_what_is_exempt(site: Any) -> None:
    await asyncio.to_thread(site.app.report, "bad.example", "spam", "operator")
    await asyncio.to_thread(site.app.settle)
    serial = site.app.served("domain").serial
    await asyncio.to_thread(site.app.allow, "ok.bad.example", "ours", None)
    delta = await delta_since(site, serial, "domain")
    assert rows_of(delta) == ([], ["ok.bad.example"])
    assert (delta.added[0].codes, delta.added[0].exempt) == ([], True)


async def test_copies_that_follow_deltas_equal_whole_exports(site: Any) -> None:
    """However far behind they are."""
    chance = random.Random(5)
    copies = {site.app.served("ip").serial: await copy_of(site)}
    for _ in range(5):
        for _ in range(6):
            subject = f"46.0.0.{chance.randrange(16)}"
            await asyncio.to_thread(site.app.report, subject, chance.choice(["spam", "botnet", "phishing"]), "operator")
        await asyncio.to_thread(site.app.delist, f"46.0.0.{chance.randrange(16)}", "", "asked")
        await asyncio.to_thread(site.app.settle)
        copies[site.app.served("ip").serial] = await copy_of(site)
    newest = site.app.served("ip").serial
    for serial, copy in copies.items():
        delta = await delta_since(site, serial)
        assert not delta.full
        for row in delta.removed:
            for host in hosts(row.subject):
                del copy[host]
        for row in delta.added:
            for host in hosts(row.subject):
                assert host not in copy
                copy[host] = row.codes
        assert copy == copies[newest] if serial != newest else not delta.added


async def copy_of(site: Any) -> dict[str, list[str]]:
    """Every address of the NDJSON export, with its codes."""
    _, body, _ = await got(site, "/v1/zones/ip/export?format=ndjson")
    _, *rows = map(orjson.loads, body.splitlines())
    return {host: row["codes"] for row in rows for host in hosts(row["network"])}


def hosts(subject: str) -> list[str]:
    return [str(each) for each in ip_network(subject)]


async def test_where_history_is_gone_the_whole_zone_is_due(site: Any) -> None:
    for serial in (0, 5, 2**32 - 1):
        delta = await delta_since(site, serial)
        assert (delta.full, delta.export, rows_of(delta)) == (True, "/v1/zones/ip/export?format=ndjson", ([], []))
    for nonsense in ("", "x", "-1", "1.0", str(2**32), "9" * 5000, "٣"):
        await problem(await site.client.get("/v1/zones/ip/delta", params={"since": nonsense}, headers=site.reader), 400)


async def test_a_delta_is_not_sent_twice(site: Any) -> None:
    _, _, headers = await got(site, "/v1/zones/ip/delta?since=7")
    assert (await got(site, "/v1/zones/ip/delta?since=7", **{"If-None-Match": headers["ETag"]}))[0] == 304
    site.app.settle(force=["ip"])
    assert (await got(site, "/v1/zones/ip/delta?since=7", **{"If-None-Match": headers["ETag"]}))[0] == 200


# snapshots


async def test_a_snapshot_is_signed_and_its_files_are_what_it_says(site: Any, tmp_path: Path) -> None:
    await asyncio.to_thread(site.app.report, "46.1.2.3", "spam", "operator")
    await asyncio.to_thread(site.app.settle)
    status, body, headers = await got(site, "/v1/zones/ip/snapshot")
    assert status == 200
    said = models.ZoneSnapshot.model_validate_json(body)
    assert said.serial == site.app.served("ip").serial
    message = {name: value for name, value in orjson.loads(body).items() if name != "signature"}
    (await key_of(site)).check(orjson.dumps(message, option=orjson.OPT_SORT_KEYS), said.signature)
    assert (await got(site, "/v1/zones/ip/snapshot", **{"If-None-Match": headers["ETag"]}))[0] == 304
    assert said.delta
    for file in (said.base, said.delta):
        status, content, headers = await got(site, f"/v1/zones/ip/snapshot/{file.name}")
        assert (status, len(content), hashlib.sha256(content).hexdigest()) == (200, file.size, file.sha256)
        assert (headers["ETag"], headers["Content-Type"]) == (f'"{file.sha256}"', "application/octet-stream")
        assert "immutable" in headers["Cache-Control"]
        (tmp_path / file.name).write_bytes(content)
        Snapshot(tmp_path / file.name)  # verifies


async def test_a_cut_fetch_goes_on_unless_it_is_another_file(site: Any) -> None:
    said = models.ZoneSnapshot.model_validate_json((await got(site, "/v1/zones/ip/snapshot"))[1]).base
    url = f"/v1/zones/ip/snapshot/{said.name}"
    _, whole, headers = await got(site, url)
    status, rest, _ = await got(site, url, Range="bytes=100-", **{"If-Range": headers["ETag"]})
    assert (status, rest) == (206, whole[100:])
    status, rest, _ = await got(site, url, Range="bytes=100-", **{"If-Range": '"other"'})
    assert (status, rest) == (200, whole)
    assert (await got(site, url, Range=f"bytes={len(whole)}-"))[0] == 416


async def test_only_files_in_use_and_those_before_are_given(site: Any) -> None:
    old = models.ZoneSnapshot.model_validate_json((await got(site, "/v1/zones/ip/snapshot"))[1]).base.name
    (site.app.data_dir / "zones" / "ip" / "1.base").write_bytes(b"not published")
    for name in ("1.base", "current", "lock", "..%2Fdomain%2Fcurrent", "nothing", "%00"):
        await problem(await site.client.get(f"/v1/zones/ip/snapshot/{name}", headers=site.reader), 404)
    for status in (200, 404):
        await asyncio.to_thread(site.app.settle, force=["ip"])
        assert (await got(site, f"/v1/zones/ip/snapshot/{old}"))[0] == status


@pytest.mark.parametrize("terms", ["leave-out", "refuse"])
async def test_what_may_not_be_given_away_is_not(site: Any, terms: str) -> None:
    """The pointer says that some of the zone is withheld: only what is in `shared` is given, or nothing."""
    directory = site.app.data_dir / "zones" / "ip"
    _, whole, _ = await got(site, "/v1/zones/ip/export?format=cidr")
    assert b"8.8.0.7\n" in whole
    name = models.ZoneSnapshot.model_validate_json((await got(site, "/v1/zones/ip/snapshot"))[1]).base.name
    withhold(site, directory, terms)
    for what in ("export?format=cidr", "manifest?format=cidr", "delta?since=1", "snapshot", f"snapshot/{name}"):
        status, body, _ = await got(site, f"/v1/zones/ip/{what}")
        if terms == "refuse":
            assert status == 403
        else:
            assert status == (404 if name in what else 200)
            assert b"8.8.0.7" not in body


async def test_files_before_are_those_that_were_given(site: Any) -> None:
    """What is withheld no more, as it is listed no more, is in the zone's own file of the same name."""
    store = site.app.store
    kept = store.source("kept", "import", trust=0.9, redistribute=False)
    for hits in (["46.1.2.3"], ["46.1.2.3", "46.1.2.5"]):
        store.replace_entries(kept.id, {parse(each): 1 for each in hits}, {}, "spam", 1700000001)
        await asyncio.to_thread(site.app.settle)
    said = models.ZoneSnapshot.model_validate_json((await got(site, "/v1/zones/ip/snapshot"))[1])
    store.replace_entries(kept.id, {}, {}, "spam", 1700000002)
    await asyncio.to_thread(site.app.settle)
    now = models.ZoneSnapshot.model_validate_json((await got(site, "/v1/zones/ip/snapshot"))[1])
    assert said.delta
    assert now.serial != said.serial
    for name in (said.base.name, said.delta.name, now.base.name):
        status, body, _ = await got(site, f"/v1/zones/ip/snapshot/{name}")
        assert status == (200 if name == now.base.name else 404)
        assert bytes((3, 2, 1, 46)) not in body


def withhold(site: Any, directory: Path, terms: str) -> None:
    """As the publisher leaves it: the list is not in `shared`, and the pointer says so."""
    pointer = read_pointer(directory)
    assert pointer
    site.app.store.replace_entries(site.app.store.source("list", "import", trust=0.9).id, {}, {}, "spam", 1700000001)
    site.app.settle(force=["ip"])
    shared = read_pointer(directory)
    assert shared
    (directory / SHARED).mkdir(exist_ok=True)
    for name in (shared.base, "current"):
        (directory / name).rename(directory / SHARED / name)
    content = {**pointer.content(), "withheld": 300, "refuses": terms == "refuse"}
    (directory / "current").write_bytes(orjson.dumps(content))


@pytest.mark.peer
@pytest.mark.skipif(not (which("curl") and which("minisign")), reason="apt install curl minisign")
async def test_curl_and_minisign_take_it(site: Any, tmp_path: Path) -> None:
    url, secret = f"http://127.0.0.1:{site.port}/v1", site.reader["Authorization"]

    async def run(*command: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    curl = ("curl", "-sSf", "-H", f"Authorization: {secret}")
    export = f"{url}/zones/ip/export?format=rbldnsd"
    await run(*curl, "-r", "0-99", "-o", "ip.rbldnsd", export)
    assert (tmp_path / "ip.rbldnsd").stat().st_size == 100
    await run(*curl, "-C", "-", "-o", "ip.rbldnsd", export)
    await run(*curl, "--compressed", "-o", "packed", export)
    await run(*curl, "-z", "packed", "-w", "%{http_code}", "-o", "not-written", export)
    assert (tmp_path / "ip.rbldnsd").read_bytes() == (tmp_path / "packed").read_bytes()
    await run(*curl, "-o", "ip.rbldnsd.minisig", f"{url}/zones/ip/export.minisig?format=rbldnsd")
    await run("curl", "-sSf", "-o", "key.pub", f"{url}/signing-key")
    assert "zone:ip" in await run("minisign", "-V", "-p", "key.pub", "-m", "ip.rbldnsd")
