"""Hash and E.164 zones: a subject answers for itself alone, by deltas as by a whole build, and at real size."""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_build import events, run
from worlds import DAY, EXAMPLES, HASH, PHONE, World, world, zone

from dnsbl import config, documents
from dnsbl.errors import PublishRefused
from dnsbl.hashing import email_hash, file_hash, url_hash
from dnsbl.intake.formats import FormatOptions
from dnsbl.intake.formats import parse as parse_list
from dnsbl.subjects import parse, text, zone_name
from dnsbl.zones import exact, names
from dnsbl.zones.served import ServedZone
from dnsbl.zones.snapshot import EMPTY_NAME
from dnsbl.zones.view import EMPTY, NOTHING

SAMPLES = Path(__file__).parent.parent / "samples"

# Numbers above and beside one another, and near and at the test points.
NUMBERS = ["+123", "+1234", "+12345", "+12346", "+1235", "+13333", "+999", "+99912700000000", "+999127000000001",
           "+999127000000004", "+999127000000003", "+998"]  # fmt: skip
HASHES = [
    *(text(email_hash(address)) for address in ("a@b.example", "test@example.com", "invalid@example.com")),
    text(file_hash(b"x")), text(url_hash("http://a.example/")), "email:" + "0" * 40, "url:" + "0" * 40,
]  # fmt: skip


def path(subject: str) -> bytes:
    return zone_name(parse(subject))


def answered(served: ServedZone, name: bytes) -> set[int] | None:
    found = served.lookup_name(name.split(b"."))
    return None if found == EMPTY else set(served.answers[found])


ASKED_NUMBERS = sorted(
    {path(n)[:size] for n in NUMBERS for size in range(1, len(path(n)) + 1, 2)} | {path(n) + b".7" for n in NUMBERS}
)
ASKED_HASHES = sorted(
    {path(h) for h in HASHES} | {path(h) + b".x" for h in HASHES} | {b"_email", b"_file", b"_url", b"_cw", b"email"}
)


def assert_numbers(w: World, name: str, served: ServedZone) -> None:
    for asked in ASKED_NUMBERS:
        assert answered(served, asked) == w.exact_codes(name, asked), asked


def assert_hashes(w: World, name: str, served: ServedZone) -> None:
    for asked in ASKED_HASHES:
        assert answered(served, asked) == w.exact_codes(name, asked), asked


@settings(max_examples=40 * EXAMPLES, deadline=None)
@given(events(NUMBERS, [], "phone"))
@example([("list", {"+1234", "+12345"}), ("publish",), ("list", {"+12345"}), ("publish",), ("list", set())])
@example([("list", {"+999", "+999127000000004", "+999127000000001"}), ("publish",), ("list", set())])
@example([("report", "+12345", "spam"), ("publish",), ("exempt", "+12345", "", DAY), ("publish",), ("pass", 3 * DAY)])
def test_deltas_of_numbers_answer_as_a_whole_build(happened: list[tuple]) -> None:
    run(happened, "phone", assert_numbers, (PHONE,))


@settings(max_examples=40 * EXAMPLES, deadline=None)
@given(events(HASHES, [], "hash"))
@example([("list", set(HASHES)), ("publish",), ("list", set()), ("publish",)])
def test_deltas_of_hashes_answer_as_a_whole_build(happened: list[tuple]) -> None:
    run(happened, "hash", assert_hashes, (HASH,))


# test points


def test_the_test_points_of_a_hash_zone_answer_under_every_type() -> None:
    """Made here without our own functions: these are what the documentation tells others."""
    with world([HASH]) as w:
        w.publish("hash")
        served = w.served("hash")
        for word, codes in (("test", {0, 1, 2}), ("spam", {0}), ("malware", {1}), ("dynamic", {2}), ("invalid", set())):
            address = f"{word}@example.com".encode()
            digest = base64.b32encode(hashlib.sha256(address).digest()).decode().lower().rstrip("=")
            url = hashlib.sha1(f"https://example.com/{word}".encode()).hexdigest()
            for name in (f"_email.{hashlib.sha1(address).hexdigest()}", f"_file.{digest}", f"_url.{url}"):
                assert answered(served, name.encode()) == codes, (word, name)
        assert answered(served, b"_email") is None
        assert answered(served, b"test") == set()


def test_the_test_points_of_a_number_zone_are_its_codes_in_digits() -> None:
    with world([PHONE]) as w:
        w.publish("phone")
        served = w.served("phone")
        for number, codes in (
            ("+999127000000002", {0, 1, 2}), ("+999127000000004", {1}), ("+999127000000010", {2}),
            ("+999127000000001", set()), ("+999127000000003", set()),
        ):  # fmt: skip
            assert answered(served, ".".join(number[1:]).encode()) == codes, number
        assert answered(served, b"9.9.9") is None
        assert answered(served, b"1") == set()


