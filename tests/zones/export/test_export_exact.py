"""What exported files say of hashes and numbers, read by their programs' rules, is what the zone says; and rbldnsd and
named-checkzone take the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import MasterFile, RbldnsdFile, answered_name, program, rbldnsd, served, zone

from dnsbl.subjects import parse, zone_name
from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone

PHONE, HASH = zone("e164"), zone("hash")
NUMBERS = ["+123", "+1234", "+12345", "+12346", "+1335", "+999127"]
HASHES = [f"email:{digit * 40}" for digit in "ab1"] + ["url:" + "a" * 40, "file:" + "a2" * 26]


def text(view: ServedZone, name: str) -> str:
    return b"".join(export(view, name)).decode()


def asked_of(subjects: list[str]) -> set[str]:
    """Names as they are asked for: of subjects, above and below them."""
    names = {".".join(reversed(zone_name(parse(subject)).decode().split("."))) for subject in subjects}
    above = {name[at:].lstrip(".") for name in names for at in range(0, len(name), 2)}
    return names | above | {f"7.{name}" for name in names}


listings = st.sets(st.integers(0, 2), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NUMBERS), listings, max_size=5), st.dictionaries(st.sampled_from(HASHES), listings)
)
def test_both_formats_say_what_the_zone_says(numbers: dict[str, set[int]], hashes: dict[str, set[int]]) -> None:
    for made, listed, subjects in ((PHONE, numbers, NUMBERS), (HASH, hashes, HASHES)):
        view = served(made, listed)
        rbldnsd, bind = RbldnsdFile(text(view, "rbldnsd")), MasterFile(text(view, "bind"))
        for name in asked_of([*subjects, "+999127000000002", "+999127000000001"] if made is PHONE else subjects):
            expected = answered_name(view, name)
            assert rbldnsd.name(name) == (expected or set()), name
            found = bind.addresses(name)
            assert found == (None if expected == set() else expected or set()), name


def test_texts_of_a_master_file_name_the_subject() -> None:
    record = text(served(PHONE, {"+12345": [0]}), "bind").partition("5.4.3.2.1\t")[2].splitlines()[:2]
    assert record == ["A 127.0.0.2", '\tTXT "Spam: \\"+12345\\" costs $5, see https://bl.example/?+12345"']
    found = text(served(HASH, {HASHES[0]: [0]}), "bind")
    assert f"{'a' * 40}._email\tA 127.0.0.2\n" in found and f'"Spam: \\"{HASHES[0]}\\" costs' in found
    assert "*." not in found and "check-names" in found


def test_a_list_for_rbldnsd_has_names_of_themselves_alone() -> None:
    found = text(served(PHONE, {"+12345": [1]}), "rbldnsd")
    assert "digits reversed" in found
    rows = found.partition("$DATASET dnset:127.0.0.4 @\n")[2].partition("$DATASET")[0].splitlines()
    every, own = (".".join(reversed(number)) for number in ("999127000000002", "999127000000004"))
    assert rows == [":127.0.0.4:Malware", "5.4.3.2.1", every, own]


@pytest.mark.peer
@pytest.mark.parametrize(("made", "listed"), [(PHONE, NUMBERS), (HASH, HASHES)], ids=["e164", "hash"])
def test_named_checkzone_takes_the_file(tmp_path: Path, made, listed) -> None:
    (tmp_path / "zone").write_text(text(served(made, {subject: [0, 1] for subject in listed}), "bind"))
    done = subprocess.run(
        [program("named-checkzone"), "-k", "ignore", made.origin, tmp_path / "zone"], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.peer
@pytest.mark.parametrize(("made", "subjects"), [(PHONE, NUMBERS), (HASH, HASHES)], ids=["e164", "hash"])
def test_rbldnsd_answers_from_the_file_as_the_zone_does(tmp_path: Path, made, subjects: list[str]) -> None:
    view = served(made, {subject: [place % 3] for place, subject in enumerate(subjects)})
    (tmp_path / "data").write_text(text(view, "rbldnsd"))
    with rbldnsd(tmp_path, made.origin) as ask:
        for name in asked_of(subjects):
            assert ask(name) == (answered_name(view, name) or set()), name
