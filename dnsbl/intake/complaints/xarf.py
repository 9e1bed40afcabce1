"""XARF, abuse reports as JSON: version 4 (xarf.org) and version 3 (Abusix).

    {"xarf_version": "4.2.0", "category": "messaging", "type": "spam", "source_identifier": "192.0.2.1",
     "timestamp": "2025-01-11T10:59:45Z", "reporter": {"org": "X", "domain": "x.example"}, ...}
    {"Version": "3", "ReporterInfo": {"ReporterOrgDomain": "x.example"}, "Report": {"ReportClass": "Activity",
     "ReportType": "Spam", "Date": "2018-02-05T14:17:10Z", "SourceIp": "192.0.2.1"}}

One object, a list of them, or one on each line. What the evidence holds (whole mails, pages) is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from ...clock import parse_time
from ...errors import IntakeError, SubjectError
from .claims import Claim, Complaint, fact, kept, organisation, subject, untimely
from .unpack import Room

__all__ = ["parse_xarf"]

MAX_VALUES = 250_000  # commas and brackets of one document, before anything is made of them: 200 bytes of memory each
BOM = b"\xef\xbb\xbf"

# Category and type of version 4. What is not here is no abuse that a blocklist answers for: copyright, open services,
# registrations that look odd, crawlers.
CATEGORY = {
    ("messaging", "spam"): "spam",
    ("messaging", "bulk_messaging"): "newsletter",
    ("connection", "login_attack"): "brute-force",
    ("connection", "port_scan"): "scanner",
    ("connection", "reconnaissance"): "scanner",
    ("connection", "vulnerability_scan"): "scanner",
    ("connection", "ddos"): "attack",
    ("connection", "sql_injection"): "attack",
    ("connection", "infected_host"): "botnet",
    ("content", "phishing"): "phishing",
    ("content", "fraud"): "phishing",
    ("content", "malware"): "malware",
    ("content", "remote_compromise"): "abused-legitimate",
    ("infrastructure", "botnet"): "botnet",
    ("infrastructure", "compromised_server"): "botnet",
}
# `threat_type` of version 4's category `reputation`: free text by its schema.
THREAT = {
    "spam": "spam",
    "phishing": "phishing",
    "malware": "malware",
    "malware_distribution": "malware",
    "botnet": "botnet",
    "c2": "botnet",
    "command_and_control": "botnet",
    "brute_force": "brute-force",
    "scanner": "scanner",
    "scanning": "scanner",
}
PROTOCOL = {"": "spam", "smtp": "spam", "sms": "sms-spam"}  # of messaging/spam; messengers have no blocklist
# ReportType of version 3, of which makers differ in case and hyphens.
TYPE3 = {
    "spam": "spam",
    "loginattack": "brute-force",
    "portscan": "scanner",
    "dos": "attack",
    "ddos": "attack",
    "exploit": "attack",
    "botnet": "botnet",
    "phishing": "phishing",
    "fraud": "phishing",
    "malware": "malware",
}


def parse_xarf(data: bytes, now: int, room: Room) -> Iterator[Complaint]:
    """A complaint for each report. Raises IntakeError where it is no JSON, where none of it is XARF, or where it is
    more than there is room for."""
    known = False
    for value in documents(data.removeprefix(BOM).strip(), room):
        complaint = Complaint("xarf", why=value) if isinstance(value, str) else complaint_of(value, now)
        known = known or bool(complaint.facts)
        yield complaint
    if not known:
        raise IntakeError("JSON, but no XARF of version 3 or 4")


def documents(data: bytes, room: Room) -> Iterator[Any]:
    """The reports, or in their place a sentence on what stands there instead."""
    first, newline, _ = data.partition(b"\n")
    if newline and is_object(first):
        for number, line in enumerate(data.split(b"\n", room.records + 1), 1):
            room.record()
            try:
                value = loads(line) if line.strip() else None
            except IntakeError as error:
                value = f"line {number}: {error}"
            if value is not None:
                yield value
        return
    value = loads(data)
    for item in value if isinstance(value, list) else [value]:
        room.record()
        yield item if isinstance(item, dict) else "it is no XARF: not a JSON object"


def is_object(line: bytes) -> bool:
    """Whether a line is JSON of its own, as in JSON lines; the first of an indented document is not."""
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")


def loads(data: bytes) -> Any:
    """Raises IntakeError."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise IntakeError(f"JSON of more than {MAX_VALUES:,} values: send it as several reports")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"not JSON: {fact(str(error))}") from None


