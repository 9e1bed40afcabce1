"""Whether secondaries answer as their primary does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asking import NOERROR, NXDOMAIN, TXT, A, ask, question, records
from secondaries import Secondary

from dnsbl import config
from dnsbl.config import ZoneDef

__all__ = ["Reply", "Same"]

Reply = tuple[int, frozenset[str], frozenset[str]]  # rcode, A records, texts
EMPTY: Reply = (NOERROR, frozenset(), frozenset())
NO_NAME: Reply = (NXDOMAIN, frozenset(), frozenset())


class Same:
    """Whether two servers answer alike, but for what records without a longest match cannot say."""

    def __init__(self, zones: dict[str, ZoneDef]) -> None:
        self.zones = zones
        texts = [code.text for zone in zones.values() for code in zone.codes]
        # A wildcard's text names the network or name that is listed: any subject will do.
        self.texts = [(text, re.compile(".+".join(map(re.escape, config.template(text))))) for text in texts if text]

    def replies(self, port: int, asked: Sequence[tuple[str, str]]) -> list[Reply]:
        [found] = self.replies_of([port], asked)
        return found

    def replies_of(self, ports: Sequence[int], asked: Sequence[tuple[str, str]]) -> list[list[Reply]]:
        """What each server says to zones and names."""
        names = [f"{name}.{self.zones[zone].origin}" for zone, name in asked]
        said = ask(ports, [question(name, kind, edns=True) for kind in (A, TXT) for name in names])
        return [list(map(self.reply, each[: len(names)], each[len(names) :])) for each in said]

    def reply(self, addresses: bytes, texts: bytes) -> Reply:
        return (
            addresses[3] & 15,
            frozenset(".".join(map(str, each)) for each in records(addresses, A)),
            frozenset(map(self.text, records(texts, TXT))),
        )

    def text(self, data: bytes) -> str:
        said, at = b"", 0
        while at < len(data):
            said += data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
        text = said.decode()
        return next((known for known, pattern in self.texts if pattern.fullmatch(text)), text)

    def alike(self, zone: str, name: str, ours: Reply, theirs: Reply) -> bool:
        if ours == theirs:
            return True
        labels = [label for label in name.split(".") if label not in ("attack", "policy")]
        if zone == "domain":  # an exempt name below a listed one exists, with a text
            return ours[0] == NXDOMAIN and theirs[:2] == (NOERROR, frozenset()) and theirs[2] <= {"exempt: not listed"}
        if len(labels) not in (4, 32):  # a wildcard answers for what is above an address, too
            return ours[:2] == (NOERROR, frozenset()) and theirs[0] == NOERROR
        return False

    def hold(self, port: int, secondaries: Sequence[Secondary], asked: Sequence[tuple[str, str]]) -> None:
        ours, *others = self.replies_of([port, *(each.port for each in secondaries)], asked)
        for secondary, theirs in zip(secondaries, others, strict=True):
            triples = zip(asked, ours, theirs, strict=True)
            wrong = [(each, one, other) for each, one, other in triples if not self.alike(*each, one, other)]
            if not secondary.empty_names:
                wrong = [each for each in wrong if each[1:] != (EMPTY, NO_NAME)]
            assert not wrong, f"{len(wrong)} answers of {secondary.program} differ: {wrong[:3]}"
