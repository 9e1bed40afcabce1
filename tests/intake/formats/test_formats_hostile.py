"""Guessing a format, and input that is broken or means harm: nothing but IntakeError ever comes out, and no subjects
out of what is no list."""

from __future__ import annotations

import gzip
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsbl.config import Columns
from dnsbl.errors import IntakeError
from dnsbl.intake.formats import FORMATS, FormatOptions, looks_like_page, parse, sniff
from dnsbl.model import MAX_REJECTS

SNIFFED = {
    "ipsum.txt": "counted",
    "urlhaus-domains.txt": "domains",
    "urlhaus-hosts.txt": "hosts",
    "urlhaus-rpz.conf": "rpz",
    "urlhaus-adblock.txt": "adblock",
    "oxl-dynamic.txt": "plain",
    "disposable-email-domains.txt": "domains",
    "referrer-spam-domains.txt": "domains",
    "disposable-phone-numbers.csv": "csv",
    "warninglist-gmail.json": "misp-warninglist",
    "warninglist-shorteners.json": "misp-warninglist",
    "drop_v4.json": "drop-json",
    "drop.txt": "drop",
    "dshield.txt": "dshield",
    "asndrop.json": "asn-drop",
    "misp-event.json": "misp",
    "feodo.csv": "csv",
    "urlhaus.csv": "csv",
    "threatfox.csv": "csv",
    "rbldnsd-combined.txt": "rbldnsd-combined",
}


@pytest.mark.parametrize(("name", "format"), SNIFFED.items())
def test_samples_are_told_apart(sample, name, format):
    assert sniff(sample(name)) == format
    assert parse(sample(name), format, FormatOptions(networks_of=lambda asn: [b"4\x08\x08\x08\x00\x18"])).hits


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("192.0.2.1\n", "plain"),
        ("\ufeff# c\r\n192.0.2.1 - 192.0.2.7\r\n", "plain"),
        ("192.0.2.0/24 ; note\n", "plain"),
        ("bad.example\n192.0.2.1\n", "domains"),
        ("+4930123456\n", "subjects"),
        ('{"ip":"192.0.2.1"}\n{"ip":"192.0.2.2"}\n', "ndjson"),
        ('[{"ip":"192.0.2.1"}]', "ndjson"),
        ("[Adblock Plus 2.0]\nbad.example\n", "adblock"),
        ("$TTL 60\n@ IN SOA a. b. 1 2 3 4 5\nbad.example CNAME .\n", "rpz"),
        (":127.0.0.2:x\n127.0.0.2\n", "rbldnsd-ip4set"),
        ("$SOA 1 a b 0 1 1 1 1\n.bad.example\n!good.bad.example\n", "rbldnsd-dnset"),
        (":127.0.0.2:x\n2001:db8:1:2\n", "rbldnsd-ip6trie"),
    ],
)
def test_small_files_are_told_apart(text, format):
    assert sniff(text.encode()) == format


@pytest.mark.parametrize(
    "data", [b"", b"\n\n# only comments\n", b"the cat sat\non the mat\n", b"{}}", b"{cut", b"[" * 10**6]
)
def test_what_cannot_be_told_is_said_so(data):
    with pytest.raises(IntakeError):
        sniff(data)


@pytest.mark.data
def test_all_real_lists_are_told_apart(data_dir):
    found = {
        path.name: sniff(path.read_bytes()) for path in [*data_dir.glob("lists/*"), *data_dir.glob("formats/urlhaus-*")]
    }
    assert found == {
        "ipsum-2026-01-02.txt": "counted",
        "ipsum-2026-08-22.txt": "counted",
        "dynamic-nets.txt": "plain",
        "hosting-nets.txt": "plain",
        "urlhaus-domains.txt": "domains",
        "urlhaus-hosts.txt": "hosts",
        "urlhaus-rpz.conf": "rpz",
        "urlhaus-adblock.txt": "adblock",
        "disposable-email-domains.txt": "domains",
        "disposable-phone-numbers.csv": "csv",
        "referrer-spam-domains.txt": "domains",
    }
    assert {sniff(path.read_bytes()) for path in data_dir.glob("warninglists/*.json")} == {"misp-warninglist"}


PAGES = [
    b"<!DOCTYPE html>\n<html><body>\n192.0.2.1\nbad.example\n</body></html>",
    b"\xef\xbb\xbf  \n<html>\n192.0.2.1\n",
    b"<!-- cached -->\n<HTML>\n192.0.2.1\n",
    b'<?xml version="1.0"?>\n<rss>\n192.0.2.1\n</rss>',
    b"<h1>Too many requests</h1>\n192.0.2.1\n",
    gzip.compress(b"192.0.2.1\n", mtime=0),
    b"PK\x03\x04rest",
    "192.0.2.1\n".encode("utf-16"),
    b"\x00" * 5000,
    bytes(range(256)) * 10,
]


