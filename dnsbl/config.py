"""Configuration: TOML files to frozen models. Every mistake of every file is reported at once.

`dnsbl.toml` is one `Config`; each `zones/NAME.toml` is one `ZoneDef`, each `feeds/NAME.toml` one `FeedDef`.
Unknown keys are mistakes: a misspelt limit must not be a limit that does not hold.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from .clock import duration
from .errors import ConfigError
from .model import CATEGORIES

__all__ = ["CodeDef", "Config", "FeedDef", "Settings", "ZoneDef", "load", "parse_listen", "template"]

Seconds = Annotated[int, BeforeValidator(duration), Field(ge=0, le=10 * 366 * 86_400)]
DnsTtl = Annotated[int, BeforeValidator(duration), Field(ge=0, le=2**31 - 1)]  # RFC 2181 section 8
Share = Annotated[float, Field(ge=0, le=1)]
FileName = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
HostName = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
RESERVED = frozenset(("operator", "removal", "never-list"))  # sources and origins that are no feed
SubLabel = re.compile(
    r"(?=.*[a-z-])(?!-)[a-z0-9-]{2,63}"
)  # RFC 5782 section 2.3: two characters, a non-digit among them


class Model(BaseModel):
    """What all of them are. Checks are made ready when a model is first used: most processes use few of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


def host_name(text: str) -> str:
    """A DNS name without its trailing dot, as configured for NS, MNAME and origins."""
    if not isinstance(text, str) or len(text) > 253 or not HostName.fullmatch(text):
        raise ValueError(f"not a DNS name: {text!r}")
    return text.rstrip(".")


Name = Annotated[str, BeforeValidator(host_name)]


def parse_listen(text: str) -> tuple[str, int]:
    """`127.0.0.1:53` or `[::1]:53` as (address, port). Raises ValueError."""
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not an address and port: {text!r}; write 127.0.0.1:53 or [::1]:53")
    return str(ipaddress.ip_address(host)), int(port)


def listen_text(text: str) -> str:
    parse_listen(text)
    return text


Listen = Annotated[str, BeforeValidator(listen_text)]


def cookie_secret(secret: SecretStr) -> SecretStr:
    """The key of SipHash-2-4 (RFC 9018 section 4.4). What is wrong with it is said without showing it."""
    if not re.fullmatch(r"[0-9A-Fa-f]{32}", secret.get_secret_value()):
        raise ValueError("a cookie secret is 32 hex digits; openssl rand -hex 16 makes one")
    return secret


CookieSecret = Annotated[SecretStr, AfterValidator(cookie_secret)]


class StoreConfig(Model):
    url: str = "sqlite"

    @field_validator("url")
    @classmethod
    def known(cls, url: str) -> str:
        if url == "sqlite" or url.startswith("sqlite:///"):
            return url
        if url.startswith("postgresql:"):
            raise ValueError("the PostgreSQL store is not built yet; write sqlite or sqlite:///path")
        raise ValueError(f"unknown store {url!r}; write sqlite or sqlite:///path")


MAX_THREADS = 64  # for each address; the unit in systemd/ allows some hundreds in all


class DnsConfig(Model):
    listen: list[Listen] = ["127.0.0.1:5300"]
    native: Literal["auto", "off", "require"] = "auto"
    transfer: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    nsid: str = ""  # RFC 5001: sent to those who ask; empty sends none
    version: str = "dnsbl"  # CH TXT version.bind; empty refuses
    udp_size: int = Field(default=1232, ge=512, le=4096)
    cookie_secrets: list[CookieSecret] = Field(default=[], max_length=4)  # the first makes cookies; none: one per start
    threads: int = Field(default=0, ge=0, le=MAX_THREADS)  # native path: UDP threads; 0: one for each processor
    query_log: Path | None = None  # none: queries are not logged
    query_log_rate: int = Field(default=100, ge=1, le=10_000)  # records a second

    @field_validator("query_log", mode="before")
    @classmethod
    def off(cls, path: object) -> object:
        return None if path == "" else path  # empty is off, as it is elsewhere here, and not the file's own directory


class WebConfig(Model):
    listen: Listen = "127.0.0.1:8053"
    public_url: str = ""


class TrapAddress(Model):
    domain: str = ""
    address: str = ""
    class_: Literal["pristine", "recycled", "typo"] = Field(alias="class")


class TrapConfig(Model):
    listen: Listen = "127.0.0.1:2525"
    addresses: list[TrapAddress] = []


class Config(Model):
    """`dnsbl.toml`. Relative paths are relative to the file."""

    data_dir: Path = Path("dnsbl-data")
    zones_dir: Path | None = None
    feeds_dir: Path | None = None
    store: StoreConfig = StoreConfig()
    dns: DnsConfig = DnsConfig()
    web: WebConfig = WebConfig()
    trap: TrapConfig = TrapConfig()


def template(text: str) -> list[str]:
    """A text cut where the subject goes: `$`. `$$` is a dollar. Joined by a subject, it is what is said of it."""
    pieces = [""]
    for number, part in enumerate(text.split("$$")):
        first, *rest = part.split("$")
        pieces[-1] += ("$" if number else "") + first
        pieces += rest
    return pieces


