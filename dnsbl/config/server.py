"""`dnsbl.toml`: where the server listens, what it keeps, and what it believes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from .access import RateConfig
from .base import Listen, Model, Name, Network, Seconds, Share, host_name, parse_listen
from .distribution import ExportConfig, FollowConfig, SecondaryConfig, TsigKeyConfig

__all__ = [
    "Config", "DnsConfig", "GeoConfig", "GuardConfig", "MailConfig", "ProofConfig", "RetentionConfig",
    "StoreConfig", "TrapAddress", "TrapConfig", "WebConfig",
]  # fmt: skip


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


MailAddress = re.compile(r"[^\s@<>\"]{1,64}@[A-Za-z0-9.-]{1,253}")
MAX_THREADS = 64  # for each address; the unit in systemd/ allows some hundreds in all


class DnsConfig(Model):
    listen: list[Listen] = ["127.0.0.1:5300"]
    native: Literal["auto", "off", "require"] = "auto"
    transfer: list[Network] = []  # who may take zones away by AXFR and IXFR; a zone can narrow it
    transfer_keys: list[Name] = []  # with one of these keys; none: unsigned will do. A zone can narrow it
    keys: list[TsigKeyConfig] = Field(default=[], max_length=256)
    secondaries: list[SecondaryConfig] = Field(default=[], max_length=256)
    catalog: Name | None = None  # origin of the catalog zone (RFC 9432)
    tls_listen: list[Listen] = []  # queries and transfers over TLS (RFC 7858, 9103)
    tls_cert: Path | None = None  # PEM
    tls_key: Path | None = None
    nsid: str = ""  # RFC 5001: sent to those who ask; empty sends none
    version: str = "dnsbl"  # CH TXT version.bind; empty refuses
    udp_size: int = Field(default=1232, ge=512, le=4096)
    rate: RateConfig = RateConfig()
    cookie_secrets: list[CookieSecret] = Field(default=[], max_length=4)  # the first makes cookies; none: one per start
    threads: int = Field(default=0, ge=0, le=MAX_THREADS)  # native path: UDP threads; 0: one for each processor
    query_log: Path | None = None  # none: queries are not logged
    query_log_rate: int = Field(default=100, ge=1, le=10_000)  # records a second

    @model_validator(mode="after")
    def known_keys(self) -> DnsConfig:
        names = [key.name.lower() for key in self.keys]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"keys: declared twice: {', '.join(twice)}")
        used = [*self.transfer_keys, *(each.key for each in self.secondaries if each.key)]
        if unknown := sorted({name for name in used if name.lower() not in names}):
            raise ValueError(f"no such key: {', '.join(unknown)}; declare it in [[dns.keys]]")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key come together")
        if self.tls_listen and not self.tls_cert:
            raise ValueError("tls_listen: tls_cert and tls_key are needed with it")
        return self

    @field_validator("query_log", mode="before")
    @classmethod
    def off(cls, path: object) -> object:
        return None if path == "" else path  # empty is off, as it is elsewhere here, and not the file's own directory


class WebConfig(Model):
    listen: Listen = "127.0.0.1:8053"
    public_url: str = ""
    proxies: list[Network] = Field(default=[], max_length=64)  # whose X-Forwarded-For is believed


def resolver(text: str) -> str:
    """An address and port; empty: the system's resolver; "off": nothing is looked up."""
    if text not in ("", "off"):
        parse_listen(text)
    return text


Resolver = Annotated[str, AfterValidator(resolver)]


def relay(text: str) -> str:
    """A mail server, by its name or address, and its port."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"not a host and port: {text!r}; write mx.example:587, 127.0.0.1:25 or [::1]:25")
    if ":" in host or host.rpartition(".")[2].isdigit():  # no name ends in a number (RFC 3696 section 2)
        parse_listen(text)
    else:
        host_name(host)
    return text


Relay = Annotated[str, AfterValidator(relay)]


class MailConfig(Model):
    """How our own mail leaves. Without a relay none is sent, and no proof by mail is offered."""

    relay: Relay | None = None  # a mail server that takes mail from us
    sender: str = ""  # an address that takes bounces
    tls: Literal["off", "starttls", "always"] = "starttls"  # which a relay on the loopback may do without
    username: str = ""
    password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def whole(self) -> MailConfig:
        if self.relay and not MailAddress.fullmatch(self.sender):
            raise ValueError("sender: the mail address that removal mail comes from is needed with a relay")
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password come together")
        return self


class ProofConfig(Model):
    """Where it is looked up who controls a subject."""

    resolver: Resolver = ""  # for reverse names and TXT records; "off": no proof by DNS, nor by mail
    rdap: str = "https://rdap.org/"  # asked for the abuse contact of a network; empty: nobody is asked

    @field_validator("rdap")
    @classmethod
    def web_address(cls, address: str) -> str:
        if address and not re.fullmatch(r"https?://[^\s/?#]+/([^\s?#]+/)?", address):
            raise ValueError("rdap: an http(s) address that ends in a slash, or empty")
        return address


class TrapAddress(Model):
    """Whose mail is taken: one address, or every address of a domain and of the names below it."""

    domain: Name | None = None
    address: str = ""
    class_: Literal["pristine", "recycled", "typo", "feedback"] = Field(alias="class")

    @model_validator(mode="after")
    def either(self) -> TrapAddress:
        if (self.domain is None) == (not self.address):
            raise ValueError("say either domain or address")
        if self.address and not MailAddress.fullmatch(self.address):
            raise ValueError("address: not a mail address")
        return self


class TrapTrust(Model):
    """How far each class of trap is believed. What is below every zone's `list_at` lists nothing alone."""

    pristine: Share = 0.9  # never used by a person
    recycled: Share = 0.5  # once a person's
    typo: Share = 0.3  # a slip of the keyboard away from a person's
    feedback: Share = 0.5  # complaints that come by mail


