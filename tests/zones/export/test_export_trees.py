"""Files with names say of each name what the zone says: listed with all below it, exempt below that, or neither."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from making import MasterFile, answered_name, served, zone
from readers import Listed, comma_separated, dataset, nearest, objects, text

from dnsbl.zones.served import ServedZone

DOMAIN = zone("domain")
LABELS = ("a", "b", "a-b")  # "-" sorts before the dot
NAMES = [f"{x}.com" for x in LABELS] + [f"{y}.{x}.com" for x in LABELS for y in LABELS] + ["a.b.a.b.com", "a.net"]
ASKED = sorted({*NAMES, *(f"x.{name}" for name in NAMES), "com", "net", "c.com", "b.a.b.com", "a.b.a.a.com"})
TESTS = ["test", "x.test", "spam.test", "invalid"]


def policy(view: ServedZone) -> Listed:
    """A response policy zone: QNAME triggers are found as names and wildcards are (RFC 4592)."""
    found = MasterFile(text(view, "rpz"))
    return lambda name: {"listed"} if found.data(name, "CNAME") == {"."} else set()


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.sets(st.integers(0, 2), min_size=1), max_size=6),
    st.sets(st.sampled_from(NAMES), max_size=3),
)
def test_every_file_says_what_the_zone_says(listed: dict[str, set[int]], exempt: set[str]) -> None:
    view = served(DOMAIN, listed, exempt)
    rows = [(str(row["name"]), {str(code) for code in row["codes"]}) for row in objects(view)[1:]]  # type: ignore[attr-defined]
    table = [(name, set(codes.split())) for name, codes, _ in comma_separated(view)[1:]]
    assert table == rows
    found, names, blocked = dataset(view, "rbldnsd-dnset"), nearest(rows), policy(view)
    for name in ASKED:
        expected = answered_name(view, name) or set()
        assert found(name) == expected, name
        assert names(name) == expected, name
        assert bool(blocked(name)) == bool(expected), name
    for name in TESTS:
        assert found(name) == (answered_name(view, name) or set())
        assert not names(name) and not blocked(name)


GOLDEN_POLICY = """
$TTL 300
@	IN SOA ns1.example.net. hostmaster.dnsbl.test. 7 900 300 604800 60
	NS ns1.example.net.
bad.com	CNAME .
*.bad.com	CNAME .
x.bad.com	CNAME .
*.x.bad.com	CNAME .
ok.x.bad.com	CNAME rpz-passthru.
*.ok.x.bad.com	CNAME rpz-passthru.
"""


def test_a_small_policy_zone() -> None:
    view = served(DOMAIN, {"bad.com": [1]}, ["ok.x.bad.com"])
    head, _, rest = text(view, "rpz").partition("$TTL")
    assert f"\n$TTL{rest}" == GOLDEN_POLICY
    assert (
        'zone "rpz.domain.example"' in head
        and head.splitlines()[1] == "; 1 listed names, before any is cut or joined for this format"
    )


def test_a_name_that_cannot_be_asked_for_is_left_out_of_a_policy_zone() -> None:
    room = 253 - len(".rpz.domain.example")
    fits = ".".join(["a" * 60] * 3 + ["b" * (room - 3 * 61 - 4), "com"])
    records = MasterFile(text(served(DOMAIN, {fits: [1], "b" + fits: [1]}), "rpz")).records
    assert len(fits) == room and fits in records and f"*.{fits}" not in records and "b" + fits not in records


def test_hashes_and_numbers_are_written_as_people_write_them() -> None:
    digest = "0123456789" * 4
    view = served(zone("hash"), {f"email:{digest}": [0, 1]})
    assert comma_separated(view)[:2] == [
        ["hash", "codes", "text"],
        [
            f"email:{digest}",
            "127.0.0.2 127.0.0.4",
            f'Spam: "email:{digest}" costs $5, see https://bl.example/?email:{digest} | Malware',
        ],
    ]
    assert len(comma_separated(view)) == 2  # and no test point
    numbers = served(zone("e164"), {"+4930123456": [1], "+493012345678": [2]})
    assert objects(numbers)[1:] == [
        {"number": "+4930123456", "codes": ["127.0.0.4"], "texts": ["Malware"]},
        {"number": "+493012345678", "codes": ["127.0.0.10"], "texts": []},
    ]


def test_an_exact_data_set_has_names_of_themselves_alone() -> None:
    view = served(zone("e164"), {"+4930123456": [1]})
    found = dataset(view, "rbldnsd-dnset")
    assert found("6.5.4.3.2.1.0.3.9.4") == {"127.0.0.4"}
    assert found("7.6.5.4.3.2.1.0.3.9.4") == set()


def test_texts_are_escaped_as_each_format_does() -> None:
    codes = [{"code": "127.0.0.2", "categories": ["spam"], "text": 'a "$", $$ \\ é\nb'}]
    view = served(zone("domain", codes=codes), {"bad.com": [0]})
    said = 'a "bad.com", $ \\ é\nb'
    assert comma_separated(view)[1] == ["bad.com", "127.0.0.2", said]
    assert objects(view)[1]["texts"] == [said]


def test_the_first_line_of_ndjson_says_what_it_is() -> None:
    head = objects(served(zone("domain", licence="CC0"), {"bad.com": [0]}))[0]
    notes = head.pop("notes")
    assert head == {
        "zone": "domain.example", "name": "domain", "kind": "domain", "serial": 7, "made_at": "2026-09-21T14:13:20Z",
    }  # fmt: skip
    assert "licence: CC0" in notes  # type: ignore[operator]
