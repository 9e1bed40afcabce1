"""Exported files in the programs they are for: each is asked 5,000 times what our DNS is asked, and says the same."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import maxminddb
import pytest
from asking import AAAA, NXDOMAIN, A, name4, name6
from building import DATA, build
from edges import SUBJECTS, domain_names, public_addresses
from exports import Codes, codes_of, codes_of_name, namespace, program, run, write
from peers import Question, replies, running
from server import free_port, until

from dnsbl.zones.served import ServedZone

pytestmark = [
    pytest.mark.peer,
    pytest.mark.data,
    pytest.mark.heavy,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real lists at {DATA}: set DNSBL_DATA"),
]


OUTSIDE = ("test", "invalid")  # tops that no name for these questions is below
FEW = 100  # questions that take a process each


@dataclass(slots=True)
class World:
    directory: Path
    ip: ServedZone
    domain: ServedZone
    four: list[str]
    six: list[str]
    names: list[str]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """In a directory that any user may read: some programs do not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="dnsbl-exports-"))
    directory.chmod(0o755)
    try:
        zones = build(directory)
        chosen = random.Random(8509)
        names = [name for name in domain_names(zones["domain"], chosen) if name.rpartition(".")[2] not in OUTSIDE]
        names = [name for name in names if "." in name]
        four, six = public_addresses(zones["ip"], chosen)
        yield World(directory, zones["ip"], zones["domain"], four, six, chosen.sample(names, SUBJECTS))
    finally:
        shutil.rmtree(directory)


def listed(view: ServedZone, addresses: Sequence[str]) -> set[str]:
    found = {address for address in addresses if codes_of(view, address)}
    assert len(addresses) // 5 < len(found) < len(addresses)  # the questions are about both
    return found


def reversed_name(address: str) -> str:
    number = int(ip_address(address))
    return name6(number) if ":" in address else name4(number)


# rbldnsd


def first_code(view: ServedZone, codes: Codes) -> Codes:
    return frozenset([code.code for code in view.zone.codes if code.code in codes][:1])


@pytest.mark.parametrize("type", ["ip4set", "ip4trie", "ip6trie", "dnset"])
def test_rbldnsd_answers_from_single_data_sets(world: World, type: str) -> None:
    rbldnsd = program("rbldnsd", "rbldnsd")
    view = world.domain if type == "dnset" else world.ip
    origin = view.zone.origin
    if type == "dnset":
        expected = {name: codes_of_name(view, name) for name in world.names}
        expected |= {name: codes_of_name(view, name) for name in ("test", "x.test", "spam.test", "invalid")}
    else:
        asked = world.six if type == "ip6trie" else [*world.four, "127.0.0.1", "127.0.0.2", "127.0.0.10"]
        expected = {reversed_name(address): codes_of(view, address) for address in asked}
    if type.endswith("trie"):
        expected = {name: first_code(view, codes) for name, codes in expected.items()}
    path, port = write(view, f"rbldnsd-{type}", world.directory), free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    command = [rbldnsd, "-n", *user, "-w", str(world.directory), "-b", f"127.0.0.1/{port}", "-c", "0"]
    point = {"dnset": "test", "ip6trie": name6(0xFFFF7F000002)}.get(type, "2.0.0.127")
    with running([*command, f"{origin}:{type}:{path.name}"], port, world.directory / "log", [Question(point, origin)]):
        questions = [Question(name, origin) for name in expected]
        said = replies(port, questions)
    found = {question.name: reply[1] for question, reply in zip(questions, said, strict=True) if not question.mapped}
    assert found == {name: codes for name, codes in expected.items() if name in found}
    assert sum(map(bool, found.values())) > len(found) // 5


# resolvers


def resolver(world: World, port: int, origin: str, policy: Path, hosts: Sequence[str]) -> list[str]:
    """BIND with a policy, and everything else there is in DNS in one zone of its own."""
    records = "$TTL 60\n@ SOA a. a. 1 60 60 60 60\n@ NS a.\na. A 192.0.2.1\n" + "".join(hosts)
    (world.directory / "all").write_text(records)
    (world.directory / "named.conf").write_text(f"""
        options {{ directory "{world.directory}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            recursion yes; pid-file none; session-keyfile none; dnssec-validation no;
            response-policy {{ zone "rpz.{origin}"; }} recursive-only no qname-wait-recurse no; }};
        controls {{ }};
        zone "." {{ type primary; file "all"; check-names ignore; }};
        zone "rpz.{origin}" {{ type primary; file "{policy.name}"; check-names ignore; }};
    """)
    return [program("named", "bind9"), "-g", "-c", str(world.directory / "named.conf"), "-n", "2"]


