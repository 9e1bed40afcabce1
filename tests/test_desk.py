"""The operator's desk: what is done about sources is done at once, kept in the audit trail, and never half."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fresh import settings_in

from dnsbl import clock
from dnsbl.app import App
from dnsbl.desk import VOICES, base
from dnsbl.errors import IntakeError, StoreError
from dnsbl.intake.partners import create_key, digest, find_key
from dnsbl.intake.trapped import CONTENT, PROVEN
from dnsbl.model import Report
from dnsbl.reputation.guard import APPROVED, ENDED, HELD, REJECTED, day_place
from dnsbl.reputation.holding import end_days
from dnsbl.store import Hold, KeyLimits, SqliteStore
from dnsbl.store.schema import FIRST, MIGRATIONS, statements
from dnsbl.subjects import parse


@pytest.fixture
def partner(app: App) -> int:
    create_key(app.store, "acme", 0.8, ["report"], clock.now(), None, simulated=False)
    return app.desk.source("acme").id


def report(app: App, source: int, *subjects: str) -> None:
    app.store.take_reports(source, [Report(parse(subject), "spam", clock.now()) for subject in subjects])
    app.settle()


def audited(app: App) -> list[tuple[str, str, str]]:
    return [(row["who"], row["what"], row["subject"]) for row in app.store.audit_rows()]


def held(app: App, source: int, place: str = "net:46.1.0.0/16", **fields: Any) -> int:
    return app.store.put_hold(Hold(0, source, "ip", place, clock.now(), 300, 0.004, "many", **fields))


# sources


def test_a_source_is_shown_with_all_that_is_known_of_it(app: App, partner: int) -> None:
    report(app, partner, "46.1.0.1", "46.1.0.2")
    app.delist("46.1.0.1", "", "a mistake", wrong=True)
    held(app, partner)
    (row,) = app.desk.source_rows()
    assert (row["name"], row["kind"], row["granted"], row["simulated"]) == ("acme", "partner", 0.8, False)
    assert (row["listed"], row["overturned"], row["held"]) == (2, 1, 1)
    assert row["trust"] == pytest.approx(0.6)
    shown = app.desk.show_source("acme")
    assert [wrong["subject"] for wrong in shown["wrong"]] == ["46.1.0.1"]
    assert [hold["place"] for hold in shown["holds"]] == ["net:46.1.0.0/16"]
    assert shown["would_list"] == [], "it is live"
    app.desk.set_source("acme", simulated=True)
    assert app.desk.show_source("acme")["would_list"][0]["claimed"] == 1, "what a removal forgave is not claimed"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("nobody", {"trust": 0.5}, "no source 'nobody'"), ("acme", {}, "nothing to change"),
        ("acme", {"zones": ("nowhere",)}, "no zone nowhere"), ("a-list", {"trust": 0.5}, "TOML"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_changes_nothing(
    app: App, partner: int, name: str, change: dict[str, Any], said: str
) -> None:
    app.store.source("a-list", "feed", trust=0.7)
    before, audit = app.store.sources(), audited(app)
    with pytest.raises(IntakeError, match=said):
        app.desk.set_source(name, **change)
    assert (app.store.sources(), audited(app)) == (before, audit)


@pytest.mark.parametrize("kind", ["trap", "complaint"])
def test_the_trust_of_what_is_configured_is_not_set_here(app: App, kind: str) -> None:
    """It was taken, and undone at the next start."""
    app.store.source("caught", kind, trust=0.3)
    with pytest.raises(IntakeError, match=r"its trust is trap.trust in dnsbl.toml"):
        app.desk.set_source("caught", trust=0.9)
    assert app.desk.set_source("caught", daily=7)["daily"] == 7


def test_who_is_let_live_and_lists_nothing_alone_is_said(app: App, partner: int) -> None:
    app.desk.set_source("acme", trust=0.5, simulated=True)
    assert app.desk.set_source("acme", simulated=False)["note"] == "lists nothing alone"
    assert "note" not in app.desk.set_source("acme", trust=0.6, simulated=False)
    assert "note" not in app.desk.set_source("acme", trust=0.5)


def test_what_is_set_is_given_and_audited(app: App, partner: int) -> None:
    row = app.desk.set_source("acme", 0.7, True, 9, ("ip",))
    assert (row["trust"], row["granted"], row["simulated"], row["daily"], row["zones"]) == (0.7, 0.7, True, 9, ["ip"])
    assert audited(app)[0] == ("operator", "source set", "acme")
    assert app.desk.set_source("acme", zones=())["zones"] == []


def test_a_granted_trust_is_at_once_less_what_mistakes_cost(app: App, partner: int) -> None:
    app.store.overturn([partner], parse("46.1.0.1"), clock.now(), "why")
    row = app.desk.set_source("acme", trust=1.0)
    assert (row["granted"], row["trust"]) == (1.0, pytest.approx(0.75))
    assert ("trust", "source trust", "acme") in audited(app)


def test_a_zone_of_its_own_is_the_only_one_it_counts_in(app: App, partner: int) -> None:
    app.desk.set_source("acme", zones=("domain",))
    report(app, partner, "46.1.0.1", "bad.example")
    assert app.dns_codes("ip", parse("46.1.0.1")) == []
    assert app.dns_codes("domain", parse("bad.example")) == ["127.0.1.2"]


# purges


def test_a_purge_is_in_the_trail_and_can_be_undone_by_its_number(app: App, partner: int) -> None:
    report(app, partner, "46.1.0.1")
    done = app.desk.purge("acme", "poisoned", None, None)
    app.settle()
    assert (done["source"], done["reports"], done["undone"]) == ("acme", 1, None)
    assert app.desk.purge_rows() == [done]
    assert app.desk.source_row(app.desk.source("acme"), clock.now(), app.desk.held())["simulated"]
    assert app.dns_codes("ip", parse("46.1.0.1")) == []
    assert app.desk.undo_purge(done["id"])["undone"]
    app.settle()
    assert app.dns_codes("ip", parse("46.1.0.1")) == ["127.0.0.2"]
    assert audited(app)[:2] == [("operator", "source undo", "acme"), ("operator", "source purge", "acme")]
    with pytest.raises(StoreError, match="no purge"):
        app.desk.undo_purge(done["id"])
    with pytest.raises(IntakeError, match="no source"):
        app.desk.purge("nobody", "why", None, None)


TABLES = ("report", "evidence", "entry", "source")


def dump(store: SqliteStore) -> dict[str, list[tuple[Any, ...]]]:
    """Every row with the type of each column: a key that became a text is another key."""
    found = {}
    for table in TABLES:
        columns = [row[1] for row in store.rows(f"PRAGMA table_info({table})")]
        wanted = ", ".join(f"{column}, typeof({column})" for column in columns)
        found[table] = store.rows(f"SELECT {wanted} FROM {table} ORDER BY {', '.join(columns)}")
    return found


def test_a_purge_undone_is_the_same_to_the_last_byte(app: App, partner: int) -> None:
    now = clock.now()
    subjects = ["46.1.0.1", "46.1.0.0/24", "2a00::1", "2a00::2", "2a00::/64", "2a00:0:0:1::/65", "bad.example"]
    kinds = [(n, category) for n in range(3) for category in ("spam", "malware")]
    app.store.take_reports(
        partner, [Report(parse(s), c, now - n, f"r{n}", "w" * n) for n, c in kinds for s in subjects]
    )
    app.store.replace_entries(partner, {parse(s): 3 for s in subjects}, {parse("46.1.0.1"): "malware"}, "spam", now)
    app.store.replace_entries(partner, {parse("46.1.0.1"): 3}, {}, "malware", now)
    app.settle()
    before, listed = dump(app.store), set(app.store.rows("SELECT zone, subject, codes FROM listing"))
    for window in ((None, None), (now - 1, None), (None, now), (now - 1, now)):
        done = app.desk.purge("acme", "why", *window)
        app.settle()
        assert dump(app.store) != before
        app.desk.undo_purge(done["id"])
        app.settle()
        assert dump(app.store) == before
        assert set(app.store.rows("SELECT zone, subject, codes FROM listing")) == listed
        assert app.store.check() == []


@pytest.mark.parametrize("undone", [0, 1, 2])
def test_a_purge_takes_all_voices_of_a_source_and_is_undone_as_one(app: App, undone: int) -> None:
    """What its mails led to stayed listed under its other name."""
    names = ["trap-typo", "trap-typo-content", "trap-typo-proven"]
    ids = [app.store.source(name, "trap", trust=0.9, family="traps").id for name in names]
    other = app.store.source("trap-pristine-content", "trap", trust=0.9, family="traps").id
    for number, source in enumerate([*ids, other]):
        report(app, source, f"46.{number + 1}.0.1")
    before, listed = dump(app.store), app.store.listing_count("ip")
    done = app.desk.purge("trap-typo", "poisoned", None, None)
    app.settle()
    assert [row["source"] for row in [done, *done["also"]]] == names
    assert [source.simulated for source in app.store.sources().values()] == [True, True, True, False]
    assert app.store.listing_count("ip") == listed - 3
    app.desk.undo_purge([done, *done["also"]][undone]["id"])
    app.settle()
    assert (dump(app.store), app.store.listing_count("ip")) == (before, listed)
    assert all(row["undone"] for row in app.desk.purge_rows())


def test_purges_that_are_no_one_deed_are_undone_alone(app: App, partner: int) -> None:
    """Partners' names are their own: a partner that calls itself another's voice is not one."""
    create_key(app.store, "acme-content", 0.8, ["report"], clock.now(), None, simulated=False)
    for name in ("acme", "acme-content"):
        report(app, app.desk.source(name).id, "46.1.0.1")
    first = app.desk.purge("acme", "why", None, None)
    assert "also" not in first
    app.desk.purge("acme-content", "why", None, None)
    app.desk.undo_purge(first["id"])
    assert [row["source"] for row in app.desk.purge_rows() if not row["undone"]] == ["acme-content"]


def test_a_purge_of_nothing_is_not_written(app: App, partner: int) -> None:
    report(app, partner, "46.1.0.1")
    before, audit = app.store.sources(), audited(app)
    with pytest.raises(IntakeError, match="nothing to take away"):
        app.desk.purge("acme", "why", 0, 5)
    assert (app.store.sources(), audited(app), app.desk.purge_rows()) == (before, audit, [])


def test_the_names_of_voices_are_those_of_traps() -> None:
    assert set(VOICES) == {CONTENT, PROVEN}


# what waits


def test_a_decision_holds_for_all_of_a_family_that_wait_there(app: App, partner: int) -> None:
    """Rejecting hit the one in whose name the place was held, and no other."""
    create_key(app.store, "twin", 0.8, ["report"], clock.now(), None, simulated=False)
    twin = app.desk.source("twin").id
    for source in (partner, twin):
        app.store.set_source(source, network="31.7.7.0/24")
    number, others = held(app, partner), held(app, twin)
    elsewhere = held(app, twin, place="net:46.2.0.0/16")
    assert app.desk.decide(number, False, "a rival's")["source"] == "acme"
    states = {hold.id: hold.state for hold in app.store.holds()}
    assert states == {number: REJECTED, others: REJECTED, elsewhere: HELD}
    assert app.desk.source("acme").trust == app.desk.source("twin").trust == 0, "each by its own number"


def test_a_decision_is_kept_with_its_reason(app: App, partner: int) -> None:
    number = held(app, partner)
    until = clock.now() + clock.DAY
    row = app.desk.decide(number, True, "theirs, really", until)
    assert (row["state"], row["note"], row["until"]) == (APPROVED, "theirs, really", clock.rfc3339(until))
    assert app.desk.waiting()["holds"] == []
    (kept,) = app.desk.waiting(everything=True)["holds"]
    assert kept["state"] == APPROVED
    assert audited(app)[0] == ("operator", "hold approved", "acme net:46.1.0.0/16")
    app.desk.decide(number, False, "no, a rival's", until)
    (hold,) = app.store.holds()
    assert (hold.state, hold.until) == (REJECTED, None), "what is rejected has no end"
    assert app.desk.source("acme").trust == 0, "300 listings of that kind cost all"


def test_what_does_not_wait_cannot_be_decided(app: App, partner: int) -> None:
    with pytest.raises(IntakeError, match="number 7"):
        app.desk.decide(7, True, "why")
    assert app.store.holds() == []


def test_a_day_that_ends_does_not_undo_what_a_person_decided_meanwhile(
    app: App, partner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wrote what it had read before: an approval of that moment was lost."""
    number = held(app, partner, place="day:1", until=clock.DAY * 2)
    read = app.store.holds

    def holds() -> list[Hold]:
        found = read()
        monkeypatch.undo()
        app.desk.decide(number, False, "all of it wrong")
        return found

    monkeypatch.setattr(app.store, "holds", holds)
    end_days(app.store, clock.now())
    assert [hold.state for hold in app.store.holds()] == [REJECTED]


