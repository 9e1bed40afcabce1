"""Transfers from the real program: who is refused and how, what is transferred, and what a broken side costs others."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.xfr
import dns.zone
import pytest
from certificate import write_certificate
from server import ROOT, SECONDS, Server, free_port, until

from dnsbl import config, subjects
from dnsbl.app import App
from dnsbl.zones.export import export

ORIGIN, SMALL = "ip.dnsbl.test", "domain.dnsbl.test"
SECRET = bytes(range(32))
KEY = dns.tsig.Key(dns.name.from_text("mirror"), SECRET, "hmac-sha256")
MANY = 60_000  # addresses: more octets than all the buffers between the courier and a client that does not read
NOW = 1_790_000_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, App]]:
    """Our server without a back, and an application that publishes beside it."""
    directory = tmp_path_factory.mktemp("transfer")
    (directory / "zones").mkdir()
    (directory / "no-feeds").mkdir()
    for name in ("ip", "domain"):
        shutil.copy(ROOT / "zones" / f"{name}.toml", directory / "zones")
    write_certificate(directory)
    path = directory / "dnsbl.toml"
    path.write_text(
        f'data_dir = "data"\nfeeds_dir = "no-feeds"\nzones_dir = "zones"\n[dns]\nlisten = ["127.0.0.1:{free_port()}"]\n'
        f'tls_listen = ["127.0.0.1:{free_port()}"]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
        'transfer = ["127.0.0.1/32"]\ntransfer_keys = ["mirror"]\n'
        f'[[dns.keys]]\nname = "mirror"\nsecret = "{base64.b64encode(SECRET).decode()}"\n'
    )
    with App(config.load(path)) as app:
        app.reconcile()
        fill(app, MANY)
        with Server(directory, config=path, role="dns") as server:
            until(lambda: courier_of(server), "the courier runs")
            yield server, app


def courier_of(server: Server) -> int | None:
    """The process id of the courier, where it runs."""
    for child in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        if b"courier" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def fill(app: App, many: int) -> None:
    names = app.store.source("phishing", "import", trust=0.95)
    listed = [subjects.parse(f"{text}.example") for text in ("a", "b.a", "c.b.a", "d-e.f", "_g.h")]
    app.store.replace_entries(names.id, dict.fromkeys(listed, 9), {}, "phishing", NOW)
    source = app.store.source("spam", "import", trust=0.95)
    listed = [subjects.parse(text) for text in (*spread(many), "46.0.0.0/15", "2a00:2::/31", "2a00:4::1")]
    app.store.replace_entries(source.id, dict.fromkeys(listed, 9), {}, "spam", NOW)
    app.settle()


def spread(many: int) -> Iterator[str]:
    return (f"47.{number >> 14}.{number >> 6 & 255}.{4 * (number & 63)}" for number in range(many))


def ask(server: Server, asked: dns.message.Message) -> dns.message.Message:
    return dns.query.tcp(asked, "127.0.0.1", port=server.dns_port, timeout=SECONDS)


def query(key: dns.tsig.Key | None = KEY, rtype: str = "AXFR") -> dns.message.Message:
    made = dns.message.make_query(ORIGIN, rtype, use_edns=False)
    if key:
        made.use_tsig(key)
    return made


def transferred(server: Server, origin: str = SMALL) -> dns.zone.Zone:
    """A whole zone, every message's signature checked by dnspython, which takes a minute for the large one."""
    zone = dns.zone.Zone(origin)
    asked, _ = dns.xfr.make_query(zone, keyring=KEY)
    dns.query.inbound_xfr("127.0.0.1", zone, asked, port=server.dns_port, timeout=SECONDS, lifetime=SECONDS)
    return zone


# who


def test_a_missing_key_is_refused(served: tuple[Server, App]) -> None:
    assert ask(served[0], query(None)).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("rtype", ["AXFR", "SOA"])
def test_a_wrong_secret_is_badsig_and_an_unknown_key_badkey(served: tuple[Server, App], rtype: str) -> None:
    wrong = dns.tsig.Key(KEY.name, SECRET[::-1], "hmac-sha256")
    with pytest.raises(dns.tsig.PeerBadSignature):
        ask(served[0], query(wrong, rtype))
    other = dns.tsig.Key(dns.name.from_text("other"), SECRET, "hmac-sha256")
    with pytest.raises(dns.tsig.PeerBadKey):
        ask(served[0], query(other, rtype))


@pytest.mark.parametrize("skew", [-400, 400])
def test_a_late_signature_is_badtime(served: tuple[Server, App], skew: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + skew)
    with pytest.raises(dns.tsig.PeerBadTime):
        ask(served[0], query())


