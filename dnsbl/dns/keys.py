"""Keys in query names: one label directly below a zone's origin, `QUERY.KEY.ORIGIN`. What is known of them comes in a
file that the process with the store writes: digests, limits, ends; never a key itself.

    {"version": 1, "keys": [{"id": 7, "digest": HEX, "zones": ["ip"], "queries": 100000, "expires": 1800000000}, ...]}

`zones` empty: in all; `queries` a UTC day and `expires` in seconds may be null. The file is ours, and is checked all
the same: half a file must not end half of the keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from ..config import KEY_PREFIX
from ..errors import SnapshotError

__all__ = ["FILE_VERSION", "KEYS_FILE", "USED_FILE", "Key", "Keys", "begins_as_key", "is_key", "keys_of"]

KEYS_FILE = "access.json"  # in `data_dir/run/`
USED_FILE = "access-used.json"
FILE_VERSION = 1
MAX_KEYS = 200_000
PREFIX = KEY_PREFIX.encode("ascii")
KEY = re.compile(rb"dq-[a-z2-7]{26}")  # base32 (RFC 4648 section 6, lower case): 130 random bits
KEY_SIZE = 29


@dataclass(slots=True, frozen=True)
class Key:
    """A key as far as DNS needs it."""

    id: int
    digest: bytes  # SHA-256 of its label, lower case
    zones: frozenset[str] = field(default=frozenset())  # empty: all
    queries: int = 0  # a UTC day; 0: no limit
    expires: int = 0  # seconds; 0: never


class Keys:
    """All keys that are good, by digest."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.by_digest = {key.digest: key for key in keys}
        # As the native path takes them. Made here, in the thread that reads the file: 100,000 take a tenth of a second.
        good = self.by_digest.values()
        self.rows = [(key.id, key.digest, sorted(key.zones), key.queries, key.expires) for key in good]

    def find(self, label: bytes) -> Key | None:
        """The key that a label is; it is lower case, as every label that is looked up."""
        return self.by_digest.get(sha256(label).digest())


def is_key(label: bytes) -> bool:
    """Whether a label has the form of a key."""
    return len(label) == KEY_SIZE and KEY.fullmatch(label) is not None


def begins_as_key(label: bytes) -> bool:
    """Whether a label can only be meant as a key: one that is cut short, or has a letter wrong, is a wrong key."""
    return label.startswith(PREFIX)


def keys_of(content: bytes) -> Keys:
    """The keys of a file. Raises SnapshotError with what is wrong."""
    try:
        said = orjson.loads(content)
        if said["version"] != FILE_VERSION:
            raise SnapshotError(f"it has version {said['version']} and this program knows {FILE_VERSION}")
        if len(said["keys"]) > MAX_KEYS:
            raise SnapshotError(f"more than {MAX_KEYS:,} keys")
        return Keys([key_of(row) for row in said["keys"]])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise SnapshotError(f"it is no list of keys ({type(error).__name__})") from error


def key_of(row: dict[str, object]) -> Key:
    digest, zones = bytes.fromhex(str(row["digest"])), row["zones"]
    if len(digest) != sha256().digest_size or not isinstance(zones, list):
        raise ValueError("no key")
    return Key(number(row["id"]), digest, frozenset(map(str, zones)), number(row["queries"]), number(row["expires"]))


def number(said: object) -> int:
    """A number of 40 bits; null is 0."""
    if said is None:
        return 0
    if not isinstance(said, int) or not 0 <= said < 1 << 40:
        raise ValueError("no number")
    return said
