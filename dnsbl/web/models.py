"""What goes in and out in JSON: the schemas of `/openapi.json`, and what the tests hold every answer against."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..intake.reports import COLUMNS
from .quotas import BURST_SECONDS

__all__ = [
    "Challenge",
    "Code",
    "CodeFigure",
    "ComplaintAnswer",
    "Day",
    "DayFigure",
    "Feed",
    "Health",
    "HeldPlace",
    "Limits",
    "Overlap",
    "OverturnedClaim",
    "Partner",
    "Problem",
    "Quota",
    "Readiness",
    "Report",
    "Reports",
    "ReportsAnswer",
    "Stats",
    "Subject",
    "Zone",
    "ZoneFigures",
    "ZoneQueries",
]

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC")]


def also(column: str) -> str:
    return f"Also understood: {', '.join(COLUMNS[column][1:])}"


class Out(BaseModel):
    """An answer: what is not declared here is not sent."""

    model_config = ConfigDict(extra="forbid")


class Report(BaseModel):
    """One claim: who did what, and when."""

    subject: str = Field(
        description=f"An address, network, domain name, hash or E.164 number. {also('subject')}",
        examples=["192.0.2.7"],
    )
    category: str = Field(
        default="",
        description=f"A category of ours, or your own word; without one it is `spam`. {also('category')}",
        examples=["botnet"],
    )
    time: str | int = Field(
        default="",
        description="RFC 3339, or seconds since 1970; without one it is the moment of arrival, "
        f"and the same report sent again counts again. {also('time')}",
    )
    reporter: str = Field(
        default="",
        description="Who told you: an address, kept as its network, which is one reporter; any other name is you. "
        f"{also('reporter')}",
    )


class Reports(BaseModel):
    """Several reports in one document."""

    reports: list[Report]


class Reject(Out):
    line: int = Field(ge=1, description="Of NDJSON, or the place in an array, from 1")
    why: str


class ReportsAnswer(Out):
    """What came of the reports. When it arrives, what was taken is on disk."""

    taken: int
    repeated: int = Field(description="Said what an earlier report had said")
    rejected: int
    rejects: list[Reject] = Field(description="The first 1000; where the answer is given again, the first 20")
    unmapped: dict[str, int] = Field(description="Words that are no category of ours, kept as `other`; at most 1000")
    dry_run: Literal[True] | None = Field(
        default=None, description="There where nothing was kept: it is what would have come of it"
    )


class ComplaintAnswer(Out):
    """What came of a complaint. When it arrives, what was taken is on disk."""

    kind: Literal["complaints"]
    format: str = Field(description="What it was understood as", examples=["arf", "xarf", "dmarc"])
    taken: int = Field(description="Claims taken from it")
    repeated: int = Field(description="Claims that an earlier complaint had made")
    rejected: int
    rejects: list[Reject] = Field(description="By the number of the complaint in it; the first 1000")
    why: list[str] = Field(description="Of each complaint that lists nothing, or less than it says; the first 100")


class Limits(Out):
    """What a key may say, from where and how much. Empty or null: no such limit."""

    categories: list[str]
    about: list[str] = Field(description="Networks and domains: the only subjects it may report, with all inside")
    origins: list[str] = Field(description="Networks that requests may come from")
    daily: int | None = Field(description="Reports a UTC day, rejected ones included")
    burst: int | None = Field(description=f"Reports within {BURST_SECONDS} seconds")
    queries: int | None = Field(description="Of a key for DNS: queries a UTC day")
    query_zones: list[str] = Field(description="Of a key for DNS: the zones that it may ask; empty: all")


class Quota(Out):
    """Of this UTC day."""

    used: int
    left: int | None = Field(description="null: there is no daily limit")


class Day(Out):
    """A key's use on a UTC day."""

    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    posts: int
    taken: int
    repeated: int
    rejected: int


class QueryDay(Out):
    """What was asked in DNS with a key, in one zone on a UTC day."""

    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    zone: str
    queries: int = Field(description="Answered")
    refused: int = Field(description="Answered by a code of 127.255.255.x: not for that zone, or more than agreed")


class OverturnedClaim(Out):
    """A subject that you reported, and that turned out not to belong on a list."""

    subject: str
    at: Time
    why: str


class HeldPlace(Out):
    """Listings that wait for a person: too many in one place."""

    zone: str
    place: str
    at: Time
    listings: int
    share: float | None = Field(description="Of the place's addresses, 0 to 1; null: the place has no size")
    why: str
    state: str = Field(description="held, approved or rejected")


class Partner(Out):
    """What your reports came to."""

    name: str
    trust_granted: float = Field(ge=0, le=1, description="What the operator gave you")
    trust: float = Field(ge=0, le=1, description="How far you are believed now; it falls with what is overturned")
    simulated: bool = Field(description="What you report is scored and shown, and lists nothing yet")
    zones: list[str] = Field(description="Where your reports count; empty: in all")
    limits: Limits
    quota: Quota
    days: list[Day] = Field(description="Of the last 30 those on which the key was used, the oldest first")
    queries: list[QueryDay] = Field(description="Of a key for DNS, of the last 30 days, the oldest first")
    listings: int = Field(description="Made by your reports in the last 90 days, in all zones")
    overturned: list[OverturnedClaim] = Field(description="In the last 90 days; the newest 1000")
    holds: list[HeldPlace]
    last_used: Time | None
    expires: Time | None


class Line(Out):
    """Evidence of one source in one category."""

    source: str = Field(
        description="Its name to keys with scope `read`, and to all where its licence allows; to others its kind"
    )
    category: str
    hits: int
    reporters: int
    first_seen: Time
    last_seen: Time
    held: bool = Field(description="A list carries it now, and it does not fade")
    weight: float
    simulated: bool = Field(description="Of a source that lists nothing yet: not in the score")
    subject: str = Field(description="What the evidence is about: this subject, or what contains it")


