"""What exported files say of addresses, read by their programs' rules, is what the zone says."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import CODES, MasterFile, RbldnsdFile, answered, edges, reverse, served, zone

from dnsbl.errors import DnsblError
from dnsbl.intake.formats.base import FormatOptions
from dnsbl.intake.formats.rbldnsd import parser
from dnsbl.subjects import text as subject_text
from dnsbl.zones.export import FORMATS, export
from dnsbl.zones.served import ServedZone

IP = zone("ip")
TESTS = ["127.0.0.2", "127.0.0.1", "127.0.0.4", "127.0.0.10", "::ffff:127.0.0.2", "::ffff:127.0.0.1"]

# Few labels, so that networks meet: IPv4 octets that are nibbles too, and IPv6 networks that end in the same ones.
octet = st.sampled_from([0, 1, 2, 9, 10, 130])
prefix4 = st.sampled_from([8, 9, 15, 16, 17, 23, 24, 25, 30, 31, 32])
prefix6 = st.sampled_from([12, 13, 16, 17, 20, 29, 32, 33, 48, 56, 63, 64])
nibbles = st.sampled_from(["2001:db8", "2001:1", "2000:0", "2010:0", "2002:1", "2102:9", "2a00:1:2:3", "2900:0:9:8"])


def cut(address: str, prefix: int) -> str:
    number = ip_address(address)
    size = number.max_prefixlen
    return f"{type(number)(int(number) >> (size - prefix) << (size - prefix))}/{prefix}"


networks4 = st.builds(
    lambda a, b, c, d, p: cut(f"{max(a, 1)}.{b}.{c}.{d}", p), octet, octet, octet, octet, prefix4
).filter(lambda text: not text.startswith(("10.", "0.")))
networks6 = st.builds(lambda text, p: cut(f"{text}::", p), nibbles, prefix6)
codes = st.sets(st.integers(0, 2), min_size=1)
holes = st.lists(
    st.one_of(networks4, networks6, st.builds(lambda t, h: cut(f"{t}::{h:x}", 128), nibbles, st.integers(0, 99))),
    max_size=3,
)


def text(view: ServedZone, name: str) -> str:
    return b"".join(export(view, name)).decode()


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.one_of(networks4, networks6), codes, max_size=7), holes)
def test_both_formats_say_what_the_zone_says(listed: dict[str, set[int]], exempt: list[str]) -> None:
    view = served(IP, listed, exempt)
    rbldnsd, bind = RbldnsdFile(text(view, "rbldnsd")), MasterFile(text(view, "bind"))
    asked = [*edges([*listed, *exempt]), *TESTS]
    asked += ["2.0.0.1", "2.0.0.15", "2.1.2.3", "200f::1", "2001:db8::1", "20a0::", "2910::1", "1.1.1.1", "2.9.1.0"]
    for address in asked:
        expected = answered(view, address)
        assert rbldnsd.address(address) == expected, address
        assert (bind.addresses(reverse(address)) or set()) == expected, address
        for sublist, code in (("spam", CODES[0]), ("bad", CODES[1])):
            assert rbldnsd.address(address, sublist) == expected & {code}
            assert (bind.addresses(f"{reverse(address)}.{sublist}") or set()) == expected & {code}


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        ({"2.0.0.0/24": [0]}, ["200f::1", "2000::1"]),  # *.0.0.2 is not 200?::
        ({"2.0.0.0/24": [0], "2001:db8::/32": [1]}, ["2.0.0.1", "2.0.0.9", "2001:db8::1", "2001:db9::1"]),
        ({"2.0.0.0/8": [0], "2001:db8::/32": [1]}, ["2.1.0.0", "2.0.0.1", "2.3.200.1", "2.77.1.1", "2abc::"]),
        ({"2010::/12": [0]}, ["2.0.1.1", "2.0.1.200", "201f::1"]),
        ({"2000::/12": [0], "2.0.0.0/16": [1]}, ["2.0.0.0", "2.0.1.5", "2000::", "200f:ffff::", "2010::"]),
    ],
)
def test_a_wildcard_of_one_family_does_not_answer_for_the_other(listed: dict[str, list[int]], asked: list[str]) -> None:
    view = served(IP, listed)
    bind = MasterFile(text(view, "bind"))
    for address in asked:
        assert (bind.addresses(reverse(address)) or set()) == answered(view, address), address


def test_texts_name_the_address_or_the_network() -> None:
    view = served(IP, {"198.18.0.0/16": [1], "9.9.9.9": [0, 1], "8.80.0.0/16": [0], "2a00:1:2:3::/64": [0]})
    bind = MasterFile(text(view, "bind"))
    spam = '"Spam: \\"%s\\" costs $5, see https://bl.example/?%s"'
    assert bind.data("9.9.9.9", "TXT") == {spam % ("9.9.9.9", "9.9.9.9"), '"Malware"'}
    assert bind.data("1.2.80.8", "TXT") == {spam % (("8.80.0.0/16",) * 2)}
    assert bind.data(reverse("2a00:1:2:3::9"), "TXT") == {spam % (("2a00:1:2:3::/64",) * 2)}
    assert bind.data("10.0.0.127", "TXT") == set()


def test_a_code_without_text_has_no_txt_record() -> None:
    view = served(IP, {"9.9.9.9": [2]})
    assert MasterFile(text(view, "bind")).records["9.9.9.9"] == [("A", "127.0.0.10")]


def test_long_texts_become_several_strings_and_other_octets_numbers() -> None:
    codes = [{"code": "127.0.0.2", "categories": ["spam"], "text": "é\n" + "x" * 250 + " $"}]
    view = served(zone("ip", codes=codes), {"9.9.9.9": [0]})
    found = MasterFile(text(view, "bind")).data("9.9.9.9", "TXT")
    assert found == {'"\\195\\169\\010' + "x" * 250 + ' 9" ".9.9.9"'}
    assert f":127.0.0.2:é {'x' * 250} $\n" in text(view, "rbldnsd")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("$ costs $$5", "$ costs $$5"),
        ("$5 off", "$ 5 off"),  # $5 is a variable of rbldnsd's
        ("$= x", "$ = x"),
        ("=$", "==$"),  # the first = is dropped
        ("$$$", "$$$"),
        ("$ $$", "$ $$"),
        ("a\r\nb\tc", "a b c"),
    ],
)
def test_texts_are_written_as_rbldnsd_reads_them(ours: str, theirs: str) -> None:
    codes = [{"code": "127.0.0.2", "categories": ["spam"], "text": ours}]
    view = served(zone("ip", codes=codes), {})
    assert f"\n:127.0.0.2:{theirs}\n127.0.0.2\n" in text(view, "rbldnsd")


GOLDEN_RBLDNSD = """\
# zone ip.example (ip), serial 7, made 2026-09-21T14:13:20Z
# 4 listed ranges and addresses, before any is cut or joined for this format
# Serve it with: rbldnsd ... ip.example:combined:FILE
# What rbldnsd does otherwise: names above a listed one are NXDOMAIN, not empty; a text is cut at 255 bytes;
# a reply holds 512 bytes; the apex has no AAAA.
# Listed IPv4 addresses are also listed as ::ffff:a.b.c.d.
$SOA 900 ns1.example.net hostmaster.dnsbl.test 7 900 300 604800 60
$NS 86400 ns1.example.net
$TTL 300
$DATASET generic:apex @
@ A 9.9.9.1
@ TXT "A list"
$DATASET ip4set:127.0.0.2 @ spam
:127.0.0.2:Spam: "$" costs $$5, see https://bl.example/?$
8.8.0.0/31
8.8.0.2
127.0.0.2
$DATASET ip6trie:127.0.0.2 @ spam
:127.0.0.2:Spam: "$" costs $$5, see https://bl.example/?$
0:0:0:0:0:ffff:7f00:2
$DATASET ip4set:127.0.0.4 @ bad
:127.0.0.4:Malware
8.8.0.1
127.0.0.2
127.0.0.4
$DATASET ip6trie:127.0.0.4 @ bad
:127.0.0.4:Malware
2a00:1::/33
0:0:0:0:0:ffff:7f00:2
0:0:0:0:0:ffff:7f00:4
$DATASET ip4set:127.0.0.10 @
:127.0.0.10:
127.0.0.2
127.0.0.10
$DATASET ip6trie:127.0.0.10 @
:127.0.0.10:
0:0:0:0:0:ffff:7f00:2
0:0:0:0:0:ffff:7f00:a
"""


def golden() -> ServedZone:
    described = zone("ip", apex={"a": ["9.9.9.1"], "aaaa": ["2a00::1"], "txt": ["A list"]})
    return served(described, {"8.8.0.0/30": [0], "8.8.0.1": [1], "2a00:1::/33": [1]}, ["8.8.0.3"])


def test_a_small_zone_for_rbldnsd() -> None:
    assert text(golden(), "rbldnsd") == GOLDEN_RBLDNSD


GOLDEN_BIND = r"""
$ORIGIN ip.example.
$TTL 300
@	900	IN SOA ns1.example.net. hostmaster.dnsbl.test. 7 900 300 604800 60
	86400	NS ns1.example.net.
	A 9.9.9.1
	AAAA 2a00::1
	TXT "A list"
