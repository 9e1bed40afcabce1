"""What may prove that a subject is somebody's, and what is asked for it. Pure.

    address   the request comes from the address itself              single addresses
    mailbox   mail to postmaster@ or abuse@ its name: the forward-   single addresses, names, hashes of
              confirmed reverse name, the domain; or to the mail     mail addresses
              address that the hash is of
    dns       a TXT record at `_dnsbl-challenge.` before its name    addresses, networks, names, hashes
              or its reverse name                                    of URLs
    range     mail to the abuse contact that RDAP names; or a        addresses, networks
              partner that owns it

Mail goes only to mailboxes that follow from the subject, never to one that the requester made up: of a hash the address
is told by the requester, and must have that hash. What DNS, RDAP and requesters say is untrusted.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from ..config import PROOFS
from ..errors import SubjectError
from ..hashing import email_hash, url_hash
from ..subjects import bounds, domain_key, is_ip, kind, listing_key, name_of, network, parse, text

__all__ = [
    "PREFIX",
    "Address",
    "around",
    "challenge_names",
    "digest",
    "from_itself",
    "host_named",
    "mail_names",
    "mailboxes",
    "single",
    "token",
    "ways",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PREFIX = "_dnsbl-challenge"
LOCAL_PARTS = ("postmaster", "abuse")  # RFC 2142 sections 4 and 5: every mail domain has them
MAX_NAMES = 2  # names of one subject that mail may go to
PUBLIC = PublicSuffixList()


def ways(subject: bytes, needed: str, mail: bool, dns: bool, rdap: bool) -> list[str]:
    """The proofs that can be offered for a subject, the weakest that will do first. `mail`, `dns`, `rdap`: what there
    is to ask with."""
    host = is_ip(subject) and single(subject)
    hashed = hash_of(subject)
    can = {
        "address": host,
        "mailbox": mail and ((host and dns) or bool(mail_names(subject)) or hashed == "email"),
        "dns": dns and (bool(challenge_names(subject)) or hashed == "url"),
        "range": is_ip(subject) and mail and rdap,
    }
    return [proof for proof in PROOFS[PROOFS.index(needed) :] if can[proof]]


def single(subject: bytes) -> bool:
    """Whether it is no network but one host; in IPv6 a /64, which is one customer's."""
    return not is_ip(subject) or network(subject)[2] >= {4: 32, 6: 64}[network(subject)[0]]


def from_itself(subject: bytes, client: Address | None) -> bool:
    """Whether a request comes from the address that it is about; in IPv6 from its /64."""
    return client is not None and is_ip(subject) and single(subject) and listing_key(parse(str(client))) == subject


def host_named(subject: bytes, given: str) -> str:
    """The address of an IPv6 network that was typed: its name is asked for, as the network has none. "": none was."""
    try:
        address = str(ipaddress.IPv6Address(given.strip()))
        return address if listing_key(parse(address)) == subject else ""
    except ValueError:  # SubjectError too: an address with a scope (RFC 4007 section 11)
        return ""


def mail_names(subject: bytes, given: str = "") -> list[str]:
    """Whose mailboxes may be asked, where that is known without a look-up: the domain and the registered one above it;
    of a mail address's hash, the address."""
    if kind(subject) == "domain":
        return [name for name in above(name_of(subject)) if PUBLIC.privatesuffix(name)][:MAX_NAMES]
    return [untagged(given)] if hash_of(subject) == "email" and is_hash_of(subject, given) else []


def untagged(address: str) -> str:
    """A mail address as it is hashed. With a tag of the requester's choice it could be somebody else's mailbox, where
    `+` has no meaning of its own."""
    local, _, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def mailboxes(names: Sequence[str]) -> list[str]:
    """The mailboxes of some names; a mail address is its own."""
    return [
        mailbox
        for name in names
        for mailbox in ([name] if "@" in name else [f"{local}@{name}" for local in LOCAL_PARTS])
    ]


def challenge_names(subject: bytes, given: str = "") -> list[str]:
    """Where a TXT record proves control: the nearest name first, then the registered domain above it. A network has a
    reverse name where it ends between two labels."""
    if is_ip(subject):
        reverse = reverse_name(subject)
        return [f"{PREFIX}.{reverse}"] if reverse else []
    if kind(subject) == "domain":
        name = name_of(subject)
    elif hash_of(subject) == "url" and is_hash_of(subject, given):
        try:
            name = name_of(domain_key(urlsplit(given).hostname or ""))
        except ValueError:  # SubjectError too; a URL of an address has no name
            return []
    else:
        return []
    return [f"{PREFIX}.{each}" for each in above(name) if PUBLIC.privatesuffix(each)]


def above(name: str) -> list[str]:
    """A name, and the registered domain above it where that is another."""
    return list(dict.fromkeys([name, PUBLIC.privatesuffix(name) or name]))


def hash_of(subject: bytes) -> str:
    """What a hash is of: email, file or url; "" where it is none."""
    return text(subject).partition(":")[0] if kind(subject) == "hash" else ""


def is_hash_of(subject: bytes, given: str) -> bool:
    """Whether the hash of a mail address or URL is of what the requester typed."""
    try:
        return subject == (email_hash(given) if hash_of(subject) == "email" else url_hash(given))
    except SubjectError:
        return False


def reverse_name(subject: bytes) -> str:
    """The name of an address or network in in-addr.arpa or ip6.arpa; "" where it has none of its own."""
    version, first, length = network(subject)
    address = ipaddress.ip_address(bounds(subject)[0]) if version == 4 else ipaddress.IPv6Address(first)
    step = 8 if version == 4 else 4
    labels = address.reverse_pointer.split(".")
    if length % step or not length:
        return ""
    return ".".join(labels[(address.max_prefixlen - length) // step :])


def around(subject: bytes) -> bytes:
    """The /24 or /48 around an address, in which removals are counted; itself where it is none, or is wider."""
    if not is_ip(subject):
        return subject
    version, first, length = network(subject)
    width = {4: 24, 6: 48}[version]
    if length <= width:
        return subject
    address = ipaddress.IPv4Address(first) if version == 4 else ipaddress.IPv6Address(first)
    return parse(str(ipaddress.ip_network(f"{address}/{width}", strict=False)))


def token(secret: bytes) -> str:
    """32 secret bytes as text for a link or a TXT record."""
    return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """What is kept of a token. 256 random bits need no slow hash."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
