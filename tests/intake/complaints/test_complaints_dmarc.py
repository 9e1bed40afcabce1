"""DMARC aggregate reports: failures that nobody excused are claims, and broken reports are not believed."""

from __future__ import annotations

from base64 import encodebytes

import pytest

from dnsbl.errors import IntakeError
from dnsbl.intake.complaints import Claim, Complaint, parse_complaint

NOW = 1_700_000_000
END = NOW - 4000


def row(ip: str = "192.0.2.1", count: str = "1", dkim: str = "fail", spf: str = "fail", more: str = "") -> str:
    return (
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>"
        f"<dkim>{dkim}</dkim><spf>{spf}</spf>{more}</policy_evaluated></row>"
        "<identifiers><header_from>victim.example</header_from></identifiers>"
        "<auth_results><spf><domain>x.example</domain><result>pass</result></spf></auth_results></record>"
    )


def report(*rows: str, end: object = END, root: str = "feedback") -> bytes:
    meta = "<org_name>Big Mail</org_name><email>dmarc@bigmail.example</email><report_id>7</report_id>"
    return (
        f"<?xml version='1.0'?>\n<{root}><report_metadata>{meta}<date_range><begin>{NOW - 90000}</begin>"
        f"<end>{end}</end></date_range></report_metadata><policy_published><domain>victim.example</domain><p>none</p>"
        f"</policy_published>{''.join(rows)}</{root.split()[0]}>"
    ).encode()


def parse(data: bytes) -> Complaint:
    [complaint] = parse_complaint(data, NOW)
    assert complaint.format == "dmarc"
    return complaint


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "now", "claims"),
    [
        ("example.net_example.com_1529366400_1529452799.xml", 1529452799, [("199.230.200.36", 1, "example.net")]),
        ("fastmail.com_example.com_1516060800_1516147199_102675056.xml.gz", 1516147199,
         [("104.195.80.20", 1, "fastmaildmarc.com")]),
        ("rfc9990-example.net_example.com_1700000000_1700086399.xml", 1700086399, [("203.0.113.10", 2, "example.net")]),
        ("rfc9990-sample.xml", 302918399, []),  # DKIM passed
        ("invalid_utf_8.xml", 1538413632, []),
        ("invalid_xml.xml", 1530219600, []),
    ],
)  # fmt: skip
def test_real_reports(real_input, name, now, claims):
    [complaint] = parse_complaint((real_input / "formats" / "dmarc" / name).read_bytes(), now)
    assert complaint.claims == [Claim(ip, "spoofing", now, who, hits) for ip, hits, who in claims]
    assert ("nothing of it is believed" in complaint.why) == name.startswith("invalid")


def test_failures_are_claims_and_the_same_address_is_one():
    complaint = parse(report(row(count="3"), row("2001:DB8::1"), row(count="4"), row("192.0.2.2", dkim="pass")))
    assert complaint.claims == [
        Claim("192.0.2.1", "spoofing", END, "bigmail.example", 7),
        Claim("2001:db8::1", "spoofing", END, "bigmail.example", 1),
    ]
    assert complaint.why == "of 4 records 1 list nothing: 1 passed"
    assert complaint.facts == {
        "organisation": "Big Mail", "report_id": "7", "begin": str(NOW - 90000), "end": str(END),
        "domain": "victim.example", "policy": "none", "records": "4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dkim", "spf", "listed"),
    [("fail", "fail", True), ("FAIL", " fail\n", True), ("none", "softfail", True), ("pass", "fail", False),
     ("fail", "Pass", False), ("pass", "pass", False), ("fail", "temperror", False), ("fail", "", False),
     ("fail", "bypass", False)],
)  # fmt: skip
def test_only_what_failed_both_ways(dkim, spf, listed):
    complaint = parse(report(row(dkim=dkim, spf=spf)))
    assert bool(complaint.claims) == listed
    assert bool(complaint.why) == (not listed)


@pytest.mark.parametrize(
    ("reasons", "listed"),
    [(["other"], True), (["forwarded"], False), (["mailing_list"], False), (["trusted_forwarder"], False),
     (["local_policy"], False), (["sampled_out"], False), (["policy_test_mode"], False), (["something_new"], False),
     (["other", "forwarded"], False), ([""], False)],
)  # fmt: skip
def test_what_the_receiver_excused_is_excused(reasons, listed):
    more = "".join(f"<reason><type>{reason}</type><comment>pass</comment></reason>" for reason in reasons)
    assert bool(parse(report(row(more=more))).claims) == listed


