"""One mail of ours as it goes over the wire (RFC 5322). Recipients are strangers' words: `names.mailbox` has passed
them. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple

from ..store.contract.mail import Outgoing

__all__ = ["Letter", "domain_of", "wire"]

MAX_SUBJECT = 200  # characters: it may hold a listed name, which has 253
ASCII_ONLY = policy.SMTP.clone(cte_type="7bit")  # other text is encoded: not every relay takes 8 bits


class Letter(NamedTuple):
    """What a mail says, in the recipient's language."""

    subject: str
    body: str


def wire(letter: Letter, mail: Outgoing, sender: str, now: int) -> bytes:
    """The whole message. Its Message-ID is the same at every try, so that one which comes twice can be known as one.
    No field can be put in: the subject is one line, whatever stands in it."""
    message = EmailMessage(ASCII_ONLY)
    message["From"] = sender
    message["To"] = mail.recipient
    message["Subject"] = " ".join(letter.subject.split())[:MAX_SUBJECT]
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{identity(mail)}@{domain_of(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's out-of-office answers it
    message.set_content(letter.body)
    return message.as_bytes()


def identity(mail: Outgoing) -> str:
    return hashlib.sha256(f"{mail.id} {mail.challenge} {mail.at} {mail.recipient}".encode()).hexdigest()[:32]


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]