def test_queries_are_answered_signed_over_both_transports(served: tuple[Server, App]) -> None:
    server, app = served
    asked = query(rtype="SOA")
    for reply in (ask(server, asked), dns.query.udp(asked, "127.0.0.1", port=server.dns_port, timeout=SECONDS)):
        assert reply.had_tsig and reply.answer[0][0].serial == app.served("ip").serial


# what


def test_what_is_transferred_is_what_the_master_file_has(served: tuple[Server, App]) -> None:
    server, app = served
    text = b"".join(export(app.served("domain"), "bind")).decode()
    assert records(transferred(server)) == records(dns.zone.from_text(text, origin=SMALL, check_origin=False))


def records(zone: dns.zone.Zone) -> Counter[tuple[str, int, str]]:
    return Counter((name.to_text(), ttl, rdata.to_text()) for name, ttl, rdata in zone.iterate_rdatas())


def test_a_step_leads_from_one_serial_to_the_next(served: tuple[Server, App]) -> None:
    server, app = served
    zone = transferred(server)
    before = app.served("domain").serial
    app.report("new.example", "phishing", "operator")
    app.settle()
    until(lambda: server.ask(SMALL, "SOA").rr[0].rdata.times[0] != before, "the new serial")
    asked, serial = dns.xfr.make_query(zone, keyring=KEY)
    assert serial == before and asked.question[0].rdtype == dns.rdatatype.IXFR
    [message] = list(stream(server, asked))
    assert int.from_bytes(message[6:8], "big") == 4 + 4, "the SOA four times, and the name and what is below it"
    dns.query.inbound_xfr("127.0.0.1", zone, asked, port=server.dns_port, timeout=SECONDS)
    assert records(zone) == records(transferred(server))


def stream(server: Server, asked: dns.message.Message) -> Iterator[bytes]:
    """The messages of a transfer: it is the last thing that is asked."""
    with socket.create_connection(("127.0.0.1", server.dns_port), SECONDS) as sock, sock.makefile("rb") as file:
        wire = asked.to_wire()
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        sock.shutdown(socket.SHUT_WR)
        while head := file.read(2):
            yield file.read(struct.unpack("!H", head)[0])


def tls_port(server: Server) -> int:
    return int(re.findall(r'tls_listen = \["127.0.0.1:(\d+)"', server.config.read_text())[0])


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("kdig"), reason="apt-get install knot-dnsutils")
def test_kdig_transfers_over_tls(served: tuple[Server, App]) -> None:
    """RFC 9103; with the ALPN it asks for."""
    server, app = served
    key = f"hmac-sha256:mirror:{base64.b64encode(SECRET).decode()}"
    command = ["kdig", "@127.0.0.1", "-p", str(tls_port(server)), "+tls", "-y", key, "domain.dnsbl.test", "AXFR"]
    said = subprocess.run(command, capture_output=True, timeout=SECONDS, text=True).stdout
    assert said.count("SOA") == 2 and str(app.served("domain").serial) in said


