"""Lists of addresses: every way to write one, every comment, and nothing taken that should not be."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Network, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import subjects
from dnsbl.errors import SubjectError
from dnsbl.intake.formats import FormatOptions, base, parse, plain
from dnsbl.intake.formats.base import address_keys, quick_ip4


def texts(parsed):
    return sorted(subjects.text(key) for key in parsed.hits)


def read(text, format="plain", **options):
    return parse(text.encode() if isinstance(text, str) else text, format, FormatOptions(**options))


@pytest.mark.parametrize(
    "line",
    [
        "192.0.2.0/24",
        "192.0.2.0/24 # c",
        "192.0.2.0/24 ; SBL1",
        "192.0.2.0/24;SBL1",
        "192.0.2.0/24 // c",
        "  192.0.2.0/24\t",
        "192.0.2.0/255.255.255.0",
        "192.0.2.0 - 192.0.2.255",
        "192.0.2.0-192.0.2.255",
        "::ffff:192.0.2.0/120",
        "::ffff:192.0.2.0 - ::ffff:192.0.2.255",
    ],
)
def test_one_network_in_many_clothes(line):
    parsed = read(line)
    assert texts(parsed) == ["192.0.2.0/24"]
    assert not parsed.rejects


def test_comments_blanks_crlf_and_bom_are_no_entries():
    data = b"\xef\xbb\xbf# head\r\n; more\r\n// more\r\n\r\n192.0.2.1\r\n  # Z\xfcrich in Latin-1\r\n"
    data += b"192.0.2.2 # Z\xfcrich\r\n2001:db8::1"
    parsed = read(data)
    assert texts(parsed) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert parsed.rejected == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("010.0.0.1", "leading zero"),
        ("192.0.2.1/24", "host bits"),
        ("0.0.0.0/0", "wider than /8"),
        ("::/0", "wider than /19"),
        ("11.0.0.0/7", "host bits"),
        ("12.0.0.0/7", "wider than /8"),
        ("0.0.0.0 - 255.255.255.254", "wider than /8"),
        ("::ffff:0:0/96", "wider than /8"),
        ("192.0.2.9 - 192.0.2.1", "ends before"),
        ("192.0.2.1 - 2001:db8::1", "ends before"),
        ("192.0.2.1-x", "not a range"),
        ("192.0.2", "not an IPv4"),
        ("192.0.2.1.5", "not an IPv4"),
        ("192.0.2.999", "not an IPv4"),
        ("99999999999999999999", "not an IPv4"),
        ("192.0.2.1/33", "prefix length"),
        ("192.0.2.1/", "prefix length"),
        ("192.0.2.0/255.0.255.0", "netmask"),
        ("192.0.2.1 10", "not an IPv4"),
        ("192.0.2.1:80", "not an IPv6"),
        ("fe80::1%eth0", "not an IPv6"),
        ("bad.example", "not an IPv4"),
        ("192.0.2.1\x00", "not an IPv4"),
        ("192.0.2.\ufffd", "not an IPv4"),
        ("１92.0.2.1", "not an IPv4"),
        ("9" * 5000, "longer than 4096"),
    ],
)
def test_what_can_be_misread_is_a_reject_with_its_line(line, why):
    parsed = read("# one\n" + line + "\n192.0.2.7\n")
    assert texts(parsed) == ["192.0.2.7"]
    assert [(r.line, why in r.why) for r in parsed.rejects] == [(2, True)]


def test_zero_prefix_is_refused_whatever_the_options_say():
    assert not read("0.0.0.0/0\n::/0\n", widest4=0, widest6=0).hits


def test_the_same_line_a_thousand_times_is_one_entry():
    parsed = read("192.0.2.1\n" * 1000)
    assert (parsed.hits, parsed.repeated) == ({subjects.parse("192.0.2.1"): 1}, 999)


def test_a_cut_line_and_one_of_a_hundred_megabytes_cost_one_reject_each():
    data = b"192.0.2.1\n" + b"1" * 100_000_000 + b"\n192.0."
    started = time.perf_counter()
    parsed = read(data)
    assert time.perf_counter() - started < 3  # measured 0.02 s
    assert texts(parsed) == ["192.0.2.1"]
    assert [r.line for r in parsed.rejects] == [2, 3]


def test_counted_lines_carry_their_count():
    parsed = read(
        "# IP\tn\n192.0.2.1\t10\n192.0.2.2\t2\n192.0.2.0/30 7 # c\n2001:db8::1\t3\n192.0.2.2\t4\n",
        "counted",
        min_hits=3,
    )
    assert {subjects.text(k): n for k, n in parsed.hits.items()} == {
        "192.0.2.1": 10,
        "192.0.2.0/30": 7,
        "2001:db8::1": 3,
        "192.0.2.2": 4,
    }
    assert parsed.rejected == 0  # fewer than min_hits is not a mistake


@pytest.mark.parametrize("count", ["", "0", "-1", "x", "1e3", "1_0", "²", "9" * 30])
def test_what_is_no_count_is_a_reject(count):
    parsed = read(f"192.0.2.1\t{count}\n192.0.2.2\t1\n", "counted")
    assert texts(parsed) == ["192.0.2.2"]
    assert parsed.rejected == 1


def test_dshield_rows_must_agree_with_themselves(sample):
    parsed = parse(sample("dshield.txt"), "dshield")
    assert texts(parsed) == ["192.0.2.0/24", "198.51.100.0/24"]
    assert [r.why for r in parsed.rejects] == ["start, end and netmask disagree"]


def test_subjects_of_every_kind():
    sha = "0" * 40
    parsed = read(
        f"192.0.2.1\nbad.example # c\n*.worse.example\n+4930123456\nemail:{sha}\n192.0.2.4-192.0.2.5\n", "subjects"
    )
    assert texts(parsed) == ["+4930123456", "192.0.2.1", "192.0.2.4/31", "bad.example", f"email:{sha}", "worse.example"]


# The fast way and the careful way

ENTRY = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){2,4}(/[0-9]{0,3})?", fullmatch=True),
    st.from_regex(r"[0-9a-f:./ -]{0,40}", fullmatch=True),
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(lambda p: str(ip_network(p, strict=False))),
    st.tuples(st.ip_addresses(v=4), st.integers(0, 33)).map(lambda p: f"{p[0]}/{p[1]:02}"),
    st.text(max_size=20),
)


def careful(text):
    key = subjects.parse(text)
    if not subjects.is_ip(key):
        raise SubjectError("not an address")
    return key


@given(ENTRY)
def test_the_fast_way_never_differs_from_the_careful_one(text):
    quick = quick_ip4(text)
    if quick is not None:
        assert quick == careful(text)
    else:
        with pytest.raises(SubjectError):
            key = careful(text)
            if text == text.strip() and ":" not in text and text.count("/") + text.count("255.") == 0:
                pytest.fail(f"{text!r} is {key!r}: the fast way missed a bare address")
            raise SubjectError("a form for the careful way")


@given(ENTRY)
def test_address_keys_are_what_subjects_parse_says(text):
    text = text.strip()
    try:
        expected = careful(text)
    except SubjectError:
        if "-" not in text:
            with pytest.raises(SubjectError):
                address_keys(text)
    else:
        assert address_keys(text) == [expected]


@given(st.lists(st.one_of(ENTRY, st.sampled_from(["", "# c", "192.0.2.1 # c", "192.0.2.1\r"])), max_size=30))
def test_whole_files_come_out_the_same_both_ways(lines):
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    for format in ("plain", "counted"):
        fast = parse_raw(data, format)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain, "inet_pton", refuse)
            patch.setattr(base, "quick_ip4", lambda text: None)
            assert parse_raw(data, format) == fast


def parse_raw(data, format):
    return (plain.parse_plain if format == "plain" else plain.parse_counted)(data, FormatOptions())


def refuse(*_):
    raise OSError


@given(st.lists(st.ip_addresses(), max_size=50, unique=True))
def test_addresses_written_are_addresses_read(addresses):
    parsed = read("\n".join(str(a) for a in addresses))
    assert len(parsed.hits) == len({subjects.parse(str(a)) for a in addresses})
    assert not parsed.rejects


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20))
def test_a_range_covers_its_addresses_and_no_others(first, more):
    last = min(first + more, 2**32 - 1)
    parsed = read(f"{IPv4Address(first)} - {IPv4Address(last)}")
    bounds = sorted(subjects.bounds(key) for key in parsed.hits)
    assert (bounds[0][0], bounds[-1][1]) == (first, last)
    assert all(a[1] + 1 == b[0] for a, b in pairwise(bounds))


@given(st.integers(0, 2**128 - 1), st.integers(19, 128))
def test_networks_of_ipv6_survive(address, length):
    network = IPv6Network((address, length), strict=False)
    parsed = read(str(network))
    assert list(parsed.hits) == [subjects.parse(str(network))] or network.is_private


@pytest.mark.data
@pytest.mark.parametrize(("name", "entries"), [("ipsum-2026-01-02.txt", 171_010), ("ipsum-2026-08-22.txt", 120_430)])
def test_all_of_ipsum_in_well_under_a_second(data_dir, name, entries):
    data = (data_dir / "lists" / name).read_bytes()
    started = time.perf_counter()
    parsed = parse(data, "counted")
    assert time.perf_counter() - started < 2  # measured 0.17 s; the limit allows for a busy machine
    assert (len(parsed.hits), parsed.rejected, parsed.repeated) == (entries, 0, 0)


@pytest.mark.data
@pytest.mark.parametrize(("name", "entries"), [("dynamic-nets.txt", 98_795), ("hosting-nets.txt", 97_803)])
def test_all_networks_of_oxl(data_dir, name, entries):
    parsed = parse((data_dir / "lists" / name).read_bytes(), "plain")
    assert (len(parsed.hits), parsed.rejected) == (entries, 0)


def test_a_million_lines():
    data = b"\n".join(b"%d.%d.%d.%d" % (11 + i // 2**16, i >> 8 & 255, i & 255, i % 251) for i in range(1_000_000))
    started = time.perf_counter()
    parsed = parse(data, "plain")
    assert time.perf_counter() - started < 6  # measured 0.9 s
    assert len(parsed.hits) + parsed.repeated == 1_000_000
