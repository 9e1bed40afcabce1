"""One test a defect that was found by attacking, operating and reading the whole, named after it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dnsbl import clock
from dnsbl.app import App
from dnsbl.config import Settings, ZoneDef
from dnsbl.errors import DnsblError, IntakeError, Quarantined, StoreError, SubjectError
from dnsbl.intake import formats
from dnsbl.intake.gate import Gate
from dnsbl.intake.partners import create_key, find_key
from dnsbl.model import OTHER, Parsed, Report
from dnsbl.subjects import parse, range_keys


def listed(app: App, subject: str, zone: str = "ip") -> list[str]:
    (found,) = [each for each in app.check(subject)["zones"] if each["zone"] == zone]
    assert found["dns"] == found["codes"], "what is said and what DNS answers are one"
    return list(found["codes"])


def take(app: App, content: bytes, source: str = "mine", **options: object) -> dict[str, object]:
    terms = {"format": None, "category": "spam", "trust": None, "words": {}, **options}
    return app.import_file(io.BytesIO(content), source, **terms)  # type: ignore[arg-type]


def addresses(count: int, first: int = 46) -> bytes:
    return b"".join(b"%d.%d.%d.%d\n" % (first, n >> 16, n >> 8 & 255, n & 255) for n in range(count))


def test_a_removal_holds_though_the_list_drops_the_entry_later(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment of dropping was taken for a claim after the removal, and the subject was listed again by it."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    take(app, b"46.0.0.1\n46.0.0.2\n")
    app.delist("46.0.0.1", "", "cleaned up")
    now += 3600
    take(app, b"46.0.0.2\n")
    now += 8 * clock.DAY  # beyond the grace, within the entry's decay
    app.settle()
    assert listed(app, "46.0.0.1") == []
    assert listed(app, "46.0.0.2") == ["127.0.0.2"]


def test_a_partner_cannot_put_itself_on_the_white_list() -> None:
    gate = Gate(lambda _: None, 0)
    for word in ("trusted-sender", "Mail-Provider"):
        made = gate.report("46.0.0.1", word)
        assert isinstance(made, Report)
        assert (made.category, made.word) == (OTHER, word.lower())


@pytest.mark.parametrize("subject", ["co.uk", "github.io", "46.9.0.0/16", "2a01:4f8::/32"])
def test_one_report_does_not_list_what_belongs_to_many(app: App, subject: str) -> None:
    made = app.gate().report(subject, "spam")
    assert isinstance(made, str), "a public suffix or a provider's network needs more than a report"


def test_a_report_about_an_exempt_host_does_not_list_its_network(app: App) -> None:
    app.allow("2a00:1450:4009::1", "theirs", None)
    made = app.gate().report("2a00:1450:4009::1", "spam")
    assert isinstance(made, str)
    assert "theirs" in made


def test_two_dozen_wide_networks_are_quarantined(app: App) -> None:
    """They are few entries, and a tenth of the Internet."""
    wide = b"".join(b"%d.0.0.0/8\n" % n for n in range(20, 44))
    with pytest.raises(Quarantined, match="covers"):
        take(app, addresses(2000, 77) + wide)
    assert app.store.counts()["entry"] == 0


def test_a_time_in_a_policy_zone_is_read_at_once() -> None:
    """An expression that backtracks held up the whole process for minutes on one line."""
    parsed = formats.parse(b"x.example " + b"1" * 4000 + b"! CNAME .\nbad.example CNAME .\n", "rpz")
    assert list(parsed.hits) == [parse("bad.example")]


def test_names_of_very_many_labels_are_refused() -> None:
    with pytest.raises(SubjectError, match="labels"):
        parse("a." * 30 + "example")


def test_a_line_does_not_become_hundreds_of_networks() -> None:
    with pytest.raises(SubjectError, match="more than"):
        range_keys("2a00::1", "2aff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")


def test_reporters_without_end_do_not_make_a_subject_weigh_tons(app: App) -> None:
    source = app.store.source("p", "partner", trust=0.5)
    subject = parse("46.0.0.1")
    app.store.take_reports(source.id, [Report(subject, "spam", 1_790_000_000, f"r{n}") for n in range(3000)])
    assert len(app.store.evidence([subject])) <= 1001
    assert app.store.check() == []


def test_a_refused_key_changes_nothing_and_a_revoked_name_is_free_again(app: App) -> None:
    create_key(app.store, "acme", 0.3, ["report"], 0, None)
    with pytest.raises(IntakeError, match="exists"):
        create_key(app.store, "acme", 1.0, ["report"], 0, None)
    with pytest.raises(IntakeError):
        create_key(app.store, "operator", 0.1, ["report"], 0, None)
    assert [s.trust for s in app.store.sources().values()] == [0.3]
    app.revoke_key("acme")
    key, secret = create_key(app.store, "acme", 0.4, ["read"], 5, None)
    assert (key.scopes, key.revoked) == (["read"], None), "the new key is given, not the old one"
    assert find_key(app.store, secret, 6) == key


def test_a_source_keeps_its_kind(app: App) -> None:
    create_key(app.store, "acme", 0.2, ["report"], 0, None)
    with pytest.raises(StoreError, match="another source"):
        take(app, b"46.0.0.1\n", "acme", trust=0.95)
    assert [(s.kind, s.trust) for s in app.store.sources().values()] == [("partner", 0.2)]


def test_a_refused_import_does_not_change_trust(app: App) -> None:
    take(app, b"46.0.0.1\n")
    with pytest.raises(Quarantined):
        take(app, b"", trust=0.1)
    assert [s.trust for s in app.store.sources().values()] == [0.9]
    assert listed(app, "46.0.0.1") == ["127.0.0.2"]


def test_a_list_that_turns_into_exemptions_leaves_no_entries(app: App) -> None:
    warning = json.dumps({"name": "x", "type": "cidr", "list": ["47.0.0.0/24"]}).encode()
    take(app, b"46.0.0.1\n")
    take(app, warning, accept=True)
    assert listed(app, "46.0.0.1") == ["127.0.0.2"], "it decays now, and is not gone at once"
    assert app.store.evidence([parse("46.0.0.1")])[0][-1] == 0
    assert {e.origin for e in app.store.exemptions()} == {"mine", "built-in"}
    take(app, b"46.0.0.1\n", accept=True)
    assert {e.origin for e in app.store.exemptions()} == {"built-in"}


def test_a_restored_backup_is_followed_by_the_zones(settings: Settings, tmp_path: Path) -> None:
    """The copy's journal ends before the snapshots' number: nothing was published any more."""
    with App(settings) as app:
        take(app, b"46.0.0.1\n")
        app.store.backup(tmp_path / "copy.sqlite")
        take(app, b"46.0.0.1\n46.0.0.2\n")
        assert listed(app, "46.0.0.2") == ["127.0.0.2"]
    data = settings.config.data_dir
    for path in data.glob("store.sqlite*"):
        path.unlink()
    (tmp_path / "copy.sqlite").rename(data / "store.sqlite")
    with App(settings) as app:
        app.settle()
        assert listed(app, "46.0.0.2") == []
        app.report("46.0.0.3", "spam", "operator")
        assert listed(app, "46.0.0.3") == ["127.0.0.2"]


def test_a_zone_that_is_refused_holds_up_no_other(app: App) -> None:
    take(app, addresses(2000))
    app.store.add_exemption(exemption := app_exemption("46.0.0.0/8"))
    app.settle()
    assert set(app.unpublished) == {"ip"}, "all its listings would leave at once"
    app.report("bad.example", "phishing", "operator")
    assert listed(app, "bad.example", "domain") == ["127.0.1.4"]
    with pytest.raises(DnsblError, match="zone build ip --force"):
        app.need_published()
    app.store.remove_exemption(exemption.subject)
    app.settle()
    assert not app.unpublished


def app_exemption(subject: str):  # type: ignore[no-untyped-def]
    from dnsbl.store import Exemption

    return Exemption(parse(subject), "too much", "operator")


def test_escapes_of_strangers_are_shown_and_not_sent(app: App) -> None:
    with pytest.raises(IntakeError) as caught:
        take(app, b"time,\x1b[2Jip\x07,reporter\n1,2,3\n", format="csv")
    assert "\x1b" not in str(caught.value)
    parsed = Parsed()
    parsed.reject(1, "no dataset \x1b]0;x\x07 here")
    assert parsed.rejects[0].why == r"no dataset \x1b]0;x\x07 here"


def test_a_clock_that_was_ahead_takes_nothing_off_for_good(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    app.report("46.0.0.1", "spam", "operator")
    now += 400 * clock.DAY
    app.settle()
    assert listed(app, "46.0.0.1") == []
    now -= 400 * clock.DAY
    app.settle()
    assert listed(app, "46.0.0.1") == ["127.0.0.2"]


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({"transfer": ["192.0.2.0/24"]}, False),
        ({"transfer_keys": ["mirror"], "zonemd": True, "licence": "CC0", "terms": "refuse", "shutdown": True}, False),
        ({"ttl": "1h", "soa": {"retry": "1h"}, "ns": ["ns2.example"], "about": "spam"}, False),
        ({"removal": {"grace": "1d"}, "checks": {"max_drop": 0.5}, "access": {"keys": "optional"}}, False),
        ({"policy": {"list_at": 80}}, True),
        ({"policy": {"exempt": False}}, True),
        ({"codes": [{"code": "127.0.0.2", "categories": ["spam"]}]}, True),
    ],
    ids=str,
)
def test_only_what_listings_are_decided_by_has_all_of_them_decided_anew(
    app: App, change: dict[str, object], anew: bool
) -> None:
    """A network that may transfer a zone, added to its file, had a million listings decided again."""
    app.reconcile()
    take(app, b"46.0.0.1\n")
    zone = app.zones["ip"].model_dump()
    changed = ZoneDef.model_validate({**zone, **change})
    app.replace(app.settings.model_copy(update={"zones": {**app.zones, "ip": changed}}))
    assert bool(app.store.touched(1)) == anew


def test_a_code_that_says_something_else_is_published_though_nothing_is_decided(app: App) -> None:
    app.reconcile()
    take(app, b"46.0.0.1\n")
    zone = app.zones["ip"].model_dump()
    said = [{**code, "text": "$ is listed"} for code in zone["codes"]]
    changed = ZoneDef.model_validate({**zone, "codes": said})
    app.replace(app.settings.model_copy(update={"zones": {**app.zones, "ip": changed}}))
    assert not app.store.touched(1)
    assert [done.zone for done in app.settle()] == ["ip"]
    assert app.served("ip").zone.codes == changed.codes
