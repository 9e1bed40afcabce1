"""The trap role: mail to declared addresses comes in, reports are in the store before it is answered for.

    receiver -> accept -> queue -> one thread: facts, claims, one transaction for all that waited -> 250
                                                                  |
                        authentication beside (DNS) -> verdict -> queue: what it allows, and kept with the evidence

Failure: a store that cannot take it defers the mail (451); its sender comes again. A mail that is none is refused. A
crash loses no mail that was answered for; verdicts under way are lost, and with them what needed proof.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .. import clock
from ..config import TrapConfig
from ..errors import IntakeError, StoreError
from ..store.contract import Source, Store
from .authentication import UNKNOWN, Authenticator, Verdict, believed
from .complained import keep_complaints
from .complaints import Complaint, parse_complaint
from .evidence import Token, mail_evidence
from .gate import Gate
from .mail import Hop, MailFacts, facts, last_hop
from .smtp import Envelope, Receiver
from .trapped import TrapClaim, Voices, first_claims, keep, later_claims, voices, waits

__all__ = ["CLASSES", "FEEDBACK", "Traps", "trap_voices"]

log = logging.getLogger("dnsbl.trap")

CLASSES = ("pristine", "recycled", "typo")
FEEDBACK = "feedback"
FAMILY = "traps"  # one mail to three traps is one thing seen three times: they all count once
AT_ONCE = 64  # mails, or verdicts, of one transaction
MAX_COMPLAINTS = 20  # mails with complaints that are read or wait for it
MAX_VERDICTS = 2000  # mails that wait for their verdict; further ones go without


@dataclass(slots=True, frozen=True)
class Incoming:
    """A mail as it came, and the complaints in it where it came to a feedback address."""

    envelope: Envelope
    complaints: Sequence[Complaint] = ()


@dataclass(slots=True)
class Trapped:
    """One mail, read: what it claims now, and what a verdict is to be about."""

    envelope: Envelope
    hop: Hop | None
    found: MailFacts
    claims: list[TrapClaim]
    samples: list[int] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    complaints: Sequence[Complaint] = ()
    verdict: Verdict | None = None


def trap_voices(store: Store, config: TrapConfig) -> dict[str, Voices]:
    """The sources of each class of traps, as the configuration says now."""

    def make(class_: str, suffix: str) -> Source:
        trust = getattr(config.trust, class_)
        return store.source(f"trap-{class_}{suffix}", "trap", trust=trust, family=FAMILY)

    return {class_: voices(store, partial(make, class_)) for class_ in CLASSES}


class Traps:
    """`counts` are mails by what came of them. Made in the event loop that serves."""

    def __init__(
        self,
        config: TrapConfig,
        store: Store,
        gate: Callable[[], Gate],
        token: Token,
        submitted: Callable[[], None],
    ) -> None:
        self.config, self.store, self.gate, self.token, self.submitted = config, store, gate, token, submitted
        self.receiver = Receiver(config, self.accept)
        self.authenticator = Authenticator(config)
        self.queue: asyncio.Queue[tuple[Incoming | Trapped, asyncio.Future[Trapped]]] = asyncio.Queue()
        self.verdicts: set[asyncio.Task[None]] = set()
        self.thread = ThreadPoolExecutor(1, "trap-commit")
        self.reader = ThreadPoolExecutor(1, "trap-complaint")  # complaints are large, and must not hold up mail
        self.complaining = 0
        self.task: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        self.said = ""  # why mail was deferred last; empty: it is taken

    async def start(self) -> None:
        """Raises StartError, StoreError."""
        self.token("")  # a key that cannot be read is said now, and not by each mail that is deferred
        self.voices = await asyncio.to_thread(trap_voices, self.store, self.config)
        trust = self.config.trust.feedback
        self.feedback = await asyncio.to_thread(self.store.source, FEEDBACK, "complaint", trust=trust)
        self.authenticator.start()
        self.task = asyncio.get_running_loop().create_task(self.run())
        await self.receiver.start()

    async def close(self) -> None:
        """Mails under way are answered first."""
        await self.receiver.close()
        for task in [*self.verdicts, *([self.task] if self.task else [])]:
            task.cancel()
        await asyncio.gather(*self.verdicts, *([self.task] if self.task else []), return_exceptions=True)
        await self.authenticator.close()
        await asyncio.to_thread(self.thread.shutdown)
        await asyncio.to_thread(self.reader.shutdown, cancel_futures=True)

    def figures(self) -> dict[str, int]:
        """For monitors: the receiver's, what came of the mails, and of their verdicts."""
        verdicts = {name: getattr(self.authenticator, name) for name in ("evaluated", "timeouts", "overflow")}
        return {
            **self.receiver.counters.snapshot(),
            **{name.replace(", ", "_").replace(" ", "_"): count for name, count in self.counts.items()},
            **{f"verdicts_{name}": count for name, count in verdicts.items()},
        }

    async def accept(self, envelope: Envelope) -> None:
        """Returns when what the mail claims is on disk. Raises StoreError, or IntakeError where it is no mail."""
        complaints = await self.complaints(envelope) if is_complaint(envelope) else ()
        trapped = await self.put(Incoming(envelope, complaints))
        if trapped.found.auto or trapped.hop is None or not is_trap(envelope):
            return
        if len(self.verdicts) < MAX_VERDICTS:
            task = asyncio.get_running_loop().create_task(self.judge(trapped))
            self.verdicts.add(task)
            task.add_done_callback(self.verdicts.discard)
            return
        self.counts["without a verdict"] += 1
        if waits(trapped.found):
            trapped.verdict = UNKNOWN
            await self.put(trapped)

    async def complaints(self, envelope: Envelope) -> Sequence[Complaint]:
        """Read beside the mail for traps. What is no complaint is taken all the same: it would only be sent again.
        Raises StoreError where there are too many at once: they may come later."""
        if self.complaining >= MAX_COMPLAINTS:
            raise StoreError("too many complaints at once")
        self.complaining += 1
        try:
            work = asyncio.get_running_loop().run_in_executor(self.reader, parse_complaint, envelope.data, clock.now())
            found = await work
        except IntakeError:
            self.counts["no complaint"] += 1
            return ()
        else:
            self.counts["complaints"] += 1
            return found
        finally:
            self.complaining -= 1

    async def put(self, item: Incoming | Trapped) -> Trapped:
        future: asyncio.Future[Trapped] = asyncio.get_running_loop().create_future()
        await self.queue.put((item, future))
        return await future

    # verdicts, beside

    async def judge(self, trapped: Trapped) -> None:
        envelope, hop = trapped.envelope, trapped.hop
        assert hop is not None
        verdict = None
        if hop.address != envelope.peer:  # it came by a relay of ours
            verdict = believed(envelope.data, self.config.authserv_ids)
        if verdict is None:
            verdict = await self.authenticator.judge(envelope.data, hop.address, hop.helo, envelope.mail_from)
        trapped.verdict = verdict
        trapped.envelope = replace(envelope, data=b"")  # read to its end: what waits now is small
        if verdict is UNKNOWN and not waits(trapped.found):
            return
        try:
            await self.put(trapped)
        except StoreError as error:
            log.warning("a verdict was not kept: %s", error)

    # the thread

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.queue.get()]
            while len(batch) < AT_ONCE and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            outcomes = await loop.run_in_executor(self.thread, self.commit, [item for item, _ in batch])
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Trapped):
                    future.set_result(outcome)
                else:
                    future.set_exception(outcome)
            self.submitted()

    def commit(self, items: Sequence[Incoming | Trapped]) -> list[Trapped | Exception]:
        """Read and keep all of them, in one transaction; each has its own fate where it is no mail."""
        try:
            gate, now = self.gate(), clock.now()
            read = [self.read(item) for item in items]
            with self.store.transaction():
                for each in read:
                    if isinstance(each, Trapped):
                        self.keep(each, gate, now)
        except StoreError as error:
            self.counts["deferred"] += len(items)
            if str(error) != self.said:  # said once, not for every mail
                log.error("mail to traps is deferred: %s", error)
            self.said = str(error)
            return [error] * len(items)
        except Exception as error:
            if len(items) == 1:
                log.exception("a mail was deferred by a fault of ours")
                return [error]
            return [self.commit([item])[0] for item in items]  # one of them is at fault: not the others' ruin
        if self.said:
            log.warning("mail to traps is taken again")
        self.said = ""
        for each in read:
            if isinstance(each, Trapped) and each.verdict is None:
                self.counts["taken" if each.hop else "taken, of unknown origin"] += 1
        return read

    def read(self, item: Incoming | Trapped) -> Trapped | Exception:
        if isinstance(item, Trapped):
            assert item.verdict is not None
            item.claims = later_claims(item.hop, item.found, item.verdict)
            item.evidence["authentication"] = item.verdict.as_json()
            return item
        try:
            return self.read_envelope(item.envelope, item.complaints)
        except IntakeError as error:
            self.counts["no mail"] += 1
            return error

    def read_envelope(self, envelope: Envelope, complaints: Sequence[Complaint]) -> Trapped:
        found = facts(envelope.data, [r.address for r in envelope.recipients], envelope.mail_from)
        why = ""
        hop: Hop | None = None
        try:
            hop = (
                None
                if envelope.local
                else last_hop(envelope.data, Hop(envelope.peer, envelope.helo), self.config.relays)
            )
        except IntakeError as error:
            why = str(error)
        trapped = Trapped(envelope, hop, found, first_claims(hop, found), complaints=complaints)
        sent_to = [recipient.address for recipient in envelope.recipients]
        trapped.evidence = mail_evidence(envelope.data, hop, envelope.mail_from, sent_to, found, self.token)
        if why:
            trapped.evidence["unknown"] = why
        if envelope.tls:
            trapped.evidence["tls"] = envelope.tls
        return trapped

    def keep(self, trapped: Trapped, gate: Gate, now: int) -> None:
        """Into the store, for each class of trap it came to; within a transaction."""
        by_class: dict[str, list[str]] = {}
        for recipient in trapped.envelope.recipients:
            by_class.setdefault(recipient.class_, []).append(recipient.address)
        for class_ in CLASSES:
            if class_ in by_class:
                self.keep_class(trapped, class_, sorted(set(by_class[class_])), gate, now)
        if trapped.complaints:
            keep_complaints(self.store, gate, self.feedback, trapped.complaints, now)
            trapped.complaints = ()

    def keep_class(self, trapped: Trapped, class_: str, addresses: list[str], gate: Gate, now: int) -> None:
        sources = self.voices[class_]
        traps = [self.token(address) for address in addresses]
        at = trapped.envelope.at
        subjects, _ = keep(self.store, gate, sources, trapped.claims, traps, trapped.hop, at)
        if trapped.verdict is not None and trapped.samples:  # a verdict is added to what is there
            for number in trapped.samples:
                self.store.set_sample(number, trapped.evidence)
        elif number := self.store.add_sample(sources.own.id, "mail", trapped.evidence, subjects, now):
            trapped.samples.append(number)


def is_complaint(envelope: Envelope) -> bool:
    return any(recipient.class_ == FEEDBACK for recipient in envelope.recipients)


def is_trap(envelope: Envelope) -> bool:
    return any(recipient.class_ in CLASSES for recipient in envelope.recipients)
