"""Search: everything that a text may mean, by ranges of keys and never more than was asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.model import Report
from dnsbl.subjects import parse

LISTED = (
    "46.0.0.1", "46.0.0.2", "46.0.0.0/24", "46.0.1.7", "46.0.0.0/16", "47.0.0.1", "2a00::1", "bad.example",
    "www.bad.example", "badder.example", "shop.com", "worse.com",
)  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    loaded = config.load(Path(__file__).parent / "samples" / "empty.toml")
    where = loaded.config.model_copy(update={"data_dir": tmp_path_factory.mktemp("data")})
    with App(loaded.model_copy(update={"config": where})) as app:
        fill(app)
        yield app


def fill(app: App) -> None:
    source = app.store.source("acme", "operator", trust=1.0)
    app.store.take_reports(source.id, [Report(parse(subject), "spam", clock.now()) for subject in LISTED])
    app.create_key("acme-key", 0.5, ["read"], None)
    app.allow("48.0.0.0/24", "ours", None, who="anna")
    app.allow("good.example", "ours too", None)
    app.settle()


def listings(found: dict[str, Any]) -> set[str]:
    return {row["subject"] for row in found["listings"]}


@pytest.mark.parametrize(
    ("said", "subject", "found"),
    [
        ("46.0.0.1", "46.0.0.1", {"46.0.0.1", "46.0.0.0/24", "46.0.0.0/16"}),
        ("46.0.0.0/24", "46.0.0.0/24", {"46.0.0.0/24", "46.0.0.1", "46.0.0.2", "46.0.0.0/16"}),
        ("46.0.1.0/24", "46.0.1.0/24", {"46.0.1.7", "46.0.0.0/16"}),
        ("46.0.0.0/8", "46.0.0.0/8", {"46.0.0.0/16", "46.0.0.0/24", "46.0.0.1", "46.0.0.2", "46.0.1.7"}),
        ("2A00::0:9", "2a00::9", {"2a00::/64"}), (" BAD.example. ", "bad.example", {"bad.example", "www.bad.example"}),
        ("www.bad.example", "www.bad.example", {"www.bad.example", "bad.example"}),
        ("*.bad.example", "bad.example", {"bad.example", "www.bad.example"}),
        (".example", None, {"bad.example", "www.bad.example", "badder.example"}),
        ("*.com", None, {"shop.com", "worse.com"}),
        ("example", None, set()), ("46.0.0", None, set()), ("joe@nobody.example", None, set()),
    ],
)  # fmt: skip
def test_listings_of_a_subject_around_it_and_inside(full: App, said: str, subject: str | None, found: set[str]) -> None:
    value = full.desk.search(said, 100)
    assert listings(value) == found
    assert subject is None or value["subject"] == subject


def test_a_listing_is_shown_with_its_zone_and_codes(full: App) -> None:
    row = full.desk.search("47.0.0.1")["listings"][0]
    assert (row["zone"], row["subject"], row["codes"], bool(row["since"])) == ("ip", "47.0.0.1", ["127.0.0.2"], True)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_is_asked_for_and_what_it_is_about_first(full: App, limit: int) -> None:
    rows = full.desk.search("46.0.0.0/24", limit)["listings"]
    assert len(rows) == limit
    assert rows[0]["subject"] == "46.0.0.0/24"


def test_names_are_found_by_a_part_of_them(full: App) -> None:
    found = full.desk.search("ACM")
    assert [row["name"] for row in found["sources"]] == ["acme", "acme-key"]
    assert [row["name"] for row in found["keys"]] == ["acme-key"]
    assert "secret" not in found["keys"][0]
    assert {row["name"] for row in full.desk.search("spamhaus")["feeds"]} >= {"spamhaus-drop", "spamhaus-dropv6"}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("48.0.0.9", {"48.0.0.0/24"}), ("48.0.0.0/8", {"48.0.0.0/24"}), ("48.0.0.0/24", {"48.0.0.0/24"}),
        ("48.0.1.0/24", set()), ("mail.good.example", {"good.example"}),
    ],
)  # fmt: skip
def test_exemptions_of_a_subject_around_it_and_inside(full: App, said: str, found: set[str]) -> None:
    assert {row["subject"] for row in full.desk.search(said)["exemptions"]} == found


def test_the_trail_is_found_by_its_subjects_and_people(full: App) -> None:
    assert [row["what"] for row in full.desk.search("acme-k")["audit"]] == ["key create"]
    assert [row["subject"] for row in full.desk.search("anna")["audit"]] == ["48.0.0.0/24"]
    assert [row["subject"] for row in full.desk.search("GOOD.example")["audit"]] == ["good.example"]


@pytest.mark.parametrize(
    "said", ["", " ", ".", "*", "*.", "%", "_", "'", "\x00", "." * 5000, "a" * 5000, "\U0010ffff", "\ud800"]
)
def test_what_means_nothing_finds_nothing(full: App, said: str) -> None:
    found = full.desk.search(said)
    assert found["listings"] == found["exemptions"] == found["audit"] == []


@hypothesis(deadline=None, max_examples=50)
@given(said=st.text(max_size=30) | st.sampled_from(LISTED).map(lambda said: said[:-1]))
def test_any_text_is_a_search(full: App, said: str) -> None:
    found = full.desk.search(said, 3)
    assert all(len(rows) <= 3 for part, rows in found.items() if part != "subject")


def test_exemptions_are_read_by_pages_the_newest_first(app: App) -> None:
    for number in range(5):
        app.allow(f"49.0.{number}.0/24", "ours", None)
    page = app.exemption_page(3)
    assert [row["subject"] for row in page] == ["49.0.4.0/24", "49.0.3.0/24", "49.0.2.0/24"]
    rest = app.exemption_page(99, before=page[-1]["id"])
    assert [row["subject"] for row in rest] == ["49.0.1.0/24", "49.0.0.0/24"]
    assert {row["origin"] for row in app.exemption_page(99, before=rest[-1]["id"], everything=True)} == {"built-in"}


@pytest.mark.parametrize(
    ("table", "work"),
    [
        ("listing", lambda app: app.desk.search("46.0.0.0/24")), ("listing", lambda app: app.desk.search(".com")),
        ("exemption", lambda app: app.desk.search("46.0.0.1")), ("exemption", lambda app: app.exemption_page(9)),
        ("audit", lambda app: app.desk.search("acme")), ("audit", lambda app: app.desk.audit_rows(9, who="anna")),
        ("audit", lambda app: app.desk.audit_rows(9, before=5)),
        ("audit", lambda app: app.desk.audit_rows(9, subject="acme")),
    ],
)  # fmt: skip
def test_no_table_is_read_from_end_to_end(full: App, table: str, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[Any, ...]]] = []
    rows = type(full.store).rows

    def noted(store: Any, sql: str, *values: object) -> Any:
        asked.append((sql, values))
        return rows(store, sql, *values)

    monkeypatch.setattr(type(full.store), "rows", noted)
    work(full)
    plans = [
        row[3]
        for sql, values in asked
        if f"FROM {table}" in sql
        for row in sqlite3.Connection.execute(full.store.writer, f"EXPLAIN QUERY PLAN {sql}", values)
    ]
    assert any(plan.startswith(f"SEARCH {table} ") for plan in plans)
    assert not any(plan.startswith(f"SCAN {table}") for plan in plans)
