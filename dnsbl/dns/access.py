"""Who is answered: a zone's networks, keys and quotas, asked for each query below its origin.

Who may not ask gets a code that is no listing and means what it means at other lists, and a TXT record that says what
to do; never NXDOMAIN, which would say that nothing is listed, and never an error that resolvers try again for:

    127.255.255.252   asked in a wrong way: the key is not directly below the origin
    127.255.255.254   no permission: no key where one is needed, a key that is not good, a network that may not ask
    127.255.255.255   more queries today than agreed

Networks that are refused get REFUSED. Test points that are listed, asked without a key, answer everybody, as the origin
does. 127.0.0.1 does not: where a client may not ask it has a code, by which mail software knows that the list is not
usable (RFC 6471 section 3.3), and where it may ask it is NXDOMAIN. `native/src/access.rs` keeps the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from ipaddress import IPv4Address

from ..config import AccessConfig, ZoneDef
from ..hashing import email_hash, file_hash, url_hash
from ..subjects import zone_name
from .keys import Key, Keys, begins_as_key, is_key
from .networks import Client, Networks
from .records import RecordSet, code_record, txt_record
from .usage import Usage

__all__ = ["DAY", "Gate", "Reason", "Rules", "always_listed"]

DAY = 86_400  # seconds; a quota's days are those of UTC


class Reason(IntEnum):
    """Why a query is not answered. Those with a text (`TEXTS`) get a code, the others an error."""

    KEY_NEEDED = 0
    BAD_KEY = 1
    NETWORK = 2
    PUBLIC = 3
    MISPLACED = 4
    QUOTA = 5
    REFUSED = 6
    NOT_READY = 7  # nobody has said yet which keys are good


NO_PERMISSION, WRONG_WAY, TOO_MANY = "127.255.255.254", "127.255.255.252", "127.255.255.255"
TEXTS = {
    Reason.KEY_NEEDED: (NO_PERMISSION, "{origin} is asked with a key, as QUERY.KEY.{origin}"),
    Reason.BAD_KEY: (NO_PERMISSION, "this key is not known, has ended, or is not for {origin}"),
    Reason.NETWORK: (NO_PERMISSION, "your network may not ask {origin} without a key"),
    Reason.PUBLIC: (NO_PERMISSION, "{origin} does not answer public resolvers: use a resolver of your own, or a key"),
    Reason.MISPLACED: (WRONG_WAY, "a key stands directly below {origin}, as QUERY.KEY.{origin}"),
    Reason.QUOTA: (TOO_MANY, "more queries today than agreed for {origin}: it answers again after midnight UTC"),
}
TEST_WORD = "test"


class Rules:
    """A zone's access, made ready. `public_url` is where people read what to do; empty: nobody said."""

    def __init__(self, zone: ZoneDef, public_url: str = "") -> None:
        access = zone.access
        self.zone, self.access, self.public_url = zone.name, access, public_url
        self.kind = zone.kind
        self.networks = None if access.networks is None else Networks(access.networks)
        self.refuse = Networks(access.refuse)
        self.public = Networks(access.public_resolvers)
        self.sublists = {code.sublist.encode("ascii") for code in zone.codes if code.sublist}
        self.tests = frozenset(always_listed(zone))
        self.denials = [denial(zone, *TEXTS[reason], public_url) for reason in TEXTS]
        self.made_of = zone.model_dump(), access, public_url

    def is_test(self, path: Sequence[bytes]) -> bool:
        """Whether labels below the origin name a test point."""
        return tuple(path) in self.tests or (path[-1] in self.sublists and tuple(path[:-1]) in self.tests)

    def misplaced(self, labels: Sequence[bytes]) -> bool:
        """Whether a key is among labels where none belongs. In a domain zone a label may be anything: somebody could
        register a name that looks like a key, and must not be safe by that."""
        return self.kind != "domain" and any(is_key(label) for label in labels)


