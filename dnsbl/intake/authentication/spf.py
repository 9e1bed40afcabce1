"""SPF (RFC 7208) by pyspf, with every look-up through ours and nothing fetched that is only for show."""

from __future__ import annotations

import ipaddress
from typing import Any

import spf

from .lookups import MailLookups
from .message import domain_name
from .verdict import WORDS

__all__ = ["check_spf", "mail_from_domain"]

MAX_TERM = 512  # bytes of one mechanism or modifier: the library reads each in quadratic time; names have 253
MAX_LOCAL = 256  # characters of a local part, which macros repeat; forwarders write longer ones than RFC 5321's 64


def check_spf(peer: str, helo: str, mail_from: str, lookups: MailLookups) -> tuple[str, str]:
    """The result and the domain it is about: of MAIL FROM, or of HELO where there is no MAIL FROM (section 2.4)."""
    address, greeting = plain_address(peer), domain_name(helo)
    path = mail_from.strip("<> ")
    domain = mail_from_domain(path) if path else greeting
    if not address or not domain:
        return "none", domain
    local = path.partition("@")[0] or "postmaster"
    try:
        word = Check(address, f"{local}@{domain}", greeting or "unknown", lookups).check()[0]
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):  # what a record can do to the library
        word = "permerror"
    return word if word in WORDS else "permerror", domain


def mail_from_domain(mail_from: str) -> str:
    """The domain of a reverse path, with or without its brackets; empty where it has none, or several: the library
    would take another one than we do."""
    local, at, domain = mail_from.strip("<> ").partition("@")
    return domain_name(domain) if at and len(local) <= MAX_LOCAL else ""


def plain_address(peer: str) -> str:
    """The address without a scope, which macros would carry on; empty where it is none."""
    try:
        return str(ipaddress.ip_address(peer.partition("%")[0]))
    except ValueError:
        return ""


class Check(spf.query):  # type: ignore[misc]
    """One evaluation. The library counts terms and void look-ups (RFC 7208 section 4.6.4) and recursion."""

    def __init__(self, address: str, sender: str, greeting: str, lookups: MailLookups) -> None:
        super().__init__(i=address, s=sender, h=greeting)
        self.mail_lookups = lookups

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """The library's one way to the DNS. Raises its TempError and PermError."""
        found = self.mail_lookups.ask(str(name), qtype)
        if found.failed:
            raise spf.TempError("no answer")
        if not found.values and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} void look-ups")
        return [[value] if qtype == "TXT" else value for value in found.values]

    def dns_spf(self, domain: str) -> str | None:
        """The record of a domain. Raises PermError where a term is longer than any honest one."""
        record: str | None = super().dns_spf(domain)
        if record and max(map(len, record.split(" "))) > MAX_TERM:
            raise spf.PermError("a term that is too long")
        return record

    def get_explanation(self, spec: str) -> None:
        """Of `exp=`: nobody is shown it, and it would cost a look-up."""
