"""DNS cookies: the vectors of RFC 9018 and of SipHash, what is good for how long, and what goes into replies."""

import pytest
from clients import connected, dig, framed, read_framed, run, serving, udp_client
from dnslib import DNSRecord
from fake import IP_ORIGIN, NETWORKS, FakeView, cookie, ip_zone, opt, option, options, query, rcode
from fake import reversed_name as name
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsbl.config import DnsConfig
from dnsbl.dns.answer import Answerer
from dnsbl.dns.cookies import MAX_AGE, MAX_AHEAD, RENEW_AGE, Cookies, packed_address, secrets_of, siphash24
from dnsbl.dns.message import COOKIE_SIZES, Rcode

FIRST, SECOND, OTHER = (bytes([n]) * 16 for n in (1, 2, 3))
NOW = 1_800_000_000
CLIENT = b"\x24\x64\xc4\xab\xcf\x10\xc9\x57"
V4, V6 = "198.51.100.100", "2001:db8:220:1:59de:d0f4:8769:82b8"
CH, EDE, NSID, COOKIE = 3, 15, 3, 10


def cookies(*secrets, now=NOW):
    return Cookies(secrets or (FIRST,), lambda: now)


def made(now=NOW, client=V4, secret=FIRST):
    """A cookie as a server with this secret gave it then: the client's and its own."""
    return cookies(secret, now=now).answer(CLIENT, packed_address(client))[1]


def answerer(now=NOW, secrets=(FIRST, SECOND), **more):
    config = DnsConfig.model_validate({"cookie_secrets": [secret.hex() for secret in secrets], "nsid": "site-1"} | more)
    return Answerer([FakeView(ip_zone(), NETWORKS)], config, clock=lambda: now)


def asking(cookies_sent, asked=IP_ORIGIN, qtype="SOA", before=b"", after=b"", **more):
    return query(asked, qtype, extra=[opt(rdata=before + cookies_sent + after)], **more)


def alone(data):
    """A cookie, and no question (RFC 7873 section 5.4)."""
    return b"\x12\x34\0\0\0\0\0\0\0\0\0\1" + opt(rdata=cookie(data))


def whole_rcode(reply):
    return rcode(DNSRecord.parse(reply))


# Vectors of others


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (0, "310e0edd47db6f72"), (1, "fd67dc93c539f874"), (2, "5a4fa9d909806c0d"), (3, "2d7efbd796666785"),
        (8, "6224939a79f5f593"), (15, "e545be4961ca29a1"),
    ],
)  # fmt: skip
def test_siphash_gives_the_vectors_of_its_authors(size, wanted):
    assert siphash24(bytes(range(16)), bytes(range(size))).hex() == wanted


def test_rfc_9018_a1_a_new_cookie():
    secret = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
    got = cookies(secret, now=1559731985).answer(bytes.fromhex("2464c4abcf10c957"), packed_address("198.51.100.100"))
    assert (got[0], got[1].hex()) == ("new", "2464c4abcf10c957010000005cf79f111f8130c3eee29480")


