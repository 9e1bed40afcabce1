"""What to ask about a zone: at, around and inside of what is listed, above and below it, and anything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from asking import name4, name6

from dnsbl import subjects
from dnsbl.zones.contents import Contents, Kind, contents
from dnsbl.zones.served import ServedZone

__all__ = ["SUBJECTS", "address_names", "domain_names", "public_addresses"]

SUBJECTS = 5_000


def public_addresses(view: ServedZone, chosen: random.Random) -> tuple[list[str], list[str]]:
    """IPv4 and IPv6 addresses at and around the edges of what is listed, inside it, and anywhere; no test points."""
    held = contents(view)
    four = {number for first, last in ranges4(held) for number in around(first, last, chosen)}
    six = {number for first, last in ranges6(held) for number in around(first, last, chosen)}
    some4 = chosen.sample(sorted(four), min(SUBJECTS // 2, len(four)))
    some6 = chosen.sample(sorted(six), min(SUBJECTS // 4, len(six)))
    some4 += [chosen.randrange(1 << 24, 224 << 24) for _ in range(SUBJECTS // 4)]
    some6 += [0x2000 << 112 | chosen.randrange(1 << 125) for _ in range(SUBJECTS - len(some4) - len(some6))]
    return (
        [str(IPv4Address(number)) for number in some4 if number >> 24 != 127],
        [str(IPv6Address(number)) for number in some6 if number >> 64],
    )


def around(first: int, last: int, chosen: random.Random) -> tuple[int, ...]:
    return max(first - 1, 0), first, chosen.randint(first, last), last, last + 1


def ranges4(held: Contents) -> Iterator[tuple[int, int]]:
    return zip(held.ip4.first.tolist(), held.ip4.last.tolist(), strict=True)


def ranges6(held: Contents) -> Iterator[tuple[int, int]]:
    for first, last in zip(held.ip6.first.tolist(), held.ip6.last.tolist(), strict=True):
        yield first << 64, (last << 64) + 2**64 - 1
    for piece in held.deep:
        yield piece.upper << 64 | piece.first, piece.upper << 64 | piece.last


def address_names(view: ServedZone, chosen: random.Random) -> Iterator[str]:
    """Addresses at and around the edges of pieces, inside them, in sublists, and the names above some."""
    held = contents(view)
    sublists = sorted({code.sublist for code in view.zone.codes if code.sublist})
    four, six = list(ranges4(held)), list(ranges6(held))
    for ranges, name, top, count in ((four, name4, 2**32, 11_000), (six, name6, 2**128, len(six))):
        for first, last in chosen.sample(ranges, min(count, len(ranges))):
            inside = chosen.randint(first, last)
            for number in (first - 1, first, inside, last, last + 1):
                if 0 <= number < top:
                    yield name(number)
            yield f"{name(inside)}.{chosen.choice(sublists)}"
            yield name(inside).split(".", chosen.randint(1, 3))[-1]
    for _ in range(3000):
        yield name6(0x2000 << 112 | chosen.randrange(1 << 125))
        yield name6(0xFFFF << 32 | chosen.choice(four)[0])
    for octets in range(2000):  # where the names of both families meet
        number = 2 << 24 | octets // 100 << 16 | octets // 10 % 10 << 8 | octets % 10
        yield name4(number)
        yield name6(int(f"2{octets // 100:x}"[:2] + f"{octets % 100:02d}", 16) << 112 | chosen.randrange(1 << 112))
    yield from (f"{letter}.0.0.2" for letter in "abcdef")
    for text in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.10", "127.0.0.99"):
        yield name4(int(IPv4Address(text)))
        yield name6(int(IPv6Address(f"::ffff:{text}")))


def domain_names(view: ServedZone, chosen: random.Random) -> Iterator[str]:
    for node in contents(view).names.nodes():
        name = subjects.name_of(b"d" + node.name)
        yield name
        if node.kind is not Kind.LISTED or chosen.random() < 0.6:
            yield f"x{chosen.randrange(1000)}.{name}"
        if chosen.random() < 0.1:
            yield f"a.b.{name}"
            yield f"{name}x"
        if "." in name and chosen.random() < 0.2:
            yield name.partition(".")[2]
    yield from ("test", "x.test", "invalid", "way.down.shop.example", "z.fine.way.down.shop.example")
