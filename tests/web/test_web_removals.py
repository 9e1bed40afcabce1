"""The way off the list over HTTP: the API, the pages without script, and what neither lets anybody do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from removal_site import (
    ELSEWHERE,
    HOST,
    NAME,
    NEIGHBOUR,
    answers,
    as_it_is,
    ask,
    browser,
    hidden,
    listed_site,
    report_now,
    step,
    visitor,
    work,
)
from website import Site, serving

from dnsbl import clock
from dnsbl.hashing import email_hash
from dnsbl.removal.proofs import challenge_names
from dnsbl.subjects import parse, text


class Resolver:
    """DNS as the test says it is."""

    off = False

    def __init__(self, names: list[str] | None = None, texts: dict[str, str] | None = None) -> None:
        self.names, self.texts = names or [], texts or {}

    async def reverse_names(self, _: object) -> list[str]:
        return self.names

    async def has_txt(self, name: str, value: str) -> bool:
        return self.texts.get(name) == value


def with_mail(site: Site, **resolver: object) -> Resolver:
    """A relay is configured, and DNS answers."""
    site.app.removals.mail = True
    found = Resolver(**resolver)  # type: ignore[arg-type]
    site.app.proving.resolving = found  # type: ignore[assignment]
    return found


def mailed(site: Site) -> list[tuple[str, str]]:
    """(recipient, token) of what waits to be sent."""
    store, removals = site.app.store, site.app.removals
    due = store.mail_due(clock.now(), 100)
    return [(mail.recipient, removals.token_of(store.challenge(mail.challenge))) for mail in due]


async def test_asked_for_from_the_address_itself(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        assert answers(site, HOST) == ["127.0.0.2"]
        found = await ask(site, HOST, HOST)
        assert (found["status"], found["state"], found["proof"]) == (201, "granted", "address")
        assert site.backend.woken
        assert answers(site, HOST) == []
        assert answers(site, NEIGHBOUR) == ["127.0.0.2"]
        assert (await as_it_is(site, found))["state"] == "done"


async def test_a_stranger_gets_nothing_without_proof(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = await ask(site, HOST, ELSEWHERE)
        assert found["state"] == "proof-asked"
        assert found["proofs"] == ["address", "dns", "range"][: len(found["proofs"])]
        assert answers(site, HOST) == ["127.0.0.2"]


async def test_a_record_in_dns(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = await ask(site, NAME, ELSEWHERE)
        [record] = found["records"]
        assert record["names"] == ["_dnsbl-challenge.bad.listed-example.com", "_dnsbl-challenge.listed-example.com"]
        resolver = with_mail(site, texts={record["names"][1]: "something else"})
        assert (await step(site, found, "look"))["state"] == "proof-asked"
        resolver.texts[record["names"][1]] = record["value"]
        assert (await step(site, found, "look"))["state"] == "granted"
        assert answers(site, NAME, "domain") == []


async def test_a_link_by_mail(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        with_mail(site, names=["mail.listed-example.com"])
        found = await ask(site, HOST, ELSEWHERE)
        assert "mailbox" in found["proofs"]
        boxes = await step(site, found, "mailboxes", proof="mailbox")
        assert boxes["mailboxes"] == ["postmaster@mail.listed-example.com", "abuse@mail.listed-example.com"]
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        [(recipient, token)] = mailed(site)
        assert recipient == "abuse@mail.listed-example.com"
        assert site.backend.mailed == 1
        for attempt in ("wrong", token, token):  # a wrong one, the right one, and once more: all look the same
            async with site.client.post("/v1/confirmations", json={"token": attempt}) as response:
                assert (response.status, await response.read()) == (204, b"")
        assert (await as_it_is(site, found))["proof"] == "mailbox"
        assert answers(site, HOST) == []


async def test_no_mail_to_whom_the_requester_names(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        with_mail(site, names=["mail.listed-example.com"])
        found = await ask(site, HOST, ELSEWHERE)
        for wanted in (
            "me@evil.example.com",
            "postmaster@evil.example.com",
            "POSTMASTER@mail.listed-example.com.evil.com",
        ):
            await step(site, found, "mail", proof="mailbox", mailbox=wanted)
        assert mailed(site) == []


async def test_the_hash_of_a_mail_address_tells_nobody_whose_it_is(tmp_path: Path) -> None:
    async with listed_site(tmp_path, text(email_hash("someone@listed-example.com"))) as site:
        with_mail(site)
        found = await ask(site, text(email_hash("someone@listed-example.com")), ELSEWHERE)
        assert found["proofs"] == ["mailbox"]
        wrong = await step(site, found, "mail", proof="mailbox", mailbox="other@listed-example.com")
        right = await step(site, found, "mail", proof="mailbox", mailbox="someone@listed-example.com")
        assert wrong == right
        assert [recipient for recipient, _ in mailed(site)] == ["someone@listed-example.com"]


async def test_refused_while_it_is_still_reported(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        await asyncio.to_thread(report_now, site, HOST)
        found = await ask(site, HOST, HOST)
        assert found["state"] == "refused"
        assert found["reasons"][0]["reason"] == "still-arriving"
        assert found["not_before"] > found["asked_at"]
        assert answers(site, HOST) == ["127.0.0.2"]


async def test_refused_in_the_pause_after_a_removal(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        assert (await ask(site, HOST, HOST))["state"] == "granted"
        await asyncio.to_thread(report_now, site, HOST, clock.now() + 1)  # listed again: the removal has ended
        assert answers(site, HOST) == ["127.0.0.2"]
        found = await ask(site, HOST, HOST)
        assert [each["reason"] for each in found["reasons"]] == ["still-arriving", "cool-down"]


async def test_the_desk_says_what_the_requester_is_told_about_the_end(tmp_path: Path) -> None:
    """Also where new reports have ended it before its time."""
    async with listed_site(tmp_path) as site:
        found = await ask(site, HOST, HOST)
        [row] = site.app.removal_desk.rows(["granted", "done"])
        assert row["exempt_until"] == found["exempt_until"]
        await asyncio.to_thread(report_now, site, HOST, clock.now() + 1)
        ended = (await as_it_is(site, found))["exempt_until"]
        assert ended < found["exempt_until"]
        assert site.app.removal_desk.show(row["id"])["exempt_until"] == ended
        assert [each["exempt_until"] for each in site.app.desk.search(HOST)["removals"]] == [ended]


async def test_what_a_person_decides(tmp_path: Path) -> None:
    async with listed_site(tmp_path, HOST, category="hijacked") as site:
        site.app.store.add_owned(owner(site), parse("45.9.0.0/16"), clock.now())
        secret = site.bearer("report", name="owner-2")
        key = site.app.store.all_keys()[-1]
        site.app.store.add_owned(key.source, parse("45.9.0.0/16"), clock.now())
        async with site.client.post("/v1/removals", json={"subject": HOST}, headers=secret) as response:
            found = await response.json()
        assert (found["proof"], found["state"]) == ("range", "to-person")
        [row] = site.app.removal_desk.rows()
        site.app.removal_desk.decide(row["id"], True, "Welcome back", "alice")
        shown = await as_it_is(site, found)
        assert (shown["state"], shown["answer"]) == ("granted", "Welcome back")
        assert "alice" not in str(shown)
        assert answers(site, HOST) == []


def owner(site: Site) -> int:
    return site.app.store.source("owner", "partner", trust=0.5).id


async def test_nothing_listed_keeps_nothing(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = await ask(site, "45.9.77.1", ELSEWHERE)
        assert found["status"] == 409
        assert found["reasons"][0]["reason"] == "not-listed"
        assert site.app.store.removals() == []


async def test_a_refused_one_can_be_given_to_a_person_once(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        found = await ask(site, HOST, ELSEWHERE)
        assert (await step(site, found, "appeal", reason="we sold it"))["state"] == "to-person"
        assert (await step(site, found, "withdraw"))["state"] == "refused"
        assert (await step(site, found, "appeal", reason="again"))["status"] == 409


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("", None), ("/look", {}), ("/appeal", {"reason": ""}), ("/mail", {"proof": "mailbox", "mailbox": "a@b.cc"})],
)
async def test_a_guessed_link_is_not_there(tmp_path: Path, path: str, wanted: dict | None) -> None:
    async with serving(tmp_path) as site:
        method = site.client.get if wanted is None else site.client.post
        said = set()
        for guess in ("x", "a" * 43, "%00", "a" * 5000):
            async with method(f"/v1/removals/{guess}{path}", json=wanted) as response:
                said.add((response.status, (await response.json(content_type=None))["detail"]))
        assert len(said) == 1
        assert {status for status, _ in said} == {404}


async def test_without_work_nothing_is_taken(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        payload = work(site)
        for sent in ("", "x", payload[:-8]):
            async with site.client.post(
                "/v1/removals", json={"subject": HOST, "altcha": sent}, headers=visitor(HOST)
            ) as response:
                assert response.status == 403
        assert (await ask(site, HOST, HOST))["status"] == 201
        async with site.client.post(
            "/v1/removals", json={"subject": NEIGHBOUR, "altcha": ""}, headers=visitor(NEIGHBOUR)
        ) as response:
            assert response.status == 403
        assert len(site.app.store.removals()) == 1


async def test_pages_without_script(tmp_path: Path) -> None:
    """The form waits instead of working; then the private page shows each step."""
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        waited = patience(site)
        async with client.get(f"/delist?q={HOST}") as response:
            page = await response.text()
        form = {"q": HOST, "said": "A <b>bot</b> was cleaned", "csrf": hidden(page, "csrf"), "altcha": ""}
        async with client.post("/delist", data=form) as response:
            waiting = await response.text()
        form |= {"csrf": hidden(waiting, "csrf"), "ticket": hidden(waiting, "ticket")}
        async with client.post("/delist", data=form) as response:
            assert "too early" in await response.text()
        assert site.app.store.removals() == []
        waited.append(60)
        async with client.post("/delist", data=form, allow_redirects=False) as response:
            assert response.status == 303
            private = response.headers["Location"]
        async with client.get(private) as response:
            text = await response.text()
        assert "Granted" in text
        assert "<b>bot</b>" not in text
        assert answers(site, HOST) == []


def patience(site: Site) -> list[float]:
    """Seconds put in here have passed for those who wait."""
    waited: list[float] = []
    tickets = site.state.admission.tickets
    before = tickets.now
    tickets.now = lambda: before() + sum(waited)
    return waited


async def test_a_form_of_another_site_is_refused(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site, browser(site, HOST) as client:
        async with client.get(f"/delist?q={HOST}") as response:
            form = {"q": HOST, "csrf": hidden(await response.text(), "csrf"), "altcha": work(site)}
        for evil in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with client.post("/delist", data=form, headers=evil, allow_redirects=False) as response:
                assert response.status == 403
        async with (
            browser(site, HOST) as without_cookie,
            without_cookie.post("/delist", data=form, allow_redirects=False) as response,
        ):
            assert response.status == 403
        assert site.app.store.removals() == []


async def test_get_confirms_nothing(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site, browser(site, ELSEWHERE) as client:
        with_mail(site, names=["mail.listed-example.com"])
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        [(_, token)] = mailed(site)
        async with client.get("/confirm/wrong") as response:
            wrong = await response.text()
        async with client.get(f"/confirm/{token}") as response:
            good = await response.text()
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert good.replace(token, "wrong") == wrong
        said = []
        for sent in ("wrong", token):
            async with client.post("/confirm", data={"token": sent, "csrf": hidden(good, "csrf")}) as response:
                said.append((response.status, await response.text()))
        assert said[0] == said[1]
        assert (await as_it_is(site, found))["state"] == "granted"


async def test_names_with_markup_stay_text(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        with_mail(site, names=['x"><script>alert(1)</script>.example.com'])
        found = await ask(site, HOST, ELSEWHERE, reason="<script>alert(2)</script>{{ 7*7 }}")
        assert (await step(site, found, "mailboxes", proof="mailbox"))["mailboxes"] == []
        async with site.client.get(f"/removals/{found['id']}", headers=visitor(ELSEWHERE)) as response:
            assert "<script>alert" not in await response.text()


async def test_ten_thousand_requests_of_one_network_take_nothing_of_others(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        rates = site.state.admission.rates
        from ipaddress import ip_address

        for _ in range(10_000):
            rates.take("removal", ip_address("198.41.7.7"))
        assert rates.take("removal", ip_address("198.41.7.9"))
        assert not rates.take("removal", ip_address(HOST))


def test_challenge_names_of_networks() -> None:
    assert challenge_names(parse("45.9.1.0/24")) == ["_dnsbl-challenge.1.9.45.in-addr.arpa"]
    assert challenge_names(parse("45.8.0.0/15")) == []
    assert challenge_names(parse("2a02:1::/32")) == ["_dnsbl-challenge.1.0.0.0.2.0.a.2.ip6.arpa"]


async def test_what_waits_is_in_the_metrics(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        with_mail(site, names=["mail.listed-example.com"])
        found = await ask(site, HOST, ELSEWHERE)
        await step(site, found, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        other = await ask(site, NAME, ELSEWHERE)
        await step(site, other, "appeal", reason="please")
        async with site.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        assert 'dnsbl_removals{state="proof-asked"} 1.0' in lines
        assert 'dnsbl_removals{state="to-person"} 1.0' in lines
        assert "dnsbl_mail_waiting 1.0" in lines
        assert any(line.startswith("dnsbl_removal_wait_seconds ") for line in lines)


async def test_a_mistake_in_the_form_keeps_what_was_written(tmp_path: Path) -> None:
    async with serving(tmp_path) as site, browser(site, HOST) as client:
        async with client.get("/delist") as response:
            form = {"csrf": hidden(await response.text(), "csrf"), "altcha": work(site)}
        form |= {"q": "not..a..name", "said": "We closed <the> relay."}
        async with client.post("/delist", data=form) as response:
            page = await response.text()
        assert response.status == 400
        assert "We closed &lt;the&gt; relay." in page
        assert 'aria-invalid="true"' in page


async def test_mirrors_get_it_with_the_next_export(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        key = site.bearer("read")

        async def exported() -> str:
            async with site.client.get("/v1/zones/ip/export?format=rbldnsd", headers=key) as response:
                return await response.text()

        assert HOST in await exported()
        assert (await ask(site, HOST, HOST))["state"] == "granted"
        site.app.settle()
        after = await exported()
        assert HOST not in after
        assert NEIGHBOUR in after


async def test_the_private_page_says_what_became_of_a_mail_but_not_of_a_guessed_one(tmp_path: Path) -> None:
    someone = "someone@listed-example.com"
    hashed = text(email_hash(someone))
    async with listed_site(tmp_path, HOST, hashed) as site, browser(site, ELSEWHERE) as client:
        with_mail(site, names=["mail.listed-example.com"])
        by_name, by_hash = await ask(site, HOST, ELSEWHERE), await ask(site, hashed, ELSEWHERE)
        await step(site, by_name, "mail", proof="mailbox", mailbox="abuse@mail.listed-example.com")
        await step(site, by_hash, "mail", proof="mailbox", mailbox=someone)
        assert [mail["state"] for mail in (await as_it_is(site, by_name))["mails"]] == ["waiting"]
        assert (await as_it_is(site, by_hash))["mails"] == []
        for mail in site.app.store.mail_due(clock.now(), 10):
            site.app.store.mail_done(mail.id, "failed", "550 no such user")
        async with client.get(f"/removals/{by_name['id']}") as response:
            page = await response.text()
        assert "could not be delivered" in page
        assert "550" not in page
