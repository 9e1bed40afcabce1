"""Group commit: the reports of requests that arrive together share one transaction, and each is answered after it.

    request -> take() -> waiting -> [LINGER or REPORTS_AT_ONCE] -> one transaction in one thread -> each answered

What the transaction is made of is in commit.py.

Failure: a store that cannot take it refuses all of a transaction, and nobody is told it was taken. Stop: what waits
is refused. After a crash, what was answered is in the store; what was not may be, and may be sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..errors import StoreError
from ..intake.reports import Intake
from .backend import Backend
from .commit import Committer, Outcome, Post, merge
from .problems import busy
from .quotas import Quotas

__all__ = ["Batcher"]

log = logging.getLogger("dnsbl.web")

LINGER = 0.02  # seconds that a report waits for others which are on their way
REPORTS_AT_ONCE = 10_000  # lines of one transaction, about
COMMIT_SECONDS = 30.0  # a request waits no longer for its commit

Waiting = tuple[Post, "asyncio.Future[Intake]"]


class Batcher:
    """Takes posts. `expected` says how many requests are on their way, those waiting here included; `counted` is told
    what was taken."""

    def __init__(self, backend: Backend, expected: Callable[[], int], counted: Callable[[Intake], None]) -> None:
        self.backend, self.expected, self.counted = backend, expected, counted
        self.waiting: deque[Waiting] = deque()
        self.arrived = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, "web-commit")
        self.task: asyncio.Task[None] | None = None
        self.said = ""
        self.quotas = Quotas()
        self.committer = Committer(backend, self.quotas)

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def close(self) -> None:
        """Ends after the transaction that is under way."""
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        for _, future in self.waiting:
            future.cancel()
        await asyncio.to_thread(self.thread.shutdown)

    def submit(self, post: Post) -> asyncio.Future[Intake]:
        """Put it in the queue. Whoever cancels the future before its transaction has taken it back."""
        future: asyncio.Future[Intake] = asyncio.get_running_loop().create_future()
        self.waiting.append((post, future))
        self.arrived.set()
        return future

    async def taken(self, future: asyncio.Future[Intake]) -> Intake:
        """What came of all parts so far; when this returns they are on disk. Raises Problem 503 where the store does
        not take them in time, StoreError where it cannot, IntakeError where they cannot be read, or Answered."""
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                return await future
        except TimeoutError:
            raise busy("the store is busy; nothing of this was acknowledged, send it again") from None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            await self.linger()
            batch = self.cut()
            if not batch:
                continue
            outcomes = await loop.run_in_executor(self.thread, self.commit, [post for post, _ in batch])
            try:
                self.answer(batch, outcomes)
            except Exception:
                log.exception("a committed batch was not announced; the next one will be")

    async def linger(self) -> None:
        """Wait for those who are on their way, but not long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LINGER
        while self.expected() > len(self.waiting) and self.size() < REPORTS_AT_ONCE:
            self.arrived.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self.arrived.wait()
            except TimeoutError:
                return

    def size(self) -> int:
        """About how many reports wait."""
        return sum(post.content.size for post, _ in self.waiting)

    def cut(self) -> list[Waiting]:
        """The next transaction's posts, without those whose request has given up."""
        batch: list[Waiting] = []
        lines = 0
        while self.waiting and lines < REPORTS_AT_ONCE:
            post, future = self.waiting.popleft()
            if not future.done():
                batch.append((post, future))
                lines += post.content.size
        if self.waiting:
            self.arrived.set()
        else:
            self.arrived.clear()
        return batch

    def answer(self, batch: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
        news = False
        for (post, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Intake):
                if not post.dry:
                    self.counted(outcome)
                    news = news or outcome.taken > 0
                if not future.done():
                    future.set_result(merge(post.before, outcome))
            elif not future.done():
                future.set_exception(outcome)
        if news:
            self.backend.submitted()

    def commit(self, posts: Sequence[Post]) -> list[Outcome]:
        """In the thread: what came of each post, taken together, or refused for its own fault or for the store's."""
        try:
            outcomes = self.committer.commit(posts)
        except StoreError as error:
            if str(error) != self.said:  # said once, not for every batch
                log.error("reports are not taken: %s", error)
            self.said = str(error)
            return [error] * len(posts)
        except Exception as error:
            if len(posts) == 1:
                return [error]
        else:
            self.said = ""
            return outcomes
        return [self.commit([post])[0] for post in posts]  # one of them is at fault: it is not to be the others' ruin
