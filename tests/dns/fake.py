"""A zone view that is slow, small and plainly right, and questions to ask of it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise

from dnslib import QTYPE, DNSRecord

from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.dns.answer import Answerer
from dnsbl.zones.view import EMPTY, NOTHING

IP_ORIGIN = "bl.example"
DOMAIN_ORIGIN = "dbl.example"
HASH_ORIGIN = "hash.example"
PHONE_ORIGIN = "tel.example"


def ip_zone(**changes: object) -> ZoneDef:
    """Three codes: spam in sublist `ab`, attacks in sublist `attacks`, the third without sublist and without text."""
    values: dict[str, object] = {
        "name": "ip",
        "origin": IP_ORIGIN,
        "kind": "ip",
        "ns": ["ns1.bl.example", "ns2.example.net"],
        "apex": {"a": ["192.0.2.80"], "aaaa": ["2001:db8::80"], "txt": ["A blocklist."]},
        "codes": [
            {"code": "127.0.0.2", "categories": ["spam"], "text": "Spam: https://bl.example/?$", "sublist": "ab"},
            {"code": "127.0.0.4", "categories": ["attack"], "text": "Attacks from $ cost $$5", "sublist": "attacks"},
            {"code": "127.0.0.10", "categories": ["dynamic"]},
        ],
    }
    return ZoneDef.model_validate(values | changes)


def domain_zone(**changes: object) -> ZoneDef:
    values: dict[str, object] = {
        "name": "domain",
        "origin": DOMAIN_ORIGIN,
        "kind": "domain",
        "ns": ["ns1.bl.example"],
        "codes": [
            {"code": "127.0.1.2", "categories": ["spam"], "text": "$ is bad"},
            {"code": "127.0.1.4", "categories": ["phishing"], "text": "$ steals"},
        ],
    }
    return ZoneDef.model_validate(values | changes)


def hash_zone(**changes: object) -> ZoneDef:
    return domain_zone(**{"name": "hash", "origin": HASH_ORIGIN, "kind": "hash"} | changes)


def phone_zone(**changes: object) -> ZoneDef:
    return domain_zone(**{"name": "phone", "origin": PHONE_ORIGIN, "kind": "e164"} | changes)


class FakeView:
    """Networks and names with the codes they are listed under, given as indices into `zone.codes`."""

    def __init__(
        self,
        zone: ZoneDef,
        networks: Mapping[str, Iterable[int]] | None = None,
        names: Mapping[str, Iterable[int]] | None = None,
        serial: int = 2026010100,
    ) -> None:
        self.zone = zone
        self.serial = serial
        self.expired = False
        self.given = dict(networks or {}), dict(names or {})
        self.names = {tuple(reversed(n.encode().split(b"."))): tuple(sorted(c)) for n, c in (names or {}).items()}
        parsed = [(ip_network(text), set(codes)) for text, codes in (networks or {}).items()]
        cut = {v: segments([(int(n[0]), int(n[-1]), c) for n, c in parsed if n.version == v]) for v in (4, 6)}
        combinations = {codes for v in cut for _, _, codes in cut[v]} | set(self.names.values())
        self.answers: tuple[tuple[int, ...], ...] = ((), *sorted(combinations - {()}))
        self.ids = {codes: number for number, codes in enumerate(self.answers)}
        self.cut = cut

    def lookup(self, version: int, address: int) -> int:
        for first, last, codes in self.cut[version]:
            if first <= address <= last:
                return self.ids[codes]
        return NOTHING

    def listed(self, version: int, first: int, last: int, wanted: bytes | None) -> bool:
        return any(
            low <= last and high >= first and (wanted is None or wanted[self.ids[codes]] != 0)
            for low, high, codes in self.cut[version]
        )

    def lookup4(self, address: int) -> int:
        return self.lookup(4, address)

    def lookup6(self, address: int) -> int:
        return self.lookup(6, address)

    def any4(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        return self.listed(4, first, last, wanted)

    def any6(self, first: int, last: int, wanted: bytes | None = None) -> bool:
        return self.listed(6, first, last, wanted)

    def lookup_name(self, labels: list[bytes]) -> int:
        name = tuple(labels)
        for depth in range(len(name), len(name) - 1 if self.zone.exact else 0, -1):
            if name[:depth] in self.names:
                return self.ids[self.names[name[:depth]]]
        return EMPTY if any(listed[: len(name)] == name for listed in self.names) else NOTHING


def segments(networks: Sequence[tuple[int, int, set[int]]]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Disjoint ranges, each with the codes of every network that covers it."""
    edges = sorted({first for first, _, _ in networks} | {last + 1 for _, last, _ in networks})
    cut = []
    for low, high in pairwise(edges):
        codes = {code for first, last, codes in networks if first <= low <= last for code in codes}
        if codes:
            cut.append((low, high - 1, tuple(sorted(codes))))
    return cut


