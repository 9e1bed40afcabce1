"""A primary and a mirror of it, both the real program; what the primary publishes, the test decides itself."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from server import Server, free_port, until

sys.path.append(str(Path(__file__).parent.parent / "zones"))

from worlds import World

from dnsbl import config
from dnsbl.zones.export import export
from dnsbl.zones.followed import read_followed
from dnsbl.zones.served import ServedZone, read_pointer, zone_directory

SECRET = base64.b64encode(b"a secret of 32 octets, shared...").decode()
OTHER = base64.b64encode(b"another of 32 octets, not shared").decode()
KEY = '[[dns.keys]]\nname = "mirror.key"\nsecret = "{}"\n'
CODES = """
[[codes]]
code = "127.0.0.2"
categories = ["spam"]
text = "$ sends spam"
{spam}
[[codes]]
code = "127.0.0.4"
categories = ["malware"]
text = "$ has malware: https://bl.example/?q=$"
"""
SOA = "refresh = 60\nretry = 1\nexpire = 3600\nminimum = 5\nttl = 60"


def write_zones(directory: Path, soa: str = SOA) -> Path:
    """An ip zone with a sublist, and a domain zone."""
    directory.mkdir()
    for kind, spam in (("ip", 'sublist = "spam"'), ("domain", "")):
        head = f'origin = "{kind}.example"\nkind = "{kind}"\nns = ["ns1.example", "ns2.example"]\n'
        (directory / f"{kind}.toml").write_text(f"{head}[soa]\n{soa}\n{CODES.format(spam=spam)}")
    return directory


@dataclass
class Node:
    """A server's directory, its configuration, and the server."""

    directory: Path
    port: int
    more: str

    def server(self, dns: str = "", role: str = "dns", **env: str) -> Server:
        """`dns`: more lines for [dns]."""
        path = self.directory / "dnsbl.toml"
        path.write_text(
            f'data_dir = "data"\nzones_dir = "zones"\nfeeds_dir = "no-feeds"\n[dns]\n'
            f'listen = ["127.0.0.1:{self.port}"]\n{dns}\n[web]\nlisten = "127.0.0.1:{free_port()}"\n{self.more}'
        )
        (self.directory / "no-feeds").mkdir(exist_ok=True)
        return Server(self.directory, config=path, role=role, env=env)

    def view(self, zone: str) -> ServedZone | None:
        pointer = read_pointer(zone_directory(self.directory / "data", zone))
        return pointer.open() if pointer else None

    def records(self, zone: str) -> set[str]:
        """All records of a zone, as lines of a master file with their names."""
        view, name, found = self.view(zone), "", set()
        for line in b"".join(export(view, "bind")).decode().splitlines() if view else ():
            if not line.startswith(";"):
                name = line.partition("\t")[0] or name
                found.add(f"{name}\t{line.partition(chr(9))[2]}")
        return found

    def world(self) -> World:
        """What decides what this server's zones are. Its store is to be closed."""
        (self.directory / "data").mkdir(exist_ok=True)
        return World(self.directory / "data", config.load(self.directory / "dnsbl.toml").zones.values())


def followed_from(port: int, key: str = "mirror.key", more: str = "") -> str:
    signed = f'key = "{key}"\n' if key else ""
    return "".join(
        f'[[follow]]\nzone = "{zone}"\nprimaries = ["127.0.0.1:{port}"]\n{signed}{more}' for zone in ("ip", "domain")
    )


@contextmanager
def pair(directory: Path, soa: str = SOA, secret: str = SECRET) -> Iterator[tuple[Node, Node, World]]:
    """A primary and its mirror, neither started; `secret`: the mirror's."""
    ports = free_port(), free_port()
    nodes = [Node(directory / name, port, "") for name, port in zip(("primary", "mirror"), ports, strict=True)]
    for node in nodes:
        node.directory.mkdir()
        write_zones(node.directory / "zones", soa)
    primary, mirror = nodes
    primary.more = KEY.format(SECRET) + (
        f'[[dns.secondaries]]\naddress = "127.0.0.1:{mirror.port}"\nkey = "mirror.key"\n'
    )
    mirror.more = KEY.format(secret) + followed_from(primary.port)
    primary.server(GIVES)  # writes its configuration
    world = primary.world()
    try:
        yield primary, mirror, world
    finally:
        world.store.close()


GIVES = 'transfer = ["127.0.0.0/8"]\ntransfer_keys = ["mirror.key"]'


def publish(world: World, *deeds: tuple[str, str]) -> None:
    """Some changes, published: (`spam` or `malware` or `exempt`, subject)."""
    world.now += 10
    for deed, subject in deeds:
        if deed == "exempt":
            world.exempt(subject)
        else:
            world.report(subject, category=deed)
    world.settle()
    for name in world.zones:
        world.publish(name)


def caught_up(primary: Node, mirror: Node) -> None:
    """Wait until the mirror holds what the primary holds: its serial, and every record."""
    for zone in ("ip", "domain"):
        until(lambda z=zone: same_serial(primary, mirror, z), f"{zone}: the primary's serial")  # type: ignore[misc]
        assert mirror.records(zone) == primary.records(zone)


def same_serial(primary: Node, mirror: Node, zone: str) -> bool:
    one, other = primary.view(zone), mirror.view(zone)
    return one is not None and other is not None and one.serial == other.serial


def error_of(mirror: Node, zone: str) -> str:
    state = read_followed(zone_directory(mirror.directory / "data", zone))
    return state.error if state else ""
