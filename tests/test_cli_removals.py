"""The verbs about removals: who asked, everything about one request, and a person's decision."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import Dnsbl, dnsbl  # noqa: F401  (the fixture)

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.removal.requests import Asking
from dnsbl.subjects import parse

HOST, OTHER = "45.9.1.7", "45.9.2.7"
SAID = "mended it\x1b[31m\nreally"


@pytest.fixture
def number(dnsbl: Dnsbl, tmp_path: Path) -> int:  # noqa: F811
    """A request that waits for a person; and one that waits for its proof."""
    dnsbl("import", "-", "--source", "mine", input=f"{HOST}\n{OTHER}\n".encode())
    with App(config.load(tmp_path / "dnsbl.toml")) as app:
        now = clock.now()
        app.removals.open(Asking(parse(OTHER), OTHER), now)
        removal = app.removals.open(Asking(parse(HOST), HOST, said=SAID), now).removal
        assert removal is not None
        assert app.removals.appeal(removal, "", now)
        return removal.id


def listed(dnsbl: Dnsbl, subject: str) -> bool:  # noqa: F811
    zones = dnsbl("check", subject, "--json").json["zones"]
    return any(zone["listed"] for zone in zones if zone["zone"] == "ip")


def test_no_requests_are_said_so(dnsbl: Dnsbl) -> None:  # noqa: F811
    assert dnsbl("removal", "list").text == "no requests\n"


def test_requests_are_listed(dnsbl: Dnsbl, number: int) -> None:  # noqa: F811
    rows = dnsbl("removal", "list", "--json").json
    assert [row["subject"] for row in rows] == [HOST, OTHER]
    (row,) = dnsbl("removal", "list", "--state", "to-person", "--json").json
    assert (row["id"], row["overdue"], row["said"]) == (number, False, SAID)
    assert [row["subject"] for row in dnsbl("removal", "list", "--subject", OTHER, "--json").json] == [OTHER]
    assert len(dnsbl("removal", "list", "--limit", "1", "--json").json) == 1
    assert HOST in dnsbl("removal", "list").text
    assert dnsbl("removal", "list", "--subject", "nonsense").code == 1


def test_one_request_is_shown_and_a_strangers_words_cannot_drive_the_terminal(
    dnsbl: Dnsbl,  # noqa: F811
    number: int,
) -> None:
    row = dnsbl("removal", "show", str(number), "--json").json
    assert [event["state"] for event in row["history"]] == ["requested", "proof-asked", "to-person"]
    assert (row["network"], row["asn"], row["country"]) == ("45.9.1.0/24", None, None)
    assert row["queue"] == {"previous": None, "next": None}
    text = dnsbl("removal", "show", str(number)).text
    assert "\x1b" not in text
    assert "they say: mended it" in text
    assert "they say: really" in text


def test_a_grant_takes_it_off(dnsbl: Dnsbl, number: int) -> None:  # noqa: F811
    assert listed(dnsbl, HOST)
    row = dnsbl("removal", "grant", str(number), "--answer", "Thanks", "--firm", "--json").json
    assert (row["decider"], row["answer"]) == ("operator", "Thanks")
    assert not listed(dnsbl, HOST)
    assert dnsbl("removal", "show", str(number), "--json").json["state"] == "done"
    done = dnsbl("removal", "refuse", str(number), "--answer", "no")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "nothing to decide" in done.err


def test_a_refusal_says_why(dnsbl: Dnsbl, number: int) -> None:  # noqa: F811
    assert dnsbl("removal", "refuse", str(number)).code == 2
    row = dnsbl("removal", "refuse", str(number), "--answer", "Still open", "--json").json
    assert (row["state"], row["answer"]) == ("refused", "Still open")
    assert listed(dnsbl, HOST)


@pytest.mark.parametrize("verb", [["show"], ["grant"], ["refuse", "--answer", "no"]])
def test_a_request_that_is_not_there_is_one_line(dnsbl: Dnsbl, verb: list[str]) -> None:  # noqa: F811
    done = dnsbl("removal", *verb, "99")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no removal 99" in done.err
