"""What `check` says is as the store is at that moment, whoever changed it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dnsbl import config
from dnsbl.app import App
from dnsbl.errors import SubjectError
from dnsbl.subjects import parse

HOST = "46.0.0.1"


@pytest.fixture
def other(app: App, settings: config.Settings) -> Iterator[App]:
    """Another process on the same data."""
    with App(settings) as opened:
        yield opened


def in_zone(app: App, subject: str, zone: str = "ip") -> dict:
    (found,) = [view for view in app.check(subject)["zones"] if view["zone"] == zone]
    return found


def test_what_another_process_does_is_seen_at_once(app: App, other: App) -> None:
    app.settle()
    assert (in_zone(app, HOST)["listed"], in_zone(app, HOST)["dns"]) == (False, [])
    other.report(HOST, "spam", "somebody")
    found = in_zone(app, HOST)
    assert (found["listed"], found["dns"], found["breakdown"][0]["source"]) == (True, ["127.0.0.2"], "somebody")
    before = found["score"]
    other.store.set_source(other.desk.source("somebody").id, trust=0.7)
    assert in_zone(app, HOST)["score"] < before
    other.delist(HOST, "", "a mistake")
    found = in_zone(app, HOST)
    assert (found["listed"], found["dns"], found["score"], len(found["history"])) == (False, [], 0.0, 1)
    assert {exemption["origin"] for exemption in app.check(HOST)["exemptions"]} == {"removal"}


def test_a_zone_that_was_never_published_has_no_answers(app: App) -> None:
    assert in_zone(app, HOST)["dns"] is None
    assert app.dns_codes("ip", parse(HOST)) is None
    app.settle()
    assert app.dns_codes("ip", parse(HOST)) == []
    assert app.dns_codes("domain", parse(HOST)) is None, "it is not about addresses"


def test_every_zone_of_the_kind_answers_for_itself(app: App) -> None:
    app.report(HOST, "spam", "somebody")
    app.report("bad.example", "phishing", "somebody")
    assert {view["zone"]: view["dns"] for view in app.check(HOST)["zones"]} == {
        "ip": ["127.0.0.2"],
        "policy": [],
        "white": [],
    }
    assert in_zone(app, "www.bad.example", "domain")["dns"] == ["127.0.1.4"]
    with pytest.raises(SubjectError):
        app.check("nonsense")
