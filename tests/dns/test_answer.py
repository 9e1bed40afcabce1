"""What the server says about zones and names."""

import pytest
from dnslib import QTYPE, DNSRecord
from fake import (
    DOMAIN_ORIGIN,
    EMAIL,
    FILE,
    HASH_ORIGIN,
    IP_ORIGIN,
    PHONE_ORIGIN,
    FakeView,
    ask,
    default_answerer,
    domain_zone,
    ip_zone,
    opt,
    query,
    rcode,
)
from fake import rdata as data
from fake import reversed_name as name

from dnsbl.config import DnsConfig
from dnsbl.dns.answer import Answerer
from dnsbl.model import CATEGORIES

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16


@pytest.fixture(scope="module")
def answerer():
    return default_answerer(nsid="site-1", version="dnsbl 1")


def is_nodata(reply):
    return rcode(reply) == NOERROR and not reply.rr and [rr.rtype for rr in reply.auth] == [QTYPE.SOA]


def is_nxdomain(reply):
    return rcode(reply) == NXDOMAIN and not reply.rr and [rr.rtype for rr in reply.auth] == [QTYPE.SOA]


# Listed names


def test_a_listed_address_answers_all_its_codes(answerer):
    reply = ask(answerer, name("127.0.0.2"))
    assert data(reply) == ["127.0.0.2", "127.0.0.4", "127.0.0.10"]
    assert reply.header.aa and not reply.header.ra and not reply.header.rd
    assert {rr.ttl for rr in reply.rr} == {300}
    assert {str(rr.rname) for rr in reply.rr} == {name("127.0.0.2") + "."}


def test_every_address_of_a_listed_network_answers(answerer):
    assert data(ask(answerer, name("192.0.2.0"))) == ["127.0.0.2"]
    assert data(ask(answerer, name("192.0.2.255"))) == ["127.0.0.2"]
    assert data(ask(answerer, name("192.0.2.64"))) == ["127.0.0.2", "127.0.0.4"]
    assert is_nxdomain(ask(answerer, name("192.0.3.0")))


def test_127_0_0_1_and_its_like_are_not_listed(answerer):
    assert is_nxdomain(ask(answerer, name("127.0.0.1")))
    assert is_nxdomain(ask(answerer, name("::ffff:7f00:1")))
    assert is_nxdomain(ask(answerer, f"invalid.{DOMAIN_ORIGIN}"))


def test_an_ipv6_address_is_asked_by_nibbles_of_either_case(answerer):
    asked = name("2001:db8:bad::1")
    assert data(ask(answerer, asked)) == data(ask(answerer, asked.upper())) == ["127.0.0.2"]
    assert data(ask(answerer, name("::ffff:7f00:2"))) == ["127.0.0.2", "127.0.0.4", "127.0.0.10"]


def test_text_is_one_record_for_each_code_that_says_something(answerer):
    assert data(ask(answerer, name("127.0.0.2"), "TXT")) == [
        '"Spam: https://bl.example/?127.0.0.2"',
        '"Attacks from 127.0.0.2 cost $5"',
    ]


def test_text_names_an_ipv6_address_as_people_write_it(answerer):
    assert data(ask(answerer, name("2001:db8:bad::1"), "TXT")) == ['"Spam: https://bl.example/?2001:db8:bad::1"']


def test_a_code_without_text_is_nodata_for_txt(answerer):
    assert is_nodata(ask(answerer, name("203.0.113.7"), "TXT"))


def test_a_listed_domain_answers_with_all_names_below_it(answerer):
    for asked in ("bad.example", "www.bad.example", "BAD.eXample"):
        assert data(ask(answerer, f"{asked}.{DOMAIN_ORIGIN}")) == ["127.0.1.2"]
    assert data(ask(answerer, f"Www.bad.example.{DOMAIN_ORIGIN}", "TXT")) == ['"www.bad.example is bad"']


def test_a_dot_inside_a_label_does_not_make_two_labels_of_it(answerer):
    below = DOMAIN_ORIGIN.encode().split(b".")
    assert is_nxdomain(ask(answerer, [b"bad.example", *below]))
    assert data(ask(answerer, [b"x.y", b"bad", b"example", *below])) == ["127.0.1.2"]
    reply = ask(answerer, [b"x.\xffy", b"bad", b"example", *below], "TXT") if False else None
    assert reply is None


def test_text_escapes_what_a_stranger_put_in_a_name():
    answerer = default_answerer()
    reply = answerer.reply(query([b"x.\xff\\", b"bad", b"example", *DOMAIN_ORIGIN.encode().split(b".")], "TXT"), "udp")
    assert rb"x\.\255\\.bad.example is bad" in reply


