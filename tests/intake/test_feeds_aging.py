"""Feeds whose entries run out, or are read by tables: the same bytes, another day."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from dnsbl.app import App
from dnsbl.config import FeedDef
from dnsbl.intake.feeds import REREAD, Pulled, pull
from dnsbl.subjects import parse, text

NOW = 1_790_000_000  # 2026-09-21


def feed(path: Path, format: str) -> FeedDef:
    basic = {"name": "mine", "title": "Mine", "url": path.as_uri(), "category": "malware", "licence": "none"}
    return FeedDef.model_validate({**basic, "format": format})


def held(app: App) -> list[str]:
    """What the feed holds now."""
    return sorted(text(subject) for (subject,) in app.store.rows("SELECT subject FROM entry WHERE gone IS NULL"))


def test_an_indicator_leaves_within_a_day_of_its_end(app: App, tmp_path: Path) -> None:
    def indicator(name: str, **more: str) -> dict[str, str]:
        return {"type": "indicator", "id": f"indicator--{name}", "pattern": f"[domain-name:value = '{name}']", **more}

    path = tmp_path / "bundle.json"
    short = indicator("short.example", valid_until="2026-09-22T00:00:00Z")
    path.write_text(json.dumps({"type": "bundle", "objects": [short, indicator("long.example")]}))
    made = feed(path, "stix")

    def pulled(now: int) -> Pulled:
        return asyncio.run(pull(app.store, made, tmp_path / "quarantine", now))

    assert (pulled(NOW).state, held(app)) == ("ok", ["long.example", "short.example"])
    assert pulled(NOW + REREAD - 1).state == "unchanged"
    assert (pulled(NOW + REREAD).state, held(app)) == ("ok", ["long.example"])
    assert pulled(NOW + REREAD + 60).state == "unchanged"


def test_a_list_of_systems_follows_the_tables(app: App, tmp_path: Path) -> None:
    path = tmp_path / "asndrop.json"
    path.write_text('{"asn":64496}\n')
    made, networks = feed(path, "asn-drop"), [parse("8.8.8.0/24")]

    def pulled(now: int) -> Pulled:
        return asyncio.run(pull(app.store, made, tmp_path / "quarantine", now, networks_of=lambda asn: networks))

    assert (pulled(NOW).state, held(app)) == ("ok", ["8.8.8.0/24"])
    networks[:] = [parse("9.9.9.0/24")]
    assert pulled(NOW + 60).state == "unchanged"
    assert (pulled(NOW + REREAD).state, held(app)) == ("ok", ["9.9.9.0/24"])
    without = asyncio.run(pull(app.store, made, tmp_path / "quarantine", NOW + 2 * REREAD))
    assert (without.state, "set directory in [geo]" in without.reason) == ("quarantined", True)
    assert held(app) == ["9.9.9.0/24"], "what was there before stays"
