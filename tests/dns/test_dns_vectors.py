"""Queries and the replies they get, octet by octet: whatever answers queries gives these.

`tests/vectors/dns.json` describes the zones, what they list, the settings, the time (seconds since 1970, for all
vectors), and the vectors: a name that says what it is about, the transport, the client's address, query and reply in
hex (null is silence). After a wanted change `python tests/dns/test_dns_vectors.py` writes the file anew, and the
difference is reviewed.
"""

import json
from pathlib import Path

import pytest
from fake import (
    DOMAIN_ORIGIN,
    EMAIL,
    FILE,
    HASH_ORIGIN,
    HASHES,
    IP_ORIGIN,
    NAMES,
    NETWORKS,
    NUMBERS,
    PHONE_ORIGIN,
    FakeView,
    cookie,
    domain_zone,
    hash_zone,
    ip_zone,
    opt,
    option,
    phone_zone,
    query,
)
from fake import reversed_name as name

from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.dns.answer import Answerer
from dnsbl.dns.cookies import Cookies, packed_address, siphash24

PATH = Path(__file__).parent.parent / "vectors" / "dns.json"
SECRETS = ["e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962"]  # of RFC 9018 appendix A
SETTINGS = {"nsid": "site-1", "version": "dnsbl", "cookie_secrets": SECRETS}
CLOCK = 1559734385  # RFC 9018 appendix A.2
CLIENT4, CLIENT6 = "198.51.100.100", "2001:db8:220:1:59de:d0f4:8769:82b8"
CLIENT_COOKIE = bytes.fromhex("2464c4abcf10c957")
BARE_HEADER = b"\x12\x34\0\0\0\0\0\0\0\0\0\1"
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
    "a listed address by its hash": query(f"{EMAIL}._email.{HASH_ORIGIN}", extra=[opt()]),
    "a listed file by its hash, upper case, TXT": query(f"{FILE.upper()}._FILE.{HASH_ORIGIN}", "TXT", extra=[opt()]),
    "a listed address by its hash, AAAA": query(f"{EMAIL}._email.{HASH_ORIGIN}", "AAAA"),
    "a hash of another type": query(f"{EMAIL}._url.{HASH_ORIGIN}"),
    "a hash that is not listed": query(f"{'1' * 40}._url.{HASH_ORIGIN}"),
    "the label of a type of hash": query(f"_url.{HASH_ORIGIN}"),
    "below a listed hash": query(f"x.{EMAIL}._email.{HASH_ORIGIN}"),
    "a listed number": query(f"4.3.2.1.{PHONE_ORIGIN}", extra=[opt()]),
    "a listed number, TXT": query(f"6.5.4.3.2.1.{PHONE_ORIGIN}", "TXT"),
    "a listed number, ANY": query(f"4.3.2.1.{PHONE_ORIGIN}", "ANY"),
    "a number between listed ones": query(f"5.4.3.2.1.{PHONE_ORIGIN}"),
    "a number above a listed one": query(f"2.1.{PHONE_ORIGIN}", extra=[opt()]),
    "a number below a listed one": query(f"7.4.3.2.1.{PHONE_ORIGIN}"),
    "a number of 15 digits": query(f"2.0.0.0.0.0.0.0.0.7.2.1.9.9.9.{PHONE_ORIGIN}"),
    "a number that is not listed": query(f"1.0.0.0.0.0.0.0.0.7.2.1.9.9.9.{PHONE_ORIGIN}"),
    "a number with a dot in a label": query([b"4", b"3.2", b"1", *PHONE_ORIGIN.encode().split(b".")]),
    "a label with a dot in it below a number": query(
        [b"x.y", *b"4.3.2.1".split(b"."), *PHONE_ORIGIN.encode().split(b".")]
    ),
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


def made(age=0, secret=SECRETS[0], client=CLIENT4):
    """A client cookie and the server cookie that it got some seconds before CLOCK."""
    cookies = Cookies([bytes.fromhex(secret)], lambda: CLOCK - age)
    return cookies.answer(CLIENT_COOKIE, packed_address(client))[1]


def versioned(version, reserved=bytes(3)):
    """A server cookie of now whose hash is right, whatever stands before it."""
    hashed = CLIENT_COOKIE + bytes((version,)) + reserved + CLOCK.to_bytes(4, "big")
    return hashed + siphash24(bytes.fromhex(SECRETS[0]), hashed + packed_address(CLIENT4))