@pytest.mark.parametrize("qtype", ["AAAA", "MX", "CAA", 1000, 65280, 250, 253, 254])
def test_other_types_of_a_listed_name_are_nodata_and_never_notimp(answerer, qtype):
    assert is_nodata(ask(answerer, name("127.0.0.2"), qtype))
    assert is_nxdomain(ask(answerer, name("127.0.0.1"), qtype))


def test_any_gets_one_record_set(answerer):
    assert [rr.rtype for rr in ask(answerer, name("127.0.0.2"), "ANY").rr] == [QTYPE.A] * 3
    assert [rr.rtype for rr in ask(answerer, IP_ORIGIN, "ANY").rr] == [QTYPE.SOA]


# Names that are not listed


def test_a_network_with_something_listed_is_nodata(answerer):
    for below in ("127", "0.127", "0.0.127", "192", "2.0.192", "2", "1.0.0.2", "8.b.d.0.1.0.0.2"):
        assert is_nodata(ask(answerer, f"{below}.{IP_ORIGIN}")), below


def test_a_network_with_nothing_listed_is_nxdomain(answerer):
    for below in ("128", "1.0.127", "3.0.192", "3", "9.b.d.0.1.0.0.2"):
        assert is_nxdomain(ask(answerer, f"{below}.{IP_ORIGIN}")), below


def test_a_path_can_be_octets_and_nibbles_at_once():
    only6 = Answerer([FakeView(ip_zone(), {"1002::/16": [0]})], DnsConfig())
    assert is_nodata(ask(only6, f"2.0.0.1.{IP_ORIGIN}"))
    assert is_nodata(ask(only6, f"1.{IP_ORIGIN}"))
    only4 = Answerer([FakeView(ip_zone(), {"1.0.0.2": [0]})], DnsConfig())
    assert data(ask(only4, f"2.0.0.1.{IP_ORIGIN}")) == ["127.0.0.2"]
    assert is_nodata(ask(only4, f"0.1.{IP_ORIGIN}"))
    assert is_nxdomain(ask(only4, f"0.2.0.0.1.{IP_ORIGIN}"))


@pytest.mark.parametrize(
    "path", ["002.0.0.127", "2.0.0.0127", "+2.0.0.127", "2.0.0.256", "x2.0.0.127", "2.0.0.-1", "b.2.0.0.127"]
)
def test_an_address_is_written_in_one_way_only(answerer, path):
    assert is_nxdomain(ask(answerer, f"{path}.{IP_ORIGIN}"))


def test_nibbles_are_one_hexadecimal_digit_each(answerer):
    good = name("2001:db8:bad::1").removesuffix(f".{IP_ORIGIN}").split(".")
    for at, wrong in [(0, "01"), (0, "g"), (5, "_"), (31, " "), (31, "02")]:
        assert is_nxdomain(ask(answerer, ".".join([*good[:at], wrong, *good[at + 1 :], IP_ORIGIN])))


def test_names_deeper_than_an_address_do_not_exist(answerer):
    assert is_nxdomain(ask(answerer, f"1.{name('127.0.0.2')}"))
    assert is_nxdomain(ask(answerer, f"1.{name('2001:db8:bad::1')}"))
    assert is_nxdomain(ask(answerer, f"x.y.z.{name('2001:db8:bad::1')}"))


def test_above_a_listed_domain_is_nodata(answerer):
    assert is_nodata(ask(answerer, f"worse.example.{DOMAIN_ORIGIN}"))
    assert is_nodata(ask(answerer, f"example.{DOMAIN_ORIGIN}"))
    assert is_nxdomain(ask(answerer, f"other.example.{DOMAIN_ORIGIN}"))


def test_negative_answers_carry_the_soa_with_the_smaller_ttl(answerer):
    soa = ask(answerer, name("127.0.0.1")).auth[0]
    assert (str(soa.rname), soa.ttl) == (f"{IP_ORIGIN}.", 60)
    assert str(soa.rdata) == "ns1.bl.example. hostmaster.dnsbl.test. 2026010100 900 300 604800 60"
    short = Answerer([FakeView(ip_zone(soa={"ttl": 20, "minimum": 60}))], DnsConfig())
    assert ask(short, name("127.0.0.1")).auth[0].ttl == 20


# Hashes and numbers


