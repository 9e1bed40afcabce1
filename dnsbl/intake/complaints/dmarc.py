"""DMARC aggregate reports (RFC 7489 appendix C, RFC 9990): XML, read as a stream and never held as a whole.

    <feedback><report_metadata><org_name/><email/><report_id/><date_range><begin/><end/></date_range></report_metadata>
      <policy_published><domain/><p/></policy_published>
      <record><row><source_ip/><count/><policy_evaluated><dkim/><spf/><reason><type/></reason></policy_evaluated></row>
      ...</record> ... </feedback>

A record of mail that failed both ways is a claim of `spoofing`: weak, as forwarding and owners' own forgotten servers
fail too. What passed, or what the receiver excused, claims nothing. RFC 9990 adds a namespace and optional elements
(`generator`, `np`, `discovery_method`), drops others and has a reason of its own; elements unknown here are skipped.

A document that is not well-formed lists nothing at all: one that is cut may lack the half that excuses the rest. That
includes bytes that are not of its encoding, a fatal error by XML 1.0 section 4.3.3. A document type is refused: no
report has one, and entities are how XML attacks its reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from ...errors import IntakeError, SubjectError
from .claims import MAX_HITS, Claim, Complaint, address, kept, organisation, untimely
from .unpack import Room

__all__ = ["parse_dmarc"]

MAX_DEPTH = 32  # elements within elements; the schema has seven levels
MAX_ELEMENTS = 4_000_000  # of one input: 40 for each of 100,000 records
MAX_LINES = 8_000_000  # of one report: expat is called back for each; 100,000 records indented have half of it
MAX_TEXT = 300  # characters kept of one element
MAX_TOKEN = 256 * 1024  # bytes without an element or text: one tag or comment, which expat reads anew for every piece
MAX_DIGITS = 12  # of a time or a count

META, ROW = "/report_metadata/", "/record/row/"
EVALUATED = ROW + "policy_evaluated/"
REASON = EVALUATED + "reason/type"
FACTS = {
    META + "org_name": "organisation",
    META + "report_id": "report_id",
    META + "generator": "generator",
    META + "date_range/begin": "begin",
    META + "date_range/end": "end",
    "/policy_published/domain": "domain",
    "/policy_published/p": "policy",
    "/version": "version",
}
EMAIL, END = META + "email", META + "date_range/end"
ADDRESS, COUNT, DKIM, SPF = ROW + "source_ip", ROW + "count", EVALUATED + "dkim", EVALUATED + "spf"
WANTED = frozenset((*FACTS, EMAIL, ADDRESS, COUNT, DKIM, SPF, REASON))
# The schema knows pass and fail; some reporters copy the result of the check here. Errors (`temperror`) say nothing.
FAILED = frozenset(("fail", "none", "neutral", "softfail"))


def parse_dmarc(pieces: Iterator[bytes], now: int, room: Room) -> Complaint:
    """What an aggregate report claims. Raises IntakeError where it is no such report, declares a document type, or is
    larger than there is room for."""
    report = Report(room)
    try:
        read(pieces, report)
    except DefusedXmlException:
        raise IntakeError("XML that declares a document type or entities, which no report does") from None
    except (SAXException, ValueError, LookupError) as error:  # the last two: encodings unknown or of no use
        if not report.known:
            raise IntakeError(f"not XML: {reason_of(error)}") from None
        return Complaint("dmarc", why=f"the XML is broken or cut ({reason_of(error)}): nothing of it is believed")
    return report.complaint(now)


def read(pieces: Iterator[bytes], report: Report) -> None:
    """Give the pieces to the parser; refuse a token or blank lines that go on and on."""
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(report)
    silent = lines = 0
    for piece in pieces:
        lines += piece.count(b"\n") + piece.count(b"\r")
        if lines > MAX_LINES:
            raise IntakeError(f"XML of more than {MAX_LINES:,} lines")
        before = report.events
        parser.feed(piece)
        silent = silent + len(piece) if report.events == before else 0
        if silent > MAX_TOKEN:
            raise IntakeError(f"XML with a tag or comment of more than {MAX_TOKEN // 1024} KiB")
    parser.close()


def reason_of(error: Exception) -> str:
    if isinstance(error, SAXParseException):
        return f"{error.getMessage()} in line {error.getLineNumber()}"
    return "its encoding is unknown" if isinstance(error, ValueError | LookupError) else "not well-formed"


class Report(ContentHandler):
    """What a report says so far. Keeps a number for each address, and one record's few texts."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self.room = room
        self.known = False  # the root was a report's
        self.events = 0
        self.elements = 0
        self.paths = [""]
        self.text: list[str] | None = None  # of the element that is being read, where it is wanted
        self.length = 0
        self.facts: dict[str, str] = {}
        self.record: dict[str, list[str]] = {}
        self.hits: Counter[str] = Counter()
        self.records = 0
        self.unlisted: Counter[str] = Counter()  # why -> records

    def startElement(self, name: str, attrs: Any) -> None:
        self.events += 1
        self.elements += 1
        name = name.rpartition(":")[2]
        if not self.known:
            if name != "feedback":
                raise IntakeError("XML, but no DMARC report")
            self.known = True
            return
        if self.elements > MAX_ELEMENTS or len(self.paths) >= MAX_DEPTH:
            raise IntakeError(f"XML of more than {MAX_ELEMENTS:,} elements or {MAX_DEPTH} levels")
        path = f"{self.paths[-1]}/{name}"
        self.paths.append(path)
        self.text = [] if path in WANTED else None
        self.length = 0

    def characters(self, content: str) -> None:
        self.events += 1
        if self.text is not None and self.length < MAX_TEXT:
            self.text.append(content[:MAX_TEXT])
            self.length += len(content)

    def endElement(self, name: str) -> None:
        self.events += 1
        if len(self.paths) == 1:
            return
        path = self.paths.pop()
        if self.text is not None:
            self.keep(path, "".join(self.text).strip())
        self.text = None
        if path == "/record":
            self.judge()

    def keep(self, path: str, text: str) -> None:
        if path in FACTS or path == EMAIL:
            self.facts.setdefault(path, text)
        else:
            self.record.setdefault(path, []).append(text)

    def judge(self) -> None:
        """What one record comes to."""
        self.room.record()
        self.records += 1
        found = failed(self.record)
        if isinstance(found, str):
            self.unlisted[found] += 1
        else:
            self.hits[found[0]] += found[1]
        self.record = {}

    def complaint(self, now: int) -> Complaint:
        facts = {FACTS[path]: text for path, text in self.facts.items() if path in FACTS}
        complaint = Complaint("dmarc", facts=kept(**facts, records=str(self.records)))
        at = number(self.facts.get(END, ""))
        why = "it does not say when it ends" if at is None else untimely(at, now)
        if why:
            complaint.why = why
            return complaint
        reporter = organisation(self.facts.get(EMAIL, ""))
        complaint.claims = [
            Claim(source, "spoofing", at, reporter, min(hits, MAX_HITS)) for source, hits in self.hits.items()
        ]
        complaint.why = self.less()
        return complaint

    def less(self) -> str:
        """Why some records list nothing, in one sentence; "" where all do."""
        if not self.records:
            return "it has no records"
        parts = [f"{count} {why}" for why, count in self.unlisted.most_common()]
        return f"of {self.records} records {self.unlisted.total()} list nothing: {', '.join(parts)}" if parts else ""


def failed(record: dict[str, list[str]]) -> tuple[str, int] | str:
    """Address and number of mails of a record that failed both ways; a few words on any other."""
    if any(len(texts) > 1 for path, texts in record.items() if path != REASON):
        return "with an element twice that is there once"
    results = [record.get(path, [""])[0].lower() for path in (DKIM, SPF)]
    if "pass" in results:
        return "passed"
    if not FAILED.issuperset(results):
        return "without a result"
    if any(reason.lower() != "other" for reason in record.get(REASON, ())):
        return "excused by the receiver"  # forwarded, mailing_list, local_policy, sampled_out, policy_test_mode, ...
    count = number(record.get(COUNT, [""])[0])
    if not count:
        return "without a count"
    try:
        return address(record.get(ADDRESS, [""])[0]), count
    except SubjectError as error:
        return f"without a usable source ({error})"


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None