def reversed_name(address: str, below: str = IP_ORIGIN) -> str:
    """The name that asks about an address (RFC 5782 sections 2.1 and 2.4)."""
    packed = ip_address(address)
    if packed.version == 4:
        return ".".join(reversed(str(packed).split("."))) + f".{below}"
    return ".".join(reversed(packed.exploded.replace(":", ""))) + f".{below}"


def name_wire(name: str | Sequence[bytes]) -> bytes:
    labels = [part.encode() for part in name.split(".") if part] if isinstance(name, str) else name
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def opt(size: int = 1232, version: int = 0, flags: int = 0, rdata: bytes = b"") -> bytes:
    return struct.pack("!BHHBBHH", 0, 41, size, 0, version, flags, len(rdata)) + rdata


def option(code: int, data: bytes = b"") -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def cookie(data: bytes) -> bytes:
    return option(10, data)


def query(
    name: str | Sequence[bytes],
    qtype: str | int = "A",
    *,
    qclass: int = 1,
    flags: int = 0,
    extra: Sequence[bytes] = (),
    id: int = 0x1234,
) -> bytes:
    """A query, made by hand so that it can be as wrong as a test needs it; `extra` are additional records."""
    number = qtype if isinstance(qtype, int) else int(getattr(QTYPE, qtype))
    head = struct.pack("!HHHHHH", id, flags, 1, 0, 0, len(extra))
    return head + name_wire(name) + struct.pack("!HH", number, qclass) + b"".join(extra)


NETWORKS = {
    "127.0.0.2": [0, 1, 2],
    "127.0.0.4": [1],
    "127.0.0.10": [2],
    "192.0.2.0/24": [0],
    "192.0.2.64/26": [1],
    "203.0.113.7": [2],
    "2001:db8:bad::/48": [0],
    "::ffff:7f00:2": [0, 1, 2],
}
NAMES = {"test": [0, 1], "bad.example": [0], "deep.worse.example": [1]}
# Names as they are asked for: of a hash below its type, of a number with its digits reversed.
EMAIL = "567159d622ffbb50b11b0efd307be358624a26ee"
FILE = "vj4ujc3ktihu3oxtxs3ejx2skzfzcv2vhdilbn7ogcepluupb5oa"
HASHES = {f"{EMAIL}._email": [0, 1], f"{FILE}._file": [1], f"{'0' * 40}._url": [0]}
NUMBERS = {"4.3.2.1": [0], "6.5.4.3.2.1": [1], "2.0.0.0.0.0.0.0.0.7.2.1.9.9.9": [0, 1]}


def default_answerer(**settings: object) -> Answerer:
    """A zone of each kind with a little of everything."""
    views = [
        FakeView(ip_zone(), NETWORKS),
        FakeView(domain_zone(), names=NAMES),
        FakeView(hash_zone(), names=HASHES),
        FakeView(phone_zone(), names=NUMBERS),
    ]
    return Answerer(views, DnsConfig.model_validate(settings))


def ask(answerer: Answerer, name: str | Sequence[bytes], qtype: str | int = "A", **options: object) -> DNSRecord:
    """The parsed reply over UDP; it must be one."""
    reply = answerer.reply(query(name, qtype, **options), "udp")  # type: ignore[arg-type]
    assert reply is not None
    return DNSRecord.parse(reply)


def options(reply: bytes) -> list[tuple[int, bytes]]:
    """The options of a reply in their order."""
    [record] = [rr for rr in DNSRecord.parse(reply).ar if rr.rtype == QTYPE.OPT]
    return [(each.code, bytes(each.data)) for each in record.rdata]


def rdata(record: DNSRecord) -> list[str]:
    return [str(rr.rdata) for rr in record.rr]


def rcode(record: DNSRecord) -> int:
    """The whole of it, with the upper bits that OPT carries."""
    upper = [rr.edns_rcode for rr in record.ar if rr.rtype == QTYPE.OPT]
    return int(record.header.rcode) | (upper[0] << 4 if upper else 0)
