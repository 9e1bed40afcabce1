"""Tables of networks: who has an address, what a system has, and files that are broken, large or not there."""

from __future__ import annotations

import gzip
import logging
import tracemalloc
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl import geo
from dnsbl.errors import IntakeError
from dnsbl.geo import Networks
from dnsbl.subjects import parse, text

ASN4 = """\
1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."
1.0.4.0,1.0.7.255,38803,Gtelecom Pty Ltd
1.0.8.0,1.0.15.255,38803,Gtelecom Pty Ltd
1.0.16.0,1.0.16.2,64496,"LLC ""SPUTNIK\"""
"""
ASN6 = "2001:200::,2001:200:1:ffff:ffff:ffff:ffff:ffff,2500,WIDE Project\n2400::,2400::ffff,38803,Other\n"
COUNTRY4 = "1.0.0.0,1.0.0.255,AU\n1.0.4.0,1.0.7.255,AU\n1.0.16.0,1.0.31.255,JP\n"
COUNTRY6 = "2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "asn-ipv4.csv.gz").write_bytes(gzip.compress(ASN4.encode()))
    (tmp_path / "asn-ipv6.csv").write_text(ASN6)
    (tmp_path / "country-ipv4.csv").write_text(COUNTRY4)
    (tmp_path / "country-ipv6.csv").write_text(COUNTRY6)
    return tmp_path


@pytest.mark.parametrize(
    ("subject", "asn", "country"),
    [
        ("1.0.0.0", 13335, "AU"),
        ("1.0.0.255", 13335, "AU"),
        ("1.0.1.0", None, None),
        ("0.255.255.255", None, None),
        ("255.255.255.255", None, None),
        ("1.0.5.0/24", 38803, "AU"),
        ("1.0.16.2", 64496, "JP"),
        ("1.0.16.3", None, "JP"),
        ("2001:200:1::/48", 2500, "JP"),
        ("2001:200:2::", None, "JP"),
        ("2400::ffff", 38803, None),
        ("bad.example", None, None),
        ("+4930123456", None, None),
    ],
)
def test_a_subject_is_where_its_first_address_is(tables: Path, subject: str, asn: int | None, country: str) -> None:
    networks, key = Networks.load(tables), parse(subject)
    assert (networks.asn(key), networks.country(key)) == (asn, country)
    assert networks.asns([parse("1.0.0.1"), key]) == [13335, asn]
    assert networks.countries([key, parse("1.0.0.1")]) == [country, "AU"]


def test_a_system_has_a_name_a_size_and_networks(tables: Path) -> None:
    networks = Networks.load(tables)
    assert [networks.name(asn) for asn in (13335, 64496, 2500, 1)] == [
        "Cloudflare, Inc.",
        'LLC "SPUTNIK"',
        "WIDE Project",
        "",
    ]
    assert [text(key) for key in networks.networks_of(38803)] == ["1.0.4.0/22", "1.0.8.0/21", "2400::/112"]
    assert [text(key) for key in networks.networks_of(64496)] == ["1.0.16.0/31", "1.0.16.2"]
    assert networks.networks_of(1) == []
    assert networks.size(38803) == (3072, 1)
    assert networks.size(2500) == (0, 2 * 2**16)
    assert networks.country_size("AU") == networks.country_size("au") == (1280, 0)
    assert networks.country_size("JP") == (4096, 2**32)
    assert networks.country_size("XX") == networks.country_size("") == networks.country_size("é") == (0, 0)


@given(st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 40), st.integers(1, 3)), max_size=8))
def test_the_networks_of_a_system_are_its_ranges_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, int, int]]
) -> None:
    directory = tmp_path_factory.mktemp("tables")
    held: dict[int, set[int]] = {}
    taken: set[int] = set()
    lines = []
    for start, more, asn in rows:
        low = int(ip_address(str(start)))
        span = set(range(low, min(low + more, 2**32 - 1) + 1))
        if not span & taken:
            taken |= span
            held.setdefault(asn, set()).update(span)
            lines.append(f"{start},{ip_address(max(span))},{asn},x")
    (directory / "asn-ipv4.csv").write_text("\n".join(lines))
    networks = Networks.load(directory)
    for asn in (1, 2, 3):
        found = [int(address) for key in networks.networks_of(asn) for address in ip_network(text(key))]
        assert sorted(found) == sorted(held.get(asn, set()))
        assert networks.size(asn) == (len(found), 0)
        assert all(networks.asn(parse(str(ip_address(address)))) == asn for address in found)


