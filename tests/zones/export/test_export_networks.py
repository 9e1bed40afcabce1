"""Files for firewalls, mail servers and programs list what the zone lists, to the address; and no test points."""

from __future__ import annotations

import io
from ipaddress import collapse_addresses, ip_network

import maxminddb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import CODES, answered, edges, served, zone
from readers import (
    ANY,
    body,
    cidr,
    csv_networks,
    dataset,
    ipset,
    mmdb,
    ndjson_networks,
    nftables,
    postfix,
    rpz_addresses,
)

from dnsbl.errors import DnsblError
from dnsbl.zones.contents import Contents
from dnsbl.zones.export import FORMATS, export, of_kind
from dnsbl.zones.export.entries import public
from dnsbl.zones.table import Deep, pieces

IP = zone("ip")
TESTS = ["127.0.0.1", "127.0.0.2", "127.0.0.4", "127.0.0.10", "::ffff:127.0.0.1", "::ffff:127.0.0.2"]

# Few numbers, so that networks meet and touch.
octet = st.sampled_from([0, 1, 2, 127, 128, 255])
networks4 = st.builds(
    lambda a, b, c, d, p: str(ip_network(f"{a}.{b}.{c}.{d}/{p}", strict=False)),
    st.sampled_from([8, 9, 126, 128, 223]), octet, octet, octet, st.sampled_from([8, 9, 16, 23, 24, 30, 31, 32]),
)  # fmt: skip
networks6 = st.builds(
    lambda word, low, p: str(ip_network(f"2a00:{word}:0:{low}::/{p}", strict=False)),
    st.sampled_from(["1", "2", "ffff"]), st.sampled_from(["0", "1", "7fff"]), st.sampled_from([29, 32, 48, 63, 64]),
)  # fmt: skip
inside6 = st.builds(
    lambda word, low, p: str(ip_network(f"2a00:{word}:0:1:{low}::/{p}", strict=False)),
    st.sampled_from(["1", "2"]), st.sampled_from(["0", "8000"]), st.sampled_from([65, 66, 80, 128]),
)  # fmt: skip
listings = st.dictionaries(st.one_of(networks4, networks6), st.sets(st.integers(0, 2), min_size=1), max_size=7)
holes = st.lists(st.one_of(networks4, networks6, inside6), max_size=3)


@settings(max_examples=60, deadline=None)
@given(listings, holes)
def test_every_file_lists_what_the_zone_lists(listed: dict[str, set[int]], exempt: list[str]) -> None:
    view = served(IP, listed, exempt)
    with_codes = {"csv": csv_networks(view), "ndjson": ndjson_networks(view), "mmdb": mmdb(view)}
    without = {
        "cidr": cidr(view), "aggregated": cidr(view, "cidr-aggregated"), "nftables": nftables(view),
        "ipset": ipset(view), "postfix": postfix(view), "postscreen": postfix(view, "postscreen-cidr"),
        "rpz": rpz_addresses(view),
    }  # fmt: skip
    for address in [*edges([*listed, *exempt]), "1.1.1.1", "2a00::1"]:
        expected = answered(view, address)
        for name, found in with_codes.items():
            assert found(address) == expected, f"{name}: {address}"
        for name, found in without.items():
            assert found(address) == (ANY if expected else set()), f"{name}: {address}"
    for address in TESTS:
        for name, found in {**with_codes, **without}.items():
            assert found(address) == set(), f"{name} lists the test point {address}"


@settings(max_examples=40, deadline=None)
@given(listings, holes)
def test_single_data_sets_say_what_the_zone_says(listed: dict[str, set[int]], exempt: list[str]) -> None:
    view = served(IP, listed, exempt)
    whole, trie4 = dataset(view, "rbldnsd-ip4set"), dataset(view, "rbldnsd-ip4trie")
    trie6 = dataset(view, "rbldnsd-ip6trie")
    for address in [*edges([*listed, *exempt]), *TESTS]:
        expected = answered(view, address)
        first = {min(expected, key=CODES.index)} if expected else set()
        if ":" in address:
            assert trie6(address) == first, address
        else:
            assert (whole(address), trie4(address)) == (expected, first), address


@settings(max_examples=40, deadline=None)
@given(listings, holes)
def test_aggregated_networks_are_the_fewest(listed: dict[str, set[int]], exempt: list[str]) -> None:
    view = served(IP, listed, exempt)
    for version in (4, 6):
        plain = [ip_network(line) for line in body(view, f"cidr{version}")]
        fewest = [ip_network(line) for line in body(view, f"cidr{version}-aggregated")]
        assert sorted(fewest) == [*collapse_addresses(plain)]
        assert {network.version for network in plain} <= {version}
    assert body(view, "cidr") == body(view, "cidr4") + body(view, "cidr6")


def test_holes_in_neighbouring_64s_leave_the_fewest_networks() -> None:
    """A /64 that is whole in all but its codes is one with its neighbours."""
    view = served(IP, {"2a00:1::/63": [0], "2a00:1:0:1::/64": [1], "2a00:2::/64": [0]}, ["2a00:2::5"])
    assert body(view, "cidr6-aggregated")[0] == "2a00:1::/63"
    assert "2a00:2::4" in body(view, "cidr6-aggregated") and "2a00:2::5" not in body(view, "cidr6-aggregated")


