"""The verbs of the desk: feeds switched, compared and released, the audit trail, and search."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from test_cli import TIME, Dnsbl, dnsbl  # noqa: F401  (the fixture)

LIST = b"".join(b"46.0.%d.%d\n" % (n >> 8, n & 255) for n in range(400))


@pytest.fixture
def mine(dnsbl: Dnsbl, tmp_path: Path) -> Path:  # noqa: F811
    """A feed in a file, and what is in it."""
    file = tmp_path / "list.txt"
    file.write_bytes(LIST)
    (tmp_path / "feeds" / "mine.toml").write_text(
        f'title = "Mine"\nurl = "{file.as_uri()}"\nformat = "plain"\ncategory = "spam"\ntrust = 0.9\nlicence = "none"\n'
    )
    return file


def listed(dnsbl: Dnsbl, subject: str) -> bool:  # noqa: F811
    zones = dnsbl("check", subject, "--json").json["zones"]
    found: bool = next(zone["listed"] for zone in zones if zone["zone"] == "ip")
    return found


def test_a_feed_is_switched_off_and_on(dnsbl: Dnsbl, mine: Path) -> None:  # noqa: F811
    row = dnsbl("feed", "disable", "mine", "--why", "lists us", "--json").json
    assert (row["name"], row["enabled"], row["switched"], row["state"]) == ("mine", False, False, "off")
    assert "OFF: by hand" in dnsbl("feed", "list").text
    assert dnsbl("feed", "list", "--json").json[0]["enabled"] is False
    assert dnsbl("feed", "status", "--json").json[0]["reason"] == "it was switched off by hand"
    assert dnsbl("feed", "pull", "--json").json == [], "only what is on"
    assert "off, switched off by hand" in dnsbl("feed", "show", "mine").text
    assert "is on" in dnsbl("feed", "enable", "mine").text
    assert dnsbl("feed", "pull", "--json").json[0]["state"] == "ok"
    assert dnsbl("audit", "list", "--subject", "mine", "--json").json[-1]["why"] == "lists us"
    assert mine.read_bytes() == LIST
    assert "is off" in dnsbl("feed", "disable", "mine").text


def test_a_feed_that_its_file_has_off_says_why_when_it_is_switched_on(
    dnsbl: Dnsbl,  # noqa: F811
    mine: Path,
    tmp_path: Path,
) -> None:
    file = tmp_path / "feeds" / "mine.toml"
    file.write_text(file.read_text() + 'enabled = false\nwhy_off = "not for companies"\n')
    assert "not for companies" in dnsbl("feed", "enable", "mine").text
    assert "on, switched on by hand" in dnsbl("feed", "show", "mine").text


def test_what_was_held_back_is_looked_at_and_released(dnsbl: Dnsbl, mine: Path) -> None:  # noqa: F811
    dnsbl("feed", "pull")
    mine.write_bytes(b"47.0.0.1\n" + LIST[:900])
    assert dnsbl("feed", "pull").code == 1
    shown = dnsbl("feed", "show", "mine", "--json").json
    assert shown["quarantine"]["bytes"] == 909
    assert "held back: 909 bytes" in dnsbl("feed", "show", "mine").text
    diff = dnsbl("feed", "diff", "mine", "--json").json
    assert (diff["has"], diff["appear"]) == (400, 1)
    text = dnsbl("feed", "diff", "mine").text
    assert diff["quarantine"]["digest"] in text
    assert "appear: 47.0.0.1" in text
    done = dnsbl("feed", "release", "mine", "--digest", "0" * 32)
    assert (done.code, "other content" in done.err) == (1, True)
    assert not listed(dnsbl, "47.0.0.1")
    row = dnsbl("feed", "release", "mine", "--digest", shown["quarantine"]["digest"], "--json").json
    assert (row["state"], row["appeared"], row["left"]) == ("ok", 1, diff["leave"])
    assert listed(dnsbl, "47.0.0.1")
    assert "ok" in dnsbl("feed", "status").text


@pytest.mark.parametrize("verb", ["show", "diff", "release", "enable", "disable", "pull"])
def test_a_feed_that_is_not_there_is_one_line(dnsbl: Dnsbl, mine: Path, verb: str) -> None:  # noqa: F811
    done = dnsbl("feed", verb, "nobody")
    assert (done.code, done.err.count("\n"), "no feed nobody" in done.err) == (1, 1, True)


def test_of_a_feed_of_which_nothing_was_held_back_there_is_no_diff(dnsbl: Dnsbl, mine: Path) -> None:  # noqa: F811
    for verb in ("diff", "release"):
        done = dnsbl("feed", verb, "mine")
        assert (done.code, "nothing of it is in quarantine" in done.err) == (1, True)


def test_a_page_that_was_held_back_is_said_to_be_one(dnsbl: Dnsbl, mine: Path) -> None:  # noqa: F811
    mine.write_bytes(b"<!DOCTYPE html><html><title>Sorry</title></html>")
    assert dnsbl("feed", "pull").code == 1
    assert "even a release does not take it" in dnsbl("feed", "diff", "mine").text
    assert dnsbl("feed", "release", "mine").code == 1


# the trail


def test_the_trail_is_listed_by_who_what_and_when(dnsbl: Dnsbl) -> None:  # noqa: F811
    assert dnsbl("audit", "list").text == "nothing was done\n"
    for name in ("a.example", "b.example", "c.example"):
        dnsbl("allow", "add", name, "--reason", "ours")
    rows = dnsbl("audit", "list", "--json").json
    assert [(row["who"], row["what"], row["subject"]) for row in rows] == [
        ("operator", "allow", name) for name in ("c.example", "b.example", "a.example")
    ]
    assert TIME.fullmatch(rows[0]["at"])
    assert [row["id"] for row in dnsbl("audit", "list", "--limit", "1", "--before", "3", "--json").json] == [2]
    assert len(dnsbl("audit", "list", "--since", "2026-01-01T00:00:00Z", "--json").json) == 3
    assert dnsbl("audit", "list", "--since", "2099-01-01T00:00:00Z", "--json").json == []
    assert dnsbl("audit", "list", "--who", "anna", "--json").json == []
    assert "b.example" in dnsbl("audit", "list", "--subject", "B.example").text
    assert dnsbl("audit", "list", "--since", "yesterday").code == 2


def test_the_trail_is_exported_whole_or_not_at_all(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    for name in ("a.example", "b.example"):
        dnsbl("allow", "add", name, "--reason", "ours")
    out = dnsbl("audit", "export").out
    assert [json.loads(line)["subject"] for line in out.splitlines()] == ["a.example", "b.example"]
    value = dnsbl("audit", "export", "-o", "trail", "--json").json
    assert value == {"file": "trail", "entries": 2}
    assert (tmp_path / "trail").read_bytes() == out
    assert dnsbl("audit", "export", "--json").code == 2
    done = dnsbl("audit", "export", "-o", "nowhere/trail")
    assert (done.code, "cannot be written" in done.err) == (1, True)


def test_store_check_says_that_the_trail_was_changed(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    dnsbl("allow", "add", "a.example", "--reason", "ours")
    assert dnsbl("store", "check").code == 0
    with closing(connect(tmp_path / "dnsbl-data" / "store.sqlite")) as other:
        other.execute("DROP TRIGGER audit_stays")
        other.execute("UPDATE audit SET who = 'nobody'")
        other.commit()
    done = dnsbl("store", "check", "--json")
    assert (done.code, done.json["clean"]) == (1, False)
    assert "audit entry 1" in done.json["wrong"][0]


# search


def test_search_finds_what_there_is_of_a_text(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("report", "46.0.0.1", "--category", "spam")
    dnsbl("allow", "add", "46.0.9.0/24", "--reason", "ours")
    value = dnsbl("search", "46.0.0.0/16", "--json").json
    assert value["subject"] == "46.0.0.0/16"
    assert [(row["zone"], row["subject"]) for row in value["listings"]] == [("ip", "46.0.0.1")]
    assert [row["subject"] for row in value["exemptions"]] == ["46.0.9.0/24"]
    text = dnsbl("search", "46.0.0.0/16").text
    assert "46.0.0.1" in text
    assert "46.0.9.0/24" in text
    dnsbl("key", "create", "operator-key")
    text = dnsbl("search", "operator").text
    assert "operator-key" in text
    assert "46.0.9.0/24" in text, "what the operator did"
    assert dnsbl("search", "nothing-such").text == "nothing was found\n"
    assert dnsbl("search", "x", "--limit", "0").code == 2
