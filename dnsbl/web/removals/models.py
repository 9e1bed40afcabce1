"""What goes in and out in JSON of removals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...hashing import MAX_QUERY
from ...removal.machine import STATES
from ...removal.requests import MAX_SAID
from ..models import Out, Time

__all__ = [
    "Appeal", "MailWanted", "Mailboxes", "Removal", "RemovalWanted", "Thing", "Token", "Which",
]  # fmt: skip

Words = Annotated[str, Field(max_length=MAX_SAID)]
Mailed = Literal["mailbox", "range"]
State = Literal["requested", "proof-asked", "proven", "granted", "refused", "to-person", "done"]
assert set(State.__args__) == set(STATES)  # type: ignore[attr-defined]


class In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RemovalWanted(In):
    """What to take off, and from which zones."""

    subject: Annotated[str, Field(min_length=1, max_length=MAX_QUERY, examples=["192.0.2.7"])]
    zones: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)] = Field(
        default=[], description="Zones by name; none: all that list it"
    )
    reason: Words = Field(default="", description="What was found and mended, for a person who may read it")
    altcha: Annotated[str, Field(max_length=4096)] = Field(
        default="", description="The payload of a solved /v1/challenge; a key of yours will do instead"
    )


class Which(In):
    proof: Mailed


class MailWanted(In):
    """Whom to ask. Of the hash of a mail address: the address itself."""

    proof: Mailed
    mailbox: Annotated[str, Field(min_length=3, max_length=320)]


class Thing(In):
    url: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]


class Appeal(In):
    reason: Words = ""


class Token(In):
    token: Annotated[str, Field(min_length=1, max_length=200)]


class Mailboxes(Out):
    """Who may be asked to confirm."""

    proof: Mailed
    mailboxes: list[str]


class Said(Out):
    reason: str
    said: str


class Record(Out):
    """A TXT record that proves control, at any one of the names."""

    names: list[str]
    type: Literal["TXT"]
    value: str
    expires: Time


class Mail(Out):
    """A mail that asks for proof."""

    at: Time
    state: Literal["waiting", "sent", "failed", "dropped"]


class Move(Out):
    at: Time
    state: State
    reasons: list[Said]


class Removal(Out):
    """A request for removal. `id` is its secret."""

    id: str
    subject: str
    kind: str
    zones: list[str]
    state: State
    reasons: list[Said]
    not_before: Time | None = Field(description="From when on asking again makes sense")
    may_ask_again: bool
    asked_at: Time
    changed_at: Time
    expires: Time | None = Field(description="Until when a proof is awaited")
    exempt_until: Time | None
    ends_when_reported: bool = Field(description="Whether new reports end that before its time")
    proof: str | None
    proofs: list[str] = Field(description="Ways to prove control, the weakest that will do first")
    records: list[Record]
    mails: list[Mail] = Field(description="What became of them; of the hash of a mail address nothing is told")
    answer: str | None = Field(description="What a reviewer said")
    may_appeal: bool
    may_withdraw: bool
    history: list[Move]
