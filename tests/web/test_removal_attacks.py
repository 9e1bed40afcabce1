"""Attacks on removals over HTTP, each on a real application and store: whoever should not get off does not.

Elsewhere: one token used twice, by many at once, after a day or for another request (removal/test_requests.py); sums
and tickets used again, forms of other sites (test_web_admission.py); sessions planted, stolen or kept after a change of
role (test_web_signing.py); names and mailboxes of hostile DNS and registries (removal/test_resolving.py, test_rdap.py);
what many may not have in a day (removal/test_rules.py). Forms and markup are in test_removal_forms.py, floods and
races in test_removal_floods.py, faults in test_removal_troubles.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from multidict import CIMultiDict
from removal_attacks import confirm, mailed_token, rules_over
from removal_site import (
    ELSEWHERE,
    HOST,
    LISTED,
    NAME,
    NEIGHBOUR,
    answers,
    as_it_is,
    ask,
    import_list,
    listed_site,
    report_now,
    step,
    visitor,
    work,
)
from website import Site, serving

from dnsbl import clock
from dnsbl.store.contract import KeyLimits
from dnsbl.subjects import parse
from dnsbl.web.admission.rates import LIMITS, Limit, Rates


def often(site: Site) -> None:
    """Guesses are not limited by their number here."""
    site.state.admission.rates = Rates(limits={kind: Limit(100_000, 60) for kind in LIMITS})


# tokens


def bent(token: str) -> list[str]:
    """A token as somebody might guess, cut, mangle or decorate it."""
    return [
        token[:-1], token[1:], token + "=", token + "A", " " + token, token + "\n", token + "\0", token.swapcase(),
        token.lower(), "".join(chr(ord(c) + 0xFEE0) for c in token), token[0] + "\u200b" + token[1:], token + "A" * 150,
        "/" + token, token.replace("-", "+").replace("_", "/") + "==", "x", "\u0130", "%00", "' OR 1=1 --",
    ]  # fmt: skip


async def test_no_token_but_the_right_one_is_good_and_all_answers_are_alike(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        often(site)
        rules_over(site, names=("mail.listed-example.com",))
        found, other = await ask(site, HOST, ELSEWHERE), await ask(site, NAME, ELSEWHERE)
        token = await mailed_token(site, found)
        wrong = [*bent(token), found["id"], other["id"], other["records"][0]["value"], found["records"][0]["value"]]
        told = [await confirm(site, guess) for guess in wrong]
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert (await as_it_is(site, other))["state"] == "proof-asked"
        assert answers(site, HOST) == LISTED
        told.append(await confirm(site, token))
        assert answers(site, HOST) == []
        told.append(await confirm(site, token))
        assert all(each == told[0] for each in told)
        assert told[0][0] == 204


async def test_every_guess_takes_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess of any shape and length is looked for once, by its digest: how long that takes tells nothing of it."""
    async with listed_site(tmp_path) as site:
        often(site)
        asked: list[bytes] = []
        find = site.app.store.challenge_by_digest
        monkeypatch.setattr(site.app.store, "challenge_by_digest", lambda digest: asked.append(digest) or find(digest))
        guesses = ["x", "A" * 43, "A" * 200, "\u00e9" * 43]
        for guess in guesses:
            await confirm(site, guess)
        assert [len(digest) for digest in asked] == [32] * len(guesses)


