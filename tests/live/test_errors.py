"""Every bad input and every trouble of the machine is one clear line on stderr and exit code 1 (2: wrong usage), never
a traceback, and nothing that was acknowledged is lost."""

from __future__ import annotations

import gc
import gzip
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from server import PROGRAM, SECONDS, Server, configure, environment, run, until, verb_here

from dnsbl.cli import main

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, or become somebody else")
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return configure(tmp_path)


Said = Callable[..., str]


@pytest.fixture
def said(path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Said:
    """As `line` and `usage`, in this process."""

    def call(*verb: str, code: int = 1) -> str:
        monkeypatch.chdir(path.parent)
        monkeypatch.setattr(sys, "argv", ["dnsbl", "-c", str(path), *verb])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        out, err = capfd.readouterr()
        lines = err.splitlines()
        assert out == ""
        assert lines[0].startswith("dnsbl: " if code == 1 else "Usage: ")
        assert len(lines) == 1 or code == 2, err
        assert len(lines[-1]) < 1500
        return lines[-1]

    return call


def line(path: Path, *verb: str, code: int = 1, **options: object) -> str:
    """The one line that a refused verb says."""
    done = run(path, *verb, code=code, **options)
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert len(said) == 1, done.stderr
    assert said[0].startswith("dnsbl: ")
    assert len(said[0]) < 1500
    return said[0]


# what is typed


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("192.0.2.1/24", "host bits"),
        ("010.0.0.1", "leading zero"),
        ("1.2.3", ""),
        ("1.2.3.4/33", ""),
        ("a..b", ""),
        ("", ""),
        ("bad\nline.example", ""),
        ("x" * 10_000, ""),
        ("\x1b[31mred.example", ""),
    ],
)
@pytest.mark.parametrize("verb", ["check", "report", "delist", "allow"])
def test_what_is_no_subject(said: Said, verb: str, subject: str, why: str) -> None:
    more = {
        "check": [],
        "report": ["--category", "spam"],
        "delist": ["--reason", "x"],
        "allow": ["--reason", "x"],
    }[verb]
    refused = said(*(["allow", "add"] if verb == "allow" else [verb]), *more, "--", subject)
    assert why in refused
    assert repr(subject[:20])[1:-1] in refused
    assert "\x1b" not in refused


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # click leaves FILE open to its end
def test_what_is_not_known(said: Said, path: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("46.0.0.1\n")
    assert "no zone 'nope'; there are domain, hash, ip, phone, policy, white" in said("zone", "build", "nope")
    assert "no zone 'nope'" in said("zone", "export", "nope", "--format", "bind")
    assert "no zone 'nope'" in said("delist", "46.0.0.1", "--zone", "nope", "--reason", "x")
    assert "no zone 'nope'" in said("allow", "add", "46.0.0.1", "--zone", "nope", "--reason", "x")
    assert "no feed nope" in said("feed", "pull", "nope")
    assert "no export format 'nope'; there are" in said("zone", "export", "ip", "--format", "nope")
    assert "no format 'nope'; known: " in said("import", "list.txt", "--source", "x", "--format", "nope")
    assert "no format 'nope'; known: " in said("feed", "test", "list.txt", "--format", "nope")
    assert "no category 'nope'; there are" in said("import", "list.txt", "--source", "x", "--category", "nope", code=2)
    assert "no category 'nope'; there are" in said("report", "46.0.0.1", "--category", "nope", code=2)
    assert "nope" in said("import", "list.txt", "--source", "x", "--map", "word=nope")
    assert "no role nope; there are dns, web, jobs, trap" in said("serve", "--role", "nope", code=2)
    assert "not a duration" in said("allow", "add", "46.0.0.1", "--reason", "x", "--for", "soon", code=2)
    assert "No such command" in said("nope", code=2)
    assert "No such option" in said("check", "--nope", "46.0.0.1", code=2)
    assert "Missing option '--source'" in said("import", "list.txt", code=2)
    assert "--accept needs the names" in said("feed", "pull", "--accept", code=2)
    assert "not on the allow-list" in said("allow", "remove", "46.0.0.1")
    gc.collect()  # what was left open ends here, and not in a test that does not expect it
    assert "no key 'nope'" in said("key", "revoke", "nope")
    assert "unknown scope nope" in said("key", "create", "acme", "--scope", "nope")
    assert "46.0.0.1: zone domain is not about" in said("delist", "46.0.0.1", "--zone", "domain", "--reason", "x")
    assert json.loads(verb_here(path, "key", "list", "--json")) == []


@pytest.mark.any_path
def test_a_key_whose_name_is_taken_changes_nothing(path: Path) -> None:
    verb_here(path, "key", "create", "acme", "--trust", "0.3")
    assert "'acme'" in line(path, "key", "create", "acme", "--trust", "1.0")
    assert json.loads(verb_here(path, "key", "list", "--json"))[0]["trust"] == 0.3
    verb_here(path, "import", "-", "--source", "mine", input=b"46.0.0.1\n")
    assert "another source" in line(path, "key", "create", "mine", "--trust", "0.1")


@pytest.mark.any_path
def test_arguments_that_are_no_text(path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "-c", str(path), "delist", "46.0.0.1", "--reason", b"\xff\xfe"],
        capture_output=True, env=environment(), cwd=path.parent, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == b"dnsbl: an argument is not UTF-8 text\n"


@pytest.mark.any_path
def test_an_unknown_key_cannot_post(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        for header in ({}, {"Authorization": "Bearer dnsbl_nope"}, {"Authorization": "Basic eDp5"}):
            status, body = server.http("POST", "/v1/reports", b'{"subject": "46.0.0.1"}', {**JSON, **header})
            assert status == 401
            assert json.loads(body)["status"] == 401
        assert "dnsbl_nope" not in server.err.text, "secrets are never in logs"


# files of configuration


def test_every_mistake_of_every_file_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "feeds").mkdir()
    path = configure(tmp_path, zones="zones", feeds="feeds")
    wrong = 'origin = "-bad-"\nkind = "other"\nns = []\n[[codes]]\ncode = "1.2.3.4"\n'
    (tmp_path / "zones" / "one.toml").write_text(wrong)
    (tmp_path / "zones" / "two.toml").write_text("origin = ")
    (tmp_path / "feeds" / "three.toml").write_text('title = "x"\nurl = "ftp://x/"\nformat = "plain"\nlicense = "x"\n')
    path.write_text(path.read_text() + '[nope]\nx = 1\n[store]\nurl = "mysql://x"\n')
    said = run(path, "config", "check", code=1).stderr.splitlines()
    assert all(each.startswith("dnsbl: ") for each in said)
    wanted = (
        "dnsbl.toml: nope: no such setting", "dnsbl.toml: store.url: unknown store", "one.toml: origin: not a DNS name",
        "one.toml: kind: ", "one.toml: ns: ", "one.toml: codes.0.code: a return code is in 127.0.0.0/8",
        "one.toml: codes.0.categories", "two.toml: not TOML", "three.toml: url: a feed is fetched by https",
        "three.toml: license: no such setting", "three.toml: licence: ", "three.toml: category: ",
    )  # fmt: skip
    for each in wanted:
        assert any(each in mistake for mistake in said), (each, said)
    assert len(said) == len(wanted)
    found = json.loads(run(path, "config", "check", "--json", code=1).stdout)
    assert found == {"good": False, "mistakes": [mistake.removeprefix("dnsbl: ") for mistake in said]}
    assert run(path, "serve", code=1).stderr.splitlines() == said
    assert run(path, "check", "46.0.0.1", code=1).stderr.splitlines() == said


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ('listen = ["127.0.0.1"]', "not an address and port"),
        ('listen = ["localhost:53"]', "dns.listen"),
        ("udp_size = 100", "dns.udp_size"),
        ('nativ = "off"', "dns.nativ: no such setting"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, setting: str, why: str) -> None:
    path = tmp_path / "dnsbl.toml"
    path.write_text(f"[dns]\n{setting}\n")
    assert why in line(path, "serve")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_that_are_not_there(said: Said, path: Path, tmp_path: Path) -> None:
    assert "nowhere.toml: cannot be read (No such file" in line(tmp_path / "nowhere.toml", "check", "46.0.0.1")
    assert "nowhere.txt" in said("import", "nowhere.txt", "--source", "x", code=2)
    assert "is a directory" in said("import", str(tmp_path), "--source", "x", code=2)
    missing = str(tmp_path / "no" / "where")
    assert "where: cannot be written" in said("store", "backup", missing)
    verb_here(path, "zone", "build")
    export = ["zone", "export", "ip", "--format", "bind", "-o", missing]
    assert "where: cannot be written (No such file" in said(*export)
    path.write_text(path.read_text().replace('"no-feeds"', '"nowhere"'))
    assert "set feeds_dir to a directory" in said("feed", "list")


# input


def test_input_that_cannot_be_used(said: Said, path: Path, tmp_path: Path) -> None:
    def refused(content: bytes, *more: str) -> str:
        (tmp_path / "input").write_bytes(content)
        return said("import", "input", "--source", "x", *more)

    assert "the file is empty; nothing was changed" in refused(b"")
    assert "not a list" in refused(b"<!DOCTYPE html><html></html>")
    assert "not a list" in refused(b"\x7fELF\x02\x01\x01" + bytes(1000))
    assert "cut or damaged" in refused(b"\x1f\x8bjunk")
    assert "cut or damaged" in refused(gzip.compress(b"46.0.0.1\n" * 1000)[:-9])
    assert "no column of subjects" in refused(b"time,what,who\n1,2,3\n", "--format", "reports")
    refused(b"\xff" * 5000)
    assert json.loads(verb_here(path, "check", "46.0.0.1", "--json"))["zones"][0]["breakdown"] == []


@pytest.mark.any_path
def test_gzip_that_is_cut_keeps_the_reports_before(path: Path, tmp_path: Path) -> None:
    rows = [f"{1_790_000_000 + n},46.0.{n >> 8}.{n & 255},spam,r{n * 7919 % 1009}" for n in range(20_000)]
    whole = gzip.compress("\n".join(["time,ip,category,reporter", *rows]).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    said = line(path, "import", "cut.csv.gz", "--source", "x")
    assert "cut or damaged" in said
    taken = int(said.rpartition("; ")[2].split()[0].replace(",", ""))
    assert 5_000 < taken < 15_000
    counts = json.loads(verb_here(path, "store", "check", "--json"))["counts"]
    assert (counts["report"], counts["touched"]) == (taken, 0)


@pytest.mark.any_path
def test_standard_streams_that_are_closed(path: Path) -> None:
    def closed(*verb: str, streams: str) -> subprocess.CompletedProcess[str]:
        return run(path, *verb, code=None, launcher=["sh", "-c", f'exec "$@" {streams}', "sh"])

    done = closed("import", "-", "--source", "x", streams="<&-")
    assert done.returncode == 1
    assert "the file is empty" in done.stderr
    for verb in (["feed", "list"], ["feed", "list", "--json"], ["check", "46.0.0.1"]):
        assert (closed(*verb, streams=">&-").returncode, closed(*verb, streams=">&- 2>&- <&-").returncode) == (0, 0)
    assert closed("zone", "build", "nope", streams="2>&-").returncode == 1
    counts = json.loads(verb_here(path, "store", "check", "--json"))
    assert counts["clean"] is True, "no message was written into the store"


@pytest.mark.any_path
@pytest.mark.parametrize(
    "verb",
    [["feed", "list"], ["feed", "list", "--json"], ["check", "46.0.0.1"], ["zone", "list"], ["version"], ["--help"],
     ["zone", "export", "ip", "--format", "rbldnsd"]],
    ids=" ".join,
)  # fmt: skip
def test_a_reader_that_has_gone_is_no_trouble(tmp_path: Path, verb: list[str]) -> None:
    """`dnsbl feed list | head -1`, at its worst: the reader goes before anything is written."""
    path = tmp_path / "dnsbl.toml"
    path.write_text("")
    if verb[0] == "zone":
        verb_here(path, "zone", "build")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, "-c", str(path), *verb],
            stdout=writing, stderr=subprocess.PIPE, env=environment(), cwd=tmp_path, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


# ports


def test_a_port_in_use(tmp_path: Path) -> None:
    path = configure(tmp_path)
    text = path.read_text()
    dns = int(text.split('listen = ["127.0.0.1:')[1].split('"')[0])
    web = int(text.split('listen = "127.0.0.1:')[1].split('"')[0])
    for port, kind, words in (
        (dns, socket.SOCK_DGRAM, ("(UDP)", "port is in use", "dns.listen")),
        (dns, socket.SOCK_STREAM, ("(TCP)", "port is in use", "dns.listen")),
        (web, socket.SOCK_STREAM, ("(web)", "in use", "web.listen")),
    ):
        with closing(socket.socket(socket.AF_INET, kind)) as other:
            other.bind(("127.0.0.1", port))
            if kind == socket.SOCK_STREAM:
                other.listen()
            for role in ("dns,web,jobs", "dns" if port == dns else "web"):
                said = line(path, "serve", "--role", role)
                assert f"cannot listen on 127.0.0.1:{port} " in said
                assert all(word in said for word in words), said


# disks and rights


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("a full disk: only root can mount one")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, timeout=SECONDS)
    if mounted.returncode:
        pytest.skip(f"a full disk: cannot mount one here ({mounted.stderr.decode().strip()})")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True, timeout=SECONDS)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def many(count: int, second: int = 0) -> bytes:
    return b"".join(b"46.%d.%d.%d\n" % (second, n >> 8, n & 255) for n in range(count))


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """Imports, reports and publishes fail with a line each; DNS answers on, what was acknowledged stays, and once
    there is room everything goes on by itself."""
    path = configure(tmp_path)
    path.write_text(path.read_text().replace('"data"', f'"{small_disk}/data"'))
    with Server(tmp_path, config=path) as server:
        verb_here(path, "report", "46.9.0.1", "--category", "spam")
        until(lambda: server.listed("46.9.0.1"))
        secret = json.loads(verb_here(path, "key", "create", "acme", "--live", "--json"))["secret"]
        headers = {"Authorization": f"Bearer {secret}", **JSON}
        filler = fill(small_disk)
        (tmp_path / "list.txt").write_bytes(many(20_000))
        said = line(path, "import", "list.txt", "--source", "mine")
        assert "the disk is full" in said or "No space left" in said, said
        body = json.dumps([{"subject": f"46.8.{n >> 8}.{n & 255}"} for n in range(9000)]).encode()
        status, answer = server.http("POST", "/v1/reports", body, headers)
        assert status == 503, answer
        assert server.listed("46.9.0.1") == ["127.0.0.2"]
        filler.unlink()
        assert server.http("POST", "/v1/reports", b'{"subject": "46.9.0.2", "category": "spam"}', headers)[0] == 200
        until(lambda: server.listed("46.9.0.2"), "there is room again")
        assert server.listed("46.9.0.1") == ["127.0.0.2"]
        done = json.loads(verb_here(path, "store", "check", "--json"))
        assert (done["clean"], done["counts"]["report"], done["counts"]["entry"]) == (True, 2, 0)


