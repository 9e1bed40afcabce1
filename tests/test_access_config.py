"""Access, limits and the end of a zone in the configuration; keys for DNS as they are made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dnsbl.config import Config, ZoneDef
from dnsbl.dns.keys import is_key
from dnsbl.errors import IntakeError
from dnsbl.intake.partners import create_key
from dnsbl.store import KeyLimits, SqliteStore

ZONE = {
    "name": "ip", "origin": "bl.example", "kind": "ip", "ns": ["ns1.example.net"], "apex": {"txt": ["hello"]},
    "codes": [{"code": "127.0.0.2", "categories": ["spam"]}],
}  # fmt: skip
NOW = 1_800_000_000


def zone(**more: object) -> ZoneDef:
    return ZoneDef.model_validate({**ZONE, **more})


def test_access_is_no_part_of_what_is_published():
    """Else another network in it would mean another serial, and all secondaries a whole transfer."""
    open_, narrow = zone(), zone(access={"networks": ["192.0.2.0/24"], "keys": "optional", "quota": 5})
    assert open_ != narrow
    assert open_.model_dump() == narrow.model_dump()
    assert open_.model_dump(mode="json", by_alias=True) == narrow.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(
    "access", [{"keys": "maybe"}, {"quota": -1}, {"networks": ["192.0.2.1/24"]}, {"net": []}, {"refuse": ["x"]}]
)
def test_mistakes_in_access_are_said(access):
    with pytest.raises(ValueError, match=r"access\."):
        zone(access=access)


@pytest.mark.parametrize("rate", [{"responses": 10_001}, {"slip": 11}, {"window": 0}, {"exempt": ["x"]}, {"all": 1}])
def test_mistakes_in_the_rate_of_replies_are_said(rate):
    with pytest.raises(ValueError, match=r"dns\.rate\."):
        Config.model_validate({"dns": {"rate": rate}})


def test_a_sublist_is_not_called_like_a_key():
    with pytest.raises(ValueError, match="how keys in names begin"):
        zone(codes=[{"code": "127.0.0.2", "categories": ["spam"], "sublist": "dq-list"}])


def test_a_zone_that_ends_follows_the_recipe_of_rfc_6471():
    ending = zone(shutdown=True, origin="BL.example.")
    assert ending.ns == ["u1.bl.example", "u2.bl.example", "u3.bl.example"]
    assert ending.ns_ttl == 604_800
    assert sorted(ending.hosts.values()) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert ending.apex.txt[1:] == ["hello"]
    assert "is shut down" in ending.apex.txt[0]
    assert ZoneDef.model_validate(ending.model_dump()) == ending
    assert zone(shutdown=False) == zone()
    assert zone().hosts == {}


@pytest.fixture
def store(tmp_path: Path):
    made = SqliteStore(tmp_path / "store.sqlite")
    yield made
    made.close()


def make(store: SqliteStore, scopes: list[str], **limits: object) -> str:
    return create_key(store, "p", 0.9, scopes, NOW, None, KeyLimits(**limits))[1]


def test_a_key_for_dns_is_one_label_of_130_bits(store):
    secret = make(store, ["query"], queries=5, query_zones=("ip",))
    assert is_key(secret.encode())
    assert re.fullmatch(r"dq-[a-z2-7]{26}", secret)
    assert store.query_keys()[0].queries == 5


@pytest.mark.parametrize(
    ("scopes", "limits"),
    [
        (["query", "report"], {}), (["query"], {"origins": ("192.0.2.0/24",)}), (["query"], {"daily": 5}),
        (["report"], {"queries": 5}), (["read"], {"query_zones": ("ip",)}), (["query"], {"queries": 0}),
    ],
)  # fmt: skip
def test_a_key_for_dns_is_good_for_nothing_else(store, scopes, limits):
    with pytest.raises(IntakeError):
        make(store, scopes, **limits)
    assert store.all_keys() == []


def test_a_key_for_dns_that_no_zone_takes_is_said(app, caplog):
    app.create_key("one", 0.9, ["query"], None)
    assert "key one cannot be used yet" in caplog.text
    caplog.clear()
    taking = ZoneDef.model_validate({**app.zones["ip"].model_dump(), "access": {"keys": "optional"}})
    app.replace(app.settings.model_copy(update={"zones": {**app.zones, "ip": taking}}))
    app.create_key("two", 0.9, ["query"], None)
    app.create_key("three", 0.9, ["query"], None, KeyLimits(query_zones=("ip", "domain")))
    app.create_key("four", 0.9, ["read"], None)
    assert not caplog.text
    app.create_key("five", 0.9, ["query"], None, KeyLimits(query_zones=("domain",)))
    assert "none of its zones (domain) takes keys" in caplog.text
