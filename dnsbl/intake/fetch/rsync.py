"""A file of an rsync module, `rsync://[user[:password]@]host[:port]/module/path`, brought by the rsync program.

The program is started without a shell, with a fixed list of arguments and an environment of ours: rsync takes proxies
and even programs to run from variables. It writes into a directory of its own that is gone afterwards. It is given the
address that was checked, since it would look up the name again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ...config import FeedDef
from .addresses import check_host, checked_addresses
from .base import AGAIN, Fault, Outcome, TooLarge, Validators, faults_at, filled, shown
from .bodies import Body, in_chunks
from .files import read_file

__all__ = ["from_rsync"]

PORT = 873
SILENCE = 30  # seconds without a byte before rsync gives up; feed.timeout ends it in any case
NO_CONNECTION = 10  # rsync's exit value
MARK = re.compile(r"rsync-(\d{1,19})-(\d{1,12})")  # time (ns) and size of the file that is known
# rsync(1), "EXIT VALUES". What it prints may hold what the server says, and is not shown.
FAULTS = {
    5: "the server refuses; check the feed's url and credentials",
    NO_CONNECTION: f"no connection; {AGAIN}",
    12: f"cut: it ended in the middle; {AGAIN}",
    23: "the server has no such file, or does not give it; check the feed's url",
    24: f"it vanished while it was sent; {AGAIN}",
    25: f"it does not end; {AGAIN}",
    30: f"it went silent; {AGAIN}",
    35: f"no connection in time; {AGAIN}",
}


async def from_rsync(feed: FeedDef, known: Validators) -> Outcome:
    """The file as it is now; None where its time and size are those known."""
    with faults_at(feed.url), tempfile.TemporaryDirectory(prefix="dnsbl-rsync-") as directory:
        program = shutil.which("rsync")
        if program is None:
            raise Fault("rsync is not installed on this host; install it, or set another url")
        url = urlsplit(feed.url)
        host, user = url.hostname or "", filled(unquote(url.username or ""))
        check_host(host, feed.private)
        addresses = await checked_addresses(host, url.port or PORT, feed.private)
        target = Path(directory) / "content"
        before = placeholder(target, known, feed.max_bytes)
        for address in addresses:
            code = await run(
                [program, *options(feed), "--", at_address(url, user, address), str(target)],
                {"PATH": os.defpath, "LC_ALL": "C", "RSYNC_PASSWORD": filled(unquote(url.password or ""))},
            )
            if code != NO_CONNECTION:
                break
        if code:
            raise Fault(FAULTS.get(code, f"rsync ended with {code}; {AGAIN}"))
        return await received(feed, target, before, known)


def options(feed: FeedDef) -> list[str]:
    """Whole files only, no directories, links or devices, nothing above the limit. `--times` keeps the file's time, by
    which it is known the next time; a file of that time, to the nanosecond, and size is not sent again."""
    limits = [f"--max-size={feed.max_bytes}", f"--timeout={SILENCE}"]
    return ["--no-motd", "--quiet", "--times", "--modify-window=-1", "--whole-file", *limits]


def at_address(url: SplitResult, user: str, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"rsync://{user + '@' if user else ''}{host}:{url.port or PORT}{unquote(url.path)}"


def placeholder(target: Path, known: Validators, limit: int) -> int | None:
    """Where a version is known, a file of its time and size that takes no room: rsync leaves it be if that is what the
    server has. Returns its inode."""
    match = MARK.fullmatch(known.etag or "")
    if not match or int(match[2]) > limit:
        return None
    with target.open("xb") as file:
        file.truncate(int(match[2]))
    os.utime(target, ns=(int(match[1]), int(match[1])))
    return target.stat().st_ino


async def run(command: list[str], environment: dict[str, str]) -> int:
    """rsync's exit value. Nothing of it stays behind, whatever ends us."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # it forks; the group is ended together
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def received(feed: FeedDef, target: Path, before: int | None, known: Validators) -> Outcome:
    """What came: nothing new, or a plain file within the limit. Raises Fault."""
    status = came(target, feed.max_bytes)
    if status.st_ino == before:
        return None, known, shown(feed.url), 0
    _, data = await asyncio.to_thread(read_file, str(target), feed.max_bytes, None)
    body = Body("", feed.max_bytes)
    content = await body.read(in_chunks(data or b""))
    mark = f"rsync-{status.st_mtime_ns}-{status.st_size}"
    return content, Validators(etag=mark), shown(feed.url), body.size


def came(target: Path, limit: int) -> os.stat_result:
    try:
        status = target.lstat()
    except FileNotFoundError:
        raise Fault("not a plain file, or larger than its max_bytes; check the feed's url") from None
    if not stat.S_ISREG(status.st_mode):
        raise Fault("not a plain file; check the feed's url")
    if status.st_size > limit:
        raise TooLarge(limit)
    return status
