"""ARF: what mailbox providers' complaints claim, and why most odd ones claim nothing."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from dnsbl.clock import DAY
from dnsbl.intake.complaints import Claim, parse_complaint

NOW = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 +0000
TODAY = "Tue, 14 Nov 2023 22:00:00 +0000"
AT = NOW - 800

# What a reader makes of each of the real mails on the day that it is about: who is accused of what, by whom; or a part
# of the sentence that says why nothing is listed.
READ: dict[str, tuple[str, list[tuple[str, str]], str] | str] = {
    "arf-01": ("2009-04-29", [("192.0.2.89", "spam"), ("example.ed.jp", "spam")], "example.co.jp"),
    "arf-02": "no source-ip",
    "arf-11": "no source-ip",
    "arf-12": "opt-out",
    "arf-14": "no source-ip",
    "arf-15": ("2015-04-29", [("192.0.2.222", "spam")], "feedback.example.org"),
    "arf-16": (
        "2015-04-29", [("192.0.2.1", "spam"), ("example.com", "spam"), ("example.org", "spam")], "feedback.example.com"
    ),
    "arf-17": ("2016-04-29", [("192.0.2.3", "spam")], "example.org"),
    "arf-18": "auth-failure",
    "arf-19": "auth-failure",
    "arf-20": "auth-failure",
    "arf-21": ("2015-04-29", [("198.51.100.224", "spam")], "feedback.terra.com"),
    "arf-22": "no message/feedback-report",  # Hotmail's own form: an address in the subject and the message
    "arf-23": "no message/feedback-report",
    "arf-24": "no message/feedback-report",
    "arf-25": "redacted",  # 10.0.0.1
    "arf-26": "no message/feedback-report",  # a reader's own mail to unsubscribe
}  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("name", READ)
def test_real_complaints_say_what_a_reader_says(real_input, name):
    data = (real_input / "mail" / "arf" / f"{name}.eml").read_bytes()
    expected = READ[name]
    if isinstance(expected, str):
        [complaint] = parse_complaint(data, NOW)
        assert complaint.claims == []
        assert expected in complaint.why
        return
    day, claims, reporter = expected
    now = int(parsedate_to_datetime(f"{day[8:]} Apr {day[:4]} 23:59:59 +0000").timestamp())
    [complaint] = parse_complaint(data, now)
    assert [(claim.subject, claim.category) for claim in complaint.claims] == claims
    assert {claim.reporter for claim in complaint.claims} == {reporter}
    assert all(now - DAY < claim.at <= now for claim in complaint.claims)
    assert complaint.why == ""


def test_all_real_complaints_are_in_the_table(real_input):
    assert {path.stem for path in (real_input / "mail" / "arf").iterdir()} == set(READ)


@pytest.fixture
def complain(mailed):
    """The one complaint that a report of these lines comes to."""

    def parse(*lines: str, evidence: bytes = b"Received: from x ([203.0.113.9])\r\n\r\nBuy!"):
        report = "\r\n".join(lines).encode("utf-8", "surrogateescape")
        kind = "multipart/report; report-type=feedback-report"
        data = mailed(("message/feedback-report", report), ("message/rfc822", evidence), kind=kind)
        [complaint] = parse_complaint(data, NOW)
        assert complaint.format == "arf"
        return complaint

    return parse


GOOD = ("Feedback-Type: abuse", "User-Agent: X/1", "Version: 1", "Source-IP: 192.0.2.1", f"Arrival-Date: {TODAY}")


def without(name: str, *instead: str) -> list[str]:
    return [line for line in GOOD if not line.startswith(name)] + list(instead)


def test_a_plain_complaint(complain):
    complaint = complain(*GOOD)
    assert complaint.claims == [Claim("192.0.2.1", "spam", AT, "fbl.example")]
    assert complaint.why == ""
    assert complaint.facts == {
        "feedback_type": "abuse", "user_agent": "X/1", "source_ip": "192.0.2.1", "arrival_date": TODAY
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "category"),
    [("abuse", "spam"), ("Fraud", "phishing"), ("virus (a comment)", "malware"),
     ("not-spam", None), ("opt-out", None), ("opt-out-list", None), ("auth-failure", None), ("miscategorized", None),
     ("other", None), ("x-new", None), ("", None)],
)  # fmt: skip
def test_only_some_types_accuse(complain, kind, category):
    complaint = complain(*without("Feedback-Type", f"Feedback-Type: {kind}"))
    assert [claim.category for claim in complaint.claims] == ([category] if category else [])
    assert bool(complaint.why) == (category is None)


@pytest.mark.parametrize(
    ("written", "subject"),
    [("192.0.2.1", "192.0.2.1"), ("[192.0.2.1]", "192.0.2.1"), ("IPv6:2001:db8::1", "2001:db8::1"),
     ("[IPv6:2001:DB8:0::1]", "2001:db8::1"), ("2001:db8::1 (mx.example)", "2001:db8::1"),
     ("::ffff:192.0.2.1", "192.0.2.1")],
)  # fmt: skip
def test_a_source_as_it_may_be_written(complain, written, subject):
    assert [claim.subject for claim in complain(*without("Source-IP", f"Source-IP: {written}")).claims] == [subject]


@pytest.mark.parametrize(
    "written",
    ["", "redacted", "x.x.x.x", "0.0.0.0", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1",
     "::ffff:10.0.0.1", "fe80::1", "fd00::1", "192.0.2.0/24", "2001:db8::/32", "192.0.2.01", "192.0.2.1, 192.0.2.2",
     "mail.example", "192.0.2.1\udcff", "1" * 5000],
)  # fmt: skip
def test_a_source_that_is_none_lists_nothing_at_all(complain, written):
    complaint = complain(*without("Source-IP", f"Source-IP: {written}"), "Reported-Domain: bad.example")
    assert complaint.claims == []
    assert "nobody knows who sent the mail" in complaint.why


def test_the_embedded_message_is_never_asked(complain):
    lines = [
        b"Received: from x ([203.0.113.9])", b"Source-IP: 203.0.113.9", b"Content-Type: multipart/report; boundary=i",
        b"", b"--i", b"Content-Type: message/feedback-report", b"", b"Feedback-Type: abuse", b"Source-IP: 203.0.113.9",
        b"--i--", b"",
    ]  # fmt: skip
    inner = b"\r\n".join(lines)
    assert complain(*without("Source-IP"), evidence=inner).claims == []
    assert [claim.subject for claim in complain(*GOOD, evidence=inner).claims] == ["192.0.2.1"]


@pytest.mark.parametrize("line", [GOOD[0], GOOD[3], GOOD[4], "Source-IP: 192.0.2.2", "Feedback-Type: fraud"])
def test_what_is_said_twice_is_not_believed(complain, line):
    complaint = complain(*GOOD, line)
    assert complaint.claims == []
    assert "more than once" in complaint.why


def test_a_second_block_of_fields_is_no_hiding_place(complain):
    assert complain(*GOOD, "", "Source-IP: 192.0.2.2").claims == []


def test_two_reports_in_one_mail_list_nothing(mailed):
    part = ("message/feedback-report", "\r\n".join(GOOD).encode())
    [complaint] = parse_complaint(mailed(part, part), NOW)
    assert (complaint.format, complaint.claims) == ("arf", [])
    assert "more than one" in complaint.why


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ([f"Received-Date: {TODAY}"], AT),  # the historic name
        ([], NOW),  # it does not say
        (["Arrival-Date: Wed, 15 Nov 2023 22:00:00 +0000"], NOW - 800 + DAY),  # a clock that is ahead
        (["Arrival-Date: Thu, 17 Aug 2023 00:00:00 +0000"], NOW - 89 * DAY - 80_000),
        (["Arrival-Date: Sat, 15 Aug 2015 00:00:00 +0000"], 1_439_596_800),  # as old as it is: it weighs nothing now
    ],
)
def test_times_that_are_believed(complain, lines, at):
    assert [claim.at for claim in complain(*without("Arrival-Date", *lines)).claims] == [at]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["Arrival-Date: Fri, 17 Nov 2023 00:00:00 +0000"], "ahead"),
        (["Arrival-Date: yesterday"], "no date"),
        (["Arrival-Date: Tue, 99 Nov 2023 99:99:99 +9999"], "no date"),
        (["Arrival-Date: " + "9" * 9000], "no date"),
        ([f"Arrival-Date: {TODAY}", f"Received-Date: {TODAY}"], "both"),
    ],
)
def test_times_that_list_nothing(complain, lines, why):
    complaint = complain(*without("Arrival-Date", *lines))
    assert complaint.claims == []
    assert why in complaint.why


@pytest.mark.parametrize(
    ("incidents", "hits"),
    [("3", 3), ("0", 1), ("4294967295", 10_000), ("-1", None), ("99999999999", None), ("²", None)],
)
def test_incidents_are_hits(complain, incidents, hits):
    found = complain(*GOOD, f"Incidents: {incidents}").claims
    assert [claim.hits for claim in found] == ([hits] if hits else [])


def test_what_was_reported_is_claimed_as_well(complain):
    complaint = complain(
        *GOOD,
        "Reported-Domain: Bad.Example.",
        "Reported-Domain: bad.example",
        "Reported-URI: https://user@www.evil.example:8443/a?b@c",
        "Reported-URI: http://203.0.113.7/x",
        "Reported-URI: http://10.0.0.1/x",
        "Reported-URI: mailto:somebody@good.example",
        "Reported-Domain: com",
        "Reported-Domain: 192.0.2.9",
    )
    assert [claim.subject for claim in complaint.claims] == [
        "192.0.2.1", "bad.example", "www.evil.example", "203.0.113.7"
    ]  # fmt: skip
    assert complaint.why.startswith("not all that is reported is taken: ")


def test_a_thousand_reported_domains_are_not_taken(complain):
    complaint = complain(*GOOD, *(f"Reported-Domain: d{i}.example" for i in range(1000)))
    assert len(complaint.claims) == 101
    assert "only the first 100" in complaint.why


def test_persons_are_not_kept(complain):
    complaint = complain(
        *GOOD,
        "Original-Rcpt-To: victim@mail.example",
        "Original-Mail-From: <sender@bad.example>",
        "Removal-Recipient: victim@mail.example",
        "Authentication-Results: mx; spf=pass smtp.mailfrom=sender@bad.example",
        "Reporting-MTA: dns; mx.mail.example (victim@mail.example)",
    )
    assert complaint.claims
    assert not [value for value in complaint.facts.values() if "victim" in value or "sender" in value]


def test_an_address_put_where_it_does_not_belong_is_taken_out(complain):
    complaint = complain(*without("User-Agent", "User-Agent: Reporter for victim@mail.example \x1b[2J"))
    assert complaint.facts["user_agent"] == "Reporter for (address) \\x1b[2J"


@pytest.mark.parametrize(
    ("header", "reporter"),
    [(b"From: a@FBL.example", "fbl.example"), (b'From: "x@other.example" <a@fbl.example>', "fbl.example"),
     (b"From: a@one.example, b@two.example", ""), (b"From: nobody", ""), (b"X: y", ""),
     (b"From: a@one.example\r\nFrom: b@two.example", "")],
)  # fmt: skip
def test_the_reporter_is_the_senders_domain(mailed, header, reporter):
    data = mailed(("message/feedback-report", "\r\n".join(GOOD).encode()))
    data = data.replace(b"From: Desk <desk@fbl.example>", header)
    assert [claim.reporter for claim in parse_complaint(data, NOW)[0].claims] == [reporter]


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
def test_lines_may_end_in_any_way(mailed, newline):
    data = mailed(("message/feedback-report", "\r\n".join(GOOD).encode())).replace(b"\r\n", newline)
    assert len(parse_complaint(data, NOW)[0].claims) == 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("base64", b"RmVlZGJhY2stVHlwZTogYWJ1c2UNClNvdXJjZS1JUDogMTkyLjAuMi4x\r\nDQo="),
     ("Quoted-Printable", b"Feedback-Type: ab=\r\nuse\r\nSource-IP: 192.0.2=2E1")],
)  # fmt: skip
def test_an_encoded_report_is_decoded(mailed, encoding, body):
    data = mailed((f"message/feedback-report\r\nContent-Transfer-Encoding: {encoding}", body))
    assert parse_complaint(data, NOW)[0].claims == [Claim("192.0.2.1", "spam", NOW, "fbl.example")]


def test_a_folded_field_is_one(complain):
    assert complain(*without("Source-IP", "Source-IP:\r\n\t192.0.2.1")).claims


def test_a_mail_that_a_gateway_wrapped(mailed):
    inner = mailed(("message/feedback-report", "\r\n".join(GOOD).encode())).replace(b"=_b", b"=_inner")
    start = inner.index(b"Content-Type")
    data = mailed((inner[start + 14 :].partition(b"\r\n")[0].decode(), inner[start:].partition(b"\r\n\r\n")[2]))
    assert len(parse_complaint(data, NOW)[0].claims) == 1


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/report (a report); report-type=feedback-report; boundary=b",
        b'multipart/report; x="; boundary=q"; boundary=b',
        b"MULTIPART/Report; boundary*=us-ascii''b",
    ],
    ids=["a comment", "a boundary within quotes", "an encoded boundary"],
)
def test_a_boundary_however_it_is_written(kind):
    """These were lost: real mailers write comments and RFC 2231."""
    data = (
        b"From: fbl@provider.example\nContent-Type: " + kind + b"\n\n--b\nContent-Type: message/feedback-report\n\n"
        b"Feedback-Type: abuse\nSource-IP: 192.0.2.7\n\n--b--\n"
    )
    assert [claim.subject for complaint in parse_complaint(data, NOW) for claim in complaint.claims] == ["192.0.2.7"]