def test_a_day_that_ends_decides_anew_what_it_kept_off(app: App, partner: int) -> None:
    app.store.take_reports(partner, [Report(parse("46.1.0.1"), "spam", clock.now())])
    app.settle()
    number = held(app, partner, place=day_place(clock.now()), until=(clock.now() // clock.DAY + 1) * clock.DAY)
    end_days(app.store, clock.now())
    assert (app.store.touched(9), app.store.holds()[0].state) == ([], HELD)
    end_days(app.store, clock.now() + clock.DAY)
    assert (app.store.touched(9), app.store.holds()[0].state) == ([parse("46.1.0.1")], ENDED)
    assert app.store.holds()[0].id == number


def test_who_tried_what_is_shown_newest_first(app: App, partner: int) -> None:
    app.store.add_attempts(partner, {parse("8.8.8.8"): "exempt"}, 100)
    app.store.add_attempts(partner, {parse("10.0.0.1"): "special"}, 200)
    rows = app.desk.waiting()["attempts"]
    assert [(row["source"], row["subject"], row["why"], row["count"]) for row in rows] == [
        ("acme", "10.0.0.1", "special", 1), ("acme", "8.8.8.8", "exempt", 1)
    ]  # fmt: skip


def test_a_page_that_is_polled_does_not_read_all_that_is_claimed_each_time(
    app: App, partner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much is claimed may be a minute old; what waits never is, and a deed makes all of it new."""
    report(app, partner, "46.1.0.1", "46.1.0.2")
    number = held(app, partner)
    app.store.set_source(partner, simulated=True)
    reads: list[str] = []
    for name in ("claims_between", "subjects_of"):
        real = getattr(app.store, name)
        monkeypatch.setattr(
            app.store, name, lambda *said, real=real, name=name, **more: reads.append(name) or real(*said, **more)
        )
    assert [app.desk.show_source("acme")["would_list"][0]["claimed"] for _ in range(3)] == [2, 2, 2]
    assert [len(app.desk.waiting()["holds"]) for _ in range(3)] == [1, 1, 1]
    assert sorted(reads) == ["claims_between", "subjects_of"]
    held(app, partner, place="net:46.2.0.0/16")
    assert len(app.desk.waiting()["holds"]) == 2
    app.desk.decide(number, False, "theirs")
    assert len(app.desk.waiting()["holds"]) == 1
    app.desk.show_source("acme")
    assert reads.count("subjects_of") >= 2


def test_what_is_figured_is_figured_anew_after_its_minute(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = 100.0, iter(range(9))
    monkeypatch.setattr(base.time, "monotonic", lambda: now)
    assert [app.desk.figure("a", lambda: next(made)) for _ in range(2)] == [0, 0]
    assert app.desk.figure("b", lambda: next(made)) == 1
    now += base.FRESH + 1
    assert app.desk.figure("a", lambda: next(made)) == 2
    app.desk.outdated()
    assert app.desk.figure("a", lambda: next(made)) == 3
    for number in range(base.MAX_FIGURES):
        app.desk.figure(number, lambda: None)
    assert len(app.desk.figures) == base.MAX_FIGURES
    assert app.desk.figure("a", lambda: next(made)) == 4, "what nobody asked for went first"


def test_a_page_looks_at_the_first_of_what_is_claimed(app: App, partner: int) -> None:
    app.store.set_source(partner, simulated=True)
    report(app, partner, *(f"46.1.0.{n}" for n in range(9)))
    assert app.desk.show_source("acme", most=4)["would_list"][0]["claimed"] == 4
    assert app.desk.show_source("acme")["would_list"][0]["claimed"] == 9


# what was wrong


def test_a_wrong_listing_is_held_against_strangers_alone(app: App, partner: int) -> None:
    operator = app.store.source("operator", "operator", trust=1.0).id
    report(app, partner, "46.1.0.1")
    report(app, operator, "46.1.0.1")
    assert app.desk.overturn(parse("46.1.0.1"), "why") == ["acme"]
    assert app.desk.overturn(parse("46.1.0.2"), "why") == []


@pytest.mark.parametrize(
    ("claimed", "wrong"), [("46.1.0.0/24", "46.1.0.9"), ("bad.example", "www.bad.example"), ("2a00::1", "2a00::2")]
)
def test_who_claimed_what_contains_it_is_blamed_too(app: App, partner: int, claimed: str, wrong: str) -> None:
    """A /24 that was reported took an innocent with it, and cost nothing."""
    report(app, partner, claimed)
    assert app.desk.overturn(parse(wrong), "why") == ["acme"]
    assert app.desk.source("acme").trust < 0.8


def test_evidence_of_what_contains_a_subject_is_found(app: App, partner: int) -> None:
    app.store.add_sample(partner, "mail", {"subject": "buy"}, [parse("46.1.0.0/24")], 100)
    (sample,) = app.desk.evidence_of(parse("46.1.0.7"))
    assert (sample["source"], sample["kind"], sample["facts"]) == ("acme", "mail", {"subject": "buy"})
    assert app.desk.evidence_of(parse("46.1.1.7")) == []


# a store of before

OLD_ROWS = """
INSERT INTO category (name) VALUES ('spam');
INSERT INTO meta VALUES ('identity', 'abc');
INSERT INTO meta VALUES ('exemptions_version', 3);
INSERT INTO source VALUES (1, 'acme', 'partner', 0.6, 'acme', 1);
INSERT INTO source VALUES (2, 'a-list', 'import', 0.9, 'f', 0);
INSERT INTO reporter VALUES (1, 1, '');
INSERT INTO report VALUES (x'342e01000120', 1, 1, 1, 1789999000, '');
INSERT INTO evidence VALUES (x'342e01000120', 1, 1, 1, 1, 1789999000, 1789999000);
INSERT INTO entry VALUES (x'342e01000220', 2, 1, 4, 1789999000, NULL);
INSERT INTO listing VALUES ('ip', x'342e01000220', '127.0.0.2', 1789999000, NULL, NULL);
INSERT INTO listing_change VALUES (5, 1789999000, 'ip', x'342e01000220', '127.0.0.2');
INSERT INTO exemption VALUES (1, x'342e01000920', '', 'operator', 'ours', 1789999000, NULL, 0);
INSERT INTO idempotency VALUES ('k', '{}', 1789999000);
INSERT INTO audit VALUES (1, 1789999000, 'operator', 'allow', '46.1.0.9', 'ours');
"""


def old_store(path: Path) -> None:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in statements(FIRST) + statements(OLD_ROWS):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO key VALUES (1, 'acme', ?, 1, '[\"report\"]', 1789999000, NULL, NULL, NULL)", (digest("secret"),)
    )
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_a_store_of_the_version_before_keeps_everything(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "old")
    path = settings.config.data_dir / "store.sqlite"
    old_store(path)
    with App(settings) as app:
        store = app.store
        assert store.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]
        acme, a_list = store.sources().values()
        assert (acme.trust, acme.granted, a_list.trust, a_list.granted) == (0.6, 0.6, 0.9, 0.9)
        assert (acme.simulated, acme.daily, acme.half_weight, acme.zones, acme.network) == (False, None, None, (), "")
        key = find_key(store, "secret", 1_790_000_000)
        assert key is not None
        assert (key.source, key.scopes, key.limits) == (1, ["report"], KeyLimits())
        ours = [e for e in store.exemptions() if e.origin == "operator"]
        assert [(e.subject, e.reason, e.exact) for e in ours] == [(parse("46.1.0.9"), "ours", False)]
        assert (store.identity(), store.idempotent_answer("k")) == ("abc", "{}")
        assert [row["what"] for row in store.audit_rows()] == ["allow"]
        assert store.counts()["report"] == store.counts()["evidence"] == store.counts()["entry"] == 1
        assert store.listing_count("ip") == 1
        assert store.change_seq() >= 5
        assert store.check() == []
        app.settle()
        assert app.dns_codes("ip", parse("46.1.0.2")) == ["127.0.0.2"]
        app.desk.set_source("acme", trust=0.8)
        report(app, key.source, "46.1.0.1")
        assert app.dns_codes("ip", parse("46.1.0.1")) == ["127.0.0.2"]
    with App(settings) as again:
        assert again.store.check() == []
        assert again.desk.source("acme").granted == 0.8
