"""DNS messages: untrusted bytes in, reply bytes out (RFC 1035 section 4).

`parse` reads what a client sent: the header, one question, and the OPT record. It never raises: the `Query`
it gives says by its `rcode` whether to answer, or which error to send; None is silence. `build` makes
a reply: the question echoed byte for byte, so that the case a resolver mixed in comes back (0x20), sections
that were packed before, OPT where the query had one, and TC instead of a reply that does not fit.

The parser is our own. dnslib's is the wrong one for a stranger's bytes: it follows compression pointers in a
question (a chain of them ends in RecursionError), takes any number of questions and OPT records, has no limit on a
name's length, and refuses labels that are not UTF-8. dnslib packs the records we send (`records`), and the tests
hold what is packed here against it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Literal

from .tsig import Checked

__all__ = [
    "HEADER_SIZE", "MAX_PLAIN_RCODE", "MAX_TCP", "MAX_UDP_PLAIN", "OPTION_COOKIE", "OPTION_NSID", "Ede", "Qclass",
    "Qtype", "Query", "Rcode", "Transport", "build", "extended_error", "opt_record", "option", "parse", "udp_limit",
]  # fmt: skip

Transport = Literal["udp", "tcp"]

HEADER_SIZE = 12  # RFC 1035 section 4.1.1
MAX_LABEL = 63  # RFC 1035 section 2.3.4; the two high bits mark pointers (4.1.4) and what RFC 6891 section 5 ended
MAX_NAME = 255  # RFC 1035 section 2.3.4, length octets and root included
MAX_UDP_PLAIN = 512  # RFC 1035 section 4.2.1, without EDNS
MAX_PLAIN_RCODE = 15  # RFC 1035 section 4.1.1; the rest stands in OPT (RFC 6891 section 6.1.3)
MAX_TCP = 65_535  # RFC 1035 section 4.2.2: a two-octet length
EDNS_VERSION = 0  # RFC 6891 section 6.1.3
SOA_NUMBERS = 20  # octets at the end of an SOA's data, serial first (RFC 1035 section 3.3.13)
COOKIE_SIZES = frozenset((8, *range(16, 41)))  # RFC 7873 section 5.2.2: a client cookie, or that and a server cookie
OPTION_NSID = 3  # RFC 5001 section 2.3
OPTION_COOKIE = 10  # RFC 7873 section 4
OPTION_EDE = 15  # RFC 8914 section 2

QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100
OPCODE_MASK = 0x7800
NOTIFY = 4 << 11  # RFC 1996 section 3.2
ECHOED = OPCODE_MASK | RD  # RA, Z, AD and CD are never ours to set: we neither recurse nor validate (RFC 8906 8.1.3)
POINTER = 0xC0  # RFC 1035 section 4.1.4

HEADER = struct.Struct("!HHHHHH")
REPLY_HEADER = struct.Struct("!HHHHH")  # all but the id, which is echoed as bytes
QUESTION = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
OPT = struct.Struct("!BHHBBHH")  # RFC 6891 section 6.1.2: root, type, size, extended rcode, version, flags, length
OPTION = struct.Struct("!HH")


class Rcode(IntEnum):
    """Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    NOTAUTH = 9  # RFC 8945 section 5.2, RFC 1996
    BADVERS = 16
    BADCOOKIE = 23  # RFC 7873 section 8


class Qtype(IntEnum):
    """Types that get an answer of their own."""

    A = 1
    NS = 2
    SOA = 6
    TXT = 16
    AAAA = 28
    OPT = 41
    TSIG = 250
    IXFR = 251
    AXFR = 252
    ANY = 255


class Qclass(IntEnum):
    IN = 1
    CH = 3


class Ede(IntEnum):
    """Why, beside an rcode (RFC 8914 section 4)."""

    NOT_READY = 14
    PROHIBITED = 18
    NOT_AUTHORITATIVE = 20
    NOT_SUPPORTED = 21
    INVALID_DATA = 24  # of a zone that expired


class BadMessage(Exception):
    """Bytes that are no well-formed message."""