@pytest.mark.parametrize("format", of_kind("ip"))
def test_an_empty_zone_makes_a_file_too(format: str) -> None:
    assert b"".join(export(served(IP, {}), format))


def test_tables_of_postfix_refuse_with_the_text() -> None:
    view = served(IP, {"8.8.0.0/31": [0], "9.9.9.9": [1, 0], "8.1.1.1": [2]})
    assert body(view, "postfix-cidr") == [
        "8.1.1.1 REJECT 5.7.1 8.1.1.1 is listed in ip.example",
        '8.8.0.0/31 REJECT 5.7.1 Spam: "8.8.0.0/31" costs $5, see https://bl.example/?8.8.0.0/31',
        '9.9.9.9 REJECT 5.7.1 Spam: "9.9.9.9" costs $5, see https://bl.example/?9.9.9.9',
    ]
    assert body(view, "postscreen-cidr")[0] == "8.1.1.1 reject"


def test_who_is_listed_as_good_is_not_refused() -> None:
    codes = [{"code": "127.0.5.1", "categories": ["mail-provider"]}, {"code": "127.0.0.2", "categories": ["spam"]}]
    view = served(zone("ip", codes=codes), {"8.8.8.0/24": [0], "8.8.8.8": [0, 1]})
    assert postfix(view)("8.8.8.8") == ANY and postfix(view)("8.8.8.9") == set()
    assert "8.8.8.9 DUNNO" in body(view, "postfix-cidr")
    assert "8.8.8.9 permit" in body(view, "postscreen-cidr")
    assert rpz_addresses(view)("8.8.8.8") == ANY and rpz_addresses(view)("8.8.8.9") == set()


def test_a_mmdb_says_what_it_is() -> None:
    view = served(zone("ip", licence="CC BY 4.0"), {"9.9.9.9": [0, 2], "2a00:1::/32": [1]})
    reader = maxminddb.open_database(io.BytesIO(b"".join(export(view, "mmdb"))), maxminddb.MODE_FD)
    described = reader.metadata()
    assert described.database_type == "dnsbl-ip" and described.build_epoch == 1_790_000_000
    assert "licence: CC BY 4.0" in described.description["en"] and "serial 7" in described.description["en"]
    assert reader.get("9.9.9.9") == {
        "zone": "ip.example",
        "codes": [CODES[0], CODES[2]],
        "texts": ['Spam: "$" costs $$5, see https://bl.example/?$'],
    }
    assert reader.get_with_prefix_len("2a00:1::1")[1] == 32
    assert {str(network) for network, _ in reader} == {"9.9.9.9/32", "2a00:1::/32"}


def test_a_set_of_ipset_has_a_name_that_the_kernel_takes() -> None:
    names = {body(served(zone("ip", name=name), {}), "ipset")[0].split()[1] for name in ("a" * 63, "a" * 62 + "b", "a")}
    assert len(names) == 3 and max(map(len, names)) + len("-new") <= 31 and "dnsbl-a-4" in names


def test_the_licence_is_in_every_head() -> None:
    view = served(zone("ip", licence="CC BY 4.0"), {})
    for format in of_kind("ip"):
        assert b"licence: CC BY 4.0" in b"".join(export(view, format)), format


def test_a_licence_is_one_line() -> None:
    with pytest.raises(ValueError, match="licence"):
        zone("ip", licence="CC BY 4.0\nadd element inet x v4 { 0.0.0.0/0 }")


@pytest.mark.parametrize("kind", ["domain", "hash", "e164"])
def test_a_format_for_addresses_refuses_names_and_says_what_takes_them(kind: str) -> None:
    view = served(zone(kind), {})
    for name, format in FORMATS.items():
        if kind in format.kinds:
            assert b"".join(export(view, name))
        else:
            with pytest.raises(DnsblError, match="use one of rbldnsd, "):
                export(view, name)


def test_files_of_all_formats_have_names_of_their_own() -> None:
    assert len({format.suffix for format in FORMATS.values()}) == len(FORMATS)


@given(st.lists(st.integers(125 << 24, 130 << 24), unique=True, max_size=8))
def test_loopback_is_cut_out_of_whatever_a_zone_has(ends: list[int]) -> None:
    """Also of what a mirror took from elsewhere, which is not built here."""
    ends = sorted(ends)[: len(ends) // 2 * 2]
    ranges = [(first, last, 1) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    held = public(Contents(IP, 7, 7, pieces(ranges), pieces([(0, 5, 1)]), [Deep(0, 1, 9, 1), Deep(9, 1, 9, 1)]))
    left = [*zip(held.ip4.first.tolist(), held.ip4.last.tolist(), strict=True)]
    for number in {end + step for end in [*ends, 127 << 24, 128 << 24] for step in (-1, 0, 1)}:
        expected = number >> 24 != 127 and any(first <= number <= last for first, last, _ in ranges)
        assert any(first <= number <= last for first, last in left) == expected, number
    assert (held.ip6.first.tolist(), held.ip6.last.tolist()) == ([1], [5])
    assert held.deep == [Deep(9, 1, 9, 1)]
