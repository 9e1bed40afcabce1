"""SPF: which hosts a domain allows, with a zone that is honest, wrong, endless or silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from authentication_peers import PEER, World, lookups_through

from dnsbl.intake.authentication import Lookups
from dnsbl.intake.authentication.spf import check_spf, mail_from_domain

Ask = Callable[..., str]


@pytest.fixture
def spf(world: World, lookups: Lookups) -> Ask:
    """The result for a record of test.example and a peer."""

    def ask(record: str | bytes, peer: str = PEER, mail_from: str = "ann@test.example") -> str:
        world.add("test.example", "TXT", record)
        with lookups.for_mail() as asked:
            return check_spf(peer, "host.example.net", mail_from, asked)[0]

    return ask


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:198.51.100.0/24 -all", "pass"), ("v=spf1 a:other.example -all", "pass"),
        ("v=spf1 mx -all", "pass"), ("v=spf1 ip4:192.0.2.1 -all", "fail"), ("v=spf1 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"), ("v=spf1", "neutral"), ("v=spf10 -all", "none"), ("v=DMARC1; p=none", "none"),
        ("v=spf1 exists:%{ir}.allowed.example -all", "pass"), ("v=spf1 exists:%{l}.allowed.example -all", "fail"),
        ("v=spf1 include:example.com -all", "pass"), ("v=spf1 redirect=example.com", "pass"),
        ("v=spf1 ptr:example.com -all", "pass"), ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 ip4:198.51.100.300 -all", "permerror"), ("v=spf1 nonsense -all", "permerror"),
        ("v=spf1 include:nothing.example -all", "permerror"), ("v=spf1 include:test.example -all", "permerror"),
        ("v=spf1 redirect=test.example", "permerror"), ("v=spf1 a:%{ -all", "permerror"),
        ("v=spf1 include:broken.example -all", "temperror"), ("v=spf1 -all exp=broken.example", "fail"),
        ("v=spf1 a:" + "x." * 300 + "example ip4:198.51.100.7 -all", "permerror"),
        (b"v=spf1 a:\xff.example -all", "permerror"),
    ],
)  # fmt: skip
def test_each_mechanism_says_what_the_rfc_says(spf: Ask, world: World, record: str | bytes, result: str) -> None:
    world.add("other.example", "A", "192.0.2.1", PEER)
    world.add("test.example", "MX", (10, "other.example"))
    world.add("7.100.51.198.allowed.example", "A", "127.0.0.2")
    world.add("7.100.51.198.in-addr.arpa", "PTR", "mail.example.com")
    world.add("mail.example.com", "A", PEER)
    world.broken.add("broken.example")
    assert spf(record) == result


def test_ipv6_and_mapped_addresses_are_what_they_are(spf: Ask) -> None:
    assert spf("v=spf1 ip4:198.51.100.7 ip6:2001:db8::/32 -all", "::ffff:198.51.100.7") == "pass"
    assert spf("", "2001:db8::1%eth0") == "pass"


@pytest.mark.parametrize("peer", ["", "unix", "198.51.100.7:25", "list", "list6", "999.1.1.1"])
def test_what_is_no_address_is_allowed_nothing(spf: Ask, peer: str) -> None:
    """`list` is a word of the library, which then lets everybody pass."""
    assert spf("v=spf1 +all", peer) == "none"


def test_two_records_are_an_error(spf: Ask, world: World) -> None:
    world.add("test.example", "TXT", "v=spf1 -all")
    assert spf("v=spf1 +all") == "permerror"


def test_ten_look_ups_are_all(spf: Ask, world: World) -> None:
    for number in range(12):
        world.add(f"i{number}.example", "TXT", f"v=spf1 include:i{number + 1}.example -all")
    assert spf("v=spf1 include:i0.example +all") == "permerror"
    assert ("i11.example", "TXT") not in world.asked


def test_two_void_look_ups_are_all(spf: Ask, world: World) -> None:
    assert spf("v=spf1 a:v1.example a:v2.example a:v3.example a:v4.example +all") == "permerror"
    assert ("v4.example", "A") not in world.asked


def test_one_mail_asks_only_so_much(spf: Ask, world: World) -> None:
    """Ten `mx` with ten hosts each are within the RFC, and beyond us."""
    for number in range(10):
        world.add(f"m{number}.example", "MX", *((10, f"h{host}.m{number}.example") for host in range(10)))
        for host in range(10):
            world.add(f"h{host}.m{number}.example", "A", "192.0.2.9")
    assert spf("v=spf1 " + " ".join(f"mx:m{number}.example" for number in range(10)) + " +all") == "temperror"
    assert len(world.asked) <= 60


def test_a_large_record_comes_by_tcp(spf: Ask, world: World) -> None:
    world.add("test.example", "TXT", *(f"other-verification={number}=" + "x" * 200 for number in range(20)))
    assert spf("v=spf1 ip4:198.51.100.7 -all") == "pass"


def test_an_alias_is_followed(spf: Ask, world: World) -> None:
    world.add("alias.example", "CNAME", "example.com")
    assert spf("v=spf1 include:alias.example -all") == "pass"


@pytest.mark.parametrize("end", ["one.example", "two.example"])
def test_a_loop_of_aliases_is_no_answer(world: World, resolver: str, end: str) -> None:
    world.add("one.example", "CNAME", "two.example")
    world.add("two.example", "CNAME", end)
    with lookups_through(resolver, per_lookup=0.2, per_mail=0.3).for_mail() as asked:
        assert check_spf(PEER, "host.example.net", "ann@one.example", asked) == ("temperror", "one.example")


@pytest.mark.parametrize(
    "garble",
    [lambda wire: b"", lambda wire: wire[:5], lambda wire: b"\xff" * 600, lambda wire: wire[::-1],
     lambda wire: bytes((wire[0] ^ 1,)) + wire[1:]],
    ids=["empty", "cut", "noise", "reversed", "another id"],
)  # fmt: skip
def test_garbage_is_no_answer(world: World, resolver: str, garble: Callable[[bytes], bytes]) -> None:
    world.garbled = garble
    lookups = lookups_through(resolver, per_lookup=0.2, per_mail=0.3)
    with lookups.for_mail() as asked:
        assert check_spf(PEER, "host.example.net", "ann@example.com", asked) == ("temperror", "example.com")


def test_without_mail_from_it_is_about_the_host(world: World, lookups: Lookups) -> None:
    with lookups.for_mail() as asked:
        assert check_spf(PEER, "example.com", "<>", asked) == ("pass", "example.com")
        assert check_spf(PEER, "[198.51.100.7]", "", asked) == ("none", "")


@pytest.mark.parametrize(
    ("path", "domain"),
    [
        ("ann@Example.COM", "example.com"), ("<ann@example.com>", "example.com"), ("", ""), ("<>", ""), ("ann", ""),
        ("ann@b\u00fccher.example", "xn--bcher-kva.example"), ("ann@[192.0.2.1]", ""), ("ann@localhost", ""),
        ("ann@example.com@bank.example", ""), ('"ann@example.com"@bank.example', ""), ("@example.com", "example.com"),
        ("x" * 300 + "@example.com", ""),
    ],
)  # fmt: skip
def test_the_domain_of_mail_from(path: str, domain: str) -> None:
    """One that could be taken for two is none: the library splits at the first at sign."""
    assert mail_from_domain(path) == domain
