"""One mail, evaluated: SPF, DKIM, ARC and DMARC, and which of its domains they prove. Blocking; for a worker thread."""

from __future__ import annotations

import logging

from ...clock import now
from ...errors import IntakeError
from .arc import check_arc
from .bodies import Bodies
from .dkim import check_dkim
from .dmarc import dmarc_result, find_policy, proven
from .lookups import Lookups, MailLookups
from .message import Mail, read_mail
from .spf import check_spf, mail_from_domain
from .verdict import Verdict

__all__ = ["evaluate"]

log = logging.getLogger("dnsbl.intake")
BROKEN = Verdict(spf="temperror", dmarc="temperror", arc="temperror", source="evaluated")


def evaluate(data: bytes, peer: str, helo: str, mail_from: str, lookups: Lookups) -> Verdict:
    """A mail as it was received from `peer`, an address. Never raises: what we fail at is temperror, and logged. Ends
    within the time that look-ups may take, and a fraction of a second for the largest mail."""
    try:
        with lookups.for_mail() as asked:
            return checked(data, peer, helo, mail_from, asked)
    except Exception as error:  # a worker thread, and the libraries read what strangers wrote
        log.error("a mail's origin could not be evaluated: %s; it is treated as unknown", type(error).__name__)
        return BROKEN


def checked(data: bytes, peer: str, helo: str, mail_from: str, lookups: MailLookups) -> Verdict:
    spf, spf_domain = check_spf(peer, helo, mail_from, lookups)
    try:
        mail = read_mail(data)
    except IntakeError:  # normal for spam: there is no author then, and nothing that is signed
        mail = Mail([], b"")
    author, bodies = mail.from_domain(), Bodies(mail.body)
    dkim = check_dkim(mail, bodies, len(data), lookups, now())
    arc = check_arc(mail, bodies, len(data), lookups)
    policy = find_policy(author, lookups)
    # SPF for HELO says who the host is, not whose the mail (RFC 7489 section 3.1.2 has it otherwise).
    sender = mail_from_domain(mail_from) if spf == "pass" else ""
    passes = bool(author) and proven(author, policy, dkim, sender)
    unknown = [domain for domain, _, word in dkim if word == "temperror"] + [spf_domain] * (spf == "temperror")
    return Verdict(
        spf=spf,
        spf_domain=spf_domain,
        dkim=dkim,
        dmarc=dmarc_result(author, policy, passes, unknown),
        from_domain=author,
        arc=arc,
        aligned=tuple(dict.fromkeys([author] * passes + [sender] * bool(sender))),
        source="evaluated",
    )
