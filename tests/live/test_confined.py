"""The whole server under the system calls, memory and sockets that its unit leaves it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from server import Server, configure, until
from test_native_serve import counted, opened_before, replies, settings, threads
from test_serve import LAUNCHER
from test_systemd import CONFINE, analyze, restrictions

from dnsbl import native

__all__ = ["analyze"]  # a fixture

THEN = "os.execv(sys.argv[3], sys.argv[3:])\n"

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("path", ["python", "native"])
def test_it_starts_answers_publishes_and_stops_as_the_unit_runs_it(tmp_path: Path, analyze: str, path: str) -> None:
    """With the sockets that the service manager opened, one for all threads, in front and back process."""
    env = {"DNSBL_NATIVE": "off"} if path == "python" else {}
    if path == "native" and native.module is None:
        pytest.skip(f"the native path is {native.why}")
    config = settings(configure(tmp_path), "threads = 3")
    confined = [sys.executable, "-c", CONFINE + THEN, *restrictions(analyze)]
    with opened_before("0.0.0.0") as (fds, port):
        launcher = [*confined, sys.executable, "-c", LAUNCHER, f"{fds[0]},{fds[1]}"]
        server = Server(tmp_path, config=config, env=env, launcher=launcher, pass_fds=fds)
        server.dns_port = port
        with server:
            server.run("report", "46.0.0.9", "--category", "spam", launcher=confined)
            until(lambda: server.listed("46.0.0.9") == ["127.0.0.2"])
            assert server.codes("9.0.0.46.ip.dnsbl.test", tcp=True) == ["127.0.0.2"]
            assert server.rcode("ip.dnsbl.test", "AXFR") == "REFUSED"
            assert server.http("GET", "/healthz")[0] == 200
            until(lambda: replies(server) >= 3, "it counts")
            assert (sum(counted(server)["batches"]) > 0) is (path == "native")
            assert threads(server) == (3 if path == "native" else 0)
            confinement = Path(f"/proc/{server.process.pid}/status").read_text()
            assert "Seccomp:\t2" in confinement, "the filter is on"
