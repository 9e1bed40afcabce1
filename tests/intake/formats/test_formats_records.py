"""CSV, NDJSON, and the JSON of single publishers."""

from __future__ import annotations

import base64

import pytest

from dnsbl import subjects
from dnsbl.config import Columns
from dnsbl.errors import IntakeError, SubjectError
from dnsbl.intake.formats import FormatOptions, parse
from dnsbl.intake.formats.records import host_of


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


def read(text, format="csv", **options):
    return parse(text.encode() if isinstance(text, str) else text, format, FormatOptions(**options))


# CSV


def test_urlhaus_whose_header_is_a_comment(sample):
    parsed = read(sample("urlhaus.csv"), columns=Columns(subject="url", category="threat"))
    assert texts(parsed.hits) == ["192.0.2.10", "2001:db8::15", "files.bad.example"]
    assert set(parsed.words.values()) == {"malware_download"}
    assert [(r.line, r.why) for r in parsed.rejects] == [(9, "a quote that is not closed, or text after one")]


def test_threatfox_with_blanks_after_commas_and_none(sample):
    parsed = read(sample("threatfox.csv"), columns=Columns(subject="ioc_value", category="threat_type"))
    assert texts(parsed.hits) == ["192.0.2.30", "c2.bad.example", "load.bad.example"]
    assert sorted(parsed.words.values()) == ["botnet_cc", "botnet_cc", "payload_delivery"]
    assert parsed.rejected == 1  # a file hash of a kind that is no subject


def test_feodo_with_a_header_row(sample):
    parsed = read(sample("feodo.csv"), columns=Columns(subject="dst_ip"))
    assert texts(parsed.hits) == ["192.0.2.10", "198.51.100.7"]
    assert parsed.rejected == 0


def test_without_a_map_the_telling_or_the_first_column_is_taken(sample):
    assert texts(read(sample("feodo.csv")).hits) == ["192.0.2.10", "198.51.100.7"]
    assert texts(read("192.0.2.1,x\n192.0.2.2,y\n").hits) == ["192.0.2.1", "192.0.2.2"]
    assert len(read(sample("disposable-phone-numbers.csv")).hits) == 10


def test_columns_by_number_delimiter_hits_and_words():
    columns = Columns(subject=1, category=2, hits=3)
    parsed = read(
        "n;ip;what;n\na;192.0.2.1;spam;3\nb;192.0.2.2;;1\nc;192.0.2.3;None;x\n", columns=columns, delimiter=";"
    )
    assert {subjects.text(k): n for k, n in parsed.hits.items()} == {"192.0.2.1": 3, "192.0.2.2": 1}
    assert parsed.words == {subjects.parse("192.0.2.1"): "spam"}
    assert [r.line for r in parsed.rejects] == [4]
    assert len(read("a;192.0.2.1;spam;3\nb;192.0.2.2;;1\n", columns=columns, delimiter=";", min_hits=2).hits) == 1


def test_a_first_row_with_a_subject_is_no_header():
    assert len(read("192.0.2.1,a\n192.0.2.2,b\n", columns=Columns(subject=0), header=True).hits) == 2
    assert len(read("ip,a\n192.0.2.2,b\n", columns=Columns(subject=0), header=True).hits) == 1
    parsed = read("x,a\n192.0.2.2,b\n", columns=Columns(subject=0), header=False)
    assert (len(parsed.hits), parsed.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("text", "options"),
    [("a,b\n192.0.2.1,c\n", {}), ("ip,b\n192.0.2.1,c\n", {"header": False, "columns": Columns(subject="ip")})],
)
def test_columns_that_are_not_there(text, options):
    with pytest.raises(IntakeError, match="column"):
        read(text, **({"columns": Columns(subject="address")} | options))


def test_a_quote_never_closed_spoils_its_own_line_only():
    parsed = read('192.0.2.1,"a"\n192.0.2.2,"never closed\n192.0.2.3,"b"\n192.0.2.4,"x"y\n"192.0.2.5\n192.0.2.6\n')
    assert texts(parsed.hits) == ["192.0.2.1", "192.0.2.3", "192.0.2.6"]
    assert [r.line for r in parsed.rejects] == [2, 4, 5]