def test_without_tables_nothing_is_known(tmp_path: Path) -> None:
    networks, key = Networks.none(), parse("8.8.8.8")
    assert (networks.asn(key), networks.country(key), networks.name(1)) == (None, None, "")
    assert (networks.asns([key]), networks.networks_of(1), networks.size(1)) == ([None], [], (0, 0))
    with pytest.raises(IntakeError, match="set directory in"):
        Networks.load(tmp_path)
    with pytest.raises(IntakeError):
        Networks.load(tmp_path / "gone")


def test_one_table_is_enough(tables: Path) -> None:
    for name in ("asn-ipv4.csv.gz", "asn-ipv6.csv", "country-ipv6.csv"):
        (tables / name).unlink()
    networks = Networks.load(tables)
    assert (networks.country(parse("1.0.0.1")), networks.asn(parse("1.0.0.1"))) == ("AU", None)


def test_rows_that_are_none_are_counted_and_left_out(tables: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = "x\n1.0.0.0\n01.0.0.0,1.0.0.1,1,x\n1.0.0.9,1.0.0.1,1,x\n1.0.0.0,1.0.0.1,0,x\n1.0.0.0,1.0.0.1,-1,x\n"
    bad += "1.0.0.0,1.0.0.1,4294967296,x\n2001::,2001::1,1,x\n\0,\xff,1,x\n9.0.0.0,9.0.0.1,1," + "x" * 2000 + "\n"
    (tables / "asn-ipv4.csv.gz").write_bytes(gzip.compress((bad + ASN4).encode()))
    networks = Networks.load(tables)
    assert networks.asn(parse("1.0.0.1")) == 13335
    assert "10 rows are none" in caplog.text


def test_a_table_out_of_order_is_put_in_order(tables: Path) -> None:
    (tables / "asn-ipv4.csv.gz").write_bytes(gzip.compress("\n".join(reversed(ASN4.splitlines())).encode()))
    assert Networks.load(tables).asns([parse("1.0.0.1"), parse("1.0.16.1")]) == [13335, 64496]


@pytest.mark.parametrize(
    "spoilt", [b"\x1f\x8b\x08", gzip.compress(ASN4.encode())[:-9], gzip.compress(bytes(3 * 2**20)), b"not gzip"]
)
def test_a_table_that_cannot_be_read_knows_nothing_and_says_so(
    tables: Path, caplog: pytest.LogCaptureFixture, spoilt: bytes
) -> None:
    (tables / "asn-ipv4.csv.gz").write_bytes(spoilt)
    networks = Networks.load(tables)
    with caplog.at_level(logging.ERROR):
        assert networks.asn(parse("1.0.0.1")) is None
    assert "asn-ipv4.csv.gz: cannot be read" in caplog.text
    assert networks.country(parse("1.0.0.1")) == "AU", "the others go on"


def test_a_bomb_is_refused_with_memory_bounded(
    tables: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(geo, "MAX_BYTES", 4 * 2**20)
    (tables / "asn-ipv4.csv.gz").write_bytes(gzip.compress(b"1.0.0.0,1.0.0.1,1,x\n" * 10**6))
    tracemalloc.start()
    try:
        assert Networks.load(tables).asn(parse("1.0.0.1")) is None
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert "larger than 4,194,304 bytes" in caplog.text


def test_too_many_rows_and_too_many_networks_are_refused(
    tables: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(geo, "MAX_NETWORKS", 1)
    with pytest.raises(IntakeError, match="more than 1 networks"):
        Networks.load(tables).networks_of(38803)
    monkeypatch.setattr(geo, "MAX_ROWS", 2)
    assert Networks.load(tables).asn(parse("1.0.0.1")) is None
    assert "more than 2 rows" in caplog.text


def test_threads_that_ask_at_once_read_a_table_once(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    each_line = geo.each_line
    monkeypatch.setattr(geo, "each_line", lambda path: reads.append(path) or each_line(path))
    networks, barrier, found = Networks.load(tables), Barrier(8), []

    def ask() -> None:
        barrier.wait(10)
        found.append(networks.asn(parse("1.0.0.1")))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (found, len(reads)) == ([13335] * 8, 1)


@pytest.mark.data
def test_the_real_tables(real_input: Path, caplog: pytest.LogCaptureFixture) -> None:
    networks = Networks.load(real_input / "geo")
    google, anycast = parse("8.8.8.8"), parse("2001:4860:4860::8888")
    assert (networks.asn(google), networks.country(google), networks.name(15169)) == (15169, "US", "Google LLC")
    assert networks.asns([google, anycast]) == [15169, 15169]
    assert google[:4] + b"\0\x18" in networks.networks_of(15169)
    assert networks.size(15169)[0] > 10**6
    assert networks.country_size("DE")[0] > 10**8
    assert not caplog.records
