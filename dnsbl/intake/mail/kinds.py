"""What kind of mail it is, beside mail that somebody sent: a bounce, an automatic reply, a mailing."""

from __future__ import annotations

import re

from .headers import Fields, addresses, parameters

__all__ = ["automatic", "is_bulk"]

BOUNCERS = ("mailer-daemon@", "mail-daemon@", "mailerdaemon@")
BULK_FIELDS = frozenset(("list-id", "list-unsubscribe", "list-post", "feedback-id"))
PRECEDENCE = re.compile(r"\s*(?:list|bulk)\b", re.IGNORECASE)
REPLY_FIELDS = frozenset(("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply"))
REPLY_PRECEDENCE = re.compile(r"\s*auto[_-]?reply\b", re.IGNORECASE)
REPLY_SUBJECT = re.compile(r"\s*(?:out of (?:the )?office|auto(?:matic)?[ -]?reply|vacation)\b", re.IGNORECASE)
NOT_AUTOMATIC = re.compile(r"\s*no\s*(?:[;(]|$)", re.IGNORECASE)  # RFC 3834 section 5: may have parameters


def automatic(fields: Fields, mail_from: str | None) -> str:
    """`bounce`, `auto-reply` or "". `mail_from`: the envelope sender, "" is the null sender of RFC 5321 section 4.5.5;
    None where it is not known."""
    kind, params = parameters(fields.first("content-type"))
    report = params.get("report-type", "").lower() if kind == "multipart/report" else ""
    if mail_from in ("", "<>") or report == "delivery-status":
        return "bounce"
    senders = [*addresses(fields.first("from")), (mail_from or "").lower().lstrip("<")]
    if any(sender.startswith(BOUNCERS) for sender in senders):
        return "bounce"
    return "auto-reply" if report == "disposition-notification" or is_reply(fields) else ""


def is_reply(fields: Fields) -> bool:
    """Whether a machine answered (RFC 3834 section 5, and the older ways to say so)."""
    submitted = fields.first("auto-submitted")
    if submitted and not NOT_AUTOMATIC.match(submitted):
        return True
    if any(REPLY_PRECEDENCE.match(value) for value in fields.every("precedence")):
        return True
    return any(name in REPLY_FIELDS for name, _ in fields.all) or bool(REPLY_SUBJECT.match(fields.first("subject")))


def is_bulk(fields: Fields) -> bool:
    """Whether it says of itself that it goes to many: a list's or a mailer's fields (RFC 2369, RFC 2919), Feedback-ID
    of those who send for others."""
    if any(name in BULK_FIELDS for name, _ in fields.all):
        return True
    return any(PRECEDENCE.match(value) for value in fields.every("precedence"))
