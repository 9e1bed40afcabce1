"""Removals from end to end, in a real application over a real store: from the request to what DNS answers."""

from __future__ import annotations

import ipaddress
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dnsbl import clock, config
from dnsbl.app import App
from dnsbl.config import ZoneDef
from dnsbl.config.zone import Removal as Rules
from dnsbl.errors import IntakeError
from dnsbl.hashing import email_hash, url_hash
from dnsbl.model import Report
from dnsbl.removal import proofs, requests
from dnsbl.removal.machine import ASKED, DONE, GRANTED, PERSON, REFUSED
from dnsbl.removal.requests import MAX_MAILS, MAX_WAITING, Asking, Opened, Removals
from dnsbl.removal.rules import MAX_OPEN
from dnsbl.store.contract.removals import Challenge, Removal
from dnsbl.subjects import listing_key, parse, text

HOUR, DAY = 3600, 86_400
START = 1_790_000_000
HERE, NEIGHBOUR = "5.5.5.5", "5.5.5.6"
MAILBOX = "postmaster@mail.example"
LANGUAGE = "en"
SECONDS = 60  # a thread or child that takes longer is at fault


class Place:
    """An application, its clock, and who says what."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app, self.store, self.now = app, app.store, START
        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.store.writer.execute("PRAGMA synchronous = OFF")
        self.partner = self.store.source("partner", "partner", trust=0.9).id
        self.list = self.store.source("list", "feed", trust=0.9).id

    @property
    def removals(self) -> Removals:
        return self.app.removals

    def rules(self, **changes: object) -> None:
        """Other rules of removal in every zone."""
        rules = Rules.model_validate(changes)
        zones = {name: zone.model_copy(update={"removal": rules}) for name, zone in self.app.zones.items()}
        self.app.settings = self.app.settings.model_copy(update={"zones": zones})

    def report(self, *subjects: str | bytes, category: str = "spam", ago: int = 0) -> None:
        made = [Report(key(subject), category, self.now - ago) for subject in subjects]
        self.store.take_reports(self.partner, made)
        self.app.settle()

    def listed(self, *subjects: str | bytes, category: str = "spam") -> None:
        """The whole of what the list has."""
        self.store.replace_entries(self.list, {key(subject): 1 for subject in subjects}, {}, category, self.now)
        self.app.settle()

    def later(self, seconds: int) -> None:
        self.now += seconds
        self.app.settle()

    def ask(self, subject: str | bytes, client: str = "", **more: Any) -> Opened:
        """Ask for a removal; with `client` from that address."""
        address = ipaddress.ip_address(client) if client else None
        network = text(proofs.around(listing_key(parse(client)))) if client else ""
        asking = Asking(key(subject), more.pop("given", ""), client=address, **{"requester": network, **more})
        return self.removals.open(asking, self.now)

    def asked(self, subject: str | bytes, client: str = "", **more: Any) -> Removal:
        opened = self.ask(subject, client, **more)
        assert opened.removal is not None
        return opened.removal

    def waiting(self, subject: str = HERE, client: str = "7.7.7.7") -> Removal:
        """A request that waits for a person."""
        removal = self.asked(subject, client)
        assert self.removals.appeal(removal, "please", self.now)
        return self.again(removal)

    def again(self, removal: Removal) -> Removal:
        return self.removals.again(removal)

    def mailed(self, removal: Removal, proof: str = "mailbox", mailbox: str = MAILBOX) -> str:
        """The token that is mailed to somebody."""
        assert self.removals.mail_challenge(removal, proof, mailbox, LANGUAGE, self.now)
        return self.removals.token_of(self.challenges(removal)[-1])

    def challenges(self, removal: Removal) -> list[Challenge]:
        return self.store.challenges_of(removal.id)

    def dns(self, subject: str | bytes, zone: str = "ip") -> list[str] | None:
        return self.app.dns_codes(zone, key(subject))

    def words(self, removal: Removal) -> list[str]:
        return [reason["word"] for reason in self.again(removal).why]

    def states(self, removal: Removal) -> list[str]:
        return [event.state for event in self.store.removal_events(removal.id)]


def key(subject: str | bytes) -> bytes:
    return subject if isinstance(subject, bytes) else parse(subject)


@pytest.fixture
def settings(settings: config.Settings) -> config.Settings:
    """With a relay, so that proofs by mail are offered. No mail is sent here."""
    mail = settings.config.mail.model_copy(update={"relay": "127.0.0.1:2", "sender": "bl@bl.example"})
    return settings.model_copy(update={"config": settings.config.model_copy(update={"mail": mail})})


@pytest.fixture
def place(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with App(settings) as app:
        yield Place(app, monkeypatch)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do it all at the same time; what each gave, or raised."""
    barrier, found = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        barrier.wait(SECONDS)
        try:
            found[number] = work()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return found


