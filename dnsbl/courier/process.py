"""The courier process: takes requests from the front on its standard input, a socket, until that ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config
from ..config import Settings
from ..errors import ConfigError, DnsblError
from .giving import Giving
from .outlet import Outlet
from .request import MAX_REQUEST, READY, Request, read

if TYPE_CHECKING:
    from ..following.following import Following

__all__ = ["Courier"]

log = logging.getLogger("dnsbl.transfer")


class Courier:
    """Gives zones away and follows primaries, until its front is gone."""

    def __init__(self, settings: Settings, path: Path | None) -> None:
        self.settings, self.path = settings, path
        self.giving = Giving(settings.config.data_dir)
        self.following: Following | None = None
        self.stopping, self.reloaded = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        with socket.socket(fileno=os.dup(sys.stdin.fileno())) as control:
            control.setblocking(False)
            loop.add_reader(control, self.take, control)
            with contextlib.suppress(OSError):  # a front that is gone: found out by reading
                control.send(READY)
            following = asyncio.create_task(self.follow())
            stop = asyncio.ensure_future(self.stopping.wait())
            await asyncio.wait({stop, following}, return_when=asyncio.FIRST_COMPLETED)
            loop.remove_reader(control)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # one that finds the loop closed would be a trace
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        stop.cancel()
        following.cancel()
        (ended,) = await asyncio.gather(following, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended  # to end and be started again beats zones that stay as they are

    async def follow(self) -> None:
        """Until cancelled, whether or not there is anything to follow; begun anew when zones may be others."""
        if not self.settings.config.follow:
            await self.stopping.wait()
            return
        from ..following.following import Following  # who only gives does without

        while True:
            self.reloaded.clear()
            self.following = Following(self.settings)
            tasks = asyncio.create_task(self.following.run()), asyncio.create_task(self.reloaded.wait())
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks[0].done():
                    tasks[0].result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def reload(self) -> None:
        """SIGHUP: zones are read again; what is wrong with them is the front's to say, and changes nothing here."""
        with contextlib.suppress(ConfigError):
            read = config.load(self.path)
            self.settings = read.model_copy(update={"config": self.settings.config})
            self.reloaded.set()

    def take(self, control: socket.socket) -> None:
        """One request. Nothing to read is the end of the front."""
        packed, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST, 2)
        if not packed:
            self.stopping.set()
            return
        ends = [socket.socket(fileno=number) for number in descriptors]
        asked = read(packed)
        if isinstance(asked, str):
            if self.following:
                self.following.wake(asked)
            return
        if not ends:  # the kernel leaves away those that there is no room for, and the front hears of it
            log.error("zone %s: not transferred to %s: too many open files here", asked.zone, asked.client)
            return
        # Of its own, and no reason to live on: what it writes to may be a secondary that does not read. The front
        # bounds how many there are.
        front, *client = ends
        outlet = Outlet(front, client[0] if client else None)
        threading.Thread(target=self.give, args=(asked, outlet), daemon=True).start()

    def give(self, request: Request, outlet: Outlet) -> None:
        try:
            self.giving.give(request, outlet)
        except (BrokenPipeError, ConnectionResetError):
            log.info("zone %s: %s left in the middle of a transfer", request.zone, request.client)
        except OSError as error:
            log.warning("zone %s: its transfer to %s was cut: %s", request.zone, request.client, error)
        except DnsblError as error:
            log.error("zone %s: its transfer to %s was cut: %s", request.zone, request.client, error)
        except Exception:
            log.exception("zone %s: its transfer to %s was cut", request.zone, request.client)