def test_rows_too_short():
    parsed = read("192.0.2.1\n", columns=Columns(subject=3), header=False)
    assert [r.why for r in parsed.rejects] == ["only 1 columns"]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://bad.example/x", "bad.example"),
        ("https://user:pass@BAD.example:8443/x?y#z", "bad.example"),
        ("http://good.example@bad.example/", "bad.example"),
        ("http://192.0.2.1:80/", "192.0.2.1"),
        ("http://[2001:db8::1]:80/", "2001:db8::1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::1:80", "2001:db8::1:80"),
        ("bad.example:443", "bad.example"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("email:" + "1" * 40, "email:" + "1" * 40),
    ],
)
def test_host_of(text, host):
    assert host_of(text) == host


@pytest.mark.parametrize(
    "url", ["http://bad.example\\@good.example/", "http://", "http://[::1", "http:// bad.example/", "http://a\tb/"]
)
def test_urls_that_say_nothing_or_two_things(url):
    with pytest.raises(SubjectError):
        host_of(url)


# NDJSON


def test_ndjson_lines():
    columns = Columns(subject="ip", category="what", hits="n")
    text = (
        '{"ip":"192.0.2.1","n":3,"what":"spam"}\n\n{"ip":"http://bad.example/"}\n{"ip":5}\n{"x":1}\n[1]\n{cut\n'
        '{"ip":"192.0.2.9","n":0}\n{"ip":"192.0.2.9","n":1e999}\n{"ip":"192.0.2.9","n":[1]}\n{"ip":"x"}\n'
    )
    parsed = read(text, "ndjson", columns=columns)
    assert {subjects.text(k): n for k, n in parsed.hits.items()} == {"192.0.2.1": 3, "bad.example": 1}
    assert list(parsed.words.values()) == ["spam"]
    assert [r.line for r in parsed.rejects] == [4, 5, 6, 7, 8, 9, 10, 11]


def test_ndjson_as_one_array():
    parsed = read('[{"subject":"192.0.2.1"},\n 5,\n{"subject":"192.0.2.2"}]', "ndjson")
    assert (texts(parsed.hits), [r.line for r in parsed.rejects]) == (["192.0.2.1", "192.0.2.2"], [2])


@pytest.mark.parametrize("text", ["<html>", "no json\nat all\n", "[1, 2]", "[{", "[" * 1_000_000, '{"a":' * 1_000_000])
@pytest.mark.parametrize("format", ["ndjson", "drop-json"])
def test_what_is_no_json_is_refused_whole(text, format):
    with pytest.raises(IntakeError):
        read(text, format)


# Spamhaus DROP


def test_drop_json_knows_how_many_there_should_be(sample):
    parsed = read(sample("drop_v4.json"), "drop-json")
    assert texts(parsed.hits) == ["1.10.16.0/20", "1.19.0.0/16"]
    assert parsed.claimed == 2
    cut = read(b"\n".join(sample("drop_v4.json").splitlines()[1:]), "drop-json")
    assert (len(cut.hits), cut.claimed) == (1, 2)


def test_drop_json_without_its_end_claims_nothing():
    parsed = read(
        '{"cidr":"192.0.2.0/24"}\n{"cidr":7}\n{"cidr":"192.0.2.1/24"}\n{"type":"metadata","records":"x"}', "drop-json"
    )
    assert (len(parsed.hits), parsed.rejected, parsed.claimed) == (1, 2, None)


def test_drop_text(sample):
    assert texts(read(sample("drop.txt"), "drop").hits) == ["1.10.16.0/20", "1.19.0.0/16"]


# MISP


def test_warninglists(sample):
    assert len(read(sample("warninglist-gmail.json"), "misp-warninglist").hits) == 8
    assert len(read(sample("warninglist-shorteners.json"), "misp-warninglist").hits) == 12
    text = '{"type":"hostname","list":[".good.example","x.example",5,"","com","http://y.example/",["z"],"192.0.2.1"]}'
    parsed = read(text, "misp-warninglist")
    assert texts(parsed.hits) == ["192.0.2.1", "good.example", "x.example"]
    assert [r.line for r in parsed.rejects] == [3, 4, 5, 6, 7]
    assert read('{"type":"substring","list":["a.example"]}', "misp-warninglist").rejected == 1
    assert read('{"type":"cidr","list":["a.example"]}', "misp-warninglist").rejected == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"regex","list":["/a/"]}', '{"type":"new","list":[]}', '{"type":"cidr"}', '{"list":5}',
        "[]", "{", "", "5",
        "[" * 1_000_000, '{"list":' + "[" * 1_000_000, '{"type":["cidr"],"list":[]}',
    ],
)  # fmt: skip
def test_warninglists_refused_whole(text):
    with pytest.raises(IntakeError):
        read(text, "misp-warninglist")


