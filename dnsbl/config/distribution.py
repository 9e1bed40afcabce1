"""How zones travel: keys and servers for transfers, zones taken from elsewhere, files for others to fetch."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from .base import Listen, Model, Name, Seconds

__all__ = ["ExportConfig", "FollowConfig", "SecondaryConfig", "TsigKeyConfig"]

MIN_TSIG_SECRET = 16  # octets


def shared_secret(secret: SecretStr) -> SecretStr:
    """The secret of a TSIG key (RFC 8945): base64, 16 octets or more. What is wrong is said without showing it."""
    try:
        octets = base64.b64decode(secret.get_secret_value(), validate=True)
    except ValueError:
        octets = b""
    if len(octets) < MIN_TSIG_SECRET:
        raise ValueError("the secret of a key is base64 of 16 octets or more; openssl rand -base64 32 makes one")
    return secret


class TsigKeyConfig(Model):
    """A key shared with another name server (RFC 8945)."""

    name: Name
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: Annotated[SecretStr, AfterValidator(shared_secret)]


class SecondaryConfig(Model):
    """A server that is told of every publish (NOTIFY, RFC 1996). What it may transfer is said by networks and keys."""

    address: Listen
    key: Name | None = None  # NOTIFY is signed with it
    zones: list[str] = []  # by their files' names; empty: all, and the catalog


class FollowConfig(Model):
    """A zone that is not made here but taken from a primary: by transfer, or as snapshot files over HTTPS."""

    zone: str  # its file's name, here as there
    primaries: list[Listen] = Field(default=[], max_length=8)  # asked in turn
    key: Name | None = None
    tls: bool = False  # transfers over TLS (RFC 9103)
    tls_name: Name | None = None  # as the primary's certificate calls it
    tls_ca: Path | None = None  # PEM; none: the system's
    url: str = ""  # of the primary's web side: https://bl.example
    api_key: SecretStr = SecretStr("")
    public_key: str = ""  # what `dnsbl zone public-key` prints there

    @model_validator(mode="after")
    def either(self) -> FollowConfig:
        if bool(self.primaries) == bool(self.url):
            raise ValueError("say either primaries or url")
        if self.url and not self.public_key:
            raise ValueError(
                "public_key: what comes over HTTP is believed by its signature; the primary prints its key"
            )
        return self


class ExportConfig(Model):
    """Files of zones, kept up to date in a directory that others take them from (rsync, a web server)."""

    directory: Path
    formats: list[str] = Field(min_length=1)
    zones: list[str] = []  # by their files' names; empty: all
    every: Annotated[Seconds, Field(ge=1)] = 300  # at most so often
    compress: list[Literal["gzip", "zstd"]] = []  # beside the plain files