def test_rfc_9018_a2_a_cookie_of_forty_minutes_is_renewed():
    secret = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
    sent = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
    got = cookies(secret, now=1559734385).answer(sent, packed_address("198.51.100.100"))
    assert (got[0], got[1].hex()) == ("valid", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77")


def test_rfc_9018_a3_reserved_octets_are_hashed_as_they_came():
    """The cookie is nearly two hours old there, and so not good by section 4.3; it was when it was younger."""
    secret = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
    sent = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    address = packed_address("203.0.113.203")
    got = cookies(secret, now=1559734700).answer(sent, address)
    assert (got[0], got[1].hex()) == ("invalid", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
    assert cookies(secret, now=1559727985 + RENEW_AGE).answer(sent, address) == ("valid", sent)


def test_rfc_9018_a4_an_ipv6_client_and_a_new_secret():
    new, old = (bytes.fromhex(s) for s in ("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"))
    sent = bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8")
    address = packed_address("2001:db8:220:1:59de:d0f4:8769:82b8")
    got = cookies(new, old, now=1559741961).answer(sent, address)
    assert (got[0], got[1].hex()) == ("valid", "22681ab97d52c298010000005cf7c609a6bb79d16625507a")
    assert cookies(new, now=1559741961).answer(sent, address)[0] == "invalid"


# How long, and whose


@pytest.mark.parametrize(
    ("age", "standing", "kept"),
    [
        (0, "valid", True), (1, "valid", True), (RENEW_AGE, "valid", True), (RENEW_AGE + 1, "valid", False),
        (MAX_AGE, "valid", False), (MAX_AGE + 1, "invalid", False), (-1, "valid", False),
        (-MAX_AHEAD, "valid", False), (-MAX_AHEAD - 1, "invalid", False), (1 << 31, "invalid", False),
        ((1 << 32) - 1, "valid", False), (1 << 32, "valid", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("now", [NOW, 100, (1 << 32) + 100], ids=["now", "at the first seconds", "in 2106"])
def test_a_cookie_is_good_for_an_hour_and_kept_for_half_of_it(now, age, standing, kept):
    sent = made(now - age)
    got = cookies(now=now).answer(sent, packed_address(V4))
    assert got == (standing, sent if kept else made(now))


def test_every_secret_checks_and_the_first_makes():
    sent = made(secret=SECOND)
    assert cookies(FIRST, SECOND).answer(sent, packed_address(V4)) == ("valid", made(secret=FIRST))
    assert cookies(FIRST, OTHER).answer(sent, packed_address(V4)) == ("invalid", made(secret=FIRST))


@pytest.mark.parametrize("at", range(24))
def test_a_changed_octet_makes_a_cookie_bad(at):
    sent = bytearray(made())
    sent[at] ^= 1
    assert cookies().answer(bytes(sent), packed_address(V4))[0] == "invalid"


@pytest.mark.parametrize("size", sorted(COOKIE_SIZES - {8, 24}))
def test_other_lengths_are_no_cookie_of_ours(size):
    sent = (made() + bytes(16))[:size]
    assert cookies().answer(sent, packed_address(V4)) == ("invalid", made())


def test_an_address_has_no_scope_and_may_be_unreadable():
    assert packed_address("192.0.2.1") == b"\xc0\0\2\1"
    assert packed_address("fe80::1%eth0") == packed_address("fe80::1") != b""
    assert [packed_address(text) for text in ("", "%eth0", "nowhere", "192.0.2", "/run/socket", "\0")] == [b""] * 6


def test_without_configured_secrets_each_start_has_its_own():
    assert len({*secrets_of(DnsConfig()), *secrets_of(DnsConfig())}) == 2
    assert all(len(secret) == 16 for secret in secrets_of(DnsConfig()))
    assert secrets_of(DnsConfig.model_validate({"cookie_secrets": ["0F" * 16]})) == [b"\x0f" * 16]


addresses = st.ip_addresses().map(str)


@given(st.binary(min_size=8, max_size=40), addresses, addresses, st.integers(0, 1 << 40), st.integers(0, RENEW_AGE))
@settings(deadline=None)
def test_what_a_client_gets_is_good_afterwards_for_it_and_for_nobody_else(sent, client, other, now, later):
    got = cookies(now=now).answer(sent, packed_address(client))[1]
    assert got[:8] == sent[:8]
    then = cookies(now=now + later)
    assert then.answer(got, packed_address(client)) == ("valid", got)
    assert (then.answer(got, packed_address(other))[0] == "valid") == (packed_address(client) == packed_address(other))


# In replies


@pytest.mark.parametrize("client", [V4, V6])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_sends_a_cookie_gets_one_and_may_keep_it(client, transport):
    server = answerer()
    first = server.reply(asking(cookie(CLIENT)), transport, client)
    assert options(first) == [(COOKIE, made(client=client))]
    again = server.reply(asking(cookie(made(client=client))), transport, client)
    assert again == first
    assert (server.counters.cookies_new, server.counters.cookies_valid) == (1, 1)


def test_a_bad_cookie_costs_nothing_and_is_replaced():
    server = answerer()
    for bad in (made(client=V6), made(secret=OTHER), made(NOW - MAX_AGE - 1), CLIENT + b"x" * 8, CLIENT + b"x" * 32):
        reply = server.reply(asking(cookie(bad)), "udp", V4)
        assert reply == server.reply(asking(cookie(CLIENT)), "udp", V4)
    assert server.counters.cookies_invalid == 5


def test_without_a_cookie_none_is_sent():
    assert options(answerer().reply(asking(b""), "udp", V4)) == []
    assert DNSRecord.parse(answerer().reply(query(IP_ORIGIN), "udp", V4)).ar == []


@pytest.mark.parametrize("client", ["", "nowhere"])
def test_who_has_no_address_gets_no_cookie(client):
    server = answerer()
    assert server.reply(asking(cookie(made())), "udp", client) == server.reply(asking(b""), "udp", client)
    assert whole_rcode(server.reply(asking(cookie(b"short")), "udp", client)) == Rcode.FORMERR
    assert whole_rcode(server.reply(alone(CLIENT), "udp", client)) == Rcode.FORMERR
    assert server.counters.cookies_new == server.counters.cookies_invalid == 0


@pytest.mark.parametrize("size", sorted(set(range(45)) - COOKIE_SIZES))
def test_a_cookie_of_a_wrong_length_is_formerr_and_does_not_come_back(size):
    reply = answerer().reply(asking(cookie(b"c" * size)), "udp", V4)
    assert whole_rcode(reply) == Rcode.FORMERR
    assert options(reply) == []


def test_of_several_cookies_the_first_counts():
    server = answerer()
    one = server.reply(asking(cookie(CLIENT)), "udp", V4)
    for second in (b"d" * 8, made(), b"", b"x" * 41):
        assert server.reply(asking(cookie(CLIENT), after=cookie(second)), "udp", V4) == one
    assert whole_rcode(server.reply(asking(cookie(b""), after=cookie(CLIENT)), "udp", V4)) == Rcode.FORMERR


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"asked": name("127.0.0.1"), "qtype": "A"}, Rcode.NXDOMAIN),
        ({"asked": f"0.0.127.{IP_ORIGIN}", "qtype": "A"}, Rcode.NOERROR),
        ({"asked": "example.com"}, Rcode.REFUSED), ({"qtype": "AXFR"}, Rcode.REFUSED), ({"qclass": 255}, Rcode.REFUSED),
        ({"qtype": "OPT"}, Rcode.FORMERR), ({"flags": 0x2000}, Rcode.NOTIMP),
        ({"asked": "version.bind", "qtype": "TXT", "qclass": CH}, Rcode.NOERROR),
    ],
)  # fmt: skip
def test_errors_and_empty_answers_have_a_cookie_too(asked, wanted):
    reply = answerer().reply(asking(cookie(CLIENT), **asked), "udp", V4)
    assert whole_rcode(reply) == wanted
    assert (COOKIE, made()) in options(reply)


def test_what_is_broken_after_a_good_opt_still_gets_its_cookie():
    wire = query(IP_ORIGIN, extra=[opt(rdata=cookie(CLIENT)), opt()])
    reply = answerer().reply(wire, "udp", V4)
    assert (whole_rcode(reply), options(reply)) == (Rcode.FORMERR, [(COOKIE, made())])


def test_a_broken_option_after_a_cookie_leaves_nothing_of_it():
    reply = answerer().reply(asking(cookie(CLIENT), after=b"\0\x64\0\1"), "udp", V4)
    assert (whole_rcode(reply), options(reply)) == (Rcode.FORMERR, [])


def test_options_of_another_version_are_not_read():
    reply = answerer().reply(query(IP_ORIGIN, extra=[opt(version=1, rdata=cookie(CLIENT))]), "udp", V4)
    assert (whole_rcode(reply), options(reply)) == (Rcode.BADVERS, [])


def test_identity_cookie_and_reason_come_in_this_order():
    for before, after in ((option(NSID), b""), (b"", option(NSID))):
        wire = asking(cookie(CLIENT), "example.com", before=before, after=after)
        reply = answerer().reply(wire, "udp", V4)
        assert options(reply) == [(NSID, b"site-1"), (COOKIE, made()), (EDE, b"\0\x14")]


def test_the_longest_name_and_all_options_fit_512():
    asked = ".".join(["a" * 63] * 3 + ["b" * 61])
    wire = query(asked, extra=[opt(512, rdata=option(NSID) + cookie(CLIENT))])
    reply = answerer(nsid="n" * 200).reply(wire, "udp", V4)
    assert len(options(reply)) == 3 and not DNSRecord.parse(reply).header.tc
    assert len(reply) <= 512


# A cookie and no question


def test_a_cookie_alone_is_answered_with_one():
    server = answerer()
    for sent in (CLIENT, made()):
        reply = server.reply(alone(sent), "udp", V4)
        assert reply[:12] == b"\x12\x34\x80\0\0\0\0\0\0\0\0\1"
        assert (whole_rcode(reply), options(reply)) == (Rcode.NOERROR, [(COOKIE, made())])


def test_a_bad_cookie_alone_is_badcookie_with_a_good_one():
    server = answerer()
    reply = server.reply(alone(made(client=V6)), "udp", V4)
    assert (whole_rcode(reply), options(reply)) == (Rcode.BADCOOKIE, [(COOKIE, made())])
    assert server.counters.snapshot()["by"]["rcode"] == {"BADCOOKIE": 1}


def test_no_question_is_formerr_where_the_cookie_is_missing_or_anything_else_is_wrong():
    server = answerer()
    head = b"\x12\x34\0\0\0\0\0\0\0\0\0"
    for rest in (b"\0", b"\1" + opt(), b"\2" + opt(rdata=cookie(CLIENT)) + opt(), b"\1" + opt(rdata=cookie(b"c"))):
        assert whole_rcode(server.reply(head + rest, "udp", V4)) == Rcode.FORMERR
    assert whole_rcode(server.reply(b"\x12\x34\x20" + alone(made())[3:], "udp", V4)) == Rcode.NOTIMP


# Over sockets


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0"])
async def test_sockets_say_who_asks(listen):
    server = answerer()
    wanted = [(COOKIE, made(client="127.0.0.1"))]
    async with connected(server, listen=[listen]) as (running, reader, writer):
        async with udp_client(("127.0.0.1", running.addresses[0][1])) as client:
            assert options(await client.ask(asking(cookie(CLIENT)))) == wanted
        writer.write(framed(asking(cookie(CLIENT))))
        assert options(await read_framed(reader)) == wanted


def cookie_in(text):
    [line] = [line for line in text.splitlines() if "COOKIE:" in line]
    return line.split("COOKIE:")[1].split()[0].lower()


@pytest.mark.peer
async def test_dig_takes_our_cookie_and_we_take_it_back():
    server = answerer()
    async with serving(server) as running:
        first = await dig(running, "+cookie", "soa", IP_ORIGIN)
        got = cookie_in(first.text)
        again = await dig(running, f"+cookie={got}", "soa", IP_ORIGIN)
        over_tcp = await dig(running, f"+cookie={got}", "+tcp", "soa", IP_ORIGIN)
        forged = await dig(running, f"+cookie={got[:-2]}{'00' if got[-2:] != '00' else '11'}", "soa", IP_ORIGIN)
    assert all("(good)" in each.text and each.status == "NOERROR" for each in (first, again, over_tcp, forged))
    assert cookie_in(again.text) == cookie_in(over_tcp.text) == got
    counters = server.counters
    assert (counters.cookies_new, counters.cookies_valid, counters.cookies_invalid) == (1, 2, 1)


@pytest.mark.peer
async def test_dig_asks_for_a_cookie_alone():
    async with serving(answerer()) as running:
        fresh = await dig(running, "+cookie", "+header-only")
        forged = await dig(running, f"+cookie={made(client=V6).hex()}", "+header-only", "+nobadcookie")
    assert (fresh.status, fresh.counts["QUERY"], fresh.counts["ANSWER"]) == ("NOERROR", 0, 0)
    assert "(good)" in fresh.text
    assert forged.status == "BADCOOKIE" and "(good)" in forged.text


@pytest.mark.peer
async def test_kdig_takes_our_cookie_and_we_take_it_back():
    server = answerer()
    async with serving(server) as running:
        host, port = running.addresses[0]
        where = (f"@{host}", "-p", str(port), name("127.0.0.1"))
        first = await run("kdig", "+cookie=2464c4abcf10c957", *where)
        got = cookie_in(first)
        again = await run("kdig", f"+cookie={got}", *where)
    assert cookie_in(again) == got == made(client="127.0.0.1").hex()
    assert "status: NXDOMAIN" in again and "WARNING" not in first + again
    assert server.counters.cookies_valid == 1
