"""A feed's terms, as its file says them, hold from the next reading of the files on: no pull is waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dnsbl import config
from dnsbl.app import App
from dnsbl.config import FeedDef


def declared(path: Path, redistribute: bool) -> FeedDef:
    return FeedDef.model_validate(
        {
            "name": "mine",
            "title": "Mine",
            "url": path.as_uri(),
            "format": "plain",
            "category": "spam",
            "licence": "none",
            "trust": 0.9,
            "redistribute": redistribute,
        }
    )


def test_terms_that_change_in_the_file_are_followed_without_a_pull(settings: config.Settings, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("46.0.0.1\n46.0.0.2\n")
    said = {may: settings.model_copy(update={"feeds": {"mine": declared(path, may)}}) for may in (True, False)}
    with App(said[True]) as app:
        assert asyncio.run(app.pull(app.feeds["mine"])).state == "ok"
        app.settle()
        counts = []
        for may in (True, False, True):
            app.replace(said[may])
            app.settle()
            counts.append((app.store.listing_count("ip"), app.store.withheld_count("ip")))
    assert counts == [(2, 0), (2, 2), (2, 0)]