@pytest.mark.parametrize("data", PAGES, ids=lambda data: f"{len(data)}-bytes")
@pytest.mark.parametrize("format", FORMATS)
def test_a_page_or_binary_is_no_list_in_any_format(data, format):
    assert looks_like_page(data)
    with pytest.raises(IntakeError, match="not a list"):
        parse(data, format)
    with pytest.raises(IntakeError):
        sniff(data)


@pytest.mark.parametrize("name", SNIFFED)
def test_lists_are_no_pages(sample, name):
    assert looks_like_page(sample(name)) is None


def test_one_nul_in_a_list_spoils_its_line_only():
    parsed = parse(b"192.0.2.1\n" * 50 + b"192.0.2.\x002\n192.0.2.3\n", "plain")
    assert (len(parsed.hits), parsed.rejected) == (2, 1)


def test_a_format_that_is_not_there():
    with pytest.raises(IntakeError, match="no format 'x'"):
        parse(b"", "x")


def test_rejects_are_counted_beyond_those_kept():
    parsed = parse(b"x\n" * 5000, "plain")
    assert (parsed.rejected, len(parsed.rejects)) == (5000, MAX_REJECTS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("byte", [b"a", b"1", b'"', b"(", b"{", b"\\", b"||", b" ", b"\xff", b"-", b":", b"\n", b"a\n"])
def test_megabytes_of_the_same_are_read_in_no_time(format, byte):
    data = byte * (400_000 // len(byte))
    started = time.perf_counter()
    try:
        parsed = parse(data, format)
    except IntakeError:
        pass
    else:
        assert not parsed.hits
    assert time.perf_counter() - started < 4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("unit", ['"\\', '"a', '(" ', "a.", "1-", "a-", "::", "|| ", "\\;", "[]", "- ", "1d1"])
def test_lines_made_to_be_slow_are_not(format, unit):
    data = (unit * (4000 // len(unit)) + "\n").encode() * 100
    started = time.perf_counter()
    with suppress(IntakeError):
        assert not parse(data, format).hits
    assert time.perf_counter() - started < 4


OPTIONS = [
    FormatOptions(),
    FormatOptions(columns=Columns(subject=0, category=1, hits=2), header=False, delimiter=";", min_hits=2),
    FormatOptions(columns=Columns(subject="ip", category="a", hits="b"), widest4=1, widest6=1),
    FormatOptions(words={"a": "spam"}, now=1, networks_of=lambda asn: [b"4\x08\x08\x08\x00\x18"] * (asn % 3)),
]
# fmt: off
WORDS = st.sampled_from([
    "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "bad.example", "*.bad", "!", "@@", "||", "|", "^", "$", "$ORIGIN",
    "$DATASET", "ip4set:", "$MAXRANGE4", "/24", ":127.0.0.2:", "CNAME", ".", "(", ")", ";", "#", "//", '"', ",", "\t",
    "\n", "\r\n", " ", "\x00", "-", "0.0.0.0", "localhost", "rpz-ip", "zz", '{"ip":', "[", "]", "}", "{", '{"list":',
    '"type":"cidr"', '{"asn":', '{"Event":{"Attribute":[', '{"objects":[', " A ",
    '{"type":"indicator","pattern":', "1", "99999999999", "é", "\ud800", "##", "$DATASET :",
])
# fmt: on
BYTES = st.one_of(
    st.binary(max_size=300),
    st.lists(WORDS, max_size=40).map(lambda words: "".join(words).encode("utf-8", "surrogatepass")),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(BYTES)
@pytest.mark.parametrize("format", FORMATS)
def test_no_bytes_raise_anything_but_intake_error(format, data):
    for options in OPTIONS:
        try:
            parsed = parse(data, format, options)
        except IntakeError:
            continue
        assert len(parsed.rejects) == parsed.rejected
        assert all(reject.line >= 1 and reject.why for reject in parsed.rejects)
        assert all(key[0] in b"46dhe" and hits >= 1 for key, hits in parsed.hits.items())
        assert all(key[-1] > 0 for key in parsed.hits if key[0] in b"46")


@settings(max_examples=200, deadline=None)
@given(BYTES)
def test_guessing_never_fails_in_another_way(data):
    looks_like_page(data)
    with suppress(IntakeError):
        assert sniff(data) in FORMATS
