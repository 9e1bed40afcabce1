"""The units: systemd itself reads and rates them, and what the server does is tried under the same restrictions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "systemd"
SERVICE = UNITS / "dnsbl.service"
SOCKET = UNITS / "dnsbl-dns.socket"
MOST_EXPOSED = 2.0

pytestmark = pytest.mark.peer


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if not found:
        pytest.skip("systemd-analyze is not installed: the units are not verified (apt install systemd)")
    return found


def settings(unit: Path, name: str) -> list[str]:
    """The values of a setting, one for each line that has it."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_systemd_has_nothing_to_say_about_the_units(analyze: str, tmp_path: Path) -> None:
    """Verified as they are, but for the program's path, which exists where the server is installed."""
    (tmp_path / SOCKET.name).write_text(SOCKET.read_text())
    program = settings(SERVICE, "ExecStart")[0].split()[0]
    (tmp_path / SERVICE.name).write_text(SERVICE.read_text().replace(program, sys.executable))
    result = run(analyze, "verify", "--man=no", tmp_path / SERVICE.name, tmp_path / SOCKET.name)
    ours = [line for line in (result.stdout + result.stderr).splitlines() if "dnsbl" in line]
    assert (result.returncode, ours) == (0, [])


def test_the_service_is_exposed_as_little_as_it_can_be(analyze: str) -> None:
    result = run(analyze, "security", "--offline=true", "--no-pager", "--json=short", SERVICE)
    if result.returncode and "offline" in result.stderr:
        pytest.skip("this systemd-analyze cannot rate a unit that is not installed (older than 250)")
    rows = json.loads(result.stdout)
    left = [(row["json_field"], row["exposure"]) for row in rows if float(row["exposure"] or 0) > 0]
    result = run(analyze, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED * 10:.0f}", SERVICE)
    assert result.returncode == 0, left
    score = re.search(r"exposure level for \S+ ([0-9.]+)", result.stdout)
    assert score is not None
    assert float(score[1]) <= MOST_EXPOSED, left


def test_the_service_never_is_root_and_restarts_when_it_fails() -> None:
    assert settings(SERVICE, "User") == ["dnsbl"]
    assert settings(SERVICE, "CapabilityBoundingSet") == [""]
    assert settings(SERVICE, "Type") == ["notify"]
    assert settings(SERVICE, "Restart") == ["on-failure"]
    assert settings(SERVICE, "StateDirectory") == ["dnsbl"]
    assert re.search(r"^u dnsbl - ", (UNITS / "dnsbl.sysusers.conf").read_text(), re.MULTILINE)


def test_the_sockets_are_the_ones_the_server_asks_for() -> None:
    assert settings(SOCKET, "ListenDatagram") == settings(SOCKET, "ListenStream") == ["0.0.0.0:53", "[::]:53"]
    assert settings(SOCKET, "FileDescriptorName") == ["dns"]
    assert settings(SOCKET, "Service") == [SERVICE.name]
    assert settings(SERVICE, "Sockets") == [SOCKET.name]


# A process that puts the unit's restrictions on itself, and on all that it starts: allowed calls, then families.
CONFINE = """
import ctypes, ctypes.util, errno, mmap, os, socket, sys

def confine(calls, families):
    lib = ctypes.CDLL(ctypes.util.find_library("seccomp"), use_errno=True)
    class Compare(ctypes.Structure):
        _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
    EQ, MASKED_EQ = 4, 7  # SCMP_CMP_*
    ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Compare)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    def rule(context, action, call, *tests):
        number = lib.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            assert lib.seccomp_rule_add_array(context, action, number, len(tests), (Compare * len(tests))(*tests)) == 0
    memory = lib.seccomp_init(ALLOW)  # MemoryDenyWriteExecute=
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    rule(memory, REFUSE, "mmap", Compare(2, MASKED_EQ, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        rule(memory, REFUSE, call, Compare(2, MASKED_EQ, mmap.PROT_EXEC, mmap.PROT_EXEC))
    network = lib.seccomp_init(ALLOW)  # RestrictAddressFamilies=
    for family in range(1, 46):
        if family not in families:
            rule(network, 0x00050000 | errno.EAFNOSUPPORT, "socket", Compare(0, EQ, family, 0))
    allowed = lib.seccomp_init(REFUSE)  # SystemCallFilter=; the last one, it refuses further filters
    for call in calls:
        rule(allowed, ALLOW, call)
    for context in (memory, network, allowed):
        failed = lib.seccomp_load(context)
        assert not failed, f"no seccomp here: {os.strerror(-failed)}"

families = [int(getattr(socket, name)) for name in sys.argv[2].split()]
if sys.argv[1] != "child":
    confine(sys.argv[1].split(), families)
"""