@pytest.mark.parametrize(
    ("made", "subject"), [(PHONE, "+999127000000001"), (HASH, text(email_hash("invalid@example.com")))]
)
def test_what_is_never_listed_cannot_be_listed(made, subject) -> None:
    """Else any feed could bring a zone's publishing to an end."""
    with world([made]) as w:
        w.listed([subject])
        w.settle()
        w.publish(made.name)
        assert answered(w.served(made.name), path(subject)) == set()
        w.report(subject)
        w.settle()
        w.publish(made.name)
        assert answered(w.served(made.name), path(subject)) == set()


def test_what_is_exempt_does_not_take_the_test_points_away() -> None:
    with world([PHONE]) as w:
        w.publish("phone")
        w.exempt("+999127000000004")
        w.settle()
        w.publish("phone")
        assert answered(w.served("phone"), path("+999127000000004")) == {1}
        assert answered(w.fresh("phone"), path("+999127000000004")) == {1}


@pytest.mark.parametrize("found", [{}, {b"5": 1}])
def test_a_zone_without_its_test_points_is_not_published(monkeypatch: pytest.MonkeyPatch, found) -> None:
    with world([PHONE]) as w:
        monkeypatch.setattr(exact, "whole", lambda *_: found)
        with pytest.raises(PublishRefused, match="test names"):
            w.publish("phone")


def test_a_zone_that_lists_what_is_never_listed_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    with world([PHONE]) as w:
        w.publish("phone")
        monkeypatch.setattr(exact, "never_listed", lambda _: [parse("+999127000000010")])
        with pytest.raises(PublishRefused, match="test names"):
            w.publish("phone", force=True)


@pytest.mark.parametrize("name", ["hash", "phone"])
def test_every_code_of_the_bundled_zones_can_be_asked_for(name: str) -> None:
    made = config.load(SAMPLES / "empty.toml").zones[name]
    with world([made]) as w:
        w.publish(name)
        served = w.served(name)
        found = [documents.answered(served, subject) for subject in exact.test_points(made)]
        codes = [code.code for code in made.codes]
        assert codes in found and {tuple(each) for each in found} == {tuple(codes), *((code,) for code in codes)}
        assert not any(documents.answered(served, subject) for subject in exact.never_listed(made))


# look-ups


def test_a_label_that_holds_a_dot_is_in_no_name() -> None:
    with world([PHONE]) as w:
        w.listed(["+12345"])
        w.settle()
        w.publish("phone")
        served = w.served("phone")
        assert served.lookup_name([b"1", b"2", b"3", b"4", b"5"]) > 0
        for labels in ([b"1.2.3.4.5"], [b"1", b"2.3", b"4", b"5"], [b"1", b"2", b"3", b"4", b"5", b"6.7"]):
            assert served.lookup_name(labels) == NOTHING


@given(st.dictionaries(st.text("123", min_size=1, max_size=6), st.integers(1, 7), max_size=12))
def test_every_name_above_a_listed_one_is_empty_and_no_other_is_there(listed: dict[str, int]) -> None:
    found = exact.values({".".join(digits).encode(): mask for digits, mask in listed.items()}, lambda mask: mask)
    expected = {digits[:size]: EMPTY_NAME for digits in listed for size in range(1, len(digits))} | listed
    assert found == {".".join(digits).encode(): value for digits, value in expected.items()}


# real size


@pytest.mark.data
def test_every_number_of_a_real_list_answers_and_no_other(real_input: Path) -> None:
    content = (real_input / "lists" / "disposable-phone-numbers.csv").read_bytes()
    parsed = parse_list(content, "csv", FormatOptions())
    assert len(parsed.hits) == 93_287 and parsed.rejected == 1  # one has 16 digits, and a number has 15 at most
    codes = [{"code": "127.0.4.32", "categories": ["disposable"], "text": "$"}]
    with world([zone("phone", "e164", codes=codes)]) as w:
        w.store.replace_entries(w.list, dict.fromkeys(parsed.hits, 1), {}, "disposable", w.now)
        w.settle()
        done = w.publish("phone")
        assert done is not None and done.whole
        assert done.bytes < 16 * 2**20
        served = w.served("phone")
        assert all(answered(served, zone_name(key)) == {0} for key in parsed.hits)
        chosen = random.Random(7)
        others = {b"e%d" % chosen.randrange(10**9, 10**13) for _ in range(20_000)} - parsed.hits.keys()
        longer = [key + b"5" for key in [*parsed.hits][::5] if key + b"5" not in parsed.hits and len(key) < 16]
        assert not [key for key in (*others, *longer) if served.lookup_name(zone_name(key).split(b".")) > 0]
        above = {name for key in [*parsed.hits][::50] for name in names.above(zone_name(key))}
        assert all(served.lookup_name(name.split(b".")) != NOTHING for name in above)
        first = next(iter(parsed.hits))
        w.store.replace_entries(w.list, dict.fromkeys([*parsed.hits][1:], 1), {}, "disposable", w.now)
        w.store.forget_entries(w.list, w.now + 1)
        w.settle()
        small = w.publish("phone")
        assert small is not None and not small.whole and small.pieces < 20
        assert w.served("phone").lookup_name(zone_name(first).split(b".")) <= 0
