"""Hosts as links name them, read the way browsers do, for they are written to deceive: addresses as one number, in
octal or hexadecimal, percent signs and foreign digits in names, dots of other scripts."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

from ...errors import SubjectError
from ...special import suffixes
from ...subjects import MAX_NAME, domain_key, name_of

__all__ = ["known_suffix", "read_host", "registrable"]

MAX_HOST = 4 * MAX_NAME  # characters, where each may be written as a percent sign and two digits
MAX_DIGITS = 40  # of a number: leading zeros count for nothing, but there is an end to them
NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
DOTS = str.maketrans("\u3002\uff0e\uff61", "...")  # UTS 46 section 3.1


@lru_cache(maxsize=4096)
def read_host(text: str) -> tuple[str, bool] | None:
    """(host, whether it is an address): a name in A-labels, or an address in its shortest form. None where a browser
    would go nowhere."""
    if not text or len(text) > MAX_HOST:
        return None
    if text[0] == "[":
        return address6(text)
    if "%" in text:
        text = unquote(text, errors="replace")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(DOTS))
    text = text.removesuffix(".").lower()
    if len(text) > MAX_NAME:
        return None
    if NUMBER.fullmatch(text.rpartition(".")[2]):
        return address4(text)
    try:
        return name_of(domain_key(text)), False
    except SubjectError:
        return None


def address6(text: str) -> tuple[str, bool] | None:
    try:
        address = IPv6Address(text[1:-1] if text[-1] == "]" else "")
    except ValueError:
        return None
    return str(address.ipv4_mapped or IPv6Address(int(address))), True  # without its %scope


def address4(text: str) -> tuple[str, bool] | None:
    """An IPv4 address as the WHATWG URL standard reads it: one to four numbers, decimal, octal after 0, hexadecimal
    after 0x, the last of which fills what is left."""
    parts = text.split(".")
    if len(parts) > 4 or not all(len(part) <= MAX_DIGITS and NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = [number(part) for part in parts]
    except ValueError:  # 08
        return None
    if any(part > 255 for part in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(IPv4Address(sum(part << 8 * (3 - place) for place, part in enumerate(first)) + last)), True


def number(text: str) -> int:
    if text[:2] == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text[0] == "0" else 10)


@lru_cache(maxsize=4096)
def registrable(name: str) -> str:
    """The name that somebody has registered: one label below a public suffix (the list's private part included: each
    user.github.io is somebody's own). "" where the name is a suffix itself."""
    return suffixes().privatesuffix(name) or ""


@lru_cache(maxsize=4096)
def known_suffix(name: str) -> bool:
    """Whether a name ends as names on the Internet do."""
    return suffixes().publicsuffix(name, accept_unknown=False) is not None
