"""The native path gives the bytes that the Python path gives: for the known queries, for made-up ones on made-up zones,
and for whatever else arrives."""

from __future__ import annotations

import asyncio
import random
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from unittest import mock

import pytest
from clients import udp_client
from compiled import both, compiled, needs_native
from fake import (
    DOMAIN_ORIGIN,
    HASH_ORIGIN,
    IP_ORIGIN,
    NAMES,
    NETWORKS,
    PHONE_ORIGIN,
    cookie,
    domain_zone,
    hash_zone,
    ip_zone,
    name_wire,
    opt,
    phone_zone,
    query,
)
from fake import reversed_name as address_name
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dns_vectors import DATA

from dnsbl.config import ZoneDef
from dnsbl.dns.server import DnsServer
from dnsbl.zones import arrays

pytestmark = needs_native

SECRET = "000102030405060708090a0b0c0d0e0f"
CLIENTS = ["192.0.2.1", "2001:db8::1", "", "fe80::1%eth0"]
HANDED_TYPES = (251, 252)


def vectors_native():
    zones = []
    for zone in DATA["zones"]:
        definition = ZoneDef.model_validate(zone["definition"])
        zones.append(compiled(definition, zone["networks"], zone["names"], serial=zone["serial"]))
    return both(zones, DATA["clock"], **DATA["settings"])


@pytest.fixture(scope="module")
def known():
    return vectors_native() if DATA.get("zones") else None


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda vector: f"{vector['name']}, {vector['transport']}")
def test_the_reply_is_the_known_one(known, vector):
    reply = known.reply(bytes.fromhex(vector["query"]), vector["transport"], vector["client"])
    assert (reply and reply.hex()) == vector["reply"]


def test_what_comes_a_million_times_is_answered_natively(known):
    """Else the comparison compares the Python path with itself."""
    handed = {
        vector["name"]
        for vector in DATA["vectors"]
        if known.server.reply(bytes.fromhex(vector["query"]), vector["client"], False, 0) is NotImplemented
    }
    assert 0 < len(handed) < 20
    assert all(
        any(word in name for word in ("version", "id.server", "hostname", "transfer", "opcode", "NOTIFY", "CH", "IXFR"))
        for name in handed
    ), handed


def same(paths, wire: bytes, transport: str, client: str) -> None:
    """Both say the same, or the native one leaves it to the other for a reason that is meant."""
    expected = paths.answerer.reply(wire, transport, client)
    found = paths.server.reply(wire, client.partition("%")[0], transport == "tcp", paths.now())
    if found is NotImplemented:
        opcode, signed = wire[2] & 0x78, b"\x00\xfa" in wire or b"\x00\x18" in wire
        assert opcode or signed or b"\x00\x03" in wire or any(bytes((0, kind)) in wire for kind in HANDED_TYPES)
    else:
        assert found == expected, (wire.hex(), transport, client)


