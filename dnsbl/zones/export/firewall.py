"""Sets for Linux firewalls: an nftables script and an ipset restore file. Loaded again, they take the place of what was
there at once: no packet meets half a set.

    table inet dnsbl-NAME { set v4 ...; set v6 ... }    `nft -f` makes of a file one transaction
    dnsbl-NAME-4, dnsbl-NAME-6                          hash:net sets; filled aside and swapped in
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ..blocks import CHUNK, networks
from ..contents import Contents
from ..table import Pieces
from ..written import network6
from .entries import NOTE, merged, networks6, public, subjects4
from .text import LINES, addresses4, header

__all__ = ["ipset_lines", "nftables_lines"]

NOTES = (NOTE, "Not in it: codes, texts and sublists.")
NFT_NOTES = (
    "Load it with `nft -f FILE`, again for each new one. It makes and fills two sets, and touches nothing else: your",
    "rules go into the same table, for example",
    "    nft add chain inet {table} input '{{ type filter hook input priority -10; }}'",
    "    nft add rule inet {table} input ip saddr @v4 drop",
    "    nft add rule inet {table} input ip6 saddr @v6 drop",
)
IPSET_NOTES = (
    "Load it with `ipset restore < FILE`, again for each new one, and use it with, for example",
    "    iptables -I INPUT -m set --match-set {name}-4 src -j DROP",
    "    ip6tables -I INPUT -m set --match-set {name}-6 src -j DROP",
)
MAX_ELEMENTS = 1 << 24  # of an ipset, and no less for a smaller one: a set is only replaced by one of the same size
MAX_SET_NAME = 31 - len("-4-new")  # characters (IPSET_MAXNAMELEN)


def nftables_lines(held: Contents) -> Iterator[str]:
    """IPv4 as ranges: the kernel keeps the two ends of each, so networks would only be more."""
    held = merged(public(held))
    table = f"dnsbl-{held.zone.name}"
    yield header(held, "#", [*NOTES, *(note.format(table=table) for note in NFT_NOTES)])
    yield f"add table inet {table}\n"
    for name, kind in (("v4", "ipv4_addr"), ("v6", "ipv6_addr")):
        yield f"add set inet {table} {name} {{ type {kind}; flags interval; }}\nflush set inet {table} {name}\n"
    for name, parts in (("v4", ranges4(held.ip4)), ("v6", subjects6(held))):
        for part in parts:
            yield f"add element inet {table} {name} {{\n" + ",\n".join(part) + "\n}\n"


def ranges4(table: Pieces) -> Iterator[list[str]]:
    for start in range(0, len(table), CHUNK):
        part = slice(start, start + CHUNK)
        ends = zip(addresses4(table.first[part]), addresses4(table.last[part]), strict=True)
        yield [first if first == last else f"{first}-{last}" for first, last in ends]


def subjects6(held: Contents) -> Iterator[list[str]]:
    return filled(network6(first, prefix) for first, prefix, _ in networks6(held))


def filled(texts: Iterable[str]) -> Iterator[list[str]]:
    """Some thousand at a time; none where there are none: an empty list of elements is an error to nft."""
    gathered: list[str] = []
    for text in texts:
        gathered.append(text)
        if len(gathered) >= LINES:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def ipset_lines(held: Contents) -> Iterator[str]:
    held = merged(public(held))
    name = set_name(held.zone.name)
    yield header(held, "#", [*NOTES, *(note.format(name=name) for note in IPSET_NOTES)])
    yield from replaced(f"{name}-4", "inet", map(subjects4, networks(held.ip4, 32)))
    yield from replaced(f"{name}-6", "inet6", subjects6(held))


def set_name(zone: str) -> str:
    """A name that the kernel takes; a longer one ends in a digest."""
    name = f"dnsbl-{zone}"
    if len(name) <= MAX_SET_NAME:
        return name
    digest = hashlib.sha256(zone.encode()).hexdigest()[:6]
    return f"{name[: MAX_SET_NAME - len(digest) - 1]}-{digest}"


def replaced(name: str, family: str, parts: Iterable[list[str]]) -> Iterator[str]:
    """One set: made where it is not there yet, the new one beside it, and their change."""
    form = f"hash:net family {family} maxelem {MAX_ELEMENTS}"
    aside = f"{name}-new"
    yield f"create {name} {form} -exist\ncreate {aside} {form} -exist\nflush {aside}\n"
    start = f"\nadd {aside} "
    for part in parts:
        yield (start.join(["", *part]) + "\n").lstrip("\n")
    yield f"swap {name} {aside}\ndestroy {aside}\n"