# from the address itself


def test_a_request_from_the_address_itself_is_granted_and_dns_follows(place: Place) -> None:
    place.report(HERE, NEIGHBOUR, ago=2 * HOUR)
    assert place.dns(HERE) == ["127.0.0.2"]
    opened = place.ask(HERE, client=HERE)
    assert opened.verdict.state == GRANTED
    removal = opened.removal
    assert removal is not None
    assert (removal.state, removal.zones, removal.granted, removal.proof) == (GRANTED, ("ip",), START, "address")
    assert removal.until == START + 7 * DAY
    assert place.dns(HERE) == ["127.0.0.2"], "not yet"
    place.app.settle()
    assert place.dns(HERE) == []
    assert place.dns(NEIGHBOUR) == ["127.0.0.2"]
    assert place.again(removal).state == DONE
    assert place.states(removal) == ["requested", "proven", "granted", "done"]
    assert place.removals.find(opened.link or "") == place.again(removal)


def test_a_grant_is_not_done_before_dns_says_so(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client=HERE)
    assert place.removals.advance(place.now) == 0
    assert place.again(removal).state == GRANTED
    place.app.settle()
    assert place.again(removal).state == DONE


def test_an_ipv6_customer_removes_the_64(place: Place) -> None:
    place.report("2a00:0:0:7::1", ago=2 * HOUR)
    assert place.dns("2a00:0:0:7::ffff") == ["127.0.0.2"]
    removal = place.asked("2a00:0:0:7::1", client="2a00:0:0:7::9999")
    assert (removal.state, text(removal.subject), text(removal.network)) == (GRANTED, "2a00:0:0:7::/64", "2a00::/48")
    place.app.settle()
    assert place.dns("2a00:0:0:7::1") == place.dns("2a00:0:0:7::ffff") == []


def test_of_what_is_not_listed_nothing_is_kept(place: Place) -> None:
    for subject in (HERE, "a.com", "+4930123456", "10.0.0.1", "127.0.0.2"):
        opened = place.ask(subject, client=HERE)
        assert (opened.verdict.state, opened.removal, opened.link) == (REFUSED, None, None)
        assert [reason.word for reason in opened.verdict.reasons] == ["not-listed"]
    assert place.store.removals() == []
    assert place.store.rows("SELECT * FROM removal_event") == []


