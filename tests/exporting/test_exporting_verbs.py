"""The verbs that give zones away."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
from pathlib import Path
from shutil import which

import pytest
import zstandard
from test_cli import LIST, Dnsbl, dnsbl  # noqa: F401  (the fixture)

from dnsbl.following.minisign import PublicKey


@pytest.fixture
def built(dnsbl: Dnsbl) -> Dnsbl:  # noqa: F811
    """With some addresses listed, and published."""
    dnsbl("import", "-", "--source", "mine", input=LIST)
    return dnsbl


def test_a_file_with_its_manifest_and_signature(built: Dnsbl, tmp_path: Path) -> None:
    verb = ("zone", "export", "ip", "--format", "rbldnsd", "-o", "ip.txt", "--manifest", "--sign", "--json")
    line = built(*verb).json
    content = (tmp_path / "ip.txt").read_bytes()
    assert content.decode() == built("zone", "export", "ip", "--format", "rbldnsd").text
    assert line == json.loads((tmp_path / "ip.txt.json").read_bytes())
    assert (line["file"], line["zone"], line["size"]) == ("ip.txt", "ip", len(content))
    assert line["sha256"] == hashlib.sha256(content).hexdigest()
    key = PublicKey(built("zone", "public-key").text)
    key.check(content, (tmp_path / "ip.txt.minisig").read_text())
    assert PublicKey(built("zone", "public-key", "--json").json["public_key"]).name == key.name
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("zone", ["ip", "domain"])
def test_every_format_has_the_same_count_at_its_head(built: Dnsbl, tmp_path: Path, zone: str) -> None:
    """It was of pieces before or after the format joined them, with test points or without."""
    count = {"ip": 2, "domain": 0}[zone]
    what = {"ip": "ranges and addresses", "domain": "names"}[zone]
    for format in ("rbldnsd", "bind", "rpz", "csv", *(("cidr", "cidr-aggregated", "nftables") if zone == "ip" else ())):
        line = built("zone", "export", zone, "--format", format, "-o", "out", "--json").json
        assert line["count"] == count
        assert f" {count} listed {what}, before any is cut or joined" in (tmp_path / "out").read_text()


def test_it_is_packed(built: Dnsbl, tmp_path: Path) -> None:
    plain = built("zone", "export", "ip", "--format", "csv").out
    assert gzip.decompress(built("zone", "export", "ip", "--format", "csv", "--compress", "gzip").out) == plain
    built("zone", "export", "ip", "--format", "csv", "--compress", "zstd", "-o", "ip.zst", "--sign")
    packed = (tmp_path / "ip.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == plain
    PublicKey(built("zone", "public-key").text).check(packed, (tmp_path / "ip.zst.minisig").read_text())


@pytest.mark.parametrize("more", [["--manifest"], ["--sign"], ["--json"]])
def test_what_stands_beside_a_file_needs_one(built: Dnsbl, more: list[str]) -> None:
    done = built("zone", "export", "ip", "--format", "csv", *more)
    assert done.code == 2
    assert f"{more[0]} needs -o FILE" in done.err


def test_refusals_say_what_would_do(built: Dnsbl) -> None:
    assert "no zone 'nope'; there are" in built("zone", "export", "nope", "--format", "csv").err
    assert "no export format 'nope'; there are" in built("zone", "export", "ip", "--format", "nope").err
    assert "zone domain can be had as rbldnsd" in built("zone", "export", "domain", "--format", "ipset").err
    assert "ipset restore" in built("zone", "export", "--help").text


def test_a_delta_is_what_changed(built: Dnsbl) -> None:
    before = {row["zone"]: row["serial"] for row in built("zone", "list", "--json").json}["ip"]
    assert built("zone", "delta", "ip", "--since", str(before)).text == ""
    built("report", "46.9.9.9", "--category", "spam")
    built("delist", "46.0.0.1", "--reason", "asked")
    assert built("zone", "delta", "ip", "--since", str(before)).text.splitlines() == [
        "- 46.0.0.1 127.0.0.2", "+ 46.9.9.9 127.0.0.2"
    ]  # fmt: skip
    value = built("zone", "delta", "ip", "--since", str(before), "--json").json
    assert (value["from"], value["full"]) == (before, False)
    assert value["removed"] == [{"subject": "46.0.0.1", "codes": ["127.0.0.2"]}]
    done = built("zone", "delta", "ip", "--since", "5")
    assert done.code == 1
    hint = "dnsbl zone export ip --format ndjson"
    assert f"take it whole: `{hint}`" in done.err
    value = built("zone", "delta", "ip", "--since", "5", "--json").json
    assert (value["full"], value["export"]) == (True, hint)
    assert b"46.9.9.9" in built(*hint.split()[1:]).out, "the hint does as it stands"


def test_exported_files_are_brought_up_to_date(built: Dnsbl, tmp_path: Path) -> None:
    assert "no [[export]]" in built("zone", "files").err
    config = tmp_path / "dnsbl.toml"
    config.write_text(config.read_text() + '[[export]]\ndirectory = "out"\nformats = ["bind"]\nzones = ["ip"]\n')
    assert built("zone", "files").text == "out: 1 written, 0 unchanged, 0 removed\n"
    (row,) = built("zone", "files", "--json").json
    assert (row["written"], row["unchanged"]) == ([], ["ip.zone"])
    (tmp_path / "out" / "ip.zone").unlink()
    (tmp_path / "out" / "ip.zone").mkdir()
    done = built("zone", "files")
    assert done.code == 1
    assert "out/ip.zone: cannot be written" in done.err


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('formats = ["nope"]', "no export format 'nope'; there are"),
        ('formats = ["bind"]\nzones = ["nope"]', "no zone 'nope'; there are"),
        ('formats = ["ipset"]\nzones = ["domain"]', "ipset can carry none of its zones"),
    ],
)
def test_a_wrong_export_is_a_mistake_of_the_configuration(dnsbl: Dnsbl, tmp_path: Path, said: str, why: str) -> None:  # noqa: F811
    config = tmp_path / "dnsbl.toml"
    config.write_text(config.read_text() + f'[[export]]\ndirectory = "out"\n{said}\n')
    done = dnsbl("config", "check")
    assert done.code == 1
    assert why in done.err


@pytest.mark.peer
@pytest.mark.skipif(which("minisign") is None, reason="minisign is not installed: apt install minisign")
def test_minisign_verifies_it(built: Dnsbl, tmp_path: Path) -> None:
    built("zone", "export", "ip", "--format", "bind", "-o", "ip.zone", "--sign")
    (tmp_path / "key.pub").write_text(built("zone", "public-key").text)
    verify = ["minisign", "-V", "-m", "ip.zone"]
    for key in (["-p", "key.pub"], ["-P", built("zone", "public-key", "--json").json["public_key"]]):
        done = subprocess.run([*verify, *key], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "file:ip.zone\tzone:ip\tformat:bind\tserial:" in done.stdout
    with (tmp_path / "ip.zone").open("ab") as file:
        file.write(b"; more\n")
    assert subprocess.run([*verify, "-p", "key.pub"], cwd=tmp_path, capture_output=True, timeout=60).returncode != 0


def test_a_server_does_not_write_what_was_edited_since_its_start(built: Dnsbl, tmp_path: Path) -> None:
    (tmp_path / "dnsbl.toml").write_text('feeds_dir = "feeds"\n[[export]]\ndirectory = "new"\nformats = ["csv"]\n')
    done = built("zone", "files", "--only", "0", "--directory", "old", "--json")
    assert done.code == 1
    assert "old: [[export]] has changed in dnsbl.toml: restart the server" in done.err
    assert not (tmp_path / "new").exists()
    assert built("zone", "files", "--only", "0", "--directory", "new", "--json").code == 0
