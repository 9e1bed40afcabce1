"""Mail to traps, from a real client to the listing: what is claimed, what is kept, and what never is."""

from __future__ import annotations

import asyncio
import smtplib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from trapping import SPAMMER, judged, mail, trapping, with_traps

from dnsbl import config
from dnsbl.app import App
from dnsbl.errors import StoreError
from dnsbl.hashing import email_hash, url_hash
from dnsbl.intake.traps import Traps

BELIEVED = "mx.trap.example"
LIST = ("List-Unsubscribe: <https://news.example.net/off>", "List-Id: news <news.example.net>")


@pytest.fixture
def app(settings: config.Settings) -> Iterator[App]:
    with App(with_traps(settings, authserv_ids=[BELIEVED])) as opened:
        yield opened


async def send(
    traps: Traps, data: bytes, *to: str, sender: str = "bounce@evil-sender.com"
) -> dict[str, tuple[int, bytes]]:
    """By a real client; what was refused of the recipients."""
    host, port = traps.receiver.addresses["smtp"]

    def client() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP(host, port, timeout=30) as smtp:
            return smtp.sendmail(sender, to or ["someone@trap.example"], data)

    refused = await asyncio.to_thread(client)
    await judged(traps)
    return refused


def listed(app: App, subject: str, zone: str = "ip") -> list[str]:
    """The codes that DNS would answer, once what came in is settled."""
    app.settle()
    found = next(view for view in app.check(subject)["zones"] if view["zone"] == zone)
    assert found["dns"] == found["codes"]
    codes: list[str] = found["codes"]
    return codes


def evidence(app: App, subject: str) -> dict[str, set[str]]:
    """Categories by source."""
    found: dict[str, set[str]] = {}
    for view in app.check(subject)["zones"]:
        for line in view["breakdown"]:
            found.setdefault(line["source"], set()).add(line["category"])
    return found


def categories(app: App, subject: bytes | str) -> set[str]:
    """Of every claim on a subject, also those that no zone lists."""
    from dnsbl.subjects import parse

    names = app.store.categories()
    key = parse(subject) if isinstance(subject, str) else subject
    return {names[row[2]] for row in app.store.evidence([key])}


async def test_one_mail_to_a_pristine_trap_lists_who_handed_it_over(app: App) -> None:
    async with trapping(app) as traps:
        await send(traps, mail())
    assert listed(app, SPAMMER) == ["127.0.0.3"]
    assert evidence(app, SPAMMER) == {"trap-pristine": {"spam-trap"}}


@pytest.mark.parametrize("trap", ["someone@recycled.example", "someone@typo.example"])
async def test_weak_traps_list_nothing_alone_however_many_are_hit(app: App, trap: str) -> None:
    async with trapping(app) as traps:
        for number in range(5):
            await send(traps, mail(), f"{number}{trap}")
    assert listed(app, SPAMMER) == []
    assert categories(app, SPAMMER) == {"spam-trap"}


async def test_weak_traps_of_both_classes_are_one_voice(app: App) -> None:
    async with trapping(app) as traps:
        await send(traps, mail(), "a@recycled.example", "a@typo.example")
    assert listed(app, SPAMMER) == []


async def test_a_received_line_that_the_sender_wrote_accuses_nobody(app: App) -> None:
    forged = mail(peer="8.8.4.4").replace(b"Received: from helo", b"Received: from mx (x [46.151.182.230]) by mx.trap"
        b".example with ESMTP id 1; Sat, 21 Nov 2026 10:00:00 +0000\r\nReceived: from helo")  # fmt: skip
    async with trapping(app) as traps:
        await send(traps, forged)
    assert listed(app, SPAMMER) == ["127.0.0.3"]
    assert categories(app, "8.8.4.4") == set()


async def test_what_mail_leads_to_is_listed_once_several_networks_have_sent_it(app: App) -> None:
    async with trapping(app) as traps:
        for number in range(8):  # one network
            await send(traps, mail(peer=f"46.151.{number}.9"))
        assert listed(app, "spammy-shop.com", "domain") == []
        for network in ("46.152.1.1", "46.153.2.1", "46.154.3.1"):
            await send(traps, mail(peer=network))
    assert listed(app, "spammy-shop.com", "domain") == ["127.0.1.2"]


async def test_a_sender_is_claimed_only_where_it_is_proven(app: App) -> None:
    proof = f"Authentication-Results: {BELIEVED}; dkim=pass header.d=evil-sender.com header.s=s; spf=pass " \
        "smtp.mailfrom=bounce@evil-sender.com"  # fmt: skip
    async with trapping(app) as traps:
        await send(traps, mail())
        await send(
            traps, mail("", proof.replace("evil-sender", "other"), sender="x@forged.com"), sender="y@alsoforged.com"
        )
        assert categories(app, "evil-sender.com") == set()
        assert categories(app, "forged.com") == categories(app, "alsoforged.com") == set()
        await send(traps, mail("", proof))
    assert categories(app, "evil-sender.com") == {"spam"}
    [sample, *_] = app.check("evil-sender.com")["evidence"] or [None]
    assert sample is None or sample["facts"]["authentication"]["aligned"]


