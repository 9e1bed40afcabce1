"""Hashes of mail addresses, files and URLs as subjects, for those who hold the thing itself: traps, feeds, and people
who ask. What is hashed is what deployed rules hash before they ask a zone, facts of SpamAssassin 4's HashBL plugin and
of the public rules for Spamhaus' HBL (SpamAssassin and rspamd):

    email   SHA-1, hex, of LOCAL@DOMAIN in lower case, without a tag (`+news` of `joe+news`): the default of
            check_hashbl_emails. Dots stay: only rules for Gmail alone take them out (`nodot`), and list for that.
            rspamd's `hash = "sha1"` leaves the tag in: it asks for the same name where there is none.
    file    SHA-256, base32 (RFC 4648 section 6, lower case, no padding), of the decoded content:
            check_hashbl_attachments with `sha256`; rspamd's selector attachments('rbase32', 'sha256')
    url     SHA-1, hex, of the whole URL as it was written, in lower case: check_hashbl_uris. That asks for its own
            cleaned forms of a URL too (without `:80`, `%41` as `a`), which are URLs of their own here.

Text outside ASCII is hashed as UTF-8, a domain as A-labels. All text is untrusted: SubjectError says what is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import re

from .errors import SubjectError
from .subjects import domain_key, name_of, parse

__all__ = ["MAX_QUERY", "email_hash", "file_digest", "file_hash", "parse_query", "url_hash"]

MAX_ADDRESS = 254  # characters: a path has 256 octets with its brackets (RFC 5321 section 4.5.3.1.3)
MAX_LOCAL = 64  # octets (RFC 5321 section 4.5.3.1.1)
MAX_URL = 2048  # characters; longer ones are cut or refused on their way through mail, so nobody asks for them
MAX_QUERY = MAX_URL  # characters of a query; more means nothing
SHA256_OCTETS = 32

LOCAL = re.compile(r"[^\s\x00-\x20\x7f\"(),:;<>@\[\\\]]+")  # unquoted (RFC 5321 section 4.1.2), or UTF-8
URL = re.compile(r"https?://[^\s\x00-\x20\x7f/?#][^\s\x00-\x20\x7f]*")
SEPARATORS = str.maketrans("", "", " -.()")  # between the digits of a number (RFC 3966 section 5.1.1)


def parse_query(text: str) -> bytes:
    """The key of what people ask about: all that `subjects.parse` takes, which means the same here, and what is an
    error there: a mail address or an http(s) URL (their hashes), `mailto:` and `tel:`, and a number with any of the
    usual separators. Not for lists: a line of those that is a URL must not become a hash. Raises SubjectError."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower() if colon else ""
    if scheme in ("http", "https"):
        return url_hash(text)
    if scheme == "mailto":
        return email_hash(rest.partition("?")[0])
    if "@" in text:
        return email_hash(text)
    number = rest if scheme == "tel" else text
    return parse(digits_of(number) if number.startswith("+") else text)


def digits_of(number: str) -> str:
    if "(0)" in number:  # dialled at home only: with it this would be another number
        raise SubjectError("a number with (0) in it: leave that out")
    return number.translate(SEPARATORS)


def email_hash(address: str) -> bytes:
    """The key of a mail address. Raises SubjectError."""
    address = address.strip()
    if len(address) > MAX_ADDRESS:
        raise SubjectError(f"a mail address longer than {MAX_ADDRESS} characters")
    local, _, domain = address.lower().rpartition("@")
    tagless = local.partition("+")[0]
    if not LOCAL.fullmatch(local) or not tagless or len(octets(local)) > MAX_LOCAL:
        raise SubjectError("not a mail address")
    return parse("email:" + sha1(octets(f"{tagless}@{name_of(domain_key(domain))}")))


def url_hash(url: str) -> bytes:
    """The key of a whole http or https URL. Raises SubjectError."""
    url = url.strip().lower()
    if len(url) > MAX_URL:
        raise SubjectError(f"a URL longer than {MAX_URL} characters")
    if not URL.fullmatch(url):
        raise SubjectError("not a URL")
    return parse("url:" + sha1(octets(url)))


def file_hash(content: bytes) -> bytes:
    """The key of a file by its whole content."""
    return file_digest(hashlib.sha256(content).digest())


def file_digest(digest: bytes) -> bytes:
    """The key of a file by the SHA-256 of its content. Raises SubjectError where it is none."""
    if len(digest) != SHA256_OCTETS:
        raise SubjectError("not a SHA-256")
    return parse("file:" + base64.b32encode(digest).decode("ascii").rstrip("="))


def sha1(text: bytes) -> str:
    """Not for secrecy: it is the name that others ask for."""
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def octets(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair
        raise SubjectError("not text") from None