class Query:
    """A message that wants a reply. `rcode` other than 0 is the error to send; what was read by then is echoed."""

    __slots__ = (
        "checked", "client", "cookie", "echo", "edns", "id", "labels", "name_size", "notify", "nsid", "qclass", "qtype",
        "question", "rcode", "serial", "signed", "size", "transport", "trusted",
    )  # fmt: skip

    def __init__(self, id: bytes, flags: int) -> None:
        self.id = id  # two octets, never looked into
        self.echo = flags & ECHOED
        self.rcode = 0
        self.question = b""  # name, type and class exactly as received
        self.labels: list[bytes] = []  # lower case, in the order of the wire
        self.name_size = 0  # octets of the name on the wire
        self.qtype = 0
        self.qclass = 0
        self.edns = False
        self.size = MAX_UDP_PLAIN  # what the client takes over UDP
        self.nsid = False  # asks for the server's identity (RFC 5001)
        self.cookie = b""  # what COOKIE held, of a legal length; once that is checked, what COOKIE of the reply holds
        self.notify = False  # a well-formed NOTIFY (RFC 1996): NOTIMP, unless somebody is there to hear it
        self.serial: int | None = None  # of an SOA record it has: what who asks for IXFR has (RFC 1995 section 3)
        self.signed = False  # has a TSIG record ...
        self.checked: Checked | None = None  # ... and what was found in it, once it was looked at
        self.client = ""  # whoever parses it says where it came from
        self.transport: Transport = "udp"
        self.trusted = False  # it showed a server cookie of ours


def parse(wire: bytes) -> Query | None:
    """Read a message from a stranger. None: not to be answered (too short for a header, or itself a reply, which
    must never be answered: two servers would talk for ever)."""
    if len(wire) < HEADER_SIZE:
        return None
    _, flags, questions, answers, authorities, additionals = HEADER.unpack_from(wire)
    if flags & QR:
        return None
    query = Query(wire[:2], flags)
    try:
        at = read_question(query, wire, questions)
        if answers or authorities or additionals:
            read_records(query, wire, at, answers + authorities, additionals)
    except (BadMessage, IndexError, struct.error):  # the last two: a read past the end
        query.rcode = Rcode.FORMERR
    if not query.question and (query.rcode or not query.cookie):  # RFC 9619 section 4; RFC 7873 section 5.4
        query.rcode = Rcode.FORMERR
    if query.echo & OPCODE_MASK:  # RFC 8906 section 3.1.4: not QUERY, whatever else the message has in it
        query.notify = query.echo & OPCODE_MASK == NOTIFY and bool(query.question) and not query.rcode
        query.rcode = Rcode.NOTIMP
    return query


def read_question(query: Query, wire: bytes, questions: int) -> int:
    """Read the question; gives where the records begin. Raises BadMessage or IndexError."""
    if questions == 0:
        return HEADER_SIZE
    if questions > 1:
        raise BadMessage  # RFC 9619 section 4
    lower = wire.lower()  # touches letters only: a length octet of a label is 63 at most, "A" is 65
    labels = []
    at = HEADER_SIZE
    while length := lower[at]:
        if length > MAX_LABEL:
            raise BadMessage  # a pointer: nothing stands before a question that it could point to
        labels.append(lower[at + 1 : at + 1 + length])
        at += 1 + length
    at += 1
    if at - HEADER_SIZE > MAX_NAME:
        raise BadMessage
    query.qtype, query.qclass = QUESTION.unpack_from(wire, at)
    query.labels = labels
    query.name_size = at - HEADER_SIZE
    query.question = wire[HEADER_SIZE : at + 4]
    return at + 4