def asking(data, asked=IP_ORIGIN, qtype="SOA", *, size=1232, before=b"", after=b"", **more):
    """A query with a COOKIE option, and others before and after it."""
    return query(asked, qtype, extra=[opt(size, rdata=before + cookie(data) + after)], **more)


def changed(data, at):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


# The answer is the name again: with OPT it fills 512 octets, and a cookie is too much.
LONG_NAME = ".".join([*("x" * 63, "y" * 63, "z" * 63), "w" * 20, "bad.example", DOMAIN_ORIGIN])

COOKIES = {  # each asked with a question, which any of them gets answered, and without, which tells good from bad
    "a client cookie": CLIENT_COOKIE,
    "a server cookie of now": made(),
    "a server cookie of half an hour ago": made(1800),
    "a server cookie of half an hour and a second ago": made(1801),
    "the server cookie of RFC 9018 A.2": bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
    "a server cookie of an hour ago": made(3600),
    "a server cookie of an hour and a second ago": made(3601),
    "a server cookie a second ahead": made(-1),
    "a server cookie five minutes ahead": made(-300),
    "a server cookie five minutes and a second ahead": made(-301),
    "a server cookie from half of the circle away": made(2**31),
    "a server cookie made with the second secret": made(secret=SECRETS[1]),
    "a server cookie made with the second secret, an hour and a second ago": made(3601, SECRETS[1]),
    "a server cookie made with an unknown secret": made(secret="00" * 16),
    "a server cookie made for another client": made(client="198.51.100.101"),
    "a server cookie with a wrong hash": changed(made(), 23),
    "a server cookie with another client cookie": changed(made(), 0),
    "a server cookie with reserved octets set": versioned(1, b"\xab\xcd\xef"),
    "a server cookie with a reserved octet changed": changed(made(), 10),
    "a server cookie of version 2": versioned(2),
    "a cookie of 16 octets": made()[:16],
    "a cookie of 23 octets": made()[:23],
    "a cookie of 25 octets": made() + b"x",
    "a cookie of 40 octets": made() + bytes(16),
}
COOKIE_QUERIES = {
    **{about: asking(data) for about, data in COOKIES.items()},
    **{f"{about}, and no question": BARE_HEADER + opt(rdata=cookie(data)) for about, data in COOKIES.items()},
    "a cookie of 0 octets": asking(b""),
    "a cookie of 7 octets": asking(CLIENT_COOKIE[:7]),
    "a cookie of 9 octets": asking(made()[:9]),
    "a cookie of 15 octets": asking(made()[:15]),
    "a cookie of 41 octets": asking(made() + bytes(17)),
    "a cookie of 7 octets with NSID": asking(CLIENT_COOKIE[:7], after=option(3)),
    "two cookies, the first good": asking(made(60), after=cookie(CLIENT_COOKIE)),
    "two cookies, the second good": asking(CLIENT_COOKIE, after=cookie(made(60))),
    "two cookies, the second of a wrong length": asking(CLIENT_COOKIE, after=cookie(b"x")),
    "two cookies, the first of a wrong length": asking(b"x", after=cookie(CLIENT_COOKIE)),
    "a cookie, and then a broken option": asking(CLIENT_COOKIE, after=b"\0\x64\0\1"),
    "a cookie, and then another OPT": query(IP_ORIGIN, "SOA", extra=[opt(rdata=cookie(CLIENT_COOKIE)), opt()]),
    "a cookie, EDNS version 1": query(IP_ORIGIN, "SOA", extra=[opt(version=1, rdata=cookie(CLIENT_COOKIE))]),
    "a cookie outside": asking(CLIENT_COOKIE, "example.com"),
    "a cookie and NSID outside": asking(CLIENT_COOKIE, "example.com", after=option(3)),
    "a cookie for what is not listed": asking(made(60), name("127.0.0.1"), "A"),
    "a cookie for a network with something listed": asking(made(60), f"0.0.127.{IP_ORIGIN}", "A"),
    "a cookie for a listed address": asking(made(60), name("127.0.0.2"), "A"),
    "a cookie for a transfer": asking(CLIENT_COOKIE, qtype="AXFR"),
    "a cookie and NOTIFY": asking(CLIENT_COOKIE, flags=0x2400),
    "a cookie and version.bind": asking(CLIENT_COOKIE, "version.bind", "TXT", qclass=3),
    "a long answer without a cookie": query(LONG_NAME, "TXT", extra=[opt(512)]),
    "a long answer with a cookie": asking(CLIENT_COOKIE, LONG_NAME, "TXT", size=512),
    "a client cookie, NSID and no question": BARE_HEADER + opt(rdata=cookie(CLIENT_COOKIE) + option(3)),
    "a cookie of a wrong length and no question": BARE_HEADER + opt(rdata=cookie(b"x")),
    "OPT without a cookie and no question": BARE_HEADER + opt(),
    "a cookie, opcode 4 and no question": b"\x12\x34\x20" + BARE_HEADER[3:] + opt(rdata=cookie(CLIENT_COOKIE)),
}
OTHER_WAYS = [  # what is asked by others than CLIENT4, or over TCP
    ("a client cookie", "udp", CLIENT6, asking(CLIENT_COOKIE)),
    ("a server cookie, IPv6", "udp", CLIENT6, asking(made(60, client=CLIENT6))),
    ("a server cookie, IPv6 with a scope", "udp", "fe80::1%eth0", asking(made(60, client="fe80::1"))),
    ("a server cookie, IPv4 in IPv6", "udp", f"::ffff:{CLIENT4}", asking(made(60))),
    ("a server cookie, no address", "udp", "", asking(made(60))),
    ("a server cookie and no question, no address", "udp", "", BARE_HEADER + opt(rdata=cookie(made(60)))),
    ("a cookie of 7 octets, no address", "udp", "", asking(CLIENT_COOKIE[:7])),
    ("a client cookie", "tcp", CLIENT4, asking(CLIENT_COOKIE)),
    ("a server cookie of now", "tcp", CLIENT4, asking(made())),
    ("a long answer with a cookie", "tcp", CLIENT4, asking(CLIENT_COOKIE, LONG_NAME, "TXT", size=512)),
]
ASKED = [
    *(
        (about, transport, CLIENT4, wire)
        for about, wire in QUERIES.items()
        for transport in (("udp", "tcp") if about == "a listed address" else ("udp",))
    ),
    *((about, "udp", CLIENT4, wire) for about, wire in COOKIE_QUERIES.items()),
    *OTHER_WAYS,
]


