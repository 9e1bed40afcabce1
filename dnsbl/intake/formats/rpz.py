"""Response policy zones, as master files (RFC 1035 section 5; draft-vixie-dnsop-dns-rpz sections 3 and 4).

    bad.example        CNAME .               listed; `*.`, rpz-drop. and local data (A, AAAA, another CNAME) list too
    *.bad.example      CNAME .               the same subject: a listed name covers what is below
    32.2.2.0.192.rpz-ip CNAME .              192.0.2.2/32, prefix length first, octets from the last
    48.zz.db8.2001.rpz-ip CNAME .            2001:db8::/48, words from the last, `zz` for `::`
    good.example       CNAME rpz-passthru.   excepted, as is a name that is a CNAME to itself
    rpz-client-ip, rpz-nsip, rpz-nsdname     rejects: rules about who asks and who answers

The zone's own name comes off every owner: it is the owner of the SOA, else the first $ORIGIN. Where the file names
neither, owners are taken as they stand.
"""

from __future__ import annotations

import re

from ... import subjects
from ...errors import SubjectError
from ...model import Parsed
from .base import FormatOptions, lines, name_key, take

__all__ = ["parse_rpz"]

TTL = re.compile(r"(?:\d{1,10}[smhdw]){1,5}|\d{1,10}", re.IGNORECASE)  # bounded: a longer one is no time
CLASSES = frozenset(("IN", "CH", "HS"))
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # an unclosed one ends with its line
MAX_CONTINUED = 50  # lines between parentheses; an SOA has seven
NO_POLICY = frozenset(("TXT", "MX", "SRV", "PTR", "HINFO", "NAPTR", "CAA", "TLSA", "DNSKEY", "DS", "RRSIG", "NSEC"))
OTHER_TRIGGERS = frozenset(("rpz-client-ip", "rpz-nsip", "rpz-nsdname"))
PASSTHRU = frozenset(("rpz-passthru.", "rpz-passthru"))
NOT_BLOCKED = frozenset(("rpz-tcp-only.", "rpz-tcp-only"))


def parse_rpz(data: bytes, options: FormatOptions) -> Parsed:
    """The subjects that a response policy zone blocks, and those it lets pass."""
    return Reader(options).read(data)


class Reader:
    """A master file being read: where the names are relative to, whose line it is, what stands open."""

    def __init__(self, options: FormatOptions) -> None:
        self.options = options
        self.parsed = Parsed()
        self.origin = ""  # without trailing dot; "" is the root, or not known
        self.apex = ""
        self.owner = "@"
        self.open: list[str] = []  # lines of a record whose parenthesis is open

    def read(self, data: bytes) -> Parsed:
        start = 0
        for number, line in lines(data, self.parsed, indent=True):
            text = QUOTED.sub('""', line).partition(";")[0].rstrip()
            start = start if self.open else number
            try:
                if text and (record := self.joined(text)):
                    self.record(record)
            except SubjectError as error:
                self.parsed.reject(start, str(error))
        if self.open:
            self.parsed.reject(start, "a parenthesis that is not closed")
        return self.parsed

    def joined(self, text: str) -> str:
        """The whole record once its parentheses are closed, else nothing yet."""
        if not self.open and "(" not in text:
            return text
        self.open.append(text)
        if ")" not in text and len(self.open) < MAX_CONTINUED:
            return ""
        whole, self.open = " ".join(self.open), []
        if ")" not in text:
            raise SubjectError("a parenthesis that is not closed")
        return whole.replace("(", " ").replace(")", " ")

    def record(self, text: str) -> None:
        if text.startswith("$"):
            self.directive(text.split())
            return
        fields = text.split()
        if not text[0].isspace():
            self.owner = fields.pop(0)
        while fields and (fields[0].upper() in CLASSES or TTL.fullmatch(fields[0])):
            fields.pop(0)
        if not fields:
            raise SubjectError("not a record")
        self.policy(fields[0].upper(), fields[1].lower() if len(fields) > 1 else "")

    def directive(self, fields: list[str]) -> None:
        word = fields[0].upper()
        if word == "$ORIGIN" and len(fields) > 1:
            self.origin = self.absolute(fields[1])
            self.apex = self.apex or self.origin
        elif word != "$TTL":
            raise SubjectError("a directive that is not followed")

    def absolute(self, name: str) -> str:
        name = name.lower()
        if name == "@":
            return self.origin
        if name.endswith("."):
            return name[:-1]
        return f"{name}.{self.origin}" if self.origin else name

    def policy(self, kind: str, target: str) -> None:
        """One record: what it says of its owner."""
        if kind == "SOA":
            self.apex = self.absolute(self.owner) or self.apex
            return
        trigger = self.trigger()
        if not trigger or kind == "NS":
            return
        if kind not in ("CNAME", "DNAME", "A", "AAAA"):
            raise SubjectError("a record that is no policy" if kind in NO_POLICY else "not a record")
        if not target:
            raise SubjectError("a record without data")
        keys = trigger_keys(trigger)
        if target in PASSTHRU or target.rstrip(".") == trigger:
            self.parsed.excluded.update(keys)
        elif target in NOT_BLOCKED:
            raise SubjectError("asks for TCP, does not block")
        else:
            take(self.parsed, keys, self.options)

    def trigger(self) -> str:
        """The owner without the zone's name; nothing for the zone itself. Raises SubjectError."""
        if self.owner == "@" and self.origin == self.apex:
            return ""
        name = self.absolute(self.owner)
        if not self.apex or name == self.apex:
            return "" if name == self.apex else name
        if not name.endswith("." + self.apex):
            raise SubjectError("outside the zone")
        return name[: -len(self.apex) - 1]


def trigger_keys(trigger: str) -> list[bytes]:
    """The subject that a policy is about. Raises SubjectError."""
    head, _, last = trigger.rpartition(".")
    if last == "rpz-ip":
        return [address_key(head)]
    if last in OTHER_TRIGGERS:
        raise SubjectError(f"{last}: not about the subject itself")
    return [name_key(trigger)]


def address_key(text: str) -> bytes:
    """`24.0.2.0.192` or `48.zz.db8.2001`: prefix length, then the address from its end. Raises SubjectError."""
    length, *parts = text.split(".")
    parts.reverse()
    if len(parts) == 4 and "zz" not in parts:
        return subjects.ip4_key(".".join(parts), length)
    if "zz" not in parts:
        return subjects.ip6_key(":".join(parts), length)
    gap = parts.index("zz")
    return subjects.ip6_key(":".join(parts[:gap]) + "::" + ":".join(parts[gap + 1 :]), length)
