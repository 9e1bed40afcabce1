"""Attacks replayed against the whole: partners' posts through the real gate, limits, guards and publishing, to what DNS
answers. What an operator plainly granted is said at each; nothing else is listed, and every attempt is seen."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config import GuardConfig, Settings
from dnsbl.config.server import GeoConfig
from dnsbl.intake.partners import create_key
from dnsbl.intake.reports import Intake
from dnsbl.model import Report
from dnsbl.protected import protected
from dnsbl.store.contract import Key
from dnsbl.subjects import is_ip, parse, text
from dnsbl.web.commit import Committer, Post
from dnsbl.web.quotas import Quotas
from dnsbl.web.submissions import StreamPart

NOW = 1_790_000_000 // clock.DAY * clock.DAY + 3600
RIVAL = "46.66."  # a competitor's /16
STAGES = {"simulated": (0.9, True), "half": (0.5, False), "trusted": (0.9, False)}
UNBELIEVED = ("simulated", "half")


class Scene:
    """An installation, its clock, and its partners."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.app = App(settings)
        self.app.open()
        self.app.store.writer.execute("PRAGMA synchronous = OFF")
        self.app.desk.guard = self.app.guard
        self.committer = Committer(SimpleNamespace(app=self.app), Quotas())  # type: ignore[arg-type]

    def partner(self, name: str = "mallory", stage: str = "trusted") -> Key:
        trust, simulated = STAGES[stage]
        return create_key(self.app.store, name, trust, ["report"], self.now, None, simulated=simulated)[0]

    def post(self, key: Key, subjects: Iterable[str], network: str = "", settle: bool = True, **more: Any) -> Intake:
        items = [{"subject": subject, **more} for subject in subjects]
        lines = [(number, orjson.dumps(item)) for number, item in enumerate(items, 1)]
        (outcome,) = self.committer.commit([Post(key, StreamPart(lines), network=network)])
        assert isinstance(outcome, Intake)
        if settle:
            self.app.settle()
        return outcome

    def listed(self, zone: str = "ip") -> set[str]:
        """What the zone lists: the store's word."""
        return {text(s) for rows in self.app.store.listing_chunks(zone, b"", b"\xff") for s, _ in rows}

    def answers(self, *subjects: str, zone: str = "ip") -> set[str]:
        """Which of these DNS answers for."""
        return {subject for subject in subjects if self.app.dns_codes(zone, parse(subject))}

    def waiting(self) -> dict[str, dict[str, Any]]:
        return {hold["place"]: hold for hold in self.app.desk.waiting()["holds"]}

    def attempts(self) -> set[str]:
        return {attempt["subject"] for attempt in self.app.desk.waiting()["attempts"]}

    def check(self, subject: str, zone: str = "ip") -> dict[str, Any]:
        (found,) = [each for each in self.app.check(subject)["zones"] if each["zone"] == zone]
        return found


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system and a country for each first byte; and the rival's small ones within one."""
    directory = tmp_path_factory.mktemp("geo")
    ranges = [(f"{n}.0.0.0", f"{n}.255.255.255", n) for n in range(1, 224) if n != 47]
    small = [("47.0.0.0", "47.0.31.255", 65001), ("47.1.0.0", "47.1.31.255", 65001), ("47.2.0.0", "47.2.31.255", 65002)]
    (directory / "asn-ipv4.csv").write_text("".join(f"{a},{b},{n},System {n}\n" for a, b, n in [*ranges, *small]))
    codes = [(a, b, chr(65 + n // 26) + chr(65 + n % 26)) for a, b, n in ranges]
    (directory / "country-ipv4.csv").write_text("".join(f"{a},{b},{code}\n" for a, b, code in codes))
    return directory


@pytest.fixture
def scene(settings: Settings, geo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with at(settings, geo, monkeypatch) as made:
        yield made


@contextmanager
def at(settings: Settings, geo: Path, monkeypatch: pytest.MonkeyPatch, **guard: Any) -> Iterator[Scene]:
    changes = {"geo": GeoConfig(directory=geo), "guard": GuardConfig(**guard)}
    made = Scene(settings.model_copy(update={"config": settings.config.model_copy(update=changes)}), monkeypatch)
    try:
        yield made
    finally:
        made.app.close()


def addresses(count: int, first: str = RIVAL) -> list[str]:
    return [f"{first}{n >> 8}.{n & 255}" for n in range(count)]


def around_the_world(count: int) -> list[str]:
    """Addresses that anybody may have, each in a network of its own as far as there are so many."""
    draw = random.Random(1)
    firsts = [n for n in range(11, 200) if n not in (100, 127, 169, 172, 192, 198, 46, 47)]
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{draw.choice(firsts)}.{draw.randrange(1, 250)}.{draw.randrange(256)}.{draw.randrange(256)}"] = None
    return list(found)


# whom nobody may list


@pytest.mark.parametrize("stage", STAGES)
def test_what_many_need_is_refused_at_the_door_and_the_attempt_is_seen(scene: Scene, stage: str) -> None:
    partner = scene.partner(stage=stage)
    names = ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "10.0.0.1", "127.0.0.1"]
    done = scene.post(partner, names)
    assert (done.taken, done.rejected) == (0, len(names))
    assert scene.listed() == scene.answers(*names) == set()
    assert scene.attempts() == set(names)
    assert scene.app.check("8.8.8.8")["exemptions"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_network_around_who_many_need_does_not_list_them(scene: Scene, stage: str) -> None:
    """Granted to who is trusted alone: a /24, as often as the guards allow. Never the address that is exempt in it."""
    partner = scene.partner(stage=stage)
    scene.post(partner, ["8.8.8.0/24", "8.8.0.0/16", "8.0.0.0/8"])
    assert scene.listed() == (set() if stage in UNBELIEVED else {"8.8.8.0/24"})
    assert scene.answers("8.8.8.8", "8.8.9.9", "8.1.1.1") == set()
    assert set(scene.waiting()) == (set() if stage in UNBELIEVED else {"wide:8.8.0.0/16", "wide:8.0.0.0/8"})


@pytest.mark.parametrize("stage", STAGES)
def test_all_that_is_protected_stays_unlisted(scene: Scene, stage: str) -> None:
    """Each network whole, its first address, and what is just wide enough to be taken around it."""
    networks = sorted(key for key in protected().networks if is_ip(key))
    firsts = [text(key[:-1] + (b"\x20" if key[:1] == b"4" else b"\x80")) for key in networks]
    partner = scene.partner(stage=stage)
    done = scene.post(partner, [text(key) for key in networks] + firsts)
    assert done.taken == 0
    around = sorted({f"{first.rpartition('.')[0]}.0/24" for first in firsts if "." in first})
    scene.post(partner, around)
    assert scene.answers(*firsts) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_domains_that_many_use_are_refused_and_a_rivals_is_a_matter_of_trust(scene: Scene, stage: str) -> None:
    """Granted to who is trusted alone: single names, up to the day's limit."""
    partner = scene.partner(stage=stage)
    done = scene.post(partner, ["google.com", "bit.ly", "co.uk", "rival.example"])
    assert done.rejected == 3
    assert scene.answers("google.com", "www.google.com", "bit.ly", "a.co.uk", zone="domain") == set()
    assert scene.listed("domain") == (set() if stage in UNBELIEVED else {"rival.example"})
    assert {"google.com", "bit.ly", "co.uk"} <= scene.attempts()
    shown = scene.check("rival.example", "domain")
    assert shown["simulated_score"] > 0
    assert [row["simulated"] for row in shown["breakdown"]] == [stage == "simulated"]


# a rival's network


@pytest.mark.parametrize("stage", STAGES)
def test_a_rivals_network_address_by_address(scene: Scene, stage: str) -> None:
    """Granted to who is trusted alone: 256 addresses of a /16 in a week; with the next one all of them leave."""
    partner = scene.partner(stage=stage)
    whole = addresses(65_536 if stage == "trusted" else 5_000)
    scene.post(partner, whole[:256])
    assert len(scene.listed()) == (0 if stage in UNBELIEVED else 256)
    for start, end in ((256, 257), (257, 300), (300, 65_536)):
        scene.post(partner, whole[start:end])
        assert scene.listed() == set()
    assert scene.answers(*whole[::997]) == set()
    if stage in UNBELIEVED:
        assert scene.waiting() == {}
        return
    (hold,) = scene.waiting().values()
    assert (hold["place"], hold["source"], hold["zone"]) == ("net:46.66.0.0/16", "mallory", "ip")
    assert (hold["claimed"], hold["percent"]) == (65_536, 100.0)
    assert [held["place"] for held in scene.check("46.66.7.7")["held"]] == ["net:46.66.0.0/16"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "claims", [["46.66.0.0/16"], ["46.66.0.0/17", "46.66.128.0/17"], [f"46.66.{n}.0/24" for n in range(256)]]
)
def test_a_rivals_network_at_once(scene: Scene, stage: str, claims: list[str]) -> None:
    partner = scene.partner(stage=stage)
    scene.post(partner, claims)
    assert scene.listed() == scene.answers(*addresses(65_536)[::4999]) == set()
    assert bool(scene.waiting()) == (stage not in UNBELIEVED)
    for hold in scene.waiting().values():
        assert hold["percent"] is not None
    if stage == "trusted":
        assert scene.check("46.66.7.7")["held"], "whoever looks an address up sees what waits"


def test_a_network_held_stays_held_tomorrow_and_for_every_new_address(scene: Scene) -> None:
    partner = scene.partner()
    scene.post(partner, addresses(300))
    for _ in range(3):
        scene.now += clock.DAY
        scene.post(partner, addresses(5, "46.66.9"))
        scene.post(partner, addresses(900))
        assert scene.listed() == set()


def test_a_small_system_and_its_country_in_several_networks(scene: Scene) -> None:
    """Granted to who is trusted alone: a hundred addresses, or one in a hundred, of a system in a week."""
    partner = scene.partner()
    scene.post(partner, [*addresses(82, "47.0."), *addresses(81, "47.1.")])
    assert len(scene.listed()) == 163, "one in a hundred of its 16,384"
    scene.post(partner, ["47.1.20.20"])
    assert scene.listed() == set()
    (hold,) = scene.waiting().values()
    assert hold["place"] == "as:65001"
    assert "System 65001" in hold["why"]
    assert hold["percent"] == pytest.approx(1.001, abs=1e-3)
    assert [held["place"] for held in scene.check("47.0.0.5")["held"]] == ["as:65001"]
    scene.post(partner, ["46.0.0.1"])
    assert scene.listed() == {"46.0.0.1"}, "elsewhere it is believed"


def test_a_rivals_network_a_little_every_day(scene: Scene) -> None:
    """256 addresses a day, and after twenty days 5,120 of them were listed."""
    partner = scene.partner()
    for day in range(20):
        scene.post(partner, addresses(5_120)[day * 256 : day * 256 + 256])
        scene.now += clock.DAY
    assert scene.listed() == set()
    assert set(scene.waiting()) == {"net:46.66.0.0/16"}


def test_a_small_system_listed_again_the_same_day_is_not_twice_as_much(scene: Scene) -> None:
    """Trust fell and rose again: 90 addresses of a small system were held as 180."""
    partner = scene.partner()
    claims = [*addresses(50, "47.0."), *addresses(70, "47.1.")]
    scene.post(partner, claims)
    for _ in range(2):
        for trust, count in ((0.1, 0), (0.9, len(claims))):
            scene.app.desk.set_source("mallory", trust=trust)
            scene.app.settle()
            assert len(scene.listed()) == count
    assert scene.waiting() == {}


# everything, slowly


@pytest.mark.parametrize("stage", ["simulated", "trusted"])
def test_one_address_a_second_for_a_day_around_the_world(scene: Scene, stage: str) -> None:
    """Granted to who is trusted alone: the day's limit, 5,000 listings."""
    partner = scene.partner(stage=stage)
    claims, taken = around_the_world(82_800), 0
    for hour in range(23):
        taken += scene.post(partner, claims[hour * 3600 : (hour + 1) * 3600]).taken
        scene.now += 3600 if hour < 22 else 0
    assert len(scene.listed()) == (0 if stage in UNBELIEVED else 5000)
    if stage == "trusted":
        (hold,) = scene.waiting().values()
        assert hold["why"].endswith("listings in a day")
        assert [held["place"] for held in scene.check(claims[-1])["held"]] == [hold["place"]]
        return
    assert scene.waiting() == {}
    (would,) = scene.app.desk.show_source("mallory")["would_list"]
    assert (would["claimed"], would["listed"]) == (taken, taken), "shown to the operator before it is let live"


def test_two_processes_that_settle_at_once_keep_one_limit(
    settings: Settings, geo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(settings, geo, monkeypatch, daily=100) as scene:
        partner = scene.partner()
        claims = around_the_world(2000)
        with App(scene.app.settings) as other:
            failed: list[BaseException] = []

            def settle(app: App, part: list[str]) -> None:
                try:
                    for start in range(0, len(part), 100):
                        made = [app.gate().report(subject) for subject in part[start : start + 100]]
                        app.store.take_reports(partner.source, [each for each in made if isinstance(each, Report)])
                        app.settle()
                except BaseException as error:  # the thread's own: looked at below
                    failed.append(error)

            parts = [(scene.app, claims[::2]), (other, claims[1::2])]
            threads = [threading.Thread(target=settle, args=part) for part in parts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive()
            assert failed == []
            scene.app.settle()
            assert len(scene.listed()) == 100
            assert len(scene.waiting()) == 1
            assert scene.app.store.check() == []


# many names


@pytest.mark.parametrize("trust", ["half", "trusted"])
def test_a_hundred_partners_of_one_network_are_one(scene: Scene, trust: str) -> None:
    """Granted, where each is trusted alone: what one may list, not a hundred times as much."""
    partners = [scene.partner(f"sock{n}", trust) for n in range(100)]
    claims = around_the_world(10_000)
    for number, partner in enumerate(partners):
        scene.post(partner, [f"{RIVAL}{number}.{n}" for n in range(3)], "31.7.7.0/24", settle=False)
        scene.post(partner, ["77.7.7.7"], "31.7.7.0/24", settle=False)
        scene.post(partner, claims[number * 100 : number * 100 + 100], "31.7.7.0/24", settle=False)
    scene.app.settle()
    rivals = {subject for subject in scene.listed() if subject.startswith(RIVAL)}
    assert rivals == set(), "300 of its addresses, three a name"
    assert len(scene.listed()) <= (0 if trust == "half" else 5000)
    assert scene.answers("77.7.7.7") == (set() if trust == "half" else scene.listed() & {"77.7.7.7"})
    assert scene.check("77.7.7.7")["score"] == pytest.approx(46.88 if trust == "half" else 84.38, abs=0.01)


def test_a_hundred_reporters_of_one_network_are_one(scene: Scene) -> None:
    partner = scene.partner(stage="half")
    for n in range(100):
        scene.post(partner, ["77.7.7.7"], settle=False, reporter=f"31.7.7.{n}", time=NOW - n)
    scene.app.settle()
    (row,) = scene.check("77.7.7.7")["breakdown"]
    assert (row["hits"], row["reporters"]) == (100, 1)
    assert scene.answers("77.7.7.7") == set()


def test_no_number_of_reporters_lifts_a_partner_beyond_its_trust(scene: Scene) -> None:
    partner = scene.partner(stage="half")
    for n in range(300):
        who = f"31.{n % 200}.{n}.1" if n < 200 else f"name{n}@example.net"
        scene.post(partner, ["77.7.7.7"], settle=False, reporter=who)
    scene.app.settle()
    assert scene.check("77.7.7.7")["score"] <= 50
    assert scene.answers("77.7.7.7") == set()


def test_a_partner_with_several_names(scene: Scene) -> None:
    """Granted once they post from networks of their own: two partners, each half believed, are two."""
    for n in range(5):
        scene.post(scene.partner(f"mallory{n}", "half"), ["77.7.7.7"], "31.7.7.0/24")
    assert scene.answers("77.7.7.7") == set()
    scene.post(scene.partner("alice", "half"), ["77.7.7.7"], "32.7.7.0/24")
    assert scene.answers("77.7.7.7") == {"77.7.7.7"}


def test_a_partner_that_copies_a_weak_list_has_its_limits(scene: Scene) -> None:
    """What the two list together was nobody's: a whole network was listed without a question."""
    weak = scene.app.store.source("weak", "feed", trust=0.55).id
    scene.app.store.replace_entries(weak, dict.fromkeys(map(parse, addresses(400)), 1), {}, "spam", NOW)
    scene.app.settle()
    assert scene.listed() == set()
    scene.post(scene.partner(stage="half"), addresses(400))
    assert scene.listed() == set()
    assert set(scene.waiting()) == {"net:46.66.0.0/16"}


# what the operator does


def test_a_purge_takes_all_of_it_away_and_undoing_brings_it_back(scene: Scene) -> None:
    """All that came back counted as new once more: most of it was held."""
    good, bad = scene.partner("good"), scene.partner("bad")
    scene.post(good, ["46.0.0.1", "46.0.0.2"])
    before = scene.listed()
    scene.post(bad, ["46.0.0.2", "77.0.0.1", *addresses(200)])
    poisoned = scene.listed()
    done = scene.app.desk.purge("bad", "poisoned", None, None)
    scene.app.settle()
    assert (scene.listed(), done["reports"]) == (before, 202)
    assert scene.answers("77.0.0.1", "46.66.0.7") == set()
    scene.post(bad, ["78.0.0.1"])
    assert scene.listed() == before, "from now on it is simulated"
    scene.app.desk.undo_purge(done["id"])
    scene.app.settle()
    assert scene.listed() == poisoned | {"78.0.0.1"}
    assert scene.answers("77.0.0.1") == {"77.0.0.1"}
    assert scene.app.store.check() == []


def test_wrong_listings_cost_the_partner_its_voice(scene: Scene) -> None:
    partner = scene.partner()
    scene.post(partner, around_the_world(40))
    wrong = sorted(scene.listed())[:3]
    for subject in wrong:
        scene.app.delist(subject, "", "a mail server of ours", wrong=True)
    (row,) = scene.app.desk.source_rows()
    assert row["overturned"] == 3
    assert row["trust"] == pytest.approx(0.9 * (1 - 5 * 3 / 40), abs=1e-4)
    scene.post(partner, ["77.0.0.1"])
    assert scene.answers("77.0.0.1") == set(), "no longer believed alone"
    scene.now += 91 * clock.DAY
    scene.app.forget()
    assert scene.app.desk.source_rows()[0]["trust"] == 0.9


@pytest.mark.parametrize("approve", [True, False])
def test_what_a_person_decides_of_a_network(scene: Scene, approve: bool) -> None:
    partner = scene.partner()
    scene.post(partner, [*addresses(300), "77.0.0.1"])
    (hold,) = scene.waiting().values()
    scene.app.desk.decide(hold["id"], approve, "looked at it", scene.now + clock.DAY if approve else None)
    scene.app.settle()
    assert len(scene.listed()) == (301 if approve else 0), "who was that wrong is not believed elsewhere either"
    assert scene.waiting() == {}
    scene.now += 2 * clock.DAY
    scene.post(partner, addresses(600)[300:])
    assert len(scene.listed()) == (1 if approve else 0)
    assert set(scene.waiting()) == ({"net:46.66.0.0/16"} if approve else set())


def test_a_flood_does_not_settle_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new hold had all that the source ever said decided anew: a flood took the square of its size."""
    monkeypatch.setattr("dnsbl.reputation.sweep.AT_ONCE", 500)
    partner = scene.partner()
    claims = [f"{first}.1.{n >> 8}.{n & 255}" for first in range(60, 80) for n in range(300)]
    scene.app.settle()  # what a new installation exempts
    scene.post(partner, claims, settle=False)
    decided: list[int] = []
    scene.app.settle(lambda what, more, total=None: decided.append(more) if what == "deciding" else None)
    assert scene.listed() == set()
    assert len(scene.waiting()) == 20
    assert sum(decided) < 2 * len(claims)


# real networks


def ranges_of(real_input: Path) -> list[str]:
    return list(json.loads((real_input / "warninglists" / "microsoft-office365-ip.json").read_text())["list"])


@pytest.mark.data
@pytest.mark.parametrize("stage", STAGES)
def test_real_networks(settings: Settings, real_input: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Office 365, a small system and a small country, by the tables of the day. Granted to who is trusted alone: a
    hundred addresses of each in a week."""
    with at(settings, real_input / "geo", monkeypatch) as scene:
        store, networks = scene.app.store, scene.app.networks
        office = [parse(entry) for entry in ranges_of(real_input)]
        store.replace_exemptions("office365", office, "Office 365", NOW)
        partner = scene.partner(stage=stage)
        assert scene.post(partner, map(text, office)).taken == 0
        firsts = [text(key[:5] + b"\x20") for key in office if key[:1] == b"4"]
        around = sorted({f"{first.rpartition('.')[0]}.0/24" for first in firsts})
        scene.post(partner, [*firsts, *around])
        assert scene.answers(*firsts) == set()
        before = scene.listed()

        asn = small_system(networks.networks_of, networks.size)
        hosts = [host for key in networks.networks_of(asn) if key[:1] == b"4" for host in hosts_in(key, 90)]
        country = networks.country(parse(hosts[0]))
        scene.post(partner, hosts[:100])
        assert len(scene.listed() - before) == (0 if stage in UNBELIEVED else 100)
        scene.post(partner, hosts[100:400])
        assert scene.listed() == before
        assert scene.answers(*hosts[:400]) == set()
        if stage == "trusted":
            network = text(parse(hosts[0])[:3] + b"\0\0\x10")
            assert not set(scene.waiting()).isdisjoint((f"as:{asn}", f"cc:{country}", f"net:{network}"))
            assert all(hold["percent"] for hold in scene.waiting().values())


def small_system(networks_of: Callable[[int], list[bytes]], size: Callable[[int], tuple[int, int]]) -> int:
    """One of a thousand or so addresses, in several networks."""
    asns = range(20_000, 30_000)
    return next(n for n in asns if 1024 <= size(n)[0] <= 4096 and 2 <= len(networks_of(n)) <= 5)


def hosts_in(key: bytes, most: int) -> list[str]:
    first, prefix = int.from_bytes(key[1:5], "big"), key[5]
    count = min(most * 3, 2 ** (32 - prefix))
    return [text(b"4" + (first + n).to_bytes(4, "big") + b"\x20") for n in range(count)]
