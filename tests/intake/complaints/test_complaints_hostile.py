"""Input that means harm, or is something else: refused with a sentence, fast and in little memory, and nothing but
IntakeError ever comes out."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from base64 import encodebytes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.errors import IntakeError
from dnsbl.intake.complaints import FORMATS, looks_like_complaint, parse_complaint
from dnsbl.intake.complaints.unpack import MAX_RECORDS
from dnsbl.model import CATEGORIES

NOW = 1_700_000_000
MB = 2**20
HEADER = b"From: a@x.example\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
MIXED = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n'
FEEDBACK = b"--b\nContent-Type: message/feedback-report\n\n"
GZ = b"--b\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n"
ROOT = b"<feedback><report_metadata>"
RECORD = (
    b"<record><row><source_ip>198.51.%d.%d</source_ip><count>1</count><policy_evaluated><dkim>fail</dkim>"
    b"<spf>fail</spf></policy_evaluated></row><a>%s</a></record>"
)


def packed(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return found.getvalue()


def squeezed(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def records(count: int, filling: int = 0) -> bytes:
    """A report of so many records, each with so many bytes that nobody needs."""
    end = b"<feedback><report_metadata><date_range><end>1700000000</end></date_range></report_metadata>"
    each = (RECORD % (i // 250 % 250, i % 250, b"x" * filling) for i in range(count))
    return end + b"".join(each) + b"</feedback>"


def locked() -> bytes:
    data = bytearray(packed(("a.xml", ROOT)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


# What makes the input, and what the refusal says.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "10,000 parts": (lambda: HEADER + b"--b\n\nx\n" * 10_000, "1,000 parts"),
    "millions of boundaries": (lambda: HEADER + b"\n--b" * 2_000_000, "1,000 parts"),
    "a header line of 1 MB": (lambda: b"Subject: " + b"x" * MB + b"\n" + HEADER, "header"),
    "100,000 headers": (lambda: b"X-A: b\n" * 100_000 + HEADER, "header"),
    "100,000 short headers": (lambda: b"X:\n" * 80_000 + HEADER, "header"),
    "10,000 levels": (lambda: b"From: a@b.example\n" + b"".join(MIXED % (i, i) for i in range(10_000)), "deep"),
    "400,000 fields": (lambda: HEADER + FEEDBACK + b"Source-IP: 192.0.2.1\n" * 350_000, "lines"),
    "a long boundary": (lambda: HEADER.replace(b"=b", b"=" + b"b" * 1000), "boundary"),
    "broken base64": (lambda: HEADER + GZ + b"abcde", "base64"),
    "gzip bomb": (lambda: squeezed(ROOT + b" " * 60_000_000), "bomb"),
    "gzip bomb of JSON": (lambda: squeezed(b"{" + b" " * 30_000_000), "unpacks to more"),
    "gzip of gzip": (lambda: squeezed(squeezed(ROOT)), "neither XML nor JSON"),
    "gzip in crumbs": (lambda: squeezed(ROOT + b"<!--") + squeezed(b"x") * 300_000, "streams"),
    "cut gzip": (lambda: squeezed(ROOT * 100)[:-9], "cut"),
    "damaged gzip": (lambda: squeezed(ROOT)[:-8] + b"12345678", "damaged"),
    "gzip and more": (lambda: squeezed(records(1)) + b"more", "follows"),
    "bombs in a mail": (
        lambda: HEADER + (GZ + encodebytes(squeezed(b"<feedback>" + b" " * 1_000_000 + b"</feedback>"))) * 900, "64 MiB"
    ),
    "bombs in a zip": (lambda: packed(*[(f"{i}.xml", ROOT + b" " * 9_000_000) for i in range(16)]), "64 MiB|bomb"),
    "a zip of 20,000": (lambda: packed(*[(f"{i}.xml", b"") for i in range(20_000)]), "16 files"),
    "a zip in a zip": (lambda: packed(("a.zip", packed(("b.xml", ROOT)))), "without a file"),
    "a zip in a zip, renamed": (lambda: packed(("a.xml", packed(("b.xml", ROOT)))), "neither XML nor JSON"),
    "a zip with a password": (locked, "password"),
    "a zip with lzma": (lambda: packed(("a.xml", ROOT), method=zipfile.ZIP_LZMA), "deflate"),
    "a cut zip": (lambda: packed(("a.xml", ROOT * 1000))[:-30], "damaged"),
    "little but headers": (lambda: HEADER + (b"--b\n" + b"A: b\n" * 1500) * 900, "headers"),
    "blank lines": (lambda: b"<feedback>" + b"\n" * 8_000_001, "lines"),
    "depth": (lambda: ROOT + b"<a>" * 100_000, "levels"),
    "one comment": (lambda: ROOT + b"<!--" + b"x" * 8_000_000, "comment"),
    "one tag": (lambda: ROOT + b"<a b='" + b"x" * 8_000_000, "tag"),
    "too many records": (lambda: squeezed(records(MAX_RECORDS + 1)), "records"),
    "JSON of brackets": (lambda: b"[" * 8_000_000, "values"),
    "JSON of objects": (lambda: b"[" + b"{}," * 2_600_000 + b"{}]", "values"),
    "lines of JSON": (lambda: b"{}\n" * 2_700_000, "records"),
    "too large": (lambda: b"x" * (8 * MB + 1), "larger than 8 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.timeout(60)  # nearly all take 0.1 s
def test_harm_is_refused_at_once(name):
    make, why = REFUSED[name]
    data = make()
    looks_like_complaint(data[: 64 * 1024])
    with pytest.raises(IntakeError, match=why):
        parse_complaint(data, NOW)


@pytest.mark.timeout(60)  # a tenth of a second each
@pytest.mark.parametrize(
    "make",
    [
        lambda: HEADER + b"--\n" * 2_500_000,
        lambda: b"A: b\n" + b"".join(MIXED % (i, i) for i in range(8)) + b"\n--x" * 1_900_000,
        lambda: HEADER.replace(b"boundary=b", b'boundary="' * 10_000),
    ],
    ids=["no parts", "parts of parts", "many boundaries"],
)
def test_a_mail_that_is_hard_to_read_and_complains_of_nothing_claims_nothing(make):
    assert [complaint.claims for complaint in parse_complaint(make(), NOW)] == [[]]


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda: squeezed(records(6_000, 1500)), 4),  # 10 MB of XML
        (lambda: HEADER + b"--b\n\nx\n" * 900 + b"x" * 7 * MB, 20),
        (lambda: b'{"xarf_version":"4.0.0","a":[' + b'{"abcde":"fghij"},' * 120_000 + b"{}]}", 90),
    ],
    ids=["xml", "mail", "json"],
)
def test_memory(make, limit):
    data = make()
    tracemalloc.start()
    try:
        assert parse_or_refusal(data)
        assert tracemalloc.get_traced_memory()[1] < limit * MB
    finally:
        tracemalloc.stop()


def parse_or_refusal(data: bytes) -> object:
    try:
        return parse_complaint(data, NOW)
    except IntakeError as error:
        return str(error)


def test_elements_are_counted(monkeypatch):
    monkeypatch.setattr("dnsbl.intake.complaints.dmarc.MAX_ELEMENTS", 100)
    assert parse_complaint(ROOT + b"<a/>" * 98 + b"</report_metadata></feedback>", NOW)
    with pytest.raises(IntakeError, match="elements"):
        parse_complaint(ROOT + b"<a/>" * 99 + b"</report_metadata></feedback>", NOW)


def test_one_text_of_a_megabyte_is_cut_to_what_is_kept():
    [complaint] = parse_complaint(ROOT + b"<org_name>" + b"x" * MB + b"</org_name></report_metadata></feedback>", NOW)
    assert complaint.facts["organisation"] == "x" * 200


def test_a_format_that_is_not_there():
    with pytest.raises(IntakeError, match="no complaint format 'csv'"):
        parse_complaint(b"", NOW, "csv")


@pytest.mark.parametrize("format", FORMATS)
def test_a_named_format_is_the_only_one_taken(format):
    made = {
        "arf": HEADER + FEEDBACK + b"Feedback-Type: abuse\nSource-IP: 192.0.2.1\n",
        "xarf": b'{"xarf_version":"4.2.0","category":"messaging","type":"spam"}',
        "dmarc": records(1),
    }
    for name, data in made.items():
        if name == format:
            assert [complaint.format for complaint in parse_complaint(data, NOW, format)] == [format]
        else:
            with pytest.raises(IntakeError, match="no complaint"):
                parse_complaint(data, NOW, format)


SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LOOKS = {
    "arf-01.eml": "arf", "arf-16.eml": "arf", "arf-18.eml": "arf", "arf-25.eml": "arf", "messaging-spam.json": "xarf",
    "content-phishing.json": "xarf", "phishing_v3_sample.json": "xarf", "fastmail.xml.gz": "dmarc",
    "rfc9990.xml": "dmarc", "invalid_utf_8.xml": "dmarc", "README.md": "",
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_complaints_are_known_by_their_beginning(sample, name):
    assert looks_like_complaint(sample(name)[:65_536]) == LOOKS[name]


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (packed(("x.xml", records(1))), "dmarc"),
        (packed(("x.xml", records(1)), method=zipfile.ZIP_STORED), "dmarc"),
        (squeezed(b'\xef\xbb\xbf{"xarf_version": "4.2.0"}'), "xarf"),
        (b'[\n {"Version": "3", "ReporterInfo": {}, "Report": {}}]', "xarf"),
        (b"<?xml version='1.0'?>\n<!-- of today -->\n<feedback>", "dmarc"),
        (b"From x@y Thu Jan  1 00:00:00 2026\n" + HEADER, "arf"),
        (HEADER + FEEDBACK + b"Feedback-Type: xarf\n", "xarf"),
        (b"X-XARF: PLAIN\nContent-Type: multipart/mixed; boundary=b\n", "xarf"),
        (b'A: b\nContent-Type: application/zip;\n\tname="google.com!x.example!1!2.zip"\n', "dmarc"),
    ],
)
def test_made_complaints_are_known_too(data, format):
    assert looks_like_complaint(data) == format


LISTS = [
    b"", b"\n", b"192.0.2.1\n", b"2001:db8::1\nfe80::1\n", b"bad.example\nfeedback.example\n", b":127.0.0.2:Listed\n",
    b"ip,time,reporter\n192.0.2.1,1700000000,x\n",
    b'{"subject":"192.0.2.1","reporter":"a","note":"\\"xarf_version\\":\\"4"}\n',
    b'[{"ip":"192.0.2.1"}]', b"<html><feedback></feedback></html>", b"<!-- <feedback> --><html>",
    squeezed(b"192.0.2.1\n" * 1000), squeezed(b'{"ip":"192.0.2.1"}\n'), packed(("list.xml", b"192.0.2.1\n")),
    b"\x1f\x8b", b"PK\x03\x04", b"PK\x03\x04" + b"\xff" * 40, locked(),
    b"From: a@b.example\nSubject: hello\n\nFeedback-Type: abuse\n",
    b"From: a@b.example\nContent-Type: text/plain\n\nreport\n",
]  # fmt: skip


@pytest.mark.parametrize("data", LISTS, ids=map(str, range(len(LISTS))))  # zips have the moment in them: no names
def test_lists_and_reports_are_no_complaints(data):
    assert looks_like_complaint(data) == ""


@pytest.mark.parametrize("name", [path.name for path in sorted(SAMPLES.iterdir()) if path.is_file()])
def test_the_samples_of_lists_are_no_complaints(name):
    data = (SAMPLES / name).read_bytes()
    assert looks_like_complaint(data) == ""
    with pytest.raises(IntakeError):
        parse_complaint(data, NOW)


@pytest.mark.timeout(60)  # milliseconds where it is linear
@pytest.mark.parametrize(
    "unit", [b"<!-- -->", b"<!--", b"<?x", b"<![x", b"name=", b'name="xarf', b"a!", b"\n ", b"a: b\n", b"{"]
)
def test_a_look_takes_no_time(unit):
    for start in (b"", b"A: b\nContent-Type: a/b;\n", b"<"):
        looks_like_complaint((start + unit * 65_536)[:65_536])


# fmt: off
WORDS = st.sampled_from([
    b"From: a@b.example\n", b"Content-Type: ", b"multipart/mixed; boundary=b\n", b"message/feedback-report\n", b"--b\n",
    b"--b--", b"\n\n", b"\r", b"Feedback-Type: abuse\n", b"Source-IP: 192.0.2.1\n", b"Incidents: 7\n",
    b"Arrival-Date: 1 Jan 0001 0:0 -9999\n", b"Reported-URI: http://[", b"Content-Transfer-Encoding: base64\n",
    b'{"xarf_version":"4.0",', b'"Version":"3",', b'"Report":{', b'"category":"content","type":"malware",', b"]", b"}",
    b'"url":"http://', b'"', b",", b"[", b":", b'"timestamp":"2023-11-14T22:13:20Z",', b'"source_identifier":"a@b"',
    b"<feedback>", b"</feedback>", b"<record>", b"</record>", b"<?xml version='1.0' encoding='idna'?>", b"<!DOCTYPE a>",
    b"&a;", b"<a:feedback>", b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"PK\x01\x02", b"\x00",
    b"\xff", b"\xef\xbb\xbf", "é".encode(), b"\xed\xa0\x80",
])
# fmt: on


def held(data: bytes) -> None:
    """What must be true of any bytes."""
    assert looks_like_complaint(data) in ("", *FORMATS)
    with suppress(IntakeError):
        for complaint in parse_complaint(data, NOW):
            assert complaint.format in FORMATS
            assert complaint.claims or complaint.why
            assert complaint.why.isprintable()
            assert all(fact.isprintable() and "@" not in fact for fact in complaint.facts.values())
            assert all(c.subject and c.category in CATEGORIES and 1 <= c.hits <= 10_000 for c in complaint.claims)


@settings(max_examples=600)
@given(st.one_of(st.binary(max_size=300), st.lists(WORDS, max_size=40).map(b"".join)))
def test_no_bytes_raise_anything_but_intake_error(data):
    held(data)


STARTS = [
    *[(SAMPLES / "complaints" / name).read_bytes() for name in LOOKS],
    packed(("a.xml", records(3)), ("b.json", b"{}")),
    HEADER + GZ + encodebytes(squeezed(records(2))),
    json.dumps(
        [{"Version": "3", "ReporterInfo": {}, "Report": {"ReportType": "Spam", "SourceIp": "1.1.1.1"}}]
    ).encode(),
]


@settings(max_examples=800)
@given(st.data())
def test_no_mutated_complaint_raises_anything_but_intake_error(data):
    found = bytearray(data.draw(st.sampled_from(STARTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(found)))
        length = data.draw(st.sampled_from([0, 1, 1, 4, 200]))
        found[place : place + length] = data.draw(st.one_of(st.binary(max_size=8), WORDS))
    held(bytes(found))
