"""One transaction of posts: what the keys' limits and the gate let in, and what is written of it.

    look: content -> items -> [quota] -> gate, permit -> reports and rejects       no transaction, no lock
    write: reports, use of the key, attempts, the partner's network, the answer    one transaction

Everything that is written of a post is written with its reports, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from .. import clock
from ..errors import StoreError
from ..intake.gate import Gate
from ..intake.partners import partner_gate, permit_of
from ..intake.reports import Intake
from ..model import MAX_REJECTS, Report
from ..store.contract import Key, KeyDay
from .backend import Backend
from .problems import Problem
from .quotas import Quotas
from .submissions import Submission

__all__ = ["Answered", "Committer", "Memory", "Outcome", "Post", "merge"]

MAX_UNMAPPED = 1000  # different unmapped words counted in one answer
REMEMBERED_REJECTS = 20  # of an answer that is kept: a reject is a few bytes of body, and many of answer
MOVE_EVERY = 3600  # seconds; who posts from several networks is moved no more often: all of it is then weighed anew


@dataclass(slots=True, frozen=True)
class Memory:
    """Under what an answer is remembered, and of which body it is the answer."""

    key: str
    body: str


@dataclass(slots=True)
class Let:
    """What of a post was let in, and what was not."""

    intake: Intake
    reports: list[Report]
    attempts: dict[bytes, str]  # claims about what may not be listed, and why not
    over: Problem | None  # a quota let in no more


@dataclass(slots=True)
class Post:
    """A request's reports, or one part of a streamed request's."""

    key: Key
    content: Submission
    network: str = ""  # where it comes from; "": from nowhere on the Internet
    dry: bool = False  # only say what would come of it
    first: bool = True  # of its request
    used: bool = False  # whether the use of the key is to be written with it
    memory: Memory | None = None  # with the last part
    before: Intake = field(default_factory=Intake)  # what earlier parts came to
    let: Let | None = None  # once it was looked at

    @property
    def over(self) -> Problem | None:
        """Once it was taken: why what is left of it was not."""
        return self.let.over if self.let else None


class Answered(Exception):
    """This request was answered before, by another process; `answer` is what was remembered."""

    def __init__(self, answer: str) -> None:
        super().__init__("answered before")
        self.answer = answer


Outcome = Intake | Exception


class Committer:
    """Works in one thread: what it reads of a key's day, only it changes, and complaints one at a time."""

    def __init__(self, backend: Backend, quotas: Quotas) -> None:
        self.backend, self.quotas = backend, quotas
        self.moved: dict[int, int] = {}  # by source: when its network was last looked at

    def commit(self, posts: Sequence[Post]) -> list[Outcome]:
        """What came of each post. Raises StoreError, or what one post's reports made the store raise: then nothing of
        any is written, and what was looked at need not be looked at again."""
        gate = partner_gate(self.backend.app.exempt_reason(), clock.now())
        unwritten: Counter[int] = Counter()  # lines let in, by key
        found = [self.look(post, gate, unwritten) for post in posts]
        if all(post.dry or isinstance(let, Exception) for post, let in zip(posts, found, strict=True)):
            return [let if isinstance(let, Exception) else rehearse(let) for let in found]
        return self.write(posts, found)

    def look(self, post: Post, gate: Gate, unwritten: Counter[int]) -> Let | Exception:
        try:
            let = post.let = post.let or self.let_in(post, gate, unwritten[post.key.id])
        except StoreError:
            raise
        except Exception as error:  # whoever waits for this post gets it; the others go on
            return error
        if not post.dry:
            unwritten[post.key.id] += len(let.reports) + let.intake.rejected
        return let

    def let_in(self, post: Post, gate: Gate, unwritten: int) -> Let:
        """Raises what `Submission` raises."""
        items = post.content.items()
        room, over = self.quotas.room(self.backend.app.store, post.key, len(items), post.dry, unwritten)
        self.quotas.spend(post.key, room)
        intake = Intake()
        gate.attempts, gate.permit = {}, permit_of(post.key.limits)
        reports = post.content.reports(items[:room] if over else items, gate, intake)
        return Let(intake, reports, gate.attempts, over)

    def write(self, posts: Sequence[Post], found: Sequence[Let | Exception]) -> list[Outcome]:
        store, now = self.backend.app.store, clock.now()
        outcomes: list[Outcome] = []
        moved: dict[int, int] = {}
        with store.transaction():
            for post, let in zip(posts, found, strict=True):
                if isinstance(let, Exception):
                    outcomes.append(let)
                elif post.dry:
                    outcomes.append(rehearse(let))
                else:
                    outcomes.append(self.write_one(post, let, now))
                    moved |= self.move(post.key.source, post.network, now)
            for key in {post.key.id for post in posts if post.used}:
                store.key_used(key, now)
        self.moved |= moved
        return outcomes

    def write_one(self, post: Post, let: Let, now: int) -> Outcome:
        store, intake = self.backend.app.store, let.intake
        if post.memory:  # another process may have been first; in this one twins wait for each other
            answer = store.idempotent_answer(post.memory.key)
            if answer is not None:
                return Answered(answer)
        intake.taken, intake.repeated = store.take_reports(post.key.source, let.reports)
        use = KeyDay(now // clock.DAY, int(post.first), intake.taken, intake.repeated, intake.rejected)
        store.count_key(post.key.id, use)
        if let.attempts:
            store.add_attempts(post.key.source, let.attempts, now)
        if post.memory and not let.over:  # what did not fit is to be sent again
            store.take_reports(post.key.source, [], idempotency=(post.memory.key, remembered(post, post.memory)))
        return intake

    def move(self, source: int, network: str, now: int) -> dict[int, int]:
        """Note the network that a partner posts from: partners of one network are one family. The source, once it was
        looked at, for `moved` after the transaction that this is part of."""
        if not network or now - self.moved.get(source, 0) < MOVE_EVERY:
            return {}
        store = self.backend.app.store
        if store.sources()[source].network != network:
            store.set_source(source, network=network)
        return {source: now}


def rehearse(let: Let) -> Intake:
    """What would have come of it; what the store has already is not looked up."""
    let.intake.taken = len(set(let.reports))
    let.intake.repeated = len(let.reports) - let.intake.taken
    return let.intake


def remembered(post: Post, memory: Memory) -> str:
    """The answer that is kept, with the body's digest."""
    assert post.let is not None
    answer = merge(post.before, post.let.intake)
    answer.rejects = answer.rejects[:REMEMBERED_REJECTS]
    return orjson.dumps({"body": memory.body, "answer": answer.as_json()}).decode()


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
