"""What a trapped mail claims, and of whom: facts in, claims out; and how they are kept.

    the address that handed it over      spam-trap         by the class's own source; distinct trap addresses count
      of a bounce or automatic reply     bounce            weak: in no bundled zone
      of list mail that is proven to be
      from whom it says, or may be       newsletter        weak: somebody may have subscribed the trap to it
    what its text leads to, and carries  spam, malware     by the class's `-content` source; distinct networks that sent
                                                           it count, and several are needed
    whom it is from                      spam              the same, and only what an aligned pass proves

HELO, unproven senders and everything else are facts, kept as evidence, and claim nothing. A newsletter's or a bounce's
content claims nothing either: it is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
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

__all__ = ["CONTENT", "TrapClaim", "content_source", "first_claims", "keep", "later_claims", "waits"]

CONTENT = "-content"  # what a source's name ends in where the claim is about content
SEVERAL = 2.0  # distinct networks at which content is believed half as far as it may be
# Suffixes of programs, and of what runs them: never a document that somebody may have sent before.
PROGRAMS = frozenset((
    "bat", "cmd", "com", "cpl", "dll", "exe", "hta", "img", "iso", "jar", "js", "jse", "lnk", "msi", "pif", "ps1",
    "scr", "vbe", "vbs", "wsf", "xll",
))  # fmt: skip


class TrapClaim(NamedTuple):
    """What a mail claims of one subject."""

    subject: str  # as people write it
    category: str
    content: bool  # of the `-content` source, whose reporters are networks that sent it
    owner: str = ""  # whose it is that stands there by its hash: where that may not be listed, this may not


def waits(facts: MailFacts) -> bool:
    """Whether everything waits for a verdict: list mail that proves its sender may be a newsletter."""
    return facts.bulk and not facts.auto


def first_claims(hop: Hop | None, facts: MailFacts) -> list[TrapClaim]:
    """What needs no proof."""
    if waits(facts):
        return []
    found = [TrapClaim(hop.address, "bounce" if facts.auto else "spam-trap", content=False)] if hop else []
    return found if facts.auto else [*found, *content(facts)]


def later_claims(hop: Hop | None, facts: MailFacts, verdict: Verdict) -> list[TrapClaim]:
    """What the verdict allows. Where nothing is known of list mail it is taken for a newsletter."""
    if facts.auto:
        return []
    senders = [TrapClaim(domain, "spam", content=True) for domain in verdict.aligned]
    if not waits(facts):
        return senders
    if verdict.from_domain in verdict.aligned or verdict.source == "none":
        return [TrapClaim(hop.address, "newsletter", content=False)] if hop else []
    return [*([TrapClaim(hop.address, "spam-trap", content=False)] if hop else []), *content(facts)]


def content(facts: MailFacts) -> Iterator[TrapClaim]:
    """What the text leads to and what it carries."""
    for domain in facts.domains:
        yield TrapClaim(domain, "spam", content=True)
    for make, texts, host in ((url_hash, facts.urls, url_host), (email_hash, facts.emails, mail_host)):
        for written in texts:
            with suppress(SubjectError):  # what nobody can ask for by its hash, nobody can be told of
                owner = registrable(host(written)) or host(written)
                yield TrapClaim(text(make(written)), "spam", content=True, owner=owner)
    for each in facts.attachments:
        category = "malware" if each.suffix in PROGRAMS else "spam"
        yield TrapClaim(text(file_digest(each.sha256)), category, content=True)


def url_host(url: str) -> str:
    return urlsplit(url).hostname or ""


def mail_host(address: str) -> str:
    return address.rpartition("@")[2]


def keep(
    store: Store,
    gate: Gate,
    pair: tuple[Source, Source],
    claims: Sequence[TrapClaim],
    traps: Sequence[str],
    hop: Hop | None,
    at: int,
) -> tuple[list[bytes], Taken]:
    """Into the store what the gate lets through, within the caller's transaction: each trap reports the address, to the
    first source; the address's network reports the content, to the second. The addresses and domains that were claimed,
    and how many reports."""
    own, about = pair
    attempts: dict[bytes, str] = {}
    reports: dict[int, list[Report]] = {own.id: [], about.id: []}
    for claim in claims:
        if claim.owner and isinstance(gate.subject(claim.owner), str):
            continue
        source, reporters = (about.id, [hop.address if hop else ""]) if claim.content else (own.id, traps)
        for reporter in reporters:
            gate.attempts = {} if claim.content else attempts  # everybody links to big names: no attempt to list them
            made = gate.report(claim.subject, claim.category, at, reporter)
            if not isinstance(made, str):
                reports[source].append(made)
    if attempts:
        store.add_attempts(own.id, attempts, at)
    done = [store.take_reports(source, found) for source, found in reports.items() if found]
    shown = {report.subject: None for found in reports.values() for report in found if report.subject[:1] in b"46d"}
    return list(shown), Taken(sum(each.taken for each in done), sum(each.repeated for each in done))


def content_source(store: Store, source: Source) -> Source:
    """A source of claims about content, which several networks have to make before they are believed."""
    return source if source.half_weight == SEVERAL else store.set_source(source.id, half_weight=SEVERAL)
