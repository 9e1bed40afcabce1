"""A list's new version: only what differs is written, what is wrong leaves everything as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnsbl.app import App
from dnsbl.errors import IntakeError, Quarantined
from dnsbl.intake.health import Limits
from dnsbl.intake.lists import ListTerms, Outcome, apply, read
from dnsbl.store import FeedState
from dnsbl.subjects import parse

NOW = 1_790_000_000
TERMS = ListTerms("plain", "spam")


def take(app: App, content: bytes, terms: ListTerms = TERMS, now: int = NOW, name: str = "mine") -> Outcome:
    source = app.store.source(name, "import", trust=0.9)
    state = app.store.feed_states().get(name) or FeedState(name)
    return apply(app.store, name, lambda: source, content, terms, state, now)


def entries(app: App) -> dict[bytes, tuple[int, int, int | None]]:
    return {row[0]: row[1:] for row in app.store.rows("SELECT subject, hits, since, gone FROM entry")}


def state(app: App) -> FeedState:
    return app.store.feed_states()["mine"]


def test_the_first_version(app: App) -> None:
    outcome = take(app, b"46.0.0.1\n46.0.0.1\n46.1.0.0/16\n10.0.0.0/8\nnonsense\n")
    assert outcome.entry == (2, 0, 0, 2)
    assert outcome.as_json()["repeated"] == 1
    assert outcome.as_json()["rejected"] == 2
    assert entries(app) == {parse("46.0.0.1"): (1, NOW, None), parse("46.1.0.0/16"): (1, NOW, None)}
    assert (state(app).state, state(app).entries, state(app).good_at, state(app).rejected) == ("ok", 2, NOW, 2)


def test_what_leaves_decays_from_then_and_what_comes_back_holds_again(app: App) -> None:
    take(app, b"46.0.0.1\n46.0.0.2\n")
    assert take(app, b"46.0.0.2\n46.0.0.3\n", now=NOW + 10).entry == (1, 1, 0, 2)
    assert entries(app) == {
        parse("46.0.0.1"): (1, NOW, NOW + 10),
        parse("46.0.0.2"): (1, NOW, None),
        parse("46.0.0.3"): (1, NOW + 10, None),
    }
    assert take(app, b"46.0.0.1\n46.0.0.2\n46.0.0.3\n", now=NOW + 20).entry == (1, 0, 0, 3)
    assert entries(app)[parse("46.0.0.1")] == (1, NOW + 20, None)


def test_the_same_bytes_are_not_read_again_unless_they_mean_something_else(app: App) -> None:
    content = b"46.0.0.1 # probe\n"
    assert take(app, content).state == "ok"
    assert take(app, content, now=NOW + 5).state == "unchanged"
    assert (state(app).checked_at, state(app).good_at, state(app).changed_at) == (NOW + 5, NOW + 5, NOW)
    for terms in (
        replace(TERMS, category="botnet"),
        replace(TERMS, words={"probe": "scanner"}),
        replace(TERMS, always=True),
    ):
        assert take(app, content, terms).state == "ok"
    assert take(app, content, replace(TERMS, limits=Limits(max_change=9))).state == "unchanged", "limits mean nothing"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only\n", b"<html></html>", b"no\nlist\n", b"\x00" * 100])
def test_what_is_wrong_changes_nothing_but_the_state(app: App, content: bytes) -> None:
    take(app, b"46.0.0.1\n")
    before, digest = entries(app), state(app).digest
    for times in (1, 2):
        with pytest.raises(Quarantined):
            take(app, content, now=NOW + 7)
        assert entries(app) == before
        assert (state(app).state, state(app).failures, state(app).good_at) == ("quarantined", times, NOW)
        assert state(app).digest == digest
        assert state(app).reason
    assert take(app, b"46.0.0.1\n", now=NOW + 9).state == "unchanged"
    assert (state(app).failures, state(app).reason) == (0, "")


def test_a_list_that_may_be_empty(app: App) -> None:
    terms = replace(TERMS, limits=Limits(min_entries=0))
    take(app, b"46.0.0.1\n", terms)
    assert take(app, b"", terms, now=NOW + 1).entry == (0, 1, 0, 0)


def test_a_warning_list_keeps_what_is_never_listed(app: App) -> None:
    terms = replace(TERMS, exempt=True, reason="Ours")
    assert take(app, b"10.0.0.0/8\n46.0.0.1\n", terms).entry.total == 2
    assert [(e.subject, e.reason, e.origin) for e in app.store.exemptions() if e.origin == "mine"] == [
        (parse("10.0.0.0/8"), "Ours", "mine"),
        (parse("46.0.0.1"), "Ours", "mine"),
    ]
    assert entries(app) == {}
    assert take(app, b"46.0.0.1\n", terms).entry == (0, 1, 0, 1)


def test_special_ranges_are_rejects_that_say_so() -> None:
    parsed = read(b"46.0.0.1\n127.0.0.1\n192.168.0.0/24\nfe80::/64\n224.0.0.1\n", TERMS)
    assert list(parsed.hits) == [parse("46.0.0.1")]
    assert parsed.rejected == 4
    assert all(reject.why for reject in parsed.rejects)
    with pytest.raises(IntakeError, match="no format 'x'"):
        read(b"46.0.0.1\n", replace(TERMS, format="x"))


versions = st.lists(st.frozensets(st.integers(0, 30), min_size=1), min_size=1, max_size=6)


@given(versions)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_of_versions_leaves_the_last_one_held(app: App, versions: list[frozenset[int]]) -> None:
    """Held is what the last version has, whatever came before; what only earlier ones had is gone, not forgotten."""
    app.store.writer.execute("DELETE FROM entry")
    app.store.writer.execute("DELETE FROM feed")
    held: set[int] = set()
    seen: set[int] = set()
    for at, version in enumerate(versions):
        outcome = take(app, b"".join(b"46.0.0.%d\n" % n for n in sorted(version)), now=NOW + at)
        if version != held or at == 0:
            assert outcome.entry[:2] == (len(version - held), len(held - version))
        else:
            assert outcome.state == "unchanged"
        held, seen = set(version), seen | version
        rows = entries(app)
        assert {subject for subject, row in rows.items() if row[2] is None} == {parse(f"46.0.0.{n}") for n in held}
        assert set(rows) == {parse(f"46.0.0.{n}") for n in seen}
