"""Subjects: text to key and back, the order of keys, and what is above and inside, held against `ipaddress`."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnsbl.errors import SubjectError
from dnsbl.subjects import (
    IP6_LISTING_PREFIX,
    ancestors,
    bounds,
    domain_key,
    inside,
    ip4_key,
    is_ip,
    kind,
    listing_key,
    name_of,
    network,
    parse,
    range_keys,
    text,
    zone_name,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@st.composite
def networks(draw: st.DrawFn, version: int | None = None) -> Network:
    """Networks, close together as often as not."""
    four = draw(st.booleans()) if version is None else version == 4
    bits = 32 if four else 128
    prefix = draw(st.integers(0, bits))
    near = (5 << 24) if four else (0x2A00_0001 << 96)
    address = draw(st.integers(0, 2**bits - 1) | st.integers(near, near + 300))
    address = address >> (bits - prefix) << (bits - prefix)
    return ipaddress.IPv4Network((address, prefix)) if four else ipaddress.IPv6Network((address, prefix))


def mapped(net: Network) -> bool:
    return net.version == 6 and int(net.network_address) >> 32 == 0xFFFF and net.prefixlen >= 96


label = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
names = st.builds(
    lambda parts, top: ".".join([*parts, top]), st.lists(label, min_size=1, max_size=4), st.sampled_from(["com", "x-y"])
)


def key_of(net: Network) -> bytes:
    return (b"4" if net.version == 4 else b"6") + net.network_address.packed + bytes((net.prefixlen,))


# round trips


@given(networks())
def test_networks_go_in_and_come_out(net: Network) -> None:
    key = parse(str(net))
    if mapped(net):
        assert key == b"4" + net.network_address.packed[12:] + bytes((net.prefixlen - 96,))
        return
    assert key == key_of(net)
    host = net.prefixlen == net.max_prefixlen
    assert text(key) == (str(net.network_address) if host else str(net))
    assert parse(text(key)) == key
    assert network(key) == (net.version, int(net.network_address), net.prefixlen)
    assert bounds(key) == (int(net.network_address), int(net.broadcast_address))
    assert is_ip(key)
    assert kind(key) == "ip"


@given(networks(4))
def test_a_netmask_is_a_prefix_length(net: ipaddress.IPv4Network) -> None:
    assert parse(f"{net.network_address}/{net.netmask}") == key_of(net)


@given(networks(4), st.integers(0, 2**32 - 1))
def test_other_netmasks_are_refused(net: ipaddress.IPv4Network, mask: int) -> None:
    written = ipaddress.IPv4Address(mask)
    try:
        prefix = ipaddress.IPv4Network(f"0.0.0.0/{written}").prefixlen
    except ValueError:
        prefix = -1
    if prefix < 0 or ipaddress.IPv4Address(ipaddress.IPv4Network((0, max(prefix, 0))).netmask) != written:
        with pytest.raises(SubjectError):
            ip4_key("0.0.0.0", str(written))


@given(names)
def test_names_go_in_and_come_out(name: str) -> None:
    key = parse(name)
    assert text(key) == name_of(key) == name
    assert parse(name.upper() + ".") == key
    assert kind(key) == "domain"
    assert not is_ip(key)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  192.0.2.1\n", "192.0.2.1"), ("192.0.2.0/24", "192.0.2.0/24"), ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"), ("0.0.0.0/0", "0.0.0.0/0"), ("0.0.0.0/0.0.0.0", "0.0.0.0/0"),
        ("2001:DB8::1", "2001:db8::1"), ("2001:db8::/32", "2001:db8::/32"), ("::/0", "::/0"), ("::1/128", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:200/120", "192.0.2.0/24"),
        ("::fffe:1.2.3.4", "::fffe:102:304"),
        ("Bad.Example.", "bad.example"), ("_dmarc.bad.example", "_dmarc.bad.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.EXAMPLE", "xn--bcher-kva.example"), ("straße.de", "xn--strae-oqa.de"),
        ("1.2.3.example", "1.2.3.example"),
        ("a--b.example", "a--b.example"), ("email:" + "A" * 40, "email:" + "a" * 40),
        ("url:" + "0" * 40, "url:" + "0" * 40),
        ("file:" + "a2" * 26, "file:" + "a2" * 26), ("+49 30 123-456", "+4930123456"), ("+123", "+123"),
    ],
)  # fmt: skip
def test_what_people_write_is_read(written: str, read: str) -> None:
    assert text(parse(written)) == read
    assert parse(read) == parse(written)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "empty"), (" \t", "empty"), ("x" * 301, "too long"), ("1.2.3.4" + " " * 400 + "x", "too long"),
        ("010.0.0.1", "leading zero"), ("1.2.3.04", "leading zero"), ("00.0.0.0", "leading zero"),
        ("1.2.3", "not an IPv4"), ("1.2.3.4.5", "not an IPv4"), ("256.1.1.1", "not an IPv4"),
        ("1.2.3.", "not an IPv4"),
        ("1", "not an IPv4"), (".", "not an IPv4"), ("/", "not a domain"), ("1.2.3.4/", "not a domain"),
        ("/24", "not an IPv4"),
        ("1.2.3.4/24", "host bits"), ("1.2.3.0/33", "not a prefix"), ("1.2.3.0/-1", "not a"),
        ("1.2.3.0/024", "not a prefix"),
        ("1.2.3.4/24/8", "not a prefix"), ("1.2.3.0/255.0.255.0", "not a netmask"),
        ("1.2.3.0/0.0.0.255", "not a netmask"),
        ("1.2.3.4/٣٢", "not a"), ("１.2.3.4", "end in a number"), ("1.2.3.4\x00", "not a"),
        ("1.2.3.4 5.6.7.8", "not a"),
        ("2001:db8::1/64", "host bits"), ("2001:db8::/129", "not a prefix"), ("2001:db8::/", "not a prefix"),
        ("2001:db8::/ffff::", "not a prefix"), ("2001:db8:::", "not an IPv6"), ("1:2:3", "not an IPv6"),
        (":", "not an IPv6"),
        ("fe80::1%eth0", "not an IPv6"), ("[::1]", "not an IPv6"), ("1.2.3.4:25", "not an IPv6"),
        ("::1\x00", "not an IPv6"),
        ("::ffff:1.2.3.4/95", "host bits"), ("\ud800::1", "not an IPv6"), ("http://bad.example/", "not an IPv6"),
        ("com", "single label"), ("localhost.", "single label"), ("a..b", "empty label"), (".a.b", "empty label"),
        ("a.b..", "empty label"), ("-a.example", "not a domain"), ("a-.example", "not a domain"),
        ("a b.example", "not a domain"),
        ("a.example/24", "not a domain"), ("*.example.com", "not a domain"), ("user@a.example", "not a domain"),
        ("x" * 64 + ".example", "label longer"), (".".join(["a" * 60] * 5), "too long"),
        (".".join(["a" * 49] * 6), "longer than 253"),
        ("1.2.3.4x.5", "end in a number"), ("a.12", "end in a number"), ("\ud800.example", "not a"),
        ("xn--\u00fc.example", "not an internationalised"), ("email:xyz", "not a hash"),
        ("file:" + "a" * 51, "not a hash"),
        ("email:", "not a hash"), ("+", "E.164"), ("+1", "E.164"), ("+0123456", "E.164"), ("+" + "1" * 16, "E.164"),
        ("+12a45", "E.164"),
        ("+١٢٣٤", "E.164"),
    ],
)  # fmt: skip
def test_what_can_be_misread_is_refused(written: str, why: str) -> None:
    with pytest.raises(SubjectError, match=why):
        parse(written)


@settings(max_examples=500)
@given(st.text(max_size=60) | st.text(alphabet="0123456789./:abcdefx- +%\x00\u3002\u00df\u200d", max_size=40))
@example("1.2.3.4。")
@example("example。com")
def test_any_text_is_a_subject_or_a_subject_error(written: str) -> None:
    try:
        key = parse(written)
    except SubjectError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 100
        return
    assert parse(text(key)) == key
    assert kind(key) in ("ip", "domain", "hash", "e164")
    if is_ip(key):
        assert ipaddress.ip_network(text(key)).prefixlen == key[-1]
    elif kind(key) == "domain":
        assert len(text(key)) <= 253
        assert not text(key).rpartition(".")[2].isdigit()


# order


@given(networks(), networks())
def test_networks_sort_by_address_then_width(one: Network, other: Network) -> None:
    def order(net: Network) -> tuple[int, int, int]:
        return net.version, int(net.network_address), net.prefixlen

    assert (key_of(one) < key_of(other)) == (order(one) < order(other))


@given(st.lists(names, min_size=2, max_size=12))
def test_everything_below_a_name_stands_together(found: list[str]) -> None:
    ordered = sorted({domain_key(name) for name in found})
    for name in found:
        low, high = inside(domain_key(name))
        below = [key for key in ordered if text(key).endswith("." + name)]
        assert [key for key in ordered if low <= key < high] == below
        if below:
            start = ordered.index(below[0])
            assert ordered[start : start + len(below)] == below


@pytest.mark.parametrize("sibling", ["example-x.com", "example_.com", "examplex.com", "example0.com", "exampl.com"])
def test_siblings_are_not_inside(sibling: str) -> None:
    low, high = inside(parse("example.com"))
    assert not low <= parse(sibling) < high
    assert not low <= parse("a." + sibling) < high
    assert low <= parse("a.example.com") < high
    assert parse("example.com") < low


# above and inside


@given(networks())
def test_ancestors_are_the_supernets(net: Network) -> None:
    expected = [key_of(net.supernet(new_prefix=prefix)) for prefix in range(net.prefixlen, -1, -1)]
    assert list(ancestors(key_of(net))) == expected


@given(names)
def test_ancestors_of_a_name_have_two_labels_or_more(name: str) -> None:
    parts = name.split(".")
    assert [text(key) for key in ancestors(parse(name))] == [".".join(parts[n:]) for n in range(len(parts) - 1)]


@pytest.mark.parametrize("subject", ["email:" + "a" * 40, "+4930123456"])
def test_hashes_and_numbers_stand_alone(subject: str) -> None:
    assert list(ancestors(parse(subject))) == [parse(subject)]
    assert listing_key(parse(subject)) == parse(subject)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("www.bad.example", b"example.bad.www"), ("+1234", b"1.2.3.4"), ("+123", b"1.2.3"),
        ("email:" + "a" * 40, b"_email." + b"a" * 40), ("file:" + "b2" * 26, b"_file." + b"b2" * 26),
        ("url:" + "0" * 40, b"_url." + b"0" * 40),
    ],
)  # fmt: skip
def test_a_zone_holds_a_subject_under_labels_from_the_top(subject: str, name: bytes) -> None:
    assert zone_name(parse(subject)) == name


@settings(max_examples=300)
@given(st.integers(4, 6).filter(lambda v: v != 5).flatmap(lambda v: st.tuples(networks(v), networks(v))))
def test_inside_holds_every_narrower_network(pair: tuple[Network, Network]) -> None:
    outer, inner = pair
    low, high = inside(key_of(outer))
    if inner.subnet_of(outer):  # type: ignore[arg-type]
        assert low <= key_of(inner) < high
    elif low <= key_of(inner) < high:  # a wider one that starts at the same address, as the docstring says
        assert outer.subnet_of(inner)  # type: ignore[arg-type]
        assert outer.network_address == inner.network_address


def test_inside_reaches_the_last_address() -> None:
    low, high = inside(parse("255.255.255.0/24"))
    assert low <= parse("255.255.255.255") < high
    low, high = inside(parse("ff00::/8"))
    assert low <= parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") < high


@given(networks())
def test_ipv6_is_listed_by_the_64_and_ipv4_as_it_is(net: Network) -> None:
    key = listing_key(key_of(net))
    if net.version == 6 and net.prefixlen > IP6_LISTING_PREFIX:
        assert key == key_of(net.supernet(new_prefix=IP6_LISTING_PREFIX))
    else:
        assert key == key_of(net)
    assert listing_key(key) == key


# ranges


@given(st.sampled_from([4, 6]), st.data())
def test_a_range_is_its_networks(version: int, data: st.DataObject) -> None:
    top = 2 ** (32 if version == 4 else 128) - 1
    ends = sorted(data.draw(st.tuples(st.integers(0, top), st.integers(0, top))))
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    whole = sum(1 for _ in ipaddress.summarize_address_range(address(ends[0]), address(ends[1])))
    if whole > 64:  # a line that comes to hundreds of networks is no range that anybody means
        with pytest.raises(SubjectError, match="more than 64"):
            range_keys(str(address(ends[0])), str(address(ends[1])))
        return
    keys = range_keys(str(address(ends[0])), f" {address(ends[1])} ")
    assert len(keys) == whole
    spans = [bounds(key) for key in keys]
    assert (spans[0][0], spans[-1][1]) == tuple(ends)
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(spans))


def test_a_range_of_mapped_addresses_is_the_ipv4_range() -> None:
    assert range_keys("::ffff:192.0.2.0", "::ffff:192.0.2.255") == [parse("192.0.2.0/24")]


@pytest.mark.parametrize(
    ("first", "last"),
    [("1.2.3.4", "1.2.3.3"), ("1.2.3.4", "::1"), ("x", "1.2.3.4"), ("1.2.3.4", ""), ("01.2.3.4", "1.2.3.5"), ("", ""),
     ("fe80::1%eth0", "fe80::2%eth0"), ("fe80::1%a", "fe80::2%b"), ("1.2.3.0/24", "1.2.4.0/24")],
)  # fmt: skip
def test_a_range_that_is_none_is_refused(first: str, last: str) -> None:
    with pytest.raises(SubjectError):
        range_keys(first, last)
