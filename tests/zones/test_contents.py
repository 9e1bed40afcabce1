"""The merged picture of a base and a delta is what the zone answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLES, World, bucketed, codes4, codes6, name_codes, thresholds, world

from dnsbl.subjects import bounds, name_of, parse
from dnsbl.zones.contents import Contents, Kind, contents
from dnsbl.zones.export.entries import public
from dnsbl.zones.served import ServedZone

NETWORKS = ["9.1.0.0/16", "9.1.2.0/24", "9.1.2.3", "9.1.2.4", "9.1.3.128/25", "8.0.0.0/16"]
NETWORKS += ["2a00:1::/32", "2a00:1:2::/48", "2a00:1:2:3::/64", "2a00:9::/33"]
NARROW = ["2a00:1:2:3::7", "2a00:1:2:3::/80", "2a00:9::5"]
NAMES = ["a.com", "b.a.com", "c.b.a.com", "x.y.a.com", "a-b.com", "d.net"]
ASKED = [*NAMES, *(f"z.{name}" for name in NAMES), "com", "y.a.com", "org", "test", "spam.test", "invalid"]

changes = st.lists(
    st.tuples(st.sampled_from(["list", "exempt", "dynamic"]), st.sampled_from([*NETWORKS, *NARROW, *NAMES])), max_size=6
)


def apply(made: World, steps: list[tuple[str, str]]) -> None:
    made.now += 1
    for what, subject in steps:
        if what == "exempt":
            made.exempt(subject)
        else:
            made.report(subject, category="spam" if what == "list" else "dynamic")
    made.settle()
    made.publish("ip")
    made.publish("domain")


def mask4(held: Contents, address: int) -> int:
    rows = zip(held.ip4.first.tolist(), held.ip4.last.tolist(), held.ip4.mask.tolist(), strict=True)
    return only(mask for first, last, mask in rows if first <= address <= last)


def mask6(held: Contents, address: int) -> int:
    upper, lower = address >> 64, address & (2**64 - 1)
    rows = zip(held.ip6.first.tolist(), held.ip6.last.tolist(), held.ip6.mask.tolist(), strict=True)
    found = [mask for first, last, mask in rows if first <= upper <= last]
    found += [piece.mask for piece in held.deep if piece.upper == upper and piece.first <= lower <= piece.last]
    return only(iter(found))


def only(found: object) -> int:
    """The one mask there is, never 0: pieces are disjoint."""
    masks = list(found)  # type: ignore[call-overload]
    assert len(masks) <= 1 and 0 not in masks
    return masks[0] if masks else 0


def points(version: str) -> set[int]:
    chosen = [parse(text) for text in [*NETWORKS, *NARROW] if parse(text)[:1] == version.encode()]
    ends = {number + off for key in chosen for number in bounds(key) for off in (-1, 0, 1)}
    extra = {0xFFFF7F000001, 0xFFFF7F000002, 1} if version == "6" else {0x7F000001, 0x7F000002, 0x08080808}
    return ends | extra


def codes_of(mask: int) -> set[int]:
    return {bit for bit in range(mask.bit_length()) if mask >> bit & 1}


def compare(ip: ServedZone, domain: ServedZone) -> None:
    held = contents(ip)
    for address in points("4"):
        assert codes_of(mask4(held, address)) == codes4(ip, address)
    for address in points("6"):
        assert codes_of(mask6(held, address)) == codes6(ip, address)
    compare_names(domain)


def compare_names(domain: ServedZone) -> None:
    nodes = list(contents(domain).names.nodes())
    by_name = {node.name: node for node in nodes}
    assert len(by_name) == len(nodes)
    for name in ASKED:
        key = b".".join(name.encode().split(b".")[::-1])
        node = by_name.get(key)
        found = name_codes(domain, name)
        if node is not None:
            assert found == (None if node.kind is Kind.EMPTY else codes_of(node.mask)), name
        else:  # what is not there answers as the nearest name above that is
            above = next((by_name[key[:cut]] for cut in cuts(key) if key[:cut] in by_name), None)
            assert found == (codes_of(above.mask) if above else set()), name
    for node in nodes:  # every name between a listed one and a deeper one is there
        uppers = [node.name[:cut] for cut in cuts(node.name)]
        top = [upper for upper in uppers if upper in by_name and by_name[upper].mask]
        if top:
            assert all(upper in by_name for upper in uppers if len(upper) >= len(top[-1])), node


def cuts(name: bytes) -> list[int]:
    return [at for at in range(len(name) - 1, 0, -1) if name[at : at + 1] == b"."]


@settings(max_examples=25 * EXAMPLES, deadline=None)
@given(changes, changes, changes, thresholds)
def test_contents_are_what_the_zone_answers(
    first: list[tuple[str, str]], second: list[tuple[str, str]], third: list[tuple[str, str]], threshold: int
) -> None:
    with bucketed(threshold), world() as made:
        for steps in (first, second, third):
            apply(made, steps)
            compare(made.served("ip"), made.served("domain"))


def test_names_come_in_the_order_of_the_tree() -> None:
    with world() as made:
        apply(made, [("list", "a.com"), ("list", "a-b.com"), ("list", "x.y.a.com"), ("exempt", "b.a.com")])
        nodes = [
            (name_of(b"d" + node.name), node.kind)
            for node in contents(made.served("domain")).names.nodes()
            if not node.name.startswith(b"test")
        ]
    assert nodes == [
        ("com", Kind.EMPTY),
        ("a.com", Kind.LISTED),
        ("b.a.com", Kind.HOLE),
        ("y.a.com", Kind.BETWEEN),
        ("x.y.a.com", Kind.LISTED),
        ("a-b.com", Kind.LISTED),
    ]


def test_a_64_with_an_exempt_address_is_in_deep_pieces_only() -> None:
    with world() as made:
        apply(made, [("list", "2a00:1:2::/48"), ("exempt", "2a00:1:2:3::7")])
        held = contents(made.served("ip"))
    upper = 0x2A00_0001_0002_0003
    assert (held.ip6.first <= upper).tolist() != (held.ip6.last >= upper).tolist()[::-1] or len(held.ip6) == 2
    assert [(p.first, p.last) for p in held.deep if p.upper == upper] == [(0, 6), (8, 2**64 - 1)]
    assert (held.count, len(public(held).deep)) == (4, 2)  # around the /64, and within
