"""Queries and the replies they get, octet by octet: whatever answers queries gives these.

`tests/vectors/dns.json` describes the zones, what they list, the settings, and the vectors: a name that says what it
is about, the transport, query and reply in hex (null is silence). After a wanted change `python
tests/dns/test_dns_vectors.py` writes the file anew, and the difference is reviewed.
"""

import json
from pathlib import Path

import pytest
from fake import DOMAIN_ORIGIN, IP_ORIGIN, NAMES, NETWORKS, FakeView, domain_zone, ip_zone, opt, query
from fake import reversed_name as name

from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.dns.answer import Answerer

PATH = Path(__file__).parent.parent / "vectors" / "dns.json"
SETTINGS = {"nsid": "site-1", "version": "dnsbl"}
V6 = "2001:db8:bad::1"

QUERIES = {
    "a listed address": query(name("127.0.0.2")),
    "a listed address, EDNS, RD": query(name("127.0.0.2"), flags=0x0100, extra=[opt(4096)]),
    "a listed address, mixed case, DO and an unknown option": query(
        f"2.0.0.127.{IP_ORIGIN.upper()}", extra=[opt(flags=0x8000, rdata=b"\0\x64\0\1x")]
    ),
    "a listed address, one code": query(name("192.0.2.1"), extra=[opt()]),
    "a listed address, two networks": query(name("192.0.2.65")),
    "a listed address, TXT": query(name("127.0.0.2"), "TXT"),
    "a listed address, ANY": query(name("127.0.0.2"), "ANY"),
    "a listed address, AAAA": query(name("127.0.0.2"), "AAAA", extra=[opt()]),
    "a listed address, unknown type": query(name("127.0.0.2"), 1000),
    "a listed address without text, TXT": query(name("203.0.113.7"), "TXT"),
    "127.0.0.1 is not listed": query(name("127.0.0.1")),
    "127.0.0.1 is not listed, EDNS": query(name("127.0.0.1"), extra=[opt()]),
    "a leading zero is another name": query(f"002.0.0.127.{IP_ORIGIN}"),
    "deeper than an address": query(f"x.2.0.0.127.{IP_ORIGIN}"),
    "a network with something listed": query(f"0.0.127.{IP_ORIGIN}"),
    "a network with nothing listed": query(f"0.0.126.{IP_ORIGIN}"),
    "octets and nibbles at once": query(f"1.0.0.2.{IP_ORIGIN}"),
    "a listed IPv6 address": query(name(V6), extra=[opt()]),
    "a listed IPv6 address, upper case, TXT": query(name(V6).upper(), "TXT"),
    "the IPv6 test point": query(name("::ffff:7f00:2")),
    "an IPv6 address that is not listed": query(name("2001:db8::1")),
    "nibbles above a listed network": query(f"8.b.d.0.1.0.0.2.{IP_ORIGIN}"),
    "a sublist": query(f"ab.{IP_ORIGIN}"),
    "a listed address in a sublist": query(name("127.0.0.2", f"ab.{IP_ORIGIN}")),
    "a listed address in another sublist": query(name("192.0.2.1", f"attacks.{IP_ORIGIN}")),
    "a network in a sublist": query(f"2.0.192.attacks.{IP_ORIGIN}"),
    "a listed domain": query(f"bad.example.{DOMAIN_ORIGIN}"),
    "below a listed domain, TXT": query(f"WWW.bad.example.{DOMAIN_ORIGIN}", "TXT", extra=[opt()]),
    "above a listed domain": query(f"worse.example.{DOMAIN_ORIGIN}"),
    "a domain that is not listed": query(f"good.example.{DOMAIN_ORIGIN}"),
    "a label with a dot in it": query([b"bad.example", *DOMAIN_ORIGIN.encode().split(b".")]),
    "apex SOA": query(IP_ORIGIN, "SOA"),
    "apex NS, EDNS": query(IP_ORIGIN, "NS", extra=[opt()]),
    "apex A": query(IP_ORIGIN, "A"),
    "apex TXT": query(IP_ORIGIN, "TXT"),
    "apex MX": query(IP_ORIGIN, "MX"),
    "apex SOA with NSID": query(IP_ORIGIN, "SOA", extra=[opt(rdata=b"\0\3\0\0")]),
    "outside": query("example.com"),
    "outside, EDNS": query("example.com", extra=[opt()]),
    "class ANY": query(IP_ORIGIN, qclass=255),
    "version.bind": query("version.bind", "TXT", qclass=3),
    "id.server": query("id.server", "TXT", qclass=3),
    "transfer": query(IP_ORIGIN, "AXFR", extra=[opt()]),
    "EDNS version 1": query(IP_ORIGIN, "SOA", extra=[opt(version=1)]),
    "two OPT records": query(IP_ORIGIN, "SOA", extra=[opt(), opt()]),
    "a broken option": query(IP_ORIGIN, "SOA", extra=[opt(rdata=b"\0\3\0\1")]),
    "no question": query(IP_ORIGIN)[:4] + bytes(8),
    "two questions": query(IP_ORIGIN)[:4] + b"\0\2" + query(IP_ORIGIN)[6:] + query(IP_ORIGIN)[12:],
    "a pointer in the question": query(IP_ORIGIN)[:12] + b"\xc0\x0c\0\1\0\1",
    "opcode 15, header only": b"\x12\x34\x78\0" + bytes(8),
    "NOTIFY": query(IP_ORIGIN, "SOA", flags=0x2400, extra=[opt()]),
    "a reply": query(IP_ORIGIN, flags=0x8000),
    "eleven octets": query(IP_ORIGIN)[:11],
}


def answerer_of(data):
    views = [
        FakeView(ZoneDef.model_validate(zone["definition"]), zone["networks"], zone["names"], zone["serial"])
        for zone in data["zones"]
    ]
    return Answerer(views, DnsConfig.model_validate(data["settings"]))


def load():
    return json.loads(PATH.read_text())


def write():
    zones = [
        {"definition": definition.model_dump(mode="json", exclude_unset=True), "serial": 2026010100, **lists}
        for definition, lists in (
            (ip_zone(), {"networks": NETWORKS, "names": {}}),
            (domain_zone(), {"networks": {}, "names": NAMES}),
        )
    ]
    data = {"settings": SETTINGS, "zones": zones, "vectors": []}
    answerer = answerer_of(data)
    for about, wire in QUERIES.items():
        for transport in ("udp", "tcp") if about == "a listed address" else ("udp",):
            reply = answerer.reply(wire, transport)
            vector = {"name": about, "transport": transport, "query": wire.hex(), "reply": reply and reply.hex()}
            data["vectors"].append(vector)
    PATH.write_text(json.dumps(data, indent=1) + "\n")


DATA = load() if PATH.exists() else {"vectors": []}


@pytest.fixture(scope="module")
def answerer():
    return answerer_of(DATA)


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda vector: f"{vector['name']}, {vector['transport']}")
def test_the_reply_is_the_known_one(answerer, vector):
    reply = answerer.reply(bytes.fromhex(vector["query"]), vector["transport"])
    assert (reply and reply.hex()) == vector["reply"]


def test_no_vector_is_missing():
    assert {vector["name"] for vector in DATA["vectors"]} == set(QUERIES)


if __name__ == "__main__":
    write()
