"""What every format stands on: the options, the lines of a file, and how one entry becomes subjects.

The bytes are untrusted. Nothing here raises for a bad line: a line that is no entry is a counted reject with
its number, and only a file that cannot be of its format at all is an IntakeError (raised by the formats).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from socket import AF_INET, inet_pton

from ... import subjects
from ...config import Columns, FeedDef
from ...errors import SubjectError
from ...hashing import file_digest
from ...model import OTHER, Parsed, category_word

__all__ = [
    "HOST4",
    "MARK4",
    "MAX_LINE",
    "MAX_RECORD",
    "Format",
    "FormatOptions",
    "address_keys",
    "each_line",
    "file_keys",
    "lines",
    "name_key",
    "name_or_address_keys",
    "quick_ip4",
    "subject_keys",
    "take",
    "uncomment",
    "without_bom",
    "word_of",
]

MAX_LINE = 4096  # bytes; the longest entry is a name of 253 characters, the rest would be comment
MAX_RECORD = 65_536  # bytes of one CSV or JSON record: URLs and tags are long
BOM = b"\xef\xbb\xbf"
MARK4, HOST4 = b"4", b"\x20"  # an IPv4 host's key is mark, four bytes, prefix length 32 (see `subjects`)
MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, IPv4 in IPv6's clothes (RFC 4291 section 2.5.5.2)
COMMENT = re.compile(r"[#;]|(?:^|\s)//")
RANGE = re.compile(r"([0-9.]+|[0-9a-fA-F.]*:[0-9a-fA-F:.]*)\s*-\s*([0-9.]+|[0-9a-fA-F.]*:[0-9a-fA-F:.]*)")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
PREFIXES = {str(length): (bytes((length,)), 0xFFFFFFFF >> length) for length in range(33)}


NetworksOf = Callable[[int], list[bytes]]  # the networks of an autonomous system, as subject keys


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """What a feed's declaration says about reading it. A format uses the options that concern it."""

    columns: Columns | None = None  # CSV and NDJSON: where a record holds what
    delimiter: str = ","
    header: bool = True
    min_hits: int = 1  # counted lists: entries with fewer are left out
    widest4: int = 8  # networks wider than this prefix are rejects; /0 always is
    widest6: int = 19
    # Not part of the representation, which says whether a declaration changed (`ListTerms.digest`): the words are in
    # the terms themselves, the rest is no declaration.
    words: dict[str, str] = field(default_factory=dict, repr=False)  # the feed's map, where entries have many words
    now: int = field(default=0, repr=False, compare=False)  # seconds since 1970; 0: nothing has run out
    networks_of: NetworksOf | None = field(default=None, repr=False, compare=False)  # None: there are no tables

    @classmethod
    def of(cls, feed: FeedDef, now: int = 0, networks_of: NetworksOf | None = None) -> FormatOptions:
        """The options of a feed's declaration."""
        words = {word.lower(): category for word, category in feed.map.items()}
        return cls(
            feed.columns, feed.delimiter, feed.header, feed.min_hits, feed.widest4, feed.widest6,
            words, now, networks_of,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a list: its name in feeds and on the command line, and the function that reads it."""

    name: str
    about: str
    parse: Callable[[bytes, FormatOptions], Parsed]
    exempt: bool = False  # the lists of this format name what may not be listed
    ages: bool = False  # the same bytes come to other subjects as time goes by, or as the tables of networks change
    narrower_wins: bool = False  # an address listed inside an excepted network stays listed (longest match)


def without_bom(data: bytes) -> bytes:
    return data.removeprefix(BOM)


def lines(data: bytes, parsed: Parsed, limit: int = MAX_LINE, indent: bool = False) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers from 1, stripped (with `indent`, only at the end).
    A line longer than `limit` bytes is a reject, before anything is made of it. Bytes that are no UTF-8 become
    U+FFFD: harmless in a comment, refused in an entry."""
    for number, line in enumerate(io.BytesIO(without_bom(data)), 1):
        stripped = line.rstrip() if indent else line.strip()
        if not stripped:
            continue
        if len(stripped) > limit:
            parsed.reject(number, f"line longer than {limit} bytes")
            continue
        yield number, stripped.decode("utf-8", "replace")


def each_line(data: bytes, parsed: Parsed, read: Callable[[int, str], None], limit: int = MAX_LINE) -> Parsed:
    """Give every line to `read`; what it raises as SubjectError becomes the line's reject."""
    for number, text in lines(data, parsed, limit):
        try:
            read(number, text)
        except SubjectError as error:
            parsed.reject(number, str(error))
    return parsed


def uncomment(text: str) -> str:
    """The text before a comment: `#`, `;`, or `//` at the start or after a blank."""
    match = COMMENT.search(text)
    return text[: match.start()].strip() if match else text.strip()


def take(parsed: Parsed, keys: list[bytes], options: FormatOptions, hits: int = 1, word: str = "") -> None:
    """Add one entry's subjects, all or none. Raises SubjectError where a part is wider than allowed."""
    for key in keys:
        refuse_wide(key, options)
    for key in keys:
        parsed.add(key, hits, word)


def word_of(candidates: Iterable[object], options: FormatOptions) -> str:
    """Of an entry's many words (tags, types, labels), the first that the feed's map or our categories know; "" where
    none is known: then the entry is of the feed's category."""
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip():
            category, unknown = category_word(candidate, options.words)
            if category != OTHER or not unknown:
                return candidate
    return ""


def refuse_wide(key: bytes, options: FormatOptions) -> None:
    if key[0] == 0x34 and key[5] < max(options.widest4, 1):
        raise SubjectError(f"wider than /{options.widest4}")
    if key[0] == 0x36 and key[17] < max(options.widest6, 1):
        raise SubjectError(f"wider than /{options.widest6}")


def quick_ip4(text: str) -> bytes | None:
    """The key of an IPv4 address or CIDR in its usual form, or None: then the careful way must look at it.
    Never another answer than `address_keys` gives; five times as fast, which a million lines need."""
    address, slash, length = text.partition("/")
    prefix = PREFIXES.get(length) if slash else PREFIXES["32"]
    if prefix is None:
        return None
    try:
        packed = inet_pton(AF_INET, address)  # strict: four decimal parts, no leading zeros
    except (OSError, ValueError):  # ValueError: a NUL inside, or not encodable
        return None
    if slash and int.from_bytes(packed, "big") & prefix[1]:
        return None
    return MARK4 + packed + prefix[0]


def address_keys(text: str) -> list[bytes]:
    """The networks that an address, CIDR, netmask or range (`first - last`) stands for. Raises SubjectError."""
    key = quick_ip4(text)
    if key is not None:
        return [key]
    if "-" in text:
        return range_of(text)
    address, slash, length = text.partition("/")
    if ":" in address:
        return [subjects.ip6_key(address, length if slash else "128")]
    return [subjects.ip4_key(address, length if slash else "32")]


def range_of(text: str) -> list[bytes]:
    match = RANGE.fullmatch(text)
    if not match:
        raise SubjectError("not a range of addresses")
    return [unmapped(key) for key in subjects.range_keys(match[1], match[2])]


def unmapped(key: bytes) -> bytes:
    if key[0] == 0x36 and key[17] >= 96 and key[1:13] == MAPPED:
        return MARK4 + key[13:17] + bytes((key[17] - 96,))
    return key


def name_key(text: str) -> bytes:
    """The key of a name; `*.bad.example` and `.bad.example` are bad.example, since a listed name covers what is
    below it. Raises SubjectError."""
    if "\ufffd" in text:
        raise SubjectError("not UTF-8")
    return subjects.domain_key(text[2:] if text.startswith("*.") else text.removeprefix("."))


def name_or_address_keys(text: str) -> list[bytes]:
    """An entry of a list of names that may hold addresses too. Raises SubjectError."""
    if ":" in text or not text.strip("0123456789./- "):
        return address_keys(text)
    return [name_key(text)]


def file_keys(text: str) -> list[bytes]:
    """A file by the 64 hex digits of its SHA-256. Raises SubjectError."""
    digest = text.strip()
    if not SHA256.fullmatch(digest):
        raise SubjectError("not a SHA-256")
    return [file_digest(bytes.fromhex(digest))]


def subject_keys(text: str) -> list[bytes]:
    """An entry that may be any kind of subject: address, range, name, hash or number. Raises SubjectError."""
    if RANGE.fullmatch(text):
        return range_of(text)
    if text.startswith(("*.", ".")):
        return [name_key(text)]
    if "\ufffd" in text:
        raise SubjectError("not UTF-8")
    return [quick_ip4(text) or subjects.parse(text)]
