"""How many mails the trap's receiver takes, and what each costs it.

    python tests/bench/trap_smtp.py [--connections 20] [--mails 5000] [--session 100] [--data DIR] [--json]
    python tests/bench/trap_smtp.py --flood [--connections 200] [--size 1048576]

Starts a receiver in a process of its own, with a taker that does nothing, and sends it real spam through raw sockets
from this one: `--session` mails on each connection, MAIL, RCPT and DATA pipelined as RFC 2920 has it. `--flood` sends
one mail of `--size` octets on each connection, all at the same time and none to its end until all are there, and says
how much memory that took and how long another client waited meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SPAM = "mail/spamassassin-spam-1.tar.gz"
SMALL = b"Subject: small\r\n\r\nhello\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--session", type=int, default=100, help="mails on one connection, 100 at most")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("--size", type=int, default=2**20, help="of each mail of a flood")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    connections = options.connections or (200 if options.flood else 20)
    with Server() as server:
        if options.flood:
            said = asyncio.run(flood(server.port, connections, options.size))
        else:
            mails = list(real_mails(options.data / SPAM))
            said = asyncio.run(load(server.port, connections, options.mails, options.session, mails))
    tell({**said, **server.said}, options.json)


async def serve() -> None:
    """The receiver, until stdin ends; then what it took, as JSON."""
    sys.path.insert(0, str(ROOT))
    from dnsbl.config.server import TrapConfig
    from dnsbl.intake.smtp import Envelope, Receiver

    async def take(envelope: Envelope) -> None:
        assert envelope.data

    config = TrapConfig.model_validate({
        "listen": "127.0.0.1:0",
        "per_network": 2000,
        "connections": 2000,
        "addresses": [{"domain": "trap.example", "class": "pristine"}],
    })  # fmt: skip
    receiver = Receiver(config, take)
    await receiver.start()
    idle = usage()
    print(json.dumps({"port": receiver.addresses["smtp"][1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    end = usage()
    await receiver.close()
    counts = {name: count for name, count in receiver.counters.snapshot().items() if count}
    print(json.dumps({"cpu_s": round(end[0] - idle[0], 3), "idle_mib": idle[1], "most_mib": end[1], "counts": counts}))


def usage() -> tuple[float, int]:
    """CPU seconds, and the most memory in MiB, of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


class Server:
    """`serve` in a child, for the length of a `with`."""

    def __enter__(self) -> Server:
        command = [sys.executable, __file__, "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.port = json.loads(self.process.stdout.readline())["port"]
        return self

    def __exit__(self, *_: object) -> None:
        self.said = json.loads(self.process.communicate(timeout=60)[0])


def real_mails(archive: Path) -> Iterator[bytes]:
    """Each as it goes over the wire: CRLF, dots doubled, the final dot."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield wire(file.read())


def wire(mail: bytes) -> bytes:
    lines = mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").rstrip(b"\r\n") + b"\r\n"
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


async def load(port: int, connections: int, count: int, session: int, mails: list[bytes]) -> dict[str, float]:
    numbers = iter(range(count))
    began = time.perf_counter()
    await asyncio.gather(*(sender(port, numbers, session, mails) for _ in range(connections)))
    seconds = time.perf_counter() - began
    return {"mails": count, "connections": connections, "session": session, "mails_s": round(count / seconds)}


async def sender(port: int, numbers: Iterator[int], session: int, mails: list[bytes]) -> None:
    """One connection after another, until there are no more mails."""
    for number in numbers:
        client = await Client.connect(port)
        await client.mail(mails[number % len(mails)])
        for _, further in zip(range(session - 1), numbers, strict=False):
            await client.mail(mails[further % len(mails)])
        await client.quit()


class Client:
    """A sender that says what it wants, and stops where it does not hear what it expects."""

    @classmethod
    async def connect(cls, port: int) -> Client:
        client = cls()
        client.reader, client.writer = await asyncio.open_connection("127.0.0.1", port)
        await client.expect(b"220")
        await client.say(b"EHLO client.example\r\n", b"250")
        return client

    async def expect(self, code: bytes) -> None:
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        if not line.startswith(code):
            raise SystemExit(f"{code.decode()} was expected, not {line!r}")

    async def say(self, line: bytes, *codes: bytes) -> None:
        self.writer.write(line)
        for code in codes:
            await self.expect(code)

    async def mail(self, data: bytes) -> None:
        await self.envelope()
        await self.say(data, b"250")

    async def envelope(self) -> None:
        said = b"MAIL FROM:<someone@sender.example>\r\nRCPT TO:<trap@trap.example>\r\nDATA\r\n"
        await self.say(said, b"250", b"250", b"354")

    async def quit(self) -> None:
        await self.say(b"QUIT\r\n", b"221")
        self.writer.close()


async def flood(port: int, connections: int, size: int) -> dict[str, float]:
    clients = [await Client.connect(port) for _ in range(connections)]
    other = await Client.connect(port)
    began = time.perf_counter()
    senders = asyncio.gather(*(whole(client, size) for client in clients))
    waits = []
    while not senders.done():
        before = time.perf_counter()
        await other.mail(SMALL + b".\r\n")
        waits.append(time.perf_counter() - before)
        if len(waits) % 90 == 0:
            await other.quit()
            other = await Client.connect(port)
        await asyncio.sleep(0.01)
    outcomes = await senders
    seconds = time.perf_counter() - began
    return {
        "mails": connections, "size": size, "seconds": round(seconds, 2), "taken": outcomes.count("250"),
        "others": len(waits), "others_worst_ms": round(max(waits) * 1000, 1),
    }  # fmt: skip


async def whole(client: Client, size: int) -> str:
    """A large mail, its end only a second after all of it: by then all of them are there."""
    await client.envelope()
    client.writer.write((b"x" * 70 + b"\r\n") * (size // 72))
    await client.writer.drain()
    await asyncio.sleep(1)
    client.writer.write(b".\r\n")
    return (await client.reader.readline())[:3].decode()


def tell(said: dict[str, object], as_json: bool) -> None:
    cpu, counts = said["cpu_s"], said["counts"]
    assert isinstance(cpu, float) and isinstance(counts, dict)
    said["cpu_ms_a_mail"] = round(cpu * 1000 / max(1, counts["accepted"]), 3)
    if as_json:
        print(json.dumps(said))
        return
    for name, value in said.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
