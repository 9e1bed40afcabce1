"""A site with something listed, and visitors from where we like."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import altcha
from aiohttp import ClientSession, CookieJar
from website import Site, serving

from dnsbl import clock
from dnsbl.model import Report
from dnsbl.subjects import parse
from dnsbl.web.admission.work import ALGORITHM, COST

HOST, NEIGHBOUR = "45.9.1.7", "45.9.2.8"
NAME = "bad.listed-example.com"
ELSEWHERE = "198.41.0.9"  # where nothing is listed
LISTED = ["127.0.0.2"]  # what the zone answers of a host that is


@asynccontextmanager
async def listed_site(directory: Path, *subjects: str, category: str = "spam") -> AsyncIterator[Site]:
    """A site that believes whom visitors say they are (X-Forwarded-For), with these subjects on an imported list."""
    async with serving(directory, proxies=["127.0.0.0/8"]) as site:
        await asyncio.to_thread(import_list, site, category, subjects or (HOST, NEIGHBOUR, NAME))
        yield site


def import_list(site: Site, category: str, subjects: tuple[str, ...]) -> None:
    store = site.app.store
    source = store.source(f"a-list-of-{category}", "import", trust=0.9)
    store.replace_entries(source.id, {parse(subject): 1 for subject in subjects}, {}, category, clock.now() - 86_400)
    site.app.settle()


def report_now(site: Site, subject: str, at: int | None = None, category: str = "spam") -> None:
    """Somebody who is believed reports it."""
    source = site.app.store.source("witness", "operator", trust=1.0)
    site.app.store.take_reports(source.id, [Report(parse(subject), category, at or clock.now(), "w")])
    site.app.settle()


@asynccontextmanager
async def browser(site: Site, address: str) -> AsyncIterator[ClientSession]:
    """A visitor who keeps cookies, and runs no script."""
    jar = CookieJar(unsafe=True)  # of addresses, too
    async with ClientSession(f"http://127.0.0.1:{site.port}", headers=visitor(address), cookie_jar=jar) as client:
        yield client


def visitor(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def work(site: Site) -> str:
    """A solved sum that was easy: the first try is right."""
    gate = site.state.admission.work
    challenge = altcha.create_challenge(
        ALGORITHM,
        COST,
        counter=0,
        expires_at=int(gate.now()) + 600,
        data={"most": 1},
        hmac_secret=gate.key,
        hmac_key_secret=gate.key + b"derived",
    )
    solution = altcha.solve_challenge(challenge)
    sent = {"challenge": challenge.to_dict(), "solution": solution.to_dict()}
    return base64.b64encode(json.dumps(sent).encode()).decode()


async def ask(site: Site, subject: str, address: str, **more: object) -> dict:
    """A program asks for a removal."""
    headers = visitor(address)
    wanted = {"subject": subject, "altcha": work(site), **more}
    async with site.client.post("/v1/removals", json=wanted, headers=headers) as response:
        return {"status": response.status, **await response.json(content_type=None)}


async def step(
    site: Site, removal: Mapping[str, object], what: str, address: str = ELSEWHERE, **wanted: object
) -> dict:
    path = f"/v1/removals/{removal['id']}/{what}"
    async with site.client.post(path, json=wanted, headers=visitor(address)) as response:
        return {"status": response.status, **await response.json(content_type=None)}


async def as_it_is(site: Site, removal: Mapping[str, object]) -> dict:
    async with site.client.get(f"/v1/removals/{removal['id']}", headers=visitor(ELSEWHERE)) as response:
        return await response.json()


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return found[1]


def answers(site: Site, subject: str, zone: str = "ip") -> list[str]:
    """What the published zone answers."""
    site.app.settle()
    found = site.app.dns_codes(zone, parse(subject))
    assert found is not None
    return found
