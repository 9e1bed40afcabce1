"""Who is answered: networks, keys, quotas, over both paths; and the two say the same whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_address, ip_network

import pytest
from compiled import both, compiled, needs_native
from dnslib import DNSRecord
from fake import (
    DOMAIN_ORIGIN,
    HASH_ORIGIN,
    IP_ORIGIN,
    NAMES,
    NETWORKS,
    PHONE_ORIGIN,
    domain_zone,
    hash_zone,
    ip_zone,
    opt,
    phone_zone,
    query,
    rcode,
    rdata,
    reversed_name,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.config import AccessConfig, ZoneDef
from dnsbl.dns.access import Reason, always_listed
from dnsbl.dns.catalog import Catalog
from dnsbl.dns.keys import Key, Keys
from dnsbl.dns.networks import Networks, client_of
from dnsbl.dns.usage import NetworkUse
from dnsbl.subjects import zone_name
from dnsbl.zones import build, exact

NOW = 1_800_000_000
DAY = NOW // 86_400
GOOD, SMALL, ENDED, ELSEWHERE = (f"dq-{letter * 26}" for letter in "abcd")
WRONG = f"dq-{'z' * 26}"
INSIDE, OUTSIDE, REFUSED, RESOLVER = "192.0.2.9", "198.51.100.9", "203.0.113.66", "2001:db8:53::1"
NO_PERMISSION, WRONG_WAY, TOO_MANY = "127.255.255.254", "127.255.255.252", "127.255.255.255"
LISTED, UNLISTED = "7.113.0.203", "7.113.0.9"


def key(number: int, secret: str, **limits: object) -> Key:
    return Key(number, sha256(secret.encode()).digest(), **limits)  # type: ignore[arg-type]


KEYS = Keys(
    [
        key(1, GOOD),
        key(2, SMALL, queries=3),
        key(3, ENDED, expires=NOW),
        key(4, ELSEWHERE, zones=frozenset(["other"])),
    ]
)


def with_access(zone: ZoneDef, **access: object) -> ZoneDef:
    return zone.model_copy(update={"access": AccessConfig.model_validate(access)})


class Asking:
    """A server with access rules, asked over one path."""

    def __init__(
        self, path: str, *zones: ZoneDef, clock: Callable[[], float] | None = None, keys: Keys | None = KEYS,
        **more: object,
    ) -> None:  # fmt: skip
        views = [compiled(zone, NETWORKS) if zone.kind == "ip" else compiled(zone, names=NAMES) for zone in zones]
        self.paths = both(views, NOW, **more)
        if clock:
            self.paths.answerer.clock = self.paths.answerer.cookies.clock = clock
        self.gate = self.paths.answerer.gate
        self.gate.replace({zone.name: zone for zone in zones}, "https://bl.example/keys")
        self.gate.keys = keys
        self.paths.replace()
        self.path = path

    def reply(self, wire: bytes, client: str = OUTSIDE) -> bytes | None:
        if self.path == "native":
            found = self.paths.server.reply(wire, client, False, self.paths.now())
            assert found is not NotImplemented
            return found
        return self.paths.answerer.reply(wire, "udp", client)

    def ask(self, name: str, qtype: str = "A", client: str = OUTSIDE) -> DNSRecord:
        reply = self.reply(query(name, qtype), client)
        assert reply is not None
        return DNSRecord.parse(reply)

    def says(self, name: str, client: str = OUTSIDE) -> str:
        """The one address of a reply, or its rcode's number."""
        found = self.ask(name, client=client)
        return rdata(found)[0] if found.rr else str(rcode(found))

    def counted(self, name: str) -> int:
        return getattr(self.paths.counters(), name)


@pytest.fixture(params=["python", pytest.param("native", marks=needs_native)])
def asking(request: pytest.FixtureRequest) -> Callable[..., Asking]:
    return lambda *zones, **more: Asking(request.param, *zones, **more)


def names(*parts: str) -> str:
    return ".".join((*parts, IP_ORIGIN))


# keys


