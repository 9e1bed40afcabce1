"""The SQLite store: held to the conformance suite, and to what a file on a disk has to bear."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import NOW, Conformance, keys, listed, row, settle, touched

from dnsbl.config import Config
from dnsbl.errors import StoreError
from dnsbl.model import Report
from dnsbl.store import SqliteStore, Store, open_store
from dnsbl.store import keeping as keeping_module
from dnsbl.store.schema import MIGRATIONS
from dnsbl.subjects import parse

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60  # a child or a thread that takes longer is at fault


def sqlite_in(directory: Path) -> Store:
    return SqliteStore(directory / "store.sqlite")


class TestSqlite(Conformance):
    opener = staticmethod(sqlite_in)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
def source(store: SqliteStore) -> int:
    return store.source("partner", "partner", trust=0.5).id


def dump(store: SqliteStore, *tables: str) -> dict[str, list[tuple]]:
    """Rows with the type of every column: a key that became text is another key."""
    found = {}
    for table in tables:
        columns = [r[1] for r in store.rows(f"PRAGMA table_info({table})")]
        wanted = ", ".join(f"{c}, typeof({c})" for c in columns)
        found[table] = store.rows(f"SELECT {wanted} FROM {table} ORDER BY {', '.join(columns)}")
    return found


def claims(*subjects: str, at: int = NOW, category: str = "spam") -> list[Report]:
    return [Report(parse(s), category, at) for s in subjects]


# where it is


def test_the_configuration_says_where(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "a" / "b")
    store = open_store(config)
    assert store.path == tmp_path / "a" / "b" / "store.sqlite"
    store.close()
    elsewhere = open_store(Config.model_validate({"store": {"url": f"sqlite:///{tmp_path}/c/other.sqlite"}}))
    assert elsewhere.path == tmp_path / "c" / "other.sqlite"
    elsewhere.close()


def test_every_commit_is_synced(store: SqliteStore) -> None:
    """What was acknowledged must outlive a power cut, which no test here can make."""
    assert store.writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# derived tables


def test_evidence_rebuilt_is_the_same_to_the_last_bit(store: SqliteStore, source: int) -> None:
    store.take_reports(source, claims("5.5.5.5", "2a00::1", "2a00::2", "2a00::/48", "a.com", "+4930123456"))
    store.take_reports(source, claims("5.5.5.5", "2a00::1", at=NOW + 5, category="malware"))
    before = dump(store, "evidence", "report")
    store.rebuild_evidence()
    assert dump(store, "evidence", "report") == before
    assert {r[1] for r in before["evidence"]} == {"blob"}


def test_a_lists_new_version_writes_only_what_changed(store: SqliteStore, source: int) -> None:
    content = {parse(f"5.5.{n >> 8}.{n & 255}"): 1 for n in range(1000)}
    store.replace_entries(source, content, {}, "spam", NOW)
    settle(store)
    before = store.writer.total_changes
    store.replace_entries(source, content, {}, "spam", NOW + 1)
    assert store.writer.total_changes == before
    store.replace_entries(source, content | {parse("6.6.6.6"): 1}, {}, "spam", NOW + 2)
    assert store.writer.total_changes == before + 2  # the entry, and its place in the queue


# damage

PLANTED = {
    "evidence too much": "INSERT INTO evidence VALUES (x'340101010120', 1, 1, 1, 1, 1, 1)",
    "evidence lost": "DELETE FROM evidence",
    "evidence changed": "UPDATE evidence SET hits = hits + 1",
    "report lost": "DELETE FROM report WHERE subject = (SELECT min(subject) FROM report)",
    "report of nobody": "UPDATE report SET source = 99",
    "report of no category": "UPDATE report SET category = 999; UPDATE evidence SET category = 999",
    "report of no reporter": "UPDATE report SET reporter = 999; UPDATE evidence SET reporter = 999",
    "entry of nobody": "UPDATE entry SET source = 99",
    "entry of no category": "UPDATE entry SET category = 999",
    "listing nobody decided": "INSERT INTO listing VALUES ('ip', x'340101010120', '127.0.0.2', 1, NULL, NULL)",
    "listing changed": "UPDATE listing SET codes = '127.0.0.9'",
    "listing lost": "DELETE FROM listing",
}


@pytest.mark.parametrize("what", PLANTED)
def test_check_finds_planted_damage(store: SqliteStore, source: int, what: str) -> None:
    store.take_reports(source, claims("5.5.5.5", "2a00::1"))
    store.replace_entries(source, {parse("6.6.6.6"): 1}, {}, "spam", NOW)
    listed(store, "ip", row("5.5.5.5"), row("2a00::/64"))
    assert store.check() == []
    for statement in PLANTED[what].split(";"):
        store.writer.execute(statement)
    wrong = store.check()
    assert wrong
    assert all("\n" not in line for line in wrong)


def test_check_finds_a_damaged_page(store: SqliteStore, source: int, tmp_path: Path) -> None:
    store.take_reports(source, claims(*(f"5.5.{n >> 8}.{n & 255}" for n in range(5000))))
    store.close()
    path = tmp_path / "store.sqlite"
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    for page in range(pages // 3, pages // 3 + 5):
        content[page * 4096 : page * 4096 + 64] = b"\xaa" * 64
    path.write_bytes(content)
    damaged = SqliteStore(path)
    assert damaged.check()
    damaged.close()


# backup


def test_a_backup_beside_a_writer_is_of_one_moment(
    store: SqliteStore, source: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every batch is five reports of one reporter; a copy that has a part of one is no moment of the store."""
    monkeypatch.setattr(keeping_module, "BACKUP_PAGES", 5)
    store.take_reports(source, claims(*(f"9.9.{n >> 8}.{n & 255}" for n in range(4000))))
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set() and turn < 3000:
            batch = [Report(parse(f"5.{turn >> 8}.{turn & 255}.{n}"), "spam", NOW, f"r{turn}") for n in range(5)]
            store.take_reports(source, batch)
            turn += 1

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for number in range(3):
            store.backup(tmp_path / f"copy{number}.sqlite")
        assert writer.is_alive(), "the copies were made while nobody wrote"
    finally:
        stop.set()
        writer.join(SECONDS)
    for number in range(3):
        copy = SqliteStore(tmp_path / f"copy{number}.sqlite")
        assert copy.check() == []
        assert copy.rows("SELECT DISTINCT count(*) FROM report WHERE subject < x'3409' GROUP BY reporter") in (
            [],
            [(5,)],
        )
        copy.close()


