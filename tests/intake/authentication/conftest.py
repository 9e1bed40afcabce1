"""A DNS world for each test, and keys that are made once."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Iterator

import pytest
from authentication_peers import PEER, KeyPair, World, dns_server, lookups_through

from dnsbl.intake.authentication import Lookups, Verdict, evaluate


@pytest.fixture(scope="session")
def make_key() -> Callable[[int], KeyPair]:
    made: dict[int, KeyPair] = {}

    def make(bits: int) -> KeyPair:
        if bits not in made:
            pem = openssl("genrsa", str(bits))
            der = openssl("rsa", "-pubout", "-outform", "DER", given=pem)
            made[bits] = pem, "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
        return made[bits]

    return make


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, timeout=60, check=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make keys with")
    return done.stdout


@pytest.fixture(scope="session")
def key(make_key: Callable[[int], KeyPair]) -> KeyPair:
    return make_key(2048)


@pytest.fixture
def world(key: KeyPair) -> World:
    """example.com publishes a key and says which host may send for it; so do two firms of shared suffixes."""
    made = World()
    for domain in ("example.com", "firm.co.uk", "ann.github.io"):
        made.add(f"s1._domainkey.{domain}", "TXT", key[1])
        made.add(domain, "TXT", "some-verification=1", f"v=spf1 ip4:{PEER} -all")
    made.add("_dmarc.example.com", "TXT", "v=DMARC1; p=reject; rua=mailto:reports@example.com")
    return made


@pytest.fixture
def resolver(world: World) -> Iterator[str]:
    with dns_server(world) as address:
        yield address


@pytest.fixture
def lookups(resolver: str) -> Lookups:
    return lookups_through(resolver)


@pytest.fixture
def verdict(lookups: Lookups) -> Callable[..., Verdict]:
    """The verdict on a mail; from a host that no domain allows, unless said otherwise."""

    def ask(mail: bytes, peer: str = "203.0.113.9", helo: str = "host.example.net", mail_from: str = "") -> Verdict:
        return evaluate(mail, peer, helo, mail_from, lookups)

    return ask
