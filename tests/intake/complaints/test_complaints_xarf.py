"""XARF of both versions, alone, in lists and in mails."""

from __future__ import annotations

import json
from base64 import encodebytes

import pytest

from dnsbl.clock import parse_time
from dnsbl.errors import IntakeError
from dnsbl.intake.complaints import Claim, parse_complaint
from dnsbl.model import CATEGORIES

NOW = 1_700_000_000
TIME, AT = "2023-11-14T22:00:00.500Z", NOW - 800

# The samples of the specification, a day after they were made: who is accused of what.
READ = {
    "connection-infected-host": [("203.0.113.85", "botnet")],
    "content-malware": [("192.0.2.75", "malware"), ("download-center.example.com", "malware")],
    "content-phishing": [("203.0.113.45", "phishing"), ("secure-banking-login.example.com", "phishing")],
    "messaging-bulk-messaging": [("mail.bulk-sender.example", "newsletter")],
    "messaging-spam": [],  # from 192.168.1.100
    "phishing_v3_sample": [("malicious-example.net", "phishing")],
    "reputation-blocklist": [("203.0.113.200", "botnet")],
    "reputation-threat-intelligence": [("192.0.2.50", "botnet")],
    "spam_v3_sample": [],  # from 192.168.1.100
}


@pytest.mark.data
@pytest.mark.parametrize("name", READ)
def test_real_samples(real_input, name):
    data = (real_input / "formats" / "xarf" / f"{name}.json").read_bytes()
    [complaint] = parse_complaint(data, parse_time("2024-01-16" if "v3" in name else "2025-01-12"))
    assert complaint.format == "xarf"
    assert [(claim.subject, claim.category) for claim in complaint.claims] == READ[name]
    assert ("private" in complaint.why) == (not READ[name])
    assert not [value for value in complaint.facts.values() if "@" in value]


def version4(**fields) -> dict:
    return {
        "xarf_version": "4.2.0",
        "timestamp": TIME,
        "reporter": {"org": "Desk", "contact": "jo@desk.example", "domain": "desk.example"},
        "source_identifier": "192.0.2.1",
        "category": "messaging",
        "type": "spam",
    } | fields


def version3(**fields) -> dict:
    return {
        "Version": "3",
        "ReporterInfo": {"ReporterOrg": "Desk", "ReporterOrgDomain": "desk.example", "ReporterContactName": "Jo"},
        "Report": {"ReportClass": "Activity", "ReportType": "Spam", "Date": TIME, "SourceIp": "192.0.2.1"} | fields,
    }


def parse(report: object):
    [complaint] = parse_complaint(json.dumps(report).encode(), NOW)
    return complaint


@pytest.mark.parametrize("report", [version4(), version3(), version3(ReportType="spam", Source={"IP": "203.0.113.1"})])
def test_a_plain_report(report):
    assert parse(report).claims == [Claim("192.0.2.1", "spam", AT, "desk.example")]


@pytest.mark.parametrize(
    ("kind", "category"),
    [("connection/login_attack", "brute-force"), ("connection/port_scan", "scanner"), ("connection/ddos", "attack"),
     ("connection/reconnaissance", "scanner"), ("connection/vulnerability_scan", "scanner"),
     ("connection/sql_injection", "attack"), ("connection/infected_host", "botnet"), ("connection/scraping", ""),
     ("content/phishing", "phishing"), ("content/fraud", "phishing"), ("content/malware", "malware"),
     ("content/remote_compromise", "abused-legitimate"), ("content/csam", ""), ("content/brand_infringement", ""),
     ("content/suspicious_registration", ""), ("content/exposed_data", ""), ("copyright/p2p", ""),
     ("vulnerability/cve", ""), ("vulnerability/open_service", ""), ("infrastructure/botnet", "botnet"),
     ("infrastructure/compromised_server", "botnet"), ("messaging/bulk_messaging", "newsletter"),
     ("reputation/blocklist", ""), ("messaging/phishing", ""), ("/", "")],
)  # fmt: skip
def test_types_of_version_4(kind, category):
    first, _, second = kind.partition("/")
    complaint = parse(version4(category=first, type=second))
    assert [claim.category for claim in complaint.claims] == ([category] if category else [])
    assert bool(complaint.why) == (not category)
    assert not category or category in CATEGORIES


@pytest.mark.parametrize(
    ("kind", "category"),
    [("Login-Attack", "brute-force"), ("LoginAttack", "brute-force"), ("PortScan", "scanner"), ("DDoS", "attack"),
     ("DOS", "attack"), ("Exploit", "attack"), ("Malware", "botnet"), ("Botnet", "botnet"), ("OpenService", ""),
     ("Copyright", ""), ("Harassment", ""), ("", "")],
)  # fmt: skip
def test_types_of_version_3(kind, category):
    complaint = parse(version3(ReportType=kind))
    assert [claim.category for claim in complaint.claims] == ([category] if category else [])


@pytest.mark.parametrize(
    ("fields", "category"),
    [({"protocol": "smtp"}, "spam"), ({"protocol": "SMS", "source_identifier": "+4930123456"}, "sms-spam"),
     ({"protocol": "telegram"}, ""),
     ({"category": "connection", "type": "infected_host", "bot_type": "malicious"}, "botnet"),
     ({"category": "connection", "type": "infected_host", "bot_type": "search_engine"}, ""),
     ({"category": "reputation", "type": "blocklist", "threat_type": "spam"}, "spam"),
     ({"category": "reputation", "type": "threat_intelligence", "threat_type": "Command_and_Control"}, "botnet"),
     ({"category": "reputation", "type": "blocklist", "threat_type": "trusted-sender"}, "")],
)  # fmt: skip
def test_what_a_type_alone_does_not_say(fields, category):
    assert [claim.category for claim in parse(version4(**fields)).claims] == ([category] if category else [])