@pytest.mark.parametrize(
    "bad",
    [row(ip="10.0.0.1"), row(ip="redacted"), row(ip=""), row(ip="192.0.2.0/24"), row(ip="1" * 100_000), row(count="0"),
     row(count="-1"), row(count=""), row(count="9" * 5000), row(more="<dkim>fail</dkim>"),
     row().replace("source_ip", "ip"), "<record/>",
     "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"],
)  # fmt: skip
def test_a_record_that_is_none_spoils_itself_only(bad):
    complaint = parse(report(bad, row("192.0.2.9")))
    assert [claim.subject for claim in complaint.claims] == ["192.0.2.9"]
    assert complaint.why.startswith("of 2 records 1 list nothing: 1 with")


@pytest.mark.parametrize(
    ("end", "why"),
    [(NOW + 100_000, "ahead"), ("", "when"), ("soon", "when"), ("9" * 99, "when")],
)
def test_times_that_list_nothing(end, why):
    complaint = parse(report(row(), end=end))
    assert complaint.claims == []
    assert why in complaint.why


def test_a_million_mails_are_no_more_than_the_most_hits():
    assert [claim.hits for claim in parse(report(row(count="1000000"))).claims] == [10_000]


def test_a_report_without_records():
    complaint = parse(report())
    assert (complaint.claims, complaint.why) == ([], "it has no records")


@pytest.mark.parametrize("root", ['feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"', 'd:feedback xmlns:d="x"'])
def test_namespaces(root):
    assert parse(report(row(), root=root)).claims


GOOD = report(row(), row("192.0.2.2"), row("192.0.2.3", more="<reason><type>forwarded</type></reason>"))


@pytest.mark.parametrize("cut", [len(GOOD) - 1, len(GOOD) - 300, GOOD.index(b"192.0.2.2"), 60])
def test_a_cut_report_is_not_believed(cut):
    complaint = parse(GOOD[:cut])
    assert complaint.claims == []
    assert "nothing of it is believed" in complaint.why


@pytest.mark.parametrize("junk", [b"\xff", b"\x00", b"<", b"&", b"&nbsp;", b"]]>", b"</row>"])
def test_a_broken_report_is_not_believed(junk):
    complaint = parse(GOOD.replace(b"Big Mail", b"Big " + junk))
    assert complaint.claims == []
    assert "nothing of it is believed" in complaint.why


@pytest.mark.parametrize(
    ("encoding", "believed"),
    [("utf-8", True), ("iso-8859-1", True), ("windows-1252", True), ("us-ascii", True), ("utf-7", False),
     ("nonsense", False), ("idna", False), ("zlib", False), ("shift_jis", False), ("utf-16", False)],
)  # fmt: skip
def test_encodings(encoding, believed):
    data = GOOD.replace(b"version='1.0'", f"version='1.0' encoding='{encoding}'".encode())
    try:
        complaint = parse(data)
    except IntakeError as error:
        assert not believed
        assert "not XML" in str(error)
    else:
        assert believed == bool(complaint.claims)


@pytest.mark.parametrize(
    "doctype",
    [b'<!DOCTYPE feedback [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
     b'<!DOCTYPE feedback [<!ENTITY a SYSTEM "file:///etc/passwd">]>', b'<!DOCTYPE feedback SYSTEM "http://x.example/d">',
     b"<!DOCTYPE feedback>"],
)  # fmt: skip
def test_a_document_type_is_refused(doctype):
    with pytest.raises(IntakeError, match="declares a document type"):
        parse_complaint(GOOD.replace(b"\n<feedback>", doctype + b"<feedback>"), NOW)


@pytest.mark.parametrize(
    "data", [b"<html><body>feedback</body></html>", b"<rss/>", b"<", b"<feedback", b"<<<<", b"< a"]
)
def test_other_xml_is_no_report(data):
    with pytest.raises(IntakeError):
        parse_complaint(data, NOW)


def test_packed(zipped, squeezed):
    plain = parse(GOOD)
    assert plain.claims
    for data in (squeezed(GOOD), squeezed(GOOD[:500]) + squeezed(GOOD[500:]), zipped(("bigmail!x!1!2.XML", GOOD))):
        assert parse(data) == plain
    two = zipped(("a.xml", GOOD), ("b.xml", report(row("192.0.2.9"))), ("readme.txt", b"x"))
    assert [len(complaint.claims) for complaint in parse_complaint(two, NOW)] == [2, 1]


def test_in_a_mail(mailed, zipped, squeezed):
    name = "bigmail.example!victim.example!1!2"
    for kind, content in (("gzip", squeezed(GOOD)), ("zip", zipped((name + ".xml", GOOD))), ("octet-stream", GOOD)):
        part = f'application/{kind}; name="{name}"\r\nContent-Transfer-Encoding: base64', encodebytes(content)
        assert parse(mailed(part)) == parse(GOOD)
    alone = b"From: a@b.example\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert parse(alone + encodebytes(squeezed(GOOD))) == parse(GOOD)
    assert parse(mailed(("text/xml", GOOD), ("application/zip", zipped(("logo.png", b"x"))))) == parse(GOOD)
