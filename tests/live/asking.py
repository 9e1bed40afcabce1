"""Many questions to DNS servers on the loopback, over UDP: to all of them at once, and none is lost in the end."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address

NOERROR, NXDOMAIN = 0, 3
A, TXT, AAAA = 1, 16, 28
WINDOW = 128  # questions under way at one server: more are not sure to fit into the socket of one that is slow
BUFFER = 1 << 20  # octets that are asked for, to keep the replies of the others meanwhile; a kernel may give less
TRIES = 8
LOST_AFTER = 0.5  # seconds without any reply
OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"  # replies of up to 4096 octets


def question(name: str, kind: int = A, *, edns: bool = False) -> bytes:
    """A query, without its id."""
    labels = b"".join(bytes((len(label),)) + label for label in name.encode().split(b"."))
    head = b"\0\0\0\1\0\0\0\0\0" + bytes((edns,))
    return head + labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1" + (OPT if edns else b"")


def name4(number: int) -> str:
    return ".".join(reversed(str(IPv4Address(number)).split(".")))


def name6(number: int) -> str:
    return ".".join(f"{number:032x}"[::-1])


def ask(ports: Sequence[int], questions: Sequence[bytes]) -> list[list[bytes]]:
    """For each server, its reply to each question. While one is read, the others answer."""
    found = [[b""] * len(questions) for _ in ports]
    with ExitStack() as opened:
        sockets = [opened.enter_context(connected(port)) for port in ports]
        for start in range(0, len(questions), WINDOW):
            waiting = [set(range(start, min(start + WINDOW, len(questions)))) for _ in ports]
            for _ in range(TRIES):
                for sock, numbers in zip(sockets, waiting, strict=True):
                    for number in numbers:
                        sock.send((number & 0xFFFF).to_bytes(2, "big") + questions[number])
                for sock, numbers, replies in zip(sockets, waiting, found, strict=True):
                    receive(sock, start, numbers, replies)
                if not any(waiting):
                    break
            for port, numbers in zip(ports, waiting, strict=True):
                assert not numbers, f"no reply from port {port} to {questions[min(numbers)]!r}"
    return found


def connected(port: int) -> socket.socket:
    """Waiting is left to the kernel: with a timeout of Python's, each reply would cost two calls."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(LOST_AFTER * 1e6)))
    sock.connect(("127.0.0.1", port))
    return sock


def receive(sock: socket.socket, start: int, waiting: set[int], replies: list[bytes]) -> None:
    """Replies, until all are there or no more come. Late ones, to questions before `start`, are dropped."""
    while waiting:
        try:
            reply = sock.recv(65535)
        except BlockingIOError:
            return
        number = start + (int.from_bytes(reply[:2], "big") - start & 0xFFFF)
        if number in waiting:
            waiting.discard(number)
            replies[number] = reply


def records(reply: bytes, wanted: int) -> list[bytes]:
    """The data of all records of a type in the answer section."""
    if reply[6:8] == b"\0\0":
        return []
    at = reply.index(b"\0", 12) + 5  # no label has such an octet
    found = []
    for _ in range(int.from_bytes(reply[6:8], "big")):
        while reply[at] and reply[at] < 0xC0:
            at += reply[at] + 1
        at += 2 if reply[at] else 1
        kind, size = int.from_bytes(reply[at : at + 2], "big"), int.from_bytes(reply[at + 8 : at + 10], "big")
        if kind == wanted:
            found.append(reply[at + 10 : at + 10 + size])
        at += 10 + size
    return found
