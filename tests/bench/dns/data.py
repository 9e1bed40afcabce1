"""The data every server gets: the same listings and the same queries, made from a fixed seed and kept in a cache.

    IPv4     single addresses, spread evenly over 1.0.0.0 to 223.255.255.255
    IPv6     /64s in 4,000 provider /32s of the blocks that registries hand out
    domains  names of realistic length under a few top-level domains, a fifth of them a label deeper

Half of the queries ask for what is listed, half for what is like it and is not. rbldnsd and master files have one A
and one TXT for all; no code but 127.0.0.2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODE", "NAMESERVER", "RNAME", "SOA_NUMBERS", "TEXT", "TTL", "Data", "Listing", "Words"]

Words = NDArray[np.uint64]

FORMAT = 1  # of the files in the cache
QUERIES = 1_000_000
CODE, TTL = "127.0.0.2", 300
NAMESERVER, RNAME = "ns1.bench.test", "hostmaster.bench.test"
SOA_NUMBERS = "1 3600 600 864000 60"
TEXT = "Listed. Why, and the way off: https://bl.bench.test/lookup?q=$"

BLOCKS6 = ((0x2001, 16), (0x2400, 12), (0x2600, 12), (0x2800, 12), (0x2A00, 12), (0x2C00, 12))
PROVIDERS6 = 4_000
ENDINGS = ["com"] * 9 + ["net", "org", "info", "xyz", "top", "de", "ru", "co.uk", "com.br"]
LETTERS = "eeeeeaaaaiiiooossssrrrrnnnntttlllccddmmppuuggbbhhyfvkwzxjq0123"
CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed: of which kind, how much of it, and which of two versions."""

    kind: str  # ip4, ip6 or domain
    count: int
    seed: int = 1

    @property
    def origin(self) -> str:
        return f"{self.kind}.bench.test"

    @property
    def test_name(self) -> str:
        """A name that is listed in every server's zone (RFC 5782 section 5)."""
        test6 = ".".join(reversed(f"{0xFFFF7F000002:032x}"))
        return {"ip4": "2.0.0.127", "ip6": test6, "domain": "test"}[self.kind] + f".{self.origin}"


class Data:
    """Listings, queries and other servers' files in a cache directory; each made when first asked for."""

    def __init__(self, cache: Path) -> None:
        self.directory = cache / f"data-{FORMAT}"
        self.directory.mkdir(parents=True, exist_ok=True)

    def numbers(self, listing: Listing) -> Words:
        """IPv4 addresses, or the upper halves of /64s, ascending."""
        made = addresses if listing.kind == "ip4" else networks
        path = self.cached(f"{stem(listing)}.npy", lambda part: save(part, made(listing.count, listing.seed)))
        return np.asarray(np.load(path), dtype=np.uint64)

    def names(self, listing: Listing) -> list[str]:
        path = self.cached(
            f"{stem(listing)}.names", lambda part: write(part, lines(domains(listing.count, listing.seed)))
        )
        return path.read_text().split()

    def queries(self, listing: Listing, qtype: str = "A") -> Path:
        """A query file as dnsperf reads it."""
        return self.cached(
            f"{stem(listing)}.{qtype}.queries",
            lambda part: write(part, (f"{name}.{listing.origin} {qtype}\n" for name in self.asked(listing))),
        )

    def asked(self, listing: Listing) -> list[str]:
        chosen = random.Random(7)
        half = min(QUERIES, 2 * listing.count) // 2
        if listing.kind == "domain":
            return asked_domains(self.names(listing), half, chosen)
        numbers = self.numbers(listing)
        if listing.kind == "ip4":
            return asked_addresses(numbers, half, chosen)
        return asked_networks(numbers, half, chosen)

    def rbldnsd(self, listing: Listing, dataset: str) -> Path:
        """A data file for one of rbldnsd's dataset types."""
        shared = "ip4" if listing.kind == "ip4" else dataset  # one text for all of the IPv4 types
        return self.cached(f"{stem(listing)}.{shared}", lambda part: write(part, self.rbldnsd_lines(listing, dataset)))

    def rbldnsd_lines(self, listing: Listing, dataset: str) -> Iterator[str]:
        yield f"$SOA {TTL} {NAMESERVER} {RNAME} {SOA_NUMBERS}\n$NS {TTL} {NAMESERVER}\n$TTL {TTL}\n"
        yield f":{CODE}:{TEXT}\n"
        if listing.kind == "domain":
            yield ".test\n"
            yield from lines(f".{name}" for name in self.names(listing))
        elif listing.kind == "ip4":
            yield "127.0.0.2\n"
            yield from lines(dotted(self.numbers(listing), (24, 16, 8, 0)))
        else:
            end = "" if dataset == "ip6tset" else "::/64"
            yield f"0:0:0:0{end}\n" if dataset == "ip6tset" else "0:0:0:0:0:ffff:7f00:2/128\n"
            yield from lines(text6(upper) + end for upper in self.numbers(listing).tolist())

    def master(self, listing: Listing) -> Path:
        """A master file of IPv4 listings: an A and a TXT record for each."""
        return self.cached(f"{stem(listing)}.zone", lambda part: write(part, self.master_lines(listing)))

    def master_lines(self, listing: Listing) -> Iterator[str]:
        yield f"$ORIGIN {listing.origin}.\n$TTL {TTL}\n@ SOA {NAMESERVER}. {RNAME}. {SOA_NUMBERS}\n@ NS {NAMESERVER}.\n"
        numbers = self.numbers(listing)
        pairs = zip(dotted(numbers, (0, 8, 16, 24)), dotted(numbers, (24, 16, 8, 0)), strict=True)
        for name, address in (("2.0.0.127", "127.0.0.2"), *pairs):
            yield f'{name} A {CODE}\n\tTXT "{TEXT.replace("$", address)}"\n'

    def cached(self, name: str, make: Callable[[Path], None]) -> Path:
        path = self.directory / name
        if not path.exists():
            part = path.with_name(f"{name}.part")
            make(part)
            part.rename(path)
        return path


