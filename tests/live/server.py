"""The real program on free ports and a directory of its own, and what a test asks of it."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from click.testing import CliRunner
from dnslib import QTYPE, RCODE, DNSRecord

from dnsbl.cli import cli
from dnsbl.zones.served import read_pointer

ROOT = Path(__file__).parent.parent.parent
COMPILED_ANEW = "PYTHONDONTWRITEBYTECODE"  # for each process: an installed program is not
SECONDS = 60  # a test that waits longer has found a fault
PROGRAM = [sys.executable, "-m", "dnsbl"]


def until(predicate: Callable[[], Any], what: str = "", seconds: float = SECONDS) -> Any:
    """Ask again and again until the answer is true; that answer. Fails when it takes too long."""
    end = time.monotonic() + seconds
    while not (found := predicate()):
        assert time.monotonic() < end, f"it did not happen within {seconds:.0f} s: {what or predicate}"
        time.sleep(0.02)
    return found


def joined(thread: threading.Thread, seconds: float = 3 * SECONDS) -> None:
    """Wait for a thread's end, which must come: `run` gives up before."""
    thread.join(seconds)
    assert not thread.is_alive(), f"{thread.name} did not end within {seconds:.0f} s"


def free_port(tries: int = 200) -> int:
    """A port that is free on both loopbacks, UDP and TCP. Below those that the system gives to clients, so that no
    connection takes it in between."""
    for _ in range(tries):
        port = random.randrange(10_000, 32_000)
        try:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with socket.socket(family, kind) as sock:
                        sock.bind((host, port))
        except OSError:
            continue
        return port
    raise AssertionError("no free port")


def reverse(address: str) -> str:
    """An IPv4 address as it is asked for: 4.3.2.1."""
    return ".".join(reversed(address.split(".")))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This one, without what a service manager, a terminal or a configuration of somebody else's says."""
    ours = ("DNSBL_", "LISTEN_", "WATCHDOG_", "NOTIFY_", "JOURNAL_", "COLUMNS", "FORCE_COLOR", COMPILED_ANEW)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) or name == "DNSBL_NATIVE"}
    return {**kept, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **(more or {})}


def configure(
    directory: Path, *, feeds: Path | str | None = None, zones: Path | str | None = None, **ports: int
) -> Path:
    """A dnsbl.toml with free ports; the bundled zones and no feeds unless directories are given."""
    (directory / "no-feeds").mkdir(exist_ok=True)
    dns, web = ports.get("dns") or free_port(), ports.get("web") or free_port()
    lines = ['data_dir = "data"', f'feeds_dir = "{feeds or "no-feeds"}"']
    lines += [f'zones_dir = "{zones}"'] if zones else []
    lines += ["[dns]", f'listen = ["127.0.0.1:{dns}", "[::1]:{dns}"]', "[web]", f'listen = "127.0.0.1:{web}"']
    path = directory / "dnsbl.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


class Pipe:
    """Lines of a child's output, as they come."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self.pump, daemon=True)
        self.thread.start()

    def pump(self) -> None:
        for line in self.stream:
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, wanted: Callable[[str], bool], seconds: float = SECONDS) -> str | None:
        """The first line that is wanted; None where the output ended, or the time."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or any(map(wanted, self.lines)), seconds)
            return next(filter(wanted, self.lines), None)

    @property
    def text(self) -> str:
        with self.changed:
            return "\n".join(self.lines)

    def close(self) -> None:
        """Once all who write to it have ended. Closed earlier, it would wait for its reader, without a limit."""
        joined(self.thread, SECONDS)
        self.stream.close()


