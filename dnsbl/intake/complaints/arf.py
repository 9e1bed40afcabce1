"""ARF, the complaint of a mailbox provider's users (RFC 5965; its use: RFC 6650): the fields of its
message/feedback-report part.

    Feedback-Type: abuse          what it is: see CATEGORY
    Source-IP: 192.0.2.1          who sent it
    Arrival-Date: Thu, 29 Apr 2016 23:34:45 +0000
    Reported-Domain: bad.example  what it was about, any number of them; Reported-URI likewise
    Incidents: 3

Only the Source-IP field names a source. The embedded message is never asked: its Received lines can have been written
by its sender, who would have others listed. Where that field is missing, redacted or private, nothing at all is listed,
not even the reported domain, which often is the provider that the mail went through. What is syntactically no ARF lists
nothing either (RFC 5965 section 4): of two fields that must be one, nobody knows which is meant.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from ...errors import IntakeError, SubjectError
from .claims import MAX_HITS, Claim, Complaint, address, domain, fact, host, kept, untimely
from .mime import fields

__all__ = ["feedback_type", "parse_feedback"]

# RFC 5965 section 7.3. `other` is by its definition what is neither abuse, fraud nor a virus: no claim of ours. Types
# that are unknown list nothing and are not refused, as RFC 6650 section 4.5 asks.
CATEGORY = {"abuse": "spam", "fraud": "phishing", "virus": "malware"}
NO_CLAIM = {
    "not-spam": "the reader says that it is no spam",
    "opt-out": "the reader wants no more of it, which is no abuse",
    "opt-out-list": "the reader wants no more of it, which is no abuse",
    "auth-failure": "authentication failed, which forwarding does too (RFC 6591)",
    "miscategorized": "an operator was asked to sort it anew",
    "dmarc": "authentication failed, which forwarding does too",
    "other": "it says that it is neither abuse, fraud nor a virus",
}
ONCE = ("feedback-type", "source-ip", "arrival-date", "received-date", "incidents")  # section 3.1 and 3.2
MAX_REPORTED = 100  # domains and URIs of one report; a mail has room for more, a complaint has one or two
MAX_DATE = 100  # characters of a date
MAX_DIGITS = 10  # of Incidents: 32 bits
COMMENT = re.compile(r"\([^()]*\)")  # CFWS; nested ones are nobody's habit

Fields = dict[str, list[str]]


def parse_feedback(body: bytes, now: int, reporter: str) -> Complaint:
    """What the body of a message/feedback-report claims. `reporter`: the organisation that sent it, as a domain.
    Raises IntakeError where it has too many fields."""
    found = fields(body)
    complaint = Complaint("arf", facts=facts(found))
    try:
        category = category_of(found)
        source = source_of(found)
        at, hits = moment(found, now), incidents(found)
    except IntakeError as why:
        complaint.why = str(why)
        return complaint
    subjects, complaint.why = reported(found)
    complaint.claims = [Claim(subject, category, at, reporter, hits) for subject in dict.fromkeys([source, *subjects])]
    return complaint


def feedback_type(body: bytes) -> str:
    """The Feedback-Type, lower case; "" where there is none. Raises IntakeError where it has too many fields."""
    return value(fields(body), "feedback-type").lower()


def value(found: Fields, name: str) -> str:
    """The first field of that name without comments, or ""."""
    return COMMENT.sub(" ", found.get(name, [""])[0]).strip()


def category_of(found: Fields) -> str:
    """Raises IntakeError, as all below, where the report lists nothing; the message is the sentence that says why."""
    for name in ONCE:
        if len(found.get(name, ())) > 1:
            raise IntakeError(f"{name} is there more than once: nobody knows which is meant")
    kind = value(found, "feedback-type").lower()
    if kind in CATEGORY:
        return CATEGORY[kind]
    if not kind:
        raise IntakeError("it has no feedback-type")
    raise IntakeError(f"feedback-type {fact(kind)} lists nothing: {NO_CLAIM.get(kind, 'a type unknown here')}")


def source_of(found: Fields) -> str:
    written = value(found, "source-ip")
    if not written:
        raise IntakeError("it has no source-ip, so nobody knows who sent the mail")
    try:
        return address(written)
    except SubjectError as error:
        raise IntakeError(f"source-ip is redacted or of no use ({error}), so nobody knows who sent the mail") from None


def moment(found: Fields, now: int) -> int:
    """When the mail came; now where the report does not say. One that says it unreadably is malformed."""
    dates = [name for name in ("arrival-date", "received-date") if found.get(name)]
    if not dates:
        return now
    if len(dates) > 1:  # RFC 5965 section 3.2
        raise IntakeError("it has both an arrival-date and a received-date: nobody knows which is meant")
    at = date(found[dates[0]][0])
    if at is None:
        raise IntakeError(f"{dates[0]} is no date")
    if why := untimely(at, now):
        raise IntakeError(why)
    return at


def date(written: str) -> int | None:
    """Seconds since 1970 of a date as mail writes it (RFC 5322 section 3.3), or None."""
    try:
        moment = parsedate_to_datetime(written[:MAX_DATE])
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, TypeError, IndexError):  # all of which the library has raised for odd dates
        return None


def incidents(found: Fields) -> int:
    written = value(found, "incidents")
    if not written:
        return 1
    if not (written.isascii() and written.isdigit() and len(written) <= MAX_DIGITS):
        raise IntakeError("incidents is no number")
    return min(max(int(written), 1), MAX_HITS)


def reported(found: Fields) -> tuple[list[str], str]:
    """The domains that the report is about, and why some of them are not taken."""
    subjects, refused = [], []
    readers = {"reported-domain": domain, "reported-uri": host}
    written = [(read, text) for name, read in readers.items() for text in found.get(name, ())]
    for read, text in written[:MAX_REPORTED]:
        try:
            subjects.append(read(COMMENT.sub(" ", text)))
        except SubjectError as error:
            refused.append(str(error))
    if len(written) > MAX_REPORTED:
        refused.append(f"only the first {MAX_REPORTED} are read")
    return subjects, f"not all that is reported is taken: {', '.join(dict.fromkeys(refused))}" if refused else ""


def facts(found: Fields) -> dict[str, str]:
    """What is kept. Original-Rcpt-To, Original-Mail-From, Authentication-Results and the message are not: persons."""
    return kept(
        feedback_type=value(found, "feedback-type"),
        user_agent=value(found, "user-agent"),
        reporting_mta=value(found, "reporting-mta"),
        source_ip=value(found, "source-ip"),
        arrival_date=value(found, "arrival-date") or value(found, "received-date"),
        incidents=value(found, "incidents"),
    )
