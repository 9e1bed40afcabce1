"""MISP events and STIX bundles, as the libraries of those who make them write them, and real ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st
from pymisp import MISPEvent, MISPObject, MISPOrganisation

from dnsbl import subjects
from dnsbl.errors import IntakeError, SubjectError
from dnsbl.hashing import email_hash, file_digest
from dnsbl.intake.formats import FormatOptions, parse, sniff
from dnsbl.intake.formats.patterns import comparisons

SHA256 = "ef537f25c895bfa782526529a9b63d97aa631564d5d789c2b765448c8635fb6c"
FILE = subjects.text(file_digest(bytes.fromhex(SHA256)))
MAIL = subjects.text(email_hash("joe@bad.example"))
NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


def texts(keys):
    return sorted(subjects.text(key) for key in keys)


def whys(parsed):
    return [reject.why for reject in parsed.rejects]


# MISP


def misp(*attributes, tags=(), **more):
    """An event by pymisp; each attribute is (type, value) or (type, value, settings)."""
    event = MISPEvent()
    event.from_dict(info="a test", distribution=3, threat_level_id=2, analysis=2, **more)
    event.Orgc = MISPOrganisation()
    event.Orgc.from_dict(name="Maker", uuid="55f6ea5e-2c60-40e5-964f-47a8950d210f")
    for kind, value, *settings in attributes:
        event.add_attribute(kind, value, **{"to_ids": True, **(settings[0] if settings else {})})
    for tag in tags:
        event.add_tag(tag)
    return event


def as_feed(*events):
    return b"\n".join(json.dumps(event.to_feed()).encode() for event in events)


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("ip-src", "192.0.2.1", ["192.0.2.1"]),
        ("ip-dst", "2001:db8::1", ["2001:db8::1"]),
        ("ip-dst", "192.0.2.0/24", ["192.0.2.0/24"]),
        ("ip-src|port", "192.0.2.1|8080", ["192.0.2.1"]),
        ("ip-dst|port", "2001:db8::1|443", ["2001:db8::1"]),
        ("domain", "bad.example", ["bad.example"]),
        ("hostname", "www.bad.example", ["www.bad.example"]),
        ("hostname|port", "www.bad.example|25", ["www.bad.example"]),
        ("url", "http://www.bad.example:8080/a?b", ["www.bad.example"]),
        ("url", "http://[2001:db8::1]/a", ["2001:db8::1"]),
        ("domain|ip", "bad.example|192.0.2.1", ["192.0.2.1", "bad.example"]),
        ("email-src", "Joe@Bad.example", [MAIL]),
        ("sha256", SHA256, [FILE]),
        ("filename|sha256", f"a|b.exe|{SHA256}", [FILE]),
    ],
)
def test_an_attribute_is_its_subject(kind, value, found):
    parsed = parse(as_feed(misp((kind, value))), "misp")
    assert (texts(parsed.hits), parsed.rejected) == (found, 0)


def test_what_is_not_for_detection_or_names_no_subject_is_not_listed():
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    event = misp(
        ("ip-src", "192.0.2.1", {"to_ids": False}), ("ip-src", "192.0.2.2"), ("md5", md5), ("md5", md5[::-1]),
        ("email-dst", "victim@good.example"), ("url", "http://[broken/"),
    )  # fmt: skip
    parsed = parse(as_feed(event), "misp")
    assert texts(parsed.hits) == ["192.0.2.2"]
    assert whys(parsed) == [
        "not a URL",
        "no subject here, type md5: 2 attributes",
        "no subject here, type email-dst: 1 attributes",
    ]


def test_objects_deleted_attributes_and_several_events():
    item = MISPObject("domain-ip", strict=False)
    item.add_attribute("domain", type="domain", value="in-object.example", to_ids=True)
    one = misp(("domain", "one.example"))
    one.add_object(item)
    two = misp(("domain", "two.example"), ("domain", "gone.example"))
    two.attributes[1].deleted = True
    data = json.dumps({"response": [json.loads(one.to_json()), json.loads(two.to_json())]}).encode()
    wrapped = json.dumps({"response": [{"Event": json.loads(e.to_json())} for e in (one, two)]}).encode()
    assert texts(parse(wrapped, "misp").hits) == ["in-object.example", "one.example", "two.example"]
    with pytest.raises(IntakeError, match="no event"):
        parse(data, "misp")
    pretty = json.dumps(one.to_feed(), indent=2).encode()
    assert texts(parse(pretty, "misp").hits) == ["in-object.example", "one.example"]
    assert sniff(pretty) == sniff(as_feed(one, two)) == "misp"
    assert texts(parse(as_feed(one, two), "misp").hits) == ["in-object.example", "one.example", "two.example"]


@pytest.mark.parametrize("tag", ["tlp:red", "tlp:amber", "TLP:AMBER+STRICT"])
def test_tlp_red_and_amber_are_never_listed(tag):
    parsed = parse(as_feed(misp(("domain", "a.example"), tags=[tag]), misp(("domain", "b.example"))), "misp")
    assert texts(parsed.hits) == ["b.example"]
    assert whys(parsed)[0].startswith("TLP forbids")
    event = misp(("domain", "a.example"), ("domain", "b.example"), tags=["tlp:clear", "tlp:green"])
    event.attributes[0].add_tag(tag)
    assert texts(parse(as_feed(event), "misp").hits) == ["b.example"]


def test_the_first_word_that_the_map_knows_says_what_it_is():
    event = misp(
        ("domain", "a.example"), ("domain", "b.example", {"category": "Payload delivery"}), ("ip-dst", "192.0.2.1"),
        tags=["unknown", "misp-galaxy:botnet=\"x\""],
    )  # fmt: skip
    event.attributes[0].add_tag("kind:phish")
    words = {"kind-phish": "phishing", "misp-galaxy-botnet-x-": "botnet"}
    parsed = parse(as_feed(event), "misp", FormatOptions(words=words))
    assert sorted(parsed.words.values()) == ["kind:phish", 'misp-galaxy:botnet="x"', 'misp-galaxy:botnet="x"']
    parsed = parse(as_feed(event), "misp", FormatOptions(words={"payload-delivery": "malware", "ip-dst": "botnet"}))
    assert {subjects.text(key): word for key, word in parsed.words.items()} == {
        "b.example": "Payload delivery",
        "192.0.2.1": "ip-dst",
    }
    assert parse(as_feed(event), "misp").words == {}, "then all are of the feed's category"


def test_one_broken_line_spoils_its_event_only():
    parsed = parse(as_feed(misp(("domain", "a.example"))) + b'\n{"Event":{"cut\n[]\n', "misp")
    assert (texts(parsed.hits), parsed.rejected) == (["a.example"], 2)


# STIX


def indicator(pattern, **more):
    return stix2.v21.Indicator(pattern=pattern, pattern_type="stix", valid_from="2026-01-01T00:00:00Z", **more)


def bundle(*objects):
    return stix2.v21.Bundle(objects=list(objects), allow_custom=True).serialize().encode()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", ["192.0.2.1"]),
        ("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", ["192.0.2.0/24"]),
        ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", ["2001:db8::/32"]),
        ("[domain-name:value = 'bad.example']", ["bad.example"]),
        ("[url:value = 'http://bad.example/it\\'s?a=[b]OR(c']", ["bad.example"]),
        ("[email-addr:value = 'joe@bad.example']", [MAIL]),
        ("[email-message:from_ref.value = 'joe@bad.example']", [MAIL]),
        (f"[file:hashes.'SHA-256' = '{SHA256}']", [FILE]),
        (f"[file:hashes.MD5 = '{SHA256[:32]}' OR file:hashes.'SHA-256' = '{SHA256}']", [FILE]),
        ("[network-traffic:dst_ref.value = '192.0.2.1']", ["192.0.2.1"]),
        ("[domain-name:value IN ('a.example', 'b.example')]", ["a.example", "b.example"]),
        (
            "[ipv4-addr:value = '192.0.2.1' OR (domain-name:value = 'a.example')] OR ([url:value = 'http://b.example'])",
            ["192.0.2.1", "a.example", "b.example"],
        ),
    ],
)
def test_a_pattern_is_its_subjects(pattern, found):
    data = bundle(indicator(pattern))
    parsed = parse(data, "stix")
    assert (texts(parsed.hits), parsed.rejected, sniff(data)) == (found, 0, "stix")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[ipv4-addr:value = '192.0.2.1' AND domain-name:value = 'a.example']", "needs several things"),
        ("[ipv4-addr:value = '192.0.2.1'] AND [domain-name:value = 'a.example']", "needs several things"),
        ("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [domain-name:value = 'a.example']", "one thing after another"),
        ("[ipv4-addr:value NOT = '192.0.2.1']", "what it is not"),
        ("[ipv4-addr:value != '192.0.2.1']", "what it is not"),
        ("[domain-name:value LIKE '%.example']", "looks alike"),
        ("[url:value MATCHES '^http://.*']", "looks alike"),
        ("[ipv4-addr:value = '192.0.2.1'] WITHIN 5 SECONDS", "limited in time"),
        ("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES", "several times"),
        ("[ipv4-addr:value = '192.0.2.300']", "not an IPv4 address"),
        ("[ipv4-addr:value ISSUBSET '0.0.0.0/0']", "wider than"),
        ("[network-traffic:dst_port = 25]", "that can be read"),
    ],
)
def test_a_pattern_that_names_no_subject_alone_says_why(pattern, why):
    parsed = parse(bundle(indicator(pattern), indicator("[domain-name:value = 'good.example']")), "stix")
    assert texts(parsed.hits) == ["good.example"]
    assert why in whys(parsed)[0]


@pytest.mark.parametrize(
    "pattern",
    [
        "", "x", "[", "[]", "()", "[ipv4-addr:value]", "[ipv4-addr:value = '1.2.3.4'",
        "[ipv4-addr:value = '1.2.3.4\\']",
        "[ipv4-addr:value = '192.0.2.1'] OR", "[(ipv4-addr:value = '192.0.2.1']", "[ipv4-addr:value IN ('192.0.2.1',)]",
        "[ipv4-addr:value = '192.0.2.1']]", "[ipv4-addr:value '192.0.2.1']", "[= '192.0.2.1']", "(" * 10_000,
        "[" + "(" * 50 + "ipv4-addr:value = '192.0.2.1'" + ")" * 50 + "]",
        "[ipv4-addr:value = t'2020-01-01T00:00:00Z']",
        "[ipv4-addr:value = '192.0.2.1']" + " " * 70_000,
    ],
)  # fmt: skip
def test_a_broken_pattern_is_a_subject_error(pattern):
    with pytest.raises(SubjectError):
        comparisons(pattern)


PIECES = ["[", "]", "(", ")", ",", "=", " OR ", " IN ", " ISSUBSET ", "ipv4-addr:value", "'192.0.2.1'", "'\\", "'", " "]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)))
def test_any_text_is_comparisons_or_a_subject_error(pattern):
    try:
        found = comparisons(pattern)
    except SubjectError:
        return
    assert found
    assert all(":" in path for path, _ in found)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_what_stix2_quotes_is_read_as_it_was(values):
    from stix2.patterns import (
        EqualityComparisonExpression,
        ObjectPath,
        ObservationExpression,
        OrBooleanExpression,
        StringConstant,
    )

    parts = [EqualityComparisonExpression(ObjectPath("url", ["value"]), StringConstant(v)) for v in values]
    pattern = str(ObservationExpression(OrBooleanExpression(parts) if len(parts) > 1 else parts[0]))
    assert comparisons(pattern) == [("url:value", value) for value in values]


def test_time_and_revocation_are_respected():
    over = indicator("[domain-name:value = 'over.example']", valid_until="2026-05-31T23:59:59Z")
    still = indicator("[domain-name:value = 'still.example']", valid_until="2026-06-01T00:00:01Z")
    gone = indicator("[domain-name:value = 'gone.example']", revoked=True)
    first = indicator("[domain-name:value = 'first.example']")
    later = first.new_version(pattern="[domain-name:value = 'later.example']")
    taken = indicator("[domain-name:value = 'taken-back.example']")
    data = bundle(over, still, gone, later, first, taken, taken.revoke())
    parsed = parse(data, "stix", FormatOptions(now=NOW))
    assert texts(parsed.hits) == ["later.example", "still.example"]
    assert sorted(whys(parsed)) == ["no longer valid: 1 indicators", "revoked: 2 indicators"]
    assert "over.example" in texts(parse(data, "stix").hits), "without a time nothing has run out"
    early = parse(data, "stix", FormatOptions(now=NOW - 365 * 86_400))
    assert (early.hits, "not yet valid: 3 indicators" in whys(early)) == ({}, True)


@pytest.mark.parametrize(
    "mark",
    [
        stix2.v21.TLP_RED.id,
        stix2.v21.TLP_AMBER.id,
        "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    ],
)
def test_marks_that_all_know_forbid_without_being_sent(mark):
    green = indicator("[domain-name:value = 'green.example']", object_marking_refs=[stix2.v21.TLP_GREEN.id])
    marked = indicator("[domain-name:value = 'marked.example']", object_marking_refs=[mark])
    part = indicator(
        "[domain-name:value = 'part.example']", granular_markings=[{"marking_ref": mark, "selectors": ["pattern"]}]
    )
    parsed = parse(bundle(green, marked, part), "stix")
    assert texts(parsed.hits) == ["green.example"]
    assert all(why.startswith("TLP forbids") for why in whys(parsed))
    assert parsed.rejected == 2


def test_a_mark_of_the_bundle_s_own_forbids_by_its_colour():
    number = "marking-definition--11111111-1111-4111-8111-111111111111"
    extension = {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"tlp_2_0": "amber"}}
    mark = {"type": "marking-definition", "id": number, "extensions": extension}
    marked = {"type": "indicator", "id": "indicator--1", "pattern": "[domain-name:value = 'a.example']"}
    data = json.dumps({"objects": [{**marked, "object_marking_refs": [number]}, mark]}).encode()
    assert whys(parse(data, "stix"))[0].startswith("TLP forbids")


def test_indicator_types_and_labels_are_words():
    typed = indicator("[domain-name:value = 'a.example']", indicator_types=["malicious-activity", "anonymization"])
    labelled = indicator("[domain-name:value = 'b.example']", labels=["phishing"])
    words = FormatOptions(words={"anonymization": "proxy"})
    parsed = parse(bundle(typed, labelled), "stix", words)
    assert sorted(parsed.words.values()) == ["anonymization", "phishing"]


def test_what_is_no_subject_is_counted_and_no_reason_to_doubt_the_feed():
    others = [indicator(f"[file:hashes.MD5 = '{n:032x}']") for n in range(30)]
    snort = stix2.v21.Indicator(pattern="alert tcp", pattern_type="snort", valid_from="2026-01-01T00:00:00Z")
    seen = stix2.v21.IPv4Address(value="192.0.2.1")
    parsed = parse(bundle(*others, snort, seen, indicator("[domain-name:value = 'a.example']")), "stix")
    assert texts(parsed.hits) == ["a.example"]
    assert whys(parsed) == [
        "about what is no subject here: 30 indicators",
        "in another language than STIX patterns: 1 indicators",
    ]


@pytest.mark.parametrize("data", [b"{}", b"[]x", b'{"objects":{}}', b'{"objects":[1,2]}', b'{"type":"bundle","obj'])
def test_what_is_no_bundle_is_refused(data):
    with pytest.raises(IntakeError):
        parse(data, "stix")


def test_an_empty_collection_is_empty():
    assert parse(b'{"type":"bundle","objects":[]}', "stix").hits == {}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("indicator-for-malicious-url.json", ["x4z9arb.cn"]),
        ("malware-indicator-for-file-hash.json", [FILE]),
        ("sighting-of-an-indicator.json", ["paypa1.banking.com"]),
        ("using-marking-definitions.json", []),
    ],
)
def test_real_bundles(real_input, name, found):
    data = (real_input / "formats" / "stix" / name).read_bytes()
    parsed = parse(data, "stix")
    assert texts(parsed.hits) == found
    assert [why.startswith("TLP forbids") for why in whys(parsed)] == ([] if found else [True])


@pytest.mark.data
def test_a_large_real_bundle(real_input):
    parsed = parse((real_input / "formats" / "stix" / "poisonivy.json").read_bytes(), "stix")
    assert len(parsed.hits) + parsed.rejected > 0
