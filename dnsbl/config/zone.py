"""`zones/NAME.toml`: a DNS origin with a policy."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..model import CATEGORIES
from .access import AccessConfig
from .base import DnsTtl, Model, Name, Network, Seconds, Share
from .closing import HOSTS, closed

__all__ = ["PROOFS", "CodeDef", "Proof", "Removal", "ZoneDef", "template"]

SubLabel = re.compile(
    r"(?=.*[a-z-])(?!-)[a-z0-9-]{2,63}"
)  # RFC 5782 section 2.3: two characters, a non-digit among them
KEY_PREFIX = "dq-"  # of the label that is a key (intake/partners.py makes them, dns/access.py reads them)


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
        if sublist.startswith(KEY_PREFIX):
            raise ValueError(f"sublist {sublist!r}: {KEY_PREFIX} is how keys in names begin; choose another name")
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


# Kinds of proof that one controls a subject, the weakest first: the request comes from the address itself; a mailbox at
# its name; a record in its DNS; the abuse contact of its network, or a partner that owns it.
PROOFS = ("address", "mailbox", "dns", "range")
Proof = Literal["address", "mailbox", "dns", "range"]
BY_PERSON = frozenset(("hijacked", "snowshoe", "phishing"))  # categories that a person decides unless a zone says else
WEAKEST: dict[str, Proof] = {"dynamic": "mailbox", "phishing": "dns", "snowshoe": "range", "hijacked": "range"}


class Removal(Model):
    """What it takes to be taken off, by category, and how often. Nothing here costs money (RFC 6471 section 2.2)."""

    grace: Seconds = 7 * 86_400  # how long a removed subject stays off whatever feeds say
    self_serve: list[str] = [category for category in CATEGORIES if category not in BY_PERSON]  # need no person
    proofs: dict[str, Proof] = {}  # category -> the weakest proof that will do, where it is another than usual
    quiet: Seconds = 3600  # nothing reported for so long: what still goes on is not taken off
    cool_down: Seconds = 86_400  # from one removal to the next of the same subject; twice as long after each
    max_cool_down: Seconds = 30 * 86_400
    memory: Seconds = 90 * 86_400  # removals that long ago do not count any more
    per_requester: int = Field(default=10, ge=1)  # removals a day that one /24 or /64 is granted
    per_network: int = Field(default=20, ge=1)  # removals a day in one /24 or /48
    per_asn: int = Field(default=200, ge=1)  # removals a day in one autonomous system
    exempt_policy: Seconds = 180 * 86_400  # how long a single address stays out of a declared (dynamic) range

    @field_validator("self_serve")
    @classmethod
    def known(cls, categories: list[str]) -> list[str]:
        if unknown := [c for c in categories if c not in CATEGORIES]:
            raise ValueError(f"unknown category {', '.join(unknown)}")
        return categories

    @field_validator("proofs")
    @classmethod
    def known_keys(cls, proofs: dict[str, Proof]) -> dict[str, Proof]:
        cls.known(list(proofs))
        return proofs

    @model_validator(mode="after")
    def remembered(self) -> Removal:
        if self.cool_down > self.max_cool_down:
            raise ValueError("cool_down is longer than max_cool_down")
        if self.memory < self.max_cool_down:
            raise ValueError("memory is shorter than max_cool_down: a removal is forgotten before its pause is over")
        return self

    def weakest(self, category: str) -> Proof:
        """The weakest proof that will do for a listing in this category."""
        return self.proofs.get(category) or WEAKEST.get(category, "address")


# What listings are decided by; and what no record depends on where it is known what is listed (the digest of ZONEMD is
# told of by itself).
DECIDING: dict[str, Any] = {"kind": True, "policy": True, "codes": {"__all__": {"code", "categories"}}}
BESIDE_RECORDS = {
    "about", "policy", "checks", "removal", "transfer", "transfer_keys", "zonemd", "terms", "licence",
}  # fmt: skip


class ZoneDef(Model):
    """`zones/NAME.toml`: a DNS origin with a policy."""

    name: str
    origin: Name
    kind: Literal["ip", "domain", "hash", "e164"]
    about: str = ""
    ns: list[Name] = Field(min_length=1)
    ns_ttl: DnsTtl = 86_400
    soa: Soa = Soa()
    apex: Apex = Apex()
    ttl: DnsTtl = 300
    policy: Policy = Policy()
    checks: Checks = Checks()
    removal: Removal = Removal()
    transfer: list[Network] | None = None  # none: as dns.transfer says; else only from these of its networks
    transfer_keys: list[Name] | None = None  # none: as dns.transfer_keys says
    zonemd: bool = False  # a digest of the whole zone at its origin (RFC 8976), made anew at each publish
    terms: Literal["leave-out", "refuse"] = "leave-out"  # entries that feeds' terms keep from being given away
    licence: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")  # in the head of every export
    access: AccessConfig = Field(default=AccessConfig(), exclude=True)  # of this server: no part of what is published
    shutdown: bool = False  # it ends (RFC 6471 section 3.4): lists nothing, and its name servers lead nowhere
    codes: list[CodeDef] = Field(min_length=1, max_length=60)

    @model_validator(mode="before")
    @classmethod
    def ending(cls, said: Any) -> Any:
        return closed(said) if isinstance(said, dict) and said.get("shutdown") is True else said

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
        if self.kind != "ip" and any(c.sublist for c in self.codes):
            raise ValueError(f"{self.kind}: a zone of this kind has no sublists, only an ip zone has; use the codes")
        return self

    @property
    def exact(self) -> bool:
        """A listed subject answers for itself alone. In a domain zone a name answers for all below it."""
        return self.kind in ("hash", "e164")

    @property
    def hosts(self) -> dict[str, str]:
        """Labels below the origin that have an IPv4 address, with the TTL of NS: what a zone that ends calls its name
        servers."""
        return HOSTS if self.shutdown else {}

    @property
    def mname(self) -> str:
        return self.soa.mname or self.ns[0]

    def published_like(self, other: ZoneDef) -> bool:
        """Whether both are one definition in what is published; who may ask (`access`) is in no snapshot."""
        return self.model_dump() == other.model_dump()

    @property
    def rules(self) -> dict[str, Any]:
        """What listings are decided by, as JSON has it: where it is another, all are decided anew."""
        return self.model_dump(mode="json", include=DECIDING)

    @property
    def frame(self) -> dict[str, Any]:
        """What records are made by beside what is listed, as JSON has it: where it is another, records are others that
        no difference of listings tells of."""
        return self.model_dump(mode="json", exclude=BESIDE_RECORDS)

    @property
    def categories(self) -> dict[str, str]:
        """category -> return code."""
        return {category: code.code for code in self.codes for category in code.categories}
