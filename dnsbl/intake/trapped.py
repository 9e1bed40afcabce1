"""What a trapped mail claims, and of whom: facts in, claims out; and how they are kept.

    the address that handed it over      spam-trap         by the class's own source; distinct trap addresses count
      where the mail proves its sender,                    by its `-proven` source: three distinct traps are needed:
      or may do so                                         anybody may have typed one of them into somebody's form
      of a bounce or automatic reply     bounce            weak: in no bundled zone
      of list mail that proves its
      sender, or may do so               newsletter        weak: somebody may have subscribed the trap to it
    what its text leads to, and carries  spam, malware     by the class's `-content` source; distinct networks that sent
                                                           it count, and several are needed
    whom it is from                      spam              the same, and only what an aligned pass proves

HELO, unproven senders and everything else are facts, kept as evidence, and claim nothing. A newsletter's or a bounce's
content claims nothing either: it is somebody else's. Nor does that of a mail that leads to more than is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import SubjectError
from ..hashing import email_hash, file_digest, url_hash
from ..model import Report
from ..store.contract import Source, Store, Taken
from ..subjects import text
from .authentication import Verdict
from .gate import Gate
from .mail import Hop, MailFacts
from .mail.hosts import registrable

__all__ = ["TrapClaim", "Voices", "first_claims", "keep", "later_claims", "voices", "waits"]

CONTENT, PROVEN = "-content", "-proven"  # what sources' names end in
HALF_WEIGHTS = {CONTENT: 2.0, PROVEN: 1.5}  # distinct reporters at which they are believed half as far as they may be
SENDERS = {4: 16, 6: 32}  # networks that count as one sender of content: who has one address there has many
# Suffixes of programs, and of what runs them: never a document that somebody may have sent before.
PROGRAMS = frozenset((
    "bat", "cmd", "com", "cpl", "dll", "exe", "hta", "img", "iso", "jar", "js", "jse", "lnk", "msi", "pif", "ps1",
    "scr", "vbe", "vbs", "wsf", "xll",
))  # fmt: skip


LEADING = frozenset(("domains", "urls"))  # what MailFacts.cut says where a mail leads to more than is looked at


class TrapClaim(NamedTuple):
    """What a mail claims of one subject."""

    subject: str  # as people write it
    category: str
    voice: str = ""  # which source says it: the class's own, or its CONTENT or PROVEN
    owner: str = ""  # whose it is that stands there by its hash: where that may not be listed, this may not


class Voices(NamedTuple):
    """The sources of one class of traps."""

    own: Source
    content: Source
    proven: Source

    def of(self, claim: TrapClaim) -> Source:
        return {"": self.own, CONTENT: self.content, PROVEN: self.proven}[claim.voice]


def voices(store: Store, make: Callable[[str], Source]) -> Voices:
    """The sources of a class; `make` makes the one whose name ends in a suffix."""
    found = []
    for suffix in ("", CONTENT, PROVEN):
        source, half_weight = make(suffix), HALF_WEIGHTS.get(suffix)
        found.append(
            source if source.half_weight == half_weight else store.set_source(source.id, half_weight=half_weight)
        )
    return Voices(*found)


def waits(facts: MailFacts) -> bool:
    """Whether everything waits for a verdict: what proves its sender may be what somebody asked for."""
    return (facts.bulk or facts.signed) and not facts.auto


def first_claims(hop: Hop | None, facts: MailFacts) -> list[TrapClaim]:
    """What needs no proof."""
    if waits(facts):
        return []
    if facts.auto:
        return handed_over(hop, "bounce")
    return [*handed_over(hop, "spam-trap"), *content(facts)]


def later_claims(hop: Hop | None, facts: MailFacts, verdict: Verdict) -> list[TrapClaim]:
    """What the verdict allows. Where nothing is known it may prove its sender."""
    if facts.auto:
        return []
    proven = bool(verdict.from_domain) and verdict.from_domain in verdict.aligned
    own = registrable(verdict.from_domain)  # MAIL FROM is proven by SPF alone, and may be another's
    senders = [TrapClaim(d, "spam", CONTENT) for d in verdict.aligned if proven and registrable(d) == own]
    if not waits(facts):
        return senders
    may_prove = proven or verdict.source == "none"
    if may_prove and facts.bulk:
        return handed_over(hop, "newsletter")
    return [*handed_over(hop, "spam-trap", PROVEN if may_prove else ""), *content(facts), *senders]


def handed_over(hop: Hop | None, category: str, voice: str = "") -> list[TrapClaim]:
    return [TrapClaim(hop.address, category, voice)] if hop else []


def content(facts: MailFacts) -> Iterator[TrapClaim]:
    """What the text leads to and what it carries."""
    if not LEADING.isdisjoint(facts.cut):
        return
    for domain in facts.domains:
        yield TrapClaim(domain, "spam", CONTENT)
    for make, texts, host in ((url_hash, facts.urls, url_host), (email_hash, facts.emails, mail_host)):
        for written in texts:
            with suppress(SubjectError):  # what nobody can ask for by its hash, nobody can be told of
                owner = registrable(host(written)) or host(written)
                yield TrapClaim(text(make(written)), "spam", CONTENT, owner)
    for each in facts.attachments:
        category = "malware" if each.suffix in PROGRAMS else "spam"
        yield TrapClaim(text(file_digest(each.sha256)), category, CONTENT)


def url_host(url: str) -> str:
    return urlsplit(url).hostname or ""


def mail_host(address: str) -> str:
    return address.rpartition("@")[2]


def keep(
    store: Store,
    gate: Gate,
    sources: Voices,
    claims: Sequence[TrapClaim],
    traps: Sequence[str],
    hop: Hop | None,
    at: int,
) -> tuple[list[bytes], Taken]:
    """Into the store what the gate lets through, within the caller's transaction: each trap reports the address, the
    address's network reports the content. The addresses and domains that were claimed, and how many reports."""
    attempts: dict[bytes, str] = {}
    reports: dict[int, list[Report]] = {}
    for claim in claims:
        if claim.owner and isinstance(gate.subject(claim.owner), str):
            continue
        about = claim.voice == CONTENT
        gate.attempts = {} if about else attempts  # everybody links to big names: no attempt to list them
        for reporter in [sender_network(hop)] if about else traps:
            made = gate.report(claim.subject, claim.category, at, reporter)
            if not isinstance(made, str):
                reports.setdefault(sources.of(claim).id, []).append(made)
    if attempts:
        store.add_attempts(sources.own.id, attempts, at)
    done = [store.take_reports(source, found) for source, found in reports.items()]
    shown = {report.subject: None for found in reports.values() for report in found if report.subject[:1] in b"46d"}
    return list(shown), Taken(sum(each.taken for each in done), sum(each.repeated for each in done))


def sender_network(hop: Hop | None) -> str:
    """Who reports content: the network that sent it, by name, as reporters' addresses are narrower."""
    if hop is None:
        return ""
    address = ip_address(hop.address)
    return f"from {ip_network((address, SENDERS[address.version]), strict=False)}"