class Server:
    """`dnsbl serve` for the length of a `with`; its end is a SIGTERM that it must obey without a trace."""

    def __init__(
        self,
        directory: Path,
        *,
        feeds: Path | str | None = None,
        zones: Path | str | None = None,
        config: Path | None = None,
        role: str = "",
        json_lines: bool = True,
        env: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.directory = directory
        self.config = config or configure(directory, feeds=feeds, zones=zones)
        self.role, self.json_lines, self.env = role, json_lines, env
        self.launcher, self.pass_fds = list(launcher), pass_fds
        self.expected = 0  # the exit code at the end; None where the test ended it itself
        self.web_port = 0
        self.dns_port = 0
        for line in self.config.read_text().splitlines():
            if line.startswith("listen = ["):
                self.dns_port = int(line.split('"')[1].rpartition(":")[2])
            elif line.startswith("listen ="):
                self.web_port = int(line.split('"')[1].rpartition(":")[2])

    @property
    def data(self) -> Path:
        return self.config.parent / "data"

    # life

    def start(self, ready: bool = True) -> Server:
        command = [*self.launcher, *PROGRAM, "-c", str(self.config), "serve"]
        command += ["--json"] if self.json_lines else []
        command += ["--role", self.role] if self.role else []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.env),
            cwd=self.directory,
            pass_fds=self.pass_fds,
        )
        self.out, self.err = Pipe(self.process.stdout), Pipe(self.process.stderr)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        line = self.out.wait(lambda line: line.startswith("{" if self.json_lines else "dnsbl "))
        if line is None:
            self.kill()
            raise AssertionError(f"the server did not start: {self.out.text}\n{self.err.text}")
        self.said = json.loads(line) if self.json_lines else {}

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self.kill()
            error.add_note(f"the server said:\n{self.err.text}")
            return
        self.stop()

    def stop(self) -> None:
        """SIGTERM; it ends by itself, without a trace of trouble."""
        back = self.back() if self.expected == 0 and self.process.poll() is None else None
        if self.process.poll() is None:
            self.process.terminate()
        code = self.ended()
        if self.expected is not None:
            assert code == self.expected, self.err.text
        assert "Traceback" not in self.err.text, self.err.text
        assert back is None or not alive(back), "the back process is still there"

    def ended(self) -> int:
        """The exit code, once it has ended."""
        try:
            code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            said = self.err.text
            self.kill()
            raise AssertionError(f"the server did not end: {said}") from None
        for pipe in (self.out, self.err):
            pipe.close()
        return code

    def kill(self) -> None:
        """kill -9 of the front and the back."""
        self.expected = None
        back = self.back()
        self.process.kill()
        if back is not None:
            with suppress(ProcessLookupError):
                os.kill(back, signal.SIGKILL)
        self.process.wait(SECONDS)
        until(lambda: back is None or not alive(back), "the back process ends")
        for pipe in (self.out, self.err):
            pipe.close()

    def back(self) -> int | None:
        """The back process, which is the front's only child."""
        try:
            found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def logged(self, text: str) -> str:
        """The first line on stderr with this text, once it is there."""
        line = self.err.wait(lambda line: text in line)
        assert line is not None, f"{text!r} was not logged:\n{self.err.text}"
        return line

    def log_count(self, text: str) -> int:
        return self.err.text.count(text)

    # what it is asked

    def ask(self, name: str, qtype: str = "A", *, tcp: bool = False, v6: bool = False) -> DNSRecord:
        query = DNSRecord.question(name, qtype)
        host = "::1" if v6 else "127.0.0.1"
        reply = DNSRecord.parse(over(host, self.dns_port, query.pack(), tcp))
        assert reply.header.id == query.header.id
        return reply

    def codes(self, name: str, **how: bool) -> list[str]:
        """The A records of a name, sorted; empty where it is not listed."""
        reply = self.ask(name, **how)
        return sorted(str(record.rdata) for record in reply.rr if record.rtype == QTYPE.A)

    def rcode(self, name: str, qtype: str = "A", **how: bool) -> str:
        return RCODE[self.ask(name, qtype, **how).header.rcode]

    def listed(self, subject: str, zone: str = "ip.dnsbl.test") -> list[str]:
        """The codes of an IPv4 address or a name in a zone."""
        name = reverse(subject) if subject.replace(".", "").isdigit() else subject
        return self.codes(f"{name}.{zone}")

    def http(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def run(self, *verb: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A verb in a process of its own, beside the server."""
        return run(self.config, *verb, **options)

    def verb(self, *verb: str, **options: Any) -> str:
        """A verb in this process, beside the server."""
        return verb_here(self.config, *verb, **options)

    def serial(self, zone: str) -> int:
        pointer = read_pointer(self.data / "zones" / zone)
        return pointer.serial if pointer else 0


def run(
    config: Path,
    *verb: str,
    input: bytes | None = None,
    code: int | None = 0,
    env: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """A verb; its exit code is looked at, and no traceback is ever on stderr."""
    found = subprocess.run(
        [*launcher, *PROGRAM, "-c", str(config), *verb],
        input=input,
        capture_output=True,
        timeout=2 * SECONDS,
        env=environment(env),
        cwd=config.parent,
        **options,
    )
    done = subprocess.CompletedProcess(
        found.args, found.returncode, found.stdout.decode(), found.stderr.decode(errors="replace")
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code is None or done.returncode == code, f"exit {done.returncode}: {done.stdout}\n{done.stderr}"
    return done


def verb_here(config: Path, *verb: str, input: bytes = b"", code: int = 0) -> str:
    """A verb in this process, where what it does or prints is wanted and not how it runs: the start of a process costs
    several times as much. What it printed. From the main thread alone: it has the standard streams meanwhile."""
    done = CliRunner().invoke(cli, ["-c", str(config), *verb], input=input, catch_exceptions=False)
    assert done.exit_code == code, f"exit {done.exit_code}: {done.output}"
    return done.stdout


def over(host: str, port: int, wire: bytes, tcp: bool) -> bytes:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS / 2)
        sock.connect((host, port))
        if not tcp:
            sock.send(wire)
            return sock.recv(65535)
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        with sock.makefile("rb") as file:
            return file.read(struct.unpack("!H", file.read(2))[0])


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
