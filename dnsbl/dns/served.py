"""A zone as the server answers from it: its packed records, and what a name below its origin stands for.

The names of an ip zone are reversed addresses (RFC 5782 sections 2.1 and 2.4): four octets or 32 nibbles, each
label written in one way only, and the same below the label of each sublist (2.3). A shorter path names a network
and exists, without records, where anything in it is listed: resolvers that ask label by label (RFC 9156)
take NXDOMAIN there for the end of the tree (RFC 8020). A short path can be both octets and nibbles.
The names of a domain zone are the zone's own business: its view knows them. So are those of an exact zone: hashes
below the label of what is hashed (`HASH._email`), and E.164 numbers with their digits reversed, one a label.
"""

from __future__ import annotations

from collections.abc import Callable
from socket import AF_INET6, inet_ntop

from ..zones.view import EMPTY, NOTHING, ZoneView
from .records import RecordSet, apex_sets, code_record, code_records, fill, negative_soa, template, txt_record

__all__ = ["Found", "Served", "Table", "presentation"]

OCTETS = {str(octet).encode(): octet for octet in range(256)}  # no other way of writing one is a name
NIBBLES = b"0123456789abcdef"
OCTET_LABELS = 4
NIBBLE_LABELS = 32
AnyListed = Callable[[int, int, bytes | None], bool]
MAX_REMEMBERED = 16_384  # networks of a table known to hold something or nothing: some 3 MB


class Table:
    """The answers of a zone, or of one of its sublists: by answer id, the codes and their packed A records."""

    __slots__ = ("addresses", "codes", "remembered", "wanted")

    def __init__(self, codes: list[tuple[int, ...]], records: list[bytes], wanted: bytes | None) -> None:
        self.codes = codes
        self.wanted = wanted  # for `any4` and `any6`: which ids have an answer here; None: all
        self.addresses: list[RecordSet] = [(len(ids), b"".join(records[code] for code in ids)) for ids in codes]
        self.remembered: dict[tuple[str, int, int], int] = {}

    def network(self, family: str, anything: AnyListed, first: int, last: int) -> int:
        """EMPTY where anything of first..last has an answer here, else NOTHING. A view may have to walk through many
        entries for a wide network, so what it found is remembered; and forgotten when full, for strangers choose what
        is asked."""
        found = self.remembered.get((family, first, last))
        if found is None:
            found = EMPTY if anything(first, last, self.wanted) else NOTHING
            if len(self.remembered) >= MAX_REMEMBERED:
                self.remembered.clear()
            self.remembered[family, first, last] = found
        return found


Found = tuple[Table, int, list[bytes]]  # the answers to choose from; an id, NOTHING or EMPTY; the subject's labels


