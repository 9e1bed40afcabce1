"""Group commit: the reports of requests that arrive together share one transaction, and each is answered after it.

    request -> take() -> waiting -> [LINGER or REPORTS_AT_ONCE] -> one transaction in one thread -> each answered

Failure: a store that cannot take it refuses all of a transaction, and nobody is told it was taken. Stop: what waits
is refused. After a crash, what was answered is in the store; what was not may be, and may be sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson

from .. import clock
from ..errors import StoreError
from ..intake.gate import Gate
from ..intake.reports import Intake
from ..model import MAX_REJECTS, Report
from .backend import Backend
from .problems import busy

__all__ = ["Answered", "Batcher", "Memory", "Post", "merge"]

log = logging.getLogger("dnsbl.web")

LINGER = 0.02  # seconds that a report waits for others which are on their way
REPORTS_AT_ONCE = 10_000  # lines of one transaction, about
COMMIT_SECONDS = 30.0  # a request waits no longer for its commit
MAX_UNMAPPED = 1000  # different unmapped words counted in one answer
REMEMBERED_REJECTS = 20  # of an answer that is kept: a reject is a few bytes of body, and many of answer


@dataclass(slots=True, frozen=True)
class Memory:
    """Under what an answer is remembered, and of which body it is the answer."""

    key: str
    body: str


@dataclass(slots=True)
class Post:
    """A request's reports, or one part of a streamed request's."""

    source: int
    parse: Callable[[Gate, Intake], list[Report]]
    lines: int  # about how many reports
    used: int | None = None  # the key whose use is to be written with it
    memory: Memory | None = None  # with the last part
    before: Intake = field(default_factory=Intake)  # what earlier parts came to


class Answered(Exception):
    """This request was answered before, by another process; `answer` is what was remembered."""

    def __init__(self, answer: str) -> None:
        super().__init__("answered before")
        self.answer = answer


Outcome = Intake | Exception
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

    async def take(self, post: Post) -> Intake:
        """What came of all parts so far; when this returns they are on disk. Raises Problem 503 where the store does
        not take them in time, StoreError where it cannot, IntakeError where they cannot be read, or Answered."""
        future: asyncio.Future[Intake] = asyncio.get_running_loop().create_future()
        self.waiting.append((post, future))
        self.arrived.set()
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
        while self.expected() > len(self.waiting) and sum(post.lines for post, _ in self.waiting) < REPORTS_AT_ONCE:
            self.arrived.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self.arrived.wait()
            except TimeoutError:
                return

    def cut(self) -> list[Waiting]:
        """The next transaction's posts, without those whose request has given up."""
        batch: list[Waiting] = []
        lines = 0
        while self.waiting and lines < REPORTS_AT_ONCE:
            post, future = self.waiting.popleft()
            if not future.done():
                batch.append((post, future))
                lines += post.lines
        if self.waiting:
            self.arrived.set()
        else:
            self.arrived.clear()
        return batch

    def answer(self, batch: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
        news = False
        for (post, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Intake):
                self.counted(outcome)
                news = news or outcome.taken > 0
                if not future.done():
                    future.set_result(merge(post.before, outcome))
            elif not future.done():
                future.set_exception(outcome)
        if news:
            self.backend.submitted()

    # in the thread

    def commit(self, posts: Sequence[Post]) -> list[Outcome]:
        """What came of each post: taken together, or refused for its own fault or for the store's."""
        try:
            gate = self.backend.app.gate()
            outcomes = self.write(posts, [parse(post, gate) for post in posts])
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

    def write(self, posts: Sequence[Post], parsed: Sequence[tuple[Intake, list[Report]] | Exception]) -> list[Outcome]:
        store = self.backend.app.store
        outcomes: list[Outcome] = []
        with store.transaction():
            for post, found in zip(posts, parsed, strict=True):
                outcomes.append(found if isinstance(found, Exception) else self.write_one(post, *found))
            for key in {post.used for post in posts if post.used is not None}:
                store.key_used(key, clock.now())
        return outcomes

    def write_one(self, post: Post, intake: Intake, reports: list[Report]) -> Outcome:
        store = self.backend.app.store
        if post.memory:  # another process may have been first; in this one twins wait for each other
            answer = store.idempotent_answer(post.memory.key)
            if answer is not None:
                return Answered(answer)
        intake.taken, intake.repeated = store.take_reports(post.source, reports)
        if post.memory:
            answered = merge(post.before, intake)
            answered.rejects = answered.rejects[:REMEMBERED_REJECTS]
            said = {"body": post.memory.body, "answer": answered.as_json()}
            store.take_reports(post.source, [], idempotency=(post.memory.key, orjson.dumps(said).decode()))
        return intake


def parse(post: Post, gate: Gate) -> tuple[Intake, list[Report]] | Exception:
    intake = Intake()
    try:
        return intake, post.parse(gate, intake)
    except Exception as error:  # whoever waits for this post gets it; the others go on
        return error


def merge(before: Intake, more: Intake) -> Intake:
    """Two parts of one request as one. Bounded: a stream has no end of rejects and new words."""
    unmapped = dict(before.unmapped)
    for word, count in more.unmapped.items():
        if word in unmapped or len(unmapped) < MAX_UNMAPPED:
            unmapped[word] = unmapped.get(word, 0) + count
    return Intake(
        before.taken + more.taken,
        before.repeated + more.repeated,
        before.rejected + more.rejected,
        [*before.rejects, *more.rejects][:MAX_REJECTS],
        unmapped,
    )
