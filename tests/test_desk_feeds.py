"""Feeds at the desk: a switch that goes before the file; what was held back is shown, and released as it lies there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dnsbl import config
from dnsbl.app import App
from dnsbl.config import FeedDef
from dnsbl.errors import IntakeError, Quarantined
from dnsbl.store import FeedState
from dnsbl.subjects import parse


def addresses(count: int, net: str = "46.0") -> bytes:
    return b"".join(f"{net}.{n >> 8}.{n & 255}\n".encode() for n in range(count))


def declared(tmp_path: Path, name: str = "mine", **more: object) -> FeedDef:
    basic = {"title": "Mine", "format": "plain", "category": "spam", "licence": "none", "trust": 0.9}
    url = (tmp_path / f"{name}.txt").as_uri()
    return FeedDef.model_validate({"name": name, "url": url, **basic, **more})


@pytest.fixture
def feeds(settings: config.Settings, tmp_path: Path) -> Iterator[App]:
    """Three feeds: one that lists, one that is off in its file, one that exempts."""
    made = [
        declared(tmp_path), declared(tmp_path, "off", enabled=False, why_off="not free"),
        declared(tmp_path, "good", exempt=True),
    ]  # fmt: skip
    with App(settings.model_copy(update={"feeds": {feed.name: feed for feed in made}})) as app:
        yield app


def pull(app: App, tmp_path: Path, content: bytes, name: str = "mine") -> str:
    (tmp_path / f"{name}.txt").write_bytes(content)
    state = asyncio.run(app.pull(app.feeds[name])).state
    app.settle()
    return state


def audited(app: App) -> list[tuple[str, str, str, str]]:
    return [(row["who"], row["what"], row["subject"], row["why"]) for row in app.desk.audit_rows()]


def listed(app: App, subject: str) -> bool:
    return bool(app.dns_codes("ip", parse(subject)))


def row(app: App, name: str) -> dict[str, Any]:
    return next(row for row in app.feed_status() if row["name"] == name)


# the switch


def test_a_feed_that_is_switched_off_is_off_for_all(feeds: App, tmp_path: Path) -> None:
    assert pull(feeds, tmp_path, addresses(9)) == "ok"
    assert {feed.name for feed in feeds.feeds_on()} == {"mine", "good"}
    shown = feeds.switch_feed("mine", False, "anna", "lists us")
    assert (shown["enabled"], shown["switched"], shown["state"]) == (False, False, "off")
    assert [feed.name for feed in feeds.feeds_on()] == ["good"]
    assert (row(feeds, "mine")["enabled"], row(feeds, "mine")["reason"]) == (False, "it was switched off by hand")
    source = next(source for source in feeds.store.sources().values() if source.name == "mine")
    assert feeds.store.carried(source.id) == {}, "what it had decays"
    assert audited(feeds)[0] == ("anna", "feed disable", "mine", "lists us")
    assert feeds.feeds["mine"].enabled, "its file is not written"


def test_a_feed_is_switched_on_against_its_file_and_back(feeds: App, tmp_path: Path) -> None:
    assert feeds.switch_feed("off", True)["switched"] is True
    assert "off" in {feed.name for feed in feeds.feeds_on()}
    assert pull(feeds, tmp_path, addresses(9), "off") == "ok"
    feeds.reconcile()
    assert listed(feeds, "46.0.0.3")
    assert row(feeds, "off")["state"] == "ok"
    assert feeds.switch_feed("off", False)["switched"] is None, "it is as its file says, and follows that again"
    assert row(feeds, "off")["reason"] == "not free"


def test_the_switch_outlives_the_program_and_a_pull_that_began_before_it(feeds: App) -> None:
    feeds.switch_feed("mine", False)
    feeds.store.put_feed_state(FeedState("mine", "ok", checked_at=5))
    with App(feeds.settings) as again:
        assert "mine" not in {feed.name for feed in again.feeds_on()}
        again.switch_feed("mine", True)
        assert row(again, "mine")["state"] == "ok"
    assert "mine" in {feed.name for feed in feeds.feeds_on()}


def test_a_feed_that_is_not_declared_cannot_be_switched(feeds: App) -> None:
    with pytest.raises(IntakeError, match="no feed nobody"):
        feeds.switch_feed("nobody", False)
    assert (audited(feeds), feeds.store.feed_states()) == ([], {})


# what was held back


@pytest.fixture
def held_back(feeds: App, tmp_path: Path) -> App:
    """`mine` had 1,000 addresses, and 300 of them and 100 others came."""
    assert pull(feeds, tmp_path, addresses(1000)) == "ok"
    assert pull(feeds, tmp_path, addresses(300) + addresses(100, "46.9")) == "quarantined"
    return feeds


def test_a_diff_says_what_would_appear_and_leave_and_what_zones_would_list(held_back: App) -> None:
    held_back.report("46.0.2.9", "spam", "operator")
    diff = held_back.desk.feed_diff("mine")
    assert (diff["has"], diff["appear"], diff["leave"], diff["stay"]) == (1000, 100, 700, 300)
    assert diff["appearing"][:2] == ["46.9.0.0", "46.9.0.1"]
    assert "a drop of 60 %" in diff["why"]
    assert diff["refused"] is None
    (zone,) = diff["zones"]
    assert (zone["zone"], zone["listed"], zone["leave"]) == ("ip", 100, 699), "what others say too stays listed"
    assert zone["percent"] == pytest.approx(79.9)
    assert zone["examples"][0] == "46.9.0.0"


def test_a_diff_changes_nothing(held_back: App) -> None:
    before = held_back.store.counts(), held_back.store.sources(), held_back.store.feed_states()
    held_back.desk.feed_diff("mine")
    assert (held_back.store.counts(), held_back.store.sources(), held_back.store.feed_states()) == before


def test_what_a_diff_says_is_what_a_release_does(held_back: App) -> None:
    diff = held_back.desk.feed_diff("mine")
    before = held_back.store.listing_count("ip")
    done = held_back.desk.release_feed("mine", "anna", "they cleaned up", diff["quarantine"]["digest"])
    held_back.settle()
    assert (done["appeared"], done["left"], done["total"]) == (diff["appear"], diff["leave"], 400)
    assert held_back.store.listing_count("ip") == before + diff["zones"][0]["listed"], "what left decays"
    assert listed(held_back, "46.9.0.5")
    assert row(held_back, "mine")["state"] == "ok"
    assert audited(held_back)[0] == ("anna", "feed release", "mine", "they cleaned up")
    assert held_back.desk.show_feed("mine")["quarantine"] is None
    for ask in (held_back.desk.feed_diff, held_back.desk.release_feed):
        with pytest.raises(IntakeError, match="nothing of it is in quarantine"):
            ask("mine")


def test_a_feed_that_lists_nothing_yet_is_weighed_by_its_file(feeds: App, tmp_path: Path) -> None:
    (feeds.data_dir / "quarantine").mkdir()
    (feeds.data_dir / "quarantine" / "mine").write_bytes(addresses(5))
    diff = feeds.desk.feed_diff("mine")
    assert [(zone["zone"], zone["listed"]) for zone in diff["zones"]] == [("ip", 5)]
    assert feeds.store.sources() == {}


def test_only_what_was_looked_at_is_released(held_back: App, tmp_path: Path) -> None:
    digest = held_back.desk.feed_diff("mine")["quarantine"]["digest"]
    assert pull(held_back, tmp_path, addresses(200)) == "quarantined"
    with pytest.raises(IntakeError, match="other content lies there by now"):
        held_back.desk.release_feed("mine", digest=digest)
    assert row(held_back, "mine")["entries"] == 1000


@pytest.mark.parametrize("content", [b"<html><body>Sorry</body></html>", b"\n", b"what\nis\nthis\n46.0.0.1\n" * 50])
def test_what_nobody_means_to_accept_is_not_released(feeds: App, tmp_path: Path, content: bytes) -> None:
    pull(feeds, tmp_path, addresses(1000))
    assert pull(feeds, tmp_path, content) == "quarantined"
    state, audit = feeds.store.feed_states()["mine"], audited(feeds)
    diff = feeds.desk.feed_diff("mine")
    assert diff["refused"] == diff["why"] == state.reason
    with pytest.raises(Quarantined):
        feeds.desk.release_feed("mine")
    assert (feeds.store.feed_states()["mine"], audited(feeds)) == (state, audit)
    assert feeds.desk.show_feed("mine")["quarantine"]["bytes"] == len(content)


def test_a_feed_that_is_off_releases_nothing(held_back: App) -> None:
    held_back.switch_feed("mine", False)
    with pytest.raises(IntakeError, match="feed mine is off"):
        held_back.desk.release_feed("mine")


def test_of_a_list_of_exemptions_it_says_what_would_leave_the_zones(feeds: App, tmp_path: Path) -> None:
    pull(feeds, tmp_path, b"46.5.0.0/16\n", "good")
    for subject in ("46.0.0.1", "46.0.0.2", "46.0.9.1", "46.1.0.1"):
        feeds.report(subject, "spam", "operator")
    content = b"46.0.0.0/24\n46.1.0.1\n46.5.0.0/16\n" + addresses(200, "47.0")
    assert pull(feeds, tmp_path, content, "good") == "quarantined"
    diff = feeds.desk.feed_diff("good")
    assert (diff["exempts"], diff["appear"], diff["leave"], diff["stay"]) == (True, 202, 0, 1)
    assert [(zone["zone"], zone["leave"], sorted(zone["leaving"])) for zone in diff["zones"]] == [
        ("ip", 3, ["46.0.0.1", "46.0.0.2", "46.1.0.1"])
    ]
    feeds.desk.release_feed("good")
    feeds.settle()
    assert [listed(feeds, subject) for subject in ("46.0.0.1", "46.1.0.1", "46.0.9.1")] == [False, False, True]


def test_hosts_of_one_64_are_one(feeds: App, tmp_path: Path) -> None:
    """As the feed takes them: else each of a diff's would appear for ever."""
    pull(feeds, tmp_path, b"2a00::1\n2a00::2\n")
    (feeds.data_dir / "quarantine").mkdir()
    (feeds.data_dir / "quarantine" / "mine").write_bytes(b"2a00::3\n2a00:0:0:1::1\n2a00:0:0:1::2\n")
    diff = feeds.desk.feed_diff("mine")
    assert (diff["stay"], diff["appearing"]) == (1, ["2a00:0:0:1::/64"])
