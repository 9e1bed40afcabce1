"""Another DNS server on what we exported: run, and asked."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from asking import A, ask, question, records

__all__ = ["Question", "Reply", "end", "parsed", "replies", "running"]

PATIENCE = 90  # seconds for a server to load its zones
END_WITHIN = 30  # seconds for a server to end by itself

Reply = tuple[int, frozenset[str]]  # rcode, A records


@dataclass(slots=True)
class Question:
    name: str  # before the origin
    origin: str
    kind: int = A
    wire: bytes = field(init=False)  # without its id

    def __post_init__(self) -> None:
        self.wire = question(f"{self.name}.{self.origin}", self.kind)

    @property
    def labels(self) -> list[str]:
        return self.name.split(".")

    @property
    def address_labels(self) -> list[str]:
        """The labels of an address, without those of a sublist."""
        return [label for label in self.labels if len(label) == 1 or label.isdigit()]

    @property
    def mapped(self) -> bool:
        """Whether it is about an IPv4-mapped IPv6 address."""
        labels = self.address_labels
        return len(labels) == 32 and labels[8:] == ["f"] * 4 + ["0"] * 20


@contextmanager
def running(command: list[str], port: int, log: Path, tests: Sequence[Question]) -> Iterator[int]:
    """A server, from when it answers the test points until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not all(answers(port, test) for test in tests):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL where that is not obeyed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_WITHIN)
    process.kill()  # nothing where it has ended
    process.wait(END_WITHIN)


def answers(port: int, test: Question) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(b"\0\1" + test.wire)
            return bool(parsed(sock.recv(4096))[1])
        except OSError:
            return False


def replies(port: int, asked: Sequence[Question]) -> list[Reply]:
    [found] = ask([port], [each.wire for each in asked])
    return list(map(parsed, found))


def parsed(reply: bytes) -> Reply:
    return reply[3] & 15, frozenset(".".join(map(str, each)) for each in records(reply, A))
