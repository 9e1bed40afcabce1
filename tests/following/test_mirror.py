"""Snapshot files over HTTP: what is signed and whole is taken, whatever the server or the line does otherwise."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from worlds import IP, World, codes4, world

from dnsbl import files
from dnsbl.config.distribution import FollowConfig
from dnsbl.errors import DnsblError, PublishRefused, SnapshotError, TransferError
from dnsbl.following import install as installing
from dnsbl.following import mirror as mirroring
from dnsbl.following.http import Web
from dnsbl.following.mirror import Mirror
from dnsbl.keyed import Keyed
from dnsbl.zones.arrays import write
from dnsbl.zones.followed import force
from dnsbl.zones.journal import Journal
from dnsbl.zones.publish import zone_directory
from dnsbl.zones.served import FileName, ServedZone, read_pointer
from dnsbl.zones.signing import Signer, digest_of
from dnsbl.zones.snapshot import SECTIONS, Snapshot
from dnsbl.zones.wire import step_sections

PATH = "/v1/zones/ip/snapshot"
ADDRESS = 0x09020203


class Origin:
    """A web side that says what a test wants: what a zone's directory has, or something worse."""

    def __init__(self, directory: Path, signer: Signer, tls: ssl.SSLContext | None = None) -> None:
        self.directory, self.signer = directory, signer
        self.asked: list[tuple[str, str]] = []  # path and Range
        self.cut_at = 0  # bytes after which the body of a file ends
        self.status: dict[str, tuple[int, dict[str, str]]] = {}  # of a path: something else than its answer
        self.altered: dict[str, Any] = {}  # members of the pointer, before it is signed
        self.tamper: dict[str, bytes] = {}  # of a file: other bytes
        self.body = b""  # instead of the pointer
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.scheme = "https" if tls else "http"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(30)

    def file(self, name: str | None) -> dict[str, Any] | None:
        if name is None:
            return None
        content = (self.directory / name).read_bytes()
        return {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def pointer(self) -> bytes:
        found = read_pointer(self.directory)
        assert found is not None
        base, delta = self.file(found.base), self.file(found.delta)
        said = {"zone": "ip", "serial": found.serial, "made_at": 1, "base": base, "delta": delta} | self.altered
        message = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        return orjson.dumps(said | {"signature": self.signer.sign(digest_of(message), "a snapshot")})

    def handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                origin.asked.append((self.path, self.headers.get("Range", "")))
                if self.path in origin.status:
                    status, headers = origin.status[self.path]
                    self.answer(status, headers, b"")
                elif self.path == PATH:
                    self.document(origin.body or origin.pointer())
                else:
                    self.file(self.path.rpartition("/")[2])

            def document(self, body: bytes) -> None:
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                same = self.headers.get("If-None-Match") == etag
                self.answer(304 if same else 200, {"ETag": etag}, b"" if same else body)

            def file(self, name: str) -> None:
                path = origin.directory / name
                if not path.exists():
                    return self.answer(404, {}, b"")
                body = origin.tamper.get(name, path.read_bytes())
                start = 0
                if asked := self.headers.get("Range"):
                    assert self.headers["If-Range"] == f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'
                    start = int(asked.removeprefix("bytes=").removesuffix("-"))
                part = f"bytes {start}-{len(body) - 1}/{len(body)}"
                return self.answer(206 if start else 200, {"Content-Range": part} if start else {}, body[start:])

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                whole = status in (200, 206) and self.path != PATH and 0 < origin.cut_at < len(body)
                self.wfile.write(body[: origin.cut_at] if whole else body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler


@pytest.fixture
def made() -> Iterator[World]:
    with world([IP]) as made:
        made.report(*(f"9.2.2.{n}" for n in range(200)))
        made.settle()
        made.publish("ip")
        yield made


@pytest.fixture
def origin(made: World, tmp_path: Path) -> Iterator[Origin]:
    found = Origin(zone_directory(made.directory, "ip"), Signer(Keyed(tmp_path / "key")))
    yield found
    found.close()


@pytest.fixture
def mirror(origin: Origin, tmp_path: Path) -> Mirror:
    return Mirror(IP, tmp_path / "zones" / "ip", follow(origin))


def follow(origin: Origin, **more: Any) -> FollowConfig:
    return FollowConfig.model_validate({"zone": "ip", "url": origin.url, "public_key": origin.signer.public_key} | more)


def changed(made: World, category: str = "malware") -> None:
    made.now += 10
    made.report("9.2.2.3", category=category)
    made.settle()
    assert made.publish("ip") is not None


def held(mirror: Mirror) -> ServedZone:
    """What is in place, for whoever answers from it."""
    found = mirror.install.current()
    assert found is not None
    return found


def test_the_base_is_fetched_once_and_then_the_deltas(made: World, origin: Origin, mirror: Mirror) -> None:
    first = mirror.refresh(expired=True)
    assert first == (made.served("ip").serial, origin.url)
    assert codes4(held(mirror), ADDRESS) == {0}
    for category in ("malware", "dynamic"):
        changed(made, category)
        origin.asked.clear()
        mirror.refresh(expired=False)
        assert [path.rpartition(".")[2] for path, _ in origin.asked] == [PATH, "delta"]
        assert held(mirror).serial == made.served("ip").serial
    assert codes4(held(mirror), ADDRESS) == {0, 1, 2}
    origin.asked.clear()
    mirror.refresh(expired=False)
    assert origin.asked == [(PATH, "")]
    suffixes = sorted(path.suffix for path in mirror.directory.iterdir() if FileName.fullmatch(path.name))
    assert suffixes == [".base", ".delta", ".delta"]  # the delta before, too: for slow readers


def test_what_changed_leads_on_to_those_who_follow_us(made: World, origin: Origin, mirror: Mirror) -> None:
    mirror.refresh(expired=True)
    first = held(mirror).serial
    for category in ("malware", "dynamic"):
        changed(made, category)
        mirror.refresh(expired=False)
    here, there = (Journal(each).between(first, held(mirror).serial) for each in (mirror.directory, origin.directory))
    assert here is not None and there is not None
    assert [*map(list, step_sections(here)[:2])] == [*map(list, step_sections(there)[:2])]


def test_after_a_restart_nothing_is_fetched_again(origin: Origin, mirror: Mirror) -> None:
    mirror.refresh(expired=True)
    origin.asked.clear()
    again = Mirror(IP, mirror.directory, follow(origin))
    again.refresh(expired=False)
    assert origin.asked == [(PATH, "")]


def test_a_cut_download_goes_on_where_it_ended(made: World, origin: Origin, mirror: Mirror) -> None:
    origin.cut_at = 500
    with pytest.raises(TransferError, match="cut after 500 of"):
        mirror.refresh(expired=True)
    assert mirror.install.current() is None
    origin.cut_at = 0
    again = Mirror(IP, mirror.directory, follow(origin))  # even after a restart
    again.refresh(expired=True)
    assert origin.asked[-1][1] == "bytes=500-"
    assert held(again).serial == made.served("ip").serial


@pytest.mark.parametrize("kind", ["altered", "short", "long"])
def test_a_file_that_is_not_what_is_signed_is_thrown_away(origin: Origin, mirror: Mirror, kind: str) -> None:
    pointer = read_pointer(origin.directory)
    assert pointer is not None
    right = (origin.directory / pointer.base).read_bytes()
    wrong = {"altered": right[:-1] + b"\xff", "short": right[:-9], "long": right + bytes(9)}[kind]
    origin.tamper[pointer.base] = wrong
    if kind == "long":  # no more is read than is signed
        mirror.refresh(expired=True)
        return
    with pytest.raises(TransferError, match=r"not what is signed|cut after"):
        mirror.refresh(expired=True)
    assert mirror.install.current() is None
    origin.tamper.clear()
    mirror.refresh(expired=True)
    assert held(mirror).base.path.read_bytes() == right


def test_another_signature_is_not_believed(made: World, origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    mirror.refresh(expired=True)
    before = held(mirror).serial
    changed(made)
    good, origin.signer = origin.signer, Signer(Keyed(tmp_path / "other"))
    with pytest.raises(TransferError, match=r"another key than follow\.public_key"):
        mirror.refresh(expired=False)
    origin.signer = good
    origin.body = origin.pointer().replace(b'"made_at":1', b'"made_at":2')
    with pytest.raises(TransferError, match="its signature is wrong"):
        mirror.refresh(expired=False)
    assert held(mirror).serial == before


@pytest.mark.parametrize(
    "altered",
    [
        {"zone": "other"}, {"serial": -1}, {"serial": "7"}, {"serial": 2**32}, {"base": None}, {"base": {"name": "x"}},
        {"base": {"name": "../1.base", "size": 9, "sha256": "0" * 64}},
        {"base": {"name": "1.delta", "size": 9, "sha256": "0" * 64}},
        {"base": {"name": "1.base", "size": 2**40, "sha256": "0" * 64}},
        {"base": {"name": "1.base", "size": True, "sha256": "0" * 63}},
        {"delta": 7}, {"delta": {"name": "1.base", "size": 9, "sha256": "0" * 64}},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_though_it_is_signed(
    origin: Origin, mirror: Mirror, altered: dict[str, Any]
) -> None:
    origin.altered = altered
    with pytest.raises(TransferError):
        mirror.refresh(expired=True)
    assert [path for path, _ in origin.asked] == [PATH]


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"{}", b'{"signature": 7}', b'{"signature": null}', b"x" * 70_000])
def test_an_answer_that_is_none_is_refused(origin: Origin, mirror: Mirror, body: bytes) -> None:
    origin.body = body
    with pytest.raises(TransferError):
        mirror.refresh(expired=True)


def test_an_old_answer_said_again_is_refused_until_the_zone_expires(
    made: World, origin: Origin, mirror: Mirror
) -> None:
    old = origin.pointer()
    first = made.served("ip").serial
    mirror.refresh(expired=True)
    changed(made)
    mirror.refresh(expired=False)
    origin.body = old
    with pytest.raises(TransferError, match="behind ours"):
        mirror.refresh(expired=False)
    assert held(mirror).serial == made.served("ip").serial
    mirror.refresh(expired=True)
    assert held(mirror).serial == first
    assert Journal(mirror.directory).legs() == []  # nothing leads to a serial that was there before


def test_a_file_that_a_newer_publish_swept_is_asked_for_again(made: World, origin: Origin, mirror: Mirror) -> None:
    pointer = read_pointer(origin.directory)
    assert pointer is not None
    origin.status[f"{PATH}/{pointer.base}"] = 404, {}
    with pytest.raises(TransferError, match="change faster"):
        mirror.refresh(expired=True)
    assert [path for path, _ in origin.asked].count(PATH) == mirroring.TURNS
    origin.status.clear()
    mirror.refresh(expired=True)
    assert held(mirror).serial == made.served("ip").serial


@pytest.mark.parametrize(
    ("status", "why"), [(401, "api_key"), (403, "may not read"), (404, "no such zone"), (302, "302")]
)
def test_a_refusal_says_what_it_is(origin: Origin, mirror: Mirror, status: int, why: str) -> None:
    origin.status[PATH] = status, {"Location": "http://192.0.2.1/"}
    with pytest.raises(TransferError, match=why):
        mirror.refresh(expired=True)


def test_a_pause_that_is_asked_for_is_kept(origin: Origin, mirror: Mirror) -> None:
    origin.status[PATH] = 429, {"Retry-After": "600"}
    for _ in range(3):
        with pytest.raises(TransferError, match=r"too often|a pause"):
            mirror.refresh(expired=True)
    assert len(origin.asked) == 1


def test_a_snapshot_of_another_zone_is_refused(origin: Origin, tmp_path: Path) -> None:
    other = IP.model_copy(update={"origin": "other.example"})
    with pytest.raises(TransferError, match=r"its snapshot is of ip\.example"):
        Mirror(other, tmp_path / "other", follow(origin)).refresh(expired=True)
    assert not list((tmp_path / "other").glob("current"))


def test_what_is_refused_is_not_written_over_what_is_in_use(made: World, origin: Origin, mirror: Mirror) -> None:
    """The primary was made anew, of another zone, and has a base of the same name."""
    mirror.refresh(expired=True)
    path, before = held(mirror).base.path, held(mirror).serial
    content = path.read_bytes()
    changed(made)
    right = {file.path: file.path.read_bytes() for file in (made.served("ip").base, made.served("ip").delta) if file}
    for each in right:
        of_another_zone(each)
    for _ in range(2):
        with pytest.raises(TransferError, match=r"its snapshot is of other\.example"):
            mirror.refresh(expired=False)
    assert path.read_bytes() == content, "a restart begins with it"
    assert held(Mirror(IP, mirror.directory, follow(origin))).serial == before
    assert [name.endswith(".base") for name, _ in origin.asked].count(True) == 2, "what is whole is not fetched again"
    for each, its in right.items():
        each.write_bytes(its)
    mirror.refresh(expired=False)
    assert held(mirror).serial == made.served("ip").serial
    assert not list(mirror.directory.glob(f"*{mirroring.PART}"))


def of_another_zone(path: Path) -> None:
    """Write a snapshot file anew."""
    file = Snapshot(path)
    arrays = {name: np.asarray(getattr(file, name)) for name in SECTIONS if name != "meta"}
    other = IP.model_copy(update={"origin": "other.example"}).model_dump(mode="json", by_alias=True)
    write(path, file.info | {"zone": other}, arrays)


def test_a_zone_that_loses_too_much_stays(
    made: World, origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dnsbl.zones.checks.SMALL_ZONE", 10)
    mirror.refresh(expired=True)
    before = held(mirror).serial
    made.now += 10
    for number in range(195):
        made.exempt(f"9.2.2.{number}")
    made.settle()
    made.publish("ip", force=True)
    with pytest.raises(PublishRefused, match="if that is meant, run `dnsbl zone build ip --force`"):
        mirror.refresh(expired=False)
    assert held(mirror).serial == before
    force(mirror.directory)  # as that verb does
    mirror.refresh(expired=False)
    assert held(mirror).serial == made.served("ip").serial


def test_a_full_disk_leaves_the_old_zone(
    made: World, origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.refresh(expired=True)
    before = held(mirror).serial
    changed(made)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SnapshotError, match="No space left"):
            mirror.refresh(expired=False)
    assert held(mirror).serial == before
    mirror.refresh(expired=False)
    assert held(mirror).serial == made.served("ip").serial


def test_what_has_no_room_is_not_fetched(
    made: World, origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.refresh(expired=True)
    before = held(mirror).serial
    changed(made)
    origin.asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(installing, "SMALL", 0)
        patch.setattr(files, "LEAVE_FREE", 2**80)
        with pytest.raises(SnapshotError, match=r"no room for zone ip: .* make room there; the old zone stays"):
            mirror.refresh(expired=False)
    assert origin.asked == [(PATH, "")]
    assert held(mirror).serial == before
    mirror.refresh(expired=False)
    assert held(mirror).serial == made.served("ip").serial


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "http://bl.example", "ftp://127.0.0.1/", "bl.example", ""])
def test_without_encryption_only_from_this_machine(url: str) -> None:
    with pytest.raises(TransferError, match="https"):
        Web(url, "")


def test_the_key_goes_to_the_server_and_into_no_message(origin: Origin, tmp_path: Path) -> None:
    origin.status[PATH] = 403, {}
    with pytest.raises(DnsblError) as caught:
        Mirror(IP, tmp_path / "ip", follow(origin, api_key="sesame")).refresh(expired=True)
    assert "sesame" not in str(caught.value)


def test_the_certificate_may_be_from_an_authority_of_ones_own(made: World, tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=bl.example"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    origin = Origin(zone_directory(made.directory, "ip"), Signer(Keyed(tmp_path / "key")), tls)
    try:
        with pytest.raises(TransferError, match="its certificate is not believed"):
            Mirror(IP, tmp_path / "ip", follow(origin)).refresh(expired=True)
        with pytest.raises(TransferError, match=r"follow\.tls_ca .*key\.pem: no certificates in PEM"):
            Mirror(IP, tmp_path / "ip", follow(origin, tls_ca=tmp_path / "no-key.pem")).refresh(expired=True)
        mirror = Mirror(IP, tmp_path / "ip", follow(origin, tls_ca=tmp_path / "cert.pem"))
        assert mirror.refresh(expired=True) == (made.served("ip").serial, origin.url)
    finally:
        origin.close()