async def test_the_verdict_is_kept_with_the_evidence(app: App) -> None:
    results = "dkim=fail header.d=evil-sender.com; spf=softfail smtp.mailfrom=evil-sender.com"
    proof = f"Authentication-Results: {BELIEVED}; {results}"
    async with trapping(app) as traps:
        await send(traps, mail("", proof))
    [sample] = app.check(SPAMMER)["evidence"]
    assert sample["facts"]["authentication"]["spf"] == "softfail"
    assert sample["facts"]["authentication"]["source"] == f"authserv-id {BELIEVED}"


async def test_a_trap_signed_up_to_a_newsletter_lists_no_innocent(app: App) -> None:
    proof = (
        f"Authentication-Results: {BELIEVED}; dkim=pass header.d=news.com header.s=s; spf=pass smtp.mailfrom=news.com"
    )
    async with trapping(app) as traps:
        for number in range(10):
            sent = mail("read http://www.news.com/1", proof, *LIST, sender="letter@news.com", peer=f"46.151.{number}.9")
            await send(traps, sent, f"{number}@trap.example", sender="b@news.com")
    assert listed(app, "46.151.0.9") == []
    assert listed(app, "news.com", "domain") == []
    assert categories(app, "46.151.0.9") == {"newsletter"}
    assert app.check("46.151.0.9")["evidence"][0]["facts"]["kind"] == "list mail"  # the operator sees it


async def test_list_mail_of_which_nothing_is_known_is_taken_for_a_newsletter(app: App) -> None:
    async with trapping(app) as traps:
        await send(traps, mail("x", *LIST))
    assert listed(app, SPAMMER) == []
    assert categories(app, SPAMMER) == {"newsletter"}


async def test_spam_that_calls_itself_list_mail_and_proves_nothing_is_spam(app: App) -> None:
    proof = f"Authentication-Results: {BELIEVED}; dkim=none; spf=fail smtp.mailfrom=evil-sender.com"
    async with trapping(app) as traps:
        await send(traps, mail("x", proof, *LIST))
    assert listed(app, SPAMMER) == ["127.0.0.3"]


async def test_a_trap_typed_into_a_form_lists_nobody(app: App) -> None:
    """A shop's "please confirm" is signed and no list mail. Three distinct traps were not typed in by one prankster."""
    proof = f"Authentication-Results: {BELIEVED}; dkim=pass header.d=shop.com header.s=s"
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=shop.com; s=s; h=from; bh=x; b=y"
    sent = mail("please confirm", proof, signature, sender="noreply@shop.com")
    async with trapping(app) as traps:
        for _ in range(3):
            await send(traps, sent, "one@trap.example", sender="b@shop.com")
        await send(traps, sent, "two@trap.example", sender="b@shop.com")
        assert listed(app, SPAMMER) == []
        assert evidence(app, SPAMMER) == {"trap-pristine-proven": {"spam-trap"}}
        await send(traps, sent, "three@trap.example", sender="b@shop.com")
    assert listed(app, SPAMMER) == ["127.0.0.3"]


async def test_a_signature_that_proves_nothing_is_no_shelter(app: App) -> None:
    proof = f"Authentication-Results: {BELIEVED}; dkim=fail header.d=paypal.com; spf=pass smtp.mailfrom=throwaway.com"
    signature = "DKIM-Signature: v=1; d=paypal.com; s=s; h=from; bh=x; b=y"
    async with trapping(app) as traps:
        sent = mail("x", proof, signature, *LIST, sender="service@paypal.com")
        await send(traps, sent, sender="x@throwaway.com")
    assert listed(app, SPAMMER) == ["127.0.0.3"]
    assert categories(app, "throwaway.com") == set(), "proven, and another's than whom the mail says it is from"


