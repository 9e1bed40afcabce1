"""The key property of publishing: whatever happened, deltas step by step answer as a whole build does, and both as
the listing table and the exemptions say."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worlds import DAY, DOMAIN, EXAMPLES, IP, World, bucketed, codes4, codes6, name_codes, thresholds, world, zone

from dnsbl.subjects import bounds, parse
from dnsbl.zones import build
from dnsbl.zones.build import test_points as points_of
from dnsbl.zones.served import ServedZone

# A few networks that stand in and beside one another.
FOUR = [
    "5.5.5.0",
    "5.5.5.1",
    "5.5.5.2/31",
    "5.5.5.0/30",
    "5.5.5.4",
    "5.5.5.0/29",
    "5.5.5.8/29",
    "5.5.5.0/28",
    "4.0.0.0/7",
]
FOUR_EDGES = sorted({e for s in FOUR for first, last in [bounds(parse(s))] for e in (first - 1, first, last, last + 1)})
SIX = [
    "2a00:1::/64",
    "2a00:1:0:1::/64",
    "2a00:1:0:2::/63",
    "2a00:1::/62",
    "2a00:1::/61",
    "2a00:1:0:1::5",
    "2a00:1::/32",
]
NARROW = ["2a00:1::5", "2a00:1::/65", "2a00:1:0:0:8000::/65", "2a00:1:0:1::/127", "2a00:1:0:1:ffff:ffff:ffff:ffff"]
SIX_EDGES = sorted(
    {e for s in [*SIX, *NARROW] for first, last in [bounds(parse(s))] for e in (first - 1, first, last, last + 1)}
)
LABELS = ("a", "a-b", "b")
NAMES = [f"{x}.com" for x in LABELS] + [f"{y}.{x}.com" for x in LABELS[:2] for y in LABELS] + ["a.a.a.com", "a.net"]
ASKED = [*NAMES, "com", "net", "x.com", "x.a.com", "b.a.a.com", "b.b.com", "org"]

reports = st.tuples(st.just("report"), st.sampled_from(["spam", "malware", "dynamic"]))
times = st.tuples(st.just("pass"), st.sampled_from([1, DAY // 2, 3 * DAY]))
pauses = st.sampled_from([("settle",), ("publish",), ("publish",), ("whole",)])


def events(subjects: list[str], narrower: list[str], zone: str) -> st.SearchStrategy[list[tuple]]:
    subject, exempted = st.sampled_from(subjects), st.sampled_from([*subjects, *narrower])
    where, until = st.sampled_from(["", zone, "another"]), st.none() | st.sampled_from([1, DAY])
    one = st.one_of(
        st.tuples(st.just("report"), subject, st.sampled_from(["spam", "malware", "dynamic"])),
        st.tuples(st.just("list"), st.sets(subject, max_size=4)),
        st.tuples(st.just("exempt"), exempted, where, until),
        st.tuples(st.just("exempt"), exempted, where, until),
        st.tuples(st.just("unexempt"), exempted),
        st.tuples(st.just("warn"), st.sets(exempted, max_size=3)),
        times,
        pauses,
    )
    return st.lists(one, min_size=1, max_size=12)


def happen(w: World, event: tuple, name: str) -> None:
    match event:
        case ("report", subject, category):
            w.report(subject, category=category)
        case ("list", subjects):
            w.listed(subjects)
        case ("exempt", subject, where, until):
            w.exempt(subject, where, None if until is None else w.now + until)
        case ("unexempt", subject):
            w.store.remove_exemption(parse(subject))
        case ("warn", subjects):
            w.store.replace_exemptions("warnings", {parse(s) for s in subjects}, "shared", w.now)
        case ("pass", seconds):
            w.now += seconds
        case ("settle",):
            w.settle()
        case ("whole",):
            w.publish(name, force=True)
        case ("publish",):
            w.settle()
            w.publish(name)


def assert_addresses(w: World, name: str, served: ServedZone) -> None:
    for address in FOUR_EDGES:
        assert codes4(served, address) == w.address_codes(name, b"4", address), hex(address)
    for address in SIX_EDGES:
        assert codes6(served, address) == w.address_codes(name, b"6", address), hex(address)
    for point in points_of(w.zones[name]):
        assert codes4(served, point) == codes6(served, 0xFFFF << 32 | point) == w.address_codes(name, b"4", point)


def assert_names(w: World, name: str, served: ServedZone) -> None:
    for asked in ASKED:
        assert name_codes(served, asked) == w.name_codes(name, asked), asked
    assert name_codes(served, "test") == {0, 1, 2}
    assert name_codes(served, "malware.test") == {1}


def run(happened: list[tuple], name: str, check, zones=(IP, DOMAIN)) -> None:  # type: ignore[no-untyped-def]
    with world(zones) as w:
        w.publish(name)
        for event in [*happened, ("publish",)]:
            happen(w, event, name)
            w.now += 1
            if event[0] == "publish":
                served = w.served(name)
                check(w, name, served)
        w.settle()
        w.publish(name)
        check(w, name, w.served(name))
        check(w, name, w.fresh(name))


@settings(max_examples=60 * EXAMPLES, deadline=None)
@given(events([*FOUR, *SIX], NARROW, "ip"), thresholds)
@example([("report", "5.5.5.0/28", "spam"), ("exempt", "5.5.5.1", "", DAY), ("publish",), ("pass", 3 * DAY)], 1)
@example(
    [("list", {"2a00:1::/64"}), ("publish",), ("exempt", "2a00:1::/65", "", None), ("exempt", NARROW[2], "", None)], 1
)
@example(
    [
        ("list", {"2a00:1::/62"}),
        ("publish",),
        ("exempt", "2a00:1::5", "", None),
        ("publish",),
        ("unexempt", NARROW[0]),
    ],
    1,
)
def test_deltas_of_addresses_answer_as_a_whole_build(happened: list[tuple], threshold: int) -> None:
    with bucketed(threshold):
        run(happened, "ip", assert_addresses)


@settings(max_examples=60 * EXAMPLES, deadline=None)
@given(events(NAMES, [], "domain"))
@example([("report", "a.com", "spam"), ("report", "a.a.com", "malware"), ("publish",), ("exempt", "a.a.com", "", DAY)])
@example([("list", {"a.a.a.com"}), ("publish",), ("list", set())])
def test_deltas_of_names_answer_as_a_whole_build(happened: list[tuple]) -> None:
    run(happened, "domain", assert_names)


@given(st.lists(st.sets(st.sampled_from([*FOUR, *SIX])), min_size=2, max_size=4))
@settings(max_examples=40 * EXAMPLES, deadline=None)
def test_many_changes_are_looked_up_at_once_with_the_same_result(listings: list[set[str]]) -> None:
    """By one pass over the listings, or each by itself. Something else is listed that no change touches."""
    built = []
    for share in (0, 10**9):
        with mock.patch.object(build, "PASS_SHARE", share), world() as w:
            for listed in listings:
                w.now += 1
                w.listed([*listed, "9.9.9.0/24", "9.9.9.9", "2a00:9::/64", "2a00:9::/48"])
                w.settle()
                w.publish("ip")
            served = w.served("ip")
            built.append((served.answers, delta_of(served)))
    assert built[0] == built[1]


def delta_of(served: ServedZone) -> dict[str, bytes]:
    parts = ("v4one", "v4onea", "v4low", "v4high", "v4a", "v6one", "v6onea", "v6low", "v6high", "v6a")
    return {part: bytes(getattr(served.delta, part)) for part in parts} if served.delta else {}


def test_an_exemption_that_ends_fills_its_hole_again() -> None:
    """The listing around it does not change, so only the journal can tell the publisher."""
    with world() as w:
        w.listed(["5.5.5.0/28"])
        w.exempt("5.5.5.1", until=w.now + DAY)
        w.settle()
        w.publish("ip")
        assert codes4(w.served("ip"), 0x05050501) == set()
        w.now += DAY
        w.settle()
        w.publish("ip")
        assert codes4(w.served("ip"), 0x05050501) == {0}


@pytest.mark.parametrize("listed", ["2a00:1::/64", "2a00:1::/62"])
def test_a_64_that_is_exempt_in_two_halves_is_not_listed(listed: str) -> None:
    with world() as w:
        w.listed([listed])
        w.settle()
        w.publish("ip")
        w.exempt("2a00:1::/65")
        w.exempt("2a00:1:0:0:8000::/65")
        w.settle()
        done = w.publish("ip")
        assert done is not None
        assert not done.whole
        for served in (w.served("ip"), w.fresh("ip")):
            assert codes6(served, 0x2A00_0001 << 96) == set()
            assert codes6(served, (0x2A00_0001 << 96) + 2**64 - 1) == set()
            assert not served.any6(0x2A00_0001 << 96, (0x2A00_0001 << 96) + 2**64 - 1)


def test_a_hole_within_a_64_of_the_base_stays_in_every_delta() -> None:
    """Only the newest file is asked about the insides of /64s, so each delta must bring all of them."""
    with world() as w:
        w.listed(["2a00:1::/62"])
        w.exempt("2a00:1::5")
        w.settle()
        w.publish("ip")
        for subject in ("5.5.5.5", "2a00:2::/64", "5.5.5.6"):
            w.report(subject)
            w.settle()
            done = w.publish("ip")
            assert done is not None
            assert not done.whole
            assert codes6(w.served("ip"), (0x2A00_0001 << 96) + 5) == set()
            assert codes6(w.served("ip"), (0x2A00_0001 << 96) + 4) == {0}


def test_what_a_white_list_has_no_exemption_takes_away() -> None:
    white = zone("white", "ip", policy={"exempt": False})
    with world([white]) as w:
        w.exempt("5.5.5.0/24")
        w.listed(["5.5.5.5", "2a00:1::/64"])
        w.settle()
        w.publish("white")
        assert codes4(w.served("white"), 0x05050505) == {0}
        w.exempt("5.5.5.5")
        w.exempt("2a00:1::5")
        w.settle()
        w.publish("white")
        assert codes4(w.served("white"), 0x05050505) == {0}
        assert codes6(w.served("white"), (0x2A00_0001 << 96) + 5) == {0}


def test_a_wide_listing_is_cut_by_the_ranges_that_are_never_listed() -> None:
    with world() as w:
        w.listed(["192.0.0.0/16", "::/3", "8000::/1"])
        w.settle()
        w.publish("ip")
        served = w.served("ip")
        assert codes4(served, 0xC0000001) == codes4(served, 0xC0000201) == set()
        assert codes4(served, 0xC0000101) == codes4(served, 0xC000FFFF) == {0}
        assert codes6(served, 1) == codes6(served, 0xFFFF << 32 | 0x05050505) == set()
        assert codes6(served, 2) == codes6(served, 0x1000 << 112) == {0}
        assert codes6(served, 0xFF02 << 112 | 1) == codes6(served, 2**128 - 1) == codes6(served, 0xFE80 << 112) == set()
        assert codes6(served, 0x9000 << 112) == codes6(served, (0xFC00 << 112) - 1) == {0}


def test_more_than_256_different_sets_of_codes_are_kept_apart() -> None:
    codes = [{"code": f"127.0.0.{n}", "categories": [c]} for n, c in enumerate(WORDS, start=2)]
    many = zone("many", "ip", codes=codes)
    with world([many]) as w:
        for number, category in enumerate(WORDS):
            w.report(*(f"5.5.{n >> 8}.{n & 255}" for n in range(512) if n >> number & 1), category=category)
        w.settle()
        w.publish("many")
        served = w.served("many")
        for number in range(512):
            expected = {bit for bit in range(9) if number >> bit & 1}
            assert codes4(served, 0x05050000 + number) == expected
        assert len(served.answers) == 512


WORDS = ["spam", "malware", "phishing", "botnet", "scanner", "proxy", "attack", "dynamic", "hosting"]