class Served:
    """One view, made ready. Immutable but for what it remembers of networks."""

    def __init__(self, view: ZoneView) -> None:
        zone = view.zone
        self.view = view
        self.name = zone.name
        self.ttl = zone.ttl
        self.kind = zone.kind
        self.is_ip = zone.kind == "ip"
        self.expired = view.expired
        self.exact = zone.exact
        self.labels = tuple(zone.origin.lower().encode("ascii").split(b"."))
        self.depth = len(self.labels)
        self.origin_size = len(zone.origin) + 2  # on the wire: a length before each label, the root after the last
        self.soa = negative_soa(zone, view.serial)
        self.apex = apex_sets(zone, view.serial)
        self.hosts: dict[bytes, RecordSet] = {  # labels that are no subjects
            label.encode("ascii"): (1, code_record(address, zone.ns_ttl)) for label, address in zone.hosts.items()
        }
        self.texts = [template(code.text) if code.text else () for code in zone.codes]
        self.records = code_records(zone)
        self.whole = Table(list(view.answers), self.records, None)
        self.sublists = self.sublist_tables() if self.is_ip else {}

    def sublist_tables(self) -> dict[bytes, Table]:
        tables = {}
        for name in {code.sublist for code in self.view.zone.codes if code.sublist}:
            members = {number for number, code in enumerate(self.view.zone.codes) if code.sublist == name}
            codes = [tuple(code for code in ids if code in members) for ids in self.view.answers]
            tables[name.encode("ascii")] = Table(codes, self.records, bytes(1 if ids else 0 for ids in codes))
        return tables

    def find(self, path: list[bytes]) -> Found:
        """What the labels before the origin (at least one) stand for."""
        if not self.is_ip:
            return self.whole, self.find_name(path), path
        table = self.sublists.get(path[-1])
        if table is None:
            return self.whole, self.find_address(self.whole, path), path
        path = path[:-1]
        # The sublist's own name is a step on the way: its test point is below it.
        return table, self.find_address(table, path) if path else EMPTY, path

    def find_address(self, table: Table, path: list[bytes]) -> int:
        """The answer id of a path of octets or nibbles, NOTHING or EMPTY."""
        size = len(path)
        if size > NIBBLE_LABELS:
            return NOTHING
        if size <= OCTET_LABELS:
            found = self.find_octets(table, path, size)
            if found != NOTHING:
                return found
        return self.find_nibbles(table, path, size)

    def find_octets(self, table: Table, path: list[bytes], size: int) -> int:
        address = 0
        for label in reversed(path):
            octet = OCTETS.get(label)
            if octet is None:
                return NOTHING
            address = address << 8 | octet
        if size == OCTET_LABELS:
            found = self.view.lookup4(address)
            return found if table.codes[found] else NOTHING
        free = 8 * (OCTET_LABELS - size)
        first = address << free
        return table.network("4", self.view.any4, first, first | (1 << free) - 1)

    def find_nibbles(self, table: Table, path: list[bytes], size: int) -> int:
        digits = b"".join(path)
        if len(digits) != size or digits.translate(None, NIBBLES):
            return NOTHING
        address = int(digits[::-1], 16)
        if size == NIBBLE_LABELS:
            found = self.view.lookup6(address)
            return found if table.codes[found] else NOTHING
        free = 4 * (NIBBLE_LABELS - size)
        first = address << free
        return table.network("6", self.view.any6, first, first | (1 << free) - 1)

    def find_name(self, path: list[bytes]) -> int:
        """The answer id of a name. A dot inside a label makes no two labels of it: such a label is listed by what
        is above it, and otherwise names nothing."""
        labels = path[::-1]
        for number, label in enumerate(labels):
            if b"." in label:
                found = self.view.lookup_name(labels[:number]) if number and not self.exact else NOTHING
                return found if found > 0 else NOTHING
        return self.view.lookup_name(labels)

    def text_set(self, found: Found) -> RecordSet:
        """The TXT records of a listed name: one for each code that says something (RFC 5782 section 2.1)."""
        table, answer, path = found
        texts = [self.texts[code] for code in table.codes[answer] if self.texts[code]]
        if not texts:
            return 0, b""
        subject = self.subject(path)
        return len(texts), b"".join(txt_record(fill(text, subject), self.ttl) for text in texts)

    def subject(self, path: list[bytes]) -> bytes:
        """What was asked about, as people write it."""
        if self.kind == "domain":
            return b".".join(presentation(label) for label in path)
        if self.kind == "hash":
            return path[-1][1:] + b":" + b".".join(path[:-1])
        if self.kind == "e164":
            return b"+" + b"".join(reversed(path))
        if len(path) == OCTET_LABELS:
            return b".".join(reversed(path))
        return inet_ntop(AF_INET6, int(b"".join(path)[::-1], 16).to_bytes(16, "big")).encode("ascii")


def presentation(label: bytes) -> bytes:
    """A label as in a zone file (RFC 1035 section 5.1): a stranger chose its bytes."""
    if label.isalnum() or not label.translate(None, b"abcdefghijklmnopqrstuvwxyz0123456789-_"):
        return label
    return b"".join(escaped(octet) for octet in label)


def escaped(octet: int) -> bytes:
    if not 0x21 <= octet <= 0x7E:
        return b"\\%03d" % octet
    return b"\\%c" % octet if octet in b'\\."' else b"%c" % octet
