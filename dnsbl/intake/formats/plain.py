"""Lists of addresses, one a line.

    plain      192.0.2.1 | 192.0.2.0/24 | 192.0.2.0/255.255.255.0 | 192.0.2.0 - 192.0.2.255 | 2001:db8::/32
    drop       192.0.2.0/24 ; SBL256893                             Spamhaus DROP as text
    counted    192.0.2.1<TAB>10                                     stamparm/ipsum: in how many lists
    dshield    Start End Netmask Attacks Name Country email         DShield block.txt, tabs between
    subjects   anything that `dnsbl check` takes                    addresses, names, hashes, E.164 numbers

Comments start with `#`, `;` or `//`, and may follow an entry. Lines end in LF or CRLF; a byte order mark is skipped.
"""

from __future__ import annotations

import io
from socket import AF_INET, inet_pton

from ...errors import SubjectError
from ...model import Parsed
from .base import (
    HOST4,
    MARK4,
    MAX_LINE,
    FormatOptions,
    address_keys,
    each_line,
    subject_keys,
    take,
    uncomment,
    without_bom,
)

__all__ = ["parse_counted", "parse_dshield", "parse_plain", "parse_subjects"]

MAX_COUNT_DIGITS = 9
COUNTS = {str(count).encode("ascii"): count for count in range(1, 1000)}  # the usual ones, ready


def parse_plain(data: bytes, options: FormatOptions) -> Parsed:
    """One address, CIDR, netmask or range a line. A bare IPv4 address, nearly every line of nearly every list, is
    taken without a call; the rest goes the careful way, with the same result."""
    parsed = Parsed()
    hits = parsed.hits
    for number, line in enumerate(io.BytesIO(without_bom(data)), 1):
        if len(line) > MAX_LINE:
            plain_line(parsed, number, line, options)
            continue
        try:
            key = MARK4 + inet_pton(AF_INET, line.strip().decode("ascii")) + HOST4
        except (OSError, ValueError):
            plain_line(parsed, number, line, options)
            continue
        if key in hits:
            parsed.repeated += 1
        else:
            hits[key] = 1
    return parsed


def content(parsed: Parsed, number: int, line: bytes) -> str:
    """What a line holds beside its comment; nothing of one that is too long, which is rejected."""
    line = line.strip()
    if len(line) > MAX_LINE:
        parsed.reject(number, f"line longer than {MAX_LINE} bytes")
        return ""
    return uncomment(line.decode("utf-8", "replace"))


def plain_line(parsed: Parsed, number: int, line: bytes, options: FormatOptions) -> None:
    """One line of a plain list with nothing taken for granted."""
    text = content(parsed, number, line)
    if not text:
        return
    try:
        take(parsed, address_keys(text), options)
    except SubjectError as error:
        parsed.reject(number, str(error))


def parse_counted(data: bytes, options: FormatOptions) -> Parsed:
    """An address or network and a number: in how many lists it is. Fewer than `min_hits` are left out, unsaid.
    As with plain lists, the usual line is taken without a call and the rest with care, to the same result."""
    parsed = Parsed()
    found, least = parsed.hits, options.min_hits
    for number, line in enumerate(io.BytesIO(without_bom(data)), 1):
        address, _, count = line.rstrip().partition(b"\t")
        hits = COUNTS.get(count)
        try:
            key = MARK4 + inet_pton(AF_INET, address.decode("ascii")) + HOST4 if hits else b""
        except (OSError, ValueError):
            key = b""
        if not hits or not key:
            counted_line(parsed, number, line, options)
        elif hits < least:
            continue
        elif key in found:
            parsed.add(key, hits)
        else:
            found[key] = hits
    return parsed


def counted_line(parsed: Parsed, number: int, line: bytes, options: FormatOptions) -> None:
    """One line of a counted list with nothing taken for granted."""
    text = content(parsed, number, line)
    if not text:
        return
    address, _, count = text.replace("\t", " ").partition(" ")
    try:
        hits = count_of(count.strip())
        if hits >= options.min_hits:
            take(parsed, address_keys(address), options, hits)
    except SubjectError as error:
        parsed.reject(number, str(error))


def count_of(text: str) -> int:
    """A count of one or more. Raises SubjectError."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_COUNT_DIGITS or int(text) == 0:
        raise SubjectError("not a count" if text else "no count")
    return int(text)


def parse_dshield(data: bytes, options: FormatOptions) -> Parsed:
    """Start, end and prefix length of a network, which must agree; the rest of the row is not used. The number of
    attacks is a measure of its own, not a number of lists, so every network has one hit."""
    parsed = Parsed()

    def read(number: int, text: str) -> None:
        entry = uncomment(text)
        if not entry:
            return
        fields = entry.split("\t")
        if fields[0].strip().lower() == "start":
            return
        if len(fields) < 3:
            raise SubjectError("not a row of start, end and netmask")
        start, end, mask = (field.strip() for field in fields[:3])
        keys = address_keys(f"{start}/{mask}")
        if address_keys(f"{start}-{end}") != keys:
            raise SubjectError("start, end and netmask disagree")
        take(parsed, keys, options)

    return each_line(data, parsed, read)


def parse_subjects(data: bytes, options: FormatOptions) -> Parsed:
    """One subject of any kind a line."""
    parsed = Parsed()

    def read(number: int, text: str) -> None:
        entry = uncomment(text)
        if entry:
            take(parsed, subject_keys(entry), options)

    return each_line(data, parsed, read)
