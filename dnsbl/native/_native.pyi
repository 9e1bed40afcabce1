"""What the Rust extension offers; `src/python.rs` has the code."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from typing_extensions import Buffer

class Snapshot(Buffer):
    """A snapshot file, checked, in memory of its own; its bytes as a buffer. Raises OSError where it cannot be read,
    and ValueError with the reason where it is refused."""

    def __new__(cls, path: Path) -> Snapshot: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Zone:
    """A zone as `Server.zone` made it."""

class Handed:
    """A query that the Python path is to answer."""

    @property
    def wire(self) -> bytes: ...
    @property
    def client(self) -> str:
        """The address that asked, as text."""

    def send(self, reply: bytes) -> bool:
        """Send the reply from where the query arrived; False where the system does not take it."""

class Counted(TypedDict):
    """What `Server.counters` gives."""

    replies: list[tuple[str, int | None, int, str, int]]  # zone, type (None: others), rcode, transport, how many
    batches: list[int]  # of 1, 2-3, 4-7 ... packets
    malformed: int
    silent: int
    truncated: int
    dropped: int
    failed: int
    handed: int
    overflowed: int
    cookies_valid: int
    cookies_invalid: int
    cookies_new: int
    keyed: int
    denied: int
    over_quota: int
    limited: int
    slipped: int

Ranges = tuple[list[tuple[int, int]], list[tuple[int, int]]]  # IPv4 and IPv6: first and last, disjoint, ascending
Packed = tuple[int, bytes]  # how many records, and their bytes

class Access(TypedDict):
    """Who is answered below a zone's origin."""

    networks: Ranges | None  # without a key; None: everybody
    refuse: Ranges
    public: Ranges  # only with a key
    keys: str  # "off", "optional" or "required"
    quota: int  # queries a day of a network without a key; 0: no limit
    free: bool  # labels may be anything, those that look like keys too
    tests: list[bytes]  # test points: labels on the wire, without the origin
    denials: list[tuple[Packed, Packed]]  # A and TXT, in the order of `dns.access.Reason`

Codes = list[bytes]  # by answer id: the codes it stands for, as indices

class Server:
    """Answers from the zones it was last given, over sockets and when called."""

    def __new__(
        cls,
        udp_size: int,
        identity: bytes,
        secrets: Sequence[bytes],
        rate: tuple[int, int, int] = ...,  # replies a second (0: no limit), slip, window
        exempt: Ranges = ...,  # from that
    ) -> Server: ...
    def zone(
        self,
        *,
        name: str,
        kind: str,  # "ip", "domain", "hash" or "e164"
        origin: bytes,  # on the wire, lower case, with the root
        soa: bytes,  # of negative answers, without owner
        apex: list[tuple[int, int, bytes]],  # type, number of records, records
        ttl: int,  # of TXT records
        records: list[bytes],  # the A record of each code
        texts: list[Sequence[bytes]],  # of each code, cut where the subject goes; empty: none
        answers: Codes,
        sublists: list[tuple[bytes, Codes]],
        base: Snapshot,
        delta: Snapshot | None,
        access: Access | None = None,  # None: everybody
        hosts: list[tuple[bytes, Packed]] = ...,  # labels that have an address
        expired: bool = False,  # too old to be answered from
    ) -> Zone:
        """A zone made ready. Raises ValueError where something does not fit together."""

    def replace(self, zones: list[Zone], elsewhere: list[bytes] = ...) -> None:
        """Answer from these zones, and only these, from the next batch on; names below the origins `elsewhere`, on the
        wire, are left to the Python path."""

    def keys(self, rows: list[tuple[int, bytes, list[str], int, int]]) -> None:
        """The keys that are good from now on: number, digest, zones (none: all), queries a day and end (0: none)."""

    def seed(self, day: int, spent: dict[int, int], networks: list[tuple[str, bytes, int]]) -> None:
        """What quotas had used of a day before: by key; by zone and network."""

    def key_usage(self) -> list[tuple[int, str, int, int]]:
        """What was asked with keys since the last call: key, zone, answered, refused."""

    def network_usage(self, day: int, most: int) -> list[tuple[str, bytes, int]]:
        """The networks that asked most on a day: zone, octets of the network, queries."""

    def reply(self, wire: bytes, client: str, tcp: bool, now: int) -> bytes | None:
        """The reply, None for silence, or NotImplemented: for the Python path. Raises RuntimeError for a failure of
        ours."""

    def serve(self, socket: int, wildcard: bool, ip6: bool, threads: int) -> None:
        """Answer on a bound UDP socket, given as a descriptor that is copied, in so many threads."""

    def stop(self) -> None:
        """End all threads and wait for them."""

    def fileno(self) -> int:
        """A descriptor that is readable when queries were handed over."""

    def take(self, most: int) -> tuple[list[Handed], bool]:
        """Up to so many queries that were handed over, and whether there are more."""

    def samples(self, wanted: int) -> list[tuple[int, str, bytes, int, int, str]]:
        """Samples since the last call: weight, client, name on the wire, type, rcode, zone; and from now on about so
        many until the next call."""

    def counters(self) -> Counted:
        """All counts since the start."""
