"""A mirror of ours follows over TLS (RFC 9103): only the server that the certificate says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificate import write_certificate
from mirrors import GIVES, KEY, SECRET, Node, caught_up, followed_from, pair, publish
from server import free_port
from worlds import World

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed: apt-get install openssl")
NAME = "primary.example"


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[Node, Node, World, str]]:
    """A primary that gives over TLS, its mirror, what the primary publishes, and the primary's lines for [dns]."""
    write_certificate(tmp_path, NAME)
    with pair(tmp_path) as (primary, mirror, world):
        port = free_port()
        tls = f'tls = true\ntls_name = "{NAME}"\ntls_ca = "{tmp_path / "cert.pem"}"\n'
        mirror.more = KEY.format(SECRET) + followed_from(port, more=tls)
        files = f'tls_cert = "{tmp_path / "cert.pem"}"\ntls_key = "{tmp_path / "key.pem"}"'
        publish(world, ("spam", "9.1.0.1"))
        yield primary, mirror, world, f'{GIVES}\ntls_listen = ["127.0.0.1:{port}"]\n{files}'


def test_a_zone_is_followed_over_tls(encrypted: tuple[Node, Node, World, str]) -> None:
    primary, mirror, world, gives = encrypted
    with primary.server(gives), mirror.server() as second:
        caught_up(primary, mirror)
        publish(world, ("malware", "9.1.0.1"))
        caught_up(primary, mirror)
        assert second.log_count("whole zone is taken") == 0


@pytest.mark.parametrize("trust", ["another name", "another authority"])
def test_another_server_is_not_believed(encrypted: tuple[Node, Node, World, str], trust: str) -> None:
    primary, mirror, _, gives = encrypted
    if trust == "another name":
        mirror.more = mirror.more.replace(NAME, "other.example")
    else:
        mirror.more = "\n".join(line for line in mirror.more.splitlines() if not line.startswith("tls_ca"))
    with primary.server(gives), mirror.server() as second:
        assert "its certificate is not believed" in second.logged("zone ip: not followed")
        assert mirror.view("ip") is None
