"""Whose networks, and which country's: tables of address ranges, looked up by subject.

    asn-ipv4.csv, asn-ipv6.csv            start,end,number,name       1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."
    country-ipv4.csv, country-ipv6.csv    start,end,code              1.0.0.0,1.0.0.255,AU

Plain or .gz, as ip-location-db has them. A table is read when it is first asked, once for all threads, and kept as
arrays: first addresses, last addresses, values. The files are foreign: what is no row is counted and left out, and a
file beyond its limits is refused. A network is where its first address is.
"""

from __future__ import annotations

import csv
import gzip
import logging
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import IntakeError
from .subjects import is_ip

__all__ = ["MAX_NETWORKS", "Networks", "Size"]

log = logging.getLogger("dnsbl.geo")

MAX_BYTES = 256 * 2**20  # of one table, decompressed; the largest there are have 24 MB
MAX_ROWS = 5_000_000
MAX_ROW = 1000  # bytes
MAX_NAME = 200  # characters of a system's name that are kept
MAX_ASN = 2**32 - 1  # RFC 6793
MAX_NETWORKS = 100_000  # that one system may come to; the largest has 10,000
STEP = 2**20  # bytes decompressed at a time
MARKS = {4: ord("4"), 6: ord("6")}

Size = tuple[int, int]  # IPv4 addresses, IPv6 /64s
Value = Callable[[bytes], int]  # of the third field; raises ValueError


class Networks:
    """Autonomous systems and countries of subjects."""

    def __init__(self, directory: Path | None) -> None:
        self._asn = {version: Table(directory, "asn", version, number, named=True) for version in MARKS}
        self._country = {version: Table(directory, "country", version, code) for version in MARKS}
        self._by_mark = {MARKS[version]: (self._asn[version], self._country[version]) for version in MARKS}

    @classmethod
    def load(cls, directory: Path) -> Networks:
        """The tables in a directory; they are read when they are asked. Raises IntakeError where there is none."""
        networks = cls(directory)
        if not any(table.path() for tables in networks._by_mark.values() for table in tables):
            raise IntakeError(f"{directory}: no asn-ipv4.csv or its like, plain or .gz; set directory in [geo] to them")
        return networks

    @classmethod
    def none(cls) -> Networks:
        """Where there are no tables: nothing is known of anybody."""
        return cls(None)

    def asn(self, subject: bytes) -> int | None:
        """The number of the system that a network is of; None where it is not known, or the subject is no network."""
        return self._by_mark[subject[0]][0].value(subject[1:-1]) if is_ip(subject) else None

    def asns(self, subjects: Sequence[bytes]) -> list[int | None]:
        """`asn` for many at once."""
        return many(subjects, {mark: tables[0] for mark, tables in self._by_mark.items()}, lambda value: value)

    def country(self, subject: bytes) -> str | None:
        """The code of the country, two capitals; None where it is not known."""
        value = self._by_mark[subject[0]][1].value(subject[1:-1]) if is_ip(subject) else None
        return None if value is None else code_text(value)

    def countries(self, subjects: Sequence[bytes]) -> list[str | None]:
        """`country` for many at once."""
        return many(subjects, {mark: tables[1] for mark, tables in self._by_mark.items()}, code_text)

    def name(self, asn: int) -> str:
        """What a system is called; "" where it is not known."""
        return self._asn[4].name(asn) or self._asn[6].name(asn)

    def networks_of(self, asn: int) -> list[bytes]:
        """The networks of a system, as the fewest subject keys, IPv4 first. Raises IntakeError where they are more than
        MAX_NETWORKS: no system has as many."""
        found: list[bytes] = []
        for table in self._asn.values():
            for key in table.networks(asn):
                found.append(key)
                if len(found) > MAX_NETWORKS:
                    raise IntakeError(f"AS{asn} has more than {MAX_NETWORKS:,} networks in the tables; check them")
        return found

    def size(self, asn: int) -> Size:
        """How many IPv4 addresses and IPv6 /64s a system has."""
        return self._asn[4].size(asn), self._asn[6].size(asn)

    def country_size(self, country: str) -> Size:
        """How many IPv4 addresses and IPv6 /64s a country has."""
        try:
            value = code(country.encode("ascii"))
        except (ValueError, UnicodeError):
            return 0, 0
        return self._country[4].size(value), self._country[6].size(value)


