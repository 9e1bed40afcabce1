"""Files of `[[export]]`, kept up to date by the server and copied by rsync(1) while they change."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
from pathlib import Path
from shutil import which

import pytest
from server import SECONDS, Server, configure, until

from dnsbl.errors import TransferError
from dnsbl.following.minisign import PublicKey

REPORT = b'{"subject": "46.%d.7.7", "category": "spam"}'


def configured(tmp_path: Path, every: int = 1) -> Path:
    config = configure(tmp_path)
    config.write_text(
        config.read_text()
        + f'[[export]]\ndirectory = "files"\nformats = ["rbldnsd", "bind", "cidr"]\nzones = ["ip"]\nevery = {every}\n'
        'compress = ["gzip", "zstd"]\n'
    )
    return config


def serial_in(manifest: Path) -> int:
    """0 where there is no manifest yet."""
    try:
        return min(line["serial"] for line in json.loads(manifest.read_bytes())["files"])
    except (FileNotFoundError, ValueError):
        return 0


def test_files_follow_what_is_published_and_say_once_what_fails(tmp_path: Path) -> None:
    files = tmp_path / "files"
    with Server(tmp_path, config=configured(tmp_path)) as server:
        until(lambda: serial_in(files / "manifest.json") == server.serial("ip"), "the first files are there")
        server.run("report", "46.7.7.7", "--category", "spam")
        until(lambda: b"46.7.7.7\n" in (files / "ip.cidr").read_bytes(), "they have what was listed")
        (files / "ip.zone").unlink()
        (files / "ip.zone").mkdir()
        server.run("report", "46.7.7.80", "--category", "spam")
        said = server.logged("ip.zone: cannot be written")
        assert "the old file stays" in said
        until(lambda: b'dnsbl_export_failures_total{export="files"} 0.0' not in server.http("GET", "/metrics")[1])
        server.run("report", "46.7.7.120", "--category", "spam")
        until(lambda: b"46.7.7.120\n" in (files / "ip.cidr").read_bytes(), "the others go on")
        (files / "ip.zone").rmdir()
        server.logged("is up to date again")
        assert server.log_count("ip.zone: cannot be written") == 1
        until(lambda: (files / "ip.zone").is_file() and "46" in (files / "ip.zone").read_text(), "and it comes back")


@pytest.mark.peer
@pytest.mark.skipif(not (which("rsync") and which("zstd")), reason="apt install rsync zstd")
def test_rsync_never_has_half_a_file(tmp_path: Path) -> None:
    """Each file is whole in every copy that is made while they are rewritten; a copy that was made between two times is
    what its manifest and its signatures say."""
    files, copy = tmp_path / "files", tmp_path / "copy"
    rsync = ["rsync", "-r", "--delete", "--exclude=.*", f"{files}/", f"{copy}/"]
    with Server(tmp_path, config=configured(tmp_path)) as server:
        until(lambda: serial_in(files / "manifest.json"), "the first files are there")
        key = PublicKey(server.run("zone", "public-key").stdout)
        secret = json.loads(server.run("key", "create", "p", "--live", "--json").stdout)["secret"]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
        seen: set[int] = set()
        numbers = itertools.count()

        def copied() -> bool:
            """Once more; whether that was often enough."""
            number = next(numbers)
            if number < 256 and not number % 8:
                assert server.http("POST", "/v1/reports", REPORT % number, headers)[0] == 200
            subprocess.run(rsync, check=True, timeout=SECONDS)
            if whole(copy, key):
                seen.add(serial_in(copy / "manifest.json"))
            return len(seen) >= 3

        until(copied, "three editions were copied")
    for end, unpack in ((".gz", ["gzip", "-dc"]), (".zst", ["zstd", "-dc"])):
        done = subprocess.run(
            [*unpack, f"ip.rbldnsd{end}"], cwd=files, capture_output=True, check=True, timeout=SECONDS
        )
        assert done.stdout == (files / "ip.rbldnsd").read_bytes()


def whole(copy: Path, key: PublicKey) -> bool:
    """Whether every file is what the manifest and its signature say. None is cut: a text ends as such texts do."""
    lines = json.loads((copy / "manifest.json").read_bytes())["files"]
    same = []
    for line in lines:
        content = (copy / line["file"]).read_bytes()
        assert line["coding"] != "identity" or content.endswith(b"\n")
        same.append(hashlib.sha256(content).hexdigest() == line["sha256"])
        try:
            key.check(content, (copy / (line["file"] + ".minisig")).read_text())
        except TransferError:
            same.append(False)
    return all(same)
