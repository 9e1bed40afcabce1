"""What exported files say of names, read by their programs' rules, is what the zone says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from making import MasterFile, RbldnsdFile, answered_name, served, zone

from dnsbl.zones.export import export
from dnsbl.zones.served import ServedZone

DOMAIN = zone("domain")
LABELS = ("a", "b", "a-b")  # "-" sorts before the dot
NAMES = (
    [f"{x}.com" for x in LABELS]
    + [f"{y}.{x}.com" for x in LABELS for y in LABELS]
    + ["a.b.a.b.com", "a.a.a.a.com", "a.net"]
)
ABOVE = ["com", "net", "org", "c.com", "b.a.b.com", "x.b.a.b.com", "a.a.a.com", "b.a.a.a.com"]
TESTS = ["test", "x.test", "invalid", "spam.test", "other.test"]
ASKED = sorted({*NAMES, *(f"x.{name}" for name in NAMES), *ABOVE, *TESTS})


def text(view: ServedZone, name: str) -> str:
    return b"".join(export(view, name)).decode()


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.sets(st.integers(0, 2), min_size=1), max_size=6),
    st.sets(st.sampled_from(NAMES), max_size=3),
)
def test_both_formats_say_what_the_zone_says(listed: dict[str, set[int]], exempt: set[str]) -> None:
    view = served(DOMAIN, listed, exempt)
    rbldnsd, bind = RbldnsdFile(text(view, "rbldnsd")), MasterFile(text(view, "bind"))
    for name in ASKED:
        expected = answered_name(view, name)
        assert rbldnsd.name(name) == (expected or set()), name
        found = bind.addresses(name)
        assert (found or set()) == (expected or set()), name
        if expected is None:
            assert found == set(), f"{name} is above a listed name and must exist"
        if found == set():  # exists without an address: empty, or exempt, or on the way to something exempt
            assert expected is None or any(hole == name or hole.endswith("." + name) for hole in exempt), name


GOLDEN_BIND = """
$ORIGIN domain.example.
$TTL 300
@	900	IN SOA ns1.example.net. hostmaster.dnsbl.test. 7 900 300 604800 60
	86400	NS ns1.example.net.
bad.com	A 127.0.0.4
	TXT "Malware"
*.bad.com	A 127.0.0.4
	TXT "Malware"
x.bad.com	A 127.0.0.4
	TXT "Malware"
*.x.bad.com	A 127.0.0.4
	TXT "Malware"
ok.x.bad.com	TXT "exempt: not listed"
y.bad.com	A 127.0.0.4
	TXT "Malware"
*.y.bad.com	A 127.0.0.4
	TXT "Malware"
w.y.bad.com	A 127.0.0.4
	A 127.0.0.10
	TXT "Malware"
*.w.y.bad.com	A 127.0.0.4
	A 127.0.0.10
	TXT "Malware"
test	A 127.0.0.2
"""


def golden() -> ServedZone:
    return served(DOMAIN, {"bad.com": [1], "w.y.bad.com": [2], "u_v.net": [0]}, ["ok.x.bad.com"])


def test_a_small_zone_as_a_master_file() -> None:
    found = text(golden(), "bind")
    head, _, rest = found.partition("$ORIGIN")
    assert "exempt" in head and "check-names" in head
    part, _, end = f"\n$ORIGIN{rest}".partition("u_v.net")
    assert part + "test\tA 127.0.0.2\n" == GOLDEN_BIND
    assert end.startswith(
        '\tA 127.0.0.2\n\tTXT "Spam: \\"u_v.net\\" costs $5, see https://bl.example/?u_v.net"\n*.u_v.net\tA'
    )


def test_a_small_zone_for_rbldnsd() -> None:
    found = text(golden(), "rbldnsd")
    assert "$ is the listed name, not the name asked for" in found
    assert found.splitlines()[1] == "# 3 listed names, before any is cut or joined for this format"  # no test names
    assert found.partition("$DATASET dnset:127.0.0.4 @\n")[2].splitlines() == [
        ":127.0.0.4:Malware", ".bad.com", ".w.y.bad.com", ".test", ".malware.test",
        "!.ok.x.bad.com", "!.dynamic.test", "!.spam.test",  # each test name has one code, and TEST has all
        "$DATASET dnset:127.0.0.10 @", ":127.0.0.10:", ".w.y.bad.com", ".test", ".dynamic.test",
        "!.malware.test", "!.spam.test",
    ]  # fmt: skip


def test_a_name_that_cannot_be_asked_for_is_left_out_of_a_master_file() -> None:
    room = 253 - len(".domain.example")
    fits = ".".join(["a" * 60] * 3 + ["b" * (room - 3 * 61 - 4), "com"])
    view = served(DOMAIN, {fits: [1], "b" + fits: [1]})
    records = MasterFile(text(view, "bind")).records
    assert len(fits) == room and fits in records and f"*.{fits}" not in records and "b" + fits not in records
    assert "." + "b" + fits in text(view, "rbldnsd")
