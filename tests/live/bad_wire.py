"""Two network namespaces with a wire between them that is as bad as a test wants it: late, lossy, cut.

Each end is a TUN device; what comes out of one goes into the other from here, packet by packet. Nothing of the kernel
is needed but TUN and namespaces (netem is a module that many machines do without). Root only. What a test does within
`at` it does at one end: it starts servers there and asks them, each end with a loopback of its own.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which

__all__ = ["FAR", "NEAR", "BadWire", "why_not"]

NEAR, FAR = "10.77.0.1", "10.77.0.2"  # the addresses of the two ends
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
MAX_PACKET = 65_536
QUEUE = 10_000  # packets under way: more are lost, as in any queue


def why_not() -> str:
    """Why there can be none here; empty: there can."""
    if os.geteuid() != 0:
        return "network namespaces are made by root"
    if which("ip") is None:
        return "no ip: apt-get install iproute2"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun"
    name = f"dnsbl-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class BadWire:
    """The namespaces `near` and `far`, and the wire between them. `delay` (seconds each way), `loss` (share of
    packets), `cut` and `drops` (which packets never arrive) may be set at any time."""

    def __init__(self, name: str, delay: float = 0.0, loss: float = 0.0, seed: int = 1) -> None:
        self.near, self.far = f"{name}-near", f"{name}-far"
        self.delay, self.loss, self.cut = delay, loss, False
        self.drops: Callable[[bytes], bool] = lambda packet: False
        self.cut_at: int | None = None  # packets that have passed
        self.chance = random.Random(seed)
        self.passed = self.lost = 0  # packets
        self.ends: list[int] = []
        self.stop, self.stopped = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)

    def __enter__(self) -> BadWire:
        try:
            self.lay()
        except OSError:
            self.__exit__()
            raise
        self.thread.start()
        return self

    def lay(self) -> None:
        for namespace, device, own, peer in (
            (self.near, "wire0", NEAR, FAR),
            (self.far, "wire1", FAR, NEAR),
        ):
            run("ip", "netns", "add", namespace)
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            self.ends.append(end)
            unique = f"{device}-{os.getpid() % 100_000}"
            fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", unique.encode(), IFF_TUN | IFF_NO_PI))
            run("ip", "link", "set", unique, "netns", namespace)
            inside = ("ip", "-n", namespace)
            run(*inside, "address", "add", own, "peer", peer, "dev", unique)
            run(*inside, "link", "set", unique, "up")
            run(*inside, "link", "set", "lo", "up")

    def __exit__(self, *_: object) -> None:
        os.write(self.stopped, b"x")
        if self.thread.ident:
            self.thread.join(10)
        for end in [*self.ends, self.stop, self.stopped]:
            os.close(end)
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)

    @contextmanager
    def at(self, end: str) -> Iterator[None]:
        """Sockets that this thread makes, and processes that it starts, are at one end."""
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{end}") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(before.fileno())

    def cut_after(self, packets: int) -> None:
        """Be cut once so many more have passed."""
        self.cut_at = self.passed + packets

    def heal(self) -> None:
        self.cut_at, self.cut = None, False

    def carry(self) -> None:
        """Take packets at one end, give them to the other when they are due."""
        under_way: list[tuple[float, int, int, bytes]] = []
        number = 0
        while True:
            wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
            readable, _, _ = select.select([*self.ends, self.stop], [], [], wait)
            if self.stop in readable:
                return
            for end in readable:
                with suppress(BlockingIOError):
                    packet = os.read(end, MAX_PACKET)
                    if self.cut or len(under_way) >= QUEUE or self.chance.random() < self.loss or self.drops(packet):
                        self.lost += 1
                        continue
                    number += 1
                    heapq.heappush(under_way, (time.monotonic() + self.delay, number, self.other(end), packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(under_way)
                with suppress(OSError):
                    if not self.cut:
                        os.write(end, packet)
                        self.passed += 1
                        if self.passed == self.cut_at:
                            self.cut = True

    def other(self, end: int) -> int:
        return self.ends[1 - self.ends.index(end)]


def enter(namespace: int) -> None:
    """Move this thread. Python has a name for it from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
