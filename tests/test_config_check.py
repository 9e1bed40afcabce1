"""`config check` looks at what the files name, too: certificates that cannot serve, tables that are none."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from test_cli import Dnsbl, dnsbl  # noqa: F401  (the fixture)

ASN = b"1.0.0.0,1.0.0.255,13335,Cloudflare\n"
CA = """[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def mistakes(dnsbl: Dnsbl, directory: Path, *lines: str) -> list[str]:  # noqa: F811
    """What is said of a configuration; one line each, for people and for scripts."""
    (directory / "dnsbl.toml").write_text("\n".join(['feeds_dir = "feeds"', *lines]))
    done = dnsbl("config", "check", "--json")
    found: list[str] = done.json["mistakes"]
    assert done.code == (1 if found else 0)
    said = dnsbl("config", "check").err
    assert said == "".join(f"dnsbl: {mistake}\n" for mistake in found)
    return found


def make(directory: Path, name: str, years: tuple[int, int]) -> None:
    """A certificate, its key beside it, valid from the first day of one year to that of another."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (directory / "ca.cnf").write_text(CA)
    (directory / "index.txt").write_text("")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    request = ["openssl", "req", "-new", *curve, "-nodes", "-subj", "/CN=mx.example"]
    sign = ["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", "ca.cnf", "-keyfile", f"{name}.key"]
    dates = ["-startdate", f"{years[0]}0101000000Z", "-enddate", f"{years[1]}0101000000Z"]
    for command in (
        [*request, "-keyout", f"{name}.key", "-out", f"{name}.csr"],
        [*sign, *dates, "-in", f"{name}.csr", "-out", f"{name}.pem"],
    ):
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)


def test_certificates_that_cannot_serve_are_named(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    def said(cert: str, key: str) -> list[str]:
        return mistakes(dnsbl, tmp_path, "[trap]", f'tls_cert = "{cert}"', f'tls_key = "{key}"')

    for name, years in (("good", (2020, 2049)), ("old", (2020, 2021)), ("early", (2048, 2049))):
        make(tmp_path, name, years)
    (tmp_path / "text.pem").write_text("no certificate\n")
    assert said("good.pem", "good.key") == []
    for cert, key, why in (
        ("gone.pem", "good.key", "trap.tls_cert: gone.pem: cannot be read (No such file or directory)"),
        ("good.pem", "gone.key", "trap.tls_key: gone.key: cannot be read (No such file or directory)"),
        ("good.pem", "old.key", "trap.tls_cert: good.pem cannot be used with the key old.key (KEY_VALUES_MISMATCH)"),
        (
            "text.pem",
            "good.key",
            "trap.tls_cert: text.pem cannot be used with the key good.key (not PEM, or a locked key)",
        ),
        ("old.pem", "old.key", "trap.tls_cert: old.pem has expired; get a new one"),
        ("early.pem", "early.key", "trap.tls_cert: early.pem is not valid yet; get a new one"),
    ):
        assert [mistake.replace(f"{tmp_path}/", "") for mistake in said(cert, key)] == [why]


def test_tables_of_networks_that_are_none_are_named_beside_other_mistakes(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    geo = tmp_path / "geo"
    section = ("[geo]", 'directory = "geo"')
    other, missing = mistakes(dnsbl, tmp_path, "[dns]", "listen = 3", *section)
    assert "dns.listen" in other
    assert missing.startswith("geo.directory: ")
    assert "no asn-ipv4.csv" in missing
    geo.mkdir()
    (geo / "asn-ipv4.csv").write_bytes(b"start,end,number,name\n" + ASN)
    (geo / "country-ipv6.csv.gz").write_bytes(gzip.compress(b"2a00::,2a00::ff,DE\n"))
    assert mistakes(dnsbl, tmp_path, *section) == []
    (geo / "country-ipv4.csv").write_bytes(b"<html>\n" * 200 + b"1.0.0.0,1.0.0.255,AU\n")
    (geo / "asn-ipv6.csv.gz").write_bytes(b"2a00::,2a00::ff,1,not packed\n")
    (geo / "country-ipv6.csv.gz").write_bytes(gzip.compress(b"2a00::,2a00::ff,DE\n")[:-12])
    found = mistakes(dnsbl, tmp_path, *section)
    assert len(found) == 3
    for mistake, name in zip(found, ("asn-ipv6.csv.gz", "country-ipv4.csv", "country-ipv6.csv.gz"), strict=True):
        assert name in mistake


def test_traps_that_are_in_each_others_way_are_named(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    listen = ('listen = "127.0.0.1:2525"', 'lmtp = "127.0.0.1:2525"')
    [found] = mistakes(dnsbl, tmp_path, "[trap]", *listen)
    assert found.endswith("trap: listen and lmtp are both 127.0.0.1:2525")
    twice = ('{ domain = "Trap.example", class = "typo" }', '{ domain = "trap.example", class = "pristine" }')
    [found] = mistakes(dnsbl, tmp_path, "[trap]", f"addresses = [{', '.join(twice)}]")
    assert found.endswith("trap: addresses: declared twice: trap.example")


@pytest.mark.parametrize("network", ['"10.0.0.1/8"', '"nonsense"', "5", '"10.0.0.0/33"', '""'])
def test_a_network_that_is_none_is_one_plain_sentence(dnsbl: Dnsbl, tmp_path: Path, network: str) -> None:  # noqa: F811
    [found] = mistakes(dnsbl, tmp_path, "[dns]", f'transfer = ["192.0.2.0/24", {network}]')
    assert f"dns.transfer.1: not a network: {network.replace(chr(34), chr(39))}; write 192.0.2.0/24" in found


def test_what_zones_travel_by_is_looked_at(dnsbl: Dnsbl, tmp_path: Path) -> None:  # noqa: F811
    said = mistakes(
        dnsbl, tmp_path,
        "[dns]", 'catalog = "ip.dnsbl.test"',
        'tls_listen = ["127.0.0.1:853"]', 'tls_cert = "no.pem"', 'tls_key = "no.key"',
        "[[dns.secondaries]]", 'address = "192.0.2.1:53"', 'zones = ["pi"]',
        "[[follow]]", 'zone = "pi"', 'primaries = ["192.0.2.1:53"]', "tls = true", 'tls_ca = "no-ca.pem"',
        "[[follow]]", 'zone = "ip"', 'url = "bl.example"', 'public_key = "RW"', 'tls_ca = "gone.pem"',
    )  # fmt: skip
    for part in (
        "no zone 'pi'", "ip.dnsbl.test is the origin", "follow: pi: no such zone", "not a key of minisign",
        "write https://", "no.pem: cannot be read", "no.key: cannot be read", "no-ca.pem: cannot be read",
        "gone.pem: cannot be read",
    ):  # fmt: skip
        assert sum(part in line for line in said) == 1, (part, said)
    assert len(said) == 9
