"""Trapped mail that an operator's own mail server keeps: an mbox, a maildir or one mail, as if it had come to a trap.

Its topmost Received lines were written by that server: `trap.relays` says which further machines are ours. Nothing is
asked of DNS: only what a trusted Authentication-Results says is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from .. import clock
from ..config import TrapConfig
from ..errors import IntakeError
from ..store.contract import Source, Store
from .authentication import UNKNOWN, believed
from .evidence import Token, mail_evidence
from .gate import Gate
from .mail import BoxedMail, Hop, facts, last_hop, mailbox
from .reports import Intake
from .trapped import TrapClaim, Voices, first_claims, keep, later_claims, voices

__all__ = ["take_mailbox"]

AT_ONCE = 200  # mails of one transaction


def take_mailbox(
    store: Store,
    gate: Gate,
    source: Callable[[str], Source],
    path: Path,
    token: Token,
    trap: TrapConfig,
    progress: Callable[..., None],
) -> dict[str, Any]:
    """What the mails claim, into the source and its `-content`. Raises IntakeError where there are none."""
    intake = Intake()
    count = 0
    sources: Voices | None = None
    for mails in several(mailbox(path)):
        sources = sources or voices(store, source)
        with store.transaction():
            for number, mail in enumerate(mails, count + 1):
                take(store, gate, sources, mail, token, trap, intake, number)
        count += len(mails)
        progress("reading mails", len(mails))
    if not count:
        raise IntakeError(f"{path}: there is no mail in it")
    if intake.rejected and not intake.taken + intake.repeated:
        raise IntakeError(f"{path}: nothing in it can be taken; the first: {intake.rejects[0].why}")
    return {**intake.as_json(), "mails": count}


def several(mails: Iterator[BoxedMail]) -> Iterator[list[BoxedMail]]:
    """Mails, AT_ONCE at a time."""
    while batch := list(islice(mails, AT_ONCE)):
        yield batch


def take(
    store: Store,
    gate: Gate,
    sources: Voices,
    mail: BoxedMail,
    token: Token,
    trap: TrapConfig,
    intake: Intake,
    number: int,
) -> None:
    """One mail; what it is refused for is a reject with its number. Its time is its own: old mail weighs little, and
    the same mail again is repeated."""
    if mail.at is None:
        intake.reject(number, "nobody knows when it came: no Received line has a time")
        return
    at = min(mail.at, clock.now())
    try:
        found = facts(mail.data, mail.recipients, mail.mail_from)
    except IntakeError as error:
        intake.reject(number, str(error))
        return
    hop: Hop | None = None
    try:
        hop = last_hop(mail.data, None, trap.relays)
    except IntakeError as error:
        intake.reject(number, f"no address: {error}")
    verdict = believed(mail.data, trap.authserv_ids) or UNKNOWN
    claims: list[TrapClaim] = [*first_claims(hop, found), *later_claims(hop, found, verdict)]
    traps = [token(recipient) for recipient in mail.recipients] or [""]
    subjects, taken = keep(store, gate, sources, claims, traps, hop, at)
    intake.taken += taken.taken
    intake.repeated += taken.repeated
    evidence = mail_evidence(mail.data, hop, mail.mail_from, mail.recipients, found, token)
    store.add_sample(sources.own.id, "mail", {**evidence, "authentication": verdict.as_json()}, subjects, clock.now())
