"""The decision tree, whatever the case: who gets off the list, who never does, and what everybody is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnsbl.config import PROOFS, ZoneDef
from dnsbl.config.zone import Removal
from dnsbl.model import CATEGORIES
from dnsbl.removal.machine import ASKED, GRANTED, PERSON, REFUSED
from dnsbl.removal.reasons import REASONS, from_json, to_json
from dnsbl.removal.rules import DECLARED, MAX_OPEN, Case, Grants, Stand, decide, enough, needed, wide
from dnsbl.subjects import network, parse

HOUR, DAY = 3600, 86_400
NOW = 1_790_000_000
WORDS = ["spam", "spam-trap", "dynamic", "hosting", "phishing", "hijacked", "snowshoe", "brute-force"]
SINGLE = ["5.5.5.5", "2a00::/64", "a.com", "email:" + "a" * 40, "+4930123456"]
NETWORKS = ["5.5.5.0/25", "5.5.5.0/24", "5.5.4.0/23", "5.5.0.0/16", "2a00::/56", "2a00::/48", "2a00::/47"]
BETTER = [REFUSED, ASKED, PERSON, GRANTED]  # each is more than the one before
FEW = "requester-limit", "network-limit", "asn-limit"
WAITING = {*FEW, "still-arriving", "cool-down"}  # refusals that time takes back


def zone(name: str = "ip", **removal: object) -> ZoneDef:
    return ZoneDef.model_validate(
        {
            "name": name,
            "kind": "ip",
            "origin": f"{name}.example",
            "ns": ["ns1.example"],
            "codes": [{"code": "127.0.0.2", "categories": list(CATEGORIES)}],
            "removal": removal,
        }
    )


def stand(*categories: str, reported: int | None = None, **rules: object) -> Stand:
    return Stand(zone(**rules), frozenset(categories), None if reported is None else (reported, "spam"), None)


def case(subject: str, *stands: Stand, proof: str = "address", **known: object) -> Case:
    """One that is granted, where nothing else is said."""
    made = Case(parse(subject), stands, Grants(), proof, True, NOW)
    return replace(made, **known)  # type: ignore[arg-type]


def words(of: Case) -> list[str]:
    return [reason.word for reason in decide(of).reasons]


@st.composite
def policies(draw: st.DrawFn) -> ZoneDef:
    return zone(
        draw(st.sampled_from(["a", "b", "c"])),
        self_serve=draw(st.lists(st.sampled_from(WORDS), unique=True)),
        proofs=draw(st.dictionaries(st.sampled_from(WORDS), st.sampled_from(PROOFS), max_size=3)),
        quiet=draw(st.sampled_from([1, HOUR, DAY])),
        cool_down=draw(st.sampled_from([1, HOUR, DAY])),
        max_cool_down=draw(st.sampled_from([DAY, 30 * DAY])),
        memory=draw(st.sampled_from([30 * DAY, 90 * DAY])),
        per_requester=draw(st.integers(1, 3)),
        per_network=draw(st.integers(1, 3)),
        per_asn=draw(st.integers(1, 3)),
    )


AGES = [0, 1, HOUR - 1, HOUR, HOUR + 1, DAY - 1, DAY, DAY + 1, 2 * DAY, 40 * DAY]
some = st.frozensets(st.sampled_from(WORDS), max_size=3)
stands = st.builds(
    Stand,
    zone=policies(),
    categories=st.frozensets(st.sampled_from(WORDS), min_size=1, max_size=3),
    reported=st.none() | st.tuples(st.sampled_from(AGES).map(lambda age: NOW - age), st.sampled_from(WORDS)),
    wider=st.none() | st.tuples(st.just(parse("5.0.0.0/8")), some),
)


def times(ages: Sequence[int]) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from(ages), max_size=4).map(lambda found: sorted(NOW - age for age in found))


within_a_day = times([age for age in AGES if age < DAY])
grants = st.builds(Grants, times(AGES), within_a_day, within_a_day, within_a_day)
cases = st.builds(
    Case,
    subject=st.sampled_from(SINGLE + NETWORKS).map(parse),
    stands=st.lists(stands, max_size=3),
    grants=st.just(Grants()) | grants,
    proof=st.sampled_from(["", *PROOFS]),
    provable=st.booleans(),
    now=st.just(NOW),
    open=st.sampled_from([0, 0, 0, MAX_OPEN - 1, MAX_OPEN]),
    exempt=st.booleans(),
)
LENIENT = {"self_serve": WORDS, "quiet": 1, "cool_down": 1, "per_requester": 9, "per_network": 9, "per_asn": 9}
likely = st.builds(  # of which many are granted
    Case,
    subject=st.sampled_from(SINGLE + NETWORKS).map(parse),
    stands=st.lists(
        st.builds(
            Stand,
            zone=policies() | st.just(zone(**LENIENT)),
            categories=st.frozensets(st.sampled_from(WORDS), min_size=1, max_size=2),
            reported=st.none() | st.tuples(st.sampled_from([NOW - DAY, NOW - 1]), st.just("spam")),
            wider=st.none() | st.tuples(st.just(parse("5.0.0.0/8")), some),
        ),
        min_size=1,
        max_size=2,
    ),
    grants=st.just(Grants()) | grants,
    proof=st.sampled_from(PROOFS[1:]),
    provable=st.just(True),
    now=st.just(NOW),
)


def pause(rules: Removal, before: int) -> int:
    """The cool-down after so many removals, written out."""
    wait = rules.cool_down
    for _ in range(before - 1):
        wait *= 2
    return min(wait, rules.max_cool_down)


# what must hold of every case


@given(cases | likely)
def test_nobody_is_let_off_who_should_not(found: Case) -> None:
    if decide(found).state != GRANTED:
        return
    assert found.stands
    assert found.provable
    assert network_length(found.subject) >= {4: 24, 6: 48}.get(family(found.subject), 0)
    for each in found.stands:
        rules = each.zone.removal
        for category in each.categories:
            assert category in rules.self_serve
            assert PROOFS.index(found.proof) >= PROOFS.index(rules.weakest(category))
        if each.reported:
            assert found.now - each.reported[0] >= rules.quiet
        if each.wider:
            assert each.wider[1]
            assert each.wider[1] <= {"dynamic", "hosting"}
        before = [at for at in found.grants.subject if at > found.now - rules.memory]
        if before:
            assert found.now - max(before) >= pause(rules, len(before))
        assert len(found.grants.requester) < rules.per_requester
        assert len(found.grants.network) < rules.per_network
        assert len(found.grants.asn) < rules.per_asn


def family(subject: bytes) -> int:
    return {ord("4"): 4, ord("6"): 6}.get(subject[0], 0)


def network_length(subject: bytes) -> int:
    return network(subject)[2] if family(subject) else 0


@given(cases | likely)
def test_a_network_takes_more_than_to_come_from_one_of_its_addresses(found: Case) -> None:
    assume(found.stands)
    if family(found.subject) and network_length(found.subject) < {4: 32, 6: 64}[family(found.subject)]:
        assert PROOFS.index(needed(found)) >= PROOFS.index("dns")


@given(cases | likely)
def test_a_refusal_says_until_when_where_waiting_helps(found: Case) -> None:
    verdict = decide(found)
    assert verdict.reasons
    assert {reason.word for reason in verdict.reasons} <= set(REASONS)
    for reason in verdict.reasons:
        assert (reason.until is not None) == (reason.word in WAITING)
        if reason.until is not None:
            assert verdict.state == REFUSED
            assert reason.until > NOW
        assert str(reason.phrase()) != ""
    assert from_json(to_json(verdict.reasons)) == list(verdict.reasons)


@given(cases | likely)
def test_whoever_waits_as_long_as_it_says_is_not_made_to_wait_again(found: Case) -> None:
    """Every reason that time takes back is gone once the last of their moments has come, and not a second before; only
    a pause may be over sooner, where earlier removals are forgotten meanwhile."""
    untils = {reason.word: reason.until for reason in decide(found).reasons if reason.until is not None}
    assume(untils)
    end = max(untils.values())
    assert not WAITING.intersection(words(later(found, end)))
    if untils.get("cool-down") != end:
        assert WAITING.intersection(words(later(found, end - 1)))


def later(found: Case, now: int) -> Case:
    """The same at another time: grants count for a day, as the store gives them."""
    known = found.grants
    day = [[at for at in each if at > now - DAY] for each in (known.requester, known.network, known.asn)]
    return replace(found, now=now, grants=Grants(known.subject, *day))


@given(cases | likely)
def test_more_proof_never_makes_it_worse(found: Case) -> None:
    verdicts = [decide(replace(found, proof=proof)).state for proof in ["", *PROOFS]]
    places = [BETTER.index(state) for state in verdicts]
    assert places == sorted(places)


@given(cases | likely)
def test_the_strictest_zone_holds_for_the_request(found: Case) -> None:
    """No zone can make it easier for another: a request for all of them goes as the hardest of them at best."""
    assume(found.stands)
    alone = [BETTER.index(decide(replace(found, stands=[each])).state) for each in found.stands]
    assert BETTER.index(decide(found).state) <= min(alone)


@given(cases)
def test_asked_for_proof_is_who_has_not_enough_and_could_have(found: Case) -> None:
    verdict = decide(found)
    if verdict.state == ASKED:
        assert found.provable
        assert not enough(found)
    if not found.provable:
        assert verdict.state in (REFUSED, PERSON)


@given(cases)
def test_nothing_listed_is_nothing_to_remove(found: Case) -> None:
    bare = replace(found, stands=[])
    assert decide(bare).state == REFUSED
    assert words(bare)[0] == ("exempt" if found.exempt else "not-listed")


# one rule after the other


def test_what_is_listed_for_spam_and_quiet_is_granted_to_its_own_address() -> None:
    assert decide(case("5.5.5.5", stand("spam", reported=NOW - HOUR))).state == GRANTED


def test_exempt_in_one_zone_does_not_keep_it_on_in_another() -> None:
    """A single address that is let out of a dynamic range for months, and listed for spam elsewhere meanwhile."""
    assert decide(case("5.5.5.5", stand("spam"), exempt=True)).state == GRANTED


@pytest.mark.parametrize(("ago", "state"), [(0, REFUSED), (HOUR - 1, REFUSED), (HOUR, GRANTED)])
def test_reports_must_have_stopped(ago: int, state: str) -> None:
    assert decide(case("5.5.5.5", stand("spam", reported=NOW - ago))).state == state


def test_the_zone_that_wants_it_quiet_for_longest_says_until_when() -> None:
    both = case("5.5.5.5", stand("spam", reported=NOW - 60), stand("spam", reported=NOW - 600, quiet=DAY))
    (reason,) = decide(both).reasons
    assert reason.until == NOW - 600 + DAY
    assert "24" in str(reason.phrase(length=lambda seconds: f"{seconds // HOUR} h"))


@pytest.mark.parametrize(("before", "hours"), [(1, 24), (2, 48), (3, 96), (4, 192), (5, 384), (6, 720), (40, 720)])
def test_the_pause_doubles_with_each_removal_up_to_a_month(before: int, hours: int) -> None:
    last = NOW - DAY // 2
    grants = Grants(subject=[last - n for n in reversed(range(before))])
    (reason,) = decide(case("5.5.5.5", stand("spam"), grants=grants)).reasons
    assert (reason.word, reason.until, reason.values["times"]) == ("cool-down", last + hours * HOUR, before)


def test_removals_of_long_ago_are_forgotten() -> None:
    old = Grants(subject=[NOW - 91 * DAY, NOW - 90 * DAY, NOW - 2 * DAY])
    assert decide(case("5.5.5.5", stand("spam"), grants=old)).state == GRANTED


@pytest.mark.parametrize("word", FEW)
def test_a_days_limits_end_when_the_first_of_the_last_few_is_a_day_old(word: str) -> None:
    which = word.removesuffix("-limit")
    rules = {f"per_{which}": 2}
    times = [NOW - 5 * HOUR, NOW - 3 * HOUR, NOW - HOUR]
    (reason,) = decide(case("5.5.5.5", stand("spam", **rules), grants=Grants(**{which: times}))).reasons
    assert (reason.word, reason.until) == (word, NOW - 3 * HOUR + DAY)
    assert decide(case("5.5.5.5", stand("spam", **rules), grants=Grants(**{which: times[2:]}))).state == GRANTED


@pytest.mark.parametrize(
    ("category", "proof"),
    [("spam", "address"), ("dynamic", "mailbox"), ("phishing", "dns"), ("snowshoe", "range"), ("hijacked", "range")],
)
def test_each_category_has_its_weakest_proof(category: str, proof: str) -> None:
    assert needed(case("5.5.5.5", stand(category))) == proof
    assert needed(case("5.5.5.5", stand("spam", category))) == proof
    assert needed(case("5.5.5.5", stand("spam"), stand(category))) == proof


def test_a_zone_can_ask_for_another_proof() -> None:
    assert needed(case("5.5.5.5", stand("spam", proofs={"spam": "dns"}))) == "dns"
    assert needed(case("5.5.5.5", stand("hijacked", proofs={"hijacked": "address"}))) == "address"


def test_a_person_decides_what_is_not_for_everybody() -> None:
    assert words(case("5.5.5.5", stand("hijacked", "spam"), proof="range")) == ["category"]
    assert words(case("5.5.5.5", stand("spam"), provable=False, proof="")) == ["unprovable"]
    assert words(case("5.5.4.0/23", stand("spam"), proof="range")) == ["network"]
    assert decide(case("5.5.5.0/24", stand("spam"), proof="dns")).state == GRANTED
    assert decide(case("2a00::/48", stand("spam"), proof="dns")).state == GRANTED


def test_a_wider_listing_lets_single_addresses_out_only_where_it_is_declared() -> None:
    def within(*categories: str) -> Case:
        listed = Stand(zone(), frozenset(categories), None, (parse("5.5.5.0/24"), frozenset(categories)))
        return case("5.5.5.5", listed, proof="mailbox")

    assert decide(within("dynamic")).state == GRANTED
    assert decide(within("dynamic", "hosting")).state == GRANTED
    assert words(within("dynamic", "spam")) == ["wider"]
    assert words(within()) == ["wider"]  # nobody knows what for


def test_too_many_open_requests_of_one_network_are_refused() -> None:
    assert words(case("5.5.5.5", stand("spam"), proof="", open=MAX_OPEN)) == ["open-limit"]
    assert words(case("5.5.5.5", stand("hijacked"), proof="range", open=MAX_OPEN)) == ["open-limit"]


def test_but_not_what_is_granted_at_once() -> None:
    """Neighbours can open requests; they cannot keep others from getting off."""
    assert decide(case("5.5.5.5", stand("spam"), open=MAX_OPEN)).state == GRANTED


@pytest.mark.parametrize("subject", ["5.5.4.0/23", "0.0.0.0/0", "2a00::/47"])
def test_wide_networks_take_two(subject: str) -> None:
    assert wide(parse(subject))


@pytest.mark.parametrize("subject", [*SINGLE, "5.5.5.0/24", "2a00::/48"])
def test_others_do_not(subject: str) -> None:
    assert not wide(parse(subject))


def test_declared_is_what_was_declared_and_nothing_else() -> None:
    assert frozenset(("dynamic", "hosting")) == DECLARED
    assert stand("dynamic").declared
    assert not stand("dynamic", "spam").declared
    assert not stand().declared