def complaints(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if re.search(r"rpz.*(invalid|warning|error|duplicate)", line)]


def test_bind_hides_the_names_that_are_listed(world: World) -> None:
    port, log = free_port(), world.directory / "named.log"
    policy = write(world.domain, "rpz", world.directory)
    command = resolver(world, port, world.domain.zone.origin, policy, ["*. A 192.0.2.99\n"])
    questions = [Question(*name.split(".", 1)) for name in world.names]
    with running(command, port, log, [Question("free", "example")]):
        until(lambda: "reload done: success" in log.read_text(), "the policy is in use")
        free = {name for name in world.names if not codes_of_name(world.domain, name)}

        def shown() -> set[str]:
            said = replies(port, questions)
            return {name for name, (_, addresses) in zip(world.names, said, strict=True) if addresses}

        until(lambda: shown() == free, "what is listed is hidden, and nothing else")
    assert not complaints(log)


def test_bind_hides_the_names_whose_addresses_are_listed(world: World) -> None:
    port, log = free_port(), world.directory / "named.log"
    policy = write(world.ip, "rpz", world.directory)
    addresses = world.four + world.six
    hosts = [f"h{n}.all. {'AAAA' if ':' in address else 'A'} {address}\n" for n, address in enumerate(addresses)]
    command = resolver(world, port, world.ip.zone.origin, policy, [*hosts, "free.all. A 192.0.2.99\n"])
    kinds = [AAAA if ":" in address else A for address in addresses]
    questions = [Question(f"h{n}", "all", kind) for n, kind in enumerate(kinds)]
    with running(command, port, log, [Question("free", "all")]):
        until(lambda: "reload done: success" in log.read_text(), "the policy is in use")

        def hidden() -> set[str]:
            said = replies(port, questions)
            return {address for address, (rcode, _) in zip(addresses, said, strict=True) if rcode == NXDOMAIN}

        # A named that has little time has not taken up all of a policy when it says so.
        expected = listed(world.ip, addresses)
        until(lambda: hidden() == expected, "what is listed is hidden, and nothing else")
    assert not complaints(log)


# firewalls


@pytest.mark.long
def test_nftables_takes_the_file_twice_and_has_the_same_sets(world: World) -> None:
    nft = program("nft", "nftables")
    path = write(world.ip, "nftables", world.directory)
    table = f"dnsbl-{world.ip.zone.name}"
    with namespace("nft") as inside:
        run(*inside, nft, "-f", path)
        run(*inside, nft, "add", "chain", "inet", table, "input", "{ type filter hook input priority 0; }")
        run(*inside, nft, "add", "rule", "inet", table, "input", "ip", "saddr", "@v4", "drop")
        run(*inside, nft, "add", "element", "inet", table, "v4", "{ 192.0.2.7 }")  # gone when it is loaded again
        run(*inside, nft, "-f", path)
        assert "@v4 drop" in run(*inside, nft, "list", "chain", "inet", table, "input").stdout
        held = nft_ranges(run(*inside, nft, "list", "table", "inet", table).stdout)
    for address in ["192.0.2.7", "127.0.0.2", "::ffff:127.0.0.2"]:
        assert not within(held, address)
    for addresses in (world.four, world.six):
        assert {address for address in addresses if within(held, address)} == listed(world.ip, addresses)


def nft_ranges(ruleset: str) -> list[tuple[int, int, int]]:
    """(version, first, last) of all elements, as nft lists them."""
    found = []
    for elements in re.findall(r"elements = \{([^}]*)\}", ruleset):
        for element in elements.split(","):
            first, last = bounds(element.strip())
            found.append((4 if "." in element else 6, first, last))
    return sorted(found)