def test_a_hash_answers_for_itself_alone(answerer):
    assert data(ask(answerer, f"{EMAIL}._email.{HASH_ORIGIN}")) == ["127.0.1.2", "127.0.1.4"]
    assert data(ask(answerer, f"{FILE.upper()}._File.{HASH_ORIGIN}", "TXT")) == [f'"file:{FILE} steals"']
    assert is_nodata(ask(answerer, f"_email.{HASH_ORIGIN}"))
    assert is_nodata(ask(answerer, f"{EMAIL}._email.{HASH_ORIGIN}", "AAAA"))
    for absent in (f"{EMAIL}._url", f"x.{EMAIL}._email", EMAIL, "_cw"):
        assert is_nxdomain(ask(answerer, f"{absent}.{HASH_ORIGIN}")), absent


def test_a_number_answers_for_itself_alone(answerer):
    assert data(ask(answerer, f"4.3.2.1.{PHONE_ORIGIN}")) == ["127.0.1.2"]
    assert data(ask(answerer, f"6.5.4.3.2.1.{PHONE_ORIGIN}", "TXT")) == ['"+123456 steals"']
    for above in ("5.4.3.2.1", "3.2.1", "1", "9"):  # RFC 8020: something is below
        assert is_nodata(ask(answerer, f"{above}.{PHONE_ORIGIN}")), above
    for absent in ("7.4.3.2.1", "7.6.5.4.3.2.1", "2", "1.2.3.4", "x.4.3.2.1"):
        assert is_nxdomain(ask(answerer, f"{absent}.{PHONE_ORIGIN}")), absent


@pytest.mark.parametrize("labels", [[b"4.3.2.1"], [b"4", b"3.2", b"1"], [b"x.y", b"4", b"3", b"2", b"1"]])
def test_a_dot_inside_a_label_makes_no_digits_of_it(answerer, labels):
    assert is_nxdomain(ask(answerer, [*labels, *PHONE_ORIGIN.encode().split(b".")]))


# Sublists (RFC 5782 section 2.3)


def test_a_sublist_answers_its_own_codes_only(answerer):
    assert data(ask(answerer, name("127.0.0.2", f"ab.{IP_ORIGIN}"))) == ["127.0.0.2"]
    assert data(ask(answerer, name("192.0.2.65", f"attacks.{IP_ORIGIN}"))) == ["127.0.0.4"]
    assert data(ask(answerer, name("192.0.2.65", f"ATTACKS.{IP_ORIGIN}"), "TXT")) == [
        '"Attacks from 192.0.2.65 cost $5"'
    ]
    assert is_nxdomain(ask(answerer, name("192.0.2.1", f"attacks.{IP_ORIGIN}")))
    assert is_nxdomain(ask(answerer, name("203.0.113.7", f"ab.{IP_ORIGIN}")))


def test_a_sublist_has_its_own_networks(answerer):
    for _ in range(2):  # the second time from memory
        assert is_nodata(ask(answerer, f"ab.{IP_ORIGIN}"))
        assert is_nodata(ask(answerer, f"2.0.192.ab.{IP_ORIGIN}"))
        assert is_nxdomain(ask(answerer, f"203.ab.{IP_ORIGIN}"))
        assert is_nodata(ask(answerer, f"203.{IP_ORIGIN}"))
        assert is_nodata(ask(answerer, f"1.0.0.2.ab.{IP_ORIGIN}"))
        assert is_nxdomain(ask(answerer, f"1.0.0.2.attacks.{IP_ORIGIN}"))


def test_a_network_is_looked_for_once():
    view = FakeView(ip_zone(), {"192.0.2.0/24": [0]})
    asked = []
    view.any4 = lambda first, last, wanted=None: bool(asked.append((first, last, wanted))) or first == 0xC0000000
    answerer = Answerer([view], DnsConfig())
    for _ in range(3):
        assert is_nodata(ask(answerer, f"0.192.ab.{IP_ORIGIN}"))
    assert asked == [(0xC0000000, 0xC000FFFF, b"\0\1")]


def test_what_is_remembered_of_networks_is_bounded(monkeypatch):
    monkeypatch.setattr("dnsbl.dns.served.MAX_REMEMBERED", 8)
    answerer = default_answerer()
    for octet in range(100):
        assert is_nxdomain(ask(answerer, f"{octet}.1.ab.{IP_ORIGIN}"))
    assert is_nodata(ask(answerer, f"0.192.ab.{IP_ORIGIN}"))
    [table] = [zone.sublists[b"ab"] for zone in answerer.zones.by_labels.values() if zone.is_ip]
    assert len(table.remembered) <= 8


