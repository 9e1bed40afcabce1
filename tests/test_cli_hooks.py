"""The verbs `owned` and `hook`: an operator says what is whose, sets hooks for partners, and sees how they fare."""

from __future__ import annotations

import pytest
from test_cli import Dnsbl, dnsbl  # noqa: F401  (the fixture)

from dnsbl import config
from dnsbl.app import App
from dnsbl.hooks.following import Follower
from dnsbl.store import Decision
from dnsbl.subjects import parse

URL = "https://noc.invalid/dnsbl"


@pytest.fixture
def acme(dnsbl: Dnsbl) -> Dnsbl:  # noqa: F811
    dnsbl("key", "create", "acme")
    return dnsbl


def tell(*subjects: str) -> None:
    """What happens while the server runs: subjects are listed, and their owners are to be told."""
    with App(config.load()) as app:
        for subject in subjects:
            key = parse(subject)
            decision = Decision([(key, "127.0.0.2", 1_790_000_000, None, None)], [], [(key, "127.0.0.2")])
            app.store.decide(1_790_000_000, {"ip": decision}, [])
        Follower(app.store, dict).catch_up()


def test_what_a_partner_owns_is_said_shown_and_taken_back(acme: Dnsbl) -> None:
    assert acme("owned", "list").text == "nothing is owned\n"
    made = acme("owned", "add", "acme", "46.1.0.0/16", "Example.COM", "--json").json
    assert [(row["source"], row["subject"]) for row in made] == [("acme", "46.1.0.0/16"), ("acme", "example.com")]
    assert "46.1.0.0/16" in acme("owned", "list").text
    assert acme("owned", "list", "acme", "--json").json == made
    assert acme("owned", "remove", "acme", "46.1.0.0/16").text == "acme does not own 46.1.0.0/16\n"
    assert [row["subject"] for row in acme("owned", "list", "--json").json] == ["example.com"]


REFUSED = [
    ("owned", "add", "nobody", "46.1.0.0/16"), ("owned", "add", "acme", "nonsense"), ("owned", "list", "nobody"),
    ("owned", "add", "acme", "46.1.0.0/16", "10.0.0.0/8"), ("owned", "remove", "acme", "46.1.0.0/16"),
    ("hook", "add", "nobody", URL), ("hook", "add", "acme", "http://noc.invalid/"),
    ("hook", "add", "acme", "https://127.0.0.1/"), ("hook", "remove", "1"), ("hook", "test", "1"),
    ("hook", "deliveries", "1"), ("hook", "list", "nobody"),
]  # fmt: skip


def test_a_refusal_is_one_line_and_changes_nothing(acme: Dnsbl) -> None:
    for arguments in REFUSED:
        done = acme(*arguments)
        assert (done.code, done.out, done.err.count("\n")) == (1, b"", 1), arguments
    assert acme("owned", "list", "--json").json == []
    assert acme("hook", "list", "--json").json == []


def test_a_hook_is_made_shown_and_removed_and_its_secret_is_shown_once(acme: Dnsbl) -> None:
    assert acme("hook", "list").text == "no hooks\n"
    shown = acme("hook", "add", "acme", URL).text
    secret = next(line for line in shown.splitlines() if line.startswith("whsec_"))
    again = acme("hook", "add", "acme", URL)
    assert again.code == 1
    assert "already" in again.err
    for arguments in (
        ("list",),
        ("list", "--json"),
        ("list", "acme"),
        ("deliveries", "1"),
        ("deliveries", "1", "--json"),
    ):
        assert secret.removeprefix("whsec_") not in acme("hook", *arguments).text
    (row,) = acme("hook", "list", "--json").json
    assert (row["source"], row["url"], row["waiting"], row["delivered"]) == ("acme", URL, 0, None)
    assert acme("hook", "remove", "1").text == "hook 1 is removed\n"
    assert acme("hook", "add", "acme", URL, "--json").json["secret"] not in (None, secret)


def test_what_waits_for_a_hook_is_shown(acme: Dnsbl) -> None:
    acme("owned", "add", "acme", "46.1.0.0/16")
    acme("hook", "add", "acme", URL)
    assert acme("hook", "deliveries", "1").text == "nothing was sent, and nothing waits\n"
    tell("46.1.0.7", "46.1.0.8", "46.2.0.1")
    assert [row["waiting"] for row in acme("hook", "list", "--json").json] == [2]
    (row,) = acme("hook", "deliveries", "1", "--limit", "1", "--json").json
    assert (row["state"], row["tries"], row["event"]["subject"]) == ("waiting", 0, "46.1.0.8")
    assert "46.1.0.7" in acme("hook", "deliveries", "1").text


def test_a_test_event_that_is_not_taken_says_why(acme: Dnsbl) -> None:
    acme("hook", "add", "acme", URL)
    done = acme("hook", "test", "1")
    assert done.code == 1
    assert "does not resolve" in done.err
    assert URL not in done.err
    assert acme("hook", "deliveries", "1", "--json").json == []
