"""What is mailed to those who may answer for a subject: a link that proves it, in the requester's language. The token
is derived when the mail is sent. Nothing that a requester wrote stands in it: we carry nobody's words to strangers."""

from __future__ import annotations

from collections.abc import Callable

from ... import clock
from ...phrases import N_, Phrase
from ...removal.letters import Letter
from ...removal.machine import ASKED
from ...removal.mailer import Render
from ...removal.requests import Removals
from ...store.contract.mail import Outgoing
from ...subjects import text
from ..language import Languages

__all__ = ["letter_writer"]

SUBJECT = N_("Removal of %(subject)s from a DNS blocklist: please confirm")
BODY = N_(
    "Somebody asked to have %(subject)s removed from the DNS blocklist at %(site)s.\n"
    "\n"
    "If that is right, and %(subject)s is yours to answer for, open this page and press the button there:\n"
    "\n"
    "%(link)s\n"
    "\n"
    "The link is good once, until %(until)s. Removal costs nothing.\n"
    "\n"
    "If you know nothing of this, do nothing: nothing will change, and there will be no reminder. Whoever asked does "
    "not see this mail."
)


def letter_writer(removals: Callable[[], Removals], languages: Languages, site: str) -> Render:
    """Makes the text of a mail when it is sent. `site`: our address, without a slash at its end."""

    def write(mail: Outgoing) -> Letter | None:
        store, now = removals().store, clock.now()
        challenge = store.challenge(mail.challenge)
        removal = store.removal(challenge.removal) if challenge else None
        if challenge is None or removal is None or challenge.used or challenge.expires <= now or removal.state != ASKED:
            return None
        language = languages.of(mail.language)
        values = {
            "subject": text(removal.subject),
            "site": site,
            "link": f"{site}/confirm/{removals().token_of(challenge)}",
            "until": language.moment(clock.rfc3339(challenge.expires) or ""),
        }
        return Letter(language.said(Phrase(SUBJECT, values)), language.said(Phrase(BODY, values)))

    return write
