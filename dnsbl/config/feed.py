"""`feeds/NAME.toml`: one list that is pulled."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from ..model import CATEGORIES
from .base import RESERVED, Model, Name, Seconds, Share, host_name

__all__ = ["Columns", "FeedDef", "Tsig"]

# Secrets stand in the environment, not in a file that many read: a declaration has their names.
SECRET = re.compile(r"(?:[A-Za-z]+ )?\$[A-Z_][A-Z0-9_]*")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token (RFC 9110 section 5.6.2)
# Those that say what the message is, or that we send ourselves.
OURS = {
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "if-modified-since",
    "if-none-match", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
COLLECTION = re.compile(r"/[^?]*/collections/[A-Za-z0-9-]{1,64}/?")  # TAXII 2.1 section 5
MODULE_FILE = re.compile(r"/[^/]+/.*[^/]")  # rsync: a module and a file in it
SCHEMES = ("https", "http", "file", "rsync", "dns", "taxii+https", "taxii+http")


class Columns(Model):
    """Where CSV columns or NDJSON keys hold what a list or report says: a name, or a CSV column's number from 0."""

    subject: str | int = "subject"
    category: str | int | None = None
    time: str | int | None = None
    reporter: str | int | None = None
    hits: str | int | None = None


class Tsig(Model):
    """The key that a zone transfer is signed with (RFC 8945)."""

    name: Name
    algorithm: Literal["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: str  # $NAME: base64, in the environment

    @field_validator("secret")
    @classmethod
    def elsewhere(cls, secret: str) -> str:
        if not SECRET.fullmatch(secret) or not secret.startswith("$"):
            raise ValueError('a secret stands in the environment: write secret = "$NAME"')
        return secret


class FeedDef(Model):
    """`feeds/NAME.toml`: one public or private list that is pulled."""

    name: str
    title: str
    url: str  # in userinfo and query, $NAME is what the environment has under that name
    headers: dict[str, str] = {}  # http and taxii: sent to the url's origin alone; the values are $NAME too
    tsig: Tsig | None = None  # dns: the key of the transfer
    homepage: str = ""
    enabled: bool = True
    why_off: str = ""  # said in `feed list` where enabled is false
    format: str
    columns: Columns | None = None
    delimiter: str = ","
    header: bool = True
    category: str
    map: dict[str, str] = {}  # the feed's own words -> our categories
    exempt: bool = False  # a warning list: its subjects may not be listed
    trust: Share = 0.5
    family: str = ""  # feeds that copy one another count once; default: the feed's name
    period: Annotated[Seconds, Field(ge=60)] = 86_400
    lifetime: Seconds = 90 * 86_400  # how long an entry that left is remembered
    licence: str
    terms: str = ""
    redistribute: bool = False
    min_hits: int = Field(default=1, ge=1)  # counted lists: fewer is not taken
    min_entries: int = Field(default=1, ge=0)  # fewer is a broken feed
    max_change: float = Field(default=0.4, gt=0)  # a change of the number of entries beyond this share is quarantined
    max_bytes: int = Field(default=64 * 2**20, gt=0, le=2**30)
    timeout: Annotated[Seconds, Field(ge=1)] = 60
    private: bool = False  # may be fetched from private addresses
    widest4: int = Field(default=8, ge=1, le=32)  # networks wider than this prefix are refused
    widest6: int = Field(default=19, ge=1, le=128)

    @field_validator("name")
    @classmethod
    def free(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"{name!r} has a meaning of its own; name the file otherwise")
        return name

    @field_validator("url")
    @classmethod
    def scheme(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            what = parts.scheme or "nothing"
            raise ValueError(f"a feed is fetched by https, http or file, rsync, dns or taxii+https, not {what!r}")
        if parts.scheme != "file" and not parts.hostname:
            raise ValueError("the URL names no host")
        shape(parts)
        return url

    @field_validator("headers")
    @classmethod
    def from_outside(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not HEADER.fullmatch(name):
                raise ValueError(f"not the name of a header: {name[:64]!r}")
            if name.lower() in OURS:
                raise ValueError(f"{name} is set by the program")
            if not SECRET.fullmatch(value):
                raise ValueError(f'{name}: the value stands in the environment: write "$NAME" or "Bearer $NAME"')
        return headers

    @field_validator("category")
    @classmethod
    def known(cls, category: str) -> str:
        if category not in CATEGORIES:
            raise ValueError(f"unknown category {category!r}; known: {', '.join(CATEGORIES)}")
        return category

    @model_validator(mode="after")
    def says_why(self) -> FeedDef:
        if not self.enabled and not self.why_off:
            raise ValueError("a feed that is off says why: set why_off")
        bad = {word: to for word, to in self.map.items() if to not in CATEGORIES}
        if bad:
            raise ValueError(f"map: unknown category {', '.join(sorted(set(bad.values())))}")
        return self

    @model_validator(mode="after")
    def fits_together(self) -> FeedDef:
        scheme = self.url.partition(":")[0].lower()
        if self.headers and scheme in ("file", "rsync", "dns"):
            raise ValueError(f"headers are of http, and this url is {scheme}")
        if self.tsig and scheme != "dns":
            raise ValueError(f"tsig signs zone transfers, and this url is {scheme}")
        if self.headers and scheme.endswith("http") and not self.private:
            raise ValueError("headers hold secrets, and http shows them to everybody on the way; write https")
        if scheme == "dns" and self.format != "dnsbl-zone":
            raise ValueError('another list\'s zone is format = "dnsbl-zone"')
        if scheme.startswith("taxii+") and self.format != "stix":
            raise ValueError('a TAXII collection is format = "stix"')
        if scheme == "file" and self.format == "misp" and self.url.endswith("/"):
            raise ValueError("a directory of MISP events is fetched by https; a file has the events themselves")
        return self


def shape(url: SplitResult) -> None:
    """Raises ValueError where a URL of its scheme does not say what is to be fetched."""
    try:
        _ = url.port
    except ValueError:
        raise ValueError("the URL's port is no port") from None
    if url.scheme == "rsync" and (
        not MODULE_FILE.fullmatch(url.path) or re.search(r"[*?\[\]\\\s]", url.path) or url.query
    ):
        raise ValueError("write rsync://host/module/file, one file without wildcards")
    if url.scheme == "dns":
        if url.username is not None or url.query:
            raise ValueError("write dns://server/zone.name; a key is in tsig")
        host_name(url.path.strip("/"))
    if url.scheme.startswith("taxii+") and not COLLECTION.fullmatch(url.path):
        raise ValueError("write taxii+https://host/api-root/collections/ID/")
