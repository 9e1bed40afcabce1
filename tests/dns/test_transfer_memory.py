"""What a transfer holds does not grow with the zone: the peak of a process that gives a small one, and a large one.

Each is given by the courier's own code in a process of its own, to one who reads everything; it is asked for whole, and
by IXFR from the serial that it has.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from dnsbl.config import ZoneDef
from dnsbl.zones import names as naming
from dnsbl.zones.arrays import Arrays, write
from dnsbl.zones.build import Answers, ip_arrays, no_ranges
from dnsbl.zones.served import CURRENT, zone_directory
from dnsbl.zones.table import Pieces, pieces

# MB. What was held of each entry before, 24 octets of an address and 90 of a name, would be 34 and 54 more.
SLACK = 10
SMALL = 200_000  # entries
SERIAL = 7
Make = Callable[[Answers, int], Arrays]
GIVE = """
import logging, socket, struct, sys, threading
from pathlib import Path
from dnsbl.courier.giving import Giving
from dnsbl.courier.outlet import Outlet
from dnsbl.courier.request import Request
from dnsbl.dns.stream import Head

def drain(reader, counts):
    while size := reader.recv(4, socket.MSG_WAITALL):
        frame = reader.recv(struct.unpack("!I", size)[0], socket.MSG_WAITALL)
        if len(frame) > 14:
            counts.append(struct.unpack("!H", frame[8:10])[0])

zone, giving = sys.argv[2], Giving(Path(sys.argv[1]))
name = b"".join(bytes((len(label),)) + label for label in f"{zone}.example".encode().split(b".")) + b"\\0"
for serial, qtype in ((7, 251), (None, 252)):
    near, far = socket.socketpair()
    counts = []
    reading = threading.Thread(target=drain, args=(far, counts))
    reading.start()
    head = Head(b"\\0\\1", 0, name + struct.pack("!HH", qtype, 1), b"", None, b"")
    giving.give(Request(zone, serial, "127.0.0.1", head), Outlet(near))
    reading.join()
    print(sum(counts))
    far.close()
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def addresses(answers: Answers, count: int) -> Arrays:
    """Every other one is beside the one before, and has another code."""
    number = np.arange(count, dtype=np.uint64)
    first = np.uint64(1 << 24) + number // np.uint64(2) * np.uint64(7) + number % np.uint64(2)
    return ip_arrays(Pieces(first, first, np.uint64(1) << number % np.uint64(2)), pieces([]), [], answers)


def names(answers: Answers, count: int) -> Arrays:
    """Some below others."""
    values = [answers.id(1), answers.id(2)]
    found = {b"com.example%07d%s" % (n // 2, b".below" * (n % 2)): values[n % 2] for n in range(count)}
    return {**no_ranges(answers), **naming.index(found)}


def published(data: Path, kind: str, make: Make, count: int) -> None:
    codes = [{"code": "127.0.0.2", "categories": ["spam"]}, {"code": "127.0.0.4", "categories": ["malware"]}]
    zone = ZoneDef.model_validate(
        {"name": kind, "kind": kind, "origin": f"{kind}.example", "ns": ["ns1.example.net"], "codes": codes}
    )
    answers = Answers(zone)
    arrays = make(answers, count)
    info = {"zone": zone.model_dump(mode="json", by_alias=True), "serial": SERIAL, "seq": 1, "names": count}
    directory = zone_directory(data, kind)
    directory.mkdir(parents=True)
    write(directory / f"{SERIAL}.base", info | {"answers": answers.lists()}, arrays)
    (directory / CURRENT).write_bytes(orjson.dumps({"base": f"{SERIAL}.base", "delta": None, "serial": SERIAL}))


def given(data: Path, kind: str) -> tuple[int, int, float]:
    """Records of the IXFR and of the whole zone, and the most memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", GIVE, str(data), kind], check=True, capture_output=True, text=True, timeout=120
    )
    differences, whole, peak = done.stdout.split()
    return int(differences), int(whole), float(peak)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc/self/status to read the peak from")
@pytest.mark.parametrize(
    ("kind", "make", "large", "each"), [("ip", addresses, 1_600_000, 1), ("domain", names, 800_000, 2)]
)
def test_memory_of_a_transfer_is_constant_in_the_zone_s_size(
    tmp_path: Path, kind: str, make: Make, large: int, each: int
) -> None:
    peaks = []
    for count in (SMALL, large):
        data = tmp_path / str(count)
        published(data, kind, make, count)
        differences, whole, peak = given(data, kind)
        assert differences == 1 and whole >= count * each
        peaks.append(peak)
    assert peaks[1] - peaks[0] < SLACK, peaks