0.0.8.8	A 127.0.0.2
	TXT "Spam: \"8.8.0.0\" costs $5, see https://bl.example/?8.8.0.0"
2.0.8.8	A 127.0.0.2
	TXT "Spam: \"8.8.0.2\" costs $5, see https://bl.example/?8.8.0.2"
4.0.0.127	A 127.0.0.4
	TXT "Malware"
1.0.8.8	A 127.0.0.2
	A 127.0.0.4
	TXT "Spam: \"8.8.0.1\" costs $5, see https://bl.example/?8.8.0.1"
	TXT "Malware"
10.0.0.127	A 127.0.0.10
2.0.0.127	A 127.0.0.2
	A 127.0.0.4
	A 127.0.0.10
	TXT "Spam: \"127.0.0.2\" costs $5, see https://bl.example/?127.0.0.2"
	TXT "Malware"
"""


def test_a_small_zone_as_a_master_file() -> None:
    found = text(golden(), "bind")
    head, _, rest = found.partition("$ORIGIN")
    assert head.startswith("; zone ip.example (ip), serial 7, made 2026-09-21T14:13:20Z\n; 4 listed ranges")
    assert f"\n$ORIGIN{rest}".startswith(GOLDEN_BIND)
    assert all(f"\n*.{half}.1.0.0.0.0.0.a.2\tA" in found for half in range(8)) and "*.8.1.0.0.0.0.0.a.2" not in found
    assert "\n*.7.1.0.0.0.0.0.a.2.bad\tA 127.0.0.4\n" in found


def test_what_is_exported_for_rbldnsd_can_be_imported() -> None:
    parsed = parser("combined")(text(golden(), "rbldnsd").encode(), FormatOptions())
    listed = {"8.8.0.0/31", "8.8.0.1", "8.8.0.2", "2a00:1::/33", "127.0.0.2", "127.0.0.4", "127.0.0.10"}
    assert {subject_text(key) for key in parsed.hits} == listed
    assert not parsed.excluded
    assert {reject.why for reject in parsed.rejects} == {"a dataset of type generic is no list"}  # the origin's records


def test_there_is_no_other_format() -> None:
    with pytest.raises(DnsblError, match=r"rbldnsd, .*, bind, "):
        export(golden(), "nothing")
    for name, described in FORMATS.items():
        assert described.name == name and described.about and described.suffix.startswith(".")
        assert "/" in described.content_type
