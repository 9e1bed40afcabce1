"""Keys in query names, limits and the end of a zone, with the real program."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from server import ROOT, Server, configure, until

NO_PERMISSION, TOO_MANY = ["127.255.255.254"], ["127.255.255.255"]


def zones_in(directory: Path, more: str, at: str = "") -> Path:
    """A directory with the zone `ip` alone, and what is said of it more; `at` the top of its file."""
    zones = directory / "zones"
    zones.mkdir(exist_ok=True)
    (zones / "ip.toml").write_text(f"{at}\n{(ROOT / 'zones' / 'ip.toml').read_text()}\n{more}\n")
    return zones


def dug(server: Server, name: str, qtype: str) -> str:
    where = ["@127.0.0.1", "-p", str(server.dns_port), "+short", "+tries=1"]
    return subprocess.run(["dig", "-r", *where, name, qtype], capture_output=True, text=True, check=True).stdout


@pytest.mark.timeout(240)
def test_a_key_from_its_making_to_its_end(tmp_path: Path) -> None:
    zones_in(tmp_path, '[access]\nkeys = "required"')
    config = configure(tmp_path, zones="zones")
    with Server(tmp_path, config=config) as server:
        made = json.loads(server.verb("key", "create", "acme", "--scope", "query", "--queries", "6", "--json"))
        asked = f"2.0.0.127.{made['secret']}.ip.dnsbl.test"
        good = server.codes("2.0.0.127.ip.dnsbl.test")
        until(lambda: server.codes(asked) == good, "the key is good")
        assert server.codes("9.9.9.9.ip.dnsbl.test") == NO_PERMISSION
        assert server.rcode(f"9.9.9.9.{made['secret']}.ip.dnsbl.test", tcp=True) == "NXDOMAIN"
        if shutil.which("dig"):
            assert "is asked with a key" in dug(server, "9.9.9.9.ip.dnsbl.test", "TXT")
        until(lambda: server.codes(asked) == TOO_MANY, "the quota is used up")
        until(lambda: answered(server, made["secret"]) == 6, "its use is in the store")
        [row] = json.loads(server.verb("key", "list", "--json"))
        assert (row["limits"]["queries"], row["queries"][0]["queries"]) == (6, 6)
        assert server.http("POST", "/v1/reports", b"[]", {"X-Api-Key": made["secret"]})[0] == 403
        metrics = server.http("GET", "/metrics")[1].decode()
        assert 'dnsbl_dns_events_total{event="over_quota"}' in metrics
    with Server(tmp_path, config=config) as server:
        assert server.codes(asked) == TOO_MANY
        server.verb("key", "revoke", "acme")
        until(lambda: server.codes(asked) == NO_PERMISSION, "the key has ended")
        assert made["secret"] not in "".join(path.read_text() for path in (server.data / "run").glob("*.json"))


def answered(server: Server, secret: str) -> int:
    """What a partner is told of its queries."""
    told = json.loads(server.http("GET", "/v1/partner", headers={"X-Api-Key": secret})[1])
    return sum(day["queries"] for day in told["queries"])


@pytest.mark.timeout(120)
def test_rules_are_taken_up_by_a_reload_and_change_nothing_that_is_published(tmp_path: Path) -> None:
    zones_in(tmp_path, "")
    with Server(tmp_path, config=configure(tmp_path, zones="zones")) as server:
        assert server.rcode("9.9.9.9.ip.dnsbl.test") == "NXDOMAIN"
        serial = server.serial("ip")
        zones_in(tmp_path, '[access]\nnetworks = ["192.0.2.0/24"]')
        server.hang_up()
        until(lambda: server.codes("9.9.9.9.ip.dnsbl.test") == NO_PERMISSION)
        zones_in(tmp_path, '[access]\nrefuse = ["127.0.0.0/8", "::1"]')
        server.hang_up()
        until(lambda: server.rcode("9.9.9.9.ip.dnsbl.test", v6=True) == "REFUSED")
        assert server.codes("2.0.0.127.ip.dnsbl.test")
        zones_in(tmp_path, "")
        server.hang_up()
        until(lambda: server.rcode("9.9.9.9.ip.dnsbl.test") == "NXDOMAIN")
        assert server.serial("ip") == serial


@pytest.mark.timeout(180)
def test_a_zone_that_ends_lists_nothing_and_leads_nowhere(tmp_path: Path) -> None:
    zones_in(tmp_path, "")
    with Server(tmp_path, config=configure(tmp_path, zones="zones")) as server:
        server.verb("report", "46.0.0.7", "--category", "spam")
        until(lambda: server.listed("46.0.0.7"))
        serial = server.serial("ip")
        zones_in(tmp_path, "", at="shutdown = true")
        server.hang_up()
        until(lambda: not server.listed("46.0.0.7"), "nothing is listed")
        for name in ("2.0.0.127", "1.0.0.127", "7.0.0.46", "2.0.0.127.spam", "46"):
            assert server.rcode(f"{name}.ip.dnsbl.test") == "NXDOMAIN"
        hosts = {str(record.rdata).rstrip("."): record.ttl for record in server.ask("ip.dnsbl.test", "NS").rr}
        assert hosts == {f"u{number}.ip.dnsbl.test": 604_800 for number in (1, 2, 3)}
        assert sorted(server.codes(host)[0] for host in hosts) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        assert "is shut down" in str(server.ask("ip.dnsbl.test", "TXT").rr[0].rdata)
        assert server.serial("ip") > serial
        serial = server.serial("ip")
        server.verb("report", "46.0.0.8", "--category", "spam")
        until(lambda: server.serial("ip") > serial, "what is reported is published")
        assert not server.listed("46.0.0.8")
        master = server.verb("zone", "export", "ip", "--format", "bind")
        assert "46" not in "".join(line for line in master.splitlines() if not line.startswith((";", "@", "$", "\t")))
        if shutil.which("named-checkzone"):
            (tmp_path / "master").write_text(master)
            done = subprocess.run(
                ["named-checkzone", "-k", "fail", "ip.dnsbl.test", tmp_path / "master"], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout
        zones_in(tmp_path, "")
        server.hang_up()
        until(lambda: server.listed("46.0.0.8"), "it is as it was")
