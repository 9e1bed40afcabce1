"""Slow readers of exported files, each by the rules of the program that the file is for: what is listed at an address
or a name?"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import maxminddb
import orjson

from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone

Listed = Callable[[str], set[str]]  # an address or name to its codes, or to {"listed"} where a file has none
ANY = {"listed"}


def text(view: ServedZone, format: str) -> str:
    return b"".join(export(view, format)).decode()


def body(view: ServedZone, format: str, mark: str = "#") -> list[str]:
    return [line for line in text(view, format).splitlines() if line and not line.startswith(mark)]


def disjoint(networks: Iterable[IPv4Network | IPv6Network]) -> list[IPv4Network | IPv6Network]:
    """The networks, none of which may overlap another."""
    found = sorted(networks, key=lambda network: (network.version, int(network[0])))
    for one, other in pairwise(found):
        assert one.version != other.version or one[-1] < other[0], f"{one} and {other}"
    return found


def by_network(rows: Iterable[tuple[str, set[str]]]) -> Listed:
    codes = {ip_network(network): found for network, found in rows}
    networks = disjoint(codes)
    return lambda address: next((codes[n] for n in networks if ip_address(address) in n), set())


def cidr(view: ServedZone, format: str = "cidr") -> Listed:
    return by_network((line, ANY) for line in body(view, format))


def comma_separated(view: ServedZone) -> list[list[str]]:
    lines = [line for line in text(view, "csv").splitlines(keepends=True) if not line.startswith("#")]
    return [*csv.reader(io.StringIO("".join(lines)))]


def csv_networks(view: ServedZone) -> Listed:
    rows = comma_separated(view)
    assert rows[0] == ["network", "codes", "text"]
    return by_network((network, set(codes.split())) for network, codes, _ in rows[1:])


def objects(view: ServedZone) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in text(view, "ndjson").splitlines()]


def ndjson_networks(view: ServedZone) -> Listed:
    return by_network((row["network"], set(row["codes"])) for row in objects(view)[1:])


def nftables(view: ServedZone) -> Listed:
    """The elements of both sets."""
    ranges = []
    for elements in re.findall(
        r"^add element inet dnsbl-\S+ v[46] \{\n(.*?)\n\}$", text(view, "nftables"), re.M | re.S
    ):
        for element in elements.split(",\n"):
            first, _, last = element.partition("-")
            network = ip_network(first)
            ranges.append((network[0], ip_address(last) if last else network[-1]))
    return lambda address: ANY if any(inside(ip_address(address), *ends) for ends in ranges) else set()


def inside(number: Any, first: Any, last: Any) -> bool:
    return bool(first.version == number.version and first <= number <= last)


def ipset(view: ServedZone) -> Listed:
    """What is in the sets when the file has been carried out over sets that had something else in them."""
    sets: dict[str, set[str]] = {}
    for line in body(view, "ipset"):
        verb, name, *rest = line.split()
        if verb == "create":
            assert rest[-1] == "-exist"
            sets.setdefault(name, {"1.2.3.4"} if name.endswith("-4") else {"2001:1::"})
        elif verb == "flush":
            sets[name].clear()
        elif verb == "add":
            sets[name].add(rest[0])
        elif verb == "swap":
            sets[name], sets[rest[0]] = sets[rest[0]], sets[name]
        else:
            assert verb == "destroy" and name.endswith("-new")
            del sets[name]
    assert len(sets) == 2
    return by_network((network, ANY) for networks in sets.values() for network in networks)


def postfix(view: ServedZone, format: str = "postfix-cidr") -> Listed:
    """cidr_table(5), the first match."""
    rows = [line.split(" ", 1) for line in body(view, format)]
    return by_network((network, ANY if action.upper().startswith("REJECT") else set()) for network, action in rows)


def mmdb(view: ServedZone) -> Listed:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.mmdb"
        path.write_bytes(b"".join(export(view, "mmdb")))
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    assert reader.metadata().ip_version == 6
    return lambda address: set((reader.get(address) or {"codes": []})["codes"])


def rpz_addresses(view: ServedZone) -> Listed:
    rows = []
    for line in body(view, "rpz", ";"):
        if ".rpz-ip\t" in line:
            owner, _, action = line.partition(".rpz-ip\t")
            prefix, *words = owner.split(".")
            words.reverse()
            rows.append(
                (f"{'.'.join(words) if len(words) == 4 and 'zz' not in words else six(words)}/{prefix}", action)
            )
    return by_network((network, ANY if action == "CNAME ." else set()) for network, action in rows)


def six(words: list[str]) -> IPv6Address:
    written = [word if word != "zz" else "" for word in words]
    at_edge = {"start": written[0] == "", "end": written[-1] == ""}
    return IPv6Address(("" if not at_edge["start"] else ":") + ":".join(written) + (":" if at_edge["end"] else ""))


def dataset(view: ServedZone, format: str) -> Listed:
    """A data set of rbldnsd's: a set gives every value of the best match, a trie one."""
    found: dict[str, set[str]] = {}
    code = ""
    for line in body(view, format):
        if line.startswith(":"):
            code = line.split(":")[1]
        elif not line.startswith("$"):
            assert line not in found or "trie" not in format
            found.setdefault(line, set()).add(code)
    return by_network(found.items()) if "ip" in format else lambda name: best(found, name)


def best(found: dict[str, set[str]], name: str) -> set[str]:
    labels = name.split(".")
    for above in [name, *("." + ".".join(labels[start:]) for start in range(len(labels)))]:
        if "!" + above in found:
            return set()
        if above in found:
            return found[above]
    return set()


def nearest(rows: Iterable[tuple[str, set[str]]]) -> Listed:
    """By name: the entry nearest above, or the name's own."""
    found = dict(rows)

    def listed(name: str) -> set[str]:
        labels = name.split(".")
        above = (".".join(labels[start:]) for start in range(len(labels)))
        return next((found[upper] for upper in above if upper in found), set())

    return listed
