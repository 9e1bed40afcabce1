"""A real application over a real store, served on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fresh
from aiohttp import ClientSession, web

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.exporting.scheduled import Fared
from dnsbl.intake.partners import create_key
from dnsbl.web.app import WEB, make_app
from dnsbl.web.openapi import describe
from dnsbl.web.rendering import Pages
from dnsbl.web.routes import ROUTES
from dnsbl.web.state import Web


def settings_in(directory: Path, proxies: Sequence[str] = ()) -> config.Settings:
    found = fresh.settings_in(directory)
    web_config = found.config.web.model_copy(update={"proxies": [ip_network(each) for each in proxies]})
    return found.model_copy(update={"config": found.config.model_copy(update={"web": web_config})})


class Backend:
    """What the server hands to the web side."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.woken = self.mailed = 0
        self.fared: list[Fared] = []

    def submitted(self) -> None:
        self.woken += 1

    def mail_queued(self) -> None:
        self.mailed += 1

    def trap_counts(self) -> dict[str, int]:
        return {}

    def exports_fared(self) -> list[Fared]:
        return self.fared


class Site:
    """The application, where it is, and a client for it."""

    def __init__(self, backend: Backend, app: web.Application, port: int, client: ClientSession) -> None:
        self.backend, self.app = backend, backend.app
        self.state: Web = app[WEB]
        self.routes = list(app.router.routes())
        self.port, self.client = port, client

    def key(self, *scopes: str, name: str = "partner", expires: int | None = None, **options: Any) -> str:
        return create_key(self.app.store, name, 0.8, list(scopes), clock.now(), expires, **options)[1]

    def bearer(self, *scopes: str, name: str = "partner", **options: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(*scopes, name=name, **options)}"}

    def reports(self) -> list[tuple]:
        """Every report kept: subject key, source name, category, time, word."""
        return self.app.store.rows(
            "SELECT subject, source.name, category.name, at, word FROM report JOIN source ON source.id = report.source "
            "JOIN category ON category.id = report.category ORDER BY subject, at"
        )


@asynccontextmanager
async def serving(directory: Path, settle: bool = True, proxies: Sequence[str] = ()) -> AsyncIterator[Site]:
    await asyncio.to_thread(fresh.lay_down, directory)
    with App(settings_in(directory, proxies)) as app:
        if settle:
            await asyncio.to_thread(app.settle)
        backend = Backend(app)
        with patch("dnsbl.web.app.describe", lambda _: description()):
            application = make_app(backend)
        application[WEB].pages = pages()
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with ClientSession(f"http://127.0.0.1:{port}") as client:
                yield Site(backend, application, port, client)
        finally:
            await runner.cleanup()


@cache
def description() -> bytes:
    """The description of the API, which is always the same, made once."""
    return describe(ROUTES)


@cache
def pages() -> Pages:
    """The pages, whose templates are compiled once."""
    return Pages()


async def problem(response, status: int) -> dict:
    """The problem document of a refusal, held to RFC 9457."""
    text = await response.text()
    assert response.status == status, text
    assert response.content_type == "application/problem+json"
    document = await response.json(content_type=None)
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["detail"]
    assert "Traceback" not in text
    return document