def stem(listing: Listing) -> str:
    return f"{listing.kind}-{listing.count}-{listing.seed}"


def save(path: Path, numbers: Words) -> None:
    with path.open("wb") as file:
        np.save(file, numbers)


def write(path: Path, texts: Iterable[str]) -> None:
    with path.open("w") as file:
        file.writelines(texts)


def lines(texts: Iterable[str]) -> Iterator[str]:
    """One a line, many lines at a time."""
    rest = iter(texts)
    while some := list(islice(rest, CHUNK)):
        yield "\n".join(some) + "\n"


# listings


def addresses(count: int, seed: int) -> Words:
    chosen = np.random.default_rng([seed, 4])
    found = np.unique(chosen.integers(1 << 24, 224 << 24, count * 11 // 10, dtype=np.uint64))
    return drawn(found[found >> np.uint64(24) != 127], count, chosen)


def networks(count: int, seed: int) -> Words:
    """A provider's /64s: a site of some, in the lower part of its /32."""
    chosen = np.random.default_rng([seed, 6])
    providers = chosen.choice(providers6(), count * 5 // 4)
    sites = chosen.integers(0, 1 << 16, len(providers), dtype=np.uint64)
    subnets = chosen.integers(0, 1 << 16, len(providers), dtype=np.uint64)
    return drawn(np.unique(providers << np.uint64(32) | sites << np.uint64(16) | subnets), count, chosen)


def providers6() -> Words:
    chosen = np.random.default_rng([6])
    rows = [BLOCKS6[number] for number in chosen.integers(0, len(BLOCKS6), PROVIDERS6)]
    return np.array([top << 16 | int(chosen.integers(1 << (32 - size))) for top, size in rows], dtype=np.uint64)


def drawn(found: Words, count: int, chosen: np.random.Generator) -> Words:
    """So many of them, ascending."""
    return np.sort(chosen.choice(found, count, replace=False))


def domains(count: int, seed: int) -> list[str]:
    chosen = random.Random(f"domains {seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        found[domain(chosen)] = None
    return list(found)


def domain(chosen: random.Random) -> str:
    parts = [label(chosen)]
    if chosen.random() < 0.2:
        parts.insert(0, label(chosen)[:8])
    return ".".join([*parts, chosen.choice(ENDINGS)])


def label(chosen: random.Random) -> str:
    size = min(max(round(chosen.gauss(11, 4)), 3), 30)
    text = "".join(chosen.choices(LETTERS, k=size))
    return f"{text[: size // 2]}-{text[size // 2 :]}" if chosen.random() < 0.12 else text


# queries


def asked_addresses(numbers: Words, half: int, chosen: random.Random) -> list[str]:
    there = set(numbers.tolist()) if len(numbers) <= QUERIES else Sorted(numbers)
    absent = (chosen.randrange(1 << 24, 224 << 24) for _ in range(2 * half))
    return list(dotted(mixed(numbers, half, absent, there, chosen), (0, 8, 16, 24)))


def asked_networks(numbers: Words, half: int, chosen: random.Random) -> list[str]:
    providers = providers6().tolist()
    absent = (chosen.choice(providers) << 32 | chosen.randrange(1 << 32) for _ in range(2 * half))
    uppers = mixed(numbers, half, absent, set(numbers.tolist()), chosen)
    return [".".join(f"{upper << 64 | chosen.randrange(1 << 64):032x}"[::-1]) for upper in uppers]


def asked_domains(names: Sequence[str], half: int, chosen: random.Random) -> list[str]:
    """A third of the listed ones below the listed name, where mail and pages often are. None is above a listed one:
    whether such a name exists, servers do not agree."""
    there, above = set(names), {name.partition(".")[2] for name in names}
    listed = [f"www.{name}" if chosen.random() < 0.33 else name for name in chosen.choices(names, k=half)]
    made = (domain(chosen) for _ in range(2 * half))
    absent = islice((n for n in made if n not in above and there.isdisjoint({n, n.partition(".")[2]})), half)
    found = [*listed, *absent]
    chosen.shuffle(found)
    return found


def mixed(
    numbers: Words, half: int, others: Iterable[int], there: set[int] | Sorted, chosen: random.Random
) -> list[int]:
    places = np.random.default_rng(9).integers(0, len(numbers), half)
    found = [*numbers[places].tolist(), *islice((n for n in others if n not in there and n >> 24 != 127), half)]
    chosen.shuffle(found)
    return found


class Sorted:
    """Membership in millions of numbers without an object for each."""

    def __init__(self, numbers: Words) -> None:
        self.numbers = numbers

    def __contains__(self, number: int) -> bool:
        place = int(np.searchsorted(self.numbers, np.uint64(number)))
        return place < len(self.numbers) and int(self.numbers[place]) == number


# texts


OCTETS = [str(octet) for octet in range(256)]


def dotted(numbers: Words | Sequence[int], shifts: tuple[int, int, int, int]) -> Iterator[str]:
    a, b, c, d = shifts
    text = OCTETS
    for start in range(0, len(numbers), CHUNK):
        for n in np.asarray(numbers[start : start + CHUNK], dtype=np.uint64).tolist():
            yield f"{text[n >> a & 255]}.{text[n >> b & 255]}.{text[n >> c & 255]}.{text[n >> d & 255]}"


def text6(upper: int) -> str:
    return ":".join(f"{upper >> shift & 0xFFFF:x}" for shift in (48, 32, 16, 0))
