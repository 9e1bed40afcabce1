"""Files of `[[export]]`, kept up to date by the server and copied by rsync(1) while they change."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
from server import SECONDS, Server, configure, until

from dnsbl.errors import TransferError
from dnsbl.following.minisign import PublicKey

EXPORT = """
[[export]]
directory = "files"
formats = ["rbldnsd", "bind", "cidr"]
zones = ["ip"]
every = 1
compress = ["gzip", "zstd"]
"""


@dataclass(slots=True)
class Exporting:
    """A server that keeps files, with the first ones."""

    server: Server
    files: Path
    secret: str  # of a key that may report

    def report(self, address: str) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.secret}"}
        body = json.dumps({"subject": address, "category": "spam"}).encode()
        assert self.server.http("POST", "/v1/reports", body, headers)[0] == 200


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    directory = tmp_path_factory.mktemp("exporting")
    files, config = directory / "files", configure(directory)
    config.write_text(config.read_text() + EXPORT)
    with Server(directory, config=config) as server:
        secret = json.loads(server.verb("key", "create", "p", "--live", "--json"))["secret"]
        until(lambda: serial_in(files / "manifest.json") == server.serial("ip"), "the first files are there")
        yield Exporting(server, files, secret)


def serial_in(manifest: Path) -> int:
    """0 where there is no manifest yet."""
    try:
        return min(line["serial"] for line in json.loads(manifest.read_bytes())["files"])
    except (FileNotFoundError, ValueError):
        return 0


def test_files_follow_what_is_published_and_say_once_what_fails(exporting: Exporting) -> None:
    server, files = exporting.server, exporting.files
    exporting.report("46.7.7.7")
    until(lambda: b"46.7.7.7\n" in (files / "ip.cidr").read_bytes(), "they have what was listed")
    (files / "ip.zone").unlink()
    (files / "ip.zone").mkdir()
    exporting.report("46.7.7.80")
    said = server.logged("ip.zone: cannot be written")
    assert "the old file stays" in said
    until(lambda: b'dnsbl_export_failures_total{export="files"} 0.0' not in server.http("GET", "/metrics")[1])
    exporting.report("46.7.7.120")
    until(lambda: b"46.7.7.120\n" in (files / "ip.cidr").read_bytes(), "the others go on")
    (files / "ip.zone").rmdir()
    server.logged("is up to date again")
    assert server.log_count("ip.zone: cannot be written") == 1
    until(lambda: (files / "ip.zone").is_file() and "46" in (files / "ip.zone").read_text(), "and it comes back")


@pytest.mark.peer
@pytest.mark.skipif(not (which("rsync") and which("zstd")), reason="apt install rsync zstd")
def test_rsync_never_has_half_a_file(exporting: Exporting, tmp_path: Path) -> None:
    """Each file is whole in every copy that is made while they are rewritten; a copy that was made between two times is
    what its manifest and its signatures say."""
    files, copy = exporting.files, tmp_path / "copy"
    rsync = ["rsync", "-r", "--delete", "--exclude=.*", f"{files}/", f"{copy}/"]
    key = PublicKey(exporting.server.verb("zone", "public-key"))
    seen: set[int] = set()
    numbers = itertools.count()

    def copied() -> bool:
        """Once more; whether that was often enough."""
        number = next(numbers)
        if number < 256 and not number % 8:
            exporting.report(f"46.{number}.7.7")
        subprocess.run(rsync, check=True, timeout=SECONDS)
        if whole(copy, key):
            seen.add(serial_in(copy / "manifest.json"))
        return len(seen) >= 3

    until(copied, "three editions were copied")
    exporting.server.stop()  # no file changes between two looks at it
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
