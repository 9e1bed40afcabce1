"""Partners' keys: random, kept as a hash, ended in time; and what they post."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.app import App
from dnsbl.errors import IntakeError
from dnsbl.intake.partners import PREFIX, create_key, find_key, partner_gate, permit_of
from dnsbl.model import Report
from dnsbl.store import KeyLimits
from dnsbl.subjects import ancestors, parse, text

NOW = 1_790_000_000


def test_a_key_is_found_by_its_secret_and_by_nothing_else(app: App) -> None:
    key, secret = create_key(app.store, "acme", 0.6, ["report"], NOW, None)
    other, second = create_key(app.store, "other", 0.6, ["read"], NOW, None)
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    assert secret != second
    assert find_key(app.store, secret, NOW) == key
    assert find_key(app.store, second, NOW) == other
    for wrong in (
        "",
        PREFIX,
        secret[:-1],
        secret + " ",
        secret.upper(),
        "acme",
        "é\udcff".encode("utf-8", "replace").decode(),
    ):
        assert find_key(app.store, wrong, NOW) is None
    assert app.store.sources()[key.source].trust == 0.6


def test_a_secret_is_nowhere_on_the_disk(app: App) -> None:
    _, secret = create_key(app.store, "acme", 0.6, ["report"], NOW, None)
    app.store.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in Path(app.data_dir).glob("store.sqlite*"):
        assert secret.encode() not in path.read_bytes()
        assert secret.removeprefix(PREFIX).encode() not in path.read_bytes()


def test_keys_expire_and_are_revoked(app: App) -> None:
    _, secret = create_key(app.store, "acme", 0.6, ["report"], NOW, NOW + 10)
    assert find_key(app.store, secret, NOW + 9) is not None
    assert find_key(app.store, secret, NOW + 10) is None
    _, second = create_key(app.store, "other", 0.6, ["report"], NOW, None)
    assert app.store.revoke_key("other", NOW + 5) == 1
    assert find_key(app.store, second, NOW + 4) is None, "revoked is revoked"
    assert app.store.revoke_key("other", NOW + 6) == 0


def test_a_refused_key_changes_nothing(app: App) -> None:
    """Least of all how far somebody else is believed."""
    create_key(app.store, "acme", 0.3, ["report"], NOW, None)
    app.store.source("feed", "feed", trust=0.5)
    before = app.store.sources()
    for name, scopes, why in (
        ("acme", ["report"], "'acme'"),
        ("feed", ["report"], "another source"),
        ("new", ["everything"], "unknown scope everything"),
        ("", ["report"], "name"),
        ("  ", ["report"], "name"),
    ):
        with pytest.raises(IntakeError, match=why):
            create_key(app.store, name, 1.0, scopes, NOW, None)
    assert app.store.sources() == before
    assert [key.name for key in app.store.all_keys()] == ["acme"]


def test_a_new_partner_lists_nothing_until_somebody_says_so(app: App) -> None:
    new, _ = create_key(app.store, "new", 0.6, ["report"], NOW, None)
    sure, _ = create_key(app.store, "sure", 0.6, ["report"], NOW, None, simulated=False, zones=["ip"], daily_listings=9)
    sources = app.store.sources()
    assert (sources[new.source].simulated, sources[new.source].zones, sources[new.source].daily) == (True, (), None)
    assert (sources[sure.source].simulated, sources[sure.source].zones, sources[sure.source].daily) == (
        False, ("ip",), 9
    )  # fmt: skip
    assert sources[new.source].granted == 0.6


def test_another_key_leaves_a_partner_as_it_is(app: App) -> None:
    key, _ = create_key(app.store, "acme", 0.6, ["report"], NOW, None, simulated=False, zones=["ip"], daily_listings=9)
    app.store.set_source(key.source, family="friends", network="60.1.2.0/24")
    app.store.revoke_key("acme", NOW)
    second, _ = create_key(app.store, "acme", 0.7, ["report"], NOW, None)
    source = app.store.sources()[second.source]
    assert second.source == key.source
    assert (source.trust, source.granted) == (0.7, 0.7)
    assert (source.simulated, source.zones, source.daily) == (False, ("ip",), 9)
    assert (source.family, source.network) == ("friends", "60.1.2.0/24")


def test_limits_are_kept_as_we_write_them(app: App) -> None:
    said = KeyLimits(("spam",), (" 60.0.0.0/255.0.0.0", "BAD.Example."), ("60.1.2.3", "2A00::/16"), 10, 5)
    key, secret = create_key(app.store, "acme", 0.6, ["report"], NOW, None, said)
    assert key.limits == KeyLimits(("spam",), ("60.0.0.0/8", "bad.example"), ("60.1.2.3/32", "2a00::/16"), 10, 5)
    assert find_key(app.store, secret, NOW) == key


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (KeyLimits(categories=("evil",)), "unknown category evil"),
        (KeyLimits(about=("60.0.0.1/8",)), "host bits"),
        (KeyLimits(about=("com",)), "single label"),
        (KeyLimits(about=("+4930123456",)), "neither a network nor a domain"),
        (KeyLimits(about=("60.0.0.1",) * 1001), "1000 at most"),
        (KeyLimits(origins=("60.0.0.1/8",)), "host bits"),
        (KeyLimits(origins=("example.com",)), "origins 'example.com'"),
        (KeyLimits(daily=0), "reports a day: one or more"),
        (KeyLimits(burst=-1), "burst: one or more"),
    ],
)
def test_limits_that_mean_nothing_are_refused(app: App, limits: KeyLimits, why: str) -> None:
    with pytest.raises(IntakeError, match=why):
        create_key(app.store, "acme", 0.6, ["report"], NOW, None, limits)
    assert app.store.all_keys() == []
    assert "acme" not in {source.name for source in app.store.sources().values()}


@given(st.sampled_from(["60.1.2.3", "60.1.0.0/16", "60.0.0.0/8", "2a00::1", "2a00::/32", "a.example.com", "b.com"]))
def test_a_key_may_report_what_is_wholly_inside_what_it_is_for(subject: str) -> None:
    about = ("60.1.0.0/16", "2a00::/32", "example.com")
    permit = permit_of(KeyLimits(about=about))
    assert permit is not None
    why = permit(Report(parse(subject), "spam", NOW))
    allowed = set(about) & {text(above) for above in ancestors(parse(subject))}
    assert (why is None) == bool(allowed)


def test_a_key_without_limits_asks_nothing() -> None:
    assert permit_of(KeyLimits(origins=("60.0.0.0/8",), daily=5)) is None
    permit = permit_of(KeyLimits(categories=("spam",)))
    assert permit is not None
    assert permit(Report(parse("60.0.0.1"), "malware", NOW)) == "this key may not report malware"


def test_partners_pass_a_gate_that_counts_networks_and_takes_wide_ones() -> None:
    gate = partner_gate(lambda _: None, NOW)
    made = gate.report("60.0.0.0/8", reporter="trap-17")
    assert isinstance(made, Report)
    assert made.reporter == ""
    assert gate.report("60.0.0.0/7") == "wider than /8: needs an operator"
    assert isinstance(gate.report("2a00:2000::/19"), Report)
