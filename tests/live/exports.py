"""What tests of exported files share: programs, a network of their own, and what our DNS answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone

PATHS = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")
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