def read_records(query: Query, wire: bytes, at: int, before: int, additionals: int) -> None:
    """Step over the records of a query, taking note of OPT, SOA and TSIG. Each has 11 octets or more, so the message
    ends a loop that its counts would not. Bytes after the last record are ignored. Raises BadMessage, IndexError,
    struct.error."""
    for number in range(before + additionals):
        start = at
        at = skip_name(wire, at)
        rtype, size, ttl, length = RECORD.unpack_from(wire, at)
        at += RECORD.size + length
        if at > len(wire):
            raise BadMessage
        if rtype == Qtype.OPT:
            # RFC 6891 section 6.1.1: one, in the additional section; 6.1.2: its name is the root.
            if query.edns or number < before or wire[start]:
                raise BadMessage
            read_opt(query, size, ttl, wire[at - length : at])
        elif rtype == Qtype.TSIG:
            query.signed = True
        elif rtype == Qtype.SOA and number < before and length > SOA_NUMBERS:
            query.serial = int.from_bytes(wire[at - SOA_NUMBERS : at - SOA_NUMBERS + 4], "big")


def skip_name(wire: bytes, at: int) -> int:
    """Where a record's name ends. A pointer ends it too and is not followed."""
    while length := wire[at]:
        if length >= POINTER:
            return at + 2
        if length > MAX_LABEL:
            raise BadMessage
        at += 1 + length
    return at + 1


def read_opt(query: Query, size: int, ttl: int, rdata: bytes) -> None:
    """RFC 6891 section 6.1. Unknown options and flags are ignored (6.1.2, 6.1.4), broken ones are FORMERR (7). Of
    several cookies only the first is considered (RFC 7873 section 5.2), once all options are known to be whole."""
    query.edns = True
    query.size = max(size, MAX_UDP_PLAIN)  # section 6.2.3: smaller values are taken for 512
    if (ttl >> 16) & 0xFF != EDNS_VERSION:
        query.rcode = Rcode.BADVERS
        return  # another version may lay its options out in another way
    cookie: bytes | None = None
    at = 0
    while at < len(rdata):
        code, length = OPTION.unpack_from(rdata, at)
        at += OPTION.size + length
        if code == OPTION_NSID:
            query.nsid = True
        elif code == OPTION_COOKIE and cookie is None:
            cookie = rdata[at - length : at]
    if at != len(rdata):
        raise BadMessage
    if cookie is not None:
        if len(cookie) not in COOKIE_SIZES:
            raise BadMessage  # RFC 7873 section 5.2.2; with no cookie that could come back
        query.cookie = cookie


def udp_limit(query: Query, server: int) -> int:
    """The largest UDP reply: what client and server both take (RFC 6891 section 6.2.5)."""
    return min(query.size, server) if query.edns else MAX_UDP_PLAIN


def build(
    query: Query, rcode: int, limit: int, opt: bytes,
    answers: int = 0, authorities: int = 0, sections: bytes = b"", authoritative: bool = False,
) -> bytes:  # fmt: skip
    """A reply of at most `limit` octets; `sections` are packed records, `opt` an OPT record or nothing.
    What does not fit is not cut: the sections go as a whole and TC says so (RFC 2181 section 9)."""
    flags = QR | query.echo | (AA if authoritative else 0) | (rcode & 0xF)
    question = query.question
    head = query.id + REPLY_HEADER.pack(flags, 1 if question else 0, answers, authorities, 1 if opt else 0)
    reply = head + question + sections + opt
    if len(reply) <= limit:
        return reply
    head = query.id + REPLY_HEADER.pack(flags | TC, 1 if question else 0, 0, 0, 1 if opt else 0)
    return head + question + opt


def opt_record(size: int, rcode: int = 0, options: bytes = b"") -> bytes:
    """The OPT of a reply (RFC 6891 section 6.1). Flags are zero: unknown ones are not echoed (6.1.4), and DO says
    that the server speaks DNSSEC (RFC 8906 section 8.2.8), which zones that are not signed do not need."""
    return OPT.pack(0, Qtype.OPT, size, rcode >> 4, EDNS_VERSION, 0, len(options)) + options


def option(code: int, data: bytes) -> bytes:
    """One EDNS option (RFC 6891 section 6.1.2)."""
    return OPTION.pack(code, len(data)) + data


def extended_error(code: int) -> bytes:
    """An extended error option without text (RFC 8914 section 2)."""
    return option(OPTION_EDE, code.to_bytes(2, "big"))