def test_asked_again_before_dns_follows_it_is_exempt_already(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    place.asked(HERE, client=HERE)
    opened = place.ask(HERE, client=HERE)
    assert [reason.word for reason in opened.verdict.reasons] == ["exempt"]
    assert opened.removal is None


def test_many_who_ask_at_once_are_granted_once(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    found = at_once(*[lambda: place.ask(HERE, client=HERE)] * 6)
    assert sorted(opened.verdict.state for opened in found) == [GRANTED] + [REFUSED] * 5
    assert [removal.state for removal in place.store.removals()] == [GRANTED]


def test_a_zone_that_is_none_is_said(place: Place) -> None:
    with pytest.raises(IntakeError, match="no zone nowhere; there are"):
        place.ask(HERE, zones=("nowhere",))


def test_what_is_asked_for_one_zone_stays_listed_in_the_others(place: Place) -> None:
    place.report(HERE, category="dynamic", ago=2 * HOUR)
    assert place.dns(HERE, "ip") == place.dns(HERE, "policy") == ["127.0.0.10"]
    removal = place.asked(HERE, zones=("policy",), owner=True)
    assert (removal.state, removal.zones) == (GRANTED, ("policy",))
    place.app.settle()
    assert (place.dns(HERE, "ip"), place.dns(HERE, "policy")) == (["127.0.0.10"], [])


def test_a_white_list_takes_no_removals(place: Place) -> None:
    place.report(HERE, category="trusted-sender", ago=2 * HOUR)
    assert place.dns(HERE, "white") == ["127.0.10.3"]
    assert place.ask(HERE, client=HERE).removal is None


# proof


def test_a_record_in_dns_is_shown_and_once_seen_it_is_granted(place: Place) -> None:
    place.report("bad.example", ago=2 * HOUR)
    removal = place.asked("bad.example", client=HERE)
    assert removal.state == ASKED
    ((names, value, until),) = place.removals.records(removal)
    assert names == ["_dnsbl-challenge.bad.example"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
    assert until == START + 7 * DAY
    done = place.removals.seen_in_dns(removal, place.now)
    assert (done.state, done.proof) == (GRANTED, "dns")
    place.app.settle()
    assert place.dns("bad.example", "domain") == []
    assert place.removals.records(removal) == []


def test_each_request_has_a_record_of_its_own(place: Place) -> None:
    place.report("bad.example", ago=2 * HOUR)
    values = {place.removals.records(place.asked("bad.example"))[0][1] for _ in range(3)}
    assert len(values) == 3


def test_a_mailed_token_is_good_once(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    assert place.removals.confirm(token, place.now)
    assert place.again(removal).state == GRANTED
    before = place.states(removal)
    assert not place.removals.confirm(token, place.now)
    assert place.states(removal) == before


def test_a_token_that_is_not_ours_moves_nothing(place: Place) -> None:
    place.report(HERE, "bad.example", ago=2 * HOUR)
    removal, other = place.asked(HERE, client="7.7.7.7"), place.asked("bad.example")
    token = place.mailed(removal)
    dns = place.removals.records(removal)[0][1]
    link = place.ask(HERE, client="7.7.7.7").link or ""
    for wrong in ("", token[:-1], token.lower(), token + "A", "A" * 43, dns, link, "ä\ud800\0", "x" * 10_000):
        assert not place.removals.confirm(wrong, place.now)
        assert place.removals.find(wrong) is None or wrong == link
    assert place.again(removal).state == place.again(other).state == ASKED
    assert place.removals.find(token) is None


def test_a_token_is_good_for_its_own_request_only(place: Place) -> None:
    place.report(HERE, NEIGHBOUR, ago=2 * HOUR)
    mine, other = place.asked(HERE, client="7.7.7.7"), place.asked(NEIGHBOUR, client="7.7.7.7")
    assert place.removals.confirm(place.mailed(mine), place.now)
    assert (place.again(mine).state, place.again(other).state) == (GRANTED, ASKED)


def test_a_token_is_too_old_after_a_day(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    assert not place.removals.confirm(token, place.now + DAY)
    assert place.again(removal).state == ASKED
    assert place.removals.confirm(token, place.now + DAY - 1)


def test_a_token_is_no_good_once_the_request_is_closed(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    assert place.removals.withdraw(removal, place.now)
    assert not place.removals.confirm(token, place.now)
    assert place.again(removal).state == REFUSED


def test_one_token_used_by_many_at_once_counts_once(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    found = at_once(*[lambda: place.removals.confirm(token, place.now)] * 8)
    assert sorted(found) == [False] * 7 + [True]
    assert place.states(removal).count(GRANTED) == 1


def test_only_so_many_mails_are_sent_for_a_request(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    boxes = [f"abuse@h{n}.example" for n in range(MAX_MAILS + 2)]
    sent = [place.removals.mail_challenge(removal, "mailbox", box, LANGUAGE, place.now) for box in boxes]
    assert sent == [True] * MAX_MAILS + [False] * 2
    assert {mail.recipient for mail in place.store.mail_due(place.now, 99)} == set(boxes[:MAX_MAILS])


def test_too_weak_a_proof_asks_for_more(place: Place) -> None:
    """What is stolen from its owner is asked for by who answers for the network, and then decided by a person."""
    place.report(HERE, category="hijacked", ago=2 * HOUR)
    removal = place.asked(HERE, client=HERE)
    assert (removal.state, removal.proof) == (ASKED, "address")
    assert place.removals.ways(removal, place.now) == ["range"]
    place.removals.seen_in_dns(removal, place.now)
    assert (place.again(removal).state, place.again(removal).proof) == (ASKED, "dns")
    assert place.removals.records(place.again(removal)) == [], "the record has done what it could"
    assert place.removals.confirm(place.mailed(place.again(removal), "range", "abuse@isp.example"), place.now)
    assert (place.again(removal).state, place.again(removal).proof) == (PERSON, "range")
    assert place.words(removal) == ["category"]


def test_who_could_prove_no_more_is_given_to_a_person(place: Place) -> None:
    """The address itself, and nobody to ask for the stronger proof: not a request that nothing can move."""
    place.report(HERE, category="hijacked", ago=2 * HOUR)
    place.removals.mail = False
    removal = place.asked(HERE, client=HERE)
    assert removal.state == PERSON
    assert set(place.words(removal)) == {"category", "unprovable"}


# what is no address


def test_the_address_of_a_hash_is_told_by_who_asks(place: Place) -> None:
    subject = email_hash("joe@example.com")
    place.report(subject, category="spam", ago=2 * HOUR)
    assert place.dns(subject, "hash") == ["127.0.3.2"]
    removal = place.asked(subject, given="joe@example.com")
    assert (removal.state, place.removals.ways(removal, place.now)) == (ASKED, ["mailbox"])
    assert place.removals.records(removal) == []
    assert place.removals.confirm(place.mailed(removal, mailbox="joe@example.com"), place.now)
    place.app.settle()
    assert place.dns(subject, "hash") == []


def test_the_host_of_a_url_proves_it_by_a_record(place: Place) -> None:
    url = "https://www.shop.example/buy"
    subject = url_hash(url)
    place.report(subject, ago=2 * HOUR)
    removal = place.asked(subject, given=url)
    ((names, _, _),) = place.removals.records(removal)
    assert names == ["_dnsbl-challenge.www.shop.example", "_dnsbl-challenge.shop.example"]
    assert place.removals.seen_in_dns(removal, place.now).state == GRANTED


def test_another_url_than_the_one_that_is_listed_proves_nothing(place: Place) -> None:
    subject = url_hash("https://www.shop.example/buy")
    place.report(subject, ago=2 * HOUR)
    removal = place.asked(subject, given="https://evil.example/buy")
    assert place.removals.records(removal) == []
    assert place.removals.seen_in_dns(removal, place.now).state == ASKED


def test_a_telephone_number_is_for_a_person(place: Place) -> None:
    place.report("+4930123456", category="sms-spam", ago=2 * HOUR)
    removal = place.asked("+4930123456", client=HERE)
    assert (removal.state, place.words(removal)) == (PERSON, ["unprovable"])
    granted = place.removals.decide(removal.id, True, "alice", "it was a mistake", place.now)
    assert (granted.state, granted.decider, granted.answer) == (GRANTED, "alice", "it was a mistake")
    place.app.settle()
    assert place.dns("+4930123456", "phone") == []


def test_below_a_listed_domain_a_person_decides(place: Place) -> None:
    place.report("bad.example", ago=2 * HOUR)
    removal = place.asked("www.bad.example")
    assert removal.state == ASKED
    place.removals.seen_in_dns(removal, place.now)
    assert (place.again(removal).state, place.words(removal)) == (PERSON, ["wider"])
    place.removals.decide(removal.id, True, "alice", "", place.now)
    place.app.settle()
    assert place.dns("www.bad.example", "domain") == []
    assert place.dns("bad.example", "domain") == ["127.0.1.2"]


def test_a_single_address_is_let_out_of_a_declared_range_for_months(place: Place) -> None:
    place.listed("5.5.5.0/24", category="dynamic")
    removal = place.asked(HERE, client=HERE)
    assert removal.state == ASKED, "the address alone is not enough there"
    assert place.removals.confirm(place.mailed(removal), place.now)
    place.app.settle()
    until = place.now + 180 * DAY
    assert (place.again(removal).state, place.again(removal).until) == (DONE, until)
    for zone in ("ip", "policy"):
        assert place.dns(HERE, zone) == []
        for other in ("5.5.5.0", "5.5.5.4", NEIGHBOUR, "5.5.5.255"):
            assert place.dns(other, zone) == ["127.0.0.10"]
    place.now = until - 1
    place.app.settle()
    assert place.dns(HERE) == []
    place.later(1)
    assert place.dns(HERE) == ["127.0.0.10"]


def test_let_out_of_one_zone_it_can_still_be_asked_for_the_other(place: Place) -> None:
    """An exemption of months within a listed range must not answer for what another zone lists."""
    place.listed("5.5.5.0/24", category="dynamic")
    place.removals.confirm(place.mailed(place.asked(HERE, zones=("policy",))), place.now)
    place.later(2 * DAY)
    assert (place.dns(HERE, "policy"), place.dns(HERE, "ip")) == ([], ["127.0.0.10"])
    assert place.asked(HERE).state == ASKED


def test_reports_of_an_address_in_a_declared_range_are_reports(place: Place) -> None:
    """Too few to list it, and still something that goes on."""
    place.listed("5.5.5.0/24", category="dynamic")
    doubtful = place.store.source("doubtful", "partner", trust=0.3).id
    place.store.take_reports(doubtful, [Report(parse(HERE), "spam", place.now - 60)])
    place.app.settle()
    removal = place.asked(HERE, owner=True)
    assert (removal.state, place.words(removal)) == (REFUSED, ["still-arriving"])


# the rules at work


def test_nothing_is_granted_while_reports_arrive(place: Place) -> None:
    place.report(HERE, ago=60)
    removal = place.asked(HERE, client=HERE)
    assert removal.state == REFUSED
    assert removal.why[0]["values"]["until"] == START - 60 + HOUR
    place.later(HOUR - 61)
    assert place.asked(HERE, client=HERE).state == REFUSED
    place.later(1)
    assert place.asked(HERE, client=HERE).state == GRANTED


def test_a_report_between_request_and_proof_refuses_it(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    place.report(HERE)
    assert place.removals.confirm(token, place.now), "the token was good"
    assert (place.again(removal).state, place.words(removal)) == (REFUSED, ["still-arriving"])


@pytest.mark.parametrize(("days", "state"), [(40, ASKED), (50, GRANTED)])
def test_what_was_claimed_long_ago_asks_for_no_more_proof(place: Place, days: int, state: str) -> None:
    """After three half-lives of 14 days DNS does not say phishing any more: only the spam is to be answered for."""
    place.report(HERE, category="phishing", ago=days * DAY)
    place.report(HERE, ago=2 * HOUR)
    assert place.dns(HERE) == (["127.0.0.2", "127.0.0.4"] if state == ASKED else ["127.0.0.2"])
    assert place.asked(HERE, client=HERE).state == state


def test_what_a_list_carries_is_no_report(place: Place) -> None:
    place.listed(HERE)
    assert place.asked(HERE, client=HERE).state == GRANTED


def test_listed_again_the_pause_is_twice_as_long(place: Place) -> None:
    wait = DAY
    for _ in range(3):
        place.report(HERE)
        place.now += HOUR
        assert place.asked(HERE, client=HERE).state == GRANTED
        place.app.settle()
        granted = place.now
        place.later(5)
        place.report(HERE)
        place.later(HOUR)
        refused = place.asked(HERE, client=HERE)
        assert (refused.state, place.words(refused)) == (REFUSED, ["cool-down"])
        assert refused.why[0]["values"]["until"] == granted + wait
        place.now = granted + wait - HOUR
        wait *= 2


@pytest.mark.parametrize(
    ("limit", "subjects", "clients", "word"),
    [
        ("per_requester", ["5.5.5.5", "5.6.5.5"], ["7.7.7.7", "7.7.7.8"], "requester-limit"),
        ("per_network", ["5.5.5.5", "5.5.5.6"], ["7.7.7.7", "8.8.8.8"], "network-limit"),
        ("per_asn", ["5.5.5.5", "5.6.5.5"], ["7.7.7.7", "8.8.8.8"], "asn-limit"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_of_the_last_of_the_day_there_is_one(
    place: Place, limit: str, subjects: list[str], clients: list[str], word: str, together: bool
) -> None:
    place.rules(**{limit: 1})
    place.removals.asn = lambda subject: 64_500
    place.report(*subjects, ago=2 * HOUR)
    works = [
        lambda subject=subject, client=client: place.asked(subject, client, owner=True)
        for subject, client in zip(subjects, clients, strict=True)
    ]
    found = at_once(*works) if together else [work() for work in works]
    assert sorted(removal.state for removal in found) == [GRANTED, REFUSED]
    (refused,) = [removal for removal in found if removal.state == REFUSED]
    assert place.words(refused) == [word]
    place.later(DAY)
    assert place.asked(refused.subject, "9.9.9.9", owner=True).state == GRANTED


def test_one_network_has_only_so_many_open_requests(place: Place) -> None:
    subjects = [f"5.{n}.5.5" for n in range(MAX_OPEN + 5)]
    place.report(*subjects, ago=2 * HOUR)
    found = [place.asked(subject, f"7.7.7.{n}") for n, subject in enumerate(subjects)]
    assert [removal.state for removal in found] == [ASKED] * MAX_OPEN + [REFUSED] * 5
    assert place.words(found[-1]) == ["open-limit"]
    assert place.asked(subjects[-1], "7.7.8.1").state == ASKED


def test_new_reports_after_a_grant_list_it_again_at_once(place: Place) -> None:
    place.listed(HERE)
    place.asked(HERE, client=HERE)
    place.later(60)
    place.listed(HERE)
    assert place.dns(HERE) == [], "the list goes on to carry what is forgiven"
    place.report(HERE, category="botnet")
    assert place.dns(HERE) == ["127.0.0.2", "127.0.0.4"]
    place.later(HOUR)
    assert place.words(place.asked(HERE, client=HERE)) == ["cool-down"]


def test_a_removal_is_over_after_a_week_and_what_a_list_carries_counts_again(place: Place) -> None:
    place.listed(HERE)
    removal = place.asked(HERE, client=HERE)
    place.later(7 * DAY - 1)
    assert place.dns(HERE) == []
    place.later(1)
    assert place.again(removal).until == place.now
    assert place.dns(HERE) == ["127.0.0.2"]


# the desk


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(place: Place) -> None:
    for turn in range(10):
        subject = f"5.5.{turn}.5"
        place.report(subject, ago=2 * HOUR)
        removal = place.waiting(subject, client=f"7.7.{turn}.7")
        yes, no = at_once(
            lambda number=removal.id: place.removals.decide(number, True, "alice", "", place.now),
            lambda number=removal.id: place.removals.decide(number, False, "bob", "no", place.now),
        )
        final = place.again(removal)
        told = [each for each in (yes, no) if isinstance(each, IntakeError)]
        assert len(told) == 1
        assert f"removal {removal.id} " in str(told[0])
        assert (final.decider, final.state) == (("bob", REFUSED) if yes in told else ("alice", GRANTED))
        assert len(place.states(removal)) == 4
        exempt = [e for e in place.store.exemptions() if e.subject == removal.subject]
        assert bool(exempt) == (final.state == GRANTED)


def test_only_what_waits_for_a_person_is_decided_by_one(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    with pytest.raises(IntakeError, match="no removal 99; `dnsbl removal list`"):
        place.removals.decide(99, True, "alice", "", place.now)
    removal = place.asked(HERE, client="7.7.7.7")
    with pytest.raises(IntakeError, match="is proof-asked: there is nothing to decide"):
        place.removals.decide(removal.id, True, "alice", "", place.now)
    assert place.again(removal).state == ASKED


def test_a_person_can_grant_what_was_not_proven_and_it_is_in_the_audit_trail(place: Place) -> None:
    place.report(HERE)
    removal = place.waiting()
    done = place.removals.decide(removal.id, True, "alice", "we know them", place.now)
    assert done.state == GRANTED
    place.app.settle()
    assert place.dns(HERE) == []
    said = place.store.rows("SELECT who, what FROM audit WHERE who = 'alice'")
    assert said == [("alice", "removal granted")]


def test_an_operators_removal_is_in_the_history_and_counts_for_no_limit(place: Place) -> None:
    place.report(HERE)
    names, until = place.app.delist(HERE, "", "our own mistake")
    assert set(names) == {"ip", "policy"}
    assert until == place.now + 7 * DAY
    assert place.dns(HERE) == []
    (removal,) = place.store.removals(subject=parse(HERE))
    assert (removal.state, removal.way) == (DONE, "operator")
    assert {event.who for event in place.store.removal_events(removal.id)} == {"operator", "rules"}
    place.later(60)
    place.report(HERE)
    assert place.dns(HERE) == [], "it is firm: new reports do not end it"
    place.later(8 * DAY)
    place.report(HERE)
    place.later(HOUR)
    assert place.asked(HERE, client=HERE).state == GRANTED


@pytest.mark.parametrize("firm", [False, True])
def test_a_reviewer_says_whether_new_reports_end_it(place: Place, firm: bool) -> None:
    place.report(HERE)
    place.removals.decide(place.waiting().id, True, "alice", "", place.now, firm)
    place.later(60)
    place.report(HERE)
    assert place.dns(HERE) == ([] if firm else ["127.0.0.2"])


# the requester's other moves


def test_an_appeal_is_made_once(place: Place) -> None:
    place.report(HERE)
    removal = place.asked(HERE, client=HERE)
    assert removal.state == REFUSED
    assert sorted(at_once(*[lambda: place.removals.appeal(removal, "really", place.now)] * 4)) == [False] * 3 + [True]
    waits = place.again(removal)
    assert (waits.state, waits.appealed, waits.said, waits.expires) == (PERSON, True, "really", None)
    place.removals.decide(removal.id, False, "alice", "no", place.now)
    assert not place.removals.appeal(place.again(removal), "but", place.now)
    assert not place.removals.appeal(removal, "but", place.now), "nor by who still has the old page"
    assert place.again(removal).state == REFUSED


def test_strangers_cannot_fill_the_desk_with_one_subject(place: Place) -> None:
    place.report(HERE)
    found = [place.asked(HERE, f"7.{n}.7.7") for n in range(MAX_WAITING + 2)]
    appealed = [place.removals.appeal(removal, "x", place.now) for removal in found]
    assert appealed == [True] * MAX_WAITING + [False] * 2
    mine = place.asked(HERE, client=HERE)
    assert place.removals.appeal(mine, "it is mine", place.now)


def test_nor_one_network_with_many(place: Place) -> None:
    """Refused for too many open requests, each could be appealed: and there is no end of listed subjects."""
    subjects = [f"5.{n}.5.5" for n in range(MAX_OPEN + 5)]
    place.report(*subjects)
    found = [place.asked(subject, f"7.7.7.{n}") for n, subject in enumerate(subjects)]
    appealed = [place.removals.appeal(removal, "x", place.now) for removal in found]
    assert appealed == [True] * MAX_OPEN + [False] * 5
    assert place.removals.appeal(place.asked(subjects[-1], "7.7.8.1"), "x", place.now)


def test_what_people_write_is_cut(place: Place) -> None:
    place.report(HERE)
    removal = place.asked(HERE, client=HERE, said="x" * 100_000)
    place.removals.appeal(removal, "y" * 100_000, place.now)
    assert len(place.again(removal).said) == 2 * requests.MAX_SAID + 2
    done = place.removals.decide(removal.id, False, "alice", "z" * 100_000, place.now)
    assert len(done.answer) == requests.MAX_SAID


def test_what_is_no_text_is_no_failure(place: Place) -> None:
    place.report(HERE)
    removal = place.asked(HERE, client=HERE, said="a\ud800b\0<script>")
    assert place.removals.appeal(removal, "\udfff", place.now)
    done = place.removals.decide(removal.id, False, "alice", "\ud800", place.now)
    assert (done.said, done.answer) == ("a?b\0<script>\n\n?", "?")


def test_withdrawn_is_closed_for_good(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    for removal in (place.asked(HERE, client="7.7.7.7"), place.waiting()):
        assert place.removals.withdraw(removal, place.now)
        assert (place.again(removal).state, place.words(removal)) == (REFUSED, ["withdrawn"])
        assert not place.removals.withdraw(place.again(removal), place.now)
        assert not place.removals.appeal(place.again(removal), "oh", place.now)


def test_what_is_decided_cannot_be_withdrawn(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client=HERE)
    assert not place.removals.withdraw(removal, place.now)
    assert place.again(removal).state == GRANTED


# time


def test_without_proof_it_is_refused_after_a_week_and_closed_two_weeks_later(place: Place) -> None:
    place.listed(HERE)
    removal = place.asked(HERE, client="7.7.7.7")
    place.later(7 * DAY - 1)
    assert place.again(removal).state == ASKED
    place.later(1)
    assert (place.again(removal).state, place.words(removal)) == (REFUSED, ["no-proof"])
    place.later(14 * DAY - 1)
    assert place.again(removal).state == REFUSED
    place.later(1)
    assert (place.again(removal).state, place.words(removal)) == (DONE, ["closed"])
    place.later(400 * DAY)
    place.app.forget()
    assert place.store.removal(removal.id) is not None
    place.later(1)
    place.app.forget()
    assert place.store.removal(removal.id) is None


def test_what_waits_for_a_person_waits(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.waiting()
    place.later(365 * DAY)
    assert place.again(removal).state == PERSON
    assert place.removals.decide(removal.id, True, "alice", "", place.now).state == GRANTED


def test_a_mail_is_not_sent_for_what_was_decided_meanwhile(place: Place) -> None:
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    place.removals.withdraw(removal, place.now)
    assert not place.removals.mail_challenge(removal, "mailbox", MAILBOX, LANGUAGE, place.now)
    assert place.store.mail_due(place.now, 9) == []


def test_no_longer_listed_at_the_proof_there_is_nothing_to_remove(place: Place) -> None:
    place.listed(HERE)
    removal = place.asked(HERE, client="7.7.7.7")
    place.later(5 * DAY)
    token = place.mailed(removal)
    place.store.purge(place.list, "a broken list", place.now)
    place.app.settle()
    assert place.removals.confirm(token, place.now)
    assert (place.again(removal).state, place.words(removal)) == (REFUSED, ["not-listed"])


# secrets


def test_no_token_or_link_is_in_the_files(place: Place) -> None:
    place.report(HERE, "bad.example", ago=2 * HOUR)
    opened = place.ask(HERE, client="7.7.7.7")
    assert opened.removal is not None
    secrets = [
        opened.link or "",
        place.mailed(opened.removal),
        place.removals.records(opened.removal)[0][1],
        place.removals.records(place.asked("bad.example"))[0][1],
    ]
    assert len(set(secrets)) == 4
    place.removals.confirm(secrets[1], place.now)
    place.app.settle()
    files = [path for path in place.app.data_dir.rglob("*") if path.is_file()]
    assert any(path.name.startswith("store.sqlite") for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert MAILBOX.encode() in content, "the search finds what is there"
    for secret in secrets:
        assert len(secret) == 43
        assert secret.encode() not in content


def test_a_token_outlives_a_restart(place: Place, settings: config.Settings) -> None:
    """It is derived from the key of the installation, which is all that both have."""
    place.report(HERE, ago=2 * HOUR)
    removal = place.asked(HERE, client="7.7.7.7")
    token = place.mailed(removal)
    with App(settings) as restarted:
        (_, mailed) = restarted.store.challenges_of(removal.id)
        assert restarted.removals.token_of(mailed) == token
        assert restarted.removals.confirm(token, place.now)
    assert place.again(removal).state == GRANTED
    assert not place.removals.confirm(token, place.now)


# `kill -9`

GRANT = """
import ipaddress, os, signal, sys, time
from pathlib import Path
from dnsbl import config
from dnsbl.app import App
from dnsbl.model import Report
from dnsbl.removal.requests import Asking
from dnsbl.subjects import parse

data, subject, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
found = config.load(Path(sys.argv[4]))
found = found.model_copy(update={"config": found.config.model_copy(update={"data_dir": data})})

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with App(found) as app:
    now = int(time.time())
    app.store.take_reports(app.store.source("p", "partner", trust=0.9).id, [Report(parse(subject), "spam", now - 7200)])
    app.settle()
    assert app.dns_codes("ip", parse(subject)) == ["127.0.0.2"]
    if moment == "within":
        app.store.add_exemption = die  # the request has moved, and nothing is committed
    opened = app.removals.open(Asking(parse(subject), "", client=ipaddress.ip_address(subject)), now)
    print(opened.removal.id, opened.removal.state, flush=True)
    if moment == "grant":
        die()
    publisher = app.publishers["ip"]
    setattr(publisher.maker if moment == "swap" else publisher, moment, die)
    app.settle()
"""


@pytest.mark.parametrize("moment", ["within", "grant", "publish", "swap"])
def test_killed_between_grant_and_publish(tmp_path: Path, settings: config.Settings, moment: str) -> None:
    """Who was told "granted" is off after the next start; who was not told is not on the list of removals."""
    said = Path(__file__).parent.parent / "samples" / "empty.toml"
    data = settings.config.data_dir
    child = subprocess.run(
        [sys.executable, "-c", GRANT, str(data), HERE, moment, str(said)],
        capture_output=True,
        timeout=SECONDS,
        text=True,
    )
    assert child.returncode == -9, child.stderr
    with App(settings) as app:
        assert app.store.check() == []
        if moment == "within":
            assert child.stdout == ""
            assert app.store.removals() == []
            assert not [e for e in app.store.exemptions() if e.origin == "removal"]
            return
        number = int(child.stdout.split()[0])
        assert child.stdout.split()[1] == GRANTED
        app.settle()
        assert app.dns_codes("ip", parse(HERE)) == []
        removal = app.store.removal(number)
        assert removal is not None
        assert (removal.state, removal.proof) == (DONE, "address")


def test_zones_are_those_of_now(place: Place) -> None:
    """A zone that was taken away between the request and its decision is passed over."""
    place.report(HERE, category="dynamic", ago=2 * HOUR)
    removal = place.waiting()
    assert removal.zones == ("ip", "policy")
    zones: dict[str, ZoneDef] = {name: zone for name, zone in place.app.zones.items() if name != "policy"}
    place.app.replace(place.app.settings.model_copy(update={"zones": zones}))
    place.removals.decide(removal.id, True, "alice", "", place.now)
    place.app.settle()
    assert place.dns(HERE) == []
    assert place.again(removal).state == DONE
