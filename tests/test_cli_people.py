"""`dnsbl person`: people at the desk, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyotp
from test_cli import Dnsbl, dnsbl  # noqa: F401  (the fixture)

from dnsbl import config
from dnsbl.app import App
from dnsbl.clock import now

GOOD = "correct horse battery"


def test_a_person_is_made_chooses_a_password_and_is_shown(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    assert "nobody" in dnsbl("person", "list").text
    made = dnsbl("person", "add", "alice", "--role", "admin", "--json").json
    assert made["page"].endswith("/admin/setup")
    said = dnsbl("person", "password", "alice").text
    code = said.split("code   ")[1].split()[0]
    assert len(code.replace("-", "")) == 20
    with App(config.load()) as app:
        assert app.people.signin.set_up("alice", made["code"], GOOD) is None, "a newer code replaces it"
        visit = app.people.sessions.find(app.people.signin.set_up("alice", code, GOOD) or "")
        assert visit is not None
        secret = app.people.accounts.draft(visit)
        visit = app.people.sessions.find(visit.token)
        assert visit is not None
        assert app.people.accounts.confirm(visit, pyotp.TOTP(secret).at(now()))
    row = dnsbl("person", "list", "--json").json[0]
    assert (row["name"], row["role"], row["app"], row["passkeys"], row["sessions"]) == ("alice", "admin", True, 0, 1)
    shown = dnsbl("person", "list").text
    assert "alice" in shown
    assert "app" in shown
    for secret_text in (GOOD, code, secret):
        assert secret_text not in shown + json.dumps(row)


def test_a_person_is_given_a_role_shut_out_and_let_in(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("person", "add", "bob")
    assert "admin" in dnsbl("person", "role", "bob", "admin").text
    assert dnsbl("person", "sign-out", "bob", "--json").json == {"name": "bob", "ended": 0}
    dnsbl("person", "disable", "bob")
    assert "disabled since" in dnsbl("person", "list").text
    dnsbl("person", "enable", "bob")
    assert "has no password" in dnsbl("person", "list").text, "the set-up code went with the disabling"
    assert "next sign-in" in dnsbl("person", "reset-second", "bob").text
    with App(config.load()) as app:
        deeds = [(row["who"], row["what"], row["subject"]) for row in app.store.audit_rows()]
    assert [what for _, what, _ in reversed(deeds)] == [
        "person add", "person role", "person sign-out", "person disable", "person enable", "person reset-second",
    ]  # fmt: skip
    assert {(who, name) for who, _, name in deeds} == {("operator", "bob")}


def test_what_cannot_be_is_one_line(dnsbl: Dnsbl) -> None:  # noqa: F811
    for arguments, why in (
        (("add", "Bob"), "is no name for a person"),
        (("add", "operator"), "is taken"),
        (("add", "bob", "--role", "king"), "no role 'king'; there are reviewer, admin"),
        (("disable", "carol"), "no person 'carol'; `dnsbl person list` shows who there is"),
    ):
        done = dnsbl("person", *arguments)
        assert done.code == 1
        assert why in done.err
        assert len(done.err.splitlines()) == 1