def encrypted(server: Server, alpn: str = "dot", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:
    """A connection to the TLS port: dnspython's own has no way to ask for less."""
    made = ssl.create_default_context(cafile=server.directory / "cert.pem")
    made.maximum_version = newest
    if alpn:
        made.set_alpn_protocols([alpn])
    there = socket.create_connection(("127.0.0.1", tls_port(server)), SECONDS)
    return made.wrap_socket(there, server_hostname="primary.test")


def taken(sock: ssl.SSLSocket, key: dns.tsig.Key) -> dns.zone.Zone:
    """A whole zone over a connection, every message's signature checked. Raises what its first message refuses with."""
    zone = dns.zone.Zone(SMALL)
    asked, _ = dns.xfr.make_query(zone, keyring=key)
    wire, context, done = asked.to_wire(), None, False
    sock.sendall(struct.pack("!H", len(wire)) + wire)
    with dns.xfr.Inbound(zone, dns.rdatatype.AXFR) as inbound, sock.makefile("rb") as file:
        while not done:
            message = dns.message.from_wire(
                file.read(struct.unpack("!H", file.read(2))[0]), keyring={key.name: key}, request_mac=asked.mac,
                xfr=True, one_rr_per_rrset=True, origin=zone.origin, tsig_ctx=context, multi=True,
            )  # fmt: skip
            assert message.had_tsig
            context, done = message.tsig_ctx, inbound.process_message(message)
    return zone


def test_a_transfer_over_tls_is_signed_too(served: tuple[Server, App]) -> None:
    """RFC 9103 section 9.1: TSIG inside TLS, of a right secret and of a wrong one."""
    server, _ = served
    with encrypted(server) as sock:
        assert records(taken(sock, KEY)) == records(transferred(server))
    with encrypted(server) as sock, pytest.raises(dns.tsig.PeerBadSignature):
        taken(sock, dns.tsig.Key(KEY.name, SECRET[::-1], "hmac-sha256"))


@pytest.mark.parametrize(
    ("alpn", "newest"), [("", ssl.TLSVersion.TLSv1_3), ("dot", ssl.TLSVersion.TLSv1_2)], ids=["no ALPN", "TLS 1.2"]
)
def test_a_transfer_over_an_older_tls_or_without_dot_is_refused(
    served: tuple[Server, App], alpn: str, newest: ssl.TLSVersion
) -> None:
    """RFC 9103 section 7.1, whatever key signs it."""
    with encrypted(served[0], alpn, newest) as sock, pytest.raises(dns.xfr.TransferError, match="REFUSED"):
        taken(sock, KEY)


def test_a_new_certificate_is_used_from_the_next_handshake_on(served: tuple[Server, App]) -> None:
    server, _ = served
    port = tls_port(server)
    assert server.said["tls"] == [f"127.0.0.1:{port}"]
    before = ssl.get_server_certificate(("127.0.0.1", port))
    write_certificate(server.directory, "new.test")
    server.hang_up()
    until(lambda: ssl.get_server_certificate(("127.0.0.1", port)) != before, "the new certificate")
    (server.directory / "cert.pem").write_text("no certificate")
    server.hang_up()
    server.logged("the certificate from before is used on")
    ssl.get_server_certificate(("127.0.0.1", port))


# faults


def test_who_leaves_gets_no_more_of_what_it_asked_behind_a_transfer(served: tuple[Server, App]) -> None:
    """Each would cost a place and a message of 64 KB."""
    server, _ = served
    left = "left in the middle of a transfer"
    before = server.err.text.count(left)
    with socket.create_connection(("127.0.0.1", server.dns_port), SECONDS) as sock:
        wire = query().to_wire()
        sock.sendall(1000 * (struct.pack("!H", len(wire)) + wire))
        assert sock.recv(2), "it has begun"
    until(lambda: server.err.text.count(left) > before, "the courier finds it gone")
    time.sleep(0.5)
    assert server.err.text.count(left) == before + 1


def stuck(server: Server) -> socket.socket:
    """A secondary that asked for the zone and reads none of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(SECONDS)
    sock.connect(("127.0.0.1", server.dns_port))
    wire = query().to_wire()
    sock.sendall(struct.pack("!H", len(wire)) + wire)
    assert sock.recv(2), "it has begun"
    return sock


def test_a_secondary_that_does_not_read_holds_neither_others_nor_a_publish(served: tuple[Server, App]) -> None:
    server, app = served
    waiting = [stuck(server) for _ in range(4)]
    try:
        app.report("48.0.0.2", "attack", "operator")
        app.settle()
        until(lambda: server.listed("48.0.0.2"), "the new listing is answered")
        whole = b"".join(stream(server, query()))
        assert b"\x012\x010\x010\x0248\xc0\x0c" in whole and whole.count(soa_numbers(app)) == 2
    finally:
        for sock in waiting:
            sock.close()


def test_a_courier_that_dies_cuts_its_transfers_and_is_started_again(served: tuple[Server, App]) -> None:
    """What was sent by then has no second SOA: no secondary takes it for the zone."""
    server, app = served
    sock = stuck(server)
    courier = courier_of(server)
    assert courier is not None
    os.kill(courier, signal.SIGKILL)
    server.logged("transfers ended")
    assert server.listed("47.0.0.0"), "answers go on"
    received = bytearray()
    with sock, pytest.raises(OSError):
        while data := sock.recv(1 << 20):
            received += data
        raise ConnectionResetError("closed")
    assert received.count(soa_numbers(app)) <= 1
    until(lambda: courier_of(server) not in (None, courier), "it runs again")
    server.logged("transfers run again")
    assert until(lambda: attempt(server), "transfers run again")


def soa_numbers(app: App) -> bytes:
    return app.served("ip").serial.to_bytes(4, "big") + struct.pack("!2I", 900, 300)


def attempt(server: Server) -> dns.zone.Zone | None:
    with suppress(dns.exception.DNSException):
        return transferred(server)
    return None