async def test_no_charset_makes_a_mail_that_cannot_be_taken(app: App) -> None:
    """UTF-7 gave half a surrogate pair, which no hash takes: the mail was deferred for ever."""
    sent = mail("see http://evil-shop.com/x+2AA-y", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-7")
    async with trapping(app) as traps:
        assert await send(traps, sent) == {}
    assert listed(app, SPAMMER) == ["127.0.0.3"]


async def test_hashes_of_what_a_protected_owner_has_are_not_claimed(app: App) -> None:
    app.allow("friend-shop.com", "a friend", None)
    text = "http://www.google.com/x http://friend-shop.com/y service@paypal.com http://evil-shop.com/z me@evil-shop.com"
    async with trapping(app) as traps:
        await send(traps, mail(text))
    free = url_hash("http://www.google.com/x"), url_hash("http://friend-shop.com/y"), email_hash("service@paypal.com")
    assert [categories(app, key) for key in free] == [set()] * 3
    theirs = url_hash("http://evil-shop.com/z"), email_hash("me@evil-shop.com")
    assert [categories(app, key) for key in theirs] == [{"spam"}] * 2


async def test_mail_that_leads_everywhere_leads_nowhere(app: App) -> None:
    """Fifty invented domains a mail used up the day's listings, and hid the real ones."""
    text = " ".join(f"http://made-up-{number}.com/" for number in range(120))
    async with trapping(app) as traps:
        await send(traps, mail(text))
    assert categories(app, "made-up-1.com") == set()
    assert listed(app, SPAMMER) == ["127.0.0.3"]


async def test_bounces_and_automatic_replies_are_a_weak_category_of_their_own(app: App) -> None:
    async with trapping(app) as traps:
        await send(traps, mail(), sender="")
        await send(traps, mail("away", "Auto-Submitted: auto-replied", peer="46.151.1.2"))
    assert listed(app, SPAMMER) == listed(app, "46.151.1.2") == []
    assert categories(app, SPAMMER) == categories(app, "46.151.1.2") == {"bounce"}
    assert categories(app, "spammy-shop.com") == set()


async def test_a_complaint_by_mail_is_one_voice_and_lists_nothing_alone(app: App) -> None:
    report = (
        b"From: fbl@provider.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; "
        b"boundary=b\r\n\r\n--b\r\n\r\ncomplaint\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        b"Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\nSource-IP: 46.151.182.230\r\n\r\n--b--\r\n"
    )
    async with trapping(app) as traps:
        await send(traps, report, "fbl@trap.example")
        await send(traps, mail(), "fbl@trap.example")  # not a complaint: taken, and claims nothing
    assert evidence(app, SPAMMER) == {"feedback": {"spam"}}
    assert listed(app, SPAMMER) == []
    assert (traps.counts["complaints"], traps.counts["no mail"]) == (2, 0)


async def test_no_trap_address_is_kept_anywhere_in_clear(app: App) -> None:
    body = "dear hidden-trap-42 see http://x.com/?u=hidden-trap-42@trap.example or aGlkZGVuLXRyYXAtNDJAdHJhcC5leGFtcGxl"
    async with trapping(app) as traps:
        sent = mail(body, "X-To: hidden-trap-42@trap.example", to="hidden-trap-42@trap.example")
        await send(traps, sent, "hidden-trap-42@trap.example", sender="b-hidden-trap-42=trap.example@evil.com")
    app.settle()
    told = str(app.check(SPAMMER))
    assert "hidden-trap" not in told
    assert "trap.example" not in told.replace(BELIEVED, "")
    with sqlite3.connect(app.store.path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "hidden-trap" not in dump
    assert "trap.example" not in dump.replace(BELIEVED, "")
    assert "evil-sender" in dump  # what is the sender's is kept


async def test_a_store_that_cannot_take_it_defers_the_mail_and_nothing_is_lost(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    take: Any = app.store.take_reports

    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    async with trapping(app) as traps:
        monkeypatch.setattr(app.store, "take_reports", full)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await send(traps, mail())
        assert refused.value.smtp_code == 451
        monkeypatch.setattr(app.store, "take_reports", take)
        await send(traps, mail())
    assert listed(app, SPAMMER) == ["127.0.0.3"]


async def test_a_fault_of_ours_defers_one_mail_and_not_its_neighbours(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dnsbl.intake.traps as module

    read: Any = module.facts

    def faulty(data: bytes, *rest: Any) -> Any:
        if b"poison" in data:
            raise ZeroDivisionError
        return read(data, *rest)

    monkeypatch.setattr(module, "facts", faulty)
    async with trapping(app) as traps:
        good = [send(traps, mail(peer=f"46.151.{n}.1")) for n in range(10)]
        outcomes = await asyncio.gather(*good, send(traps, mail("poison")), return_exceptions=True)
    assert outcomes[:-1] == [{}] * 10
    assert isinstance(outcomes[-1], smtplib.SMTPDataError)


async def test_what_is_no_mail_is_refused_for_good(app: App) -> None:
    async with trapping(app) as traps:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await send(traps, b"\x00\x01\x02 no header at all")
    assert refused.value.smtp_code == 554


async def test_never_listed_addresses_and_big_names_are_not_claimed(app: App) -> None:
    async with trapping(app) as traps:
        await send(traps, mail("see https://www.google.com/x and https://bit.ly/y", peer="8.8.8.8"))
        await send(traps, mail("see https://www.google.com/x", peer="10.1.2.3"))
    for subject in ("8.8.8.8", "google.com", "bit.ly"):
        assert categories(app, subject) == set()
    tried = {(row["subject"], row["source"]) for row in app.desk.waiting()["attempts"]}
    assert tried == {("8.8.8.8", "trap-pristine")}, "and the operator sees it"