@pytest.mark.data
def test_all_warninglists(data_dir):
    rejects = {}
    for path in sorted((data_dir / "warninglists").glob("*.json")):
        parsed = parse(path.read_bytes(), "misp-warninglist")
        rejects[path.stem] = parsed.rejected
        assert parsed.hits or path.stem == "tlds"
    assert {name: n for name, n in rejects.items() if n} == {
        "cloudflare-top10k": 1,  # a top-level domain
        "moz-top500": 1,  # an empty entry
        "rfc5735": 2,  # 224.0.0.0/4 and 240.0.0.0/4
        "second-level-tlds": 1448,
        "tlds": 1438,
    }


@pytest.mark.data
def test_all_phone_numbers(data_dir):
    parsed = parse((data_dir / "lists" / "disposable-phone-numbers.csv").read_bytes(), "csv")
    assert (len(parsed.hits), parsed.rejected) == (93_287, 1)


# JSON documents


def test_abuse_ch_s_exports_and_answers(sample):
    parsed = read(sample("threatfox.json"), "json", columns=Columns(subject="ioc_value", category="threat_type"))
    sha256 = bytes.fromhex("ef537f25c895bfa782526529a9b63d97aa631564d5d789c2b765448c8635fb6c")
    file = "file:" + base64.b32encode(sha256).decode().rstrip("=").lower()
    assert texts(parsed.hits) == ["192.0.2.30", "c2.bad.example", file, "load.bad.example"]
    assert [(r.line, r.why) for r in parsed.rejects] == [
        (4, "a single label is no domain: it would cover a whole top-level domain")
    ]
    assert sorted(parsed.words.values()) == ["botnet_cc", "botnet_cc", "payload", "payload_delivery"]
    parsed = read(sample("urlhaus.json"), "json", columns=Columns(subject="url", category="threat"))
    assert texts(parsed.hits) == ["192.0.2.10", "2001:db8::15", "files.bad.example"]
    assert texts(read(sample("feodo.json"), "json", columns=Columns(subject="ip_address")).hits) == [
        "192.0.2.10",
        "198.51.100.7",
    ]


@pytest.mark.parametrize("text", ["[]", "{}", '{"urls":[]}', "null"])
def test_a_document_without_records_is_empty(text):
    assert read(text, "json", columns=Columns(subject="url")).hits == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"query_status":"unknown_auth_key"}', '{"data":[{"other":1}]}', "[" * 9 + '{"url":"x"}' + "]" * 9, "1"],
)
def test_a_document_without_the_subject_s_key_is_refused(text):
    with pytest.raises(IntakeError):
        read(text, "json", columns=Columns(subject="url"))


# ASN-DROP


def test_asn_drop_is_the_networks_of_its_systems(sample):
    networks = {
        64496: [subjects.parse("8.8.8.0/24"), subjects.parse("2001:4860::/32")],
        64497: [subjects.parse("9.0.0.0/8")],
    }
    parsed = read(sample("asndrop.json"), "asn-drop", networks_of=lambda asn: networks.get(asn, []))
    assert texts(parsed.hits) == ["2001:4860::/32", "8.8.8.0/24", "9.0.0.0/8"]
    assert parsed.claimed is None, "of records, which are not networks"
    parsed = read(
        sample("asndrop.json"), "asn-drop", networks_of=lambda asn: networks[64497] * (asn == 64497), widest4=16
    )
    assert [(r.line, r.why) for r in parsed.rejects] == [
        (1, "AS64496 has no network in the tables"),
        (2, "wider than /16"),
    ]


def test_asn_drop_without_tables_or_cut_is_refused(sample):
    with pytest.raises(IntakeError, match="set directory in \\[geo\\]"):
        read(sample("asndrop.json"), "asn-drop")
    cut = sample("asndrop.json").splitlines(keepends=True)
    with pytest.raises(IntakeError, match="it was cut: it says it has 2 records, and 1 are there"):
        read(cut[0] + cut[2], "asn-drop", networks_of=lambda asn: [])
    parsed = read(
        b'{"asn":-1}\n{"asn":true}\n{"asn":4294967296}\n{"asn":"1"}\n{"asn":0}\n{"x":1}\n',
        "asn-drop",
        networks_of=lambda asn: [b"x"],
    )
    assert (parsed.hits, parsed.rejected) == ({}, 6)
