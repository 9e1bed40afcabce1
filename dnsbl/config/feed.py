"""`feeds/NAME.toml`: one list that is pulled."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ..model import CATEGORIES
from .base import RESERVED, Model, Seconds, Share

__all__ = ["Columns", "FeedDef"]


class Columns(Model):
    """Where CSV columns or NDJSON keys hold what a list or report says: a name, or a CSV column's number from 0."""

    subject: str | int = "subject"
    category: str | int | None = None
    time: str | int | None = None
    reporter: str | int | None = None
    hits: str | int | None = None


class FeedDef(Model):
    """`feeds/NAME.toml`: one public or private list that is pulled."""

    name: str
    title: str
    url: str
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
        if parts.scheme not in ("https", "http", "file"):
            raise ValueError(f"a feed is fetched by https, http or file, not {parts.scheme or 'nothing'!r}")
        if parts.scheme != "file" and not parts.hostname:
            raise ValueError("the URL names no host")
        return url

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