class CodeDef(Model):
    """One return code of a zone: which categories give it, what it says, and its sublist if it has one."""

    code: str
    categories: list[str] = Field(min_length=1)
    text: str = Field(default="", max_length=1000)
    sublist: str = ""

    @field_validator("code")
    @classmethod
    def loopback(cls, code: str) -> str:
        address = ipaddress.IPv4Address(code)
        if address not in ipaddress.IPv4Network("127.0.0.0/8"):  # RFC 5782 section 2.1
            raise ValueError(f"a return code is in 127.0.0.0/8, not {code}")
        if code == "127.0.0.1" or code.startswith("127.255.255."):
            raise ValueError(f"{code} is no listing: 127.0.0.1 is never listed, 127.255.255.x are errors")
        return code

    @field_validator("categories")
    @classmethod
    def known(cls, categories: list[str]) -> list[str]:
        unknown = [c for c in categories if c not in CATEGORIES]
        if unknown:
            raise ValueError(f"unknown category {', '.join(unknown)}; known: {', '.join(CATEGORIES)}")
        return categories

    @field_validator("sublist")
    @classmethod
    def label(cls, sublist: str) -> str:
        if sublist and not SubLabel.fullmatch(sublist):
            raise ValueError(f"sublist {sublist!r}: two or more of a-z 0-9 -, with a non-digit (RFC 5782 section 2.3)")
        return sublist


class Apex(Model):
    """Records at the origin itself, beside SOA and NS: where a person finds the web page."""

    a: list[ipaddress.IPv4Address] = []
    aaaa: list[ipaddress.IPv6Address] = []
    txt: list[str] = []


class Soa(Model):
    mname: Name | None = None  # default: the first NS
    rname: Name = "hostmaster.dnsbl.test"
    refresh: DnsTtl = 900
    retry: DnsTtl = 300
    expire: DnsTtl = 604_800
    minimum: DnsTtl = 60  # how long clients remember that something is not listed (RFC 2308)
    ttl: DnsTtl = 900


class Policy(Model):
    """When a subject is listed in this zone, and how evidence fades (design.md section 7)."""

    list_at: float = Field(default=60, gt=0, le=100)
    delist_at: float = Field(default=50, gt=0, le=100)
    half_weight: float = Field(default=0.25, gt=0, le=1000)  # the weight at which a source says half of what it may
    half_life: Seconds = 14 * 86_400
    half_lives: dict[str, Seconds] = {}
    code_weight: float = Field(default=0.125, gt=0, le=1)  # a category's code is answered down to this weight
    exempt: bool = True  # false: a white list; the never-list and the allow-list do not apply

    @model_validator(mode="after")
    def lower(self) -> Policy:
        if self.delist_at > self.list_at:
            raise ValueError("delist_at is above list_at: what is listed would leave at once")
        unknown = [c for c in self.half_lives if c not in CATEGORIES]
        if unknown:
            raise ValueError(f"half_lives: unknown category {', '.join(unknown)}")
        if min([self.half_life, *self.half_lives.values()]) < 60:
            raise ValueError("a half-life is a minute or more")
        return self


class Checks(Model):
    """What stops a publish. The last good snapshot stays until an operator forces the build."""

    max_drop: Share = 0.9  # share of the listings that may leave in one publish
    max_cover: Share = 0.1  # share of the whole IPv4 space that may be listed


class Removal(Model):
    grace: Seconds = 7 * 86_400  # how long a removed subject stays off whatever feeds say


class ZoneDef(Model):
    """`zones/NAME.toml`: a DNS origin with a policy."""

    name: str
    origin: Name
    kind: Literal["ip", "domain"]
    about: str = ""
    ns: list[Name] = Field(min_length=1)
    ns_ttl: DnsTtl = 86_400
    soa: Soa = Soa()
    apex: Apex = Apex()
    ttl: DnsTtl = 300
    policy: Policy = Policy()
    checks: Checks = Checks()
    removal: Removal = Removal()
    transfer: list[ipaddress.IPv4Network | ipaddress.IPv6Network] | None = None
    codes: list[CodeDef] = Field(min_length=1, max_length=60)

    @field_validator("origin")
    @classmethod
    def lower(cls, origin: str) -> str:
        return origin.lower()

    @model_validator(mode="after")
    def consistent(self) -> ZoneDef:
        codes = [c.code for c in self.codes]
        twice = {c for c in codes if codes.count(c) > 1}
        if twice:
            raise ValueError(f"code given twice: {', '.join(sorted(twice))}")
        categories = [c for code in self.codes for c in code.categories]
        shared = {c for c in categories if categories.count(c) > 1}
        if shared:
            raise ValueError(f"category under two codes: {', '.join(sorted(shared))}")
        if self.kind == "domain" and any(c.sublist for c in self.codes):
            raise ValueError("a domain zone has no sublists: their labels could be names; use the codes")
        return self

    @property
    def mname(self) -> str:
        return self.soa.mname or self.ns[0]

    @property
    def categories(self) -> dict[str, str]:
        """category -> return code."""
        return {category: code.code for code in self.codes for category in code.categories}


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


