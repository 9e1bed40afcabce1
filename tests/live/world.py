"""A random world for the bundled zones of addresses and names, and what to ask about it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from asking import name4, name6

from dnsbl import subjects
from dnsbl.app import App
from dnsbl.store import Exemption

__all__ = ["NOW", "ZONES", "World"]

ZONES = ("ip", "domain")
NOW = 1_790_000_000


class World:
    """What is listed, changed at random: addresses, networks, names, and holes in them."""

    def __init__(self, app: App, seed: int) -> None:
        self.app, self.chosen = app, random.Random(seed)
        self.listed: dict[str, set[str]] = {"spam": set(), "dynamic": set(), "malware": set(), "attack": set()}
        self.touched: list[str] = []  # of late: what is most likely to be wrong

    def address(self) -> str:
        if self.chosen.random() < 0.2:
            return str(IPv6Address(0x2A00 << 112 | self.chosen.randrange(4) << 80 | self.chosen.randrange(64) << 62))
        return str(IPv4Address((46 << 24) + self.chosen.randrange(1 << 14)))

    def network(self) -> str:
        number, prefix = self.chosen.randrange(1 << 12) << 8, self.chosen.randint(15, 29)
        if self.chosen.random() < 0.3:
            wide = self.chosen.choice((28, 32, 44, 48, 61, 64))
            return f"{IPv6Address((0x2A00 << 112 | number << 70) >> (128 - wide) << (128 - wide))}/{wide}"
        return f"{IPv4Address(((2 << 24) + number) >> (32 - prefix) << (32 - prefix))}/{prefix}"

    def name(self) -> str:
        labels = [self.chosen.choice("abc") for _ in range(self.chosen.randint(0, 3))]
        return ".".join([*labels, f"s{self.chosen.randrange(30)}", self.chosen.choice(("example.com", "example.org"))])

    def subject(self) -> str:
        return self.chosen.choice((self.address, self.address, self.network, self.name))()

    def change(self, many: int) -> None:
        """Some come, some leave; now and then one becomes exempt within something that is listed."""
        self.touched = []
        for _ in range(many):
            held = self.listed[self.chosen.choice(list(self.listed))]
            subject = self.subject()
            if held and self.chosen.random() < 0.45:
                subject = self.chosen.choice(sorted(held))
                held.discard(subject)
            else:
                held.add(subject)
            self.touched.append(subject)
        store = self.app.store
        for category, held in self.listed.items():
            source = store.source(category, "import", trust=0.95)
            store.replace_entries(source.id, dict.fromkeys(map(subjects.parse, sorted(held)), 1), {}, category, NOW)
        if self.chosen.random() < 0.5:
            hole = self.chosen.choice((self.address, self.name))()
            self.app.store.add_exemption(Exemption(subjects.parse(hole), "a hole", "operator", "", NOW))
            self.touched.append(hole)

    def questions(self, count: int) -> list[tuple[str, str]]:
        """Zone and name: what changed, what is beside, above and below that, and anything."""
        found: list[tuple[str, str]] = [
            ("ip", each) for each in ("2.0.0.127", "1.0.0.127", "4.0.0.127", "4.0.0.127.attack")
        ]
        found += [("domain", each) for each in ("test", "x.test", "invalid", "com", "example.com")]
        near = list(self.touched)
        while len(found) < count:
            subject = near.pop() if near else self.subject()
            found += self.around(subject)
        return found

    def around(self, subject: str) -> Iterator[tuple[str, str]]:
        key = subjects.parse(subject)
        if key[:1] == b"d":
            yield from (("domain", f"{below}{subject}") for below in ("", "x.", "a.b."))
            yield "domain", subject.partition(".")[2]
            return
        version, first, prefix = subjects.network(key)
        bits, named = (32, name4) if version == 4 else (128, name6)
        last = first | (1 << (bits - prefix)) - 1
        for number in {first - 1, first, self.chosen.randint(first, last), last, last + 1}:
            labels = named(number)
            yield "ip", labels
            yield "ip", f"{labels}.{self.chosen.choice(('attack', 'policy'))}"
        yield "ip", named(first).split(".", self.chosen.randint(1, 3))[-1]
