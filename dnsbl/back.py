"""The back process: web, jobs and traps, and the loop that settles what they and others brought in."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from . import config
from .app import App
from .config import FeedDef, parse_listen, socket_text
from .errors import ConfigError, DnsblError, StartError
from .exporting.scheduled import Fared, Scheduled
from .hooks.delivering import Deliverer
from .hooks.following import Follower
from .intake.feeds import Pulled
from .intake.schedule import Schedule
from .intake.wanted import take_wanted
from .querykeys import KeyKeeper
from .removal.mailer import Mailer

if TYPE_CHECKING:
    from .intake.traps import Traps

__all__ = ["Back"]

log = logging.getLogger("dnsbl")

SETTLE_EVERY = 1.0  # seconds between two looks for what is due, or was brought in by another process
SETTLE_PAUSE = 0.1  # seconds between two settlings: reports of that time share one publish
RETRY = (1, 2, 5, 15, 30)  # seconds before settling is tried again after a failure
FORGET_EVERY = 3600.0
FOLLOW_EVERY = 2.0  # seconds until a feed that another process switched is pulled, or is not any more
STOP_WITHIN = 10.0


class Back:
    """Web and jobs over one `App`, until SIGTERM, SIGINT or the end of the front."""

    def __init__(self, app: App, roles: Sequence[str], path: Path | None, child: bool) -> None:
        self.app, self.roles, self.path, self.child = app, roles, path, child
        self.stopping = asyncio.Event()
        self.refused: dict[str, str] = {}  # zones that could not be published, and what was said of it
        self.work = asyncio.Event()
        self.reconciled = False
        self.runner: web.AppRunner | None = None
        self.traps: Traps | None = None
        self.hooks: Deliverer | None = None
        self.mailer: Mailer | None = None
        self.scheduled: Scheduled | None = None
        self.schedule = Schedule(self.pull, app.store.feed_states, lambda: take_wanted(app.store))
        self.on_published: Callable[..., None] = lambda _: None

    async def run(self, ready: Callable[[Back], None]) -> None:
        """Serve; `ready` is called once everything is up. Raises StartError or StoreError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        tasks: list[asyncio.Task[None]] = []
        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.append(loop.create_task(self.reload())))
        if "web" in self.roles:
            await self.start_web()
        try:
            await self.first_settle()
            if "trap" in self.roles:
                await self.start_traps()
            settling = loop.create_task(self.settle_loop())
            tasks.append(settling)
            if self.child:
                tasks.append(loop.create_task(self.watch_front()))
            if "jobs" in self.roles:
                self.schedule.start(self.app.feeds)
                self.schedule.every(FORGET_EVERY, self.forget, "forget")
                self.schedule.every(FOLLOW_EVERY, self.schedule.follow, "what is wanted of feeds")
                self.start_hooks()
                tasks.append(loop.create_task(self.start_mailer().run()))
                tasks.append(loop.create_task(self.exported_files().run()))
            if "jobs" in self.roles or "web" in self.roles:
                tasks.append(loop.create_task(KeyKeeper(self.app.store, self.app.data_dir / "run").run()))
            ready(self)
            await self.stopped(settling)
        finally:
            self.schedule.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.traps:
                await self.traps.close()
            if self.hooks:
                await self.hooks.close()
            if self.runner:
                await self.runner.cleanup()

    async def start_web(self) -> None:
        from .web.app import WEB, make_app  # as with traps: a part that is not run is not read

        host, port = parse_listen(self.app.settings.config.web.listen)
        made = make_app(self)
        self.on_published = made[WEB].metrics.published
        self.runner = web.AppRunner(made, shutdown_timeout=STOP_WITHIN)
        await self.runner.setup()
        try:
            await web.TCPSite(self.runner, host, port).start()
        except OSError as error:
            await self.runner.cleanup()
            raise StartError(
                f"cannot listen on {self.app.settings.config.web.listen} (web): {os.strerror(error.errno or 0)}; "
                "stop the other server, or choose another port in web.listen"
            ) from error

    async def start_traps(self) -> None:
        """Last of all: mail is taken once it can be kept. Without a declared address there is nothing to take."""
        app = self.app
        if not app.settings.config.trap.addresses:
            return
        from .intake.traps import Traps  # the libraries of mail, which a server without traps does without

        traps = Traps(app.settings.config.trap, app.store, app.gate, app.token, self.submitted)
        await traps.start()
        self.traps = traps

    def start_mailer(self) -> Mailer:
        from .web.language import Languages
        from .web.removals.letters import letter_writer

        app, config = self.app, self.app.settings.config
        site = config.web.public_url.rstrip("/") or f"http://{config.web.listen}"
        self.mailer = Mailer(config.mail, app.store, letter_writer(lambda: app.removals, Languages.load(), site))
        return self.mailer

    def mail_queued(self) -> None:
        """Mail waits to be sent; where another process sends it, that looks by itself."""
        if self.mailer:
            self.mailer.wake()

    def exported_files(self) -> Scheduled:
        config = self.app.settings.config
        self.scheduled = Scheduled(config.export, config.data_dir, self.path, lambda: self.app.zones)
        return self.scheduled

    def exports_fared(self) -> Sequence[Fared]:
        """How it went with each `[[export]]`."""
        return self.scheduled.fared() if self.scheduled else []

    def start_hooks(self) -> None:
        app, contact = self.app, self.app.public_url
        follower = Follower(app.store, lambda: {name: zone.origin for name, zone in app.zones.items()}, contact)
        self.hooks = Deliverer(app.store, lambda: app.keyed, follower, contact)
        self.hooks.start()

    def trap_counts(self) -> Mapping[str, int]:
        """What happened to mail for traps, by a word."""
        return self.traps.figures() if self.traps else {}

    def trap_addresses(self) -> list[str]:
        """Where mail is taken, by protocol."""
        listening = self.traps.receiver.addresses if self.traps else {}
        return [f"{protocol} {socket_text(host, port)}" for protocol, (host, port) in listening.items()]

    async def stopped(self, settling: asyncio.Task[None]) -> None:
        """Until told to stop. A fault in settling is raised: to end and be started again beats a zone that stays."""
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({stop, settling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if settling.done():
            settling.result()

    async def watch_front(self) -> None:
        """The front holds the other end of stdin; when it is gone, so are we."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        self.stopping.set()

    # settling

    def submitted(self) -> None:
        """Something came in: settle soon."""
        self.work.set()

    async def first_settle(self) -> None:
        try:
            await self.settle()
        except DnsblError as error:
            log.error("%s", error)

    async def settle(self) -> None:
        """Reconcile where that is still to be done, then settle."""
        if not self.reconciled:
            await asyncio.to_thread(self.app.reconcile)
            self.reconciled = True
        self.count(await asyncio.to_thread(self.app.settle))
        for name, error in self.app.unpublished.items():
            if self.refused.get(name) != str(error):  # said once, not every second
                log.error("%s", error)
        self.refused = {name: str(error) for name, error in self.app.unpublished.items()}

    async def settle_loop(self) -> None:
        failures = 0
        said = ""
        while True:
            try:
                async with asyncio.timeout(SETTLE_EVERY):
                    await self.work.wait()
            except TimeoutError:
                pass
            self.work.clear()
            try:
                await self.settle()
                if said:
                    log.warning("settling goes on again")
                failures, said = 0, ""
                self.app.trouble = ""
            except DnsblError as error:
                self.app.trouble = str(error)
                if str(error) != said:  # said once, not every second
                    log.error("%s", error)
                    said = str(error)
                await asyncio.sleep(RETRY[min(failures, len(RETRY) - 1)])
                failures += 1
            await asyncio.sleep(SETTLE_PAUSE)

    def count(self, published: Sequence[object]) -> None:
        for each in published:
            self.on_published(each)

    # jobs

    async def pull(self, feed: FeedDef) -> Pulled:
        pulled = await self.app.pull(feed)
        on = await asyncio.to_thread(self.app.feeds_on)
        if feed.name not in {each.name for each in on}:  # switched off meanwhile: what came is let go again
            self.reconciled = False
        if pulled.state == "ok":
            self.submitted()
        return pulled

    async def forget(self) -> None:
        """What lists dropped long ago, beyond their lifetime, is forgotten."""
        try:
            await asyncio.to_thread(self.app.forget)
        except DnsblError as error:
            log.error("%s", error)

    async def reload(self) -> None:
        try:
            settings = await asyncio.to_thread(config.load, self.path)
        except ConfigError as error:
            for mistake in error.mistakes:
                log.error("not reloaded: %s", mistake)
            return
        if not self.child and (changed := self.app.settings.config.changed(settings.config)):  # else the front says it
            log.warning("changed in dnsbl.toml, takes effect at a restart: %s", ", ".join(changed))
        try:
            await asyncio.to_thread(self.app.replace, settings)
        except DnsblError as error:  # the store's: the rest is done when it can be
            self.reconciled = False
            log.error("%s", error)
        if "jobs" in self.roles:
            self.schedule.replace(settings.feeds)
        self.submitted()