class Settings(Model):
    """All that was read: the configuration, its zones and its feeds, by name."""

    config: Config
    path: Path | None
    zones: dict[str, ZoneDef]
    feeds: dict[str, FeedDef]


M = TypeVar("M", bound=Model)
DIRECTORIES = ("zones_dir", "feeds_dir")  # looked into even where the rest of the configuration is wrong


def find(explicit: Path | None) -> Path | None:
    """The configuration file: `-c`, `$DNSBL_CONFIG`, `./dnsbl.toml`, `/etc/dnsbl/dnsbl.toml`; None: there is none."""
    if explicit is not None:
        return explicit
    if named := os.environ.get("DNSBL_CONFIG"):
        return Path(named)
    for path in (Path("dnsbl.toml"), Path("/etc/dnsbl/dnsbl.toml")):
        if path.exists():
            return path
    return None


def load(explicit: Path | None = None) -> Settings:
    """Read the configuration, its zones and its feeds. Raises ConfigError with every mistake in all of them."""
    mistakes: list[str] = []
    path = find(explicit)
    base = path.parent if path else Path()
    said = read_toml(path, mistakes) if path else {}
    config = validated(path, Config, said, mistakes) if path else Config()
    config = config or Config.model_validate(
        {key: d for key in DIRECTORIES if isinstance(d := (said or {}).get(key), str)}
    )
    config = config.model_copy(
        update={
            "data_dir": base / config.data_dir,
            "store": placed(config.store, base),
            "dns": placed_log(config.dns, base),
        }
    )
    zones = read_directory(base, config.zones_dir, "zones", ZoneDef, mistakes)
    feeds = read_directory(base, config.feeds_dir, "feeds", FeedDef, mistakes)
    mistakes += clashes(zones.values())
    if mistakes:
        raise ConfigError(mistakes)
    return Settings.model_construct(config=config, path=path, zones=zones, feeds=feeds)  # each of them is checked


def placed(store: StoreConfig, base: Path) -> StoreConfig:
    """The store with its file's path relative to the configuration file, as every path is."""
    head, scheme, path = store.url.partition("sqlite:///")
    return StoreConfig(url=f"{scheme}{base / path}") if scheme and not head else store


def placed_log(dns: DnsConfig, base: Path) -> DnsConfig:
    return dns.model_copy(update={"query_log": base / dns.query_log}) if dns.query_log else dns


def read_directory(base: Path, configured: Path | None, what: str, model: type[M], mistakes: list[str]) -> dict[str, M]:
    directory = base / configured if configured else bundled(what)
    found: dict[str, M] = {}
    try:
        paths = sorted(p for p in directory.iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except OSError as error:
        mistakes.append(f"{directory}: cannot be read ({error.strerror}); set {what}_dir to a directory of TOML files")
        return found
    for path in paths:
        if not FileName.fullmatch(path.stem):
            mistakes.append(f"{path}: the file's name is the name of the {what[:-1]}: use a-z 0-9 _ -")
            continue
        said = read_toml(path, mistakes)
        if said is not None and "name" in said:
            mistakes.append(f"{path}: name: no such setting; the file's name is the name")
        item = None if said is None else validated(path, model, {**said, "name": path.stem}, mistakes)
        if item is not None:
            found[path.stem] = item
    return found


def bundled(what: str) -> Path:
    """The directory of the zones or feeds that come with the program: in the package, or in the checkout."""
    package = Path(__file__).parent
    inside = package / f"bundled_{what}"
    return inside if inside.is_dir() else package.parent / what


def read_toml(path: Path, mistakes: list[str]) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        mistakes.append(f"{path}: cannot be read ({error.strerror})")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{path}: not TOML: {error}")
    return None


def validated(path: Path, model: type[M], said: dict[str, Any] | None, mistakes: list[str]) -> M | None:
    try:
        return None if said is None else model.model_validate(said)
    except ValidationError as error:
        mistakes += [f"{path}: {mistake}" for mistake in plain(error)]
    return None


def plain(error: ValidationError) -> Iterable[str]:
    """A line for each mistake: where, what."""
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = "no such setting"
        yield f"{where}: {what}" if where else what


def clashes(zones: Iterable[ZoneDef]) -> list[str]:
    """Two zones at one origin, or one inside another's names, cannot both be served."""
    mistakes = []
    by_origin: dict[str, str] = {}
    for zone in zones:
        if zone.origin in by_origin:
            mistakes.append(f"zones {by_origin[zone.origin]} and {zone.name} both have origin {zone.origin}")
        by_origin[zone.origin] = zone.name
    for zone in zones:
        for code in zone.codes:
            if code.sublist and (name := f"{code.sublist}.{zone.origin}") in by_origin:
                mistakes.append(f"zone {zone.name}: sublist {name} is the origin of zone {by_origin[name]}")
    return mistakes