def test_an_unknown_sublist_does_not_exist(answerer):
    assert is_nxdomain(ask(answerer, name("127.0.0.2", f"cd.{IP_ORIGIN}")))
    assert is_nxdomain(ask(answerer, f"cd.{IP_ORIGIN}"))


# The origin


def test_the_origin_has_what_the_zone_says(answerer):
    assert data(ask(answerer, IP_ORIGIN, "SOA")) == [
        "ns1.bl.example. hostmaster.dnsbl.test. 2026010100 900 300 604800 60"
    ]
    assert data(ask(answerer, IP_ORIGIN, "NS")) == ["ns1.bl.example.", "ns2.example.net."]
    assert data(ask(answerer, IP_ORIGIN, "A")) == ["192.0.2.80"]
    assert data(ask(answerer, IP_ORIGIN, "AAAA")) == ["2001:db8::80"]
    assert data(ask(answerer, IP_ORIGIN, "TXT")) == ['"A blocklist."']
    assert is_nodata(ask(answerer, IP_ORIGIN, "MX"))
    assert is_nodata(ask(answerer, DOMAIN_ORIGIN, "A"))
    assert is_nodata(ask(answerer, IP_ORIGIN, "DS"))


def test_the_soa_of_an_answer_has_its_own_ttl_and_the_views_serial():
    view = FakeView(ip_zone(soa={"ttl": 1000}), serial=7)
    soa = ask(Answerer([view], DnsConfig()), IP_ORIGIN, "SOA").rr[0]
    assert (soa.ttl, soa.rdata.times[0]) == (1000, 7)


def test_the_question_comes_back_byte_for_byte(answerer):
    for asked in ("2.0.0.127.bL.eXaMpLe", "1.0.0.127.BL.examplE", "bL.example", "nowhere.TEST"):
        wire = query(asked, "SOA")
        reply = answerer.reply(wire, "udp")
        assert reply[12 : len(wire)] == wire[12:]
        assert reply[:2] == wire[:2]


# Outside


def test_outside_our_zones_is_refused_and_says_so(answerer):
    for asked in ("example.com", "", "example", "xbl.example"):
        reply = ask(answerer, asked, extra=[opt()])
        assert rcode(reply) == REFUSED and not reply.header.aa
        assert extended_errors(reply) == [20]


def test_without_zones_the_server_is_not_ready():
    reply = ask(Answerer([], DnsConfig()), name("127.0.0.2"), extra=[opt()])
    assert (rcode(reply), extended_errors(reply)) == (SERVFAIL, [14])


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_transfers_are_prohibited(answerer, qtype):
    reply = ask(answerer, IP_ORIGIN, qtype, extra=[opt()])
    assert (rcode(reply), extended_errors(reply)) == (REFUSED, [18])


def test_opt_is_nothing_to_ask_for(answerer):
    assert rcode(ask(answerer, IP_ORIGIN, "OPT")) == FORMERR


@pytest.mark.parametrize("qclass", [0, 2, 4, 254, 255])
def test_other_classes_are_refused(answerer, qclass):
    assert rcode(ask(answerer, IP_ORIGIN, qclass=qclass)) == REFUSED


def test_the_server_says_what_it_is_where_it_may(answerer):
    for asked, said in [
        ("version.bind", "dnsbl 1"),
        ("VERSION.server", "dnsbl 1"),
        ("id.server", "site-1"),
        ("hostname.bind", "site-1"),
    ]:
        reply = ask(answerer, asked, "TXT", qclass=3)
        assert data(reply) == [f'"{said}"']
        assert {(rr.rclass, rr.ttl) for rr in reply.rr} == {(3, 0)}
    assert rcode(ask(answerer, "authors.bind", "TXT", qclass=3)) == REFUSED
    assert rcode(ask(answerer, "version.bind", "A", qclass=3)) == REFUSED


def test_the_server_keeps_to_itself_what_it_should():
    silent = default_answerer(nsid="", version="")
    assert rcode(ask(silent, "version.bind", "TXT", qclass=3)) == REFUSED
    assert rcode(ask(silent, "id.server", "TXT", qclass=3)) == REFUSED
    assert ask(silent, IP_ORIGIN, "SOA", extra=[opt(rdata=b"\0\3\0\0")]).ar[0].rdata == []


def test_the_identity_goes_to_those_who_ask(answerer):
    reply = ask(answerer, IP_ORIGIN, "SOA", extra=[opt(rdata=b"\0\3\0\0")])
    assert [(option.code, option.data) for option in reply.ar[0].rdata] == [(3, b"site-1")]
    assert ask(answerer, IP_ORIGIN, "SOA", extra=[opt()]).ar[0].rdata == []


