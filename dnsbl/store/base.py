"""SQLite underneath: one writer connection, a reader a thread, and every failure as one StoreError."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import StoreError
from .schema import migrate

if TYPE_CHECKING:
    from sqlite_utils import Database

__all__ = ["Base", "Connection"]

BUSY_SECONDS = 60  # how long a writer waits for another process's transaction
LOG_PAGES = 16_384  # 64 MB of log before pages go to the main file: a bulk change writes each of them once
CACHE_KIB = 128 * 1024  # pages kept in memory by the writer: a bulk import stays in it
T = TypeVar("T")

HINTS = {  # without a colon: what follows the last one is shown to anyone (web/readiness.py)
    "database or disk is full": "the disk is full, free some space; what was acknowledged is safe",
    "database is locked": "another process holds the store, wait for it, or look for a stuck `dnsbl`",
    "unable to open database file": "the file cannot be opened, check that the directory exists and may be written",
    "attempt to write a readonly database": "the file may not be written by this user",
    "disk i/o error": "the disk reports an error, or is full, check it before anything else",
    "file is not a database": "this is not a store, restore a backup, or move the file away",
    "database disk image is malformed": "the store is damaged, run `dnsbl store check`, then restore a backup",
}


class Connection(sqlite3.Connection):
    """A connection that remembers which subjects its temporary table `asked` holds, and what was kept of a version of
    the store."""

    asked: object = None
    version = 0  # as SQLite counts the changes that others committed
    kept: dict[str, Any] | None = None  # what was read of that version


class Base:
    """Connections and transactions. Parts of the store derive from this and share `self`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write_lock = threading.RLock()
        self.changing = 0  # the thread whose transaction is open
        self.local = threading.local()
        self.readers: list[Connection] = []
        self.made = not path.exists()  # by this opening
        with self.said():
            self.writer = self.connect()
            try:
                self.writer.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                self.writer.execute("PRAGMA temp_store = MEMORY")
                self.writer.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
                migrate(self.writer, path)
            except BaseException:
                self.writer.close()
                raise
        self.category_ids = dict(self.writer.execute("SELECT name, id FROM category").fetchall())
        self.category_names = {number: name for name, number in self.category_ids.items()}

    def connect(self) -> Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=Connection,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = FULL"
        )  # WAL is synced at each commit: an acknowledged write is on disk
        return connection

    def close(self) -> None:
        with self.write_lock:
            for connection in [*self.readers, self.writer]:
                connection.close()
            self.readers.clear()

    @property
    def reader(self) -> Connection:
        """This thread's own connection for reading."""
        connection: Connection | None = getattr(self.local, "connection", None)
        if connection is None:
            with self.said():
                connection = self.connect()
                connection.execute("PRAGMA temp_store = MEMORY")
            self.local.connection = connection
            self.readers.append(connection)
        return connection

    @contextmanager
    def said(self) -> Iterator[None]:
        """SQLite's errors as a StoreError with what to do."""
        try:
            yield
        except sqlite3.Error as error:
            said = str(error)
            hint = next((hint for words, hint in HINTS.items() if words in said.lower()), said)
            raise StoreError(f"store {self.path}: {hint}") from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One change: all of it, or after an exception nothing. Changes wait for one another here. A change
        within a change is part of it."""
        with self.write_lock, self.said():
            if busy(self.writer):
                yield self.writer
                return
            self.writer.execute("BEGIN IMMEDIATE")
            self.changing = threading.get_ident()
            try:
                yield self.writer
                self.writer.execute("COMMIT")
            except BaseException:
                if busy(self.writer):  # a full disk has already rolled back
                    self.writer.execute("ROLLBACK")
                raise
            finally:
                self.changing = 0

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do some reading at one moment of the store."""
        with self.moment():
            return work(self.reader)

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What this thread reads within is of one moment of the store. A moment within a moment is the same one."""
        reader = self.reader
        with self.said():
            if busy(reader):
                yield
                return
            reader.execute("BEGIN")
            try:
                yield
            finally:
                reader.execute("COMMIT")

    def kept(self, name: str, read: Callable[[], T]) -> T:
        """What `read` last said under this name, as long as nobody changed the store. It is shared by all that this
        thread does, who must not change it."""
        if self.changing == threading.get_ident():
            return read()
        with self.moment():
            reader = self.reader
            version = reader.execute("PRAGMA data_version").fetchone()[0]
            if reader.kept is None or version != reader.version:
                reader.version, reader.kept = version, {}
            if name not in reader.kept:
                reader.kept[name] = read()
            found: T = reader.kept[name]
            return found

    def rows(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        """The rows of one query, read beside any change; within a change of this thread, with what it wrote."""
        with self.said():
            connection = self.writer if self.changing == threading.get_ident() else self.reader
            return connection.execute(sql, values).fetchall()

    @property
    def tables(self) -> Database:
        """The writer through sqlite-utils, for the cold tables; use inside `transaction`."""
        from sqlite_utils import Database  # here: most verbs end without

        return Database(self.writer, execute_plugins=False)


def busy(connection: sqlite3.Connection) -> bool:
    return connection.in_transaction
