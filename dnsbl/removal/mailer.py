"""Our own mail, from the queue in the store to the relay.

A mail waits as a row without its text: what it says is made when it is sent. Each try is written down before it begins,
with the moment of the next: a crash or a full disk at any moment may send a mail twice, a pause apart, and never loses
one. What cannot be sent is tried again after 1, 5, 15 and 60 minutes and then each hour, until the relay says that it
never will be, there is nothing left to ask, or a day is over. Store and text are worked on in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from .. import clock
from ..clock import DAY
from ..config import MailConfig
from ..errors import DnsblError, StoreError
from ..store.contract.mail import Mail, Outgoing
from .letters import Letter, wire
from .names import mailbox
from .relay import LATER, NEVER, SECONDS, SENT, Relay, RelayLost

__all__ = ["Mailer", "Render"]

log = logging.getLogger("dnsbl.mail")

BATCH = 20  # mails over one connection
LOOK_EVERY = 30.0  # seconds; another process may have queued one, and tries become due
GIVE_UP = DAY  # seconds after it was queued: nobody waits for it any more
MAX_LOST = 3  # connections lost in one batch; then the rest of it waits for its next try
STATES = {SENT: "sent", NEVER: "failed", LATER: "waiting"}

Render = Callable[[Outgoing], Letter | None]  # None: there is nothing left to ask


class Mailer:
    """Sends what is due. `render` is called in a thread, and may read the store."""

    def __init__(
        self,
        config: MailConfig,
        queue: Mail,
        render: Render,
        now: Callable[[], int] = clock.now,
        seconds: float = SECONDS,
    ) -> None:
        self.config, self.queue, self.render, self.now, self.seconds = config, queue, render, now, seconds
        self.woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to send. From the event loop's thread."""
        self.woken.set()

    async def run(self) -> None:
        """Until cancelled; at once over where no relay is configured, and the queue waits."""
        if self.config.relay is None:
            return
        while True:
            self.woken.clear()
            more = await self.round()
            heed_cancel()
            if more:
                continue
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self.woken.wait()
            except TimeoutError:
                continue

    async def round(self) -> bool:
        """Send a batch. Whether there may be more to do at once; the loop outlives whatever goes wrong in it."""
        try:
            return await self.send_due() == BATCH
        except StoreError as error:
            log.warning("no mail is sent: %s", error)
        except Exception:
            log.exception("a batch of mail was broken off; what was not sent is tried again")
        return False

    async def send_due(self) -> int:
        """Try what is due, BATCH at most, and say how many there were. Raises StoreError; nothing is lost by that."""
        due = await asyncio.to_thread(self.queue.mail_due, self.now(), BATCH)
        if due:
            async with Relay(self.config, self.seconds) as relay:
                await self.send_all(relay, due)
        return len(due)

    async def send_all(self, relay: Relay, due: Sequence[Outgoing]) -> None:
        """One after another. A connection that is lost is made anew, but not for ever."""
        lost, why = 0, ""
        for mail in due:
            message = await self.message(mail)
            if message is None:
                continue
            if lost < MAX_LOST:
                try:
                    result, said = await relay.send(mail.recipient, message)
                except RelayLost as error:
                    lost, why = lost + 1, str(error)
                    result, said = LATER, why
            else:
                result, said = LATER, why
            await self.done(mail, result, said, lost > 0 and said == why)
            heed_cancel()
        if lost:
            log.warning("mail server %s: %s; what was not sent is tried again, look at mail.relay", relay.host, why)

    async def message(self, mail: Outgoing) -> bytes | None:
        """The mail as it is to be sent; None where it is not, and that is written down."""
        if mailbox(mail.recipient) is None:  # whoever queued it
            await self.write(mail, "failed", "the recipient is no mailbox")
            return None
        try:
            letter = await asyncio.to_thread(self.render, mail)
            if letter is not None:
                return wire(letter, mail, self.config.sender, self.now())
        except DnsblError as error:
            log.warning("mail %d could not be written: %s; it is tried again", mail.id, error)
        except Exception:  # a mistake of ours in one text must not hold up the others
            log.exception("mail %d could not be written; it is tried again", mail.id)
        else:
            await self.write(mail, "dropped", mail.said)
            return None
        await self.done(mail, LATER, "it could not be written")
        return None

    async def done(self, mail: Outgoing, result: str, said: str, lost: bool = False) -> None:
        """Write down what came of a try; the last one that there is time for was the last. `lost`: there was no
        connection, which is said once for all."""
        state = STATES[result]
        if result == LATER and mail.next >= mail.at + GIVE_UP:
            state = "failed"
        if state != "waiting":
            log.info("mail %d: %s after %d tries: %s", mail.id, state, mail.tries, said)
        elif not lost:
            log.warning("mail %d: not taken at try %d: %s; it is tried again", mail.id, mail.tries, said)
        await self.write(mail, state, said)

    async def write(self, mail: Outgoing, state: str, said: str) -> None:
        """Also when we are being stopped: what was sent should be known to be."""
        await asyncio.shield(asyncio.to_thread(self.queue.mail_done, mail.id, state, said))


def heed_cancel() -> None:
    """Before Python 3.12 `asyncio.wait_for`, which the SMTP library waits with, forgets that it was cancelled where the
    answer came at the same moment: raise it here, or nobody could stop us."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
