"""Removals from end to end: requests, proofs, decisions, and what a grant does. Synchronous: the caller brings what was
looked up in DNS and RDAP, and wakes whoever settles.

Requests that are refused because nothing is listed are not kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..clock import DAY
from ..config import PROOFS, ZoneDef
from ..errors import IntakeError
from ..store.contract.mail import Outgoing
from ..store.contract.removals import Challenge, Removal
from ..subjects import domain_key, kind, listing_key
from . import proofs
from .deciding import APPEAL_DAYS, PROOF_DAYS, RULES, Deciding
from .machine import ASKED, DONE, GRANTED, PERSON, PROVEN, REFUSED, REQUESTED
from .names import same_mailbox
from .reasons import Reason, to_json
from .rules import MAX_OPEN, MAX_WAITING, Verdict, decide, needed
from .standing import bare

__all__ = ["MAX_SAID", "Asking", "Opened", "Removals"]

MAX_SAID = 2000  # characters of what a requester or a reviewer writes
MAIL_LIFETIME = DAY  # how long a mailed link is good
MAX_MAILS = 4  # links mailed for one request
MAX_MOVED = 500  # requests moved at once by time alone: bounds a transaction
REQUESTER = "requester"  # who moved it
PURPOSE = "removal proof"


@dataclass(slots=True, frozen=True)
class Asking:
    """What somebody asks for, and what is known of them. All of it is untrusted but `client` and `owner`."""

    subject: bytes
    given: str  # as it was typed: the thing itself where the subject is a hash
    zones: tuple[str, ...] = ()  # (): all that list it
    said: str = ""
    way: str = "page"  # page, api, partner
    client: proofs.Address | None = None
    requester: str = ""  # its /24 or /64
    owner: bool = False  # a partner that owns the subject


@dataclass(slots=True, frozen=True)
class Opened:
    """What came of asking. `link` is the secret of the private page, said once; None where nothing was kept."""

    verdict: Verdict
    removal: Removal | None = None
    link: str | None = None


class Removals(Deciding):
    """The removals of one store. May be called from any thread."""

    # asking

    def open(self, asking: Asking, now: int) -> Opened:
        """Take a request, and decide as far as it can be. Raises IntakeError where it names a zone that is none."""
        subject = listing_key(asking.subject)
        asking = replace(asking, subject=subject, said=cut(asking.said))
        if unknown := [name for name in asking.zones if name not in self.zones()]:
            raise IntakeError(f"no zone {', '.join(unknown)[:100]}; there are {', '.join(self.zones())}")
        proof = "range" if asking.owner else "address" if proofs.from_itself(subject, asking.client) else ""
        draft = self.draft(asking, proof, now)
        case = self.case(draft, now)
        if not case.stands:
            return Opened(decide(case))
        with self.store.transaction():
            case = self.case(draft, now)  # as it is now that nobody else changes anything
            verdict = decide(case)
            if not case.stands:  # somebody else was faster
                return Opened(verdict)
            link = secrets.token_urlsafe(32)
            named = tuple(stand.zone.name for stand in case.stands)
            draft = replace(draft, link=proofs.digest(link), zones=named)
            draft = replace(draft, id=self.store.add_removal(draft))
            if proof:
                self.move(draft, PROVEN, REQUESTER, [Reason(f"proven-{proof}")], now)
            self.follow(self.again(draft), verdict, case, now)
            if verdict.state == ASKED:
                self.ask_dns(draft, asking.given, now)
            return Opened(verdict, self.store.removal(draft.id), link)

    def draft(self, asking: Asking, proof: str, now: int) -> Removal:
        """A request before it is decided."""
        return Removal(
            id=0,
            link=b"",
            subject=asking.subject,
            zones=asking.zones,
            state=REQUESTED,
            way=asking.way,
            requester=asking.requester,
            network=proofs.around(asking.subject),
            asn=self.asn(asking.subject),
            said=asking.said,
            at=now,
            changed=now,
            host=proofs.host_named(asking.subject, asking.given),
            proof=proof,
            why=to_json([Reason("asked")]),
        )

    def find(self, link: str) -> Removal | None:
        """The request of a private link; an untrusted text."""
        return self.store.removal_by_link(proofs.digest(link))

    # proofs

    def ways(self, removal: Removal, now: int) -> list[str]:
        """The proofs that are offered for a request that waits for one, the weakest that will do first."""
        return self.offered(removal.subject, needed(self.case(removal, now)))

    def ask_dns(self, removal: Removal, given: str, now: int) -> None:
        """Have a TXT record shown to the requester. `given`: what they typed; of a hash it must be the thing itself."""
        names = proofs.challenge_names(removal.subject, given) if self.dns else []
        if names and not any(each.proof == "dns" for each in self.store.challenges_of(removal.id)):
            self.challenge(removal, "dns", " ".join(names), PROOF_DAYS * DAY, now)

    def records(self, removal: Removal) -> list[tuple[list[str], str, int]]:
        """The TXT records that would prove it: names (any one will do), value, and until when."""
        return [
            (each.target.split(), self.token_of(each), each.expires)
            for each in self.store.challenges_of(removal.id)
            if each.proof == "dns" and each.used is None
        ]

    def mails(self, removal: Removal) -> list[Outgoing]:
        """What was queued to ask mailboxes about it, the oldest first."""
        found = [mail for each in self.store.challenges_of(removal.id) for mail in self.store.mail_of(each.id)]
        return sorted(found, key=lambda mail: mail.at)

    def mail_names(self, removal: Removal, given: str, now: int) -> list[str]:
        """Whose mailboxes may be asked about a name or hash. Names that are not listed themselves, below one that is,
        anybody can make up without end: the registered name is asked instead of them."""
        names = proofs.mail_names(removal.subject, given)
        if kind(removal.subject) != "domain":
            return names
        listed = {row.subject for view in self.explain(removal.subject, now) for row in view.listings}
        return [name for name in names if name == names[-1] or domain_key(name) in listed]

    def mail_challenge(self, removal: Removal, proof: str, mailbox: str, language: str, now: int) -> bool:
        """Ask a mailbox. The caller has made sure that it follows from the subject. False: none is sent any more."""
        with self.store.transaction():
            before = [each for each in self.store.challenges_of(removal.id) if each.proof != "dns"]
            if self.again(removal).state != ASKED or len(before) >= MAX_MAILS:
                return False
            made = self.challenge(removal, proof, mailbox, MAIL_LIFETIME, now)
            return self.store.queue_mail(made.id, mailbox, self.keyed().token(same_mailbox(mailbox)), language, now)

    def challenge(self, removal: Removal, proof: str, target: str, lifetime: int, now: int) -> Challenge:
        nonce = secrets.token_hex(16)
        made = Challenge(0, removal.id, proof, target, nonce, b"", now, now + lifetime)
        made = replace(made, digest=proofs.digest(self.token_of(made)))
        return replace(made, id=self.store.add_challenge(made))

    def token_of(self, challenge: Challenge) -> str:
        """The token itself: it is kept nowhere."""
        return proofs.token(self.keyed().derive(PURPOSE, challenge.nonce))

    def confirm(self, token: str, now: int) -> bool:
        """Somebody sent a mailed token. Nobody is told whether it was good: it can be used once."""
        found = self.store.challenge_by_digest(proofs.digest(token))
        if found is None or found.proof == "dns":
            return False
        return self.proven(found, now)

    def seen_in_dns(self, removal: Removal, now: int) -> Removal:
        """The record was seen."""
        for each in self.store.challenges_of(removal.id):
            if each.proof == "dns" and self.proven(each, now):
                break
        return self.again(removal)

    def proven(self, challenge: Challenge, now: int) -> bool:
        """A challenge was met: the request goes on. False where it was met before, or its time is over."""
        with self.store.transaction():
            removal = self.store.removal(challenge.removal)
            if removal is None or removal.state != ASKED or not self.store.use_challenge(challenge.id, now):
                return False
            self.prove(removal, challenge.proof, now)
        return True

    def prove(self, removal: Removal, proof: str, now: int) -> None:
        """The subject is the requester's: decide. Within a transaction."""
        strongest = max((removal.proof or proof, proof), key=PROOFS.index)
        self.move(removal, PROVEN, REQUESTER, [Reason(f"proven-{proof}")], now, proof=strongest)
        removal = self.again(removal)
        case = self.case(removal, now)
        self.follow(removal, decide(case), case, now)

    # the requester's other moves

    def appeal(self, removal: Removal, said: str, now: int) -> bool:
        """Ask for a person: once, where a request was refused or its proof cannot be given."""
        with self.store.transaction():
            removal = self.again(removal)  # it may have been given to a person, and refused, since it was read
            if not self.may_appeal(removal):
                return False
            changes = {"said": f"{removal.said}\n\n{cut(said)}".strip(), "appealed": True, "expires": None}
            return self.move(removal, PERSON, REQUESTER, [Reason("appeal")], now, **changes)

    def may_appeal(self, removal: Removal) -> bool:
        """Whether it can be given to a person now."""
        return not removal.appealed and removal.state in (ASKED, REFUSED) and self.may_wait(removal)

    def may_withdraw(self, removal: Removal) -> bool:
        return removal.state in (ASKED, PERSON)

    def may_wait(self, removal: Removal) -> bool:
        """Whether one more may wait for a person: what waits is bounded by who asks, and by what it is about."""
        count = self.store.count_removals
        if removal.requester and count((PERSON,), requester=removal.requester) >= MAX_OPEN:
            return False
        return bool(removal.proof) or count((PERSON,), subject=removal.subject) < MAX_WAITING

    def withdraw(self, removal: Removal, now: int) -> bool:
        if not self.may_withdraw(removal):
            return False
        changes = {"expires": now + APPEAL_DAYS * DAY, "appealed": True}
        return self.move(removal, REFUSED, REQUESTER, [Reason("withdrawn")], now, **changes)

    # the desk's

    def decide(self, number: int, grant: bool, who: str, answer: str, now: int, firm: bool = False) -> Removal:
        """A person decides. Raises IntakeError where it does not wait for one, or not any more."""
        removal = self.store.removal(number)
        if removal is None:
            raise IntakeError(f"no removal {number}; `dnsbl removal list` shows what there is")
        answer = cut(answer)
        with self.store.transaction():
            if removal.state != PERSON:
                raise IntakeError(f"removal {number} is {removal.state}: there is nothing to decide")
            done = (
                self.granted_by(removal, who, answer, now, firm)
                if grant
                else self.refused_by(removal, who, answer, now)
            )
            if not done:
                raise IntakeError(f"removal {number} was decided by somebody else just now")
        return self.again(removal)

    def granted_by(self, removal: Removal, who: str, answer: str, now: int, firm: bool) -> bool:
        case = self.case(removal, now)
        stands = case.stands or [bare(self.zones()[name]) for name in removal.zones if name in self.zones()]
        reasons = [Reason("by-person")]
        return self.grant(removal, stands, who, reasons, now, firm, decider=who, answer=answer)

    def refused_by(self, removal: Removal, who: str, answer: str, now: int) -> bool:
        changes = {"decider": who, "answer": answer, "expires": now + APPEAL_DAYS * DAY, "appealed": True}
        return self.move(removal, REFUSED, who, [Reason("by-person")], now, **changes)

    def by_operator(self, subject: bytes, zones: Sequence[ZoneDef], reason: str, who: str, now: int) -> Removal:
        """An operator's removal, without a request: firm, and in the history of the subject."""
        subject = listing_key(subject)
        stands = [bare(zone) for zone in zones]
        asking = Asking(subject, "", tuple(zone.name for zone in zones), reason, "operator")
        with self.store.transaction():
            draft = replace(self.draft(asking, "", now), link=proofs.digest(secrets.token_urlsafe(32)))
            draft = replace(draft, id=self.store.add_removal(draft, who))
            self.move(draft, PERSON, who, [Reason("asked")], now)
            self.grant(self.again(draft), stands, who, [Reason("by-person")], now, True, reason, decider=who)
        return self.again(draft)

    # time

    def advance(self, now: int) -> int:
        """Move what time alone moves: proofs that did not come, appeals that did not come, grants that DNS follows.
        The number of moves."""
        moves = 0
        for removal in self.store.removals_due((ASKED, REFUSED), now, MAX_MOVED):
            state, word = (REFUSED, "no-proof") if removal.state == ASKED else (DONE, "closed")
            reasons = [Reason(word, {"days": PROOF_DAYS} if state == REFUSED else {})]
            moves += self.move(removal, state, RULES, reasons, now, expires=self.expiry(state, now))
        for removal in self.store.removals_due((GRANTED,), now, MAX_MOVED):
            moves += self.close(removal, now)
        return moves

    def close(self, removal: Removal, now: int) -> bool:
        """Close a granted one where DNS has followed, or was told something new meanwhile; else look again later, the
        less often the longer it takes."""
        if not any(self.answered(zone, removal.subject) for zone in removal.zones):
            return self.move(removal, DONE, RULES, [Reason("published")], now, expires=None)
        if (self.ends(removal) or now) <= now:
            return self.move(removal, DONE, RULES, [Reason("relisted")], now, expires=None)
        self.store.wait_for_removal(removal.id, now + min(DAY, (now - removal.changed) // 4))
        return False

    def ends(self, removal: Removal) -> int | None:
        """When it is exempt no longer: new reports may have ended that before its time. None: it is not granted."""
        return self.store.removal_ends(removal.subject, removal.zones) if removal.granted is not None else None


def cut(text: str) -> str:
    """So much of what somebody wrote as is kept. Halves of surrogate pairs are no text, and could not be."""
    return text[:MAX_SAID].encode("utf-8", "replace").decode()
