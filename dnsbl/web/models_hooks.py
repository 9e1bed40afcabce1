"""What goes in and out in JSON of what partners own and where they are told of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .models import Out, Time

__all__ = ["Hook", "HookMade", "HookWanted", "OwnedRange"]


class OwnedRange(Out):
    """A network or domain of yours."""

    subject: str
    since: Time


class HookWanted(BaseModel):
    """Where to send events."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="https, to a host that anyone on the Internet can reach", examples=["https://noc.example/dnsbl"]
    )


class Hook(Out):
    """Where you are told what happens to what you own."""

    id: int
    url: str
    created: Time
    delivered: Time | None = Field(description="When it last took an event")
    trouble: str = Field(description="Why it last did not take one; empty: it did")
    failures: int = Field(description="In a row")
    waiting: int = Field(description="Events to be sent, or sent again")
    failed: int = Field(description="Events of the last 7 days that were given up after 3 days")
    dropped: int = Field(description="Events that were given up as too many waited")


class HookMade(Hook):
    """A hook as it was made, or was there."""

    secret: str | None = Field(
        description="What signs its events (Standard Webhooks), told once; null: the hook was there already"
    )
