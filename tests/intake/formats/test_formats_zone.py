"""Another blocklist's zone as a transfer leaves it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import subjects
from dnsbl.intake.formats import FormatOptions, parse, sniff

HEAD = "$ORIGIN bl.example.\n"


def read(*lines, **options):
    return parse((HEAD + "\n".join(lines) + "\n").encode(), "dnsbl-zone", FormatOptions(**options))


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


@pytest.mark.parametrize(
    ("owner", "found"),
    [
        ("5.2.0.192", "192.0.2.5"),
        ("*.2.0.192", "192.0.2.0/24"),
        ("*.0.198", "198.0.0.0/16"),
        ("*.9", "9.0.0.0/8"),
        ("5.2.0.192.bl.example.", "192.0.2.5"),
        ("5.2.0.192.BL.Example.", "192.0.2.5"),
        ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2", "2001:db8::1"),
        ("*.8.b.d.0.1.0.0.2", "2001:db8::/32"),
        ("*.d.c.b.a.8.b.d.0.1.0.0.2", "2001:db8:abcd::/48"),
        ("bad.example", "bad.example"),
        ("*.bad.example", "bad.example"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("a.b.c.de", "a.b.c.de"),
        ("1.2.3.example", "1.2.3.example"),
    ],
)
def test_an_owner_is_its_subject(owner, found):
    for line in (f"{owner} 2100 A 127.0.0.2", f"{owner} IN A 127.0.0.2", f"{owner}\t60 in a 127.0.0.2"):
        parsed = read(line)
        assert (texts(parsed.hits), parsed.rejected) == ([found], 0)


@given(st.ip_addresses())
def test_every_address_turned_round_is_that_address(address):
    if address.is_loopback or (address.version == 6 and address.ipv4_mapped) or address == ip_address("0.0.0.0"):
        return
    owner = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    parsed = read(f"{owner} 1 A 127.0.0.2")
    assert texts(parsed.hits) == ([str(address)] if not str(address).startswith("127.") else [])


def test_the_zone_itself_its_test_points_and_other_types_are_passed_over():
    parsed = read(
        "; a comment", "$TTL 60", "@ 60 A 127.0.0.2", "bl.example. 60 A 192.0.2.9", "2.0.0.127 60 A 127.0.0.2",
        "1.0.0.127 60 A 127.0.0.2", "*.0.0.127 60 A 127.0.0.2", "test 60 A 127.0.0.2", "*.test 60 A 127.0.0.2",
        "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 60 A 127.0.0.2",
        "5.2.0.192 60 TXT \"listed\"", "@ 60 NS ns.example.", "@ 60 SOA a. b. 1 2 3 4 5", "6.2.0.192 60 AAAA ::1",
    )  # fmt: skip
    assert (parsed.hits, parsed.rejected) == ({}, 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("* 60 A 127.0.0.2", "it lists everything"),
        ("5.2.0.192 60 A 203.0.113.9", "no listing"),
        ("5.2.0.192 60 A 127.255.255.254", "error of the list"),
        ("5.2.0.192 60 A x", "not an IPv4 address"),
        ("2.0.192 60 A 127.0.0.2", "not an address turned round"),
        ("1.5.2.0.192 60 A 127.0.0.2", "not an address turned round"),
        ("*.5.2.0.192 60 A 127.0.0.2", "not an address turned round"),
        ("256.2.0.192 60 A 127.0.0.2", "not an IPv4 address"),
        ("05.2.0.192 60 A 127.0.0.2", "not an address turned round"),
        ("example 60 A 127.0.0.2", "single label"),
        ("5.2.0.192.other.example. 60 A 127.0.0.2", "outside the zone"),
        ("5.2.0.192", "not a record"),
        ("$INCLUDE /etc/passwd", "not followed"),
    ],
)
def test_what_lists_nothing_is_a_reject(line, why):
    parsed = read(line)
    assert parsed.hits == {}
    assert [why in reject.why for reject in parsed.rejects] == [True]


def test_the_answer_is_the_word_and_of_several_one_that_the_map_knows():
    lines = [
        "1.2.0.192 1 A 127.0.0.2",
        "1.2.0.192 1 A 127.0.0.10",
        "2.2.0.192 1 A 127.0.0.9",
        "3.2.0.192 1 A 127.0.0.4",
    ]
    found = read(*lines, words={"127.0.0.2": "spam", "127.0.0.4": "botnet"}).words
    assert {subjects.text(key): word for key, word in found.items()} == {
        "192.0.2.1": "127.0.0.2", "192.0.2.2": "127.0.0.9", "192.0.2.3": "127.0.0.4",
    }  # fmt: skip
    assert read(*lines).words == {}, "without a map all are of the feed's category"


def test_it_is_told_from_other_lists():
    assert sniff((HEAD + "5.2.0.192 2100 A 127.0.0.2\n").encode()) == "dnsbl-zone"
