"""Subjects: what a reputation is about, as text for people and as a short key for everything else.

A key is `bytes`, sorts so that a network's parts and a name's children stand together, and is what
the store holds:

    b"4" + 4 address bytes + 1 prefix length      an IPv4 network (a host is a /32)
    b"6" + 16 address bytes + 1 prefix length     an IPv6 network (a host is a /128)
    b"d" + labels from the top, joined by "."     a domain name and everything below it: com.example.www
    b"h" + type + ":" + value                     a hash: email:<sha1 hex>, file:<sha256 base32>, url:<sha1 hex>
    b"e" + digits                                 an E.164 number

Text is untrusted: `parse` takes what people write and refuses what can be misread (leading zeros, host
bits, labels that are no labels) with a SubjectError that says why.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range
from itertools import islice
from typing import Any

import idna

from .errors import SubjectError

__all__ = [
    "IP6_LISTING_PREFIX",
    "ancestors",
    "bounds",
    "domain_key",
    "inside",
    "ip4_key",
    "ip6_key",
    "is_ip",
    "kind",
    "listing_key",
    "name_of",
    "network",
    "parse",
    "range_keys",
    "text",
    "zone_name",
]

MAX_TEXT = 300  # longer text is no subject: a name has at most 253 characters (RFC 1035 section 2.3.4)
MAX_NAME = 253
MAX_LABEL = 63
MAX_LABELS = 16  # each label of a listed name costs a name in the zone; hosts that spam have fewer
MAX_PARTS = 64  # networks that one range of addresses may come to
IP6_LISTING_PREFIX = 64  # IPv6 is listed by /64: one host has a whole one; reports keep the /128

KINDS = {ord("4"): "ip", ord("6"): "ip", ord("d"): "domain", ord("h"): "hash", ord("e"): "e164"}
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
NAME = re.compile(rf"{LABEL.pattern}(?:\.{LABEL.pattern})*")
HASHES = {
    "email": re.compile(r"[0-9a-f]{40}"),
    "file": re.compile(r"[a-z2-7]{52}"),
    "url": re.compile(r"[0-9a-f]{40}"),
}


def parse(text: str) -> bytes:
    """The key of a subject as people write it: `192.0.2.1`, `192.0.2.0/24`, `192.0.2.0/255.255.255.0`,
    `2001:db8::/32`, `bad.example`, `email:<sha1>`, `+4930123456`. Raises SubjectError."""
    text = text.strip()
    if not text:
        raise SubjectError("empty")
    if len(text) > MAX_TEXT:
        raise SubjectError("too long")
    if text[0] == "+":
        return e164_key(text)
    head, colon, tail = text.partition(":")
    if colon and head in HASHES:
        return hash_key(head, tail)
    if colon or looks_like_ip4(head):
        return ip_key(text)
    return domain_key(text)


def looks_like_ip4(text: str) -> bool:
    """Only digits, dots and a slash: such a text is never a name (a top-level label is not numeric, RFC 3696)."""
    return not text.strip("0123456789./") and text[-1] != "/"


def ip_key(text: str) -> bytes:
    """The key of an address or network. IPv4-mapped IPv6 is the IPv4 it stands for. Raises SubjectError."""
    address, slash, length = text.partition("/")
    if ":" in address:
        return ip6_key(address, length if slash else "128")
    return ip4_key(address, length if slash else "32")


def ip4_key(address: str, length: str = "32") -> bytes:
    """The key of IPv4 text and a prefix length or netmask. Raises SubjectError."""
    try:
        packed = socket.inet_pton(socket.AF_INET, address)  # strict: four parts, no leading zeros
    except (OSError, ValueError):  # ValueError: a NUL inside, or not encodable
        raise SubjectError(ip4_mistake(address)) from None
    prefix = ip4_prefix(length)
    if int.from_bytes(packed, "big") & (0xFFFFFFFF >> prefix):
        raise SubjectError("host bits set")
    return b"4" + packed + bytes((prefix,))


def ip4_mistake(address: str) -> str:
    parts = address.split(".")
    if len(parts) == 4 and any(len(part) > 1 and part[0] == "0" and part.isdigit() for part in parts):
        return "leading zero in an IPv4 address"
    return "not an IPv4 address"


def ip4_prefix(text: str) -> int:
    """A prefix length, or a netmask such as 255.255.255.0."""
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 32:
        return int(text)
    try:
        mask = int(IPv4Address(text))
    except ValueError:
        raise SubjectError("not a prefix length") from None
    prefix = mask.bit_count()
    if mask != 0xFFFFFFFF ^ (0xFFFFFFFF >> prefix):
        raise SubjectError("not a netmask")
    return prefix


def ip6_key(address: str, length: str = "128") -> bytes:
    """The key of IPv6 text and a prefix length. Raises SubjectError."""
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):  # ValueError: a NUL inside, or not encodable
        raise SubjectError("not an IPv6 address") from None
    if not (length.isascii() and length.isdigit() and len(length) <= 3 and int(length) <= 128):
        raise SubjectError("not a prefix length")
    prefix = int(length)
    if int.from_bytes(packed, "big") & ((1 << (128 - prefix)) - 1):
        raise SubjectError("host bits set")
    if prefix >= 96 and packed[:12] == bytes(10) + b"\xff\xff":
        return b"4" + packed[12:] + bytes((prefix - 96,))
    return b"6" + packed + bytes((prefix,))


def domain_key(text: str) -> bytes:
    """The key of a domain name: lower case, A-labels, no trailing dot. Raises SubjectError."""
    name = text.lower()
    if name.endswith("."):
        name = name[:-1]
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise SubjectError("not an internationalised name") from None
    if len(name) > MAX_NAME:
        raise SubjectError("name longer than 253 characters")
    if not NAME.fullmatch(name):
        raise SubjectError(name_mistake(name))
    labels = name.split(".")
    if len(labels) > MAX_LABELS:
        raise SubjectError(f"more than {MAX_LABELS} labels")
    if len(labels) == 1:
        raise SubjectError("a single label is no domain: it would cover a whole top-level domain")
    if labels[-1].isdigit():
        raise SubjectError("a name does not end in a number")
    labels.reverse()
    return b"d" + ".".join(labels).encode("ascii")


def name_mistake(name: str) -> str:
    if any(len(label) > MAX_LABEL for label in name.split(".")):
        return "label longer than 63 characters"
    if ".." in name or name.startswith(".") or name.endswith(".") or not name:
        return "empty label"
    return "not a domain name"


def hash_key(kind_of_hash: str, value: str) -> bytes:
    value = value.strip().lower()
    if not HASHES[kind_of_hash].fullmatch(value):
        raise SubjectError(f"not a hash of kind {kind_of_hash}")
    return b"h" + f"{kind_of_hash}:{value}".encode("ascii")


def e164_key(text: str) -> bytes:
    digits = text[1:].replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 15 and digits[0] != "0"):
        raise SubjectError("not an E.164 number")
    return b"e" + digits.encode("ascii")


def range_keys(first: str, last: str) -> list[bytes]:
    """The keys of the networks that make up an inclusive range of addresses: MAX_PARTS at most, which in IPv4 is
    always enough. Raises SubjectError."""
    if "/" in first + last:
        raise SubjectError("not a range of addresses")
    one, other = ip_key(first.strip()), ip_key(last.strip())
    if one[0] != other[0] or one > other:
        raise SubjectError("a range that ends before it starts")
    ends = ip_address(one[1:-1]), ip_address(other[1:-1])
    parts: list[Any] = list(islice(summarize_address_range(*ends), MAX_PARTS + 1))
    if len(parts) > MAX_PARTS:
        raise SubjectError(f"a range of more than {MAX_PARTS} networks")
    return [one[:1] + part.network_address.packed + bytes((part.prefixlen,)) for part in parts]


@lru_cache(maxsize=4096)
def text(key: bytes) -> str:
    """The subject as people write it; a host has no /32 or /128."""
    mark = key[:1]
    if mark == b"4":
        host = socket.inet_ntop(socket.AF_INET, key[1:5])
        return host if key[5] == 32 else f"{host}/{key[5]}"
    if mark == b"6":
        host = str(IPv6Address(key[1:17]))
        return host if key[17] == 128 else f"{host}/{key[17]}"
    if mark == b"d":
        return name_of(key)
    if mark == b"e":
        return "+" + key[1:].decode("ascii")
    return key[1:].decode("ascii")


def name_of(key: bytes) -> str:
    """The name of a domain key, in the usual order."""
    return ".".join(reversed(key[1:].decode("ascii").split(".")))


def zone_name(key: bytes) -> bytes:
    """Where a zone holds a subject that is no network: its labels from the top, joined by ".". A domain is asked for
    under its name, a hash as HASH._TYPE, a number with its digits reversed, one a label (as in RFC 6116)."""
    if key[0] == 0x65:
        return b".".join(key[place : place + 1] for place in range(1, len(key)))
    if key[0] == 0x68:
        return b"_" + key[1:].replace(b":", b".", 1)
    return key[1:]


def kind(key: bytes) -> str:
    """`ip`, `domain`, `hash` or `e164`."""
    return KINDS[key[0]]


def is_ip(key: bytes) -> bool:
    return key[0] in b"46"


def network(key: bytes) -> tuple[int, int, int]:
    """(version, first address as a number, prefix length) of an ip key."""
    return (4 if key[0] == 0x34 else 6), int.from_bytes(key[1:-1], "big"), key[-1]


def bounds(key: bytes) -> tuple[int, int]:
    """First and last address of an ip key, as numbers."""
    first = int.from_bytes(key[1:-1], "big")
    return first, first | ((1 << ((32 if key[0] == 0x34 else 128) - key[-1])) - 1)


def listing_key(key: bytes) -> bytes:
    """What a report about this subject can list: itself, but the /64 of anything narrower in IPv6."""
    if key[0] == 0x36 and key[17] > IP6_LISTING_PREFIX:
        return key[:9] + bytes(8) + bytes((IP6_LISTING_PREFIX,))
    return key


def ancestors(key: bytes) -> Iterator[bytes]:
    """The subjects that wholly contain this one, itself first: shorter prefixes, or names above (of two labels)."""
    yield key
    if is_ip(key):
        version, first, prefix = network(key)
        size = 4 if version == 4 else 16
        for shorter in range(prefix - 1, -1, -1):
            shift = size * 8 - shorter
            yield key[:1] + ((first >> shift) << shift).to_bytes(size, "big") + bytes((shorter,))
    elif key[0] == 0x64:
        while (cut := key.rfind(b".")) > 0:
            key = key[:cut]
            if b"." in key:
                yield key


def inside(key: bytes) -> tuple[bytes, bytes]:
    """A half-open range of keys that holds every narrower subject within this one. For networks it also holds
    itself and wider ones that start at the same address: compare `bounds` before use."""
    if is_ip(key):
        first, last = bounds(key)
        size = len(key) - 2
        return key[:1] + first.to_bytes(size, "big"), key[:1] + last.to_bytes(size, "big") + b"\xff"
    return key + b".", key + b"/"  # "/" is the character after "."
