"""What is kept is kept as long as the configuration says, kind by kind, and no longer: the job that forgets."""

from __future__ import annotations

import pytest

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.config import RetentionConfig
from dnsbl.model import Report
from dnsbl.subjects import parse

DAY = clock.DAY
KINDS = ("samples", "reports", "purged", "journal", "audit")
OLD, NEW = parse("46.0.0.1"), parse("46.0.0.2")


def fill(app: App, now: int) -> None:
    """Something of each kind, ten days old and of now."""
    source = app.store.source("acme", "partner", trust=0.9)
    gone = app.store.source("gone", "partner", trust=0.9)
    for subject, at in ((OLD, now - 10 * DAY), (NEW, now)):
        app.store.take_reports(source.id, [Report(subject, "spam", at)])
        app.store.take_reports(gone.id, [Report(subject, "spam", at)])
        app.store.purge(gone.id, "gone", at)
        app.store.add_sample(source.id, "mail", {"address": "46.0.0.1"}, [subject], at)
        app.store.audit(at, "operator", "report", "x", "")


def kept(app: App) -> dict[str, int]:
    tables = {"samples": "sample", "reports": "report", "purged": "purge", "audit": "audit"}
    return {kind: app.store.rows(f"SELECT count(*) FROM {table}")[0][0] for kind, table in tables.items()}


@pytest.mark.parametrize("short", [kind for kind in KINDS if kind != "journal"])
def test_each_kind_is_forgotten_by_its_own_age(settings: config.Settings, short: str) -> None:
    ages = RetentionConfig.model_validate(dict.fromkeys(KINDS, "20d") | {short: "5d"})
    changed = settings.model_copy(update={"config": settings.config.model_copy(update={"retention": ages})})
    with App(changed) as app:
        fill(app, clock.now())
        before = kept(app)
        app.forget()
        assert kept(app) == before | {short: before[short] - 1}
        app.settle()
        assert app.store.check() == []


def test_nothing_is_forgotten_before_its_time(settings: config.Settings) -> None:
    with App(settings) as app:
        fill(app, clock.now())
        before = kept(app)
        app.forget()
        assert kept(app) == before


def test_the_trail_of_what_left_is_forgotten_and_of_what_is_listed_is_kept(settings: config.Settings) -> None:
    ages = RetentionConfig.model_validate({"journal": "5d"})
    changed = settings.model_copy(update={"config": settings.config.model_copy(update={"retention": ages})})
    with App(changed) as app:
        for subject in ("46.0.0.1", "46.0.0.2"):
            app.report(subject, "spam", "operator")
        app.allow("46.0.0.1", "it left", None)
        with app.store.transaction() as connection:
            connection.execute("UPDATE listing_change SET at = at - ?", (10 * DAY,))
        app.report("46.0.0.3", "spam", "operator")  # the newest line, which stays in any case
        app.forget()
        left = {row[0] for row in app.store.rows("SELECT subject FROM listing_change WHERE zone = 'ip'")}
        assert left == {parse("46.0.0.2"), parse("46.0.0.3")}
        assert app.store.check() == []
