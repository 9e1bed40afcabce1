"""The digest of a zone is what others make of its records, and they take the master file with it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import program, zone
from reading import file_zone
from test_export_addresses import holes
from test_export_exact import HASHES, NUMBERS
from test_export_names import NAMES
from test_wire import IP, addresses, exemptions, held_by, names, wordy

from dnsbl.config import ZoneDef
from dnsbl.zones import canonical, inorder
from dnsbl.zones.contents import Contents
from dnsbl.zones.export.bind import lines
from dnsbl.zones.zonemd import digest


def signed(held: Contents) -> Contents:
    held.zonemd = digest(held)
    return held


def assert_verified(held: Contents) -> None:
    """As dnspython does it, which sorts names and records itself. Raises where the digest is another."""
    file_zone(signed(held)).verify_digest()


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([IP, wordy("ip")]), addresses, holes)
def test_addresses_are_digested_in_canonical_order(
    described: ZoneDef, listed: Mapping[str, set[int]], exempt: list[str]
) -> None:
    assert_verified(held_by(described, listed, exempt))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([zone("domain"), wordy("domain")]), names, exemptions, st.sampled_from([1, 2, 5, canonical.SOME])
)
def test_names_are_digested_in_canonical_order(
    described: ZoneDef, listed: Mapping[str, set[int]], exempt: set[str], some: int
) -> None:
    with mock.patch.object(inorder, "SOME", some), mock.patch.object(canonical, "SOME", some):
        assert_verified(held_by(described, listed, exempt))


@pytest.mark.parametrize(("kind", "subjects"), [("e164", NUMBERS), ("hash", HASHES)])
def test_exact_names_are_digested_in_canonical_order(kind: str, subjects: list[str]) -> None:
    assert_verified(held_by(zone(kind), {subject: {place % 3} for place, subject in enumerate(subjects)}))


@pytest.mark.parametrize("kind", ["ip", "domain"])
def test_a_zone_that_ends_has_a_digest_too(kind: str) -> None:
    assert_verified(held_by(zone(kind, shutdown=True), {}))


SUBLISTS = zone(
    "ip",
    codes=[
        {"code": "127.0.0.2", "categories": ["spam"], "text": "$", "sublist": "1a"},
        {"code": "127.0.0.9", "categories": ["malware"], "text": "$ $", "sublist": "zz"},
        {"code": "127.0.0.10", "categories": ["dynamic"], "sublist": "zz"},
    ],
)
FAMILIES = {
    "2.0.0.0/22": {0}, "2.0.200.0/24": {1}, "20.1.1.1": {0}, "200.1.1.1": {0}, "3.10.0.0/22": {2}, "3.9.0.1": {0, 1},
    "2000::/12": {0}, "2001:db8::/32": {1}, "2020:1:2:3::/64": {0}, "3900::/13": {2}, "a000::/13": {0},
}  # fmt: skip


def test_the_names_of_both_families_and_of_sublists_are_between_one_another() -> None:
    assert_verified(held_by(SUBLISTS, FAMILIES, ["2000:7::1", "2020:1:2:3::ff00/120", "2.0.3.4"]))


@pytest.mark.parametrize(
    "texts",
    [("$ b", "1$ a"), ("b $", "a $"), ("$1", "1$"), ("x" * 300, "x" * 255 + "$"), ("same $", "same $")],
)
def test_texts_of_one_name_are_in_the_order_of_their_octets(texts: tuple[str, str]) -> None:
    codes = [
        {"code": f"127.0.0.{n + 2}", "categories": [c], "text": texts[n]} for n, c in enumerate(("spam", "malware"))
    ]
    listed = ["1.1.1.1", "2.2.2.2", "1.1.2.2", "9.1.1.1"]
    assert_verified(held_by(zone("ip", codes=codes), {address: {0, 1} for address in listed}))


def test_the_digest_is_of_all_there_is() -> None:
    listed = {"9.9.9.9": {0}, "2a00:1::/32": {1}}
    apex = {"txt": ["A list"]}
    same = [digest(held_by(zone("ip", apex=apex), listed)) for _ in range(2)]
    others = [
        digest(held_by(zone("ip"), listed)),
        digest(held_by(zone("ip", apex=apex, ttl=77), listed)),
        digest(held_by(zone("ip", apex=apex, ns=["ns9.example"]), listed)),
        digest(held_by(zone("ip", apex=apex), listed | {"9.9.9.8": {0}})),
        digest(held_by(zone("ip", apex=apex), listed | {"9.9.9.9": {1}})),
    ]
    assert same[0] == same[1] and len({*same, *others}) == 1 + len(others)


def test_names_in_configuration_are_digested_in_lower_case() -> None:
    one = zone("ip", ns=["NS1.Example.net"], soa={"rname": "Host.Example"})
    other = zone("ip", ns=["ns1.example.net"], soa={"rname": "host.example"})
    assert digest(held_by(one, {})) == digest(held_by(other, {}))


# other programs

ZONES = {
    "ip": (SUBLISTS, FAMILIES, ["2000:7::1", "2.0.3.4"]),
    "domain": (wordy("domain"), {name: {0} for name in NAMES[:9]}, ["a.a.com"]),
    "e164": (zone("e164"), {number: {0, 1} for number in NUMBERS}, []),
    "hash": (zone("hash"), {one: {1} for one in HASHES}, []),
}


@pytest.mark.peer
@pytest.mark.parametrize("kind", ZONES)
@pytest.mark.parametrize(
    "command",
    [
        ["named-checkzone", "-k", "ignore", "-i", "local", "{origin}", "{file}"],
        ["kzonecheck", "-o", "{origin}", "{file}"],
        ["ldns-verify-zone", "-Z", "{file}"],
        ["ldns-read-zone", "{file}"],
    ],
    ids=lambda command: command[0],
)
def test_others_take_the_master_file_and_its_digest(tmp_path: Path, kind: str, command: list[str]) -> None:
    described, listed, exempt = ZONES[kind]
    held = signed(held_by(described, listed, exempt))
    (tmp_path / "zone").write_text("".join(lines(held)))
    known = {"origin": described.origin, "file": str(tmp_path / "zone")}
    found = program(command[0])
    done = subprocess.run([found, *(part.format(**known) for part in command[1:])], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.peer
def test_others_refuse_another_digest(tmp_path: Path) -> None:
    held = signed(held_by(zone("ip"), FAMILIES))
    held.zonemd = bytes([held.zonemd[0] ^ 1]) + held.zonemd[1:]
    (tmp_path / "zone").write_text("".join(lines(held)))
    done = subprocess.run(
        [program("ldns-verify-zone"), "-Z", tmp_path / "zone"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0 and "ZONEMD" in done.stdout + done.stderr
