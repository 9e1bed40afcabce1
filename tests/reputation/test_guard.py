"""Guards: whatever the order and the batches, what is held is not listed, and nobody lists more than a day's limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dnsbl.clock import DAY
from dnsbl.config import GuardConfig, ZoneDef
from dnsbl.geo import Networks
from dnsbl.reputation.guard import APPROVED, ENDED, HELD, REJECTED, WINDOW, Guard, day_place, units
from dnsbl.reputation.holding import places_held
from dnsbl.reputation.ruling import MAX_WAITING, Led, Ruling, rule
from dnsbl.reputation.score import Claims, Weighing, decide, family_of
from dnsbl.store import Evidence, Hold, Source
from dnsbl.subjects import parse, text

NOW = 1_790_000_000
LIMITS = GuardConfig(daily=12, network=4, asn=0.5, country=0.25, least=3)


def source(number: int, network: str = "", **fields: object) -> Source:
    return Source(number, f"s{number}", "partner", 0.9, f"s{number}", True, 0.9, network=network, **fields)  # type: ignore[arg-type]


SOURCES = {n: source(n) for n in (1, 2)} | {n: source(n, "46.9.9.0/24") for n in (3, 4)}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Two small systems in one country, and a large one."""
    directory = tmp_path_factory.mktemp("geo")
    (directory / "asn-ipv4.csv").write_text(
        "46.1.0.0,46.1.0.15,64500,Small\n46.2.0.0,46.2.0.7,64500,Small\n46.3.0.0,46.255.255.255,64501,Large\n"
    )
    (directory / "asn-ipv6.csv").write_text("2a00::,2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff,64500,Small\n")
    (directory / "country-ipv4.csv").write_text("46.1.0.0,46.1.0.15,AA\n46.2.0.0,46.2.0.7,BB\n46.3.0.0,46.3.0.15,AA\n")
    (directory / "country-ipv6.csv").write_text("2a00::,2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff,AA\n")
    return Networks.load(directory)


