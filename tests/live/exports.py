"""What tests of exported files share: zones from real lists, and what they answer."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from dnsbl import config, subjects
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import open_store
from dnsbl.zones.contents import Contents, contents
from dnsbl.zones.export import export
from dnsbl.zones.publish import Publisher, zone_directory
from dnsbl.zones.served import ServedZone, read_pointer

SUBJECTS = 5_000
PATHS = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")
NOW = 1_790_000_000
PATIENCE = 60  # seconds for a program to do its work

Codes = frozenset[str]


def program(name: str, package: str) -> str:
    """Where a program is; the test is skipped, aloud, where it is nowhere."""
    found = shutil.which(name, path=PATHS)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def run(*command: str | Path, input: str | None = None, **more: object) -> subprocess.CompletedProcess[str]:
    """A program to its end; what it says is in the failure."""
    done = subprocess.run(
        [*map(str, command)], input=input, capture_output=True, text=True, timeout=PATIENCE, check=False, **more
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr[-2000:]}{done.stdout[-2000:]}"
    return done


def write(view: ServedZone, format: str, directory: Path) -> Path:
    path = directory / f"{view.zone.name}.{format}"
    with path.open("wb") as file:
        file.writelines(export(view, format))
    return path


@contextmanager
def namespace(name: str) -> Iterator[list[str]]:
    """A network of one's own; gives what goes in front of a command. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    inside = f"{name}-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", inside], capture_output=True, check=False).returncode:
        pytest.skip("this kernel or container lets nobody make a network namespace (ip netns add)")
    try:
        yield ["ip", "netns", "exec", inside]
    finally:
        subprocess.run(["ip", "netns", "del", inside], check=True)


def codes_of(view: ServedZone, address: str) -> Codes:
    """What our DNS answers for an address."""
    number = int(ip_address(address))
    found = view.lookup6(number) if ":" in address else view.lookup4(number)
    return frozenset(view.zone.codes[code].code for code in view.answers[found])


def codes_of_name(view: ServedZone, name: str) -> Codes:
    found = view.lookup_name([label.encode() for label in reversed(name.split("."))])
    return frozenset(view.zone.codes[code].code for code in view.answers[found]) if found > 0 else frozenset()


def public_addresses(view: ServedZone, chosen: random.Random) -> tuple[list[str], list[str]]:
    """IPv4 and IPv6 addresses at and around the edges of what is listed, inside it, and anywhere; no test points."""
    held = contents(view)
    four = {number for first, last in ranges4(held) for number in around(first, last, chosen)}
    six = {number for first, last in ranges6(held) for number in around(first, last, chosen)}
    some4 = chosen.sample(sorted(four), min(SUBJECTS // 2, len(four)))
    some6 = chosen.sample(sorted(six), min(SUBJECTS // 4, len(six)))
    some4 += [chosen.randrange(1 << 24, 224 << 24) for _ in range(SUBJECTS // 4)]
    some6 += [0x2000 << 112 | chosen.randrange(1 << 125) for _ in range(SUBJECTS - len(some4) - len(some6))]
    return (
        [str(IPv4Address(number)) for number in some4 if number >> 24 != 127],
        [str(IPv6Address(number)) for number in some6 if number >> 64],
    )


def around(first: int, last: int, chosen: random.Random) -> tuple[int, ...]:
    return max(first - 1, 0), first, chosen.randint(first, last), last, last + 1


def ranges4(held: Contents) -> Iterator[tuple[int, int]]:
    return zip(held.ip4.first.tolist(), held.ip4.last.tolist(), strict=True)


def ranges6(held: Contents) -> Iterator[tuple[int, int]]:
    for first, last in zip(held.ip6.first.tolist(), held.ip6.last.tolist(), strict=True):
        yield first << 64, (last << 64) + 2**64 - 1
    for piece in held.deep:
        yield piece.upper << 64 | piece.first, piece.upper << 64 | piece.last


def small(directory: Path, listed: dict[str, list[str]]) -> dict[str, ServedZone]:
    """The bundled zones with a few subjects by category."""
    (directory / "dnsbl.toml").write_text('data_dir = "data"\n')
    settings = config.load(directory / "dnsbl.toml")
    store = open_store(settings.config)
    try:
        for category, texts in listed.items():
            source = store.source(category, "import", trust=0.9)
            store.replace_entries(source.id, {subjects.parse(text): 9 for text in texts}, {}, category, NOW)
        cache = ExemptionCache(store)
        sweep(store, settings.zones, cache, NOW)
        made = {}
        for name, zone in settings.zones.items():
            Publisher(store, zone, settings.config.data_dir).publish(cache.get(NOW), NOW)
            pointer = read_pointer(zone_directory(settings.config.data_dir, name))
            assert pointer is not None
            made[name] = pointer.open()
        return made
    finally:
        store.close()
