"""For all bytes, and for all names: what may never happen, and what must."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from dnslib import DNSRecord
from fake import (
    DOMAIN_ORIGIN,
    IP_ORIGIN,
    FakeView,
    ask,
    cookie,
    default_answerer,
    domain_zone,
    ip_zone,
    opt,
    query,
    rcode,
)
from fake import reversed_name as address_name
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.config import DnsConfig
from dnsbl.dns.answer import Answerer

ANSWERER = default_answerer(nsid="site-1")
NOERROR, NXDOMAIN = 0, 3
QUERIES = [
    query("2.0.0.127.bl.example"),
    query("2.0.0.127.bl.example", "TXT", extra=[opt()]),
    query(address_name("2001:db8:bad::1"), "ANY", extra=[opt(512, rdata=b"\0\3\0\0")]),
    query("bL.eXample", "SOA", flags=0x0100, extra=[opt(4096, 0, 0x8000)]),
    query(f"www.bad.example.{DOMAIN_ORIGIN}", "TXT"),
    query("version.bind", "TXT", qclass=3),
    query("elsewhere.test", extra=[opt(version=1)]),
    query("bl.example", "SOA", extra=[opt(rdata=cookie(b"c" * 8))]),
    query("bl.example", "TXT", extra=[opt(rdata=cookie(b"c" * 8 + b"\1\0\0\0" + b"s" * 12))]),
]


def check(wire: bytes, transport: str) -> None:
    """The rules that hold whatever was sent."""
    reply = ANSWERER.reply(wire, transport, "192.0.2.1")
    if len(wire) < 12 or wire[2] & 0x80:
        assert reply is None
        return
    assert reply is not None
    limit = 65_535 if transport == "tcp" else 1232
    assert 12 <= len(reply) <= limit
    assert reply[:2] == wire[:2]
    assert reply[2] & 0x80
    assert reply[2] & 0x79 == wire[2] & 0x79  # opcode and RD
    assert reply[3] & 0xF0 == 0  # RA, Z, AD, CD
    questions = int.from_bytes(reply[4:6], "big")
    assert questions in (0, 1)
    if questions:
        end = 12
        while reply[end]:
            end += 1 + reply[end]
        assert reply[12 : end + 5] == wire[12 : end + 5]
    if not questions or all(byte < 0x80 for byte in wire):  # dnslib reads text only
        DNSRecord.parse(reply)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good query with some bytes changed, cut, put in or repeated."""
    wire = bytearray(draw(st.sampled_from(QUERIES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(wire)))
        match draw(st.sampled_from(["set", "cut", "insert", "repeat"])):
            case "set" if at < len(wire):
                wire[at] = draw(st.integers(0, 255))
            case "cut":
                del wire[at : at + draw(st.integers(1, 20))]
            case "insert":
                wire[at:at] = draw(st.binary(max_size=20))
            case _:
                wire += wire[at:]
    return bytes(wire)


@given(st.binary(max_size=600), st.sampled_from(["udp", "tcp"]))
@settings(max_examples=1500, deadline=None)
def test_no_bytes_raise_and_every_reply_is_one(wire, transport):
    check(wire, transport)


@given(mutated(), st.sampled_from(["udp", "tcp"]))
@settings(max_examples=3000, deadline=None)
def test_no_changed_query_raises_and_every_reply_is_one(wire, transport):
    check(wire, transport)


@given(st.binary(min_size=8, max_size=80))
@settings(max_examples=1000, deadline=None)
def test_no_bytes_after_a_good_header_raise(body):
    check(b"\x12\x34\0\0\0\1\0\0\0\0\0\1" + body, "udp")


@given(st.integers(0, 65535), st.sampled_from(QUERIES))
def test_a_reply_over_udp_is_no_larger_than_the_client_takes(size, wire):
    head = bytearray(wire[:12])
    head[10:12] = b"\0\1"
    end = 12
    while wire[end]:
        end += 1 + wire[end]
    reply = ANSWERER.reply(bytes(head) + wire[12 : end + 5] + opt(size), "udp")
    assert len(reply) <= min(max(size, 512), 1232)


# The names of a zone, held against every name written out


def names_of(network, below):
    """All names that exist because a network is listed: its addresses, and all that lead to them."""
    for address in network:
        labels = tuple(address_name(str(address), below).split("."))
        yield from (labels[at:] for at in range(len(labels) - below.count(".")))


# Few different labels, so that octets and nibbles, networks and addresses meet often.
small4 = st.builds(
    lambda octets, prefix: IPv4Network((bytes(octets), prefix), strict=False),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.integers(29, 32),
)
small6 = st.builds(
    lambda head, last, prefix: IPv6Network((int(head + "0" * 27 + last, 16), prefix), strict=False),
    st.text("0123", min_size=4, max_size=4),
    st.sampled_from(["0", "8"]),
    st.integers(126, 128),
)
networks = st.dictionaries((small4 | small6).map(str), st.just([0]), max_size=4)
paths = st.lists(st.lists(st.sampled_from("01238"), min_size=1, max_size=5), min_size=1, max_size=30)


@given(networks, paths, st.sampled_from(["", "ab.", "attacks."]))
@settings(max_examples=200, deadline=None)
def test_a_name_of_an_ip_zone_exists_where_one_written_out_does(networks, paths, sublist):
    answerer = Answerer([FakeView(ip_zone(), networks)], DnsConfig())
    below = f"{sublist}{IP_ORIGIN}"
    here = [ip_network(text) for text in networks if sublist != "attacks."]  # all are listed as spam, which is in `ab`
    listed = {tuple(address_name(str(address), below).split(".")) for network in here for address in network}
    existing = {name for network in here for name in names_of(network, below)}
    suffix = tuple(below.split("."))
    asked = [(*path, *suffix) for path in paths] + sorted(listed)[:8] + sorted(existing - {suffix})[:20]
    for labels in asked:
        reply = ask(answerer, ".".join(labels))
        assert bool(reply.rr) == (labels in listed), labels
        assert rcode(reply) == (NOERROR if labels in existing else NXDOMAIN), labels


words = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(words, st.sampled_from([[0], [1], [0, 1]]), max_size=5), words)
@settings(max_examples=400, deadline=None)
def test_a_name_of_a_domain_zone_is_listed_at_or_below_what_is(names, asked):
    answerer = Answerer([FakeView(domain_zone(), names=names)], DnsConfig())
    reply = ask(answerer, f"{asked}.{DOMAIN_ORIGIN}")
    listed = any(asked == name or asked.endswith("." + name) for name in names)
    above = any(name.endswith("." + asked) for name in names)
    assert bool(reply.rr) == listed
    assert rcode(reply) == (NOERROR if listed or above else NXDOMAIN)