class Gate:
    """Everything that is asked before a zone with rules answers; and what is counted of it."""

    def __init__(self) -> None:
        self.rules: dict[str, Rules] = {}  # by zone; those without are open
        self.keys: Keys | None = None
        self.usage = Usage()

    def replace(self, zones: Mapping[str, ZoneDef], public_url: str) -> bool:
        """Take the rules of these zones; whether any is another. Those that stay the same stay the same object."""
        rules = {}
        for name, zone in zones.items():
            if zone.access != AccessConfig():
                known = self.rules.get(name)
                same = known is not None and known.made_of == (zone.model_dump(), zone.access, public_url)
                rules[name] = known if known and same else Rules(zone, public_url)
        changed = rules != self.rules
        self.rules = rules
        return changed

    def admit(self, rules: Rules, path: Sequence[bytes], client: Client, now: int) -> tuple[bool, Reason | None]:
        """Whether the last of the labels below the origin is a key, and why the query is not answered; None: it is.
        `now` in seconds."""
        keyed = rules.access.keys != "off" and begins_as_key(path[-1])
        if client in rules.refuse:
            reason: Reason | None = Reason.REFUSED
        else:
            reason = self.with_key(rules, path, now) if keyed else self.without_key(rules, path, client, now)
        return keyed, None if reason is not None and not keyed and rules.is_test(path) else reason

    def with_key(self, rules: Rules, path: Sequence[bytes], now: int) -> Reason | None:
        if self.keys is None:
            return Reason.NOT_READY
        if rules.misplaced(path[:-1]):
            return Reason.MISPLACED
        key = self.keys.find(path[-1])
        if key is None:
            return Reason.BAD_KEY
        reason = self.limit(rules, key, now)
        self.usage.count_key(key.id, rules.zone, reason is None)
        return reason

    def limit(self, rules: Rules, key: Key, now: int) -> Reason | None:
        if (key.zones and rules.zone not in key.zones) or (key.expires and key.expires <= now):
            return Reason.BAD_KEY
        if key.queries and self.usage.spend(key.id, now // DAY) > key.queries:
            return Reason.QUOTA
        return None

    def without_key(self, rules: Rules, path: Sequence[bytes], client: Client, now: int) -> Reason | None:
        access = rules.access
        if access.keys != "off" and rules.misplaced(path):
            return Reason.MISPLACED
        if access.keys == "required":
            return Reason.KEY_NEEDED
        if client in rules.public:
            return Reason.PUBLIC
        if rules.networks is not None and client not in rules.networks:
            return Reason.NETWORK
        if access.quota and client and self.usage.spend_network(rules.zone, client, now // DAY) > access.quota:
            return Reason.QUOTA
        return None


def denial(zone: ZoneDef, code: str, text: str, public_url: str) -> tuple[RecordSet, RecordSet]:
    """The A and the TXT record of one reason, for whatever name was asked for."""
    said = text.format(origin=zone.origin) + (f"; see {public_url}" if public_url else "")
    return (1, code_record(code, zone.ttl)), (1, txt_record(said.encode("utf-8"), zone.ttl))


def always_listed(zone: ZoneDef) -> Iterator[tuple[bytes, ...]]:
    """The names that are always listed (RFC 5782 section 5, and `zones/exact.py`), as labels before the origin, or
    before a sublist's name."""
    words = [TEST_WORD, *(category for code in zone.codes for category in code.categories)]
    codes = [IPv4Address(code) for code in ("127.0.0.2", *(code.code for code in zone.codes))]
    if zone.kind == "ip":
        for code in codes:
            yield tuple(str(code).encode("ascii").split(b".")[::-1])
            mapped = f"{0xFFFF << 32 | int(code):032x}"
            yield tuple(digit.encode("ascii") for digit in reversed(mapped))
    elif zone.kind == "domain":
        yield from ((*above, b"test") for above in ((), *((word.encode("ascii"),) for word in words[1:])))
    elif zone.kind == "e164":
        for code in codes:
            digits = b"999" + b"".join(b"%03d" % octet for octet in code.packed)
            yield tuple(bytes((digit,)) for digit in reversed(digits))
    else:
        for word in words:
            address = f"{word}@example.com"
            of_word = email_hash(address), file_hash(address.encode("ascii")), url_hash(f"https://example.com/{word}")
            for subject in of_word:
                yield tuple(zone_name(subject).split(b".")[::-1])
