"""Who may transfer, and what a query for a transfer comes to."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest
from fake import IP_ORIGIN, FakeView, domain_zone, ip_zone
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dnsbl.config import DnsConfig, ZoneDef
from dnsbl.config.distribution import TsigKeyConfig
from dnsbl.dns import tsig
from dnsbl.dns.answer import Answerer
from dnsbl.dns.catalog import Catalog
from dnsbl.dns.message import Ede, Rcode
from dnsbl.dns.refusals import AGAIN, MOST, Refusals, Refused
from dnsbl.dns.stream import Head, messages
from dnsbl.dns.transfer import Transfer, newer
from dnsbl.dns.tsigrecord import find

SERIAL = 2026010100
CLIENT = "192.0.2.7"
SECRET = bytes(range(16))
KEYS = [TsigKeyConfig(name=name, secret=SecretStr("AAECAwQFBgcICQoLDA0ODw==")) for name in ("mirror", "other")]


def answerer(zone: ZoneDef | None = None, **settings: object) -> Answerer:
    known = {"transfer": ["192.0.2.0/24", "2001:db8::/32"], "keys": KEYS} | settings
    dns_settings = DnsConfig.model_validate(known)
    made = Answerer([FakeView(zone or ip_zone(), {"192.0.2.1": [0]}, serial=SERIAL)], dns_settings)
    made.catalog = Catalog("catalog.example", 77, [IP_ORIGIN, "dbl.example"])
    return made


def query(
    qtype: str = "AXFR", name: str = IP_ORIGIN, serial: int | None = None, key: str = "", edns: int = -1
) -> dns.message.Message:
    asked = dns.message.make_query(name, qtype, use_edns=edns)
    if serial is not None:
        soa = f"{name}. 0 IN SOA a. b. {serial} 1 2 3 4"
        asked.authority = dns.message.from_text(f"id 1\n;AUTHORITY\n{soa}\n").authority
    if key:
        asked.use_tsig(dns.tsig.Key(dns.name.from_text(key), SECRET, "hmac-sha256"))
    return asked


def ask(
    server: Answerer, asked: dns.message.Message, transport: str = "tcp", client: str = CLIENT
) -> Transfer | dns.message.Message:
    reply = server.reply(asked.to_wire(), transport, client)  # type: ignore[arg-type]
    if isinstance(reply, Transfer):
        return reply
    assert reply is not None
    return dns.message.from_wire(reply, keyring=asked.keyring, request_mac=asked.mac)


def rcode(found: Transfer | dns.message.Message) -> str:
    return "transfer" if isinstance(found, Transfer) else dns.rcode.to_text(found.rcode())


def soa_serial(found: Transfer | dns.message.Message) -> int:
    """Of the one SOA that is the whole answer."""
    assert isinstance(found, dns.message.Message)
    [answer] = found.answer
    assert answer.rdtype == dns.rdatatype.SOA and not found.authority
    return int(answer[0].serial)


# who


@pytest.mark.parametrize(
    ("client", "zone", "expected"),
    [
        ("192.0.2.7", {}, "transfer"), ("2001:db8::1%eth0", {}, "transfer"), ("198.51.100.1", {}, "REFUSED"),
        ("", {}, "REFUSED"), ("192.0.2.7", {"transfer": ["192.0.2.7/32"]}, "transfer"),
        ("192.0.2.8", {"transfer": ["192.0.2.7/32"]}, "REFUSED"), ("192.0.2.7", {"transfer": []}, "REFUSED"),
        ("198.51.100.1", {"transfer": ["198.51.100.0/24"]}, "REFUSED"),  # a zone narrows, it does not widen
    ],
)  # fmt: skip
@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_the_address_decides(client: str, zone: dict[str, object], expected: str, qtype: str) -> None:
    server = answerer(ip_zone(**zone))
    assert rcode(ask(server, query(qtype, serial=1 if qtype == "IXFR" else None), client=client)) == expected


def test_nobody_may_where_no_network_is_named() -> None:
    assert rcode(ask(answerer(transfer=[]), query())) == "REFUSED"


@pytest.mark.parametrize(
    ("server_keys", "zone_keys", "key", "expected"),
    [
        ([], None, "", "transfer"), ([], None, "mirror", "transfer"), (["mirror"], None, "mirror", "transfer"),
        (["Mirror"], None, "mIRROR", "transfer"), (["mirror"], None, "", "REFUSED"),
        (["mirror"], None, "other", "REFUSED"), (["mirror"], ["other"], "other", "transfer"),
        (["mirror"], ["other"], "mirror", "REFUSED"), (["mirror"], [], "", "transfer"),
    ],
)  # fmt: skip
def test_where_keys_are_asked_for_one_of_them_must_sign(
    server_keys: list[str], zone_keys: list[str] | None, key: str, expected: str
) -> None:
    server = answerer(ip_zone(transfer_keys=zone_keys), transfer_keys=server_keys)
    assert rcode(ask(server, query(key=key))) == expected


def test_a_refusal_says_that_it_is_prohibited_and_is_signed_like_any_reply() -> None:
    found = ask(answerer(), query(key="mirror", edns=0), client="198.51.100.1")
    assert isinstance(found, dns.message.Message) and found.had_tsig
    assert [option.code for option in found.options if option.otype == 15] == [Ede.PROHIBITED]


def test_an_unknown_key_is_told_so_whatever_it_asks() -> None:
    for name, qtype in ((IP_ORIGIN, "AXFR"), (IP_ORIGIN, "SOA"), ("1.2.0.192.bl.example", "A"), ("x.example", "A")):
        wire = query(qtype, name, key="unknown").to_wire()
        reply = answerer().reply(wire, "udp", CLIENT)
        assert isinstance(reply, bytes) and reply[3] & 15 == Rcode.NOTAUTH and reply[6:10] == bytes(4)
        record = find(reply)
        assert record is not None and (record.error, record.mac) == (tsig.BADKEY, b"")


@pytest.mark.parametrize(("name", "qtype"), [(IP_ORIGIN, "SOA"), ("1.2.0.192.bl.example", "TXT"), ("no.example", "A")])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_whatever_is_asked_with_a_signature_is_answered_with_one(name: str, qtype: str, transport: str) -> None:
    found = ask(answerer(), query(qtype, name, key="mirror"), transport)
    assert isinstance(found, dns.message.Message) and found.had_tsig


def test_a_signed_reply_fits_the_datagram_with_its_signature() -> None:
    """RFC 8945 section 5.3: what does not is TC and the signature."""
    long = ip_zone(apex={"txt": ["x" * 200, "y" * 195]})
    for key, cut in (("", False), ("mirror", True)):
        wire = query("TXT", key=key).to_wire()
        reply = answerer(long).reply(wire, "udp", CLIENT)
        assert isinstance(reply, bytes) and len(reply) <= 512 and bool(reply[2] & 2) == cut


# what is told of refusals


def refused(server: Answerer) -> dict[str, int]:
    """How often, by reason."""
    return {why: count for why, count in server.counters.snapshot()["transfers_refused"].items() if count}


def signed_by(name: str, secret: bytes = SECRET) -> dns.message.Message:
    asked = query("SOA")
    asked.use_tsig(dns.tsig.Key(dns.name.from_text(name), secret, "hmac-sha256"))
    return asked


@pytest.mark.parametrize(
    ("asked", "client", "reason", "setting"),
    [
        (query(), "198.51.100.1", "address", "dns.transfer"), (query(), CLIENT, "key", "dns.transfer_keys"),
        (query(key="other"), CLIENT, "key", "transfer_keys"), (signed_by("who"), CLIENT, "unknown_key", "dns.keys"),
        (signed_by("mirror", b"x" * 16), CLIENT, "signature", "dns.keys"),
        (query(name="other.example"), CLIENT, "zone", "zones_dir"),
        (query(name="catalog.example"), "2001:db8:1::1", "key", "dns.transfer_keys"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_once_with_its_setting_and_counted_each_time(
    asked: dns.message.Message, client: str, reason: str, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = answerer(transfer_keys=["mirror"])
    for _ in range(3):
        server.reply(asked.to_wire(), "tcp", client)
    [said] = [record.getMessage() for record in caplog.records]
    assert asked.question[0].name.to_text(omit_final_dot=True) in said and client in said and setting in said
    assert refused(server) == {reason: 3}


def test_a_late_signature_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    server = answerer()
    server.clock = lambda: 1
    server.reply(query("SOA", key="mirror").to_wire(), "udp", CLIENT)
    assert refused(server) == {"time": 1} and "set the clocks" in caplog.text


def test_what_strangers_write_is_told_in_one_line_that_can_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    wire = query(name="aaa.example").to_wire().replace(b"aaa", b"\n\x1b[")
    answerer().reply(wire, "tcp", CLIENT)
    assert r"\n\x1b[.example" in caplog.records[0].getMessage()


def test_refusals_are_told_again_after_an_hour_and_scanners_fill_neither_log_nor_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    counts = dict.fromkeys(Refused, 0)
    refusals = Refusals(counts, lambda: now)
    for number in range(3 * MOST):
        refusals.note("bl.example", f"2001:db8:{number:x}::1", "udp", Refused.ADDRESS)
    assert len(caplog.records) == MOST + 1 and "/metrics" in caplog.records[-1].getMessage()
    refusals.note("bl.example", CLIENT, "tcp", Refused.ADDRESS)
    assert CLIENT in caplog.records[-1].getMessage(), "who is where it says it is has a room of its own"
    assert sum(map(len, refusals.told.values())) == MOST + 1 and counts[Refused.ADDRESS] == 3 * MOST + 1
    caplog.clear()
    now = AGAIN
    refusals.note("bl.example", "2001:db8::2", "udp", Refused.ADDRESS)
    refusals.note("bl.example", "2001:db8::3", "udp", Refused.ADDRESS)
    assert len(caplog.records) == 1, "one /64 is one client"


def test_who_finds_no_place_is_refused_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    server = answerer()
    found = ask(server, query())
    assert isinstance(found, Transfer)
    assert dns.message.from_wire(found.refuse(Refused.PLACES)).rcode() == dns.rcode.REFUSED
    assert refused(server) == {"places": 1} and "too many transfers run" in caplog.text


# what


def test_axfr_over_udp_is_a_mistake() -> None:
    assert rcode(ask(answerer(), query(), "udp")) == "FORMERR"


def test_ixfr_without_a_serial_is_a_mistake() -> None:
    assert rcode(ask(answerer(), query("IXFR"))) == "FORMERR"


def test_ixfr_over_udp_is_one_soa() -> None:
    """RFC 1995 section 4: who sees that it is behind comes over TCP."""
    assert soa_serial(ask(answerer(), query("IXFR", serial=1), "udp")) == SERIAL


@pytest.mark.parametrize("serial", [SERIAL, SERIAL + 1, SERIAL + 2**31 - 1])
def test_who_is_up_to_date_or_ahead_gets_one_soa(serial: int) -> None:
    assert soa_serial(ask(answerer(), query("IXFR", serial=serial))) == SERIAL


@pytest.mark.parametrize("serial", [SERIAL - 1, 0, (SERIAL + 2**31 + 1) % 2**32])
def test_who_is_behind_gets_a_transfer_from_its_serial(serial: int) -> None:
    found = ask(answerer(), query("IXFR", serial=serial))
    assert isinstance(found, Transfer) and (found.zone, found.serial) == ("ip", serial)


def test_axfr_is_of_everything() -> None:
    found = ask(answerer(), query("AXFR", serial=SERIAL))
    assert isinstance(found, Transfer) and (found.zone, found.serial) == ("ip", None)


@pytest.mark.parametrize("name", ["2.0.0.127.bl.example", "sub.bl.example"])
def test_a_name_inside_a_zone_is_no_zone(name: str) -> None:
    assert rcode(ask(answerer(), query(name=name))) == "NOTAUTH"


def test_a_zone_that_is_not_here_is_refused() -> None:
    assert rcode(ask(answerer(), query(name="other.example"))) == "REFUSED"


def test_a_transfer_that_cannot_be_made_is_refused_signed() -> None:
    asked = query(key="mirror")
    found = ask(answerer(), asked)
    assert isinstance(found, Transfer)
    said = dns.message.from_wire(found.refuse(Refused.NOT_READY), keyring=asked.keyring, request_mac=asked.mac)
    assert (dns.rcode.to_text(said.rcode()), said.had_tsig) == ("SERVFAIL", True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_serials_are_compared_on_a_circle(serial: int, ahead: int) -> None:
    """RFC 1982 section 3.2."""
    later = (serial + ahead) % 2**32
    assert newer(later, serial) and not newer(serial, later) and not newer(serial, serial)


# messages


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(40, 62_000)), min_size=1, max_size=12),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_sections_become_messages_whole_and_in_order(sizes: list[tuple[int, int]], signed: bool, edns: bool) -> None:
    sections = [(count, records(count, size, number)) for number, (count, size) in enumerate(sizes)]
    key = tsig.Key(tsig.wire_name("k" * 63), "hmac-sha512", SECRET) if signed else None
    question = b"\4Zone\7Example\0\0\xfc\0\1"
    head = Head(b"\x12\x34", 0, question, b"\0\0\x29\4\xd0\0\0\0\0\0\0" if edns else b"", key, b"m" * 64)
    found, count = b"", 0
    for number, message in enumerate(messages(head, sections, lambda: 1_790_000_000)):
        assert len(message) <= 65_535
        assert message[:6] == b"\x12\x34\x84\0\0\1"
        assert (message[12 : 12 + len(question)] == question) == (number == 0)
        assert message[12 : 12 + len(question)].lower() == question.lower()
        record = find(message)
        assert (record is not None) == signed
        end = record.start if record else len(message)
        end -= len(head.opt) if number == 0 else 0
        assert int.from_bytes(message[10:12], "big") == (number == 0 and edns) + signed
        found += message[12 + len(question) : end]
        count += int.from_bytes(message[6:8], "big")
    assert found == b"".join(records for _, records in sections)
    assert count == sum(number for number, _ in sections)


def records(count: int, size: int, octet: int) -> bytes:
    """So many records, so many octets in all but for the heads of all but one."""
    head = b"\xc0\x0c\0\x10\0\1\0\0\0\0"
    return (head + b"\0\0") * (count - 1) + head + (size - 12).to_bytes(2, "big") + bytes((octet,)) * (size - 12)


# the catalog


def catalog_messages(server: Answerer, qtype: str = "AXFR", serial: int | None = None) -> list[dns.message.Message]:
    found = ask(server, query(qtype, "catalog.example", serial))
    assert isinstance(found, Transfer)
    return [dns.message.from_wire(message) for message in messages(found.head, found.sections, lambda: 0.0)]


@pytest.mark.parametrize(("qtype", "serial"), [("AXFR", None), ("IXFR", 76)])
def test_the_catalog_is_transferred_whole(qtype: str, serial: int | None) -> None:
    """RFC 9432 section 4: a version, and a PTR under a label of its own for each member."""
    [message] = catalog_messages(answerer(), qtype, serial)
    records = [
        (
            found.name.relativize(dns.name.from_text("catalog.example")).to_text(),
            dns.rdatatype.to_text(found.rdtype),
            data,
        )
        for found in message.answer
        for data in [each.to_text() for each in found]
    ]
    assert [kind for _, kind, _ in records].count("SOA") == 1, "the second is the same record again"
    assert int.from_bytes(message.to_wire()[6:8], "big") >= 5
    assert ("@", "NS", "invalid.") in records and ("version", "TXT", '"2"') in records
    members = {data: name for name, kind, data in records if kind == "PTR"}
    assert members.keys() == {f"{IP_ORIGIN}.", "dbl.example."}
    assert len(set(members.values())) == 2 and all(name.endswith(".zones") for name in members.values())


def test_members_keep_their_labels_when_others_come() -> None:
    one, two = Catalog("catalog.example", 1, ["b.example"]), Catalog("catalog.example", 2, ["a.example", "b.example"])
    assert one.sets.keys() < two.sets.keys()


def test_the_catalog_is_for_those_who_may_transfer() -> None:
    for qtype in ("SOA", "AXFR", "TXT"):
        assert rcode(ask(answerer(), query(qtype, "catalog.example"), client="198.51.100.1")) == "REFUSED"
        assert rcode(ask(answerer(), query(qtype, "version.catalog.example"), client="198.51.100.1")) == "REFUSED"


@pytest.mark.parametrize(
    ("name", "qtype", "expected", "count"),
    [
        ("catalog.example", "SOA", "NOERROR", 1), ("catalog.example", "NS", "NOERROR", 1),
        ("catalog.example", "A", "NOERROR", 0), ("catalog.example", "ANY", "NOERROR", 1),
        ("version.catalog.example", "TXT", "NOERROR", 1), ("zones.catalog.example", "PTR", "NOERROR", 0),
        ("other.catalog.example", "TXT", "NXDOMAIN", 0), ("VERSION.catalog.example", "TXT", "NOERROR", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_catalog_answers_queries(name: str, qtype: str, expected: str, count: int, transport: str) -> None:
    found = ask(answerer(), query(qtype, name), transport)
    assert isinstance(found, dns.message.Message)
    assert (rcode(found), len(found.answer), len(found.authority)) == (expected, count, 0 if count else 1)
    if not count:
        assert found.authority[0].name == dns.name.from_text("catalog.example")


def test_a_catalog_secondary_that_is_up_to_date_gets_one_soa() -> None:
    assert soa_serial(ask(answerer(), query("IXFR", "catalog.example", 77))) == 77
    assert soa_serial(ask(answerer(), query("IXFR", "catalog.example", 5), "udp")) == 77


# NOTIFY from outside


def notify(name: str = IP_ORIGIN, key: str = "", qtype: str = "SOA") -> dns.message.Message:
    made = query(qtype, name, key=key)
    made.flags = 0x2400
    return made


def test_notify_is_not_implemented_where_nothing_is_followed() -> None:
    assert rcode(ask(answerer(), notify())) == "NOTIMP"


@pytest.mark.parametrize("key", ["", "mirror"])
def test_notify_of_a_primary_is_heard_and_answered(key: str) -> None:
    server = answerer(domain_zone())
    heard: list[tuple[str, str, bytes]] = []

    def hear(origin: str, client: str, signed: tsig.Key | None) -> bool:
        heard.append((origin, client, signed.name if signed else b""))
        return origin == "dbl.example"

    server.transfers.heard = hear
    found = ask(server, notify("DBL.example", key), "udp")
    assert isinstance(found, dns.message.Message)
    assert (rcode(found), found.had_tsig, found.flags) == ("NOERROR", bool(key), 0xA400)
    assert heard == [("dbl.example", CLIENT, tsig.wire_name(key) if key else b"")]
    assert rcode(ask(server, notify("other.example"), "udp")) == "NOTAUTH"
    assert rcode(ask(server, notify("dbl.example", qtype="A"), "udp")) == "NOTAUTH"


def test_notify_with_a_bad_signature_is_not_heard() -> None:
    server = answerer()
    server.transfers.heard = lambda *_: pytest.fail("it was heard")
    assert isinstance(wrong := server.reply(notify(key="unknown").to_wire(), "udp", CLIENT), bytes)
    assert wrong[3] & 15 == Rcode.NOTAUTH
