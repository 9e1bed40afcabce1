"""What indicators of compromise, in whatever form they are shared (MISP, STIX), come to as subjects."""

from __future__ import annotations

import re

from ...hashing import email_hash
from ...model import Parsed
from .base import name_or_address_keys
from .records import host_of

__all__ = ["TLP_FORBIDS", "PassedOver", "email_keys", "forbidding", "network_keys", "url_keys"]

TLP = re.compile(r"(?:tlp:)?(?:red|amber(?:\+strict)?)", re.IGNORECASE)  # FIRST TLP 2.0: neither is for the public
TLP_FORBIDS = "TLP forbids: red or amber may not be passed on, and whoever asks DNS is told what is listed"


def forbidding(tag: object) -> bool:
    """Whether a tag or a colour of the traffic light protocol forbids to list what it is on."""
    return isinstance(tag, str) and TLP.fullmatch(tag.strip()) is not None


def network_keys(text: str) -> list[bytes]:
    """An address, network, or name where a host is meant. Raises SubjectError."""
    return name_or_address_keys(text.strip())


def url_keys(text: str) -> list[bytes]:
    """The host of a URL. Raises SubjectError."""
    return name_or_address_keys(host_of(text))


def email_keys(text: str) -> list[bytes]:
    """The hash of a mail address. Raises SubjectError."""
    return [email_hash(text)]


class PassedOver:
    """What is well-formed and names no subject here: md5 hashes, file names, what has run out. Counted by reason and
    said once for each, so that a source which also speaks of other things is not taken for a broken one."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.counts: dict[str, list[int]] = {}  # reason -> [number of the first, how many]

    def add(self, number: int, why: str) -> None:
        self.counts.setdefault(why, [number, 0])[1] += 1

    def say(self, parsed: Parsed) -> Parsed:
        for why, (number, count) in self.counts.items():
            parsed.reject(number, f"{why}: {count:,} {self.what}")
        return parsed
