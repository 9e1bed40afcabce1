"""DMARC (RFC 7489): whether what SPF and DKIM prove is the domain that the reader of a mail sees.

The record is looked up at the From domain and then at its organisational domain by the Public Suffix List; the tree
walk of later drafts is not done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...special import suffixes
from .lookups import MailLookups
from .verdict import Signature

__all__ = ["Policy", "aligns", "dmarc_result", "find_policy", "proven"]

RECORD = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")  # section 6.4: first, and in capitals
POLICIES = frozenset(("none", "quarantine", "reject"))


@dataclass(slots=True, frozen=True)
class Policy:
    """What a domain publishes. `state` is "found", or why nothing is: none, temperror or permerror."""

    state: str = "none"
    strict_dkim: bool = False
    strict_spf: bool = False


# Where it is not known how strictly a domain wants to be aligned, only itself will do.
UNANSWERED = Policy("temperror", strict_dkim=True, strict_spf=True)


def proven(from_domain: str, policy: Policy, signatures: Iterable[Signature], spf_domain: str) -> bool:
    """Whether a signature that passes, or a MAIL FROM domain for which SPF passes, aligns with From (section 3.1)."""
    signed = [domain for domain, _, word in signatures if word == "pass"]
    return any(aligns(domain, from_domain, policy.strict_dkim) for domain in signed) or aligns(
        spf_domain, from_domain, policy.strict_spf
    )


def dmarc_result(from_domain: str, policy: Policy, passes: bool, unknown: Iterable[str]) -> str:
    """The word for it; `unknown` are the domains of checks that ended in temperror."""
    if not from_domain:
        return "permerror"  # section 6.6.1: no author, or several
    if policy.state != "found":
        return policy.state
    if passes:
        return "pass"
    return "temperror" if any(aligns(domain, from_domain, strict=False) for domain in unknown) else "fail"


def aligns(domain: str, from_domain: str, strict: bool) -> bool:
    """Section 3.1.1: the same organisational domain, or where it is strict the same domain."""
    if not domain or not from_domain:
        return False
    if domain == from_domain:
        return True
    return not strict and organisational(domain) == organisational(from_domain) != ""


def organisational(domain: str) -> str:
    """The public suffix and one label more (section 3.2); empty for a public suffix itself."""
    return suffixes().privatesuffix(domain) or ""


def find_policy(from_domain: str, lookups: MailLookups) -> Policy:
    """Section 6.6.3. More than one record is as good as none."""
    above = organisational(from_domain)
    for domain in dict.fromkeys((from_domain, above)):
        if not domain:
            continue
        found = lookups.ask(f"_dmarc.{domain}", "TXT")
        if found.failed:
            return UNANSWERED
        records = [text for text in found.values if RECORD.match(text)]
        if records:
            return read_policy(records[0]) if len(records) == 1 else Policy()
    return Policy()


def read_policy(record: bytes) -> Policy:
    """Sections 6.3 and 6.4. A bad `p` or `sp` counts as none where there are reports to be sent, otherwise the record
    is no good; anything else that is bad has its default."""
    tags: dict[str, str] = {}
    for part in record.decode("ascii", "replace").split(";"):
        name, _, value = part.partition("=")
        tags.setdefault(name.strip().lower(), value.strip())
    asked = [tags.get("p", ""), *([tags["sp"]] if "sp" in tags else [])]
    if not all(value.lower() in POLICIES for value in asked) and not tags.get("rua"):
        return Policy("permerror")
    return Policy("found", tags.get("adkim", "").lower() == "s", tags.get("aspf", "").lower() == "s")
