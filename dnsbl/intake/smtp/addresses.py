"""Whom mail is for: the paths of MAIL and RCPT (RFC 5321 section 4.1.2), and which of them are traps. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import idna

from ...config.server import TrapAddress
from ...errors import printable
from .envelope import Recipient

__all__ = ["NULL", "POSTMASTER", "Traps", "parse_path"]

NULL = "<>"  # the null sender of bounces, as aiosmtpd knows it
POSTMASTER = "postmaster"
MAX_ADDRESS = 320  # characters: RFC 5321 sections 4.5.3.1.1 and 4.5.3.1.2, 64 + 1 + 255

# Every repetition is possessive (`*+`): 2 KiB of blanks must not be looked at 2048 times.
QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*+"'
MAILBOX = rf'(?:{QUOTED}|[^<>"\s\x00-\x1f\x7f])'
ROUTE = r'(?:@[^:<>"\s\x00-\x1f\x7f]*+:)?'
PATH = re.compile(
    rf"\s*+(?:<\s*+{ROUTE}(?P<angled>{MAILBOX}*+)\s*+>|(?P<bare>{MAILBOX}++)(?=\s|\Z))\s*+(?P<rest>.*+)", re.DOTALL
)


def parse_path(text: str) -> tuple[str, str] | None:
    """(address, parameters) of what stands after `FROM:` or `TO:`, printable; NULL is the empty path, None what is
    none. A source route is skipped (RFC 5321 section 4.1.1.3); blanks, and no brackets at all, are what spam software
    sends."""
    match = PATH.fullmatch(readable(text))
    if match is None:
        return None
    address = printable(match["bare"] if match["angled"] is None else match["angled"] or NULL)
    return (address, match["rest"]) if len(address) <= MAX_ADDRESS else None


def readable(text: str) -> str:
    """Octets that are no UTF-8, which aiosmtpd keeps as surrogates, become U+FFFD: no store or JSON takes those."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Traps:
    """Which addresses are declared, and as what. The most specific declaration counts: an address before its domain,
    a name before the names above it, and the first of two that are alike.

    Local parts are compared without regard to case, and `user+tag` is `user`: whoever collects addresses adds tags.
    The postmaster of every domain here, and of the server, is taken as RFC 5321 section 4.5.1 asks, in a class of his
    own: who writes to him may be honest. Only `address = "postmaster@…"` makes a trap of him."""

    def __init__(self, declared: Iterable[TrapAddress], hostname: str) -> None:
        self.addresses: dict[str, str] = {}
        self.domains: dict[str, str] = {}
        self.postmasters = {"", hostname.lower()}
        for entry in declared:
            if entry.domain is not None:
                self.domains.setdefault(plain_domain(entry.domain), entry.class_)
                continue
            local, _, domain = entry.address.rpartition("@")
            self.addresses.setdefault(f"{plain_local(local)}@{plain_domain(domain)}", entry.class_)
            self.postmasters.add(plain_domain(domain))

    def find(self, address: str) -> Recipient | None:
        """What an address of parse_path is to us; None: nothing."""
        local, at, domain = address.rpartition("@")
        if not at:
            local, domain = domain, ""  # <Postmaster> needs no domain (RFC 5321 section 4.1.1.3)
        domain = plain_domain(domain)
        class_ = self.class_of(plain_local(local), domain)
        return None if class_ is None else Recipient(f"{local}@{domain}" if domain else local, class_)

    def class_of(self, local: str, domain: str) -> str | None:
        for name in (local, local.partition("+")[0]):
            if declared := self.addresses.get(f"{name}@{domain}"):
                return declared
        above = self.domain_class(domain)
        if local == POSTMASTER and (above or domain in self.postmasters):
            return POSTMASTER
        return above if local else None

    def domain_class(self, domain: str) -> str | None:
        """The class of the nearest name above that is declared."""
        while domain:
            if declared := self.domains.get(domain):
                return declared
            domain = domain.partition(".")[2]
        return None


def plain_local(local: str) -> str:
    """`"User"` and `user` are one (RFC 5321 section 4.1.2: quotes that are not needed)."""
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local.lower()


def plain_domain(domain: str) -> str:
    """Lower case, A-labels, no final dot. What is no domain stays as it is, and is declared nowhere."""
    domain = domain.lower().removesuffix(".")
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # idna's own errors are such, too
        return domain
