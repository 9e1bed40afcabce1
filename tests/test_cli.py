"""Every verb, for people and for scripts, in this process; what only a process of its own shows is in tests/live."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fresh import lay_down

from dnsbl import __version__, clock
from dnsbl.cli import main
from dnsbl.zones.followed import forced

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LIST = b"# a list\n46.0.0.1\n46.0.0.2\n46.0.0.2\n46.1.0.0/24\n192.168.0.1\nnonsense\n"
REPORTS = b"""time,ip,category,reporter
1790000000,46.0.0.1,spam,192.0.2.1
1790000000,46.0.0.1,spam,192.0.2.1
1790000001,46.0.0.2,probe,192.0.2.1
1790000001,10.0.0.1,spam,192.0.2.1
never,46.0.0.3,spam,192.0.2.1
"""


@dataclass
class Done:
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        assert self.code == 0, self.err
        return self.out.decode()

    @property
    def json(self) -> Any:
        assert self.out.endswith(b"\n")
        assert self.out.count(b"\n") == 1
        return json.loads(self.out)


Dnsbl = Callable[..., Done]


@pytest.fixture
def dnsbl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Dnsbl:
    """The program with no configuration but an empty catalogue of feeds, in a directory of its own."""
    (tmp_path / "feeds").mkdir()
    (tmp_path / "dnsbl.toml").write_text('feeds_dir = "feeds"\n')
    lay_down(tmp_path / "dnsbl-data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNSBL_CONFIG", raising=False)

    def call(*arguments: str, input: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["dnsbl", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(input)))
        capsysbinary.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        said = capsysbinary.readouterr()
        return Done(code, said.out, said.err.decode())

    return call


def dump(path: Path, *tables: str) -> list[str]:
    """Everything that tables hold."""
    with closing(sqlite3.connect(path)) as store:
        return [repr(row) for table in tables for row in sorted(store.execute(f"SELECT * FROM {table}"), key=repr)]


# subjects


def test_check_has_the_shape_that_scripts_rely_on(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    value = dnsbl("check", "46.0.0.1", "--json").json
    assert {"subject", "kind", "zones", "exemptions"} <= value.keys()
    assert (value["subject"], value["kind"], value["exemptions"]) == ("46.0.0.1", "ip", [])
    zones = {zone["zone"]: zone for zone in value["zones"]}
    assert set(zones) == {"ip", "policy", "white"}
    for zone in zones.values():
        assert {"zone", "listed", "codes", "text", "score", "since", "until", "breakdown"} <= zone.keys()
        assert type(zone["listed"]) is bool
        assert type(zone["score"]) is float
    zone = zones["ip"]
    assert (zone["listed"], zone["codes"], zone["until"]) == (True, ["127.0.0.2"], None)
    assert zone["text"] == ["46.0.0.1 sends spam. Why, and the way off: https://bl.dnsbl.test/lookup?q=46.0.0.1"]
    assert TIME.fullmatch(zone["since"])
    assert zone["score"] == pytest.approx(90 * (1 - 2**-4), abs=0.01)
    (line,) = zone["breakdown"]
    assert {"source", "category", "hits", "first_seen", "last_seen", "weight"} <= line.keys()
    assert (line["source"], line["category"], line["hits"], line["held"]) == ("mine", "spam", 1, True)
    assert TIME.fullmatch(line["first_seen"])
    assert zone["dns"] == ["127.0.0.2"]
    assert zones["white"]["listed"] is False
    assert zones["white"]["since"] is zones["white"]["until"] is None


@pytest.mark.parametrize(
    ("subject", "shown", "kind"),
    [
        ("46.0.0.0/24", "46.0.0.0/24", "ip"),
        ("2a00:1::1", "2a00:1::1", "ip"),
        ("WWW.Bücher.Example.", "www.xn--bcher-kva.example", "domain"),
    ],
)
def test_check_takes_subjects_as_people_write_them(dnsbl: Dnsbl, subject: str, shown: str, kind: str) -> None:
    value = dnsbl("check", subject, "--json").json
    assert (value["subject"], value["kind"]) == (shown, kind)
    assert dnsbl("check", subject).text.startswith(f"{shown} is not listed\n")


def test_check_for_people_explains_the_listing(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    text = dnsbl("check", "46.1.0.77").text
    assert text.startswith("46.1.0.77 is LISTED in ip\n")
    for words in ("127.0.0.2, score 84.4", "until the lists drop it, by 46.1.0.0/24", "DNS answers: 127.0.0.2", "mine"):
        assert words in text
    assert "never-list" in dnsbl("check", "10.0.0.1").text


def test_a_report_lists_at_once(dnsbl: Dnsbl) -> None:
    assert dnsbl("report", "bad.example", "--category", "phishing").text.startswith(
        "taken: bad.example as phishing\nbad.example is LISTED in domain\n"
    )
    value = dnsbl("report", "46.0.0.1", "--category", "spam-trap", "--source", "trap-7", "--json").json
    assert value["zones"][0]["codes"] == ["127.0.0.3"]
    assert value["zones"][0]["breakdown"][0]["source"] == "trap-7"
    assert TIME.fullmatch(value["zones"][0]["until"])
    assert dnsbl("report", "192.168.1.1", "--category", "spam").code == 1
    assert dnsbl("report", "46.0.0.0/16", "--category", "spam", "--json").json["zones"][0]["listed"] is True


@pytest.mark.parametrize("asked", ["Mallory+tag@badmail.com", "http://bad.example/Pay?now=1"])
def test_a_mail_address_or_url_is_reported_as_the_hash_that_check_asks_for(dnsbl: Dnsbl, asked: str) -> None:
    made = dnsbl("report", asked, "--category", "phishing", "--json").json
    found = dnsbl("check", asked, "--json").json
    assert made["subject"] == found["subject"]
    assert [zone["listed"] for zone in found["zones"]] == [True]
    refused = dnsbl("report", "no subject", "--category", "phishing")
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_delist_takes_off_and_says_from_where(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    said = dnsbl("delist", "46.0.0.1", "--reason", "cleaned up").text
    assert re.fullmatch(r"46\.0\.0\.1 is off ip, policy, and stays off until \S+Z\n", said)
    value = dnsbl("delist", "46.0.0.2", "--zone", "ip", "--reason", "x", "--json").json
    assert (value["subject"], value["zones"]) == ("46.0.0.2", ["ip"])
    assert TIME.fullmatch(value["until"])
    for address in ("46.0.0.1", "46.0.0.2"):
        value = dnsbl("check", address, "--json").json
        assert not any(zone["listed"] for zone in value["zones"])
        assert value["zones"][0]["dns"] == []
        assert value["exemptions"][0]["origin"] == "removal"
        assert TIME.fullmatch(value["exemptions"][0]["until"])


# what comes in


def test_import_of_a_list_has_the_shape_that_scripts_rely_on(dnsbl: Dnsbl, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(LIST)
    value = dnsbl("import", "list.txt", "--source", "mine", "--json").json
    assert {"taken", "repeated", "rejected", "rejects"} <= value.keys()
    assert (value["taken"], value["repeated"], value["rejected"]) == (3, 1, 2)
    assert all(row.keys() == {"line", "why"} for row in value["rejects"])
    assert {row["line"] for row in value["rejects"]} >= {7}
    assert (value["kind"], value["state"], value["appeared"], value["left"]) == ("list", "ok", 3, 0)
    text = dnsbl("import", "list.txt", "--source", "mine").text
    assert "the same content as before: nothing to do" in text
    again = dnsbl("import", "list.txt", "--source", "mine", "--category", "botnet", "--json").json
    assert (again["state"], again["changed"]) == ("ok", 3), "another category is not the same"
    (tmp_path / "list.txt").write_bytes(b"46.0.0.1\n46.0.0.9\n")
    text = dnsbl("import", "list.txt", "--source", "mine", "--category", "botnet").text
    assert "2 taken, 0 repeated, 0 rejected" in text
    assert "1 appeared, 2 left and decay, 0 changed" in text


def test_import_of_reports_has_the_shape_that_scripts_rely_on(dnsbl: Dnsbl) -> None:
    value = dnsbl("import", "-", "--source", "mine", "--json", input=REPORTS).json
    assert (value["taken"], value["repeated"], value["rejected"]) == (2, 1, 2)
    assert [row["line"] for row in value["rejects"]] == [5, 6]
    assert value["rejects"][1]["why"] == "not a time"
    assert (value["kind"], value["unmapped"]) == ("reports", {"probe": 1})
    text = dnsbl("import", "-", "--source", "mine", input=REPORTS).text
    assert "0 taken, 3 repeated, 2 rejected" in text
    assert "unmapped word 'probe': 1 kept as `other`; say what it means with --map probe=CATEGORY" in text
    assert "line 6: not a time" in text
    other = dnsbl("import", "-", "--source", "other", "--map", "probe=scanner", "--json", input=REPORTS).json
    assert other["unmapped"] == {}


def test_import_of_ndjson_and_of_gzip(dnsbl: Dnsbl, tmp_path: Path) -> None:
    import gzip

    line = b'{"subject": "46.0.0.1", "category": "spam", "reporter": "r", "time": "2026-09-21T12:00:00Z"}\n'
    (tmp_path / "reports.gz").write_bytes(gzip.compress(line + b"{]\n" + line.replace(b".1", b".2")))
    value = dnsbl("import", "reports.gz", "--source", "mine", "--json").json
    assert (value["taken"], value["rejects"]) == (2, [{"line": 2, "why": "not JSON"}])
    (tmp_path / "list.gz").write_bytes(gzip.compress(LIST))
    assert dnsbl("import", "list.gz", "--source", "list", "--json").json["taken"] == 3


def test_import_keeps_what_was_there_when_the_new_version_is_not_believed(dnsbl: Dnsbl) -> None:
    many = b"".join(b"46.0.%d.%d\n" % (n >> 8, n & 255) for n in range(600))
    dnsbl("import", "-", "--source", "mine", input=many)
    done = dnsbl("import", "-", "--source", "mine", input=many[: len(many) // 3])
    assert done.code == 1
    assert done.err.endswith("; nothing was changed, what mine had before stays\n")
    assert done.err.count("\n") == 1
    value = dnsbl("import", "-", "--source", "mine", "--accept", "--json", input=many[: len(many) // 3]).json
    assert value["left"] == 600 - value["taken"]


def test_trust_is_how_far_a_source_is_believed(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", "--trust", "0.4", input=LIST)
    assert dnsbl("check", "46.0.0.1", "--json").json["zones"][0]["listed"] is False
    dnsbl("import", "-", "--source", "mine", "--trust", "0.8", input=LIST)
    assert dnsbl("check", "46.0.0.1", "--json").json["zones"][0]["score"] == pytest.approx(75)
    dnsbl("import", "-", "--source", "mine", input=LIST + b"46.0.0.77\n")
    assert dnsbl("check", "46.0.0.77", "--json").json["zones"][0]["score"] == pytest.approx(75), "unsaid, it stays"


def test_a_warning_list_exempts(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    content = json.dumps({"name": "Ours", "version": 1, "type": "cidr", "list": ["46.0.0.0/30"]}).encode()
    value = dnsbl("import", "-", "--source", "ours", "--json", input=content).json
    assert (value["kind"], value["taken"]) == ("exemptions", 1)
    assert dnsbl("check", "46.0.0.1", "--json").json["zones"][0]["listed"] is False
    rows = dnsbl("allow", "list", "--all", "--json").json
    assert [(row["subject"], row["origin"]) for row in rows if row["origin"] != "built-in"] == [("46.0.0.0/30", "ours")]


# feeds


def test_feed_test_stores_nothing(dnsbl: Dnsbl, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "dnsbl-data")
    (tmp_path / "list.txt").write_bytes(LIST)
    value = dnsbl("feed", "test", "list.txt", "--json").json
    assert {"taken", "repeated", "rejected", "rejects", "format"} <= value.keys()
    assert (value["format"], value["taken"], value["repeated"], value["rejected"]) == ("plain", 3, 1, 2)
    assert "3 taken, 1 repeated, 2 rejected (as plain)" in dnsbl("feed", "test", "-", input=LIST).text
    assert not (tmp_path / "dnsbl-data").exists()


def test_the_catalogue_is_shown_with_its_terms(dnsbl: Dnsbl, tmp_path: Path) -> None:
    (tmp_path / "dnsbl.toml").unlink()
    rows = dnsbl("feed", "list", "--json").json
    assert len(rows) >= 15
    assert all(row["why_off"] for row in rows if not row["enabled"])
    text = dnsbl("feed", "list").text
    assert all(row["name"] in text and row["licence"][:20] in text for row in rows)
    assert "OFF: " in text


def test_feeds_pulled_by_hand(dnsbl: Dnsbl, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(LIST)
    (tmp_path / "feeds" / "mine.toml").write_text(
        f'title = "Mine"\nurl = "{(tmp_path / "list.txt").as_uri()}"\nformat = "plain"\ncategory = "spam"\n'
        'trust = 0.9\nlicence = "none"\n'
    )
    assert dnsbl("feed", "status", "--json").json[0]["state"] == "new"
    (row,) = dnsbl("feed", "pull", "mine", "--json").json
    assert (row["name"], row["state"], row["reason"], row["total"], row["appeared"]) == ("mine", "ok", "", 3, 3)
    assert "unchanged" in dnsbl("feed", "pull").text
    (row,) = dnsbl("feed", "status", "--json").json
    assert (row["name"], row["state"], row["entries"], row["rejected"]) == ("mine", "unchanged", 3, 2)
    assert TIME.fullmatch(row["good_at"])
    (tmp_path / "list.txt").unlink()
    done = dnsbl("feed", "pull")
    assert done.code == 1
    assert b"failed" in done.out
    assert "failed" in dnsbl("feed", "status").text


# zones


def test_the_list_of_zones_says_how_far_secondaries_are(dnsbl: Dnsbl, tmp_path: Path) -> None:
    dnsbl("zone", "build")
    serial = next(row["serial"] for row in dnsbl("zone", "list", "--json").json if row["zone"] == "ip")
    there = {"secondary": "198.51.100.2:53", "zone": "ip", "serial": serial, "acknowledged": serial}
    there["silent_since"] = None
    gone = {**there, "secondary": "198.51.100.3:53", "acknowledged": None, "silent_since": 1_790_000_000}
    (run := tmp_path / "dnsbl-data" / "run").mkdir(parents=True)
    said = {"pid": os.getpid(), "replies": [], "secondaries": [there, gone]}
    (run / "dns-1.json").write_text(json.dumps(said))
    text = dnsbl("zone", "list").text
    assert "zone ip at 198.51.100.2:53: up to date" in text
    assert "zone ip at 198.51.100.3:53: silent since 2026-09-21T14:13:20Z" in text
    ip = next(row for row in dnsbl("zone", "list", "--json").json if row["zone"] == "ip")
    assert ip["secondaries"][0] == there
    assert ip["withheld"] == 0


def test_a_zone_that_is_followed_is_not_built_but_taken(dnsbl: Dnsbl, tmp_path: Path) -> None:
    with (tmp_path / "dnsbl.toml").open("a") as file:
        file.write('[[follow]]\nzone = "ip"\nprimaries = ["127.0.0.9:53"]\n')
    refused = dnsbl("zone", "build", "ip")
    assert refused.code == 1
    assert "zone ip is not built here: [[follow]] says where it is taken from" in refused.err
    directory = tmp_path / "dnsbl-data" / "zones" / "ip"
    assert not forced(directory)
    done = dnsbl("zone", "build", "ip", "--force")
    assert (done.text, forced(directory)) == ("", True)
    assert "zone ip: its primary's is taken as it comes" in done.err


def test_zones_are_listed_built_and_exported(dnsbl: Dnsbl, tmp_path: Path) -> None:
    rows = dnsbl("zone", "list", "--json").json
    assert [(row["zone"], row["origin"], row["listings"], row["serial"]) for row in rows] == [
        (name, f"{name}.dnsbl.test", 0, None) for name in ("domain", "hash", "ip", "phone", "policy", "white")
    ]
    assert dnsbl("zone", "list").text.count("not built") == 6
    (built,) = dnsbl("zone", "build", "ip", "--json").json
    assert (built["zone"], built["whole"]) == ("ip", True)
    assert [row["zone"] for row in dnsbl("zone", "build", "--json").json] == [
        "domain",
        "hash",
        "phone",
        "policy",
        "white",
    ]
    assert dnsbl("zone", "build").text == "nothing changed: every zone is up to date\n"
    dnsbl("import", "-", "--source", "mine", input=LIST)
    (forced,) = dnsbl("zone", "build", "ip", "--force", "--json").json
    assert forced["serial"] > built["serial"]
    assert "zone ip: serial " in dnsbl("zone", "build", "--force", "ip").text
    assert {row["zone"]: row["listings"] for row in dnsbl("zone", "list", "--json").json}["ip"] == 3
    text = dnsbl("zone", "export", "ip", "--format", "rbldnsd").text
    assert "46.0.0.1" in text
    assert dnsbl("zone", "export", "ip", "--format", "rbldnsd", "-o", "ip.rbldnsd").text == ""
    assert (tmp_path / "ip.rbldnsd").read_text() == text
    assert "1.0.0.46" in dnsbl("zone", "export", "ip", "--format", "bind").text
    assert not list(tmp_path.glob("*.part"))


# exemptions


def test_the_allow_list(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    assert dnsbl("allow", "list").text == "nobody is on the allow-list\n"
    now = clock.now()
    value = dnsbl("allow", "add", "46.0.0.1", "--reason", "our own", "--for", "30d", "--json").json
    assert value.keys() == {"subject", "reason", "until"}
    assert clock.parse_time(value["until"]) - now in range(30 * clock.DAY, 30 * clock.DAY + 60)
    assert dnsbl("allow", "add", "46.1.0.0/24", "--reason", "friends").text == "46.1.0.0/24 is exempt: friends\n"
    rows = dnsbl("allow", "list", "--json").json
    assert [(row["subject"], row["reason"], row["until"] is None) for row in rows] == [
        ("46.0.0.1", "our own", False),
        ("46.1.0.0/24", "friends", True),
    ]
    assert "our own" in dnsbl("allow", "list").text
    assert dnsbl("check", "46.0.0.1", "--json").json["zones"][0]["listed"] is False
    assert dnsbl("check", "46.1.0.9", "--json").json["zones"][0]["dns"] == []
    assert dnsbl("report", "46.0.0.1", "--category", "spam").code == 1, "the gate knows it"
    assert dnsbl("allow", "remove", "46.1.0.0/24").text == "46.1.0.0/24 may be listed again\n"
    assert dnsbl("check", "46.1.0.9", "--json").json["zones"][0]["dns"] == ["127.0.0.2"]


def test_an_exemption_ends_by_itself(dnsbl: Dnsbl, monkeypatch: pytest.MonkeyPatch) -> None:
    dnsbl("import", "-", "--source", "mine", input=LIST)
    dnsbl("allow", "add", "46.0.0.1", "--reason", "for a while", "--for", "1h")
    assert dnsbl("check", "46.0.0.1", "--json").json["zones"][0]["listed"] is False
    later = clock.now() + 3601
    monkeypatch.setattr(clock, "now", lambda: later)
    dnsbl("zone", "build")
    value = dnsbl("check", "46.0.0.1", "--json").json
    assert (value["zones"][0]["listed"], value["zones"][0]["dns"], value["exemptions"]) == (True, ["127.0.0.2"], [])


def test_an_exemption_in_one_zone_holds_there_alone(dnsbl: Dnsbl) -> None:
    dnsbl("import", "-", "--source", "mine", "--category", "dynamic", input=LIST)
    dnsbl("allow", "add", "46.0.0.1", "--reason", "x", "--zone", "policy")
    zones = {zone["zone"]: zone["listed"] for zone in dnsbl("check", "46.0.0.1", "--json").json["zones"]}
    assert zones == {"ip": True, "policy": False, "white": False}


# keys


def test_keys_are_made_listed_and_revoked(dnsbl: Dnsbl, tmp_path: Path) -> None:
    assert dnsbl("key", "list").text == "no keys\n"
    made = dnsbl("key", "create", "acme", "--trust", "0.6", "--for", "365d", "--json").json
    assert made["secret"].startswith("dnsbl_")
    assert (made["name"], made["trust"], made["scopes"]) == ("acme", 0.6, ["report", "read"])
    text = dnsbl("key", "create", "other", "--scope", "read").text
    assert "key other with scopes read, trust 0.9" in text
    assert "secret (shown only now): dnsbl_" in text
    listed = dnsbl("key", "list")
    assert "acme" in listed.text
    assert made["secret"] not in listed.text
    assert made["secret"].encode() not in (tmp_path / "dnsbl-data" / "store.sqlite").read_bytes()
    assert dnsbl("key", "revoke", "acme").text == "key acme is revoked\n"
    rows = dnsbl("key", "list", "--json").json
    assert [(row["name"], row["revoked"] is None, row["last_used"]) for row in rows] == [
        ("acme", False, None),
        ("other", True, None),
    ]
    assert dnsbl("key", "revoke", "acme").code == 1


# keeping


def test_a_rebuild_makes_the_same_tables_and_a_backup_has_everything(dnsbl: Dnsbl, tmp_path: Path) -> None:
    dnsbl("import", "-", "--source", "list", input=LIST)
    dnsbl("import", "-", "--source", "mine", input=REPORTS)
    dnsbl("report", "bad.example", "--category", "phishing")
    dnsbl("allow", "add", "46.0.0.2", "--reason", "x")
    dnsbl("delist", "46.1.0.5", "--reason", "x")
    store = tmp_path / "dnsbl-data" / "store.sqlite"
    names = ("evidence", "listing", "entry", "report", "exemption", "source", "key", "category", "reporter")
    before = dump(store, *names)
    assert len(before) > 30
    assert dnsbl("store", "rebuild").text.startswith("rebuilt: ")
    assert dump(store, *names) == before
    counts = dnsbl("store", "rebuild", "--json").json
    assert counts["evidence"] >= 3
    assert dnsbl("store", "backup", "copy.sqlite", "--json").json == {"file": "copy.sqlite"}
    assert dump(tmp_path / "copy.sqlite", *names) == before
    assert dnsbl("store", "backup", "copy.sqlite").code == 1
    value = dnsbl("store", "check", "--json").json
    assert value.keys() == {"clean", "wrong", "counts"}
    assert (value["clean"], value["wrong"]) == (True, [])
    assert dnsbl("store", "check").text.startswith("clean: ")


def test_a_backup_can_be_put_in_the_stores_place(dnsbl: Dnsbl, tmp_path: Path) -> None:
    dnsbl("import", "-", "--source", "list", input=LIST)
    dnsbl("store", "backup", "copy.sqlite")
    dnsbl("import", "-", "--source", "list", input=b"46.5.0.1\n")
    data = tmp_path / "dnsbl-data"
    for path in data.glob("store.sqlite*"):
        path.unlink()
    (tmp_path / "copy.sqlite").rename(data / "store.sqlite")
    dnsbl("zone", "build")
    found = {address: dnsbl("check", address, "--json").json["zones"][0]["dns"] for address in ("46.0.0.1", "46.5.0.1")}
    assert found == {"46.0.0.1": ["127.0.0.2"], "46.5.0.1": []}, "the zones follow it"


def test_store_check_finds_tables_that_lie(dnsbl: Dnsbl, tmp_path: Path) -> None:
    dnsbl("import", "-", "--source", "mine", input=REPORTS)
    with closing(sqlite3.connect(tmp_path / "dnsbl-data" / "store.sqlite")) as store:
        store.execute("UPDATE evidence SET hits = hits + 1")
        store.commit()
    done = dnsbl("store", "check")
    assert done.code == 1
    assert b"store rebuild" in done.out
    value = dnsbl("store", "check", "--json")
    assert (value.code, value.json["clean"], value.json["wrong"] == []) == (1, False, False)
    dnsbl("store", "rebuild")
    assert dnsbl("store", "check").code == 0


# the rest


def test_config_check(dnsbl: Dnsbl, tmp_path: Path) -> None:
    assert dnsbl("config", "check").text == "good: 6 zones, 0 feeds\n"
    value = dnsbl("config", "check", "--json").json
    assert value == {
        "good": True,
        "mistakes": [],
        "zones": ["domain", "hash", "ip", "phone", "policy", "white"],
        "feeds": [],
    }
    (tmp_path / "feeds" / "bad.toml").write_text("title = 1\n")
    done = dnsbl("config", "check", "--json")
    assert done.code == 1
    assert done.json["good"] is False
    assert len(done.json["mistakes"]) > 3
    assert dnsbl("config", "check").err.count("\n") == len(done.json["mistakes"])


def test_where_the_configuration_is_found(dnsbl: Dnsbl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("explicit", "environment"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "zones").mkdir()
        (tmp_path / name / "dnsbl.toml").write_text('zones_dir = "zones"\n')
    (tmp_path / "environment" / "zones" / "x.toml").write_text("nonsense")
    assert dnsbl("-c", "explicit/dnsbl.toml", "config", "check").text.startswith("good: 0 zones")
    monkeypatch.setenv("DNSBL_CONFIG", str(tmp_path / "environment" / "dnsbl.toml"))
    assert dnsbl("config", "check").code == 1
    assert dnsbl("-c", "explicit/dnsbl.toml", "config", "check").code == 0


def test_version_and_help(dnsbl: Dnsbl) -> None:
    value = dnsbl("version", "--json").json
    assert value["version"] == __version__
    assert type(value["native"]) is bool
    assert value["why"]
    assert dnsbl("version").text.startswith(f"dnsbl {__version__}\n")
    for arguments in ([], ["import"], ["feed", "pull"], ["zone", "export"], ["serve"]):
        assert dnsbl(*arguments, "--help").text.startswith("Usage: ")


def test_text_of_others_is_not_markup(dnsbl: Dnsbl) -> None:
    dnsbl("allow", "add", "46.0.0.1", "--reason", "[red]not[/red] [link=x]markup[/link] [/")
    assert "[red]not[/red] [link=x]markup[/link] [/" in dnsbl("allow", "list").text
