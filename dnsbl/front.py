"""The front process: answers DNS from snapshots, and keeps the back process (web, jobs, traps) running
beside it.

What the back does, its store, its feeds, its web side, its traps, may fail, hang or be full: the front answers on from
the last good snapshots and starts the back again, later after each failure. The two share nothing but files: the
pointers of zones one way, the counters in `data_dir/run/` the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from . import config, native, sdnotify
from .config import DnsConfig, Settings
from .config.server import MAX_THREADS
from .dns.accessfile import AccessFiles
from .dns.answer import Answerer
from .dns.counters import Counters
from .dns.native import Native
from .dns.server import DnsServer
from .dns.watch import Watcher
from .errors import ConfigError, StartError
from .files import replacing
from .travel import Travel
from .zones.loaded import Snapshots

__all__ = ["Front"]

log = logging.getLogger("dnsbl.dns")

LOOK_EVERY = 0.05  # seconds between two looks at the pointers: part of the time from report to answer
COUNTERS_EVERY = 1.0
AFTER_FAULT = 10.0  # seconds until the zones are looked at again after a fault of ours
STOP_WITHIN = 15.0  # seconds the back has to end by itself
KILLED_WITHIN = 5.0  # seconds that are waited for its end once it was killed
BACKOFF = (1, 2, 5, 15, 60)  # seconds before the back is started again
TELL_READY = (0, 1, 2, 5, 15, 30)  # seconds before each try to tell the service manager that all is up
EXIT_START = 3  # the back cannot start and will not by itself: a port in use, a wrong configuration
MAX_LINE = 1 << 20


class Front:
    """The DNS role, and the back process where `back` says how to start it; `courier` starts what carries zones."""

    def __init__(
        self, settings: Settings, path: Path | None, back: Sequence[str] = (), courier: Sequence[str] = ()
    ) -> None:
        self.settings, self.path = settings, path
        self.back_command = list(back)
        self.snapshots = Snapshots(settings.config.data_dir, [follow.zone for follow in settings.config.follow])
        self.counters = Counters()
        self.answerer = Answerer([], settings.config.dns, self.counters)
        self.native = native_of(self.answerer, settings.config.dns)
        self.travel = Travel(settings, self.answerer, courier)
        self.watcher = Watcher(self.answerer, self.native, settings.config.dns)
        run, public_url = settings.config.data_dir / "run", settings.config.web.public_url
        self.access = AccessFiles(run, public_url, self.answerer, self.native)
        self.stopping = asyncio.Event()
        self.up = False  # all roles are
        self.reloaded = asyncio.Event()  # the zones may be others: they are looked at without waiting
        self.looking = asyncio.Lock()  # one look at a time
        self.back: asyncio.subprocess.Process | None = None
        self.back_says: dict[str, object] = {}
        self.back_up = self.back_reloads = False  # it serves; it is to read its configuration again once it does

    async def run(self, ready: Callable[[Front], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once all roles are up. Raises StartError."""
        sockets = sdnotify.listen_sockets("dns")
        if self.snapshots.look(list(self.settings.zones)):
            self.replace()
        self.access.start(self.settings.zones)
        dns = self.settings.config.dns
        self.server = DnsServer(
            self.answerer, () if sockets else dns.listen, sockets, native=self.native, threads=dns.threads or threads(),
            stream=self.travel.stream, tls_listen=dns.tls_listen, tls=self.travel.tls,
        )  # fmt: skip
        await self.server.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        jobs = (self.watch(), self.write_counters(), self.watchdog(), self.watcher.run(), self.access.run())
        tasks = [asyncio.create_task(job) for job in jobs]
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            if self.back_command:
                first = asyncio.create_task(self.first_back())
                tasks.append(first)
                await asyncio.wait({first, stop}, return_when=asyncio.FIRST_COMPLETED)
                if first.done():
                    first.result()
                    tasks.append(asyncio.create_task(self.keep_back()))
            if not stop.done():
                await self.look()
                tasks.append(asyncio.create_task(self.travel.run()))
                ready(self)
                self.up = True
                tasks.append(asyncio.create_task(self.tell_ready()))
                await stop
        finally:
            sdnotify.notify("STOPPING=1")
            stop.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(self.stop_back(), self.travel.close())
            await self.server.close()
            self.access.write(last=True)
            self.counters_file.unlink(missing_ok=True)

    # snapshots

    async def look(self) -> None:
        """Take what was published since the last look. Files are read in a thread, for they may be large: answers from
        this loop go on meanwhile."""
        async with self.looking:
            names = list(self.settings.zones)
            changed = self.snapshots.forget(names)
            for new in self.snapshots.news(names):
                changed |= self.snapshots.take(new, await asyncio.to_thread(self.snapshots.load, new))
            if self.snapshots.expire() or changed:
                self.replace()

    def replace(self) -> None:
        """Answer from the zones that are loaded."""
        self.answerer.replace(list(self.snapshots.views.values()))
        if self.native:
            self.native.replace()
        self.travel.published(self.settings)

    async def watch(self) -> None:
        while True:
            wait = LOOK_EVERY
            try:
                await self.look()
            except Exception:
                log.exception("the published zones cannot be looked at; what is served is served on")
                wait = AFTER_FAULT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.reloaded.wait()
            self.reloaded.clear()

    def reload(self) -> None:
        """SIGHUP: zones and feeds are read again; with a mistake in them everything stays as it is."""
        try:
            read = config.load(self.path)
        except ConfigError as error:
            for mistake in error.mistakes:
                log.error("not reloaded: %s", mistake)
            return
        if changed := self.settings.config.changed(read.config):
            log.warning("changed in dnsbl.toml, takes effect at a restart: %s", ", ".join(changed))
        self.settings = read.model_copy(update={"config": self.settings.config})  # zones and feeds; the rest is open
        self.access.rules(read.zones)
        log.info("zones and feeds read again")
        self.reloaded.set()
        self.travel.reload()
        if self.back and self.back.returncode is None:
            self.back_reloads = not self.back_up  # before it is up, the signal would end it
            if self.back_up:
                self.back.send_signal(signal.SIGHUP)

    # counters and the service manager

    @property
    def counters_file(self) -> Path:
        return self.settings.config.data_dir / "run" / f"dns-{os.getpid()}.json"

    async def write_counters(self) -> None:
        """Counters for /metrics, which the back serves. A full disk costs the figures, not the answers."""
        last, failing = b"", False
        while True:
            counted = self.native.counters() if self.native else self.counters
            content = orjson.dumps(
                {"pid": os.getpid(), **counted.snapshot(), **self.watcher.snapshot(), **self.travel.snapshot()}
            )
            if content != last:
                try:
                    self.counters_file.parent.mkdir(parents=True, exist_ok=True)
                    with replacing(self.counters_file, sync=False, mode=0o640) as file:  # it has clients' addresses
                        file.write(content)
                    last = content
                    if failing:
                        log.warning("what DNS counts is written again")
                    failing = False
                except OSError as error:
                    if self.up and not failing:  # what keeps us from starting is said by whom it keeps
                        why = error.strerror or error
                        log.error(
                            "what DNS counts cannot be written to %s (%s); answers go on", self.counters_file, why
                        )
                    failing = self.up
            await asyncio.sleep(COUNTERS_EVERY)

    async def tell_ready(self) -> None:
        """READY=1, again while the manager's queue is full: a start it never heard the end of is a failed one to it."""
        for wait in TELL_READY:
            await asyncio.sleep(wait)
            if not sdnotify.managed() or sdnotify.notify("READY=1\nSTATUS=answering"):
                return

    async def watchdog(self) -> None:
        interval = sdnotify.watchdog_interval()
        while interval:
            sdnotify.notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    # the back process

    async def first_back(self) -> None:
        """Start the back and wait until it serves. What it cannot start with at all ends the front too, unless there
        are snapshots to answer from and the trouble may pass."""
        code = await self.start_back()
        if code == EXIT_START or (code is not None and not self.snapshots.views):
            raise StartError("")  # the back has said why

    async def start_back(self) -> int | None:
        """Start it; None once it serves, else its exit code. It lives no longer than our end of its stdin."""
        self.back_up = self.back_reloads = False
        self.back = await asyncio.create_subprocess_exec(
            *self.back_command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE
        )
        assert self.back.stdout is not None
        line = await self.back.stdout.readline()
        if not line:
            return await self.back.wait()
        self.back_says = orjson.loads(line)
        self.back_up = True
        if self.back_reloads:
            self.back.send_signal(signal.SIGHUP)
        return None

    async def keep_back(self) -> None:
        failures = 0
        while True:
            assert self.back is not None  # one that ended stays here until another runs
            started = asyncio.get_running_loop().time()
            code = await self.back.wait()
            if asyncio.get_running_loop().time() - started > BACKOFF[-1]:
                failures = 0
            wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
            failures += 1
            how = f"exit {code}" if code >= 0 else f"signal {-code}"
            log.error("web and jobs ended (%s); DNS answers on, they start again in %d s", how, wait)
            await asyncio.sleep(wait)
            try:
                if await self.start_back() is None:
                    log.warning("web and jobs run again")
            except Exception:  # no process to be had, or one that does not speak as ours: tried again like an end
                log.exception("web and jobs could not be started")

    async def stop_back(self) -> None:
        if self.back is None or self.back.returncode is not None:
            return
        self.back.terminate()
        try:
            await asyncio.wait_for(self.back.wait(), STOP_WITHIN)
        except TimeoutError:
            log.warning("web and jobs did not stop within %d s and were ended", STOP_WITHIN)
            self.back.kill()
            try:
                await asyncio.wait_for(self.back.wait(), KILLED_WITHIN)
            except TimeoutError:
                log.error("web and jobs did not end even so; they are left behind")


def native_of(answerer: Answerer, settings: DnsConfig) -> Native | None:
    """The native path, where it is built and wanted."""
    if native.module is None or settings.native == native.OFF:
        return None
    return Native(native.module, answerer)


def threads() -> int:
    """One for each processor that this process may use."""
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)


def child_command(path: Path | None, roles: Sequence[str]) -> list[str]:
    """The command line of a process beside this one: this program again."""
    where = ["-c", str(path)] if path else []
    return [sys.executable, "-m", "dnsbl", *where, "serve", "--role", ",".join(roles), "--child"]