def bounds(text: str) -> tuple[int, int]:
    if "-" in text:
        first, _, last = text.partition("-")
        return int(ip_address(first)), int(ip_address(last))
    host, _, prefix = text.partition("/")
    number = ip_address(host)
    return int(number), int(number) + (1 << (number.max_prefixlen - int(prefix or number.max_prefixlen))) - 1


def within(ranges: list[tuple[int, int, int]], address: str) -> bool:
    number = ip_address(address)
    place = bisect_right(ranges, (number.version, int(number), 1 << 128)) - 1
    return place >= 0 and ranges[place][0] == number.version and ranges[place][2] >= int(number)


def test_ipset_restores_the_file_twice_and_knows_the_same_addresses(world: World) -> None:
    ipset = program("ipset", "ipset")
    path = write(world.ip, "ipset", world.directory)
    name = f"dnsbl-{world.ip.zone.name}"
    with namespace("ipset") as inside:
        if subprocess.run([*inside, ipset, "create", "try", "hash:net"], capture_output=True, check=False).returncode:
            pytest.skip("this kernel has no ip_set_hash_net")
        run(*inside, ipset, "restore", "-file", path)
        run(*inside, ipset, "add", f"{name}-4", "192.0.2.7")  # gone when it is loaded again
        run(*inside, ipset, "restore", "-file", path)
        sets = run(*inside, ipset, "list", "-name").stdout.split()
        assert sorted(sets) == sorted(["try", f"{name}-4", f"{name}-6"])
        assert not any(known(inside, ipset, f"{name}-4", address) for address in ("192.0.2.7", "127.0.0.2"))
        for number, addresses in (("4", world.four), ("6", world.six)):
            entries = run(*inside, ipset, "list", f"{name}-{number}").stdout.partition("Members:\n")[2].split()
            held = sorted((int(number), *bounds(entry)) for entry in entries)
            assert {address for address in addresses if within(held, address)} == listed(world.ip, addresses)
            for address in addresses[:: len(addresses) // FEW]:
                assert known(inside, ipset, f"{name}-{number}", address) == bool(codes_of(world.ip, address)), address


def known(inside: list[str], ipset: str, name: str, address: str) -> bool:
    return subprocess.run([*inside, ipset, "-q", "test", name, address], check=False).returncode == 0


# mail


@pytest.mark.parametrize(("format", "action"), [("postfix-cidr", "REJECT 5.7.1 "), ("postscreen-cidr", "reject")])
def test_postmap_finds_the_same_addresses(world: World, format: str, action: str) -> None:
    """The whole table, which postmap reads anew for each run, with all questions on its standard input."""
    postmap = program("postmap", "postfix")
    path = write(world.ip, format, world.directory)
    step = 10 if format == "postfix-cidr" else 1  # it goes through the whole table, and texts make it a long way
    for addresses in (world.four[::step], world.six[::step]):
        done = subprocess.run(
            [postmap, "-q", "-", f"cidr:{path}"],
            input="\n".join(addresses) + "\n", capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert not done.stderr
        answers = dict(line.split("\t", 1) for line in done.stdout.splitlines())
        assert answers.keys() == listed(world.ip, addresses)
        assert all(said.startswith(action) for said in answers.values())


# data


@pytest.mark.parametrize("mode", [maxminddb.MODE_MMAP, maxminddb.MODE_MMAP_EXT], ids=["python", "c"])
def test_readers_of_mmdb_find_the_same_codes(world: World, mode: int) -> None:
    path = write(world.ip, "mmdb", world.directory)
    try:
        reader = maxminddb.open_database(path, mode)
    except ValueError:
        pytest.skip("maxminddb was built without its C extension (libmaxminddb-dev)")
    with reader:
        for address in world.four + world.six:
            found = reader.get(address)
            assert frozenset(found["codes"] if found else ()) == codes_of(world.ip, address), address
        assert reader.get("127.0.0.2") is None


def test_every_export_can_be_made_from_real_zones(world: World) -> None:
    """CSV is what a list is checked with: as many rows as there are networks and names."""
    for view in (world.ip, world.domain):
        rows = write(view, "csv", world.directory).read_text().splitlines()
        lines = write(view, "ndjson", world.directory).read_text().splitlines()
        assert len([row for row in rows if not row.startswith("#")]) == len(lines) > 10_000
