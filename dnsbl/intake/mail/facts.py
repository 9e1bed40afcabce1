"""What a trapped mail says that can be reported: whom it is from, where it leads, what it carries, what kind it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ...errors import IntakeError
from .headers import addresses, is_mail, read_head
from .hosts import read_host, registrable
from .kinds import automatic, is_bulk
from .links import Links
from .parts import Attachment, read_parts

__all__ = ["MAX_MAIL", "MailFacts", "facts"]

MAX_MAIL = 16 * 2**20  # bytes: what a trap takes at most (config: trap.max_bytes)


@dataclass(slots=True)
class MailFacts:
    """The facts of one mail. All of them are the sender's words."""

    from_domain: str = ""  # A-labels; "" unless there is exactly one From with one address
    auto: str = ""  # "bounce", "auto-reply" or ""
    bulk: bool = False  # calls itself list mail
    signed: bool = False  # has a DKIM signature, good or bad
    urls: list[str] = field(default_factory=list)  # `scheme://host/path`, host in lower case and A-labels
    domains: list[str] = field(default_factory=list)  # registrable names that the links lead to
    addresses: list[str] = field(default_factory=list)  # where a link leads to an address instead of a name
    emails: list[str] = field(default_factory=list)  # in the text, and Reply-To; lower case; not the recipients'
    attachments: list[Attachment] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)  # what there was more of than is looked at
    recipients: list[str] = field(default_factory=list)  # as given: what a sample must not show


def facts(data: bytes, recipients: Collection[str], mail_from: str | None = None) -> MailFacts:
    """Read one mail as it came. `recipients`: whom it came to; their addresses and domains are never among the facts.
    `mail_from`: the envelope sender, "" is the null sender, None is not known. Raises IntakeError where it is no mail,
    or is not worth reading: then it says why."""
    if len(data) > MAX_MAIL:
        raise IntakeError(f"a mail larger than {MAX_MAIL // 2**20} MiB")
    if not is_mail(data):
        raise IntakeError("no mail: it does not begin with a header field")
    fields, body = read_head(data)
    # What a bounce gives back is what somebody else sent in the name of others: no facts about its sender.
    auto = automatic(fields, mail_from)
    content = read_parts(data, fields, body, within=auto != "bounce")
    links = Links()
    for html in content.html:
        links.html(html)
    for plain in content.plain:
        links.plain(plain)
    for value in fields.every("reply-to"):
        for address in addresses(value):
            links.email(address)
    own = {recipient.strip("<> ").lower() for recipient in recipients}
    own_domains = {registrable(recipient.rpartition("@")[2]) for recipient in own}
    return MailFacts(
        from_domain=from_domain(fields.every("from")),
        auto=auto,
        bulk=is_bulk(fields),
        signed=bool(fields.first("dkim-signature")),
        urls=list(links.urls),
        domains=[domain for domain in links.domains if domain not in own_domains],
        addresses=list(links.addresses),
        emails=[email for email in links.emails if email not in own],
        attachments=content.attachments,
        cut=sorted({*content.cut, *links.cut, *(["header"] if fields.cut else [])}),
        recipients=list(recipients),
    )


def from_domain(values: list[str]) -> str:
    """The domain that a mail says it is from (RFC 7489 section 6.6.1 asks for exactly one)."""
    found = addresses(values[0]) if len(values) == 1 else []
    read = read_host(found[0].rpartition("@")[2]) if len(found) == 1 else None
    return read[0] if read and not read[1] else ""