def test_a_key_lets_in_and_is_no_part_of_what_is_asked(asking):
    server = asking(with_access(ip_zone(), keys="required"))
    assert server.says(names(LISTED, GOOD)) == server.says(names("10.0.0.127")) == "127.0.0.10"
    assert server.says(names(UNLISTED, GOOD)) == "3"
    assert server.says(names("2.0.0.127", "ab", GOOD)) == "127.0.0.2"
    assert server.says(names("9.2.0.192", "attacks", GOOD)) == "3"
    mixed = DNSRecord.parse(server.reply(query(names("9.2.0.192", GOOD.upper()), "TXT")))
    assert "192.0.2.9" in rdata(mixed)[0]
    assert GOOD not in rdata(mixed)[0]
    assert server.counted("keyed") == 5


def test_a_key_alone_is_a_step_on_the_way(asking):
    """Resolvers that ask label by label (RFC 9156) must not take it for the end of the tree."""
    server = asking(with_access(ip_zone(), keys="required"))
    found = server.ask(names(GOOD))
    assert (rcode(found), found.rr, len(found.auth)) == (0, [], 1)
    assert rcode(server.ask(names("203", GOOD))) == 0
    assert rcode(server.ask(names("9", GOOD))) == 3


@pytest.mark.parametrize("secret", [WRONG, ENDED, ELSEWHERE, GOOD[:-1], GOOD + "a", "dq-", "dq-short"])
def test_a_key_that_is_not_good_is_told_so(asking, secret):
    """Even of a test point, by which one sees whether a key works; and never "not listed"."""
    for keys in ("optional", "required"):
        server = asking(with_access(ip_zone(), keys=keys))
        for asked in (LISTED, UNLISTED, "2.0.0.127", "1.0.0.127"):
            assert server.says(names(asked, secret)) == NO_PERMISSION
        assert server.counted("denied") == 4


def test_without_a_key_where_one_is_needed_only_origin_and_test_points_answer(asking):
    server = asking(with_access(ip_zone(), keys="required"))
    for asked in (LISTED, UNLISTED, "1.0.0.127", "255.255.255.255", "x", "203"):
        assert server.says(names(asked)) == NO_PERMISSION
    assert server.says(names("2.0.0.127")) == "127.0.0.2"
    assert server.says(names("2.0.0.127", "attacks")) == "127.0.0.4"
    assert server.says(reversed_name("::ffff:127.0.0.2")) == "127.0.0.2"
    assert rcode(server.ask(IP_ORIGIN, "SOA")) == rcode(server.ask(IP_ORIGIN, "NS")) == 0
    assert server.ask(IP_ORIGIN, "SOA").rr


def test_who_is_kept_out_is_told_what_to_do(asking):
    zone = with_access(ip_zone(ttl=77), keys="required")
    server = asking(zone)
    found = server.ask(names(LISTED), "TXT")
    assert rdata(found) == ['"bl.example is asked with a key, as QUERY.KEY.bl.example; see https://bl.example/keys"']
    assert [record.ttl for record in found.rr] == [77]
    nothing = server.ask(names(LISTED), "AAAA")
    assert (rcode(nothing), nothing.rr, len(nothing.auth)) == (0, [], 1)
    assert rdata(server.ask(names(LISTED), "ANY")) == [NO_PERMISSION]


def test_a_code_of_an_error_counts_as_no_listing_for_mail_software(asking):
    """A filter of 127.0.0.2-11 as postmasters write it, and what RFC 5782 says a listing is."""
    server = asking(with_access(ip_zone(), keys="required"))
    for asked in (names(LISTED), names(LISTED, WRONG), names("7", GOOD, "ab")):
        code = server.says(asked)
        assert code.startswith("127.255.255.")
        assert ip_address(code) not in ip_network("127.0.0.0/24")


def test_a_key_at_a_wrong_place_is_told_so(asking):
    for keys in ("optional", "required"):
        server = asking(with_access(ip_zone(), keys=keys))
        assert server.says(names(LISTED, GOOD, "ab")) == WRONG_WAY
        assert server.says(names(GOOD, LISTED)) == WRONG_WAY
        assert server.says(names(LISTED, GOOD, GOOD)) == WRONG_WAY


def test_a_name_that_looks_like_a_key_is_safe_from_nothing(asking):
    """Somebody may register it: in a domain zone a key is a key only where one stands."""
    name = f"{WRONG}.example"
    zone = with_access(domain_zone(), keys="optional")
    server = asking(zone)
    assert server.says(f"{name}.{DOMAIN_ORIGIN}") == "3"
    assert server.says(f"{WRONG}.bad.example.{DOMAIN_ORIGIN}") == server.says(f"bad.example.{GOOD}.{DOMAIN_ORIGIN}")


