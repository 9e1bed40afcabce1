"""Response policy zones: triggers, actions, relative and absolute names."""

from __future__ import annotations

import pytest

from dnsbl import subjects
from dnsbl.intake.formats import parse


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


def read(text):
    return parse(text.encode(), "rpz")


HEAD = """$TTL 300
@ IN SOA localhost. root.localhost. (
        2026010101 ; serial
        3600 900 604800 ; refresh retry expire
        300 )
  IN NS localhost.
"""


def test_actions_that_block_and_those_that_do_not():
    parsed = read(
        HEAD
        + "bad.example CNAME .\n*.bad.example CNAME .\nnodata.example 60 IN CNAME *.\ndrop.example CNAME rpz-drop.\n"
        "walled.example CNAME garden.example.net.\nlocal.example A 192.0.2.1\n              AAAA 2001:db8::1\n"
        "good.example CNAME rpz-passthru.\nself.example CNAME self.example.\ntcp.example CNAME rpz-tcp-only.\n"
        'txt.example TXT "not a ( policy; at all"\nlast.example CNAME .\n'
    )
    blocked = ["bad.example", "drop.example", "last.example", "local.example", "nodata.example", "walled.example"]
    assert texts(parsed.hits) == blocked
    assert texts(parsed.excluded) == ["good.example", "self.example"]
    assert [r.why for r in parsed.rejects] == ["asks for TCP, does not block", "a record that is no policy"]


@pytest.mark.parametrize(
    ("owner", "network"),
    [
        ("32.2.0.0.10.rpz-ip", "10.0.0.2"),
        ("24.0.2.0.192.rpz-ip", "192.0.2.0/24"),
        ("48.zz.1.db8.2001.rpz-ip", "2001:db8:1::/48"),
        ("128.57.zz.101.db8.2001.rpz-ip", "2001:db8:101::57"),
        ("128.8.7.6.5.4.3.db8.2001.rpz-ip", "2001:db8:3:4:5:6:7:8"),
        ("128.1.zz.rpz-ip", "::1"),
    ],
)
def test_addresses(owner, network):
    assert texts(read(f"{owner} CNAME .").hits) == [network]
    assert texts(read(f"{owner} CNAME rpz-passthru.").excluded) == [network]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("24.1.2.0.192.rpz-ip CNAME .", "host bits"),
        ("0.0.0.0.0.rpz-ip CNAME .", "wider"),
        ("33.1.2.0.192.rpz-ip CNAME .", "prefix"),
        ("32.1.2.0.999.rpz-ip CNAME .", "not an IPv4"),
        ("128.zz.zz.rpz-ip CNAME .", "not an IPv6"),
        ("rpz-ip CNAME .", ""),
        ("32.1.2.0.192.rpz-client-ip CNAME .", "rpz-client-ip"),
        ("32.1.2.0.192.rpz-nsip CNAME .", "rpz-nsip"),
        ("ns.bad.example.rpz-nsdname CNAME .", "rpz-nsdname"),
        ("com CNAME .", "single label"),
        ("bad.example CNAME", "without data"),
        ("bad.example IN", "not a record"),
        ("bad.example", "not a record"),
        ("$INCLUDE /etc/passwd", "not followed"),
        ("$GENERATE 1-9 a$.example CNAME .", "not followed"),
    ],
)
def test_what_is_not_taken(line, why):
    parsed = read(f"one.example CNAME .\n{line}\n")
    assert texts(parsed.hits) == ["one.example"]
    assert [(r.line, why in r.why) for r in parsed.rejects] == [(2, True)]


@pytest.mark.parametrize(
    "zone",
    [
        "$ORIGIN rpz.example.\n" + HEAD + "bad.test CNAME .\nworse.test.rpz.example. CNAME .\n",
        "rpz.example. IN SOA a. b. 1 2 3 4 5\nbad.test.rpz.example. CNAME .\nworse.test.rpz.example. CNAME .\n",
        "$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\n$ORIGIN test.rpz.example.\nbad CNAME .\nworse CNAME .\n",
        "$ORIGIN RPZ.example.\nbad.test CNAME .\nWORSE.test CNAME .\n",
        "bad.test. CNAME .\nworse.test. CNAME .\n",
    ],
)
def test_the_name_of_the_zone_comes_off(zone):
    parsed = read(zone)
    assert texts(parsed.hits) == ["bad.test", "worse.test"]
    assert parsed.rejected == 0


def test_a_name_outside_the_zone_is_a_reject():
    parsed = read("$ORIGIN rpz.example.\nbad.test. CNAME .\n@ TXT x\n")
    assert not parsed.hits
    assert [r.why for r in parsed.rejects] == ["outside the zone"]


def test_an_open_parenthesis_ends():
    parsed = read("x.example TXT ( a\n" + "b.example CNAME .\n" * 100)
    assert [r.why for r in parsed.rejects] == ["a parenthesis that is not closed"]
    assert texts(parsed.hits) == ["b.example"]
    assert [r.why for r in read("x.example TXT ( a\n").rejects] == ["a parenthesis that is not closed"]


def test_passthru_of_an_address_is_cut_out_and_the_longest_prefix_wins():
    parsed = read("24.0.2.0.192.rpz-ip CNAME .\n25.0.2.0.192.rpz-ip CNAME rpz-passthru.\n32.1.2.0.192.rpz-ip CNAME .\n")
    assert texts(parsed.hits) == ["192.0.2.1", "192.0.2.128/25"]


def test_sample(sample):
    parsed = parse(sample("urlhaus-rpz.conf"), "rpz")
    assert (len(parsed.hits), parsed.rejected) == (14, 0)
