"""What goes in and out in JSON: the schemas of `/openapi.json`, and what the tests hold every answer against."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..intake.reports import COLUMNS

__all__ = [
    "Code",
    "Feed",
    "Health",
    "Problem",
    "Readiness",
    "Report",
    "Reports",
    "ReportsAnswer",
    "Subject",
    "Zone",
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
        description=f"Who told you: an address or a name; addresses are kept by network. {also('reporter')}",
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


class Line(Out):
    """Evidence of one source in one category."""

    source: str = Field(description="Its name to keys with scope `read`; to others its kind")
    category: str
    hits: int
    reporters: int
    first_seen: Time
    last_seen: Time
    held: bool = Field(description="A list carries it now, and it does not fade")
    weight: float
    subject: str = Field(description="What the evidence is about: this subject, or what contains it")


class ZoneView(Out):
    """The subject in one zone."""

    zone: str
    origin: str
    listed: bool
    codes: list[str]
    text: list[str]
    score: float = Field(ge=0, le=100)
    since: Time | None
    until: Time | None = Field(description="When it will leave if nothing more is reported")
    listings: list[str]
    breakdown: list[Line]
    dns: list[str] | None = Field(description="What DNS answers now; null: the zone is not published")


class Exempt(Out):
    subject: str
    reason: str
    origin: str
    zone: str | None
    since: Time | None
    until: Time | None


class Subject(Out):
    """Where a subject is listed, and why."""

    subject: str
    kind: Literal["ip", "domain", "hash", "e164"]
    zones: list[ZoneView]
    exemptions: list[Exempt]


class Code(Out):
    code: str
    categories: list[str]
    sublist: str | None
    text: str


class Zone(Out):
    """A zone: where to ask, and what it answers."""

    name: str
    origin: str
    kind: Literal["ip", "domain"]
    about: str
    serial: int | None = Field(description="Of the SOA; null: not published yet")
    made_at: Time | None
    listed: int
    codes: list[Code]


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


class Health(Out):
    status: Literal["ok"]


class Readiness(Out):
    ready: bool
    reasons: list[str] = Field(description="Why not; empty when ready")


class Problem(BaseModel):
    """RFC 9457. A refused upload also has the counts of what was taken before."""

    type: str
    title: str
    status: int
    detail: str
