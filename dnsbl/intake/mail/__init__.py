"""Mail: from the bytes of a trapped mail to what can be reported, and to the evidence of it that can be shown. Pure but
for `mailbox`; every byte is a stranger's.

    last_hop(data, peer, relays) -> Hop          who handed it over; raises IntakeError with the reason where in doubt
    facts(data, recipients, mail_from) -> MailFacts
    sample(data, facts, token) -> {name: text}   what may be kept and shown, nobody's mailbox among it
    mailbox(path)                                the mails of an mbox file, a maildir or an .eml, one after another
"""

from __future__ import annotations

from .facts import MailFacts, facts
from .mailbox import BoxedMail, mailbox
from .munge import sample
from .parts import Attachment
from .received import Hop, last_hop

__all__ = ["Attachment", "BoxedMail", "Hop", "MailFacts", "facts", "last_hop", "mailbox", "sample"]