# What the server does in a day.
CONFINED = (
    CONFINE
    + """
def refused(number, act):
    try:
        act()
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError("not confined")

refused(errno.EPERM, lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
refused(errno.EAFNOSUPPORT, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))

import asyncio, sqlite3, ssl, subprocess, tempfile, threading, time
import numpy, aiohttp, dnslib, orjson, prometheus_client, pydantic, xxhash
from aiohttp import web

assert int((numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum()) == 27_000_000
assert numpy.sort(numpy.arange(100_000)[::-1].copy())[0] == 0
ssl.create_default_context()

with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "table")
    with open(path, "wb") as file:
        numpy.arange(10_000).tofile(file)
        os.fsync(file.fileno())
    os.rename(path, path + ".new")
    assert numpy.memmap(path + ".new", dtype=numpy.int64, mode="r")[9999] == 9999
    with sqlite3.connect(os.path.join(directory, "store")) as store:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("CREATE TABLE t (a)")
    store.close()

async def serve():
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
    udp.close()
    await loop.run_in_executor(None, time.monotonic)
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://localhost:{runner.addresses[0][1]}/") as response:
            assert response.status == 404
    await runner.cleanup()
    if sys.argv[1] != "child":
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", sys.orig_argv[2], "child", sys.argv[2])
        assert await child.wait() == 0

asyncio.run(serve())
"""
)


def system_calls(analyze: str) -> set[str]:
    """SystemCallFilter= with its @sets spelt out, as this systemd knows them."""

    def spelt(names: str) -> set[str]:
        calls: set[str] = set()
        for name in names.split():
            if not name.startswith("@"):
                calls.add(name)
                continue
            listing = run(analyze, "syscall-filter", "--no-pager", name).stdout.splitlines()[1:]
            found = [line.strip() for line in listing if line.strip() and not line.strip().startswith("#")]
            calls |= spelt(" ".join(found))
        return calls

    allowed: set[str] = set()
    for line in settings(SERVICE, "SystemCallFilter"):
        allowed = allowed - spelt(line[1:]) if line.startswith("~") else allowed | spelt(line)
    return allowed | spelt("@default")


def restrictions(analyze: str) -> list[str]:
    """The arguments of `CONFINE`; the test is skipped, saying why, where they cannot be put on."""
    if shutil.which("ldconfig") and "libseccomp" not in run("ldconfig", "-p").stdout:
        pytest.skip("libseccomp is not installed: the system call filter is not tried (apt install libseccomp2)")
    assert settings(SERVICE, "MemoryDenyWriteExecute") == ["yes"]
    found = [" ".join(sorted(system_calls(analyze))), settings(SERVICE, "RestrictAddressFamilies")[0]]
    result = run(sys.executable, "-c", CONFINE, *found)
    if "no seccomp here" in result.stderr:
        pytest.skip(f"this host allows no system call filter: it is not tried ({result.stderr.splitlines()[-1]})")
    return found


def test_the_server_can_do_its_work_under_these_restrictions(analyze: str) -> None:
    """Import numpy, map files, keep a database, listen, look up and fetch, and start a child that does the same."""
    result = run(sys.executable, "-c", CONFINED, *restrictions(analyze))
    assert result.returncode == 0, result.stderr
