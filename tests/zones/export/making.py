"""Served zones from a few listings, without a store; and readers of exported files that are slow and follow the rules
of their programs word for word."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any

import pytest
from dnslib import DNSRecord

from dnsbl.config import ZoneDef
from dnsbl.reputation.exemptions import Exemptions
from dnsbl.store.contract import Exemption
from dnsbl.subjects import parse
from dnsbl.zones.arrays import write
from dnsbl.zones.build import build_base
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import Snapshot

MADE_AT = 1_790_000_000
CODES = ("127.0.0.2", "127.0.0.4", "127.0.0.10")
END_WITHIN = 30  # seconds for a server to begin to answer, and to end by itself


def zone(kind: str, **more: object) -> ZoneDef:
    codes = [
        {"code": CODES[0], "categories": ["spam"], "text": 'Spam: "$" costs $$5, see https://bl.example/?$'},
        {"code": CODES[1], "categories": ["malware"], "text": "Malware"},
        {"code": CODES[2], "categories": ["dynamic"]},
    ]
    if kind == "ip":
        codes[0]["sublist"], codes[1]["sublist"] = "spam", "bad"
    values = {"name": kind, "kind": kind, "origin": f"{kind}.example", "ns": ["ns1.example.net"], "codes": codes}
    return ZoneDef.model_validate(values | more)


class Listings:
    """What `build_base` asks of a store."""

    def __init__(self, listed: Mapping[str, Iterable[int]], zone: ZoneDef) -> None:
        self.rows = sorted(
            (parse(subject), " ".join(zone.codes[code].code for code in codes)) for subject, codes in listed.items()
        )

    def listing_chunks(self, zone: str, low: bytes, high: bytes) -> Iterator[list[tuple[bytes, str]]]:
        yield [row for row in self.rows if low <= row[0] < high]


def served(zone: ZoneDef, listed: Mapping[str, Iterable[int]], exempt: Iterable[str] = ()) -> ServedZone:
    store: Any = Listings(listed, zone)
    exemptions = Exemptions([Exemption(parse(subject), "a reason", "operator") for subject in exempt], MADE_AT)
    arrays, answers, _ = build_base(store, zone, exemptions)
    info = {
        "zone": zone.model_dump(mode="json", by_alias=True),
        "serial": 7, "seq": 1, "store": "s", "made_at": MADE_AT, "answers": answers.lists(), "base": 7,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "7.base"
        write(path, info, arrays)
        return ServedZone(Snapshot(path))


def answered(view: ServedZone, address: str) -> set[str]:
    """The codes of an address, from the view."""
    number = int(ip_address(address))
    found = view.lookup6(number) if ":" in address else view.lookup4(number)
    return {view.zone.codes[code].code for code in view.answers[found]}


def answered_name(view: ServedZone, name: str) -> set[str] | None:
    """The codes of a name; None where it is empty."""
    found = view.lookup_name([label.encode() for label in reversed(name.split("."))])
    return None if found < 0 else {view.zone.codes[code].code for code in view.answers[found]}


def reverse(address: str) -> str:
    return ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


class RbldnsdFile:
    """A `combined` file: in a dataset the longest match answers, and the answers of a subzone's datasets are joined."""

    def __init__(self, text: str) -> None:
        self.datasets: list[tuple[str, set[str], str, list[str]]] = []  # type, subzones, code, entries
        self.specials: list[str] = []
        for line in text.splitlines():
            if line.startswith("$DATASET "):
                _, what, *subzones = line.split()
                self.datasets.append((what.partition(":")[0], set(subzones), "", []))
            elif line.startswith(":"):
                self.datasets[-1] = (*self.datasets[-1][:2], line.split(":")[1], self.datasets[-1][3])
            elif line.startswith("$"):
                self.specials.append(line)
            elif not line.startswith("#"):
                self.datasets[-1][3].append(line)

    def address(self, address: str, subzone: str = "@") -> set[str]:
        asked = ip_address(address)
        kind = f"ip{asked.version}"
        return {
            code
            for type_, subzones, code, entries in self.datasets
            if type_.startswith(kind) and subzone in subzones and any(asked in ip_network(entry) for entry in entries)
        }

    def name(self, name: str) -> set[str]:
        labels = name.split(".")
        above = [name, *("." + ".".join(labels[start:]) for start in range(len(labels)))]
        found = set()
        for type_, _, code, entries in self.datasets:
            hits = [upper for upper in above if type_ == "dnset" and (upper in entries or "!" + upper in entries)]
            if hits and "!" + hits[0] not in entries:
                found.add(code)
        return found


class MasterFile:
    """A zone file, answered as RFC 1034 section 4.3.2 and RFC 4592 say."""

    def __init__(self, text: str) -> None:
        self.records: dict[str, list[tuple[str, str]]] = {}
        owner = ""
        for line in text.splitlines():
            if line.startswith(("$", ";")):
                continue
            name, _, rest = line.partition("\t")
            owner = name or owner
            rest = re.sub(r"^\d+\t", "", rest).removeprefix("IN ")
            kind, _, data = rest.partition(" ")
            self.records.setdefault(owner, []).append((kind, data))
        self.existing = {
            owner[at:] for owner in self.records for at in [0, *(m.end() for m in re.finditer(r"\.", owner))]
        }

    def addresses(self, name: str) -> set[str] | None:
        """The A records of a name; empty where it has none, None where it does not exist."""
        return self.data(name, "A")

    def data(self, name: str, wanted: str) -> set[str] | None:
        if name not in self.existing:
            encloser = name
            while encloser not in self.existing and encloser:
                encloser = encloser.partition(".")[2]
            name = f"*.{encloser}"
            if name not in self.records:
                return None
        return {data for kind, data in self.records.get(name, []) if kind == wanted}


def program(name: str) -> str:
    """Where a program is; the test is skipped, aloud, where it is nowhere."""
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def rbldnsd(directory: Path, origin: str) -> Iterator[Callable[[str], set[str]]]:
    """rbldnsd with the file `data` of a directory as one zone; gives what asks it for the A records of a name."""
    directory.chmod(0o755)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [program("rbldnsd"), "-n", "-b", f"127.0.0.1/{port}", "-w", directory, *user, f"{origin}:combined:data"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield lambda name: asked(port, f"{name}.{origin}")
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN)
        finally:
            process.kill()  # nothing where it has ended
            process.wait(END_WITHIN)


def asked(port: int, name: str) -> set[str]:
    deadline = time.monotonic() + END_WITHIN
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect(("127.0.0.1", port))
        while time.monotonic() < deadline:
            try:
                asking.send(DNSRecord.question(name).pack())
                return {str(record.rdata) for record in DNSRecord.parse(asking.recv(4096)).rr}
            except ConnectionRefusedError:  # not listening yet
                time.sleep(0.05)
            except TimeoutError:
                continue
    raise AssertionError("rbldnsd does not answer")


def edges(networks: Iterable[str]) -> list[str]:
    """First and last addresses of networks, and their neighbours outside."""
    found = set()
    for text in networks:
        network = ip_network(text)
        top = 2**network.max_prefixlen - 1
        first, last = int(network[0]), int(network[-1])
        for number in (first - 1, first, last, last + 1):
            if 0 <= number <= top:
                found.add(str(type(network[0])(number)))
    return sorted(found)


def brute_networks(first: int, last: int, version: int) -> list[tuple[int, int]]:
    made = type(ip_address("::" if version == 6 else "0.0.0.0"))
    return [(int(n.network_address), n.prefixlen) for n in summarize_address_range(made(first), made(last))]
