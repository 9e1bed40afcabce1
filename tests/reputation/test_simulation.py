"""What a simulated source would list, and what approving would let through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dnsbl.clock import DAY
from dnsbl.config import GuardConfig, ZoneDef
from dnsbl.geo import Networks
from dnsbl.model import Report
from dnsbl.reputation.guard import APPROVED, Guard
from dnsbl.reputation.simulation import Would, claimed, simulate
from dnsbl.reputation.sweep import ExemptionCache, sweep
from dnsbl.store import Exemption, Hold, SqliteStore
from dnsbl.store import claims as claims_module
from dnsbl.subjects import parse, text

NOW = 1_790_000_000


def zone(name: str, kind: str = "ip", category: str = "spam") -> ZoneDef:
    code = {"code": "127.0.0.2", "categories": [category]}
    return ZoneDef.model_validate(
        {"name": name, "kind": kind, "origin": f"{name}.example", "ns": ["ns1.example"], "codes": [code]}
    )


ZONES = {z.name: z for z in (zone("ip"), zone("names", "domain"), zone("policy", category="dynamic"))}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.sqlite")
    made.writer.execute("PRAGMA synchronous = OFF")
    made.source("stranger", "partner", trust=0.9)
    made.set_source(1, simulated=True)
    yield made
    made.close()


def report(store: SqliteStore, *subjects: str, source: int = 1, category: str = "spam") -> None:
    store.take_reports(source, [Report(parse(subject), category, NOW) for subject in subjects])


def asked(store: SqliteStore, source: int = 1) -> list[Would]:
    return simulate(store, ZONES, ExemptionCache(store).get(NOW), source, NOW)


def test_what_would_be_listed_is_counted_by_zone_and_shown(store: SqliteStore) -> None:
    report(store, "46.0.0.1", "46.0.0.2", "bad.example")
    assert asked(store) == [
        Would("ip", 2, 2, [parse("46.0.0.1"), parse("46.0.0.2")]), Would("names", 1, 1, [parse("bad.example")])
    ]  # fmt: skip
    assert sweep(store, ZONES, ExemptionCache(store), NOW) == 0, "nothing of it is listed"


def test_it_is_what_letting_it_live_lists(store: SqliteStore) -> None:
    other = store.source("other", "partner", trust=0.5).id
    weak = store.source("weak", "partner", trust=0.3).id
    store.set_source(weak, simulated=True)
    for source, last in ((1, 6), (other, 4), (weak, 9)):
        report(store, *(f"46.0.0.{n}" for n in range(last)), source=source)
    store.add_exemption(Exemption(parse("46.0.0.1"), "theirs", "operator", since=NOW))
    for source, count in ((1, 5), (weak, 3)):
        would = {w.zone: w.listed for w in asked(store, source)}
        store.set_source(source, simulated=False)
        sweep(store, ZONES, ExemptionCache(store), NOW)
        assert store.listing_count("ip") == would["ip"] == count
        store.set_source(source, simulated=True)
        sweep(store, ZONES, ExemptionCache(store), NOW)
        assert store.listing_count("ip") == 0


def test_what_others_list_already_is_not_its_doing(store: SqliteStore) -> None:
    report(store, "46.0.0.1", source=store.source("operator", "operator", trust=1.0).id)
    report(store, "46.0.0.1", "46.0.0.2")
    sweep(store, ZONES, ExemptionCache(store), NOW)
    (would,) = asked(store)
    assert (would.claimed, would.listed, would.examples) == (2, 1, [parse("46.0.0.2")])


def test_a_source_that_said_nothing_would_list_nothing(store: SqliteStore) -> None:
    assert asked(store) == []


def test_many_subjects_are_read_in_chunks_beside_a_writer(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks come from an open cursor while other things are asked on the same connection, and others write."""
    monkeypatch.setattr(claims_module, "SUBJECTS_AT_ONCE", 100)
    report(store, *(f"46.0.{n >> 8}.{n & 255}" for n in range(1050)))
    seen = 0
    for subjects in store.subjects_of(1):
        store.listings_of("ip", subjects)
        store.touch([parse("9.9.9.9")])
        seen += len(set(subjects))
    assert seen == 1050
    (would,) = asked(store)
    assert (would.claimed, would.listed, len(would.examples)) == (1050, 1050, 10)


def test_a_hold_says_how_much_is_claimed_by_now(store: SqliteStore) -> None:
    """It said what came with the first too many: 0.4 % of a /16 was shown, and approving it listed all of it."""
    store.set_source(1, simulated=False)
    guard = Guard(GuardConfig(network=4), Networks.none())
    for count in (4, 5, 200):
        report(store, *(f"46.1.0.{n}" for n in range(count)))
        sweep(store, ZONES, ExemptionCache(store), NOW, guard=guard)
    report(store, "46.1.8.0/24", "46.2.0.1", "46.0.0.0/12", "2a00::1")
    sweep(store, ZONES, ExemptionCache(store), NOW, guard=guard)
    holds = {hold.place: hold for hold in store.holds()}
    assert set(holds) == {"net:46.1.0.0/16", "wide:46.0.0.0/12"}
    assert holds["net:46.1.0.0/16"].listings == 5
    found = claimed(store, guard, holds.values())
    assert {place: found[hold.id] for place, hold in holds.items()} == {
        "net:46.1.0.0/16": 456, "wide:46.0.0.0/12": 2**20
    }  # fmt: skip
    assert [text(s) for s, _ in next(store.listing_chunks("ip", b"", b"\xff"))] == ["46.2.0.1", "2a00::/64"]


def test_what_its_family_claims_is_claimed(store: SqliteStore) -> None:
    """A hold is in the name of one; approved, it lets all names of that network list there."""
    sock = store.source("sock", "partner", trust=0.9).id
    for source in (1, sock):
        store.set_source(source, network="5.5.5.0/24")
    report(store, "46.1.0.1")
    report(store, "46.1.0.2", "46.1.0.3", source=sock)
    hold = Hold(1, 1, "ip", "net:46.1.0.0/16", NOW, 1, None, "")
    assert claimed(store, Guard(GuardConfig(), Networks.none()), [hold]) == {1: 3}


def test_only_what_waits_is_counted(store: SqliteStore) -> None:
    report(store, "46.1.0.1")
    guard = Guard(GuardConfig(), Networks.none())
    holds = [
        Hold(1, 1, "ip", "net:46.1.0.0/16", NOW, 1, None, "", APPROVED),
        Hold(2, 1, "ip", "day:20000", NOW, 1, None, "", until=NOW + DAY),
        Hold(3, 1, "domain", "net:46.1.0.0/16", NOW, 1, None, ""),
    ]
    assert claimed(store, guard, holds) == {3: 1}