class World:
    """A guard with a store's memory: what is listed, counted and held. Settles as a sweep does."""

    def __init__(self, networks: Networks, limits: GuardConfig = LIMITS, now: int = NOW) -> None:
        self.guard, self.now = Guard(limits, networks), now
        self.sources = dict(SOURCES)
        self.leader: dict[bytes, int] = {}
        self.listed: set[bytes] = set()
        self.made = 0  # listings that were new, today
        self.counts: dict[tuple[int, int, str], Counter[str]] = {}
        self.holds: dict[tuple[int, str, str], Hold] = {}
        self.days: dict[tuple[bytes, int], int] = {}  # when a subject was counted last for a source

    def spread(self, source: int, day: int, zone: str) -> Counter[str]:
        return self.counts.get((source, day, zone), Counter())

    def counted(self, zone: str, subjects: Sequence[bytes], since: int) -> list[tuple[bytes, int]]:
        asked = set(subjects)
        return [key for key, day in self.days.items() if key[0] in asked and day >= since]

    def settle(self, subjects: Iterable[bytes]) -> Ruling:
        asked = sorted(set(subjects))
        led = [Led(subject, self.leader[subject], subject not in self.listed) for subject in asked]
        ruling = rule(self.guard, "ip", led, self.sources, list(self.holds.values()), self, self.now)
        self.made += len([each for each in led if each.new and each.subject not in ruling.blocked])
        self.listed = (self.listed | set(asked)) - ruling.blocked
        for source, counts in ruling.counts.items():
            self.counts.setdefault((source, self.now // DAY, "ip"), Counter()).update(counts)
        for source, counted in ruling.counted.items():
            self.days |= {(subject, source): self.now // DAY for subject in counted}
        for hold in ruling.holds:
            self.holds[hold.source, hold.zone, hold.place] = replace(hold, id=len(self.holds) + 1)
        if places := {hold.place for hold in ruling.holds if hold.until is None}:  # what was listed there is touched
            self.settle([s for s in self.listed if not places.isdisjoint(self.guard.places(s))])
        return ruling

    def claim(self, source: int, *subjects: str) -> Ruling:
        keys = [parse(subject) for subject in subjects]
        self.leader |= dict.fromkeys(keys, source)
        return self.settle(keys)

    def decide(self, place: str, state: str, until: int | None = None) -> None:
        for key, hold in self.holds.items():
            if hold.place == place:
                self.holds[key] = replace(hold, state=state, until=until)
        self.settle(self.leader)

    def state(self, place: str) -> str | None:
        return next((hold.state for hold in self.holds.values() if hold.place == place), None)

    def names(self) -> list[str]:
        return [text(subject) for subject in sorted(self.listed)]


@pytest.fixture
def world(networks: Networks) -> World:
    return World(networks)


def hosts(count: int, first: str = "46.1.0.", start: int = 0) -> list[str]:
    return [f"{first}{n}" for n in range(start, start + count)]


# one place after another


def test_up_to_its_limit_a_network_is_listed_and_beyond_it_all_of_it_waits(world: World) -> None:
    world.claim(1, *hosts(4, "77.1.0."))
    assert world.names() == hosts(4, "77.1.0.")
    ruling = world.claim(1, "77.1.9.9")
    assert world.names() == [], "what was listed there leaves"
    (hold,) = ruling.holds
    assert (hold.place, hold.listings, hold.state, hold.until) == ("net:77.1.0.0/16", 5, HELD, None)
    assert hold.share == 5 / 65536
    assert hold.why == "5 addresses in 77.1.0.0/16 within a week"


def test_what_is_held_in_a_network_does_not_count_for_its_system_and_country(world: World) -> None:
    world.claim(1, *hosts(5))
    assert world.state("net:46.1.0.0/16") == HELD
    assert world.state("as:64500") is world.state("cc:AA") is None
    world.claim(1, *hosts(3, "46.2.0."))
    assert world.names() == hosts(3, "46.2.0.")


def test_an_autonomous_system_is_held_by_its_share(networks: Networks) -> None:
    world = World(networks, LIMITS.model_copy(update={"network": 100, "daily": 100, "country": 1.0}))
    world.claim(1, *hosts(8), *hosts(4, "46.2.0."))
    assert len(world.listed) == 12, "half of 24 addresses, in two networks"
    world.claim(1, "46.2.0.7")
    assert (world.state("as:64500"), world.names()) == (HELD, [])
    (hold,) = world.holds.values()
    assert hold.share == 13 / 24
    assert "AS64500 Small" in hold.why


def test_a_country_is_held_by_its_share(networks: Networks) -> None:
    world = World(networks, LIMITS.model_copy(update={"network": 100, "daily": 100, "asn": 1.0}))
    world.claim(1, *hosts(4), *hosts(4, "46.3.0."))
    assert len(world.listed) == 8
    world.claim(1, "46.3.0.9")
    assert (world.state("cc:AA"), world.names()) == (HELD, [])


def test_few_listings_are_never_too_large_a_share(networks: Networks) -> None:
    world = World(networks, LIMITS.model_copy(update={"asn": 0.0, "country": 0.0}))
    world.claim(1, *hosts(3, "46.2.0."))
    assert len(world.listed) == 3
    world.claim(1, "46.2.0.3")
    assert world.names() == []


def test_a_network_wider_than_strangers_may_report_waits_by_itself(world: World) -> None:
    world.claim(1, "77.1.0.0/16", "77.2.0.1", "2a0b::/32")
    assert world.names() == ["77.2.0.1"]
    shares = {hold.place: hold.share for hold in world.holds.values()}
    assert shares == {"wide:77.1.0.0/16": 2**-16, "wide:2a0b::/32": 2**-32}
    world.decide("wide:77.1.0.0/16", APPROVED, NOW + DAY)
    assert world.names() == ["77.1.0.0/16", "77.2.0.1"], "what a person approved, and nothing else"


def test_a_network_counts_by_its_addresses(world: World) -> None:
    world.claim(1, "77.1.0.0/30")
    assert world.names() == ["77.1.0.0/30"]
    world.claim(1, "77.1.0.8")
    assert world.names() == []


def test_ipv6_counts_by_64s_within_a_32(world: World) -> None:
    world.claim(1, *(f"2a0b:1:{n}::/64" for n in range(4)))
    assert len(world.listed) == 4
    world.claim(1, "2a0b:1:ffff::/64")
    assert world.names() == []
    (hold,) = world.holds.values()
    assert (hold.place, hold.share, hold.why) == ("net:2a0b:1::/32", 5 / 2**32, "5 /64s in 2a0b:1::/32 within a week")


def test_one_ipv6_network_does_not_make_a_systems_ipv4_look_small(networks: Networks) -> None:
    """Both counted in one place, whose size was that of the first listing's family: 2^32 /64s beside 24 addresses."""
    world = World(networks, LIMITS.model_copy(update={"network": 100, "daily": 100, "country": 1.0}))
    world.claim(1, "2a00:1::/64", *hosts(13))
    assert world.state("as:64500") == HELD
    assert world.names() == ["2a00:1::/64"]


def test_the_daily_limit_keeps_new_ones_off_until_the_day_is_over(world: World) -> None:
    claimed = [f"77.{n}.0.1" for n in range(20)]
    world.claim(1, *claimed)
    assert len(world.listed) == 12
    hold = world.holds[1, "ip", day_place(NOW)]
    assert (hold.until, hold.listings) == ((NOW // DAY + 1) * DAY, 20)
    world.settle(world.leader)
    assert len(world.listed) == 12, "what is listed stays, nothing comes"
    world.now += DAY
    world.settle(world.leader)
    assert len(world.listed) == 20


def test_a_sources_own_limit_counts_before_the_configured_one(world: World) -> None:
    world.sources[1] = source(1, daily=0)
    world.sources[2] = source(2, daily=15)
    world.claim(1, "77.1.0.1")
    world.claim(2, *(f"78.{n}.0.1" for n in range(20)))
    assert len(world.listed) == 15


def test_domains_have_the_daily_limit_alone(world: World) -> None:
    world.claim(1, *(f"d{n}.example" for n in range(20)))
    assert len(world.listed) == 12
    assert {hold.place for hold in world.holds.values()} == {day_place(NOW)}


# a person decides


def test_approved_lifts_and_rejected_stays(world: World) -> None:
    world.claim(1, *hosts(9, "77.1.0."))
    assert world.names() == []
    world.decide("net:77.1.0.0/16", APPROVED, NOW + DAY)
    assert len(world.listed) == 9
    world.decide("net:77.1.0.0/16", REJECTED)
    world.now += 100 * DAY
    world.settle(world.leader)
    assert world.names() == []


def test_what_was_approved_for_a_time_is_held_again_after_it(world: World) -> None:
    world.claim(1, *hosts(9, "77.1.0."))
    world.decide("net:77.1.0.0/16", APPROVED, NOW + DAY)
    world.now += DAY
    world.settle(world.leader)
    assert len(world.listed) == 9, "nothing new: what was approved stays"
    world.claim(1, *hosts(5, "77.1.1."))
    assert (world.state("net:77.1.0.0/16"), world.names()) == (HELD, [])


def test_a_hold_of_one_says_nothing_of_another(world: World) -> None:
    world.claim(1, *hosts(9, "77.1.0."))
    world.claim(2, "77.1.5.5")
    assert world.names() == ["77.1.5.5"]


def test_another_zones_hold_keeps_nothing_off(world: World) -> None:
    world.holds[1, "other", "net:77.1.0.0/16"] = Hold(9, 1, "other", "net:77.1.0.0/16", NOW, 9, None, "why")
    world.claim(1, "77.1.0.1")
    assert world.names() == ["77.1.0.1"]


# many names


def test_partners_of_one_network_have_the_limits_of_one(world: World) -> None:
    """Each name had a day and networks of its own: a hundred names listed a hundred times as much."""
    world.claim(3, *(f"78.{n}.0.1" for n in range(6)))
    world.claim(4, *hosts(3, "77.1.0."))
    world.claim(3, *hosts(2, "77.1.1."))
    assert world.state("net:77.1.0.0/16") == HELD
    assert len(world.listed) == 6
    world.claim(4, *(f"79.{n}.0.1" for n in range(10)))
    assert world.made == 12, "with the three that were listed and left"


def test_where_one_of_a_family_is_held_or_rejected_all_are(world: World) -> None:
    world.claim(3, *hosts(9, "77.1.0."))
    world.claim(4, "77.1.5.5")
    assert world.names() == []
    world.holds[4, "ip", "net:77.1.0.0/16"] = replace(
        world.holds[3, "ip", "net:77.1.0.0/16"], source=4, state=APPROVED, until=None
    )
    world.claim(4, "77.1.5.6")
    assert world.names() == [], "where two holds differ, the one that blocks counts"


def test_each_of_a_family_that_has_listings_in_a_held_place_has_a_hold_with_its_own_number(world: World) -> None:
    """One hold stood in the name of the largest: the others bore nothing, and were free once it had moved away."""
    world.claim(3, *hosts(3, "77.1.0."))
    world.claim(4, *hosts(2, "77.1.1."))
    place = "net:77.1.0.0/16"
    assert {key[0]: hold.listings for key, hold in world.holds.items() if key[2] == place} == {3: 3, 4: 2}
    assert {hold.why for hold in world.holds.values()} == {"5 addresses in 77.1.0.0/16 within a week"}
    world.sources[3] = source(3, "32.9.9.0/24")
    world.claim(4, "77.1.1.9")
    assert world.names() == []


def test_a_relative_whose_old_listings_lie_in_a_held_place_is_held_too(world: World) -> None:
    world.claim(4, *hosts(3, "77.1.0."))
    world.now += WINDOW * DAY
    world.claim(3, *hosts(5, "77.1.1."))
    assert {key[0]: hold.listings for key, hold in world.holds.items()} == {3: 5, 4: 3}
    assert world.names() == []


def test_a_neighbour_with_many_places_waiting_keeps_no_honest_listings_off(world: World) -> None:
    """Two hundred places of one in the same /24 waited: nothing new of the other was listed."""
    world.claim(3, *(f"78.{n >> 4 & 255}.{(n & 15) << 4}.0/20" for n in range(MAX_WAITING)))
    world.claim(3, *hosts(9, "77.1.0."))
    world.claim(4, "77.1.5.5")
    assert world.names() == ["77.1.5.5"], "what is not believed counts for nobody's place either"
    world.claim(3, "79.0.0.1")
    assert world.names() == ["77.1.5.5"]


# what leaves and comes back


def test_what_leaves_and_comes_back_is_counted_once(world: World) -> None:
    """Trust fell and rose again: 70 addresses were held as 140."""
    for _ in range(3):
        world.claim(1, *hosts(4, "77.1.0."))
        assert world.names() == hosts(4, "77.1.0.")
        world.listed.clear()
        world.now += DAY
    assert world.holds == {}
    world.claim(1, "77.1.0.9")
    assert world.state("net:77.1.0.0/16") == HELD, "never counted back: other addresses are not free"


def test_what_comes_back_costs_nothing_of_the_day(world: World) -> None:
    claimed = [f"77.{n}.0.1" for n in range(12)]
    world.claim(1, *claimed)
    world.listed.clear()
    world.claim(1, *claimed)
    assert (len(world.listed), world.holds) == (12, {})


def test_what_another_family_was_counted_for_is_counted(world: World) -> None:
    world.claim(2, *hosts(4, "77.1.0."))
    world.listed.clear()
    world.claim(1, *hosts(4, "77.1.0."), "77.1.0.9")
    assert world.names() == []


# a week


def test_a_little_every_day_is_much_within_a_week(world: World) -> None:
    """256 addresses a day were 5,120 of a rival's network after twenty days, and nobody was asked."""
    for day in range(WINDOW):
        world.claim(1, f"77.1.{day}.1")
        world.now += DAY
    assert world.names() == []
    assert world.state("net:77.1.0.0/16") == HELD


def test_a_place_is_free_again_after_a_week_and_a_day_limit_after_a_day(world: World) -> None:
    world.claim(1, *hosts(4, "77.1.0."))
    world.now += WINDOW * DAY
    world.claim(1, *hosts(4, "77.1.1."))
    assert (len(world.listed), world.holds) == (8, {})


# traps


@pytest.mark.parametrize(("kinds", "most"), [(("trap", "trap"), 8), (("trap", "complaint"), 4), (("partner",), 4)])
def test_traps_may_list_so_many_times_as_much(networks: Networks, kinds: tuple[str, ...], most: int) -> None:
    """`guard.traps` was read nowhere. A family that is not of traps alone has the limits of others."""
    world = World(networks, LIMITS.model_copy(update={"traps": 2, "daily": 100}))
    world.sources = {n: replace(source(n), kind=kind, family="f") for n, kind in enumerate(kinds, 1)}
    world.claim(1, *hosts(most, "77.1.0."))
    assert len(world.listed) == most
    world.claim(1, "77.1.9.9")
    assert world.names() == []


@pytest.mark.parametrize(("fields", "most"), [({"kind": "trap"}, 24), ({"kind": "trap", "daily": 5}, 5), ({}, 12)])
def test_a_day_of_traps_is_so_many_times_as_large(networks: Networks, fields: dict[str, Any], most: int) -> None:
    world = World(networks, LIMITS.model_copy(update={"traps": 2}))
    world.sources = {1: replace(source(1), **fields)}
    world.claim(1, *(f"77.{n}.0.1" for n in range(40)))
    assert len(world.listed) == most


@pytest.mark.parametrize("place", ["as:64500", "cc:AA"])
def test_shares_of_traps_are_so_many_times_as_large(world: World, place: str) -> None:
    times = world.guard.limits.asn if place.startswith("as") else world.guard.limits.country
    limit = int(times * (world.guard.size(place) or 0))
    assert world.guard.exceeds(place, limit + 1)
    assert not world.guard.exceeds(place, 2 * limit, 2)
    assert world.guard.exceeds(place, 2 * limit + 1, 2)
    assert world.guard.exceeds("wide:77.1.0.0/16", 1, 1000), "a person looks at each, whoever says it"


# bounds


def test_a_flood_of_wide_networks_does_not_bury_the_person(world: World) -> None:
    """All that came in one batch had a hold each: a post of a hundred thousand made as many."""
    ruling = world.claim(1, *(f"77.{n >> 4 & 255}.{(n & 15) << 4}.0/20" for n in range(2000)))
    assert len(ruling.holds) == MAX_WAITING
    assert world.names() == []


def test_who_has_very_many_places_waiting_is_not_believed_meanwhile(world: World) -> None:
    world.claim(1, "90.0.0.1")
    world.claim(1, *(f"77.{n >> 4 & 255}.{(n & 15) << 4}.0/20" for n in range(MAX_WAITING)))
    world.claim(1, "91.0.0.1")
    world.claim(2, "92.0.0.1")
    assert world.names() == ["90.0.0.1", "92.0.0.1"], "what was listed stays; others are others"
    world.decide("wide:77.0.0.0/20", REJECTED)
    assert "91.0.0.1" in world.names(), "once a person has decided one, there is room"


def test_a_batch_of_one_source_is_ruled_in_a_moment(networks: Networks) -> None:
    """25,000 listings in as many networks are one question to each table, not one each."""
    guard, asked = Guard(GuardConfig(), networks), []
    networks_asked = {"asns": networks.asns, "countries": networks.countries}
    for name, ask in networks_asked.items():
        setattr(networks, name, lambda subjects, ask=ask, name=name: (asked.append(name), ask(subjects))[1])
    led = [Led(b"4" + bytes((46, n >> 8, n & 255, 1, 32)), 1, True) for n in range(25_000)]
    try:
        ruling = rule(guard, "ip", led, SOURCES, [], World(networks), NOW)
    finally:
        for name in networks_asked:
            delattr(networks, name)
    assert asked == ["asns", "countries"]
    assert len(led) - len(ruling.blocked) <= GuardConfig().daily


def test_the_sizes_of_systems_are_walked_once(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: Counter[int] = Counter()
    size = Networks.size
    monkeypatch.setattr(Networks, "size", lambda self, asn: (walked.update([asn]), size(self, asn))[1])
    world = World(networks, LIMITS.model_copy(update={"network": 100}))
    for n in range(8):
        world.claim(1, f"46.1.0.{n}")
    assert walked == {64500: 1}


# for people


def test_the_places_of_a_subject_are_named(world: World) -> None:
    places = world.guard.places
    assert places(parse("46.1.0.9")) == ["net:46.1.0.0/16", "as:64500", "cc:AA"]
    assert places(parse("46.1.0.0/24")) == ["net:46.1.0.0/16", "as:64500", "cc:AA"]
    assert places(parse("46.1.0.0/23")) == ["wide:46.1.0.0/23"]
    assert places(parse("2a00:0:1::/48")) == ["net:2a00::/32", "as6:64500", "cc6:AA"]
    assert places(parse("77.1.0.1")) == ["net:77.1.0.0/16"]
    assert places(parse("a.example")) == places(parse("+4930123456")) == []


@pytest.mark.parametrize(
    ("place", "size"),
    [
        ("net:46.1.0.0/16", 65536), ("net:2a00::/32", 2**32), ("wide:77.0.0.0/8", 2**32), ("wide:2a00::/20", 2**64),
        ("as:64500", 24), ("as6:64500", 2**48), ("cc:AA", 32), ("cc:ZZ", None), ("as:9", None), ("day:20000", None),
    ],
)  # fmt: skip
def test_the_size_of_a_place_is_known(world: World, place: str, size: int | None) -> None:
    assert world.guard.size(place) == size


def test_what_may_keep_a_subject_off_is_shown(world: World) -> None:
    kinds = {"net:77.1.0.0/16": HELD, "wide:77.0.0.0/12": REJECTED, "cc:AA": HELD, day_place(NOW): HELD}
    holds = [Hold(n, 1, "ip", place, NOW, 1, None, "", state) for n, (place, state) in enumerate(kinds.items())]
    chain = [parse("77.1.2.3"), parse("77.0.0.0/12")]
    shown = places_held(holds, world.guard, "ip", chain, NOW)
    assert {hold.place for hold in shown} == {"net:77.1.0.0/16", "wide:77.0.0.0/12", day_place(NOW)}
    assert places_held([replace(hold, state=ENDED) for hold in holds], world.guard, "ip", chain, NOW) == []
    assert places_held(holds, world.guard, "domain", chain, NOW) == []


# whatever the order and the batches

SUBJECTS = [
    *(f"46.{a}.0.{b}" for a in (1, 2, 3, 4) for b in range(6)), "46.1.1.0/31", "46.2.1.0/30", "46.1.0.0/16",
    "46.0.0.0/12", *(f"2a00:{a}:{b}::/64" for a in range(2) for b in range(5)), "2a00:5::/48", "2a00::/20",
    *(f"d{n}.example" for n in range(5)),
]  # fmt: skip
claim = st.tuples(st.sampled_from(list(SOURCES)), st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=12))
decision = st.tuples(st.sampled_from([APPROVED, REJECTED]), st.integers(0, 5))
steps = st.lists(claim | decision, min_size=1, max_size=12)
limits = st.builds(
    GuardConfig,
    daily=st.integers(1, 30), network=st.integers(1, 8), asn=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    country=st.sampled_from([0.0, 0.1, 0.5, 1.0]), least=st.integers(1, 8),
)  # fmt: skip


def play(world: World, steps: Sequence[tuple[object, object]]) -> None:
    for first, second in steps:
        if isinstance(second, list):
            fresh = [subject for subject in second if parse(subject) not in world.leader]  # one leader each, always
            world.claim(first, *fresh)  # type: ignore[arg-type]
            world.settle(parse(subject) for subject in second)
        elif waiting := [hold for hold in world.holds.values() if hold.state == HELD]:
            assert isinstance(second, int)
            world.decide(waiting[second % len(waiting)].place, str(first), NOW + 9 if first == APPROVED else None)


@settings(max_examples=80, deadline=None)
@given(limits, steps)
def test_nothing_is_listed_in_a_place_that_is_held(networks: Networks, limits: GuardConfig, steps: list) -> None:  # type: ignore[type-arg]
    world = World(networks, limits)
    play(world, steps)
    held = {(family_of(world.sources[h.source]), h.place) for h in world.holds.values() if h.state in (HELD, REJECTED)}
    for subject in world.listed:
        family = family_of(world.sources[world.leader[subject]])
        assert not any((family, place) in held for place in world.guard.places(subject)), text(subject)


@settings(max_examples=80, deadline=None)
@given(limits, st.lists(claim, min_size=1, max_size=12))
def test_no_place_and_no_day_has_more_than_its_limit(networks: Networks, limits: GuardConfig, steps: list) -> None:  # type: ignore[type-arg]
    world = World(networks, limits)
    play(world, steps)
    amounts: Counter[tuple[str, str]] = Counter()
    for subject in world.listed:
        family = family_of(world.sources[world.leader[subject]])
        amounts[family, ""] += 1
        for place in world.guard.places(subject):
            amounts[family, place] += units(subject)
    for (_, place), amount in amounts.items():
        assert not world.guard.exceeds(place, amount) if place else amount <= limits.daily


@settings(max_examples=60, deadline=None)
@given(limits, st.lists(claim, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_what_a_place_may_list_does_not_hang_on_the_order(
    networks: Networks, limits: GuardConfig, steps: list, random: object
) -> None:  # type: ignore[type-arg]
    """Where nothing but single networks limit: the same ones are held, whichever came first."""
    wide = limits.model_copy(update={"daily": 1000, "asn": 1.0, "country": 1.0, "least": 10**6})
    once = {subject: first for first, subjects in steps for subject in subjects}
    parts = [(source, [subject]) for subject, source in once.items()]
    whole, shuffled = World(networks, wide), World(networks, wide)
    for number in SOURCES:
        whole.claim(number, *(subject for subject, source in once.items() if source == number))
    random.shuffle(parts)  # type: ignore[attr-defined]
    play(shuffled, parts)
    assert shuffled.listed == whole.listed
    named = [{(family_of(SOURCES[h.source]), h.place) for h in w.holds.values()} for w in (whole, shuffled)]
    assert named[0] == named[1]


@settings(max_examples=60, deadline=None)
@given(limits, st.lists(claim, min_size=1, max_size=8))
def test_everything_approved_is_listed(networks: Networks, limits: GuardConfig, steps: list) -> None:  # type: ignore[type-arg]
    world = World(networks, limits)
    play(world, steps)
    for _ in range(len(SUBJECTS)):  # what leaves a held network may be too much for its country
        for key, hold in world.holds.items():
            world.holds[key] = replace(hold, state=APPROVED, until=None)
        world.settle(world.leader)
    for place in {hold.place for hold in world.holds.values()}:
        world.decide(place, APPROVED)
    assert world.listed == set(world.leader)


# leaders

CATEGORIES = {1: "spam"}
ZONE = ZoneDef.model_validate(
    {
        "name": "ip", "kind": "ip", "origin": "ip.example", "ns": ["ns1.example"],
        "codes": [{"code": "127.0.0.2", "categories": ["spam"]}],
    }
)  # fmt: skip
VOICES = {
    n: Source(n, f"v{n}", kind, trust, family, True, trust)
    for n, (kind, trust, family) in enumerate(
        [
            ("feed", 0.55, "a"), ("feed", 0.8, "b"), ("partner", 0.5, "c"), ("partner", 0.9, "d"),
            ("partner", 0.7, "e"),
            ("trap", 0.9, "e"), ("partner", 0.6, "a"), ("partner", 1.0, "f"), ("operator", 1.0, "g"),
        ],
        1,
    )
}  # fmt: skip
WEIGHING = Weighing.of(ZONE, VOICES, CATEGORIES)
spoken = st.lists(
    st.tuples(st.sampled_from(list(VOICES)), st.integers(1, 20), st.integers(0, 40 * DAY)), min_size=1, max_size=6
)


def said(rows: list[tuple[int, int, int]]) -> list[Evidence]:
    """Claims of a source, a reporter and an age each."""
    return [Evidence(0, who, 1, 1 + n, 1, NOW - age, NOW - age, 0) for who, n, age in rows]


def scored(rows: list[Evidence], was_listed: bool) -> tuple[float, bool, int]:
    found = decide(Claims.of(rows), WEIGHING, np.array([was_listed]), NOW)
    return (float(found.score[0]), bool(found.listed[0]), int(found.leader[0])) if len(found.score) else (0.0, False, 0)


@settings(max_examples=250, deadline=None)
@given(spoken, st.booleans())
def test_a_listing_has_a_leader_where_one_guarded_family_carries_it(
    claims: list[tuple[int, int, int]], was_listed: bool
) -> None:
    rows = list({(row.source, row.reporter): row for row in said(claims)}.values())
    score, listed, leader = scored(rows, was_listed)
    threshold = ZONE.policy.delist_at if was_listed else ZONE.policy.list_at
    guarded = [row for row in rows if VOICES[row.source].guarded]
    without = {
        family: scored([r for r in rows if r not in guarded or VOICES[r.source].family != family], was_listed)[0]
        for family in {VOICES[row.source].family for row in guarded}
    }
    assume(all(abs(left - threshold) > 1e-6 for left in [score, *without.values()]))
    carriers = {family for family, left in without.items() if left < threshold} if listed else set()
    assert (leader > 0) == bool(carriers)
    if leader:
        assert VOICES[leader].guarded
        assert VOICES[leader].family in carriers
        assert without[VOICES[leader].family] == pytest.approx(min(without.values())), "the one whose word does most"


def test_a_partner_beside_a_weak_list_leads() -> None:
    """The list said more than the partner, alone not enough, and nobody was asked for what the two listed together."""
    assert scored(said([(1, 1, 0), (3, 1, 0)]), was_listed=False)[1:] == (True, 3)
    assert scored(said([(2, 1, 0), (3, 1, 0)]), was_listed=False)[1:] == (True, 0), "the list is enough alone"
    assert scored(said([(9, 1, 0), (4, 1, 0)]), was_listed=False)[1:] == (True, 0), "so is an operator"
    assert scored(said([(1, 1, 0), (7, 1, 0)]), was_listed=True)[1:] == (True, 0), "so is a list of the same family"


def test_partners_of_one_network_are_one_family() -> None:
    names = {n: replace(source(n, "46.9.9.0/24"), trust=0.5) for n in range(1, 101)}
    rows = [Evidence(0, n, 1, n, 1, NOW, NOW, 0) for n in names]
    weighing = Weighing.of(ZONE, names, CATEGORIES)
    assert not decide(Claims.of(rows), weighing, np.array([False]), NOW).listed[0]
    apart = Weighing.of(ZONE, {n: replace(s, network="") for n, s in names.items()}, CATEGORIES)
    assert decide(Claims.of(rows), apart, np.array([False]), NOW).listed[0]


def test_the_tables_directory_may_be_damaged(tmp_path: Path) -> None:
    """What cannot be read knows nothing, and stops no listing."""
    (tmp_path / "asn-ipv4.csv.gz").write_bytes(b"\x1f\x8b\x08broken")
    world = World(Networks.load(tmp_path))
    world.claim(1, "46.1.0.1")
    assert world.names() == ["46.1.0.1"]
    assert world.guard.places(parse("46.1.0.1")) == ["net:46.1.0.0/16"]
