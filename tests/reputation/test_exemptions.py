"""Who may not be listed, asked of the fast tables and of every exemption one by one."""

from __future__ import annotations

import ipaddress
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.reputation.exemptions import Exemptions
from dnsbl.special import NEVER_LIST, never_listed
from dnsbl.store import Exemption
from dnsbl.subjects import ancestors, ip4_key, ip6_key, is_ip, parse, text

NOW = 1_000
FOUR = ["5.5.5.0", "5.5.5.1", "5.5.5.0/31", "5.5.5.2/31", "5.5.5.0/30", "5.5.5.4/30", "5.5.5.0/29", "0.0.0.0/0"]
SIX = ["2a00::/64", "2a00::/65", "2a00::8000:0:0:0/65", "2a00::/63", "2a00::1", "2a00:0:0:1::/64"]
NAMES = ["a.com", "b.a.com", "c.b.a.com", "a-b.com", "b.com"]
OTHERS = ["+4930123456", "email:" + "a" * 40]
EVERY = [*FOUR, *SIX, *NAMES, *OTHERS]

exemption = st.builds(
    Exemption,
    subject=st.sampled_from(EVERY).map(parse),
    reason=st.just("why"),
    origin=st.sampled_from(["operator", "removal", "a-list"]),
    zone=st.sampled_from(["", "ip", "other"]),
    since=st.integers(1, NOW),
    until=st.none() | st.sampled_from([NOW - 1, NOW, NOW + 1]),
)


def unique(rows: list[Exemption]) -> list[Exemption]:
    """A store has one of each subject, zone and origin."""
    return list({(e.subject, e.zone, e.origin): e for e in rows}.values())


def network(key: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ip_network((key[1:-1], key[-1]))


def brute(rows: list[Exemption], subject: bytes, zone: str) -> bool:
    active = [e.subject for e in rows if (e.until is None or e.until > NOW) and e.zone in ("", zone)]
    if not is_ip(subject):
        return any(above in active for above in ancestors(subject))
    wanted = network(subject)
    cover = [network(s) for s in [*active, *NEVER_LIST] if is_ip(s) and s[:1] == subject[:1]]
    left = [wanted]
    for one in cover:
        rest = []
        for part in left:
            if part.subnet_of(one):  # type: ignore[arg-type]
                continue
            rest += list(part.address_exclude(one)) if one.subnet_of(part) else [part]  # type: ignore[arg-type]
        left = rest
    return not left


@settings(max_examples=400, deadline=None)
@given(st.lists(exemption, max_size=6).map(unique), st.sampled_from(EVERY), st.sampled_from(["", "ip", "none"]))
def test_covers_is_what_every_exemption_together_covers(rows: list[Exemption], subject: str, zone: str) -> None:
    assert Exemptions(rows, NOW).covers(parse(subject), zone) == brute(rows, parse(subject), zone)


@settings(max_examples=100, deadline=None)
@given(st.lists(exemption, max_size=6).map(unique), st.lists(st.sampled_from(EVERY)), st.sampled_from(["", "ip"]))
def test_many_at_once_are_as_one_by_one(rows: list[Exemption], subjects: list[str], zone: str) -> None:
    asked = [parse(subject) for subject in [*subjects, "10.1.2.3", "255.255.255.255", "0.0.0.0"]]
    ready = Exemptions(rows, NOW)
    assert [bool(answer) for answer in ready.covered(asked, zone)] == [ready.covers(key, zone) for key in asked]


@settings(max_examples=200, deadline=None)
@given(st.lists(exemption, max_size=6).map(unique), st.sampled_from(EVERY), st.sampled_from(["", "ip"]))
def test_why_names_only_what_covers(rows: list[Exemption], subject: str, zone: str) -> None:
    found = Exemptions(rows, NOW).why(parse(subject), zone)
    for reason in found:
        assert reason in rows
        assert brute([reason], parse(subject), reason.zone)
    if not is_ip(parse(subject)):
        assert bool(found) == brute(rows, parse(subject), zone) or not zone


@settings(max_examples=200, deadline=None)
@given(st.lists(exemption, max_size=6).map(unique), st.sampled_from(EVERY))
def test_what_a_removal_forgave_stays_forgiven_after_it_ended(rows: list[Exemption], subject: str) -> None:
    key = parse(subject)
    moments = [
        e.since for e in rows if e.origin == "removal" and e.zone in ("", "ip") and e.subject in set(ancestors(key))
    ]
    assert Exemptions(rows, NOW).forgiven(key, "ip") == max(moments, default=0)


def test_why_names_every_exemption_of_a_subject() -> None:
    """An operator and a list may exempt the same subject: a person must see both."""
    rows = [Exemption(parse("5.5.5.1"), "ours", "operator"), Exemption(parse("5.5.5.1"), "shared", "a-list")]
    assert {e.reason for e in Exemptions(rows, NOW).why(parse("5.5.5.1"))} == {"ours", "shared"}


RANGES_OF_RFC6890 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
    ::1/128 ::/128 64:ff9b::/96 100::/64 2001::/23 2001::/32 2001:2::/48 2001:db8::/32 2001:10::/28 2002::/16
    fc00::/7 fe80::/10
"""


@pytest.mark.parametrize("range_of_rfc", RANGES_OF_RFC6890.split())
def test_ranges_of_rfc6890_are_never_listed(range_of_rfc: str) -> None:
    whole = ip_network(range_of_rfc)
    key = (ip4_key if whole.version == 4 else ip6_key)(*range_of_rfc.split("/"))
    for subject in (key, parse(str(whole[0])), parse(str(whole[-1]))):
        assert never_listed(subject)
        assert Exemptions([], NOW).covers(subject)
        assert Exemptions([], NOW).covers(subject, "any")
        assert Exemptions([], NOW).why(subject)[0].origin == "never-list"


def test_the_mapped_range_is_never_listed() -> None:
    assert never_listed(b"6" + bytes(10) + b"\xff\xff" + bytes(4) + b"\x60")


@pytest.mark.parametrize(
    "subject",
    ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
     "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
     "0.0.0.0/0", "8.0.0.0/5", "2001:200::/64", "2003::/16", "2000::/3", "fbff::/64", "::2", "64:ff9c::/64"],
)  # fmt: skip
def test_their_neighbours_may_be_listed(subject: str) -> None:
    assert not never_listed(parse(subject))
    assert not Exemptions([], NOW).covers(parse(subject))


@pytest.mark.parametrize("name", ["host.localhost", "a.test", "b.a.test", "a.invalid"])
def test_special_names_are_never_listed(name: str) -> None:
    assert Exemptions([], NOW).covers(parse(name))


@pytest.mark.parametrize("name", ["test.com", "localhost.example", "contest.a", "a.testing"])
def test_names_that_only_look_like_them_may_be_listed(name: str) -> None:
    assert not Exemptions([], NOW).covers(parse(name))


@given(st.lists(exemption, max_size=6).map(unique))
def test_holes_are_every_active_exemption_and_the_never_list(rows: list[Exemption]) -> None:
    active = {e.subject for e in rows if (e.until is None or e.until > NOW) and e.zone in ("", "ip")}
    assert set(Exemptions(rows, NOW).holes("ip")) == active | set(NEVER_LIST)


def test_subjects_read_as_themselves() -> None:
    assert [text(parse(subject)) for subject in EVERY] == EVERY
