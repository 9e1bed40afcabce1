"""What a relay of ours found out and wrote into Authentication-Results (RFC 8601), read by authres.

The relay must take such fields that name it out of what comes from outside (section 5); most do. Whether the mail comes
from a relay of ours is the caller's to know. Of the fields that name it, the topmost and those directly below it count,
as several filters of one relay write one each; and for each method the first field that speaks of it, so that a field
that was smuggled in just below adds nothing to what the relay did check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import authres
from authres.core import AuthResError

from ...errors import IntakeError
from .dkim import selector_name
from .dmarc import Policy, proven
from .message import Mail, domain_name, read_mail
from .spf import mail_from_domain
from .verdict import WORDS, Signature, Verdict

__all__ = ["believed"]

MAX_RESULTS = 4 * 2**10  # bytes of one field: the library copies the rest of it for each word it takes
MAX_WORDS = 250  # between spaces or semicolons of one field; the library takes 30 microseconds for each
MAX_ADJACENT = 4  # fields of one relay: SPF, DKIM, DMARC, ARC
MAX_SIGNATURES = 10  # signatures that are kept
FIELD = b"authentication-results"
UNREADABLE = "?"  # stands for the name of who wrote such a field; the configuration takes host names only
SYNONYMS = {"hardfail": "fail", "bestguesspass": "none"}  # as large providers write them
Results = dict[str, list[Any]]  # by method, as authres has them


def believed(headers: bytes, authserv_ids: Collection[str]) -> Verdict | None:
    """The verdict of a relay of ours; None where there is none of those names. `headers` may be a whole mail."""
    try:
        mail = read_mail(headers)
    except IntakeError:
        return None
    name, results = topmost(mail, {known.lower() for known in authserv_ids})
    if not name:
        return None
    author = mail.from_domain()
    dkim = tuple(signature(result) for result in results.get("dkim", [])[:MAX_SIGNATURES])
    spf, spf_domain, sender = spf_of(results)
    dmarc = word_of(results, "dmarc")
    passes = bool(author) and author_proven(dmarc, results, author, dkim, sender)
    return Verdict(
        spf=spf,
        spf_domain=spf_domain,
        dkim=dkim,
        dmarc=dmarc,
        from_domain=author,
        arc=word_of(results, "arc"),
        aligned=tuple(dict.fromkeys([author] * passes + [sender] * bool(sender))),
        source=f"authserv-id {name}",
    )


def author_proven(dmarc: str, results: Results, author: str, dkim: tuple[Signature, ...], sender: str) -> bool:
    """As the relay says by DMARC; where it does not speak of that, as its DKIM and SPF align."""
    if dmarc in ("pass", "fail"):
        return dmarc == "pass" and domain_name(prop(results["dmarc"][0], "header", "from")) in ("", author)
    return dmarc == "none" and proven(author, Policy(), dkim, sender)


def topmost(mail: Mail, names: Collection[str]) -> tuple[str, Results]:
    """The relay's name and what it found; an empty name where it wrote nothing that can be read."""
    found, results = "", Results()
    for name, parsed in fields_of(mail, names):
        found = found or name
        if name != found:
            break
        earlier = frozenset(results)
        for result in parsed:
            if result.method not in earlier:
                results.setdefault(result.method, []).append(result)
    return found, results


def fields_of(mail: Mail, names: Collection[str]) -> Iterator[tuple[str, list[Any]]]:
    """The first field that names one of ours, and those that follow it directly. One that cannot be read may be ours,
    so nothing below it is."""
    count = 0
    for key, value in mail.fields:
        name, results = read_results(value) if key.lower() == FIELD else ("", [])
        if name in names and count < MAX_ADJACENT:
            count += 1
            yield name, results
        elif count or name == UNREADABLE:
            return


def read_results(value: bytes) -> tuple[str, list[Any]]:
    """The authserv-id of a field and its results; UNREADABLE where it cannot be read."""
    line = " ".join(value.decode("utf-8", "replace").split())
    if len(value) > MAX_RESULTS or line.count(" ") + line.count(";") > MAX_WORDS:
        return UNREADABLE, []
    try:
        parsed = authres.AuthenticationResultsHeader.parse_value(line)
    except (AuthResError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return UNREADABLE, []
    return parsed.authserv_id, parsed.results


def spf_of(results: Results) -> tuple[str, str, str]:
    """The word, the domain it is about, and the MAIL FROM domain that it proves."""
    said = word_of(results, "spf")
    if said == "none" and "spf" not in results:
        return "none", "", ""
    mail_from = prop(results["spf"][0], "smtp", "mailfrom")
    domain = mail_from_domain(mail_from if "@" in mail_from else f"@{mail_from}")  # either may stand there
    return said, domain or domain_name(prop(results["spf"][0], "smtp", "helo")), domain if said == "pass" else ""


def signature(result: Any) -> Signature:
    domain = prop(result, "header", "d") or prop(result, "header", "i").rpartition("@")[2]
    return domain_name(domain), selector_name(prop(result, "header", "s")), word(result)


def word_of(results: Results, method: str) -> str:
    return word(results[method][0]) if method in results else "none"


def word(result: Any) -> str:
    found = SYNONYMS.get(result.result, result.result)
    return found if found in WORDS else "neutral"


def prop(result: Any, kind: str, name: str) -> str:
    """A property's value; empty where it is not there."""
    return next((str(p.value or "") for p in result.properties if (p.type, p.name) == (kind, name)), "")