def test_a_web_page_is_an_address_and_a_host():
    report = version3(ReportClass="Content", ReportType="Phishing", SourceUrl="http://Phish.example.org:81/a")
    assert [claim.subject for claim in parse(report).claims] == ["192.0.2.1", "phish.example.org"]
    report = version4(category="content", type="phishing", source_identifier="a.example", url="https://a.example/x")
    assert [claim.subject for claim in parse(report).claims] == ["a.example"]


@pytest.mark.parametrize(
    ("source", "subject"),
    [("2001:DB8::1", "2001:db8::1"), ("198.51.100.0/24", "198.51.100.0/24"), ("Bad.Example", "bad.example"),
     ("http://bad.example/x", "bad.example"), ("http://[2001:db8::1]/", "2001:db8::1"),
     ("Sender@Bad.example", "email:2d3bd4467cbd4c408f0a8c065c84c6d6351bb52a"),
     ("Sender+tag@Bad.example", "email:2d3bd4467cbd4c408f0a8c065c84c6d6351bb52a"),
     ("10.0.0.1", ""), ("localhost", ""), ("javascript://x", ""), ("http://", ""), ("http://[::1", ""), ("", ""),
     ("x" * 10_000, ""), ("http://" + "x" * 10_000, ""), ("\x00", ""), ({"ip": "192.0.2.1"}, ""), (7, ""), (None, "")],
)  # fmt: skip
def test_sources(source, subject):
    complaint = parse(version4(source_identifier=source))
    assert [claim.subject for claim in complaint.claims] == ([subject] if subject else [])
    assert bool(complaint.why) == (not subject)


@pytest.mark.parametrize(
    "time",
    ["", None, 1700000000, "yesterday", "2023-11-17T00:00:00Z", "0001-01-01T00:00+23:59"],
)
def test_times_that_list_nothing(time):
    assert parse(version4(timestamp=time)).claims == []
    complaint = parse(version3(Date=time))
    assert complaint.claims == []
    assert complaint.why


@pytest.mark.parametrize(
    ("reporter", "name"),
    [({"domain": "Desk.example"}, "desk.example"), ({"contact": "jo@desk.example"}, "desk.example"),
     ({"org": "Desk"}, ""), ({}, ""), (None, ""), ("Desk", ""), ({"domain": "d" * 999}, "d" * 253)],
)  # fmt: skip
def test_the_reporter_is_an_organisation(reporter, name):
    assert [claim.reporter for claim in parse(version4(reporter=reporter)).claims] == [name]


def test_several_at_once():
    reports = [version4(), version3(), {"some": "thing"}, 7]
    complaints = parse_complaint(json.dumps(reports).encode(), NOW)
    assert [len(complaint.claims) for complaint in complaints] == [1, 1, 0, 0]
    lines = b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(report).encode() for report in reports[:3]) + b"\n\n{cut\n"
    complaints = parse_complaint(lines, NOW)
    assert [len(complaint.claims) for complaint in complaints] == [1, 1, 0, 0]
    assert complaints[-1].why.startswith("line 5: not JSON")


@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b"{cut", b"[1, 2]", b'{"subject":"192.0.2.1"}\n{"subject":"192.0.2.2"}']
)
def test_other_json_is_no_complaint(data):
    with pytest.raises(IntakeError):
        parse_complaint(data, NOW)


REPORT = json.dumps(version4(), indent=2).encode()
BASE64 = encodebytes(REPORT)


@pytest.mark.parametrize(
    "part",
    [("application/json; name=xarf.json", REPORT), ("application/xarf+json", REPORT), ("text/plain", REPORT),
     ("application/octet-stream\r\nContent-Transfer-Encoding: base64", BASE64)],
)  # fmt: skip
def test_in_a_mail(mailed, part):
    [complaint] = parse_complaint(mailed(part), NOW)
    assert complaint.claims == [Claim("192.0.2.1", "spam", AT, "desk.example")]


def test_in_a_mail_as_abusix_sends_it(mailed):
    announcement = ("message/feedback-report", b"Feedback-Type: xarf\r\nUser-Agent: X/1\r\nVersion: 1")
    data = mailed(announcement, ("application/json; name=xarf.json", json.dumps(version3()).encode()))
    assert [(c.format, len(c.claims)) for c in parse_complaint(data, NOW)] == [("xarf", 1)]


def test_evidence_of_an_arf_complaint_is_no_further_complaint(mailed):
    report = ("message/feedback-report", b"Feedback-Type: abuse\r\nSource-IP: 192.0.2.7")
    data = mailed(report, ("application/json", REPORT))
    assert [claim.subject for c in parse_complaint(data, NOW) for claim in c.claims] == ["192.0.2.7"]


def test_a_report_in_an_embedded_message_is_none(mailed):
    [complaint] = parse_complaint(mailed(("message/rfc822", b"Content-Type: application/json\r\n\r\n" + REPORT)), NOW)
    assert complaint.claims == []
    assert "nothing else to read" in complaint.why


def test_packed(zipped, squeezed):
    assert parse_complaint(squeezed(REPORT), NOW) == parse_complaint(REPORT, NOW)
    assert parse_complaint(zipped(("a.txt", b"x"), ("r.json", REPORT)), NOW) == parse_complaint(REPORT, NOW)
