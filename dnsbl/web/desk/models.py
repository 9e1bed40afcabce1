"""What a deed of the desk takes, in JSON; the fields of its form have the same names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ...clock import duration
from ...hashing import MAX_QUERY
from ...model import CATEGORIES
from ...removal.requests import MAX_SAID

__all__ = [
    "Delist", "FeedNamed", "GrantRemoval", "Hold", "HoldApproved", "KeyMade", "Named", "NewExemption", "NewPerson",
    "Purge", "Purged", "RefuseRemoval", "Released", "ReportByHand", "Role", "SetSource", "Unexempt",
]  # fmt: skip

MAX_NUMBER = 2**53  # a number that every JSON has exactly
MAX_ZONES = 100  # named in one list
LONGEST = 10 * 366 * 86_400  # seconds
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]
Words = Annotated[str, Field(max_length=MAX_SAID)]
Why = Annotated[str, Field(min_length=1, max_length=MAX_SAID, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Subject = Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
Lifetime = Annotated[
    Annotated[int, Field(ge=1, le=LONGEST)] | None, BeforeValidator(lambda v: duration(v) if isinstance(v, str) else v)
]
ZoneNames = Annotated[
    Annotated[list[Name], Field(max_length=MAX_ZONES)],
    BeforeValidator(lambda v: v.split() if isinstance(v, str) else v),
]


def known_category(word: str) -> str:
    if word not in CATEGORIES:
        raise ValueError(f"no category {word[:50]!r}; there are {', '.join(CATEGORIES)}")
    return word


Category = Annotated[str, AfterValidator(known_category), Field(json_schema_extra={"enum": list(CATEGORIES)})]


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GrantRemoval(In):
    number: Number
    answer: Words = Field(default="", description="What is said to the requester")
    firm: bool = Field(default=False, description="Off for the whole grace, even if it is reported again")


class RefuseRemoval(In):
    number: Number
    answer: Why = Field(description="Why, for the requester")


class Hold(In):
    number: Number
    note: Words = ""


class HoldApproved(Hold):
    lifetime: Lifetime = Field(default=None, description="Seconds, or `30d`: so long there is no limit there")


class Delist(In):
    subject: Subject
    zone: Annotated[str, Field(max_length=100)] = Field(default="", description="Only from this zone")
    reason: Why
    wrong: bool = Field(default=False, description="It should never have been listed")


class ReportByHand(In):
    subject: Subject
    category: Category


class NewExemption(In):
    subject: Subject
    reason: Why
    zone: Annotated[str, Field(max_length=100)] = ""
    lifetime: Lifetime = Field(default=None, description="Seconds, or `30d`; none: for ever")


class Unexempt(In):
    subject: Subject
    reason: Why


class FeedNamed(In):
    name: Name
    reason: Words = ""


class Released(FeedNamed):
    digest: Annotated[str, Field(max_length=64)] = Field(default="", description="Only the content that was looked at")


class SetSource(In):
    name: Name
    trust: Annotated[float, Field(ge=0, le=1)] | None = None
    simulated: bool | None = None
    daily: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Purge(In):
    name: Name
    reason: Why
    since: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="RFC 3339")
    until: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="RFC 3339")


class Purged(In):
    number: Number


class KeyMade(In):
    name: Name
    trust: Annotated[float, Field(ge=0, le=1)] = 0.9
    scopes: Annotated[list[str], Field(min_length=1, max_length=4)] = ["report", "read"]
    lifetime: Lifetime = None
    live: bool = False
    queries: Number | None = Field(default=None, description="Scope query: queries a day, UTC")
    query_zones: ZoneNames | None = Field(default=None, description="Scope query: only in these zones")


class Named(In):
    name: Name
    reason: Words = ""


class NewPerson(In):
    name: Name
    role: str = Field(default="reviewer", json_schema_extra={"enum": ["reviewer", "admin"]})


class Role(NewPerson):
    pass
