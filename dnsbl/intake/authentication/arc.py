"""ARC (RFC 8617) by dkimpy: whether the chain of those who passed a mail on holds. Reported, never believed: who is
trusted to seal is not ours to say."""

from __future__ import annotations

import re

import dkim

from .bodies import Bodies, HashedOnce
from .dkim import LIBRARY_ERRORS, MAX_BODY, MAX_SIGNED, QUIET, Tags, read_tags, refused_key
from .lookups import MailLookups
from .message import Mail

__all__ = ["check_arc"]

MAX_SETS = 10  # section 4.2.1 allows 50; each costs two look-ups and a hash of the whole mail
MAX_RESULTS = 16 * 2**10  # bytes of an ARC-Authentication-Results field
SEALED = frozenset((b"arc-seal", b"arc-message-signature"))
INSTANCE = re.compile(rb"[1-9][0-9]?")


class Chain(HashedOnce, dkim.ARC):  # type: ignore[misc]
    """Verifies the ARC sets of one mail."""


def check_arc(mail: Mail, bodies: Bodies, size: int, lookups: MailLookups) -> str:
    """none, pass, fail or temperror."""
    results = mail.all(b"arc-authentication-results")
    sealed = [read_tags(value) for name, value in mail.fields if name.lower() in SEALED]
    if not sealed:
        return "none"
    if size > MAX_BODY or len(sealed) > 2 * MAX_SETS or len(results) > MAX_SETS or not all(map(sound, sealed)):
        return "fail"
    if max(map(len, results), default=0) > MAX_RESULTS:
        return "fail"
    keys = Keys(lookups)
    try:
        word = Chain(mail.fields, bodies, logger=QUIET).verify(dnsfunc=keys.get)[0]
    except LIBRARY_ERRORS:
        word = dkim.CV_Fail
    if word == dkim.CV_Pass:
        return "pass"
    return "temperror" if keys.failed else "fail"


def sound(tags: Tags) -> bool:
    """Whether a field can be read, and its fields searched for, within reason."""
    return INSTANCE.fullmatch(tags.get(b"i", b"")) is not None and tags.get(b"h", b"").count(b":") < MAX_SIGNED


class Keys:
    """The look-ups of the library: the record of a key, of the sizes that we verify; None where there is none."""

    def __init__(self, lookups: MailLookups) -> None:
        self.lookups = lookups
        self.failed = False

    def get(self, name: bytes, timeout: float = 0) -> bytes | None:
        found = self.lookups.ask(name.decode("ascii"), "TXT")
        self.failed = self.failed or found.failed
        records = [record for record in found.values if b"p" in read_tags(record)]
        return records[0] if len(records) == 1 and not refused_key(read_tags(records[0])) else None
