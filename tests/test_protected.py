"""Who is never listed before any warning list was fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnsbl import clock
from dnsbl import protected as protected_module
from dnsbl.app import App
from dnsbl.config import Settings
from dnsbl.protected import ORIGIN, REASON, Protected, protected
from dnsbl.reputation.guard import units
from dnsbl.special import never_listed, public_suffix, refusals, refused
from dnsbl.subjects import is_ip, kind, parse, text


def own(app: App) -> dict[bytes, bool]:
    return {e.subject: e.exact for e in app.store.exemptions() if e.origin == ORIGIN}


def test_the_file_names_networks_and_names_that_many_need() -> None:
    found = protected()
    for address in ("8.8.8.8", "1.1.1.1", "9.9.9.9", "198.41.0.4", "2001:500:2::/64"):
        assert parse(address) in found.networks
    for name in ("google.com", "bit.ly", "gmail.com"):
        assert parse(name) in found.names
    assert all(is_ip(key) for key in found.networks)
    assert {kind(key) for key in found.names} == {"domain"}
    assert len(found.digest) == 64


def test_it_exempts_no_more_than_it_must() -> None:
    """What is exempt cannot be listed by anybody: no large part of the Internet, and nothing that is refused anyway."""
    assert sum(units(key) for key in protected().networks if key[:1] == b"4") < 2**32 / 1000
    assert all(key[-1] >= 32 for key in protected().networks if key[:1] == b"6")
    for key in protected().networks:
        assert not never_listed(key), text(key)
    for key in protected().names:
        assert not never_listed(key), text(key)


def test_a_name_is_meant_alone(app: App) -> None:
    exempt = app.exemptions.get(clock.now())
    for key in protected().names:
        assert exempt.covers(key), text(key)
        assert not exempt.covers(key + b".some-customer") or public_suffix(key), text(key)
    for key in protected().networks:
        assert exempt.covers(key), text(key)


@pytest.mark.parametrize("host", ["www", "mail", "smtp", "login", "accounts"])
def test_the_usual_hosts_of_a_protected_name_are_protected_alone(app: App, host: str) -> None:
    """google.com could not be listed, accounts.google.com could."""
    exempt = app.exemptions.get(clock.now())
    assert exempt.covers(parse(f"{host}.google.com"))
    assert not exempt.covers(parse(f"a.{host}.google.com"))
    assert not exempt.covers(parse("some-customer.google.com"))


@pytest.mark.parametrize(("number", "why"), [("+112", "too short"), ("+911", "too short"), ("+123456", "too short")])
def test_a_number_that_is_no_subscribers_is_refused(number: str, why: str) -> None:
    """Emergency calls could be listed."""
    assert why in (refused(parse(number)) or "")
    assert refusals([parse(number)]) == {parse(number): "too short to be a subscriber's number"}
    assert refused(parse("+1234567")) is None


def test_a_new_installation_has_them_all(app: App) -> None:
    found = protected()
    assert own(app) == {**dict.fromkeys(found.networks, False), **dict.fromkeys(found.names, True)}
    assert app.check("8.8.8.8")["exemptions"][0]["reason"] == REASON


def test_they_are_read_once_and_written_once(settings: Settings) -> None:
    with App(settings) as app:
        version, seq = app.store.exemptions_version(), app.store.change_seq()
    with App(settings) as again:
        assert (again.store.exemptions_version(), again.store.change_seq()) == (version, seq)


def test_a_newer_program_has_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it no longer protects can be listed; what became meant alone is; what others exempt stays."""
    with App(settings) as app:
        app.allow("bit.ly", "ours too", None)
    kept = {parse("8.8.8.8")}
    newer = Protected(frozenset({*kept, parse("46.0.0.1")}), frozenset({parse("new.example")}), "another digest")
    monkeypatch.setattr("dnsbl.app.protected", lambda: newer)
    with App(settings) as app:
        assert own(app) == {parse("8.8.8.8"): False, parse("46.0.0.1"): False, parse("new.example"): True}
        assert app.exempt_reason()(parse("bit.ly")) == "exempt: ours too"
        assert app.exempt_reason()(parse("google.com")) is None


def test_what_was_listed_before_it_was_protected_leaves(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Protected(frozenset(), frozenset(), "none")
    with monkeypatch.context() as patched:
        patched.setattr("dnsbl.app.protected", lambda: none)
        with App(settings) as app:
            app.report("8.8.8.8", "spam", "operator")
            app.report("bit.ly", "spam", "operator")
            assert app.dns_codes("ip", parse("8.8.8.8")) == ["127.0.0.2"]
            assert app.dns_codes("domain", parse("bit.ly")) == ["127.0.1.2"]
    with App(settings) as app:
        app.settle()
        assert app.dns_codes("ip", parse("8.8.8.8")) == app.dns_codes("domain", parse("bit.ly")) == []
        assert app.store.check() == []


def test_the_file_comes_with_the_program() -> None:
    assert Path(protected_module.__file__).with_name("protected.txt").is_file()
    lines = Path(protected_module.__file__).with_name("protected.txt").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    assert len(entries) == len(set(entries)) == len(set(map(parse, entries)))
    assert protected().networks | protected().names >= set(map(parse, entries))