def test_a_backup_ends_however_busy_the_writer_is(
    store: SqliteStore, source: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change between any two steps must not make the copy begin anew."""
    monkeypatch.setattr(keeping_module, "BACKUP_PAGES", 10)
    store.take_reports(source, claims(*(f"9.9.{n >> 8}.{n & 255}" for n in range(4000))))
    steps: list[int] = []
    plain = sqlite3.Connection.backup

    def backup(reader: sqlite3.Connection, copy: sqlite3.Connection, *, pages: int) -> None:
        def progress(_status: int, remaining: int, _total: int) -> None:
            steps.append(remaining)
            assert len(steps) < 200, "the copy begins anew at every step"
            store.take_reports(source, claims(f"5.5.5.{len(steps)}"))

        plain(reader, copy, pages=pages, progress=progress)

    monkeypatch.setattr("dnsbl.store.base.Connection.backup", backup)
    store.backup(tmp_path / "copy.sqlite")
    assert len(steps) > 3
    copy = SqliteStore(tmp_path / "copy.sqlite")
    assert copy.counts()["report"] == 4000
    assert copy.check() == []
    copy.close()


def test_a_backup_that_fails_leaves_no_half_file(store: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "dir" / "copy"
    target.parent.mkdir()
    (tmp_path / "dir" / "copy.part").mkdir()  # where the copy would be written aside
    with pytest.raises(StoreError):
        store.backup(target)
    assert not target.exists()


# files that are no store, or not ours


def one_line(error: pytest.ExceptionInfo[StoreError], path: Path) -> str:
    said = str(error.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"<html>" * 1000)
    with pytest.raises(StoreError, match="not a store") as caught:
        SqliteStore(path)
    one_line(caught, path)
    assert path.read_bytes() == b"<html>" * 1000


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        SqliteStore(tmp_path)
    one_line(caught, tmp_path)


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another data_dir"):
        open_store(Config(data_dir=tmp_path / "file" / "data"))


def test_a_store_of_a_newer_program_is_refused_and_left_alone(store: SqliteStore, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "store.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match=f"version {len(MIGRATIONS) + 1}") as caught:
        SqliteStore(path)
    one_line(caught, path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    connection.close()


def test_a_category_of_a_newer_program_gets_its_number(store: SqliteStore, tmp_path: Path) -> None:
    store.writer.execute("DELETE FROM category WHERE name = 'voip-spam'")
    store.close()
    again = SqliteStore(tmp_path / "store.sqlite")
    assert "voip-spam" in again.categories().values()
    again.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite"
    with monkeypatch.context() as patched:
        patched.setattr("dnsbl.store.schema.MIGRATIONS", [*MIGRATIONS, ("broken", "CREATE TABLE half (x);\nNONSENSE;")])
        with pytest.raises(StoreError):
            SqliteStore(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    made = SqliteStore(path)
    assert made.check() == []
    made.close()


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "setuid"), reason="needs to become another user")
def test_a_directory_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    for above in [tmp_path, *tmp_path.parents]:
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o055)
        if above.name.startswith("pytest-of"):
            break
    script = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from dnsbl.errors import StoreError
from dnsbl.store import SqliteStore
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    SqliteStore(Path({str(home)!r}) / "store.sqlite")
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("\n") == 1
    assert "cannot be opened" in done.stdout


# full disks

WRITER = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from dnsbl.errors import StoreError
from dnsbl.model import Report
from dnsbl.store import SqliteStore
from dnsbl.subjects import ip4_key
{before}
store = SqliteStore(Path({path!r}))
source = store.source("partner", "partner", trust=0.5).id
batch = {first}
while batch < {first} + 100_000:
    reports = [Report(ip4_key(f"5.{{batch >> 8 & 255}}.{{batch & 255}}.{{n}}"), "spam",
    batch, "r") for n in range(20)]
    try:
        store.take_reports(source, reports)
    except StoreError as error:
        print("refused", str(error).replace("\\n", "|"), flush=True)
        break
    print("kept", batch, flush=True)
    batch += 1
"""


def written(tmp_path: Path, before: str, first: int = 0) -> str:
    return WRITER.format(root=str(ROOT), path=str(tmp_path / "store.sqlite"), before=before, first=first)


def batches(store: SqliteStore) -> dict[int, int]:
    """How many reports there are of each batch."""
    return dict(store.rows("SELECT at, count(*) FROM report GROUP BY at"))


def assert_full(lines: list[str], path: Path) -> None:
    kept = [int(line.split()[1]) for line in lines if line.startswith("kept")]
    (refused,) = [line for line in lines if line.startswith("refused")]
    assert lines[-1] == refused
    assert kept
    assert str(path) in refused
    assert "full" in refused
    assert "|" not in refused
    store = SqliteStore(path)
    assert batches(store) == dict.fromkeys(kept, 20)
    assert store.check() == []
    store.take_reports(1, claims("9.9.9.9"))
    store.close()


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files does what a full disk does, for any user."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))"
    done = subprocess.run(
        [sys.executable, "-c", written(tmp_path, limit)], capture_output=True, text=True, timeout=120, check=True
    )
    assert_full(done.stdout.splitlines(), tmp_path / "store.sqlite")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount)]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("needs root to mount a small disk")
    yield mount
    subprocess.run(["umount", str(mount)], check=True, timeout=SECONDS)


