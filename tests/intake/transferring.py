"""What tests of transfers share: BIND with zones to transfer, and servers that answer as a test says."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from dnsbl.config import FeedDef
from dnsbl.errors import FetchError
from dnsbl.intake.fetch import Validators, fetch

NOTHING = Validators()
KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = base64.b64encode(b"another-key-of-the-same-length-x").decode()
TSIG = {"name": "pull.example", "secret": "$A_TSIG"}
SECONDS = 30  # a server that takes longer is at fault

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def feed(url: str, **settings: Any) -> FeedDef:
    """A feed on a private address; limits are not validated, so that they can be small."""
    basic = {"name": "t", "title": "T", "format": "dnsbl-zone", "category": "spam", "licence": "none", "private": True}
    made = FeedDef.model_validate({**basic, "url": url, "timeout": 20, "tsig": settings.pop("tsig", None)})
    return made.model_copy(update=settings)


async def refusal(made: FeedDef, known: Validators = NOTHING, kept: Path | None = None) -> str:
    with pytest.raises(FetchError) as caught:
        await fetch(made, known, kept=kept)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


CONFIGURATION = """
options {{
    directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    pid-file none; session-keyfile none; recursion no; notify no; allow-transfer {{ none; }};
}};
controls {{ }};
key "pull.example" {{ algorithm hmac-sha256; secret "{key}"; }};
zone "bl.example" {{ type primary; file "bl.zone"; allow-transfer {{ key pull.example; }}; }};
zone "open.example" {{ type primary; file "bl.zone"; allow-transfer {{ any; }}; }};
zone "moving.example" {{
    type primary; file "moving.zone"; allow-transfer {{ key pull.example; }}; allow-update {{ key pull.example; }};
}};
"""
HEAD = """$TTL 2100
@ SOA ns.example. admin.example. {serial} 3600 600 86400 300
@ NS ns.example.
2.0.0.127 A 127.0.0.2
*.8.b.d.0.1.0.0.2 A 127.0.0.4
bad A 127.0.0.2
www.worse.bad A 127.0.0.3
*.9 A 127.0.0.4
"""


class Bind:
    """named with one zone under three names: `bl.example`, for those who have the key, `moving.example`, which they
    may update, too, and `open.example`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        text = CONFIGURATION.format(directory=directory, port=self.port, key=KEY)
        (directory / "named.conf").write_text(text)
        self.child: subprocess.Popen[str] | None = None
        self.said: list[str] = []

    def start(self, serial: int, entries: int) -> None:
        """With new zones, and no journal of changes."""
        lines = [f'{n % 250}.{n // 250}.0.20 A 127.0.0.2\n{n % 250}.{n // 250}.0.20 TXT "x"' for n in range(entries)]
        for name in ("bl.zone", "moving.zone"):
            (self.directory / name).write_text(HEAD.format(serial=serial) + "\n".join(lines) + "\n")
            (self.directory / f"{name}.jnl").unlink(missing_ok=True)
        command = ["named", "-g", "-n", "1", "-c", str(self.directory / "named.conf")]
        self.child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.said, self.running = [], threading.Event()
        self.listener = threading.Thread(target=self.listen, args=(self.child.stderr,))
        self.listener.start()
        assert self.running.wait(SECONDS) and self.child.poll() is None, "".join(self.said)

    def listen(self, said: IO[str]) -> None:
        """All that it says, until it ends: it says much, and stops where nobody reads."""
        for line in said:
            self.said.append(line)
            if line.rstrip().endswith("running"):
                self.running.set()
        self.running.set()

    def stop(self) -> str:
        """What it has said since it was started."""
        if self.child:
            self.child.terminate()
            self.child.wait(SECONDS)
            self.listener.join(SECONDS)
            self.child.stderr.close()
            self.child = None
        return "".join(self.said)


@asynccontextmanager
async def serving() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    """Start servers that are handed each query over TCP; gives the URL of the zone of each."""
    servers = []

    async def start(answer: Answer) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                size = struct.unpack("!H", await reader.readexactly(2))[0]
                await answer(await reader.readexactly(size), writer)
                await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client hung up, as it may
            finally:
                writer.close()

        servers.append(await asyncio.start_server(connected, "127.0.0.1", 0))
        return f"dns://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/bl.example"

    yield start
    for each in servers:
        each.close()
        await each.wait_closed()


def message(query: bytes, *records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> bytes:
    """An answer without a signature, with its length before it."""
    reply = dns.message.make_response(dns.message.from_wire(query, keyring=False))
    reply.use_tsig(None) if reply.had_tsig else None
    reply.set_rcode(rcode)
    for record in records:
        name, ttl, *rest = record.split(" ")
        reply.answer.append(dns.rrset.from_text(name, int(ttl), rest[0], rest[1], " ".join(rest[2:])))
    wire = reply.to_wire()
    return struct.pack("!H", len(wire)) + wire
