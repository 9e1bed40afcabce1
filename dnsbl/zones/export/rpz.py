"""Response policy zones, as BIND, Knot Resolver, PowerDNS Recursor and Unbound take them: what is listed does not
exist for those who ask the resolver. The format is BIND's (its manual, "Response Policy Zone (RPZ) Rewriting").

    bad.example              CNAME .                a name, and
    *.bad.example            CNAME .                all below it
    ok.bad.example           CNAME rpz-passthru.    what is exempt below it, in the same way
    24.0.2.0.192.rpz-ip      CNAME .                names with an address in 192.0.2.0/24
    32.zz.db8.2001.rpz-ip    CNAME .                or in 2001:db8::/32

As in a master file, a name that stands between a listed one and another below it is written out (RFC 4592 section
2.2.1). What is listed as good only is passed through.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address

from ...config import ZoneDef
from ...model import WHITE
from ..blocks import networks
from ..contents import Contents, Kind
from ..inorder import known
from .entries import NOTE, networks6, public
from .text import chunked, header, reversed4

__all__ = ["lines"]

NOTES = (
    NOTE,
    "Not in it: codes, texts and sublists. Load it under a name of its own, for example",
    '    zone "{policy}" {{ type primary; file "FILE"; check-names ignore; allow-query {{ none; }}; }};',
    '    options {{ response-policy {{ zone "{policy}"; }}; }};',
)
BLOCK, PASS = "CNAME .\n", "CNAME rpz-passthru.\n"
MAX_NAME = 253


def lines(held: Contents) -> Iterator[str]:
    """Names in it are relative: it may be loaded under any name no longer than `rpz.ORIGIN`."""
    held = public(held)
    policy = f"rpz.{held.zone.origin}"
    yield header(held, ";", [note.format(policy=policy) for note in NOTES])
    yield apex(held.zone, held.serial)
    actions = Actions(held.zone)
    if held.zone.kind == "domain":
        yield from chunked(names(held, actions, MAX_NAME - len(policy) - 1))
        return
    yield from addresses4(held, actions)
    yield from chunked(f"{reversed6(first, prefix)}.rpz-ip\t{actions[mask]}" for first, prefix, mask in networks6(held))


def apex(zone: ZoneDef, serial: int) -> str:
    """Nobody asks for these records; a zone must have them."""
    soa = zone.soa
    numbers = f"{serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
    return f"$TTL {zone.ttl}\n@\tIN SOA {zone.mname}. {soa.rname}. {numbers}\n\tNS {zone.ns[0]}.\n"


class Actions(dict[int, str]):
    """What is done by a mask: 0 is exempt."""

    def __init__(self, zone: ZoneDef) -> None:
        self.bad = sum(1 << number for number, code in enumerate(zone.codes) if not WHITE.issuperset(code.categories))

    def __missing__(self, mask: int) -> str:
        found = self[mask] = BLOCK if mask & self.bad else PASS
        return found


def names(held: Contents, actions: Actions, room: int) -> Iterator[str]:
    """What is too long to be asked for is left out."""
    for name, mask, kind in known(held.names):
        if kind is Kind.EMPTY or len(name) > room:
            continue
        action = actions[mask]
        yield f"{name}\t{action}*.{name}\t{action}" if len(name) + 2 <= room else f"{name}\t{action}"


def addresses4(held: Contents, actions: Actions) -> Iterator[str]:
    for blocks in networks(held.ip4, 32):
        rows = zip(blocks.prefix.tolist(), reversed4(blocks.first), blocks.mask.tolist(), strict=True)
        yield "".join([f"{prefix}.{name}.rpz-ip\t{actions[mask]}" for prefix, name, mask in rows])


def reversed6(first: int, prefix: int) -> str:
    """`48.zz.2.1.db8.2001`: the words from the last to the first, `zz` for `::`."""
    left, double, right = str(IPv6Address(first)).partition("::")
    words = [*left.split(":"), *(["zz"] if double else []), *right.split(":")]
    return f"{prefix}." + ".".join(word for word in reversed(words) if word)
