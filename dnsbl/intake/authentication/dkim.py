"""DKIM (RFC 6376, RFC 8301, RFC 8463) by dkimpy, which verifies, and with what it leaves to others:

    permerror   no key, two keys, or a revoked one; From is not among the signed fields
    fail        does not verify, or its x= is past
    policy      verifies, but does not prove the mail: l=, rsa-sha1, a key in test (t=y);
                or is not verified: RSA under 1024 or over 4096 bits, or with a huge exponent
    neutral     cannot be read, or costs too much: a mail over MAX_BODY, a field that is too long or mostly white space

The library's expressions and integers take quadratic time and hold the interpreter's lock, so the limits stand before
it. Its constructor takes a whole message; it is given the fields that we have read instead, and asks us of the body.
"""

from __future__ import annotations

import base64
import logging
import re

import dkim
from dkim.crypto import UnparsableKeyError, parse_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from .bodies import Bodies, HashedOnce
from .lookups import MailLookups
from .message import Mail, domain_name
from .verdict import Signature

__all__ = ["LIBRARY_ERRORS", "MAX_BODY", "QUIET", "Tags", "check_dkim", "read_tags", "selector_name"]

MAX_SIGNATURES = 5  # looked at, from the top; each costs a look-up and a hash of the whole mail
MAX_SIGNATURE = 8 * 2**10  # bytes of one field; real ones have 1 to 3 KiB
MAX_SIGNED = 200  # names in h=; each is searched for among all fields
MAX_BODY = 2 * 2**20  # bytes of a mail that are hashed
MIN_BITS, MAX_BITS = 1024, 4096  # of an RSA modulus (RFC 8301 section 3.2)
MAX_EXPONENT = 2**32  # real ones are 65537 and 3; one as long as the modulus would take the time of signing
WIDE = re.compile(rb"\s{100}")  # more white space at once than any folding makes
SELECTOR = re.compile(r"(?!\.)[a-z0-9._-]{1,128}(?<!\.)")
QUIET = logging.Logger("dkimpy", logging.CRITICAL + 1)  # belongs to no tree: it repeats what strangers write
# What a hostile signature or key makes the library raise.
LIBRARY_ERRORS = (
    dkim.DKIMException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
Tags = dict[bytes, bytes]


class Signer(HashedOnce, dkim.DKIM):  # type: ignore[misc]
    """Verifies the DKIM signatures of one mail."""


def check_dkim(mail: Mail, bodies: Bodies, size: int, lookups: MailLookups, now: int) -> tuple[Signature, ...]:
    """The signatures from the top, MAX_SIGNATURES at most. `size` is that of the whole mail in bytes, `now` seconds."""
    fields = mail.all(b"dkim-signature")[:MAX_SIGNATURES]
    signer = Signer(mail.fields, bodies, logger=QUIET)
    found = []
    for index, field in enumerate(fields):
        tags = read_tags(field)
        domain, selector = domain_name(text(tags, b"d")), selector_name(text(tags, b"s"))
        word = "neutral"
        if domain and selector and size <= MAX_BODY:
            word = check_signature(signer, index, tags, f"{selector}._domainkey.{domain}", lookups, now)
        found.append((domain, selector, word))
    return tuple(found)


def check_signature(signer: Signer, index: int, tags: Tags, key_name: str, lookups: MailLookups, now: int) -> str:
    """The word for one signature, the index-th from the top."""
    if word := refused_signature(tags, now):
        return word
    found = lookups.ask(key_name, "TXT")
    if found.failed:
        return "temperror"
    records = [record for record in found.values if b"p" in read_tags(record)]
    if len(records) != 1:  # none, or which of them is undefined (section 3.6.2.2)
        return "permerror"
    key = read_tags(records[0])
    if word := refused_key(key):
        return word
    try:
        passes = signer.verify(index, dnsfunc=lambda name, timeout: records[0])
    except dkim.ValidationError:  # the fields are valid, so it is the hash of the body
        return "fail"
    except LIBRARY_ERRORS:
        return "neutral"
    if passes and (b"l" in tags or tags[b"a"] == b"rsa-sha1" or b"y" in key.get(b"t", b"").split(b":")):
        return "policy"
    return "pass" if passes else "fail"


def refused_signature(tags: Tags, now: int) -> str:
    """The word for a signature that is not worth a look-up; empty where it is."""
    signed = [name.strip().lower() for name in tags.get(b"h", b"").split(b":")]
    try:
        dkim.validate_signature_fields(tags)
        expires = int(tags.get(b"x", b"0"))
    except LIBRARY_ERRORS:
        return "neutral"
    if len(signed) > MAX_SIGNED:
        return "neutral"
    if b"from" not in signed:  # section 5.4
        return "permerror"
    return "fail" if 0 < expires < now else ""


def refused_key(key: Tags) -> str:
    """The word for a key that verifies nothing; empty where it may (section 3.6.1)."""
    hashes = [name.strip() for name in key.get(b"h", b"sha256").split(b":")]
    if not key[b"p"] or b"sha256" not in hashes or key.get(b"v", b"DKIM1") != b"DKIM1":
        return "permerror"
    if key.get(b"k", b"rsa") != b"rsa":
        return ""
    try:
        parsed = parse_public_key(base64.b64decode(key[b"p"]))
    except (UnparsableKeyError, *LIBRARY_ERRORS):
        return "permerror"
    sound = MIN_BITS <= parsed["modulus"].bit_length() <= MAX_BITS and parsed["publicExponent"] < MAX_EXPONENT
    return "" if sound else "policy"


def read_tags(field: bytes) -> Tags:
    """The tags of a field or record (section 3.2); none where it cannot be read or would cost too much."""
    if len(field) > MAX_SIGNATURE or WIDE.search(field):
        return {}
    try:
        found: Tags = parse_tag_value(field)
    except (InvalidTagValueList, *LIBRARY_ERRORS):
        return {}
    return found


def text(tags: Tags, name: bytes) -> str:
    return tags.get(name, b"").decode("utf-8", "replace")


def selector_name(selector: str) -> str:
    """A selector in lower case; empty where it is none."""
    return selector.lower() if SELECTOR.fullmatch(selector.lower()) else ""