def test_keys_that_nobody_asked_for_are_labels_like_others(asking):
    server = asking(with_access(ip_zone(), quota=100))
    assert server.says(names(LISTED, GOOD)) == "3"


def test_before_any_keys_are_known_a_key_is_asked_about_again_later(asking):
    server = asking(with_access(ip_zone(), keys="optional"), keys=None)
    assert server.says(names(LISTED, GOOD)) == "2"
    assert server.says(names(LISTED)) == "127.0.0.10"
    server.gate.keys = KEYS
    server.paths.replace_keys()
    assert server.says(names(LISTED, GOOD)) == "127.0.0.10"


def test_a_revoked_key_ends_and_the_others_go_on(asking):
    server = asking(with_access(ip_zone(), keys="required"))
    assert [server.says(names(LISTED, SMALL)) for _ in range(2)] == ["127.0.0.10"] * 2
    server.gate.keys = Keys([each for each in KEYS.by_digest.values() if each.id != 1])
    server.paths.replace_keys()
    assert server.says(names(LISTED, GOOD)) == NO_PERMISSION
    assert [server.says(names(LISTED, SMALL)) for _ in range(2)] == ["127.0.0.10", TOO_MANY]


# networks


def test_networks(asking):
    access = {"networks": ["192.0.2.0/24", "2001:db8::/48"], "refuse": ["203.0.113.64/26"], "keys": "optional"}
    server = asking(with_access(ip_zone(), **access))
    for client in (INSIDE, f"::ffff:{INSIDE}", "2001:db8::1"):
        assert server.says(names(LISTED), client) == "127.0.0.10"
        assert server.says(names("1.0.0.127"), client) == "3"
    for client in (OUTSIDE, "2001:db8:1::1", "", "192.0.1.255", "192.0.3.0"):
        assert server.says(names(LISTED), client) == NO_PERMISSION
        assert server.says(names(LISTED, GOOD), client) == "127.0.0.10"


def test_who_is_refused_is_refused_with_a_key_too_but_for_origin_and_test_points(asking):
    server = asking(with_access(ip_zone(), refuse=["203.0.113.64/26"], keys="optional"))
    wire = query(names(LISTED, GOOD), extra=[opt()])
    assert server.reply(wire, REFUSED).endswith(b"\0\x0f\0\x02\0\x12")  # EDE 18, Prohibited
    assert server.says(names(LISTED, GOOD), REFUSED) == server.says(names(LISTED), REFUSED) == "5"
    assert server.says(names("2.0.0.127"), REFUSED) == "127.0.0.2"
    assert server.ask(IP_ORIGIN, "SOA", REFUSED).rr
    assert server.says(names(LISTED), "203.0.113.128") == "127.0.0.10"


def test_public_resolvers_need_a_key(asking):
    server = asking(with_access(ip_zone(), public_resolvers=["2001:db8:53::/48"], keys="optional"))
    assert server.says(names(LISTED), RESOLVER) == NO_PERMISSION
    assert "resolver of your own" in rdata(server.ask(names(LISTED), "TXT", RESOLVER))[0]
    assert server.says(names(LISTED, GOOD), RESOLVER) == "127.0.0.10"


# quotas