def test_no_room_for_a_snapshot(path: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full: the store fits, the snapshot does not."""
    verb_here(path, "report", "46.9.0.1", "--category", "spam")
    before = {each.name for each in (tmp_path / "data" / "zones" / "ip").iterdir()}
    limit = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh"]
    said = line(path, "zone", "build", "ip", "--force", launcher=limit)
    assert "cannot be written" in said or "disk" in said
    assert {each.name for each in (tmp_path / "data" / "zones" / "ip").iterdir()} == before
    assert json.loads(verb_here(path, "check", "46.9.0.1", "--json"))["zones"][0]["dns"] == ["127.0.0.2"]
    (tmp_path / "list.txt").write_bytes(many(20_000))
    limit = ["sh", "-c", 'ulimit -f 400; exec "$@"', "sh"]
    assert "store.sqlite" in line(path, "import", "list.txt", "--source", "mine", launcher=limit)
    counts = json.loads(verb_here(path, "store", "check", "--json"))["counts"]
    assert (counts["report"], counts["entry"]) == (1, 0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users may read."""
    with tempfile.TemporaryDirectory(prefix="dnsbl") as found:
        Path(found).chmod(0o755)
        yield Path(found)


@pytest.mark.any_path
@ROOT_ONLY
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_directories_that_may_not_be_read_or_written(open_directory: Path) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    version = [*nobody, *PROGRAM, "version"]
    tried = subprocess.run(version, env=environment(), cwd="/", capture_output=True, timeout=SECONDS)
    if tried.returncode:
        pytest.skip("another user cannot run this checkout")
    tmp_path = open_directory
    path = configure(tmp_path)
    said = line(path, "check", "46.0.0.1", launcher=nobody)
    assert f"{tmp_path}/data: cannot be made (Permission denied)" in said
    assert "Permission denied" in line(path, "serve", launcher=nobody)
    verb_here(path, "zone", "build")
    assert "store.sqlite" in line(path, "check", "46.0.0.1", launcher=nobody)
    assert "store.sqlite" in line(path, "report", "46.0.0.1", "--category", "spam", launcher=nobody)
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    path.write_text(path.read_text().replace('"no-feeds"', '"hidden"'))
    assert "hidden: cannot be read (Permission denied); set feeds_dir" in line(path, "feed", "list", launcher=nobody)
    secret = tmp_path / "secret.txt"
    secret.write_text("46.0.0.1\n")
    secret.chmod(0o600)
    assert "Permission denied" in run(path, "feed", "test", "secret.txt", code=None, launcher=nobody).stderr
    path.chmod(0o600)
    assert "dnsbl.toml: cannot be read (Permission denied)" in line(path, "check", "46.0.0.1", launcher=nobody)


# what is on the disk is not what it should be


@pytest.mark.any_path
def test_a_store_that_is_no_database(path: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.sqlite").write_bytes(b"not at all a database" * 500)
    for verb in (["check", "46.0.0.1"], ["store", "check"], ["report", "46.0.0.1", "--category", "spam"], ["serve"]):
        assert "store.sqlite: this is not a store, restore a backup" in line(path, *verb)


def test_a_store_from_a_newer_version(path: Path, tmp_path: Path) -> None:
    verb_here(path, "zone", "build")
    with closing(sqlite3.connect(tmp_path / "data" / "store.sqlite")) as store:
        store.execute("PRAGMA user_version = 999")
    assert "version 999 and this program knows" in line(path, "check", "46.0.0.1")
    with Server(tmp_path, config=path) as server:  # DNS answers from what there is
        assert server.codes("2.0.0.127.ip.dnsbl.test")
        server.logged("version 999")


@pytest.mark.any_path
def test_a_store_with_damaged_pages(path: Path, tmp_path: Path) -> None:
    verb_here(path, "import", "-", "--source", "mine", input=many(5000))
    store = tmp_path / "data" / "store.sqlite"
    content = bytearray(store.read_bytes())
    content[4096 * 20 : 4096 * 60] = os.urandom(4096 * 40)
    store.write_bytes(content)
    done = run(path, "store", "check", code=1)
    assert done.stdout or done.stderr
    assert "damage" in done.stdout + done.stderr


def test_a_snapshot_with_a_flipped_bit(path: Path, tmp_path: Path) -> None:
    verb_here(path, "report", "46.9.0.1", "--category", "spam")
    directory = tmp_path / "data" / "zones" / "ip"
    base = directory / json.loads((directory / "current").read_bytes())["base"]
    content = bytearray(base.read_bytes())
    content[len(content) // 2] ^= 1
    base.write_bytes(content)
    said = line(path, "zone", "export", "ip", "--format", "rbldnsd")
    assert "altered, its checksum does not match; build the zone again" in said
    assert json.loads(verb_here(path, "check", "46.9.0.1", "--json"))["zones"][0]["dns"] is None
    verb_here(path, "zone", "build", "ip")
    assert "46.9.0.1" in verb_here(path, "zone", "export", "ip", "--format", "rbldnsd")


def test_a_zone_that_was_never_built(path: Path) -> None:
    said = line(path, "zone", "export", "ip", "--format", "bind")
    assert "zone ip was never built; run `dnsbl zone build ip`" in said


@pytest.mark.any_path
def test_a_backup_is_never_written_over(path: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    assert "there exists" in line(path, "store", "backup", "there")
    assert (tmp_path / "there").read_text() == "mine"