def test_a_disk_that_is_really_full_is_one_line_and_loses_nothing(small_disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", written(small_disk, "")], capture_output=True, text=True, timeout=120, check=True
    )
    lines = done.stdout.splitlines()
    kept = [int(line.split()[1]) for line in lines if line.startswith("kept")]
    assert lines[-1].startswith("refused")
    assert "the disk is full" in lines[-1]
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True, timeout=SECONDS)
    store = SqliteStore(small_disk / "store.sqlite")
    assert batches(store) == dict.fromkeys(kept, 20)
    assert store.check() == []
    store.take_reports(1, claims("9.9.9.9"))
    store.close()


# crashes


def test_killed_at_any_moment_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    """Twenty times kill -9 in the middle of taking reports. A batch is there as a whole or not at all."""
    acknowledged: set[int] = set()
    for turn in range(20):
        first = turn * 1000
        child = subprocess.Popen(
            [sys.executable, "-c", written(tmp_path, "", first)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert child.stdout is not None
        limit = threading.Timer(SECONDS, child.kill)
        limit.start()
        try:
            for _ in range(3 + turn % 5):
                line = child.stdout.readline()
                assert line.startswith("kept"), line
                acknowledged.add(int(line.split()[1]))
        finally:
            limit.cancel()
            child.kill()
        rest = child.stdout.read()
        child.wait(SECONDS)
        child.stdout.close()
        whole = rest[: rest.rfind("\n") + 1].splitlines()
        acknowledged |= {int(line.split()[1]) for line in whole if line.startswith("kept")}
    store = SqliteStore(tmp_path / "store.sqlite")
    found = batches(store)
    assert set(found.values()) == {20}
    assert acknowledged <= set(found)
    assert store.check() == []
    assert len(touched(store)) == 20 * len(found)
    store.close()


# errors


def test_what_is_asked_of_a_closed_store_is_a_store_error(store: SqliteStore, source: int) -> None:
    store.counts()
    store.close()
    with pytest.raises(StoreError):
        store.counts()
    with pytest.raises(StoreError):
        store.take_reports(source, claims("5.5.5.5"))


def test_a_failed_change_does_not_block_the_next(store: SqliteStore, source: int) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), store.transaction() as connection:
            connection.execute("DELETE FROM source")
            raise ZeroDivisionError
    assert store.take_reports(source, claims("5.5.5.5")) == (1, 0)


def test_a_change_within_a_change_is_part_of_it(store: SqliteStore, source: int) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.take_reports(source, claims("5.5.5.5"))
        store.touch(keys("6.6.6.6"))
        raise ZeroDivisionError
    assert store.counts()["report"] == 0
    assert touched(store) == set()


def test_a_reader_that_fails_can_read_on(store: SqliteStore) -> None:
    with pytest.raises(StoreError):
        store.read(lambda connection: connection.execute("SELECT nothing").fetchall())
    with pytest.raises(OSError, match="mine"):
        store.read(fail)
    assert store.counts()["report"] == 0


def fail(_: object) -> None:
    raise OSError(errno.EIO, "mine")
