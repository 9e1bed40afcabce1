"""The verbs about those who claim, and the files they bring: keys, sources, what waits, complaints and mailboxes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from test_cli import Dnsbl, dnsbl  # noqa: F401  (the fixture)

from dnsbl import config
from dnsbl.app import App
from dnsbl.model import Report
from dnsbl.subjects import parse

REPORTS = b"time,ip,category\n1790000000,46.0.0.1,spam\n1790000000,46.0.0.2,spam\n"
ARF = b"""From: fbl@provider.example
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b

complaint
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: x/1
Version: 1
Source-IP: 46.151.182.230

--b--
"""
MAIL = b"""Return-Path: <b@evil.com>
Delivered-To: secret-trap@mine.example
Received: from h.evil.com (h.evil.com [46.151.182.230])
\tby mx.mine.example (Postfix) with ESMTP id 1; Sat, 21 Nov 2026 10:00:00 +0000
From: x@evil.com
Subject: hello secret-trap@mine.example

see http://shop-of-spam.com/x
"""


def claim(name: str, *subjects: str, kind: str = "partner", trust: float = 0.9) -> None:
    """What a partner posts, as it comes into the store."""
    with App(config.load()) as app:
        source = app.store.source(name, kind, trust=trust, keep=True)
        now = 1_790_000_000
        app.store.take_reports(source.id, [Report(parse(s), "spam", app.gate().now, "", str(now)) for s in subjects])
        app.settle()


def listed(dnsbl: Dnsbl, subject: str, zone: str = "ip") -> bool:  # noqa: F811
    zones = dnsbl("check", subject, "--json").json["zones"]
    found: bool = next(z["listed"] for z in zones if z["zone"] == zone)
    return found


def test_a_new_partner_is_simulated_until_it_is_let_live(dnsbl: Dnsbl) -> None:  # noqa: F811
    made = dnsbl("key", "create", "acme", "--category", "spam", "--daily", "100", "--json").json
    assert made["simulated"] is True
    assert made["limits"] == {"categories": ["spam"], "daily": 100}
    claim("acme", "46.0.0.1")
    assert not listed(dnsbl, "46.0.0.1")
    shown = dnsbl("check", "46.0.0.1")
    assert "acme (simulated)" in shown.text
    assert "with simulated sources" in shown.text
    would = dnsbl("source", "show", "acme", "--json").json["would_list"]
    assert {(w["zone"], w["listed"]) for w in would if w["listed"]} == {("ip", 1)}
    assert "would list 1 of 1 in ip: 46.0.0.1" in dnsbl("source", "show", "acme").text
    assert dnsbl("source", "set", "acme", "--live", "--json").json["simulated"] is False
    assert listed(dnsbl, "46.0.0.1")
    dnsbl("source", "set", "acme", "--simulate")
    assert not listed(dnsbl, "46.0.0.1")


def test_live_and_simulated_at_once_is_refused(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("key", "create", "acme")
    assert dnsbl("source", "set", "acme", "--live", "--simulate").code == 2
    assert dnsbl("source", "show", "acme", "--json").json["simulated"] is True
    for option, simulated in (("--live", False), ("--trust=0.5", False), ("--simulate", True)):
        assert dnsbl("source", "set", "acme", option, "--json").json["simulated"] is simulated


@pytest.mark.parametrize("name", ["a b", " a", "a\tb", "a\u00a0b", " ", ""])
def test_a_key_has_a_name_without_blanks(dnsbl: Dnsbl, name: str) -> None:  # noqa: F811
    done = dnsbl("key", "create", name)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert dnsbl("key", "list").text == "no keys\n"


def test_mail_is_read_from_files_that_are_not_packed(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    packed = tmp_path / "mbox.gz"
    packed.write_bytes(gzip.compress(b"From b@evil.com Sat Nov 21 10:00:00 2026\n" + MAIL))
    for file, said in (("-", "mail needs a file or directory"), (str(packed), "unpack it with gunzip first")):
        done = dnsbl("import", file, "--source", "traps", "--format", "mail", input=MAIL)
        assert done.code == 1
        assert said in done.err
        assert "traps" not in dnsbl("source", "list").text


def test_a_key_can_be_live_and_count_in_one_zone_only(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("key", "create", "acme", "--live", "--zone", "domain")
    claim("acme", "46.0.0.1", "bad-domain.com")
    assert not listed(dnsbl, "46.0.0.1")
    assert listed(dnsbl, "bad-domain.com", "domain")
    dnsbl("source", "set", "acme", "--all-zones")
    assert listed(dnsbl, "46.0.0.1")
    assert dnsbl("source", "set", "acme", "--zone", "nowhere").code == 1
    assert dnsbl("source", "set", "acme").code == 1
    assert dnsbl("source", "set", "nobody", "--live").code == 1


def test_what_a_source_claimed_is_taken_away_and_put_back(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("key", "create", "acme", "--live")
    claim("acme", "46.0.0.1", "46.0.0.2", "46.0.0.3")
    dnsbl("import", "-", "--source", "other", input=b"46.0.0.2\n")
    dnsbl("import", "-", "--source", "weak", "--trust", "0.58", input=b"46.0.0.3\n")
    assert listed(dnsbl, "46.0.0.3")
    done = dnsbl("source", "purge", "acme", "--reason", "it went mad", "--json").json
    assert (done["reports"], done["entries"]) == (3, 0)
    assert not listed(dnsbl, "46.0.0.1")
    assert listed(dnsbl, "46.0.0.2"), "another source claims it, too"
    assert not listed(dnsbl, "46.0.0.3"), "a weak list would hold it, but would not have listed it"
    (row,) = dnsbl("source", "purges", "--json").json
    assert row["reason"] == "it went mad"
    assert "put back for acme: 3 reports" in dnsbl("source", "undo", str(done["id"])).text
    assert listed(dnsbl, "46.0.0.1")
    assert dnsbl("source", "undo", str(done["id"])).code == 1
    assert dnsbl("source", "purge", "acme", "--reason", "x", "--since", "yesterday").code == 2
    assert dnsbl("store", "check").code == 0


def test_what_is_too_wide_waits_with_its_percentage_until_a_person_decides(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("key", "create", "acme", "--live")
    claim("acme", "46.7.0.0/16")
    assert not listed(dnsbl, "46.7.0.0/16")
    value = dnsbl("review", "list", "--json").json
    (hold,) = (h for h in value["holds"] if h["zone"] == "ip")
    assert (hold["place"], hold["state"], hold["percent"]) == ("wide:46.7.0.0/16", "held", 0.0015)
    assert "wide:46.7.0.0/16" in dnsbl("review", "list").text
    assert "held: wide:46.7.0.0/16" in dnsbl("check", "46.7.0.0/16").text
    assert dnsbl("review", "approve", str(hold["id"])).text.endswith("approved\n")
    assert listed(dnsbl, "46.7.0.0/16")
    assert dnsbl("review", "reject", str(hold["id"]), "--note", "an innocent's").code == 0
    assert not listed(dnsbl, "46.7.0.0/16")
    assert dnsbl("review", "list").text.startswith("nothing waits")
    assert dnsbl("review", "approve", "999").code == 1


def test_a_wrong_listing_costs_who_claimed_it_its_trust(dnsbl: Dnsbl) -> None:  # noqa: F811
    dnsbl("key", "create", "acme", "--live")
    claim("acme", "46.0.0.1")
    dnsbl("delist", "46.0.0.1", "--reason", "never sent anything", "--wrong")
    (row,) = (r for r in dnsbl("source", "list", "--json").json if r["name"] == "acme")
    assert (row["granted"], row["overturned"]) == (0.9, 1)
    assert row["trust"] < 0.9
    assert "0.68 of 0.90" in dnsbl("source", "list").text
    assert "wrong about 46.0.0.1" in dnsbl("source", "show", "acme").text


def test_complaints_in_a_file(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "arf.eml").write_bytes(ARF)
    done = dnsbl("import", "arf.eml", "--source", "fbl", "--trust", "0.5", "--json").json
    assert (done["kind"], done["format"], done["taken"], done["why"]) == ("complaints", "arf", 1, [])
    (tmp_path / "redacted.eml").write_bytes(ARF.replace(b"Source-IP: 46.151.182.230\n", b""))
    told = dnsbl("import", "redacted.eml", "--source", "fbl", "--format", "arf").text
    assert "0 taken" in told
    assert "source-ip" in told.lower(), "it says why nothing is listed"
    assert dnsbl("import", "-", "--source", "fbl", "--format", "dmarc", input=b"<feedback").code == 1


@pytest.mark.parametrize("where", ["mbox", "maildir", "one"])
def test_trapped_mail_that_the_mail_server_keeps(dnsbl: Dnsbl, tmp_path: Path, where: str) -> None:  # noqa: F811
    path = tmp_path / "kept"
    if where == "mbox":
        path.write_bytes(b"From b@evil.com Sat Nov 21 10:00:00 2026\n" + MAIL + b"\n")
    elif where == "maildir":
        for name in ("new", "cur", "tmp"):
            (path / name).mkdir(parents=True)
        (path / "new" / "1.2.host").write_bytes(MAIL)
    else:
        path.write_bytes(MAIL)
    done = dnsbl("import", "kept", "--source", "old-traps", "--format", "mail", "--json").json
    assert (done["kind"], done["mails"], done["rejected"]) == ("mail", 1, 0)
    assert listed(dnsbl, "46.151.182.230")
    assert not listed(dnsbl, "shop-of-spam.com", "domain"), "content needs several networks"
    told = json.dumps(dnsbl("check", "46.151.182.230", "--json").json)
    assert "secret-trap" not in told
    assert "shop-of-spam.com" in told
    again = dnsbl("import", "kept", "--source", "old-traps", "--format", "mail", "--json").json
    assert (again["mails"], again["taken"]) == (1, 0), "the same mail again is no more"
    assert again["repeated"] == done["taken"]


def test_old_mail_is_as_old_as_it_is(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "old").write_bytes(MAIL.replace(b"2026", b"2002"))
    assert dnsbl("import", "old", "--source", "old-traps", "--format", "mail", "--json").json["taken"] > 0
    assert not listed(dnsbl, "46.151.182.230")
    (tmp_path / "when").write_bytes(MAIL.replace(b"; Sat, 21 Nov 2026 10:00:00 +0000", b""))
    told = dnsbl("import", "when", "--source", "old-traps", "--format", "mail")
    assert (told.code, "nobody knows when it came" in told.err) == (1, True)


def test_a_directory_is_no_list(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "folder").mkdir()
    assert dnsbl("import", "folder", "--source", "x").code == 2
    assert dnsbl("import", "folder", "--source", "x", "--format", "mail").code == 1