def answerer_of(data):
    views = [
        FakeView(ZoneDef.model_validate(zone["definition"]), zone["networks"], zone["names"], zone["serial"])
        for zone in data["zones"]
    ]
    return Answerer(views, DnsConfig.model_validate(data["settings"]), clock=lambda: data["clock"])


def load():
    return json.loads(PATH.read_text())


def write():
    zones = [
        {"definition": definition.model_dump(mode="json", exclude_unset=True), "serial": 2026010100, **lists}
        for definition, lists in (
            (ip_zone(), {"networks": NETWORKS, "names": {}}),
            (domain_zone(), {"networks": {}, "names": NAMES}),
            (hash_zone(), {"networks": {}, "names": HASHES}),
            (phone_zone(), {"networks": {}, "names": NUMBERS}),
        )
    ]
    data = {"settings": SETTINGS, "clock": CLOCK, "zones": zones, "vectors": []}
    answerer = answerer_of(data)
    for about, transport, client, wire in ASKED:
        reply = answerer.reply(wire, transport, client)
        data["vectors"].append(
            {
                "name": about,
                "transport": transport,
                "client": client,
                "query": wire.hex(),
                "reply": reply and reply.hex(),
            }
        )
    PATH.write_text(json.dumps(data, indent=1) + "\n")


DATA = load() if PATH.exists() else {"vectors": []}


@pytest.fixture(scope="module")
def answerer():
    return answerer_of(DATA)


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda v: f"{v['name']}, {v['transport']}, {v['client']}")
def test_the_reply_is_the_known_one(answerer, vector):
    reply = answerer.reply(bytes.fromhex(vector["query"]), vector["transport"], vector["client"])
    assert (reply and reply.hex()) == vector["reply"]


def test_no_vector_is_missing():
    there = [(v["name"], v["transport"], v["client"], bytes.fromhex(v["query"])) for v in DATA["vectors"]]
    assert there == ASKED


if __name__ == "__main__":
    write()