# Size


def test_what_does_not_fit_says_so_and_is_whole_over_tcp():
    codes = [
        {"code": f"127.0.0.{n}", "categories": [c], "text": "x" * 200}
        for n, c in enumerate(["spam", "attack", "malware"], 2)
    ]
    answerer = Answerer([FakeView(ip_zone(codes=codes), {"127.0.0.2": [0, 1, 2]})], DnsConfig())
    plain = ask(answerer, name("127.0.0.2"), "TXT")
    assert plain.header.tc and plain.header.aa and not plain.rr and not plain.auth and not plain.ar
    extended = ask(answerer, name("127.0.0.2"), "TXT", extra=[opt(512)])
    assert extended.header.tc and not extended.rr and len(extended.ar) == 1
    assert len(ask(answerer, name("127.0.0.2"), "TXT", extra=[opt(1232)]).rr) == 3
    assert len(DNSRecord.parse(answerer.reply(query(name("127.0.0.2"), "TXT"), "tcp")).rr) == 3
    assert answerer.counters.truncated == 2


def test_long_text_is_cut_into_strings_of_one_record():
    codes = [{"code": "127.0.0.2", "categories": ["spam"], "text": "é" * 300}]
    answerer = Answerer([FakeView(ip_zone(codes=codes), {"127.0.0.2": [0]})], DnsConfig())
    [record] = ask(answerer, name("127.0.0.2"), "TXT", extra=[opt(1232)]).rr
    assert [len(part) for part in record.rdata.data] == [255, 255, 90]
    assert b"".join(record.rdata.data).decode() == "é" * 300


def test_texts_that_no_message_can_hold_are_a_failure_that_is_answered():
    codes = [{"code": f"127.0.0.{n}", "categories": [c], "text": "$ " * 500} for n, c in enumerate(CATEGORIES, 2)]
    answerer = Answerer([FakeView(ip_zone(codes=codes), {"127.0.0.2": range(len(codes))})], DnsConfig())
    wire = query(name("127.0.0.2"), "TXT")
    assert answerer.reply(wire, "udp")[3] & 15 == SERVFAIL
    assert answerer.reply(wire, "tcp")[3] & 15 == SERVFAIL


# Replacing


def test_zones_are_replaced_as_a_whole():
    answerer = default_answerer()
    answerer.replace({"ip": FakeView(ip_zone(), {"198.51.100.1": [0]}, serial=9)})
    assert data(ask(answerer, name("198.51.100.1"))) == ["127.0.0.2"]
    assert is_nxdomain(ask(answerer, name("192.0.2.1")))
    assert rcode(ask(answerer, f"test.{DOMAIN_ORIGIN}")) == REFUSED


def test_the_longest_origin_answers():
    inner = FakeView(domain_zone(name="inner", origin=f"inner.{DOMAIN_ORIGIN}"), names={"a.b": [0]})
    outer = FakeView(domain_zone(), names={"bad.example": [0]})
    answerer = Answerer([outer, inner], DnsConfig())
    assert data(ask(answerer, f"a.b.inner.{DOMAIN_ORIGIN}")) == ["127.0.1.2"]
    assert data(ask(answerer, f"bad.example.{DOMAIN_ORIGIN}")) == ["127.0.1.2"]


def test_every_reply_is_counted():
    answerer = default_answerer()
    ask(answerer, name("127.0.0.2"))
    ask(answerer, name("127.0.0.2"))
    ask(answerer, name("127.0.0.1"), 1000)
    ask(answerer, "elsewhere.test")
    answerer.reply(b"short", "udp")
    answerer.reply(query(IP_ORIGIN, flags=0x8000), "udp")
    counts = answerer.counters.snapshot()
    assert counts["by"]["zone"] == {"": 1, "ip": 3}
    assert counts["by"]["rcode"] == {"NOERROR": 2, "NXDOMAIN": 1, "REFUSED": 1}
    assert counts["by"]["qtype"] == {"A": 3, "other": 1}
    assert (counts["malformed"], counts["silent"]) == (1, 1)
    assert {"zone": "ip", "qtype": "A", "rcode": "NOERROR", "transport": "udp", "count": 2} in counts["replies"]


def extended_errors(reply):
    return [int.from_bytes(option.data[:2], "big") for rr in reply.ar for option in rr.rdata if option.code == 15]
