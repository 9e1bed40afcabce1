"""What people read, on a terminal of 80 columns."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from dnsbl import screens, screens_sources

TIME = "2026-11-22T01:43:48Z"
LONG = "a-source-with-quite-a-long-name"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What tables look like there."""
    shown = io.StringIO()
    console = Console(file=shown, width=80, highlight=False, markup=False)
    for module in (screens, screens_sources):
        monkeypatch.setattr(module, "out", console.print)
    return shown


def whole(shown: str) -> int:
    """How many times there are; nothing that looks like one is broken, and no column is squeezed to nothing."""
    assert max(map(len, shown.splitlines())) <= 80
    found = re.findall(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?", shown)
    assert len(re.findall(r"2026|T01|:48", shown)) == sum(1 if len(each) == 10 else 3 for each in found)
    return len(found)


def test_keys(narrow: io.StringIO) -> None:
    key: dict[str, Any] = {"name": LONG, "scopes": ["report", "read"], "trust": 0.9}
    screens.show_keys([key | dict.fromkeys(("created", "expires", "last_used", "revoked"), TIME)])
    assert whole(narrow.getvalue()) == 4


def test_what_a_listing_stands_on(narrow: io.StringIO) -> None:
    line = {
        "source": LONG, "simulated": True, "category": "abused-legitimate", "hits": 1_000_000, "reporters": 100_000,
        "weight": 12.5, "first_seen": TIME, "last_seen": TIME, "held": False,
    }  # fmt: skip
    zone = {
        "zone": "ip", "origin": "ip.dnsbl.test", "listed": False, "codes": [], "score": 1.0, "simulated_score": 1.0,
        "held": [], "text": [], "dns": [], "breakdown": [line],
    }  # fmt: skip
    screens.show_zone(zone)
    assert whole(narrow.getvalue()) == 2


def test_purges_and_attempts(narrow: io.StringIO) -> None:
    purge = {"id": 1, "source": LONG, "at": TIME, "reports": 9_999_999, "entries": 9_999_999, "undone": TIME}
    screens_sources.show_purges([purge | {"reason": "it was a mistake of theirs"}])
    tried = {"subject": "2a01:4f8:1:2::/64", "source": LONG, "count": 100_000, "last": TIME}
    screens_sources.show_waiting({"holds": [], "attempts": [tried | {"why": "special-purpose range: never listed"}]})
    assert whole(narrow.getvalue()) == 3


def test_feeds_and_exemptions(narrow: io.StringIO) -> None:
    feed = {"name": LONG, "state": "quarantined", "entries": 9_999_999, "rejected": 99_999, "reason": "too different"}
    screens.show_feed_status([feed | {"good_at": TIME, "changed_at": TIME}])
    exemption = {"subject": "2a01:4f8:1:2::/64", "zone": "", "origin": "operator", "reason": "ours since long"}
    screens.show_exemptions([exemption | {"since": TIME, "until": TIME}])
    assert whole(narrow.getvalue()) == 4


def test_a_mirror_says_from_where_it_takes_its_zones_and_where_it_speaks_tls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    zone = {"zone": "ip", "origin": "ip.dnsbl.test", "kind": "ip", "serial": 7, "listings": None}
    other = {"zone": "domain", "origin": "domain.dnsbl.test", "kind": "domain", "serial": None, "listings": None}
    follows = {"ip": ["198.51.100.1:53", "198.51.100.2:53"], "domain": ["https://bl.example"]}
    value = {"version": "1", "data_dir": "/data", "web": None, "jobs": False, "unprotected": 0, "follows": follows}
    screens.show_started(value | {"dns": ["192.0.2.1:53"], "tls": ["192.0.2.1:853"], "zones": [zone, other]})
    shown = capsys.readouterr().out
    assert "TLS    192.0.2.1:853" in shown
    assert re.search(r"ip\.dnsbl\.test +serial 7, followed from 198\.51\.100\.1:53, 198\.51\.100\.2:53\n", shown)
    assert re.search(r"domain\.dnsbl\.test +not taken yet, followed from https://bl\.example\n", shown)
