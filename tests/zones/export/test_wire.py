"""A transfer carries the records that the master file has, and steps lead from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import served, zone
from reading import file_records, raw_records, wire_records
from test_export_addresses import codes, holes, networks4, networks6
from test_export_exact import HASHES, NUMBERS
from test_export_names import NAMES

from dnsbl.config import ZoneDef
from dnsbl.model import CATEGORIES
from dnsbl.zones import inorder, nodes, packed_names
from dnsbl.zones.contents import Contents, contents
from dnsbl.zones.difference import difference
from dnsbl.zones.served import ServedZone
from dnsbl.zones.wire import ROOM, soa_record, step_sections, zone_sections

APEX = {"a": ["9.9.9.1"], "aaaa": ["2a00::1"], "txt": ["A list", "é" * 200]}
TEXTS = ["$ " + "x" * 250 + " $, $" + "é" * 300 + "$" * 9, "$" * 400, "$" * 400, ""]  # several strings; cut; twice


def wordy(kind: str) -> ZoneDef:
    categories = ("spam", "malware", "phishing", "dynamic")
    codes = [{"code": f"127.0.0.{n + 2}", "categories": [c], "text": TEXTS[n]} for n, c in enumerate(categories)]
    if kind == "ip":
        codes[0]["sublist"], codes[1]["sublist"], codes[2]["sublist"] = "bad", "1a", "bad"
    return zone(kind, codes=codes, ns=["NS1.example.net", "ns1.example.net", "ns2.example.net"])


IP, DOMAIN = zone("ip", apex=APEX), zone("domain")
narrow4 = networks4.filter(lambda text: int(text.partition("/")[2]) >= 22)  # a wide one is some thousand names
addresses = st.dictionaries(st.one_of(narrow4, networks6), codes, max_size=7)
names = st.dictionaries(st.sampled_from(NAMES), codes, max_size=6)
exemptions = st.sets(st.sampled_from(NAMES), max_size=3)


def held_by(described: ZoneDef, listed: Mapping[str, set[int]], exempt: Iterable[str] = ()) -> Contents:
    return contents(served(described, listed, exempt))


def assert_same(view: ServedZone) -> None:
    assert wire_records(view.zone.origin, zone_sections(view)) == file_records(contents(view))


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([IP, wordy("ip")]), addresses, holes)
def test_a_transfer_of_addresses_is_the_master_file(
    described: ZoneDef, listed: Mapping[str, set[int]], exempt: list[str]
) -> None:
    assert_same(served(described, listed, exempt))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([DOMAIN, wordy("domain")]), names, exemptions, st.sampled_from([1, 2, 5, packed_names.MANY]))
def test_a_transfer_of_names_is_the_master_file(
    described: ZoneDef, listed: Mapping[str, set[int]], exempt: set[str], some: int
) -> None:
    with (
        mock.patch.object(packed_names, "MANY", some),
        mock.patch.object(inorder, "SOME", some),
        mock.patch.object(nodes, "KNOWN", some),
    ):
        assert_same(served(described, listed, exempt))


@pytest.mark.parametrize(("kind", "subjects"), [("e164", NUMBERS), ("hash", HASHES)])
@pytest.mark.parametrize("make", [zone, wordy])
def test_a_transfer_of_exact_names_is_the_master_file(
    make: Callable[[str], ZoneDef], kind: str, subjects: list[str]
) -> None:
    assert_same(served(make(kind), {subject: {place % 3} for place, subject in enumerate(subjects)}))


def test_a_transfer_of_wide_networks_is_the_master_file() -> None:
    listed = {"2.0.0.0/8": {0}, "9.8.0.0/15": {1}, "2001:db8::/32": {1}, "3.0.0.0/16": {2}, "200.1.0.0/16": {0, 2}}
    assert_same(served(IP, listed, ["2.1.0.0/16", "9.9.9.0/24", "2001:db8::77"]))


@pytest.mark.parametrize("kind", ["ip", "domain"])
def test_a_transfer_of_a_zone_that_ends_is_the_master_file(kind: str) -> None:
    assert_same(served(zone(kind, shutdown=True), {}))


def test_names_too_long_for_a_question_or_for_a_wildcard_are_left_out_of_a_transfer() -> None:
    room = 253 - len(".domain.example")
    fits = ".".join(["a" * 60] * 3 + ["b" * (room - 3 * 61 - 4), "com"])
    view = served(DOMAIN, {fits: {1}, "b" + fits: {1}})
    owners = {owner for owner, *_ in wire_records(DOMAIN.origin, zone_sections(view))}
    assert f"{fits}.domain.example." in owners
    assert f"*.{fits}.domain.example." not in owners and f"b{fits}.domain.example." not in owners
    assert_same(view)


def test_the_digest_is_at_the_origin_with_the_serial() -> None:
    view = served(IP, {"9.9.9.9": {0}})
    view.zonemd = bytes(range(48))
    found = wire_records(IP.origin, zone_sections(view))
    assert ("ip.example.", "ZONEMD", 900, f"7 1 1 {view.zonemd.hex()}") in found
    assert found == file_records(contents(view))


def test_sections_are_as_full_as_they_may_be() -> None:
    view = served(IP, {f"9.{n >> 8}.{n & 255}.0/25": {0} for n in range(100)})
    sizes = [len(octets) for _, octets in zone_sections(view)]
    assert len(sizes) > 10
    assert all(ROOM - 400 < size <= ROOM for size in sizes[:-1])


def test_records_of_one_name_that_do_not_fit_a_section_go_in_several() -> None:
    many = [{"code": f"127.0.{n}.2", "categories": [c], "text": f"{n} " + "$" * 990} for n, c in enumerate(CATEGORIES)]
    described = zone("domain", codes=many)
    name = f"{'a' * 63}.{'b' * 63}.com"
    view = served(described, {name: set(range(len(many)))})
    assert sum(len(octets) for _, octets in zone_sections(view)) > ROOM
    assert_same(view)


def test_the_soa_is_as_the_zone_says() -> None:
    described = zone(
        "ip", soa={"mname": "primary.example", "ttl": 77, "refresh": 1, "retry": 2, "expire": 3, "minimum": 4}
    )
    found = wire_records("ip.example", [(1, soa_record(described, 4_294_967_295))])
    assert found == {("ip.example.", "SOA", 77, "primary.example. hostmaster.dnsbl.test. 4294967295 1 2 3 4")}


# steps


def assert_leads(old: ServedZone, new: ServedZone) -> None:
    before, after = (raw_records(zone_sections(view)) for view in (old, new))
    removed, added = map(raw_records, step_sections(difference(old, new))[:2])
    assert removed <= before and added <= after
    assert before - removed | added == after


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([IP, wordy("ip")]), addresses, holes, addresses, holes)
def test_a_step_of_addresses_leads_to_the_other_master_file(
    described: ZoneDef, old: dict[str, set[int]], exempt: list[str], new: dict[str, set[int]], exempt_then: list[str]
) -> None:
    assert_leads(served(described, old, exempt), served(described, old | new, exempt_then))


@settings(max_examples=25, deadline=None)
@given(names, exemptions, names, exemptions)
def test_a_step_of_names_leads_to_the_other_master_file(
    old: dict[str, set[int]], exempt: set[str], new: dict[str, set[int]], exempt_then: set[str]
) -> None:
    assert_leads(served(DOMAIN, old, exempt), served(DOMAIN, new, exempt_then))


def test_a_step_has_nothing_on_both_sides() -> None:
    old = served(IP, {"9.9.9.0/24": {0}, "2a00:1::/33": {0}})
    new = served(IP, {"9.9.9.0/25": {0}, "9.9.9.200": {0, 1}, "2a00:1::/34": {0}})
    removed, added = (wire_records("ip.example", part) for part in step_sections(difference(old, new))[:2])
    assert not removed & added
    owners = {owner.removesuffix(".ip.example.") for owner, *_ in removed | added}
    assert {"*.9.9.9", "200.9.9.9", "*.4.1.0.0.0.0.0.a.2"} <= owners
    assert not owners & {"*.0.1.0.0.0.0.0.a.2", "2.0.0.127", "@"}
    assert not removed & added


def test_a_step_says_how_many_names_keep_records() -> None:
    old = {"9.9.9.9": {0}, "9.9.9.10": {0}, "9.9.9.11": {1}, "9.9.9.12": {0, 1}, "9.9.8.0/24": {0}, "2a00:1::/32": {0}}
    new = old | {"9.9.9.9": {0, 1}, "9.9.9.10": {1}, "9.9.9.12": {1}, "2a00:1::/32": {0, 1}, "9.9.9.13": {0}}
    removed, added, kept = step_sections(difference(served(IP, old), served(IP, new)))
    both = wire_records("ip.example", removed) & wire_records("ip.example", added)
    owners = {owner for owner, *_ in both}
    assert {"9.9.9.9.ip.example.", "12.9.9.9.ip.example.", "*.1.0.0.0.0.0.a.2.ip.example."} <= owners
    assert kept == len(owners)
    assert step_sections(difference(served(DOMAIN, {"a.com": {0}}), served(DOMAIN, {"a.com": {0, 1}}))).kept == 2


def test_a_step_changes_the_digest() -> None:
    view = served(IP, {"9.9.9.9": {0}})
    step = replace(difference(view, view), old=6, zonemd_old=b"\1" * 48, zonemd_new=b"\2" * 48)
    removed, added = (wire_records("ip.example", part) for part in step_sections(step)[:2])
    assert removed == {("ip.example.", "ZONEMD", 900, f"6 1 1 {'01' * 48}")}
    assert added == {("ip.example.", "ZONEMD", 900, f"7 1 1 {'02' * 48}")}
