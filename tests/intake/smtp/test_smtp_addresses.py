"""Whom mail is taken for, and as what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsbl.config.server import TrapAddress
from dnsbl.intake.smtp.addresses import Traps, parse_path

TRAPS = Traps(
    [
        TrapAddress.model_validate(entry)
        for entry in (
            {"domain": "Trap.example", "class": "pristine"},
            {"domain": "old.trap.example", "class": "recycled"},
            {"domain": "xn--mnchen-3ya.example", "class": "typo"},
            {"address": "Feed@old.trap.example", "class": "feedback"},
            {"address": "feed@old.trap.example", "class": "typo"},
            {"address": "lone@desk.example", "class": "feedback"},
            {"address": "postmaster@bait.example", "class": "pristine"},
        )
    ],
    "MX.example",
)


@pytest.mark.parametrize(
    ("address", "class_"),
    [
        ("anyone@trap.example", "pristine"), ("anyone@deep.below.trap.example", "pristine"),
        ("anyone@TRAP.Example.", "pristine"), ("x@old.trap.example", "recycled"), ("x@a.old.trap.example", "recycled"),
        ("feed@old.trap.example", "feedback"), ("FEED@Old.Trap.Example", "feedback"),
        ("feed+spam@old.trap.example", "feedback"), ('"feed"@old.trap.example', "feedback"),
        ("feeder@old.trap.example", "recycled"), ("feed@trap.example", "pristine"),
        ("lone@desk.example", "feedback"), ("lone+a+b@desk.example", "feedback"),
        ("x@münchen.example", "typo"), ("x@MÜNCHEN.example", "typo"),
        ("x%other.example@trap.example", "pristine"), ('"a@b"@trap.example', "pristine"),
        ("postmaster@trap.example", "postmaster"), ("PostMaster@below.old.trap.example", "postmaster"),
        ("postmaster@desk.example", "postmaster"), ("postmaster@mx.example", "postmaster"),
        ("postmaster", "postmaster"), ("POSTMASTER", "postmaster"), ("postmaster@bait.example", "pristine"),
    ],
)  # fmt: skip
def test_declared(address: str, class_: str) -> None:
    found = TRAPS.find(address)
    assert found is not None and found.class_ == class_


@pytest.mark.parametrize(
    "address",
    [
        "x@example", "x@nottrap.example", "x@trap.example.org", "x@example.org", "other@desk.example",
        "+x@desk.example", "lone@below.desk.example", "postmaster@elsewhere.example", "postmaster+a@desk.example",
        "x@mx.example", "x", "", "@", "@trap.example", "x@", "x@[192.0.2.1]", "x@trap.example@elsewhere.example",
        "x@trap..example", "x@\u200b.example",
    ],
)  # fmt: skip
def test_nobody(address: str) -> None:
    assert TRAPS.find(address) is None


def test_an_address_is_kept_as_written_but_for_its_domain() -> None:
    found = TRAPS.find("Some.Body+Tag@TRAP.Example.")
    assert found is not None and found.address == "Some.Body+Tag@trap.example"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<a@b.example>", ("a@b.example", "")), (" < a@b.example > SIZE=1", ("a@b.example", "SIZE=1")),
        ("<>", ("<>", "")), ("<> BODY=8BITMIME", ("<>", "BODY=8BITMIME")), ("a@b.example", ("a@b.example", "")),
        ("a@b.example SIZE=1", ("a@b.example", "SIZE=1")), ("<a@b.example>SIZE=1", ("a@b.example", "SIZE=1")),
        ("<@x.example,@y.example:a@b.example>", ("a@b.example", "")),
        ("<a\x80@b.example>", ("a\\x80@b.example", "")), ('<"a b>c"@d.example>', ('"a b>c"@d.example', "")),
        ("<a\udcff@b.example>", ("a\ufffd@b.example", "")), ("<ü@ü.example> SMTPUTF8", ("ü@ü.example", "SMTPUTF8")),
        ("", None), (" ", None), ("<a@b.example", None), ("<a b@c.example>", None), ("<<a@b.example>>", None),
        ('<"a@b.example>', None), ("<a\0@b.example>", None), ("<a\r@b.example>", None),
        ("<" + "a" * 400 + "@b.example>", None),
    ],
)  # fmt: skip
def test_paths(text: str, found: tuple[str, str] | None) -> None:
    assert parse_path(text) == found


@given(st.text(alphabet=st.sampled_from('<>"\\@:,.ab \t\0ü\udc80'), max_size=60) | st.text(max_size=60))
def test_whatever_a_path_is_it_can_be_written_down(text: str) -> None:
    found = parse_path(text)
    if found is not None:
        found[0].encode("utf-8")
        assert found[0].isprintable() and 0 < len(found[0]) <= 320
        TRAPS.find(found[0])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["\\", '"', "@", "a:", "<", '"\\', "a@", " ", '""'])
@pytest.mark.parametrize("around", ["<{}", "<@{}", '<"{}', "{}\0", "a@b.example {}\0"])
def test_a_long_path_costs_no_more_than_its_length(around: str, piece: str) -> None:
    """No pattern here goes back and forth: it would take minutes."""
    parse_path(around.format(piece * 100_000))
