"""`dnsbl queries`: what the running DNS processes were asked, from the files that they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from dnsbl import screens
from dnsbl.cli import main
from dnsbl.dns.counters import Counters
from dnsbl.errors import DnsblError
from dnsbl.queries import asked

SECONDS = 30


def leave(data_dir: Path, name: object = "", pid: int | None = None, talkers: object = None, **more: int) -> None:
    """A file as a DNS process leaves it; by default of one that lives."""
    counters = Counters()
    for _ in range(3):
        counters.reply("ip", 1, 3, "udp")
    counters.reply("", 16, 5, "tcp")
    counters.batches = [1100, 0, 5, 0, 0, 0, 0, 0]
    for event, count in more.items():
        setattr(counters, event, count)
    said = {"pid": pid or os.getpid(), **counters.snapshot()}
    if talkers is not None:
        said["talkers"] = talkers
    (data_dir / "run").mkdir(exist_ok=True)
    (data_dir / "run" / f"dns-{name or said['pid']}.json").write_bytes(orjson.dumps(said))


def test_the_figures_of_all_processes_are_added_up(tmp_path):
    leave(tmp_path, "a", talkers=[{"client": "192.0.2.1", "queries": 5}, {"client": "2001:db8::/64", "queries": 2}])
    leave(tmp_path, "b", talkers=[{"client": "2001:db8::/64", "queries": 9}], malformed=4, dropped=1)
    leave(tmp_path, "older")
    assert asked(tmp_path) == {
        "processes": 3,
        "replies": 12,
        "zones": {"ip": 9, "": 3},
        "types": {"A": 9, "TXT": 3},
        "rcodes": {"NXDOMAIN": 9, "REFUSED": 3},
        "transports": {"udp": 9, "tcp": 3},
        "events": {"malformed": 4, "dropped": 1},
        "batches": {"1": 3300, "4-7": 15},
        "talkers": [{"client": "2001:db8::/64", "queries": 11}, {"client": "192.0.2.1", "queries": 5}],
    }


def test_no_more_than_the_top_of_the_talkers_is_told(tmp_path):
    for name in "abc":
        leave(tmp_path, name, talkers=[{"client": f"192.0.{ord(name)}.{at}", "queries": at} for at in range(1, 21)])
    told = asked(tmp_path)["talkers"]
    assert len(told) == 20
    assert [row["queries"] for row in told[:3]] == [20, 20, 20]


def test_where_no_server_runs_it_says_so(tmp_path):
    with pytest.raises(DnsblError, match="no DNS server runs on"):
        asked(tmp_path)
    with pytest.raises(DnsblError, match="no DNS server runs on"):
        asked(tmp_path / "nowhere")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(SECONDS)
    leave(tmp_path, pid=process.pid)
    with pytest.raises(DnsblError, match="no DNS server runs on"):
        asked(tmp_path)
    (tmp_path / "run" / "dns-7.json").write_bytes(b'{"pid"')
    with pytest.raises(DnsblError, match="no DNS server runs on"):
        asked(tmp_path)


def test_what_may_not_be_read_is_not_taken_for_nothing(tmp_path, monkeypatch):
    leave(tmp_path)

    def forbidden(_path: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(DnsblError, match="may not be read"):
        asked(tmp_path)


def test_people_get_tables(tmp_path, capsys):
    leave(tmp_path, talkers=[{"client": "192.0.2.1", "queries": 1234}], handed=7)
    screens.show_queries(asked(tmp_path))
    shown = capsys.readouterr().out
    assert shown.startswith("4 replies of 1 DNS process, since the start\n")
    for words in ("NXDOMAIN", "(none)", "handed", "4-7", "1,100", "192.0.2.1", "1,234"):
        assert words in shown


def verb(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["dnsbl", "queries", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_verb_prints_json_and_makes_nothing(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNSBL_CONFIG", raising=False)
    assert verb(monkeypatch) == 1
    said = capsysbinary.readouterr()
    assert said.out == b""
    assert said.err.count(b"\n") == 1
    assert b"no DNS server runs on" in said.err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "dnsbl-data").mkdir()
    leave(tmp_path / "dnsbl-data")
    assert verb(monkeypatch, "--json") == 0
    told = json.loads(capsysbinary.readouterr().out)
    assert (told["replies"], told["talkers"]) == (4, [])
    assert verb(monkeypatch) == 0
    assert [path.name for path in (tmp_path / "dnsbl-data").iterdir()] == ["run"]