async def test_a_private_link_is_good_as_it_is_and_for_its_own_request(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        often(site)
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        token = await mailed_token(site, found)
        said = set()
        for guess in (*bent(found["id"])[:10], token, found["records"][0]["value"]):
            async with site.client.get("/v1/removals/" + guess.encode().hex("%").replace("%", "%25")) as response:
                said.add((response.status, await response.text()))
        assert len(said) == 1
        assert {status for status, _ in said} == {404}


async def test_a_token_is_no_good_once_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        token = await mailed_token(site, found)
        later = clock.now() + clock.DAY
        monkeypatch.setattr(clock, "now", lambda: later)
        await confirm(site, token)
        assert (await as_it_is(site, found))["state"] == "proof-asked"
        assert answers(site, HOST) == LISTED


async def test_a_token_of_a_withdrawn_request_brings_nothing_back(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        token = await mailed_token(site, found)
        await step(site, found, "withdraw")
        await confirm(site, token)
        assert (await as_it_is(site, found))["state"] == "refused"
        assert answers(site, HOST) == LISTED


# who somebody says they are

FORGED = (
    {"X-Forwarded-For": HOST},
    {"X-Forwarded-For": f"{HOST}, {HOST}"},
    {"X-Real-IP": HOST, "Forwarded": f"for={HOST}", "CF-Connecting-IP": HOST, "True-Client-IP": HOST, "Via": HOST},
)
CHAINS = (  # what a visitor of ELSEWHERE sends, and what our proxy, or two, add at its end
    f"{HOST}, {ELSEWHERE}", f"{HOST},{HOST},{ELSEWHERE}", f"{HOST}, {ELSEWHERE}, 127.0.0.9", f"{HOST}, unknown",
    f"{HOST}, ", f'{HOST}, "{HOST}", {ELSEWHERE}:80', "127.0.0.1, 127.0.0.2", f"{HOST}, ::ffff:{ELSEWHERE}",
    f"{HOST}, " + "127.0.0.1, " * 40 + "127.0.0.1", f"{HOST}%0a, 45.9.1.07", f"{HOST}/32",
)  # fmt: skip


async def test_without_a_proxy_nobody_is_believed_where_they_come_from(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        import_list(site, "spam", (HOST,))
        for forged in FORGED:
            assert await state_of_asking(site, HOST, forged) == "proof-asked", forged
        assert answers(site, HOST) == LISTED


async def test_of_a_chain_only_what_our_proxy_saw_counts(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        often(site)
        for chain in CHAINS:
            assert await state_of_asking(site, HOST, {"X-Forwarded-For": chain}) == "proof-asked", chain
        two = CIMultiDict([("X-Forwarded-For", HOST), ("X-Forwarded-For", ELSEWHERE), ("X-Forwarded-Host", HOST)])
        assert await state_of_asking(site, HOST, two) == "proof-asked", "a second header is the end of the chain"
        assert answers(site, HOST) == LISTED


async def state_of_asking(site: Site, subject: str, headers: Mapping[str, str]) -> str:
    wanted = {"subject": subject, "altcha": work(site)}
    async with site.client.post("/v1/removals", json=wanted, headers=headers) as response:
        return (await response.json())["state"]


# neighbours

SIX, WIDE = "2a02:26f7:1:2::/64", "2a02:26f7:5::/48"
NEIGHBOURS = (  # what is listed, how it is asked for, and from where
    (HOST, HOST, "45.9.1.8"),
    (HOST, f"::ffff:{HOST}", "45.9.1.8"),
    (HOST, HOST, "::ffff:45.9.1.8"),
    (HOST, HOST, "2002:2d09:107::1"),
    (HOST, HOST, f"64:ff9b::{HOST}"),
    (HOST, HOST, f"::{HOST}"),
    (HOST, HOST, f"2001:0:{'0:' * 4}d2f6:fef8"),
    ("45.10.1.0/24", "45.10.1.0/24", "45.10.1.7"),
    ("45.10.1.0/24", "45.10.1.0/255.255.255.0", "45.10.1.7"),
    ("45.10.1.0/24", "::ffff:45.10.1.0/120", "45.10.1.7"),
    ("45.10.1.0/24", "45.10.1.7", "45.10.1.7"),
    (SIX, SIX, "2a02:26f7:1:3::1"),
    (SIX, "2a02:26f7:1:2::1", "2a02:26f7:1:3:0:0:0:1"),
    (WIDE, WIDE, "2a02:26f7:5:2::1"),
    (WIDE, "2a02:26f7:5:2::1", "2a02:26f7:5:2::1"),
)


async def test_a_neighbour_takes_nobody_off(tmp_path: Path) -> None:
    """Nor does the owner of one address a network that is listed as one, or itself out of it."""
    everything = {listed for listed, _, _ in NEIGHBOURS}
    async with listed_site(tmp_path, *everything) as site:
        often(site)
        for listed, asked, visitor_at in NEIGHBOURS:
            found = await ask(site, asked, visitor_at)
            assert found["status"] == 201, (asked, found)
            assert found["state"] in ("proof-asked", "to-person"), (asked, visitor_at)
            assert answers(site, listed) == LISTED


async def test_one_and_the_same_address_however_it_is_written(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        assert (await ask(site, f"::ffff:{HOST}", f"[::ffff:{HOST}]:443"))["state"] == "granted"
        assert answers(site, HOST) == []
        assert answers(site, NEIGHBOUR) == LISTED


RECORDS = (  # what is listed, how it is asked for, and below which name whoever asks can put any record
    ("listed-example.com", "listed-example.com", "evil.listed-example.com"),
    ("listed-example.com", "evil.listed-example.com", "evil.listed-example.com"),
    ("victim.github.io", "victim.github.io", "mallory.github.io"),
    ("victim.github.io", "victim.github.io", "_dnsbl-challenge.github.io"),
    ("victim.co.uk", "victim.co.uk", "co.uk.evil.com"),
    ("victim.com", "victim.com", "com.evil"),
    ("xn--bcher-kva.com", "B\u00dcCHER.com.", "bucher.com"),
    ("victim.com", "v\u0131ctim.com", "xn--vctim-q4a.com"),
)


async def test_a_record_below_other_names_proves_nothing(tmp_path: Path) -> None:
    """Whoever rules over a part does not rule over what is above it, nor who shares a public suffix over others."""
    everything = {listed for listed, _, _ in RECORDS}
    async with listed_site(tmp_path, *everything) as site:
        often(site)
        for listed, asked, own in RECORDS:
            rules_over(site, own)
            found = await ask(site, asked, ELSEWHERE)
            if found["status"] == 201:
                assert (await step(site, found, "look"))["state"] in ("proof-asked", "to-person"), (asked, own)
            assert answers(site, listed, "domain")


async def test_the_same_name_is_one_however_it_is_written(tmp_path: Path) -> None:
    async with listed_site(tmp_path, "xn--bcher-kva.com") as site:
        rules_over(site, "_dnsbl-challenge.xn--bcher-kva.com")
        for written in ("B\u00dcCHER.com.", "b\uff55\u0308cher\u3002com"):
            found = await ask(site, written, ELSEWHERE)
            assert (found["subject"], found["state"]) == ("xn--bcher-kva.com", "proof-asked")
        assert (await step(site, found, "look"))["state"] == "granted"
        assert answers(site, "xn--bcher-kva.com", "domain") == []


# partners


def owner_key(site: Site, owned: str, name: str = "owner", **limits: object) -> dict[str, str]:
    """The key of a partner that owns something."""
    given = site.bearer("report", name=name, limits=KeyLimits(**limits))  # type: ignore[arg-type]
    key = next(key for key in site.app.store.all_keys() if key.name == name)
    site.app.store.add_owned(key.source, parse(owned), clock.now())
    return given


async def asked_with(site: Site, key: dict[str, str], subject: str, address: str = ELSEWHERE) -> tuple[int, dict]:
    async with site.client.post("/v1/removals", json={"subject": subject}, headers=key | visitor(address)) as response:
        return response.status, await response.json(content_type=None)


async def test_a_stolen_key_is_of_no_use_elsewhere(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        key = owner_key(site, "45.9.0.0/16", origins=("198.41.0.0/24",))
        for forged in ({}, {"X-Forwarded-For": f"{ELSEWHERE}, 5.5.5.5"}):
            status, _ = await asked_with(site, key | forged, HOST, "5.5.5.5")
            assert status == 403
        assert answers(site, HOST) == LISTED
        assert (await asked_with(site, key, HOST))[1]["state"] == "granted"


PARTS = (  # what a partner owns, and what it is a part of
    ("45.9.1.8", HOST),
    ("45.10.1.0/25", "45.10.1.0/24"),
    ("2a02:26f7:1:2::1", SIX),
    ("2a02:26f7:1:2::/96", SIX),
    ("evil.listed-example.com", "listed-example.com"),
)


async def test_who_owns_a_part_does_not_own_the_whole(tmp_path: Path) -> None:
    """Nor what is listed for it: of an IPv6 address its /64 is."""
    everything = {listed for _, listed in PARTS}
    async with listed_site(tmp_path, *everything) as site:
        for number, (owned, listed) in enumerate(PARTS):
            key = owner_key(site, owned, f"owner{number}")
            for asked in (listed, owned):
                status, found = await asked_with(site, key, asked)
                assert status == 409 or found["state"] in ("proof-asked", "to-person"), asked
            assert answers(site, listed, "domain" if "example" in listed else "ip")


async def test_a_partner_that_owns_too_much_has_a_days_removals_like_any(tmp_path: Path) -> None:
    """A mistake of the operator's, or a thief of a key: what it takes off of a network in a day is bounded, reports
    undo it, and what is not listed as a whole it cannot take off as a whole."""
    hosts = [f"45.9.1.{n}" for n in range(1, 23)]
    async with listed_site(tmp_path, *hosts) as site:
        key = owner_key(site, "45.0.0.0/8")
        states = [(await asked_with(site, key, host))[1]["state"] for host in hosts]
        assert states == ["granted"] * 20 + ["refused"] * 2
        await asyncio.to_thread(report_now, site, hosts[0], clock.now() + 1)
        assert answers(site, hosts[0]) == LISTED
        for wide in ("45.0.0.0/8", "45.9.1.0/24"):
            assert (await asked_with(site, key, wide))[0] == 409


async def test_a_key_that_owns_nothing_has_the_limits_of_its_network(tmp_path: Path) -> None:
    hosts = [f"45.9.1.{n}" for n in range(1, 13)]
    async with listed_site(tmp_path, *hosts) as site:
        key = site.bearer("read")
        states = [(await asked_with(site, key, host, host))[1]["state"] for host in hosts]
        assert states == ["granted"] * 10 + ["refused"] * 2


async def test_a_key_without_end_asks_no_more_often_than_others(tmp_path: Path) -> None:
    """A key saves the sum, not the limit."""
    async with listed_site(tmp_path) as site:
        key = owner_key(site, "46.0.0.0/8")
        statuses = [(await asked_with(site, key, HOST))[0] for _ in range(130)]
        assert (statuses.count(201), statuses[-1]) == (120, 429)
        assert len(site.app.store.removals(limit=1000)) == 120


# the trail


async def test_the_trail_shows_all_that_was_tried_and_done(tmp_path: Path) -> None:
    async with listed_site(tmp_path) as site:
        rules_over(site, names=("mail.listed-example.com",))
        found = await ask(site, HOST, ELSEWHERE)
        await confirm(site, await mailed_token(site, found))
        other = await ask(site, NEIGHBOUR, ELSEWHERE)
        await step(site, other, "appeal", reason="please")
        [row] = site.app.removal_desk.rows(["to-person"])
        site.app.removal_desk.decide(row["id"], False, "no", "alice")
        answers(site, HOST)
        rows = site.app.store.audit_rows()
        seen = [(row["who"], row["what"], row["subject"]) for row in sorted(rows, key=lambda row: row["id"])]
        assert [each for each in seen if each[1].startswith("removal ")] == [
            ("rules", "removal proof-asked", HOST),
            ("requester", "removal proven", HOST),
            ("rules", "removal granted", HOST),
            ("rules", "removal proof-asked", NEIGHBOUR),
            ("requester", "removal to-person", NEIGHBOUR),
            ("alice", "removal refused", NEIGHBOUR),
            ("rules", "removal done", HOST),
        ]
        assert site.app.store.check() == []
