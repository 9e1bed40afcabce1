"""The files of an `[[export]]`: whole, signed, in the manifest; what fails stays as it was."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config.distribution import ExportConfig
from dnsbl.errors import DnsblError
from dnsbl.exporting import directory as module
from dnsbl.exporting import writing
from dnsbl.exporting.directory import MANIFEST, SIGNATURE, Brought, Directory
from dnsbl.following.minisign import PublicKey
from dnsbl.zones.export import FORMATS, export
from dnsbl.zones.signing import Signer

FORMATS_WANTED = ["rbldnsd", "bind", "ndjson"]


class Place:
    """A directory that is exported to, and the application beside it."""

    def __init__(self, app: App, path: Path) -> None:
        self.app, self.path = app, path

    def update(self, **other: Any) -> Brought:
        wanted: dict[str, Any] = {"directory": self.path, "formats": FORMATS_WANTED, "zones": ["ip", "domain"]}
        signer = Signer(self.app.keyed)
        return Directory(ExportConfig(**(wanted | other)), self.app.data_dir, self.app.zones, signer).update()

    def manifest(self) -> dict[str, dict[str, Any]]:
        return {line["file"]: line for line in json.loads((self.path / MANIFEST).read_bytes())["files"]}

    def files(self) -> set[str]:
        return {path.name for path in self.path.iterdir() if not path.name.startswith(".")}

    def check(self) -> None:
        """Every file matches its line and its signature, and the manifest its own."""
        key = PublicKey(Signer(self.app.keyed).public_key)
        lines = self.manifest()
        signed = {*lines, MANIFEST}
        assert self.files() == signed | {name + SIGNATURE for name in signed}
        for name in signed:
            content = (self.path / name).read_bytes()
            key.check(content, (self.path / (name + SIGNATURE)).read_text())
            if name in lines:
                assert lines[name]["size"] == len(content)
                assert lines[name]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.fixture
def place(app: App, tmp_path: Path) -> Place:
    app.report("46.0.0.1", "spam", "operator")
    app.settle()
    return Place(app, tmp_path / "files")


def test_each_zone_is_there_in_each_format_that_carries_it(place: Place) -> None:
    brought = place.update(formats=["rbldnsd", "ndjson", "ipset"], compress=["gzip", "zstd"])
    place.check()
    lines = place.manifest()
    plain = {f"{zone}{FORMATS[format].suffix}" for zone in ("ip", "domain") for format in ("rbldnsd", "ndjson")}
    plain.add("ip.ipset")
    assert set(lines) == set(brought.written) == {name + end for name in plain for end in ("", ".gz", ".zst")}
    assert brought.failed == []
    content = (place.path / "ip.rbldnsd").read_bytes()
    assert content == b"".join(export(place.app.served("ip"), "rbldnsd"))
    assert gzip.decompress((place.path / "ip.rbldnsd.gz").read_bytes()) == content
    packed = (place.path / "ip.rbldnsd.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == content
    view, line = place.app.served("ip"), lines["ip.rbldnsd"]
    assert (line["zone"], line["origin"], line["format"]) == ("ip", "ip.dnsbl.test", "rbldnsd")
    assert (line["serial"], clock.parse_time(line["made_at"])) == (view.serial, view.base.info["made_at"])


def test_files_of_a_zone_that_refuses_go(place: Place) -> None:
    """They have what may not be given away; whoever copies the directory is not to have it from there."""
    place.update(compress=["gzip"])
    directory = place.app.data_dir / "zones" / "ip"
    pointer = json.loads((directory / "current").read_bytes())
    (directory / "current").write_text(json.dumps(pointer | {"withheld": 1, "refuses": True}))
    brought = place.update(compress=["gzip"])
    place.check()
    assert {name.partition(".")[0] for name in place.files()} == {"domain", "manifest"}
    assert len(brought.removed) == 2 * len(FORMATS_WANTED)
    assert len(brought.failed) == 1
    assert "zone ip is not given away" in brought.failed[0]


def test_nothing_is_written_while_the_serials_are_the_same(place: Place) -> None:
    place.update()
    before = {path.name: path.stat().st_ino for path in place.path.iterdir()}
    brought = place.update()
    assert (brought.written, brought.removed, brought.failed) == ([], [], [])
    assert set(brought.unchanged) == set(place.manifest())
    assert {path.name: path.stat().st_ino for path in place.path.iterdir()} == before


def test_only_what_has_another_serial_is_written(place: Place) -> None:
    place.update()
    place.app.report("46.0.0.2", "spam", "operator")
    place.app.settle()
    brought = place.update()
    place.check()
    assert {name.partition(".")[0] for name in brought.written} == {"ip"}
    assert b"46.0.0.2" in (place.path / "ip.ndjson").read_bytes()


def test_a_file_that_somebody_cut_or_removed_comes_back(place: Place) -> None:
    place.update()
    (place.path / "ip.zone").write_bytes(b"")
    (place.path / "ip.ndjson").unlink()
    (place.path / ("domain.ndjson" + SIGNATURE)).unlink()
    assert set(place.update().written) == {"ip.zone", "ip.ndjson", "domain.ndjson"}
    place.check()


def test_what_is_not_wanted_any_more_goes_and_what_is_not_ours_stays(place: Place) -> None:
    place.update()
    (place.path / "index.html").write_text("mine")
    brought = place.update(formats=["rbldnsd"], zones=["ip"])
    assert set(brought.removed) == {"domain.rbldnsd", "ip.zone", "domain.zone", "ip.ndjson", "domain.ndjson"}
    assert place.files() == {
        "ip.rbldnsd", "ip.rbldnsd.minisig", "manifest.json", "manifest.json.minisig", "index.html",
    }  # fmt: skip


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b'{"files":[{"file":"../../secret"}]}', b'{"files":3}'])
def test_a_manifest_that_is_none_of_ours_removes_nothing(place: Place, manifest: bytes) -> None:
    place.path.mkdir()
    (place.path / MANIFEST).write_bytes(manifest)
    (place.path.parent / "secret").write_text("mine")
    assert len(place.update().written) == 6
    place.check()
    assert (place.path.parent / "secret").exists()


def test_a_manifest_cannot_name_what_is_elsewhere(place: Place) -> None:
    place.update()
    document = json.loads((place.path / MANIFEST).read_bytes())
    (place.path.parent / "secret").write_text("mine")
    document["files"].append({**document["files"][0], "file": "../secret"})
    (place.path / MANIFEST).write_text(json.dumps(document))
    place.update()
    assert (place.path.parent / "secret").exists()


def test_a_full_disk_keeps_the_old_file_and_its_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.update()
    old = place.manifest()
    place.app.report("46.0.0.2", "spam", "operator")
    place.app.settle()
    whole = writing.write

    def full(path: Path, content: Any) -> Any:
        if path.name == "ip.zone":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(path, content)

    monkeypatch.setattr(module, "write", full)
    brought = place.update()
    (why,) = brought.failed
    assert "ip.zone: cannot be written (No space left on device); the old file stays" in why
    place.check()
    assert place.manifest()["ip.zone"] == old["ip.zone"]
    assert place.manifest()["ip.ndjson"]["serial"] > old["ip.ndjson"]["serial"]
    monkeypatch.setattr(module, "write", whole)
    assert place.update().written == ["ip.zone"]
    place.check()


def test_a_signature_that_cannot_be_written_is_not_another_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.update()
    place.app.report("46.0.0.2", "spam", "operator")
    place.app.settle()
    whole = writing.write

    def full(path: Path, content: Any) -> Any:
        if path.name == "ip.zone" + SIGNATURE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(path, content)

    monkeypatch.setattr(module, "write", full)
    assert len(place.update().failed) == 1
    assert not (place.path / ("ip.zone" + SIGNATURE)).exists()
    monkeypatch.setattr(module, "write", whole)
    assert place.update().written == ["ip.zone"]
    place.check()


@pytest.mark.parametrize("after", range(0, 14, 3))
def test_after_a_crash_the_next_run_makes_all_of_it_right(
    place: Place, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever it was: between a file and its signature, or before the manifest."""
    place.update()
    place.app.report("46.0.0.2", "spam", "operator")
    place.app.report("bad.example", "spam", "operator")
    place.app.settle()
    whole, count = writing.write, itertools.count()

    def crashing(path: Path, content: Any) -> Any:
        if next(count) == after:
            raise KeyboardInterrupt
        return whole(path, content)

    monkeypatch.setattr(module, "write", crashing)
    with pytest.raises(KeyboardInterrupt):
        place.update()
    monkeypatch.setattr(module, "write", whole)
    place.update()
    place.check()
    assert b"46.0.0.2" in (place.path / "ip.ndjson").read_bytes()


