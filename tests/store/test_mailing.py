"""The queue of mail in SQLite: held to what any store must do, and to a process that is killed with mail in hand."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mail_conformance import NOW, MailConformance, queued
from test_sqlite import sqlite_in

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60  # a child that takes longer is at fault

TAKE_AND_HANG = """
import sys, time
from pathlib import Path
from dnsbl.store import SqliteStore
print(len(SqliteStore(Path(sys.argv[1])).mail_due(int(sys.argv[2]), 10)), flush=True)
time.sleep(60)
"""


class TestSqliteMail(MailConformance):
    opener = staticmethod(sqlite_in)


def test_mail_in_the_hands_of_a_process_that_is_killed_is_not_lost(tmp_path: Path) -> None:
    store = sqlite_in(tmp_path)
    for number in range(3):
        queued(store, number, f"a{number}@firm.com")
    command = [sys.executable, "-c", TAKE_AND_HANG, str(tmp_path / "store.sqlite"), str(NOW)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"3\n"
        assert store.mail_due(NOW, 10) == [], "two processes do not take the same"
        child.send_signal(signal.SIGKILL)
        assert child.wait(SECONDS) == -signal.SIGKILL
    assert len(store.mail_due(NOW + 60, 10)) == 3
    store.close()