# Zones in which much is near: few addresses, few labels.
OCTET = st.sampled_from([0, 1, 2, 3, 10, 127, 128, 255])
CODES = st.lists(st.integers(0, 2), max_size=3, unique=True)
LISTED = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True)
IP4 = st.builds(
    lambda octets, length: (octets, length),
    st.tuples(OCTET, OCTET, OCTET, OCTET),
    st.sampled_from([1, 8, 15, 16, 24, 31, 32]),
).map(lambda pair: masked(4, int.from_bytes(bytes(pair[0]), "big"), pair[1]))
GROUPS = st.lists(st.sampled_from([0, 1, 0x2001, 0xDB8, 0xFFFF, 0x8000]), min_size=8, max_size=8)
IP6 = st.builds(
    lambda groups, length: masked(6, int("".join(f"{group:04x}" for group in groups), 16), length),
    GROUPS,
    st.sampled_from([4, 16, 32, 48, 63, 64, 96, 120, 128]),
)
LABEL = st.sampled_from(["a", "b", "www", "com", "test", "x-1", "127", "0"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


def masked(version: int, number: int, length: int) -> str:
    bits = 32 if version == 4 else 128
    network = ip_network(((number >> (bits - length)) << (bits - length), length))
    return str(network)


def disjoint_pieces(networks: dict[str, list[int]]) -> dict[str, list[int]]:
    """Without networks inside one /64 that overlap others there: a build never makes such pieces."""
    kept: dict[str, list[int]] = {}
    narrow = []
    for text, codes in networks.items():
        network = ip_network(text)
        if network.version == 6 and network.prefixlen > 64:
            if any(network.overlaps(other) for other in narrow):
                continue
            narrow.append(network)
        kept[text] = codes
    return kept


NETWORK_SETS = st.dictionaries(st.one_of(IP4, IP6), LISTED, max_size=12).map(disjoint_pieces)
CHANGES = st.none() | st.dictionaries(st.one_of(IP4, IP6), CODES, max_size=8).map(disjoint_pieces)
NAME_SETS = st.dictionaries(NAME, LISTED, max_size=12)
NAME_CHANGES = st.none() | st.dictionaries(NAME, CODES, max_size=6)

TYPES = st.sampled_from(["A", "TXT", "ANY", "AAAA", "SOA", "NS", "MX", 1000, 41, 255, 65535])
COOKIES = st.one_of(
    st.just(b"c" * 8), st.binary(min_size=0, max_size=42), st.just(b"c" * 8 + b"\1\0\0\0\x5c\xf7\x9f\x11" + b"h" * 8)
)
OPTIONS = st.lists(st.one_of(st.just(b"\0\3\0\0"), COOKIES.map(cookie), st.just(b"\0\x0b\0\1x")), max_size=3).map(
    b"".join
)
EXTRA = st.lists(
    st.builds(
        opt,
        st.sampled_from([0, 512, 600, 1232, 4096, 65535]),
        st.sampled_from([0, 0, 0, 1]),
        st.integers(0, 65535),
        OPTIONS,
    ),
    max_size=2,
)


def near(text: str) -> str:
    return str(ip_network(text)[0])


def last(text: str) -> str:
    return str(ip_network(text)[-1])


PATHS = st.one_of(
    st.one_of(IP4, IP6).map(near).map(lambda address: address_name(address).removesuffix(f".{IP_ORIGIN}")),
    st.one_of(IP4, IP6).map(last).map(lambda address: address_name(address).removesuffix(f".{IP_ORIGIN}")),
    NAME,
    st.lists(st.sampled_from([*"0123456789abcdef", "00", "256", "10", "255"]), max_size=34).map(".".join),
    st.just(""),
)
CUT = st.integers(0, 33)
ASKED = st.builds(
    lambda path, cut, sub, origin, upper: ".".join(
        part for part in (".".join(path.split(".")[cut if cut < 32 else 0 :]), sub, origin) if part
    ).swapcase() if upper else ".".join(part for part in (".".join(path.split(".")[cut % 8 :]), sub, origin) if part),
    PATHS, CUT, st.sampled_from(["", "", "", "ab", "attacks"]),
    st.sampled_from([IP_ORIGIN, IP_ORIGIN, DOMAIN_ORIGIN, DOMAIN_ORIGIN, "example"]), st.booleans(),
)  # fmt: skip
WIRES = st.builds(
    lambda name, qtype, extra, flags: query(name, qtype, extra=extra, flags=flags),
    ASKED, TYPES, EXTRA, st.sampled_from([0, 0x0100, 0x0130]),
)  # fmt: skip
PARTS = ["$", "$$", "x", "é", " ", "€" * 30, "y" * 90, "see https://bl.example/?"]
TEXTS = st.lists(
    st.lists(st.sampled_from(PARTS), max_size=40).map(lambda parts: "".join(parts)[:1000]), min_size=3, max_size=3
)


@settings(deadline=None)
@given(
    networks=NETWORK_SETS, changes=CHANGES, names=NAME_SETS, name_changes=NAME_CHANGES,
    wires=st.lists(WIRES, min_size=5, max_size=30), client=st.sampled_from(CLIENTS), texts=TEXTS, indexed=st.booleans(),
)  # fmt: skip
def test_made_up_zones_give_the_same_bytes(networks, changes, names, name_changes, wires, client, texts, indexed):
    ip = ip_zone()
    ip = ip.model_copy(
        update={"codes": [c.model_copy(update={"text": t}) for c, t in zip(ip.codes, texts, strict=True)]}
    )
    domain = domain_zone()
    usable = {name: [code for code in codes if code < 2] or [0] for name, codes in names.items()}
    name_over = name_changes and {name: [code for code in codes if code < 2] for name, codes in name_changes.items()}
    with mock.patch.object(arrays, "BUCKETS_FROM", 4 if indexed else arrays.BUCKETS_FROM):
        views = [compiled(ip, networks, over=changes), compiled(domain, names=usable, over=name_over)]
    paths = both(views, nsid="site-1", cookie_secrets=[SECRET])
    for wire in wires:
        for transport in ("udp", "tcp"):
            same(paths, wire, transport, client)


# Numbers and hashes among which some are above others, and some are none.
NUMBER = st.text("123", min_size=1, max_size=15).map(".".join)
HASH = st.builds("{}.{}".format, st.sampled_from(["0" * 40, "a" * 52, "x", "1.2"]), st.sampled_from(["_email", "_u"]))
EXACT = st.builds(
    lambda name, more, upper, qtype, dotted: query(
        [
            label
            for label in [more, *(name.upper() if upper else name).encode().split(b".", 1 if dotted else -1)]
            if label
        ],
        qtype,
        extra=[opt()],
    ),
    st.one_of(NUMBER.map(lambda name: f"{name}.{PHONE_ORIGIN}"), HASH.map(lambda name: f"{name}.{HASH_ORIGIN}")),
    st.sampled_from([b"", b"", b"1", b"x", b"a.b", b"\\"]),
    st.booleans(),
    TYPES,
    st.sampled_from([False, False, True]),
)


@settings(deadline=None)
@given(
    numbers=st.dictionaries(NUMBER, LISTED, max_size=12),
    number_changes=st.none() | st.dictionaries(NUMBER, CODES, max_size=6),
    hashes=st.dictionaries(HASH, LISTED, max_size=6), hash_changes=st.none() | st.dictionaries(HASH, CODES, max_size=4),
    wires=st.lists(EXACT, min_size=5, max_size=40), texts=TEXTS,
)  # fmt: skip
def test_made_up_exact_zones_give_the_same_bytes(numbers, number_changes, hashes, hash_changes, wires, texts):
    codes = [c.model_copy(update={"text": t}) for c, t in zip(ip_zone().codes, texts, strict=True)]
    codes = [code.model_copy(update={"sublist": ""}) for code in codes]
    views = [
        compiled(phone_zone().model_copy(update={"codes": codes}), names=numbers, over=number_changes),
        compiled(hash_zone().model_copy(update={"codes": codes}), names=hashes, over=hash_changes),
    ]
    paths = both(views, nsid="site-1")
    listed = [query(f"{name}.{PHONE_ORIGIN}", "TXT") for name in {**numbers, **(number_changes or {})}]
    listed += [query(f"{name}.{HASH_ORIGIN}", "TXT") for name in {**hashes, **(hash_changes or {})}]
    for wire in [*listed, *wires]:
        same(paths, wire, "udp", "192.0.2.1")


def test_a_zone_of_a_kind_that_is_not_known_is_refused():
    paths = both([compiled(ip_zone(), NETWORKS)])
    [served] = paths.answerer.zones.by_labels.values()
    served.view.zone = ip_zone().model_copy(update={"kind": "asn"})
    with pytest.raises(ValueError, match="unknown kind"):
        paths.packed(served, served.view)


@pytest.fixture(scope="module")
def usual():
    views = [compiled(ip_zone(), NETWORKS), compiled(domain_zone(), names=NAMES)]
    return both(views, nsid="site-1", cookie_secrets=[SECRET])


USUAL = st.sampled_from(
    [
        query("2.0.0.127.bl.example"),
        query("2.0.0.127.bl.example", "TXT", extra=[opt()]),
        query(address_name("2001:db8:bad::1"), "ANY", extra=[opt(512, rdata=b"\0\3\0\0")]),
        query("bL.eXample", "SOA", flags=0x0100, extra=[opt(4096, 0, 0x8000)]),
        query(f"www.bad.example.{DOMAIN_ORIGIN}", "TXT", extra=[opt(rdata=cookie(b"c" * 8))]),
        query("elsewhere.test", extra=[opt(version=1)]),
        query(IP_ORIGIN)[:4] + bytes(6) + b"\0\1" + opt(rdata=cookie(b"c" * 8)),
    ]
)
CHANGED = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5)


@given(wire=st.one_of(st.binary(max_size=300), USUAL), changes=CHANGED, cut=st.integers(0, 300), tcp=st.booleans())
def test_whatever_arrives_gives_the_same_bytes(usual, wire, changes, cut, tcp):
    changed = bytearray(wire)
    for at, octet in changes:
        if at < len(changed):
            changed[at] = octet
    same(usual, bytes(changed[:cut] if cut > 150 else changed), "tcp" if tcp else "udp", "192.0.2.1")


@pytest.mark.parametrize("count", [1, 63, 64, 126, 127])
def test_the_longest_names(usual, count):
    for origin in (IP_ORIGIN, DOMAIN_ORIGIN):
        tail = origin.encode().split(b".")
        labels = [b"a"] * (count - len(tail)) + tail
        for qtype in ("A", "TXT", "SOA"):
            same(usual, query(labels, qtype, extra=[opt()]), "udp", "192.0.2.1")
    long = [b"\\" * 63, b"\xff" * 63, b"." * 63, b"x" * 42, *DOMAIN_ORIGIN.encode().split(b".")]
    assert len(name_wire(long)) <= 255
    same(usual, query(long, "TXT"), "udp", "192.0.2.1")


def test_names_that_people_must_be_able_to_read(usual):
    """A text shows the name, and a stranger chose its octets."""
    labels = [b'\\".\x00\xffA b', b"bad", b"example", *DOMAIN_ORIGIN.encode().split(b".")]
    same(usual, query(labels, "TXT"), "udp", "192.0.2.1")


@pytest.mark.parametrize(
    "address",
    ["::1.2.3.4", "::ffff:1.2.3.4", "::1", "::", "1::", "2001:db8:0:0:1:0:0:1", "::1:0:0:1", "0:0:1::", "::102:304"],
)
def test_addresses_are_written_alike(address):
    paths = both([compiled(ip_zone(), {"::/64": [0], "2001:db8::/32": [0], "1::/64": [0], "0:0:1::/64": [0]})])
    same(paths, query(address_name(address), "TXT"), "udp", "")


def test_a_zone_may_come_and_go(usual):
    paths = both([compiled(ip_zone(), NETWORKS)])
    listed = query("2.0.0.127.bl.example")
    assert paths.reply(listed, "udp", "")[3] & 0xF == 0
    paths.answerer.replace([])
    paths.replace()
    assert paths.reply(listed, "udp", "")[3] & 0xF == 2
    paths.answerer.replace([compiled(ip_zone(), {})])
    paths.replace()
    assert paths.reply(listed, "udp", "")[3] & 0xF == 3


def test_a_network_is_asked_anew_when_the_zone_is_another():
    """What a thread remembers of networks goes with the zones it was learnt from."""
    paths = both([compiled(ip_zone(), {"127.0.0.2": [0]})])
    wide = query("0.127.bl.example")
    assert paths.reply(wide, "udp", "")[3] & 0xF == 0
    paths.answerer.replace([compiled(ip_zone(), {})])
    paths.replace()
    assert paths.reply(wide, "udp", "")[3] & 0xF == 3


def test_counts_of_both_paths_are_added():
    paths = both([compiled(ip_zone(), NETWORKS)])
    paths.reply(query("2.0.0.127.bl.example"), "tcp", "")
    paths.reply(query("version.bind", "TXT", qclass=3), "tcp", "")
    rows = {(row["zone"], row["qtype"], row["rcode"]): row["count"] for row in paths.counters().snapshot()["replies"]}
    assert rows == {("ip", "A", "NOERROR"): 1, ("", "TXT", "NOERROR"): 1}


@pytest.fixture(scope="module")
def large():
    """Tables as large as real ones, so that they have an index: 70,000 addresses, 5,000 /64s, 3,000 names."""
    chosen = random.Random(7)
    networks = {str(IPv4Address(chosen.randrange(1 << 24, 1 << 32))): [0] for _ in range(70_000)}
    networks |= {f"{address}/24": [1] for address in ("1.0.0.0", "9.9.9.0", "255.255.255.0")}
    networks |= {"0.0.0.1": [0], "255.255.254.255": [0], "1.0.255.255": [2], "1.1.0.0": [2]}
    for _ in range(5000):
        networks[str(IPv6Network(((0x2001 << 112) + (chosen.randrange(1 << 20) << 64), 64)))] = [chosen.randrange(3)]
    names = {
        f"{chosen.choice('abc')}{chosen.randrange(5000)}.{chosen.choice(['com', 'org'])}": [0] for _ in range(3000)
    }
    gone = {name: [] for name in [*networks][::50]} | {"9.9.9.9": [2], "77.0.0.0/8": []}
    numbers = {".".join(str(chosen.randrange(10**9, 10**11))): [0] for _ in range(3000)}
    hashes = {f"{chosen.randrange(16**40):040x}._email": [1] for _ in range(3000)}
    views = [
        compiled(ip_zone(), networks, over=gone),
        compiled(domain_zone(), names=names, over={name: [] for name in [*names][::9]}),
        compiled(phone_zone(), names=numbers, over={name: [] for name in [*numbers][::9]}),
        compiled(hash_zone(), names=hashes, over={name: [] for name in [*hashes][::9]}),
    ]
    asked = [address_name(network.split("/")[0]) for network in [*networks][::7]]
    asked += [address_name(str(IPv4Address(chosen.randrange(1 << 32)))) for _ in range(3000)]
    asked += [address_name(str(IPv6Address((0x2001 << 112) + chosen.randrange(1 << 84)))) for _ in range(1000)]
    asked += [f"{more}{name}.{DOMAIN_ORIGIN}" for name in names for more in ("", "www.")]
    asked += [f"x{number}.com.{DOMAIN_ORIGIN}" for number in range(500)]
    asked += [f"{first}.{second}.{IP_ORIGIN}" for first in range(0, 256, 5) for second in (1, 77, 78)]
    asked += [f"{name}.{PHONE_ORIGIN}" for name in numbers] + [f"7.{name}.{PHONE_ORIGIN}" for name in [*numbers][::7]]
    asked += [f"{name}.{HASH_ORIGIN}" for name in hashes] + [f"7.{name}.{HASH_ORIGIN}" for name in [*hashes][::7]]
    return both(views), [query(name, chosen.choice(["A", "A", "TXT"])) for name in asked]


def test_large_tables_give_the_same_bytes(large):
    paths, wires = large
    for wire in wires:
        same(paths, wire, "udp", "")


async def test_large_tables_give_the_same_bytes_by_the_batch(large):
    """What is read ahead for a batch changes no answer."""
    paths, wires = large
    server = DnsServer(paths.answerer, ["127.0.0.1:0"], native=paths)
    await server.start()
    try:
        async with udp_client(server.addresses[0]) as client:
            for start in range(0, len(wires), 200):
                burst = {
                    bytes(number.to_bytes(2, "big")) + wire[2:]
                    for number, wire in enumerate(wires[start : start + 200])
                }
                for wire in burst:
                    client.send(wire)
                replies = {await client.reply() for _ in burst}
                assert replies == {paths.answerer.reply(wire, "udp", "127.0.0.1") for wire in burst}
    finally:
        await server.close()


def test_a_sublist_that_was_withdrawn_under_other_listings():
    """A delta hides more pieces than are looked under for one question; the others' singles go on after them."""
    networks = {f"1.2.{n // 256}.{n % 256}": [n % 2 * 2] for n in range(3000)} | {
        f"1.{n // 64}.{n % 64 * 4}.0/24": [1] for n in range(64 * 3, 64 * 40)
    }
    gone = {name: [] for name, codes in networks.items() if codes == [1]}
    paths = both([compiled(ip_zone(), networks, over=gone)])
    for name in ("1", "2.1", "3.1", "20.1", "44.3.1", "attacks", "ab"):
        for sub in ("", "ab.", "attacks."):
            same(paths, query(f"{name}.{sub}{IP_ORIGIN}"), "udp", "")


async def test_of_turns_for_handed_queries_one_waits_at_most(usual):
    """Each reading of the bell would otherwise add a turn that never ends while the queue is filled."""
    usual.loop = asyncio.get_running_loop()
    real, usual.server = usual.server, mock.Mock(take=lambda most: ([], True))
    try:
        with mock.patch.object(usual.loop, "call_soon", wraps=usual.loop.call_soon) as soon:
            for _ in range(5):
                usual.answer_handed()
        waiting = [call for call in soon.call_args_list if call.args == (usual.answer_handed,)]
        assert len(waiting) == 5
        assert usual.soon is not None and not usual.soon.cancelled()
        usual.server.take = lambda most: ([], False)
        await asyncio.sleep(0)
        assert usual.soon is None  # the four before were cancelled, and the last had nothing more to do
    finally:
        usual.server, usual.loop = real, None


async def test_a_port_is_free_once_the_server_is_closed():
    """A query that nobody took holds its socket."""
    paths = both([compiled(ip_zone(), NETWORKS)])
    server = DnsServer(paths.answerer, ["127.0.0.1:0"], native=paths)
    await server.start()
    asyncio.get_running_loop().remove_reader(paths.server.fileno())  # nobody takes
    address = server.addresses[0]
    async with udp_client(address) as client:
        client.send(query("version.bind", "TXT", qclass=3))
        assert await client.ask(query(IP_ORIGIN, "SOA"))
    await server.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
    with pytest.raises(RuntimeError, match="stopped"):
        paths.server.serve(0, False, False, 1)
