"""Lists of names.

    domains    bad.example | *.bad.example | .bad.example           addresses and networks may stand among them
    hosts      0.0.0.0 bad.example other.example                    hosts(5), pointed at nowhere
    adblock    ||bad.example^ | bad.example | @@||good.example^     AdBlock filter lists, whole names only

A listed name covers everything below it. An AdBlock rule that is about a path, some requests or the looks of a page
says nothing about the name as a whole: it is a reject. Exceptions are taken in every form that names a whole name,
whatever they are limited to.
"""

from __future__ import annotations

import re

from ...errors import SubjectError
from ...model import Parsed
from .base import FormatOptions, each_line, name_key, name_or_address_keys, take, uncomment

__all__ = ["parse_adblock", "parse_domains", "parse_hosts"]

NOWHERE = re.compile(r"0\.0\.0\.0|0|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1?|0:0:0:0:0:0:0:[01]")
LOCAL = re.compile(
    r"(?:localhost(?:[46]|\.localdomain)?|local|broadcasthost|0\.0\.0\.0"
    r"|ip6-(?:localhost|loopback|localnet|mcastprefix|allnodes|allrouters|allhosts))\.?",
    re.IGNORECASE,
)
COSMETIC = re.compile(r"#(?:@|\?|@\?|\$|@\$|\$\?|%|@%|\^)?#|\$@?\$")
RULE = re.compile(r"(@@)?\|\|([^/^|$?=]+)\^?\|?(?:\$(.*))?")
WHOLE = re.compile(r"\|\|[^/^|$?=]+\^")
# Options that leave a rule a rule about everything at the name.
WHOLE_OPTIONS = frozenset(("all", "document", "doc", "important", "third-party", "3p", "popup", "network"))


def parse_domains(data: bytes, options: FormatOptions) -> Parsed:
    """One name, address or network a line."""
    parsed = Parsed()

    def read(number: int, text: str) -> None:
        entry = uncomment(text)
        if entry:
            take(parsed, name_or_address_keys(entry), options)

    return each_line(data, parsed, read)


def parse_hosts(data: bytes, options: FormatOptions) -> Parsed:
    """Names pointed at 0.0.0.0, 127.x.y.z or ::. Names of the machine itself are passed over; a name pointed
    elsewhere is not blocked and a reject. Where a line has several names, each stands or falls alone."""
    parsed = Parsed()

    def read(number: int, text: str) -> None:
        fields = uncomment(text).split()
        if not fields:
            return
        names = [name for name in fields[1:] if not LOCAL.fullmatch(name)]
        if not names and len(fields) > 1:
            return
        if not NOWHERE.fullmatch(fields[0]):
            raise SubjectError("does not point a name at 0.0.0.0 or 127.0.0.1")
        if not names:
            raise SubjectError("no name")
        for name in names:
            try:
                parsed.add(name_key(name))
            except SubjectError as error:
                parsed.reject(number, str(error))

    return each_line(data, parsed, read)


def parse_adblock(data: bytes, options: FormatOptions) -> Parsed:
    """Rules that block or except whole names (or addresses)."""
    parsed = Parsed()

    def read(number: int, text: str) -> None:
        if text[0] in "![" or (text[0] == "#" and not COSMETIC.match(text)):
            return
        if COSMETIC.search(text):
            raise SubjectError("a cosmetic rule, about a page's looks")
        if text.startswith("@@"):
            parsed.excluded.update(exception_keys(text))
        elif text.startswith("|"):
            take(parsed, rule_keys(text), options)
        else:
            take(parsed, bare_keys(text), options)

    return each_line(data, parsed, read)


def rule_keys(text: str) -> list[bytes]:
    """What a blocking rule `||name^$options` lists. Raises SubjectError."""
    match = RULE.fullmatch(text)
    if not match:
        raise SubjectError("a path or pattern, not a whole name")
    if not WHOLE.match(text):
        raise SubjectError("a pattern without its end (^)")
    limits = [option for option in (match[3] or "").split(",") if option and option not in WHOLE_OPTIONS]
    if limits:
        raise SubjectError("limited to some requests")
    return name_or_address_keys(match[2])


def exception_keys(text: str) -> list[bytes]:
    """What an exception `@@||name^` takes out. Raises SubjectError."""
    match = RULE.fullmatch(text)
    if not match:
        raise SubjectError("an exception for a path or pattern, not a whole name")
    return name_or_address_keys(match[2])


def bare_keys(text: str) -> list[bytes]:
    """A line that is only a name or address, as lists for DNS filters have them. Raises SubjectError."""
    if "/" in text or "=" in text or "^" in text or "$" in text:
        raise SubjectError("a path or pattern, not a whole name")
    return name_or_address_keys(text)