def test_quotas_of_keys_and_networks(asking):
    server = asking(with_access(ip_zone(), keys="optional", quota=2))
    said = [server.says(names(LISTED), client) for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.3.1")]
    assert said == ["127.0.0.10", "127.0.0.10", TOO_MANY, "127.0.0.10"]
    assert server.says(names("2.0.0.127"), "192.0.2.1") == "127.0.0.2"
    v6 = [server.says(names(LISTED), f"2001:db8:0:{site}::{host}") for site, host in ((1, 1), (1, 2), (1, 3), (2, 1))]
    assert v6 == ["127.0.0.10", "127.0.0.10", TOO_MANY, "127.0.0.10"]
    keyed = [server.says(names(LISTED, SMALL), client) for client in ("192.0.2.1", OUTSIDE, RESOLVER, INSIDE)]
    assert keyed == ["127.0.0.10"] * 3 + [TOO_MANY]
    assert server.counted("over_quota") == 3
    assert server.counted("keyed") == 4


def test_quotas_begin_anew_with_the_day_of_utc(asking):
    now = [(DAY + 1) * 86_400.0 - 1]
    server = asking(with_access(ip_zone(), keys="optional", quota=1), clock=lambda: now[0])
    assert [server.says(names(LISTED)) for _ in range(2)] == ["127.0.0.10", TOO_MANY]
    assert [server.says(names(LISTED, SMALL)) for _ in range(4)][-1] == TOO_MANY
    now[0] += 1
    assert [server.says(names(LISTED)) for _ in range(2)] == ["127.0.0.10", TOO_MANY]
    assert [server.says(names(LISTED, SMALL)) for _ in range(4)] == ["127.0.0.10"] * 3 + [TOO_MANY]


def test_quotas_go_on_from_what_was_used_before(asking):
    server = asking(with_access(ip_zone(), keys="optional", quota=5))
    before = [NetworkUse("ip", bytes((192, 0, 2)), 5), NetworkUse("ip", ip_address("2001:db8::").packed[:8], 4)]
    server.gate.usage.seed(DAY, {2: 3}.items(), before)
    server.paths.seed(DAY, {2: 3}.items(), before)
    assert server.says(names(LISTED, SMALL)) == TOO_MANY
    assert server.says(names(LISTED), INSIDE) == TOO_MANY
    assert [server.says(names(LISTED), "2001:db8::1") for _ in range(2)] == ["127.0.0.10", TOO_MANY]


def test_use_is_told(asking):
    server = asking(with_access(ip_zone(), keys="optional", quota=5), with_access(domain_zone(), keys="required"))
    for _ in range(4):
        server.says(names(LISTED, SMALL))
    server.says(f"bad.example.{GOOD}.{DOMAIN_ORIGIN}")
    server.says(names(LISTED), INSIDE)
    usage = server.gate.usage
    told = server.paths.key_usage() if server.path == "native" else usage.take()
    assert sorted(told) == [(1, "domain", 1, 0), (2, "ip", 3, 1)]
    top = server.paths.network_usage(DAY, 9) if server.path == "native" else usage.top(DAY, 9)
    assert top == [("ip", bytes((192, 0, 2)), 1)]
    assert (server.paths.key_usage() if server.path == "native" else usage.take()) == []


def test_memory_for_networks_is_bounded_and_those_that_ask_much_stay_known(asking):
    server = asking(with_access(ip_zone(), quota=50))
    wire = query(names(LISTED))
    for _ in range(50):
        server.reply(wire, INSIDE)
    usage = server.gate.usage
    for number in range(80_000):
        if server.path == "native":
            server.paths.server.reply(wire, str(ip_address(0x0A00_0000 + (number << 8))), False, NOW)
        else:
            usage.spend_network("ip", (4, 0x0A00_0000 + (number << 8)), DAY)
    assert server.says(names(LISTED), INSIDE) == TOO_MANY
    assert len(server.paths.network_usage(DAY, 10**9)) <= 65_536
    assert len(usage.networks) <= 65_536


# both


@pytest.mark.parametrize("zone", [ip_zone(), domain_zone(), hash_zone(), phone_zone()], ids=lambda zone: zone.kind)
def test_the_test_points_are_those_that_are_published(zone):
    ours = {b".".join(reversed(labels)) for labels in always_listed(zone)}
    if zone.kind == "ip":
        theirs = {str(ip_address(point)) for point in build.test_points(zone)}
        assert {reversed_name(point, "").rstrip(".").encode() for point in theirs} <= {
            b".".join(labels) for labels in always_listed(zone)
        }
        assert len(ours) == 2 * len(theirs)
    elif zone.exact:
        assert ours == {zone_name(subject) for subject in exact.test_points(zone)}
    else:
        assert b"test" in ours


CLIENTS = st.sampled_from([INSIDE, OUTSIDE, REFUSED, RESOLVER, "", "::1", f"::ffff:{REFUSED}"])
LABELS = st.sampled_from(
    ["127", "0", "2", "1", "203", "113", "7", "ab", "attacks", "test", "bad", "example", "_email", "a"]
)
SECRETS = st.sampled_from(["", "", GOOD, GOOD.upper(), SMALL, ENDED, ELSEWHERE, WRONG, "dq-x"])
ORIGINS = st.sampled_from([IP_ORIGIN, IP_ORIGIN, DOMAIN_ORIGIN, HASH_ORIGIN, PHONE_ORIGIN])
ASKED = st.builds(
    lambda path, secret, more, origin: ".".join(filter(None, (path, more, secret, origin))),
    st.one_of(
        st.lists(LABELS, max_size=5).map(".".join),
        st.sampled_from(["2.0.0.127", "1.0.0.127", LISTED, "2.0.0.127.ab", reversed_name("::ffff:127.0.0.2", "")[:-1]]),
    ),
    SECRETS,
    st.sampled_from(["", "", "", GOOD, "ab"]),
    ORIGINS,
)
ACCESS = st.fixed_dictionaries(
    {
        "networks": st.sampled_from([None, [], ["192.0.2.0/24"], ["0.0.0.0/0", "::/0"]]),
        "refuse": st.sampled_from([[], ["203.0.113.64/26", "203.0.113.0/24"]]),
        "public_resolvers": st.sampled_from([[], ["2001:db8:53::/48"]]),
        "keys": st.sampled_from(["off", "optional", "required"]),
        "quota": st.sampled_from([0, 3]),
    }
)


@needs_native
@settings(deadline=None, max_examples=60)
@given(
    access=ACCESS,
    asked=st.lists(
        st.tuples(ASKED, st.sampled_from(["A", "TXT", "ANY", "NS", "SOA"]), CLIENTS), min_size=5, max_size=40
    ),
)
def test_both_paths_say_and_count_the_same(access, asked):
    zones = [with_access(zone, **access) for zone in (ip_zone(), domain_zone(), hash_zone(), phone_zone())]
    server = Asking("native", *zones)
    for name, qtype, client in asked:
        wire = query(name, qtype, extra=[opt()])
        assert server.reply(wire, client) == server.paths.answerer.reply(wire, "udp", client), (name, qtype, client)
    ours, theirs = server.paths.answerer.counters, server.paths.native_counters()
    for name in ("keyed", "denied", "over_quota"):
        assert getattr(ours, name) == getattr(theirs, name)
    usage = server.gate.usage
    assert sorted(server.paths.network_usage(DAY, 99)) == sorted(usage.top(DAY, 99))
    assert sorted(server.paths.key_usage()) == sorted(usage.take())


@given(
    networks=st.lists(st.ip_addresses().flatmap(lambda a: st.integers(0, a.max_prefixlen).map(lambda n: (a, n)))),
    client=st.ip_addresses(),
)
def test_a_set_of_networks_has_what_one_of_them_has(networks, client):
    every = [ip_network(pair, strict=False) for pair in networks]
    mapped = client.ipv4_mapped if client.version == 6 else None
    plain = mapped or client
    for one in (plain, *(network[0] for network in every), *(network[-1] for network in every)):
        if one.version == 6 and one.ipv4_mapped:
            continue
        assert (client_of(str(one)) in Networks(every)) == any(one in network for network in every)


def test_what_is_open_costs_no_rules():
    server = Asking("python", ip_zone())
    assert server.gate.rules == {}
    assert not server.gate.replace({"ip": ip_zone()}, "x")


def test_rules_stay_the_same_object_until_they_are_others():
    server = Asking("python", with_access(ip_zone(), quota=1))
    before = server.gate.rules["ip"]
    assert not server.gate.replace({"ip": with_access(ip_zone(), quota=1)}, "https://bl.example/keys")
    assert server.gate.rules["ip"] is before
    assert server.gate.replace({"ip": with_access(ip_zone(), quota=2)}, "https://bl.example/keys")
    assert set(Reason) - {Reason.REFUSED, Reason.NOT_READY} == set(range(len(before.denials)))


@needs_native
def test_the_catalog_is_left_to_the_python_path():
    """Secondaries ask for its SOA before they take it."""
    server = Asking("native", ip_zone(), catalog="Catalog.example", transfer=["192.0.2.0/24"])
    server.paths.answerer.catalog = Catalog("catalog.example", 7, [IP_ORIGIN])
    for name in ("catalog.example", "version.CATALOG.example"):
        wire = query(name, "SOA")
        assert server.paths.server.reply(wire, INSIDE, False, NOW) is NotImplemented
        assert server.paths.reply(wire, "udp", INSIDE) == server.paths.answerer.reply(wire, "udp", INSIDE)
    for name in ("notcatalog.example", "example", f"7.{IP_ORIGIN}"):
        assert server.paths.server.reply(query(name), INSIDE, False, NOW) is not NotImplemented
