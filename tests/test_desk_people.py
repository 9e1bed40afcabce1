"""Who does what at the desk: every deed under a name, what needs two people, and the trail of it, read and exported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dnsbl import clock
from dnsbl.app import App
from dnsbl.desk import seconding
from dnsbl.desk.seconding import WITHIN, hold_is_wide, is_wide, removal_is_wide
from dnsbl.errors import IntakeError, SubjectError
from dnsbl.intake.partners import create_key
from dnsbl.model import Report
from dnsbl.reputation.guard import Guard
from dnsbl.store import Hold
from dnsbl.subjects import parse


@pytest.fixture
def partner(app: App) -> int:
    create_key(app.store, "acme", 0.8, ["report"], clock.now(), None, simulated=False)
    return app.desk.source("acme").id


def report(app: App, source: int, *subjects: str) -> None:
    app.store.take_reports(source, [Report(parse(subject), "spam", clock.now()) for subject in subjects])
    app.settle()


def held(app: App, source: int, place: str) -> int:
    return app.store.put_hold(Hold(0, source, "ip", place, clock.now(), 300, 0.004, "many"))


def trail(app: App) -> list[tuple[str, str, str]]:
    return [(row["who"], row["what"], row["subject"]) for row in app.desk.audit_rows()]


# under a name


def test_every_deed_is_in_the_trail_under_the_name_of_who_did_it(app: App, partner: int) -> None:
    report(app, partner, "46.1.0.1", "46.1.0.2")
    app.allow("46.9.0.0/24", "ours", None, who="anna")
    app.disallow("46.9.0.0/24", who="anna")
    app.create_key("key", 0.5, ["read"], None, who="anna")
    app.revoke_key("key", who="anna")
    app.desk.set_source("acme", daily=9, who="anna")
    app.desk.overturn(parse("46.1.0.1"), "a mail server", who="anna")
    app.desk.decide(held(app, partner, "net:46.1.0.0/16"), True, "fine", who="anna")
    number = app.desk.purge("acme", "poisoned", None, None, who="anna")["id"]
    app.desk.undo_purge(number, who="anna")
    done = [(what, subject) for who, what, subject in reversed(trail(app)) if who == "anna"]
    assert done == [
        ("allow", "46.9.0.0/24"), ("disallow", "46.9.0.0/24"), ("key create", "key"), ("key revoke", "key"),
        ("source set", "acme"), ("overturn", "46.1.0.1"), ("hold approved", "acme net:46.1.0.0/16"),
        ("source purge", "acme"), ("source undo", "acme"),
    ]  # fmt: skip
    assert {who for who, _, _ in trail(app)} == {"anna", "trust"}


@pytest.mark.parametrize("deed", ["disallow", "revoke_key"])
def test_what_could_not_be_done_is_not_in_the_trail(app: App, deed: str) -> None:
    with pytest.raises(IntakeError):
        getattr(app, deed)("46.0.0.1", who="anna")
    assert trail(app) == []


# four eyes


def test_another_person_within_a_week_makes_two(app: App) -> None:
    now = clock.now()
    assert not app.desk.second("deed", "anna", now)
    assert not app.desk.second("deed", "anna", now + 1), "whoever asks twice is still one"
    assert not app.desk.second("other", "ben", now + 2)
    assert app.desk.second("deed", "ben", now + WITHIN)
    assert not app.desk.second("deed", "ben", now + WITHIN), "it was used up"


def test_what_was_asked_long_ago_is_asked_anew(app: App) -> None:
    now = clock.now()
    assert not app.desk.second("deed", "anna", now)
    assert not app.desk.second("deed", "ben", now + WITHIN + 1)
    assert app.desk.second("deed", "anna", now + WITHIN + 2)


def test_who_waits_for_a_second_person_is_shown(app: App) -> None:
    assert not app.desk.agreed_exemption("46.0.0.0/8", "", "anna")
    (row,) = app.desk.asked_rows()
    assert (row["deed"], row["who"]) == ("allow 46.0.0.0/8 in all zones", "anna")
    assert trail(app) == [("anna", "ask", "allow 46.0.0.0/8 in all zones")]
    assert app.desk.agreed_exemption("46.0.0.0/8", "", "ben")
    assert app.desk.asked_rows() == []
    assert trail(app)[0] == ("ben", "second", "allow 46.0.0.0/8 in all zones")


def test_to_agree_is_about_the_same_thing(app: App) -> None:
    assert not app.desk.agreed_exemption("46.0.0.0/8", "", "anna")
    assert not app.desk.agreed_exemption("46.0.0.0/8", "ip", "ben")
    assert not app.desk.agreed_exemption("47.0.0.0/8", "", "ben")
    with pytest.raises(SubjectError):
        app.desk.agreed_exemption("46.0.0.1/8", "", "ben")


@pytest.mark.parametrize(
    ("subject", "wide"),
    [
        ("46.0.0.0/15", True), ("46.0.0.0/16", False), ("46.0.0.1", False), ("2a00::/31", True), ("2a00::/32", False),
        ("co.uk", True), ("github.io", True), ("example.co.uk", False), ("+4930123456", False),
    ],
)  # fmt: skip
def test_what_is_wide(subject: str, wide: bool) -> None:
    assert is_wide(parse(subject)) is wide


@pytest.mark.parametrize(
    ("subject", "wide"),
    [("46.0.0.0/23", True), ("46.0.0.0/24", False), ("2a00::/47", True), ("2a00::/48", False), ("co.uk", False)],
)
def test_what_is_wide_for_a_removal(subject: str, wide: bool) -> None:
    assert removal_is_wide(parse(subject)) is wide


def test_to_grant_a_wide_removal_needs_two(app: App) -> None:
    assert app.desk.agreed_removal(7, parse("46.0.0.1"), "anna")
    assert not app.desk.agreed_removal(7, parse("46.0.0.0/20"), "anna")
    assert not app.desk.agreed_removal(8, parse("46.0.0.0/20"), "ben"), "another request"
    assert app.desk.agreed_removal(7, parse("46.0.0.0/20"), "ben")


class Sized(Guard):
    """Systems of so many addresses, or /64s, as their names say."""

    def __init__(self) -> None:
        self.sizes = {"as:5": 65_536, "as:6": 65_537, "cc:DE": 10**8, "as6:7": 2**32, "cc6:DE": 2**40, "as:9": None}


@pytest.mark.parametrize(
    ("place", "wide"),
    [
        ("net:46.1.0.0/16", False), ("wide:46.0.0.0/12", True), ("as:5", False), ("as:6", True), ("cc:DE", True),
        ("as6:7", False), ("cc6:DE", True), ("as:9", False), ("day:20000", False),
    ],
)  # fmt: skip
def test_what_is_wide_of_what_is_held(place: str, wide: bool) -> None:
    assert hold_is_wide(Hold(1, 1, "ip", place, 0, 1, None, ""), Sized()) is wide


def test_to_approve_what_is_wide_needs_two_and_to_reject_it_one(app: App, partner: int) -> None:
    number = held(app, partner, "wide:46.0.0.0/12")
    assert app.desk.agreed_decision(number, False, "anna")
    assert not app.desk.agreed_decision(number, True, "anna")
    assert app.desk.agreed_decision(number, True, "ben")
    assert app.desk.agreed_decision(held(app, partner, "net:46.1.0.0/16"), True, "anna")
    with pytest.raises(IntakeError, match="number 99"):
        app.desk.agreed_decision(99, True, "anna")


def test_a_mass_purge_needs_two(app: App, partner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    report(app, partner, "46.1.0.1", "46.1.0.2")
    app.store.replace_entries(partner, {parse("46.1.0.3"): 1}, {}, "spam", clock.now())
    monkeypatch.setattr(seconding, "MASS", 4)
    assert app.desk.agreed_purge("acme", None, None, "anna")
    monkeypatch.setattr(seconding, "MASS", 3)
    assert not app.desk.agreed_purge("acme", None, None, "anna")
    assert not app.desk.agreed_purge("acme", 5, None, "ben")
    assert app.desk.agreed_purge("acme", None, None, "ben")


# the trail, read


def test_a_subject_is_found_however_it_is_written(app: App) -> None:
    app.allow("bad.example", "ours", None)
    app.allow("2a00::/32", "ours", None, who="anna")
    assert [row["what"] for row in app.desk.audit_rows(subject="BAD.example.")] == ["allow"]
    assert [row["what"] for row in app.desk.audit_rows(subject="2A00:0::/32", who="anna")] == ["allow"]
    assert app.desk.audit_rows(subject="2A00:0::/32", who="ben") == []
    assert app.desk.audit_rows(subject="nothing such") == []


def test_the_export_is_the_whole_trail_and_its_links(app: App) -> None:
    for name in ("a.example", "b.example"):
        app.allow(name, 'said "so"\n', None)
    rows: list[dict[str, Any]] = [json.loads(line) for line in app.desk.audit_lines()]
    assert [row["subject"] for row in rows] == ["a.example", "b.example"]
    links = [row.pop("link") for row in rows]
    assert [row["id"] for row in rows] == [1, 2]
    assert rows[::-1] == app.desk.audit_rows()
    assert all(len(bytes.fromhex(link)) == 32 for link in links)
    assert len(set(links)) == 2
