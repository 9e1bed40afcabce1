"""Partners' keys: random, kept as a hash, ended in time; and what they post."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnsbl.app import App
from dnsbl.errors import IntakeError
from dnsbl.intake.gate import Gate
from dnsbl.intake.partners import PREFIX, create_key, find_key, line_reports
from dnsbl.intake.reports import Intake

NOW = 1_790_000_000


def gate() -> Gate:
    return Gate(lambda _: None, NOW)


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


def test_a_line_is_one_report_or_none() -> None:
    intake = Intake()
    assert line_reports(3, b"  \r\n", gate(), intake) == []
    assert len(line_reports(4, b' {"subject": "46.0.0.1"}\r\n', gate(), intake)) == 1
    assert line_reports(5, b"nonsense", gate(), intake) == []
    assert [(reject.line, reject.why) for reject in intake.rejects] == [(5, "not JSON")]