class TrapConfig(Model):
    listen: Listen = "127.0.0.1:2525"
    lmtp: Listen | None = None  # none: no LMTP
    hostname: Name = "localhost"  # in the greeting
    tls_cert: Path | None = None  # PEM; with it STARTTLS is offered
    tls_key: Path | None = None
    relays: list[Network] = Field(default=[], max_length=256)  # ours: what their Received line says is believed
    proxy: list[Network] = Field(default=[], max_length=256)  # who must begin with a PROXY header
    authserv_ids: list[Name] = Field(default=[], max_length=16)  # whose Authentication-Results are believed
    resolver: Resolver = ""  # for SPF, DKIM, DMARC; "off": they are not evaluated
    max_bytes: int = Field(default=2**20, ge=2**12, le=2**24)  # of one mail; more is refused
    connections: int = Field(default=200, ge=1, le=2000)
    per_network: int = Field(default=50, ge=1, le=2000)  # connections from one /24 or /48
    trust: TrapTrust = TrapTrust()
    addresses: list[TrapAddress] = []

    @model_validator(mode="after")
    def paired(self) -> TrapConfig:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key come together")
        return self

    @model_validator(mode="after")
    def distinct(self) -> TrapConfig:
        if self.lmtp and parse_listen(self.lmtp) == parse_listen(self.listen) and parse_listen(self.lmtp)[1]:
            raise ValueError(f"listen and lmtp are both {self.listen}")
        named = [(each.domain or each.address).lower() for each in self.addresses]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"addresses: declared twice: {', '.join(twice)}")
        return self


class GuardConfig(Model):
    """How much one partner or trap class may list before a person looks at it: beyond, everything of it is held."""

    daily: int = Field(default=5000, ge=1)  # listings a day; a source can have a limit of its own
    network: int = Field(default=256, ge=1)  # addresses of one /16, or /64s of one /32, within a week
    asn: Share = 0.01  # share of an autonomous system's addresses within a week
    country: Share = 0.001  # share of a country's addresses within a week
    least: int = Field(default=100, ge=1)  # fewer listings within a week are never too large a share
    traps: int = Field(default=16, ge=1, le=1000)  # traps may list so many times as much, in each place and a day


class GeoConfig(Model):
    """Tables of address ranges: asn-ipv4.csv, asn-ipv6.csv (start,end,number,name), country-ipv4.csv, country-ipv6.csv
    (start,end,code), plain or .gz."""

    directory: Path | None = None  # none: nothing is known of networks and countries


class RetentionConfig(Model):
    """How long things are kept: then a job forgets them."""

    samples: Seconds = 30 * 86_400  # munged evidence of mails and complaints
    reports: Annotated[Seconds, Field(ge=86_400)] = 400 * 86_400
    purged: Seconds = 90 * 86_400  # how long the purge of a source can be undone
    journal: Annotated[Seconds, Field(ge=86_400)] = 400 * 86_400  # what was listed when, and exemptions that ended
    audit: Annotated[Seconds, Field(ge=86_400)] = 5 * 366 * 86_400
    removals: Annotated[Seconds, Field(ge=86_400)] = 400 * 86_400  # requests, once they are done


class Config(Model):
    """`dnsbl.toml`. Relative paths are relative to the file."""

    data_dir: Path = Path("dnsbl-data")
    zones_dir: Path | None = None
    feeds_dir: Path | None = None
    store: StoreConfig = StoreConfig()
    dns: DnsConfig = DnsConfig()
    web: WebConfig = WebConfig()
    trap: TrapConfig = TrapConfig()
    mail: MailConfig = MailConfig()
    proof: ProofConfig = ProofConfig()
    guard: GuardConfig = GuardConfig()
    geo: GeoConfig = GeoConfig()
    retention: RetentionConfig = RetentionConfig()
    follow: list[FollowConfig] = []
    export: list[ExportConfig] = []

    @model_validator(mode="after")
    def followed(self) -> Config:
        zones = [each.zone for each in self.follow]
        if twice := sorted({zone for zone in zones if zones.count(zone) > 1}):
            raise ValueError(f"follow: declared twice: {', '.join(twice)}")
        names = {key.name.lower() for key in self.dns.keys}
        if unknown := sorted({each.key for each in self.follow if each.key and each.key.lower() not in names}):
            raise ValueError(f"follow: no such key: {', '.join(unknown)}; declare it in [[dns.keys]]")
        return self

    def changed(self, other: Config) -> list[str]:
        """The settings and sections in which another one differs, by name."""
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)]