class Table:
    """One file: ranges of one address family in order, each with a value. Where ranges overlap, the one that begins
    last answers."""

    def __init__(self, directory: Path | None, what: str, version: int, value: Value, named: bool = False) -> None:
        self._directory, self._file = directory, f"{what}-ipv{version}.csv"
        self._version, self._read_value, self._named = version, value, named
        self._dtype = np.dtype("S4" if version == 4 else "S16")  # compares as bytes, as subject keys do
        self._lock = Lock()
        self._loaded = False
        self._starts: NDArray[np.bytes_] = np.empty(0, self._dtype)
        self._ends: NDArray[np.bytes_] = np.empty(0, self._dtype)
        self._values: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._names: dict[int, str] = {}

    def path(self) -> Path | None:
        if self._directory is None:
            return None
        paths = (self._directory / self._file, self._directory / f"{self._file}.gz")
        return next((path for path in paths if path.is_file()), None)

    def value(self, address: bytes) -> int | None:
        """The value of an address, as its bytes."""
        return self.values_at([address])[0]

    def values_at(self, addresses: Sequence[bytes]) -> list[int | None]:
        self._need()
        if not len(self._starts):
            return [None] * len(addresses)
        asked = np.array(addresses, self._dtype)
        place = np.searchsorted(self._starts, asked, side="right") - 1
        inside = (place >= 0) & (asked <= self._ends[place])
        values = self._values[place].tolist()
        return [value if known else None for value, known in zip(values, inside.tolist(), strict=True)]

    def name(self, value: int) -> str:
        self._need()
        return self._names.get(value, "")

    def ranges(self, value: int) -> Iterator[tuple[int, int]]:
        """First and last address of what has a value, in order, as numbers; ranges that touch are one."""
        self._need()
        size = 4 if self._version == 4 else 16
        first = last = -1
        for row in np.flatnonzero(self._values == value).tolist():
            # numpy takes the zeros off the end of its texts
            start, end = (int.from_bytes(side[row].ljust(size, b"\0"), "big") for side in (self._starts, self._ends))
            if first >= 0 and start <= last + 1:
                last = max(last, end)
                continue
            if first >= 0:
                yield first, last
            first, last = start, end
        if first >= 0:
            yield first, last

    def networks(self, value: int) -> Iterator[bytes]:
        address: Any = IPv4Address if self._version == 4 else IPv6Address
        mark = bytes((MARKS[self._version],))
        for first, last in self.ranges(value):
            for network in summarize_address_range(address(first), address(last)):
                yield mark + network.network_address.packed + bytes((network.prefixlen,))

    def size(self, value: int) -> int:
        """IPv4 addresses, or IPv6 /64s that are touched."""
        shift = 0 if self._version == 4 else 64
        return sum((last >> shift) - (first >> shift) + 1 for first, last in self.ranges(value))

    def _need(self) -> None:
        if not self._loaded:
            with self._lock:
                self._load_once()

    def _load_once(self) -> None:
        """What cannot be read is said in the log and knows nothing: that must stop no listing."""
        path = self.path()
        if self._loaded or path is None:
            self._loaded = True
            return
        try:
            self._read(path)
        except (OSError, EOFError, zlib.error, IntakeError) as error:
            log.error("%s: cannot be read (%s); nothing is known of its networks", path, error)
        self._loaded = True

    def _read(self, path: Path) -> None:
        rows = Rows(self._version, self._read_value, self._named)
        for line in each_line(path):
            rows.take(line)
        starts, ends = (np.frombuffer(bytes(side), self._dtype) for side in (rows.starts, rows.ends))
        values = np.array(rows.values, np.uint32)
        if bool((starts[1:] < starts[:-1]).any()):
            order = np.argsort(starts, kind="stable")
            starts, ends, values = starts[order], ends[order], values[order]
        self._starts, self._ends, self._values, self._names = starts, ends, values, rows.names
        if rows.bad:
            log.warning("%s: %d rows are none and were left out", path, rows.bad)


class Rows:
    """What the rows of a file come to."""

    def __init__(self, version: int, value: Value, named: bool) -> None:
        self.starts, self.ends, self.values = bytearray(), bytearray(), array("Q")
        self.names: dict[int, str] = {}
        self.bad = 0
        self._family = AF_INET if version == 4 else AF_INET6
        self._value, self._named = value, named

    def take(self, line: bytes) -> None:
        """Take a row, or count it. Raises IntakeError where there are too many."""
        fields = line.rstrip(b"\r\n").split(b",", 3)
        try:
            start = inet_pton(self._family, fields[0].decode("ascii"))
            end = inet_pton(self._family, fields[1].decode("ascii"))
            value = self._value(fields[2])
        except (OSError, ValueError, IndexError):
            self.bad += 1
            return
        if start > end or len(line) > MAX_ROW:
            self.bad += 1
            return
        if len(self.values) >= MAX_ROWS:
            raise IntakeError(f"more than {MAX_ROWS:,} rows")
        self.starts += start
        self.ends += end
        self.values.append(value)
        if self._named and value not in self.names and len(fields) > 3:
            self.names[value] = name_text(fields[3])


def each_line(path: Path) -> Iterable[bytes]:
    """The lines of a file, decompressed in steps. Raises IntakeError where it is too large, OSError, EOFError."""
    left, rest = MAX_BYTES, b""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while step := file.read(STEP):
            left -= len(step)
            if left < 0:
                raise IntakeError(f"larger than {MAX_BYTES:,} bytes")
            *whole, rest = (rest + step).split(b"\n")
            yield from whole
            if len(rest) > STEP:
                raise IntakeError("it has no lines")
    if rest:
        yield rest


def number(text: bytes) -> int:
    """An AS number. Raises ValueError."""
    value = int(text) if text.isdigit() else 0
    if not 0 < value <= MAX_ASN:
        raise ValueError
    return value


def code(text: bytes) -> int:
    """A country's two letters as a number. Raises ValueError."""
    if len(text) != 2 or not text.isalpha():
        raise ValueError
    return int.from_bytes(text.upper(), "big")


def code_text(value: int) -> str:
    return value.to_bytes(2, "big").decode("ascii")


def name_text(field: bytes) -> str:
    """A system's name: one CSV field, of which only what is printable is kept."""
    text = field.decode("utf-8", "replace")
    if text.startswith('"'):
        try:
            text = next(csv.reader((text,)), [""])[0]
        except (csv.Error, IndexError):
            text = ""
    text = text[:MAX_NAME]
    return text if text.isprintable() else "".join(c for c in text if c.isprintable()).strip()


def many(subjects: Sequence[bytes], tables: dict[int, Table], shown: Callable[[int], Any]) -> list[Any]:
    """The values of many subjects, in their order."""
    found: list[Any] = [None] * len(subjects)
    for mark, table in tables.items():
        places = [place for place, subject in enumerate(subjects) if subject[0] == mark]
        values = table.values_at([subjects[place][1:-1] for place in places])
        for place, value in zip(places, values, strict=True):
            found[place] = None if value is None else shown(value)
    return found
