"""Who may ask a zone, how much, and how often: `[access]` of a zone, `[dns.rate]` of the server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Model, Network

__all__ = ["AccessConfig", "RateConfig"]

MAX_NETWORKS = 10_000  # of one list
MAX_RATE = 10_000  # replies a second; with MAX_WINDOW what a bucket owes fits 24 bits
MAX_WINDOW = 600  # seconds


class AccessConfig(Model):
    """Who may ask below a zone's origin. The origin itself and the test points answer everybody."""

    networks: list[Network] | None = Field(default=None, max_length=MAX_NETWORKS)  # without a key; none: everybody
    refuse: list[Network] = Field(default=[], max_length=MAX_NETWORKS)  # REFUSED, with a key too
    public_resolvers: list[Network] = Field(default=[], max_length=MAX_NETWORKS)  # of many clients: only with a key
    keys: Literal["off", "optional", "required"] = "off"  # in the name: QUERY.KEY.ORIGIN
    quota: int = Field(default=0, ge=0)  # queries a UTC day of one /24 or /64 without a key; 0: no limit


class RateConfig(Model):
    """Response rate limiting: how many replies of one kind a network is sent over UDP. Not limited are TCP, clients
    that show a cookie of ours, and `exempt`."""

    responses: int = Field(default=0, ge=0, le=MAX_RATE)  # a second, to one /24 or /56 and of one kind; 0: no limit
    slip: int = Field(default=2, ge=0, le=10)  # every so many-th reply above the limit goes out empty, with TC; 0: none
    window: int = Field(default=15, ge=1, le=MAX_WINDOW)  # seconds of quiet after which the worst client starts anew
    exempt: list[Network] = Field(default=[], max_length=MAX_NETWORKS)