def complaint_of(report: Any, now: int) -> Complaint:
    if isinstance(report, dict) and text_of(report, "xarf_version").startswith("4."):
        return version4(report, now)
    if isinstance(report, dict) and text_of(report, "Version").split(".")[0] == "3":
        return version3(report, now)
    return Complaint("xarf", why="it is no XARF of version 3 or 4")


def version4(report: dict[str, Any], now: int) -> Complaint:
    kind = text_of(report, "category"), text_of(report, "type")
    reporter = object_of(report, "reporter")
    complaint = Complaint(
        "xarf",
        facts=kept(
            version=text_of(report, "xarf_version"),
            report_id=text_of(report, "report_id"),
            type="/".join(kind),
            organisation=text_of(reporter, "org"),
            sender=text_of(object_of(report, "sender"), "domain"),
            time=text_of(report, "timestamp"),
            evidence_source=text_of(report, "evidence_source"),
            threat_type=text_of(report, "threat_type"),
            malware_family=text_of(report, "malware_family"),
        ),
    )
    sources = [text_of(report, "source_identifier")]
    if kind[0] == "content":
        sources.append(text_of(report, "url"))
    who = text_of(reporter, "domain") or organisation(text_of(reporter, "contact"))
    return claimed(complaint, sources, category4(report, kind), text_of(report, "timestamp"), who, now)


def category4(report: dict[str, Any], kind: tuple[str, str]) -> str:
    """Our category; "" for what lists nothing."""
    if kind[0] == "reputation":
        return THREAT.get(text_of(report, "threat_type").lower(), "")
    if kind == ("messaging", "spam"):
        return PROTOCOL.get(text_of(report, "protocol").lower(), "")
    if kind == ("connection", "infected_host") and text_of(report, "bot_type") not in ("", "malicious"):
        return ""  # the same type serves for search engines and feed readers
    return CATEGORY.get(kind, "")


def version3(report: dict[str, Any], now: int) -> Complaint:
    inner, reporter = object_of(report, "Report"), object_of(report, "ReporterInfo")
    source = object_of(inner, "Source")
    kind = text_of(inner, "ReportClass").lower(), "".join(filter(str.isalpha, text_of(inner, "ReportType").lower()))
    complaint = Complaint(
        "xarf",
        facts=kept(
            version=text_of(report, "Version"),
            type=f"{text_of(inner, 'ReportClass')}/{text_of(inner, 'ReportType')}",
            subtype=text_of(inner, "ReportSubType"),
            organisation=text_of(reporter, "ReporterOrg"),
            time=text_of(inner, "Date"),
        ),
    )
    sources = [text_of(inner, "SourceIp") or text_of(source, "IP")]
    if kind[0] == "content":
        sources.append(text_of(inner, "SourceUrl") or text_of(source, "URL") or text_of(inner, "Url"))
    contact = text_of(reporter, "ReporterOrgEmail") or text_of(reporter, "ReporterContactEmail")
    who = text_of(reporter, "ReporterOrgDomain") or organisation(contact)
    category = "botnet" if kind == ("activity", "malware") else TYPE3.get(kind[1], "")  # an infected host called home
    return claimed(complaint, sources, category, text_of(inner, "Date"), who, now)


def claimed(complaint: Complaint, sources: list[str], category: str, time: str, reporter: str, now: int) -> Complaint:
    """The complaint with its claims, or with why it has none."""
    if not category:
        complaint.why = f"{complaint.facts.get('type', 'a report without a type')} is nothing that is listed here"
        return complaint
    try:
        at = parse_time(time)
    except (ValueError, OverflowError):
        complaint.why = "it has no time, or none that can be read"
        return complaint
    complaint.why = untimely(at, now) or "; ".join(taken(complaint, sources, category, at, reporter))
    return complaint


def taken(complaint: Complaint, sources: list[str], category: str, at: int, reporter: str) -> Iterator[str]:
    """Adds a claim for each source that can be a subject; says why others cannot."""
    written = [source for source in sources if source]
    if not written:
        yield "it names no source"
    for source in written:
        try:
            found = subject(source)
        except SubjectError as error:
            yield f"a source lists nothing: {error}"
            continue
        if found not in (claim.subject for claim in complaint.claims):
            complaint.claims.append(Claim(found, category, at, reporter.lower()[:253]))


def text_of(report: dict[str, Any], key: str) -> str:
    """A text under a key; "" for anything else."""
    value = report.get(key)
    return value.strip() if isinstance(value, str) else ""


def object_of(report: dict[str, Any], key: str) -> dict[str, Any]:
    value = report.get(key)
    return value if isinstance(value, dict) else {}
