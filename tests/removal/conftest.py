"""The servers that proofs need, one of each for a test."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from removal_peers import Datagrams, Dns, MailServer


@pytest_asyncio.fixture
async def dns() -> AsyncIterator[Dns]:
    made = Dns()
    loop = asyncio.get_running_loop()
    while True:
        transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(made), ("127.0.0.1", 0))
        host, port = transport.get_extra_info("sockname")
        try:
            server = await asyncio.start_server(made.stream, host, port)
        except OSError:  # somebody has the port for TCP
            transport.close()
            continue
        break
    made.address = f"{host}:{port}"
    yield made
    transport.close()
    server.close()
    await server.wait_closed()


@pytest_asyncio.fixture
async def relay() -> AsyncIterator[MailServer]:
    made = MailServer()
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def silence() -> AsyncIterator[str]:
    """The address of a server that takes connections and says nothing, until the other side has gone."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    yield "{}:{}".format(*server.sockets[0].getsockname())
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: there is no certificate to try TLS with")
    directory: Path = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    subprocess.run(
        [*made, "-subj", "/CN=relay.example", "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
