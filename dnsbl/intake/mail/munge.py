"""Munged samples: evidence that shows what was sent, and does not show to whom.

Who sends to a trap looks for the address in what is published, to take it off the list; so a recipient's address, its
local part and its domain become tokens wherever and however they stand (RFC 6590): as they are, percent-encoded,
quoted-printable, in base64. Links keep their host only, other people's addresses their domain only.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

import idna

from ...errors import SubjectError, printable
from ...subjects import domain_key, name_of
from .facts import MailFacts
from .headers import ADDRESS, decode_words, read_head, unbase64
from .hosts import registrable

__all__ = ["sample"]

Token = Callable[[str], str]  # a keyed hash: the same text gives the same token, and no way back

AS_WRITTEN = ("from", "message-id", "date")  # whom it claims to be from is the evidence
KEPT = ("from", "reply-to", "subject", "date", "message-id")
LIST = re.compile(r"list-[a-z-]{1,30}|feedback-id")
SHOWN = {"message-id": "Message-ID", "list-id": "List-ID", "feedback-id": "Feedback-ID"}
MAX_LISTS = 10  # List- fields kept
MAX_VALUE = 200  # characters of a value that are shown
MAX_READ = 512  # characters of a value that are read: more than that never comes to be shown
MAX_LINKS = 20
LEAST = 3  # characters; a shorter local part stands in every other word
MAX_TEXTS = 500  # of one run
ROUNDS = 3  # encodings within one another that are looked through
LINK = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{1,15}://)(?:[^\s/?#<>\"]*@)?([^\s/?#<>\"@]*)[^\s<>\"]*")
FIRST_PLACE, PLACES = 0xE000, 0x1900  # private use: one stands for each token until all are found
PLACE = re.compile("[\ue000-\uf8ff]")
RUN = re.compile(r"[^\s<>\ue000-\uf8ff]+")
BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{4,}")
URL_SAFE = str.maketrans("-_", "+/")


def sample(data: bytes, facts: MailFacts, token: Token) -> dict[str, str]:
    """A few header fields and the links' hosts, munged: header name -> value of at most MAX_VALUE characters, all
    printable. `facts` says whose mailbox it came to. Raises IntakeError as `facts` does."""
    fields, _ = read_head(data)
    munger = Munger(facts.recipients, token)
    found: dict[str, str] = {}
    for name, value in fields.all:
        wanted = name in KEPT or (LIST.fullmatch(name) and sum(kept.startswith("List-") for kept in found) < MAX_LISTS)
        shown = SHOWN.get(name, name.title())
        if wanted and shown not in found:
            found[shown] = munger.munge(value, addresses=name not in AS_WRITTEN)
    if facts.urls:
        found["Links"] = munger.munge(" ".join(dict.fromkeys(map(host_only, facts.urls[:MAX_LINKS]))), addresses=False)
    return found


def host_only(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


class Munger:
    """Takes the recipients out of texts. What is found becomes one private character first, so that no later step
    looks into a token or makes a secret of what stands around it."""

    def __init__(self, recipients: Iterable[str], token: Token) -> None:
        self.token = token
        self.secrets = sorted({secret for one in recipients for secret in secrets(one)}, key=len, reverse=True)
        self.folded = [(secret, secret.casefold()) for secret in self.secrets]
        self.pattern = re.compile("|".join(map(re.escape, self.secrets)), re.IGNORECASE) if self.secrets else None

    def munge(self, value: str, addresses: bool) -> str:
        """One value. `addresses`: other people's local parts become tokens, too."""
        found: list[str] = []

        def place(text: str) -> str:
            found.append(f"<{self.token(text.casefold())}>")
            return chr(FIRST_PLACE + len(found) - 1) if len(found) <= PLACES else ""

        # What is not printable becomes an escape now: nothing else in the private range is left, nor appears later.
        text = printable(decode_words(value[:MAX_READ]).replace("\t", " "))
        text = LINK.sub(lambda match: match[1].lower() + match[2], text)
        if self.pattern:
            text = self.pattern.sub(lambda match: place(match[0]), text)
            text = RUN.sub(lambda match: place(secret) if (secret := self.revealed(match[0])) else match[0], text)
        if addresses:
            text = ADDRESS.sub(lambda match: without_local(match[0], place), text)
        return PLACE.sub(lambda match: found[ord(match[0]) - FIRST_PLACE], text)[:MAX_VALUE]

    def revealed(self, run: str) -> str:
        """The first secret that a run of characters holds in some encoding, or ""."""
        for text in decodings(run):
            folded = text.casefold()
            for secret, plain in self.folded:
                if plain in folded:
                    return secret
        return ""


def without_local(address: str, place: Callable[[str], str]) -> str:
    local, _, domain = address.rpartition("@")
    return address if PLACE.fullmatch(local) else f"{place(local)}@{domain}"


def secrets(recipient: str) -> Iterator[str]:
    """What of a recipient's address must not be shown."""
    address = printable(recipient.strip("<> \t\r\n").lower())
    local, _, domain = address.rpartition("@")
    yield from (part for part in (local, local.partition("+")[0]) if len(part) >= LEAST)
    if local and domain:
        yield from (address, f"{local}={domain}")
    if domain:
        yield domain
        yield from same_domain(domain)


def same_domain(domain: str) -> Iterator[str]:
    """The other ways to write a domain, and the registered one it belongs to."""
    try:
        name = name_of(domain_key(domain))
        yield from (name, idna.decode(name), registrable(name) or name)
    except (SubjectError, idna.IDNAError):  # localhost, an address in brackets: as it stands
        return


def decodings(run: str) -> Iterator[str]:
    """A run of characters as it stands and as it may be meant, encodings within one another looked through."""
    texts = {run}
    for _ in range(ROUNDS):
        yield from texts
        texts = {text for outer in texts for text in decoded(outer)} - texts
        if len(texts) > MAX_TEXTS:
            return
    yield from texts


def decoded(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text)
    if "=" in text:
        yield binascii.a2b_qp(text.encode("utf-8")).decode("utf-8", "replace")
    for match in BASE64_RUN.finditer(text):
        digits = match[0].translate(URL_SAFE).encode("ascii")
        for offset in range(4):  # it may begin anywhere in a run
            yield unbase64(digits[offset:]).decode("utf-8", "replace")