def test_a_zone_that_cannot_be_read_keeps_its_files(place: Place) -> None:
    place.update()
    old = place.manifest()
    (place.app.data_dir / "zones" / "ip" / "current").write_text("nonsense")
    (why,) = place.update().failed
    assert why.startswith("zone ip: ")
    assert place.manifest() == old
    place.check()


def test_one_process_at_a_time(place: Place) -> None:
    place.update()
    other = os.open(place.path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with pytest.raises(DnsblError, match="another process is writing its files"):
            place.update()
    finally:
        os.close(other)
    place.update()


def test_a_directory_that_cannot_be_made_is_refused(place: Place) -> None:
    place.path.write_text("a file")
    with pytest.raises(DnsblError, match="files: cannot be written"):
        place.update()


def test_files_aside_are_hidden_from_those_who_copy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    whole = writing.write_to

    def watched(file: Any, content: Any) -> Any:
        seen.update(path.name for path in place.path.iterdir() if path.name.endswith(".part"))
        return whole(file, content)

    monkeypatch.setattr(writing, "write_to", watched)
    place.update()
    assert seen
    assert all(name.startswith(".") for name in seen)


def test_no_two_formats_have_the_same_file() -> None:
    suffixes = [format.suffix for format in FORMATS.values()]
    assert len(set(suffixes)) == len(suffixes)