class Waiting(Out):
    """A limit of a source that was passed: a person decides."""

    place: str
    why: str
    state: str


class Spell(Out):
    """An earlier listing."""

    since: Time | None = Field(description="null: longer ago than is kept")
    until: Time
    codes: list[str] = Field(description="Every one that was answered in that time")


class ZoneView(Out):
    """The subject in one zone."""

    zone: str
    origin: str
    listed: bool
    codes: list[str]
    text: list[str]
    score: float = Field(ge=0, le=100)
    simulated_score: float = Field(ge=0, le=100, description="What it would be with simulated sources too")
    independent_sources: int = Field(ge=0, description="Sources that copy one another count once")
    held: list[Waiting] = Field(description="Why it is not listed yet though its score would do")
    since: Time | None
    until: Time | None = Field(description="When it will leave if nothing more is reported")
    listings: list[str]
    breakdown: list[Line]
    history: list[Spell] = Field(description="Of the subject itself, the newest first")
    dns: list[str] | None = Field(description="What DNS answers now; null: the zone is not published")


class Exempt(Out):
    subject: str
    reason: str
    origin: str
    zone: str | None
    since: Time | None
    until: Time | None


class Sample(Out):
    """What is kept of one mail or complaint: nothing that names who it was for."""

    at: Time
    source: str = Field(description="Its name to keys with scope `read`; to others its kind")
    kind: str
    facts: dict[str, Any]


class Subject(Out):
    """Where a subject is listed, and why."""

    subject: str
    kind: Literal["ip", "domain", "hash", "e164"]
    zones: list[ZoneView]
    exemptions: list[Exempt]
    evidence: list[Sample] = Field(description="The newest mails and complaints about it")


class Code(Out):
    code: str
    categories: list[str]
    sublist: str | None
    text: str


class Following(Out):
    """How it goes with a zone that is taken from a primary."""

    state: Literal["new", "ok", "failed", "expired"] = Field(
        description="`failed`: the last try did; `expired`: nobody has confirmed it for too long, it is not answered"
    )
    refreshed_at: Time | None = Field(description="When a primary last confirmed or gave it")
    expires_at: Time | None = Field(description="Until when it is answered if nobody confirms it")
    primary: str | None = Field(description="Who that was; told to keys with scope `read` only")
    error: str | None = Field(description="Why the last try failed; told to keys with scope `read` only")


class Zone(Out):
    """A zone: where to ask, and what it answers."""

    name: str
    origin: str
    kind: Literal["ip", "domain", "hash", "e164"]
    about: str
    shutdown: bool = Field(description="It has ended and lists nothing: stop using it (RFC 6471 section 3.4)")
    serial: int | None = Field(description="Of the SOA; null: not published yet")
    made_at: Time | None
    listed: int = Field(description="Listings as they were decided: where some touch, more than `count` of an export")
    codes: list[Code]
    followed: Following | None = Field(description="Null: it is made here")


class Feed(Out):
    """A feed and its health."""

    name: str
    kind: Literal["feed", "import"]
    enabled: bool
    state: Literal["new", "ok", "unchanged", "failed", "quarantined", "off"]
    reason: str = Field(description="Where it concerns a file of the operator's, told to keys with scope `read` only")
    entries: int | None
    checked_at: Time | None
    good_at: Time | None
    changed_at: Time | None
    failures: int
    rejected: int
    unmapped: dict[str, int] = Field(description="Without a key of scope `read`: the 20 most frequent")
    url: str | None
    category: str | None
    trust: float | None
    licence: str | None
    redistribute: bool | None


class CodeFigure(Out):
    code: str
    categories: list[str]
    listed: int = Field(description="Subjects that have this code now; one may have several")


class DayFigure(Out):
    """What changed in a zone on one day (UTC)."""

    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    codes: dict[str, int] = Field(description="By code, how many subjects were listed under it, or came under it")
    left: int


class ZoneFigures(Out):
    zone: str
    origin: str
    listed: int
    codes: list[CodeFigure]
    days: list[DayFigure] = Field(description="The last 30 days, the oldest first")


class Overlap(Out):
    """A list, and how many of its entries the others have too, written the same way."""

    feed: str
    entries: int
    also_in: dict[str, int]


class ZoneQueries(Out):
    zone: str
    rcodes: dict[str, int] = Field(description="Answers by their RCODE; NXDOMAIN: not listed")


class Stats(Out):
    """Figures, made at most every five minutes."""

    made_at: Time
    zones: list[ZoneFigures]
    overlap: list[Overlap] = Field(description="The twelve largest lists, the largest first")
    queries: list[ZoneQueries] = Field(description="Since the DNS processes started, the most asked first")


class Health(Out):
    status: Literal["ok"]


class Readiness(Out):
    ready: bool
    reasons: list[str] = Field(description="Why not; empty when ready")


class Challenge(Out):
    """A sum as altcha has it (protocol version 2, PBKDF2/SHA-256). What is sent back is base64 of
    `{"challenge": this, "solution": {"counter", "derivedKey"}}`; it is good once, for ten minutes."""

    parameters: dict[str, Any]
    signature: str


class Done(Out):
    """What came of a deed at the desk."""

    done: bool
    result: Any = None
    waits: str = Field(default="", description="What it waits for; empty: it is done")


class Problem(BaseModel):
    """RFC 9457. A refused upload also has the counts of what was taken before."""

    type: str
    title: str
    status: int
    detail: str
